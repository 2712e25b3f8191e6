//! The worst that each call can find, so that the model can measure how long it keeps the kernel at most
//! (`cargo exo bounds`, `tools/exo/src/bounds.rs`): all slices owned, and their owners in debt; as many environments as
//! there can be; all guaranteed mappings; frames mapped anywhere; both TLBs full, in every context; the longest of
//! everything that has a length.
//@ run: bounds_calls
//@ expect: bounds_calls: all done
//@ timeout: 200

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
use claim::{authority, pass};
use exos_rt::abi::frame::{Capability, READ, WRITE};
use exos_rt::abi::revocation::{DEADLINE_MIN, ENTRIES, FRAMES, RESERVE, SLICES};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, PROTECT_MAX, entry_lo};
use exos_rt::abi::{EnvId, Error, call as number};
use exos_rt::call::{NO_CAPABILITY, env_map, env_unmap, tlb_write};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, console, memory, println, program, public, revocation, transfer};
use server::Server;

const PINNED: u32 = 0x2400_0000;
const NORMAL: u32 = NORMAL_START + 0x100_0000;
const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// Pages of the largest guaranteed mapping.
const PAGES: u32 = 256;

static TAGS: Shared<[u32; 5]> = Shared::new([0; 5]);

extern "C" fn idle(_: u32) -> ! {
    loop {
        call::wait(None);
    }
}

/// Owns a frame, and shows capabilities for it.
extern "C" fn owner(_: u32) -> ! {
    let frame = memory::allocate().unwrap();
    loop {
        call::frame_renew(frame).unwrap();
        let tags = [READ, WRITE].map(|right| call::capability(frame, right).unwrap().0);
        TAGS.set([frame, tags[0][0], tags[0][1], tags[1][0], tags[1][1]]);
        call::yield_slice();
    }
}

/// Leaves a frame that is mapped all over.
extern "C" fn leaves(_: u32) -> ! {
    let pair = memory::allocate_pair().unwrap();
    for frame in [pair, pair + 1] {
        scatter(frame);
    }
    TAGS.set([pair; 5]);
    call::exit(0)
}

extern "C" fn serve(_: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    0
}

/// Does not give its slice back for a while.
extern "C" fn keeps(ticks: u32) -> ! {
    loop {
        let start = public::ticks();
        // SAFETY: the handler of the runtime is put back.
        while public::ticks() - start < ticks {}
        call::yield_slice();
    }
}

fn raw(number: u32, a0: u32, a1: u32, a2: u32, a3: u32) -> i32 {
    // SAFETY: what it does is what this program wants.
    unsafe { call::raw(a0, a1, a2, a3, number) }
}

/// Maps a frame at many pages, so that it has to be searched for.
fn scatter(frame: u32) {
    for page in 0..80 {
        // SAFETY: nothing is there that is used.
        unsafe { tlb_write(NORMAL + page * 37 * PAGE_BYTES, frame << PAGE_SHIFT | RIGHTS, NO_CAPABILITY).unwrap() };
    }
    store_all(NORMAL, 37, 80);
}

/// Stores to pages.
fn store_all(start: u32, step: u32, pages: u32) {
    for page in 0..pages {
        // SAFETY: nobody uses the frame.
        let _ = unsafe { store(start + page * step * PAGE_BYTES, page | 1) };
    }
}

/// Makes a call until it is done, however often it says that there is more.
fn to_the_end(number: u32, a0: u32, a1: u32) -> i32 {
    loop {
        match raw(number, a0, a1, 0, 0) {
            result if result == Error::Again as i32 => {}
            result => return result,
        }
    }
}

