//! What all processes share: the table of processes, open files, pipes, and the terminal.
//!
//! It lies in frames of `init`'s and is mapped in every process at the same address, to read and to write: a parent
//! passes the mapping on to its children. So it is a matter of trust among processes, and nothing that the kernel knows
//! of: a process that means harm can break every other one of this world, but nothing outside of it, and not the
//! kernel. Programs that do not trust each other run in worlds of their own, each with an `init`.
//!
//! All zero is an empty world. Words that several processes change are changed by compare and swap.

use crate::process::pipe::Pipe;
use crate::process::store::Store;
use crate::process::terminal::Terminal;
use core::cell::UnsafeCell;
use core::mem::size_of;
use exos_rt::abi::boot::NAME_BYTES;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::program::ProgramHeader;
use exos_rt::abi::vm::PAGE_BYTES;
use exos_rt::abi::{EnvId, Error};
use exos_rt::shared::Shared;
use exos_rt::{call, environment};

/// Processes that there can be at once, zombies counted.
pub const PROCESSES: usize = 240;
/// Open files that there can be at once.
pub const FILES: usize = 256;
/// Pipes that there can be at once.
pub const PIPES: usize = 64;
/// Descriptors of a process.
pub const DESCRIPTORS: usize = 16;

/// Where it is mapped.
pub const WORLD: u32 = 0x2040_0000;
/// How many pages it has.
pub const WORLD_PAGES: u32 = (size_of::<World>() as u32).div_ceil(PAGE_BYTES);

/// Everything.
#[repr(C)]
pub struct World {
    /// EntryLo of its first page; the others' frames follow.
    pub entry_lo: Shared<u32>,
    /// The environment that keeps what processes page out; 0 if there is none yet.
    pub backing: Shared<u32>,
    /// Whether there is to be one: see [`paging::wanted`](crate::process::paging::wanted).
    pub wanted: Shared<u32>,
    /// When an environment that is no process any more looked at this for the last time; 0 if none did yet.
    pub outlived: Shared<u32>,
    /// The terminal.
    pub terminal: Terminal,
    /// The table of processes. The first is `init`, whose number is 1.
    pub processes: [Process; PROCESSES],
    /// Open files.
    pub files: [Open; FILES],
    /// Pipes.
    pub pipes: [Pipe; PIPES],
    /// Files that can be written to.
    pub store: Store,
}

/// The one that this process is in.
#[must_use]
pub fn world() -> &'static World {
    // SAFETY: whoever calls this is a process, and has it mapped. Its words are cells.
    unsafe { &*(WORLD as *const World) }
}

/// States of a [`Process`].
pub mod state {
    /// Not in use.
    pub const FREE: u32 = 0;
    /// Being made; above these two bits it says by whom ([`new_by`]).
    pub const NEW: u32 = 1;
    /// Alive, or gone without a word if its environment does not live any more.
    pub const RUNNING: u32 = 2;
    /// It has ended, and its parent has not asked for its status yet.
    pub const ZOMBIE: u32 = 3;

    /// The state of what the process at a place plus one makes, so that who ends while it does leaves nothing behind.
    #[must_use]
    pub const fn new_by(place: u32) -> u32 {
        NEW | place << 2
    }

    /// One of these, without more.
    #[must_use]
    pub const fn of(word: u32) -> u32 {
        word & 3
    }
}

