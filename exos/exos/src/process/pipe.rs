//! Pipes among any number of processes: circular buffers in the memory that all share.
//!
//! Each is locked while bytes are copied. Who finds nothing to read, or no room, leaves its place and blocks; as there is one such word for each
//! side, the last one to block is woken, and all others look again a few ticks later.

use crate::process::lock::Lock;
use crate::process::table::{PIPES, world};
use crate::process::{self, Fail, home};
use core::cell::UnsafeCell;
use exos_rt::call;
use exos_rt::shared::Shared;

/// Bytes that a pipe holds.
pub const BYTES: usize = 1024;

/// A pipe.
#[repr(C)]
pub struct Pipe {
    /// Not 0 if it is in use.
    used: Shared<u32>,
    /// Who copies.
    lock: Lock,
    /// Whether there is somebody who can read: 1 or 0.
    readable: Shared<u32>,
    /// Whether there is somebody who can write: 1 or 0.
    writable: Shared<u32>,
    /// How many bytes were read.
    head: Shared<u32>,
    /// How many were written.
    tail: Shared<u32>,
    /// Place plus one of a process that waits to read, or 0.
    reader: Shared<u32>,
    /// Of one that waits to write.
    writer: Shared<u32>,
    buffer: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: the buffer is only used under the lock.
unsafe impl Sync for Pipe {}

/// Ticks after which who waits looks again.
const PATIENCE: u32 = 4;

/// Takes a free pipe, with both its ends open; its place.
pub(crate) fn claim() -> Result<u32, Fail> {
    for (place, pipe) in (0..).zip(&world().pipes) {
        if pipe.used.get() == 0 && pipe.used.swap(0, 1) == 0 {
            pipe.lock.reset();
            for cell in [&pipe.head, &pipe.tail, &pipe.reader, &pipe.writer] {
                cell.set(0);
            }
            pipe.readable.set(1);
            pipe.writable.set(1);
            return Ok(place);
        }
    }
    Err(Fail::Full)
}

fn at(place: u32) -> &'static Pipe {
    &world().pipes[place as usize % PIPES]
}

/// Closes an end of a pipe that nobody has open any more. It is free when both are.
pub(crate) fn close(place: u32, read_end: bool) {
    let pipe = at(place);
    let (closed, other) = if read_end { (&pipe.readable, &pipe.writable) } else { (&pipe.writable, &pipe.readable) };
    closed.set(0);
    wake(&pipe.reader);
    wake(&pipe.writer);
    if other.get() == 0 {
        pipe.used.set(0);
    }
}

/// Wakes who waits.
fn wake(waiter: &Shared<u32>) {
    let place = waiter.get();
    if let Some(process) = world().at(place) {
        waiter.set(0);
        process.wake();
    }
}

impl Pipe {
    fn locked<R>(&self, copy: impl FnOnce(&mut [u8; BYTES]) -> R) -> R {
        // SAFETY: this process has the lock.
        self.lock.hold(|| copy(unsafe { &mut *self.buffer.get() }))
    }
}

/// Reads what is there.
pub(crate) fn read(place: u32, to: &mut [u8]) -> Result<usize, Fail> {
    let pipe = at(place);
    loop {
        let count = pipe.locked(|buffer| {
            let head = pipe.head.get();
            let count = (pipe.tail.get().wrapping_sub(head) as usize).min(to.len()).min(BYTES);
            let start = head as usize % BYTES;
            let first = count.min(BYTES - start);
            to[..first].copy_from_slice(&buffer[start..start + first]);
            to[first..count].copy_from_slice(&buffer[..count - first]);
            pipe.head.set(head.wrapping_add(count as u32));
            count
        });
        if count != 0 || to.is_empty() {
            wake(&pipe.writer);
            return Ok(count);
        }
        if pipe.writable.get() == 0 && pipe.head.get() == pipe.tail.get() {
            return Ok(0);
        }
        pipe.reader.set(home().me.get());
        if pipe.head.get() == pipe.tail.get() && pipe.writable.get() != 0 {
            process::block(Some(call::clock() + PATIENCE));
        }
    }
}

/// Writes all of it.
pub(crate) fn write(place: u32, mut from: &[u8]) -> Result<(), Fail> {
    let pipe = at(place);
    while !from.is_empty() {
        if pipe.readable.get() == 0 {
            return Err(Fail::Broken);
        }
        let count = pipe.locked(|buffer| {
            let tail = pipe.tail.get();
            let room = BYTES - (tail.wrapping_sub(pipe.head.get()) as usize).min(BYTES);
            let count = from.len().min(room);
            let start = tail as usize % BYTES;
            let first = count.min(BYTES - start);
            buffer[start..start + first].copy_from_slice(&from[..first]);
            buffer[..count - first].copy_from_slice(&from[first..count]);
            pipe.tail.set(tail.wrapping_add(count as u32));
            count
        });
        from = &from[count..];
        wake(&pipe.reader);
        if count == 0 {
            pipe.writer.set(home().me.get());
            let full = pipe.tail.get().wrapping_sub(pipe.head.get()) as usize >= BYTES;
            if full && pipe.readable.get() != 0 {
                process::block(Some(call::clock() + PATIENCE));
            }
        }
    }
    Ok(())
}
