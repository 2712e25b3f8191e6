//! What a handler, a filter and a ring work on is taken by force while a flood of messages keeps them at it: each frame of a
//! region and of its guard, the handler, the filter with it, a buffer, a ring. What is taken is somebody else's at once, who
//! writes something there that no message changes any more; the counters of messages come out even, and nothing is left over.
//@ network: peer
//@ run: hostile_region aegis_witness
//@ ignore-machine: gxemul it loses what comes too fast without a word
//@ expect: hostile_region: 16 frames taken in floods, and no message changed one
//@ expect: hostile_region: nothing is left over
//@ expect: aegis_witness: undisturbed
//@ timeout: 120

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;
#[path = "../net.rs"]
mod net;

use aegis_codegen::Register as R;
use aegis_codegen::encode::*;
use claim::{authority, census, pass, take_a_step, until_witness_is_ready};
use exos_rt::abi::ash::{CONSUMED, SETS, Set};
use exos_rt::abi::network::{DESCRIPTORS, Descriptor, Interface};
use exos_rt::abi::revocation::{DEADLINE_MIN, FILTERS, FRAMES, HANDLERS};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::ash::{Handler, Region};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::environment::spawn;
use exos_rt::net::{Endpoint, filters};
use exos_rt::shared::Shared;
use exos_rt::{memory, println, public};
use net::cable::{PEER, TYPE};
use net::{DATA, PATIENCE, Question, address, filter, header};

const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// The child's region, and with its guard.
const REGION_BYTES: u32 = 2 * PAGE_BYTES;
const REGION_FRAMES: u32 = 3;
/// Where the child maps its frames here and there, where it has its ring, and where what is taken is mapped by who has it next.
const ALL_OVER: u32 = NORMAL_START + 0x10_0000;
const RING: u32 = 0x2400_0000;
const NEXT: u32 = 0x2480_0000;
/// Messages that must come while something is looked at.
const SOME: u32 = 24;
const FLOOD: Question = Question { byte: 9, flags: 0, count: 400, bytes: 60, number_at: 0 };

/// The child's filter, the frame of its filter, the first ones of its handler and of its region, its ring and its buffer.
static NUMBER: Shared<u32> = Shared::new(0);
static FILTER: Shared<u32> = Shared::new(0);
static HANDLER: Shared<u32> = Shared::new(0);
static REGION: Shared<u32> = Shared::new(0);
static RINGS: Shared<u32> = Shared::new(0);
static BUFFER: Shared<u32> = Shared::new(0);
static READY: Shared<bool> = Shared::new(false);
/// Frames that were taken.
static TAKEN: Shared<u32> = Shared::new(0);

/// Has a handler that writes all over region and guard, or, `without` one, a ring all of whose places name one buffer. It
/// heeds nothing.
extern "C" fn victim(without: u32) -> ! {
    let endpoint = Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 1).unwrap();
    NUMBER.set(endpoint.number());
    FILTER.set(public::filter(endpoint.number()).frame);
    if without == 0 {
        let region = Region::new(endpoint.number(), REGION_BYTES).unwrap();
        let mut words = [nop(); 32];
        words[..3].copy_from_slice(&[lw(R::T0, 0, R::GP), nop(), addiu(R::T0, R::T0, 1)]);
        for (word, n) in words[3..27].iter_mut().zip(0..) {
            *word = sw(R::T0, 512 * n, R::GP);
        }
        words[27..29].copy_from_slice(&[jr(R::RA), addiu(R::V0, R::ZERO, CONSUMED as i16)]);
        let none = [Set { pipes: [0; 4], own: 0, own_words: 0 }; SETS];
        Handler::install(&region, &words[..29], 0, none).unwrap();
        HANDLER.set(endpoint.installed().handler);
        REGION.set(region.first());
        for frame in region.first()..region.first() + REGION_FRAMES {
            all_over(frame);
        }
    } else {
        let [ring, buffer] = [0; 2].map(|_: u32| memory::allocate().unwrap());
        // SAFETY: the frames are new, and nothing else is there.
        unsafe {
            call::env_map(call::self_id(), NO_CAPABILITY, RING, ring << PAGE_SHIFT | entry_lo::DIRTY, 1).unwrap();
            for place in 0..DESCRIPTORS {
                let descriptor = Descriptor { buffer: buffer << PAGE_SHIFT, length: 0 };
                (RING as *mut Descriptor).add(place as usize).write_volatile(descriptor);
            }
        }
        all_over(buffer);
        call::filter_ring(endpoint.number(), ring).unwrap();
        RINGS.set(ring);
        BUFFER.set(buffer);
    }
    READY.set(true);
    loop {
        call::wait(None);
    }
}

/// Maps a frame in some places, so that it takes several calls to take it.
fn all_over(frame: u32) {
    for page in 0..8 {
        let address = ALL_OVER + page * 37 * PAGE_BYTES;
        // SAFETY: nothing is there that is used.
        unsafe { call::tlb_write(address, frame << PAGE_SHIFT | RIGHTS, NO_CAPABILITY).unwrap() };
    }
}

/// Has messages come until something is so. Any number of a burst may be lost, so it is asked for again.
fn flood_until(what: &str, done: impl Fn(&Interface) -> bool) {
    flood_since(public::interface(), what, done);
}

/// The same, of what has been counted since `before`.
fn flood_since(before: Interface, what: &str, done: impl Fn(&Interface) -> bool) {
    let end = public::ticks() + PATIENCE;
    let mut last = (before.received.wrapping_sub(1), public::ticks());
    loop {
        let now = net::since(before);
        if done(&now) {
            return;
        }
        assert!(public::ticks() < end, "{what}: {now:?}");
        if now.received != last.0 {
            last = (now.received, public::ticks());
        } else if public::ticks() > last.1 + 2 {
            FLOOD.ask(&header(address(), PEER, DATA, 7)).unwrap();
            last.1 = public::ticks();
        }
    }
}

