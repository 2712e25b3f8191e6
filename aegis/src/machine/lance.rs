//! The Ethernet controller of both machines, an Am7990 LANCE or one that is compatible with it: its rings of
//! descriptors and its registers, whatever bus it is on ([`Bus`]).
//!
//! All that the controller reads and writes is one piece of memory that is the kernel's alone:
//!
//! | offset | what |
//! |---|---|
//! | 0 | the initialisation block |
//! | 0x40 | 32 receive descriptors of 8 bytes |
//! | 0x140 | 8 transmit descriptors |
//! | 0x800 | 8 buffers of 2 KB to send |
//! | 0x4800 | 32 buffers of 2 KB to receive; end at 0x14800 |
//!
//! A message begins 2 bytes into its buffer, so that what follows the Ethernet header is aligned.

use crate::arch::opaque;
use aegis_abi::network::{BUFFER_BYTES, BUFFER_OFFSET, HEADER, MESSAGE_MAX};
use aegis_core::source::{Station, station};

/// How a controller is reached. Each access takes as long as tens of instructions, so there are as few as can be.
pub trait Bus {
    /// The address of the memory that the controller uses, uncached.
    fn memory(&self) -> u32;
    /// What the controller takes that address for.
    fn seen_from_chip(&self) -> u32;
    /// Chooses which of the control and status registers is read and written from now on.
    fn select(&self, register: u16);
    /// Reads it.
    fn read(&self) -> u16;
    /// Writes it.
    fn write(&self, value: u16);
    /// Whether something stands between it and the processor that latches its interrupt when its line rises, and not while it stays up.
    const LATCHES: bool = false;
    /// Whether the controller, when it had no buffer and then some come free, may go on with another than the first of them. QEMU's
    /// does, which looks for one in all the ring, if the kernel frees two while it looks.
    const PASSES_OVER: bool = false;
    /// Takes its interrupt back from there.
    fn acknowledge(&self) {}
}

/// Bytes of memory that the controller uses.
pub const MEMORY_BYTES: u32 = 0x14800;

const RECEIVE_RING: u32 = 0x40;
const TRANSMIT_RING: u32 = 0x140;
const TRANSMIT_BUFFERS: u32 = 0x800;
const RECEIVE_BUFFERS: u32 = 0x4800;
/// Descriptors of the receive ring, 2^5, and of the transmit ring, 2^3, and how the initialisation block says so.
const RECEIVE: u32 = 32;
const RECEIVE_LOG: u32 = 5 << 29;
const TRANSMIT: u32 = 8;
const TRANSMIT_LOG: u32 = 3 << 29;

/// Control and status; the one that is chosen but while the controller is prepared.
const CSR0: u16 = 0;
/// Address of the initialisation block, low and high half.
const CSR1: u16 = 1;
const CSR2: u16 = 2;
/// How bytes are swapped: not at all.
const CSR3: u16 = 3;

/// CSR0: a frame was lost for want of a buffer.
const MISS: u16 = 1 << 12;
/// CSR0: a frame was received.
const RINT: u16 = 1 << 10;
/// CSR0: it has read the initialisation block.
const IDON: u16 = 1 << 8;
/// CSR0: the transmitter and the receiver are on.
const ON: u16 = 3 << 4;
/// CSR0: may interrupt.
const INEA: u16 = 1 << 6;
/// CSR0: look for a frame to send now.
const TDMD: u16 = 1 << 3;
const STOP: u16 = 1 << 2;
const STRT: u16 = 1 << 1;
const INIT: u16 = 1;
/// How often to look whether it has read the initialisation block: some tens of microseconds.
const INIT_READS: u32 = 64;
/// How often to look whether a frame has come back that it was to send to itself: some hundreds of microseconds.
const LOOP_READS: u32 = 1024;

/// Mode: what is sent comes back, and nothing goes to the cable.
const LOOP_BACK: u16 = 0x44;
/// Bytes of a frame that comes back: so many fit the chip. GXemul's, which has no such mode, sends none so short.
const LOOP_BYTES: u32 = HEADER + 4;
/// CSR0: all that interrupts, and CERR; writing a 1 clears each.
const EVENTS: u16 = 0x7f00;

/// Descriptors, second halfword: the controller's.
const OWN: u16 = 1 << 15;
/// Something went wrong.
const ERR: u16 = 1 << 14;
/// First part of a frame; first and last.
const FIRST: u16 = 1 << 9;
const WHOLE: u16 = 3 << 8;
/// Receive: the next buffer was not the controller's, so the frame was cut off.
const CUT_OFF: u16 = 1 << 10;
/// Bytes of the check sequence that a received frame's length includes.
const CHECK: u32 = 4;
/// What the controller may put into a buffer: the longest frame, rounded up. GXemul's takes no buffer of more than 1900.
const FRAME_MAX: u32 = 1536;

