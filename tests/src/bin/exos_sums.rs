//! A segment of TCP with 1460 bytes gets its checksum: summed up, and by the sums of its file; both are the same, at all offsets.
//! The marks are around one each; `cargo exo trace exos_sums segment/known` follows it.
//@ expect: exos_sums: 1000 segments, equal

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
exos_rt::program!(main);

use exos_net::Memory;
use exos_policy::parts::{ADDRESSES, HEADERS};
use exos_policy::sums::{Connection, Connections, Summed};
use exos_rt::{mark_begin, mark_end, println};

/// Bytes of TCP's header, and of the data.
const HEADER: usize = 20;
const DATA: usize = 1460;
const MESSAGE: usize = HEADERS + HEADER + DATA;
/// Bytes of the file.
const FILE: usize = 60_000;
/// Where a message has TCP's number, its flags, and its checksum.
const SEQUENCE: usize = HEADERS + 4;
const FLAGS: usize = HEADERS + 13;
const CHECKSUM: usize = HEADERS + 16;
/// The flag of the first segment.
const SYNCHRONIZE: u8 = 2;
/// To whom, from and to which port.
const OTHER: ([u8; 4], u16, u16) = ([10, 0, 0, 2], 80, 4000);

static MEMORY: Memory<{ FILE + 2 * Summed::sums(FILE) + size_of::<Connection>() + 64 }> = Memory::new();

/// A message, which begins with a word, as where the kernel reads it.
#[repr(align(4))]
struct Message([u8; MESSAGE]);

fn main() {
    println!("mark 1 table=web op=segment system=summed how=a checksum, all bytes summed up");
    println!("mark 2 table=web op=segment system=known how=a checksum, by the sums of the file");
    let mut area = MEMORY.claim();
    let file = area.take(FILE, || 0).unwrap();
    (0_u32..).zip(file.iter_mut()).for_each(|(at, byte)| *byte = (at.wrapping_mul(0x9e37_79b9) >> 24) as u8);
    let file: &'static [u8] = file;
    let sums = area.take(Summed::sums(FILE), || 0).unwrap();
    let file = Summed::new(file, sums).unwrap();
    let mut message = Message([0; MESSAGE]);
    let bytes = &mut message.0;
    bytes[12..15].copy_from_slice(&[8, 0, 0x45]);
    bytes[23] = 6;
    bytes[ADDRESSES..HEADERS].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    bytes[HEADERS..HEADERS + 4].copy_from_slice(&[0, 80, 4000_u16.to_be_bytes()[0], 4000_u16.to_be_bytes()[1]]);
    bytes[HEADERS + 12] = 5 << 4;
    let mut unknown = Connections::new(&mut []);
    let mut known = Connections::new(area.take(1, || Connection::NONE).unwrap());
    // The numbers begin anew within the file.
    let origin = 0_u32.wrapping_sub(20_000);
    bytes[SEQUENCE..SEQUENCE + 4].copy_from_slice(&origin.wrapping_sub(1).to_be_bytes());
    bytes[FLAGS] = SYNCHRONIZE;
    known.complete(bytes);
    known.is_file(OTHER, file, 0, 0);
    bytes[FLAGS] = 0x10;
    for round in 0..1000 {
        let at = (round * 59) % (FILE - DATA);
        bytes[SEQUENCE..SEQUENCE + 4].copy_from_slice(&origin.wrapping_add(at as u32).to_be_bytes());
        bytes[HEADERS + HEADER..].copy_from_slice(&file.bytes()[at..at + DATA]);
        let mut sums = [[0; 2]; 2];
        bytes[CHECKSUM..CHECKSUM + 2].fill(0);
        mark_begin!(1);
        unknown.complete(bytes);
        mark_end!(1);
        sums[0].copy_from_slice(&bytes[CHECKSUM..CHECKSUM + 2]);
        bytes[CHECKSUM..CHECKSUM + 2].fill(0);
        mark_begin!(2);
        known.complete(bytes);
        mark_end!(2);
        sums[1].copy_from_slice(&bytes[CHECKSUM..CHECKSUM + 2]);
        assert_eq!(sums[0], sums[1], "at {at}");
    }
    println!("exos_sums: 1000 segments, equal");
}
