//! Arbitrary calls with arbitrary arguments, of several environments at once, drawn from a seed: whatever they do, this
//! program, which starts them and starts those anew that die of it, loses no slice and no byte.
//!
//! A child keeps nothing in registers: wherever it is entered (at the start of a slice, by a transfer, after a fault) it
//! draws its next step from the seed, its slot and the number of the step. So steps can be left out, which is how a
//! test on the model makes a failure small; that test also goes through the kernel's audit all the while
//! (`cargo exo random`, `tools/exo/src/random.rs`).
//!
//! Arguments: `seed`; `calls`, how many; `from`, the first step that is not left out; `without` and `without2`, bits of
//! [`STEPS`] that are left out.
//@ run: hostile_random,calls=3000
//@ verdict: fail
//@ expect: hostile_random: seed 1,
//@ expect: nothing was lost
//@ timeout: 200
//@ ignore-machine: gxemul it lets user mode reach pages of the kernel's

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use core::arch::global_asm;
use core::mem::offset_of;
use exos_rt::abi::call::{self as number, TLB_WRITE, TRANSFER, TRANSFER_ASYNC};
use exos_rt::abi::exception::SavePage;
use exos_rt::abi::filter::Atom;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::program::{ProgramHeader, ProtectedEntries, Range};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, PROGRAM_START, PUBLIC_PAGE, SAVE_PAGE, entry_lo};
use exos_rt::abi::{EnvId, Error, VERSION};
use exos_rt::{call, memory, println, program, public};

/// Children at a time.
const CHILDREN: usize = 6;
/// Rounds of the slice vector after which a child that makes no step is ended.
const PATIENCE: u32 = 2;

/// A page that this program and all children have in common, to tell each other names and capabilities.
const BOARD: u32 = 0x2000_0000;
/// A child's stack. Its first word is the child's slot.
const STACK: u32 = NORMAL_START - 2 * PAGE_BYTES;
/// Where this program sees it, to write that word.
const PARENTS_VIEW: u32 = STACK - 2 * PAGE_BYTES;
/// Where the children map things, in either segment.
const SCRATCH: [u32; 2] = [0x2100_0000, 0x5100_0000];
/// How many frames the children contend for: the first of them is on the board.
const FRAMES: u32 = 48;

#[repr(C)]
struct Board {
    seed: u32,
    from: u32,
    without: [u32; 2],
    /// The frames that the children contend for begin here.
    frame: u32,
    /// Steps that each child has made.
    steps: [u32; CHILDREN],
    /// The next place in `ids` and in `shown`.
    next: [u32; 2],
    ids: [u32; 64],
    /// Resource (a frame's number or an environment's id) and tag.
    shown: [[u32; 3]; 64],
}

/// The board. Everybody writes to it, and what stands there may be wrong.
const fn board() -> *mut Board {
    BOARD as *mut Board
}

/// A child's own words in its save page.
#[repr(C)]
struct Own {
    /// What it has in its registers at the next call.
    registers: [u32; 32],
    /// What the last call returned.
    result: u32,
    /// Whether the call came back.
    done: u32,
}

const OWN_ADDRESS: usize = SAVE_PAGE as usize + offset_of!(SavePage, own);
const OWN: *mut Own = OWN_ADDRESS as *mut Own;

/// What an argument is drawn from; any may be replaced by what no call is meant for.
#[derive(Clone, Copy)]
enum Draw {
    Any,
    Frame,
    Id,
    Address,
    Pinned,
    EntryLo,
    Pages,
    Position,
    Right,
    Tag(usize),
    Code,
    Text,
    Bytes,
    Physical,
    Header,
    Atoms,
    Entry,
    Tick,
    Few,
    Nowhere,
}

use Draw::{
    Address, Any, Atoms, Bytes, Code, Entry, EntryLo, Few, Frame, Header, Id, Nowhere, Pages, Physical, Pinned,
    Position, Right, Tag, Text, Tick,
};

