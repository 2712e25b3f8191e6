//! Calls of procedures of a server, and their answers (RFC 5531).

use crate::Fail;
use crate::xdr::{Malformed, Reader, Writer};

/// A program and its version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Program {
    pub(crate) number: u32,
    pub(crate) version: u32,
}

/// Who knows at which ports programs are.
pub const PORT_MAPPER: Program = Program { number: 100_000, version: 2 };
/// Who says which file a directory's name is.
pub const MOUNT: Program = Program { number: 100_005, version: 3 };
/// Files.
pub const NFS: Program = Program { number: 100_003, version: 3 };

/// For whom a call is: what the server is told, and believes or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity<'a> {
    /// The machine's name.
    pub machine: &'a str,
    /// The user's number.
    pub user: u32,
    /// The group's.
    pub group: u32,
}

/// Kinds of messages.
const CALL: u32 = 0;
const ANSWER: u32 = 1;
/// The version of the messages.
const VERSION: u32 = 2;
/// Kinds of proofs of who one is: none; what a UNIX says; a short form of that, which the server has chosen.
const NONE: u32 = 0;
const UNIX: u32 = 1;
const SHORT: u32 = 2;
/// The longest proof.
const PROOF_MAX: usize = 400;
/// The most bytes of a machine's name.
const MACHINE_MAX: usize = 255;

/// Begins a call: its arguments follow.
#[must_use]
pub fn call<'a>(
    message: &'a mut [u8],
    number: u32,
    Program { number: program, version }: Program,
    procedure: u32,
    identity: &Identity,
) -> Writer<'a> {
    let mut writer = Writer::new(message);
    [number, CALL, VERSION, program, version, procedure, UNIX].into_iter().for_each(|word| writer.word(word));
    let machine = &identity.machine.as_bytes()[..identity.machine.len().min(MACHINE_MAX)];
    // The time when this was made, the name, two numbers, and no further groups.
    writer.word(4 * 5 + machine.len().next_multiple_of(4) as u32);
    writer.word(0);
    writer.opaque(machine);
    [identity.user, identity.group, 0, NONE, 0].into_iter().for_each(|word| writer.word(word));
    writer
}

/// What a message says to the call with that number: nothing if it is no answer to it; else its result follows.
#[must_use]
pub fn answer(message: &[u8], number: u32) -> Option<Result<Reader<'_>, Fail>> {
    let mut reader = Reader::new(message);
    let (of, kind) = (reader.word().ok()?, reader.word().ok()?);
    ((of, kind) == (number, ANSWER)).then(|| accepted(reader))
}

fn accepted(mut reader: Reader) -> Result<Reader, Fail> {
    if reader.word()? != 0 {
        return Err(Fail::Refused);
    }
    // What the server proves itself with is nothing, or what may be shown it instead of who one is, and is not.
    let proof = reader.word()?;
    reader.opaque(PROOF_MAX)?;
    if ![NONE, SHORT].contains(&proof) {
        return Err(Malformed.into());
    }
    match reader.word()? {
        0 => Ok(reader),
        1..=3 => Err(Fail::Refused),
        // The arguments are not understood, or the server has trouble of its own.
        status @ 4..=5 => Err(Fail::Server(status)),
        _ => Err(Malformed.into()),
    }
}
