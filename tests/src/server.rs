//! What the programs that test transfers share: environments that only serve.

use exos_rt::abi::EnvId;
use exos_rt::abi::frame::Capability;
use exos_rt::call;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::transfer::{Server as Function, Stack, serve};

/// The most servers of a program.
const SERVERS: usize = 4;
/// The position in the slice vector of the first one's slice.
const FIRST_SLICE: u32 = 40;

static STACKS: [Stack<2048>; SERVERS] = [const { Stack::new() }; SERVERS];
static FUNCTIONS: [Shared<Option<Function>>; SERVERS] = [const { Shared::new(None) }; SERVERS];
static READY: Shared<u32> = Shared::new(0);

/// An environment that serves calls, in the caller's slices and in one of its own.
pub struct Server {
    pub id: EnvId,
    #[allow(dead_code, reason = "not every program needs it")]
    pub control: Capability,
}

impl Server {
    /// Starts one, and comes back when it is ready.
    pub fn start(function: Function) -> Self {
        let number = READY.get();
        FUNCTIONS[number as usize].set(Some(function));
        let (id, control) = spawn(server, number, Some(FIRST_SLICE + number)).expect("an environment can be made");
        while READY.get() == number {
            call::yield_slice();
        }
        Self { id, control }
    }

    /// Ends it.
    #[allow(dead_code, reason = "not every program needs it")]
    pub fn stop(self) {
        call::env_destroy(self.id, self.control).expect("it lives");
    }
}

extern "C" fn server(number: u32) -> ! {
    let function = FUNCTIONS[number as usize].get().expect("it was set before");
    // SAFETY: each server has a stack of its own, and the functions are written for it.
    unsafe { serve(function, &STACKS[number as usize]) };
    READY.add(1);
    loop {
        call::wait(None);
    }
}
