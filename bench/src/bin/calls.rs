//! What each call and each primitive operation costs, but for the transfers, which are in Table 6.
//!
//! Counted is one execution, from `syscall`, itself counted, to the instruction behind it; for a call that ends the
//! slice, to the first instruction of the slice that follows. Where the cost depends on what the call finds, the usual
//! case is measured, and some others under names of their own. Timed are the operations that go to the TLB.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::{LOOPS, loop_of};
use asm_lines::naked_asm;
use exos_rt::abi::call as number;
use exos_rt::abi::exception::Code;
use exos_rt::abi::frame::{Capability, WRITE};
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::revocation::{DEADLINE_MIN, ENTRIES, FRAMES, SLICES};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public, revocation, save_page, sequences};

exos_rt::program!(main);

/// How often each call is measured alone.
const TIMES: u32 = 9;
/// Rounds of a loop around an operation on one page, and on many.
const ROUNDS: u32 = 200;
const ROUNDS_OF_MANY: u32 = 10;
/// How many pages are many.
const MANY: u32 = 100;
/// After writing them so many times each entry of the TLB has been written, as good as certainly.
const FILLING: u32 = 4;

/// Pages that are mapped here. None has its place in the software TLB where the program has one of its own.
const PAGE: u32 = NORMAL_START + (2048 << PAGE_SHIFT);
const OTHER: u32 = PAGE + PAGE_BYTES;
const ELSEWHERE: u32 = PAGE - PAGE_BYTES;
/// Where a guaranteed mapping is made.
const PINNED: u32 = NORMAL_START - 16 * PAGE_BYTES;

/// Where a program's registers are while it gives its slice up: in a part of the save page that is the program's own.
const SAVED: u32 = sequences::FREE;

/// Defines functions that make a call once between its marks, which come back as any call does; and the list of what is
/// measured so: the mark, the operation's name, and the case.
macro_rules! returning {
    ($($id:literal $function:ident $number:ident $op:literal $how:literal;)*) => {
        $(
            #[unsafe(naked)]
            unsafe extern "C" fn $function(a0: u32, a1: u32, a2: u32, a3: u32) -> i32 {
                naked_asm!(
                    ".set noreorder",
                    "addiu $v0, $zero, {number}",
                    ".word {begin}",
                    "syscall",
                    ".word {end}",
                    "jr    $ra",
                    " nop",
                    number = const number::$number,
                    begin = const WORD | $id,
                    end = const WORD | END | $id,
                )
            }
        )*

        const RETURNING: &[(u32, &str, &str)] = &[$(($id, $op, $how)),*];
    };
}

