//! A mounted directory (RFC 1813): what the server is asked, and what its answers must be like.
//!
//! Each function is one question, or one for each block, but for those of paths. All that is written is on the server's disk
//! when the function is back, so nothing is lost if the server begins anew, which a client does not notice.
//!
//! What has a message or a block on the stack is never put into its caller, where it would be there for longer.

use crate::cache::{Cache, Policy};
use crate::rpc::{self, Identity, MOUNT, NFS, PORT_MAPPER, Program};
use crate::xdr::{Malformed, Reader, Writer};
use crate::{Fail, MESSAGE_MAX, Transport};
use heapless::Vec;

/// Bytes that are read or written at once: with all that stands before them they have room in a datagram that is one message.
pub const BLOCK: usize = 1024;
/// The longest name.
pub const NAME_MAX: usize = 255;
/// The longest path.
pub const PATH_MAX: usize = 1024;
/// The longest handle.
const HANDLE_MAX: usize = 64;
/// The most ways that a server of MOUNT names to prove who one is.
const WAYS_MAX: u32 = 64;
/// The most entries of a directory that are read: a server that lies has no end.
const ENTRIES_MAX: u32 = 1 << 16;
/// The port of who knows ports.
const MAPPER_PORT: u16 = 111;
/// The number of UDP.
const UDP: u32 = 17;
/// What is written is on the disk when the server answers.
const ON_DISK: u32 = 2;

/// Procedures of MOUNT's.
const MOUNT_MOUNT: u32 = 1;
const MOUNT_UNMOUNT: u32 = 3;
/// The one that tells a port.
const GET_PORT: u32 = 3;
/// Procedures of NFS'.
const GET_ATTRIBUTES: u32 = 1;
const SET_ATTRIBUTES: u32 = 2;
const LOOK_UP: u32 = 3;
const READ: u32 = 6;
const WRITE: u32 = 7;
const CREATE: u32 = 8;
const MAKE_DIRECTORY: u32 = 9;
const REMOVE: u32 = 12;
const REMOVE_DIRECTORY: u32 = 13;
const RENAME: u32 = 14;
const READ_DIRECTORY: u32 = 16;

/// By what the server knows a file: bytes that mean something to it alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handle(Vec<u8, HANDLE_MAX>);

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes.
    File,
    /// Names.
    Directory,
    /// A device, a link, a socket: not this library's.
    Other,
}

/// What the server knows of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// What it is.
    pub kind: Kind,
    /// Who may what, as UNIX has it.
    pub mode: u32,
    /// How many names it has.
    pub links: u32,
    /// Whose it is.
    pub user: u32,
    /// And which group's.
    pub group: u32,
    /// Bytes.
    pub size: u64,
    /// The number of the file system.
    pub system: u64,
    /// Its number there.
    pub number: u64,
    /// When it was written to: seconds since 1970, and nanoseconds.
    pub modified: [u32; 2],
    /// When anything of it was changed.
    pub changed: [u32; 2],
}

/// What a directory says of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// Its name: no zeros, no slashes.
    pub name: &'a [u8],
    /// Its number.
    pub number: u64,
}

/// The ports of a server's two programs; 0 where the server is to be asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ports {
    /// NFS'.
    pub nfs: u16,
    /// MOUNT's.
    pub mount: u16,
}

/// What a file was like before it was changed, if the server says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Before {
    size: u64,
    modified: [u32; 2],
    changed: [u32; 2],
}

/// What was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Piece {
    count: usize,
    end: bool,
    attributes: Option<Attributes>,
}

/// A mounted directory.
pub struct Client<'c, T, P> {
    /// How the server is asked.
    pub transport: T,
    cache: Cache<'c, P>,
    identity: Identity<'c>,
    ports: Ports,
    /// The number of the last call.
    number: u32,
    root: Handle,
}

