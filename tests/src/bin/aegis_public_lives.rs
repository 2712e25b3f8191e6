//! What the public tables show of an environment and its frames, from before it lives until after: each step of the
//! program's is seen there, and in the end all is free that was.
//@ expect: aegis_public_lives: as it was before

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::env::DirectoryEntry;
use exos_rt::abi::frame::{FREE, KERNEL};
use exos_rt::abi::vm::{PAGE_SHIFT, PROGRAM_START, USER_END};
use exos_rt::abi::{EnvId, slice};
use exos_rt::call::{env_create, env_destroy, env_setup, frame_allocate, frame_free, frame_give};
use exos_rt::environment::{directory, spawn};
use exos_rt::memory::{self, seems_free};
use exos_rt::sequences::header;
use exos_rt::{call, println, public};

extern "C" fn child(_: u32) -> ! {
    loop {
        call::wait(None);
    }
}

/// In how many ways the directory says an environment can be entered; in all others it says that nobody can.
fn entries(id: EnvId) -> usize {
    let DirectoryEntry { synchronous, asynchronous, runnable, .. } = directory(id.index());
    let words = [synchronous, asynchronous, runnable];
    assert!(words.iter().all(|&word| word == id.0 || word == DirectoryEntry::poison(id.index())), "{words:x?}");
    words.into_iter().filter(|&word| word == id.0).count()
}

fn free() -> usize {
    (0..public::frames()).filter(|&number| seems_free(number)).count()
}

fn main() {
    let me = call::self_id();
    let owner = |number| memory::frame(number).owner;
    let (free_before, nobody) = (free(), directory(255).record);
    let before = public::statistics();

    // One that never runs.
    let home = memory::allocate_pair().unwrap();
    let gift = memory::allocate().unwrap();
    assert_eq!([home, home + 1, gift].map(owner), [me.0; 3]);
    let (id, control) = env_create(home).unwrap();
    assert_eq!([home, home + 1, gift].map(owner), [id.0, KERNEL, me.0]);
    let record = directory(id.index()).record;
    assert!(record >= USER_END && record << 3 >> 3 == (home + 1) << PAGE_SHIFT, "{record:#x}");
    assert_eq!(entries(id), 0, "it can't run");
    // SAFETY: the environment is another, and never runs; the frame is mapped nowhere.
    unsafe {
        env_setup(id, control, header(), PROGRAM_START).unwrap();
        assert_eq!(entries(id), 0, "it has no context id");
        frame_give(gift, id).unwrap();
    }
    assert_eq!(owner(gift), id.0);
    env_destroy(id, control).unwrap();
    assert_eq!((entries(id), directory(id.index()).record), (0, nobody));
    assert_eq!([home, home + 1, gift].map(owner), [id.0; 3], "nobody has had them since");
    for number in [home, home + 1, gift] {
        assert!(seems_free(number));
        frame_allocate(number).unwrap();
        assert_eq!(owner(number), me.0);
        // SAFETY: it is mapped nowhere.
        unsafe { frame_free(number).unwrap() };
        assert_eq!(owner(number), FREE);
    }
    assert_eq!(free(), free_before);

    // One that runs, and waits.
    let (id, control) = spawn(child, 0, Some(9)).unwrap();
    assert_eq!(public::slice(9), slice::Slice { owner: id.0, runner: id.0 });
    assert_eq!((entries(id), entries(me)), (0, 3));
    while entries(id) == 0 {
        call::yield_slice();
    }
    assert_eq!(entries(id), 3);
    assert_eq!(free(), free_before - 3, "its record, its save page and its stack");
    env_destroy(id, control).unwrap();
    assert_eq!((entries(id), directory(id.index()).record), (0, nobody));
    assert_eq!(public::slice(9), slice::Slice { owner: 0, runner: 0 });
    assert_eq!(free(), free_before);
    call::yield_slice();
    let after = public::statistics();
    assert_eq!((after.created - before.created, after.ended - before.ended), (2, 2));
    println!("aegis_public_lives: as it was before");
}