/// A process.
#[repr(C)]
pub struct Process {
    /// One of [`state`].
    pub state: Shared<u32>,
    /// Its number: its place in the table, counted from 1, and how often that was used before, times 256.
    pub pid: Shared<u32>,
    /// Place of its parent. Places are kept plus one; 0 is none. Likewise below.
    pub parent: Shared<u32>,
    /// Place of its first child.
    pub child: Shared<u32>,
    /// Place of the next child of its parent's.
    pub sibling: Shared<u32>,
    /// The job that it belongs to: the number of a process.
    pub job: Shared<u32>,
    /// Its environment.
    pub env: Shared<u32>,
    /// The right over it.
    pub control: Shared<Capability>,
    /// How it ended: see [`Status`].
    pub status: Shared<u32>,
    /// If it ended by an exception: where, and about which address.
    pub fault: Shared<[u32; 2]>,
    /// The environment whose frames it borrows until it has copies of its own; 0 for none.
    pub lender: Shared<u32>,
    /// Not 0 if the lender would like to end.
    pub recalled: Shared<u32>,
    /// The position of the slice that was given to it, plus one; 0 if there was none left.
    pub slice: Shared<u32>,
    /// Signals that it handles, a bit each.
    pub caught: Shared<u32>,
    /// Those of them that it is to handle next.
    pub pending: Shared<u32>,
    /// Where it is entered to end itself.
    pub kill_entry: Shared<u32>,
    /// The clock when it began.
    pub began: Shared<u32>,
    /// What it is called.
    pub name: Shared<Name>,
    /// Its open files, by descriptor: places in [`World::files`] plus one.
    pub descriptors: [Shared<u32>; DESCRIPTORS],
    /// Where its environment is entered.
    pub header: UnsafeCell<ProgramHeader>,
}

// SAFETY: the header is written only by who has claimed the entry, before the process runs.
unsafe impl Sync for Process {}

/// What a process is called, with zeros behind it. Words, because it is copied as such.
#[derive(Clone, Copy)]
pub struct Name([u32; NAME_BYTES / 4]);

impl Name {
    /// The first bytes of a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut bytes = [0; NAME_BYTES];
        for (to, from) in bytes.iter_mut().take(NAME_BYTES - 1).zip(name.bytes()) {
            *to = from;
        }
        // SAFETY: any bytes are words. Likewise below.
        Self(unsafe { core::mem::transmute::<[u8; NAME_BYTES], [u32; NAME_BYTES / 4]>(bytes) })
    }

    /// All of it.
    #[must_use]
    pub fn bytes(self) -> [u8; NAME_BYTES] {
        // SAFETY: as above.
        unsafe { core::mem::transmute(self.0) }
    }
}

/// An open file.
#[repr(C)]
pub struct Open {
    /// How many descriptors name it, in all processes; 0 if it is free.
    pub references: Shared<u32>,
    /// One of [`kind`].
    pub kind: Shared<u32>,
    /// A pipe's or a stored file's place, or the physical address of one of the archive. Of a file that is served: the place
    /// of the pipe through which its bytes go; the pipe's end is closed if this is [`NONE`](Self::NONE).
    pub what: Shared<u32>,
    /// A file's bytes; those that are still to come, if it is served.
    pub bytes: Shared<u32>,
    /// Where the next one is read or written. Of a file that is served to be written: the place of the pipe with answers.
    pub offset: Shared<u32>,
}

impl Open {
    /// No pipe.
    pub const NONE: u32 = u32::MAX;
}

/// Kinds of an [`Open`] file.
pub mod kind {
    /// The terminal.
    pub const TERMINAL: u32 = 1;
    /// A file of the boot archive.
    pub const FILE: u32 = 2;
    /// A pipe, to read from.
    pub const PIPE_READ: u32 = 3;
    /// A pipe, to write to.
    pub const PIPE_WRITE: u32 = 4;
    /// Takes everything, has nothing.
    pub const NULL: u32 = 5;
    /// A file of the store.
    pub const STORED: u32 = 6;
    /// One that is only written to, at its end.
    pub const APPENDED: u32 = 7;
    /// A file that a program serves ([`scheme`](crate::process::scheme)), to be read.
    pub const SERVED_READ: u32 = 8;
    /// Likewise, to be written.
    pub const SERVED_WRITE: u32 = 9;
}

/// How a process ended, in a word: a signal's number in bits 8 to 15, or, if that is 0, an exit status in bits 0 to 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status(pub u32);

impl Status {
    /// By a call of `exit`.
    #[must_use]
    pub const fn exit(status: u32) -> Self {
        Self(status & 0xff)
    }

    /// By a signal.
    #[must_use]
    pub const fn signal(signal: u32) -> Self {
        Self(signal << 8)
    }

