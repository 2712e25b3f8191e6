//! Who is asked, demanded from and forced is entered by transfers meanwhile, again and again, or in the midst of one: it waits,
//! computes, gives the rest of its slices away by asynchronous transfers, waits for an answer with its slice lent, serves a
//! call, or has no slice at all. Each time it is told of everything once: of what was taken, and of what is asked, in its next
//! slice or, if it serves or has lent all that it has, behind that; calls are answered, and nobody else is told of anything.
//@ run: hostile_entered aegis_witness
//@ expect: hostile_entered: told of 13 losses in 7 situations, once each
//@ expect: hostile_entered: nothing is left over
//@ expect: aegis_witness: undisturbed
//@ timeout: 120

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../claim.rs"]
mod claim;

use claim::{authority, census, take, until_witness_is_ready};
use exos_rt::abi::EnvId;
use exos_rt::abi::revocation::{DEADLINE_MIN, FRAMES, LOST, SLICE_LOST, SLICES};
use exos_rt::environment::spawn;
use exos_rt::revocation::{Notice, inform};
use exos_rt::shared::Shared;
use exos_rt::transfer::{self, serve};
use exos_rt::{call, memory, println, public, revocation};

/// Slices of the victim, of the server that it calls, and of who calls it.
const SLICES_OF_VICTIM: [u32; 2] = [20, 50];
const OF_SERVER: u32 = 36;
const OF_CALLER: u32 = 44;
/// What a call is answered.
const SERVED: u64 = 0x1234_5678_9abc_def0;
/// Frames that it is requested to give at first, and one less in the end.
const FRAMES_ASKED: u32 = 3;
/// Ticks in which everybody has had a slice, and more.
const A_WHILE: u32 = 12;

/// What the victim does, or the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Waits,
    Computes,
    /// Sends all that comes to the others.
    Sends,
    /// Waits for the server's answer; the slice that it has lent is taken,
    Calls,
    /// or the other.
    CallsAndLosesTheOther,
    /// Serves the caller.
    Serves,
    /// Has no slice; it is entered only by transfers.
    Nothing,
}
use Doing::*;

static DOING: Shared<Doing> = Shared::new(Waits);
/// Of the victim and of the others: what they have done so often.
static ROUNDS: Shared<u32> = Shared::new(0);
static SENT: Shared<u32> = Shared::new(0);
static ANSWERED: Shared<u32> = Shared::new(0);
/// A call is to be answered only when nobody holds it.
static HELD: Shared<bool> = Shared::new(false);
static INSIDE: Shared<bool> = Shared::new(false);
static VICTIM: Shared<EnvId> = Shared::new(EnvId(0));
static SERVER: Shared<EnvId> = Shared::new(EnvId(0));
static CALLER: Shared<EnvId> = Shared::new(EnvId(0));
/// What the victim was asked for when it was told last, and how often of each.
static ASKED: Shared<(u32, u32)> = Shared::new((0, 0));
static TOLD: Shared<u32> = Shared::new(0);
static FRAMES_LOST: Shared<(u32, u32)> = Shared::new((0, 0));
static SLICES_LOST: Shared<(u32, u32)> = Shared::new((0, 0));

static POLICY: revocation::Stack<2048> = revocation::Stack::new();
static STACKS: [transfer::Stack<2048>; 2] = [const { transfer::Stack::new() }; 2];

/// It gives nothing.
fn policy(notice: Notice) {
    assert_eq!(call::self_id(), VICTIM.get());
    match notice {
        Notice::Asked(kind, demand) => {
            TOLD.add(1);
            ASKED.set((kind, demand.left));
        }
        Notice::Lost(entry) => {
            let lost = match entry.state {
                LOST => &FRAMES_LOST,
                SLICE_LOST => &SLICES_LOST,
                state => panic!("state {state}"),
            };
            lost.set((lost.get().0 + 1, entry.name));
        }
    }
}

/// Answers when nobody holds it any more.
extern "C" fn hold(_: u32, _: u32, _: u32, _: u32, _: EnvId) -> u64 {
    INSIDE.set(true);
    while HELD.get() {}
    INSIDE.set(false);
    SERVED
}

