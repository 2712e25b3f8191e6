//! Descriptors: numbers by which a process names open files. Those are in the table of the world, and are shared, with
//! how far they were read or written, by all who inherit them.

use crate::process::table::{Open, Process, kind, signal, world};
use crate::process::{self, Fail, home, me, pipe, scheme, signals, store, terminal};
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
pub(crate) fn opened(descriptor: u32) -> Result<(&'static Open, u32), Fail> {
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

/// One descriptor less names an open file, and that is not waited for.
fn release(place: u32) {
    let _ = let_go(&Shared::new(place), false);
}

/// A descriptor names an open file no more. If it was the last that did, the file is closed; who is `patient` waits until
/// what was written is where it is served.
#[unsafe(link_section = ".text.process_life")]
fn let_go(descriptor: &Shared<u32>, patient: bool) -> Result<(), Fail> {
    let place = descriptor.get();
    descriptor.set(0);
    let Some(open) = world().files.get((place as usize).wrapping_sub(1)) else { return Ok(()) };
    // The last one has it until it is closed.
    if open.references.update(|count| count - u32::from(count > 1)) != 1 {
        return Ok(());
    }
    let mut result = Ok(());
    let what = open.what.get();
    match open.kind.get() {
        kind::PIPE_READ | kind::SERVED_READ => pipe::close(what, true),
        kind::PIPE_WRITE => pipe::close(what, false),
        kind::SERVED_WRITE => result = finish(open, descriptor, place, patient),
        kind::STORED | kind::APPENDED => store::close(what),
        _ => {}
    }
    open.references.set(0);
    result
}

/// Ends what is written to a file that is served.
#[cold]
#[inline(never)]
fn finish(open: &Open, descriptor: &Shared<u32>, place: u32, patient: bool) -> Result<(), Fail> {
    let (bytes, answers) = (open.what.get(), open.offset.get());
    // Who was killed while it waited has been here before.
    if bytes != Open::NONE {
        open.what.set(Open::NONE);
        pipe::close(bytes, false);
    }
    let mut result = Ok(());
    if patient {
        // Who is killed meanwhile has it still, and closes it without waiting.
        descriptor.set(place);
        result = scheme::hear(answers).map(drop);
        descriptor.set(0);
    }
    pipe::close(answers, true);
    result
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

/// Closes all descriptors of a process, as [`close`] does if this one is `patient`; false if what was written is lost.
#[unsafe(link_section = ".text.process_life")]
pub(crate) fn close_all(process: &Process, patient: bool) -> bool {
    let mut good = true;
    for descriptor in &process.descriptors {
        if descriptor.get() != 0 {
            good &= let_go(descriptor, patient).is_ok();
        }
    }
    good
}

/// What a file of the boot archive has, without the zero bytes at its end: those fill it up.
#[must_use]
pub fn content(file: &archive::File) -> &'static [u8] {
    let end = file.bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    &file.bytes[..end]
}

/// Opens a file by its name, to be read: one of the store, or of the boot archive; `/dev/null`, or `/dev/console`; or
/// `nfs:PATH`, one of another machine's ([`scheme`]).
///
/// # Errors
/// [`Fail::NotFound`], [`Fail::Full`]; of another machine's also [`Fail::Directory`], [`Fail::Denied`], [`Fail::Unserved`],
/// [`Fail::Failed`], and those of [`spawn`](crate::process::spawn()).
pub fn open(name: &str) -> Result<u32, Fail> {
    if scheme::of(name).is_none() {
        return open_with(name, &[]);
    }
    process::with_variables(|variables| open_with(name, variables))
}

/// As [`open`], with other variables than this process's for who serves the file.
///
/// # Errors
/// As for [`open`].
pub fn open_with(name: &str, variables: &[&str]) -> Result<u32, Fail> {
    if let Some(name) = scheme::of(name) {
        return scheme::open(name, variables);
    }
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
/// to: then all is written at its end, whoever else writes. Or `/dev/null`, or `/dev/console`; or `nfs:PATH`, likewise, but
/// that what others write to it there at the same time may be lost.
///
/// # Errors
/// [`Fail::ReadOnly`] for a file of the boot archive; [`Fail::TooLong`], [`Fail::Full`]; of another machine's as for [`open`].
pub fn create(name: &str, appended: bool) -> Result<u32, Fail> {
    if scheme::of(name).is_none() {
        return create_with(name, appended, &[]);
    }
    process::with_variables(|variables| create_with(name, appended, variables))
}

/// As [`create`], with other variables than this process's for who serves the file.
///
/// # Errors
/// As for [`create`].
pub fn create_with(name: &str, appended: bool, variables: &[&str]) -> Result<u32, Fail> {
    if let Some(name) = scheme::of(name) {
        return scheme::create(name, appended, variables);
    }
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

/// Closes a descriptor. The last one of a file that is served waits until what was written is there.
///
/// # Errors
/// [`Fail::BadDescriptor`]; what has become of what was written, as for [`create`]. Then it is closed, too.
pub fn close(descriptor: u32) -> Result<(), Fail> {
    opened(descriptor)?;
    let_go(&me().descriptors[descriptor as usize], true)
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

/// Makes the descriptor `to` name what `from` does; what it named is closed, and how that went not told.
///
/// # Errors
/// [`Fail::BadDescriptor`].
pub fn dup2(from: u32, to: u32) -> Result<(), Fail> {
    let (open, place) = opened(from)?;
    let cell = me().descriptors.get(to as usize).ok_or(Fail::BadDescriptor)?;
    if from != to {
        let _ = let_go(cell, true);
        open.references.update(|count| count + 1);
        cell.set(place);
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
/// [`Fail::BadDescriptor`]; [`Fail::Failed`] if a file that is served ends too early.
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
        kind::SERVED_READ => {
            let count = pipe::read(open.what.get(), buffer)?;
            let left = open.bytes.update(|left| left.saturating_sub(count as u32));
            if count == 0 && !buffer.is_empty() && left != 0 { Err(Fail::Failed) } else { Ok(count) }
        }
        kind::NULL => Ok(0),
        _ => Err(Fail::BadDescriptor),
    }
}

/// Writes all of `bytes`; waits while there is no room.
///
/// # Errors
/// [`Fail::BadDescriptor`], [`Fail::ReadOnly`], [`Fail::Broken`]; [`Fail::Full`] if a file has no room for all of it;
/// [`Fail::Failed`] if it is served, and could not be written.
pub fn write(descriptor: u32, bytes: &[u8]) -> Result<(), Fail> {
    let (open, _) = opened(descriptor)?;
    signals::deliver();
    match open.kind.get() {
        kind::TERMINAL => terminal::write(home(), bytes),
        kind::STORED => store::write(open.what.get(), Some(open.offset.get()), bytes).map(|end| open.offset.set(end)),
        kind::APPENDED => store::write(open.what.get(), None, bytes).map(drop),
        kind::PIPE_WRITE => pipe::write(open.what.get(), bytes).inspect_err(|_| {
            signals::send(me(), signal::PIPE);
            signals::deliver();
        }),
        kind::SERVED_WRITE => pipe::write(open.what.get(), bytes).map_err(|_| Fail::Failed),
        kind::NULL => Ok(()),
        kind::FILE | kind::SERVED_READ => Err(Fail::ReadOnly),
        _ => Err(Fail::BadDescriptor),
    }
}

/// Whether a descriptor names the terminal.
#[must_use]
pub fn is_terminal(descriptor: u32) -> bool {
    opened(descriptor).is_ok_and(|(open, _)| open.kind.get() == kind::TERMINAL)
}
