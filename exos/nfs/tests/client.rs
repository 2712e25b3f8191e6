//! The client and a small server of the tests' own: what is done to files by paths and descriptors, against a model; and
//! answers that lie.

use std::collections::BTreeMap;

use exos_nfs::client::{BLOCK, Client, Kind, Ports};
use exos_nfs::rpc::Identity;
use exos_nfs::{Attributes, Cache, Fail, Files, Open, Policy, Slot, Transport};
use exos_policy::paging::Lru;
use proptest::prelude::*;
use server::{EXPORT, FILE_MAX, Kept, MESSAGE_MAX, NODES, Node, Server};

#[path = "../../../tests/src/nfs_server.rs"]
mod server;

/// Attributes are believed for so many ticks.
struct Believing(Lru, u32);

impl Policy for Believing {
    type Replacement = Lru;

    fn believes(&self, _: &Attributes, ticks: u32) -> bool {
        ticks < self.1
    }

    fn replacement(&mut self) -> &mut Lru {
        &mut self.0
    }
}

type Lie = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>>>;

/// The way to the server: each answer comes as what a function makes of it.
struct Cable<'n> {
    server: Server<'n, 'n>,
    lie: Lie,
    calls: usize,
}

impl Transport for Cable<'_> {
    fn ask<R>(
        &mut self,
        _: u16,
        call: &[u8],
        mut answer: impl FnMut(&[u8]) -> Option<Result<R, Fail>>,
    ) -> Result<R, Fail> {
        self.calls += 1;
        let mut message = [0; MESSAGE_MAX];
        let length = self.server.answer(call, &mut message).expect("it is a call");
        let messages = (self.lie)(&message[..length]);
        messages.iter().find_map(|message| answer(message)).unwrap_or(Err(Fail::TimedOut))
    }

    fn now(&self) -> u32 {
        0
    }

    fn random(&mut self) -> u32 {
        u32::MAX - 3
    }
}

/// As they are.
fn honest() -> Lie {
    Box::new(|answer| vec![answer.to_vec()])
}

const IDENTITY: Identity = Identity { machine: "test", user: 0, group: 0 };
const BLOCKS: usize = 4;

type TestClient<'c, 'n> = Client<'c, Cable<'n>, Believing>;

/// Does something with an empty directory that is mounted.
fn mounted<R>(run: impl FnOnce(&mut TestClient) -> R) -> R {
    let mut memory = vec![0; NODES * FILE_MAX];
    let mut nodes: Vec<Node> = memory.chunks_mut(FILE_MAX).map(Node::new).collect();
    let mut kept = [Kept::EMPTY; 4];
    let cable = Cable { server: Server::new(&mut nodes, &mut kept), lie: honest(), calls: 0 };
    let mut slots = [Slot::EMPTY; BLOCKS];
    let cache = Cache::new(Believing(Lru::new(), 1), &mut slots);
    let mut client = Client::mount(cable, cache, IDENTITY, Ports::default(), path()).unwrap();
    run(&mut client)
}

fn path() -> &'static str {
    str::from_utf8(EXPORT).unwrap()
}

fn names(client: &mut TestClient, directory: &str) -> Vec<String> {
    let (handle, attributes) = client.walk(directory).unwrap();
    assert_eq!(attributes.kind, Kind::Directory);
    let mut names = Vec::new();
    client.read_directory(&handle, |entry| names.push(String::from_utf8(entry.name.to_vec()).unwrap())).unwrap();
    names.sort();
    names
}

fn write(client: &mut TestClient, path: &str, bytes: &[u8]) -> Result<(), Fail> {
    let mut files = Files::<2>::new();
    let file = files.open(client, path, Open::Create)?;
    files.write(client, file, bytes)?;
    files.close(file)
}

fn read(client: &mut TestClient, path: &str) -> Result<Vec<u8>, Fail> {
    let mut files = Files::<2>::new();
    let file = files.open(client, path, Open::Read)?;
    let (mut bytes, mut piece) = (Vec::new(), [0; 700]);
    while let count @ 1.. = files.read(client, file, &mut piece)? {
        bytes.extend(&piece[..count]);
    }
    files.close(file)?;
    Ok(bytes)
}

