//! The PROM, which only stops the machine for us.

use core::cell::Cell;

/// Offset of `halt` in the PROM's call vector.
const HALT: u32 = 0x9c;

struct Vector(Cell<u32>);

// SAFETY: one processor, interrupts off in the kernel.
unsafe impl Sync for Vector {}

static VECTOR: Vector = Vector(Cell::new(0));

/// Remembers where the PROM's call vector is.
pub fn remember(vector: u32) {
    VECTOR.0.set(vector);
}

/// Stops the machine, or waits for ever if there is no PROM.
pub fn halt() -> ! {
    let vector = VECTOR.0.get();
    if vector != 0 {
        // SAFETY: the loader was started by a PROM and passed on its call vector; the PROM's memory was left alone. `halt` takes two
        // pointers that may be null, and if it returns there is the loop.
        unsafe {
            let halt: extern "C" fn(u32, u32) = core::mem::transmute(((vector + HALT) as *const u32).read_volatile());
            halt(0, 0);
        }
    }
    #[expect(clippy::empty_loop, reason = "there is nothing left to do")]
    loop {}
}