impl<'c, T: Transport, P: Policy> Client<'c, T, P> {
    /// Mounts a directory of a server's.
    ///
    /// # Errors
    /// What the server says: [`Fail::NotFound`], [`Fail::Denied`] and so on; those of [`Transport::ask`], [`Fail::BadAnswer`];
    /// so always below.
    pub fn mount(
        mut transport: T,
        cache: Cache<'c, P>,
        identity: Identity<'c>,
        ports: Ports,
        path: &str,
    ) -> Result<Self, Fail> {
        let number = transport.random();
        let root = Handle(Vec::new());
        let mut client = Self { transport, cache, identity, ports, number, root };
        if ports.mount == 0 {
            client.ports.mount = client.find_port(MOUNT)?;
        }
        if ports.nfs == 0 {
            client.ports.nfs = client.find_port(NFS)?;
        }
        if path.len() > PATH_MAX || path.contains('\0') {
            return Err(Fail::BadName);
        }
        let port = client.ports.mount;
        let arguments = |writer: &mut Writer| writer.opaque(path.as_bytes());
        client.root = client.call(port, MOUNT, MOUNT_MOUNT, arguments, |reader| {
            succeeded(reader)?;
            let handle = handle(reader)?;
            // How it may be asked for whom: as a UNIX does nearly always, or the first question fails.
            for _ in 0..counted(reader, WAYS_MAX)? {
                reader.word()?;
            }
            Ok(handle)
        })?;
        Ok(client)
    }

    /// The server need not remember any more who has mounted what.
    ///
    /// # Errors
    /// As above; the directory is not mounted any more then either.
    pub fn unmount(mut self, path: &str) -> (T, Result<(), Fail>) {
        let port = self.ports.mount;
        let arguments = |writer: &mut Writer| writer.opaque(path.as_bytes());
        let result = self.call(port, MOUNT, MOUNT_UNMOUNT, arguments, |_| Ok(()));
        (self.transport, result)
    }

    /// The directory that is mounted.
    #[must_use]
    pub fn root(&self) -> Handle {
        self.root.clone()
    }

    /// The port of one of the server's programs.
    fn find_port(&mut self, Program { number, version }: Program) -> Result<u16, Fail> {
        let words = [number, version, UDP, 0];
        let arguments = |writer: &mut Writer| words.into_iter().for_each(|word| writer.word(word));
        match self.call(MAPPER_PORT, PORT_MAPPER, GET_PORT, arguments, |reader| Ok(reader.word()?))? {
            0 => Err(Fail::Refused),
            port => u16::try_from(port).map_err(|_| Fail::BadAnswer),
        }
    }

    /// Puts a question and reads its answer to its end.
    fn call<R>(
        &mut self,
        port: u16,
        program: Program,
        procedure: u32,
        mut arguments: impl FnMut(&mut Writer),
        mut result: impl FnMut(&mut Reader) -> Result<R, Fail>,
    ) -> Result<R, Fail> {
        let mut value = None;
        self.exchange(port, program, procedure, &mut arguments, &mut |reader| {
            value = Some(result(reader)?);
            Ok(())
        })?;
        value.ok_or(Fail::BadAnswer)
    }

    /// The same for all questions, so that there is one of it.
    #[inline(never)]
    fn exchange(
        &mut self,
        port: u16,
        program: Program,
        procedure: u32,
        arguments: &mut dyn FnMut(&mut Writer),
        result: &mut dyn FnMut(&mut Reader) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        self.number = self.number.wrapping_add(1);
        let number = self.number;
        let mut message = [0; MESSAGE_MAX];
        let mut writer = rpc::call(&mut message, number, program, procedure, &self.identity);
        arguments(&mut writer);
        let call = writer.finish().ok_or(Fail::BadName)?;
        self.transport.ask(port, call, |message| {
            let mut read = |mut reader: Reader| {
                result(&mut reader)?;
                reader.end()?;
                Ok(())
            };
            Some(rpc::answer(message, number)?.and_then(&mut read))
        })
    }

    /// A procedure of NFS' that can say no.
    fn ask<R>(
        &mut self,
        procedure: u32,
        arguments: impl FnMut(&mut Writer),
        mut result: impl FnMut(&mut Reader) -> Result<R, Fail>,
    ) -> Result<R, Fail> {
        self.call(self.ports.nfs, NFS, procedure, arguments, |reader| {
            succeeded(reader)?;
            result(reader)
        })
    }

    // --- Names. ---

    /// The file with a name in a directory.
    ///
    /// # Errors
    /// As above; [`Fail::BadName`], as everywhere where a name is given.
    pub fn look_up(&mut self, directory: &Handle, name: &str) -> Result<(Handle, Attributes), Fail> {
        let name = checked(name)?;
        let (handle, found) = self.ask(
            LOOK_UP,
            |writer| place(writer, directory, name),
            |reader| {
                let found = (handle(reader)?, maybe_attributes(reader)?);
                maybe_attributes(reader)?;
                Ok(found)
            },
        )?;
        let attributes = found.map_or_else(|| self.attributes(&handle), Ok)?;
        Ok((handle, attributes))
    }

