//! Fork: another process that goes on where this one is, with the same memory.
//!
//! Of the stack those pages are copied that are in use: both touch them at once. Data and heap are lent
//! ([`lending`]). Text and what the archive shows are
//! everybody's anyway.

use crate::page_table::{READ, RIGHTS, USED, settled};
use crate::process::image::{Pages, create, destroy};
use crate::process::space::{self, ABSENT, BORROWED, LENT, OWN, STACK_PAGES, STACK_TOP, START, ZERO};
use crate::process::table::{Process, state, world};
use crate::process::{self, Fail, file, home, lending, loaded, me};
use asm_lines::global_asm;
use core::mem::offset_of;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::program::ProgramHeader;
use exos_rt::abi::vm::{PAGE_BYTES, PROTECT_MAX, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::memory::copy_words;
use exos_rt::sequences::FAULT_STACK_WORD;
use exos_rt::{call, program};

/// Makes a process that goes on where this one does: there the result is `None`, here its number.
///
/// # Errors
/// [`Fail::Full`], [`Fail::NoMemory`].
#[unsafe(link_section = ".text.process_life")]
pub fn fork() -> Result<Option<u32>, Fail> {
    // SAFETY: it returns once in each process.
    match unsafe { exos_fork() } {
        0 => {
            program::set_name(me().name.get().bytes());
            Ok(None)
        }
        FULL => Err(Fail::Full),
        NO_MEMORY => Err(Fail::NoMemory),
        pid => Ok(Some(pid.cast_unsigned())),
    }
}

const FULL: i32 = -1;
const NO_MEMORY: i32 = -2;

unsafe extern "C" {
    fn exos_fork() -> i32;
    /// Where the child begins.
    fn exos_fork_child();
}

/// Called by assembly, with the registers that a function preserves in this process's home.
extern "C" fn fork_here() -> i32 {
    match make() {
        Ok(pid) => pid.cast_signed(),
        Err(Fail::NoMemory) => NO_MEMORY,
        Err(_) => FULL,
    }
}

fn make() -> Result<u32, Fail> {
    lending::settle()?;
    lending::reclaim();
    let place = world().claim(home().me.get()).map_err(|_| Fail::Full)?;
    let child = &world().processes[place];
    let place = place as u32 + 1;
    let me = me();
    child.name.set(me.name.get());
    child.parent.set(home().me.get());
    child.job.set(me.job.get());
    child.kill_entry.set(me.kill_entry.get());
    child.caught.set(me.caught.get());
    // SAFETY: both headers are not changed while this runs, the child's being new and another.
    unsafe { copy_words(child.header.get().cast(), me.header.get().cast(), size_of::<ProgramHeader>() / 4) };
    child.sibling.set(me.child.get());
    me.child.set(place);
    match fill(child, place) {
        Ok(()) => {
            for (from, to) in me.descriptors.iter().zip(&child.descriptors).filter(|(from, _)| from.get() != 0) {
                file::share(from.get(), to);
            }
            child.state.set(state::RUNNING);
            process::give_slice(child);
            Ok(child.pid.get())
        }
        Err(error) => {
            me.child.set(child.sibling.get());
            child.state.set(state::FREE);
            Err(error)
        }
    }
}

/// Makes the child's environment.
fn fill(child: &Process, place: u32) -> Result<(), Fail> {
    let (env, control) = create()?;
    child.env.set(env.0);
    child.control.set(control);
    let filled = fill_memory(child, place, env, control).and_then(|()| {
        // SAFETY: the environment is another, the header its own.
        unsafe { call::env_setup(env, control, &*child.header.get(), exos_fork_child as *const () as u32) }
    });
    filled.map_err(|error| {
        destroy(env, control);
        error.into()
    })
}

fn fill_memory(child: &Process, place: u32, env: EnvId, control: Capability) -> Result<(), Error> {
    let mut pages = Pages::open(env)?;
    // SAFETY: the pinned page is at least as large; what changes meanwhile is nothing that the child needs.
    unsafe { copy_words(pages.words(), space::PINNED as *const u32, space::statics_words()) };
    let copied = pages.home();
    copied.me.set(place);
    copied.lending.set(0);
    copied.retired.set(0);
    copied.before.set(0);
    copied.resident.set(0);
    pages.begin_table()?;
    let stack = home().registers.get()[9];
    let mut newly_lent = false;
    for page in 0..home().heap_end.get().div_ceil(PAGE_BYTES) - START / PAGE_BYTES {
        let entry = space::entry(page);
        let is_away = space::is(entry, ABSENT) && entry & entry_lo::FRAME != 0;
        if entry & OWN == 0 && !is_away {
            if entry != 0 {
                pages.set(page, entry)?;
            }
        } else if !is_away && lending::lend(page)? {
            newly_lent |= !space::is(entry, LENT);
            // From here on it counts.
            child.lender.set(call::self_id().0);
            pages.set(page, entry & (entry_lo::FRAME | RIGHTS) | BORROWED)?;
        } else {
            copy(&mut pages, page, 0)?;
        }
    }
    if newly_lent {
        let (mut from, end) = (START, home().heap_end.get());
        while from < end {
            let count = (end - from).div_ceil(PAGE_BYTES).min(PROTECT_MAX);
            call::tlb_protect(entry_lo::VALID, from, count)?;
            from += count * PAGE_BYTES;
        }
    }
    if child.lender.get() != 0 {
        lending::show(env, control)?;
    }
    let top = space::number(STACK_TOP);
    let used = space::number(stack).max(top - STACK_PAGES);
    for page in top - STACK_PAGES..used {
        pages.set(page, ZERO)?;
    }
    for page in used..top {
        copy(&mut pages, page, if page == used { stack % PAGE_BYTES } else { 0 })?;
    }
    let mut text = home().text.get();
    if home().loaded.get() != 0 {
        // It is this process's, and gone with it.
        text[1] = loaded::copy_text(env, text)?;
        copied.text.set(text);
    }
    pages.finish(control, text)
}

/// Gives the child a copy of a page, from an offset in it on.
fn copy(pages: &mut Pages, page: u32, offset: u32) -> Result<(), Error> {
    let entry = space::entry(page);
    let to = pages.new_page(page, entry)?;
    let offset = offset as usize & !3;
    let from = (START + page * PAGE_BYTES) as *const u8;
    let hidden = entry & READ == 0;
    if hidden {
        // SAFETY: it is this function that reads it, and nobody else runs.
        unsafe { space::set(page, settled(entry | READ | USED)) };
    }
    // SAFETY: both are pages; what is copied does not change meanwhile, being of functions that wait for this one.
    unsafe { copy_words(to.add(offset).cast(), from.add(offset).cast(), (PAGE_BYTES as usize - offset) / 4) };
    if hidden {
        space::protect(START + page * PAGE_BYTES, 1, entry & RIGHTS).map_err(|_| Error::BadArgument)?;
    }
    Ok(())
}

global_asm!(
    ".section .text.process_fork, \"ax\", @progbits",
    ".set noreorder",
    ".set noat",
    ".globl exos_fork",
    ".type exos_fork, @function",
    "exos_fork:",
    "    lui   $t0, {home} >> 16",
    "    .set place, 0",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30,31",
    "    sw    $\\n, {registers} + 4*place($t0)",
    "    .set place, place + 1",
    "    .endr",
    "    j     {fork_here}",
    "     nop",
    ".size exos_fork, . - exos_fork",
    // The child's first instruction: every register is 0.
    ".globl exos_fork_child",
    ".type exos_fork_child, @function",
    "exos_fork_child:",
    "    lui   $sp, {fault_top} >> 16",
    "    jal   {adopt}",
    "     ori  $sp, $sp, {fault_top} & 0xffff",
    "    lui   $t0, {home} >> 16",
    "    lui   $t1, {fault_top} >> 16",
    "    ori   $t1, $t1, {fault_top} & 0xffff",
    "    sw    $t1, {fault_stack}($zero)",
    "    .set place, 0",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30,31",
    "    lw    $\\n, {registers} + 4*place($t0)",
    "    .set place, place + 1",
    "    .endr",
    "    move  $v0, $zero",
    "    jr    $ra",
    "     nop",
    ".size exos_fork_child, . - exos_fork_child",
    "    .balign 16",
    ".text",
    home = const space::PINNED,
    registers = const offset_of!(process::Home, registers),
    fault_top = const space::FAULT_STACKS[0],
    adopt = sym space::adopt,
    fault_stack = const FAULT_STACK_WORD,
    fork_here = sym fork_here,
);

const _: () = assert!(OWN & (ZERO | BORROWED) == 0 && space::PINNED & 0xffff == 0);
