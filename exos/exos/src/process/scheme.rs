//! Files that a program serves: `nfs:PATH` is the file at `PATH` for the program `nfs` of the boot archive.
//!
//! So this library knows nothing of networks or of servers. The program is started with a verb, `read`, `write` or `append`,
//! and the path, and has the variables of who opens. It says on its output how that went, in an [`answer`]; behind it come
//! the file's bytes, just so many as it has said. What is to be written it reads from its input, and when that ends it
//! answers once more: so who closes what was written knows that it is there. What an error of this library's does not tell it
//! complains of.
//!
//! It is nobody's child but `init`'s, and a job of its own: who opens a file does not find it among its children.

use crate::process::file::{self, ERROR};
use crate::process::image::{Spawn, spawn_orphan};
use crate::process::table::kind;
use crate::process::{Fail, pipe};

/// The names before the colon: not every program's, of which some would do something else.
const SCHEMES: [&str; 1] = ["nfs"];

/// Bytes of an answer: the number of an error, or 0, and how many bytes follow.
const ANSWER: usize = 8;

/// The errors that a program can answer with, by number, from 1 on.
const ANSWERS: [Fail; 5] = [Fail::Failed, Fail::NotFound, Fail::Denied, Fail::Directory, Fail::ReadOnly];

/// The scheme of a name, and what follows it.
#[must_use]
pub fn of(name: &str) -> Option<(&'static str, &str)> {
    let (scheme, path) = name.split_once(':')?;
    Some((SCHEMES.into_iter().find(|known| *known == scheme)?, path))
}

/// Answers, as a program that serves a scheme: an error, or how many bytes of a file follow.
///
/// # Errors
/// Those of [`file::write`]: who has asked does not wait any more.
pub fn answer(result: Result<u32, Fail>) -> Result<(), Fail> {
    let number = |fail| ANSWERS.iter().position(|known| *known == fail).unwrap_or(0) + 1;
    let (number, bytes) = result.map_or_else(|fail| (number(fail) as u32, 0), |bytes| (0, bytes));
    let mut answer = [0; ANSWER];
    answer[..4].copy_from_slice(&number.to_le_bytes());
    answer[4..].copy_from_slice(&bytes.to_le_bytes());
    file::write(file::OUTPUT, &answer)
}

/// Waits for an answer that comes through a pipe: an error, or how many bytes follow.
pub(crate) fn hear(pipe: u32) -> Result<u32, Fail> {
    let (mut answer, mut used) = ([0; ANSWER], 0);
    while used < ANSWER {
        match pipe::read(pipe, &mut answer[used..])? {
            // It has ended without a word.
            0 => return Err(Fail::Failed),
            count => used += count,
        }
    }
    let [n0, n1, n2, n3, b0, b1, b2, b3] = answer;
    match u32::from_le_bytes([n0, n1, n2, n3]) {
        0 => Ok(u32::from_le_bytes([b0, b1, b2, b3])),
        number => Err(ANSWERS.get(number as usize - 1).copied().unwrap_or(Fail::Failed)),
    }
}

/// A descriptor that is closed when it is not needed any more.
struct Held(u32);

impl Drop for Held {
    fn drop(&mut self) {
        // It is open.
        let _ = file::close(self.0);
    }
}

impl Held {
    fn pipe() -> Result<(Self, Self), Fail> {
        file::pipe().map(|(read, write)| (Self(read), Self(write)))
    }

    fn keep(self) -> u32 {
        let Self(descriptor) = self;
        core::mem::forget(self);
        descriptor
    }
}

/// Starts the program of a scheme, which reads and writes there.
fn start(
    (scheme, path): (&str, &str),
    verb: &str,
    variables: &[&str],
    input: &Held,
    output: &Held,
) -> Result<(), Fail> {
    // Who has closed that has its complaints nowhere.
    let errors = file::dup(ERROR).or_else(|_| file::open("/dev/null")).map(Held)?;
    let arguments = &[scheme, verb, path];
    let files = [input.0, output.0, errors.0];
    let spawn = Spawn { program: scheme, arguments, variables, files, job: None };
    spawn_orphan(&spawn).map(drop).map_err(|fail| if fail == Fail::NotFound { Fail::Unserved } else { fail })
}

/// Opens a file to be read: a descriptor.
#[cold]
#[inline(never)]
pub(crate) fn open(name: (&str, &str), variables: &[&str]) -> Result<u32, Fail> {
    let (read, write) = Held::pipe()?;
    let nothing = Held(file::open("/dev/null")?);
    start(name, "read", variables, &nothing, &write)?;
    // Only the program has it from now on: its end is that of the pipe.
    drop(write);
    let open = file::opened(read.0)?.0;
    let bytes = hear(open.what.get())?;
    open.bytes.set(bytes);
    open.kind.set(kind::SERVED_READ);
    Ok(read.keep())
}

/// Opens a file to be written, anew or at its end: a descriptor.
#[cold]
#[inline(never)]
pub(crate) fn create(name: (&str, &str), appended: bool, variables: &[&str]) -> Result<u32, Fail> {
    let (read, write) = Held::pipe()?;
    let (answers, answer) = Held::pipe()?;
    start(name, if appended { "append" } else { "write" }, variables, &read, &answer)?;
    drop((read, answer));
    let heard = file::opened(answers.0)?.0;
    hear(heard.what.get())?;
    // Both pipes are one open file.
    let open = file::opened(write.0)?.0;
    open.offset.set(heard.what.get());
    open.kind.set(kind::SERVED_WRITE);
    heard.kind.set(kind::NULL);
    Ok(write.keep())
}
