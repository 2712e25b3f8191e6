//! Table 5: exception dispatch, for the four causes that the paper measured.
//!
//! Counted is from the instruction that fails, itself included, to the first instruction of the program's handler. The
//! way back, which takes no kernel, is counted by itself. Timed is the whole: the failing instruction, dispatch, a
//! handler of three instructions that skips it, the way back. The paper does not say what its loop contains.
//@ except-hazard: fpu it is one of the causes that are measured, and never executed

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::{ALONE, LOOPS, ROUNDS, describe_loop, loop_of};
use asm_lines::naked_asm;
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::{call, println};

exos_rt::program!(main);

const UNALIGN: u32 = 1;
const OVERFLOW: u32 = 2;
const COPROC: u32 = 3;
const PROT: u32 = 4;
const RETURN: u32 = 5;

/// Defines a cause: its handler that ends its mark, its handler without marks, and its functions.
///
/// Handlers: a0 = EPC, a1 = BadVAddr, a2 = Cause. They go back to the instruction behind the one that failed.
macro_rules! cause {
    ($alone:ident, $looped:ident, $marked:ident, $plain:ident, $id:expr, $code:ident, [$($prepare:literal),*], $fail:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $marked() {
            naked_asm!(
                ".set noreorder",
                ".word {end}",
                "addiu $a0, $a0, 4",
                "sw    $a0, {pc}($zero)",
                ".word {back}",
                "j     exos_return + {sequence}",
                " nop",
                end = const WORD | END | $id,
                back = const WORD | RETURN,
                pc = const SAVE_PAGE as usize + core::mem::offset_of!(SavePage, pc) + 4 * Code::$code as usize,
                sequence = const exos_rt::abi::program::RETURN_SEQUENCE_BYTES * Code::$code as u32,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $plain() {
            naked_asm!(
                ".set noreorder",
                "addiu $a0, $a0, 4",
                "j     exos_return + {sequence}",
                " sw   $a0, {pc}($zero)",
                pc = const SAVE_PAGE as usize + core::mem::offset_of!(SavePage, pc) + 4 * Code::$code as usize,
                sequence = const exos_rt::abi::program::RETURN_SEQUENCE_BYTES * Code::$code as u32,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $alone() {
            naked_asm!(
                ".set noreorder",
                $($prepare,)*
                ".word {begin}",
                $fail,
                ".word {returned}",
                "jr    $ra",
                " nop",
                begin = const WORD | $id,
                returned = const WORD | END | RETURN,
            )
        }

        #[unsafe(naked)]
        unsafe extern "C" fn $looped() {
            naked_asm!(
                ".set noreorder",
                $($prepare,)*
                "addiu $t3, $zero, {rounds}",
                ".word {begin}",
                "1:",
                $fail,
                "addiu $t3, $t3, -1",
                "bne   $t3, $zero, 1b",
                " nop",
                ".word {end}",
                "jr    $ra",
                " nop",
                rounds = const ROUNDS,
                begin = const WORD | loop_of($id),
                end = const WORD | END | loop_of($id),
            )
        }
    };
}

cause!(unalign, unaligns, unalign_marked, unalign_plain, UNALIGN, AddressLoad, [], "lw $t2, 1($zero)");
cause!(
    overflow,
    overflows,
    overflow_marked,
    overflow_plain,
    OVERFLOW,
    Overflow,
    ["lui $t0, 0x7fff"],
    "add $t2, $t0, $t0"
);
// `mtc1 $zero, $f0`: of the three coprocessors the one whose absence every machine reports as such.
cause!(coproc, coprocs, coproc_marked, coproc_plain, COPROC, Coprocessor, [], ".word 0x44800000");
// The first page of the text is read-only.
cause!(prot, prots, prot_marked, prot_plain, PROT, Modified, ["lui $t1, 1"], "sw $zero, 0($t1)");

/// A function of assembly.
type Assembly = unsafe extern "C" fn();

fn main() {
    let causes: [(u32, &str, &str, Code, [Assembly; 4]); 4] = [
        (
            UNALIGN,
            "unalign",
            "a load from an odd address",
            Code::AddressLoad,
            [unalign, unaligns, unalign_marked, unalign_plain],
        ),
        (
            OVERFLOW,
            "overflow",
            "an add that overflows",
            Code::Overflow,
            [overflow, overflows, overflow_marked, overflow_plain],
        ),
        (COPROC, "coproc", "a use of coprocessor 1", Code::Coprocessor, [coproc, coprocs, coproc_marked, coproc_plain]),
        (PROT, "prot", "a store to a read-only page", Code::Modified, [prot, prots, prot_marked, prot_plain]),
    ];
    for (id, op, what, ..) in causes {
        println!(
            "mark {id} table=5 op={op} system=aegis how={what}, itself counted, to the first instruction of its handler"
        );
        describe_loop(id, "the exception, a handler of three instructions, the way back, and the loop's three");
    }
    println!(
        "mark {RETURN} table=5 op=return system=aegis how=from the handler's jump to behind the instruction that failed"
    );
    exos_rt::console::flush();
    for (_, _, _, code, [alone, looped, marked, plain]) in causes {
        // SAFETY: the handlers do what handlers must; each function fails in one instruction, which its handler skips.
        unsafe {
            call::set_handler(code, Some(marked as *const () as u32)).expect("the handler is in user space");
            (0..ALONE).for_each(|_| alone());
            call::set_handler(code, Some(plain as *const () as u32)).expect("the handler is in user space");
            (0..LOOPS).for_each(|_| looped());
        }
    }
}
