//! Every refusal, with what it says.

mod image;

use aegis_abi::VERSION;
use aegis_loader::memory::Extent;
use aegis_loader::plan::Inputs;

use image::{Aligned, R, RW, RX, archive, elf, inputs, kernel, kernel_note, load, note, program, program_note};

/// What the loader says to an archive.
fn refusal(archive: &[u8], arguments: &str) -> String {
    let archive = Aligned::new(archive);
    let inputs = inputs(&archive, arguments);
    said(&inputs)
}

/// The refusal of these inputs.
fn said(inputs: &Inputs<'_>) -> String {
    match image::plan(inputs) {
        Ok(_) => panic!("must be refused"),
        Err(refusal) => refusal.to_string(),
    }
}

/// What the loader says of a program, which its name must precede.
fn of_program(file: &[u8]) -> String {
    let said = refusal(&archive(&[("aegis", &kernel()), ("bin/p", file)]), "");
    said.strip_prefix("bin/p: ").unwrap_or_else(|| panic!("no name in: {said}")).to_owned()
}

/// What the loader says of a kernel, which its name must precede.
fn of_kernel(file: &[u8]) -> String {
    let said = refusal(&archive(&[("aegis", file)]), "");
    said.strip_prefix("aegis: ").unwrap_or_else(|| panic!("no name in: {said}")).to_owned()
}

/// What is said of a note of another version.
fn built_for(version: u32) -> String {
    format!("built for version {version} of the interface, and this system has version {VERSION}")
}

/// A good program with `bytes` written over it from `at` on.
fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = program();
    file[at..][..bytes.len()].copy_from_slice(bytes);
    file
}

/// What the loader says of a program with these segments and its entry point at `entry`.
fn of_segments(entry: u32, segments: &[image::Segment]) -> String {
    let mut all = vec![program_note(aegis_abi::VERSION)];
    all.extend_from_slice(segments);
    of_program(&elf(entry, &all))
}

#[test]
fn archives() {
    assert_eq!(refusal(&archive(&[]), ""), "the boot archive is empty");
    assert_eq!(refusal(b"", ""), "the boot archive is cut short in the entry at byte 0");
    let good = image::good_archive();
    let second = 112 + 4 + kernel().len();
    assert_eq!(
        refusal(&good[..second + 200], ""),
        format!("the boot archive is cut short in the entry at byte {second}")
    );
    let said = refusal(&good[..good.len() - 124], "");
    assert!(said.starts_with("the boot archive is cut short in the entry at byte "), "{said}");
    assert_eq!(refusal(&[0; 200], ""), "the boot archive is damaged: the entry at byte 0 has no newc header");
    let damaged = |at: usize, byte| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        refusal(&bytes, "")
    };
    assert_eq!(
        damaged(60, b'+'),
        "the boot archive is damaged: the entry at byte 0 has a header with something other than digits"
    );
    // The length of the name: one less, so that it lacks its zero byte; then so large that the archive ends before it
    // does.
    assert_eq!(damaged(101, b'5'), "the boot archive is damaged: the entry at byte 0 has a name without an end");
    assert_eq!(damaged(94, b'f'), "the boot archive is cut short in the entry at byte 0");
    assert_eq!(
        damaged(112, b'\n'),
        "the boot archive is damaged: the entry at byte 0 has a name with other than printable characters"
    );
    // The mode: a symbolic link.
    assert_eq!(damaged(18, b'a'), "aegis: is not a regular file");
    let mut behind = good.clone();
    behind.push(b'0');
    assert_eq!(
        refusal(&behind, ""),
        format!("the boot archive is damaged: something stands behind its end at byte {}", good.len())
    );
    assert_eq!(refusal(&archive(&[("aegis", b"1"), ("x", b"2"), ("x", b"3")]), ""), "x: twice in the boot archive");
    assert_eq!(
        refusal(&archive(&[("a-name-of-thirty-three-characters", b"")]), ""),
        "a-name-of-thirty-three-characters: a name in the boot archive may have at most 32 characters"
    );
    let names = (0..129).map(|name: u32| name.to_string()).collect::<Vec<_>>();
    let many = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect::<Vec<_>>();
    assert_eq!(refusal(&archive(&many), ""), "the boot archive has more than 128 files");
    assert_eq!(refusal(&archive(&[("bin/p", &program())]), ""), "no kernel: the boot archive has no file \"aegis\"");
}

