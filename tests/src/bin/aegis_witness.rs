//! Runs beside a program that misbehaves and says in the end that it was not disturbed: it lost no slice, no byte and no
//! wakeup. `stay` is the number of slices for which it stays.
//@ helper

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::page_table;
use exos_rt::abi::EnvId;
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT};
use exos_rt::environment::spawn;
use exos_rt::sequences::slices_used;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public};

/// Time slices for which it stays, unless it is told otherwise.
const STAY: u32 = 4;
/// Where it has pages that the kernel does not guarantee.
const PAGES: u32 = NORMAL_START + 0x70_0000;
/// Of those.
const COUNT: u32 = 4;
/// Ticks in which whoever is woken has run, though others keep the processor for eight each.
const SOON: u32 = 64 * 9;

/// How often the other environment was woken, and ran.
static WOKEN: Shared<u32> = Shared::new(0);
static RAN: Shared<u32> = Shared::new(0);

/// Runs once each time that it is woken.
extern "C" fn sleeper(_: u32) -> ! {
    loop {
        if RAN.get() < WOKEN.get() {
            RAN.add(1);
        }
        call::wait(None);
    }
}

/// A word of its pages.
fn word(page: u32) -> *mut u32 {
    (PAGES + page * PAGE_BYTES + 4 * page) as *mut u32
}

fn main() {
    let stay = program::number("stay").unwrap_or(STAY);
    let mut memory = [0_u32; 512];
    let id = call::self_id();
    let position = public::position();
    page_table::install();
    for page in 0..COUNT {
        let frame = memory::allocate().expect("there is a frame");
        // SAFETY: the frame is new, and nothing else is at the address.
        unsafe {
            page_table::map(PAGES + page * PAGE_BYTES, frame << PAGE_SHIFT | page_table::RIGHTS)
                .expect("there is room");
            word(page).write_volatile(page ^ id.0);
        }
    }
    let free = (1..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0);
    let (other, control): (EnvId, _) = spawn(sleeper, 0, free).expect("an environment can be made");
    let mut woken_at = call::clock();
    let mut round = 0_u32;
    while slices_used() < stay {
        if RAN.get() == WOKEN.get() {
            WOKEN.add(1);
            woken_at = call::clock();
            call::wake(other).expect("it lives");
        }
        assert!(call::clock() - woken_at < SOON, "a wakeup is lost");
        round = round.wrapping_add(1);
        for (n, word) in memory.iter_mut().enumerate() {
            *word = round.wrapping_mul(n as u32 + 1);
        }
        for (n, word) in memory.iter().enumerate() {
            assert_eq!(core::hint::black_box(*word), round.wrapping_mul(n as u32 + 1));
        }
        for page in 0..COUNT {
            // SAFETY: the page is mapped whenever it is missed. Volatile, to look at it each time.
            assert_eq!(unsafe { word(page).read_volatile() }, page ^ id.0);
        }
        assert_eq!(call::self_id(), id);
        let slice = public::slice(position);
        assert_eq!((slice.owner, slice.runner), (id.0, id.0), "the slice is lost");
    }
    assert!(RAN.get() + 1 >= WOKEN.get(), "a wakeup is lost");
    call::env_destroy(other, control).expect("it lives");
    println!("{}: undisturbed", program::name());
}
