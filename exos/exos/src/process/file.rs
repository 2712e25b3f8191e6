//! Descriptors: numbers by which a process names open files. Those are in the table of the world, and are shared, with
//! how far they were read or written, by all who inherit them.

use crate::process::table::{Open, Process, kind, world};
use crate::process::{Fail, home, me, pipe, signals, store, terminal};
use exos_rt::archive;
use exos_rt::sequences::window;
use exos_rt::shared::Shared;

/// What a process reads by custom.
pub const INPUT: u32 = 0;
/// What it writes by custom.
pub const OUTPUT: u32 = 1;
/// Where it complains.
pub const ERROR: u32 = 2;

/// The open file of a descriptor, and its place plus one.
fn opened(descriptor: u32) -> Result<(&'static Open, u32), Fail> {
    let place = me().descriptors.get(descriptor as usize).map_or(0, Shared::get);
    let open = world().files.get((place as usize).wrapping_sub(1)).ok_or(Fail::BadDescriptor)?;
    Ok((open, place))
}

/// Takes a free entry of the table of open files; its place plus one.
fn claim(kind: u32, what: u32, bytes: u32) -> Result<u32, Fail> {
    for (place, open) in (1..).zip(&world().files) {
        if open.references.get() == 0 && open.references.swap(0, 1) == 0 {
            open.kind.set(kind);
            open.what.set(what);
            open.bytes.set(bytes);
            open.offset.set(0);
            return Ok(place);
        }
    }
    Err(Fail::Full)
}

/// Makes a descriptor of this process's, the lowest that is free, name an open file.
fn describe(place: u32) -> Result<u32, Fail> {
    for (number, descriptor) in (0..).zip(&me().descriptors) {
        if descriptor.get() == 0 {
            descriptor.set(place);
            return Ok(number);
        }
    }
    release(place);
    Err(Fail::Full)
}

/// One descriptor less names an open file.
#[unsafe(link_section = ".text.process_life")]
fn release(place: u32) {
    let Some(open) = world().files.get((place as usize).wrapping_sub(1)) else { return };
    let (kind, what) = (open.kind.get(), open.what.get());
    if open.references.update(|count| count.saturating_sub(1)) == 1 {
        match kind {
            kind::PIPE_READ => pipe::close(what, true),
            kind::PIPE_WRITE => pipe::close(what, false),
            kind::STORED | kind::APPENDED => store::close(what),
            _ => {}
        }
    }
}

/// Makes a descriptor of another process name the same as a place plus one does.
pub(crate) fn share(place: u32, to: &Shared<u32>) {
    if let Some(open) = world().files.get((place as usize).wrapping_sub(1)) {
        open.references.update(|count| count + 1);
    }
    to.set(place);
}

/// Makes a descriptor of another process name the same as one of this process's.
pub(crate) fn inherit(from: u32, to: &Shared<u32>) -> Result<(), Fail> {
    let (_, place) = opened(from)?;
    share(place, to);
    Ok(())
}

/// Closes all descriptors of a process.
#[unsafe(link_section = ".text.process_life")]
pub(crate) fn close_all(process: &Process, _place: u32) {
    for descriptor in &process.descriptors {
        let place = descriptor.get();
        if place != 0 {
            descriptor.set(0);
            release(place);
        }
    }
}

/// What a file of the boot archive has, without the zero bytes at its end: those fill it up.
#[must_use]
pub fn content(file: &archive::File) -> &'static [u8] {
    let end = file.bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &file.bytes[..end]
}

/// Opens a file by its name, to be read: one of the store, or of the boot archive; or `/dev/null`, or `/dev/console`.
///
/// # Errors
/// [`Fail::NotFound`], [`Fail::Full`].
pub fn open(name: &str) -> Result<u32, Fail> {
    if let Some(device) = device(name) {
        return describe(claim(device, 0, 0)?);
    }
    if let Some(place) = store::open(name) {
        return describe_stored(place, kind::STORED);
    }
    let file = archive::find(name).ok_or(Fail::NotFound)?;
    describe(claim(kind::FILE, file.physical(), content(&file).len() as u32)?)
}

/// Opens a file of the store, to be written, which is made if there is none, and emptied, unless it is to be `appended`
/// to: then all is written at its end, whoever else writes. Or `/dev/null`, or `/dev/console`.
///
/// # Errors
/// [`Fail::ReadOnly`] for a file of the boot archive; [`Fail::TooLong`], [`Fail::Full`].
pub fn create(name: &str, appended: bool) -> Result<u32, Fail> {
    match device(name) {
        Some(device) => describe(claim(device, 0, 0)?),
        None => describe_stored(store::create(name, appended)?, if appended { kind::APPENDED } else { kind::STORED }),
    }
}

