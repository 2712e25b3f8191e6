//! The Ethernet controller: an Am7990 LANCE beside 128 KB of memory that both it and the CPU reach, and its station
//! address ROM, as the board's seventh TURBOchannel slot has them.
//!
//! The chip reads and writes that memory only, so nothing here touches main memory or its caches. It works between
//! instructions, at the moments named below; the data of a frame move all at once, at its end. What happens on the wire
//! is the business of [`crate::segment`]: this hands it frames to send and takes those that arrive.

use crate::profile::EtherTiming;
use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// Start of its slot.
pub const BASE: u32 = 0x1f80_0000;
/// Size of its slot.
pub const SLOT: u32 = 0x40_0000;
/// Bytes of buffer memory, at the start of the slot. The chip sees it at its address 0.
pub const MEMORY: usize = 0x2_0000;
/// Offset of the register data port.
pub const RDP: u32 = 0x10_0000;
/// Offset of the register address port.
pub const RAP: u32 = 0x10_0004;
/// Offset of the station address ROM: 32 words with a byte each.
pub const ROM: u32 = 0x1c_0000;

/// CSR0: one of BABL, CERR, MISS, MERR.
pub const ERR: u16 = 0x8000;
/// CSR0: more was sent than the longest frame.
pub const BABL: u16 = 0x4000;
/// CSR0: the transceiver did not answer after a frame.
pub const CERR: u16 = 0x2000;
/// CSR0: a frame was lost for want of a buffer.
pub const MISS: u16 = 0x1000;
/// CSR0: memory did not answer. Here it always does.
pub const MERR: u16 = 0x0800;
/// CSR0: a frame was received.
pub const RINT: u16 = 0x0400;
/// CSR0: a frame was sent.
pub const TINT: u16 = 0x0200;
/// CSR0: initialisation is done.
pub const IDON: u16 = 0x0100;
/// CSR0: one of BABL, MISS, MERR, RINT, TINT, IDON.
pub const INTR: u16 = 0x0080;
/// CSR0: INTR goes to the interrupt line.
pub const INEA: u16 = 0x0040;
/// CSR0: the receiver is on.
pub const RXON: u16 = 0x0020;
/// CSR0: the transmitter is on.
pub const TXON: u16 = 0x0010;
/// CSR0: look for a frame to send now.
pub const TDMD: u16 = 0x0008;
/// CSR0: stop.
pub const STOP: u16 = 0x0004;
/// CSR0: start.
pub const STRT: u16 = 0x0002;
/// CSR0: read the initialisation block.
pub const INIT: u16 = 0x0001;

/// CSR0 bits that a 1 clears.
const EVENTS: u16 = BABL | CERR | MISS | MERR | RINT | TINT | IDON;
/// Those that make ERR.
const ERRORS: u16 = BABL | CERR | MISS | MERR;
/// Those that make INTR.
const INTERRUPTS: u16 = EVENTS & !CERR;

/// CSR3: bytes of frames are swapped.
pub const BSWP: u16 = 4;

/// Mode: all frames are received.
pub const MODE_PROM: u16 = 0x8000;
/// Mode: loop-back inside the chip.
pub const MODE_INTL: u16 = 0x0040;
/// Mode: each attempt to send collides, in internal loop-back.
pub const MODE_COLL: u16 = 0x0010;
/// Mode: no check sequence is appended.
pub const MODE_DTCR: u16 = 0x0008;
/// Mode: loop-back.
pub const MODE_LOOP: u16 = 0x0004;
/// Mode: the transmitter stays off.
pub const MODE_DTX: u16 = 0x0002;
/// Mode: the receiver stays off.
pub const MODE_DRX: u16 = 0x0001;

