//! The binding to the network: filters with their buffers, and a page that messages are sent from, as the device of
//! `smoltcp`.
//!
//! All of its memory is one guaranteed mapping. Messages are handed to the stack where the kernel has put them, and made
//! where the kernel reads them.
//!
//! # ARP among programs that share an address
//!
//! A message is for one filter only, so the programs of a machine can't all hear all of ARP. Who asks for an address has a
//! filter for the answer to that very question as long as it is open ([`Purpose::Who`]). If another program is asking the
//! same just then, the question is put later; `smoltcp` repeats it. Who answers for the machine's own address is whichever
//! program has the filter for such questions ([`Purpose::Found`]); the others ask for it now and then, and get it when
//! that program has ended. So a machine is found while one of its programs attends to the network.

use crate::Fail;
use crate::filter::{ATOMS, Purpose};
use exos_policy::calls::{Call, Calls};
use exos_policy::parts::{ADDRESSES, HEADERS, PART, Parts, Room as PartsRoom, is_part, mark};
use exos_policy::sums::{Connection, Connections, Summed, checksum};
use exos_rt::abi::Error;
use exos_rt::abi::filter::Atom;
use exos_rt::abi::network::{BUFFER_OFFSET, DESCRIPTORS, MESSAGE_MAX};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::{Endpoint, Room};
use exos_rt::{memory, net};
use smoltcp::phy::{Checksum, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{IpProtocol, Ipv4Address, UDP_HEADER_LEN};

/// Where its memory is mapped: in the pinned segment, where neither ExOS nor the runtime has anything, and with page
/// numbers that do not compete with those of text and data for the software TLB.
const START: u32 = 0x3848_0000;

/// The most filters of a binding.
pub const PLACES: usize = 24;
/// Ticks for which a question's filter is kept.
const PATIENCE: u32 = 32;
/// Ticks between two attempts to answer for the machine.
const AGAIN: u32 = 64;
/// Bytes of a question by ARP.
const QUESTION: usize = 42;
/// Datagrams of which some parts are missing, at most.
pub(crate) const UNFINISHED: usize = 2;

/// Where the length of UDP is in a message.
const UDP_LENGTH: usize = HEADERS + 4;

/// A filter that is installed.
#[derive(Debug)]
struct Place {
    purpose: Purpose,
    endpoint: Endpoint,
    /// How many sockets it is for.
    users: u32,
    /// The tick at which it was installed.
    since: u32,
}

/// The binding.
#[derive(Debug)]
pub struct Binding {
    station: [u8; 6],
    address: Ipv4Address,
    /// The first of its frames: that of the page that messages are sent from.
    first: u32,
    /// Buffers of a filter.
    buffers: u32,
    places: heapless::Vec<Option<Place>, PLACES>,
    /// Where to look for a message first.
    turn: usize,
    sending: Sending,
    /// What datagrams have come of in part, if that is allowed.
    parts: Option<Parts<'static, UNFINISHED>>,
    /// Calls by TCP for which no socket was free.
    calls: Calls<'static>,
    /// When to try again to answer for the machine; none if not at all.
    answer_at: Option<u32>,
}

/// The way out.
#[derive(Debug)]
struct Sending {
    /// A question by ARP, to be sent when there is a filter for the answer.
    question: Option<[u8; QUESTION]>,
    /// Messages that the kernel has refused.
    refused: u32,
    /// Whether what was looked at last was refused by the protocols, as a call is.
    call_refused: bool,
    /// What is sent in parts.
    large: Large,
    /// Which connections send files, whose sums are known.
    connections: Connections<'static>,
}

/// A datagram that is longer than a message. Of it the protocols see as much as there is room for in one, and send that; when
/// they do, it becomes the first part, and the others follow.
#[derive(Debug)]
struct Large {
    /// Its data.
    bytes: &'static mut [u8],
    /// How many there are, and the port that it is sent from; none if there is nothing to be sent.
    ready: Option<(usize, u16)>,
    /// The number of the last one.
    number: u16,
}

impl Binding {
    /// A binding with room for so many filters, with so many buffers each, and for calls by TCP that wait until a socket is free.
    ///
    /// # Errors
    /// [`Fail::NoNetwork`]; [`Fail::Kernel`] if there is no memory for it.
    pub fn new(places: usize, buffers: u32, calls: &'static mut [Call]) -> Result<Self, Fail> {
        let station = net::address().ok_or(Fail::NoNetwork)?;
        let places_wanted = places.min(PLACES);
        let buffers = buffers.clamp(1, DESCRIPTORS - 1);
        let frames = frames_for(places_wanted, buffers);
        let first = memory::allocate_run(frames, 1)?;
        let word = first << PAGE_SHIFT | entry_lo::DIRTY;
        // SAFETY: nothing else is mapped there, and the frames are new.
        let mapped = unsafe { call::env_map(call::self_id(), NO_CAPABILITY, START, word, frames) };
        if let Err(error) = mapped {
            free(first, frames);
            return Err(error.into());
        }
        let mut places = heapless::Vec::new();
        places.extend((0..places_wanted).map(|_| None));
        let large = Large { bytes: &mut [], ready: None, number: 0 };
        let connections = Connections::new(&mut []);
        let sending = Sending { question: None, refused: 0, call_refused: false, large, connections };
        let address = Ipv4Address::UNSPECIFIED;
        let calls = Calls::new(calls);
        Ok(Self { station, address, first, buffers, places, turn: 0, sending, parts: None, calls, answer_at: None })
    }

    /// The interface's address.
    #[must_use]
    pub fn station(&self) -> [u8; 6] {
        self.station
    }

    /// From now on the machine has this address, and this program answers for it if no other does.
    pub fn set_address(&mut self, address: Ipv4Address) {
        self.address = address;
        self.answer_at = Some(call::clock());
    }

    /// Messages that the kernel has refused to send: they were in nobody's name.
    #[must_use]
    pub fn refused(&self) -> u32 {
        self.sending.refused
    }

    /// Installs the filter for a purpose, if it is not there.
    ///
    /// # Errors
    /// [`Fail::Taken`] if another program has a filter for some of these messages; [`Fail::NoRoom`] if all places are
    /// taken; [`Fail::Kernel`].
    pub fn open(&mut self, purpose: Purpose) -> Result<(), Fail> {
        if let Some(place) = self.places.iter_mut().flatten().find(|place| place.purpose == purpose) {
            place.users += 1;
            return Ok(());
        }
        self.open_new(purpose)
    }

    /// As [`Binding::open`], if this binding has it not yet.
    ///
    /// # Errors
    /// As for [`Binding::open`]; [`Fail::Taken`] if it has.
    pub fn open_new(&mut self, purpose: Purpose) -> Result<(), Fail> {
        if self.has(purpose) {
            return Err(Fail::Taken);
        }
        let number = self.places.iter().position(Option::is_none).ok_or(Fail::NoRoom)?;
        let atoms = purpose.atoms(self.station, self.address);
        // The kernel reads them where the memory is sure to be.
        // SAFETY: the page is mapped and this binding's, nothing is being sent, and so many atoms fit.
        let atoms = unsafe {
            let copy = START as *mut Atom;
            copy.copy_from_nonoverlapping(atoms.as_ptr(), atoms.len());
            core::slice::from_raw_parts(copy, atoms.len())
        };
        let endpoint = match Endpoint::open_in(atoms, NO_CAPABILITY, self.room(number)) {
            Err(Error::Denied | Error::Busy) => return Err(Fail::Taken),
            result => result?,
        };
        self.places[number] = Some(Place { purpose, endpoint, users: 1, since: call::clock() });
        Ok(())
    }

    /// Whether there is a filter for a purpose.
    fn has(&self, purpose: Purpose) -> bool {
        self.places.iter().flatten().any(|place| place.purpose == purpose)
    }

    /// Shows the next message for a purpose, if there is one.
    pub(crate) fn take<R>(&mut self, purpose: Purpose, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let place = self.places.iter_mut().flatten().find(|place| place.purpose == purpose)?;
        place.endpoint.receive(with)
    }

    /// Sends a message that is no longer than the longest.
    pub(crate) fn send(&mut self, message: &[u8]) {
        self.sending.make(message.len(), |copy| copy.copy_from_slice(message));
    }

    /// Has parts of datagrams put together in these rooms, and longer datagrams made in that memory.
    pub(crate) fn set_parts(&mut self, rooms: [PartsRoom<'static>; UNFINISHED], bytes: &'static mut [u8]) {
        self.parts = Some(Parts::new(rooms));
        self.sending.large.bytes = bytes;
    }

    /// The most bytes of a datagram.
    #[must_use]
    pub(crate) fn largest(&self) -> usize {
        self.sending.large.bytes.len()
    }

    /// Has the message that [`is_large`] from a port become a datagram of these bytes, in parts; whether there was no other before.
    pub(crate) fn prepare(&mut self, bytes: &[u8], port: u16) -> bool {
        let Large { bytes: memory, ready, .. } = &mut self.sending.large;
        let free = ready.is_none();
        if free {
            memory[..bytes.len()].copy_from_slice(bytes);
            *ready = Some((bytes.len(), port));
        }
        free
    }

    /// What was to be sent in parts from a port is not sent.
    pub(crate) fn forget(&mut self, port: u16) {
        let ready = &mut self.sending.large.ready;
        ready.take_if(|(_, from)| *from == port);
    }

    /// From now on there is this memory for connections that send files whose sums are known.
    pub(crate) fn set_connections(&mut self, memory: &'static mut [Connection<'static>]) {
        self.sending.connections = Connections::new(memory);
    }

    /// What the connection that a filter is for sends is a file from its byte `at` on; all before `done` is there.
    pub(crate) fn is_file(&mut self, purpose: Purpose, file: Summed<'static>, at: u32, done: u32) {
        if let Purpose::Connection(port, peer, theirs) = purpose {
            self.sending.connections.is_file((peer.octets(), port, theirs), file, at, done);
        }
    }

    /// Whether there is a call for which no socket is free.
    pub(crate) fn calls_wait(&self) -> bool {
        self.calls.wait(call::clock())
    }

    /// A socket is free for a call to a port.
    pub(crate) fn can_take_call(&mut self, port: u16) {
        self.calls.can_take(port, call::clock());
    }

    /// Removes the filter for a purpose, if nothing else is for the same. What has come by it and was not looked at is lost.
    pub fn close(&mut self, purpose: Purpose) {
        let mine = |place: &Option<Place>| place.as_ref().is_some_and(|place| place.purpose == purpose);
        let Some(place) = self.places.iter_mut().find(|place| mine(place)) else { return };
        if let Some(inner) = place {
            inner.users -= 1;
            if inner.users != 0 {
                return;
            }
        }
        if let Some(Place { endpoint, .. }) = place.take() {
            endpoint.leave();
        }
        if let Purpose::Connection(port, peer, theirs) = purpose {
            self.sending.connections.end((peer.octets(), port, theirs));
        }
    }

    /// What is to be done between two looks at the network: questions are put, those that were answered are closed, and
    /// somebody answers for the machine.
    pub fn attend(&mut self) {
        let tick = call::clock();
        for place in &mut self.places {
            if let Some(Place { purpose: Purpose::Who(_), endpoint, since, .. }) = place
                && !endpoint.has_message()
                && (endpoint.installed().delivered != 0 || tick.wrapping_sub(*since) >= PATIENCE)
                && let Some(Place { endpoint, .. }) = place.take()
            {
                endpoint.leave();
            }
        }
        if let Some(question) = self.sending.question.take() {
            let [.., a, b, c, d] = question;
            let purpose = Purpose::Who(Ipv4Address::new(a, b, c, d));
            if self.has(purpose) || self.open(purpose).is_ok() {
                // SAFETY: as for `Sending::make`.
                let message = unsafe { &mut *((START + BUFFER_OFFSET) as *mut [u8; QUESTION]) };
                *message = question;
                self.sending.send(message);
            }
        }
        if self.answer_at.is_some_and(|at| tick.wrapping_sub(at).cast_signed() >= 0) {
            let mut missing = false;
            for purpose in [Purpose::Found, Purpose::Echo] {
                missing |= !self.has(purpose) && self.open(purpose).is_err();
            }
            self.answer_at = missing.then(|| tick.wrapping_add(AGAIN));
        }
    }

    /// The tick at which there is something to attend to though nothing has come.
    #[must_use]
    pub fn attend_at(&self) -> Option<u32> {
        self.answer_at
    }

    /// Whether a message is there, or something is to be attended to.
    #[must_use]
    pub fn has_message(&self) -> bool {
        self.sending.question.is_some()
            || self.calls.is_due()
            || self.places.iter().flatten().any(|place| place.endpoint.has_message())
    }

    /// Removes all filters and frees all memory.
    pub fn end(self) {
        let frames = frames_for(self.places.len(), self.buffers);
        for place in self.places.into_iter().flatten() {
            place.endpoint.leave();
        }
        // SAFETY: nobody has a reference to what is mapped there. It was mapped, so it does not fail.
        let _ = unsafe { call::env_unmap(call::self_id(), NO_CAPABILITY, START) };
        free(self.first, frames);
    }

    /// The next place that has a message.
    fn next_place(&self) -> Option<usize> {
        let has = |number: &usize| self.places[*number].as_ref().is_some_and(|place| place.endpoint.has_message());
        (self.turn..self.places.len()).chain(0..self.turn).find(has)
    }

    /// The room of a place.
    fn room(&self, number: usize) -> Room {
        let page = 1 + number as u32 * Room::frames(self.buffers);
        // SAFETY: `new` has mapped them, and each place has a room of its own.
        unsafe { Room::new(self.first + page, START + page * PAGE_BYTES, self.buffers) }
    }
}

const _: () = assert!(ATOMS * size_of::<Atom>() <= PAGE_BYTES as usize);

/// Frames of a binding.
const fn frames_for(places: usize, buffers: u32) -> u32 {
    1 + places as u32 * Room::frames(buffers)
}

fn free(first: u32, count: u32) {
    for frame in first..first + count {
        // SAFETY: nothing is mapped to it any more. It is this environment's, so it does not fail.
        let _ = unsafe { call::frame_free(frame) };
    }
}

impl Sending {
    /// Has a message of so many bytes written, and sends it; a question by ARP later, when there is a filter for the answer.
    fn make<R>(&mut self, bytes: usize, write: impl FnOnce(&mut [u8]) -> R) -> R {
        // SAFETY: the page is mapped and this binding's, of which there is one; when the message is sent nobody has a
        // reference to it.
        let message = unsafe { core::slice::from_raw_parts_mut((START + BUFFER_OFFSET) as *mut u8, bytes) };
        let result = write(message);
        if let Ok(question) = <[u8; QUESTION]>::try_from(&*message)
            && question[12..14] == [8, 6]
            && question[20..22] == [0, 1]
        {
            // Of two the first is lost, and asked again.
            self.question = Some(question);
        } else if refuses_call(message) {
            self.call_refused = true;
        } else {
            self.connections.complete(message);
            self.send(message);
        }
        result
    }

    /// As [`Sending::make`], of the first part of a datagram; then the others.
    fn make_parts<R>(&mut self, write: impl FnOnce(&mut [u8]) -> R) -> R {
        // SAFETY: as for `make`.
        let message = unsafe { &mut *((START + BUFFER_OFFSET) as *mut [u8; MESSAGE_MAX as usize]) };
        let result = write(message);
        let Some((bytes, _)) = self.large.ready.take() else { return result };
        self.large.number = self.large.number.wrapping_add(1);
        let number = self.large.number;
        // UDP's length and checksum are those of the whole.
        let length = (UDP_HEADER_LEN + bytes) as u16;
        message[UDP_LENGTH..UDP_LENGTH + 2].copy_from_slice(&length.to_be_bytes());
        let halves = message[ADDRESSES..UDP_LENGTH + 2].chunks(2).map(|half| u16::from_be_bytes([half[0], half[1]]));
        let pseudo = halves.map(u32::from).sum::<u32>() + u32::from(u8::from(IpProtocol::Udp)) + u32::from(length);
        // None is written as 0: that would be no checksum.
        let sum = match checksum(&self.large.bytes[..bytes], pseudo) {
            0 => u16::MAX,
            sum => sum,
        };
        message[UDP_LENGTH + 2..UDP_LENGTH + 4].copy_from_slice(&sum.to_be_bytes());
        for offset in (0..usize::from(length)).step_by(PART) {
            let count = PART.min(usize::from(length) - offset);
            if offset != 0 {
                let data = &self.large.bytes[offset - UDP_HEADER_LEN..][..count];
                message[HEADERS..HEADERS + count].copy_from_slice(data);
            }
            mark(message, number, offset, count, offset + count < usize::from(length));
            self.send(&message[..HEADERS + count]);
        }
        result
    }

    fn send(&mut self, message: &[u8]) {
        if net::send(message).is_err() {
            self.refused = self.refused.wrapping_add(1);
        }
    }
}

impl Device for Binding {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Outgoing<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Outgoing<'_>)> {
        let refused = core::mem::take(&mut self.sending.call_refused);
        self.calls.looked_at(refused, call::clock());
        if self.calls.is_due() {
            let outgoing = Outgoing { sending: &mut self.sending, large: false };
            return self.calls.take().map(|message| (Received::Whole(message), outgoing));
        }
        loop {
            let number = self.next_place()?;
            // The next one is looked at first then, so that none is forgotten.
            self.turn = if number + 1 < self.places.len() { number + 1 } else { 0 };
            let part = self.parts.as_mut().and_then(|parts| {
                let endpoint = &mut self.places[number].as_mut()?.endpoint;
                let taken = endpoint.receive_if(is_part, |message| parts.add(message, call::clock()))?;
                Some(taken)
            });
            let received = match part {
                // A part, but not the last that was missing.
                Some(None) => continue,
                Some(Some(whole)) => Received::Whole(self.parts.as_mut()?.whole(whole)),
                None => match self.places[number].as_mut()? {
                    Place { purpose: Purpose::Listen(_), endpoint, .. } => Received::Call(endpoint, &mut self.calls),
                    Place { endpoint, .. } => Received::Message(endpoint),
                },
            };
            return Some((received, Outgoing { sending: &mut self.sending, large: false }));
        }
    }

    fn transmit(&mut self, _: Instant) -> Option<Outgoing<'_>> {
        Some(Outgoing { sending: &mut self.sending, large: false })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = MESSAGE_MAX as usize;
        // That of what is sent is written here.
        capabilities.checksum.tcp = Checksum::Rx;
        capabilities
    }
}

