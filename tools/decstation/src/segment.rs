//! An Ethernet segment: machines in one process on one cable of 10 Mbit/s, in simulated time.
//!
//! The machines take turns in one thread, each for so long as nothing that another does can reach it: a frame reaches a
//! receiver's memory after its first [`SILO`] bytes at the earliest. So a run is the same whatever the host does, and
//! whatever the turn.
//!
//! The cable is given to whoever was ready first, after the gap between frames; of two that were ready in the same
//! nanosecond, to the one that joined first. Nobody collides, so nobody backs off: that is the one thing that a real
//! segment under load does worse. Signals take no time to travel.
//!
//! ```
//! use decstation::{Config, Machine, Segment, Stop};
//!
//! let mut segment = Segment::new();
//! for number in 1..=2 {
//!     let ethernet = Some([0x08, 0x00, 0x2b, 0x00, 0x00, number]);
//!     segment.join(Machine::new(Config { ethernet, ..Config::default() }))?;
//! }
//! // Without an image a machine stands in its PROM, which has nothing to boot.
//! assert_eq!(segment.run(1_000_000), Some((0, Stop::Reboot)));
//! # Ok::<(), decstation::segment::NoController>(())
//! ```

use crate::lance::{BYTE_NS, FCS, Frame, MIN_FRAME, PREAMBLE, Request, SILO, cycles, wire_time, with_fcs};
use crate::machine::{Limits, Machine, Stop};
use crate::tunnel::Tunnel;
use fastrand::Rng;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Silence between two frames, in nanoseconds.
pub const GAP_NS: u64 = 9600;
/// The longest turn: how long a frame takes to matter to anybody.
pub const TURN_NS: u64 = (PREAMBLE + SILO) as u64 * BYTE_NS;
/// How long a frame that is to come late is held while no other overtakes it.
pub const HOLD_NS: u64 = 10_000_000;

/// Bytes of the two addresses at the start of a frame.
const ADDRESSES: usize = 12;

/// A fault of the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The frame is gone.
    Loss,
    /// It comes twice, one behind the other.
    Duplication,
    /// It comes behind the next one, or after [`HOLD_NS`].
    Reordering,
    /// One of its bits is wrong, which the check sequence shows.
    Corruption,
    /// One of its data bits is wrong, and the check sequence fits: what a bad bridge does. Addresses stay right.
    HiddenCorruption,
}

/// Faults at random, each in so many of a million frames; a frame has one at most. The same seed makes the same faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Where the random numbers begin.
    pub seed: u64,
    /// [`Fault::Loss`].
    pub loss: u32,
    /// [`Fault::Duplication`].
    pub duplication: u32,
    /// [`Fault::Reordering`].
    pub reordering: u32,
    /// [`Fault::Corruption`].
    pub corruption: u32,
    /// [`Fault::HiddenCorruption`].
    pub hidden_corruption: u32,
}

/// A frame that passed, as it was on the cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// When its first bit after the preamble was there, in nanoseconds of the segment's time.
    pub time: u64,
    /// The frame, check sequence included.
    pub frame: Frame,
    /// Which machine sent it; None: the outside.
    pub from: Option<usize>,
}

/// Somebody who sees each frame that passes.
pub type Listener = Box<dyn FnMut(&Passed) + Send>;

/// What has passed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames on the cable, with those that faults made.
    pub frames: u64,
    /// Their bytes, check sequences included.
    pub bytes: u64,
    /// Frames that a fault took away.
    pub lost: u64,
    /// Frames that came twice.
    pub duplicated: u64,
    /// Frames that came late.
    pub reordered: u64,
    /// Frames with a wrong bit.
    pub corrupted: u64,
}

/// A machine has no Ethernet controller: see [`crate::Config::ethernet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the machine has no Ethernet controller")]
pub struct NoController;

/// A machine on the cable.
struct Station {
    machine: Machine,
    /// Where its clock stood when it joined, in cycles, and the segment's.
    joined: (u64, u64),
    /// Why it runs no more.
    stop: Option<Stop>,
}

impl Station {
    /// The segment's time at a cycle, in nanoseconds.
    fn time(&self, cycle: u64) -> u64 {
        let hz = u128::from(self.machine.config().profile.hz);
        self.joined.1 + (u128::from(cycle - self.joined.0) * 1_000_000_000 / hz) as u64
    }

    /// The first cycle that begins at this time or later.
    fn cycle(&self, time: u64) -> u64 {
        self.joined.0 + cycles(time.saturating_sub(self.joined.1), self.machine.config().profile.hz)
    }
}

/// Somebody waits for the cable.
#[derive(Clone)]
struct Waiting {
    ready: u64,
    from: Option<usize>,
    frame: Frame,
    /// The chip's number for it, if a chip is to be told.
    serial: Option<u64>,
    /// It had its fault.
    again: bool,
    /// It lets the next one overtake.
    late: bool,
}

