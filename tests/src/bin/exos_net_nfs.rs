//! A real server of NFS, which nobody here has written: a tree of files is copied from it and back to it, and what it has in
//! the end this host compares; files are made, changed, named anew and removed, and what is refused is told.
//@ network: user
//@ server: nfs
//@ timeout: 120
//@ expect: exos_net_nfs: 52 files, 3 directories
//@ expect: exos_net_nfs: made, changed and removed

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../stack.rs"]
mod stack;

use exos_net::nfs::Server;
use exos_net::{Ipv4Address, Limits, Memory, Stack};
use exos_nfs::client::{Kind, NAME_MAX, Ports};
use exos_nfs::rpc::Identity;
use exos_nfs::{Attributes, Cache, Client, Entry, Fail, Files, Open, Policy, Slot};
use exos_policy::paging::Lru;
use exos_rt::{println, program};
use heapless::String;
use stack::in_seconds;

/// Ticks after which a call has failed.
const PATIENCE: u32 = 64 * 20;
const IDENTITY: Identity = Identity { machine: "exos", user: 0, group: 0 };

/// Attributes are believed for three seconds.
struct Seconds(Lru);

impl Policy for Seconds {
    type Replacement = Lru;

    fn believes(&self, _: &Attributes, ticks: u32) -> bool {
        ticks < 3 * 64
    }

    fn replacement(&mut self) -> &mut Lru {
        &mut self.0
    }
}

type Mounted<'c, 's> = Client<'c, Server<'s>, Seconds>;

/// Blocks of the cache.
const BLOCKS: usize = 8;
static SLOTS: Memory<{ (BLOCKS + 1) * size_of::<Slot>() }> = Memory::new();
type Path = String<128>;

/// What has much on the stack is not put into `main`, where it would be there for longer.
fn main() {
    let mut stack = stack::without_address(Limits::default());
    ask_host(&mut stack);
    let mut arguments = program::arguments();
    let address: Ipv4Address = arguments.next().unwrap().parse().unwrap();
    let mut port = || arguments.next().unwrap().parse().unwrap();
    let ports = Ports { nfs: port(), mount: port() };
    let slots = SLOTS.claim().take(BLOCKS, || Slot::EMPTY).unwrap();
    refused(&mut stack, address, ports);
    mounted(&mut stack, address, ports, slots);
    assert_eq!(stack.binding.refused(), 0);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}

#[inline(never)]
fn ask_host(stack: &mut Stack) {
    stack.ask_host(Some(in_seconds(20))).unwrap();
}

/// A path that the server does not give out.
#[inline(never)]
fn refused(stack: &mut Stack, address: Ipv4Address, ports: Ports) {
    let server = Server::new(stack, address, PATIENCE).unwrap();
    let cache = Cache::new(Seconds(Lru::new()), &mut []);
    let fail = Client::mount(server, cache, IDENTITY, ports, "/etc").map(drop).unwrap_err();
    assert!(matches!(fail, Fail::NotFound | Fail::Denied), "{fail}");
}

#[inline(never)]
fn mounted(stack: &mut Stack, address: Ipv4Address, ports: Ports, slots: &mut [Slot]) {
    let server = Server::new(stack, address, PATIENCE).unwrap();
    let cache = Cache::new(Seconds(Lru::new()), slots);
    let mut client = Client::mount(server, cache, IDENTITY, ports, "/exo").unwrap();
    let mut counts = [0; 2];
    let [mut from, mut to] = ["given", "copied"].map(|path| Path::try_from(path).unwrap());
    copy(&mut client, &mut from, &mut to, &mut counts);
    println!("exos_net_nfs: {} files, {} directories", counts[0], counts[1]);
    change(&mut client);
    println!("exos_net_nfs: made, changed and removed");
    let (server, result) = client.unmount("/exo");
    assert_eq!(result, Ok(()));
    server.close();
}

/// Copies a directory with all that is in it, one name after the other: there is room on the stack for little.
fn copy(client: &mut Mounted, from: &mut Path, to: &mut Path, counts: &mut [u32; 2]) {
    make_directory(client, to);
    let mut number = 0;
    while enter(client, [from, to], number) {
        if is_directory(client, from) {
            counts[1] += 1;
            copy(client, from, to, counts);
        } else {
            counts[0] += 1;
            copy_file(client, from, to);
        }
        [&mut *from, &mut *to].into_iter().for_each(|path| path.truncate(path.rfind('/').unwrap()));
        number += 1;
    }
}

