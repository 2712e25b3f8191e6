//! Processes: environments of one world, with a number, a parent, descriptors, and an exit status.
//!
//! A process is an ELF file of the boot archive, or of a server, linked as `process.ld` says, in an environment of its own.
//! Nothing of it is known to the kernel. What processes share is a [`table`] in memory; what one does for another, it does
//! to that table and to the other's environment, by the capability that the table has.
//!
//! ```ignore
//! #![no_std]
//! #![no_main]
//! exos::process!(main);
//!
//! fn main() -> u32 {
//!     exos::println!("hello");
//!     0
//! }
//! ```
//! in a crate whose build script links it by `process.ld`.
//!
//! - [`space`]: a process's page table: demand zero, copy on write, rights
//! - [`leaf`]: the form that the table has unless the program names another
//! - [`paging`]: what becomes of pages when there are too few frames
//! - [`lending`]: frames that a parent lends to a child until one of them writes
//! - [`image`]: spawn and exec
//! - [`fork`](mod@fork): fork
//! - [`loaded`]: programs that are no files of the boot archive
//! - [`file`]: descriptors: the terminal, files of the boot archive, pipes
//! - [`scheme`]: files that a program serves
//! - [`store`]: files that can be written to
//! - [`pipe`]: pipes among any number of processes
//! - [`lock`]: a lock among processes
//! - [`signals`]: handlers that a process has for signals
//! - [`terminal`]: who reads what is typed
//! - [`init`]: the first process, which owns what outlives the others
//!
//! # Whose slice a process runs in
//!
//! A child gets a free slice from who makes it. There are 64, and more processes can be; those for which none was left
//! are lent one by `init`, one after the other, and by who waits for them.

pub mod file;
pub mod fork;
pub mod image;
pub mod init;
pub mod leaf;
pub mod lending;
pub mod loaded;
pub mod lock;
pub mod paging;
pub mod pipe;
pub mod scheme;
pub mod signals;
pub mod space;
pub mod store;
pub mod table;
pub mod terminal;

pub use fork::fork;
pub use image::{Spawn, exec, spawn};
use table::{Process, Status, signal, state, world};

use asm_lines::global_asm;
use core::cell::UnsafeCell;
use core::fmt;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::slice::COUNT;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::abi::{EnvId, Error};
use exos_rt::sequences::{FAULT_STACK_WORD, set_fault_stacks};
use exos_rt::shared::Shared;
use exos_rt::{call, fault, memory, program, public};

/// What can go wrong with a call of this library.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fail {
    /// There is no such file.
    NotFound,
    /// The file is not a program for processes.
    BadProgram,
    /// There is no memory left.
    NoMemory,
    /// A table is full: of processes, files, pipes, descriptors, or environments.
    Full,
    /// The arguments are too long.
    TooLong,
    /// No such descriptor, or it can't be used so.
    BadDescriptor,
    /// Nobody will ever read that pipe.
    Broken,
    /// There is no such child, or no such process.
    NoSuchProcess,
    /// What can be read only can't be written.
    ReadOnly,
    /// There is no such signal, or it can't be handled.
    BadSignal,
    /// Nothing is at that address.
    BadAddress,
    /// The program's file is larger than [`loaded::BYTES_MAX`].
    TooLarge,
    /// The server does not allow it.
    Denied,
    /// It is a directory.
    Directory,
    /// The program that would serve the file is not in the boot archive.
    Unserved,
    /// The program that serves the file could not, and has told why.
    Failed,
    /// The kernel has refused.
    Kernel(Error),
}

impl From<Error> for Fail {
    fn from(error: Error) -> Self {
        match error {
            Error::Full => Self::NoMemory,
            error => Self::Kernel(error),
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such file",
            Self::BadProgram => "not a program",
            Self::NoMemory => "no memory left",
            Self::Full => "a table is full",
            Self::TooLong => "arguments too long",
            Self::BadDescriptor => "bad descriptor",
            Self::Broken => "broken pipe",
            Self::NoSuchProcess => "no such process",
            Self::ReadOnly => "read only",
            Self::BadSignal => "no such signal",
            Self::BadAddress => "bad address",
            Self::TooLarge => "too large a program: 1 MB at most, so without what debuggers need",
            Self::Denied => "not allowed",
            Self::Directory => "a directory",
            Self::Unserved => "the program that would serve it is not in the archive",
            Self::Failed => "who serves it has failed",
            Self::Kernel(error) => return write!(f, "the kernel says {error:?}"),
        })
    }
}