/// The segment.
#[derive(Default)]
pub struct Segment {
    stations: Vec<Station>,
    now: u64,
    /// Until when the cable is taken, the gap included.
    free: u64,
    waiting: Vec<Waiting>,
    faults: Option<(Faults, Rng)>,
    planned: VecDeque<Fault>,
    listeners: Vec<Listener>,
    traffic: Traffic,
    turn: Option<u64>,
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment").field("now", &self.now).field("traffic", &self.traffic).finish_non_exhaustive()
    }
}

impl Segment {
    /// An empty cable.
    pub fn new() -> Segment {
        Segment::default()
    }

    /// A machine joins, whatever it has done before; its number.
    pub fn join(&mut self, mut machine: Machine) -> Result<usize, NoController> {
        machine.board.lance.as_mut().ok_or(NoController)?.attach();
        let joined = (machine.cycles(), self.now);
        self.stations.push(Station { machine, joined, stop: None });
        Ok(self.stations.len() - 1)
    }

    /// A machine on the segment. Panics if there is none with this number, as an index does.
    pub fn machine(&self, number: usize) -> &Machine {
        &self.stations[number].machine
    }

    /// The same, to inspect it further or to type at its console. To run it here would put it ahead of the others.
    pub fn machine_mut(&mut self, number: usize) -> &mut Machine {
        &mut self.stations[number].machine
    }

    /// The machines, in the order in which they joined. Frames on their way are lost.
    pub fn into_machines(self) -> Vec<Machine> {
        self.stations.into_iter().map(|station| station.machine).collect()
    }

    /// Why a machine runs no more, if so.
    pub fn stop(&self, number: usize) -> Option<&Stop> {
        self.stations[number].stop.as_ref()
    }