returning! {
    1 self_id SELF "self" "the caller's id";
    2 null NULL "null" "nothing is done";
    3 clock CLOCK "clock" "the tick";
    4 console_pending CONSOLE_PENDING "console_pending" "the bytes that wait";
    5 console_write CONSOLE_WRITE "console_write" "32 bytes, nothing else waiting to be sent";
    6 set_handler SET_HANDLER "set_handler" "for overflow";
    7 wake WAKE "wake" "the caller itself";
    8 slice_allocate SLICE_ALLOCATE "slice_allocate" "nobody's slice";
    9 slice_give SLICE_GIVE "slice_give" "its own slice, to itself";
    10 slice_reclaim SLICE_RECLAIM "slice_reclaim" "its own slice, which is not lent";
    11 slice_free SLICE_FREE "slice_free" "its own slice";
    12 frame_allocate FRAME_ALLOCATE "frame_allocate" "nobody's frame, which was used: emptied, and out of the instruction cache";
    13 capability CAPABILITY "capability" "for a frame of its own, to write";
    14 frame_renew FRAME_RENEW "frame_renew" "a frame that is mapped once, while the TLB is full";
    15 frame_give FRAME_GIVE "frame_give" "likewise";
    16 frame_free FRAME_FREE "frame_free" "likewise";
    17 frame_free_step FRAME_FREE "frame_free_step" "one that is mapped twice: the second of five calls";
    18 icache_flush ICACHE_FLUSH "icache_flush" "a page";
    19 env_create_half ENV_CREATE "env_create_half" "of frames that were used, the first of two calls: empties one";
    20 env_create ENV_CREATE "env_create" "the second: empties the other and makes the environment";
    21 env_setup ENV_SETUP "env_setup" "of another, with a capability";
    22 env_destroy ENV_DESTROY "env_destroy" "likewise";
    23 env_map ENV_MAP "env_map" "its own, one page";
    24 env_unmap ENV_UNMAP "env_unmap" "likewise, while the TLB is full";
    25 tlb_write TLB_WRITE "tlb_write" "own frame, on the page that it was on, in neither TLB";
    26 tlb_write_again TLB_WRITE "tlb_write_again" "the same, and the TLB holds it";
    27 tlb_write_moved TLB_WRITE "tlb_write_moved" "own frame, on another page";
    28 tlb_write_shown TLB_WRITE "tlb_write_shown" "another's frame, with a capability shown before";
    29 tlb_write_new TLB_WRITE "tlb_write_new" "likewise, shown for the first time";
    30 tlb_write_public TLB_WRITE "tlb_write_public" "a public frame";
    31 tlb_delete TLB_DELETE "tlb_delete" "a page in both TLBs";
    32 tlb_delete_absent TLB_DELETE "tlb_delete_absent" "a page in neither";
    33 tlb_probe TLB_PROBE "tlb_probe" "a page in the software TLB";
    34 tlb_protect TLB_PROTECT "tlb_protect" "a page in both TLBs";
    35 tlb_protect_100 TLB_PROTECT "tlb_protect_100" "100 pages in the software TLB, of which the TLB is full";
    36 context_switch CONTEXT_SWITCH "context_switch" "to a context that was used before";
    37 fpu_mode FPU_MODE "fpu_mode" "on, its registers the caller's; refused where there is no unit";
    41 frame_allocate_blank FRAME_ALLOCATE "frame_allocate_blank" "nobody's frame, which nobody has used since it was emptied";
    42 env_create_blank ENV_CREATE "env_create_blank" "of frames that were not used";
    43 console_read CONSOLE_READ "console_read" "nothing was typed";
    44 console_give CONSOLE_GIVE "console_give" "to itself";
    45 revoke REVOKE "revoke" "a demand on itself";
    46 frame_repossess FRAME_REPOSSESS "frame_repossess" "a frame of its own that is mapped once, while the TLB is full; its contents are saved";
    47 frame_repossess_lost FRAME_REPOSSESS "frame_repossess_lost" "likewise, and are not";
    48 slice_repossess SLICE_REPOSSESS "slice_repossess" "a slice of its own";
}

/// One of them.
type Call = unsafe extern "C" fn(u32, u32, u32, u32) -> i32;

