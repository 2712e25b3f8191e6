//! Messages of the network: from the controller to whose they are, and from programs to the controller.
//!
//! The controller's interrupt brings them. A message is told apart where the controller has put it, by the code that was
//! generated for all filters, and copied once: into its owner's buffer.

use crate::arch;
use crate::arch::bindings::Translation;
use crate::arch::cp0;
use crate::arch::entry::Static;
use crate::handlers::Handled;
use crate::kernel::Kernel;
use crate::machine::{self, Arrival};
use aegis_abi::ash;
use aegis_abi::filter::{self, Atom};
use aegis_abi::frame::Capability;
use aegis_abi::network::{BUFFER_BYTES, BUFFER_OFFSET, HEADER, MESSAGE_MAX, MESSAGE_MIN};
use aegis_abi::{EnvId, Error};
use aegis_core::hardware::Hardware;
use aegis_core::network::Lost;
use aegis_core::source::{Buffer, is_from, turn_round};

/// So much one interrupt may take, but that of its first frame. What is more is left to the next.
const CYCLES_AT_ONCE: i32 = ash::CYCLES_AT_ONCE as i32;
/// What a frame takes when the caches have what the kernel needs for it, on the machine whose memory is the slowest: beside
pub const FRAME: i32 = 1300;
/// each unit of work that telling it apart may be,
const WORK: i32 = 20;
/// and each byte that is copied.
const BYTE: u32 = 9;

impl Kernel {
    /// Takes what was received, as far as that may take; whether anybody was woken for it.
    ///
    /// Nearly always that is one short message. Its way is straight, and what can wait comes behind the handler's answer.
    ///
    /// As long as there is more the controller asks for another interrupt, or, once it was told that it need not, the kernel itself does.
    pub fn serve_network(&mut self) -> bool {
        let Some(lance) = &self.machine.network else { return false };
        if self.system.network.engine.is_busy() || self.seen.number != 0 || self.left <= 0 {
            return self.serve_more(false, 0);
        }
        let Some(Arrival::Message(at, bytes)) = lance.received() else { return self.serve_more(false, 0) };
        self.left -= self.frame;
        let (number, filled_up) = self.whose(at, bytes);
        if let Some(frame) = self.handler_for(number, bytes) {
            if Translation.handler(frame).most > ash::CYCLES_AT_ONCE {
                self.seen = Seen { number, passed: false };
                return false;
            }
            let handled = self.handle(frame, at, bytes);
            if let Handled::Consumed(woken) = handled {
                self.done_by_handler();
                return woken;
            }
            self.seen = Seen { number, passed: true };
            return false;
        }
        let woken = self.deliver(number, at, bytes, filled_up);
        let Some(lance) = &mut self.machine.network else { return woken };
        lance.done();
        if lance.has_received() {
            return self.serve_more(woken, self.frame + (bytes * BYTE) as i32);
        }
        lance.quiet();
        // One may have come before it was told.
        if lance.has_received() {
            cp0::ask(true);
        }
        woken
    }

    /// The same of whatever was received, behind so many cycles that one has `taken`, and somebody who was perhaps `woken` for it.
    #[inline(never)]
    fn serve_more(&mut self, mut woken: bool, taken: i32) -> bool {
        // What an insertion or a removal has left to be done is done first: one piece, and the rest at the next interrupt.
        if self.settle_filters().is_err() {
            return woken;
        }
        let mut first = taken == 0;
        let least = self.left + taken - CYCLES_AT_ONCE;
        loop {
            // A filter of a dead owner's may just have gone; the rest of that is left to the next interrupt.
            if self.system.network.engine.is_busy() {
                break;
            }
            let Some(lance) = &mut self.machine.network else { return false };
            let Some(arrival) = lance.received() else {
                let events = lance.events();
                let counters = &mut self.public.interface;
                add(&mut counters.missed, u32::from(events.missed));
                add(&mut counters.restarts, u32::from(events.restarted));
                add(&mut counters.unsent, events.unsent);
                cp0::ask(lance.has_received());
                break;
            };
            if self.left <= 0 {
                self.silence();
                break;
            }
            let copied = if let Arrival::Message(_, bytes) = arrival { (bytes * BYTE) as i32 } else { 0 };
            if !first && self.left - self.frame - copied < least {
                break;
            }
            self.left -= self.frame;
            let counters = &mut self.public.interface;
            match arrival {
                Arrival::Message(at, bytes) => match self.receive(at, bytes, first) {
                    Received::Later => break,
                    Received::Handled(woke) => {
                        self.done_by_handler();
                        return woken | woke;
                    }
                    Received::Ordinary(woke) => woken |= woke,
                },
                Arrival::Runt => add(&mut counters.runts, 1),
                Arrival::Giant => add(&mut counters.giants, 1),
                Arrival::Rest => {}
                Arrival::Damaged => add(&mut counters.damaged, 1),
                Arrival::Foreign => add(&mut counters.foreign, 1),
            }
            first = false;
            if let Some(lance) = &mut self.machine.network {
                lance.done();
            }
        }
        woken
    }

