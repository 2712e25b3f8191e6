//! Two machines: one has a small server of NFS, the other copies files to it and back, while each twentieth frame is lost, as
//! many come twice, as many late and as many damaged; and is told lies.
//@ network: 2
//@ faults: 13 50000
//@ ignore-machine: gxemul one at a time
//@ ignore-machine: malta one at a time
//@ timeout: 300
//@ expect: exos_net_nfs_faults: 60000 bytes each way
//@ expect: exos_net_nfs_faults: no lie is believed

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../nfs_server.rs"]
mod nfs_server;
#[path = "../stack.rs"]
mod stack;

use exos_net::nfs::Server;
use exos_net::{Fail as NetFail, Limits, Memory, Stack};
use exos_nfs::client::Ports;
use exos_nfs::rpc::Identity;
use exos_nfs::{Attributes, Cache, Client, Fail, Files, Open, Policy, Slot};
use exos_policy::paging::Lru;
use exos_rt::println;
use heapless::Vec;
use nfs_server::{EXPORT, FILE_MAX, Kept, MESSAGE_MAX, NODES, Node};
use stack::{adler, byte, in_seconds};

const LIMITS: Limits = Limits { sockets: 4, filters: 8, buffers: 24 };
/// Ticks after which a call has failed.
const PATIENCE: u32 = 64 * 100;
/// Files, and the bytes of each.
const FILES: u32 = 2;
const BYTES: u32 = 30_000;
/// Bytes that are handed over at once.
const PIECE: usize = 3000;
/// Its ports; that of who knows ports, and another.
const PORTS: [u16; 3] = [2049, 111, 5000];

/// Attributes are believed for a second.
struct Second(Lru);

impl Policy for Second {
    type Replacement = Lru;

    fn believes(&self, _: &Attributes, ticks: u32) -> bool {
        ticks < 64
    }

    fn replacement(&mut self) -> &mut Lru {
        &mut self.0
    }
}

type Mounted<'c, 's> = Client<'c, Server<'s>, Second>;

/// Blocks of the cache.
const BLOCKS: usize = 8;
static SLOTS: Memory<{ (BLOCKS + 1) * size_of::<Slot>() }> = Memory::new();

fn main() {
    let (mut stack, mine, other) = stack::stack(LIMITS);
    if mine == 1 {
        let server = Server::new(&mut stack, stack::address(other), PATIENCE).unwrap();
        let slots = SLOTS.claim().take(BLOCKS, || Slot::EMPTY).unwrap();
        let cache = Cache::new(Second(Lru::new()), slots);
        let identity = Identity { machine: "one", user: 0, group: 0 };
        let path = core::str::from_utf8(EXPORT).unwrap();
        let mut client = Client::mount(server, cache, identity, Ports::default(), path).unwrap();
        copy(&mut client);
        hear_lies(&mut client);
        let (server, result) = client.unmount(path);
        assert_eq!(result, Ok(()));
        server.close();
        // The other waits, in case the last answer was lost.
        let _ = stack.until::<()>(Some(in_seconds(12)), |_| None);
    } else {
        serve(&mut stack);
    }
    assert_eq!(stack.binding.refused(), 0);
    stack.end();
    assert_eq!(exos_rt::net::filters().count(), 0, "filters are left");
}

// --- Who asks. ---

fn copy(client: &mut Mounted) {
    let mut files = Files::<2>::new();
    client.make_directory("dir", 0o755).unwrap();
    let mut piece = [0; PIECE];
    let mut sums = [1; FILES as usize];
    for number in 0..FILES {
        let file = files.open(client, name(number), Open::Create).unwrap();
        for start in (0..BYTES).step_by(PIECE) {
            (start..).zip(&mut piece).for_each(|(at, to)| *to = byte(at, number));
            files.write(client, file, &piece).unwrap();
            sums[number as usize] = adler(sums[number as usize], &piece);
        }
        files.close(file).unwrap();
    }
    for number in 0..FILES {
        let file = files.open(client, name(number), Open::Read).unwrap();
        let (mut sum, mut at) = (1, 0);
        while let count @ 1.. = files.read(client, file, &mut piece).unwrap() {
            let good = (at..).zip(&piece[..count]).all(|(at, &got)| got == byte(at, number));
            assert!(good, "wrong bytes behind {at}");
            sum = adler(sum, &piece[..count]);
            at += count as u32;
        }
        assert_eq!((at, sum), (BYTES, sums[number as usize]));
        files.close(file).unwrap();
    }
    client.rename("dir/a", "b").unwrap();
    let mut found = 0;
    let root = client.root();
    client.read_directory(&root, |entry| found += entry.name.len()).unwrap();
    assert_eq!(found, "dir".len() + "b".len());
    client.remove("b").unwrap();
    client.remove("dir/c").unwrap();
    client.remove_directory("dir").unwrap();
    assert_eq!(client.walk("dir"), Err(Fail::NotFound));
    println!("exos_net_nfs_faults: {} bytes each way", FILES * BYTES);
}

