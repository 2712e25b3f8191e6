//! Serves files by HTTP 1.1: `httpd [PORT [COUNT]]`, port 80 if none is named, and COUNT requests before it ends, if that is named.
//! `/` is a list of the boot archive's files, `/NAME` one of them. If the variable `NFS` names a directory of a server of NFS
//! ([`exos_apps::remote`]), `/nfs/PATH` is a file there, or a list of a directory there.
//!
//! There is one loop. While a server of files is asked for something all visitors but the one that it is for are attended to.

#![no_std]
#![no_main]

use exos_apps::network::{in_ticks, open, status};
use exos_apps::number;
use exos_apps::remote::{Directory, IDENTITY, Seconds};
use exos_apps::web::{Piece, Remote, Shelf, Visitor, Wanted, line, list_one};
use exos_net::nfs::{Owner, Server};
use exos_net::{Fail, Limits, Memory, Stack, Tcp};
use exos_nfs::client::{BLOCK, PATH_MAX};
use exos_nfs::{Attributes, Cache, Client, Fail as NoFile, Handle, Kind, Slot};
use exos_policy::http::Status;
use exos_policy::paging::Lru;
use heapless::Vec;

exos::process!(main);

/// Connections at once.
const VISITORS: usize = 16;
/// Bytes of one for what it sends, and for what it is sent: four segments.
const RECEIVE: usize = 1460;
const SEND: usize = 4 * 1460;
/// Bytes of files of the archive that are summed up, at most; for each 64 there is a sum.
const SUMMED: usize = 4 << 20;
/// Blocks of remote files that are kept.
const BLOCKS: usize = 32;

/// Ticks in a second.
const SECOND: u32 = 64;
/// Ticks after which a server of files seems not to be there.
const SERVER_PATIENCE: u32 = 10 * SECOND;
/// Ticks that connections have to end in.
const END_PATIENCE: u32 = 10 * SECOND;

static VISITORS_MEMORY: Memory<{ (VISITORS + 1) * size_of::<Visitor>() }> = Memory::new();
static SUMS: Memory<{ SUMMED / 32 }> = Memory::new();
static SLOTS: Memory<{ (BLOCKS + 1) * size_of::<Slot>() }> = Memory::new();
/// A path, or a piece of a file, on its way.
static PASSING: Memory<{ size_of::<Passing>() + 8 }> = Memory::new();

/// What is on its way between a visitor and the server of files: too much for a small stack.
struct Passing {
    path: Vec<u8, PATH_MAX>,
    bytes: [u8; BLOCK],
    piece: Piece,
}

/// All but the server of files.
struct House {
    stack: Stack,
    port: u16,
    visitors: &'static mut [Visitor],
    shelf: Shelf,
    /// Whether there is a server of files.
    is_client: bool,
    /// For whom it is being asked.
    asking: Option<usize>,
    /// Who is asked for first.
    turn: usize,
    /// How many requests are still to be answered; none if there is no end.
    left: Option<u32>,
    failed: Option<Fail>,
}

type Mounted<'c, 's, 'h> = Client<'c, &'s mut Server<'h, House>, Seconds>;

fn main() -> u32 {
    status(serve(number(1).map_or(80, |port| port as u16), number(2)))
}

fn serve(port: u16, count: Option<u32>) -> Result<(), Fail> {
    // A filter for each connection, for the port, for who is found, for the server of files, and for questions.
    let limits = Limits { sockets: VISITORS + 2, filters: VISITORS + 7, buffers: 6 };
    let mut stack = open(limits)?;
    let mut sockets: Vec<Tcp, VISITORS> = Vec::new();
    for _ in 0..VISITORS {
        let _ = sockets.push(stack.tcp_with(RECEIVE, SEND)?);
    }
    stack.allow_files()?;
    // They are too large for the stack.
    let new = || Visitor::new(sockets.pop().expect("each has one"));
    let visitors = VISITORS_MEMORY.claim().take(VISITORS, new).ok_or(Fail::NoRoom)?;
    let directory = Directory::named();
    let address = match directory {
        Some(directory) => Some(stack.resolve(directory.host, in_ticks(10 * SECOND))?),
        None => None,
    };
    let shelf = Shelf::new(SUMS.claim());
    let is_client = directory.is_some();
    let mut house = House { stack, port, visitors, shelf, is_client, asking: None, turn: 0, left: count, failed: None };
    for visitor in house.visitors.iter_mut() {
        visitor.welcome(&mut house.stack, port)?;
    }
    match directory.zip(address) {
        Some((directory, address)) => {
            let mut server = Server::new(&mut house, address, SERVER_PATIENCE)?;
            serve_with(&mut server, directory)?;
            server.close();
        }
        None => {
            while !house.is_over() {
                house.turn();
            }
        }
    }
    house.end()
}