/// Descriptors, second word: the chip's.
pub const OWN: u16 = 0x8000;
/// One of the errors.
pub const MD_ERR: u16 = 0x4000;
/// First buffer of a frame.
pub const STP: u16 = 0x0200;
/// Last buffer of a frame.
pub const ENP: u16 = 0x0100;
/// Receive: the check sequence is wrong.
pub const RMD_CRC: u16 = 0x0800;
/// Receive: the next buffer was not the chip's.
pub const RMD_BUFF: u16 = 0x0400;
/// Transmit: it had to wait for the wire.
pub const TMD_DEF: u16 = 0x0400;
/// Transmit, fourth word: the next buffer was not the chip's.
pub const TMD_BUFF: u16 = 0x8000;
/// Transmit, fourth word: the frame was cut off.
pub const TMD_UFLO: u16 = 0x4000;
/// Transmit, fourth word: there is no carrier.
pub const TMD_LCAR: u16 = 0x0800;
/// Transmit, fourth word: all attempts collided.
pub const TMD_RTRY: u16 = 0x0400;

/// Bytes of the check sequence.
pub const FCS: usize = 4;
/// The shortest frame, check sequence included.
pub const MIN_FRAME: usize = 64;
/// The longest.
pub const MAX_FRAME: usize = 1518;
/// So much of a frame fits the chip while it has no buffer: then it is missed.
pub const SILO: usize = 48;
/// A byte on the wire, in nanoseconds.
pub const BYTE_NS: u64 = 800;
/// Bytes before a frame: preamble and start.
pub const PREAMBLE: usize = 8;

/// A frame with its check sequence.
pub type Frame = Arc<[u8]>;

/// The frame with its check sequence appended.
pub fn with_fcs(data: &[u8]) -> Vec<u8> {
    [data, &crc32fast::hash(data).to_le_bytes()].concat()
}

/// Whether a frame's check sequence is right.
pub fn fcs_fits(frame: &[u8]) -> bool {
    frame.split_last_chunk().is_some_and(|(data, fcs)| crc32fast::hash(data).to_le_bytes() == *fcs)
}

/// Nanoseconds that a frame is on the wire, preamble included. Fragments shorter than the silo count as long as it: nobody
/// receives them, and this lets machines run for so long without knowing of each other.
pub fn wire_time(bytes: usize) -> u64 {
    (PREAMBLE + bytes.max(SILO)) as u64 * BYTE_NS
}

/// A frame that the chip has ready for the wire.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub(crate) struct Request {
    /// From when on, in cycles.
    pub(crate) ready: u64,
    pub(crate) frame: Frame,
    /// Tells it from others of this chip.
    pub(crate) serial: u64,
}

/// How sending ends.
#[derive(Clone, Copy, Debug, Default, BorshSerialize, BorshDeserialize)]
struct Outcome {
    /// When the last bit has left.
    end: u64,
    /// Bits for TMD1.
    status: u16,
    /// Bits for TMD3: errors.
    errors: u16,
    /// Bits for CSR0.
    events: u16,
}

/// The transmitter.
#[derive(Clone, Debug, Default, BorshSerialize, BorshDeserialize)]
enum Transmitter {
    /// It looks for a frame at this cycle.
    Idle { poll: u64 },
    /// A frame waits for the wire, or is on it and its end is known.
    #[default]
    Off,
    Busy {
        /// Descriptors that the frame took.
        descriptors: u32,
        frame: Frame,
        serial: u64,
        /// Errors known before it is sent.
        errors: u16,
        /// When it is over.
        outcome: Option<Outcome>,
    },
}

/// A frame on its way in.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
struct Arrival {
    /// When the chip must have a buffer for it.
    look: u64,
    /// When it is in its buffer.
    done: u64,
    frame: Frame,
    /// The chip sent it itself.
    own: bool,
    /// Whether it is wanted, once that was looked at.
    taken: Option<bool>,
}

/// A descriptor ring.
#[derive(Clone, Copy, Debug, Default, BorshSerialize, BorshDeserialize)]
struct Ring {
    base: u32,
    mask: u32,
    at: u32,
}

impl Ring {
    fn new(low: u16, high: u16) -> Ring {
        Ring { base: u32::from(high & 0xff) << 16 | u32::from(low & !7), mask: (1 << (high >> 13)) - 1, at: 0 }
    }

