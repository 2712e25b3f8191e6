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
use aegis_core::source::{Buffer, HEADERS, Station, TOLD_BY, is_from, turn_common, turn_round};
use aegis_core::system::System;

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
        let is_ordinary = !self.system.network.engine.is_busy() && self.seen.number == 0 && self.left > 0;
        let arrival = if is_ordinary { lance.received() } else { None };
        // It is looked for before the controller is asked whether it has anything to tell, which takes its time.
        let Some(Arrival::Message(at, bytes)) = arrival else {
            return self.machine.network_asks() && self.serve_more(false, 0);
        };
        self.left -= self.frame;
        let number = self.whose(at, bytes);
        match self.handle_at_once(number, at, bytes) {
            Some(Handled::Consumed(woken)) => {
                self.done_by_handler();
                return woken;
            }
            Some(handled) => {
                self.seen = Seen { number, passed: handled == Handled::Passed };
                return false;
            }
            None => {}
        }
        let woken = self.deliver(number, at, bytes);
        let Some(lance) = &mut self.machine.network else { return woken };
        lance.done();
        lance.quiet();
        if lance.has_received() { self.serve_next(woken, bytes) } else { woken }
    }

    /// Goes on behind a message of so many bytes, since another has come. The controller was told that it need not ask for those that have.
    #[cold]
    #[inline(never)]
    fn serve_next(&mut self, woken: bool, bytes: u32) -> bool {
        let woken = self.serve_more(woken, self.frame + (bytes * BYTE) as i32);
        if let Some(lance) = &self.machine.network
            && lance.is_enabled()
        {
            cp0::ask(lance.has_received());
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
        self.frame = FRAME + WORK * self.system.network.engine.work() as i32;
        self.listen(share(self.slice_cycles));
    }

    /// So many cycles may be taken from now on; how many were left.
    pub fn listen(&mut self, cycles: i32) -> i32 {
        let left = core::mem::replace(&mut self.left, cycles);
        if let Some(lance) = &mut self.machine.network
            && left <= 0
        {
            lance.enable(true);
            cp0::ask(true);
        }
        left
    }

    /// Has the controller wait for the next slice.
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
        let number = if known { seen.number } else { self.whose(at, bytes) };
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
            if let Handled::Consumed(woken) = self.handle_later(frame, at, bytes) {
                return Received::Handled(woken);
            }
            self.seen = Seen { number, passed: true };
            return Received::Later;
        }
        Received::Ordinary(self.deliver_later(number, at, bytes))
    }

    /// Whose message the controller has put at an address of its memory: the number of the filter, or 0. It is [filled up](filled_up) from now
    /// on.
    #[inline]
    fn whose(&self, at: u32, bytes: u32) -> u32 {
        // SAFETY: it was received there, in a buffer that is long enough for any message, and the controller has handed it over.
        unsafe {
            // Nearly all that are short are as short as can be.
            let told_by = if bytes == MESSAGE_MIN {
                fill_up(arch::opaque(at as *mut u8), MESSAGE_MIN);
                filter::MESSAGE_MIN
            } else {
                fill_up_any(at as *mut u8, bytes)
            };
            classify(&self.system, at, told_by)
        }
    }

    /// The same as [`Kernel::deliver`], where nobody waits for each microsecond.
    #[inline(never)]
    fn deliver_later(&mut self, number: u32, at: u32, bytes: u32) -> bool {
        self.deliver(number, at, bytes)
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
    #[inline(always)]
    fn deliver(&mut self, number: u32, at: u32, bytes: u32) -> bool {
        add(&mut self.public.interface.received, 1);
        if number == 0 {
            add(&mut self.public.interface.unclaimed, 1);
            return false;
        }
        match self.system.place(&mut Translation, number) {
            Ok(place) => {
                // SAFETY: 2 KB of an environment's frame are there, to which there is no reference; the message and what was
                // filled up are less, and the two bytes before it are 0.
                unsafe {
                    let to = machine::cached::<u32>(place.buffer);
                    machine::copy(at - BUFFER_OFFSET, to as u32, bytes + BUFFER_OFFSET);
                    // What is nothing but filled up is not read where it is slow.
                    for word in (bytes + BUFFER_OFFSET).div_ceil(4)..(filled_up(bytes) + BUFFER_OFFSET) / 4 {
                        to.add(word as usize).write_volatile(0);
                    }
                };
                self.system.delivered(&mut Translation, place, bytes);
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
        let from = self.gather(caller, address, bytes)?;
        // SAFETY: as it says.
        unsafe { self.transmit(caller, u32::MAX, from, bytes).map(|()| 0) }
    }

    /// The address of a program's message, 2 modulo 4: where it lies if that is together and at such an address, else where it is copied to.
    fn gather(&mut self, caller: EnvId, address: u32, bytes: u32) -> Result<u32, Error> {
        let whole = self.whole(caller, address, bytes)?;
        if let Some(at) = whole
            && at % 4 == BUFFER_OFFSET
        {
            return Ok(at);
        }
        // SAFETY: nobody has a reference to it.
        let (at, copy) = unsafe { gathered(bytes) };
        self.read(caller, address, copy)?;
        Ok(at)
    }

    /// Sends the message of so many bytes, from a header to the longest there are, at an address, which is 2 modulo 4, for the environment
    /// `sender`. The filter `own` is that one's, if there is such a number; no insertion is under way. Errors: as for
    /// [`aegis_abi::call::NETWORK_SEND`].
    ///
    /// # Safety
    /// The words that the message lies in can be read: it is in one page, in one region, or where it was [`gathered`].
    #[inline(always)]
    pub unsafe fn transmit(&mut self, sender: EnvId, own: u32, from: u32, bytes: u32) -> Result<(), Error> {
        let Some(lance) = &mut self.machine.network else { return Err(Error::NoSuchDevice) };
        let to = lance.buffer().ok_or(Error::Busy)?;
        // What is checked is what is sent: the program sees neither.
        // SAFETY: the caller's; and both buffers are the kernel's, of 2 KB, with room for two bytes before a message and as many behind it as
        // are copied with it. Nobody writes to any of that meanwhile, nor has a reference to it.
        let Prepared { at, told_by, bytes } = unsafe { prepare(from, to, bytes, lance.station)? };
        // SAFETY: that is where the answer was put, filled up.
        let number = unsafe { classify(&self.system, at, told_by) };
        if number != own && !self.system.may_send(sender, number) {
            return Err(Error::Denied);
        }
        lance.send(bytes);
        // What can wait comes behind that.
        self.system.sent(&mut Translation, number);
        add(&mut self.public.interface.sent, 1);
        Ok(())
    }
}

/// The number of the filter that the message at an address is for, or 0.
///
/// # Safety
/// It lies at 2 modulo 4, is filled up, and has so many bytes then.
#[inline(always)]
unsafe fn classify(system: &System, at: u32, bytes: u32) -> u32 {
    // SAFETY: the caller's; and that is where the engine's code for a message begins, of which the instruction cache has been told.
    unsafe { arch::classify(system.network.engine.entry(), at as *const u8, bytes) }
}

/// A message that is ready to be sent.
struct Prepared {
    /// Where the answer to it is, by how many bytes that is told apart, and how many are to be sent.
    at: u32,
    told_by: u32,
    bytes: u32,
}

/// Where a message is put together that does not lie so: its address, 2 modulo 4, and its bytes.
///
/// # Safety
/// Nobody has a reference to it, as long as this is used.
pub unsafe fn gathered<'a>(bytes: u32) -> (u32, &'a mut [u8]) {
    static GATHERED: Static<Buffer> = Static::new([0; BUFFER_BYTES as usize / 4]);
    // SAFETY: the caller's; there is room for any message.
    unsafe {
        let at = (&raw mut *GATHERED.get()).cast::<u8>().add(BUFFER_OFFSET as usize);
        (at as u32, core::slice::from_raw_parts_mut(at, bytes as usize))
    }
}

/// Copies a message to where the controller sends it from, and the answer to it to where it is told apart. Both addresses are 2 modulo 4.
///
/// # Safety
/// The words that it lies in can be read, and there is room for them where the controller sends it from. There is no reference to any of that.
#[inline(always)]
unsafe fn prepare(from: u32, to: u32, bytes: u32, station: Station) -> Result<Prepared, Error> {
    // SAFETY: the caller's.
    match unsafe { prepare_common(from, to, bytes, station) } {
        Some(prepared) => Ok(prepared),
        // SAFETY: as above.
        None => unsafe { prepare_any(from, to, bytes, station) },
    }
}

/// The same for [common](turn_common) messages; if it is none nothing of that counts.
///
/// # Safety
/// As for [`prepare`].
#[inline(always)]
unsafe fn prepare_common(from: u32, to: u32, bytes: u32, station: Station) -> Option<Prepared> {
    if bytes < MESSAGE_MIN {
        return None;
    }
    let words = |at: u32| arch::opaque((at - BUFFER_OFFSET) as *mut u32);
    // SAFETY: there is no other reference to it.
    let turned = arch::opaque(unsafe { &raw mut *TURNED.get() }).cast::<u32>();
    let (from, to) = (words(from), words(to));
    // SAFETY: the caller's, and the answer is no longer than the message.
    let read = |word: usize| unsafe { from.add(word).read_volatile() };
    // SAFETY: as above.
    let send = |word: usize, value: u32| unsafe { to.add(word).write_volatile(value) };
    // SAFETY: as above.
    let turn = |word: usize, value: u32| unsafe { turned.add(word).write_volatile(value) };
    // A word is not used in the instruction behind its load.
    let three = |word: usize| (read(word), read(word + 1), read(word + 2));
    // What the shortest messages have goes word by word, since a loop would cost as much again. What is stored in one page of memory in a row
    // takes the least time, and the controller's memory the most: so its words come last, and what follows does not wait for them.
    let [a, b, c, d, e, f, g, h, i, j] = turn_common(read, send, station)?;
    turn(0, a);
    turn(1, b);
    turn(2, c);
    turn(3, d);
    turn(4, e);
    turn(5, f);
    turn(6, g);
    turn(7, h);
    turn(8, i);
    turn(9, j);
    let (a, b, c) = three(10);
    turn(10, a);
    turn(11, b);
    turn(12, c);
    let (a, b, c) = three(13);
    turn(13, a);
    turn(14, b);
    turn(15, c);
    let end = (bytes + BUFFER_OFFSET).div_ceil(4) as usize;
    for word in FIRST..end {
        turn(word, read(word));
    }
    let mut told_by = bytes;
    if bytes < filter::MESSAGE_MIN {
        told_by = filter::MESSAGE_MIN;
        // SAFETY: as above: four bytes behind it, as many as it is short of at most.
        unsafe { turned.byte_add((bytes + BUFFER_OFFSET) as usize).write_unaligned(0) };
    }
    let (a, b, c) = three(7);
    send(7, a);
    send(8, b);
    send(9, c);
    let (a, b, c) = three(10);
    send(10, a);
    send(11, b);
    send(12, c);
    let (a, b, c) = three(13);
    send(13, a);
    send(14, b);
    send(15, c);
    for word in FIRST..end {
        send(word, read(word));
    }
    Some(Prepared { at: turned as u32 + BUFFER_OFFSET, told_by, bytes })
}

/// Words that the shortest message lies in.
const FIRST: usize = (MESSAGE_MIN + BUFFER_OFFSET).div_ceil(4) as usize;
const _: () = assert!(TOLD_BY == 7 && HEADERS == 10 && FIRST == 16);

/// The same for messages of any kind and length. Errors: if it is in the name of another station, or it can't be told in whose.
///
/// # Safety
/// As for [`prepare`].
#[cold]
#[inline(never)]
unsafe fn prepare_any(from: u32, to: u32, bytes: u32, station: Station) -> Result<Prepared, Error> {
    let sent = bytes.max(MESSAGE_MIN);
    // SAFETY: the caller's, and nobody has a reference to the other.
    let (at, message) = unsafe {
        let message = TURNED.get();
        let at = message.as_mut_ptr() as u32 + BUFFER_OFFSET;
        machine::copy(from - BUFFER_OFFSET, at - BUFFER_OFFSET, bytes + BUFFER_OFFSET);
        fill_up_any(at as *mut u8, bytes);
        machine::copy(at - BUFFER_OFFSET, to - BUFFER_OFFSET, sent + BUFFER_OFFSET);
        (at, message)
    };
    if !is_from(message, bytes, station) {
        return Err(Error::Denied);
    }
    turn_round(message, bytes).ok_or(Error::Denied)?;
    Ok(Prepared { at, told_by: bytes.max(filter::MESSAGE_MIN), bytes: sent })
}

/// What may be taken while nobody has work, and nothing is taken from anybody: more than there is until the next tick.
pub const ALL: i32 = i32::MAX / 2;

/// So many cycles of a time slice frames and handlers may take: three quarters. When they are used up the controller is silenced until
/// the next slice, so that a flood can't take all of the processor.
pub const fn share(slice_cycles: u32) -> i32 {
    slice_cycles as i32 / 4 * 3
}

/// Where a message that is to be sent is checked, as the answer to it: a controller's memory is slow. It is read and written by turns with the
/// message, and one of the two would evict the other from the data cache if they had the same place in it.
// SAFETY: the section is one of zeros, and the linker script has a place for it.
#[unsafe(link_section = ".bss.turned")]
static TURNED: Static<Buffer> = Static::new([0; BUFFER_BYTES as usize / 4]);

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
#[inline(always)]
unsafe fn fill_up(at: *mut u8, bytes: u32) {
    let mut to = bytes as usize;
    // SAFETY: the caller's; each is aligned.
    unsafe {
        if to & 1 != 0 {
            at.add(to).write_volatile(0);
            to += 1;
        }
        if to & 2 != BUFFER_OFFSET as usize {
            at.add(to).cast::<u16>().write_volatile(0);
            to += 2;
        }
        while to != filled_up(bytes) as usize {
            at.add(to).cast::<u32>().write_volatile(0);
            to += 4;
        }
    }
}

/// The same; by how many bytes it is told apart then.
///
/// # Safety
/// As for [`fill_up`].
#[inline(never)]
unsafe fn fill_up_any(at: *mut u8, bytes: u32) -> u32 {
    // SAFETY: the caller's.
    unsafe { fill_up(at, bytes) };
    bytes.max(filter::MESSAGE_MIN)
}

/// Counts, modulo 2^32.
fn add(counter: &mut u32, count: u32) {
    *counter = counter.wrapping_add(count);
}
