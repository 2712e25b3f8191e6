//! The grader of lab 3: a policy, alone and with environments.

#![no_std]
#![no_main]
exos_rt::program!(main);

use exos::scheduler::quantum;
use exos_policy::schedule::{CLIENTS, Policy, Refused, SHARES_MAX};
use exos_rt::environment::spawn;
use exos_rt::sequences::slices_used;
use exos_rt::shared::Shared;
use exos_rt::{call, memory, println, program, public};
use lab::Rounds;

fn owned() -> usize {
    let id = call::self_id();
    (0..public::frames()).filter(|&number| memory::frame(number).owner == id.0).count()
}

fn main() {
    let name = program::arguments().next().expect("the case is an argument");
    let before = owned();
    match name {
        "order" => order(),
        "refusals" => refusals(),
        "removal" => removal(),
        "machine" => machine(),
        "hostile" => hostile(),
        "time" => time(),
        _ => panic!("there is no case {name}"),
    }
    assert_eq!(owned(), before, "frames are left behind");
    println!("{}: {name} passed", program::name());
}

// --- The policy alone. -----------------------------------------------------------------------------------------------

fn order() {
    let mut policy = Rounds::new();
    assert_eq!(policy.next(), None, "nobody is there");
    let clients = [(70, 3), (3, 1), (0x8000_0001, 2), (u32::MAX, 5)];
    clients.into_iter().for_each(|(id, share)| policy.add(id, share).unwrap());
    for round in 0..10 {
        for (id, share) in clients {
            (0..share).for_each(|quantum| {
                assert_eq!(policy.next(), Some(id), "round {round}, quantum {quantum} of {share}");
            });
        }
    }
    let mut policy = Rounds::default();
    policy.add(5, 1).unwrap();
    assert!((0..10).all(|_| policy.next() == Some(5)), "who is alone gets all");
}

/// Whether the next two rounds are these clients', a quantum each; a round may be under way.
fn expect(policy: &mut Rounds, ids: core::ops::Range<u32>, why: &str) {
    let mut had = [0; CLIENTS + 2];
    for _ in 0..2 * ids.len() {
        had[policy.next().expect("there are clients") as usize] += 1;
    }
    let fair = had.iter().zip(0..).all(|(&had, id)| had == if ids.contains(&id) { 2 } else { 0 });
    assert!(fair, "{why}: quanta of two rounds by client are {had:?}");
}

fn refusals() {
    let mut policy = Rounds::new();
    assert_eq!(policy.add(1, 0), Err(Refused::BadShare), "no share");
    assert_eq!(policy.next(), None, "who was refused is there");
    policy.add(1, 1).unwrap();
    assert_eq!(policy.add(2, 0), Err(Refused::BadShare), "no share");
    assert_eq!(policy.add(2, SHARES_MAX as u16), Err(Refused::BadShare), "more shares than there may be");
    expect(&mut policy, 1..2, "who was refused has a turn");
    policy.add(2, SHARES_MAX as u16 - 1).unwrap();
    for share in [1, 2, 1000, u16::MAX] {
        assert_eq!(policy.add(3, share), Err(Refused::BadShare), "{share} more than there may be");
    }
    policy.remove(2);
    policy.add(2, 1).unwrap();
    expect(&mut policy, 1..3, "shares that are free again");
    (3..=CLIENTS as u32).for_each(|id| policy.add(id, 1).unwrap());
    assert_eq!(policy.add(99, 1), Err(Refused::Full), "more clients than there may be");
    expect(&mut policy, 1..CLIENTS as u32 + 1, "who was refused has a turn");
    policy.remove(99);
    policy.remove(1);
    policy.add(CLIENTS as u32 + 1, 1).unwrap();
    expect(&mut policy, 2..CLIENTS as u32 + 2, "a place that is free again");
}

/// What a policy of rounds does, said another way: a list of clients, who of them has the turn, and what of it is left.
struct Model {
    clients: [(u32, u32); CLIENTS],
    count: usize,
    turn: usize,
    left: u32,
}

impl Model {
    fn add(&mut self, id: u32, share: u32) {
        self.clients[self.count] = (id, share);
        self.count += 1;
    }

    fn remove(&mut self, id: u32) {
        let Some(place) = self.clients[..self.count].iter().position(|client| client.0 == id) else { return };
        self.clients.copy_within(place + 1..self.count, place);
        self.count -= 1;
        match place {
            place if place < self.turn => self.turn -= 1,
            place if place == self.turn => self.left = 0,
            _ => {}
        }
    }

    /// The turn of who has had nothing of it yet begins when it is asked.
    fn next(&mut self) -> Option<u32> {
        if self.turn >= self.count {
            (self.turn, self.left) = (0, 0);
        }
        let &(id, share) = self.clients[..self.count].get(self.turn)?;
        self.left = if self.left == 0 { share - 1 } else { self.left - 1 };
        if self.left == 0 {
            self.turn += 1;
        }
        Some(id)
    }
}

fn random(seed: &mut u32) -> u32 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    *seed
}

