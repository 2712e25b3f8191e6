//! What the programs share that a test on the model interrupts everywhere: an environment beside the one that is
//! tested. It runs whenever that one's slice ends, and has something else at the same address.

use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::EnvId;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::vm::{NORMAL_START, PAGE_SHIFT};
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, public};

/// The address, in the normal segment.
pub const ADDRESS: u32 = NORMAL_START + 0x40_0000;
/// What it has there.
const VALUE: u32 = 0x0bad_0bad;

static ROUNDS: Shared<u32> = Shared::new(0);
static WRONG: Shared<u32> = Shared::new(0);

/// The environment.
pub struct Beside {
    id: EnvId,
    control: Capability,
}

impl Beside {
    /// Starts it, and comes back when it has run.
    pub fn start() -> Self {
        let (id, control) = spawn(beside, 0, Some((public::position() + 1) % 64)).expect("an environment can be made");
        while ROUNDS.get() == 0 {
            call::yield_slice();
        }
        Self { id, control }
    }

    /// Ends it; how often it found what it has not.
    pub fn stop(self) -> u32 {
        call::env_destroy(self.id, self.control).expect("it lives");
        WRONG.get()
    }
}

extern "C" fn beside(_: u32) -> ! {
    Vm::install().expect("there is memory for it");
    map(VALUE);
    loop {
        WRONG.add(u32::from(look(0) != VALUE));
        ROUNDS.add(1);
        call::tlb_delete(ADDRESS);
        call::yield_slice();
    }
}

/// Maps [`ADDRESS`] to a new frame with this value; the frame's number.
pub fn map(value: u32) -> u32 {
    let frame = memory::allocate().expect("there is a frame");
    // SAFETY: the frame is new, and nothing else is at the address.
    unsafe {
        Vm::own(ADDRESS, frame, READ | WRITE).expect("there is room in the table");
        (ADDRESS as *mut u32).write_volatile(value);
    }
    frame
}

/// The word so many pages behind [`ADDRESS`].
pub fn look(pages: u32) -> u32 {
    // SAFETY: the page is mapped, or its miss is reported. Volatile, because what it is mapped to changes.
    unsafe { ((ADDRESS + (pages << PAGE_SHIFT)) as *const u32).read_volatile() }
}
