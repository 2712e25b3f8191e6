//! What it costs that handlers can do no harm: remote writes and a remote increment as in the ASH paper, as their owner
//! wrote them and as the kernel rewrites them; and what checking and rewriting costs (the paper's section 6.3).
//!
//! Here the handlers run in user space, with calls like the kernel's: `COPY` checks what it is given and copies by a loop
//! that pipes were compiled into; `SEND` copies the message to where it would be sent from. *Unsafe* is the same handler,
//! with its calls linked, and nothing else changed. Counted is from the handler's first instruction to its return's slot.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_ash::{Composition, Handler, Kernel, LOOP_WORDS_MAX, Place, Stub, compose, masks, rewrite, words_max};
use aegis_bench::{ALONE, LOOPS, ROUNDS, loop_of};
use aegis_codegen::{Register as R, encode::*};
use asm_lines::naked_asm;
use core::cell::UnsafeCell;
use exos_rt::abi::ash::{CALLS, CONSUMED, COPY, GUARD, PipeState, SEND, WORDS_MAX};
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use exos_rt::{call, mark_begin, mark_end, println};

exos_rt::program!(main);

const REGION_BYTES: u32 = 4096;
const BUDGET: u32 = 10_000;
/// A UDP packet with its headers, the data of which begins here.
const DATA: i16 = 42;

#[repr(C, align(4096))]
struct Space {
    region: UnsafeCell<[u32; (REGION_BYTES + GUARD) as usize / 4]>,
    code: UnsafeCell<[u32; words_max(WORDS_MAX)]>,
    copy: UnsafeCell<[u32; LOOP_WORDS_MAX]>,
    words: UnsafeCell<[u32; WORDS_MAX]>,
    sent: UnsafeCell<[u32; 512]>,
    message: UnsafeCell<[u32; 64]>,
    state: UnsafeCell<PipeState>,
    places: UnsafeCell<[Place; WORDS_MAX]>,
}

// SAFETY: there is one thread, and no handler uses it.
unsafe impl Sync for Space {}

static SPACE: Space = Space {
    region: UnsafeCell::new([0; (REGION_BYTES + GUARD) as usize / 4]),
    code: UnsafeCell::new([0; words_max(WORDS_MAX)]),
    copy: UnsafeCell::new([0; LOOP_WORDS_MAX]),
    words: UnsafeCell::new([0; WORDS_MAX]),
    sent: UnsafeCell::new([0; 512]),
    message: UnsafeCell::new([0; 64]),
    state: UnsafeCell::new(PipeState { sum: 0, own: 0 }),
    // SAFETY: zeros are good places.
    places: UnsafeCell::new(unsafe { core::mem::zeroed() }),
};

// --- The handlers. ---------------------------------------------------------------------------------------------------

/// Where in the region the reply is built, behind the two bytes that align it.
const REPLY: i16 = 1024;
/// Where there is a table of segments: address and size of each.
const SEGMENTS: i16 = 512;
const SEGMENT_COUNT: i16 = 8;
/// Where messages are written to, and the counter that is incremented.
const TARGET: u32 = 2048;
const COUNTER: u32 = 256;

const MESSAGE: R = R::S5;
const REGION: R = R::GP;

/// Writes to a segment: its number, an offset, and the number of bytes come before the data. All is checked, as the receiver
/// trusts nobody.
fn write_checked() -> [u32; 24] {
    let (segment, offset, size, limit, scratch) = (R::T0, R::T1, R::A2, R::T4, R::T5);
    let table = SPACE.region.get() as u32 + SEGMENTS as u32;
    [
        lw(segment, DATA, MESSAGE),
        lw(offset, DATA + 4, MESSAGE),
        sltiu(scratch, segment, SEGMENT_COUNT),
        beq(scratch, R::ZERO, 18),
        sll(segment, segment, 3),
        lui(scratch, (table >> 16) as u16),
        ori(scratch, scratch, table as u16),
        addu(segment, segment, scratch),
        lw(R::A0, 0, segment),
        lw(limit, 4, segment),
        lw(size, DATA + 8, MESSAGE),
        sltu(scratch, limit, offset),
        bne(scratch, R::ZERO, 9),
        subu(limit, limit, offset),
        sltu(scratch, limit, size),
        bne(scratch, R::ZERO, 6),
        addu(R::A0, R::A0, offset),
        li(R::A3, 0),
        jal(4 * COPY),
        li(R::A1, DATA + 12),
        jr(R::RA),
        li(R::V0, CONSUMED as i16),
        jr(R::RA),
        li(R::V0, 0),
    ]
}

