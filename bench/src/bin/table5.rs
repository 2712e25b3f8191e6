//! Table 5: exception dispatch, for the four causes that the paper measured.
//!
//! What is counted is from the instruction that fails, itself included, to the first instruction of the program's handler. The
//! way back, which takes no kernel, is counted by itself. Each is an operation of its own marks.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use core::arch::{global_asm, naked_asm};
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::mark::{END, WORD};
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::{call, println};

exos_rt::program!(main);

/// How often each operation is measured.
const ROUNDS: u32 = 1000;

const UNALIGN: u32 = 1;
const OVERFLOW: u32 = 2;
const COPROC: u32 = 3;
const PROT: u32 = 4;
const RETURN: u32 = 5;

// a0 = EPC, a1 = BadVAddr, a2 = Cause. The handler goes back to the instruction behind the one that failed.
macro_rules! handler {
    ($name:literal, $mark:ident, $code:ident) => {
        global_asm!(
            ".set noreorder",
            concat!(".type ", $name, ", @function"),
            concat!($name, ":"),
            ".word {end}",
            "addiu $a0, $a0, 4",
            "sw    $a0, {pc}($zero)",
            ".word {back}",
            "j     exos_return + {sequence}",
            " nop",
            concat!(".size ", $name, ", . - ", $name),
            end = const WORD | END | $mark,
            back = const WORD | RETURN,
            pc = const SAVE_PAGE as usize + core::mem::offset_of!(SavePage, pc) + 4 * Code::$code as usize,
            sequence = const exos_rt::abi::program::RETURN_SEQUENCE_BYTES * Code::$code as u32,
        );
    };
}

handler!("unalign_handler", UNALIGN, AddressLoad);
handler!("overflow_handler", OVERFLOW, Overflow);
handler!("coproc_handler", COPROC, Coprocessor);
handler!("prot_handler", PROT, Modified);

unsafe extern "C" {
    fn unalign_handler();
    fn overflow_handler();
    fn coproc_handler();
    fn prot_handler();
}

fn main() {
    println!(
        "mark {UNALIGN} table=5 op=unalign system=aegis how=a load from an odd address, itself counted, to the first instruction of the handler"
    );
    println!("mark {OVERFLOW} table=5 op=overflow system=aegis how=an add that overflows, likewise");
    println!("mark {COPROC} table=5 op=coproc system=aegis how=an instruction of coprocessor 2, likewise");
    println!("mark {PROT} table=5 op=prot system=aegis how=a store to a read-only page, likewise");
    println!(
        "mark {RETURN} table=5 op=return system=aegis how=from the handler's jump to the instruction behind the one that failed"
    );
    for (code, handler) in [
        (Code::AddressLoad, unalign_handler as unsafe extern "C" fn()),
        (Code::Overflow, overflow_handler),
        (Code::Coprocessor, coproc_handler),
        (Code::Modified, prot_handler),
    ] {
        // SAFETY: the handlers do what handlers must.
        unsafe { call::set_handler(code, Some(handler as *const () as u32)) }.expect("the handler is in user space");
    }
    exos_rt::console::flush();
    for _ in 0..ROUNDS {
        // SAFETY: each fails in one instruction, which its handler skips.
        unsafe { fail() };
    }
}

/// One exception of each kind.
#[unsafe(naked)]
unsafe extern "C" fn fail() {
    naked_asm!(
        ".set noreorder",
        "lui   $t0, 0x7fff",
        "lui   $t1, %hi({main})",          // the text is read-only
        ".word {unalign}",
        "lw    $t2, 1($t1)",
        ".word {returned}",
        ".word {overflow}",
        "add   $t2, $t0, $t0",
        ".word {returned}",
        ".word {coproc}",
        "mtc2  $zero, $0",
        ".word {returned}",
        ".word {prot}",
        "sw    $zero, %lo({main})($t1)",
        ".word {returned}",
        "jr    $ra",
        " nop",
        main = sym main,
        unalign = const WORD | UNALIGN,
        overflow = const WORD | OVERFLOW,
        coproc = const WORD | COPROC,
        prot = const WORD | PROT,
        returned = const WORD | END | RETURN,
    )
}