/// What the maker of a process tells it, at the beginning of its pinned page, and what it keeps there itself.
#[repr(C)]
pub struct Home {
    /// Its place in the table, plus one.
    pub me: Shared<u32>,
    /// Behind the data that its file has.
    pub data_end: Shared<u32>,
    /// Behind its data.
    pub heap_start: Shared<u32>,
    /// Behind its heap.
    pub heap_end: Shared<u32>,
    /// The frame of the archive where they begin, if it has any.
    pub data_frame: Shared<u32>,
    /// The frame of the page that its stack begins in.
    pub stack_frame: Shared<u32>,
    /// After a fork: the root's words of its page table, how many, and how many pages the table has.
    pub root: [RootWord; 8],
    /// See above.
    pub root_words: Shared<u32>,
    /// See above.
    pub tables: Shared<u32>,
    /// How many frames its pages have, how many they may have, and where it looks next for one to page out.
    pub resident: Shared<u32>,
    /// See above.
    pub quota: Shared<u32>,
    /// See above.
    pub hand: Shared<u32>,
    /// Its text: where, to which frames, how many pages.
    pub text: Shared<[u32; 3]>,
    /// Not 0 if the frames of its text and of its file's data are its own, and not the archive's.
    pub loaded: Shared<u32>,
    /// Where its arguments are, each with a zero byte behind it, and behind them its variables.
    pub arguments: Shared<u32>,
    /// How many.
    pub argument_count: Shared<u32>,
    /// How many variables.
    pub variable_count: Shared<u32>,
    /// Registers at a fork: `$s0` to `$s7`, `$gp`, `$sp`, `$fp`, `$ra`.
    pub registers: Shared<[u32; 12]>,
    /// The frame of the page with capabilities that it has made, plus one; 0 if there is none yet.
    pub lending: Shared<u32>,
    /// How many retired frames it has.
    pub retired: Shared<u32>,
    /// Where its maker would look for a free frame next.
    pub next_frame: Shared<u32>,
    /// Where what is on the terminal's way is, for the kernel to read.
    pub line: UnsafeCell<[u8; 128]>,
    /// The environment that has become this one, if it has no slice in which to end, and the right over it.
    pub before: Shared<u32>,
    /// See above.
    pub before_control: Shared<Capability>,
}

/// A word of the root of a page table: where, and what.
#[repr(C)]
pub struct RootWord {
    /// Its address.
    pub place: Shared<u32>,
    /// The word.
    pub value: Shared<u32>,
}

impl Home {
    /// Bytes of its buffer for the terminal.
    const fn line_bytes(&self) -> usize {
        128
    }
}

const _: () = assert!(size_of::<Home>() <= 0x200 && space::STATICS_END - space::PINNED < PAGE_BYTES);

/// This process's.
pub fn home() -> &'static Home {
    // SAFETY: whoever calls this is a process, and has the page mapped. Its words are cells.
    unsafe { &*(space::PINNED as *const Home) }
}

/// This process's entry of the table.
#[must_use]
pub fn me() -> &'static Process {
    world().at(home().me.get()).expect("every process is in the table")
}

/// The children of this process.
pub fn children() -> impl Iterator<Item = &'static Process> {
    let mut next = me().child.get();
    core::iter::from_fn(move || {
        let child = world().at(next)?;
        next = child.sibling.get();
        Some(child)
    })
}

/// This process's number.
#[must_use]
pub fn pid() -> u32 {
    me().pid.get()
}

/// The strings from an address on, each with a zero byte behind it.
fn strings(count: u32) -> impl Iterator<Item = &'static [u8]> {
    let mut at = home().arguments.get();
    (0..count).map(move |_| {
        let start = at as *const u8;
        let mut bytes = 0;
        // SAFETY: the maker of this process has written them on its stack, where nobody changes them.
        unsafe {
            while start.add(bytes).read() != 0 {
                bytes += 1;
            }
            at += bytes as u32 + 1;
            core::slice::from_raw_parts(start, bytes)
        }
    })
}

/// The program's arguments; the first is what it was called as.
pub fn arguments() -> impl Iterator<Item = &'static str> {
    strings(home().argument_count.get()).map(|bytes| core::str::from_utf8(bytes).unwrap_or("?"))
}

