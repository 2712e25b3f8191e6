//! A small server of NFS version 3, with a few files in memory, that tests ask: on the host, and on another machine. It
//! answers a call that is put again as it did the first time, and does it once.

#![allow(dead_code, reason = "not every program needs all of it")]

use exos_nfs::xdr::{Malformed, Reader, Writer};
use heapless::Vec;

/// Files and directories that it has room for.
pub const NODES: usize = 12;
/// Bytes of a file.
pub const FILE_MAX: usize = 40_000;
/// The directory that can be mounted.
pub const EXPORT: &[u8] = b"/export";
/// The longest message.
pub const MESSAGE_MAX: usize = 1472;

/// An answer that was given.
#[derive(Clone, Copy)]
pub struct Kept {
    /// To which call; none if its length is 0.
    number: u32,
    length: usize,
    bytes: [u8; MESSAGE_MAX],
}

impl Kept {
    /// None.
    pub const EMPTY: Self = Self { number: 0, length: 0, bytes: [0; MESSAGE_MAX] };
}

/// What a name leads to.
pub struct Node<'m> {
    directory: bool,
    /// Which one it is in; none if it is gone.
    parent: Option<usize>,
    name: Vec<u8, 64>,
    mode: u32,
    /// Memory for what it has, and how many bytes of that it has.
    memory: &'m mut [u8],
    length: usize,
    /// Which of all changes was the last one here: its time.
    changed: u32,
}

impl<'m> Node<'m> {
    /// None, with memory for a file's bytes.
    pub fn new(memory: &'m mut [u8]) -> Self {
        Self { directory: false, parent: None, name: Vec::new(), mode: 0, memory, length: 0, changed: 0 }
    }

    fn data(&self) -> &[u8] {
        &self.memory[..self.length]
    }

    /// Gives it so many bytes; new ones are zeros.
    fn resize(&mut self, length: usize) -> Result<(), Bad> {
        let (old, room) = (self.length, self.memory.get_mut(..length).ok_or(Bad::Status(NO_SPACE))?);
        room[old.min(length)..].fill(0);
        self.length = length;
        Ok(())
    }
}

/// The server.
pub struct Server<'n, 'm> {
    nodes: &'n mut [Node<'m>],
    changes: u32,
    /// The last ones, and where the next is kept.
    answered: &'n mut [Kept],
    next: usize,
    /// At most so many bytes of a file are read or written at once.
    pub most: usize,
}

/// Numbers of errors.
const NO_ENTRY: u32 = 2;
const DENIED: u32 = 13;
const EXISTS: u32 = 17;
const NOT_DIRECTORY: u32 = 20;
const IS_DIRECTORY: u32 = 21;
const NO_SPACE: u32 = 28;
const NAME_TOO_LONG: u32 = 63;
const NOT_EMPTY: u32 = 66;
const STALE: u32 = 70;

/// Why there is no result: a status, or a call that can't be read.
enum Bad {
    Status(u32),
    Call,
}

impl From<Malformed> for Bad {
    fn from(_: Malformed) -> Self {
        Self::Call
    }
}