    /// The address of the descriptor so many further on.
    fn descriptor(&self, further: u32) -> u32 {
        self.base + ((self.at + further) & self.mask) * 8
    }

    fn go_on(&mut self, descriptors: u32) {
        self.at = (self.at + descriptors) & self.mask;
    }
}

/// What the initialisation block said.
#[derive(Clone, Debug, Default, BorshSerialize, BorshDeserialize)]
struct Setup {
    mode: u16,
    address: [u8; 6],
    filter: u64,
    receive: Ring,
    transmit: Ring,
}

/// The chip with its memory.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Lance {
    hz: u64,
    timing: EtherTiming,
    rom: [u8; 32],
    memory: Box<[u32]>,
    rap: u16,
    csr0: u16,
    /// CSR1 to CSR3.
    csr: [u16; 3],
    setup: Setup,
    /// When initialisation is done.
    initialised: Option<u64>,
    transmitter: Transmitter,
    arrivals: VecDeque<Arrival>,
    /// Frames that no segment has taken yet.
    requests: Vec<Request>,
    /// Numbers of frames that were ready as the chip was stopped, and the cycle of that.
    withdrawn: Vec<(u64, u64)>,
    /// Frames that were ready so far.
    serial: u64,
    /// A segment serves it. Otherwise there is no transceiver on its cable.
    attached: bool,
}

impl Lance {
    /// The controller with this station address at a CPU clock, stopped.
    pub fn new(hz: u64, timing: EtherTiming, station: [u8; 6]) -> Lance {
        Lance {
            hz,
            timing,
            rom: station_rom(station),
            memory: vec![0; MEMORY / 4].into_boxed_slice(),
            rap: 0,
            csr0: STOP,
            csr: [0; 3],
            setup: Setup::default(),
            initialised: None,
            transmitter: Transmitter::Off,
            arrivals: VecDeque::new(),
            requests: Vec::new(),
            withdrawn: Vec::new(),
            serial: 0,
            attached: false,
        }
    }

    /// The station address in the ROM. The one that it answers to comes from the initialisation block.
    pub fn station(&self) -> [u8; 6] {
        std::array::from_fn(|i| self.rom[i])
    }

    /// What CSR0 would read as.
    pub fn csr0(&self) -> u16 {
        let error = if self.csr0 & ERRORS != 0 { ERR } else { 0 };
        let interrupt = if self.csr0 & INTERRUPTS != 0 { INTR } else { 0 };
        self.csr0 | error | interrupt
    }

    /// Bytes of buffer memory.
    pub fn bytes(&self, at: u32, length: usize) -> Vec<u8> {
        (at..).take(length).map(|at| self.byte(at)).collect()
    }

    /// A halfword of buffer memory, such as a part of a descriptor.
    pub fn half(&self, at: u32) -> u16 {
        u16::from_le_bytes([self.byte(at & !1), self.byte(at | 1)])
    }

    /// Whether this offset in the slot is buffer memory, which acts on nothing when it is read or written.
    pub fn is_memory(offset: u32) -> bool {
        (offset as usize) < MEMORY
    }

    /// Reads the word at this offset of the slot; None: nothing answers.
    pub fn read(&self, offset: u32) -> Option<u32> {
        match offset & !3 {
            RDP => Some(self.register().into()),
            RAP => Some(self.rap.into()),
            offset @ ROM.. => self.rom.get((offset - ROM) as usize / 4).map(|&byte| u32::from(byte) * 0x0101_0101),
            offset => self.memory.get(offset as usize / 4).copied(),
        }
    }

    /// Writes the bytes under `mask` of the word at this offset of the slot; None: nothing answers.
    pub fn write(&mut self, now: u64, offset: u32, value: u32, mask: u32) -> Option<()> {
        match offset & !3 {
            RDP => self.write_register(now, (value & mask) as u16),
            RAP => self.rap = (value & mask) as u16 & 3,
            ROM.. => return None,
            offset => {
                let word = self.memory.get_mut(offset as usize / 4)?;
                *word = *word & !mask | value & mask;
            }
        }
        Some(())
    }