    /// The file that a path leads to, from the mounted directory on.
    ///
    /// # Errors
    /// As above.
    pub fn walk(&mut self, path: &str) -> Result<(Handle, Attributes), Fail> {
        let mut handle = self.root();
        let mut attributes = None;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let (next, found) = self.look_up(&handle, name)?;
            (handle, attributes) = (next, Some(found));
        }
        let attributes = attributes.map_or_else(|| self.attributes(&handle), Ok)?;
        Ok((handle, attributes))
    }

    /// The directory in which a path ends, and its last name.
    fn parent<'p>(&mut self, path: &'p str) -> Result<(Handle, &'p str), Fail> {
        let path = path.trim_end_matches('/');
        let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
        checked(name)?;
        Ok((self.walk(directories)?.0, name))
    }

    /// What the server knows of a file.
    ///
    /// # Errors
    /// As above.
    pub fn attributes(&mut self, file: &Handle) -> Result<Attributes, Fail> {
        self.ask(GET_ATTRIBUTES, |writer| writer.opaque(&file.0), attributes)
    }

    /// Changes what may be changed: who may what, and the size.
    ///
    /// # Errors
    /// As above.
    pub fn set_attributes(&mut self, file: &Handle, mode: Option<u32>, size: Option<u64>) -> Result<(), Fail> {
        let arguments = |writer: &mut Writer| {
            writer.opaque(&file.0);
            wanted(writer, mode, size);
            writer.word(0);
        };
        self.ask(SET_ATTRIBUTES, arguments, |reader| change(reader).map(drop))
    }

    /// Makes a file, or finds it, and makes it empty.
    ///
    /// # Errors
    /// As above.
    pub fn create(&mut self, path: &str, mode: u32) -> Result<(Handle, Attributes), Fail> {
        self.make(CREATE, path, |writer| {
            writer.word(0);
            wanted(writer, Some(mode), Some(0));
        })
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// As above.
    pub fn make_directory(&mut self, path: &str, mode: u32) -> Result<(Handle, Attributes), Fail> {
        self.make(MAKE_DIRECTORY, path, |writer| wanted(writer, Some(mode), None))
    }

    fn make(&mut self, how: u32, path: &str, mut what: impl FnMut(&mut Writer)) -> Result<(Handle, Attributes), Fail> {
        let (directory, name) = self.parent(path)?;
        let arguments = |writer: &mut Writer| {
            place(writer, &directory, name);
            what(writer);
        };
        let made = self.ask(how, arguments, |reader| {
            let handle = if reader.bool()? { Some(handle(reader)?) } else { None };
            let attributes = maybe_attributes(reader)?;
            change(reader)?;
            Ok(handle.zip(attributes))
        })?;
        made.map_or_else(|| self.look_up(&directory, name), Ok)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// As above.
    pub fn remove(&mut self, path: &str) -> Result<(), Fail> {
        self.remove_as(REMOVE, path)
    }

    /// Removes a directory that is empty.
    ///
    /// # Errors
    /// As above.
    pub fn remove_directory(&mut self, path: &str) -> Result<(), Fail> {
        self.remove_as(REMOVE_DIRECTORY, path)
    }

    fn remove_as(&mut self, how: u32, path: &str) -> Result<(), Fail> {
        let (directory, name) = self.parent(path)?;
        self.ask(how, |writer| place(writer, &directory, name), |reader| change(reader).map(drop))
    }

    /// Gives a file another name, which another file may have had.
    ///
    /// # Errors
    /// As above.
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Fail> {
        let ((old, from), (new, to)) = (self.parent(from)?, self.parent(to)?);
        let arguments = |writer: &mut Writer| {
            place(writer, &old, from);
            place(writer, &new, to);
        };
        self.ask(RENAME, arguments, |reader| {
            change(reader)?;
            change(reader).map(drop)
        })
    }

    /// Gives each entry of a directory to a function, but that of itself and of the one above.
    ///
    /// # Errors
    /// As above; [`Fail::BadAnswer`] also for names that no file has, and for a directory without an end.
    #[inline(never)]
    pub fn read_directory(&mut self, directory: &Handle, mut each: impl FnMut(Entry)) -> Result<(), Fail> {
        let (mut cookie, mut verifier) = (0, [0; 8]);
        let mut entries = 0;
        loop {
            let arguments = |writer: &mut Writer| {
                writer.opaque(&directory.0);
                writer.long(cookie);
                writer.fixed(&verifier);
                writer.word(BLOCK as u32);
            };
            // What has been read is given on when all of the answer is found to be good, which is read twice for that.
            let mut list = [0; MESSAGE_MAX];
            let (next, next_verifier, count, end) = self.ask(READ_DIRECTORY, arguments, |reader| {
                maybe_attributes(reader)?;
                let verifier = *reader.fixed(8)?.first_chunk().ok_or(Malformed)?;
                let mut kept = Writer::new(&mut list);
                let (mut last, mut count) = (cookie, 0);
                while reader.bool()? {
                    let (number, name) = (reader.long()?, reader.opaque(NAME_MAX)?);
                    last = reader.long()?;
                    if !is_name(name) {
                        return Err(Fail::BadAnswer);
                    }
                    kept.long(number);
                    kept.opaque(name);
                    count += 1;
                }
                kept.finish().ok_or(Malformed)?;
                Ok((last, verifier, count, reader.bool()?))
            })?;
            entries += count;
            if !end && count == 0 || entries > ENTRIES_MAX {
                return Err(Fail::BadAnswer);
            }
            let mut reader = Reader::new(&list);
            for _ in 0..count {
                let (number, name) = (reader.long()?, reader.opaque(NAME_MAX)?);
                if ![b".".as_slice(), b".."].contains(&name) {
                    each(Entry { name, number });
                }
            }
            if end {
                return Ok(());
            }
            (cookie, verifier) = (next, next_verifier);
        }
    }

    // --- Contents. ---

    /// Reads from a file that has these attributes: at most as much as there is room for, and 0 at its end. What is known of
    /// the file is brought up to date.
    ///
    /// # Errors
    /// As above.
    #[inline(never)]
    pub fn read(&mut self, file: &Handle, known: &mut Attributes, at: u64, buffer: &mut [u8]) -> Result<usize, Fail> {
        let (block, skipped) = (at / BLOCK as u64, (at % BLOCK as u64) as usize);
        if let Some(bytes) = self.cache.find(known, block) {
            return Ok(copied(bytes, skipped, buffer));
        }
        if at >= known.size || buffer.is_empty() {
            return Ok(0);
        }
        let mut bytes = [0; BLOCK];
        let mut length = 0;
        let mut state = None;
        loop {
            // Most servers answer at once with all that there is; some with less than they were asked for.
            let from = block * BLOCK as u64 + length as u64;
            let Piece { count, end, attributes } = self.read_piece(file, from, &mut bytes[length..])?;
            length += count;
            // Parts of different states of the file are no block.
            let same = length == count || attributes == state;
            state = attributes;
            if let Some(attributes) = attributes {
                *known = attributes;
                if same && (end || length == BLOCK) {
                    self.cache.keep(&attributes, block, &bytes[..length]);
                }
            }
            if end || length == BLOCK {
                return Ok(copied(&bytes[..length], skipped, buffer));
            }
        }
    }

    fn read_piece(&mut self, file: &Handle, at: u64, buffer: &mut [u8]) -> Result<Piece, Fail> {
        let wanted = buffer.len();
        let arguments = |writer: &mut Writer| {
            writer.opaque(&file.0);
            writer.long(at);
            writer.word(wanted as u32);
        };
        self.ask(READ, arguments, |reader| {
            let attributes = maybe_attributes(reader)?;
            let (count, end) = (reader.word()? as usize, reader.bool()?);
            let bytes = reader.opaque(wanted)?;
            if bytes.len() != count || count == 0 && !end {
                return Err(Fail::BadAnswer);
            }
            buffer[..count].copy_from_slice(bytes);
            Ok(Piece { count, end, attributes })
        })
    }

    /// Writes all of it to a file that has these attributes. What is known of the file is brought up to date.
    ///
    /// # Errors
    /// As above; some of it may have been written.
    pub fn write(&mut self, file: &Handle, known: &mut Attributes, at: u64, bytes: &[u8]) -> Result<(), Fail> {
        let (mut at, mut rest) = (at, bytes);
        while !rest.is_empty() {
            // To the end of a block, so that what follows is whole ones.
            let room = BLOCK - (at % BLOCK as u64) as usize;
            let piece = &rest[..rest.len().min(room)];
            let arguments = |writer: &mut Writer| {
                writer.opaque(&file.0);
                writer.long(at);
                [piece.len() as u32, ON_DISK].into_iter().for_each(|word| writer.word(word));
                writer.opaque(piece);
            };
            let (count, before, now) = self.ask(WRITE, arguments, |reader| {
                let (before, now) = change(reader)?;
                let (count, how) = (reader.word()? as usize, reader.word()?);
                reader.fixed(8)?;
                let good = (1..=piece.len()).contains(&count) && how == ON_DISK;
                good.then_some((count, before, now)).ok_or(Fail::BadAnswer)
            })?;
            if let Some(now) = now {
                // If nobody else has changed it in the meantime the rest of it is as it was.
                if before == Some(Before::of(known)) {
                    let block = at / BLOCK as u64;
                    self.cache.written(known, &now, block..=block);
                }
                *known = now;
            } else {
                *known = self.attributes(file)?;
            }
            at = at.checked_add(count as u64).ok_or(Fail::Full)?;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Whether attributes are still believed that were learned at a tick.
    #[must_use]
    pub fn believes(&self, attributes: &Attributes, learned: u32) -> bool {
        self.cache.policy.believes(attributes, self.transport.now().wrapping_sub(learned))
    }
}

impl Before {
    fn of(attributes: &Attributes) -> Self {
        Self { size: attributes.size, modified: attributes.modified, changed: attributes.changed }
    }
}

/// Copies what is behind so many bytes, as far as there is room; how much it is.
fn copied(bytes: &[u8], skipped: usize, buffer: &mut [u8]) -> usize {
    let bytes = bytes.get(skipped..).unwrap_or_default();
    let count = bytes.len().min(buffer.len());
    buffer[..count].copy_from_slice(&bytes[..count]);
    count
}

/// Whether bytes can be the name of a file in a directory.
fn is_name(name: &[u8]) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && !name.iter().any(|byte| b"/\0".contains(byte))
}

fn checked(name: &str) -> Result<&str, Fail> {
    if is_name(name.as_bytes()) { Ok(name) } else { Err(Fail::BadName) }
}

// --- What messages are made of. ---

/// A name in a directory.
fn place(writer: &mut Writer, directory: &Handle, name: &str) {
    writer.opaque(&directory.0);
    writer.opaque(name.as_bytes());
}

/// What attributes a file is to have.
fn wanted(writer: &mut Writer, mode: Option<u32>, size: Option<u64>) {
    writer.word(mode.is_some().into());
    mode.into_iter().for_each(|mode| writer.word(mode));
    // Whose it is: as it is.
    (0..2).for_each(|_| writer.word(0));
    writer.word(size.is_some().into());
    size.into_iter().for_each(|size| writer.long(size));
    // When it was read and written: as it is.
    (0..2).for_each(|_| writer.word(0));
}

/// A status: good, or what was bad.
fn succeeded(reader: &mut Reader) -> Result<(), Fail> {
    match reader.word()? {
        0 => Ok(()),
        status => Err(Fail::of_status(status)),
    }
}

/// A number of what follows, which is `most` or less.
fn counted(reader: &mut Reader, most: u32) -> Result<u32, Fail> {
    Ok(Some(reader.word()?).filter(|&count| count <= most).ok_or(Malformed)?)
}

fn handle(reader: &mut Reader) -> Result<Handle, Fail> {
    let bytes = reader.opaque(HANDLE_MAX)?;
    // There is room, as was just asked.
    Vec::from_slice(bytes).map(Handle).map_err(|_| Fail::BadAnswer)
}

fn attributes(reader: &mut Reader) -> Result<Attributes, Fail> {
    let kind = match reader.word()? {
        1 => Kind::File,
        2 => Kind::Directory,
        3..=7 => Kind::Other,
        _ => return Err(Fail::BadAnswer),
    };
    let [mode, links, user, group] = [reader.word()?, reader.word()?, reader.word()?, reader.word()?];
    // What it takes on the disk, and the numbers of a device, are nothing to us.
    let (size, _, _, system, number) = (reader.long()?, reader.long()?, reader.long()?, reader.long()?, reader.long()?);
    let mut time = || Ok::<_, Malformed>([reader.word()?, reader.word()?]);
    let [_, modified, changed] = [time()?, time()?, time()?];
    Ok(Attributes { kind, mode, links, user, group, size, system, number, modified, changed })
}

fn maybe_attributes(reader: &mut Reader) -> Result<Option<Attributes>, Fail> {
    if reader.bool()? { attributes(reader).map(Some) } else { Ok(None) }
}

/// What a file was like before something was done to it, and what it is like now.
fn change(reader: &mut Reader) -> Result<(Option<Before>, Option<Attributes>), Fail> {
    let before = if reader.bool()? {
        let size = reader.long()?;
        let mut time = || Ok::<_, Malformed>([reader.word()?, reader.word()?]);
        Some(Before { size, modified: time()?, changed: time()? })
    } else {
        None
    };
    Ok((before, maybe_attributes(reader)?))
}