#[test]
fn boot_arguments() {
    let good = image::good_archive();
    assert_eq!(refusal(&good, "one three,x"), "no program \"three\" in the boot archive, which has one,two");
    assert_eq!(
        refusal(&archive(&[("aegis", &kernel()), ("bin/", b"")]), "three"),
        "no program \"three\" in the boot archive, which has no programs"
    );
    assert_eq!(refusal(&good, "one ,x"), "the boot argument \",x\" names no program");
    assert_eq!(refusal(&good, "one\ttwo"), "the boot arguments have other than printable characters");
    assert_eq!(refusal(&good, &"one ".repeat(17)), "too many programs: 17, and at most 16 can be started");
    assert_eq!(refusal(&good, &"x".repeat(257)), "the boot arguments have more than 256 characters");
    let line = format!("one,{}", "x".repeat(129));
    assert_eq!(refusal(&good, &line), "the boot arguments give one more than 128 characters");
    let many = (0..17).map(|name: u32| format!("bin/{name}")).collect::<Vec<_>>();
    let (kernel, program) = (kernel(), program());
    let files = many.iter().map(|name| (name.as_str(), program.as_slice())).chain([("aegis", kernel.as_slice())]);
    assert_eq!(
        refusal(&archive(&files.collect::<Vec<_>>()), ""),
        "too many programs: 17, and at most 16 can be started"
    );
}

#[test]
fn foreign_files() {
    assert_eq!(of_program(b""), "not an ELF file");
    assert_eq!(of_program(b"#!/bin/sh\n"), "not an ELF file");
    assert_eq!(of_program(&patched(4, &[2])), "not a 32-bit ELF file (class 2)");
    assert_eq!(of_program(&patched(5, &[2])), "not a little-endian ELF file (data encoding 2)");
    assert_eq!(of_program(&patched(18, &[0xf3])), "not for MIPS (machine 243)");
    assert_eq!(of_program(&patched(16, &[1])), "not an executable ELF file (type 1)");
    assert_eq!(of_program(&patched(16, &[3])), "not an executable ELF file (type 3)");
    assert_eq!(of_program(&patched(36, &[1, 0x10, 0, 0x70])), "for a later MIPS than MIPS I (flags 0x70001001)");
    assert_eq!(of_program(&patched(6, &[0])), "damaged ELF header: unknown version");
    assert_eq!(of_program(&patched(20, &[2])), "damaged ELF header: unknown version");
    assert_eq!(of_program(&patched(40, &[53])), "damaged ELF header: wrong size");
    assert_eq!(of_program(&patched(42, &[56])), "damaged ELF header: wrong size of a program header");
    assert_eq!(of_program(&patched(28, &[53])), "damaged ELF header: misaligned program headers");
    assert_eq!(of_program(&patched(44, &[0])), "has no segment to load");
    // Off a word boundary of memory.
    let shifted = [b"?", program().as_slice()].concat();
    let shifted = &Aligned::new(&shifted)[1..];
    assert_eq!(aegis_loader::elf::Elf::read(shifted).unwrap_err().to_string(), "not on a word boundary of the archive");
}

#[test]
fn files_cut_short() {
    let good = program();
    assert_eq!(of_program(&good[..10]), "cut short: the file ends before its header ends");
    assert_eq!(of_program(&good[..51]), "cut short: the file ends before its header ends");
    assert_eq!(of_program(&good[..100]), "cut short: the file ends before its program headers do");
    assert_eq!(of_program(&good[..good.len() - 1]), "cut short: the file ends before its section headers do");
    assert_eq!(
        of_program(&patched(28, &u32::to_le_bytes(0xffff_fffc))),
        "cut short: the file ends before its program headers do"
    );
    // Without section headers it is the segments that tell.
    let mut without = good.clone();
    without[48] = 0;
    assert_eq!(
        of_program(&without[..good.len() - 41]),
        "cut short: the file ends before the segment at 0x00401004 does"
    );
    // The offset of the first segment that is loaded, its second program header.
    for offset in [0x7fff_ffff, 0xffff_ffff, good.len() as u32] {
        assert_eq!(
            of_program(&patched(52 + 32 + 4, &offset.to_le_bytes())),
            "cut short: the file ends before the segment at 0x00400000 does"
        );
    }
}