    fn register(&self) -> u16 {
        match self.rap {
            0 => self.csr0(),
            other => self.csr[usize::from(other) - 1],
        }
    }

    fn write_register(&mut self, now: u64, value: u16) {
        match self.rap {
            0 if value & STOP != 0 => self.stop(now),
            0 => self.control(now, value),
            // The others are open only while it is stopped.
            other if self.csr0 & STOP != 0 => {
                let writable = [0xfffe, 0x00ff, 0x0007][usize::from(other) - 1];
                self.csr[usize::from(other) - 1] = value & writable;
            }
            _ => {}
        }
    }

    /// All activity ends. A frame that is on the cable goes on without the chip.
    fn stop(&mut self, now: u64) {
        if let Transmitter::Busy { serial, outcome: None, .. } = self.transmitter {
            self.withdrawn.push((serial, now));
        }
        self.csr0 = STOP;
        self.csr[2] = 0;
        self.initialised = None;
        self.transmitter = Transmitter::Off;
        for arrival in self.arrivals.iter_mut().filter(|arrival| arrival.taken.is_some()) {
            arrival.taken = Some(false);
        }
    }

    fn control(&mut self, now: u64, value: u16) {
        self.csr0 &= !(value & EVENTS);
        if value & INIT != 0 && self.csr0 & STOP != 0 {
            self.csr0 = self.csr0 & !STOP | INIT;
            self.initialised = Some(now + self.cycles(self.timing.init));
        }
        if value & STRT != 0 && self.csr0 & STRT == 0 {
            self.csr0 = self.csr0 & !STOP | STRT;
            if self.initialised.is_none() {
                self.start(now);
            }
        }
        if self.csr0 & STOP == 0 {
            self.csr0 = self.csr0 & !INEA | value & INEA;
        }
        if value & TDMD != 0
            && let Transmitter::Idle { poll } = &mut self.transmitter
        {
            *poll = now;
        }
    }

    fn start(&mut self, now: u64) {
        if self.setup.mode & MODE_DRX == 0 {
            self.csr0 |= RXON;
        }
        if self.setup.mode & MODE_DTX == 0 {
            self.csr0 |= TXON;
            self.transmitter = Transmitter::Idle { poll: now };
        }
    }

    fn read_block(&mut self) {
        let at = u32::from(self.csr[1]) << 16 | u32::from(self.csr[0]);
        let word = |i: u32| self.half(at + i * 2);
        let bytes = |i: u32| word(1 + i / 2).to_le_bytes()[i as usize % 2];
        self.setup = Setup {
            mode: word(0),
            address: std::array::from_fn(|i| bytes(i as u32)),
            filter: (0..4).fold(0, |filter, i| filter | u64::from(word(4 + i)) << (i * 16)),
            receive: Ring::new(word(8), word(9)),
            transmit: Ring::new(word(10), word(11)),
        };
    }

    /// Brings everything up to date, in the order in which it happened.
    pub fn advance(&mut self, now: u64) {
        loop {
            let next = self.next_event();
            if next > now {
                return;
            }
            if self.initialised.is_some_and(|at| at <= next) {
                self.initialised = None;
                self.read_block();
                self.csr0 |= IDON;
                if self.csr0 & STRT != 0 {
                    self.start(next);
                }
            } else if self.arrivals.front().is_some_and(|arrival| arrival.due() <= next) {
                self.receive();
            } else {
                match &self.transmitter {
                    Transmitter::Idle { .. } => self.look_for_frame(next),
                    _ => self.sent(next),
                }
            }
        }
    }

    /// When something next happens by itself.
    pub fn next_event(&self) -> u64 {
        let transmitter = match &self.transmitter {
            Transmitter::Idle { poll } => *poll,
            Transmitter::Busy { outcome: Some(outcome), .. } => outcome.end + self.cycles(self.timing.status),
            _ => u64::MAX,
        };
        let arrival = self.arrivals.front().map_or(u64::MAX, Arrival::due);
        transmitter.min(arrival).min(self.initialised.unwrap_or(u64::MAX))
    }

