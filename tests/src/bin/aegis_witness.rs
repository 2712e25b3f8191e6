//! Runs beside a program that misbehaves and says in the end that it was not disturbed: it lost no slice, no byte and no
//! wakeup. It stays as long as the program that was started with it, which may count what there is at any time.
//@ helper

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES};
use exos_rt::abi::{EnvId, Error};
use exos_rt::environment::spawn;
use exos_rt::sequences::slices_used;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public};

/// Time slices for which it stays, at least.
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

/// Whether the other one of the two programs that the loader started lives: then it can't be ended without its capability.
fn beside() -> bool {
    let [first, second] = [0, 1].map(|index| EnvId::new(index, 1));
    let other = if call::self_id() == first { second } else { first };
    call::env_destroy(other, call::NO_CAPABILITY) == Err(Error::Denied)
}

fn main() {
    let mut memory = [0_u32; 512];
    let id = call::self_id();
    let position = public::position();
    Vm::install().expect("there is memory for it");
    for page in 0..COUNT {
        let frame = memory::allocate().expect("there is a frame");
        // SAFETY: the frame is new, and nothing else is at the address.
        unsafe {
            Vm::own(PAGES + page * PAGE_BYTES, frame, READ | WRITE).expect("there is room");
            word(page).write_volatile(page ^ id.0);
        }
    }
    let free = (1..64).map(|n| (position + n) % 64).find(|&other| public::slice(other).owner == 0);
    let (other, control): (EnvId, _) = spawn(sleeper, 0, free).expect("an environment can be made");
    let mut woken_at = call::clock();
    let mut round = 0_u32;
    while slices_used() < STAY || beside() {
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