/// Writes to an address that the message says, and as much: of a sender who is trusted.
fn write_trusted() -> [u32; 7] {
    [
        lw(R::A0, DATA, MESSAGE),
        lw(R::A2, DATA + 4, MESSAGE),
        li(R::A3, 0),
        jal(4 * COPY),
        li(R::A1, DATA + 8),
        jr(R::RA),
        li(R::V0, CONSUMED as i16),
    ]
}

/// The same of always 40 bytes, word by word, without a call.
fn write_inline() -> [u32; 23] {
    let words = [R::T1, R::T2, R::T3, R::T4, R::T5];
    let mut code = [nop(); 23];
    code[0] = lw(R::T0, DATA, MESSAGE);
    for n in 0..10 {
        let (word, place) = (words[n % 5], n / 5 * 10 + n % 5);
        code[1 + place] = lw(word, DATA + 4 + 4 * n as i16, MESSAGE);
        code[6 + place] = sw(word, 4 * n as i16, R::T0);
    }
    code[21] = jr(R::RA);
    code[22] = li(R::V0, CONSUMED as i16);
    code
}

/// Adds what the message says to a number that it says where to find, and sends it back in a packet that has been prepared.
fn increment() -> [u32; 12] {
    let reply = SPACE.region.get() as u32 + REPLY as u32;
    [
        lw(R::T0, DATA, MESSAGE),
        lw(R::T1, DATA + 4, MESSAGE),
        lw(R::T2, 0, R::T0),
        lui(R::A0, (reply >> 16) as u16),
        addu(R::T2, R::T2, R::T1),
        sw(R::T2, 0, R::T0),
        sw(R::T2, REPLY + 2 + DATA, REGION),
        ori(R::A0, R::A0, reply as u16),
        jal(4 * SEND),
        li(R::A1, 64),
        jr(R::RA),
        li(R::V0, CONSUMED as i16),
    ]
}

// --- Calls. ----------------------------------------------------------------------------------------------------------

/// `COPY`: `$a2` bytes of the message at `$a1` to `$a0`.
#[unsafe(naked)]
unsafe extern "C" fn copy_call() {
    naked_asm!(
        ".set noreorder",
        // The message's length lies where the kernel's would.
        "lw    $t0, 0($sp)",
        "nop",
        "sltu  $t1, $t0, $a1",
        "bne   $t1, $zero, {bad}",
        " subu $t0, $t0, $a1",
        "sltu  $t1, $t0, $a2",
        "bne   $t1, $zero, {bad}",
        " subu $t9, $t9, $a2",
        "bltz  $t9, {bad}",
        " and  $a0, $a0, $s6",
        "or    $t0, $a0, $gp",
        "addu  $a0, $s5, $a1",
        "or    $t1, $a0, $t0",
        "andi  $t1, $t1, 3",
        // What is not aligned would be copied in another way.
        "bne   $t1, $zero, {bad}",
        " move $a1, $t0",
        "lui   $a3, %hi({space} + {state})",
        "lui   $t0, %hi({space} + {copy})",
        "addiu $t0, $t0, %lo({space} + {copy})",
        "jr    $t0",
        " addiu $a3, $a3, %lo({space} + {state})",
        bad = sym bad_call,
        space = sym SPACE,
        state = const core::mem::offset_of!(Space, state),
        copy = const core::mem::offset_of!(Space, copy),
    )
}