#[test]
fn segments() {
    let text = || load(0x40_0000, &[0; 16], 16, RX);
    assert_eq!(of_segments(0x40_0000, &[]), "has no segment to load");
    assert_eq!(of_segments(0x40_0000, &[load(0x40_0000, &[], 0, RX)]), "has no segment to load");
    let many = (0..9).map(|index| load(0x40_0000 + 0x2000 * index, &[0; 16], 16, RX)).collect::<Vec<_>>();
    assert_eq!(of_segments(0x40_0000, &many), "has more than 8 segments to load, or more than 8 notes");
    assert_eq!(of_segments(0x40_0000, &many[..7]), "has more than 6 segments");
    assert_eq!(
        of_segments(0x40_0000, &[load(0x40_0000, &[0; 16], 15, RX)]),
        "the segment at 0x00400000 has more bytes in the file than in memory"
    );
    assert_eq!(
        of_segments(0x40_0000, &[text(), load(0xffff_fff0, &[], 16, RW)]),
        "the segment at 0xfffffff0 goes beyond the last address"
    );
    assert_eq!(
        of_segments(0x40_0000, &[load(0x40_000f, &[], 16, RX), text()]),
        "the segments at 0x00400000 and 0x0040000f overlap"
    );
    assert_eq!(
        of_segments(0x40_0000, &[text(), load(0x7fff_f000, &[], 0x1001, RW)]),
        "the segment from 0x7ffff000 to 0x80000001 is out of range: it must be in 0x00010000-0x80000000"
    );
    assert_eq!(
        of_segments(0x40_0000, &[text(), load(0xffff, &[], 1, RW)]),
        "the segment from 0x0000ffff to 0x00010000 is out of range: it must be in 0x00010000-0x80000000"
    );
    assert_eq!(
        of_segments(0x40_0000, &[text(), load(0x8000_0000, &[], 1, RW)]),
        "the segment from 0x80000000 to 0x80000001 is out of range: it must be in 0x00010000-0x80000000"
    );
    assert_eq!(
        of_segments(0x40_0000, &[text(), load(0x40_0010, &[], 16, RW)]),
        "the page at 0x00400000 belongs to two segments, of which only one is writable"
    );
    assert_eq!(
        of_segments(0x40_0000, &[text(), load(0x50_0000, &[], 0x70_0000, RW)]),
        "too little memory: no 7168 KB are free in one piece"
    );
}

#[test]
fn entries() {
    let text = load(0x40_0000, &[0; 16], 0x100, RX);
    let data = load(0x40_1000, &[0; 16], 16, RW);
    let said = |entry: u32| of_segments(entry, &[text.clone(), data.clone(), load(0x40_2000, &[0; 16], 16, R)]);
    assert_eq!(said(0x40_0002), "the entry point 0x00400002 is not on a word boundary");
    for entry in [0, 0x3f_fffc, 0x40_0010, 0x40_1000, 0x40_2000, 0xffff_fffc] {
        assert_eq!(said(entry), format!("the entry point {entry:#010x} is not in an executable segment"));
    }
}

#[test]
fn notes() {
    let text = || load(0x40_0000, &[0; 16], 16, RX);
    let said = |notes: &[image::Segment]| of_program(&elf(0x40_0000, &[notes, &[text()]].concat()));
    assert_eq!(said(&[]), "has no Aegis note, so it was not built for this system");
    assert_eq!(said(&[kernel_note(1)]), "has no Aegis note, so it was not built for this system");
    assert_eq!(said(&[program_note(7)]), built_for(7));
    assert_eq!(said(&[note(1, &[9, 0, 0, 0])]), built_for(9));
    assert_eq!(said(&[note(1, &VERSION.to_le_bytes())]), "has an Aegis note of the wrong size (4 bytes)");
    assert_eq!(said(&[note(1, &[1])]), "has an Aegis note of the wrong size (1 bytes)");
    assert_eq!(said(&[program_note(1), program_note(1)]), "has two Aegis notes of the same type");
    let mut cut_short = program_note(1);
    cut_short.bytes.pop();
    assert_eq!(said(&[cut_short]), "has a note that is cut short");
    let mut huge = program_note(1);
    huge.bytes[4..8].fill(0xff);
    assert_eq!(said(&[huge]), "has a note that is cut short");
    let nine = vec![program_note(1); 9];
    assert_eq!(said(&nine), "has more than 8 segments to load, or more than 8 notes");
    // A note of somebody else's is none of ours.
    let mut foreign = program_note(7);
    foreign.bytes[12..15].copy_from_slice(b"GNU");
    assert_eq!(said(&[foreign]), "has no Aegis note, so it was not built for this system");
}

