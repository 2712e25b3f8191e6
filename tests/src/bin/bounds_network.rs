//! The worst that the calls of the network and its interrupt can find, for the model to measure (`cargo exo bounds`):
//! filters as long as they can be, proofs that look at much, tables that are made and grow, frames mapped all over,
//! long messages and many short ones.
//@ network: peer
//@ ignore-machine: gxemul what is measured is the model's
//@ ignore-machine: malta what is measured is the model's
//@ expect: bounds_network: all done
//@ timeout: 200

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;
#[path = "../net.rs"]
mod net;

use aegis_codegen::Register as R;
use aegis_codegen::encode::{jr, nop};
use claim::{authority, pass};
use exos_rt::abi::ash::{SETS, Set};
use exos_rt::abi::filter::Atom;
use exos_rt::abi::network::MESSAGE_MAX;
use exos_rt::abi::revocation::{DEADLINE_MIN, ENTRIES, FILTERS, HANDLERS};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::ash::{Handler, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::environment::spawn;
use exos_rt::net::{Endpoint, filters, send};
use exos_rt::shared::Shared;
use exos_rt::{memory, println, program, public, revocation};
use net::cable::{AS_IT_IS, PEER, TYPE};
use net::{DATA, Question, address, byte_at, filter, header, longest_filter, obstruct};

const NORMAL: u32 = NORMAL_START + 0x100_0000;

static DONE: Shared<u32> = Shared::new(0);
static NUMBERS: Shared<(u32, u32)> = Shared::new((0, 0));

/// Installs a filter, and leaves it; its number.
fn insert(atoms: &[Atom]) -> Result<u32, Error> {
    let frame = memory::allocate().unwrap();
    call::filter_insert(frame, atoms, NO_CAPABILITY).inspect_err(|_| {
        // SAFETY: it was not used.
        unsafe { call::frame_free(frame).unwrap() };
    })
}

fn map_all_over(frame: u32) {
    for page in 0..80 {
        let address = NORMAL + page * 37 * PAGE_BYTES;
        // SAFETY: nothing is there that is used.
        unsafe { call::tlb_write(address, frame << PAGE_SHIFT | entry_lo::VALID, NO_CAPABILITY).unwrap() };
    }
}

/// Removes a filter, whose frame is mapped all over.
fn remove(number: u32) {
    let frame = public::filter(number).frame;
    map_all_over(frame);
    call::filter_remove(number).unwrap();
    // SAFETY: nothing uses it.
    unsafe { call::frame_free(frame).unwrap() };
}

/// As many steps as a filter may have, with neither bytes nor atoms in order, each atom two steps. At 204 there is `last`.
fn long(last: u32) -> [Atom; 6] {
    core::array::from_fn(|n| match n {
        5 => Atom::equal(204, 8, last),
        n => Atom::equal(8 * (4 - n as u32), 32, 0x0102_0304 + n as u32),
    })
}

/// Has filters that others' proofs have to look at.
extern "C" fn in_the_way(_: u32) -> ! {
    for n in 0..12 {
        insert(&[Atom::equal(208 + 2 * n, 8, 1), Atom::equal(400, 8, 2)]).unwrap();
    }
    DONE.set(1);
    loop {
        call::wait(None);
    }
}

fn insertions() {
    for _ in 0..3 {
        let number = insert(&long(1)[1..]).unwrap();
        remove(number);
        // A node with one value more each time.
        let mut numbers = [0; 80];
        for (n, number) in (0..).zip(&mut numbers) {
            *number = insert(&[Atom::equal(12, 16, DATA.into()), Atom::equal(20, 32, 77 * n)]).unwrap();
        }
        numbers.into_iter().for_each(remove);
        for n in 0..40 {
            numbers[n as usize] = insert(&[Atom::equal(12, 16, DATA.into()), Atom::equal(20, 8, n)]).unwrap();
        }
        numbers[..40].iter().for_each(|&number| remove(number));
        let (id, control): (EnvId, _) = spawn(in_the_way, 0, Some(40)).unwrap();
        while DONE.get() == 0 {
            call::yield_slice();
        }
        DONE.set(0);
        let mut filter = long(1);
        filter[0] = Atom::equal(400, 8, 1);
        match insert(&filter[..5]) {
            Ok(number) => remove(number),
            Err(error) => assert_eq!(error, Error::Denied),
        }
        call::env_destroy(id, control).unwrap();
        // Buries the dead.
        let number = insert(&long(1)[1..]).unwrap();
        remove(number);
        assert_eq!(filters().count(), 0);
    }
}

/// Has filters and a handler, mapped all over, and loses them.
extern "C" fn loses(_: u32) -> ! {
    let endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 1).unwrap();
    let region = Region::new(endpoint.number(), 4096).unwrap();
    let none = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];
    let handler = [jr(R::RA), nop()];
    Handler::install(&region, &handler, 0, none).unwrap();
    for _ in 0..2 {
        for entry in 0..ENTRIES {
            let _ = revocation::back(0, 0, NO_CAPABILITY);
            if entry == ENTRIES - 1 {
                revocation::clear(entry);
            }
        }
    }
    let long = insert(&long(1)[1..]).unwrap();
    for frame in [public::filter(long).frame, endpoint.installed().handler, endpoint.installed().handler + 1] {
        map_all_over(frame);
    }
    NUMBERS.set((endpoint.number(), long));
    loop {
        call::wait(None);
    }
}

fn by_force() {
    for _ in 0..3 {
        NUMBERS.set((0, 0));
        let (id, control) = spawn(loses, 0, Some(40)).unwrap();
        while NUMBERS.get() == (0, 0) {
            call::yield_slice();
        }
        let (handled, long) = NUMBERS.get();
        for kind in [FILTERS, HANDLERS] {
            call::revoke(id, authority(), kind, 2, DEADLINE_MIN).unwrap();
        }
        pass(DEADLINE_MIN);
        call::handler_repossess(handled, authority()).unwrap();
        call::filter_repossess(long, authority()).unwrap();
        call::filter_repossess(handled, authority()).unwrap();
        call::env_destroy(id, control).unwrap();
    }
}

fn messages() {
    let mut endpoint = Endpoint::open(&longest_filter(), NO_CAPABILITY, 30).unwrap();
    let asking = Endpoint::open(&filter(TYPE, 7), NO_CAPABILITY, 1).unwrap();
    obstruct();
    let template = header(address(), PEER, DATA, 7);
    for (bytes, flags) in [(MESSAGE_MAX as u16, 0), (500, 0), (20, 0), (10, AS_IT_IS), (1515, 0), (4096, 0)] {
        Question { byte: 7, flags, count: 60, bytes, number_at: 0 }.ask(&template).unwrap();
        let end = public::ticks() + 12;
        while endpoint.wait(Some(end)) {
            endpoint.receive(|_| ());
        }
    }
    // The longest message, at an odd address; and others that are refused as late as can be.
    let mut message = [0; MESSAGE_MAX as usize + 1];
    (1..).zip(&mut message[1..]).for_each(|(n, byte)| *byte = byte_at(n - 1));
    message[1..16].copy_from_slice(&header(PEER, address(), DATA, 7));
    for _ in 0..4 {
        send(&message[1..]).unwrap();
    }
    message[49] ^= 2;
    assert_eq!(send(&message[1..]), Err(Error::Denied));
    message[13..15].copy_from_slice(&0x0800_u16.to_be_bytes());
    message[15] = 0x4f;
    assert_eq!(send(&message[1..]), Err(Error::Denied));
    asking.close();
    endpoint.close();
}

fn main() {
    insertions();
    by_force();
    messages();
    println!("{}: all done", program::name());
}