#[test]
fn a_tree_is_made_and_removed() {
    mounted(|client| {
        client.make_directory("one", 0o755).unwrap();
        client.make_directory("one/two", 0o755).unwrap();
        for name in ["a", "b", "c", "d", "e"] {
            write(client, &format!("one/{name}"), name.as_bytes()).unwrap();
        }
        assert_eq!(names(client, "/one/"), ["a", "b", "c", "d", "e", "two"]);
        assert_eq!(names(client, "one/two"), [""; 0]);
        client.rename("one/a", "one/two/f").unwrap();
        client.rename("one/b", "one/c").unwrap();
        assert_eq!(read(client, "one/c").unwrap(), b"b");
        assert_eq!(read(client, "one/two/f").unwrap(), b"a");
        assert_eq!(client.remove("one/a"), Err(Fail::NotFound));
        assert_eq!(client.remove("one"), Err(Fail::IsDirectory));
        assert_eq!(client.remove_directory("one/c"), Err(Fail::NotDirectory));
        assert_eq!(client.remove_directory("one/two"), Err(Fail::NotEmpty));
        assert_eq!(client.make_directory("one/c", 0), Err(Fail::Exists));
        assert_eq!(client.walk("one/c/x").unwrap_err(), Fail::NotDirectory);
        client.remove("one/two/f").unwrap();
        client.remove_directory("one/two").unwrap();
        assert_eq!(names(client, "one"), ["c", "d", "e"]);
        assert_eq!(read(client, "one"), Err(Fail::IsDirectory));
        assert_eq!(client.look_up(&client.root(), "one/c"), Err(Fail::BadName));
        for name in ["", "/", "a\0b", &"n".repeat(256)] {
            assert_eq!(client.create(name, 0).unwrap_err(), Fail::BadName, "{name:?}");
        }
        assert_eq!(write(client, &"n".repeat(255), b""), Err(Fail::BadName), "the server has less room");
    });
}

#[test]
fn descriptors_are_checked() {
    mounted(|client| {
        write(client, "a", &[7; 3000]).unwrap();
        let mut files = Files::<2>::new();
        let reader = files.open(client, "a", Open::Read).unwrap();
        assert_eq!(files.write(client, reader, b"x"), Err(Fail::BadDescriptor));
        let writer = files.open(client, "a", Open::Write).unwrap();
        assert_eq!(files.open(client, "a", Open::Read), Err(Fail::NoRoom));
        files.seek(writer, 2999).unwrap();
        files.write(client, writer, b"xyz").unwrap();
        files.seek(reader, 2998).unwrap();
        let mut piece = [0; 10];
        assert_eq!(files.read(client, reader, &mut piece), Ok(4), "what the server says with it is believed");
        files.close(reader).unwrap();
        assert_eq!(files.read(client, reader, &mut piece), Err(Fail::BadDescriptor));
        assert_eq!(files.close(reader), Err(Fail::BadDescriptor));
        let reader = files.open(client, "a", Open::Read).unwrap();
        assert_eq!(files.attributes(reader).unwrap().size, 3002);
        for at in [u64::MAX, 3002] {
            files.seek(reader, at).unwrap();
            assert_eq!(files.read(client, reader, &mut piece), Ok(0));
        }
        files.seek(writer, u64::MAX).unwrap();
        assert_eq!(files.write(client, writer, b"xy"), Err(Fail::Full));
        client.remove("a").unwrap();
        files.seek(reader, 0).unwrap();
        assert_eq!(files.read(client, reader, &mut piece), Err(Fail::Stale));
    });
}

#[test]
fn blocks_that_were_read_are_not_asked_for_again() {
    mounted(|client| {
        write(client, "a", &[7; 3 * BLOCK]).unwrap();
        let (handle, mut known) = client.walk("a").unwrap();
        let mut block = [0; BLOCK];
        let mut calls = |client: &mut TestClient, known: &mut Attributes, blocks: &[u64]| {
            let before = client.transport.calls;
            for &number in blocks {
                assert_eq!(client.read(&handle, known, number * BLOCK as u64, &mut block), Ok(BLOCK));
            }
            client.transport.calls - before
        };
        assert_eq!(calls(client, &mut known, &[0, 1, 2]), 3);
        assert_eq!(calls(client, &mut known, &[0, 1, 2, 2, 1, 0]), 0);
        let mut written = known;
        client.write(&handle, &mut written, 1500, b"x").unwrap();
        assert_eq!(calls(client, &mut written, &[0, 2]), 0, "those are as they were");
        assert_eq!(calls(client, &mut written, &[1]), 1);
        // Somebody else writes: all is asked for anew.
        write(client, "a", &[8; 3 * BLOCK]).unwrap();
        let mut anew = client.walk("a").unwrap().1;
        assert_eq!(calls(client, &mut anew, &[0, 1, 2]), 3);
    });
}

#[test]
fn a_server_that_takes_little_at_once_is_given_little() {
    mounted(|client| {
        client.transport.server.most = 100;
        let bytes: Vec<u8> = (0..2500).map(|at| (at % 251) as u8).collect();
        write(client, "a", &bytes).unwrap();
        assert_eq!(read(client, "a").unwrap(), bytes);
    });
}