impl<'n, 'm> Server<'n, 'm> {
    /// An empty directory: all these nodes, and the answers, are none.
    pub fn new(nodes: &'n mut [Node<'m>], answered: &'n mut [Kept]) -> Self {
        (nodes[0].directory, nodes[0].parent, nodes[0].mode) = (true, Some(0), 0o755);
        Self { nodes, changes: 1, answered, next: 0, most: MESSAGE_MAX }
    }

    /// Answers a call, if it is one; how long the answer is.
    pub fn answer(&mut self, call: &[u8], answer: &mut [u8; MESSAGE_MAX]) -> Option<usize> {
        let mut reader = Reader::new(call);
        let number = reader.word().ok()?;
        if let Some(kept) = self.answered.iter().find(|kept| kept.number == number && kept.length > 0) {
            answer.copy_from_slice(&kept.bytes);
            return Some(kept.length);
        }
        if reader.word() != Ok(0) || reader.word() != Ok(2) {
            return None;
        }
        let (program, version, procedure) = (reader.word().ok()?, reader.word().ok()?, reader.word().ok()?);
        for _ in 0..2 {
            reader.word().ok()?;
            reader.opaque(400).ok()?;
        }
        let mut writer = Writer::new(answer);
        // An answer, accepted, without a proof, and done.
        [number, 1, 0, 0, 0, 0].into_iter().for_each(|word| writer.word(word));
        let result = self.perform((program, version, procedure), reader, &mut writer);
        let length = match result {
            Ok(()) => writer.finish()?.len(),
            Err(bad) => {
                let mut writer = Writer::new(answer);
                let (accepted, status) = match bad {
                    Bad::Status(status) => (0, Some(status)),
                    Bad::Call => (4, None),
                };
                [number, 1, 0, 0, 0, accepted].into_iter().for_each(|word| writer.word(word));
                if let Some(status) = status {
                    writer.word(status);
                    // What it is like: nothing is said of it. As many words as the procedure's failure has.
                    (0..failure(program, procedure)).for_each(|_| writer.word(0));
                }
                writer.finish()?.len()
            }
        };
        let kept = &mut self.answered[self.next];
        (kept.number, kept.length) = (number, length);
        kept.bytes.copy_from_slice(answer);
        self.next = (self.next + 1) % self.answered.len();
        Some(length)
    }

    fn perform(&mut self, what: (u32, u32, u32), mut call: Reader, answer: &mut Writer) -> Result<(), Bad> {
        match what {
            // Ports: whichever asks, it is here.
            (100_000, 2, 3) => answer.word(2049),
            (100_005, 3, 1) => {
                if call.opaque(1024)? != EXPORT {
                    return Err(Bad::Status(DENIED));
                }
                answer.word(0);
                answer.opaque(&handle(0));
                [1, 1].into_iter().for_each(|word| answer.word(word));
            }
            (100_005, 3, 3) => {}
            (100_003, 3, procedure) => self.file(procedure, call, answer)?,
            _ => return Err(Bad::Call),
        }
        Ok(())
    }

    fn file(&mut self, procedure: u32, mut call: Reader, answer: &mut Writer) -> Result<(), Bad> {
        let at = self.node(&mut call)?;
        match procedure {
            1 => {
                answer.word(0);
                self.attributes(at, answer);
            }
            2 => {
                let before = self.nodes[at].changed;
                let (mode, size) = wanted(&mut call)?;
                self.nodes[at].mode = mode.unwrap_or(self.nodes[at].mode);
                if let Some(size) = size {
                    let size = usize::try_from(size).map_err(|_| Bad::Status(NO_SPACE))?;
                    self.nodes[at].resize(size)?;
                }
                self.change(at);
                answer.word(0);
                self.changed(at, before, None, answer);
            }
            3 => {
                let found = match call.opaque(1024)? {
                    b"." => at,
                    b".." => self.nodes[at].parent.unwrap_or(0),
                    name => self.find(at, name)?.ok_or(Bad::Status(NO_ENTRY))?,
                };
                answer.word(0);
                answer.opaque(&handle(found));
                [found, at].into_iter().for_each(|node| self.maybe(node, answer));
            }
            6 => {
                let (from, count) = (call.long()?, call.word()? as usize);
                let data = self.nodes[at].data();
                if self.nodes[at].directory {
                    return Err(Bad::Status(IS_DIRECTORY));
                }
                let from = usize::try_from(from).unwrap_or(data.len()).min(data.len());
                let to = data.len().min(from + count.min(self.most));
                answer.word(0);
                self.maybe(at, answer);
                answer.word((to - from) as u32);
                answer.word((to == data.len()).into());
                answer.opaque(&data[from..to]);
            }
            7 => {
                let (from, _, _) = (call.long()?, call.word()?, call.word()?);
                let bytes = call.opaque(MESSAGE_MAX)?;
                let bytes = &bytes[..bytes.len().min(self.most)];
                let (before, old) = (self.nodes[at].changed, self.nodes[at].length);
                let from = usize::try_from(from).map_err(|_| Bad::Status(NO_SPACE))?;
                let to = from.checked_add(bytes.len()).ok_or(Bad::Status(NO_SPACE))?;
                self.nodes[at].resize(to.max(old))?;
                self.nodes[at].memory[from..to].copy_from_slice(bytes);
                self.change(at);
                answer.word(0);
                self.changed(at, before, Some(old), answer);
                [bytes.len() as u32, 2].into_iter().for_each(|word| answer.word(word));
                answer.long(7);
            }
            8 | 9 => {
                let name = call.opaque(1024)?;
                if procedure == 8 && call.word()? != 0 {
                    return Err(Bad::Call);
                }
                let (mode, size) = wanted(&mut call)?;
                let found = self.find(at, name)?;
                let made = match found {
                    Some(_) if procedure == 9 => return Err(Bad::Status(EXISTS)),
                    Some(found) if self.nodes[found].directory => return Err(Bad::Status(EXISTS)),
                    Some(found) => found,
                    None => {
                        let free = self.nodes.iter().position(|node| node.parent.is_none());
                        let free = free.ok_or(Bad::Status(NO_SPACE))?;
                        let name = Vec::from_slice(name).map_err(|_| Bad::Status(NAME_TOO_LONG))?;
                        let (parent, directory) = (Some(at), procedure == 9);
                        let node = &mut self.nodes[free];
                        (node.parent, node.directory, node.name, node.mode) = (parent, directory, name, 0o644);
                        node.length = 0;
                        self.change(at);
                        free
                    }
                };
                if let Some(0) = size {
                    self.nodes[made].length = 0;
                }
                self.nodes[made].mode = mode.unwrap_or(self.nodes[made].mode);
                self.change(made);
                answer.word(0);
                answer.word(1);
                answer.opaque(&handle(made));
                self.maybe(made, answer);
                [0, 0].into_iter().for_each(|word| answer.word(word));
            }
            12 | 13 => {
                let name = call.opaque(1024)?;
                let found = self.find(at, name)?.ok_or(Bad::Status(NO_ENTRY))?;
                self.may_go(found, procedure == 13)?;
                self.nodes[found].parent = None;
                self.change(at);
                [0, 0, 0].into_iter().for_each(|word| answer.word(word));
            }
            14 => {
                let name = call.opaque(1024)?;
                let found = self.find(at, name)?.ok_or(Bad::Status(NO_ENTRY))?;
                let to = self.node(&mut call)?;
                let name = call.opaque(1024)?;
                if let Some(other) = self.find(to, name)?.filter(|&other| other != found) {
                    self.may_go(other, self.nodes[found].directory)?;
                    self.nodes[other].parent = None;
                }
                let name = Vec::from_slice(name).map_err(|_| Bad::Status(NAME_TOO_LONG))?;
                (self.nodes[found].parent, self.nodes[found].name) = (Some(to), name);
                [at, to].into_iter().for_each(|node| self.change(node));
                [0; 5].into_iter().for_each(|word| answer.word(word));
            }
            16 => {
                let (cookie, _) = (call.long()? as usize, call.fixed(8)?);
                if !self.nodes[at].directory {
                    return Err(Bad::Status(NOT_DIRECTORY));
                }
                answer.word(0);
                self.maybe(at, answer);
                answer.long(9);
                // Two at a time, so that a list has several answers.
                let within = |&(number, node): &(usize, &Node)| number > 0 && node.parent == Some(at);
                let mut rest = self.nodes.iter().enumerate().skip(cookie).filter(within).peekable();
                for _ in 0..2 {
                    let Some((number, node)) = rest.next() else { break };
                    answer.word(1);
                    answer.long(number as u64);
                    answer.opaque(&node.name);
                    answer.long(number as u64 + 1);
                }
                answer.word(0);
                answer.word(rest.peek().is_none().into());
            }
            _ => return Err(Bad::Call),
        }
        Ok(())
    }

    fn node(&self, call: &mut Reader) -> Result<usize, Bad> {
        let number = call.opaque(64)?.first().map_or(NODES, |&number| number.into());
        let is = self.nodes.get(number).is_some_and(|node| node.parent.is_some());
        is.then_some(number).ok_or(Bad::Status(STALE))
    }

    fn find(&self, directory: usize, name: &[u8]) -> Result<Option<usize>, Bad> {
        if !self.nodes[directory].directory {
            return Err(Bad::Status(NOT_DIRECTORY));
        }
        let is = |(number, node): &(usize, &Node)| *number > 0 && node.parent == Some(directory) && node.name == name;
        Ok(self.nodes.iter().enumerate().find(is).map(|(number, _)| number))
    }

    fn may_go(&self, number: usize, as_directory: bool) -> Result<(), Bad> {
        match (self.nodes[number].directory, as_directory) {
            (true, false) => Err(Bad::Status(IS_DIRECTORY)),
            (false, true) => Err(Bad::Status(NOT_DIRECTORY)),
            _ if self.nodes.iter().skip(1).any(|node| node.parent == Some(number)) => Err(Bad::Status(NOT_EMPTY)),
            _ => Ok(()),
        }
    }

    fn change(&mut self, number: usize) {
        self.changes += 1;
        self.nodes[number].changed = self.changes;
    }

    fn attributes(&self, number: usize, answer: &mut Writer) {
        let node = &self.nodes[number];
        [if node.directory { 2 } else { 1 }, node.mode, 1, 0, 0].into_iter().for_each(|word| answer.word(word));
        let size = node.length as u64;
        [size, size, 0, 1, number as u64].into_iter().for_each(|long| answer.long(long));
        [0, 0, node.changed, 0, node.changed, 0].into_iter().for_each(|word| answer.word(word));
    }

    fn maybe(&self, number: usize, answer: &mut Writer) {
        answer.word(1);
        self.attributes(number, answer);
    }

    fn changed(&self, number: usize, before: u32, size: Option<usize>, answer: &mut Writer) {
        match size {
            Some(size) => {
                answer.word(1);
                answer.long(size as u64);
                [before, 0, before, 0].into_iter().for_each(|word| answer.word(word));
            }
            None => answer.word(0),
        }
        self.maybe(number, answer);
    }
}

/// How many words follow a bad status.
fn failure(program: u32, procedure: u32) -> u32 {
    match (program, procedure) {
        (100_003, 2 | 7 | 8 | 9 | 12 | 13) => 2,
        (100_003, 3 | 6 | 16) => 1,
        (100_003, 14) => 4,
        _ => 0,
    }
}

fn handle(number: usize) -> [u8; 4] {
    [number as u8, 1, 2, 3]
}

/// The mode and the size that are asked for.
fn wanted(call: &mut Reader) -> Result<(Option<u32>, Option<u64>), Bad> {
    let mode = if call.bool()? { Some(call.word()?) } else { None };
    for _ in 0..2 {
        if call.bool()? {
            call.word()?;
        }
    }
    let size = if call.bool()? { Some(call.long()?) } else { None };
    call.long()?;
    Ok((mode, size))
}