/// `SEND`: `$a1` bytes from `$a0`.
#[unsafe(naked)]
unsafe extern "C" fn send_call() {
    naked_asm!(
        ".set noreorder",
        "sltiu $t1, $a1, 1519",
        "beq   $t1, $zero, {bad}",
        " subu $t9, $t9, $a1",
        "bltz  $t9, {bad}",
        " and  $a0, $a0, $fp",
        "or    $a0, $a0, $gp",
        "move  $a2, $a1",
        "lui   $a1, %hi({space} + {sent})",
        "addiu $a1, $a1, %lo({space} + {sent})",
        "lui   $a3, %hi({space} + {state})",
        "lui   $t0, %hi({space} + {copy})",
        "addiu $t0, $t0, %lo({space} + {copy})",
        "jr    $t0",
        " addiu $a3, $a3, %lo({space} + {state})",
        bad = sym bad_call,
        space = sym SPACE,
        state = const core::mem::offset_of!(Space, state),
        copy = const core::mem::offset_of!(Space, copy),
        sent = const core::mem::offset_of!(Space, sent),
    )
}

/// Every other call, and calls that are bad: the program fails.
#[unsafe(naked)]
unsafe extern "C" fn bad_call() {
    naked_asm!(".set noreorder", "break")
}

/// Makes the instruction cache coherent with code that was made.
fn flush(code: *const u32, words: usize) {
    let (start, end) = (code as u32, code as u32 + 4 * words as u32);
    for page in (start / PAGE_BYTES..end.div_ceil(PAGE_BYTES)).map(|page| page * PAGE_BYTES) {
        // SAFETY: the code is there to be read; now the TLB holds its page.
        unsafe { (page as *const u32).read_volatile() };
        let frame = call::tlb_probe(page).expect("the page was just read") >> PAGE_SHIFT;
        call::icache_flush(frame << PAGE_SHIFT, PAGE_BYTES).expect("the page is memory");
    }
}

/// The return: to where the handler was entered from, which lies on the stack.
#[unsafe(naked)]
unsafe extern "C" fn done() {
    naked_asm!(".set noreorder", "lw    $t0, 4($sp)", "nop", "jr    $t0", " nop")
}

fn kernel() -> Kernel {
    let bad = bad_call as *const () as u32;
    let mut calls = [Stub { address: bad, cost: 50, evicts: 0 }; CALLS];
    calls[COPY as usize].address = copy_call as *const () as u32;
    calls[SEND as usize].address = send_call as *const () as u32;
    Kernel { calls, done: done as *const () as u32, overrun: bad, divide: bad, load: 0, store: 0 }
}

/// Links a handler's calls and returns, and leaves it as it is otherwise: where it begins.
fn link(handler: &[u32]) -> u32 {
    // SAFETY: nobody else uses it now.
    let code = unsafe { &mut *SPACE.code.get() };
    let kernel = kernel();
    for (place, &word) in code.iter_mut().zip(handler) {
        *place = match word >> 26 {
            3 => jal(kernel.calls[(word & 0xff) as usize].address),
            _ if word == jr(R::RA) => j(kernel.done),
            _ => word,
        };
    }
    flush(code.as_ptr(), handler.len());
    code.as_ptr() as u32
}

/// Checks and rewrites a handler: where it begins.
fn make_safe(handler: &[u32]) -> u32 {
    // SAFETY: nobody else uses them now.
    let (code, places) = unsafe { (&mut *SPACE.code.get(), &mut *SPACE.places.get()) };
    let handler = Handler { words: handler, region_bytes: REGION_BYTES };
    let at = code.as_ptr() as u32;
    let made = rewrite(&handler, &kernel(), at, code, places).expect("it is a good handler");
    flush(code.as_ptr(), made.words);
    made.entry
}

/// What a handler is entered with.
#[repr(C)]
struct Context {
    code: u32,
    length: u32,
    message: u32,
    region: u32,
    masks: [u32; 3],
    budget: u32,
}

type Run = unsafe extern "C" fn(&Context) -> u32;