fn frames() {
    for _ in 0..3 {
        let pair = memory::allocate_pair().unwrap();
        for number in [number::FRAME_RENEW, number::FRAME_GIVE, number::FRAME_FREE] {
            scatter(pair);
            assert_eq!(to_the_end(number, pair, call::self_id().0), 0);
        }
        call::frame_allocate(pair).unwrap();
        for frame in [pair, pair + 1] {
            scatter(frame);
        }
        let id = to_the_end(number::ENV_CREATE, pair, 0);
        assert!(id > 0);
        let control = exos_rt::save_page::capability();
        call::env_destroy(EnvId(id as u32), control).unwrap();
        // What the dead have left.
        let (id, _) = spawn(leaves, 0, None).unwrap();
        while call::yield_to(id).is_ok() {}
        let [pair, ..] = TAGS.get();
        for frame in [pair, pair + 1] {
            assert_eq!(to_the_end(number::FRAME_ALLOCATE, frame, 0), 0);
            assert_eq!(to_the_end(number::CAPABILITY, frame, WRITE), 0);
        }
        let id = to_the_end(number::ENV_CREATE, pair, 0);
        let control = exos_rt::save_page::capability();
        call::env_destroy(EnvId(id as u32), control).unwrap();
    }
    for bytes in [0, 1, 4095, 4096] {
        raw(number::ICACHE_FLUSH, 0x30_0001, bytes, 0, 0);
    }
}

fn translation() {
    let me = call::self_id();
    let (other, control) = spawn(owner, 0, None).unwrap();
    let run = memory::allocate_run(PAGES, 1).unwrap();
    let word = |frame: u32| frame << PAGE_SHIFT | RIGHTS;
    for context in [1, 2, 3, 0] {
        // SAFETY: what this program uses is in guaranteed mappings; nothing else is at the addresses.
        unsafe { call::context_switch(context).unwrap() };
        for page in 0..PAGES {
            // SAFETY: as above.
            unsafe { tlb_write(PINNED + page * PAGE_BYTES, word(run + page), NO_CAPABILITY).unwrap() };
        }
    }
    for round in 0..3 {
        // SAFETY: as above.
        unsafe {
            for start in
                (0..).take_while(|n| env_map(me, NO_CAPABILITY, 0x2800_0000 + n * PAGE_BYTES, word(run), 1).is_ok())
            {
                assert!(start < 12);
            }
            env_unmap(me, NO_CAPABILITY, 0x2800_0000).unwrap();
            env_map(me, NO_CAPABILITY, PINNED, word(run), PAGES).unwrap();
            for page in 0..PAGES {
                let _ = load(PINNED + page * PAGE_BYTES);
            }
            for context in [1, 2, 3, 0] {
                call::context_switch(context).unwrap();
                for page in 0..PAGES {
                    let _ = load(PINNED + page * PAGE_BYTES);
                }
            }
            env_unmap(me, NO_CAPABILITY, PINNED).unwrap();
            (1..12).for_each(|n| {
                let _ = env_unmap(me, NO_CAPABILITY, 0x2800_0000 + n * PAGE_BYTES);
            });
        }
        for page in 0..PROTECT_MAX {
            // SAFETY: as above.
            unsafe { tlb_write(NORMAL + page * PAGE_BYTES, word(run + page), NO_CAPABILITY).unwrap() };
        }
        call::tlb_protect(entry_lo::VALID, NORMAL, PROTECT_MAX).unwrap();
        call::tlb_protect(0, NORMAL + 63 * PAGE_BYTES, PROTECT_MAX).unwrap();
        let _ = (call::tlb_probe(NORMAL), call::tlb_probe(0x7000_0000));
        call::tlb_delete(NORMAL);
        call::tlb_delete(0x7000_0000);
        call::yield_to(other).unwrap();
        let [frame, read0, read1, write0, write1] = TAGS.get();
        for (rights, tag) in [(entry_lo::VALID, [write0, write1]), (entry_lo::VALID, [read0, read1]), (RIGHTS, [1, 2])]
        {
            // SAFETY: as above.
            let _ = unsafe { tlb_write(NORMAL + round * PAGE_BYTES, frame << PAGE_SHIFT | rights, Capability(tag)) };
        }
        let public = public::frame_table() | entry_lo::VALID;
        // SAFETY: as above.
        unsafe { tlb_write(NORMAL, public, NO_CAPABILITY).unwrap() };
    }
    let _ = call::fpu_mode(true);
    let _ = call::fpu_mode(false);
    call::env_destroy(other, control).unwrap();
    for frame in run..run + PAGES {
        // SAFETY: nothing of it is used.
        unsafe { call::frame_free(frame).unwrap() };
    }
}