fn name(number: u32) -> &'static str {
    ["dir/a", "dir/c"][number as usize]
}

/// Lies that are an answer to this call, and what they are taken for. Before each come others that are none.
fn hear_lies(client: &mut Mounted) {
    for (name, result) in [
        ("lie: longer", Fail::BadAnswer),
        ("lie: shorter", Fail::BadAnswer),
        ("lie: proof", Fail::BadAnswer),
        ("lie: handle", Fail::BadAnswer),
        ("lie: refused", Fail::Refused),
        ("lie: status", Fail::Server(0xff_0000)),
    ] {
        client.create(name, 0o644).unwrap();
        assert_eq!(client.look_up(&client.root(), name).unwrap_err(), result, "{name}");
        client.remove(name).unwrap();
    }
    client.create("honest", 0o644).unwrap();
    client.remove("honest").unwrap();
    println!("exos_net_nfs_faults: no lie is believed");
}

// --- Who answers. ---

static MEMORY: Memory<{ NODES * FILE_MAX + 4 * size_of::<Kept>() }> = Memory::new();

fn serve(stack: &mut Stack) {
    let [udp, ports, strange] = PORTS.map(|port| stack.udp(port, 4 * MESSAGE_MAX).unwrap());
    let mut area = MEMORY.claim();
    let kept = area.take(4, || Kept::EMPTY).unwrap();
    let memory = area.take(NODES * FILE_MAX, || 0).unwrap();
    let mut nodes: Vec<Node, NODES> = memory.chunks_mut(FILE_MAX).map(Node::new).collect();
    let mut server = nfs_server::Server::new(&mut nodes, kept);
    let (mut call, mut answer) = ([0; MESSAGE_MAX], [0; MESSAGE_MAX]);
    let mut deadline = None;
    loop {
        // Both ports' questions are answered alike.
        let asked = stack.until(deadline, |stack| {
            let now = Some(exos_rt::call::clock());
            [udp, ports].into_iter().find_map(|at| {
                stack.receive_from(at, &mut call, now).ok().map(|(count, from, port)| (at, count, from, port))
            })
        });
        let (at, count, from, port) = match asked {
            Ok(asked) => asked,
            Err(NetFail::TimedOut) => break,
            Err(fail) => panic!("{fail}"),
        };
        let call = &call[..count];
        let Some(length) = server.answer(call, &mut answer) else { continue };
        let mut say = |at, message: &[u8]| stack.send_to(at, message, from, port).unwrap();
        let looked_up = call.get(20..24) == Some(&[0, 0, 0, 3]);
        let lie = call.windows(5).position(|part| part == b"lie: ").filter(|_| looked_up);
        if let Some(lie) = lie.map(|at| &call[at + 5..at + 7]) {
            // From another port, to another call, a call, and less than says whether it is one.
            say(strange, &answer[..length]);
            for (at_byte, byte) in [(0, !answer[0]), (7, 0)] {
                let mut other = answer;
                other[at_byte] = byte;
                say(at, &other[..length]);
            }
            say(at, &answer[..7]);
            say(at, &[]);
            let (at_byte, byte, length) = match lie {
                b"lo" => (0, answer[0], length + 4),
                b"sh" => (0, answer[0], length - 4),
                b"pr" => (15, 6, length),
                b"ha" => (31, 65, length),
                b"re" => (11, 1, length),
                _ => (25, 0xff, length),
            };
            answer[at_byte] = byte;
            say(at, &answer[..length]);
            continue;
        }
        say(at, &answer[..length]);
        // Unmounted: the answer may be lost, so the call is heard again for a while.
        if call.get(12..24) == Some(&[0, 1, 0x86, 0xa5, 0, 0, 0, 3, 0, 0, 0, 3]) {
            deadline = Some(in_seconds(10));
        }
    }
    [udp, ports, strange].into_iter().for_each(|udp| stack.close_udp(udp));
}
