//! The floating-point unit across transfers and yields: environments that all use it, and turn it on when they are told
//! by an exception that they have lost it, never find there what another left.
//@ expect: aegis_fpu_transfer: the unit is
//@ except-hazard: fpu it is what the program is about

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../server.rs"]
mod server;

use core::arch::{global_asm, naked_asm};
use core::mem::offset_of;
use exos_rt::abi::EnvId;
use exos_rt::abi::call::FPU_MODE;
use exos_rt::abi::exception::{Code, OWN_WORDS, SavePage};
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::call::{env_destroy, fpu_mode, set_handler, yield_slice, yield_to};
use exos_rt::environment::spawn;
use exos_rt::println;
use exos_rt::sequences::HANDLER_SCRATCH;
use exos_rt::shared::Shared;
use exos_rt::transfer::call;
use server::Server;

const MAINS: u32 = 0x1111_1111;
const OTHERS: u32 = 0x2222_2222;

/// A word near the end of the save page's own part: how often the environment has turned the unit on.
const TURNED_ON: usize = SAVE_PAGE as usize + offset_of!(SavePage, own) + 4 * (OWN_WORDS - 8);

/// What the child has found, and how often it has looked.
static FOUND: Shared<u32> = Shared::new(0);
static LOOKED: Shared<u32> = Shared::new(0);

// An instruction that needs the unit: a0 = EPC. Turns it on.
global_asm!(
    ".set noreorder",
    ".set noat",
    "unit_lost:",
    "    sw    $a0, {pc}($zero)",
    "    sw    $v0, {scratch}($zero)",
    "    addiu $v0, $zero, {FPU_MODE}",
    "    addiu $a1, $zero, 1",
    "    syscall",
    "    lw    $a0, {turned_on}($zero)",
    "    lw    $v0, {scratch}($zero)",
    "    addiu $a0, $a0, 1",
    "    j     exos_return + 32*{COPROCESSOR}",
    "     sw   $a0, {turned_on}($zero)",
    pc = const SAVE_PAGE as usize + offset_of!(SavePage, pc) + 4 * Code::Coprocessor as usize,
    scratch = const HANDLER_SCRATCH,
    turned_on = const TURNED_ON,
    FPU_MODE = const FPU_MODE,
    COPROCESSOR = const Code::Coprocessor as u32,
);

unsafe extern "C" {
    fn unit_lost();
}

/// From here on the unit is turned on when it is needed.
fn turn_on_when_needed() {
    // SAFETY: the handler does what handlers must.
    unsafe { set_handler(Code::Coprocessor, Some(unit_lost as *const () as u32)).unwrap() };
}

fn turned_on() -> u32 {
    // SAFETY: the word is nobody else's.
    unsafe { (TURNED_ON as *const u32).read_volatile() }
}

/// Puts a word in `$f2` and tells what was there.
fn exchange(word: u32) -> u32 {
    #[unsafe(naked)]
    extern "C" fn exchange(word: u32) -> u32 {
        naked_asm!(
            ".set noreorder",
            ".word 0x44021000", // mfc1 $v0, $f2
            "nop",
            ".word 0x44841000", // mtc1 $a0, $f2
            "jr    $ra",
            " nop",
        )
    }
    exchange(word)
}

/// In the server.
extern "C" fn look(_: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    turn_on_when_needed();
    u64::from(exchange(OTHERS))
}

/// In the child, which is yielded to.
extern "C" fn child(_: u32) -> ! {
    turn_on_when_needed();
    loop {
        FOUND.set(exchange(OTHERS));
        LOOKED.add(1);
        yield_slice();
    }
}

fn main() {
    if fpu_mode(false).is_err() {
        println!("aegis_fpu_transfer: the unit is absent");
        return;
    }
    turn_on_when_needed();
    let server = Server::start(look);
    let (child, control) = spawn(child, 0, None).unwrap();
    for round in 0..20 {
        let before = turned_on();
        assert_eq!((exchange(!MAINS), exchange(MAINS)), (0, !MAINS), "what the child left, round {round}");
        assert_eq!(call(server.id, [0; 4]), Ok(0), "what main left, round {round}");
        assert_eq!((exchange(!MAINS), exchange(MAINS)), (0, !MAINS), "what the server left, round {round}");
        let looked = LOOKED.get();
        while LOOKED.get() == looked {
            yield_to(child).unwrap();
        }
        assert_eq!(FOUND.get(), 0, "what main left, round {round}");
        assert_eq!(turned_on() - before, 2, "main has lost the unit twice");
    }
    env_destroy(child, control).unwrap();
    server.stop();
    println!("aegis_fpu_transfer: the unit is present");
}