    /// The interrupt line.
    pub fn interrupt(&self) -> bool {
        self.csr0 & INEA != 0 && self.csr0 & INTERRUPTS != 0
    }

    /// Whether a frame from elsewhere could still interrupt.
    pub fn awaits_input(&self) -> bool {
        self.attached && self.csr0 & (RXON | INEA) == RXON | INEA
    }

    /// In internal loop-back nothing comes from the wire or goes there.
    fn is_internal(&self) -> bool {
        self.setup.mode & (MODE_LOOP | MODE_INTL) == MODE_LOOP | MODE_INTL
    }

    fn cycles(&self, nanoseconds: u64) -> u64 {
        cycles(nanoseconds, self.hz)
    }

    // Sending.

    /// Takes the next frame from the ring, if the guest has put one there.
    fn look_for_frame(&mut self, now: u64) {
        let mut ring = self.setup.transmit;
        // Buffers that begin no frame are given back.
        for _ in 0..=ring.mask {
            let status = self.half(ring.descriptor(0) + 2);
            if status & (OWN | STP) != OWN {
                break;
            }
            self.set_half(ring.descriptor(0) + 2, status & !OWN);
            ring.go_on(1);
        }
        self.setup.transmit = ring;
        if self.half(ring.descriptor(0) + 2) & OWN == 0 {
            self.transmitter = Transmitter::Idle { poll: now + self.cycles(self.timing.poll) };
            return;
        }
        let (mut data, mut descriptors, mut errors) = (Vec::new(), 0, 0);
        loop {
            let at = ring.descriptor(descriptors);
            let status = self.half(at + 2);
            // Round the whole ring without an end, its first buffer comes again: that is not there to be sent twice.
            if descriptors > ring.mask || status & OWN == 0 {
                errors = TMD_BUFF | TMD_UFLO;
                break;
            }
            let start = u32::from(status & 0xff) << 16 | u32::from(self.half(at));
            let swap = u32::from(self.csr[2] & BSWP != 0);
            data.extend((0..length(self.half(at + 4))).map(|i| self.byte((start + i) ^ swap)));
            descriptors += 1;
            if status & ENP != 0 {
                break;
            }
        }
        if errors != 0 {
            // What is cut off is sent with a wrong check sequence.
            data.extend((!crc32fast::hash(&data)).to_le_bytes());
        } else if self.setup.mode & MODE_DTCR == 0 {
            data = with_fcs(&data);
        }
        let ready = now + self.cycles(self.timing.transmit);
        let frame: Frame = data.into();
        self.serial += 1;
        let serial = self.serial;
        let outcome = if self.is_internal() {
            Some(self.loop_back(ready, &frame, errors))
        } else if self.attached {
            self.requests.push(Request { ready, frame: Arc::clone(&frame), serial });
            None
        } else {
            // The medium is silent, and so is the transceiver.
            let end = ready + self.cycles(wire_time(frame.len()));
            Some(Outcome { end, status: 0, errors: errors | TMD_LCAR, events: CERR })
        };
        self.transmitter = Transmitter::Busy { descriptors, frame, serial, errors, outcome };
    }

    /// Sends a frame no further than to this chip's receiver: 8 to 32 bytes, so much as fits the silo.
    fn loop_back(&mut self, ready: u64, frame: &Frame, errors: u16) -> Outcome {
        let end = ready + self.cycles((PREAMBLE + frame.len()) as u64 * BYTE_NS);
        if self.setup.mode & MODE_COLL != 0 {
            return Outcome { end, errors: errors | TMD_RTRY, ..Outcome::default() };
        }
        let appended = if self.setup.mode & MODE_DTCR == 0 { FCS } else { 0 };
        if errors == 0 && (8..=32).contains(&(frame.len() - appended)) {
            self.arrivals.push_back(Arrival {
                look: end,
                done: end + self.cycles(self.timing.receive),
                frame: Arc::clone(frame),
                own: true,
                taken: None,
            });
        }
        Outcome { end, errors, ..Outcome::default() }
    }

