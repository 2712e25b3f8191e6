//! Pipes: a circular buffer in memory that environments share (the paper's section 6.1).
//!
//! A pipe is one frame. Who finds it empty or full yields to the other end by name; if that was in vain, it waits until
//! the other end wakes it. Each end has a list of those that hold it, so that its end is noticed, however that came
//! about: reading comes to an end when nobody lives who could write, and writing fails when nobody is left to read.
//!
//! Those that share a pipe need not trust each other with more than what is in it: every word of it may change at any
//! time, so it is read once, and checked before it is used. Who spoils a pipe spoils a pipe.
//!
//! With more than one holder an end is locked while one of them uses it; so what is written in one piece is read in one
//! piece.

use core::cell::UnsafeCell;
use exos_rt::abi::EnvId;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::call;
use exos_rt::shared::Shared;

/// Bytes that a pipe holds.
pub const CAPACITY: usize = 2048;
/// The most environments that hold one end.
pub const HOLDERS: usize = 64;
/// Ticks after which one that waits looks again, since those that die wake nobody.
const PATIENCE: u32 = 8;

/// An end of a pipe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The one that is read from.
    Read = 0,
    /// The one that is written to.
    Write = 1,
}

/// What a pipe can refuse with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Nobody lives who holds the other end.
    Gone,
    /// It would take another to go on, and this call does not wait, or there is no other.
    Busy,
    /// The end has as many holders as it can have.
    Full,
    /// What is in the pipe is no pipe: somebody else has spoiled it.
    Damaged,
}

/// The frame of a pipe. Zeros are an empty one, which nobody holds.
#[repr(C, align(4096))]
pub struct Ring {
    /// Bytes ever written and read, modulo 2^32.
    written: Shared<u32>,
    read: Shared<u32>,
    ends: [Holders; 2],
    bytes: UnsafeCell<[u8; CAPACITY]>,
}

/// Who holds an end.
#[repr(C)]
struct Holders {
    /// How many.
    count: Shared<u32>,
    /// Who uses it, if they are more than one.
    lock: Shared<u32>,
    /// Who waits for something to happen at the other end.
    waits: Shared<u32>,
    /// Ids, 0 where there is none.
    ids: [Shared<u32>; HOLDERS],
}

// SAFETY: bytes are only accessed by pointers, and may be anything at any time.
unsafe impl Sync for Ring {}

const _: () = assert!(size_of::<Ring>() == PAGE_BYTES as usize && CAPACITY.is_power_of_two());

impl Holders {
    const fn new() -> Self {
        Self {
            count: Shared::new(0),
            lock: Shared::new(0),
            waits: Shared::new(0),
            ids: [const { Shared::new(0) }; HOLDERS],
        }
    }

    /// Adds to the count, whoever else does.
    fn add(&self, value: u32) {
        loop {
            let count = self.count.get();
            if self.count.swap(count, count.wrapping_add(value)) == count {
                return;
            }
        }
    }

    /// Takes one from the list.
    fn remove(&self, id: u32) -> bool {
        let held = self.ids.iter().any(|slot| slot.get() == id && slot.swap(id, 0) == id);
        if held {
            self.add(u32::MAX);
        }
        held
    }

    /// One that lives, if there is any but `me`; whether `me` is one. The dead are struck off.
    fn living(&self, me: EnvId) -> (Option<EnvId>, bool) {
        let mut mine = false;
        for id in self.ids.iter().map(Shared::get).filter(|&id| id != 0) {
            if id == me.0 {
                mine = true;
            } else if call::wake(EnvId(id)).is_ok() {
                return (Some(EnvId(id)), mine);
            } else {
                self.remove(id);
            }
        }
        (None, mine)
    }

    /// Wakes who waits at this end.
    #[inline(always)]
    fn wake(&self) {
        if self.waits.get() != 0 {
            self.wake_waiting();
        }
    }

    #[inline(never)]
    fn wake_waiting(&self) {
        let id = self.waits.get();
        self.waits.set(0);
        // If it is dead nobody waits.
        let _ = call::wake(EnvId(id));
    }