/// What is no file, and has a name.
fn device(name: &str) -> Option<u32> {
    match name {
        "/dev/null" => Some(kind::NULL),
        "/dev/console" => Some(kind::TERMINAL),
        _ => None,
    }
}

/// A descriptor of a file of the store that has been opened there.
fn describe_stored(place: u32, kind: u32) -> Result<u32, Fail> {
    describe(claim(kind, place, 0).inspect_err(|_| store::close(place))?)
}

/// Closes a descriptor.
///
/// # Errors
/// [`Fail::BadDescriptor`].
pub fn close(descriptor: u32) -> Result<(), Fail> {
    let (_, place) = opened(descriptor)?;
    me().descriptors[descriptor as usize].set(0);
    release(place);
    Ok(())
}

/// Another descriptor for what one names: the lowest that is free.
///
/// # Errors
/// [`Fail::BadDescriptor`], [`Fail::Full`].
pub fn dup(descriptor: u32) -> Result<u32, Fail> {
    let (open, place) = opened(descriptor)?;
    open.references.update(|count| count + 1);
    describe(place)
}

/// Makes the descriptor `to` name what `from` does; what it named is closed.
///
/// # Errors
/// [`Fail::BadDescriptor`].
pub fn dup2(from: u32, to: u32) -> Result<(), Fail> {
    let (open, place) = opened(from)?;
    let cell = me().descriptors.get(to as usize).ok_or(Fail::BadDescriptor)?;
    if from != to {
        open.references.update(|count| count + 1);
        let old = cell.get();
        cell.set(place);
        release(old);
    }
    Ok(())
}

/// Makes a pipe: the descriptor to read from it, and the one to write to it.
///
/// # Errors
/// [`Fail::Full`].
pub fn pipe() -> Result<(u32, u32), Fail> {
    let pipe = pipe::claim()?;
    let Ok(read) = claim(kind::PIPE_READ, pipe, 0) else {
        pipe::close(pipe, true);
        pipe::close(pipe, false);
        return Err(Fail::Full);
    };
    let Ok(write) = claim(kind::PIPE_WRITE, pipe, 0) else {
        pipe::close(pipe, false);
        release(read);
        return Err(Fail::Full);
    };
    let read = match describe(read) {
        Ok(read) => read,
        Err(error) => {
            release(write);
            return Err(error);
        }
    };
    match describe(write) {
        Ok(write) => Ok((read, write)),
        Err(error) => {
            close(read)?;
            Err(error)
        }
    }
}

/// Reads what is there, at most as much as there is room for; waits while there is nothing. 0 at the end.
///
/// # Errors
/// [`Fail::BadDescriptor`].
pub fn read(descriptor: u32, buffer: &mut [u8]) -> Result<usize, Fail> {
    let (open, _) = opened(descriptor)?;
    signals::deliver();
    match open.kind.get() {
        kind::TERMINAL => terminal::read(buffer),
        kind::STORED => {
            let count = store::read(open.what.get(), open.offset.get(), buffer);
            open.offset.add(count as u32);
            Ok(count)
        }
        kind::FILE => {
            let (size, offset) = (open.bytes.get(), open.offset.get());
            let count = buffer.len().min(size.saturating_sub(offset) as usize);
            let from = window(open.what.get() + offset) as *const u8;
            // SAFETY: the archive is public, and so much of the file is left.
            unsafe { buffer.as_mut_ptr().copy_from_nonoverlapping(from, count) };
            open.offset.set(offset + count as u32);
            Ok(count)
        }
        kind::PIPE_READ => pipe::read(open.what.get(), buffer),
        kind::NULL => Ok(0),
        _ => Err(Fail::BadDescriptor),
    }
}

/// Writes all of `bytes`; waits while there is no room.
///
/// # Errors
/// [`Fail::BadDescriptor`], [`Fail::ReadOnly`], [`Fail::Broken`]; [`Fail::Full`] if a file has no room for all of it.
pub fn write(descriptor: u32, bytes: &[u8]) -> Result<(), Fail> {
    let (open, _) = opened(descriptor)?;
    signals::deliver();
    match open.kind.get() {
        kind::TERMINAL => terminal::write(home(), bytes),
        kind::STORED => store::write(open.what.get(), Some(open.offset.get()), bytes).map(|end| open.offset.set(end)),
        kind::APPENDED => store::write(open.what.get(), None, bytes).map(drop),
        kind::PIPE_WRITE => pipe::write(open.what.get(), bytes),
        kind::NULL => Ok(()),
        kind::FILE => Err(Fail::ReadOnly),
        _ => Err(Fail::BadDescriptor),
    }
}

/// Whether a descriptor names the terminal.
#[must_use]
pub fn is_terminal(descriptor: u32) -> bool {
    opened(descriptor).is_ok_and(|(open, _)| open.kind.get() == kind::TERMINAL)
}