#[test]
fn sizes_and_modes_are_set() {
    mounted(|client| {
        write(client, "a", &[1; 10]).unwrap();
        let handle = client.walk("a").unwrap().0;
        client.set_attributes(&handle, Some(0o600), Some(4)).unwrap();
        let attributes = client.attributes(&handle).unwrap();
        assert_eq!((attributes.mode, attributes.size), (0o600, 4));
        client.set_attributes(&handle, None, Some(6)).unwrap();
        assert_eq!(read(client, "a").unwrap(), [1, 1, 1, 1, 0, 0]);
    });
}

/// What one lie does to the question what a file is like, and whether what was said before is believed.
fn told(lie: impl FnMut(&[u8]) -> Vec<Vec<u8>> + 'static) -> Result<Attributes, Fail> {
    mounted(|client| {
        write(client, "a", b"some").unwrap();
        let handle = client.walk("a").unwrap().0;
        client.transport.lie = Box::new(lie);
        let result = client.attributes(&handle);
        client.transport.lie = honest();
        assert_eq!(read(client, "a").unwrap(), b"some");
        result
    })
}

#[test]
fn lies_are_told_from_answers() {
    let with = |at: usize, byte: u8| {
        told(move |answer| {
            let mut answer = answer.to_vec();
            answer[at] = byte;
            vec![answer]
        })
    };
    for (at, byte, result) in [
        (3, 0x55, Fail::TimedOut),   // another call's
        (7, 0, Fail::TimedOut),      // a call
        (11, 1, Fail::Refused),      // not accepted
        (15, 6, Fail::BadAnswer),    // another kind of proof
        (19, 1, Fail::Denied),       // with bytes that push the rest away
        (18, 2, Fail::BadAnswer),    // or are longer than any
        (16, 0xff, Fail::BadAnswer), // or than the message
        (23, 1, Fail::Refused),      // no such program
        (23, 5, Fail::Server(5)),    // trouble
        (23, 6, Fail::BadAnswer),    // what is that?
        (27, 70, Fail::Stale),       // the file is gone
        (26, 1, Fail::Server(256)),  // or something else
        (31, 0, Fail::BadAnswer),    // no kind of file
        (31, 8, Fail::BadAnswer),
    ] {
        assert_eq!(with(at, byte), Err(result), "{byte} at {at}");
    }
    for cut in 0..24 + 4 + 84 {
        let expected = if cut < 8 { Fail::TimedOut } else { Fail::BadAnswer };
        assert_eq!(told(move |answer| vec![answer[..cut].to_vec()]), Err(expected), "{cut} bytes");
    }
    assert_eq!(told(|answer| vec![[answer, &[0; 4]].concat()]), Err(Fail::BadAnswer));
    assert_eq!(told(|_| vec![]), Err(Fail::TimedOut));
    // What is no answer is passed over, whatever comes before.
    let good = told(|answer| {
        let mut other = answer.to_vec();
        other[0] ^= 1;
        vec![vec![], other, answer.to_vec()]
    });
    assert_eq!(good.unwrap().size, 4);
}

#[test]
fn names_that_no_file_has_are_no_answer() {
    // Behind the header and the status: the directory's attributes, a verifier, an entry's number and its name's length.
    const NAME: usize = 24 + 4 + 4 + 84 + 8 + 4 + 8;
    let listed = |change: fn(&mut Vec<u8>)| {
        mounted(|client| {
            write(client, "name", b"").unwrap();
            let root = client.root();
            client.transport.lie = Box::new(move |answer| {
                let mut answer = answer.to_vec();
                change(&mut answer);
                vec![answer]
            });
            let mut count = 0;
            client.read_directory(&root, |_| count += 1).map(|()| count)
        })
    };
    assert_eq!(listed(|_| {}), Ok(1));
    assert_eq!(listed(|answer| answer[NAME + 5] = b'/'), Err(Fail::BadAnswer));
    assert_eq!(listed(|answer| answer[NAME + 5] = 0), Err(Fail::BadAnswer));
    assert_eq!(listed(|answer| answer[NAME + 3] = 0), Err(Fail::BadAnswer), "no name");
    assert_eq!(listed(|answer| answer[NAME] = 0xff), Err(Fail::BadAnswer), "a name longer than the message");
    assert_eq!(listed(|answer| answer[NAME + 2] = 1), Err(Fail::BadAnswer), "or than any");
    assert_eq!(listed(|answer| *answer.last_mut().unwrap() = 2), Err(Fail::BadAnswer), "neither more nor all");
    // It never ends.
    assert_eq!(listed(|answer| *answer.last_mut().unwrap() = 0), Err(Fail::BadAnswer));
}

