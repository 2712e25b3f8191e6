//! Files of a server of NFS: `nfs ls [PATH]`, `cat PATH…`, `put PATH`, `cp FROM TO`, `mv FROM TO`, `rm PATH…`,
//! `mkdir PATH…`, `rmdir PATH…`. `put` writes its input, `cp` copies directories with all that is in them.
//!
//! And what serves `nfs:PATH` to processes ([`exos::process::scheme`]): `nfs read PATH`, `write PATH`, `append PATH`.
//!
//! The variable `NFS` says which directory of which server paths begin in ([`exos_apps::remote`]).

#![no_std]
#![no_main]

use exos::process::{arguments, file, scheme};
use exos::{complain, println};
use exos_apps::network::{in_ticks, open};
use exos_apps::remote::{Directory, IDENTITY, Seconds};
use exos_net::nfs::Server;
use exos_net::{Limits, Memory};
use exos_nfs::client::{Kind, NAME_MAX, PATH_MAX};
use exos_nfs::{Attributes, Cache, Client, Descriptor, Fail, Files, Open, Slot};
use exos_policy::paging::Lru;
use heapless::{String, Vec};

exos::process!(main);

/// Ticks in a second.
const SECOND: u32 = 64;
/// Ticks after which the server seems not to be there.
const PATIENCE: u32 = 20 * SECOND;
/// Blocks that are kept.
const BLOCKS: usize = 16;
/// Who may what in directories that are made.
const MODE: u32 = 0o755;
/// Bytes that are copied at once.
const PIECE: usize = 2048;
/// Directories below each other that are copied.
const DEPTH: usize = 16;

static SLOTS: Memory<{ (BLOCKS + 1) * size_of::<Slot>() }> = Memory::new();

type Mounted<'c, 's> = Client<'c, Server<'s>, Seconds>;
type Path = String<PATH_MAX>;
type Open2 = Files<2>;

fn main() -> u32 {
    let Some(Directory { host, path, ports }) = Directory::named() else {
        complain!("which server? NFS=HOST:/PATH[,PORT,MOUNTPORT] says it");
        return 2;
    };
    let stack = open(Limits::default()).and_then(|mut stack| {
        let address = stack.resolve(host, in_ticks(10 * SECOND))?;
        Ok((stack, address))
    });
    let (mut stack, address) = match stack {
        Ok(found) => found,
        Err(fail) => {
            complain!("{fail}");
            return 1;
        }
    };
    let result = Server::new(&mut stack, address, PATIENCE).map_err(Fail::from).and_then(|server| {
        let slots = SLOTS.claim().take(BLOCKS, || Slot::EMPTY).unwrap_or_default();
        let mut client = Client::mount(server, Cache::new(Seconds(Lru::new()), slots), IDENTITY, ports, path)?;
        let status = perform(&mut client);
        let (server, result) = client.unmount(path);
        server.close();
        result.map(|()| status)
    });
    stack.end();
    result.unwrap_or_else(|fail| {
        complain!("{path}: {fail}");
        1
    })
}

/// Does what the arguments say; the exit status.
fn perform(client: &mut Mounted) -> u32 {
    let what = arguments().nth(1).unwrap_or("");
    let paths = || arguments().skip(2);
    let mut status = 0;
    let mut told = |path: &str, result: Result<(), Fail>| {
        if let Err(fail) = result {
            complain!("{path}: {fail}");
            status = 1;
        }
    };
    match (what, paths().count()) {
        ("ls", 0) => told("", list(client, "")),
        ("ls", _) => paths().for_each(|path| told(path, list(client, path))),
        ("cat", 1..) => paths().for_each(|path| told(path, read(client, path))),
        ("read", 1) => paths().for_each(|path| told(path, serve_reader(client, path))),
        ("write", 1) => paths().for_each(|path| told(path, serve_writer(client, path, false))),
        ("append", 1) => paths().for_each(|path| told(path, serve_writer(client, path, true))),
        ("put", 1) => paths().for_each(|path| told(path, write(client, path))),
        ("cp" | "mv", 2) => {
            let [from, to] = [2, 3].map(|at| arguments().nth(at).unwrap_or_default());
            told(from, if what == "mv" { client.rename(from, to) } else { copy(client, from, to) });
        }
        ("rm", 1..) => paths().for_each(|path| told(path, client.remove(path))),
        ("mkdir", 1..) => paths().for_each(|path| told(path, client.make_directory(path, MODE).map(drop))),
        ("rmdir", 1..) => paths().for_each(|path| told(path, client.remove_directory(path))),
        _ => {
            complain!("ls [PATH], cat PATH, put PATH, cp FROM TO, mv FROM TO, rm PATH, mkdir PATH, rmdir PATH?");
            status = 2;
        }
    }
    status
}

