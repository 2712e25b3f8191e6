//! Programs in C: the runtime and ExOS's memory below a C library, picolibc, which `cargo exo` builds for the R3000.
//!
//! A program is a directory `c/NAME` of sources with a `main`, and `src/bin/NAME.rs`, in which `exos_c::program!()` stands. Its
//! arguments are those of the boot command. What the library asks of a system is here: the console as standard input and output,
//! the files of the boot archive to be read, a heap. `include/aegis.h` has the kernel's calls.

#![no_std]
#![feature(asm_experimental_arch)]

use core::arch::naked_asm;
use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::console::WRITE_MAX;
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES};
use exos_rt::abi::{EnvId, Error};
use exos_rt::program::{arguments, name};
use exos_rt::shared::Shared;
use exos_rt::{archive, call};

pub use exos_rt as rt;

// What it is linked with multiplies a lot.
exos_rt::room_for_mends!();

/// Makes the `main` of a program's sources in C the program's beginning.
#[macro_export]
macro_rules! program {
    () => {
        $crate::rt::program!(start);

        fn start() {
            $crate::run();
        }
    };
}

unsafe extern "C" {
    fn main(count: c_int, arguments: *const *const c_char) -> c_int;
    /// Writes what the library has buffered, and calls what `atexit` was told.
    fn exit(status: c_int) -> !;
}

/// The most arguments, and bytes of all of them.
const ARGUMENTS: usize = 16;
const ARGUMENT_BYTES: usize = 256;

static TEXT: Shared<[u8; ARGUMENT_BYTES]> = Shared::new([0; ARGUMENT_BYTES]);
static POINTERS: Shared<[u32; ARGUMENTS + 2]> = Shared::new([0; ARGUMENTS + 2]);

/// Runs `main` and ends the program with its result.
pub fn run() -> ! {
    Vm::install().expect("there is memory for a page table");
    // SAFETY: nothing else is there.
    unsafe {
        Vm::zeros(HEAP, HEAP_BYTES / PAGE_BYTES, READ | WRITE).expect("there is room in the table");
        Vm::zeros(STACK, STACK_BYTES / PAGE_BYTES, READ | WRITE).expect("there is room in the table");
    }
    let (mut text, mut pointers, mut used, mut count) = ([0; ARGUMENT_BYTES], [0; ARGUMENTS + 2], 0, 0);
    for argument in core::iter::once(name()).chain(arguments()).take(ARGUMENTS + 1) {
        let Some(place) = text.get_mut(used..used + argument.len()) else { break };
        place.copy_from_slice(argument.as_bytes());
        pointers[count] = TEXT.as_ptr() as u32 + used as u32;
        used += argument.len() + 1;
        count += 1;
    }
    TEXT.set(text);
    POINTERS.set(pointers);
    // SAFETY: the arguments are as C has them, and the stack is nobody else's.
    unsafe { on_stack(count as c_int, POINTERS.as_ptr().cast(), STACK + STACK_BYTES - 32) }
}

/// Where the stack of a program in C is: C expects much of it. The page below it is unmapped.
const STACK: u32 = HEAP + HEAP_BYTES + PAGE_BYTES;
const STACK_BYTES: u32 = 0x4_0000;

/// Goes on with another stack, which only assembly can.
///
/// # Safety
/// The stack is nobody else's, the arguments are those of `main`.
#[unsafe(naked)]
unsafe extern "C" fn on_stack(count: c_int, arguments: *const *const c_char, stack: u32) -> ! {
    naked_asm!(".set noreorder", "j {begin}", " move $sp, $a2", begin = sym begin)
}

/// What is done on it.
unsafe extern "C" fn begin(count: c_int, arguments: *const *const c_char) -> ! {
    // SAFETY: the caller's; `main` does what it does.
    unsafe { exit(main(count, arguments)) }
}

/// Ends the program.
#[unsafe(no_mangle)]
extern "C" fn _exit(status: c_int) -> ! {
    send();
    call::exit(status as u32)
}

// --- The heap: pages of zeros, which get frames when they are touched. ---------------------------------------------------

const HEAP: u32 = NORMAL_START + 0x10_0000;
const HEAP_BYTES: u32 = 0x80_0000;

static BREAK: Shared<u32> = Shared::new(HEAP);

/// Moves the end of the heap; where it was.
#[unsafe(no_mangle)]
extern "C" fn sbrk(bytes: c_long) -> *mut c_void {
    let was = BREAK.get();
    match was.checked_add_signed(bytes).filter(|end| (HEAP..=HEAP + HEAP_BYTES).contains(end)) {
        Some(end) => {
            BREAK.set(end);
            was as *mut c_void
        }
        None => core::ptr::without_provenance_mut(usize::MAX),
    }
}

// --- The console. ---------------------------------------------------------------------------------------------------------

static LINE: Shared<[u8; WRITE_MAX as usize]> = Shared::new([0; WRITE_MAX as usize]);
static FILLED: Shared<u32> = Shared::new(0);

/// Sends what is left of a line.
fn send() {
    let filled = FILLED.get() as usize;
    FILLED.set(0);
    // SAFETY: so many bytes are there, and nobody changes them meanwhile.
    let text = unsafe { core::slice::from_raw_parts(LINE.as_ptr().cast(), filled) };
    while filled != 0 && call::console_write(text) == Err(Error::Busy) {
        call::wait(Some(call::clock() + 1));
    }
}

