//! Code that one environment leaves in a frame, in memory and in the instruction cache, is gone when another has the
//! frame: freed, left by the dead, or given away; of each colour of the cache, and with other frames of the colour used
//! meanwhile. And what an owner wrote there is gone, too, through the cache and past it.
//@ run: hostile_stale_code aegis_witness
//@ expect: hostile_stale_code: 96 frames held neither code nor data of the owner before
//@ expect: aegis_witness: undisturbed
//@ timeout: 100

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos_rt::abi::Error;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::call::{NO_CAPABILITY, icache_flush, tlb_write};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public};

const ADDRESS: u32 = 0x5040_0000;
const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// How a frame is left.
const FREED: u32 = 0;
const DEAD: u32 = 1;
const GIVEN_AND_FREED: u32 = 2;

/// What the child is to do, and what it did.
static FRAME: Shared<u32> = Shared::new(0);
static HOW: Shared<u32> = Shared::new(0);
static MADE: Shared<u32> = Shared::new(0);

fn map(frame: u32, rights: u32) {
    // SAFETY: nothing else is at that address, and what is there is looked at as volatile.
    unsafe { tlb_write(ADDRESS, frame << PAGE_SHIFT | rights, NO_CAPABILITY).unwrap() }
}

/// Calls the function at the address.
fn run() -> u32 {
    // SAFETY: there is one, which changes nothing but its result.
    let function: extern "C" fn(u32) -> u32 =
        unsafe { core::mem::transmute(core::hint::black_box(ADDRESS as *const u32)) };
    function(7)
}

/// Fills the mapped frame with functions `jr $ra; addiu $v0, $zero, value`, or with `jr $ra; move $v0, $a0`.
fn fill(words: [u32; 2]) {
    for at in 0..PAGE_BYTES / 4 {
        // SAFETY: the frame is this environment's.
        unsafe { (ADDRESS as *mut u32).add(at as usize).write_volatile(words[at as usize % 2]) }
    }
}

/// Plants code in a frame, executes it, and leaves the frame.
extern "C" fn planter(parent: u32) -> ! {
    loop {
        let (frame, how) = (FRAME.get(), HOW.get());
        if call::frame_allocate(frame) == Err(Error::Busy) {
            panic!("frame {frame} has an owner");
        }
        map(frame, RIGHTS);
        fill([0x03e0_0008, 0x2402_0666]);
        icache_flush(frame << PAGE_SHIFT, PAGE_BYTES).unwrap();
        assert_eq!(run(), 0x666);
        // Each line of the frame comes into the cache.
        for line in (0..PAGE_BYTES).step_by(8) {
            // SAFETY: as in `run`.
            let function: extern "C" fn() -> u32 = unsafe { core::mem::transmute((ADDRESS + line) as *const u32) };
            assert_eq!(function(), 0x666);
        }
        // SAFETY: the frame is not used any more.
        unsafe {
            match how {
                FREED => call::frame_free(frame).unwrap(),
                GIVEN_AND_FREED => call::frame_give(frame, exos_rt::abi::EnvId(parent)).unwrap(),
                _ => {
                    MADE.add(1);
                    call::exit(0)
                }
            }
        }
        MADE.add(1);
        call::yield_slice();
    }
}

fn main() {
    let me = call::self_id().0;
    let colours = public::colours();
    let mut planter_of = None;
    let mut frames = 0;
    // The witness takes its frames first.
    (0..4).for_each(|_| call::yield_slice());
    let pool = memory::allocate_run(2 * colours, 1).unwrap();
    for number in pool..pool + 2 * colours {
        // SAFETY: nobody uses it.
        unsafe { call::frame_free(number).unwrap() };
    }
    for (round, how) in (0_u32..).zip([FREED, DEAD, GIVEN_AND_FREED].into_iter().cycle().take(96)) {
        let frame = pool + round % (2 * colours);
        FRAME.set(frame);
        HOW.set(how);
        let made = MADE.get();
        let (id, control) = match planter_of.take() {
            Some(alive) => alive,
            None => spawn(planter, me, None).unwrap(),
        };
        while MADE.get() == made {
            call::yield_to(id).unwrap();
        }
        if how == DEAD {
            while call::wake(id).is_ok() {
                call::yield_slice();
            }
        } else {
            planter_of = Some((id, control));
        }
        if how == GIVEN_AND_FREED {
            // What is given has its contents.
            map(frame, entry_lo::VALID);
            assert_eq!(run(), 0x666);
            // SAFETY: the frame is not used any more.
            unsafe { call::frame_free(frame).unwrap() };
        }
        // Others of the colour come and go.
        let other = pool + (round + colours) % (2 * colours);
        if round % 2 == 0 && call::frame_allocate(other) == Ok(()) {
            // SAFETY: nobody uses it.
            unsafe { call::frame_free(other).unwrap() };
        }
        call::frame_allocate(frame).unwrap();
        for uncached in [0, entry_lo::UNCACHED] {
            map(frame, RIGHTS | uncached);
            for at in 0..PAGE_BYTES as usize / 4 {
                // SAFETY: the frame is this environment's.
                assert_eq!(unsafe { (ADDRESS as *const u32).add(at).read_volatile() }, 0, "word {at} of frame {frame}");
            }
        }
        // Code of this program's own, behind as much emptiness as is left to execute: were the other's in the
        // instruction cache its result would be, too.
        map(frame, RIGHTS);
        let end = (ADDRESS + PAGE_BYTES - 8) as *mut u32;
        // SAFETY: the frame is this environment's.
        unsafe {
            end.write_volatile(0x03e0_0008); // jr $ra
            end.add(1).write_volatile(0x0080_1021); // move $v0, $a0
        }
        icache_flush((frame << PAGE_SHIFT) + PAGE_BYTES - 8, 8).unwrap();
        assert_eq!(run(), 7, "code of the owner before was executed, frame {frame}, left so: {how}");
        // SAFETY: the frame is not used any more.
        unsafe { call::frame_free(frame).unwrap() };
        frames += 1;
    }
    println!("{}: {frames} frames held neither code nor data of the owner before", program::name());
}
