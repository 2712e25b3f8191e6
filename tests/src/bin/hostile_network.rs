//! What is not a program's it gets no messages of, and sends none in another's name: every argument of every call, rings
//! that lie, buffers that are freed, filters that overlap, all filters that there are, and an owner who dies.
//@ network: peer
//@ expect: hostile_network: nobody got what is another's

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../net.rs"]
mod net;

use exos_rt::abi::filter::{ATOMS_MAX, Atom};
use exos_rt::abi::frame::{COUNT, PUBLIC};
use exos_rt::abi::network::{Descriptor, FILTERS, MESSAGE_MAX};
use exos_rt::abi::vm::{PAGE_SHIFT, SAVE_PAGE, entry_lo};
use exos_rt::abi::{Error, call as number};
use exos_rt::call::{self, NO_CAPABILITY, filter_insert, filter_remove, filter_ring, network_send};
use exos_rt::environment::spawn;
use exos_rt::net::{Endpoint, filters};
use exos_rt::shared::Shared;
use exos_rt::{memory, println, public};
use net::cable::{PEER, TYPE};
use net::{DATA, Question, address, filter, header};

const PINNED: u32 = 0x2400_0000;

static VICTIM: Shared<u32> = Shared::new(0);
static TAKEN: Shared<u32> = Shared::new(0);

/// Has a filter, and messages in its ring that it never takes.
extern "C" fn victim(_: u32) -> ! {
    let endpoint = Endpoint::open(&filter(DATA, 66), NO_CAPABILITY, 2).unwrap();
    VICTIM.set(endpoint.number());
    loop {
        call::wait(None);
    }
}

fn raw(number: u32, arguments: [u32; 4]) -> Result<u32, Error> {
    let [a0, a1, a2, a3] = arguments;
    loop {
        // SAFETY: none of the calls of this program reaches its memory but through a pointer that is to be refused.
        match call::check(unsafe { call::raw(a0, a1, a2, a3, number) }) {
            Err(Error::Again) => {}
            result => return result,
        }
    }
}

fn arguments(frame: u32) {
    let good = filter(DATA, 1);
    // Pointers and lengths.
    for pointer in [0, 1, 0x8000_0000, 0xffff_fff0, 0x3000_0000, good.as_ptr() as u32 + 1] {
        assert_eq!(raw(number::FILTER_INSERT, [frame, pointer, 2, 0]), Err(Error::BadPointer), "{pointer:#x}");
        if pointer != good.as_ptr() as u32 + 1 {
            assert_eq!(raw(number::NETWORK_SEND, [pointer, 60, 0, 0]), Err(Error::BadPointer), "{pointer:#x}");
        }
    }
    let pointer = good.as_ptr() as u32;
    for count in [0, ATOMS_MAX as u32 + 1, u32::MAX, 0x1000_0002] {
        assert_eq!(raw(number::FILTER_INSERT, [frame, pointer, count, 0]), Err(Error::BadArgument), "{count}");
    }
    for bytes in [0, 13, MESSAGE_MAX + 1, u32::MAX] {
        assert_eq!(raw(number::NETWORK_SEND, [pointer, bytes, 0, 0]), Err(Error::BadArgument), "{bytes}");
    }
    // Frames: none, the kernel's, everybody's, the save page, one that is mapped, nobody's.
    let insert = |frame| filter_insert(frame, &good, NO_CAPABILITY);
    assert_eq!(insert(COUNT as u32), Err(Error::BadArgument));
    assert_eq!(insert(u32::MAX), Err(Error::BadArgument));
    assert_eq!(insert(0), Err(Error::Denied));
    assert_eq!(insert(public::frame_table() >> PAGE_SHIFT), Err(Error::Denied));
    let mine = |address: u32| {
        // SAFETY: it is mapped, and is only read.
        unsafe { (address as *const u32).read_volatile() };
        call::tlb_probe(address).expect("it was just read") >> PAGE_SHIFT
    };
    assert_eq!(insert(mine(SAVE_PAGE)), Err(Error::Busy));
    assert_eq!(insert(mine(&raw const VICTIM as u32)), Err(Error::Busy));
    let free = (0..public::frames()).find(|&frame| memory::frame(frame).owner == 0).unwrap();
    assert_eq!(insert(free), Err(Error::Denied));
    // What is no filter.
    for atom in [
        Atom { kind: 0, ..good[0] },
        Atom { kind: 5, ..good[0] },
        Atom { reserved: 1, ..good[0] },
        Atom::equal(u32::MAX, 8, 0),
        Atom::equal(0, 24, 0),
        Atom::equal(0, 8, 256),
        Atom::shift(14),
    ] {
        assert_eq!(filter_insert(frame, &[atom], NO_CAPABILITY), Err(Error::BadArgument), "{atom:?}");
    }
    // Too many steps.
    let long: [Atom; 12] = core::array::from_fn(|n| Atom::equal(100 + 8 * n as u32, 8, 1));
    assert_eq!(filter_insert(frame, &long, NO_CAPABILITY), Err(Error::BadArgument));
    // Numbers of filters.
    for number in [0, FILTERS as u32, u32::MAX, 0x1_0000 + VICTIM.get()] {
        assert_eq!(filter_remove(number), Err(Error::BadArgument), "{number}");
        assert_eq!(filter_ring(number, 0), Err(Error::BadArgument), "{number}");
    }
    assert_eq!(filter_remove(VICTIM.get()), Err(Error::Denied));
    assert_eq!(filter_ring(VICTIM.get(), 0), Err(Error::Denied));
    assert_eq!(memory::frame(frame).owner, call::self_id().0, "nothing of this took it");
}