/// What was received.
pub enum Arrival {
    /// A message: its address and bytes.
    Message(u32, u32),
    /// A frame that is none: shorter than a header,
    Runt,
    /// longer than a message,
    Giant,
    /// a further part of one that is too long for a buffer,
    Rest,
    /// or damaged.
    Damaged,
    /// A message for another station.
    Foreign,
}

/// What the controller has told since the last time.
pub struct Events {
    /// It had no buffer for a frame, or for more.
    pub missed: bool,
    /// It had stopped, and was started anew: what was in its rings is lost.
    pub restarted: bool,
    /// Frames that it could not send.
    pub unsent: u32,
}

/// The controller and where the kernel is in its rings.
pub struct Lance<B> {
    bus: B,
    /// The station's address; the same as messages from it have it, and as messages to it do: the first two bytes and the next four.
    pub address: [u8; 6],
    pub station: Station,
    to: (u16, u32),
    /// The next descriptor to be filled by the controller, and to be filled by the kernel.
    receive: u32,
    transmit: u32,
    /// The oldest descriptor whose frame may be under way.
    sending: u32,
    /// Frames of which it was told that they could not be sent, not reported yet.
    unsent: u32,
    /// [`INEA`], or 0 while it is silenced.
    enabled: u16,
    /// Whether it is known to keep messages for other stations out.
    selects: bool,
    /// It has begun to work.
    on: bool,
}

impl<B: Bus> Lance<B> {
    /// A controller with this address, which gets ready to be [begun](Lance::begin).
    pub fn new(bus: B, address: [u8; 6]) -> Self {
        let [a, b, c, d, e, f] = address;
        let (station, to) = (station(address), (u16::from_le_bytes([a, b]), u32::from_le_bytes([c, d, e, f])));
        let (receive, transmit, sending, unsent) = (0, 0, 0, 0);
        let mut lance = Self {
            bus,
            address,
            station,
            to,
            receive,
            transmit,
            sending,
            unsent,
            enabled: INEA,
            selects: false,
            on: false,
        };
        // What stands before messages, and behind short ones, is copied with them.
        for at in (0..MEMORY_BYTES).step_by(4) {
            lance.set_word(at, 0);
        }
        lance.selects = lance.try_selection();
        lance.prepare(0);
        lance
    }

    /// Tries whether it keeps messages for other stations out, as a LANCE does and GXemul's does not: of two frames that it sends to itself, one for
    /// another and one for this station, the second must be the first to come. If another station's comes before, that is not found out.
    fn try_selection(&mut self) -> bool {
        let [a, b, c, d, e, f] = self.address;
        let enabled = core::mem::replace(&mut self.enabled, 0);
        self.prepare(LOOP_BACK);
        self.begin();
        for to in [[a, b, c, d, e, !f], self.address] {
            let at = transmit_buffer(self.transmit) + BUFFER_OFFSET;
            for (at, byte) in (at..).zip(to.into_iter().chain(self.address)) {
                // SAFETY: the buffer is in the memory that the controller shares with the kernel.
                unsafe { self.at::<u8>(at).write_volatile(byte) }
            }
            self.send(LOOP_BYTES);
        }
        let hears_itself = self.hears_itself();
        // GXemul's tells of what it was to send even when it was stopped since.
        self.seen(EVENTS);
        self.enabled = enabled;
        hears_itself
    }

    /// Whether a frame comes, and the first to come is from this station and for it.
    ///
    /// Not inlined: how long that takes is the machine's, by which two of them may be told from each other.
    #[inline(never)]
    fn hears_itself(&self) -> bool {
        let descriptor = receive_descriptor(self.receive);
        let at = receive_buffer(self.receive) + BUFFER_OFFSET;
        let came = (0..LOOP_READS).any(|_| self.half(descriptor + 2) & OWN == 0);
        came && (self.half(at), self.word(at + 2)) == self.to && (self.word(at + 6), self.half(at + 10)) == self.station
    }

    /// Stops it, and has it read its mode and where its rings are, which are empty.
    fn prepare(&mut self, mode: u16) {
        (self.receive, self.transmit, self.sending, self.on) = (0, 0, 0, false);
        let [a, b, c, d, e, f] = self.address.map(u32::from);
        let chip = self.bus.seen_from_chip();
        self.bus.select(CSR0);
        self.bus.write(STOP);
        // The mode; the address; all groups; the rings.
        let block = [
            (a | b << 8) << 16 | u32::from(mode),
            c | d << 8 | e << 16 | f << 24,
            u32::MAX,
            u32::MAX,
            (chip + RECEIVE_RING) | RECEIVE_LOG,
            (chip + TRANSMIT_RING) | TRANSMIT_LOG,
        ];
        for (at, word) in (0..).step_by(4).zip(block) {
            self.set_word(at, word);
        }
        for place in 0..RECEIVE {
            self.set_half(receive_descriptor(place), (chip + receive_buffer(place) + BUFFER_OFFSET) as u16);
            self.release(place);
        }
        for place in 0..TRANSMIT {
            self.set_word(transmit_descriptor(place), chip + transmit_buffer(place) + BUFFER_OFFSET);
        }
        for (register, value) in [(CSR1, chip as u16), (CSR2, (chip >> 16) as u16), (CSR3, 0), (CSR0, INIT)] {
            self.bus.select(register);
            self.bus.write(value);
        }
    }