impl House {
    /// Whether all that was to be answered is, or it can't go on.
    fn is_over(&self) -> bool {
        self.left == Some(0) || self.failed.is_some()
    }

    /// Does for each visitor what can be done.
    fn round(&mut self) {
        for (number, visitor) in self.visitors.iter_mut().enumerate() {
            if self.asking == Some(number) {
                continue;
            }
            let answered = visitor.attend(&mut self.stack, &mut self.shelf, self.is_client);
            self.left = self.left.map(|left| left.saturating_sub(answered));
            if let Err(fail) = visitor.welcome(&mut self.stack, self.port) {
                self.failed = Some(fail);
            }
        }
        self.make_room();
    }

    /// If somebody calls and all connections are taken, whoever has asked for nothing for longest gives way; one at a time, but if
    /// one does not go it is the next one's turn.
    fn make_room(&mut self) {
        let has_room =
            |visitor: &Visitor| !visitor.is_here() || visitor.is_leaving_for().is_some_and(|ticks| ticks < SECOND);
        if !self.stack.calls_wait() || self.visitors.iter().any(has_room) {
            return;
        }
        let idle = self.visitors.iter_mut().filter_map(|visitor| Some((visitor.is_idle_for()?, visitor)));
        if let Some((SECOND.., visitor)) = idle.max_by_key(|&(ticks, _)| ticks) {
            visitor.dismiss(&mut self.stack);
        }
    }

    /// The same, then sends it, and waits until something comes.
    fn turn(&mut self) {
        self.round();
        if !self.is_over() {
            // Visitors' patience is to be looked at.
            let is_any = self.visitors.iter().any(Visitor::is_here);
            self.stack.step(is_any.then(|| in_ticks(SECOND)));
        }
    }

    /// The next visitor that waits for the server of files.
    fn waiting(&mut self) -> Option<usize> {
        let mut numbers = (self.turn..VISITORS).chain(0..self.turn);
        let number = numbers.find(|&number| self.visitors[number].wanted().is_some())?;
        self.turn = (number + 1) % VISITORS;
        Some(number)
    }

    /// Nobody who waits for the server of files gets anything.
    fn refuse_all(&mut self, status: Status) {
        self.visitors.iter_mut().filter(|visitor| visitor.is_here()).for_each(|visitor| {
            if visitor.wanted().is_some() {
                visitor.refuse(status);
            }
        });
    }

    /// Ends all connections when what was sent is there.
    fn end(self) -> Result<(), Fail> {
        let Self { mut stack, visitors, failed, .. } = self;
        let listens = |stack: &mut Stack, visitor: &Visitor| stack.socket(visitor.tcp).is_listening();
        for visitor in visitors.iter() {
            if !listens(&mut stack, visitor) {
                stack.socket(visitor.tcp).close();
            }
        }
        let all_end = stack.until(Some(in_ticks(END_PATIENCE)), |stack| {
            let ends = |visitor: &Visitor| listens(stack, visitor) || !stack.socket(visitor.tcp).is_open();
            visitors.iter().all(ends).then_some(())
        });
        if all_end.is_err() {
            visitors.iter().for_each(|visitor| stack.abort(visitor.tcp));
        }
        stack.end();
        failed.map_or(Ok(()), Err)
    }
}

impl Owner for House {
    fn stack(&mut self) -> &mut Stack {
        &mut self.stack
    }