/// Not calls, but other steps.
const LOAD: u32 = 0x2000;
const STORE: u32 = 0x2001;
const JUMP: u32 = 0x2002;
const NO_CALL: u32 = 0x2003;

/// Calls, their weights, and what their arguments are drawn from. `$v1` is always an id.
static STEPS: [(u32, u32, [Draw; 4]); 51] = [
    (TRANSFER, 6, [Any; 4]),
    (number::SELF, 1, [Any; 4]),
    (TRANSFER_ASYNC, 6, [Any; 4]),
    (number::YIELD_TO, 6, [Any; 4]),
    (number::TLB_DELETE, 6, [Any, Address, Any, Any]),
    (number::TLB_PROBE, 4, [Any, Address, Any, Any]),
    (number::TLB_PROTECT, 6, [EntryLo, Address, Pages, Any]),
    (number::CONTEXT_SWITCH, 6, [Any, Few, Any, Any]),
    (number::FPU_MODE, 3, [Any, Few, Any, Any]),
    (number::NULL, 1, [Any; 4]),
    (number::YIELD, 1, [Any; 4]),
    (number::WAIT, 1, [Tick, Any, Any, Any]),
    (number::WAKE, 6, [Id, Any, Any, Any]),
    (number::EXIT, 1, [Few, Any, Any, Any]),
    (number::CONSOLE_WRITE, 2, [Text, Bytes, Any, Any]),
    (number::CONSOLE_PENDING, 1, [Any; 4]),
    (number::SET_HANDLER, 4, [Code, Entry, Any, Any]),
    (number::CLOCK, 1, [Any; 4]),
    (number::SLICE_ALLOCATE, 6, [Position, Any, Any, Any]),
    (number::SLICE_FREE, 6, [Position, Any, Any, Any]),
    (number::SLICE_GIVE, 3, [Position, Id, Any, Any]),
    (number::SLICE_RECLAIM, 6, [Position, Any, Any, Any]),
    (number::ENV_CREATE, 6, [Frame, Any, Any, Any]),
    (number::ENV_SETUP, 4, [Id, Header, Entry, Any]),
    (number::ENV_DESTROY, 2, [Id, Any, Any, Any]),
    (number::ENV_MAP, 12, [Id, Pinned, EntryLo, Pages]),
    (number::ENV_UNMAP, 10, [Id, Pinned, Any, Any]),
    (number::FRAME_ALLOCATE, 16, [Frame, Any, Any, Any]),
    (number::FRAME_FREE, 10, [Frame, Any, Any, Any]),
    (number::FRAME_GIVE, 6, [Frame, Id, Any, Any]),
    (number::FRAME_RENEW, 8, [Frame, Any, Any, Any]),
    (number::CAPABILITY, 10, [Frame, Right, Any, Any]),
    (number::ICACHE_FLUSH, 2, [Physical, Bytes, Any, Any]),
    (number::CONSOLE_READ, 1, [Any; 4]),
    (number::CONSOLE_GIVE, 2, [Id, Any, Any, Any]),
    (number::REVOKE, 1, [Id, Few, Few, Tick]),
    (number::FRAME_REPOSSESS, 2, [Frame, Any, Any, Any]),
    (number::SLICE_REPOSSESS, 2, [Position, Any, Any, Any]),
    (number::FILTER_INSERT, 6, [Frame, Atoms, Few, Any]),
    (number::FILTER_REMOVE, 2, [Few, Any, Any, Any]),
    (number::FILTER_RING, 2, [Few, Frame, Any, Any]),
    (number::NETWORK_SEND, 2, [Text, Bytes, Any, Any]),
    (number::HANDLER_INSTALL, 2, [Few, Text, Bytes, Any]),
    (number::HANDLER_REMOVE, 2, [Few, Any, Any, Any]),
    (number::FILTER_REPOSSESS, 1, [Few, Any, Any, Any]),
    (number::HANDLER_REPOSSESS, 1, [Few, Any, Any, Any]),
    (TLB_WRITE, 20, [Tag(0), Address, EntryLo, Tag(1)]),
    (LOAD, 22, [Any, Address, Any, Any]),
    (STORE, 16, [Any, Address, Any, Any]),
    (JUMP, 2, [Any, Nowhere, Any, Any]),
    (NO_CALL, 1, [Any; 4]),
];

