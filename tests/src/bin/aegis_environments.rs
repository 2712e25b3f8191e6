//! Environments are made of frames, set up, given mappings and destroyed, by who has the right over them; what is wrong
//! is refused, and an id never comes to mean another environment.
//@ expect: aegis_environments: 600 lives, 600 names

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../child.rs"]
mod child;

use child::{NOBODY, wait_for_end};
use exos_rt::abi::frame::{self, Capability, FREE, KERNEL};
use exos_rt::abi::program::ProgramHeader;
use exos_rt::abi::vm::{GUARANTEED, NORMAL_START, PAGE_BYTES, PAGE_SHIFT, PUBLIC_PAGE, SAVE_PAGE, USER_END, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::call::{NO_CAPABILITY, env_create, env_destroy, env_map, env_setup, env_unmap};
use exos_rt::environment::spawn;
use exos_rt::sequences::header;
use exos_rt::{call, memory, println, public};

const DIRTY: u32 = entry_lo::DIRTY;
/// Where the child's pages go.
const ADDRESS: u32 = 0x2000_0000;
/// As good an entry as any for what never runs.
const ENTRY: u32 = 0x1_0000;

fn main() {
    let (id, control) = made();
    mappings(id, control);
    entries(id, control);
    rights(id, control);
    lives();
}

/// Frames become an environment's, if they are good ones.
fn made() -> (EnvId, Capability) {
    let home = memory::allocate_pair().unwrap();
    assert_eq!(env_create(home + 1), Err(Error::BadArgument), "odd");
    assert_eq!(env_create(frame::COUNT as u32), Err(Error::BadArgument), "no frame");
    assert_eq!(env_create(u32::MAX - 1), Err(Error::BadArgument), "no frame");
    assert_eq!(env_create(0), Err(Error::Denied), "the kernel's");
    if public::frames() < frame::COUNT as u32 {
        assert_eq!(env_create((public::frames() + 1) & !1), Err(Error::Denied), "no memory");
    }
    let lonely = memory::allocate_where(|number| number % 2 == 0).unwrap();
    if memory::frame(lonely + 1).owner == FREE {
        assert_eq!(env_create(lonely), Err(Error::Denied), "half of it is nobody's");
    }
    let before = public::statistics().created;
    let (id, control) = env_create(home).unwrap();
    call::yield_slice();
    assert_eq!(public::statistics().created, before + 1);
    assert_eq!((memory::frame(home).owner, memory::frame(home + 1).owner), (id.0, KERNEL));
    assert_eq!(env_create(home), Err(Error::Denied), "it is in use");
    // SAFETY: they are refused.
    unsafe {
        assert_eq!(call::frame_free(home), Err(Error::Denied));
        assert_eq!(call::frame_free(home + 1), Err(Error::Denied));
    }
    // It has not been set up: nobody enters it.
    assert_eq!(exos_rt::transfer::call(id, [0; 4]), Err(Error::NoSuchEnvironment));
    assert_eq!(exos_rt::transfer::send(id, [0; 4]), Err(Error::NoSuchEnvironment));
    // Where a slice ends just then, it comes back without an answer.
    assert_eq!((0..4).find_map(|_| call::yield_to(id).err()), Some(Error::NoSuchEnvironment));
    (id, control)
}

/// Guaranteed mappings: of which frames, where, and how many.
fn mappings(id: EnvId, control: Capability) {
    let frame = memory::allocate().unwrap();
    let mapping = frame << PAGE_SHIFT | DIRTY;
    let frames = public::frames();
    // SAFETY: the environment is another, and never runs.
    let map = |address, entry_lo, pages| unsafe { env_map(id, control, address, entry_lo, pages) };
    // SAFETY: likewise.
    let unmap = |address| unsafe { env_unmap(id, control, address) };
    for address in [ADDRESS + 4, SAVE_PAGE, PUBLIC_PAGE, NORMAL_START, USER_END, 0xffff_f000] {
        assert_eq!(map(address, mapping, 1), Err(Error::BadArgument), "at {address:#x}");
    }
    assert_eq!(map(ADDRESS, mapping, 0), Err(Error::BadArgument));
    assert_eq!(map(ADDRESS, mapping, 257), Err(Error::BadArgument));
    assert_eq!(map(ADDRESS, mapping, u32::MAX), Err(Error::BadArgument));
    assert_eq!(map(NORMAL_START - PAGE_BYTES, mapping, 2), Err(Error::BadArgument));
    for other in [0, memory::frame(0).owner, (frames - 1) << PAGE_SHIFT, frames << PAGE_SHIFT, entry_lo::FRAME] {
        assert_eq!(map(ADDRESS, other, 1), Err(Error::Denied), "frame {:#x}", other >> PAGE_SHIFT);
    }
    for number in 0..GUARANTEED as u32 - 2 {
        assert_eq!(map(ADDRESS + number * 2 * PAGE_BYTES, mapping, 1), Ok(()));
        assert_eq!(map(ADDRESS + number * 2 * PAGE_BYTES, mapping, 1), Err(Error::BadArgument), "it is mapped");
    }
    assert_eq!(map(ADDRESS - PAGE_BYTES, mapping, 1), Err(Error::Full));
    for address in [SAVE_PAGE, PUBLIC_PAGE, ADDRESS + PAGE_BYTES, ADDRESS + 1, 0, u32::MAX] {
        assert_eq!(unmap(address), Err(Error::BadArgument), "at {address:#x}");
    }
    for number in 0..GUARANTEED as u32 - 2 {
        assert_eq!(unmap(ADDRESS + number * 2 * PAGE_BYTES), Ok(()));
        assert_eq!(unmap(ADDRESS + number * 2 * PAGE_BYTES), Err(Error::BadArgument));
    }
    // SAFETY: it is mapped nowhere.
    unsafe { call::frame_free(frame).unwrap() };
}

/// Where an environment is entered.
fn entries(id: EnvId, control: Capability) {
    // SAFETY: the environment is another, and never runs.
    let set_up = |header: &ProgramHeader, entry| unsafe { env_setup(id, control, header, entry) };
    let bad: [fn(&mut ProgramHeader); 6] = [
        |header| header.abi_version += 1,
        |header| header.start_of_slice = 0x8000_0000,
        |header| header.end_of_slice += 2,
        |header| header.handlers[2] = 0x8003_0000,
        |header| header.protected_entries.synchronous = 0xffff_fffc,
        |header| header.return_sequences.start += 4,
    ];
    for (number, change) in bad.into_iter().enumerate() {
        let mut header = *header();
        change(&mut header);
        assert_eq!(set_up(&header, ENTRY), Err(Error::BadArgument), "number {number}");
    }
    for entry in [0, ENTRY + 2, 0x8000_0000, u32::MAX] {
        assert_eq!(set_up(header(), entry), Err(Error::BadArgument), "entry {entry:#x}");
    }
    for address in [0_u32, SAVE_PAGE + PAGE_BYTES - 4, 0x500_0000, NORMAL_START, 0x8003_0000, 0xffff_fffc] {
        call::check({
            exos_rt::save_page::present(control);
            // SAFETY: the call is refused.
            unsafe { call::raw(id.0, address, ENTRY, 0, exos_rt::abi::call::ENV_SETUP) }
        })
        .expect_err("there is no header");
    }
    assert_eq!(set_up(header(), ENTRY), Ok(()));
    assert_eq!(set_up(header(), ENTRY), Ok(()), "it may be repeated");
}

/// Who may: only the environment itself, and who shows the tag for it.
fn rights(id: EnvId, control: Capability) {
    let (other, others_control) = env_create(memory::allocate_pair().unwrap()).unwrap();
    let Capability([word0, word1]) = control;
    let wrong = [
        NO_CAPABILITY,
        others_control,
        Capability([word1, word0]),
        Capability([word0 ^ 1, word1]),
        Capability([word0, word1 ^ 0x8000_0000]),
    ];
    for wrong in wrong {
        // SAFETY: they are refused.
        unsafe {
            assert_eq!(env_setup(id, wrong, header(), ENTRY), Err(Error::Denied));
            assert_eq!(env_map(id, wrong, ADDRESS, 0, 1), Err(Error::Denied));
            assert_eq!(env_unmap(id, wrong, ADDRESS), Err(Error::Denied));
        }
        assert_eq!(env_destroy(id, wrong), Err(Error::Denied));
    }
    for nobody in [EnvId(0), EnvId(id.0 | 1), EnvId(id.0 ^ 1 << EnvId::GENERATION_SHIFT), NOBODY, EnvId(u32::MAX)] {
        assert_eq!(env_destroy(nobody, control), Err(Error::NoSuchEnvironment), "{nobody:x?}");
    }
    assert_eq!(env_destroy(other, others_control), Ok(()));
    assert_eq!(env_destroy(id, control), Ok(()));
    // SAFETY: they are refused.
    unsafe {
        assert_eq!(env_setup(id, control, header(), ENTRY), Err(Error::NoSuchEnvironment));
        assert_eq!(env_map(id, control, ADDRESS, 0, 1), Err(Error::NoSuchEnvironment));
        assert_eq!(env_unmap(id, control, ADDRESS), Err(Error::NoSuchEnvironment));
    }
    assert_eq!(env_destroy(id, control), Err(Error::NoSuchEnvironment));
    assert_eq!(call::wake(id), Err(Error::NoSuchEnvironment));
}

extern "C" fn short(_: u32) -> ! {
    call::exit(0)
}

/// Indices are used again, names are not.
fn lives() {
    const LIVES: usize = 600;
    let home = memory::allocate_pair().unwrap();
    let mut former = [EnvId(0); EnvId::COUNT];
    for _ in 0..LIVES {
        // The frames of the dead are free.
        let _ = call::frame_allocate(home);
        let _ = call::frame_allocate(home + 1);
        let (id, control) = env_create(home).unwrap();
        let old = &mut former[usize::from(id.index())];
        assert!(id > *old && id.0 & 0x8000_000f == 0, "{id:x?} after {old:x?}");
        if *old != EnvId(0) {
            assert_eq!(env_destroy(*old, control), Err(Error::NoSuchEnvironment));
        }
        *old = id;
        env_destroy(id, control).unwrap();
    }
    // Such an index serves as well as another.
    let (id, _) = spawn(short, 0, Some(1)).unwrap();
    assert!(id.generation() > 1);
    wait_for_end(id);
    println!("aegis_environments: {LIVES} lives, {LIVES} names");
}