/// What another's filter accepts, in whole or in part, is refused.
fn overlaps(frame: u32, control: exos_rt::abi::frame::Capability) {
    for atoms in [
        &filter(DATA, 66)[..],
        &[Atom::equal(12, 16, DATA.into())],
        &[Atom::equal(14, 8, 66)],
        &[Atom::masked(14, 8, 2, 2)],
        &[Atom::equal(12, 16, DATA.into()), Atom::equal(14, 8, 66), Atom::equal(30, 32, 5)],
        &[Atom::shift_by(14, 8, 15, 2), Atom::equal(0, 8, 5)],
    ] {
        let error = filter_insert(frame, atoms, NO_CAPABILITY).unwrap_err();
        assert!(matches!(error, Error::Denied | Error::Busy), "{error:?}");
    }
    // Unless that one allows it.
    let narrow = [Atom::equal(12, 16, DATA.into()), Atom::equal(14, 8, 66), Atom::equal(30, 32, 5)];
    let number = filter_insert(frame, &narrow, control).unwrap();
    assert_eq!(memory::frame(frame).owner, PUBLIC);
    filter_remove(number).unwrap();
    call::frame_renew(frame).unwrap();
}

/// Messages that are not in this program's name.
fn forgeries() {
    let refused = |change: &dyn Fn(&mut [u8; 100])| {
        let mut message = [0; 100];
        message[..15].copy_from_slice(&header(PEER, address(), DATA, 1));
        change(&mut message);
        assert_eq!(network_send(&message), Err(Error::Denied), "{:x?}", &message[..44]);
    };
    let kind = |message: &mut [u8; 100], kind: u16| message[12..14].copy_from_slice(&kind.to_be_bytes());
    // Another's filter, no filter at all, another's address.
    refused(&|message| message[14] = 66);
    refused(&|message| message[14] = 99);
    for at in 6..12 {
        refused(&|message| message[at] ^= 1);
    }
    // ARP that names another's station, or is cut off.
    let arp =
        Endpoint::open(&[Atom::equal(12, 16, 0x806), Atom::equal(38, 32, 0x0a00_0001)], NO_CAPABILITY, 1).unwrap();
    let request = |message: &mut [u8; 100]| {
        kind(message, 0x806);
        message[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
        message[22..28].copy_from_slice(&address());
        message[28..32].copy_from_slice(&[10, 0, 0, 1]);
    };
    refused(&|message| {
        request(message);
        message[27] ^= 1;
    });
    refused(&|message| {
        request(message);
        message[31] = 2;
    });
    let mut message = [0; 100];
    message[..15].copy_from_slice(&header(PEER, address(), DATA, 1));
    request(&mut message);
    assert_eq!(network_send(&message), Ok(()));
    assert_eq!(network_send(&message[..41]), Err(Error::Denied), "cut off");
    // UDP from another's port, a later part of a datagram, headers that lie about their length.
    let udp =
        [Atom::equal(12, 16, 0x800), Atom::equal(23, 8, 17), Atom::shift_by(14, 8, 15, 2), Atom::equal(16, 16, 7)];
    let udp = Endpoint::open(&udp, NO_CAPABILITY, 1).unwrap();
    let datagram = |message: &mut [u8; 100]| {
        kind(message, 0x800);
        message[14] = 0x45;
        message[23] = 17;
        message[34..38].copy_from_slice(&[0, 7, 0, 9]);
    };
    for change in [
        &(|message: &mut [u8; 100]| message[35] = 8) as &dyn Fn(&mut [u8; 100]),
        &|message| message[23] = 6,
        &|message| message[21] = 1,
        &|message| message[20] = 0x1f,
        &|message| message[14] = 0x44,
        &|message| message[14] = 0x55,
        &|message| message[14] = 0x4f,
    ] {
        refused(&|message| {
            datagram(message);
            change(message);
        });
    }
    message = [0; 100];
    message[..15].copy_from_slice(&header(PEER, address(), DATA, 1));
    datagram(&mut message);
    assert_eq!(network_send(&message), Ok(()));
    message[20] = 0x20;
    assert_eq!(network_send(&message), Ok(()), "the first part of more");
    assert_eq!(network_send(&message[..37]), Err(Error::Denied), "cut off");
    // A later part has no port: it is sent by who has a filter for just such parts.
    let part = [Atom::equal(12, 16, 0x800), Atom::masked(20, 16, 0x1fff, 185), Atom::equal(26, 32, 0x0a00_0002)];
    let part = Endpoint::open(&part, NO_CAPABILITY, 1).unwrap();
    message[20..22].copy_from_slice(&185_u16.to_be_bytes());
    message[30..34].copy_from_slice(&[10, 0, 0, 2]);
    assert_eq!(network_send(&message), Ok(()), "a later part");
    assert_eq!(network_send(&message[..34]), Ok(()), "one of nothing");
    message[33] = 3;
    assert_eq!(network_send(&message), Err(Error::Denied), "of a datagram for another");
    message[33] = 2;
    message[21] ^= 1;
    assert_eq!(network_send(&message), Err(Error::Denied), "another part");
    part.close();
    arp.close();
    udp.close();
}

/// Asks for a message of this program's, and lets it come.
fn ask(count: u32) {
    let question = Question { byte: 7, flags: 0, count, bytes: 1000, number_at: 0 };
    let before = public::interface();
    question.ask(&header(address(), PEER, DATA, 1)).unwrap();
    net::until("none comes", || net::since(before).received + net::since(before).missed >= count);
}

/// A ring that this program writes as it likes: nothing is written where it is not the owner's.
fn rings(frame: u32, victims: u32) {
    let me = call::self_id();
    let number = filter_insert(frame, &filter(DATA, 1), NO_CAPABILITY).unwrap();
    let run = memory::allocate_run(3, 1).unwrap();
    let [ring, buffer, freed] = [run, run + 1, run + 2];
    // SAFETY: nothing else is at that address.
    unsafe { call::env_map(me, NO_CAPABILITY, PINNED, ring << PAGE_SHIFT | entry_lo::DIRTY, 2).unwrap() };
    let descriptors = PINNED as *mut Descriptor;
    let dropped = |expected| {
        let before = public::interface();
        ask(1);
        let counted = net::since(before);
        assert_eq!((counted.dropped, counted.delivered), if expected { (1, 0) } else { (0, 1) });
    };
    let offer = |buffer, length| {
        // SAFETY: the ring is mapped there, and is this program's. All descriptors say the same.
        (0..512).for_each(|n| unsafe { descriptors.add(n).write_volatile(Descriptor { buffer, length }) });
    };
    dropped(true);
    filter_ring(number, ring).unwrap();
    dropped(true);
    let save = call::tlb_probe(SAVE_PAGE).map_or(0, |word| word & entry_lo::FRAME);
    let public_page = public::frame_table();
    for bad in [
        0,
        1,
        (buffer << PAGE_SHIFT) + 1024,
        (buffer << PAGE_SHIFT) + 2,
        save,
        public_page,
        0x8000_0000 + (buffer << PAGE_SHIFT),
        !2047,
        victims << PAGE_SHIFT,
        0x5_0000,
        public::frames() << PAGE_SHIFT,
    ] {
        offer(bad, 0);
        dropped(true);
    }
    offer(buffer << PAGE_SHIFT, 1);
    dropped(true);
    offer(buffer << PAGE_SHIFT, 0);
    dropped(false);
    // A buffer that is freed while the ring names it.
    offer((freed << PAGE_SHIFT) + 2048, 0);
    // SAFETY: it is mapped nowhere.
    unsafe { call::frame_free(freed).unwrap() };
    dropped(true);
    call::frame_allocate(freed).unwrap();
    dropped(false);
    // And the ring itself.
    offer(buffer << PAGE_SHIFT, 0);
    // SAFETY: nobody uses what it maps any more.
    unsafe {
        call::env_unmap(me, NO_CAPABILITY, PINNED).unwrap();
        call::frame_free(ring).unwrap();
    }
    dropped(true);
    call::frame_allocate(ring).unwrap();
    dropped(true);
    filter_remove(number).unwrap();
    call::frame_renew(frame).unwrap();
    for frame in [ring, buffer, freed] {
        // SAFETY: nothing uses them.
        unsafe { call::frame_free(frame).unwrap() };
    }
}

/// Takes all filters that there are.
extern "C" fn takes_all(_: u32) -> ! {
    for kind in 0x9000.. {
        let frame = memory::allocate().unwrap();
        match filter_insert(frame, &[Atom::equal(12, 16, kind)], NO_CAPABILITY) {
            Ok(_) => TAKEN.add(1),
            Err(error) => {
                assert_eq!(error, Error::Full);
                break;
            }
        }
    }
    VICTIM.set(0);
    loop {
        call::wait(None);
    }
}

/// When there are no more filters those that there are get their messages, and when their owner is dead others may have them.
fn exhaustion() {
    let (before, victim) = (filters().count(), VICTIM.get());
    let mut mine = Endpoint::open(&filter(DATA, 1), NO_CAPABILITY, 2).unwrap();
    let position = public::position();
    let free = (1..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0);
    let (id, control) = spawn(takes_all, 0, free).unwrap();
    while VICTIM.get() != 0 {
        call::yield_slice();
    }
    VICTIM.set(victim);
    assert_eq!((TAKEN.get(), filters().count()), ((FILTERS - 2 - before) as u32, FILTERS - 1));
    assert_eq!(Endpoint::open(&filter(DATA, 2), NO_CAPABILITY, 1).err(), Some(Error::Full));
    while mine.receive(|_| ()).is_none() {
        ask(1);
    }
    call::env_destroy(id, control).unwrap();
    // Buries the dead.
    Endpoint::open(&filter(DATA, 2), NO_CAPABILITY, 1).unwrap().close();
    mine.close();
    assert_eq!(filters().count(), before);
}

fn main() {
    let (id, control) = spawn(victim, 0, Some((public::position() + 1) % 64)).unwrap();
    while VICTIM.get() == 0 {
        call::yield_slice();
    }
    let frame = memory::allocate().unwrap();
    let victims = (0..public::frames()).find(|&frame| memory::frame(frame).owner == id.0).unwrap();
    let asking = Endpoint::open(&filter(TYPE, 7), NO_CAPABILITY, 1).unwrap();
    arguments(frame);
    overlaps(frame, control);
    forgeries();
    rings(frame, victims);
    exhaustion();
    // The victim dies with messages in its ring and others on their way.
    let before = public::interface();
    let question = Question { byte: 7, flags: 0, count: 20, bytes: 1000, number_at: 0 };
    question.ask(&header(address(), PEER, DATA, 66)).unwrap();
    while net::since(before).received < 5 {
        call::yield_slice();
    }
    call::env_destroy(id, control).unwrap();
    while net::since(before).received < 20 {
        call::yield_slice();
    }
    let counted = net::since(before);
    assert_eq!(counted.delivered, 2, "as many as it had buffers");
    assert_eq!(counted.unclaimed + counted.dropped, 18);
    // Its filter is gone, and this program may have it.
    let number = filter_insert(frame, &filter(DATA, 66), NO_CAPABILITY).unwrap();
    filter_remove(number).unwrap();
    assert_eq!(filters().count(), 1);
    asking.close();
    println!("hostile_network: nobody got what is another's");
}