/// Atoms, some of which make a filter.
static ATOMS: [Atom; 12] = {
    let mut atoms = [Atom::equal(12, 16, 0x800); 12];
    let mut n = 0;
    while n < atoms.len() {
        atoms[n] = Atom::equal(12 + n as u32 % 5, 8 << (n as u32 % 3), 7 + n as u32 / 2);
        n += 1;
    }
    atoms[5] = Atom::shift(14);
    atoms[8] = Atom::shift_by(0, 8, 15, 2);
    atoms
};

/// Which step each of 256 numbers stands for: as many as its weight says.
static CHOICE: [u8; 256] = {
    let (mut choice, mut at, mut step) = ([0; 256], 0, 0);
    while step < STEPS.len() {
        let mut left = STEPS[step].1;
        while left > 0 {
            choice[at] = step as u8;
            (at, left) = (at + 1, left - 1);
        }
        step += 1;
    }
    assert!(at == 256, "the weights are to come to 256");
    choice
};

/// What no call is meant for.
static EVIL: [u32; 16] = [
    0,
    1,
    u32::MAX,
    0x7fff_ffff,
    0x8000_0000,
    0x8000_0080,
    0x8005_0000,
    0xa003_0000,
    0xbfe0_0000,
    0xfffc,
    16_383,
    16_384,
    0x000f_ffff,
    0xffff_f000,
    0x0000_6ffe,
    0x3000_0000,
];

/// Numbers that depend on nothing but what they were begun with.
struct Random(u32);

impl Random {
    fn begin(seed: u32, slot: u32, step: u32) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9) ^ slot.wrapping_mul(0x85eb_ca6b) ^ step);
        random.next();
        random.next();
        random
    }

    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9);
        let mut word = self.0;
        word = (word ^ word >> 16).wrapping_mul(0x21f0_aaad);
        word = (word ^ word >> 15).wrapping_mul(0x735a_2d97);
        word ^ word >> 15
    }

    /// One of so many; at most 65536.
    fn below(&mut self, count: u32) -> u32 {
        ((self.next() >> 16) * count) >> 16
    }

    /// Once in so many times.
    fn once_in(&mut self, count: u32) -> bool {
        self.below(count) == 0
    }
}

/// A child's step: fills in its registers, and says in which way they are used.
unsafe extern "C" fn step() -> u32 {
    // SAFETY: the save page is the child's own; the board, its stack and its text are mapped, or this faults and is
    // begun anew. Everything is read once.
    unsafe {
        let board = board();
        let slot = (STACK as *const u32).read_volatile() % CHILDREN as u32;
        let steps = (&raw mut (*board).steps).cast::<u32>().add(slot as usize);
        let done = (&raw mut (*OWN).done).replace(0) != 0;
        let result = (&raw const (*OWN).result).read_volatile();
        let registers = (&raw mut (*OWN).registers).cast::<u32>();
        if done && (result as i32) >= 0 {
            note(board, registers.add(2).read(), registers.add(4).read(), result);
        }
        loop {
            let at = steps.read_volatile();
            steps.write_volatile(at.wrapping_add(1));
            let mut random = Random::begin((*board).seed, slot, at);
            let chosen = usize::from(CHOICE[(random.next() & 255) as usize]);
            let without = (*board).without[chosen >> 5 & 1] >> (chosen & 31) & 1 != 0;
            if at >= (*board).from && !without {
                return draw(&mut random, chosen, registers);
            }
        }
    }
}

