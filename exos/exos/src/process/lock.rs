//! A lock among processes: a word in memory that they share.
//!
//! It holds the number of the process that has it, so one whose owner has ended is taken over.

use crate::process;
use crate::process::table::{state, world};
use exos_rt::abi::EnvId;
use exos_rt::call;
use exos_rt::shared::Shared;

/// A lock; zero is one that nobody has.
#[repr(transparent)]
pub struct Lock(Shared<u32>);

impl Lock {
    /// Opens it, before anybody uses it.
    pub fn reset(&self) {
        self.0.set(0);
    }

    /// Does something while nobody else can. Not to be entered again from there.
    pub fn hold<R>(&self, work: impl FnOnce() -> R) -> R {
        let me = process::pid();
        loop {
            let owner = self.0.swap(0, me);
            if owner == 0 || owner == me {
                break;
            }
            match world().find(owner) {
                Some(process) if process.state.get() == state::RUNNING && process.is_alive() => {
                    let _ = call::yield_to(EnvId(process.env.get()));
                }
                _ if self.0.swap(owner, me) == owner => break,
                _ => {}
            }
        }
        let result = work();
        self.0.set(0);
        result
    }
}
