//! A resource monitor, a small program outside the kernel: it watches the free frames, asks who has most for some, then
//! commands, then takes. Of the two environments that fill the memory one gives when it is asked, the other does not.
//@ run: aegis_revocation_monitor
//@ expect: aegis_revocation_monitor: 32 frames given, 32 taken, as many are free as there are to be
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, frames_of, pass};
use exos_rt::abi::frame::Capability;
use exos_rt::abi::revocation::{DEADLINE_MIN, FRAMES};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::revocation::{Notice, Stack, inform};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

/// How many of the frames that are free at first each of the two takes.
const TAKES: u32 = 32;
/// What the giving one has, the last first.
static HOARD: [Shared<u32>; TAKES as usize] = [const { Shared::new(0) }; TAKES as usize];
static HOARDED: Shared<u32> = Shared::new(0);
static STACK: Stack<2048> = Stack::new();

/// Takes frames; with `generous` it gives them back when it is asked.
extern "C" fn hoarder(generous: u32) -> ! {
    for frame in &HOARD {
        let number = memory::allocate().unwrap();
        if generous != 0 {
            frame.set(number);
        }
    }
    if generous != 0 {
        // SAFETY: the stack is its own, and the policy accesses nothing else that is.
        unsafe { inform(give, &STACK) };
    }
    HOARDED.add(1);
    loop {
        call::wait(None);
    }
}

fn give(notice: Notice) {
    let Notice::Asked(FRAMES, demand) = notice else { return };
    for frame in HOARD.iter().filter(|frame| frame.get() != 0).take(demand.left as usize) {
        // SAFETY: it is mapped nowhere.
        unsafe { call::frame_free(frame.get()).expect("it is this environment's") };
        frame.set(0);
    }
}

/// What the monitor has done.
#[derive(Default)]
struct Account {
    given: u32,
    taken: u32,
}

/// Sees to it that so many frames are free; `clients` have the others.
fn keep_free(wanted: u32, clients: &[EnvId]) -> Account {
    let mut account = Account::default();
    loop {
        let free = (0..public::frames()).filter(|&number| memory::seems_free(number)).count() as u32;
        let short = wanted.saturating_sub(free);
        let richest = clients.iter().copied().max_by_key(|&client| frames_of(client));
        let Some(client) = richest.filter(|_| short != 0) else { return account };
        let before = frames_of(client);
        let count = short.min(TAKES);
        // Politely, then not.
        for within in [0, DEADLINE_MIN] {
            call::revoke(client, authority(), FRAMES, count, within).expect("it lives");
            pass(DEADLINE_MIN);
            let given = before - frames_of(client);
            if given >= count {
                break;
            }
        }
        account.given += before - frames_of(client);
        // What it owes: those with the highest numbers, as long as they may be taken.
        for number in (0..public::frames()).rev().filter(|&number| memory::frame(number).owner == client.0) {
            match call::frame_repossess(number, authority()) {
                Ok(()) => account.taken += 1,
                // Its save page.
                Err(Error::Busy) => {}
                Err(_) => break,
            }
        }
    }
}

fn main() {
    let position = public::position();
    let begun = |generous: u32| -> (EnvId, Capability) {
        let begun = spawn(hoarder, generous, Some((position + 1 + generous) % 64)).unwrap();
        let before = HOARDED.get();
        while HOARDED.get() == before {
            call::yield_slice();
        }
        begun
    };
    let (generous, stingy) = (begun(1), begun(0));
    let clients = [generous.0, stingy.0];
    let free = (0..public::frames()).filter(|&number| memory::seems_free(number)).count() as u32;
    let wanted = free + 2 * TAKES;
    let Account { given, taken } = keep_free(wanted, &clients);
    let free = (0..public::frames()).filter(|&number| memory::seems_free(number)).count() as u32;
    assert_eq!(free, wanted);
    for (id, control) in [generous, stingy] {
        claim::end(id, control);
    }
    println!("aegis_revocation_monitor: {given} frames given, {taken} taken, as many are free as there are to be");
}