    /// Takes the lock, if there is anybody to have it besides.
    fn lock(&self) -> bool {
        let shared = self.count.get() > 1;
        if shared {
            self.lock_shared();
        }
        shared
    }

    fn lock_shared(&self) {
        let me = call::self_id();
        loop {
            let holder = self.lock.swap(0, me.0);
            if holder == 0 || holder == me.0 {
                return;
            }
            // The dead need no lock.
            if call::yield_to(EnvId(holder)).is_err() && self.lock.swap(holder, me.0) == holder {
                return;
            }
            if self.lock.get() == holder {
                // It waits itself.
                call::wait(Some(call::clock() + 1));
            }
        }
    }

    fn unlock(&self, locked: bool) {
        if locked {
            self.lock.set(0);
        }
    }
}

impl Ring {
    /// An empty pipe.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            written: Shared::new(0),
            read: Shared::new(0),
            ends: [Holders::new(), Holders::new()],
            bytes: UnsafeCell::new([0; CAPACITY]),
        }
    }

    /// The pipe in the frame that is mapped at `address`.
    ///
    /// # Safety
    /// A frame is mapped there for loads and stores as long as it is used, and used as a pipe only.
    #[must_use]
    pub unsafe fn at(address: u32) -> &'static Self {
        // SAFETY: the caller's; every bit pattern is a pipe.
        unsafe { &*(address as *const Self) }
    }

    /// Makes `id` a holder of an end: this environment, or a child to be, before its parent closes its own.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn open(&self, end: End, id: EnvId) -> Result<(), Error> {
        let holders = &self.ends[end as usize];
        let free = holders.ids.iter().any(|slot| slot.get() == 0 && slot.swap(0, id.0) == 0);
        if !free {
            return Err(Error::Full);
        }
        holders.add(1);
        Ok(())
    }

    /// `id` holds an end no longer. The other end is woken, to see that it was the last one.
    pub fn close(&self, end: End, id: EnvId) {
        self.ends[end as usize].remove(id.0);
        self.ends[1 - end as usize].wake();
    }

    /// Bytes that can be read at once.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    #[inline(always)]
    pub fn readable(&self) -> Result<usize, Error> {
        let used = self.written.get().wrapping_sub(self.read.get()) as usize;
        if used <= CAPACITY { Ok(used) } else { Err(Error::Damaged) }
    }

    /// Bytes that can be written at once.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    #[inline(always)]
    pub fn writable(&self) -> Result<usize, Error> {
        Ok(CAPACITY - self.readable()?)
    }

    /// Whether nobody lives who holds an end.
    #[must_use]
    pub fn is_closed(&self, end: End) -> bool {
        self.ends[end as usize].living(call::self_id()) == (None, false)
    }

    /// Reads at least a byte and at most as many as there is room for, and waits for the first one. 0 if there is no
    /// room, or at the end: nothing is left, and nobody lives who could write.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Busy`] if only this environment could write.
    #[inline(always)]
    pub fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        result(self.read_called(buffer.as_mut_ptr(), buffer.len()))
    }

    /// [`Self::read`], for an application to inline.
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn read_inlined(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        result(self.read_shortly(buffer.as_mut_ptr(), buffer.len()))
    }

    #[inline(never)]
    fn read_called(&self, to: *mut u8, room: usize) -> i32 {
        self.read_shortly(to, room)
    }

    /// The usual case, or the long way: nobody else has the end; at most one yield; words, in one piece.
    #[inline(always)]
    fn read_shortly(&self, to: *mut u8, room: usize) -> i32 {
        let [mine, others] = &self.ends;
        let at = self.read.get();
        let mut used = self.written.get().wrapping_sub(at) as usize;
        if used == 0 {
            // If it was in vain, the long way looks why.
            let _ = call::yield_to(EnvId(others.ids[0].get()));
            used = self.written.get().wrapping_sub(at) as usize;
        }
        let now = used.min(room);
        let offset = at as usize % CAPACITY;
        if mine.count.get() > 1
            || now == 0
            || used > CAPACITY
            || now > CAPACITY - offset
            || !(now | offset | to as usize).is_multiple_of(4)
        {
            return self.read_slowly(to, room);
        }
        // SAFETY: so many bytes are in the ring behind the offset, and there is room for them.
        unsafe { copy_words(self.bytes.get().cast::<u8>().add(offset).cast_const(), to, now) };
        self.read.set(at.wrapping_add(now as u32));
        others.wake();
        now as i32
    }

    #[inline(never)]
    fn read_slowly(&self, to: *mut u8, room: usize) -> i32 {
        let mine = &self.ends[End::Read as usize];
        // SAFETY: it is the buffer of who reads.
        let buffer = unsafe { core::slice::from_raw_parts_mut(to, room) };
        let locked = mine.lock();
        let result = loop {
            match self.try_read(buffer) {
                Err(Error::Busy) => match self.wait_for(End::Write, || self.readable()) {
                    Ok(()) => {}
                    Err(Error::Gone) => break Ok(0),
                    Err(error) => break Err(error),
                },
                result => break result,
            }
        };
        mine.unlock(locked);
        code(result)
    }

    /// As [`Self::read`], but does not wait, and takes no lock.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Busy`] if there is nothing, be it the end.
    pub fn try_read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let bytes = self.readable()?.min(buffer.len());
        if bytes == 0 {
            return if buffer.is_empty() { Ok(0) } else { Err(Error::Busy) };
        }
        let at = self.read.get();
        let (offset, first) = Self::place(at, bytes);
        let (ring, to) = (self.bytes.get().cast::<u8>().cast_const(), buffer.as_mut_ptr());
        // SAFETY: `offset` and `first` are in the ring, and the buffer has `bytes` bytes.
        unsafe {
            copy(ring.add(offset), to, first);
            copy(ring, to.add(first), bytes - first);
        }
        self.read.set(at.wrapping_add(bytes as u32));
        self.ends[End::Write as usize].wake();
        Ok(bytes)
    }

    /// Writes all bytes, and waits for room; how many were written: less only if all readers have gone meanwhile.
    ///
    /// # Errors
    /// [`Error::Gone`] if nobody holds the other end, or, when there is no room, if nobody who does lives;
    /// [`Error::Damaged`]; [`Error::Busy`] if only this environment could read.
    #[inline(always)]
    pub fn write(&self, bytes: &[u8]) -> Result<usize, Error> {
        result(self.write_called(bytes.as_ptr(), bytes.len()))
    }

    /// [`Self::write`], for an application to inline.
    ///
    /// # Errors
    /// As there.
    #[inline(always)]
    pub fn write_inlined(&self, bytes: &[u8]) -> Result<usize, Error> {
        result(self.write_shortly(bytes.as_ptr(), bytes.len()))
    }

    #[inline(never)]
    fn write_called(&self, from: *const u8, bytes: usize) -> i32 {
        self.write_shortly(from, bytes)
    }

    /// The usual case, or the long way: as for reading.
    #[inline(always)]
    fn write_shortly(&self, from: *const u8, bytes: usize) -> i32 {
        let [others, mine] = &self.ends;
        let at = self.written.get();
        let used = at.wrapping_sub(self.read.get()) as usize;
        let offset = at as usize % CAPACITY;
        if mine.count.get() > 1
            || others.count.get() == 0
            || bytes == 0
            || used > CAPACITY
            || bytes > CAPACITY - used
            || bytes > CAPACITY - offset
            || !(bytes | offset | from as usize).is_multiple_of(4)
        {
            return self.write_slowly(from, bytes);
        }
        // SAFETY: the ring has so many bytes behind the offset.
        unsafe { copy_words(from, self.bytes.get().cast::<u8>().add(offset), bytes) };
        self.written.set(at.wrapping_add(bytes as u32));
        others.wake();
        bytes as i32
    }

    #[inline(never)]
    fn write_slowly(&self, from: *const u8, bytes: usize) -> i32 {
        let mine = &self.ends[End::Write as usize];
        // SAFETY: it is what is to be written.
        let bytes = unsafe { core::slice::from_raw_parts(from, bytes) };
        let locked = mine.lock();
        let mut done = 0;
        let result = loop {
            match self.try_write(&bytes[done..]) {
                Ok(now) if done + now == bytes.len() => break Ok(bytes.len()),
                Ok(now) => done += now,
                Err(Error::Busy) => match self.wait_for(End::Read, || self.writable()) {
                    Ok(()) => {}
                    Err(Error::Gone | Error::Busy) if done != 0 => break Ok(done),
                    Err(error) => break Err(error),
                },
                Err(Error::Gone) if done != 0 => break Ok(done),
                Err(error) => break Err(error),
            }
        };
        mine.unlock(locked);
        code(result)
    }

    /// As [`Self::write`], but writes what there is room for, and takes no lock.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Busy`] if there is no room; [`Error::Gone`] if nobody holds the other end.
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize, Error> {
        let now = self.writable()?.min(bytes.len());
        if bytes.is_empty() {
            return Ok(0);
        }
        if self.ends[End::Read as usize].count.get() == 0 {
            return Err(Error::Gone);
        }
        if now == 0 {
            return Err(Error::Busy);
        }
        let at = self.written.get();
        let (offset, first) = Self::place(at, now);
        let (from, ring) = (bytes.as_ptr(), self.bytes.get().cast::<u8>());
        // SAFETY: `offset` and `first` are in the ring, and there are so many bytes.
        unsafe {
            copy(from, ring.add(offset), first);
            copy(from.add(first), ring, now - first);
        }
        self.written.set(at.wrapping_add(now as u32));
        self.ends[End::Read as usize].wake();
        Ok(now)
    }

    /// Where in the ring a byte is, and how many of `bytes` are before the ring's end.
    fn place(at: u32, bytes: usize) -> (usize, usize) {
        let offset = at as usize % CAPACITY;
        (offset, bytes.min(CAPACITY - offset))
    }

    /// Gives the processor to the other end; returns when something has happened, or may have.
    #[inline(never)]
    fn wait_for(&self, other: End, ready: impl Fn() -> Result<usize, Error>) -> Result<(), Error> {
        let [read, write] = &self.ends;
        let (others, mine) = if other == End::Read { (read, write) } else { (write, read) };
        // The usual case: one on each end.
        let first = others.ids[0].get();
        if first != 0 && call::yield_to(EnvId(first)).is_ok() && ready()? != 0 {
            return Ok(());
        }
        let me = call::self_id();
        let (partner, self_too) = others.living(me);
        let Some(partner) = partner else {
            // What the last one did is not lost.
            return if ready()? != 0 {
                Ok(())
            } else if self_too {
                Err(Error::Busy)
            } else {
                Err(Error::Gone)
            };
        };
        mine.waits.set(me.0);
        if ready()? == 0 {
            // A wake from here on ends the wait.
            if partner.0 != first && call::yield_to(partner).is_ok() && ready()? != 0 {
                return Ok(());
            }
            call::wait(Some(call::clock() + PATIENCE));
        }
        Ok(())
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}

