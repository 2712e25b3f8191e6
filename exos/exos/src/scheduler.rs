//! A scheduler in an application (the paper's section 7.3): it owns slices, decides at the start of each who runs, and
//! yields to that environment by name. It needs no right over those that it schedules, and they need no slices.
//!
//! Who is next is a policy's to say ([`exos_policy`]): stride, lottery, or another of the program's own.

use exos_policy::schedule::Policy;
use exos_rt::abi::EnvId;
use exos_rt::call;

/// Gives one quantum, a slice of this environment's; to whom. `None` if the policy has no clients any more: those that
/// have ended it loses.
pub fn quantum(policy: &mut impl Policy) -> Option<EnvId> {
    loop {
        let client = EnvId(policy.next()?);
        match call::yield_to(client) {
            Ok(()) => return Some(client),
            Err(_) => policy.remove(client.0),
        }
    }
}

/// Schedules until all clients have ended.
pub fn run(policy: &mut impl Policy) {
    while quantum(policy).is_some() {}
}