/// Defines functions that run a handler once between the marks of an operation, and in a loop; and a list of them.
macro_rules! runs {
    ($($id:literal $alone:ident $looped:ident;)*) => {
        const RUNS: &[(u32, Run, Run)] = &[$(($id, $alone, $looped)),*];
        $(
            #[unsafe(naked)]
            unsafe extern "C" fn $alone(context: &Context) -> u32 {
                naked_asm!(
                    ".set noreorder",
                    "addiu $sp, $sp, -64",
                    "sw    $s0, 8($sp)",
                    "sw    $s1, 12($sp)",
                    "sw    $s2, 16($sp)",
                    "sw    $s3, 20($sp)",
                    "sw    $s4, 24($sp)",
                    "sw    $s5, 28($sp)",
                    "sw    $s6, 32($sp)",
                    "sw    $s7, 36($sp)",
                    "sw    $gp, 40($sp)",
                    "sw    $fp, 44($sp)",
                    "sw    $ra, 56($sp)",
                    "lw    $s5, 8($a0)",
                    "lw    $gp, 12($a0)",
                    "lw    $s6, 16($a0)",
                    "lw    $s7, 20($a0)",
                    "lw    $fp, 24($a0)",
                    "lw    $t9, 28($a0)",
                    "lw    $t8, 0($a0)",
                    "lw    $a0, 4($a0)",
                    "bal   1f",
                    " nop",
                    // The handler returns to here.
                    ".word {end}",
                    "lw    $s0, 8($sp)",
                    "lw    $s1, 12($sp)",
                    "lw    $s2, 16($sp)",
                    "lw    $s3, 20($sp)",
                    "lw    $s4, 24($sp)",
                    "lw    $s5, 28($sp)",
                    "lw    $s6, 32($sp)",
                    "lw    $s7, 36($sp)",
                    "lw    $gp, 40($sp)",
                    "lw    $fp, 44($sp)",
                    "lw    $ra, 56($sp)",
                    "nop",
                    "jr    $ra",
                    " addiu $sp, $sp, 64",
                    "1:",
                    "sw    $a0, 0($sp)",
                    "sw    $ra, 4($sp)",
                    "jr    $t8",
                    " .word {begin}",
                    begin = const WORD | $id,
                    end = const WORD | END | $id,
                )
            }

            #[unsafe(naked)]
            unsafe extern "C" fn $looped(context: &Context) -> u32 {
                naked_asm!(
                    ".set noreorder",
                    "addiu $sp, $sp, -64",
                    "sw    $s0, 8($sp)",
                    "sw    $s1, 12($sp)",
                    "sw    $s2, 16($sp)",
                    "sw    $s3, 20($sp)",
                    "sw    $s4, 24($sp)",
                    "sw    $s5, 28($sp)",
                    "sw    $s6, 32($sp)",
                    "sw    $s7, 36($sp)",
                    "sw    $gp, 40($sp)",
                    "sw    $fp, 44($sp)",
                    "sw    $a0, 48($sp)",
                    "sw    $ra, 56($sp)",
                    "bal   1f",
                    " addiu $t0, $zero, {rounds}",
                    // The handler returns to here.
                    "lw    $t0, 52($sp)",
                    "lw    $a0, 48($sp)",
                    "addiu $t0, $t0, -1",
                    "bne   $t0, $zero, 2f",
                    " sw   $t0, 52($sp)",
                    ".word {end}",
                    "lw    $s0, 8($sp)",
                    "lw    $s1, 12($sp)",
                    "lw    $s2, 16($sp)",
                    "lw    $s3, 20($sp)",
                    "lw    $s4, 24($sp)",
                    "lw    $s5, 28($sp)",
                    "lw    $s6, 32($sp)",
                    "lw    $s7, 36($sp)",
                    "lw    $gp, 40($sp)",
                    "lw    $fp, 44($sp)",
                    "lw    $ra, 56($sp)",
                    "nop",
                    "jr    $ra",
                    " addiu $sp, $sp, 64",
                    "1:",
                    "sw    $ra, 4($sp)",
                    "sw    $t0, 52($sp)",
                    "lw    $s5, 8($a0)",
                    "lw    $gp, 12($a0)",
                    "lw    $s6, 16($a0)",
                    "lw    $s7, 20($a0)",
                    "lw    $fp, 24($a0)",
                    "lw    $t0, 4($a0)",
                    "nop",
                    "sw    $t0, 0($sp)",
                    ".word {begin}",
                    "2:",
                    "lw    $t8, 0($a0)",
                    "lw    $t9, 28($a0)",
                    "lw    $a0, 4($a0)",
                    "jr    $t8",
                    " nop",
                    begin = const WORD | loop_of($id),
                    end = const WORD | END | loop_of($id),
                    rounds = const ROUNDS,
                )
            }
        )*
    };
}