/// Whether a message refuses a call by TCP. Calls come to ports that are listened on only, and all sockets of such a port may be
/// in use for the moment: a call that gets no answer waits here, or is repeated by its caller a second later, and one that is refused
/// is not.
fn refuses_call(message: &[u8]) -> bool {
    const RESET_AND_ACKNOWLEDGED: u8 = 0x14;
    // What is no answer to a call has the number that was acknowledged.
    message.len() >= HEADERS + 20
        && message[12..14] == [8, 0]
        && message[23] == u8::from(IpProtocol::Tcp)
        && message[HEADERS + 4..HEADERS + 8] == [0; 4]
        && message[HEADERS + 13] & 0x17 == RESET_AND_ACKNOWLEDGED
}

/// A message that is there.
#[derive(Debug)]
pub enum Received<'a> {
    /// Where the kernel has put it.
    Message(&'a mut Endpoint),
    /// Likewise, for a port that is listened on: it may be a call.
    Call(&'a mut Endpoint, &'a mut Calls<'static>),
    /// A datagram that came in parts, or a call that has waited.
    Whole(&'a [u8]),
}

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, with: F) -> R {
        match self {
            Self::Message(endpoint) => endpoint.receive(with).expect("a message is there"),
            Self::Call(endpoint, calls) => endpoint
                .receive(|message| {
                    calls.show(message);
                    with(message)
                })
                .expect("a message is there"),
            Self::Whole(message) => with(message),
        }
    }
}

/// Room for a message to be sent.
#[derive(Debug)]
pub struct Outgoing<'a> {
    sending: &'a mut Sending,
    /// Whether it is the first part of a datagram.
    large: bool,
}

impl TxToken for Outgoing<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, bytes: usize, write: F) -> R {
        if self.large && bytes == MESSAGE_MAX as usize {
            return self.sending.make_parts(write);
        }
        self.sending.make(bytes.min(MESSAGE_MAX as usize), write)
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.large = meta == is_large();
    }
}

/// What tells a message that is to become a larger datagram from others.
pub(crate) fn is_large() -> PacketMeta {
    let mut meta = PacketMeta::default();
    meta.id = 1;
    meta
}
