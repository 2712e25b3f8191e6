//! What the benchmarks of LRPC share: a server that counts, and a call of it by a program that does not trust it.

use aegis_bench::{ALONE, LOOPS, ROUNDS, loop_of};
use exos_rt::abi::EnvId;
use exos_rt::abi::frame::Capability;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, lrpc, mark_begin, mark_end, println};

/// The mark of a call.
pub const LRPC: u32 = 10;

static COUNTER: Shared<u32> = Shared::new(0);
static READY: Shared<u32> = Shared::new(0);

exos_rt::lrpc_server! {
    /// Bumps a counter and returns it.
    static BUMP = [
        "lui   $t1, %hi({counter})",
        "lw    $t0, %lo({counter})($t1)",
        "nop",
        "addiu $a0, $t0, 1",
        "sw    $a0, %lo({counter})($t1)",
    ],
    counter = sym COUNTER,
}

extern "C" fn serve(_: u32) -> ! {
    // SAFETY: the counter is nobody else's.
    unsafe { lrpc::serve(&BUMP) };
    READY.set(1);
    loop {
        call::wait(None);
    }
}

/// Says what is measured.
pub fn describe(table: &str) {
    println!(
        "mark {LRPC} table={table} op=lrpc system=exos how=from before the call of a counting server to behind its check of the answer"
    );
    println!("loop {} of={LRPC} rounds={ROUNDS} how=a loop of Rust around the call", loop_of(LRPC));
}

/// The server.
pub struct Server {
    pub id: EnvId,
    control: Capability,
}

impl Server {
    /// Starts it.
    pub fn start() -> Self {
        let (id, control) = spawn(serve, 0, None).expect("there is memory for a child");
        while READY.get() == 0 {
            call::yield_to(id).expect("it lives");
        }
        Self { id, control }
    }

    /// Measures calls.
    pub fn measure(&self) {
        let before = COUNTER.get();
        for _ in 0..ALONE {
            mark_begin!(LRPC);
            let answer = lrpc::call(self.id, [0; 3]);
            mark_end!(LRPC);
            assert!(answer == Ok(COUNTER.get()));
        }
        for _ in 0..LOOPS {
            mark_begin!(loop_of(LRPC));
            for _ in 0..ROUNDS {
                if lrpc::call(self.id, [0; 3]).is_err() {
                    panic!("not answered");
                }
            }
            mark_end!(loop_of(LRPC));
        }
        assert!(COUNTER.get() == before + ALONE + LOOPS * ROUNDS);
    }

    /// Ends it.
    pub fn stop(self) {
        call::env_destroy(self.id, self.control).expect("it is ours");
    }
}
