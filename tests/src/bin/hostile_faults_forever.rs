//! Programs that never complete an instruction: handlers each of whose instructions is the next exception, by every
//! exception that there is, and an entry that transfers to itself. A processor that puts exceptions before interrupts
//! never interrupts such a program; the kernel does, so that all others have their slices. Handlers that can't be
//! fetched have tests of their own: `aegis_handler_far`, `aegis_handler_invalid`.
//@ run: hostile_faults_forever aegis_witness
//@ expect: hostile_faults_forever: 12 programs lost each slice at its end
//@ expect: aegis_witness: undisturbed
//@ timeout: 60
//@ except-hazard: fpu one of the faults is that of an instruction for which there is no unit

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use core::arch::{asm, global_asm};
use exos_rt::abi::Error;
use exos_rt::abi::call as number;
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{NORMAL_START, PAGE_SHIFT, entry_lo};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public, sequences};

/// Slices for which each is let run.
const SLICES: u32 = 3;
/// Where nothing is.
const NOWHERE: u32 = NORMAL_START + 0x80_0000;
/// Where a page is that may only be read.
const READ_ONLY: u32 = NORMAL_START + 0x90_0000;

// The entry of each circle. $t0 = 0x7fffffff, $t1 = NOWHERE, $t2 = READ_ONLY. In data, so that the hazard checker lets it be.
global_asm!(
    ".section .data",
    ".balign 4",
    ".set noreorder",
    ".set noat",
    "circle_break:    break",
    "circle_reserved: .word 0xfc000000",
    "circle_unit:     .word 0x44800000", // mtc1 $zero, $f0: every machine says that its unit can't be used
    "circle_overflow: add   $t3, $t0, $t0",
    "circle_load:     lw    $t3, 0($t1)",
    "circle_store:    sw    $t3, 0($t1)",
    "circle_modified: sw    $t3, 0($t2)",
    "circle_odd_load: lw    $t3, 1($zero)",
    "circle_odd_store: sw   $t3, 1($zero)",
    "circle_call:     syscall", // $v0 stays what it is, and then:
    "                 break",
    "circle_transfer: syscall", // $v0 = 0, $v1 = this one: both are so again
    ".text",
);

unsafe extern "C" {
    fn circle_break();
    fn circle_reserved();
    fn circle_unit();
    fn circle_overflow();
    fn circle_load();
    fn circle_store();
    fn circle_modified();
    fn circle_odd_load();
    fn circle_odd_store();
    fn circle_call();
    fn circle_transfer();
}

/// How they are called.
const KINDS: [&str; 12] = [
    "break",
    "reserved",
    "unit",
    "overflow",
    "load",
    "store",
    "modified",
    "odd load",
    "odd store",
    "call",
    "two in turn",
    "transfer",
];

/// Which have begun, a bit each.
static BEGUN: Shared<u32> = Shared::new(0);

fn handle(code: Code, at: unsafe extern "C" fn()) {
    // SAFETY: it leads to itself, and to nothing of the program's.
    unsafe { call::set_handler(code, Some(at as *const () as u32)).unwrap() };
}

extern "C" fn circle(kind: u32) -> ! {
    let frame = memory::allocate().unwrap();
    let word = frame << PAGE_SHIFT;
    // SAFETY: nothing else is there.
    unsafe { call::tlb_write(READ_ONLY, word | entry_lo::VALID, call::NO_CAPABILITY).unwrap() };
    let mut first: unsafe extern "C" fn() = circle_break;
    match KINDS[kind as usize] {
        "break" => handle(Code::Breakpoint, circle_break),
        "reserved" => (first, ()) = (circle_reserved, handle(Code::Reserved, circle_reserved)),
        "unit" => (first, ()) = (circle_unit, handle(Code::Coprocessor, circle_unit)),
        "overflow" => (first, ()) = (circle_overflow, handle(Code::Overflow, circle_overflow)),
        "load" => (first, ()) = (circle_load, handle(Code::TlbLoad, circle_load)),
        "store" => (first, ()) = (circle_store, handle(Code::TlbStore, circle_store)),
        "modified" => (first, ()) = (circle_modified, handle(Code::Modified, circle_modified)),
        "odd load" => (first, ()) = (circle_odd_load, handle(Code::AddressLoad, circle_odd_load)),
        "odd store" => (first, ()) = (circle_odd_store, handle(Code::AddressStore, circle_odd_store)),
        "call" => (first, ()) = (circle_call, handle(Code::Breakpoint, circle_call)),
        "two in turn" => {
            handle(Code::Breakpoint, circle_overflow);
            handle(Code::Overflow, circle_break);
        }
        _ => {
            let mut header = *sequences::header();
            header.protected_entries.synchronous = circle_transfer as *const () as u32;
            // SAFETY: the entry leads to itself.
            unsafe { call::env_setup(call::self_id(), call::NO_CAPABILITY, &header, header.start_of_slice).unwrap() };
            first = circle_transfer;
        }
    }
    let number = if KINDS[kind as usize] == "call" { number::TLB_DELETE } else { number::TRANSFER };
    BEGUN.set(BEGUN.get() | 1 << kind);
    // SAFETY: it never comes back.
    unsafe {
        asm!(
            ".set noreorder", "jr {first}", " nop",
            first = in(reg) first as *const () as u32,
            in("$8") 0x7fff_ffff_u32, in("$9") NOWHERE, in("$10") READ_ONLY,
            in("$2") number, in("$3") call::self_id().0,
            options(noreturn)
        )
    }
}

fn main() {
    let position = public::position();
    for kind in 0..KINDS.len() as u32 {
        let (free, (id, control)) = loop {
            let free = (2..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0).unwrap();
            match spawn(circle, kind, Some(free)) {
                // The witness has taken it between.
                Err(Error::Busy) => {}
                made => break (free, made.unwrap()),
            }
        };
        while BEGUN.get() >> kind & 1 == 0 {
            call::yield_slice();
        }
        for slice in 0..SLICES {
            let began = public::ticks();
            call::yield_slice();
            // This program's next slice: the others have had theirs, a tick each.
            let passed = public::ticks() - began;
            assert!(passed <= 8, "{}: {passed} ticks behind slice {slice}", KINDS[kind as usize]);
        }
        assert_eq!(public::slice(free).owner, id.0, "{}: it was to live", KINDS[kind as usize]);
        call::env_destroy(id, control).unwrap();
    }
    println!("hostile_faults_forever: {} programs lost each slice at its end", KINDS.len());
}
