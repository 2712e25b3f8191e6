//! What calls leave in registers: no tag, nor what it is made of. A program that shows wrong capabilities for control
//! over another, or to revoke, looks for the right one there, and so does one that has a capability made.
//@ run: hostile_registers_left aegis_witness
//@ expect: hostile_registers_left: 66 calls left nothing
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../registers_left.rs"]
mod registers_left;

use exos_rt::abi::frame::{Capability, READ, WRITE};
use exos_rt::abi::vm::PAGE_SHIFT;
use exos_rt::abi::{Error, call as number};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public, revocation, save_page, sequences};
use registers_left::{Left, call_and_look};

/// The victim, what is right, what is shown, and how often something was found.
static VICTIM: Shared<u32> = Shared::new(0);
static CONTROL: Shared<[u32; 2]> = Shared::new([0; 2]);
static AUTHORITY: Shared<[u32; 2]> = Shared::new([0; 2]);
static CALLS: Shared<u32> = Shared::new(0);
static FOUND: Shared<u32> = Shared::new(0);
static DONE: Shared<bool> = Shared::new(false);

extern "C" fn idle(_: u32) -> ! {
    loop {
        call::wait(None);
    }
}

/// Makes a call and looks whether it left one of these words, or what is left of one when the shown one is taken away.
fn look(number: u32, arguments: [u32; 4], shown: Capability, secret: [u32; 2]) -> u32 {
    save_page::present(shown);
    let mut left: Left = [0; 19];
    // SAFETY: the call is refused, or is harmless.
    unsafe { call_and_look(&raw const arguments, number, &raw mut left) };
    CALLS.add(1);
    for word in left.into_iter().filter(|&word| word != 0) {
        let found = secret.iter().any(|&secret| shown.0.iter().chain([&0]).any(|&shown| word == secret ^ shown));
        FOUND.add(u32::from(found));
    }
    // Beside the result nothing at all is left.
    FOUND.add(u32::from(left.iter().enumerate().any(|(at, &word)| at != 1 && word != 0)));
    left[1]
}

/// Tries to get control over the victim, and to take from it.
extern "C" fn attacker(_: u32) -> ! {
    let victim = VICTIM.get();
    let header = &raw const *sequences::header() as u32;
    let control = [
        (number::ENV_SETUP, [victim, header, 0x1_0000, 0]),
        (number::ENV_DESTROY, [victim, 0, 0, 0]),
        (number::ENV_MAP, [victim, 0x2400_0000, 0x10 << PAGE_SHIFT, 1]),
        (number::ENV_UNMAP, [victim, 0x1_0000, 0, 0]),
    ];
    let revoke = [
        (number::REVOKE, [victim, 0, 1, 64]),
        (number::FRAME_REPOSSESS, [0x10, 0, 0, 0]),
        (number::SLICE_REPOSSESS, [0, 0, 0, 0]),
        (number::FILTER_REPOSSESS, [1, 0, 0, 0]),
        (number::HANDLER_REPOSSESS, [1, 0, 0, 0]),
    ];
    try_all(CONTROL.get(), &control);
    try_all(AUTHORITY.get(), &revoke);
    DONE.set(true);
    call::exit(0)
}

/// Shows wrong tags, nearly right ones among them.
fn try_all(secret: [u32; 2], calls: &[(u32, [u32; 4])]) {
    for shown in [[0, 0], [u32::MAX; 2], [secret[0], 0], [0, secret[1]], [secret[0] ^ 1, secret[1]], [1, 2]] {
        for &(number, arguments) in calls {
            let result = look(number, arguments, Capability(shown), secret);
            assert_eq!(result, Error::Denied as i32 as u32);
        }
    }
}

fn main() {
    let (victim, control) = spawn(idle, 0, None).unwrap();
    VICTIM.set(victim.0);
    CONTROL.set(control.0);
    AUTHORITY.set(revocation::authority().expect("this program is the first").0);
    let (id, _) = spawn(attacker, 0, Some((public::position() + 3) % 64)).unwrap();
    while !DONE.get() && call::wake(id).is_ok() {
        call::yield_slice();
    }
    assert!(DONE.get() && call::wake(victim).is_ok(), "the victim is dead");
    // What a capability is made with.
    let frame = memory::allocate().unwrap();
    for right in [READ, WRITE, READ, WRITE, 0, 3] {
        let tag = call::capability(frame, right).unwrap_or(call::NO_CAPABILITY);
        look(number::CAPABILITY, [frame, right, 0, 0], call::NO_CAPABILITY, tag.0);
    }
    let pair = memory::allocate_pair().unwrap();
    for _ in 0..6 {
        let result = look(number::ENV_CREATE, [pair, 0, 0, 0], call::NO_CAPABILITY, save_page::capability().0);
        assert!(result != Error::NoSuchCall as i32 as u32);
    }
    assert_eq!(FOUND.get(), 0, "words were left in registers");
    println!("{}: {} calls left nothing", program::name(), CALLS.get());
}