#[test]
fn counts_that_disagree_are_no_answer() {
    // Behind the header and the status: the file's attributes; the count, whether that is all, and the bytes' number.
    const COUNT: usize = 24 + 4 + 4 + 84;
    let read_as = |change: fn(&mut Vec<u8>)| {
        mounted(|client| {
            write(client, "a", &[7; 600]).unwrap();
            let (handle, mut known) = client.walk("a").unwrap();
            client.transport.lie = Box::new(move |answer| {
                let mut answer = answer.to_vec();
                change(&mut answer);
                vec![answer]
            });
            client.read(&handle, &mut known, 0, &mut [0; 2000])
        })
    };
    assert_eq!(read_as(|_| {}), Ok(600));
    assert_eq!(read_as(|answer| answer[COUNT + 3] ^= 1), Err(Fail::BadAnswer));
    assert_eq!(read_as(|answer| answer[COUNT + 7] = 2), Err(Fail::BadAnswer));
    assert_eq!(read_as(|answer| answer[COUNT + 8] = 0x80), Err(Fail::BadAnswer), "more than the message has");
    assert_eq!(read_as(|answer| answer[COUNT + 10] = 0x20), Err(Fail::BadAnswer), "more than was asked for");
    let nothing = |answer: &mut Vec<u8>| {
        answer.truncate(COUNT);
        answer.extend([0; 12]);
    };
    assert_eq!(read_as(nothing), Err(Fail::BadAnswer), "it is not at its end, and there is nothing");

    // A write of more than was given, and one that is not on the disk.
    for (behind, byte) in [(16, 2), (12, 1), (16, 0xff)] {
        let result = mounted(|client| {
            write(client, "a", b"").unwrap();
            let (handle, mut known) = client.walk("a").unwrap();
            client.transport.lie = Box::new(move |answer| {
                let mut answer = answer.to_vec();
                let at = answer.len() - behind;
                answer[at] = byte;
                vec![answer]
            });
            client.write(&handle, &mut known, 0, b"bytes")
        });
        assert_eq!(result, Err(Fail::BadAnswer), "{byte} {behind} bytes before the end");
    }
}

/// What is done to files.
#[derive(Clone, Debug)]
enum Step {
    Write { file: usize, at: usize, bytes: Vec<u8> },
    Read { file: usize, at: usize, count: usize },
    Create { file: usize },
    Size { file: usize, size: usize },
    Remove { file: usize },
    Rename { from: usize, to: usize },
}

const FILES: [&str; 3] = ["a", "b", "c"];

fn step() -> impl Strategy<Value = Step> {
    let file = 0..FILES.len();
    let at = 0..5000_usize;
    let bytes = (any::<u8>(), 1..3000_usize).prop_map(|(byte, count)| vec![byte; count]);
    prop_oneof![
        4 => (file.clone(), at.clone(), bytes).prop_map(|(file, at, bytes)| Step::Write { file, at, bytes }),
        6 => (file.clone(), at.clone(), 1..3000_usize).prop_map(|(file, at, count)| Step::Read { file, at, count }),
        1 => file.clone().prop_map(|file| Step::Create { file }),
        1 => (file.clone(), at).prop_map(|(file, size)| Step::Size { file, size }),
        1 => file.clone().prop_map(|file| Step::Remove { file }),
        1 => (file.clone(), file).prop_map(|(from, to)| Step::Rename { from, to }),
    ]
}

