//! Table 5: exceptions, for the causes that the paper measured, as signals.
//!
//! Counted is from the instruction that fails, itself included, to the first instruction of the handler, and the way back
//! by itself. Timed is the whole: the failing instruction, the signal, a handler that skips it, the way back.

use aegis_bench_linux::mark::{END, WORD};
use aegis_bench_linux::meter::{ALONE, LOOPS, Meter, ROUNDS, describe as line};
use aegis_bench_linux::system::{Cause, Handler, Mapping, READ, Saved, Signal, handle, map, mend_unaligned, protect};
use aegis_bench_linux::{mark_begin, mark_end, naked_asm, println};

const UNALIGN: u32 = 30;
const OVERFLOW: u32 = 31;
const COPROC: u32 = 32;
const PROT: u32 = 33;
const RETURN: u32 = 34;
const UNALIGN_MENDED: u32 = 35;

/// Where the page is that may not be written.
const PAGE: u32 = 0x3000_0000;

/// Goes on behind the instruction that failed.
unsafe extern "C" fn skip(_: u32, _: *const Cause, saved: *mut Saved) {
    // SAFETY: the kernel saved it there.
    unsafe { (*saved).pc += 4 };
}

/// The same, and ends the mark of an operation.
unsafe extern "C" fn skip_marked<const ID: u32>(signal: u32, cause: *const Cause, saved: *mut Saved) {
    mark_end!(ID);
    // SAFETY: as the kernel calls this.
    unsafe { skip(signal, cause, saved) };
    mark_begin!(RETURN);
}

/// Defines a cause: functions that fail once between marks, and in a loop. `$a0` is the address that they use, `$a1` the
/// rounds.
macro_rules! cause {
    ($alone:ident, $looped:ident, $id:expr, [$($prepare:literal),*], $fail:literal, $end:expr) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $alone(_address: u32) {
            naked_asm!(
                ".set noreorder",
                $($prepare,)*
                ".word {begin}",
                $fail,
                ".word {end}",
                "jr    $ra",
                " nop",
                begin = const WORD | $id,
                end = const WORD | END | $end,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $looped(_address: u32, _rounds: u32) {
            naked_asm!(
                ".set noreorder",
                $($prepare,)*
                "1:",
                $fail,
                "addiu $a1, $a1, -1",
                "bne   $a1, $zero, 1b",
                " nop",
                "jr    $ra",
                " nop",
            )
        }
    };
}

cause!(unalign, unaligns, UNALIGN, [], "lw $t2, 1($a0)", RETURN);
cause!(overflow, overflows, OVERFLOW, ["lui $t0, 0x7fff"], "add $t2, $t0, $t0", RETURN);
// `mfc2 $v0, $0`. Linux gives coprocessor 1 to everybody.
cause!(coproc, coprocs, COPROC, [], ".word 0x48020000", RETURN);
cause!(prot, prots, PROT, [], "sw $zero, 0($a0)", RETURN);
cause!(mended, mendeds, UNALIGN_MENDED, [], "lw $t2, 1($a0)", UNALIGN_MENDED);

pub fn describe() {
    let around = "the exception, the signal, a handler in Rust, the way back, and the loop's three";
    let cause = |id, op, how| line(id, "5", op, how, ROUNDS, around);
    cause(UNALIGN, "unalign", "a load from an odd address that the kernel was told not to mend, to its handler");
    cause(OVERFLOW, "overflow", "an add that overflows, itself counted, to the first instruction of its handler");
    cause(COPROC, "coproc", "a use of coprocessor 2, itself counted, to the first instruction of its handler");
    cause(PROT, "prot", "a store to a read-only page, itself counted, to the first instruction of its handler");
    println!("mark {RETURN} table=5 op=return system=linux how=from the handler's end to behind what failed");
    let how = "a load from an odd address that the kernel itself mends, which is its default";
    line(UNALIGN_MENDED, "5", "unalign_mended", how, ROUNDS, "the same, and the loop's three");
}

pub fn measure(meter: &Meter) {
    let page = map(1, Mapping::Private(PAGE)).expect("there is memory");
    // SAFETY: it was mapped.
    unsafe { (page as *mut u32).write_volatile(1) };
    protect(page, 1, READ).expect("it is this process's");
    macro_rules! measure {
        ($id:ident, $signal:ident, $alone:ident, $looped:ident) => {
            // SAFETY: the instruction fails, and its handler skips it.
            unsafe {
                handle(Signal::$signal, skip_marked::<$id> as Handler, false);
                (0..ALONE).for_each(|_| $alone(page));
                handle(Signal::$signal, skip as Handler, false);
                meter.time::<$id>(LOOPS, ROUNDS, || (), |rounds| $looped(page, rounds));
            }
        };
    }
    mend_unaligned(false);
    measure!(UNALIGN, Bus, unalign, unaligns);
    mend_unaligned(true);
    measure!(OVERFLOW, Arithmetic, overflow, overflows);
    measure!(COPROC, Illegal, coproc, coprocs);
    measure!(PROT, Segment, prot, prots);
    // SAFETY: the kernel has the load succeed.
    (0..ALONE).for_each(|_| unsafe { mended(page) });
    // SAFETY: as above.
    meter.time::<UNALIGN_MENDED>(LOOPS, ROUNDS, || (), |rounds| unsafe { mendeds(page, rounds) });
}