fn removal() {
    let mut seed = 1995;
    let (mut policy, mut id) = (Rounds::new(), 0);
    let mut model = Model { clients: [(0, 0); CLIENTS], count: 0, turn: 0, left: 0 };
    for step in 0..20_000 {
        match random(&mut seed) % 8 {
            0 if model.count < CLIENTS => {
                let share = random(&mut seed) % 4 + 1;
                id += 1;
                assert_eq!(policy.add(id, share as u16), Ok(()), "step {step}");
                model.add(id, share);
            }
            1 if model.count > 0 => {
                // One that is there, whose turn it is as often as not, or one that is not.
                let place = if random(&mut seed).is_multiple_of(2) { model.turn } else { random(&mut seed) as usize };
                let gone = model.clients[place % CLIENTS].0;
                policy.remove(gone);
                model.remove(gone);
            }
            _ => assert_eq!(policy.next(), model.next(), "whose quantum it is at step {step}"),
        }
    }
}

fn time() {
    const ROUNDS: u32 = 20_000;
    for (clients, share) in [(1, u16::MAX), (CLIENTS as u32, (SHARES_MAX / CLIENTS as u32) as u16), (CLIENTS as u32, 1)]
    {
        let mut policy = Rounds::new();
        (0..clients).for_each(|id| policy.add(id, share).unwrap());
        let begun = call::clock();
        for _ in 0..ROUNDS {
            assert!(core::hint::black_box(&mut policy).next().is_some());
        }
        let took = call::clock() - begun;
        assert!(took <= 16, "{ROUNDS} decisions among {clients} with shares of {share} take {took} ticks of the clock");
    }
}

// --- With environments. ----------------------------------------------------------------------------------------------

/// How far each has counted.
static COUNTS: [Shared<u32>; 3] = [const { Shared::new(0) }; 3];

extern "C" fn counts(place: u32) -> ! {
    loop {
        COUNTS[place as usize].add(1);
    }
}

extern "C" fn ends(slices: u32) -> ! {
    while slices_used() < slices {
        core::hint::spin_loop();
    }
    call::exit(0)
}

extern "C" fn yields(_: u32) -> ! {
    loop {
        call::yield_slice();
    }
}

/// Gives so many quanta, and how many of them each client of a list got.
fn give<const N: usize>(policy: &mut Rounds, quanta: u32, ids: [u32; N]) -> [u32; N] {
    let mut had = [0; N];
    for _ in 0..quanta {
        let next = quantum(policy).expect("they live").0;
        had[ids.iter().position(|&id| id == next).expect("it is a client")] += 1;
    }
    had
}

/// Whether counts are in proportion to shares, within one part of twenty.
fn in_proportion(counts: [u32; 3], shares: [u32; 3]) -> bool {
    let per = counts[0] / shares[0];
    counts.into_iter().zip(shares).all(|(count, share)| (count / share).abs_diff(per) <= per / 20)
}

fn machine() {
    let mut policy = Rounds::new();
    let shares = [3, 2, 1];
    let clients = [0, 1, 2].map(|place| spawn(counts, place, None).unwrap());
    for ((id, _), share) in clients.into_iter().zip(shares) {
        policy.add(id.0, share as u16).unwrap();
    }
    assert_eq!(give(&mut policy, 60, clients.map(|(id, _)| id.0)), [30, 20, 10], "quanta");
    let counts = COUNTS.each_ref().map(Shared::get);
    assert!(in_proportion(counts, shares), "with shares of {shares:?} they have counted to {counts:?}");
    // In the midst of the first one's turn the second ends.
    assert_eq!(quantum(&mut policy), Some(clients[0].0));
    call::env_destroy(clients[1].0, clients[1].1).unwrap();
    let rest = [0, 0, 2, 0, 0, 0, 2].map(|place| clients[place].0);
    rest.into_iter().for_each(|id| assert_eq!(quantum(&mut policy), Some(id), "one of three has ended"));
    for (id, control) in [clients[0], clients[2]] {
        call::env_destroy(id, control).unwrap();
    }
    assert_eq!(quantum(&mut policy), None, "all have ended");
    for slices in [1, 2] {
        policy.add(spawn(ends, slices, None).unwrap().0.0, 2).unwrap();
    }
    exos::scheduler::run(&mut policy);
    assert_eq!(policy.next(), None, "all have ended by themselves");
}

fn hostile() {
    let mut policy = Rounds::new();
    let shares = [3, 2, 1];
    let good = [0, 1, 2].map(|place| spawn(counts, place, None).unwrap());
    let (yielding, control) = spawn(yields, 0, None).unwrap();
    let (short, _) = spawn(ends, 1, None).unwrap();
    policy.add(yielding.0, 4).unwrap();
    for ((id, _), share) in good.into_iter().zip(shares) {
        policy.add(id.0, share as u16).unwrap();
    }
    policy.add(short.0, 7).unwrap();
    let mut had = [0; 3];
    while had[0] < 30 {
        let next = quantum(&mut policy).expect("they live");
        if let Some(place) = good.iter().position(|&(id, _)| id == next) {
            had[place] += 1;
        }
    }
    // The first one's turn of the last round is over, and the others' of that round are not.
    assert_eq!(had, [30, 18, 9], "quanta of those that compute");
    let counts = COUNTS.each_ref().map(Shared::get);
    assert!(in_proportion([counts[0] * 9 / 10, counts[1], counts[2]], shares), "they have counted to {counts:?}");
    for (id, control) in good.into_iter().chain([(yielding, control)]) {
        call::env_destroy(id, control).unwrap();
    }
    assert_eq!(quantum(&mut policy), None, "all have ended");
}