fn list(client: &mut Mounted, path: &str) -> Result<(), Fail> {
    let (handle, attributes) = client.walk(path)?;
    if attributes.kind != Kind::Directory {
        println!("{:8} {path}", attributes.size);
        return Ok(());
    }
    client.read_directory(&handle, |entry| println!("{}", text(entry.name)))
}

/// A name as it is shown: other servers' may be no text.
fn text(name: &[u8]) -> &str {
    core::str::from_utf8(name).unwrap_or("?")
}

/// Gives each piece of an open file to a function.
fn each_piece(
    client: &mut Mounted,
    files: &mut Open2,
    from: Descriptor,
    mut with: impl FnMut(&mut Mounted, &mut Open2, &[u8]) -> Result<(), Fail>,
) -> Result<(), Fail> {
    let mut piece = [0; PIECE];
    while let count @ 1.. = files.read(client, from, &mut piece)? {
        with(client, files, &piece[..count])?;
    }
    Ok(())
}

fn read(client: &mut Mounted, path: &str) -> Result<(), Fail> {
    let mut files = Files::new();
    let from = files.open(client, path, Open::Read)?;
    let mut result = Ok(());
    each_piece(client, &mut files, from, |_, _, piece| {
        result = result.and_then(|()| file::write(file::OUTPUT, piece));
        // Nobody reads on: what is left need not be asked for.
        result.map_err(|_| Fail::NoRoom)
    })
    .or_else(|fail| if result.is_err() { Ok(()) } else { Err(fail) })?;
    if let Err(error) = result {
        complain!("{error}");
        return Err(Fail::NoRoom);
    }
    files.close(from)
}

fn write(client: &mut Mounted, path: &str) -> Result<(), Fail> {
    let mut files = Files::new();
    let to = files.open(client, path, Open::Create)?;
    write_input(client, &mut files, to)
}

/// Writes the input to an open file, which is closed then.
fn write_input(client: &mut Mounted, files: &mut Open2, to: Descriptor) -> Result<(), Fail> {
    let mut piece = [0; PIECE];
    loop {
        match file::read(file::INPUT, &mut piece) {
            Ok(0) => return files.close(to),
            Ok(count) => files.write(client, to, &piece[..count])?,
            Err(error) => {
                complain!("{error}");
                return Err(Fail::BadDescriptor);
            }
        }
    }
}

/// Answers who has opened a file: what goes wrong, if the answer tells it, or how many bytes follow. What it does not tell is
/// to be complained of.
fn answer(result: Result<u32, Fail>) -> Result<(), Fail> {
    use exos::process::Fail as Told;
    let told = result.map_err(|fail| match fail {
        Fail::NotFound | Fail::NotDirectory => Told::NotFound,
        Fail::Denied => Told::Denied,
        Fail::IsDirectory => Told::Directory,
        Fail::ReadOnly => Told::ReadOnly,
        _ => Told::Failed,
    });
    // Who does not wait for it any more need not know.
    let _ = scheme::answer(told);
    result.map_or_else(|fail| if told == Err(Told::Failed) { Err(fail) } else { Ok(()) }, |_| Ok(()))
}