/// Defines a function that saves the registers that a function preserves and makes a call that ends the slice, its
/// argument in `$a0` and `$v1`, behind the word `$begin`; and where the environment is entered at its next slice, the
/// end of the operation `$id`.
macro_rules! ending {
    ($function:ident, $entry:ident, $id:expr, $number:ident, $begin:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $function(argument: u32) {
            naked_asm!(
                ".set noreorder",
                ".irp n, 16,17,18,19,20,21,22,23,28,29,30,31",
                "sw    $\\n, {saved} + 4*\\n - 64($zero)",
                ".endr",
                "move  $v1, $a0",
                "addiu $v0, $zero, {number}",
                ".word {begin}",
                "syscall",
                "jr    $ra",                    // refused
                " nop",
                saved = const SAVED,
                number = const number::$number,
                begin = const $begin,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $entry() {
            naked_asm!(
                ".set noreorder",
                ".word {end}",
                ".irp n, 31,16,17,18,19,20,21,22,23,28,29,30",
                "lw    $\\n, {saved} + 4*\\n - 64($zero)",
                ".endr",
                "jr    $ra",
                " nop",
                saved = const SAVED,
                end = const WORD | END | $id,
            )
        }
    };
}

const YIELD: u32 = 38;
const WAIT: u32 = 39;
const EXIT: u32 = 40;
/// No mark: an instruction that does nothing.
const NOTHING: u32 = 0;

ending!(yield_begin, yield_end, YIELD, YIELD, WORD | YIELD);
ending!(wait_begin, wait_end, WAIT, WAIT, WORD | WAIT);
// Here it is another that ends, after the slice has been yielded to it.
ending!(let_exit, exit_end, EXIT, YIELD_TO, NOTHING);

#[unsafe(naked)]
unsafe extern "C" fn exit_begin(status: u32) -> ! {
    naked_asm!(
        ".set noreorder",
        "addiu $v0, $zero, {number}",
        ".word {begin}",
        "syscall",
        number = const number::EXIT,
        begin = const WORD | EXIT,
    )
}

/// Defines a function that executes primitive operations, which change none of their arguments, in a loop.
macro_rules! looped {
    ($function:ident, $id:expr, $rounds:expr, [$($number:ident),*]) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $function(a0: u32, a1: u32, a2: u32, a3: u32) {
            naked_asm!(
                ".set noreorder",
                "addiu $t0, $zero, {rounds}",
                ".word {begin}",
                "1:",
                $(concat!("addiu $v0, $zero, {", stringify!($number), "}"), "syscall",)*
                "addiu $t0, $t0, -1",
                "bne   $t0, $zero, 1b",
                " nop",
                ".word {end}",
                "jr    $ra",
                " nop",
                rounds = const $rounds,
                begin = const WORD | loop_of($id),
                end = const WORD | END | loop_of($id),
                $($number = const number::$number,)*
            )
        }
    };
}

const WRITE_AGAIN: u32 = 26;
const DELETE: u32 = 31;
const PROTECT: u32 = 34;
const PROTECT_MANY: u32 = 35;

looped!(writes, WRITE_AGAIN, ROUNDS, [TLB_WRITE]);
looped!(deletes, DELETE, ROUNDS, [TLB_WRITE, TLB_DELETE]);
looped!(protects, PROTECT, ROUNDS, [TLB_PROTECT]);
looped!(protects_many, PROTECT_MANY, ROUNDS_OF_MANY, [TLB_PROTECT]);

/// What the other environment shows: a frame of its own, a capability for it, and how often it has made a new one.
static FRAME: Shared<u32> = Shared::new(0);
static TAG: Shared<[u32; 2]> = Shared::new([0; 2]);
static MADE: Shared<u32> = Shared::new(0);

/// The other environment: each time that it gets the rest of a slice it makes a new capability, and voids the former.
extern "C" fn owner(_: u32) -> ! {
    let frame = memory::allocate().expect("there is a free frame");
    FRAME.set(frame);
    loop {
        call::frame_renew(frame).expect("the frame is its own");
        let Capability(tag) = call::capability(frame, WRITE).expect("the frame is its own");
        TAG.set(tag);
        MADE.add(1);
        call::yield_slice();
    }
}

/// Lets the owner make a new capability.
fn next_capability(owner: EnvId) -> [u32; 2] {
    let before = MADE.get();
    while MADE.get() == before {
        call::yield_to(owner).expect("it lives");
    }
    TAG.get()
}

/// An environment that ends at once.
extern "C" fn ends(_: u32) -> ! {
    // SAFETY: it has nothing left to do.
    unsafe { exit_begin(0) }
}

/// What a measured call returned; it is to succeed.
fn done(result: i32) -> u32 {
    call::check(result).expect("the call does what it is measured at")
}

/// The word that maps a frame for reading and writing.
const fn writable(frame: u32) -> u32 {
    frame << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY
}

/// Maps a frame of this environment's where nothing is that is accessed.
fn map(address: u32, frame: u32) {
    // SAFETY: the page is not accessed.
    unsafe { call::tlb_write(address, writable(frame), call::NO_CAPABILITY) }.expect("the frame is its own");
}

/// Fills the TLB with pages from `PAGE` on: where a call walks through all of it, entries that are in use take longer
/// than others. An R3000 takes the entry that its cycle count says, so the time between any two is left to chance.
fn fill_tlb(frame: u32) {
    static CHANCE: Shared<u32> = Shared::new(1);
    let mut chance = CHANCE.get();
    for page in (0..FILLING).flat_map(|_| 0..MANY) {
        map(PAGE + page * PAGE_BYTES, frame);
        // Marsaglia's generator, which takes no multiplication.
        chance ^= chance << 13;
        chance ^= chance >> 17;
        chance ^= chance << 5;
        for n in 0..chance & 15 {
            core::hint::black_box(n);
        }
    }
    CHANCE.set(chance);
}

/// Does something `times` times while this environment's slices begin at `entry`. All must be done in the slice in
/// which it is begun, since it is not saved; so it is begun when the clock has just ticked.
fn entered_at(entry: unsafe extern "C" fn(), times: u32, mut work: impl FnMut()) {
    let me = call::self_id();
    let usual = sequences::header();
    let entry = entry as *const () as u32;
    let mut header = *usual;
    header.start_of_slice = entry;
    header.resume.start = entry;
    header.resume.end = entry + 4;
    let ticks = public::ticks();
    while public::ticks() == ticks {}
    // SAFETY: the entry is code for this purpose, and the usual one is what there was.
    unsafe {
        call::env_setup(me, call::NO_CAPABILITY, &header, entry).expect("its own entries");
        (0..times).for_each(|_| work());
        call::env_setup(me, call::NO_CAPABILITY, usual, usual.start_of_slice).expect("its own entries");
    }
}

fn describe() {
    let ending = [
        (YIELD, "yield", "nobody else owns a slice; to the start of the next"),
        (WAIT, "wait", "woken before; to the start of the next slice"),
        (EXIT, "exit", "of an environment without slices; to the start of another's"),
    ];
    for (id, op, how) in RETURNING.iter().copied().chain(ending) {
        println!("mark {id} table=calls op={op} system=aegis how={how}");
    }
    for (id, rounds, how) in [
        (WRITE_AGAIN, ROUNDS, "the number loaded, the operation, and the loop's three"),
        (DELETE, ROUNDS, "the same, and the page mapped before"),
        (PROTECT, ROUNDS, "as for tlb_write_again; the TLB does not hold the page any more"),
        (PROTECT_MANY, ROUNDS_OF_MANY, "likewise, the pages"),
    ] {
        println!("loop {} of={id} rounds={rounds} how={how}", loop_of(id));
    }
    // The counts are to be of the calls and not of an interrupt that sends what was printed.
    exos_rt::console::flush();
}

fn main() {
    describe();
    let (other, control) = spawn(owner, 0, None).expect("there is memory for another environment");
    processor();
    environments();
    frames(other);
    translation(other);
    call::env_destroy(other, control).expect("it is this one's");
    console();
    taken();
}

/// What is taken from this environment itself, when the time for that has come.
fn taken() {
    let me = call::self_id().0;
    let authority = revocation::authority().expect("it is the first program");
    let [filling, backing] = [(); 2].map(|()| memory::allocate().expect("there is a free frame"));
    for _ in 0..TIMES {
        save_page::present(authority);
        // SAFETY: what is taken is not used.
        done(unsafe { revoke(me, FRAMES, 2 * TIMES, DEADLINE_MIN) });
    }
    let frames = [[0; 2]; TIMES as usize].map(|pair| pair.map(|_| memory::allocate().expect("there is a free frame")));
    let free = || (0..64).filter(|&position| public::slice(position).owner == 0);
    free().take(TIMES as usize).for_each(|position| call::slice_allocate(position).expect("it is free"));
    call::revoke(EnvId(me), authority, SLICES, TIMES, DEADLINE_MIN).expect("there are as many");
    let end = public::ticks() + DEADLINE_MIN;
    while public::ticks() < end {
        call::wait(Some(end));
    }
    for [saved, lost] in frames {
        assert!(revocation::back(saved, backing, call::NO_CAPABILITY), "the vector has room");
        for (frame, take) in [(saved, frame_repossess as Call), (lost, frame_repossess_lost as Call)] {
            fill_tlb(filling);
            map(ELSEWHERE, frame);
            save_page::present(authority);
            // SAFETY: as above.
            done(unsafe { take(frame, 0, 0, 0) });
        }
        (0..ENTRIES).for_each(revocation::clear);
    }
    for _ in 0..TIMES {
        let position = public::slices_of(EnvId(me)).last().expect("it has slices");
        save_page::present(authority);
        // SAFETY: as above.
        done(unsafe { slice_repossess(position, 0, 0, 0) });
        (0..ENTRIES).for_each(revocation::clear);
    }
}

fn processor() {
    let me = call::self_id().0;
    let free = |&position: &u32| public::slice(position).owner == 0;
    let position = (0..64).find(free).expect("nobody else runs");
    let handler = sequences::header().handlers[Code::Overflow as usize];
    for _ in 0..TIMES {
        // SAFETY: handler, slices and wake-ups are as before afterwards.
        unsafe {
            done(self_id(0, 0, 0, 0));
            done(null(0, 0, 0, 0));
            done(clock(0, 0, 0, 0));
            done(set_handler(Code::Overflow as u32, handler, 0, 0));
            done(wake(me, 0, 0, 0));
            done(slice_allocate(position, 0, 0, 0));
            done(slice_give(position, me, 0, 0));
            done(slice_reclaim(position, 0, 0, 0));
            done(slice_free(position, 0, 0, 0));
            done(icache_flush(0, PAGE_BYTES, 0, 0));
            done(context_switch(0, 1, 0, 0));
            done(context_switch(0, 0, 0, 0));
            // Where there is no unit it is refused, which does no harm.
            let _ = call::fpu_mode(false);
            let _ = fpu_mode(0, 1, 0, 0);
            let _ = call::fpu_mode(false);
        }
    }
    // SAFETY: registers are saved, and loaded again by the entry.
    entered_at(yield_end, TIMES, || unsafe { yield_begin(0) });
    entered_at(wait_end, TIMES, || {
        call::wake(EnvId(me)).expect("it lives");
        // SAFETY: as above.
        unsafe { wait_begin(u32::MAX) }
    });
}

fn environments() {
    let me = call::self_id().0;
    let header = sequences::header();
    let [mine, filling] = [(); 2].map(|()| memory::allocate().expect("there is a free frame"));
    for _ in 0..TIMES {
        let home = memory::allocate_pair().expect("there are two free frames");
        // SAFETY: the environments never run; the header is a program's. At the pinned page there is nothing else.
        unsafe {
            let id = done(env_create_blank(home, 0, 0, 0));
            done(call::raw(id, 0, 0, 0, number::ENV_DESTROY));
            for frame in [home, home + 1] {
                call::frame_allocate(frame).expect("its owner is dead");
                fill_tlb(filling);
                map(ELSEWHERE, frame);
                (ELSEWHERE as *mut u32).write_volatile(1);
            }
            assert_eq!(Error::from_result(env_create_half(home, 0, 0, 0)), Some(Error::Again));
            let id = done(env_create(home, 0, 0, 0));
            // The capability that the call made is still in the save page.
            done(env_setup(id, &raw const *header as u32, header.start_of_slice, 0));
            done(env_destroy(id, 0, 0, 0));
            done(env_map(me, PINNED, writable(mine), 1));
            fill_tlb(filling);
            (PINNED as *mut u32).write_volatile(1);
            done(env_unmap(me, PINNED, 0, 0));
        }
        let (child, _) = spawn(ends, 0, None).expect("there is memory for a child");
        // SAFETY: registers are saved, and loaded again by the entry.
        entered_at(exit_end, 1, || unsafe { let_exit(child.0) });
    }
    for frame in [mine, filling] {
        // SAFETY: what is mapped to it is not accessed.
        unsafe { call::frame_free(frame) }.expect("the frame is its own");
    }
}

fn frames(other: EnvId) {
    let filling = memory::allocate().expect("there is a free frame");
    // Mapped once, where the pages that fill the TLB are not.
    let map_once = |frame| {
        fill_tlb(filling);
        map(ELSEWHERE, frame);
    };
    for _ in 0..TIMES {
        let frame = memory::allocate().expect("there is a free frame");
        // SAFETY: what is mapped to the frame is not accessed.
        unsafe {
            call::frame_free(frame).expect("the frame is its own");
            done(frame_allocate_blank(frame, 0, 0, 0));
            map_once(frame);
            call::frame_free(frame).expect("the frame is its own");
            done(frame_allocate(frame, 0, 0, 0));
            done(capability(frame, WRITE, 0, 0));
            map_once(frame);
            done(frame_renew(frame, 0, 0, 0));
            map_once(frame);
            done(frame_free(frame, 0, 0, 0));
            call::frame_allocate(frame).expect("nobody owns it");
            map_once(frame);
            map(OTHER, frame);
            // The first step and the last differ from those between.
            call::raw(frame, 0, 0, 0, number::FRAME_FREE);
            frame_free_step(frame, 0, 0, 0);
            call::frame_free(frame).expect("the frame is its own");
            call::frame_allocate(frame).expect("nobody owns it");
            map_once(frame);
            done(frame_give(frame, other.0, 0, 0));
        }
    }
    // SAFETY: what is mapped to it is not accessed.
    unsafe { call::frame_free(filling) }.expect("the frame is its own");
}

fn translation(owner: EnvId) {
    let frame = memory::allocate().expect("there is a free frame");
    let word = writable(frame);
    map(PAGE, frame);
    // SAFETY: here and below: the pages are not accessed.
    unsafe {
        for _ in 0..TIMES {
            done(tlb_delete(0, PAGE, 0, 0));
            done(tlb_delete_absent(0, PAGE, 0, 0));
            done(tlb_write(0, PAGE, word, 0));
            done(tlb_write_again(0, PAGE, word, 0));
            done(tlb_probe(0, PAGE, 0, 0));
            done(tlb_protect(entry_lo::VALID, PAGE, 1, 0));
            map(PAGE, frame);
        }
        for _ in 0..LOOPS {
            writes(0, PAGE, word, 0);
            deletes(0, PAGE, word, 0);
            map(PAGE, frame);
            protects(entry_lo::VALID, PAGE, 1, 0);
        }
        for time in 0..TIMES {
            let page = if time % 2 == 0 { OTHER } else { PAGE };
            call::tlb_delete(page);
            done(tlb_write_moved(0, page, word, 0));
        }
        for _ in 0..TIMES {
            fill_tlb(frame);
            done(tlb_protect_100(entry_lo::VALID, PAGE, MANY, 0));
        }
        for _ in 0..LOOPS {
            protects_many(entry_lo::VALID, PAGE, MANY, 0);
        }
        call::frame_free(frame).expect("the frame is its own");
        for _ in 0..TIMES {
            let [tag0, tag1] = next_capability(owner);
            let word = writable(FRAME.get());
            done(tlb_write_new(tag0, PAGE, word, tag1));
            call::tlb_delete(PAGE);
            done(tlb_write_shown(tag0, PAGE, word, tag1));
            call::tlb_delete(PAGE);
            done(tlb_write_public(0, PAGE, public::directory() | entry_lo::VALID, 0));
            call::tlb_delete(PAGE);
        }
    }
}

fn console() {
    const LINE: &[u8; 32] = b"calls: this is a line, 32 bytes\n";
    for _ in 0..TIMES {
        // SAFETY: the line is in the program's data, which a guaranteed mapping maps.
        unsafe {
            done(console_write(LINE.as_ptr() as u32, LINE.len() as u32, 0, 0));
            done(console_pending(0, 0, 0, 0));
            assert_eq!(Error::from_result(console_read(0, 0, 0, 0)), Some(Error::Busy));
            done(console_give(call::self_id().0, 0, 0, 0));
        }
        exos_rt::console::flush();
    }
}