    /// Has it receive and send, once it has read the 24 bytes of the initialisation block; not before, for there are some
    /// that can't be told both at once. If that takes too long it is told nevertheless, and interrupts when it is done.
    pub fn begin(&mut self) {
        self.on = self.gets_ready();
        let done = if self.on { IDON } else { 0 };
        self.bus.write(done | STRT | self.enabled);
    }

    /// Whether it reads its initialisation block in time. Not inlined, as [`Lance::hears_itself`] is not.
    #[inline(never)]
    fn gets_ready(&self) -> bool {
        (0..INIT_READS).any(|_| self.bus.read() & IDON != 0)
    }

    /// Takes note of what it has to tell, after which it interrupts only for what is new.
    pub fn events(&mut self) -> Events {
        let csr0 = self.bus.read();
        self.seen(csr0 & EVENTS);
        self.reap();
        if B::PASSES_OVER && csr0 & RINT != 0 {
            let mut others = (1..RECEIVE).map(|n| (self.receive + n) % RECEIVE);
            // One that is filled before the first is, and still is: it looks at the first again.
            if let Some(filled) = others.find(|&place| self.is_filled(place))
                && !self.is_filled(self.receive)
            {
                self.receive = filled;
            }
        }
        self.on |= csr0 & IDON != 0;
        // It stops by itself when its memory does not answer in time.
        let restarted = self.on && csr0 & ON != ON;
        if restarted {
            self.prepare(0);
            self.begin();
        }
        Events { missed: csr0 & MISS != 0, restarted, unsent: core::mem::take(&mut self.unsent) }
    }

    /// Has it interrupt only for frames that come from now on; what else it has to tell it goes on telling.
    #[inline]
    pub fn quiet(&mut self) {
        self.seen(RINT);
    }

    /// Tells it that these events were seen. If there are others, or more by now, it interrupts again.
    #[inline]
    fn seen(&self, events: u16) {
        if B::LATCHES {
            // Its line falls, whatever else it has to tell, and rises if there is anything.
            self.bus.write(events);
            self.bus.acknowledge();
            self.bus.write(self.enabled);
        } else {
            self.bus.write(events | self.enabled);
        }
    }

    /// Takes back the transmit descriptors that the controller is done with.
    fn reap(&mut self) {
        while self.sending != self.transmit {
            let flags = self.half(transmit_descriptor(self.sending) + 2);
            if flags & OWN != 0 {
                return;
            }
            self.unsent += u32::from(flags & ERR != 0);
            self.sending = (self.sending + 1) % TRANSMIT;
        }
    }

    /// Whether the controller has given a receive buffer back.
    fn is_filled(&self, place: u32) -> bool {
        self.half(receive_descriptor(place) + 2) & OWN == 0
    }

    /// Whether a frame was received.
    #[inline(always)]
    pub fn has_received(&self) -> bool {
        let flags = self.half(receive_descriptor(self.receive) + 2);
        flags & OWN == 0 && !self.goes_on(flags)
    }

    /// Whether the controller has not done with the frame that was received first yet, whose descriptor says so: it has no end, and the
    /// next buffer is still the controller's. QEMU's shows every frame so for a moment, on another of the host's processors, where the
    /// next ones may come before this looks for them.
    #[inline(never)]
    fn goes_on(&self, flags: u16) -> bool {
        let next = receive_descriptor((self.receive + 1) % RECEIVE);
        let begun = flags & (ERR | WHOLE) == FIRST;
        begun && (self.half(next + 2) & OWN != 0 || self.half(receive_descriptor(self.receive) + 2) != flags)
    }