    fn meanwhile(&mut self) {
        self.round();
    }
}

/// Serves with a server of files, which is mounted when somebody asks for one of them, and again when it has not answered.
fn serve_with(server: &mut Server<House>, Directory { path, ports, .. }: Directory) -> Result<(), Fail> {
    let slots = SLOTS.claim().take(BLOCKS, || Slot::EMPTY).ok_or(Fail::NoRoom)?;
    let new = || Passing { path: Vec::new(), bytes: [0; BLOCK], piece: Vec::new() };
    let [passing] = PASSING.claim().take(1, new).ok_or(Fail::NoRoom)? else { return Err(Fail::NoRoom) };
    while !server.owner.is_over() {
        if server.owner.waiting().is_none() {
            server.owner.turn();
            continue;
        }
        let cache = Cache::new(Seconds(Lru::new()), slots);
        let result = Client::mount(&mut *server, cache, IDENTITY, ports, path);
        if let Err(fail) = result.and_then(|mut client| provide_all(&mut client, passing)) {
            server.owner.refuse_all(if fail == NoFile::TimedOut { Status::GatewayTimeout } else { Status::BadGateway });
        }
    }
    Ok(())
}

/// Gets what visitors wait for, as long as the server answers.
fn provide_all(client: &mut Mounted, passing: &mut Passing) -> Result<(), NoFile> {
    while !client.transport.owner.is_over() {
        let Some(number) = client.transport.owner.waiting() else {
            client.transport.owner.turn();
            continue;
        };
        client.transport.owner.asking = Some(number);
        let result = provide(client, number, passing);
        let house = &mut *client.transport.owner;
        house.asking = None;
        let status = match result {
            Ok(()) => continue,
            Err(fail @ (NoFile::TimedOut | NoFile::Network)) => return Err(fail),
            Err(NoFile::NotFound | NoFile::NotDirectory | NoFile::BadName | NoFile::Stale) => Status::NotFound,
            Err(NoFile::Denied | NoFile::BadKind) => Status::Forbidden,
            Err(_) => Status::BadGateway,
        };
        house.visitors[number].refuse(status);
    }
    Ok(())
}

/// Gets what a visitor waits for.
fn provide(client: &mut Mounted, number: usize, passing: &mut Passing) -> Result<(), NoFile> {
    match client.transport.owner.visitors[number].wanted() {
        Some(Wanted::Path(path)) => {
            passing.path.clear();
            passing.path.extend_from_slice(path).map_err(|_| NoFile::BadName)?;
            let path = core::str::from_utf8(&passing.path).map_err(|_| NoFile::BadName)?;
            let (handle, attributes) = client.walk(path)?;
            let bytes = length(client, &handle, &attributes)?;
            client.transport.owner.visitors[number].found(Remote { handle, attributes }, bytes);
        }
        Some(Wanted::Piece(remote, from)) => {
            let mut remote = remote.clone();
            if remote.is_directory() {
                passing.piece.clear();
                let mut before = 0;
                client.read_directory(&remote.handle, |entry| {
                    list_one(entry.name, &mut before, from, &mut passing.piece);
                })?;
                client.transport.owner.visitors[number].piece(&passing.piece);
            } else {
                let count = client.read(&remote.handle, &mut remote.attributes, from, &mut passing.bytes)?;
                let visitor = &mut client.transport.owner.visitors[number];
                // What was read is kept for what the file is like now.
                if let Some(Wanted::Piece(known, _)) = visitor.wanted() {
                    known.attributes = remote.attributes;
                }
                visitor.piece(&passing.bytes[..count]);
            }
        }
        None => {}
    }
    Ok(())
}

/// How many bytes a file has, or the list of a directory.
fn length(client: &mut Mounted, handle: &Handle, attributes: &Attributes) -> Result<u64, NoFile> {
    match attributes.kind {
        Kind::File => Ok(attributes.size),
        Kind::Directory => {
            let mut bytes = 0;
            client.read_directory(handle, |entry| bytes += line(entry.name))?;
            Ok(bytes)
        }
        Kind::Other => Err(NoFile::BadKind),
    }
}
