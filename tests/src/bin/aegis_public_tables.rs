//! What the kernel shows is what there is: owners of frames and slices, the directory, the clock, the software TLB.
//@ expect: aegis_public_tables: all of them agree

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::frame::{FREE, KERNEL, PUBLIC};
use exos_rt::abi::vm::{PAGE_SHIFT, PUBLIC_PAGE, SAVE_PAGE, entry_lo};
use exos_rt::abi::{EnvId, VERSION};
use exos_rt::call::{NO_CAPABILITY, tlb_probe, tlb_write};
use exos_rt::environment::{self, seems_alive};
use exos_rt::sequences::window;
use exos_rt::{call, memory, println, public};

const ADDRESS: u32 = 0x5040_0000;

/// The frame of a page of this program's.
fn frame_of(address: u32) -> u32 {
    loop {
        // SAFETY: the page is mapped.
        unsafe { (address as *const u8).read_volatile() };
        if let Some(entry_lo) = tlb_probe(address) {
            return entry_lo >> PAGE_SHIFT;
        }
    }
}

fn main() {
    let id = call::self_id();
    assert_eq!(public::version(), VERSION);
    call::yield_slice();
    assert_eq!(public::ticks(), call::clock());
    assert_eq!(public::slice(public::position()).owner, id.0);
    assert!(public::colours().is_power_of_two());
    // Frames.
    for address in [frame_of as *const () as u32, &raw const id as u32, SAVE_PAGE] {
        assert_eq!(memory::frame(frame_of(address)).owner, id.0);
    }
    let tables =
        [public::frame_table(), public::directory(), public::software_tlb(), frame_of(PUBLIC_PAGE) << PAGE_SHIFT];
    for table in tables {
        assert_eq!(memory::frame(table >> PAGE_SHIFT).owner, PUBLIC);
    }
    assert_eq!(memory::frame(0).owner, KERNEL);
    let count = |owner| (0..public::frames()).filter(|&number| memory::frame(number).owner == owner).count();
    let (free, mine) = (count(FREE), count(id.0));
    let number = memory::allocate().unwrap();
    assert_eq!((count(FREE), count(id.0)), (free - 1, mine + 1));
    // The directory.
    assert!(seems_alive(id));
    let me = environment::directory(id.index());
    assert_eq!([me.synchronous, me.asynchronous, me.runnable], [id.0; 3]);
    for index in (0..=u8::MAX).filter(|&index| index != id.index()) {
        let other = environment::directory(index);
        let ids = [other.synchronous, other.asynchronous, other.runnable].map(EnvId);
        assert!(ids.iter().all(|other| other.index() != index), "index {index} is nobody's");
    }
    // The software TLB: a page that has just been entered is in it once.
    // SAFETY: nothing else is at that address.
    unsafe { tlb_write(ADDRESS, number << PAGE_SHIFT | entry_lo::VALID, NO_CAPABILITY).unwrap() };
    let word = |place: u32| {
        // SAFETY: the table has so many words, and is mapped there when it is missed.
        unsafe { (window(public::software_tlb() + 4 * place) as *const u32).read_volatile() }
    };
    let found = (0..4096).filter(|&place| word(place) >> PAGE_SHIFT == ADDRESS >> PAGE_SHIFT);
    assert_eq!(found.count(), 1);
    // No capability is anywhere in them.
    let (_, tag) = call::env_create(memory::allocate_pair().unwrap()).unwrap();
    for number in (0..public::frames()).filter(|&number| memory::frame(number).owner == PUBLIC) {
        for place in 0..1023 {
            // SAFETY: as above.
            let words = unsafe { (window((number << PAGE_SHIFT) + 4 * place) as *const [u32; 2]).read_volatile() };
            assert_ne!(words, tag.0);
        }
    }
    println!("aegis_public_tables: all of them agree");
}