proptest! {
    /// Files are what a map of byte vectors is, whatever is in the cache, and whatever the server takes at once.
    #[test]
    fn files_are_as_the_model(steps in prop::collection::vec(step(), 1..60), most in 200..2000_usize) {
        mounted(|client| {
            client.transport.server.most = most;
            let mut model: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Create { file } => {
                        write(client, FILES[file], b"").unwrap();
                        model.insert(FILES[file], Vec::new());
                    }
                    Step::Write { file, at, bytes } => {
                        let mut files = Files::<1>::new();
                        let opened = files.open(client, FILES[file], Open::Write);
                        let Some(data) = model.get_mut(FILES[file]) else {
                            assert_eq!(opened, Err(Fail::NotFound));
                            continue;
                        };
                        let descriptor = opened.unwrap();
                        files.seek(descriptor, at as u64).unwrap();
                        files.write(client, descriptor, &bytes).unwrap();
                        data.resize(data.len().max(at + bytes.len()), 0);
                        data[at..at + bytes.len()].copy_from_slice(&bytes);
                        assert_eq!(files.attributes(descriptor).unwrap().size, data.len() as u64);
                    }
                    Step::Read { file, at, count } => {
                        let mut files = Files::<1>::new();
                        let opened = files.open(client, FILES[file], Open::Read);
                        let Some(data) = model.get(FILES[file]) else {
                            assert_eq!(opened, Err(Fail::NotFound));
                            continue;
                        };
                        let descriptor = opened.unwrap();
                        files.seek(descriptor, at as u64).unwrap();
                        let (mut got, mut piece) = (Vec::<u8>::new(), vec![0; count]);
                        while got.len() < count {
                            let left = count - got.len();
                            match files.read(client, descriptor, &mut piece[..left]).unwrap() {
                                0 => break,
                                count => got.extend(&piece[..count]),
                            }
                        }
                        let from = at.min(data.len());
                        assert_eq!(got, data[from..data.len().min(from + count)]);
                    }
                    Step::Size { file, size } => {
                        let found = client.walk(FILES[file]);
                        let Some(data) = model.get_mut(FILES[file]) else {
                            assert_eq!(found, Err(Fail::NotFound));
                            continue;
                        };
                        client.set_attributes(&found.unwrap().0, None, Some(size as u64)).unwrap();
                        data.resize(size, 0);
                    }
                    Step::Remove { file } => {
                        let there = model.remove(FILES[file]).is_some();
                        assert_eq!(client.remove(FILES[file]), if there { Ok(()) } else { Err(Fail::NotFound) });
                    }
                    Step::Rename { from, to } => {
                        let renamed = client.rename(FILES[from], FILES[to]);
                        match model.remove(FILES[from]) {
                            Some(data) => {
                                model.insert(FILES[to], data);
                                renamed.unwrap();
                            }
                            None => assert_eq!(renamed, Err(Fail::NotFound)),
                        }
                    }
                }
            }
            assert_eq!(names(client, ""), model.keys().copied().collect::<Vec<_>>());
            for (name, data) in model {
                assert!(read(client, name).unwrap() == data, "{name} differs");
            }
        });
    }

    /// Whatever becomes of one answer, the client says what it made of it, and goes on with the next.
    #[test]
    fn damaged_answers_end_nobody(
        which in 0..40_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        length in prop::option::of(0..1600_usize),
    ) {
        mounted(|client| {
            let mut number = 0;
            client.transport.lie = Box::new(move |answer| {
                let mut answer = answer.to_vec();
                number += 1;
                if number == which {
                    changes.iter().for_each(|(at, byte)| {
                        let at = at.index(answer.len());
                        answer[at] = *byte;
                    });
                    if let Some(length) = length {
                        answer.resize(length, 0x41);
                    }
                }
                vec![answer]
            });
            let _ = client.make_directory("d", 0o755);
            let _ = write(client, "d/a", &[7; 2000]);
            let _ = read(client, "d/a");
            let root = client.root();
            let _ = client.read_directory(&root, |entry| assert!(!entry.name.contains(&b'/')));
            let _ = client.rename("d/a", "b");
            let _ = client.remove("b");
            let _ = client.remove_directory("d");
            client.transport.lie = honest();
            write(client, "after", &[9; 1500]).unwrap();
            assert_eq!(read(client, "after").unwrap(), [9; 1500]);
        });
    }
}

#[test]
fn a_directory_that_is_not_exported_is_refused() {
    let mount = |path: &str| {
        let mut memory = vec![0; NODES * FILE_MAX];
        let mut nodes: Vec<Node> = memory.chunks_mut(FILE_MAX).map(Node::new).collect();
        let mut kept = [Kept::EMPTY; 4];
        let cable = Cable { server: Server::new(&mut nodes, &mut kept), lie: honest(), calls: 0 };
        let mut slots = [Slot::EMPTY; BLOCKS];
        let cache = Cache::new(Believing(Lru::new(), 0), &mut slots);
        let client = Client::mount(cable, cache, IDENTITY, Ports { nfs: 1, mount: 2 }, path);
        client.map(|client| client.unmount(path).1)
    };
    assert_eq!(mount("/etc").unwrap_err(), Fail::Denied);
    assert_eq!(mount("/a\0b").unwrap_err(), Fail::BadName);
    assert_eq!(mount(&"/long".repeat(1000)).unwrap_err(), Fail::BadName);
    assert_eq!(mount(path()).unwrap(), Ok(()));
}

#[test]
fn a_full_server_says_so() {
    mounted(|client| assert_eq!(write(client, "a", &[0; FILE_MAX + 1]), Err(Fail::Full)));
}
