//! What emitting an instruction costs, with the assembler that packet filters are compiled with (VCODE, which the paper's
//! used, took about ten instructions).
//!
//! Counted is the emission of 120 instructions in place, the assembler made and finished with; the same for three mixes.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

use aegis_bench::{LOOPS, loop_of};
use aegis_codegen::{Assembler, Register as R};
use core::hint::black_box;
use exos_rt::{mark_begin, mark_end, println};

exos_rt::program!(main);

/// Times that the instructions of a mix are emitted.
const TIMES: u32 = 20;
/// Instructions that come out.
const EMITTED: usize = 120;

/// Six instructions of arithmetic.
fn arithmetic(asm: &mut Assembler, n: i16) {
    asm.addu(R::T0, R::T1, R::T2);
    asm.addiu(R::T1, R::T0, n);
    asm.xor(R::T2, R::T0, R::T1);
    asm.sll(R::T3, R::T2, 3);
    asm.andi(R::T4, R::T3, n as u16);
    asm.sltu(R::T5, R::T4, R::T0);
}

/// Three loads and three uses.
fn loads(asm: &mut Assembler, n: i16) {
    asm.lw(R::T0, n, R::A0);
    asm.lw(R::T1, n, R::A1);
    asm.lw(R::T2, n, R::A2);
    asm.addu(R::T3, R::T0, R::T1);
    asm.addu(R::T3, R::T3, R::T2);
    asm.sw(R::T3, n, R::A0);
}

/// Two atoms of a packet filter: a load in the slot of the branch before, a number, a branch.
fn atoms(asm: &mut Assembler, n: i16) {
    for offset in [n, n + 2] {
        asm.speculate(|asm| asm.lhu(R::T0, offset, R::A0));
        asm.li(R::T1, 0x0800);
        asm.bne_to(R::T0, R::T1, 0x1_0000);
    }
}

/// Defines what emits mixes between marks.
macro_rules! mixes {
    ($($id:literal $op:ident $how:literal;)*) => {
        fn main() {
            $(
                println!("mark {} table=codegen op={} system=aegis how={} instructions: {}", $id, stringify!($op), EMITTED, $how);
                println!("loop {} of={} rounds=1 how=the same", loop_of($id), $id);
            )*
            exos_rt::console::flush();
            let mut code = [0; EMITTED + 8];
            $(for _ in 0..LOOPS {
                mark_begin!($id);
                mark_begin!(loop_of($id));
                let mut asm = Assembler::new(&mut code, 0x1_0000);
                for n in 0..black_box(TIMES) {
                    $op(&mut asm, 4 * n as i16);
                }
                let emitted = asm.finish();
                mark_end!(loop_of($id));
                mark_end!($id);
                // The last branch of a mix has an empty slot.
                assert!(emitted.is_ok_and(|emitted| emitted - EMITTED <= 1), "{emitted:?}");
                black_box(&code);
            })*
        }
    };
}

mixes! {
    1 arithmetic "arithmetic";
    2 loads "three loads, three that use what they load";
    3 atoms "a load that goes into the slot before, a number, a branch";
}