/// Tells the others of a capability or an environment.
unsafe fn note(board: *mut Board, number: u32, resource: u32, result: u32) {
    // SAFETY: as in `step`.
    unsafe {
        if number != number::CAPABILITY && number != number::ENV_CREATE {
            return;
        }
        let Capability([tag0, tag1]) = call_slot().read_volatile();
        let resource = if number == number::CAPABILITY { resource } else { result };
        let next = &raw mut (*board).next;
        let place = (*next)[1];
        (*next)[1] = place.wrapping_add(1);
        (&raw mut (*board).shown).cast::<[u32; 3]>().add((place & 63) as usize).write([resource, tag0, tag1]);
        if number == number::ENV_CREATE {
            let place = (*next)[0];
            (*next)[0] = place.wrapping_add(1);
            (&raw mut (*board).ids).cast::<u32>().add((place & 63) as usize).write(result);
        }
    }
}

/// The capability that a call takes or has made.
const fn call_slot() -> *mut Capability {
    (SAVE_PAGE as usize + offset_of!(SavePage, capability)) as *mut Capability
}

/// Fills in the registers for a step.
unsafe fn draw(random: &mut Random, chosen: usize, registers: *mut u32) -> u32 {
    let Some(&(mut number, _, arguments)) = STEPS.get(chosen) else { return 0 };
    // A new child costs as much as a hundred other calls.
    if number == number::EXIT && !random.once_in(8) {
        number = number::NULL;
    }
    // SAFETY: as in `step`.
    unsafe {
        let board = board();
        let shown = (&raw const (*board).shown).cast::<[u32; 3]>().add(random.below(64) as usize).read();
        let pool = (*board).frame;
        let mut one = |draw: Draw| {
            if random.once_in(32) {
                return if random.once_in(2) { random.next() } else { EVIL[(random.next() & 15) as usize] };
            }
            let frame = |random: &mut Random| if random.once_in(2) { shown[0] } else { pool + random.below(FRAMES) };
            match draw {
                Any => random.next(),
                Frame => frame(random),
                Id => match random.below(4) {
                    0 => shown[0],
                    1 => call::self_id().0,
                    _ => (&raw const (*board).ids).cast::<u32>().add(random.below(64) as usize).read(),
                },
                // Once in a while what it needs itself; but nothing is mapped where its text is: what is written is not to be
                // executed, as below.
                Address | Pinned if random.once_in(1024) => {
                    let own = [STACK, PROGRAM_START, PUBLIC_PAGE, SAVE_PAGE][random.below(4) as usize & 3];
                    let maps = [number::ENV_MAP, number::TLB_WRITE].contains(&number);
                    if own == PROGRAM_START && maps { STACK } else { own }
                }
                Address => {
                    let page = SCRATCH[random.below(2) as usize & 1] + (random.below(24) << PAGE_SHIFT);
                    page + if random.once_in(8) { random.next() & 0xfff } else { 0 }
                }
                Pinned => SCRATCH[0] + (random.below(24) << PAGE_SHIFT),
                EntryLo => {
                    let bits = if random.once_in(8) { random.next() & 0xfff } else { 0 };
                    let rights = if random.once_in(2) { entry_lo::DIRTY } else { 0 } | entry_lo::VALID;
                    let frame = if random.once_in(16) { public::frame_table() >> PAGE_SHIFT } else { frame(random) };
                    frame << PAGE_SHIFT | (rights ^ bits)
                }
                Pages => [1, 1, 2, 3, random.below(64), 128, 256, 257][random.below(8) as usize & 7],
                Position if random.once_in(16) => random.below(80),
                Position => 8 + random.below(32),
                Right => random.below(5),
                Tag(word) => shown[(word + 1) & 3],
                Code => random.below(14),
                Text => PROGRAM_START + random.below(4096),
                Bytes => [random.below(2), random.below(200), 4096, 4097][random.below(4) as usize & 3],
                Physical => (pool + random.below(FRAMES)) << PAGE_SHIFT,
                Header if random.once_in(8) => PROGRAM_START + (random.below(16_384) & !3),
                Header => &raw const HEADER as u32,
                Atoms if random.once_in(8) => PROGRAM_START + (random.below(16_384) & !3),
                Atoms => &raw const ATOMS[random.below(8) as usize & 7] as u32,
                Entry if random.once_in(16) => random_entry as *const () as u32 + 4 * random.below(16),
                Entry => random_entry as *const () as u32,
                Tick => public::ticks().wrapping_add(random.below(40)),
                Few => random.below(5),
                // What is written is not to be executed: an R3000 would execute what was there before.
                Nowhere => [0x100, 0x8000_0000, 0x7fff_fffc, 0x3000_0002][random.below(4) as usize & 3],
            }
        };
        let mut arguments = arguments.map(&mut one);
        let callee = one(Id);
        let capability = if random.once_in(16) { [random.next(), random.next()] } else { [shown[1], shown[2]] };
        if random.once_in(256) {
            arguments = core::array::from_fn(|_| random.next());
        }
        // What stands in the save page, but for the child's own words.
        let word = random.next() & 0x3ff;
        if !(128..128 + size_of::<Own>() as u32 / 4).contains(&word) {
            (SAVE_PAGE as *mut u32).add(word as usize).write_volatile(random.next());
        }
        call_slot().write_volatile(Capability(capability));
        let mut any = random.next();
        for register in 1..32 {
            any = any.wrapping_add(0x9e37_79b9);
            registers.add(register).write(any);
        }
        registers.add(2).write(if number == NO_CALL { random.next() | 1 } else { number });
        registers.add(3).write(callee);
        for (register, argument) in arguments.into_iter().enumerate() {
            registers.add(4 + register).write(argument);
        }
        // A child that is asked for its slice may keep it: a word at the end of a slice.
        registers.write(u32::from(random.once_in(256)));
        match number {
            LOAD => 1,
            STORE => 2,
            JUMP => 3,
            _ => 0,
        }
    }
}

