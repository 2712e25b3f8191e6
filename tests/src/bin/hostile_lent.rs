//! What is taken while a transfer is under way: the very slice that the callee is lent, a page that its caller uses, and in
//! the end all that the callee has, by itself, as it serves. Whoever has the right may do that; the answers arrive all the
//! same, and nobody's else is touched.
//@ run: hostile_lent aegis_witness
//@ verdict: fail
//@ expect: hostile_lent: fault: store to an unmapped page
//@ expect: hostile_lent: 1 slice and 2 frames taken in 2 transfers that were answered; who took all from itself is gone
//@ expect: aegis_witness: undisturbed
//@ timeout: 60

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

#[path = "../attempt.rs"]
mod attempt;
#[path = "../claim.rs"]
mod claim;
#[path = "../server.rs"]
mod server;

use attempt::{load, store};
use claim::{authority, census, pass, until_witness_is_ready};
use exos_rt::abi::EnvId;
use exos_rt::abi::frame::{Capability, FREE};
use exos_rt::abi::revocation::{DEADLINE_MIN, EMERGENCY, FRAMES, SLICES};
use exos_rt::abi::vm::{NORMAL_START, PAGE_SHIFT, entry_lo};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public, transfer};
use server::Server;

const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
const HERE: u32 = NORMAL_START + 0x10_0000;
/// What the server answers.
const SERVED: u64 = 0x1234_5678_9abc_def0;

/// What a call asks of the server: to take the slice in which it serves, a frame of its caller's, all of its own.
const SLICE: u32 = 0;
const FRAME: u32 = 1;
const ALL: u32 = 2;

static TAG: Shared<(u32, u32)> = Shared::new((0, 0));
static TAKEN: Shared<u32> = Shared::new(0);

extern "C" fn serve(what: u32, name: u32, own: u32, _: u32, _: EnvId) -> u64 {
    let (low, high) = TAG.get();
    let tag = Capability([low, high]);
    let me = call::self_id();
    match what {
        SLICE => {
            // Until the slice is lent to it for longer than this instance.
            while public::slice(name).runner != me.0 {}
            TAKEN.add(u32::from(call::slice_repossess(name, tag).is_ok()));
        }
        FRAME => {
            TAKEN.add(u32::from(call::frame_repossess(name, tag).is_ok()));
            TAKEN.add(u32::from(call::frame_repossess(own, tag).is_ok()));
        }
        _ => {
            let page = memory::allocate().unwrap();
            // SAFETY: the frame is new, and nothing else is there.
            unsafe {
                call::tlb_write(HERE, page << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY).unwrap();
                (HERE as *mut u32).write_volatile(1);
            }
            for frame in 0..public::frames() {
                if memory::frame(frame).owner == me.0 {
                    // Its save page stays.
                    let _ = call::frame_repossess(frame, tag);
                }
            }
            // SAFETY: what is there is the program's; it is gone.
            unsafe { (HERE as *mut u32).write_volatile(2) };
        }
    }
    SERVED
}

fn main() {
    until_witness_is_ready();
    let me = call::self_id();
    let Capability([low, high]) = authority();
    TAG.set((low, high));
    let server = Server::start(serve);
    let at_first = census();
    call::slice_allocate(32).unwrap();

    // A page of this program's, and one of the server's.
    let mine = memory::allocate().unwrap();
    let given = memory::allocate().unwrap();
    // SAFETY: the frames are new, and nothing else is there.
    unsafe {
        call::tlb_write(HERE, mine << PAGE_SHIFT | RIGHTS, call::NO_CAPABILITY).unwrap();
        store(HERE, 1).unwrap();
        call::frame_give(given, server.id).unwrap();
    }
    for (id, what) in [(me, SLICES), (me, FRAMES), (server.id, FRAMES)] {
        call::revoke(id, authority(), what, 1, DEADLINE_MIN).unwrap();
    }
    pass(DEADLINE_MIN);

    let position = public::position();
    assert_eq!(transfer::call(server.id, [SLICE, position, 0, 0]), Ok(SERVED));
    assert_eq!((TAKEN.get(), public::slice(position).owner, public::slice(position).runner), (1, 0, 0));
    assert_eq!(public::slices_of(me).count(), 1, "the other one");
    assert_eq!(transfer::call(server.id, [FRAME, mine, given, 0]), Ok(SERVED));
    assert_eq!((TAKEN.get(), memory::frame(mine).owner, memory::frame(given).owner), (3, FREE, FREE));
    assert!(load(HERE).is_err(), "it is still mapped");

    // A server that takes all from itself, while it serves.
    call::revoke(server.id, authority(), FRAMES | EMERGENCY, 64, DEADLINE_MIN).unwrap();
    pass(DEADLINE_MIN);
    assert!(transfer::call(server.id, [ALL, 0, 0, 0]).is_err());
    assert!(call::wake(server.id).is_err(), "it lives");
    call::yield_slice();
    assert_eq!(public::slices_of(me).count(), 1);
    assert!(public::slices_of(me).all(|position| public::slice(position).runner == me.0));
    let [free, environments, slices] = at_first;
    assert_eq!(census()[1..], [environments - 1, slices - 1], "{free} frames were free at first");
    println!(
        "hostile_lent: 1 slice and 2 frames taken in 2 transfers that were answered; who took all from itself is gone"
    );
}