/// What it was called as.
#[must_use]
pub fn called() -> &'static str {
    arguments().next().unwrap_or("?")
}

/// Its variables, each `NAME=VALUE`.
pub fn variables() -> impl Iterator<Item = &'static str> {
    let arguments = home().argument_count.get();
    let all = strings(arguments + home().variable_count.get());
    all.skip(arguments as usize).map(|bytes| core::str::from_utf8(bytes).unwrap_or("?"))
}

/// The most variables that it passes on to who serves it a file.
const VARIABLES_MAX: usize = 32;

/// Gives its variables, the first 32, to a function.
pub(crate) fn with_variables<R>(with: impl FnOnce(&[&str]) -> R) -> R {
    let mut all = [""; VARIABLES_MAX];
    let count = all.iter_mut().zip(variables()).map(|(to, variable)| *to = variable).count();
    with(&all[..count])
}

/// The value of one of its variables.
#[must_use]
pub fn variable(name: &str) -> Option<&'static str> {
    variables().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='))
}

/// More memory at the end of the heap, full of zeros: where it begins.
///
/// # Errors
/// [`Fail::NoMemory`] if the space is at its end. Whether there are frames is found out when it is touched.
pub fn grow(bytes: u32) -> Result<u32, Fail> {
    let (start, mut page) = (home().heap_end.get(), home().heap_end.get().next_multiple_of(PAGE_BYTES));
    let end = start.checked_add(bytes).filter(|&end| end <= space::HEAP_END).ok_or(Fail::NoMemory)?;
    while page < end {
        // SAFETY: nothing is there yet.
        if unsafe { space::add(space::number(page), space::ZERO) }.is_err() {
            while page > start.next_multiple_of(PAGE_BYTES) {
                page -= PAGE_BYTES;
                // SAFETY: as above.
                unsafe { space::set(space::number(page), 0) };
            }
            return Err(Fail::NoMemory);
        }
        page += PAGE_BYTES;
    }
    home().heap_end.set(end);
    Ok(start)
}

/// Gives up the processor until something may have happened, at the latest at the tick `deadline`. May come back at any
/// time. Handlers of signals are called here.
pub fn block(deadline: Option<u32>) {
    lending::settle_if_recalled();
    signals::deliver();
    call::wait(deadline);
    signals::deliver();
}

/// Gives up the processor for so many ticks.
pub fn sleep(ticks: u32) {
    let end = call::clock().wrapping_add(ticks);
    while (end.wrapping_sub(call::clock()) as i32) > 0 {
        block(Some(end));
    }
}

/// Ends this process. If it has written to a file that is served, and that could not be done, a status of 0 becomes 1.
#[unsafe(link_section = ".text.process_life")]
pub fn exit(status: u32) -> ! {
    end(Status::exit(status))
}

/// Ends it by an exception.
pub(crate) fn faulted(number: u32) -> ! {
    end(Status::signal(number))
}

/// Called by assembly in a process that is killed.
unsafe extern "C" fn killed() -> ! {
    end(Status(me().status.get()))
}

#[unsafe(link_section = ".text.process_life")]
fn end(mut status: Status) -> ! {
    let me = me();
    // Who is killed does not wait.
    if !leave(me, status.signal_number() == 0) && status == Status::exit(0) {
        status = Status::exit(1);
    }
    let parent = world().at(me.parent.get());
    // Whoever borrows is still a child for this.
    let lends = home().lending.get() != 0;
    if lends && me.slice.get() == 0 {
        // Whoever is not in the table is lent no slice.
        lending::outlive();
    }
    me.lender.set(0);
    me.status.set(status.0);
    // From here on the entry is the parent's.
    me.state.set(state::ZOMBIE);
    if let Some(parent) = parent
        && !signals::send(parent, signal::CHLD)
    {
        parent.wake();
    }
    if lends {
        lending::outlive();
    }
    call::exit(0)
}

/// Does what is to be done to the table when a process ends or has ended: `patient` and the result are those of
/// [`file::close_all`].
#[unsafe(link_section = ".text.process_life")]
fn leave(process: &Process, patient: bool) -> bool {
    let good = file::close_all(process, patient);
    let mut next = process.child.get();
    if next != 0 && process.parent.get() != 1 {
        // It is their parent from now on.
        world().processes[0].wake();
    }
    process.child.set(0);
    while let Some(child) = world().at(next) {
        next = child.sibling.get();
        child.sibling.set(0);
        child.parent.set(1);
    }
    if !patient {
        forget_new(process);
    }
    good
}