    /// The frame that was received first, if there is one. It stays until it is [done](Lance::done).
    #[inline]
    pub fn received(&self) -> Option<Arrival> {
        let at = receive_descriptor(self.receive);
        let flags = self.half(at + 2);
        if flags & OWN != 0 {
            return None;
        }
        let bytes = (u32::from(self.half(at + 6)) & 0xfff).wrapping_sub(CHECK);
        // The length is the controller's word for it.
        if flags & (ERR | WHOLE) == WHOLE && (HEADER..=MESSAGE_MAX).contains(&bytes) {
            let at = receive_buffer(self.receive) + BUFFER_OFFSET;
            let foreign = !self.selects && self.is_foreign(at);
            return Some(if foreign { Arrival::Foreign } else { Arrival::Message(self.bus.memory() + at, bytes) });
        }
        if self.goes_on(flags) {
            return None;
        }
        Some(match flags {
            _ if flags & (ERR | CUT_OFF) == ERR => Arrival::Damaged,
            _ if flags & FIRST == 0 => Arrival::Rest,
            _ if flags & WHOLE != WHOLE => Arrival::Giant,
            _ if bytes as i32 >= HEADER as i32 => Arrival::Giant,
            _ => Arrival::Runt,
        })
    }

    /// Whether the message at an offset is for another station.
    #[inline(always)]
    fn is_foreign(&self, at: u32) -> bool {
        let first = self.half(at);
        first & 1 == 0 && (first, self.word(at + 2)) != self.to
    }

    /// Gives the buffer of the frame that was received first back to the controller.
    #[inline(always)]
    pub fn done(&mut self) {
        self.release(self.receive);
        self.receive = (self.receive + 1) % RECEIVE;
    }

    /// Whether the controller may interrupt.
    pub fn is_enabled(&self) -> bool {
        self.enabled != 0
    }

    /// Silences the controller, or lets it interrupt again.
    pub fn enable(&mut self, enabled: bool) {
        self.enabled = if enabled { INEA } else { 0 };
        self.seen(0);
    }

    /// The address of a buffer for a message to send, if one is free; the kernel's until [`Lance::send`].
    #[inline]
    pub fn buffer(&mut self) -> Option<u32> {
        let next = (self.transmit + 1) % TRANSMIT;
        if next == self.sending {
            self.reap();
            if next == self.sending {
                return None;
            }
        }
        Some(self.bus.memory() + transmit_buffer(self.transmit) + BUFFER_OFFSET)
    }

    /// Sends so many bytes of that buffer, as many as a message may have on the cable.
    #[inline]
    pub fn send(&mut self, bytes: u32) {
        let at = transmit_descriptor(self.transmit);
        self.set_word(at + 4, negative(bytes).into());
        self.set_half(at + 2, OWN | WHOLE | self.high_half(transmit_buffer(self.transmit)));
        self.bus.write(TDMD | self.enabled);
        self.transmit = (self.transmit + 1) % TRANSMIT;
    }

    /// Lets the controller fill a receive buffer.
    fn release(&self, place: u32) {
        let at = receive_descriptor(place);
        self.set_word(at + 4, negative(FRAME_MAX).into());
        self.set_half(at + 2, OWN | self.high_half(receive_buffer(place)));
    }

    /// The high half of the address that the controller has for the message in a buffer, which never changes, as the low one in its
    /// descriptor does not.
    fn high_half(&self, buffer: u32) -> u16 {
        ((self.bus.seen_from_chip() + buffer + BUFFER_OFFSET) >> 16) as u16
    }

    /// A place in the memory that the controller shares with the kernel.
    #[inline(always)]
    fn at<T>(&self, at: u32) -> *mut T {
        (opaque(self.bus.memory() as *mut u8) as u32 + at) as *mut T
    }

    #[inline(always)]
    fn half(&self, at: u32) -> u16 {
        // SAFETY: the offset is in that memory; here and below.
        unsafe { self.at::<u16>(at).read_volatile() }
    }

    #[inline(always)]
    fn word(&self, at: u32) -> u32 {
        // SAFETY: as above.
        unsafe { self.at::<u32>(at).read_volatile() }
    }

    fn set_half(&self, at: u32, half: u16) {
        // SAFETY: as above.
        unsafe { self.at::<u16>(at).write_volatile(half) }
    }

    fn set_word(&self, at: u32, word: u32) {
        // SAFETY: as above.
        unsafe { self.at::<u32>(at).write_volatile(word) }
    }
}

const fn receive_descriptor(place: u32) -> u32 {
    RECEIVE_RING + 8 * place
}

const fn transmit_descriptor(place: u32) -> u32 {
    TRANSMIT_RING + 8 * place
}

const fn receive_buffer(place: u32) -> u32 {
    RECEIVE_BUFFERS + BUFFER_BYTES * place
}

const fn transmit_buffer(place: u32) -> u32 {
    TRANSMIT_BUFFERS + BUFFER_BYTES * place
}

/// A count as descriptors have it: negative, below four bits that are set.
const fn negative(bytes: u32) -> u16 {
    (bytes as u16).wrapping_neg()
}

const _: () = assert!(receive_buffer(RECEIVE) == MEMORY_BYTES);
const _: () = assert!(MESSAGE_MAX + CHECK <= FRAME_MAX && FRAME_MAX + BUFFER_OFFSET <= BUFFER_BYTES);