    /// Frames that are to be sent, once.
    pub(crate) fn take_requests(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.requests)
    }

    /// Whether the chip was stopped before this frame could begin at this cycle. Frames are asked for in their order.
    pub(crate) fn withdrew(&mut self, serial: u64, start: u64) -> bool {
        let withdrew = self.withdrawn.iter().any(|&(other, at)| other == serial && at < start);
        self.withdrawn.retain(|&(other, _)| other > serial);
        withdrew
    }

    /// The frame with this number leaves, its last bit at this cycle, unless the chip was stopped meanwhile.
    pub(crate) fn grant(&mut self, number: u64, end: u64, deferred: bool) {
        if let Transmitter::Busy { serial, errors, outcome: outcome @ None, .. } = &mut self.transmitter
            && *serial == number
        {
            let status = if deferred { TMD_DEF } else { 0 };
            *outcome = Some(Outcome { end, status, errors: *errors, events: 0 });
        }
    }

    /// The frame is over: says so in its descriptors, and looks for the next.
    fn sent(&mut self, now: u64) {
        let Transmitter::Busy { descriptors, frame, outcome: Some(outcome), .. } =
            std::mem::replace(&mut self.transmitter, Transmitter::Idle { poll: now })
        else {
            return;
        };
        let ring = self.setup.transmit;
        for i in 0..descriptors {
            let at = ring.descriptor(i);
            let mut status = self.half(at + 2) & !(OWN | MD_ERR | TMD_DEF);
            if i + 1 == descriptors {
                status |= outcome.status;
                if outcome.errors != 0 {
                    status |= MD_ERR;
                    self.set_half(at + 6, outcome.errors);
                }
            }
            self.set_half(at + 2, status);
        }
        self.setup.transmit.go_on(descriptors);
        self.csr0 |= TINT | outcome.events;
        if frame.len() > MAX_FRAME {
            self.csr0 |= BABL;
        }
        if outcome.errors & TMD_UFLO != 0 {
            self.csr0 &= !TXON;
            self.transmitter = Transmitter::Off;
        }
    }

    // Receiving.

    /// From now on a segment serves it.
    pub(crate) fn attach(&mut self) {
        self.attached = true;
    }

    /// A frame comes in: so much of it that a buffer is needed by cycle `look`, the last bit at cycle `end`. Frames come in
    /// the order of time.
    pub(crate) fn arrive(&mut self, look: u64, end: u64, frame: Frame, own: bool) {
        let done = end + self.cycles(self.timing.receive);
        self.arrivals.push_back(Arrival { look, done, frame, own, taken: None });
    }

    /// Goes on with the first frame that is coming in: decides whether it is wanted, or puts it into its buffer.
    fn receive(&mut self) {
        let Some(arrival) = self.arrivals.front() else { return };
        let frame = Arc::clone(&arrival.frame);
        match arrival.taken {
            None => {
                let wanted = self.is_wanted(&frame, arrival.own);
                let buffer = self.half(self.setup.receive.descriptor(0) + 2) & OWN != 0;
                if wanted && !buffer {
                    self.csr0 |= MISS;
                }
                if let Some(arrival) = self.arrivals.front_mut() {
                    arrival.taken = Some(wanted && buffer);
                }
            }
            Some(taken) => {
                self.arrivals.pop_front();
                if taken {
                    self.store(&frame);
                }
            }
        }
    }

    /// Whether a frame is long enough and for this station. The chip hears its own in loop-back only, and in internal
    /// loop-back nothing else.
    fn is_wanted(&self, frame: &[u8], own: bool) -> bool {
        let Some(to) = frame.first_chunk::<6>() else { return false };
        let heard = if own { self.setup.mode & MODE_LOOP != 0 } else { !self.is_internal() };
        if !heard || self.csr0 & RXON == 0 || frame.len() < MIN_FRAME && !self.is_internal() {
            return false;
        }
        let logical = to[0] & 1 != 0 && self.setup.filter >> filter_bit(*to) & 1 != 0;
        self.setup.mode & MODE_PROM != 0 || *to == self.setup.address || *to == [0xff; 6] || logical
    }

    /// Puts a frame into buffers, of which the first is the chip's.
    fn store(&mut self, frame: &[u8]) {
        // In loop-back only one of the two halves has the circuit for the check sequence.
        let checked = !self.is_internal() || self.setup.mode & MODE_DTCR != 0;
        let swap = u32::from(self.csr[2] & BSWP != 0);
        let (mut rest, mut first) = (frame, STP);
        loop {
            let at = self.setup.receive.descriptor(0);
            let status = self.half(at + 2);
            let start = u32::from(status & 0xff) << 16 | u32::from(self.half(at));
            let (now, later) = rest.split_at(rest.len().min(length(self.half(at + 4)) as usize));
            for (i, &byte) in (start..).zip(now) {
                self.set_byte(i ^ swap, byte);
            }
            let mut status = status & 0xff | first;
            if later.is_empty() {
                status |= ENP;
                if checked && !fcs_fits(frame) {
                    status |= MD_ERR | RMD_CRC;
                }
                self.set_half(at + 6, frame.len() as u16 & 0xfff);
            } else if self.half(self.setup.receive.descriptor(1) + 2) & OWN == 0 || self.setup.receive.mask == 0 {
                status |= MD_ERR | RMD_BUFF;
            }
            self.set_half(at + 2, status);
            self.setup.receive.go_on(1);
            if status & (ENP | MD_ERR) != 0 {
                self.csr0 |= RINT;
                return;
            }
            (rest, first) = (later, 0);
        }
    }

    // The chip's view of memory: its addresses have 24 bits, of which memory looks at 17.

    fn byte(&self, at: u32) -> u8 {
        let at = at as usize % MEMORY;
        self.memory[at / 4].to_le_bytes()[at % 4]
    }

    fn set_byte(&mut self, at: u32, byte: u8) {
        let at = at as usize % MEMORY;
        let mut bytes = self.memory[at / 4].to_le_bytes();
        bytes[at % 4] = byte;
        self.memory[at / 4] = u32::from_le_bytes(bytes);
    }

    fn set_half(&mut self, at: u32, half: u16) {
        let [low, high] = half.to_le_bytes();
        self.set_byte(at & !1, low);
        self.set_byte(at | 1, high);
    }
}