runs! {
    1 run_1 loop_1;
    2 run_2 loop_2;
    3 run_3 loop_3;
    4 run_4 loop_4;
    5 run_5 loop_5;
    6 run_6 loop_6;
    7 run_7 loop_7;
    8 run_8 loop_8;
    9 run_9 loop_9;
    10 run_10 loop_10;
    11 run_11 loop_11;
    12 run_12 loop_12;
}

// --- What is measured. -----------------------------------------------------------------------------------------------

/// Puts words into the message's data, and numbers behind them.
fn set_message(words: &[u32]) {
    // SAFETY: nobody else uses it now.
    let message = unsafe { &mut *SPACE.message.get() };
    let data = &mut message[(DATA as usize + 2) / 4..];
    for (n, word) in data.iter_mut().enumerate() {
        *word = words.get(n).copied().unwrap_or(0x0101_0101 * n as u32);
    }
}

/// A word of the region.
fn region(at: u32) -> &'static mut u32 {
    // SAFETY: nobody keeps what this gives while it is called again.
    unsafe { &mut (*SPACE.region.get())[at as usize / 4] }
}

/// Where the owner has a place in the region.
fn pointer(at: u32) -> u32 {
    SPACE.region.get() as u32 + at
}

/// A handler and the message that it is measured with.
struct Case<'a> {
    op: &'static str,
    handler: &'a [u32],
    /// The words at the beginning of the message's data.
    data: &'a [u32],
    /// Words that it writes, from [`TARGET`] on: what comes behind `data`.
    written: u32,
    how: &'static str,
}

fn measure(case: &Case, code: u32, &(_, alone, looped): &(u32, Run, Run)) {
    let context = Context {
        code,
        length: 64 + 4 * case.written,
        message: SPACE.message.get() as u32 + 2,
        region: pointer(0),
        masks: masks(REGION_BYTES),
        budget: BUDGET,
    };
    set_message(case.data);
    *region(COUNTER) = 0;
    (0..case.written).for_each(|n| *region(TARGET + 4 * n) = 0);
    for _ in 0..ALONE {
        // SAFETY: the code is a handler's, and its message there.
        assert_eq!(unsafe { alone(&context) }, CONSUMED);
    }
    for _ in 0..LOOPS {
        // SAFETY: as above.
        unsafe { looped(&context) };
    }
    // It has done what it was to.
    if case.written == 0 {
        assert_eq!(*region(COUNTER), ALONE + LOOPS * ROUNDS);
    }
    for n in 0..case.written {
        assert_eq!(*region(TARGET + 4 * n), 0x0101_0101 * (n + case.data.len() as u32), "{} {n}", case.op);
    }
}

/// Defines what checks and rewrites handlers between marks.
macro_rules! rewrites {
    ($($id:literal $op:literal $handler:expr, $how:literal;)*) => {
        fn describe_rewrites() {
            $(
                println!("mark {} table=ash-rewrite op={} system=exos_ash how={}", $id, $op, $how);
                println!("loop {} of={} rounds=1 how=the same", loop_of($id), $id);
            )*
        }

        fn measure_rewrites() {
            // SAFETY: nobody else uses them now.
            let (code, places) = unsafe { (&mut *SPACE.code.get(), &mut *SPACE.places.get()) };
            let kernel = kernel();
            $(
                let words = $handler;
                let handler = Handler { words, region_bytes: REGION_BYTES };
                let at = code.as_ptr() as u32;
                for _ in 0..LOOPS {
                    mark_begin!($id);
                    mark_begin!(loop_of($id));
                    let made = rewrite(&handler, &kernel, at, code, places);
                    mark_end!(loop_of($id));
                    mark_end!($id);
                    assert!(made.is_ok(), "{made:?}");
                }
            )*
        }
    };
}

