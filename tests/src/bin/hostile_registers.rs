//! Registers of one environment are not another's: whoever begins a slice looks for what victims had in theirs, which
//! are preempted, wait, exit, are destroyed for a fault, and destroyed because they keep the processor.
//@ run: hostile_registers aegis_witness
//@ verdict: fail
//@ expect: hostile_registers: 5 victims ran, and nothing of theirs was seen in
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use core::arch::{global_asm, naked_asm};
use exos_rt::abi::call as number;
use exos_rt::abi::exception::Code;
use exos_rt::abi::program::Range;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println, program, sequences};

/// What the victims have in their registers: this, and in the lowest bits the register's number.
const SECRET: u32 = 0x5ec2_e700;
/// Where whoever looks puts its registers: in its save page.
const SEEN: u32 = sequences::FREE;

static LOOKS: Shared<u32> = Shared::new(0);
static FOUND: Shared<u32> = Shared::new(0);
static RAN: Shared<u32> = Shared::new(0);

// Whoever looks: at the start of each of its slices it notes its registers, and gives the slice back when they have been
// looked through.
global_asm!(
    ".set noreorder",
    ".set noat",
    ".section .text.look, \"ax\", @progbits",
    "look_start:",
    ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
    "sw    $\\n, {seen} + 4*\\n($zero)",
    ".endr",
    "mfhi  $t0",
    "mflo  $t1",
    "sw    $t0, {seen}($zero)",
    "sw    $t1, {seen} + 4*26($zero)",
    "lw    $sp, {seen} + 4*32($zero)",
    "jal   {look}",
    " nop",
    "look_end:",
    "addiu $v0, $zero, {YIELD}",
    "syscall",
    "look_behind:",
    seen = const SEEN,
    look = sym look,
    YIELD = const number::YIELD,
);

unsafe extern "C" {
    fn look_start();
    fn look_end();
    fn look_behind();
}

/// Looks through what was noted.
extern "C" fn look() {
    for register in 0..32 {
        // SAFETY: the words are this environment's own.
        let word = unsafe { (SEEN as *const u32).add(register).read_volatile() };
        FOUND.add(u32::from(word & 0xffff_ff00 == SECRET));
    }
    LOOKS.add(1);
}

extern "C" fn looker(_: u32) -> ! {
    let mut header = *sequences::header();
    header.start_of_slice = look_start as *const () as u32;
    header.end_of_slice = look_end as *const () as u32;
    header.resume = Range { start: header.start_of_slice, end: look_behind as *const () as u32 };
    let stack: u32;
    // SAFETY: `$sp` is read. The words are this environment's own, and the entries do what they must.
    unsafe {
        core::arch::asm!(".set noat", "move {0}, $sp", ".set at", out(reg) stack);
        (SEEN as *mut u32).add(32).write_volatile(stack - 64);
        call::env_setup(call::self_id(), call::NO_CAPABILITY, &header, header.start_of_slice).unwrap();
    }
    call::yield_slice();
    unreachable!()
}

/// Fills all registers and goes on as `how` says: executes what stands there, which has `$zero` alone.
macro_rules! victim {
    ($name:ident, [$($line:literal),*]) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name() -> ! {
            naked_asm!(
                ".set noreorder",
                ".set noat",
                ".irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,28,29,30,31",
                "lui   $\\n, {high}",
                "ori   $\\n, $\\n, {low} + \\n",
                ".endr",
                "mthi  $at",
                "mtlo  $at",
                $($line,)*
                high = const SECRET >> 16,
                low = const SECRET & 0xffff,
            )
        }
    };
}

victim!(spins, ["1: b 1b", " nop"]);
victim!(waits, ["lui $a0, 0xffff", "addiu $v0, $zero, 0x700", "syscall"]);
victim!(exits, ["addiu $v0, $zero, 0x800", "syscall"]);
victim!(faults, ["break"]);

extern "C" fn victim(how: u32) -> ! {
    RAN.add(1);
    // SAFETY: they do not come back.
    unsafe {
        match how {
            // Preempted: the runtime saves its registers and gives the slice back.
            0 => spins(),
            1 => waits(),
            2 => exits(),
            3 => {
                call::set_handler(Code::Breakpoint, None).unwrap();
                faults()
            }
            // It does not give the slice back.
            _ => {
                let mut header = *sequences::header();
                header.end_of_slice = spins as *const () as u32;
                call::env_setup(call::self_id(), call::NO_CAPABILITY, &header, spins as *const () as u32).unwrap();
                spins()
            }
        }
    }
}

fn main() {
    const { assert!(number::WAIT == 0x700 && number::EXIT == 0x800, "the victims have these numbers") };
    // Behind each victim's slice one that looks.
    let (looking, over_looking) = spawn(looker, 0, Some(21)).unwrap();
    while LOOKS.get() == 0 {
        call::yield_slice();
    }
    let mut victims = 0;
    for how in 0..5 {
        let (id, control) = spawn(victim, how, Some(20)).unwrap();
        let before = LOOKS.get();
        while LOOKS.get() < before + 4 || RAN.get() <= victims {
            call::yield_slice();
        }
        victims += 1;
        let _ = call::env_destroy(id, control);
    }
    call::env_destroy(looking, over_looking).unwrap();
    assert_eq!(FOUND.get(), 0, "registers of others were seen");
    println!("{}: {victims} victims ran, and nothing of theirs was seen in {} looks", program::name(), LOOKS.get());
}