    /// A new slice: as much of it may be taken again. What a frame takes depends on the filters.
    pub fn listen_again(&mut self) {
        let Some(lance) = &mut self.machine.network else { return };
        self.frame = FRAME + WORK * self.system.network.engine.work() as i32;
        if core::mem::replace(&mut self.left, share(self.slice_cycles)) <= 0 {
            lance.enable(true);
            cp0::ask(true);
        }
    }

    /// Has the controller wait for the next slice. An idle kernel, which polls, comes here again and again.
    fn silence(&mut self) {
        cp0::ask(false);
        if let Some(lance) = &mut self.machine.network
            && lance.is_enabled()
        {
            lance.enable(false);
            add(&mut self.public.interface.silenced, 1);
        }
    }

    /// Gives a message, which the controller has put at an address of its memory, to whose it is. A handler, which takes its
    /// time, runs for the `first` one of an interrupt only, and a message that it passes is left to the next interrupt, as one is
    /// whose handler may take long.
    #[inline]
    fn receive(&mut self, at: u32, bytes: u32, first: bool) -> Received {
        let seen = core::mem::take(&mut self.seen);
        let known = seen.number != 0;
        let (number, filled_up) = if known { (seen.number, filled_up(bytes)) } else { self.whose(at, bytes) };
        if !seen.passed
            && let Some(frame) = self.handler_for(number, bytes)
        {
            if !first {
                return Received::Later;
            }
            if !known && Translation.handler(frame).most > ash::CYCLES_AT_ONCE {
                self.seen = Seen { number, passed: false };
                return Received::Later;
            }
            if let Handled::Consumed(woken) = self.handle(frame, at, bytes) {
                return Received::Handled(woken);
            }
            self.seen = Seen { number, passed: true };
            return Received::Later;
        }
        Received::Ordinary(self.deliver(number, at, bytes, filled_up))
    }

    /// Whose message the controller has put at an address of its memory: the number of the filter, or 0; and how many bytes it has when it
    /// is filled up, as it is from now on.
    #[inline]
    fn whose(&self, at: u32, bytes: u32) -> (u32, u32) {
        let filled_up = filled_up(bytes);
        // SAFETY: it was received there, in a buffer that is long enough for any message, and the controller has handed it over.
        unsafe { fill_up(at, bytes, filled_up) };
        (self.classify(at, bytes), filled_up)
    }

    /// The message that was received first is dealt with.
    fn done_by_handler(&mut self) {
        add(&mut self.public.interface.received, 1);
        add(&mut self.public.interface.handled, 1);
        if let Some(lance) = &mut self.machine.network {
            lance.done();
        }
    }

    /// Puts a message for a filter, or for none (0), into its owner's buffer; whether somebody got it.
    fn deliver(&mut self, number: u32, at: u32, bytes: u32, filled_up: u32) -> bool {
        add(&mut self.public.interface.received, 1);
        if number == 0 {
            add(&mut self.public.interface.unclaimed, 1);
            return false;
        }
        match self.system.buffer(&mut Translation, number) {
            Ok(buffer) => {
                // SAFETY: 2 KB of an environment's frame are there, to which there is no reference; the message and what was
                // filled up are less, and the two bytes before it are 0.
                unsafe {
                    machine::copy(at - BUFFER_OFFSET, machine::cached::<u8>(buffer) as u32, filled_up + BUFFER_OFFSET)
                };
                self.system.delivered(&mut Translation, number, bytes);
                self.left -= (bytes * BYTE) as i32;
                add(&mut self.public.interface.delivered, 1);
                true
            }
            Err(lost) => {
                if lost == Lost::OwnerDied {
                    self.flush_filters();
                }
                add(&mut self.public.interface.dropped, 1);
                false
            }
        }
    }