/// Gives a file to who has opened it to be read.
fn serve_reader(client: &mut Mounted, path: &str) -> Result<(), Fail> {
    let mut files = Open2::new();
    let opened = files.open(client, path, Open::Read).and_then(|from| {
        let bytes = u32::try_from(files.attributes(from)?.size).map_err(|_| Fail::NoRoom)?;
        Ok((from, bytes))
    });
    answer(opened.map(|(_, bytes)| bytes))?;
    let Ok((from, mut left)) = opened else { return Ok(()) };
    let mut piece = [0; PIECE];
    while left != 0 {
        let wanted = PIECE.min(left as usize);
        let count = files.read(client, from, &mut piece[..wanted])?;
        // If it has become shorter, who reads it finds that out; and who reads no more has what it wants.
        if count == 0 || file::write(file::OUTPUT, &piece[..count]).is_err() {
            break;
        }
        left -= count as u32;
    }
    files.close(from)
}

/// Takes a file from who has opened it to be written.
fn serve_writer(client: &mut Mounted, path: &str, appended: bool) -> Result<(), Fail> {
    let mut files = Open2::new();
    let opened = if appended { open_at_end(client, &mut files, path) } else { files.open(client, path, Open::Create) };
    answer(opened.map(|_| 0))?;
    let Ok(to) = opened else { return Ok(()) };
    let written = write_input(client, &mut files, to);
    answer(written.map(|()| 0))
}

/// Opens a file at its end, which is made if there is none.
fn open_at_end(client: &mut Mounted, files: &mut Open2, path: &str) -> Result<Descriptor, Fail> {
    let to = match files.open(client, path, Open::Write) {
        Err(Fail::NotFound) => files.open(client, path, Open::Create)?,
        opened => opened?,
    };
    let size = files.attributes(to)?.size;
    files.seek(to, size)?;
    Ok(to)
}

/// Copies a file, or a directory with all that is in it.
fn copy(client: &mut Mounted, from: &str, to: &str) -> Result<(), Fail> {
    let whole = |path: &str| Path::try_from(path).map_err(|_| Fail::NoRoom);
    let (mut from, mut to) = (whole(from)?, whole(to)?);
    // How many names of each of the directories are done that lead to where it is.
    let mut done: Vec<usize, DEPTH> = Vec::new();
    enter(client, &from, &to, &mut done)?;
    while let Some(number) = done.last_mut() {
        let wanted = core::mem::replace(number, *number + 1);
        match entry(client, &from, wanted)? {
            Some(name) => {
                for path in [&mut from, &mut to] {
                    path.push('/').and_then(|()| path.push_str(&name)).map_err(|_| Fail::NoRoom)?;
                }
                let above = done.len();
                enter(client, &from, &to, &mut done)?;
                if done.len() > above {
                    continue;
                }
            }
            None => drop(done.pop()),
        }
        [&mut from, &mut to].into_iter().for_each(|path| path.truncate(path.rfind('/').unwrap_or(0)));
    }
    Ok(())
}

/// Copies a file, but not onto itself, which would be empty then; a directory is made, and is where it goes on.
fn enter(client: &mut Mounted, from: &str, to: &str, done: &mut Vec<usize, DEPTH>) -> Result<(), Fail> {
    let (_, found) = client.walk(from)?;
    if found.kind == Kind::Directory {
        client.make_directory(to, MODE)?;
        return done.push(0).map_err(|_| Fail::NoRoom);
    }
    let same = |there: &Attributes| (there.system, there.number) == (found.system, found.number);
    if client.walk(to).is_ok_and(|(_, there)| same(&there)) {
        return Err(Fail::Exists);
    }
    let mut files = Files::new();
    let from = files.open(client, from, Open::Read)?;
    let to = files.open(client, to, Open::Create)?;
    each_piece(client, &mut files, from, |client, files, piece| files.write(client, to, piece))
}

/// The name with that number in a directory.
fn entry(client: &mut Mounted, directory: &str, number: usize) -> Result<Option<String<NAME_MAX>>, Fail> {
    let (handle, _) = client.walk(directory)?;
    let (mut at, mut name) = (0, None);
    client.read_directory(&handle, |entry| {
        if at == number {
            name = Some(core::str::from_utf8(entry.name).ok().and_then(|name| String::try_from(name).ok()));
        }
        at += 1;
    })?;
    // A name that is no text can't be asked for.
    name.map(|name| name.ok_or(Fail::BadName)).transpose()
}
