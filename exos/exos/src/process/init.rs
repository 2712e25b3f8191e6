//! `init`: the first process, an ordinary program that the loader has placed.
//!
//! It owns the memory that all processes share, is the parent of those that have lost theirs, passes on what is typed,
//! and lends its slices to processes for which none was left. When the process that it was asked to run has ended it
//! ends all others, and itself: with a world its processes end.

use crate::backing;
use crate::process::image::{Spawn, spawn};
use crate::process::space::{self, PINNED, PINNED_PAGES};
use crate::process::table::{FILES, Name, PROCESSES, Status, WORLD, WORLD_PAGES, kind, signal, state, world};
use crate::process::terminal::Typing;
use crate::process::{self, Fail, ended, forget, give_slice, home, kill, paging::wanted, store};
use exos_rt::abi::frame::Capability;
use exos_rt::abi::vm::{PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error, slice};
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::{memory, public, sequences};

/// Slices that it would have: some, so that a process that has none does not wait long.
const SLICES: [u32; 3] = [16, 32, 48];
/// Ticks after which it looks whether somebody has gone without a word.
const PATIENCE: u32 = 32;

/// Makes a world and runs a program in it, with these arguments and variables, to its end: how it ended. If nobody is
/// `connected` to the console the terminal has nothing to read.
///
/// # Errors
/// Those of [`spawn`]; [`Fail::NoMemory`] if there is none for a world.
pub fn run(program: &str, arguments: &[&str], variables: &[&str], connected: bool) -> Result<Status, Fail> {
    begin()?;
    world().terminal.connected.set(connected.into());
    let first = spawn(&Spawn { program, arguments, variables, files: [0, 1, 2], job: None })?;
    world().terminal.job.set(first);
    let mut typing = Typing::new();
    let mut backing = None;
    let status = loop {
        pass_on(&mut typing);
        if world().wanted.get() == wanted::YES {
            backing = start_backing();
        }
        if let Some(status) = reap(first) {
            break status;
        }
        let wanting = lend();
        call::wait(Some(call::clock() + if wanting { 1 } else { PATIENCE }));
    };
    end_all();
    if let Some((id, control)) = backing {
        let _ = call::env_destroy(id, control);
    }
    Ok(status)
}

/// Makes this program the first process of a new world.
fn begin() -> Result<(), Error> {
    let me = call::self_id();
    for (address, pages) in [(WORLD, WORLD_PAGES), (PINNED, PINNED_PAGES)] {
        let frame = memory::allocate_run(pages, 1)?;
        // SAFETY: nothing else is at these addresses.
        unsafe { call::env_map(me, NO_CAPABILITY, address, frame << PAGE_SHIFT | entry_lo::DIRTY, pages)? };
        if address == WORLD {
            world().entry_lo.set(frame << PAGE_SHIFT | entry_lo::DIRTY);
        }
    }
    let place = world().claim(0)? as u32 + 1;
    home().me.set(place);
    home().heap_start.set(space::START);
    home().heap_end.set(space::START);
    space::begin()?;
    let own = process::me();
    own.env.set(me.0);
    own.job.set(own.pid.get());
    own.name.set(Name::new("init"));
    own.slice.set(public::slices_of(me).next().map_or(0, |position| position + 1));
    sequences::set_fault_stacks(space::FAULT_STACKS);
    space::set_handlers();
    let terminal = &world().files[0];
    terminal.references.set(4);
    terminal.kind.set(kind::TERMINAL);
    own.descriptors.iter().take(3).for_each(|descriptor| descriptor.set(1));
    own.state.set(state::RUNNING);
    store::begin();
    for position in SLICES {
        // Who has it may keep it.
        let _ = call::slice_allocate(position);
    }
    Ok(())
}

/// Starts the environment that keeps what processes page out, in a slice that nobody has; its id, and the right over it.
fn start_backing() -> Option<(EnvId, Capability)> {
    let free = (0..slice::COUNT as u32).find(|&position| public::slice(position).owner == 0);
    let started = free.and_then(|position| backing::start(position).ok());
    world().backing.set(started.map_or(0, |(id, _)| id.0));
    world().wanted.set(if started.is_some() { wanted::NO } else { wanted::FAILED });
    // Whoever has asked looks every tick.
    started
}

/// Passes on what was typed.
fn pass_on(typing: &mut Typing) {
    while let Ok(byte) = call::console_read() {
        typing.take(byte);
    }
}

/// Frees the entries of orphans that have ended; how the process `first` has, if it has.
fn reap(first: u32) -> Option<Status> {
    let mut result = None;
    for process in world().processes.iter().skip(1).filter(|process| process.parent.get() == 1) {
        if let Some(status) = ended(process) {
            if process.pid.get() == first {
                result = Some(status);
            }
            forget(process);
        }
    }
    result
}

/// Gives a slice to each process that has none, or, if none is left, lends it this one; whether there was such a process.
fn lend() -> bool {
    let mut wanting = false;
    for process in &world().processes {
        if process.state.get() == state::RUNNING && process.slice.get() == 0 {
            wanting = true;
            if (0..64).any(|position| public::slice(position).owner == 0) {
                give_slice(process);
            } else {
                let _ = call::yield_to(EnvId(process.env.get()));
            }
        }
    }
    wanting
}

/// Ends all processes: as they should, and, if they do not, without asking.
fn end_all() {
    let others = || world().processes.iter().skip(1).filter(|process| process.state.get() == state::RUNNING);
    for process in others() {
        let _ = kill(process.pid.get(), signal::KILL);
    }
    for _ in 0..PATIENCE {
        lend();
        if others().all(|process| !process.is_alive()) {
            break;
        }
        call::wait(Some(call::clock() + 1));
    }
    for process in others() {
        let _ = call::env_destroy(EnvId(process.env.get()), process.control.get());
    }
    await_the_ended();
}

/// Waits for who has ended, but may still look at the table, which goes with this program: for a moment, or, if others borrow its pages,
/// until they do not.
fn await_the_ended() {
    for _ in 0..2 * PATIENCE {
        let looked = world().outlived.get();
        let looks = looked != 0 && call::clock() < looked + PATIENCE;
        let others = || world().processes.iter().skip(1).filter(|process| process.is_alive());
        // They have nothing in which to end.
        for process in others().filter(|process| process.slice.get() == 0) {
            let _ = call::env_destroy(EnvId(process.env.get()), process.control.get());
        }
        if !looks && others().next().is_none() {
            return;
        }
        call::wait(Some(call::clock() + 1));
    }
}

const _: () = assert!(PROCESSES <= 255 && FILES > 3);
