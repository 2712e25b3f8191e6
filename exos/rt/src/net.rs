//! Messages of the network: an endpoint is a packet filter, the buffers that its messages come into, and the right to
//! send in its name (the paper's section 5.6). `aegis_abi::network` has the layouts.

use crate::sequences::window;
use crate::shared::Shared;
use crate::{call, memory, public};
use aegis_abi::Error;
use aegis_abi::filter::Atom;
use aegis_abi::frame::Capability;
use aegis_abi::network::{
    BUFFER_BYTES, BUFFER_OFFSET, DESCRIPTORS, Descriptor, Entry, FILTERS, Installed, MESSAGE_MAX,
};
use aegis_abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, entry_lo};

/// The most buffers of an endpoint.
pub const BUFFERS_MAX: u32 = 30;

/// Bytes of addresses for an endpoint: its ring, and behind it its buffers.
const SPACE: u32 = PAGE_BYTES * (1 + BUFFERS_MAX / 2);
/// Where these are. Each filter's number has some of its own.
const SPACES: u32 = NORMAL_START - 0x0100_0000;
const _: () = assert!(SPACE * FILTERS as u32 <= 0x0100_0000 && SPACE.is_multiple_of(PAGE_BYTES));

/// Memory for an endpoint's ring and its buffers.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// The first of its frames, which stand side by side: that of the ring.
    first: u32,
    /// Where they are mapped.
    at: u32,
    /// How many buffers it has.
    buffers: u32,
}

impl Room {
    /// How many frames, and pages, a room for so many buffers has.
    #[must_use]
    pub const fn frames(buffers: u32) -> u32 {
        1 + buffers.div_ceil(PAGE_BYTES / BUFFER_BYTES)
    }

    /// A room for so many buffers.
    ///
    /// # Safety
    /// [`Room::frames`] frames from `first` on are this environment's and mapped from `at` on, to be written, for as long as
    /// an endpoint uses them; for nothing else, and by one endpoint at a time.
    #[must_use]
    pub const unsafe fn new(first: u32, at: u32, buffers: u32) -> Self {
        Self { first, at, buffers }
    }
}

/// A filter of this environment's with its buffers.
#[derive(Debug)]
pub struct Endpoint {
    number: u32,
    /// The frame that pays for the filter.
    frame: u32,
    room: Room,
    /// The descriptor that the next message is in.
    next: u32,
}

impl Endpoint {
    /// Installs a filter with so many buffers, from 1 to [`BUFFERS_MAX`]. `allowed` is the right over another environment
    /// with whose filters it may overlap, or [`NO_CAPABILITY`](call::NO_CAPABILITY).
    ///
    /// # Errors
    /// Those of [`call::filter_insert`] and of allocating frames; [`Error::BadArgument`] for another number of buffers.
    pub fn open(atoms: &[Atom], allowed: Capability, buffers: u32) -> Result<Self, Error> {
        if !(1..=BUFFERS_MAX).contains(&buffers) {
            return Err(Error::BadArgument);
        }
        let frame = memory::allocate()?;
        let number = call::filter_insert(frame, atoms, allowed).inspect_err(|_| free(frame, 1))?;
        let at = SPACES + number * SPACE;
        let made =
            Self::map(at, buffers).and_then(|room| Self::begin(number, frame, room).inspect_err(|_| Self::unmap(room)));
        made.inspect_err(|_| abandon(number, frame))
    }

    /// As [`Endpoint::open`], with ring and buffers in memory of the caller's: one guaranteed mapping may hold the rooms of
    /// many endpoints.
    ///
    /// # Errors
    /// Those of [`call::filter_insert`] and of allocating frames.
    pub fn open_in(atoms: &[Atom], allowed: Capability, room: Room) -> Result<Self, Error> {
        let frame = memory::allocate()?;
        let number = call::filter_insert(frame, atoms, allowed).inspect_err(|_| free(frame, 1))?;
        Self::begin(number, frame, room).inspect_err(|_| abandon(number, frame))
    }

    /// Hands all buffers to the kernel.
    fn begin(number: u32, frame: u32, room: Room) -> Result<Self, Error> {
        let endpoint = Self { number, frame, room, next: 0 };
        // Another endpoint may have left something there.
        for place in 0..DESCRIPTORS {
            endpoint.descriptor(place).set(Descriptor::default());
        }
        for place in 0..room.buffers {
            endpoint.offer(place, place);
        }
        call::filter_ring(number, room.first)?;
        Ok(endpoint)
    }

    /// Makes a room.
    fn map(at: u32, buffers: u32) -> Result<Room, Error> {
        let frames = Room::frames(buffers);
        let first = memory::allocate_run(frames, 1)?;
        let word = first << PAGE_SHIFT | entry_lo::DIRTY;
        // SAFETY: the addresses are a filter number's, which nobody else has, and the frames are new.
        let mapped = unsafe { call::env_map(call::self_id(), call::NO_CAPABILITY, at, word, frames) };
        mapped.inspect_err(|_| free(first, frames))?;
        Ok(Room { first, at, buffers })
    }

    /// Undoes that.
    fn unmap(room: Room) {
        // SAFETY: nobody has a reference to what is mapped there. It was mapped, so it does not fail.
        let _ = unsafe { call::env_unmap(call::self_id(), call::NO_CAPABILITY, room.at) };
        free(room.first, Room::frames(room.buffers));
    }

