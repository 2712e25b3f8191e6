//! Visitors of a server of the web: what one asks for, and what it is sent.
//!
//! Each turn a visitor does all that can be done without waiting, and the stack is polled when all have: so the head of an answer
//! and what it has room for go in one message, answers to requests that came together do too, and the last one tells that the
//! connection ends. Files of the boot archive are sent from where they are, and their sums are known ([`Shelf`]). Pieces of
//! [`Remote`] files are for the server to get: a visitor only says what it waits for.

use crate::network::in_ticks;
use exos::process::file::content;
use exos_net::{Fail, Stack, Tcp, memory::Area};
use exos_nfs::client::BLOCK;
use exos_nfs::{Attributes, Handle};
use exos_policy::http::{After, Request, Status, head, whole};
use exos_policy::sums::Summed;
use exos_rt::archive;
use heapless::{String, Vec};

/// The longest request.
pub const REQUEST: usize = 1024;
/// The longest head of an answer.
const HEAD: usize = 160;
/// Files of the archive whose sums are kept, at most.
const FILES: usize = 64;
/// What paths of remote files begin with.
const REMOTE: &str = "nfs";

/// Ticks in a second.
const SECOND: u32 = 64;
/// Ticks for which a visitor may have nothing to ask for, and for which one is waited for that has been told of the end.
const IDLE: u32 = 15 * SECOND;
/// Ticks after which what has come was acknowledged.
const ACKNOWLEDGED: u32 = 1;
/// Ticks that a request may take to come, and that a visitor may take no byte of its answer.
const PATIENCE: u32 = 60 * SECOND;

/// A piece of a file that is not of the archive.
pub type Piece = Vec<u8, BLOCK>;

/// The files of the archive that were asked for, summed up.
pub struct Shelf {
    files: Vec<(&'static str, Summed<'static>), FILES>,
    room: Area,
}

impl Shelf {
    /// One with room for so many sums: there is one for each 64 bytes.
    #[must_use]
    pub const fn new(room: Area) -> Self {
        Self { files: Vec::new(), room }
    }

    /// A file, and its sums, if there is room for them. The first time it takes time for each byte.
    fn find(&mut self, name: &str) -> Option<(&'static [u8], Option<Summed<'static>>)> {
        if let Some((_, file)) = self.files.iter().find(|(known, _)| *known == name) {
            return Some((file.bytes(), Some(*file)));
        }
        let file = archive::find(name)?;
        let bytes = content(&file);
        Some((bytes, self.sum(file.name, bytes)))
    }

    fn sum(&mut self, name: &'static str, bytes: &'static [u8]) -> Option<Summed<'static>> {
        if self.files.is_full() {
            return None;
        }
        let file = Summed::new(bytes, self.room.take(Summed::sums(bytes.len()), || 0)?)?;
        self.files.push((name, file)).ok()?;
        Some(file)
    }
}

/// A file, or a directory, that is not of the archive.
#[derive(Clone, Debug)]
pub struct Remote {
    /// By what its server knows it.
    pub handle: Handle,
    /// What is known of it.
    pub attributes: Attributes,
}

/// What an answer has behind its head.
enum Body {
    /// Nothing.
    Nothing,
    /// A file of the archive, and its sums.
    File(&'static [u8], Option<Summed<'static>>),
    /// The names of the archive's files.
    Names,
    /// What the server gets, piece by piece.
    Remote(Remote),
}

/// What is being sent.
struct Answer {
    head: String<HEAD>,
    /// Bytes of it that were handed over.
    told: usize,
    body: Body,
    /// How long it is, and how much of it was handed over.
    bytes: u64,
    sent: u64,
}

