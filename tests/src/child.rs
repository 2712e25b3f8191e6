//! What the programs that make environments share.

use exos_rt::abi::EnvId;
use exos_rt::call;

/// An id that nobody has.
#[allow(dead_code, reason = "not every program needs it")]
pub const NOBODY: EnvId = EnvId::new(200, 12_345);

/// Waits until an environment has ended.
#[allow(dead_code, reason = "not every program needs it")]
pub fn wait_for_end(id: EnvId) {
    while call::wake(id).is_ok() {
        call::yield_slice();
    }
}
