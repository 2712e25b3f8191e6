//! A program reads, writes and executes addresses of the kernel's, with every instruction that can: each time it gets
//! an address error that tells the address, and nothing is read.
//@ run: hostile_kernel_memory aegis_witness
//@ expect: hostile_kernel_memory: 336 accesses trapped
//@ expect: aegis_witness: undisturbed
//@ ignore-machine: gxemul it lets user mode reach pages of the kernel's

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../hostile.rs"]
mod hostile;

use exos_rt::abi::exception::Code;
use exos_rt::println;
use hostile::{RETURN, Stub, execute, note_exceptions, stub};

/// Addresses, on word boundaries: the vectors, the gates, the kernel's pages, the software TLB, free memory and memory
/// that is not there; the same uncached; devices and the PROM; the mapped space of the kernel's.
const ADDRESSES: [u32; 24] = [
    0x8000_0000,
    0x8000_0080,
    0x8000_0180,
    0x8003_0000,
    0x8003_0100,
    0x8005_0000,
    0x8005_0f00,
    0x8005_8000,
    0x8010_0000,
    0x8030_0000,
    0x9fff_fffc,
    0xa000_0000,
    0xa003_0000,
    0xa005_0f00,
    0xb800_03f8,
    0xbf00_0500,
    0xbfc0_0000,
    0xbfe0_0018,
    0xbff0_0000,
    0xc000_0000,
    0xc000_1000,
    0xe000_0000,
    0xff20_0000,
    0xffff_fffc,
];

// `lw $v0, 0($a0)` and its like.
static LOADS: [Stub; 7] = [
    stub(0x8082_0000), // lb
    stub(0x8482_0000), // lh
    stub(0x8882_0000), // lwl
    stub(0x8c82_0000), // lw
    stub(0x9082_0000), // lbu
    stub(0x9482_0000), // lhu
    stub(0x9882_0000), // lwr
];

static STORES: [Stub; 5] = [
    stub(0xa082_0000), // sb
    stub(0xa482_0000), // sh
    stub(0xa882_0000), // swl
    stub(0xac82_0000), // sw
    stub(0xb882_0000), // swr
];

/// `jr $a0`, and `jalr $v0, $a0`.
static JUMPS: [Stub; 2] = [[0x0080_0008, 0, RETURN[0], RETURN[1]], [0x0080_1009, 0, RETURN[0], RETURN[1]]];

fn main() {
    note_exceptions();
    let mut trapped = 0;
    let mut check = |stub: &'static Stub, address: u32, code: Code, pc: u32| {
        let word = stub[0];
        let Some(seen) = execute(stub, address) else { panic!("{word:08x} reached {address:08x}") };
        let expected = (code as u32, address, pc);
        assert_eq!((seen.code(), seen.address, seen.pc), expected, "{word:08x} for {address:08x}: {seen:x?}");
        trapped += 1;
    };
    for address in ADDRESSES {
        LOADS.iter().for_each(|stub| check(stub, address, Code::AddressLoad, stub.as_ptr() as u32));
        STORES.iter().for_each(|stub| check(stub, address, Code::AddressStore, stub.as_ptr() as u32));
        // The jump is a program's right; it is the fetch that traps.
        JUMPS.iter().for_each(|stub| check(stub, address, Code::AddressLoad, address));
    }
    println!("hostile_kernel_memory: {trapped} accesses trapped");
}