// A child. Wherever it is entered nothing is known of any register.
global_asm!(
    ".section .text.random, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    ".macro registers",
    "  .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "    lw    $\\n, {own} + 4*\\n($zero)",
    "  .endr",
    "    nop",
    ".endm",
    "random_entry:",
    "    lui   $sp, %hi({stack} + 0xff0)",
    "    jal   {step}",
    "     addiu $sp, $sp, %lo({stack} + 0xff0)",
    "    addiu $a0, $v0, -1",
    "    beq   $a0, $zero, 1f",
    "     addiu $a0, $v0, -2",
    "    beq   $a0, $zero, 2f",
    "     addiu $a0, $v0, -3",
    "    beq   $a0, $zero, 3f",
    "     nop",
    "    registers",
    "    syscall",
    "    sw    $v0, {result}($zero)",
    "    addiu $v0, $zero, 1",
    "    sw    $v0, {done}($zero)",
    "    j     random_entry",
    "     nop",
    "1:  registers",
    "    b     random_entry",
    "     lw   $v0, 0($a1)",
    "2:  registers",
    "    b     random_entry",
    "     sw   $a0, 0($a1)",
    "3:  registers",
    "    jr    $a1",
    "     nop",
    "random_end_of_slice:",
    "    lw    $t0, {own}($zero)",
    "    sw    $zero, {own}($zero)",
    "    bne   $t0, $zero, random_entry",
    "     nop",
    "random_resume:",
    "    addiu $v0, $zero, {YIELD}",
    "    syscall",
    "random_start_of_slice:",
    "    b     random_entry",
    "     nop",
    "random_resume_end:",
    own = const OWN_ADDRESS,
    result = const OWN_ADDRESS + offset_of!(Own, result),
    done = const OWN_ADDRESS + offset_of!(Own, done),
    stack = const STACK,
    step = sym step,
    YIELD = const number::YIELD,
);