fn call(other: EnvId) {
    assert_eq!(transfer::call(other, [1, 2, 3, 4]), Ok(SERVED));
    ANSWERED.add(1);
    DOING.set(Waits);
}

extern "C" fn victim(_: u32) -> ! {
    VICTIM.set(call::self_id());
    // SAFETY: the stacks are its own, and what they use is shared with these alone.
    unsafe {
        inform(policy, &POLICY);
        serve(hold, &STACKS[0]);
    }
    loop {
        ROUNDS.add(1);
        match DOING.get() {
            Computes => {}
            Sends => {
                for to in [CALLER.get(), SERVER.get()] {
                    transfer::send(to, [5, 6, 7, 8]).unwrap();
                    SENT.add(1);
                }
            }
            Calls | CallsAndLosesTheOther => call(SERVER.get()),
            Nothing => {
                for position in SLICES_OF_VICTIM {
                    call::slice_free(position).unwrap();
                }
                DOING.set(Waits);
            }
            Waits | Serves => call::wait(None),
        }
    }
}

extern "C" fn server(_: u32) -> ! {
    // SAFETY: as above.
    unsafe { serve(hold, &STACKS[1]) };
    SERVER.set(call::self_id());
    loop {
        call::wait(None);
    }
}

extern "C" fn caller(_: u32) -> ! {
    CALLER.set(call::self_id());
    loop {
        if DOING.get() == Serves {
            call(VICTIM.get());
        }
        call::wait(None);
    }
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = public::ticks() + 2 * DEADLINE_MIN;
    while !done() {
        assert!(public::ticks() < end, "{:?}: {what}", DOING.get());
        call::yield_slice();
    }
}

/// Lets so many ticks pass, in which the victim is entered by asynchronous transfers.
fn pass_and_enter(ticks: u32) {
    let end = public::ticks() + ticks;
    while public::ticks() < end {
        transfer::send(VICTIM.get(), [9, 10, 11, 12]).unwrap();
    }
}

/// What the victim was told of: how often what is asked, and losses of frames and slices.
fn told() -> [u32; 3] {
    [TOLD.get(), FRAMES_LOST.get().0, SLICES_LOST.get().0]
}

/// It is told of so much more, and of no more though it is entered further.
fn is_told(before: [u32; 3], more: [u32; 3]) {
    let all: [u32; 3] = core::array::from_fn(|n| before[n] + more[n]);
    let end = public::ticks() + DEADLINE_MIN;
    while told() != all && public::ticks() < end {
        pass_and_enter(1);
    }
    pass_and_enter(A_WHILE);
    assert_eq!(told(), all, "{:?}", DOING.get());
}

/// The one of its slices that the victim has lent to the server.
fn lent() -> Option<u32> {
    SLICES_OF_VICTIM.into_iter().find(|&position| public::slice(position).runner == SERVER.get().0)
}

/// Brings the victim to where it is to be.
fn begin(doing: Doing) {
    // What it did before it has left, and waits: a call lends a slice for good only if nothing was lent in that slice before.
    (0..A_WHILE).for_each(|_| call::yield_slice());
    ROUNDS.set(0);
    SENT.set(0);
    HELD.set(true);
    DOING.set(doing);
    // Who is to be called goes on waiting.
    call::wake(if doing == Serves { CALLER.get() } else { VICTIM.get() }).unwrap();
    until("it does not begin", || match doing {
        Waits => ROUNDS.get() != 0,
        Computes => ROUNDS.get() > 100,
        Sends => SENT.get() > 4,
        Calls | CallsAndLosesTheOther => INSIDE.get() && lent().is_some(),
        Serves => INSIDE.get(),
        Nothing => public::slices_of(VICTIM.get()).count() == 0,
    });
}