/// Takes a frame of the child's in a flood, and has it: no message changes it any more.
fn take(frame: u32) {
    loop {
        match take_a_step(frame, authority()) {
            Err(Error::Again) => flood_until("between two steps", |counted| counted.received > 1),
            result => break result.unwrap(),
        }
    }
    call::frame_allocate(frame).unwrap();
    let at = NEXT + TAKEN.get() * PAGE_BYTES;
    let words = (0..PAGE_BYTES).step_by(4).map(|offset| (at + offset) as *mut u32);
    // SAFETY: the frame is this program's, and nothing else is there.
    unsafe {
        call::env_map(call::self_id(), NO_CAPABILITY, at, frame << PAGE_SHIFT | entry_lo::DIRTY, 1).unwrap();
        for word in words.clone() {
            assert_eq!(word.read_volatile(), 0, "frame {frame} was another's");
            word.write_volatile(!(word as u32));
        }
    }
    TAKEN.add(1);
    flood_until("behind it", |counted| counted.received >= SOME);
    for word in words {
        // SAFETY: as above.
        assert_eq!(unsafe { word.read_volatile() }, !(word as u32), "frame {frame} was changed");
    }
    // SAFETY: nothing of it is used any more.
    unsafe {
        call::env_unmap(call::self_id(), NO_CAPABILITY, at).unwrap();
        call::frame_free(frame).unwrap();
    }
}

/// What a child has is taken by `force` while messages come for it, of kinds of which so many are demanded first.
fn flooded(without: u32, demands: &[(u32, u32)], force: impl FnOnce(EnvId)) {
    READY.set(false);
    let (started, statistics) = (public::interface(), public::statistics());
    let taken = TAKEN.get();
    let position = public::position();
    let free = (2..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0);
    let (id, control) = spawn(victim, without, free).unwrap();
    while !READY.get() {
        call::yield_slice();
    }
    for &(kind, count) in demands {
        call::revoke(id, authority(), kind, count, DEADLINE_MIN).unwrap();
    }
    pass(DEADLINE_MIN);
    // Of what was asked for before, and comes late, a ring may be full already.
    let before = if without == 0 { public::interface() } else { started };
    flood_since(before, "it gets none", |counted| counted.handled + counted.delivered >= SOME);
    force(id);
    // Nothing is counted twice, or not at all.
    let counted = net::counted_in_quiet(started);
    let whole = counted.handled + counted.delivered + counted.dropped + counted.unclaimed;
    assert_eq!(counted.received, whole, "{counted:?}");
    let frames = public::statistics().frames_repossessed - statistics.frames_repossessed;
    assert_eq!(frames, TAKEN.get() - taken);
    claim::end(id, control);
    // Buries the dead.
    Endpoint::open(&filter(DATA, 7), NO_CAPABILITY, 1).unwrap().close();
    assert_eq!(filters().count(), 1);
}

/// The handler that the child's filter has.
fn handler() -> u32 {
    exos_rt::net::installed(FILTER.get()).handler
}

fn main() {
    until_witness_is_ready();
    let asking = Endpoint::open(&filter(TYPE, 9), NO_CAPABILITY, 1).unwrap();
    let mut after_one = None;
    // A frame of the region, the guard's among them: with it the handler goes, and the filter goes on.
    for n in 0..REGION_FRAMES {
        flooded(0, &[(FRAMES, 1)], |_| {
            assert_ne!(handler(), 0);
            take(REGION.get() + n);
            let before = public::interface();
            flood_until("it is there no more", |counted| counted.delivered + counted.dropped >= SOME);
            assert_eq!((handler(), net::since(before).handled), (0, 0), "frame {n}");
        });
        let now = census();
        assert_eq!(*after_one.get_or_insert(now), now);
    }
    // The handler, then what it was in and what it worked on.
    flooded(0, &[(HANDLERS, 1), (FRAMES, 5)], |_| {
        call::handler_repossess(NUMBER.get(), authority()).unwrap();
        let before = public::interface();
        (HANDLER.get()..HANDLER.get() + 2).chain(REGION.get()..REGION.get() + REGION_FRAMES).for_each(take);
        assert_eq!((handler(), net::since(before).handled), (0, 0));
    });
    // The filter, and with it the handler; then all three, and the region.
    flooded(0, &[(FILTERS, 1), (FRAMES, 6)], |_| {
        let frame = FILTER.get();
        call::filter_repossess(NUMBER.get(), authority()).unwrap();
        let before = public::interface();
        let frames = (HANDLER.get()..HANDLER.get() + 2).chain(REGION.get()..REGION.get() + REGION_FRAMES);
        frames.chain([frame]).for_each(take);
        let counted = net::since(before);
        assert_eq!((counted.handled, counted.delivered, counted.dropped), (0, 0, 0), "it is nobody's any more");
    });
    // The buffer, and then the ring, which names nothing else.
    flooded(1, &[(FRAMES, 2)], |_| {
        let before = public::interface();
        take(BUFFER.get());
        flood_until("none is lost", |counted| counted.dropped >= SOME);
        let delivered = net::since(before).delivered;
        take(RINGS.get());
        assert_eq!(net::since(before).delivered, delivered, "where to?");
    });
    println!("hostile_region: {} frames taken in floods, and no message changed one", TAKEN.get());
    assert_eq!(Some(census()), after_one);
    asking.close();
    println!("hostile_region: nothing is left over");
}