    /// The number of the filter that the message at an address, of so many bytes, is for, or 0. It lies at 2 modulo 4 and is filled up.
    fn classify(&self, at: u32, bytes: u32) -> u32 {
        let bytes = bytes.max(filter::MESSAGE_MIN);
        // SAFETY: that is where the engine's code for a message begins, of which the instruction cache has been told; the
        // message lies so and has at least so many bytes, 64 or more.
        unsafe { arch::classify(self.system.network.engine.entry(), at as *const u8, bytes) }
    }

    /// Makes the instruction cache coherent with the code that tells messages apart, which has changed.
    pub fn flush_filters(&mut self) {
        self.seen = Seen::default();
        let changes = self.system.network.engine.take_changes();
        let code = machine::physical(self.system.network.engine.code().as_ptr());
        for (start, end) in changes.ranges() {
            let (start, end) = ((code + start) & !31, (code + end).next_multiple_of(32));
            cp0::flush_instructions(start, end - start);
        }
    }

    /// Does a piece of what an insertion or a removal has left to be done.
    fn settle_filters(&mut self) -> Result<(), Error> {
        let result = self.system.settle_filters();
        if result.is_err() {
            self.flush_filters();
        }
        result
    }

    /// See [`aegis_abi::call::FILTER_INSERT`].
    pub fn filter_insert(&mut self, caller: EnvId, frame: u32, atoms: u32, count: u32) -> Result<u32, Error> {
        if self.machine.network.is_none() {
            return Err(Error::NoSuchDevice);
        }
        if count > filter::ATOMS_MAX as u32 {
            return Err(Error::BadArgument);
        }
        let shown: Capability = self.record(caller).save_page().capability;
        let result = match self.system.filter_insert(&mut Translation, caller, frame, [atoms, count], shown) {
            Ok(None) => self.filter_begin(caller, frame, atoms, count),
            Ok(Some(number)) => Ok(number),
            Err(error) => Err(error),
        };
        self.flush_filters();
        result
    }

    fn filter_begin(&mut self, caller: EnvId, frame: u32, atoms: u32, count: u32) -> Result<u32, Error> {
        let mut words = [0; 4 * filter::ATOMS_MAX];
        let words = &mut words[..4 * count as usize];
        self.read_words(caller, atoms, words)?;
        let mut list = heapless::Vec::<Atom, { filter::ATOMS_MAX }>::new();
        list.extend(words.as_chunks().0.iter().map(|&words| Atom::from_words(words)));
        self.system.filter_begin(caller, frame, [atoms, count], &list).map(|()| 0)
    }

    /// See [`aegis_abi::call::FILTER_REMOVE`].
    pub fn filter_remove(&mut self, caller: EnvId, number: u32) -> Result<u32, Error> {
        let result = self.system.filter_remove(caller, number);
        self.flush_filters();
        result.map(|()| 0)
    }

    /// See [`aegis_abi::call::NETWORK_SEND`].
    pub fn network_send(&mut self, caller: EnvId, address: u32, bytes: u32) -> Result<u32, Error> {
        if !(HEADER..=MESSAGE_MAX).contains(&bytes) {
            return Err(Error::BadArgument);
        }
        if self.machine.network.is_some() {
            self.settle_filters()?;
        }
        self.transmit(caller, bytes, |kernel, outgoing| kernel.gather(caller, address, bytes, outgoing)).map(|()| 0)
    }

    /// Where a message of a program's lies together, at 2 modulo 4, if so; or else `outgoing`, where it has been copied to.
    fn gather(&mut self, caller: EnvId, address: u32, bytes: u32, outgoing: u32) -> Result<u32, Error> {
        let whole = self.whole(caller, address, bytes)?;
        if let Some(at) = whole
            && at % 4 == BUFFER_OFFSET
        {
            return Ok(at);
        }
        // SAFETY: there is room for any message, and no reference to it.
        self.read(caller, address, unsafe { core::slice::from_raw_parts_mut(outgoing as *mut u8, bytes as usize) })?;
        Ok(outgoing)
    }

