//! The terminal: the console, shared out among processes.
//!
//! What is typed belongs to one job, the *foreground* job; another's process that reads waits until its job is that.
//! The shell is in the foreground while it reads a command, and sets the job that it waits for.
//!
//! The kernel gives what is typed to `init`, which passes it on by lines: it echoes, and Backspace and Ctrl-U change the
//! line until Enter. Ctrl-C ends the job in the foreground, Ctrl-D is the end of what is read. In the *raw* mode, which
//! the shell asks for, bytes are passed on as they come.

use crate::process::table::{signal, world};
use crate::process::{self, Fail, Home, block, home, me};
use core::cell::UnsafeCell;
use exos_rt::abi::Error;
use exos_rt::call;
use exos_rt::shared::Shared;

/// Bytes of typed text that nobody has read yet.
const BYTES: usize = 1024;
/// Bytes of a line.
const LINE: usize = 512;

/// The terminal.
#[repr(C)]
pub struct Terminal {
    /// The foreground job, 0 if it is anybody's.
    pub job: Shared<u32>,
    /// Whether bytes are passed on as they come.
    pub raw: Shared<u32>,
    /// Whether anything will ever be typed.
    pub connected: Shared<u32>,
    /// How many bytes were read ...
    head: Shared<u32>,
    /// ... and typed.
    tail: Shared<u32>,
    /// How many times the end was typed, and read.
    ends: Shared<u32>,
    /// Place plus one of a process that waits.
    reader: Shared<u32>,
    buffer: UnsafeCell<[u8; BYTES]>,
}

// SAFETY: of the buffer the bytes from `tail` on are only written by `init`, those from `head` on only read by the
// foreground.
unsafe impl Sync for Terminal {}

fn terminal() -> &'static Terminal {
    &world().terminal
}

/// Makes a job the one in the foreground.
pub fn set_foreground(job: u32) {
    terminal().job.set(job);
    wake_reader();
}

/// Has bytes passed on as they come, or by lines.
pub fn set_raw(raw: bool) {
    terminal().raw.set(raw.into());
}

fn wake_reader() {
    if let Some(reader) = world().at(terminal().reader.get()) {
        terminal().reader.set(0);
        reader.wake();
    }
}

/// Reads what was typed.
pub(crate) fn read(to: &mut [u8]) -> Result<usize, Fail> {
    let terminal = terminal();
    loop {
        let job = terminal.job.get();
        if job == 0 || job == me().job.get() {
            let head = terminal.head.get();
            let there = terminal.tail.get().wrapping_sub(head) as usize;
            if there != 0 {
                let count = there.min(to.len());
                for (offset, byte) in to[..count].iter_mut().enumerate() {
                    let at = (head as usize).wrapping_add(offset) % BYTES;
                    // SAFETY: see above.
                    *byte = unsafe { terminal.buffer.get().cast::<u8>().add(at).read_volatile() };
                }
                terminal.head.set(head.wrapping_add(count as u32));
                return Ok(count);
            }
            if terminal.ends.get() != 0 {
                terminal.ends.set(0);
                return Ok(0);
            }
            if terminal.connected.get() == 0 {
                return Ok(0);
            }
        }
        terminal.reader.set(home().me.get());
        block(Some(call::clock() + 16));
    }
}

/// Writes to the console, by pieces that the kernel takes.
pub(crate) fn write(home: &Home, bytes: &[u8]) -> Result<(), Fail> {
    for piece in bytes.chunks(home.line_bytes()) {
        // SAFETY: the buffer is this process's, which has one flow of control.
        let pinned = unsafe {
            let pinned = &mut *home.line.get();
            pinned[..piece.len()].copy_from_slice(piece);
            &pinned[..piece.len()]
        };
        loop {
            match call::console_write(pinned) {
                Ok(()) => break,
                Err(Error::Busy) => process::block(Some(call::clock() + 1)),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// The line that is being typed: `init`'s.
pub(crate) struct Typing {
    line: [u8; LINE],
    used: usize,
}

impl Typing {
    /// An empty one.
    pub const fn new() -> Self {
        Self { line: [0; LINE], used: 0 }
    }

    /// Takes a byte that was typed.
    pub fn take(&mut self, byte: u8) {
        if terminal().raw.get() != 0 {
            // What was begun before is not lost.
            if self.used != 0 {
                self.pass_on();
            }
            put(&[byte]);
            return;
        }
        match byte {
            0x03 => {
                echo(b"^C\n");
                self.used = 0;
                process::kill_job(terminal().job.get(), signal::INT);
            }
            0x04 if self.used == 0 => {
                terminal().ends.set(1);
                wake_reader();
            }
            0x04 => self.pass_on(),
            0x08 | 0x7f if self.used != 0 => {
                self.used -= 1;
                echo(b"\x08 \x08");
            }
            0x15 => {
                while self.used != 0 {
                    self.used -= 1;
                    echo(b"\x08 \x08");
                }
            }
            b'\r' | b'\n' if self.used < LINE => {
                echo(b"\n");
                self.line[self.used] = b'\n';
                self.used += 1;
                self.pass_on();
            }
            b' '..=b'~' | b'\t' if self.used < LINE - 1 => {
                self.line[self.used] = byte;
                self.used += 1;
                echo(&[byte]);
            }
            _ => {}
        }
    }

    fn pass_on(&mut self) {
        put(&self.line[..self.used]);
        self.used = 0;
    }
}

/// Adds to what can be read; what there is no room for is lost.
fn put(bytes: &[u8]) {
    let terminal = terminal();
    for &byte in bytes {
        let tail = terminal.tail.get();
        if tail.wrapping_sub(terminal.head.get()) as usize >= BYTES {
            break;
        }
        // SAFETY: see above.
        unsafe { terminal.buffer.get().cast::<u8>().add(tail as usize % BYTES).write_volatile(byte) };
        terminal.tail.set(tail.wrapping_add(1));
    }
    wake_reader();
}

/// Shows what was typed; if there is no room on the way it is not shown.
fn echo(bytes: &[u8]) {
    let mut pinned = [0; 8];
    let count = bytes.len().min(pinned.len());
    pinned[..count].copy_from_slice(&bytes[..count]);
    let _ = call::console_write(&pinned[..count]);
}