#[test]
fn kernels() {
    let vectors = || load(0x8000_0000, &[0; 0x200], 0x200, RX);
    let text = || load(0x8003_0000, &[0; 16], 16, RX);
    let said = |segments: &[image::Segment]| {
        let all = [&[kernel_note(VERSION)], segments].concat();
        of_kernel(&elf(0x8003_0000, &all))
    };
    let allowed = "it must be in 0x80000000-0x80000200 (the vectors) or 0x80030000-0xa0000000";
    assert_eq!(
        said(&[load(0x8000_0000, &[0; 0x200], 0x201, RX), text()]),
        format!("the segment from 0x80000000 to 0x80000201 is out of range: {allowed}")
    );
    assert_eq!(
        said(&[vectors(), load(0x8002_ffff, &[], 1, RW), text()]),
        format!("the segment from 0x8002ffff to 0x80030000 is out of range: {allowed}")
    );
    assert_eq!(
        said(&[load(0x40_0000, &[], 1, RW), text()]),
        format!("the segment from 0x00400000 to 0x00400001 is out of range: {allowed}")
    );
    assert_eq!(
        said(&[text(), load(0x9fff_ffff, &[], 2, RW)]),
        format!("the segment from 0x9fffffff to 0xa0000001 is out of range: {allowed}")
    );
    assert_eq!(said(&[text(), load(0x8004_0000, &[], 0xc_0001, RW)]), "the segment at 0x80040000 overlaps the loader");
    assert_eq!(said(&[text(), load(0x9000_0000, &[], 16, RW)]), "too little memory: no 4 KB are free in one piece");
    let holes = (0..7).map(|hole| load(0x8004_0000 + 0x2000 * hole, &[], 16, RW));
    assert_eq!(said(&[vec![text()], holes.collect()].concat()), "memory falls into more than 16 pieces");
    let with_note = |note| of_kernel(&elf(0x8003_0000, &[note, text()]));
    assert_eq!(with_note(program_note(1)), "has no Aegis note, so it was not built for this system");
    assert_eq!(with_note(kernel_note(7)), built_for(7));
    assert_eq!(
        with_note(note(2, &[&VERSION.to_le_bytes()[..], &[0]].concat())),
        "has an Aegis note of the wrong size (5 bytes)"
    );
}

#[test]
fn machines() {
    let good = Aligned::new(&image::good_archive());
    let mut inputs = inputs(&good, "");
    let memory = |end| [Extent { start: 0, end }];

    let little = memory(0x10_0000);
    inputs.memory = &little;
    let end = inputs.loader.end;
    assert_eq!(
        said(&inputs),
        format!("too little memory: the loader ends at {end:#010x}, and there is no memory to that address")
    );
    let enough_for_one = memory(end.next_multiple_of(4096) + 0x4000);
    inputs.memory = &enough_for_one;
    assert_eq!(said(&inputs), "bin/two: too little memory: no 8 KB are free in one piece");
    let odd = "the machine's memory does not begin at 0 or is in too many pieces";
    let (not_from_zero, not_even_the_prom) = ([Extent { start: 0x1000, end: 0x80_0000 }], memory(0x1_0000));
    for memory in [&[], not_from_zero.as_slice(), &not_even_the_prom] {
        inputs.memory = memory;
        assert_eq!(said(&inputs), odd);
    }
    // An archive that is not where the loader is.
    inputs.memory = &image::MEMORY;
    inputs.archive_start = u32::MAX;
    assert_eq!(said(&inputs), odd);
}