/// A byte for the console.
#[unsafe(no_mangle)]
extern "C" fn exos_c_put(byte: c_char) {
    let filled = FILLED.get();
    // SAFETY: there is room: a full line is sent.
    unsafe { LINE.as_ptr().cast::<u8>().add(filled as usize).write_volatile(byte as u8) };
    FILLED.set(filled + 1);
    if byte as u8 == b'\n' || filled + 1 == WRITE_MAX {
        send();
    }
}

/// The next byte that is typed; -1 if the console is not this program's.
#[unsafe(no_mangle)]
extern "C" fn exos_c_get() -> c_int {
    send();
    loop {
        match call::console_read() {
            Ok(byte) => return c_int::from(byte),
            Err(Error::Busy) => call::wait(Some(call::clock() + 1)),
            Err(_) => return -1,
        }
    }
}

// --- Files of the boot archive, for reading. --------------------------------------------------------------------------------

/// An open file: its bytes, and how many have been read.
#[derive(Clone, Copy)]
struct Open {
    bytes: Option<&'static [u8]>,
    at: usize,
}

/// The first descriptors are the console's.
const FIRST: usize = 3;
static FILES: [Shared<Open>; 8] = [const { Shared::new(Open { bytes: None, at: 0 }) }; 8];

fn file(descriptor: c_int) -> Option<&'static Shared<Open>> {
    FILES.get(usize::try_from(descriptor).ok()?.checked_sub(FIRST)?).filter(|file| file.get().bytes.is_some())
}

/// Opens a file of the boot archive; -1 if there is none, or it is to be written.
///
/// # Safety
/// `path` is a text as C has it.
#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's.
    let path = unsafe { CStr::from_ptr(path) }.to_str().unwrap_or_default();
    let Some(found) = archive::find(path).filter(|_| flags & 3 == 0) else { return -1 };
    let Some(free) = FILES.iter().position(|file| file.get().bytes.is_none()) else { return -1 };
    FILES[free].set(Open { bytes: Some(found.bytes), at: 0 });
    (free + FIRST) as c_int
}

/// Reads from a file, or a line's bytes from the console; how many, 0 at the end.
///
/// # Safety
/// `to` has so many bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn read(descriptor: c_int, to: *mut u8, bytes: usize) -> c_long {
    if descriptor == 0 && bytes > 0 {
        let Ok(byte) = u8::try_from(exos_c_get()) else { return 0 };
        // SAFETY: the caller's. Likewise below.
        unsafe { to.write(byte) };
        return 1;
    }
    let Some(file) = file(descriptor) else { return -1 };
    let Open { bytes: contents, at } = file.get();
    let rest = contents.and_then(|contents| contents.get(at..)).unwrap_or_default();
    let rest = &rest[..bytes.min(rest.len())];
    // SAFETY: as above.
    unsafe { core::ptr::copy_nonoverlapping(rest.as_ptr(), to, rest.len()) };
    file.set(Open { bytes: contents, at: at + rest.len() });
    rest.len() as c_long
}

/// Writes to the console; -1 if it is not that.
///
/// # Safety
/// At `from` are so many bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(descriptor: c_int, from: *const u8, bytes: usize) -> c_long {
    if !(1..3).contains(&descriptor) {
        return -1;
    }
    // SAFETY: the caller's.
    unsafe { core::slice::from_raw_parts(from, bytes) }.iter().for_each(|&byte| exos_c_put(byte as c_char));
    bytes as c_long
}

/// Closes a file.
#[unsafe(no_mangle)]
extern "C" fn close(descriptor: c_int) -> c_int {
    let Some(file) = file(descriptor) else { return -1 };
    file.set(Open { bytes: None, at: 0 });
    0
}

/// Sets where a file is read from: from its beginning (0), from there (1), from its end (2); where that is.
#[unsafe(no_mangle)]
extern "C" fn lseek(descriptor: c_int, offset: i64, whence: c_int) -> i64 {
    let Some(file) = file(descriptor) else { return -1 };
    let Open { bytes, at } = file.get();
    let length = bytes.map_or(0, <[u8]>::len);
    let from = [0, at, length].get(whence as usize).copied().unwrap_or(0) as i64;
    match usize::try_from(from.saturating_add(offset)) {
        Ok(at) if at <= length => {
            file.set(Open { bytes, at });
            at as i64
        }
        _ => -1,
    }
}

// --- Calls that end a slice or are transfers, which only the runtime can make. --------------------------------------------

fn result<T>(result: Result<T, Error>) -> c_int {
    result.map_or_else(|error| error as c_int, |_| 0)
}

/// Ends the slice; returns in a later one.
#[unsafe(no_mangle)]
extern "C" fn exos_c_yield() {
    call::yield_slice();
}

/// Gives the rest of the slice to an environment.
#[unsafe(no_mangle)]
extern "C" fn exos_c_yield_to(to: u32) -> c_int {
    result(call::yield_to(EnvId(to)))
}

/// Waits until a tick of the clock, or to be woken.
#[unsafe(no_mangle)]
extern "C" fn exos_c_wait(deadline: u32) {
    call::wait(Some(deadline));
}

/// Calls an environment with four words and waits for the answer, two.
///
/// # Safety
/// At both places are so many words.
#[unsafe(no_mangle)]
unsafe extern "C" fn exos_c_call(callee: u32, message: &[u32; 4], answer: &mut [u32; 2]) -> c_int {
    result(rt::transfer::call(EnvId(callee), *message).map(|words| *answer = [words as u32, (words >> 32) as u32]))
}