/// What a visitor waits for.
pub enum Wanted<'v> {
    /// The file that a path leads to: [`Visitor::found`], or [`Visitor::refuse`].
    Path(&'v [u8]),
    /// What a file, or the list of a directory, has from a place on: [`Visitor::piece`], or [`Visitor::refuse`].
    Piece(&'v mut Remote, u64),
}

/// A connection.
pub struct Visitor {
    /// Its socket.
    pub tcp: Tcp,
    /// What was read and not answered yet.
    request: Vec<u8, REQUEST>,
    /// What was asked for and is not known yet.
    wish: Option<Request<REQUEST>>,
    answer: Option<Answer>,
    piece: Piece,
    /// Nothing more is answered.
    ends: bool,
    /// It has sent what nobody reads.
    sends_on: bool,
    /// The answer can't be finished.
    broken: bool,
    /// The tick at which it last got on; none before it has come.
    since: Option<u32>,
}

impl Visitor {
    /// The one that a socket waits for.
    #[must_use]
    pub const fn new(tcp: Tcp) -> Self {
        Self {
            tcp,
            request: Vec::new(),
            wish: None,
            answer: None,
            piece: Vec::new(),
            ends: false,
            sends_on: false,
            broken: false,
            since: None,
        }
    }

    /// Whether it has come.
    #[must_use]
    pub const fn is_here(&self) -> bool {
        self.since.is_some()
    }

    /// Waits for the next one, if it has gone.
    ///
    /// # Errors
    /// Those of [`Stack::listen`].
    pub fn welcome(&mut self, stack: &mut Stack, port: u16) -> Result<(), Fail> {
        // What was passed over is acknowledged with the clock's next tick: who is told instead that the connection is no more
        // may lose the answer, too.
        if stack.socket(self.tcp).is_open() || self.sends_on && self.waits() <= ACKNOWLEDGED {
            return Ok(());
        }
        self.request.clear();
        self.piece.clear();
        (self.wish, self.answer, self.since) = (None, None, None);
        (self.ends, self.sends_on, self.broken) = (false, false, false);
        stack.listen(self.tcp, port)?;
        // What is handed over goes in one message, and need not wait for more.
        stack.socket(self.tcp).set_nagle_enabled(false);
        Ok(())
    }

    /// Does all that can be done now: how many requests were answered, which is when all of the answer is on its way. `remote`
    /// tells whether there are remote files.
    pub fn attend(&mut self, stack: &mut Stack, shelf: &mut Shelf, remote: bool) -> u32 {
        if !stack.accepted(self.tcp) {
            return 0;
        }
        self.since.get_or_insert_with(|| in_ticks(0));
        let mut answered = 0;
        loop {
            if self.answer.is_some() {
                match self.send(stack) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(_) => {
                        self.broken = true;
                        break;
                    }
                }
                answered += 1;
                self.answer = None;
                if self.ends {
                    stack.socket(self.tcp).close();
                }
            } else if self.wish.is_some() {
                break;
            } else if self.ends {
                // Whoever goes on sending must not have to wait until somebody reads it.
                let all = |bytes: &mut [u8]| (bytes.len(), bytes.len());
                while let Ok(1..) = stack.socket(self.tcp).recv(all) {
                    (self.sends_on, self.since) = (true, Some(in_ticks(0)));
                }
                break;
            } else if let Some(bytes) = whole(&self.request) {
                self.begin(bytes, stack, shelf, remote);
            } else if self.request.is_full() {
                self.end_with(Status::TooLong);
            } else if !self.read(stack) {
                break;
            }
        }
        self.watch(stack);
        answered
    }

    /// Reads on; whether there was anything.
    fn read(&mut self, stack: &mut Stack) -> bool {
        let socket = stack.socket(self.tcp);
        let is_first = self.request.is_empty();
        let read = socket.recv(|bytes| {
            let count = bytes.len().min(self.request.capacity() - self.request.len());
            // There is room, as was just asked.
            let _ = self.request.extend_from_slice(&bytes[..count]);
            (count, count)
        });
        match read {
            Ok(0) => false,
            Ok(_) => {
                if is_first {
                    self.since = Some(in_ticks(0));
                }
                true
            }
            // It asks for nothing more.
            Err(_) => {
                self.dismiss(stack);
                false
            }
        }
    }

    /// Sees what a request asks for.
    fn begin(&mut self, bytes: usize, stack: &mut Stack, shelf: &mut Shelf, remote: bool) {
        let request = Request::read(&self.request[..bytes]);
        drop_first(&mut self.request, bytes);
        let mut request = match request {
            Ok(request) => request,
            Err(status) => return self.end_with(status),
        };
        if stack.calls_wait() {
            request.after = After::Ends;
        }
        let Request { head_only, ref path, after } = request;
        match core::str::from_utf8(path) {
            Ok("") => self.answer(Status::Good, archive_names(), Body::Names, head_only, after),
            Ok(path) if path.split('/').next() == Some(REMOTE) && remote => self.wish = Some(request),
            Ok(path) => match shelf.find(path) {
                Some((file, sums)) => {
                    self.answer(Status::Good, file.len() as u64, Body::File(file, sums), head_only, after);
                }
                None => self.answer(Status::NotFound, 0, Body::Nothing, head_only, after),
            },
            Err(_) => self.answer(Status::NotFound, 0, Body::Nothing, head_only, after),
        }
    }

    /// Begins to answer.
    fn answer(&mut self, status: Status, bytes: u64, body: Body, head_only: bool, after: After) {
        let mut text = String::new();
        let is_list = matches!(&body, Body::Names) || matches!(&body, Body::Remote(remote) if remote.is_directory());
        // There is room for all heads.
        let _ = head(&mut text, status, bytes, is_list, after);
        self.ends = after == After::Ends;
        let (body, bytes) = if head_only { (Body::Nothing, 0) } else { (body, bytes) };
        self.answer = Some(Answer { head: text, told: 0, body, bytes, sent: 0 });
    }

    /// Answers what can't be understood.
    fn end_with(&mut self, status: Status) {
        self.answer(status, 0, Body::Nothing, false, After::Ends);
    }

    /// Hands over what there is room for: whether that is all.
    fn send(&mut self, stack: &mut Stack) -> Result<bool, Fail> {
        let Some(answer) = &mut self.answer else { return Ok(true) };
        loop {
            let left = answer.bytes - answer.sent;
            if left != 0 && self.piece.is_empty() {
                match answer.body {
                    Body::Names => {
                        list(archive::files().map(|file| file.name.as_bytes()), answer.sent, &mut self.piece)
                    }
                    // The head waits for the first piece, too.
                    Body::Remote(_) => return Ok(false),
                    Body::Nothing | Body::File(..) => {}
                }
            }
            let head = &answer.head.as_bytes()[answer.told..];
            if !head.is_empty() {
                let count = stack.queue(self.tcp, head)?;
                answer.told += count;
                if count < head.len() {
                    return Ok(false);
                }
                if let Body::File(_, Some(file)) = answer.body {
                    stack.queues_file(self.tcp, file);
                }
            }
            if left == 0 {
                self.since = Some(in_ticks(0));
                return Ok(true);
            }
            let count = match answer.body {
                Body::File(file, _) => stack.queue(self.tcp, &file[answer.sent as usize..])?,
                _ => {
                    let count = stack.queue(self.tcp, &self.piece)?;
                    drop_first(&mut self.piece, count);
                    count
                }
            };
            if count == 0 {
                return Ok(false);
            }
            answer.sent += count as u64;
            self.since = Some(in_ticks(0));
        }
    }

    /// Ends what takes too long.
    fn watch(&mut self, stack: &mut Stack) {
        let patience = if self.is_busy() { PATIENCE } else { IDLE };
        if self.broken || self.waits() > patience && (self.ends || self.is_busy()) {
            stack.abort(self.tcp);
        } else if self.waits() > patience {
            self.dismiss(stack);
        }
    }

    /// Whether something is asked for, and not wholly answered.
    fn is_busy(&self) -> bool {
        self.answer.is_some() || self.wish.is_some() || !self.request.is_empty() && !self.ends
    }

    /// For how many ticks it has been told that the connection ends, if it has.
    #[must_use]
    pub fn is_leaving_for(&self) -> Option<u32> {
        (self.ends && self.answer.is_none()).then(|| self.waits())
    }

    /// For how many ticks it has asked for nothing, if it may ask for something.
    #[must_use]
    pub fn is_idle_for(&self) -> Option<u32> {
        (self.is_here() && !self.is_busy() && !self.ends).then(|| self.waits())
    }

    /// Ends the connection of one that asks for nothing.
    pub fn dismiss(&mut self, stack: &mut Stack) {
        stack.socket(self.tcp).close();
        (self.ends, self.since) = (true, Some(in_ticks(0)));
    }

    /// Ticks since it last got on.
    fn waits(&self) -> u32 {
        self.since.map_or(0, |since| in_ticks(0).wrapping_sub(since) & 0x7fff_ffff)
    }

    // --- What is not of the archive. ---

    /// What it waits for, if it waits for the server.
    pub fn wanted(&mut self) -> Option<Wanted<'_>> {
        if let Some(wish) = &self.wish {
            let path = &wish.path[REMOTE.len()..];
            return Some(Wanted::Path(path));
        }
        let answer = self.answer.as_mut()?;
        match &mut answer.body {
            Body::Remote(remote) if answer.sent < answer.bytes && self.piece.is_empty() && !self.broken => {
                Some(Wanted::Piece(remote, answer.sent))
            }
            _ => None,
        }
    }

    /// What it asks for is this, of so many bytes.
    pub fn found(&mut self, remote: Remote, bytes: u64) {
        if let Some(Request { head_only, after, .. }) = self.wish.take() {
            self.answer(Status::Good, bytes, Body::Remote(remote), head_only, after);
        }
    }

    /// The piece that it waits for; if there is none, it was promised too much.
    pub fn piece(&mut self, piece: &[u8]) {
        let left = self.answer.as_ref().map_or(0, |answer| answer.bytes - answer.sent);
        let bytes = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.broken |= bytes == 0 || self.piece.extend_from_slice(&piece[..bytes]).is_err();
    }

    /// What it waits for is not to be had.
    pub fn refuse(&mut self, status: Status) {
        match self.wish.take() {
            Some(Request { head_only, after, .. }) => self.answer(status, 0, Body::Nothing, head_only, after),
            // There is no way to tell it any more.
            None => self.broken = true,
        }
    }
}