/// Frees the entries of processes that were not made yet when who makes them ended, with their environments, but for one whose
/// number and right their maker had not noted yet: those nobody has.
#[cold]
#[inline(never)]
fn forget_new(maker: &Process) {
    let new = state::new_by(maker.pid.get() & 0xff);
    for process in world().processes.iter().filter(|process| process.state.get() == new) {
        file::close_all(process, false);
        if process.env.get() != 0 {
            let _ = call::env_destroy(EnvId(process.env.get()), process.control.get());
        }
        process.state.set(state::FREE);
    }
}

/// Waits until a child has ended, the one with the number `pid` or any: its number and how it ended.
///
/// # Errors
/// [`Fail::NoSuchProcess`] if there is no such child.
pub fn wait(pid: Option<u32>) -> Result<(u32, Status), Fail> {
    let mut fresh = true;
    loop {
        if let Some(ended) = try_wait(pid)? {
            return Ok(ended);
        }
        lending::settle_if_recalled();
        let mut only = children().filter(|child| pid.is_none_or(|pid| child.pid.get() == pid));
        match (only.next(), only.next()) {
            // It has the rest of this slice: often that is enough. If it has none of its own it has all of them.
            (Some(child), None) if core::mem::take(&mut fresh) || child.slice.get() == 0 => {
                let _ = call::yield_to(EnvId(child.env.get()));
            }
            _ => block(Some(call::clock() + 32)),
        }
    }
}

/// As [`wait`], but does not wait.
///
/// # Errors
/// As for [`wait`].
pub fn try_wait(pid: Option<u32>) -> Result<Option<(u32, Status)>, Fail> {
    let mut found = false;
    let mut before: Option<&Process> = None;
    for child in children() {
        if pid.is_none_or(|pid| child.pid.get() == pid) {
            found = true;
            if let Some(status) = ended(child) {
                let next = child.sibling.get();
                before.map_or(&me().child, |before| &before.sibling).set(next);
                let pid = child.pid.get();
                forget(child);
                return Ok(Some((pid, status)));
            }
        }
        before = Some(child);
    }
    if found { Ok(None) } else { Err(Fail::NoSuchProcess) }
}

/// Makes the entry of a process that has ended free.
pub(crate) fn forget(process: &Process) {
    if process.slice.get() == 0 {
        // It has none in which to make its last call, and nobody lends it one any more. What it lent it has back.
        let _ = call::env_destroy(EnvId(process.env.get()), process.control.get());
    }
    process.state.set(state::FREE);
}

/// How a process has ended, if it has, one that has gone without a word among them.
pub(crate) fn ended(process: &Process) -> Option<Status> {
    match process.state.get() {
        state::ZOMBIE => Some(Status(process.status.get())),
        state::RUNNING if !process.is_alive() => {
            // It may have ended as it should between the two.
            if process.state.get() == state::RUNNING {
                process.status.set(Status::signal(signal::KILL).0);
                leave(process, false);
            }
            Some(Status(process.status.get()))
        }
        _ => None,
    }
}

/// Sends a process a signal: it ends by it, or, if it handles it, is interrupted ([`signals`]).
///
/// # Errors
/// [`Fail::NoSuchProcess`].
pub fn kill(pid: u32, number: u32) -> Result<(), Fail> {
    let process = world().find(pid).ok_or(Fail::NoSuchProcess)?;
    if process.state.get() == state::ZOMBIE {
        return Ok(());
    }
    if signals::send(process, number) {
        if pid == self::pid() {
            signals::deliver();
        }
        return Ok(());
    }
    if number == signal::CHLD {
        return Ok(());
    }
    if pid == self::pid() {
        end(Status::signal(number));
    }
    process.status.set(Status::signal(number).0);
    let entry = process.kill_entry.get();
    let env = EnvId(process.env.get());
    if entry == 0 {
        // It has not begun. Who waits for it will find it gone.
        let _ = call::env_destroy(env, process.control.get());
    } else {
        // SAFETY: the environment is another; the header is not changed while it lives.
        unsafe { call::env_setup(env, process.control.get(), &*process.header.get(), entry)? };
        process.wake();
    }
    Ok(())
}