unsafe extern "C" {
    fn random_entry();
    fn random_end_of_slice();
    fn random_resume();
    fn random_start_of_slice();
    fn random_resume_end();
}

/// What is told the kernel of a child: addresses of code, which a linker fills in.
#[repr(C)]
struct Addresses {
    version: u32,
    start_of_slice: unsafe extern "C" fn(),
    end_of_slice: unsafe extern "C" fn(),
    handlers: [unsafe extern "C" fn(); 16],
    entries: [unsafe extern "C" fn(); 2],
    return_sequences: [u32; 2],
    resume: [unsafe extern "C" fn(); 2],
    revocation: u32,
}

const _: () = assert!(
    size_of::<Addresses>() == size_of::<ProgramHeader>()
        && offset_of!(Addresses, entries) == offset_of!(ProgramHeader, protected_entries)
        && size_of::<ProtectedEntries>() == 8
        && size_of::<Range>() == 8
);

static HEADER: Addresses = Addresses {
    version: VERSION,
    start_of_slice: random_start_of_slice,
    end_of_slice: random_end_of_slice,
    handlers: [random_entry; 16],
    entries: [random_entry; 2],
    return_sequences: [0; 2],
    resume: [random_resume, random_resume_end],
    revocation: 0,
};

/// A child as this program knows it.
#[derive(Clone, Copy)]
struct Child {
    id: EnvId,
    control: Capability,
    stack: u32,
    steps: u32,
    idle: u32,
}

/// The EntryLo word of a page of this program.
fn mapped_to(address: u32) -> u32 {
    loop {
        // SAFETY: the page is mapped.
        unsafe { (address as *const u8).read_volatile() };
        if let Some(entry_lo) = call::tlb_probe(address) {
            return entry_lo;
        }
    }
}

/// Starts a child.
fn spawn(slot: u32, board: u32) -> Result<Child, Error> {
    unsafe extern "C" {
        static exos_text_end: u8;
    }
    let me = call::self_id();
    let stack = memory::allocate()?;
    let pages = (&raw const exos_text_end as u32 - PROGRAM_START).div_ceil(PAGE_BYTES);
    let header = (&raw const HEADER).cast::<ProgramHeader>();
    let made = (|| {
        // SAFETY: nothing else is at these addresses; the environment is another. The header is one.
        unsafe {
            call::env_map(me, call::NO_CAPABILITY, PARENTS_VIEW, stack << PAGE_SHIFT | entry_lo::DIRTY, 1)?;
            (PARENTS_VIEW as *mut u32).write_volatile(slot);
            call::env_unmap(me, call::NO_CAPABILITY, PARENTS_VIEW)?;
            let (id, control) = call::env_create(memory::allocate_pair()?)?;
            let furnished = (|| {
                call::env_map(id, control, PROGRAM_START, mapped_to(PROGRAM_START), pages)?;
                call::env_map(id, control, STACK, stack << PAGE_SHIFT | entry_lo::DIRTY, 1)?;
                call::env_map(id, control, BOARD, board << PAGE_SHIFT | entry_lo::DIRTY, 1)?;
                call::env_setup(id, control, &*header, random_entry as *const () as u32)?;
                let free = (8..public::slices_of(me).count() as u32 + 63).find(|&at| public::slice(at % 64).owner == 0);
                let position = free.ok_or(Error::Full)? % 64;
                call::slice_allocate(position)?;
                call::slice_give(position, id)
            })();
            if let Err(error) = furnished {
                call::env_destroy(id, control)?;
                return Err(error);
            }
            Ok(Child { id, control, stack, steps: 0, idle: 0 })
        }
    })();
    if made.is_err() {
        // SAFETY: nobody uses it.
        unsafe { call::frame_free(stack)? };
    }
    made
}

