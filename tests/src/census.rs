//! What the programs that use memory share: a census of the frames of an environment.

use exos_rt::{call, memory, public};

/// How many frames this environment has.
pub fn owned() -> u32 {
    let id = call::self_id().0;
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id).count() as u32
}