    /// Simulated time since the segment began, in nanoseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// What has passed.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// From now on faults happen at random.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = Some((faults, Rng::with_seed(faults.seed)));
    }

    /// The next frame has this fault; called again, the one after it.
    pub fn plan(&mut self, fault: Fault) {
        self.planned.push_back(fault);
    }

    /// Shows each frame that passes to this function too.
    pub fn listen(&mut self, listener: Listener) {
        self.listeners.push(listener);
    }

    /// Shortens the turns. No run depends on it.
    pub fn set_turn(&mut self, nanoseconds: u64) {
        self.turn = Some(nanoseconds.clamp(1, TURN_NS));
    }

    /// Sends data from outside, as soon as the cable is free: padded if it is short, with its check sequence.
    pub fn send(&mut self, data: &[u8]) {
        let mut data = data.to_vec();
        data.resize(data.len().max(MIN_FRAME - FCS), 0);
        self.send_raw(&with_fcs(&data));
    }

    /// Sends just these bytes from outside, the last four as the check sequence.
    pub fn send_raw(&mut self, frame: &[u8]) {
        let frame = frame.into();
        self.waiting.push(Waiting { ready: self.now, from: None, frame, serial: None, again: false, late: false });
    }

    /// Runs all machines for so much simulated time, or until one stops by itself: its number and why. The others have then
    /// come to the end of that turn; a further call goes on without it.
    pub fn run(&mut self, nanoseconds: u64) -> Option<(usize, Stop)> {
        let end = self.now.saturating_add(nanoseconds);
        while self.now < end {
            // Who was ready before now is known, so what began before now is decided; it matters to nobody before now.
            self.serve();
            let until = end.min(self.now + self.turn.unwrap_or(TURN_NS));
            let mut stopped = None;
            for (number, station) in self.stations.iter_mut().enumerate() {
                if station.stop.is_some() {
                    continue;
                }
                let left = station.cycle(until).saturating_sub(station.machine.cycles());
                if left > 0 {
                    let stop = station.machine.run(Limits::cycles(left));
                    if stop != Stop::Budget {
                        station.stop = Some(stop.clone());
                        stopped.get_or_insert((number, stop));
                    }
                }
                let requests = station.machine.board.lance.as_mut().map(|lance| lance.take_requests());
                for Request { ready, frame, serial } in requests.unwrap_or_default() {
                    let (ready, serial) = (station.time(ready), Some(serial));
                    self.waiting.push(Waiting { ready, from: Some(number), frame, serial, again: false, late: false });
                }
            }
            self.now = until;
            if stopped.is_some() {
                return stopped;
            }
        }
        None
    }

    /// The same in the host's time, bridged to a tunnel: not reproducible. Frames of the machines go out, what comes in goes
    /// to them. While simulated time is ahead of the host's, it waits.
    pub fn run_bridged(&mut self, nanoseconds: u64, tunnel: &mut Tunnel) -> Option<(usize, Stop)> {
        const STEP: u64 = 1_000_000;
        let (sender, passed) = std::sync::mpsc::channel();
        self.listen(Box::new(move |frame| {
            // The receiver is gone only when the loop below is.
            let _ = sender.send(frame.clone());
        }));
        let (began, start) = (Instant::now(), self.now);
        let end = self.now.saturating_add(nanoseconds);
        let mut stopped = None;
        while self.now < end && stopped.is_none() {
            while let Some(data) = tunnel.receive() {
                self.send(&data);
            }
            stopped = self.run(STEP.min(end - self.now));
            for frame in passed.try_iter().filter(|frame| frame.from.is_some()) {
                tunnel.send(&frame.frame);
            }
            let ahead = Duration::from_nanos(self.now - start).saturating_sub(began.elapsed());
            std::thread::sleep(ahead);
        }
        self.listeners.pop();
        stopped
    }

    /// Lets pass what began before now: of those who wait, whoever was ready first.
    fn serve(&mut self) {
        while let Some(first) = (0..self.waiting.len()).min_by_key(|&i| (self.waiting[i].ready, self.waiting[i].from))
            && self.waiting[first].ready.max(self.free) < self.now
        {
            let waiting = self.waiting.remove(first);
            self.pass(waiting);
        }
    }

    /// A frame takes the cable.
    fn pass(&mut self, waiting: Waiting) {
        let start = waiting.ready.max(self.free);
        let end = start + wire_time(waiting.frame.len());
        if let (Some(serial), Some(station)) = (waiting.serial, waiting.from.and_then(|i| self.stations.get_mut(i))) {
            let (first, last) = (station.cycle(start), station.cycle(end));
            if let Some(lance) = &mut station.machine.board.lance {
                if lance.withdrew(serial, first) {
                    return;
                }
                lance.grant(serial, last, start > waiting.ready);
            }
        }
        self.free = end + GAP_NS;
        let fault = if waiting.again { None } else { self.fault() };
        // Whoever sent it is not told a second time.
        let again = Waiting { ready: end, serial: None, again: true, ..waiting.clone() };
        match fault {
            Some(Fault::Loss) => {
                self.traffic.lost += 1;
                return;
            }
            Some(Fault::Reordering) => {
                self.traffic.reordered += 1;
                self.waiting.push(Waiting { ready: start + HOLD_NS, late: true, ..again });
                return;
            }
            Some(Fault::Duplication) => {
                self.traffic.duplicated += 1;
                self.waiting.push(again);
                self.deliver(start, end, &waiting);
            }
            Some(fault @ (Fault::Corruption | Fault::HiddenCorruption)) => {
                self.traffic.corrupted += 1;
                let frame = corrupted(&waiting.frame, fault == Fault::HiddenCorruption, self.number());
                self.deliver(start, end, &Waiting { frame, ..waiting });
            }
            None => self.deliver(start, end, &waiting),
        }
        for late in self.waiting.iter_mut().filter(|waiting| waiting.late) {
            (late.ready, late.late) = (end, false);
        }
    }

    /// Everybody hears a frame.
    fn deliver(&mut self, start: u64, end: u64, waiting: &Waiting) {
        let Waiting { frame, from, .. } = waiting;
        self.traffic.frames += 1;
        self.traffic.bytes += frame.len() as u64;
        let preamble = PREAMBLE as u64 * BYTE_NS;
        for (i, station) in self.stations.iter_mut().enumerate() {
            let (look, end) = (station.cycle(start + TURN_NS), station.cycle(end));
            if let Some(lance) = &mut station.machine.board.lance {
                lance.arrive(look, end, Arc::clone(frame), *from == Some(i));
            }
        }
        let passed = Passed { time: start + preamble, frame: Arc::clone(frame), from: *from };
        for listener in &mut self.listeners {
            listener(&passed);
        }
    }

    /// The fault of the next frame.
    fn fault(&mut self) -> Option<Fault> {
        let planned = self.planned.pop_front();
        let Some((faults, random)) = &mut self.faults else { return planned };
        let mut chosen = random.u32(0..1_000_000);
        let chances = [
            (Fault::Loss, faults.loss),
            (Fault::Duplication, faults.duplication),
            (Fault::Reordering, faults.reordering),
            (Fault::Corruption, faults.corruption),
            (Fault::HiddenCorruption, faults.hidden_corruption),
        ];
        planned.or_else(|| {
            chances.into_iter().find_map(|(fault, chance)| match chosen.checked_sub(chance) {
                Some(rest) => {
                    chosen = rest;
                    None
                }
                None => Some(fault),
            })
        })
    }

    /// A random number; without random faults, which need none, always the same.
    fn number(&mut self) -> u64 {
        self.faults.as_mut().map_or(0x5eed, |(_, random)| random.u64(..))
    }
}

/// The frame with one bit changed.
fn corrupted(frame: &[u8], hidden: bool, number: u64) -> Frame {
    let mut bytes = frame.to_vec();
    // Behind both addresses, so that it still arrives somewhere.
    let changeable = if hidden { ADDRESSES..bytes.len().saturating_sub(FCS) } else { 0..bytes.len() };
    if let Some(width @ 1..) = changeable.end.checked_sub(changeable.start) {
        let bit = number % (width as u64 * 8);
        bytes[changeable.start + bit as usize / 8] ^= 1 << (bit % 8);
        if hidden {
            bytes.truncate(changeable.end);
            bytes = with_fcs(&bytes);
        }
    }
    bytes.into()
}
