//! What the programs share that take from others what they have.

use exos_rt::abi::frame::Capability;
use exos_rt::abi::revocation::DEADLINE_MIN;
use exos_rt::abi::{EnvId, Error, call as number};
use exos_rt::{call, environment, memory, public, revocation, save_page};

/// The capability for revocation: the program has been booted as the first.
#[allow(dead_code, reason = "not every program needs it")]
pub fn authority() -> Capability {
    revocation::authority().expect("this program is the first")
}

/// Waits so many ticks, at least.
pub fn pass(ticks: u32) {
    let end = public::ticks() + ticks;
    while public::ticks() < end {
        call::wait(Some(end));
    }
}

/// Demands `count` resources of a kind and lets the deadline pass.
#[allow(dead_code, reason = "not every program needs it")]
pub fn demand_and_wait(env: EnvId, what: u32, count: u32) {
    call::revoke(env, authority(), what, count, DEADLINE_MIN).expect("it lives");
    pass(DEADLINE_MIN);
}

/// How many frames an environment owns.
#[allow(dead_code, reason = "not every program needs it")]
pub fn frames_of(env: EnvId) -> u32 {
    (0..public::frames()).filter(|&number| memory::frame(number).owner == env.0).count() as u32
}

/// What there is: frames that are free, and environments and slices that are somebody's.
#[allow(dead_code, reason = "not every program needs it")]
pub fn census() -> [u32; 3] {
    let free = (0..public::frames()).filter(|&number| memory::seems_free(number)).count() as u32;
    let slices = (0..64).filter(|&position| public::slice(position).owner != 0).count() as u32;
    let statistics = public::statistics();
    [free, statistics.created - statistics.ended, slices]
}

/// Waits until the witness beside this program has taken all that it takes, and its other environment has begun: before that
/// what it has counts as free. From then on the [`census`] changes by this program alone.
#[allow(dead_code, reason = "not every program needs it")]
pub fn until_witness_is_ready() {
    let (me, end) = (call::self_id().0, public::ticks() + 1024);
    let ready = || {
        let mut others =
            (0..64).map(|position| public::slice(position).owner).filter(|&owner| owner != 0 && owner != me);
        let mut began = || others.next().is_some_and(|owner| environment::seems_alive(EnvId(owner)));
        began() && began()
    };
    while !ready() {
        assert!(public::ticks() < end, "the witness has not begun");
        call::yield_slice();
    }
}

/// Takes a frame, and tells what was refused, if it was.
#[allow(dead_code, reason = "not every program needs it")]
pub fn take(frame: u32) -> Result<(), Error> {
    call::frame_repossess(frame, authority())
}

/// Takes one step of taking a frame.
#[allow(dead_code, reason = "not every program needs it")]
pub fn take_a_step(frame: u32, authority: Capability) -> Result<(), Error> {
    save_page::present(authority);
    // SAFETY: the frame is another's, or used for nothing.
    call::check(unsafe { call::raw(frame, 0, 0, 0, number::FRAME_REPOSSESS) }).map(drop)
}

/// Ends an environment and waits until that shows.
#[allow(dead_code, reason = "not every program needs it")]
pub fn end(env: EnvId, control: Capability) {
    call::env_destroy(env, control).expect("it lives");
    call::yield_slice();
    assert!(!environment::seems_alive(env));
}