rewrites! {
    41 "rewrite_write" &write_checked(), "the handler of write_checked_40, 24 words";
    42 "rewrite_increment" &increment(), "the handler of increment, 12 words";
    43 "rewrite_computing" returning(addu(R::T0, R::T1, R::T2)), "255 words, all but the return additions";
    44 "rewrite_stores" returning(swr(R::T0, -1, R::A0)), "255 words, all but the return stores with three more instructions each";
    45 "rewrite_branches" branches(), "255 words, branches back with empty slots, and the return";
}

/// The greatest handler of one instruction.
fn returning(word: u32) -> &'static mut [u32] {
    // SAFETY: nobody keeps what this gives while it is called again.
    let words = unsafe { &mut *SPACE.words.get() };
    words.fill(word);
    words[WORDS_MAX - 2..].copy_from_slice(&[jr(R::RA), nop()]);
    words
}

/// The greatest handler of branches.
fn branches() -> &'static mut [u32] {
    let words = returning(nop());
    words[..WORDS_MAX - 3].iter_mut().step_by(2).for_each(|word| *word = bne(R::T0, R::T1, -1));
    words
}

fn main() {
    // Where the owner has what the handlers write.
    let (target, counter) = (pointer(TARGET), pointer(COUNTER));
    let (checked, trusted, inline, increment) = (write_checked(), write_trusted(), write_inline(), increment());
    let cases = [
        Case {
            op: "write_checked_40",
            handler: &checked,
            data: &[3, 16, 40],
            written: 10,
            how: "40 bytes are written to an offset in a segment, all of it checked, by a transfer",
        },
        Case {
            op: "write_checked_128",
            handler: &checked,
            data: &[3, 16, 128],
            written: 32,
            how: "the same of 128 bytes",
        },
        Case {
            op: "write_trusted_40",
            handler: &trusted,
            data: &[target, 40],
            written: 10,
            how: "40 bytes are written to the address that the message says, by a transfer",
        },
        Case {
            op: "write_trusted_128",
            handler: &trusted,
            data: &[target, 128],
            written: 32,
            how: "the same of 128 bytes",
        },
        Case {
            op: "write_inline_40",
            handler: &inline,
            data: &[target],
            written: 10,
            how: "40 bytes are written to the address that the message says, by loads and stores",
        },
        Case {
            op: "increment",
            handler: &increment,
            data: &[counter, 1],
            written: 0,
            how: "a number at the address that the message says is incremented, and sent back in 64 bytes",
        },
    ];
    for (case, runs) in cases.iter().zip(RUNS.chunks(2)) {
        for ((id, ..), system) in runs.iter().zip(["unsafe", "exos_ash"]) {
            println!("mark {id} table=ash-sandbox op={} system={system} how={}", case.op, case.how);
            println!(
                "loop {} of={id} rounds={ROUNDS} how=the same, and five instructions of the loop, and five to enter it",
                loop_of(*id)
            );
        }
    }
    describe_rewrites();
    exos_rt::console::flush();

    // SAFETY: nobody else uses it now.
    let copy = unsafe { &mut *SPACE.copy.get() };
    let at = copy.as_ptr() as u32;
    let made = compose(&Composition { pipes: &[], copies: true }, copy, at).expect("they are good pipes");
    flush(copy.as_ptr(), made.words);
    // The segment in question, with an offset of 16.
    *region(SEGMENTS as u32 + 24) = target - 16;
    *region(SEGMENTS as u32 + 28) = 1024;
    for (case, runs) in cases.iter().zip(RUNS.chunks(2)) {
        measure(case, link(case.handler), &runs[0]);
        measure(case, make_safe(case.handler), &runs[1]);
    }
    measure_rewrites();
}