/// Destroys whom the board has capabilities for, so that there is room again.
fn make_room() {
    for place in 0..64 {
        // SAFETY: the board is mapped; what stands there is only shown.
        let [id, tag0, tag1] = unsafe { (*board()).shown[place] };
        let _ = call::env_destroy(EnvId(id), Capability([tag0, tag1]));
    }
}

fn main() {
    let all = number::ALL.iter().all(|&(_, number)| STEPS.iter().any(|step| step.0 == number));
    assert!(all, "a call is missing in the table");
    let argument = |name, default| program::number(name).unwrap_or(default);
    let (seed, calls) = (argument("seed", 1), argument("calls", 20_000));
    let page = memory::allocate().unwrap();
    let me = call::self_id();
    let mut memory = [0_u32; 256];
    memory.iter_mut().enumerate().for_each(|(n, word)| *word = n as u32 ^ seed);
    // SAFETY: nothing else is at that address.
    unsafe {
        call::env_map(me, call::NO_CAPABILITY, BOARD, page << PAGE_SHIFT | entry_lo::DIRTY, 1).unwrap();
        let board = &mut *board();
        (board.seed, board.from) = (seed, argument("from", 0));
        board.without = [argument("without", 0), argument("without2", 0)];
        board.frame = public::frames() - FRAMES;
    }
    let position = public::position();
    let mut children = [None::<Child>; CHILDREN];
    let (mut begun, mut died, mut stuck) = (0, 0, 0);
    loop {
        // SAFETY: the board is mapped. Volatile, because others write to it.
        let steps = unsafe { (&raw const (*board()).steps).read_volatile() };
        if steps.iter().fold(0, |sum: u32, &steps| sum.saturating_add(steps)) >= calls {
            break;
        }
        for (slot, child) in (0..).zip(&mut children) {
            if let Some(Child { id, control, stack, steps: before, idle }) = child {
                let now = steps[slot as usize];
                *idle = if now == *before { *idle + 1 } else { 0 };
                *before = now;
                let lives = call::wake(*id).is_ok();
                if lives && *idle < PATIENCE {
                    continue;
                }
                died += 1;
                stuck += u32::from(lives);
                let _ = call::env_destroy(*id, *control);
                // SAFETY: only the child used it.
                unsafe { call::frame_free(*stack).expect("the stack is this program's") };
                *child = None;
            }
            match spawn(slot, page) {
                Ok(new) => {
                    begun += 1;
                    *child = Some(new);
                    // SAFETY: as above.
                    unsafe {
                        let next = &raw mut (*board()).next;
                        let place = (*next)[0];
                        (*next)[0] = place.wrapping_add(1);
                        let ids = (&raw mut (*board()).ids).cast::<u32>();
                        ids.add((place & 63) as usize).write(new.id.0);
                    }
                }
                Err(_) => make_room(),
            }
        }
        // The witness: its slice, its memory.
        let slice = public::slice(position);
        assert_eq!((slice.owner, slice.runner), (me.0, me.0), "the slice is lost");
        assert!(memory.iter().enumerate().all(|(n, &word)| core::hint::black_box(word) == n as u32 ^ seed));
        let before = call::clock();
        call::yield_slice();
        // Whoever keeps its slice is made to pay.
        assert!(call::clock() - before < 64 * 16, "no slice for {} ticks", call::clock() - before);
    }
    for child in children.iter().flatten() {
        let _ = call::env_destroy(child.id, child.control);
    }
    make_room();
    // SAFETY: as above.
    let steps: u32 = unsafe { (*board()).steps.iter().sum() };
    println!(
        "hostile_random: seed {seed}, {steps} steps, {begun} begun, {died} died, {stuck} of them stuck; nothing was lost"
    );
    // The verdict is the same whether or not the kernel had to end a child.
    call::exit(1)
}
