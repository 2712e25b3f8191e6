//! Every instruction that only the kernel may execute traps in a program, and the program is told which it was and why.
//@ run: hostile_privileged aegis_witness
//@ expect: hostile_privileged: 179 instructions trapped
//@ expect: aegis_witness: undisturbed
//@ ignore-machine: gxemul it executes privileged instructions in user mode

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../hostile.rs"]
mod hostile;

use exos_rt::abi::exception::Code;
use exos_rt::println;
use hostile::{Stub, execute, note_exceptions, stub};

/// `mfc0 $v0, $N` and `mtc0 $v0, $N`.
const MOVES: [u32; 2] = [0x4002_0000, 0x4082_0000];
/// Of each register, these of the same number: an R3000 and a release 1 have one of each.
const SELECTS: [u32; 2] = [0, 1];

static MOVE_STUBS: [Stub; 128] = {
    let mut stubs = [[0; 4]; 128];
    let mut at = 0;
    while at < 128 {
        stubs[at] = stub(MOVES[at & 1] | (at as u32 >> 2) << 11 | SELECTS[at >> 1 & 1]);
        at += 1;
    }
    stubs
};

/// Other instructions of coprocessor 0: of the R3000, of MIPS32, and what is one on neither.
static OPERATIONS: [Stub; 18] = [
    stub(0x4200_0001), // tlbr
    stub(0x4200_0002), // tlbwi
    stub(0x4200_0006), // tlbwr
    stub(0x4200_0008), // tlbp
    stub(0x4200_0010), // rfe
    stub(0x4200_0018), // eret
    stub(0x4200_001f), // deret
    stub(0x4200_0020), // wait
    stub(0x4200_0000),
    stub(0x43ff_ffff),
    stub(0x4042_0000), // cfc0
    stub(0x40c2_0000), // ctc0
    stub(0x4100_0000), // bc0f to the next instruction
    stub(0x4101_0000), // bc0t
    stub(0x4160_6000), // di
    stub(0x4160_6020), // ei
    stub(0x4142_e000), // rdpgpr
    stub(0x41c2_e000), // wrpgpr
];

/// `cache N, 0($a0)`: of coprocessor 0 on MIPS32, and no instruction on an R3000.
static CACHE_STUBS: [Stub; 32] = {
    let mut stubs = [[0; 4]; 32];
    let mut at = 0;
    while at < 32 {
        stubs[at] = stub(0xbc80_0000 | (at as u32) << 16);
        at += 1;
    }
    stubs
};

/// `rdhwr $v0, $29`: a register of the hardware's that the kernel shows to nobody.
static HARDWARE: Stub = stub(0x7c02_e83b);

/// Cause: which coprocessor could not be used.
const COPROCESSOR: u32 = 3 << 28;

fn main() {
    note_exceptions();
    let mut trapped = 0;
    let mut check = |stub: &'static Stub, codes: &[Code]| {
        let word = stub[0];
        let Some(seen) = execute(stub, 0x1_0000) else { panic!("{word:08x} was executed") };
        assert!(codes.iter().any(|&code| code as u32 == seen.code()), "{word:08x} trapped with {seen:x?}");
        assert_eq!(seen.pc, stub.as_ptr() as u32, "{word:08x} trapped with {seen:x?}");
        assert!(
            seen.code() != Code::Coprocessor as u32 || seen.cause & COPROCESSOR == 0,
            "{word:08x} trapped with {seen:x?}"
        );
        trapped += 1;
    };
    MOVE_STUBS.iter().chain(&OPERATIONS).for_each(|stub| check(stub, &[Code::Coprocessor]));
    CACHE_STUBS.iter().for_each(|stub| check(stub, &[Code::Coprocessor, Code::Reserved]));
    check(&HARDWARE, &[Code::Reserved]);
    println!("hostile_privileged: {trapped} instructions trapped");
}