/// As many environments as there can be, and slices of theirs, some in debt.
fn processor() {
    let server = Server::start(serve);
    let mut children = [None; EnvId::COUNT];
    let mut positions = (0..64).filter(|&position| public::slice(position).owner == 0);
    for (n, child) in children.iter_mut().enumerate() {
        let made = match n % 8 {
            0 => spawn(keeps, 2, None),
            _ => spawn(idle, 0, None),
        };
        let Ok((id, control)) = made else { break };
        *child = Some((id, control));
        if let Some(position) = positions.next() {
            call::slice_allocate(position).unwrap();
            call::slice_give(position, id).unwrap();
        }
    }
    for _ in 0..3 {
        for (id, _) in children.iter().flatten() {
            // Each needs a context id: all are taken back again and again, by each of the three ways.
            call::yield_to(*id).unwrap();
            let _ = transfer::call(server.id, [0; 4]);
            let _ = transfer::send(*id, [0; 4]);
            call::wake(*id).unwrap();
        }
        call::wait(Some(call::clock() + 1));
        call::yield_slice();
        raw(number::SELF, 0, 0, 0, 0);
        call::null();
        let _ = (call::console_pending(), call::clock());
    }
    for position in 0..64 {
        if call::slice_free(position).is_ok() {
            call::slice_allocate(position).unwrap();
        }
        let _ = call::slice_reclaim(position);
        let _ = call::slice_allocate(position);
    }
    let header = exos_rt::sequences::header();
    for (id, control) in children.iter().flatten() {
        // SAFETY: it is another, and ends.
        let _ = unsafe { call::env_setup(*id, *control, header, header.start_of_slice) };
        call::env_destroy(*id, *control).unwrap();
    }
    server.stop();
}

/// Has a frame taken by force whose contents are to be kept.
extern "C" fn loses(_: u32) -> ! {
    let [frame, backing] = [(); 2].map(|()| memory::allocate().unwrap());
    scatter(frame);
    assert!((0..ENTRIES).all(|_| revocation::back(0, 0, NO_CAPABILITY)));
    revocation::clear(ENTRIES - 1);
    assert!(revocation::back(frame, backing, NO_CAPABILITY));
    revocation::keep([backing; RESERVE]);
    TAGS.set([frame; 5]);
    loop {
        call::wait(None);
    }
}

fn by_force() {
    for _ in 0..3 {
        TAGS.set([0; 5]);
        let (id, control) = spawn(loses, 0, None).unwrap();
        for position in [40, 41] {
            call::slice_allocate(position).and_then(|()| call::slice_give(position, id)).unwrap();
        }
        while TAGS.get()[0] == 0 {
            call::yield_to(id).unwrap();
        }
        for what in [FRAMES, SLICES] {
            call::revoke(id, authority(), what, 1, DEADLINE_MIN).unwrap();
        }
        pass(DEADLINE_MIN);
        exos_rt::save_page::present(authority());
        assert_eq!(to_the_end(number::FRAME_REPOSSESS, TAGS.get()[0], 0), 0);
        exos_rt::save_page::present(authority());
        assert_eq!(to_the_end(number::SLICE_REPOSSESS, 40, 0), 0);
        call::env_destroy(id, control).unwrap();
    }
}

fn console_and_rest() {
    let text = [b'\n'; 128];
    for start in 0..4 {
        let _ = call::console_write(&text[start..]);
        let _ = call::console_write(&[b'.'; 128]);
        console::flush();
    }
    for code in 0..14 {
        raw(number::SET_HANDLER, code, 0x8000_0000, 0, 0);
    }
    raw(0x1f00, 0, 0, 0, 0);
    raw(number::CONSOLE_READ, 0, 0, 0, 0);
    raw(number::CONSOLE_GIVE, call::self_id().0, 0, 0, 0);
    // SAFETY: nothing is there.
    let _ = unsafe { store(0x7000_0000, 0) };
    let _ = load(0x7000_0001);
    let _ = load(0x7000_0000);
    let _ = load(0x3000_0000);
}

fn main() {
    console_and_rest();
    by_force();
    frames();
    translation();
    processor();
    println!("{}: all done", program::name());
}
