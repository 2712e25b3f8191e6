//! A page table of the program's own: 300 pages, more than the TLB has entries, get frames when they are touched, and
//! keep what is written to them.
//@ expect: aegis_demand_paging: 300 pages, 300 frames

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::vm::{self, READ, Vm, WRITE};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, entry_lo};
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, public};

const PAGES: u32 = 300;
/// The pages lie on both sides of a leaf's end.
const START: u32 = NORMAL_START + 1000 * PAGE_BYTES;
/// A page that the hook maps.
const LATE: u32 = 0x7000_0000;

static LAST: Shared<(u32, u32)> = Shared::new((0, 0));
static COUNT: Shared<u32> = Shared::new(0);

/// What the program does about an access that is not allowed: allows it. It touches a page that is yet to be given a
/// frame while it is at it, so one miss happens in the middle of another.
fn hook(address: u32, code: Code) -> bool {
    LAST.set((address, code as u32));
    COUNT.add(1);
    if address == LATE {
        let frame = memory::allocate().unwrap();
        // SAFETY: nothing else is there.
        unsafe { Vm::own(LATE, frame, READ | WRITE).unwrap() };
    } else {
        Vm::give(address, 1, READ | WRITE);
    }
    read(START + (PAGES - 50 + COUNT.get()) * PAGE_BYTES);
    true
}

fn read(address: u32) -> u32 {
    // SAFETY: all pages of this program's are data that nothing else refers to. Likewise below.
    unsafe { (address as *const u32).read_volatile() }
}

fn write(address: u32, value: u32) {
    // SAFETY: as above.
    unsafe { (address as *mut u32).write_volatile(value) }
}

fn main() {
    let page = |number: u32| START + number * PAGE_BYTES + number * 20 % PAGE_BYTES;
    let owned = || {
        let id = call::self_id().0;
        (0..public::frames()).filter(|&number| memory::frame(number).owner == id).count() as u32
    };
    Vm::install().expect("there is memory for it");
    vm::set_hook(Some(hook));
    let before = owned();
    // SAFETY: nothing else is there.
    unsafe { Vm::zeros(START, PAGES, READ | WRITE).unwrap() };
    assert_eq!(owned(), before + 1, "no frame before it is needed, but for another leaf");
    let before = before + 1;
    for number in 0..PAGES - 50 {
        if number % 2 == 0 {
            assert_eq!(read(page(number)), 0);
        }
        write(page(number), number + 1);
    }
    for round in 1..10 {
        for number in (0..PAGES - 50).map(|number| number * 7 % (PAGES - 50)) {
            assert_eq!(read(page(number)), number + round);
            write(page(number), number + round + 1);
        }
    }
    assert_eq!((owned(), COUNT.get()), (before + PAGES - 50, 0), "the table knew what to do");

    // Rights.
    Vm::take(START, 250, WRITE);
    let dirty = Vm::entry(page(3)) & entry_lo::DIRTY;
    assert_eq!((read(page(3)), dirty, COUNT.get()), (13, 0, 0));
    write(page(3), 1);
    assert_eq!((LAST.get(), COUNT.get(), read(page(3))), ((page(3), Code::Modified as u32), 1, 1));
    write(page(3), 2);
    assert_eq!(COUNT.get(), 1);
    Vm::take(START, 250, READ | WRITE);
    assert_eq!((read(page(4)), LAST.get()), (14, (page(4), Code::TlbLoad as u32)));
    write(page(5), 1);
    assert_eq!((LAST.get(), COUNT.get()), ((page(5), Code::TlbStore as u32), 3));
    Vm::give(START, 250, READ | WRITE);
    for number in 6..250 {
        assert_eq!(read(page(number)), number + 10);
        write(page(number), number);
    }
    assert_eq!(COUNT.get(), 3);

    // What is nowhere, until the hook says otherwise; and what is nowhere again.
    write(LATE, 77);
    assert_eq!((read(LATE), LAST.get(), COUNT.get()), (77, (LATE, Code::TlbStore as u32), 4));
    // SAFETY: nobody refers to it.
    unsafe { Vm::unmap(LATE, 1) };
    assert_eq!((Vm::entry(LATE), call::tlb_probe(LATE), vm::drain()), (0, None, 1));
    assert_eq!((read(LATE), COUNT.get()), (0, 5), "another frame");
    for number in PAGES - 50..PAGES {
        write(page(number), number);
    }
    assert_eq!(owned(), before + PAGES + 1 + 2, "that of the last page, and two for leaves");
    println!("aegis_demand_paging: {PAGES} pages, {PAGES} frames");
}