#[inline(never)]
fn make_directory(client: &mut Mounted, path: &str) {
    client.make_directory(path, 0o755).unwrap();
}

#[inline(never)]
fn is_directory(client: &mut Mounted, path: &str) -> bool {
    client.walk(path).unwrap().1.kind == Kind::Directory
}

/// Adds the name with that number in the first path's directory to both, if there is one.
#[inline(never)]
fn enter(client: &mut Mounted, paths: [&mut Path; 2], number: u32) -> bool {
    let (directory, attributes) = client.walk(paths[0]).unwrap();
    assert_eq!(attributes.kind, Kind::Directory);
    let mut name: Option<String<64>> = None;
    let mut at = 0;
    let each = |entry: Entry| {
        if at == number {
            name = core::str::from_utf8(entry.name).ok().and_then(|name| String::try_from(name).ok());
        }
        at += 1;
    };
    client.read_directory(&directory, each).unwrap();
    if number == at {
        return false;
    }
    let name = name.unwrap();
    for path in paths {
        path.push('/').unwrap();
        path.push_str(&name).unwrap();
    }
    true
}

#[inline(never)]
fn copy_file(client: &mut Mounted, from: &str, to: &str) {
    let mut files = Files::<2>::new();
    let source = files.open(client, from, Open::Read).unwrap();
    let target = files.open(client, to, Open::Create).unwrap();
    let mut piece = [0; 700];
    while let count @ 1.. = files.read(client, source, &mut piece).unwrap() {
        files.write(client, target, &piece[..count]).unwrap();
    }
    assert_eq!(files.attributes(source).unwrap().size, files.attributes(target).unwrap().size);
    [source, target].into_iter().for_each(|file| files.close(file).unwrap());
}

#[inline(never)]
fn change(client: &mut Mounted) {
    client.make_directory("made", 0o700).unwrap();
    let mut files = Files::<2>::new();
    let file = files.open(client, "made/a", Open::Create).unwrap();
    files.write(client, file, &[7; 3000]).unwrap();
    files.seek(file, 1000).unwrap();
    files.write(client, file, b"here").unwrap();
    files.seek(file, 998).unwrap();
    let mut piece = [0; 8];
    assert_eq!(files.read(client, file, &mut piece), Ok(8));
    assert_eq!(&piece, b"\x07\x07here\x07\x07");
    let (handle, attributes) = client.walk("made/a").unwrap();
    assert_eq!((attributes.size, attributes.mode & 0o777, attributes.kind), (3000, 0o644, Kind::File));
    client.set_attributes(&handle, Some(0o600), Some(5)).unwrap();
    let attributes = client.attributes(&handle).unwrap();
    assert_eq!((attributes.size, attributes.mode & 0o777), (5, 0o600));
    files.seek(file, 0).unwrap();
    files.close(file).unwrap();
    client.rename("made/a", "made/b").unwrap();
    let long = core::str::from_utf8(&[b'n'; NAME_MAX + 1]).unwrap();
    assert_eq!(client.walk("made/a").unwrap_err(), Fail::NotFound);
    assert_eq!(client.walk("made/b/c").unwrap_err(), Fail::NotDirectory);
    assert_eq!(client.create(long, 0o644).unwrap_err(), Fail::BadName);
    assert_eq!(client.create(&long[1..], 0o644).map(drop), Ok(()));
    assert_eq!(client.remove(&long[1..]), Ok(()));
    assert_eq!(client.make_directory("made", 0o755).unwrap_err(), Fail::Exists);
    assert_eq!(client.remove_directory("made"), Err(Fail::NotEmpty));
    assert_eq!(client.remove("made/b"), Ok(()));
    assert_eq!(client.remove("made/b"), Err(Fail::NotFound));
    assert_eq!(client.attributes(&handle), Err(Fail::Stale));
    assert_eq!(client.remove_directory("made"), Ok(()));
}