impl Remote {
    /// Whether it is a directory, of which a list is sent.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.attributes.kind == exos_nfs::Kind::Directory
    }
}

/// How long a list of the archive's names is.
fn archive_names() -> u64 {
    archive::files().map(|file| line(file.name.as_bytes())).sum()
}

/// Bytes of a name in a list.
#[must_use]
pub const fn line(name: &[u8]) -> u64 {
    name.len() as u64 + 1
}

/// Adds what a list of names has from a place on to a piece, as far as there is room.
fn list<'n>(names: impl Iterator<Item = &'n [u8]>, from: u64, piece: &mut Piece) {
    let mut before = 0;
    names.for_each(|name| list_one(name, &mut before, from, piece));
}

/// The same for one name, with so many bytes of the list before it.
pub fn list_one(name: &[u8], before: &mut u64, from: u64, piece: &mut Piece) {
    for &byte in name.iter().chain(b"\n") {
        if *before >= from {
            // What has no room is in the next piece.
            let _ = piece.push(byte);
        }
        *before += 1;
    }
}

/// Drops so many bytes at the beginning.
fn drop_first<const BYTES: usize>(bytes: &mut Vec<u8, BYTES>, count: usize) {
    bytes.copy_within(count.., 0);
    bytes.truncate(bytes.len() - count);
}