    /// The exit status, as a shell shows it: 128 and the signal if it was one.
    #[must_use]
    pub const fn code(self) -> u32 {
        if self.0 >> 8 == 0 { self.0 & 0xff } else { 128 + (self.0 >> 8) }
    }

    /// The signal, 0 if it was none.
    #[must_use]
    pub const fn signal_number(self) -> u32 {
        self.0 >> 8
    }
}

/// Numbers of signals, those of POSIX.
pub mod signal {
    /// From the terminal.
    pub const INT: u32 = 2;
    /// A reserved instruction.
    pub const ILL: u32 = 4;
    /// A breakpoint.
    pub const TRAP: u32 = 5;
    /// Overflow.
    pub const FPE: u32 = 8;
    /// Destroyed by another, or by the kernel.
    pub const KILL: u32 = 9;
    /// A misaligned access, or a bus error.
    pub const BUS: u32 = 7;
    /// An access to a page that is not mapped so, a stack that overflows among them.
    pub const SEGV: u32 = 11;
    /// A pipe that nobody reads.
    pub const PIPE: u32 = 13;
    /// Asked to end.
    pub const TERM: u32 = 15;
    /// A child has ended.
    pub const CHLD: u32 = 17;

    /// Those that are sent by hand, by name.
    pub const NAMES: [(&str, u32); 4] = [("INT", INT), ("KILL", KILL), ("TERM", TERM), ("CHLD", CHLD)];

    /// What it is called.
    #[must_use]
    pub const fn text(number: u32) -> &'static str {
        match number {
            INT => "interrupted",
            ILL => "reserved instruction",
            TRAP => "breakpoint",
            FPE => "overflow",
            BUS => "misaligned access or bus error",
            KILL => "killed",
            SEGV => "segmentation fault",
            PIPE => "broken pipe",
            TERM => "terminated",
            _ => "unknown signal",
        }
    }
}

impl Process {
    /// Whether its environment lives.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let env = EnvId(self.env.get());
        // What the kernel shows is enough if it can be entered; the call, which does no harm, tells in any case.
        environment::seems_alive(env) || call::wake(env).is_ok()
    }

    /// Tells it that something has happened.
    pub fn wake(&self) {
        // If it is gone it need not know.
        let _ = call::wake(EnvId(self.env.get()));
    }

    /// Its name.
    pub fn name<R>(&self, with: impl FnOnce(&str) -> R) -> R {
        let name = self.name.get().bytes();
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        with(core::str::from_utf8(&name[..end]).unwrap_or("?"))
    }
}

impl World {
    /// Takes a free entry of the table for the process at a place plus one, which fills it in; its place.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn claim(&self, maker: u32) -> Result<usize, Error> {
        for (place, process) in self.processes.iter().enumerate() {
            if process.state.get() == state::FREE
                && process.state.swap(state::FREE, state::new_by(maker)) == state::FREE
            {
                let used = process.pid.get() >> 8;
                process.pid.set(if process.pid.get() == 0 {
                    place as u32 + 1
                } else {
                    (used + 1) << 8 | (place as u32 + 1)
                });
                for cell in
                    [&process.parent, &process.child, &process.sibling, &process.job, &process.env, &process.status]
                {
                    cell.set(0);
                }
                for cell in [&process.lender, &process.recalled, &process.slice, &process.kill_entry] {
                    cell.set(0);
                }
                process.caught.set(0);
                process.pending.set(0);
                process.fault.set([0; 2]);
                process.began.set(exos_rt::public::ticks());
                return Ok(place);
            }
        }
        Err(Error::Full)
    }

    /// The process with a number, if it is in the table.
    #[must_use]
    pub fn find(&self, pid: u32) -> Option<&Process> {
        let process = self.processes.get((pid as usize & 0xff).wrapping_sub(1))?;
        let there = matches!(process.state.get(), state::RUNNING | state::ZOMBIE);
        Some(process).filter(|process| there && process.pid.get() == pid)
    }

    /// The process at a place plus one.
    #[must_use]
    pub fn at(&self, place: u32) -> Option<&Process> {
        self.processes.get((place as usize).wrapping_sub(1))
    }
}
