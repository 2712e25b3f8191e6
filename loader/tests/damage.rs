//! Damaged inputs: none makes the loader panic, and whatever it accepts all the same is a plan that can be carried out.

mod image;

use aegis_loader::archive::Archive;
use aegis_loader::memory::{self, Extent};
use aegis_loader::plan::Inputs;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use image::{Aligned, RW, RX, archive, check, elf, inputs, kernel, load, program, program_note};

/// What is done to a file.
#[derive(Clone, Debug)]
enum Damage {
    /// A byte becomes another.
    Byte(Index, u8),
    /// A word becomes one that is likely to be at a limit.
    Word(Index, u32),
    /// Two pieces of the same length change places.
    Swap(Index, Index, usize),
    /// A piece is cut out.
    Cut(Index, usize),
    /// The end is lost.
    Truncate(Index),
}

/// Words that are at limits: of numbers, of address ranges, of sizes that ELF files and the tests' files have.
fn word() -> impl Strategy<Value = u32> {
    let limits = vec![
        0,
        1,
        3,
        4,
        0x10,
        0x20,
        0x34,
        0xff,
        0x200,
        0xfff,
        0x1000,
        0x1001,
        0x1_0000,
        0x3_0000,
        0x10_0000,
        0x40_0000,
        0x40_1000,
        0x80_0000,
        0x1e00_0000,
        0x7fff_f000,
        0x7fff_ffff,
        0x8000_0000,
        0x8000_0200,
        0x8002_ffff,
        0x8003_0000,
        0x800f_ffff,
        0x8010_0000,
        0x9fff_ffff,
        0xa000_0000,
        0xffff_f000,
        0xffff_fffc,
        0xffff_ffff,
    ];
    prop_oneof![4 => select(limits), 1 => 0_u32..0x800, 1 => any::<u32>()]
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        6 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Byte(at, byte)),
        12 => (any::<Index>(), word()).prop_map(|(at, word)| Damage::Word(at, word)),
        2 => (any::<Index>(), any::<Index>(), 1_usize..64).prop_map(|(one, other, bytes)| Damage::Swap(one, other, bytes)),
        1 => (any::<Index>(), 1_usize..64).prop_map(|(at, bytes)| Damage::Cut(at, bytes)),
        1 => any::<Index>().prop_map(Damage::Truncate),
    ]
}

/// Does it to the first `within` bytes of `bytes`, where the headers are.
fn apply(damage: &Damage, bytes: &mut Vec<u8>, within: usize) {
    let length = within.min(bytes.len());
    if length < 4 {
        return;
    }
    match damage {
        Damage::Byte(at, byte) => bytes[at.index(length)] = *byte,
        Damage::Word(at, word) => bytes[4 * at.index(length / 4)..][..4].copy_from_slice(&word.to_le_bytes()),
        Damage::Swap(one, other, count) => {
            let count = (*count).min(length);
            let (one, other) = (one.index(length - count + 1), other.index(length - count + 1));
            for index in 0..count {
                bytes.swap(one + index, other + index);
            }
        }
        Damage::Cut(at, count) => {
            let at = at.index(length);
            bytes.drain(at..(at + count).min(length));
        }
        Damage::Truncate(at) => bytes.truncate(at.index(bytes.len() + 1)),
    }
}