    /// Whether its filter is still there. It may be taken by force, and then gets no message any more; see
    /// [`revocation`](crate::revocation).
    #[must_use]
    pub fn is_installed(&self) -> bool {
        public::filter(self.number).frame == self.frame
    }

    /// Its filter's number.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Whether a message is there. While there is none a program may wait: it is woken.
    #[must_use]
    pub fn has_message(&self) -> bool {
        self.descriptor(self.next).get().length != 0
    }

    /// Waits for a message, or for the tick `deadline`; whether there is one.
    pub fn wait(&self, deadline: Option<u32>) -> bool {
        while !self.has_message() {
            if deadline.is_some_and(|tick| call::clock().wrapping_sub(tick) << 1 >> 31 == 0) {
                return false;
            }
            call::wait(deadline);
        }
        true
    }

    /// The next message, if there is one, for as long as `with` looks at it.
    pub fn receive<R>(&mut self, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let result = with(self.message()?);
        let place = self.next;
        let number = self.buffer(self.descriptor(place).get());
        self.descriptor(place).set(Descriptor::default());
        self.offer((place + self.room.buffers) % DESCRIPTORS, number);
        self.next = (place + 1) % DESCRIPTORS;
        Some(result)
    }

    /// As [`Endpoint::receive`], if the next message is one for which `is` holds; it stays if not.
    pub fn receive_if<R>(&mut self, is: impl FnOnce(&[u8]) -> bool, with: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.message().is_some_and(is).then(|| self.receive(with))?
    }

    /// What the kernel notes of it, its counters among that.
    #[must_use]
    pub fn installed(&self) -> Installed {
        installed(self.frame)
    }

    /// Removes the filter and frees all that was for it, if [`Endpoint::open`] has made it.
    pub fn close(self) {
        let room = self.room;
        self.leave();
        Self::unmap(room);
    }

    /// Removes the filter; the room that it was [opened in](Endpoint::open_in) is its caller's again.
    pub fn leave(self) {
        abandon(self.number, self.frame);
    }

    /// The next message, if there is one.
    fn message(&self) -> Option<&[u8]> {
        let descriptor = self.descriptor(self.next).get();
        if descriptor.length == 0 {
            return None;
        }
        let message = self.room.at + PAGE_BYTES + self.buffer(descriptor) * BUFFER_BYTES + BUFFER_OFFSET;
        let length = descriptor.length.min(MESSAGE_MAX) as usize;
        // SAFETY: the buffer is mapped there, and the kernel writes to it only when it has been offered again, for which this
        // must not be borrowed.
        Some(unsafe { core::slice::from_raw_parts(message as *const u8, length) })
    }

    /// The number of the buffer that a message is in.
    fn buffer(&self, Descriptor { buffer, .. }: Descriptor) -> u32 {
        (buffer - ((self.room.first + 1) << PAGE_SHIFT)) / BUFFER_BYTES
    }

    /// Lets the kernel fill a buffer, at a place of the ring.
    fn offer(&self, place: u32, number: u32) {
        let buffer = ((self.room.first + 1) << PAGE_SHIFT) + number * BUFFER_BYTES;
        let descriptor = self.descriptor(place);
        descriptor.set(Descriptor::default());
        // The address comes last, in one store: from there on the kernel may fill the buffer, and the length is its own.
        // SAFETY: it is a word of the ring's, which is shared with the kernel.
        unsafe { (&raw mut (*descriptor.as_ptr()).buffer).write_volatile(buffer) };
    }

    fn descriptor(&self, place: u32) -> &Shared<Descriptor> {
        let at = self.room.at + place * size_of::<Descriptor>() as u32;
        // SAFETY: the ring is mapped there, and has that many; it is shared with the kernel.
        unsafe { &*(at as *const Shared<Descriptor>) }
    }
}

/// Removes a filter of this environment's and frees the frame that paid for it.
fn abandon(number: u32, frame: u32) {
    // It may have been taken, and its number be another's by now. If not it is this environment's, so it does not fail.
    if public::filter(number).frame == frame {
        let _ = call::filter_remove(number);
    }
    free(frame, 1);
}

/// Frees frames that nothing uses any more.
fn free(first: u32, count: u32) {
    for frame in first..first + count {
        // SAFETY: the caller's. They are this environment's, so it does not fail.
        let _ = unsafe { call::frame_free(frame) };
    }
}

/// Sends a message, from the Ethernet header on, in the name of one of this environment's filters. If the controller has no
/// room it gives up its time slice and tries again.
///
/// # Errors
/// Those of [`call::network_send`] but [`Error::Busy`].
pub fn send(message: &[u8]) -> Result<(), Error> {
    loop {
        match call::network_send(message) {
            Err(Error::Busy) => call::yield_slice(),
            result => return result,
        }
    }
}

/// The address of the interface, if there is one.
#[must_use]
pub fn address() -> Option<[u8; 6]> {
    let interface = public::interface();
    (interface.present != 0).then(|| core::array::from_fn(|at| interface.address[at]))
}

/// All filters: their numbers, and who has them and where they are.
pub fn filters() -> impl Iterator<Item = (u32, Entry)> {
    (0..FILTERS as u32).map(|number| (number, public::filter(number))).filter(|(_, entry)| entry.owner != 0)
}

/// What the kernel notes of a filter, in the frame that pays for it.
#[must_use]
pub fn installed(frame: u32) -> Installed {
    // SAFETY: the frame is public, and is mapped there when it is missed. Volatile, because the kernel changes it.
    unsafe { (window(frame << PAGE_SHIFT) as *const Installed).read_volatile() }
}