impl Arrival {
    /// When it is next to be looked at.
    fn due(&self) -> u64 {
        if self.taken.is_none() { self.look } else { self.done }
    }
}

/// Whole cycles that so many nanoseconds take.
pub(crate) fn cycles(nanoseconds: u64, hz: u64) -> u64 {
    (u128::from(nanoseconds) * u128::from(hz)).div_ceil(1_000_000_000) as u64
}

/// Bytes of a buffer, from the negative count in its descriptor.
fn length(count: u16) -> u32 {
    match count.wrapping_neg() & 0xfff {
        0 => 0x1000,
        length => length.into(),
    }
}

/// The ROM in the form common to this maker's Ethernet options: address, sum, both backwards, both again, a pattern.
fn station_rom(station: [u8; 6]) -> [u8; 32] {
    let sum = station.as_chunks::<2>().0.iter().fold(0_u32, |sum, pair| {
        let sum = (sum * 2 % 0xffff) + u32::from(u16::from_be_bytes(*pair));
        if sum > 0xffff { sum - 0xffff } else { sum }
    });
    let [high, low] = (sum as u16).to_be_bytes();
    let mut octets = [0; 8];
    octets[..6].copy_from_slice(&station);
    (octets[6], octets[7]) = (high, low);
    let backwards: [u8; 8] = std::array::from_fn(|i| octets[7 - i]);
    let pattern = [0xff, 0x00, 0x55, 0xaa, 0xff, 0x00, 0x55, 0xaa];
    let mut rom = [0; 32];
    for (part, octets) in rom.as_chunks_mut::<8>().0.iter_mut().zip([octets, backwards, octets, pattern]) {
        *part = octets;
    }
    rom
}

