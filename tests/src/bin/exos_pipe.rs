//! Pipes: of no bytes, of more than fit, of odd sizes, with both ends in one program, with three writers at once, with
//! readers and writers that die, and with what is in them spoilt.
//@ expect: exos_pipe: 100000 bytes in order, 3 writers, both ends, 4 deaths, 1 damage
//@ timeout: 60

#![no_std]
#![no_main]
exos_rt::program!(main);

#[path = "../in_use.rs"]
mod in_use;

use exos::pipe::{CAPACITY, End, Error, Ring};
use exos_rt::abi::EnvId;
use exos_rt::abi::frame::Capability;
use exos_rt::environment::spawn;
use exos_rt::shared::Shared;
use exos_rt::{call, println};

static PIPES: [Ring; 6] = [const { Ring::new() }; 6];
static GO: Shared<u32> = Shared::new(0);

const BYTES: usize = 100_000;

/// The byte at a place of what is sent.
fn byte(at: usize) -> u8 {
    (at * 7 + at / 251) as u8
}

/// Writes all of it, in pieces of all sizes up to more than fit.
extern "C" fn write_all(_: u32) -> ! {
    let (mut at, mut size) = (0, 0);
    let mut piece = [0; CAPACITY + 500];
    while at < BYTES {
        size = (size + 131) % piece.len();
        let size = size.min(BYTES - at);
        for (place, byte_there) in piece[..size].iter_mut().enumerate() {
            *byte_there = byte(at + place);
        }
        assert_eq!(PIPES[0].write(&piece[..size]), Ok(size));
        at += size;
    }
    PIPES[0].close(End::Write, call::self_id());
    call::exit(0)
}

/// Writes records of one value, which are read whole.
extern "C" fn write_records(value: u32) -> ! {
    for _ in 0..200 {
        assert_eq!(PIPES[1].write(&[value as u8; 24]), Ok(24));
        if value == 1 {
            call::yield_slice();
        }
    }
    // It ends without a word.
    call::exit(0)
}

/// Writes a little, and ends when it is told.
extern "C" fn write_and_die(pipe: u32) -> ! {
    assert_eq!(PIPES[pipe as usize].write(b"last words"), Ok(10));
    while GO.get() == 0 {
        call::yield_slice();
    }
    call::exit(0)
}

/// Never reads.
extern "C" fn idle(_: u32) -> ! {
    loop {
        call::yield_slice();
    }
}

fn start(entry: extern "C" fn(u32) -> !, argument: u32, slice: u32, pipe: usize, end: End) -> (EnvId, Capability) {
    let child = spawn(entry, argument, None).unwrap();
    PIPES[pipe].open(end, child.0).unwrap();
    call::slice_allocate(slice).and_then(|()| call::slice_give(slice, child.0)).unwrap();
    child
}

fn main() {
    let before = in_use::take();
    let me = call::self_id();
    let mut buffer = [0; 777];

    // Everything arrives, in order, and then it ends.
    PIPES[0].open(End::Read, me).unwrap();
    start(write_all, 0, 10, 0, End::Write);
    let mut at = 0;
    loop {
        assert_eq!(PIPES[0].read(&mut []), Ok(0), "nothing is asked for");
        let room = at % buffer.len() + 1;
        match PIPES[0].read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(bytes) => {
                assert!(buffer[..bytes].iter().enumerate().all(|(place, &found)| found == byte(at + place)));
                at += bytes;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(at, BYTES);
    assert_eq!(PIPES[0].read(&mut buffer), Ok(0), "and stays so");
    assert!(PIPES[0].is_closed(End::Write) && !PIPES[0].is_closed(End::Read));

    // Three writers: records stay whole.
    PIPES[1].open(End::Read, me).unwrap();
    let writers: [_; 3] = core::array::from_fn(|n| spawn(write_records, n as u32, None).unwrap().0);
    writers.into_iter().for_each(|id| PIPES[1].open(End::Write, id).unwrap());
    for (slice, id) in (20..).zip(writers) {
        call::slice_allocate(slice).and_then(|()| call::slice_give(slice, id)).unwrap();
    }
    let mut records = [0; 3];
    loop {
        let mut record = [9; 24];
        let mut have = 0;
        while have != 24 {
            match PIPES[1].read(&mut record[have..]).unwrap() {
                0 => break,
                bytes => have += bytes,
            }
        }
        if have == 0 {
            break;
        }
        assert!(have == 24 && record.iter().all(|&byte| byte == record[0]), "{record:?}");
        records[usize::from(record[0])] += 1;
    }
    assert_eq!(records, [200; 3]);

    // Both ends in one program.
    let both = &PIPES[2];
    both.open(End::Read, me).unwrap();
    both.open(End::Write, me).unwrap();
    assert_eq!(both.read(&mut buffer), Err(Error::Busy), "nobody else could write");
    assert_eq!(both.write(&[]), Ok(0));
    assert_eq!(both.write(&[1, 2, 3]), Ok(3));
    assert_eq!((both.readable(), both.writable()), (Ok(3), Ok(CAPACITY - 3)));
    assert_eq!(both.read(&mut buffer), Ok(3));
    assert_eq!(both.write(&[5; CAPACITY + 1]), Ok(CAPACITY), "nobody else could read");
    assert_eq!(both.write(&[6]), Err(Error::Busy));
    assert_eq!(both.try_write(&[6]), Err(Error::Busy));
    let mut all = [0; CAPACITY + 1];
    assert_eq!(both.read(&mut all), Ok(CAPACITY));
    assert!(all[..CAPACITY].iter().all(|&byte| byte == 5));
    both.close(End::Write, me);
    assert_eq!(both.read(&mut buffer), Ok(0));
    assert_eq!(both.try_read(&mut buffer), Err(Error::Busy));

    // A writer that dies while its pipe is read: what it wrote, and then the end.
    PIPES[3].open(End::Read, me).unwrap();
    start(write_and_die, 3, 30, 3, End::Write);
    assert_eq!(PIPES[3].read(&mut buffer), Ok(10));
    GO.set(1);
    assert_eq!(PIPES[3].read(&mut buffer), Ok(0));

    // A reader that is killed: what it had room for is written, and then no more.
    PIPES[4].open(End::Write, me).unwrap();
    let (reader, control) = start(idle, 0, 31, 4, End::Read);
    assert_eq!(PIPES[4].write(&[1; 100]), Ok(100));
    call::env_destroy(reader, control).unwrap();
    assert_eq!(PIPES[4].write(&[1; CAPACITY]), Ok(CAPACITY - 100));
    assert_eq!(PIPES[4].write(&[1]), Err(Error::Gone));
    assert_eq!(PIPES[4].write(&[]), Ok(0));

    // One that somebody has spoilt: any word may be anything.
    let spoilt = &PIPES[5];
    spoilt.open(End::Read, me).unwrap();
    spoilt.open(End::Write, me).unwrap();
    // SAFETY: every bit pattern is a pipe.
    unsafe { core::ptr::from_ref(spoilt).cast::<u32>().cast_mut().write_volatile(0x8000_0000) };
    assert_eq!(spoilt.read(&mut buffer), Err(Error::Damaged));
    assert_eq!(spoilt.write(&[1]), Err(Error::Damaged));
    in_use::same(before);
    println!("exos_pipe: {at} bytes in order, 3 writers, both ends, 4 deaths, 1 damage");
}