/// Makes a plan; if it is refused the refusal has words, else the plan can be carried out. True if it was accepted.
fn survives(inputs: &Inputs<'_>) -> bool {
    match image::plan(inputs) {
        Ok(plan) => check(&plan, inputs),
        Err(refusal) => {
            let said = refusal.to_string();
            assert!(!said.is_empty() && said.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{said:?}");
            return false;
        }
    }
    true
}

/// The files of an archive, read by the `cpio` crate.
fn read_by_cpio(mut bytes: &[u8]) -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    loop {
        let mut reader = cpio::newc::Reader::new(bytes)?;
        let entry = reader.entry().clone();
        if entry.is_trailer() {
            return Ok(files);
        }
        let mut contents = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut contents)?;
        if entry.mode() & 0o170_000 != 0o040_000 {
            files.push((entry.name().to_owned(), contents));
        }
        bytes = reader.finish()?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage anywhere in an archive.
    #[test]
    fn damaged_archives(damages in vec(damage(), 1..4), line in "(one|two|-a|x| |,){0,4}") {
        let mut bytes = image::good_archive();
        for damage in &damages {
            apply(damage, &mut bytes, usize::MAX);
        }
        let bytes = Aligned::new(&bytes);
        survives(&inputs(&bytes, &line));
    }

    /// Damage to the headers and notes of a kernel and a program in an archive that is good.
    #[test]
    fn damaged_files(of_kernel in vec(damage(), 0..3), of_program in vec(damage(), 0..3)) {
        let (mut kernel, mut program) = (kernel(), program());
        for damage in &of_kernel {
            apply(damage, &mut kernel, 180);
        }
        for damage in &of_program {
            apply(damage, &mut program, 304);
        }
        let bytes = Aligned::new(&archive(&[("aegis", &kernel), ("bin/one", &program)]));
        survives(&inputs(&bytes, "one one"));
    }

    /// Programs with any segments: they may touch, share pages, overlap now and then, and be in any order.
    #[test]
    fn any_segments(
        segments in vec((-1_i32..0x1800, 0_u32..0x3000, 0_u32..0x2000, any::<bool>()), 1..8),
        entry in any::<Index>(),
        turn in any::<Index>(),
    ) {
        let mut all = vec![program_note(aegis_abi::VERSION)];
        let mut address = 0x40_0000_u32;
        for &(gap, memory_bytes, file_bytes, writable) in &segments {
            address = address.saturating_add_signed(gap) & !3;
            let file = vec![0x77; file_bytes.min(memory_bytes) as usize];
            all.push(load(address, &file, memory_bytes, if writable { RW } else { RX }));
            address += memory_bytes;
        }
        let entry = all[1 + entry.index(segments.len())].address;
        all[1..].rotate_left(turn.index(segments.len()));
        let bytes = Aligned::new(&archive(&[("aegis", &kernel()), ("bin/p", &elf(entry, &all))]));
        survives(&inputs(&bytes, ""));
    }

    /// Any memory, with the loader anywhere in it.
    #[test]
    fn any_memory(
        words in vec(prop_oneof![8 => Just(u32::MAX), 1 => select(vec![0, 1, 0xffff_0000, 0x0fff_ffff])], 2..32),
        start in 0_u32..0x200,
    ) {
        let bytes = Aligned::new(&image::good_archive());
        let Some(memory) = memory::from_bitmap(4096, &words) else { return Ok(()) };
        let mut inputs = inputs(&bytes, "");
        inputs.memory = &memory;
        inputs.loader.start = start << 12;
        inputs.archive_start = inputs.loader.start + 0x3008;
        inputs.loader.end = inputs.archive_start + bytes.len() as u32;
        survives(&inputs);
    }

    /// Any numbers for what the loader knows of itself.
    #[test]
    fn any_place(
        start in prop_oneof![Just(image::LOADER_START), word()],
        end in prop_oneof![Just(0x10_8000), word()],
        archive_start in prop_oneof![Just(image::ARCHIVE_START), word()],
        memory in prop_oneof![Just(vec![(0, 0x80_0000)]), word().prop_map(|end| vec![(0, end)]), vec((word(), word()), 0..10)],
    ) {
        let bytes = Aligned::new(&image::good_archive());
        let memory = memory.iter().map(|&(start, end)| Extent { start, end }).collect::<Vec<_>>();
        let loader = Extent { start, end };
        survives(&Inputs { memory: &memory, loader, archive_start, ..inputs(&bytes, "") });
    }

    /// Any bytes at all, and any line.
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..300), line in any::<String>()) {
        let bytes = Aligned::new(&bytes);
        prop_assert!(!survives(&inputs(&bytes, &line)));
        let good = Aligned::new(&image::good_archive());
        survives(&inputs(&good, &line));
    }

    /// What this reader accepts, another reader reads the same.
    #[test]
    fn another_reader_agrees(
        files in vec(("[a-z/]{1,32}", vec(any::<u8>(), 0..40)), 0..6),
        damages in vec(damage(), 0..2),
    ) {
        let files = files.iter().map(|(name, contents)| (name.as_str(), contents.as_slice())).collect::<Vec<_>>();
        let mut bytes = archive(&files);
        let unique = files.iter().map(|file| file.0).collect::<std::collections::HashSet<_>>().len() == files.len();
        for damage in &damages {
            apply(damage, &mut bytes, usize::MAX);
        }
        match Archive::read(&bytes) {
            Ok(archive) => {
                let ours = archive.files().iter().map(|file| (file.name.to_owned(), file.bytes.to_vec())).collect::<Vec<_>>();
                prop_assert_eq!(ours, read_by_cpio(&bytes).expect("the other reader takes it"));
            }
            Err(error) => prop_assert!(!damages.is_empty() || files.is_empty() || !unique, "{}", error),
        }
    }
}

/// Wherever an archive is cut, it is refused.
#[test]
fn cut_anywhere() {
    let good = image::good_archive();
    for length in 0..good.len() {
        let bytes = Aligned::new(&good[..length]);
        assert!(!survives(&inputs(&bytes, "")) || length > good.len() - 4, "{length} of {}", good.len());
    }
}

/// Wherever a kernel or a program is cut, it is refused.
#[test]
fn files_cut_anywhere() {
    let (kernel, program) = (kernel(), program());
    for length in 0..kernel.len() {
        let bytes = Aligned::new(&archive(&[("aegis", &kernel[..length]), ("bin/p", &program)]));
        assert!(!survives(&inputs(&bytes, "")));
    }
    for length in 0..program.len() {
        let bytes = Aligned::new(&archive(&[("aegis", &kernel), ("bin/p", &program[..length])]));
        assert!(!survives(&inputs(&bytes, "")));
    }
}