/// The victim is asked, demanded from, and forced while it does this. How many losses that are.
fn situation(doing: Doing) -> u32 {
    let (id, spare) = (VICTIM.get(), memory::allocate().unwrap());
    // SAFETY: it is used for nothing.
    unsafe { call::frame_give(spare, id).unwrap() };
    begin(doing);
    let answered = ANSWERED.get();
    let at_first = told();
    // It is told of `more`, at once or behind this.
    let mut owed = [0; 3];
    let mut tell = |before, more: [u32; 3], at_once: bool| {
        if at_once {
            is_told(before, more);
        } else {
            pass_and_enter(A_WHILE);
            assert_eq!(told(), before, "{doing:?}: not in the midst of it");
            // What is asked is told as it is then.
            owed = [0, owed[1] + more[1], owed[2] + more[2]];
        }
    };
    let at_once = !matches!(doing, Serves | Nothing);
    let ask = |kind, count, within| call::revoke(id, authority(), kind, count, within).unwrap();

    // A request; then a demand in its place; and one for something else beside.
    ask(FRAMES, FRAMES_ASKED, 0);
    tell(told(), [1, 0, 0], at_once);
    assert!(!at_once || ASKED.get() == (FRAMES, FRAMES_ASKED));
    ask(FRAMES, 1, DEADLINE_MIN);
    tell(told(), [1, 0, 0], at_once);
    if doing != Nothing {
        ask(SLICES, 1, DEADLINE_MIN);
        tell(told(), [2, 0, 0], at_once);
        assert!(!at_once || ASKED.get() == (SLICES, 1));
    }
    pass_and_enter(DEADLINE_MIN);

    let (before, still) = (told(), u32::from(doing != Nothing));
    take(spare).unwrap();
    tell(before, [still, 1, 0], at_once);
    let mut at_once = at_once;
    let position = match doing {
        Nothing => None,
        Calls => lent(),
        CallsAndLosesTheOther => {
            at_once = false;
            SLICES_OF_VICTIM.into_iter().find(|&position| Some(position) != lent())
        }
        _ => Some(SLICES_OF_VICTIM[0]),
    };
    if let Some(position) = position {
        let before = told();
        call::slice_repossess(position, authority()).unwrap();
        tell(before, [0, 0, 1], at_once);
    }
    let before = told();
    ask(FRAMES, FRAMES_ASKED - 1, 0);
    tell(before, [1, 0, 0], at_once);

    // What it is in the midst of comes to its end.
    let before = told();
    HELD.set(false);
    if doing == Nothing {
        for _ in 0..A_WHILE {
            call::yield_to(id).unwrap();
        }
        DOING.set(Waits);
    }
    until("no answer comes", || matches!(doing, Waits | Computes | Sends) || DOING.get() == Waits);
    is_told(before, if at_once { [0; 3] } else { [1, owed[1], owed[2]] });
    assert_eq!(ASKED.get(), (FRAMES, FRAMES_ASKED - 1));
    let calls = u32::from(matches!(doing, Calls | CallsAndLosesTheOther | Serves));
    assert_eq!(ANSWERED.get() - answered, calls, "{doing:?}");
    DOING.set(Waits);
    ask(FRAMES, 0, 0);
    assert_eq!(FRAMES_LOST.get(), (at_first[1] + 1, spare));
    if let Some(position) = position {
        assert_eq!(SLICES_LOST.get(), (at_first[2] + 1, position));
        call::slice_allocate(position).unwrap();
        call::slice_give(position, id).unwrap();
    }
    1 + u32::from(position.is_some())
}

fn main() {
    until_witness_is_ready();
    let at_first = census();
    let server = spawn(server, 0, Some(OF_SERVER)).unwrap();
    let caller = spawn(caller, 0, Some(OF_CALLER)).unwrap();
    let [first, second] = SLICES_OF_VICTIM;
    let victim = spawn(victim, 0, Some(first)).unwrap();
    call::slice_allocate(second).unwrap();
    call::slice_give(second, victim.0).unwrap();
    until("not all are ready", || {
        [&SERVER, &CALLER, &VICTIM].iter().all(|id| id.get() != EnvId(0)) && ROUNDS.get() != 0
    });
    let all = [Waits, Computes, Sends, Calls, CallsAndLosesTheOther, Serves, Nothing];
    let losses: u32 = all.into_iter().map(situation).sum();
    let statistics = public::statistics();
    assert_eq!(statistics.frames_repossessed + statistics.slices_repossessed, losses);
    for (id, control) in [server, caller, victim] {
        claim::end(id, control);
    }
    println!("hostile_entered: told of {losses} losses in {} situations, once each", all.len());
    assert_eq!(census(), at_first);
    println!("hostile_entered: nothing is left over");
}