/// A result as a word, which a function returns in a register.
fn code(result: Result<usize, Error>) -> i32 {
    match result {
        Ok(bytes) => bytes as i32,
        Err(Error::Gone) => -1,
        Err(Error::Busy) => -2,
        Err(Error::Full) => -3,
        Err(Error::Damaged) => -4,
    }
}

/// And back.
#[inline(always)]
fn result(code: i32) -> Result<usize, Error> {
    match code {
        0.. => Ok(code as usize),
        -1 => Err(Error::Gone),
        -2 => Err(Error::Busy),
        -3 => Err(Error::Full),
        _ => Err(Error::Damaged),
    }
}

/// Copies bytes between a ring and a buffer.
///
/// # Safety
/// So many bytes may be read and written there. One of the two may change meanwhile.
unsafe fn copy(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's. Volatile, because of the other end.
    unsafe {
        if (from as usize | to as usize | bytes).is_multiple_of(4) {
            copy_words(from, to, bytes);
        } else {
            for byte in 0..bytes {
                to.add(byte).write_volatile(from.add(byte).read_volatile());
            }
        }
    }
}

/// As [`copy`], for what is on word boundaries.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn copy_words(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: the caller's.
    unsafe {
        for word in 0..bytes / 4 {
            to.cast::<u32>().add(word).write_volatile(from.cast::<u32>().add(word).read_volatile());
        }
    }
}
