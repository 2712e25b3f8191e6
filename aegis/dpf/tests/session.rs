//! Real packets (`bench/bpf/data/capture.sh`, `capture-nfs.sh`): classic BPF with libpcap's filters, the interpreter of the trie and the generated code
//! agree on whose each is.

mod common;

use aegis_abi::filter::Atom;
use aegis_bpf::{Instruction, parse};
use common::*;

const SESSION: &[u8] = include_bytes!("../../../bench/bpf/data/session.pcap");
const NFS: &[u8] = include_bytes!("../../../bench/bpf/data/nfs.pcap");
const FILTERS: &str = include_str!("../../../bench/bpf/data/session.ddd");

/// The packets of a capture file, as far as they were kept.
fn packets(mut file: &[u8]) -> Vec<&[u8]> {
    assert_eq!(file[..4], [0xd4, 0xc3, 0xb2, 0xa1], "microseconds, the lower byte first");
    assert_eq!(file[20..24], [1, 0, 0, 0], "Ethernet");
    file = &file[24..];
    let mut packets = Vec::new();
    while let Some((header, rest)) = file.split_first_chunk::<16>() {
        let kept = u32::from_le_bytes([header[8], header[9], header[10], header[11]]) as usize;
        packets.push(&rest[..kept]);
        file = &rest[kept..];
    }
    packets
}

/// IP, the protocol, no fragment but the first, and a port at an offset behind the IP header.
fn port(protocol: u32, offset: u32, port: u32) -> Vec<Atom> {
    vec![
        Atom::equal(12, 16, 0x0800),
        Atom::shift(14),
        Atom::equal(9, 8, protocol),
        Atom::masked(6, 16, 0x1fff, 0),
        Atom::shift_by(0, 8, 0x0f, 2),
        Atom::equal(offset, 16, port),
    ]
}

#[test]
fn three_ways_agree_on_real_packets() {
    // In the order of `bench/bpf/data/make.sh`.
    let filters = [
        port(6, 2, 2049),
        port(17, 2, 53),
        port(17, 2, 2049),
        vec![Atom::equal(12, 16, 0x0806)],
        port(6, 0, 2049),
        vec![Atom::equal(12, 16, 0x0800), Atom::equal(23, 8, 1)],
    ];
    let mut space = Space::new(SMALL);
    let mut engine = space.engine();
    let numbers: Vec<u16> = filters
        .iter()
        .enumerate()
        // The two with port 2049 of TCP overlap: they are one owner's.
        .map(|(n, filter)| engine.insert([1, 2, 3, 4, 1, 5][n], filter, |_| false).expect("they are disjoint"))
        .collect();
    let mut processor = Processor::new(&mut engine);
    let mut found = [0; 7];
    let mut seen = 0;
    for packet in [SESSION, NFS].into_iter().flat_map(packets) {
        let mut text = FILTERS;
        let mut accepting = Vec::new();
        for (n, filter) in filters.iter().enumerate() {
            let mut code = [Instruction::default(); 32];
            let (bpf, rest) = parse(text, &mut code).expect("libpcap's own");
            text = rest;
            let accepted = bpf.run(packet, &mut [0; 16]) != 0;
            assert_eq!(accepted, accepts(filter, packet), "filter {n} of {packet:x?}");
            accepting.extend(accepted.then_some(n));
        }
        assert_eq!(text, "", "there are more filters");
        let number = engine.interpret(packet);
        assert_eq!(processor.demux(engine.entry(), packet).0, number.into());
        let winner = numbers.iter().position(|&other| other == number);
        assert_eq!(accepting, winner.into_iter().collect::<Vec<_>>(), "{packet:x?}");
        found[winner.unwrap_or(6)] += 1;
        seen += 1;
    }
    assert!(seen >= 100, "{seen} packets");
    // All occur, and packets that nobody wants.
    assert!(found.iter().all(|&n| n > 0), "{found:?}");
}