/// Sends every process of a job a signal; whether there was any.
pub fn kill_job(job: u32, number: u32) -> bool {
    let mut any = false;
    let mine = pid();
    for process in &world().processes {
        let pid = process.pid.get();
        if process.state.get() == state::RUNNING && process.job.get() == job && pid != mine {
            any |= kill(pid, number).is_ok();
        }
    }
    any
}

/// Gives a process, whose environment is set up, a slice, if one is free.
pub(crate) fn give_slice(process: &Process) {
    let env = EnvId(process.env.get());
    let from = process.pid.get() & 0xff;
    for position in (from..COUNT as u32).chain(0..from.min(COUNT as u32)) {
        if public::slice(position).owner == 0 && call::slice_allocate(position).is_ok() {
            if call::slice_give(position, env).is_ok() {
                process.slice.set(position + 1);
                return;
            }
            let _ = call::slice_free(position);
        }
    }
    // It sees to those for which none is left.
    world().processes[0].wake();
}

/// Makes a function `fn() -> u32` the beginning of a process; what it returns is the exit status. The process's page table
/// is [`Leaf`](leaf::Leaf) unless another [`Form`](crate::page_table::Form) is named:
/// `exos::process!(main, page_table: exos::page_table::Inverted)`.
#[macro_export]
macro_rules! process {
    ($main:path) => {
        $crate::process!($main, page_table: $crate::process::leaf::Leaf);
    };
    ($main:path, page_table: $form:ty) => {
        $crate::process_page_table!($form);
        exos_rt::program!(exos_process_main);

        fn exos_process_main() {
            $crate::process::exit($main())
        }
    };
}

unsafe extern "C" {
    /// Where a process is entered to end itself.
    fn exos_process_killed();
    /// Goes on on the stack that ends at an address.
    fn exos_process_enter(stack: u32) -> !;
}

/// Called by assembly at the very beginning of a process, on its stack for exceptions: pages are not there yet.
#[unsafe(link_section = ".text.process_life")]
unsafe extern "C" fn begin() -> ! {
    let me = me();
    memory::search_from(home().next_frame.get());
    program::set_name(me.name.get().bytes());
    me.kill_entry.set(exos_process_killed as *const () as u32);
    if home().before.get() != 0 {
        let _ = call::env_destroy(EnvId(home().before.get()), home().before_control.get());
    }
    space::set_handlers();
    if space::begin_with_program().is_err() {
        // There is no memory for a table of its form.
        end(Status::signal(signal::KILL))
    }
    // Up to here the stack for exceptions has been in use, by this function.
    set_fault_stacks(space::FAULT_STACKS);
    // SAFETY: it is where the maker has put the arguments.
    unsafe { exos_process_enter((home().arguments.get() & !7) - 16) }
}

/// Called by assembly on the process's stack.
#[unsafe(link_section = ".text.process_life")]
extern "C" fn begin_on_stack() -> ! {
    unsafe extern "Rust" {
        fn exos_main();
    }
    fault::set_exit(exit);
    // SAFETY: it is what `process!` defines.
    unsafe { exos_main() };
    exit(0)
}

global_asm!(
    ".section .text.process, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    // --- The first instruction of a process: every register is 0. ----------------------------------------------------
    ".globl exos_process_start",
    ".type exos_process_start, @function",
    "exos_process_start:",
    "    lui   $sp, {fault_top} >> 16",
    "    j     {begin}",
    "     ori  $sp, $sp, {fault_top} & 0xffff",
    ".size exos_process_start, . - exos_process_start",
    // a0 = the stack.
    ".globl exos_process_enter",
    ".type exos_process_enter, @function",
    "exos_process_enter:",
    "    j     {begin_on_stack}",
    "     move $sp, $a0",
    ".size exos_process_enter, . - exos_process_enter",
    // --- A process is killed: it is entered here in its next slice, wherever it was. ---------------------------------
    ".globl exos_process_killed",
    ".type exos_process_killed, @function",
    "exos_process_killed:",
    "    lui   $sp, {fault_top} >> 16",
    "    ori   $sp, $sp, {fault_top} & 0xffff",
    "    sw    $zero, {fault_stack}($zero)", // in use
    "    j     {killed}",
    "     nop",
    ".size exos_process_killed, . - exos_process_killed",
    "    .balign 16",
    ".text",
    fault_top = const space::PINNED + PAGE_BYTES - 16,
    fault_stack = const FAULT_STACK_WORD,
    begin = sym begin,
    begin_on_stack = sym begin_on_stack,
    killed = sym killed,
);