/// The bit of the logical address filter that lets a group address through: the top of the address's check sequence before
/// it is inverted.
pub fn filter_bit(address: [u8; 6]) -> u32 {
    !crc32fast::hash(&address) >> 26
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::DEC5000_200;
    use proptest::prelude::*;

    const STATION: [u8; 6] = [0x08, 0x00, 0x2b, 0x12, 0x34, 0x56];

    #[test]
    fn the_rom_has_the_address_three_times() {
        let rom = station_rom(STATION);
        assert_eq!(rom[..6], STATION);
        assert!((0..8).all(|i| rom[i] == rom[15 - i] && rom[i] == rom[16 + i]));
        assert_eq!(rom[24..], [0xff, 0, 0x55, 0xaa, 0xff, 0, 0x55, 0xaa]);
    }

    #[test]
    fn check_sequences_are_those_of_ethernet() {
        let frame = with_fcs(b"123456789");
        assert_eq!(frame[9..], 0xcbf4_3926_u32.to_le_bytes());
        assert!(fcs_fits(&frame) && !fcs_fits(&frame[1..]) && !fcs_fits(&[0; 3]));
        // The group address of all hosts, as drivers compute it.
        // The group of all hosts.
        assert_eq!(filter_bit([0x01, 0x00, 0x5e, 0x00, 0x00, 0x01]), 54);
    }

    #[derive(Clone, Debug)]
    enum Action {
        Write { offset: u32, value: u32, mask: u32 },
        Pass { cycles: u64 },
        Arrive { frame: Vec<u8> },
        Grant { deferred: bool },
    }

    fn action() -> impl Strategy<Value = Action> {
        let register = prop_oneof![Just(RDP), Just(RAP), Just(RDP + 8), Just(ROM), 0..0x400_u32];
        let value = prop_oneof![any::<u32>(), Just(0x43), Just(0x4a), Just(4), 0..4_u32];
        let mask = prop_oneof![Just(!0_u32), Just(0xffff), Just(0xff00), any::<u32>()];
        prop_oneof![
            6 => (register, value, mask).prop_map(|(offset, value, mask)| Action::Write { offset, value, mask }),
            3 => (1..100_000_u64).prop_map(|cycles| Action::Pass { cycles }),
            2 => prop::collection::vec(any::<u8>(), 0..2000).prop_map(|frame| Action::Arrive { frame }),
            1 => any::<bool>().prop_map(|deferred| Action::Grant { deferred }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_a_guest_does_time_goes_on(
            memory in prop::collection::vec(any::<u32>(), 256),
            attached in any::<bool>(),
            actions in prop::collection::vec(action(), 1..60),
        ) {
            let mut lance = Lance::new(DEC5000_200.hz, DEC5000_200.ether, STATION);
            lance.memory[..256].copy_from_slice(&memory);
            lance.attached = attached;
            let (mut now, mut serial) = (0, 0);
            for action in actions {
                match action {
                    Action::Write { offset, value, mask } => {
                        let written = lance.write(now, offset, value, mask).is_some();
                        prop_assert_eq!(written, lance.read(offset).is_some() && offset < ROM);
                    }
                    Action::Pass { cycles } => now += cycles,
                    Action::Arrive { frame } => {
                        now += cycles(wire_time(frame.len()), lance.hz);
                        lance.arrive(now, now + 10, with_fcs(&frame).into(), false);
                    }
                    Action::Grant { deferred } => {
                        for request in lance.take_requests() {
                            prop_assert!(request.serial > serial);
                            serial = request.serial;
                            if !lance.withdrew(serial, request.ready.max(now)) {
                                lance.grant(serial, request.ready.max(now), deferred);
                            }
                            prop_assert!(lance.withdrawn.iter().all(|&(other, _)| other > serial));
                        }
                    }
                }
                lance.advance(now);
                prop_assert!(lance.next_event() > now);
                let csr0 = lance.csr0();
                prop_assert!(csr0 & STOP == 0 || csr0 == STOP);
                prop_assert_eq!(lance.interrupt(), csr0 & (INTR | INEA) == INTR | INEA);
            }
        }
    }
}