    /// Sends a message of so many bytes, from a header to the longest there are, for the environment `sender`; no insertion is under way. `find`
    /// says where in cached memory it lies, at 2 modulo 4, if it has not copied it to the address that it is told. Errors: as for
    /// [`aegis_abi::call::NETWORK_SEND`].
    #[inline]
    pub fn transmit(
        &mut self,
        sender: EnvId,
        bytes: u32,
        find: impl FnOnce(&mut Self, u32) -> Result<u32, Error>,
    ) -> Result<(), Error> {
        let Some(lance) = &mut self.machine.network else { return Err(Error::NoSuchDevice) };
        let station = lance.station;
        let to = lance.buffer().ok_or(Error::Busy)?;
        // SAFETY: nobody has a reference to it.
        let at = unsafe { OUTGOING.get() }.as_mut_ptr() as u32 + BUFFER_OFFSET;
        let from = find(self, at)?;
        // What is checked is what is sent: the program sees neither.
        // SAFETY: a message that was found lies in one page or in one region, at 2 modulo 4, so the words that it is in do, too; both
        // buffers are the kernel's, of 2 KB, with room for two bytes before a message and three behind it, which are copied with it.
        // Nobody writes to any of that meanwhile, nor has a reference to it.
        let message = unsafe {
            machine::copy(from - BUFFER_OFFSET, at - BUFFER_OFFSET, bytes + BUFFER_OFFSET);
            fill_up(at, bytes, filled_up(bytes));
            machine::copy(at - BUFFER_OFFSET, to - BUFFER_OFFSET, bytes.max(MESSAGE_MIN) + BUFFER_OFFSET);
            OUTGOING.get()
        };
        if !is_from(message, bytes, station) {
            return Err(Error::Denied);
        }
        turn_round(message, bytes).ok_or(Error::Denied)?;
        let number = self.classify(at, bytes);
        if !self.system.may_send(&mut Translation, sender, number) {
            return Err(Error::Denied);
        }
        if let Some(lance) = &mut self.machine.network {
            lance.send(bytes);
        }
        add(&mut self.public.interface.sent, 1);
        Ok(())
    }
}

/// So many cycles of a time slice frames and handlers may take: three quarters. When they are used up the controller is silenced until
/// the next slice, so that a flood can't take all of the processor.
pub const fn share(slice_cycles: u32) -> i32 {
    slice_cycles as i32 / 4 * 3
}

/// Where a message is checked that is to be sent: a controller's memory is slow.
static OUTGOING: Static<Buffer> = Static::new([0; BUFFER_BYTES as usize / 4]);

/// What is known of the message that was received first, if an earlier interrupt has looked at it: the number of the filter that it
/// is for, else 0; and whether that one's handler has passed it. What changes filters forgets it.
#[derive(Clone, Copy, Default)]
pub struct Seen {
    number: u32,
    passed: bool,
}

/// What has become of a message that was received.
enum Received {
    /// A handler has dealt with it; whether somebody was woken.
    Handled(bool),
    /// It went the ordinary way; likewise.
    Ordinary(bool),
    /// Nothing: it is left to the next interrupt.
    Later,
}

/// How many bytes a message of so many has when it is filled up to what it is told apart by, and to the end of a word.
const fn filled_up(bytes: u32) -> u32 {
    let least = if bytes < filter::MESSAGE_MIN { filter::MESSAGE_MIN } else { bytes };
    ((least + BUFFER_OFFSET + 3) & !3) - BUFFER_OFFSET
}

/// Writes zeros behind the message at an address, which is 2 modulo 4, until it is [filled up](filled_up): in few accesses, since a
/// controller's memory is slow.
///
/// # Safety
/// The caller may write there, and there is no reference to it.
#[inline]
unsafe fn fill_up(at: u32, bytes: u32, filled_up: u32) {
    let (mut to, end) = (at + bytes, at + filled_up);
    // SAFETY: the caller's; each is aligned.
    unsafe {
        if to & 1 != 0 {
            (to as *mut u8).write_volatile(0);
            to += 1;
        }
        if to & 2 != 0 {
            (to as *mut u16).write_volatile(0);
            to += 2;
        }
        while to != end {
            (to as *mut u32).write_volatile(0);
            to += 4;
        }
    }
}

/// Counts, modulo 2^32.
fn add(counter: &mut u32, count: u32) {
    *counter = counter.wrapping_add(count);
}
