//! What a good image leads to.

mod image;

use aegis_abi::boot::{ARCHIVE_MAGIC, ArchiveHeader, BootInfo, MemoryRange};
use aegis_loader::archive::Archive;
use aegis_loader::arguments;
use aegis_loader::memory::{self, Extent, Map, Taken};
use aegis_loader::plan::{self, Operation, Plan, programs_start};

use image::{Aligned, MEMORY_END, RW, RX, archive, check, elf, inputs, kernel, load, program, program_note};

/// Memory after a plan was carried out; it was full of 0xee before.
fn carry_out(plan: &Plan, archive: &[u8]) -> Vec<u8> {
    let mut memory = vec![0xee; MEMORY_END as usize];
    for operation in &plan.operations {
        match *operation {
            Operation::Copy { from, to, bytes } => {
                memory[to as usize..][..bytes as usize].copy_from_slice(&archive[from as usize..][..bytes as usize]);
            }
            Operation::Zero { start, bytes } => memory[start as usize..][..bytes as usize].fill(0),
        }
    }
    memory
}

/// Where there is no memory behind the place for programs, the loader's neighbourhood will do.
#[test]
fn little_memory() {
    let archive = Aligned::new(&image::good_archive());
    let mut inputs = inputs(&archive, "");
    // So large that the place for programs is behind what follows.
    inputs.loader.end += 0x4000;
    let loader_end = inputs.loader.end.next_multiple_of(4096);
    let memory = [Extent { start: 0, end: loader_end + 0x6000 }];
    assert!(programs_start(loader_end) >= loader_end + 0x6000);
    inputs.memory = &memory;
    let plan = image::plan(&inputs).unwrap();
    check(&plan, &inputs);
    assert_eq!(plan.info.programs[0].segments[0].physical_start, loader_end);
}

/// Checks that memory holds each value as often as stated, from `at` on.
fn expect(memory: &[u8], mut at: usize, runs: &[(usize, u8)]) {
    for &(count, value) in runs {
        assert!(memory[at..][..count].iter().all(|&byte| byte == value), "not {value:#x} from {at:#x} on");
        at += count;
    }
}

/// A name or an argument, without what fills it up.
fn text(field: &[u8]) -> &str {
    std::str::from_utf8(field).unwrap().trim_end_matches('\0')
}

#[test]
fn a_good_image_is_placed() {
    let archive = Aligned::new(&image::good_archive());
    let inputs = inputs(&archive, "");
    let plan = image::plan(&inputs).unwrap();
    check(&plan, &inputs);

    let info = &plan.info;
    let loader_end = (inputs.loader.end).next_multiple_of(4096);
    let programs = programs_start(loader_end);
    assert!(programs % 0x1_0000 == 0x7000 && (loader_end..loader_end + 0x1_0000).contains(&programs));
    let range = |start, end, kind| MemoryRange { start, bytes: end - start, kind };
    let expected = [
        range(0, 0x3_0000, 1),
        range(0x3_0000, 0x3_3000, 2),
        range(0x3_3000, 0x10_0000, 0),
        range(0x10_0000, loader_end, 3),
        range(loader_end, programs, 0),
        range(programs, programs + 0x6000, 4),
        range(programs + 0x6000, MEMORY_END, 0),
    ];
    assert_eq!(&info.memory[..info.memory_count as usize], &expected);
    assert_eq!((info.magic, info.version, info.bytes), (0x4942_6541, aegis_abi::VERSION, size_of::<BootInfo>() as u32));
    assert_eq!((info.machine, info.prom), (1, 0xbfc0_4000));
    assert_eq!(plan.entry, 0x8003_0010);

    assert_eq!(info.program_count, 2);
    let first = &info.programs[0];
    assert_eq!((text(&first.name), text(&first.arguments)), ("one", ""));
    assert_eq!(first.entry, 0x40_0008);
    assert_eq!((first.header.start_of_slice, first.header.handlers[0], first.header.resume.end), (1, 3, 24));
    assert_eq!(first.segment_count, 2);
    let [code, data, ..] = first.segments;
    assert_eq!((code.virtual_start, code.physical_start, code.bytes, code.writable), (0x40_0000, programs, 0x1000, 0));
    assert_eq!(
        (data.virtual_start, data.physical_start, data.bytes, data.writable),
        (0x40_1000, programs + 0x1000, 0x2000, 1)
    );
    assert_eq!(text(&info.programs[1].name), "two");

    // Memory: nothing of what was there before is left in any page of kernel and programs, and all else is untouched.
    let memory = carry_out(&plan, &archive);
    expect(&memory, 0, &[(0x100, 0x11), (0x2_ff00, 0xee)]);
    expect(&memory, 0x3_0000, &[(0x234, 0x22), (0xdcc, 0), (0x80, 0x33), (0x1f80, 0), (0xc_d000, 0xee)]);
    let program = [(0x120, 0x44), (0x2e0, 0), (0x20, 0x55), (0xbe0, 0), (4, 0), (0x1c, 0x66), (0x1fe0, 0)];
    expect(&memory, loader_end as usize, &[((programs - loader_end) as usize, 0xee)]);
    expect(&memory, programs as usize, &program);
    expect(&memory, programs as usize + 0x3000, &program);
    expect(&memory, programs as usize + 0x6000, &[(MEMORY_END as usize - programs as usize - 0x6000, 0xee)]);

    assert_eq!((info.archive_start, info.archive_bytes), (inputs.archive_start, archive.len() as u32));
}

#[test]
fn arguments_choose_programs() {
    let archive = Aligned::new(&image::good_archive());
    let inputs = inputs(&archive, "  two,limit=8,fast one  two ");
    let plan = image::plan(&inputs).unwrap();
    check(&plan, &inputs);
    let programs = &plan.info.programs[..plan.info.program_count as usize];
    let names = programs.iter().map(|program| (text(&program.name), text(&program.arguments))).collect::<Vec<_>>();
    assert_eq!(names, [("two", "limit=8,fast"), ("one", ""), ("two", "")]);
    assert_eq!(text(&plan.info.command_line), "two,limit=8,fast one  two");
}

#[test]
fn the_prom_default_is_no_argument() {
    assert_eq!(arguments::given(" -a "), Ok(""));
    assert_eq!(arguments::given("-a one"), Ok("-a one"));
}

#[test]
fn segments_with_the_same_rights_become_one_mapping() {
    let segments = [
        program_note(aegis_abi::VERSION),
        load(0x40_0000, &[1; 0x1000], 0x1000, RX),
        load(0x40_1000, &[2; 0x10], 0x10, RX),
        load(0x40_2000, &[3; 0x10], 0x10, RW),
        // A page lies between.
        load(0x40_4000, &[4; 0x10], 0x10, RW),
    ];
    let archive = Aligned::new(&archive(&[("aegis", &kernel()), ("bin/p", &elf(0x40_0000, &segments))]));
    let inputs = inputs(&archive, "");
    let plan = image::plan(&inputs).unwrap();
    check(&plan, &inputs);
    let program = &plan.info.programs[0];
    let segments = &program.segments[..program.segment_count as usize];
    let seen =
        segments.iter().map(|segment| (segment.virtual_start, segment.bytes, segment.writable)).collect::<Vec<_>>();
    assert_eq!(seen, [(0x40_0000, 0x2000, 0), (0x40_2000, 0x1000, 1), (0x40_4000, 0x1000, 1)]);
}

#[test]
fn as_many_programs_as_can_be_started() {
    let archive = Aligned::new(&image::good_archive());
    let line = "one ".repeat(16);
    let inputs = inputs(&archive, &line);
    let plan = image::plan(&inputs).unwrap();
    check(&plan, &inputs);
    assert_eq!(plan.info.program_count, 16);
}

#[test]
fn memory_in_two_pieces() {
    let archive = Aligned::new(&image::good_archive());
    let mut inputs = inputs(&archive, "");
    let first_end = programs_start(inputs.loader.end.next_multiple_of(4096)) + 0x2000;
    let memory = [Extent { start: 0, end: first_end }, Extent { start: 0x40_0000, end: 0x48_0000 }];
    inputs.memory = &memory;
    let plan = image::plan(&inputs).unwrap();
    check(&plan, &inputs);
    let placed =
        plan.info.programs[..2].iter().flat_map(|program| program.segments[..2].iter().map(|s| s.physical_start));
    // Each piece goes to the first place that has room for it.
    assert_eq!(placed.collect::<Vec<_>>(), [first_end - 0x2000, 0x40_0000, first_end - 0x1000, 0x40_2000]);
}

#[test]
fn directories_are_passed_over() {
    let mut bytes = Vec::new();
    cpio::newc::Builder::new("bin").mode(0o040_755).write(&mut bytes, 0).finish().unwrap();
    bytes.extend(archive(&[("aegis", &kernel()), ("bin/one", &program())]));
    let bytes = Aligned::new(&bytes);
    let names = Archive::read(&bytes).unwrap().files().iter().map(|file| file.name).collect::<Vec<_>>();
    assert_eq!(names, ["aegis", "bin/one"]);
}

#[test]
fn the_archive_may_be_padded() {
    let mut bytes = image::good_archive();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    let bytes = Aligned::new(&bytes);
    assert!(image::plan(&inputs(&bytes, "")).is_ok());
}

#[test]
fn the_header_tells_how_long_the_archive_is() {
    let header = |bytes| ArchiveHeader { magic: ARCHIVE_MAGIC, bytes };
    let memory = [Extent { start: 0, end: 0x40_0000 }];
    assert_eq!(plan::archive_bytes(header(0x2f_fff8), 0x10_0000, &memory), Ok(0x2f_fff8));
    let refused = |header, start| plan::archive_bytes(header, start, &memory).unwrap_err().to_string();
    assert_eq!(
        refused(header(0x2f_fff9), 0x10_0000),
        "too little memory: the boot archive ends at 0x00400001, memory at 0x00400000"
    );
    assert_eq!(
        refused(header(u32::MAX), 0x10_0000),
        "too little memory: the boot archive ends at 0x100100007, memory at 0x00400000"
    );
    assert_eq!(refused(header(0), 0x10_0000), "no boot archive stands behind the loader");
    assert_eq!(
        refused(ArchiveHeader { magic: 0x1234, bytes: 8 }, 0x10_0000),
        "what stands behind the loader is not a boot archive (it begins with 0x00001234)"
    );
    assert_eq!(
        refused(header(8), 0x40_0000),
        "too little memory: the loader ends at 0x00400000, and there is no memory to that address"
    );
}

#[test]
fn bitmaps() {
    let extents = |words: &[u32]| memory::from_bitmap(4096, words).map(|extents| extents.to_vec());
    let extent = |start, end| Extent { start, end };
    assert_eq!(extents(&[u32::MAX; 32]), Some(vec![extent(0, 0x40_0000)]));
    assert_eq!(
        extents(&[u32::MAX, u32::MAX, 1, 0, 0x8000_0000]),
        Some(vec![extent(0, 0x4_1000), extent(0x9_f000, 0xa_0000)])
    );
    // Pages that the PROM keeps are memory, whatever it says.
    assert_eq!(extents(&[0xffff_0000, u32::MAX]), Some(vec![extent(0, 0x4_0000)]));
    assert_eq!(extents(&[0, 0, u32::MAX]), Some(vec![extent(0x4_0000, 0x6_0000)]));
    // No memory, too many pieces, no more than there can be.
    assert_eq!(extents(&[]), None);
    assert_eq!(extents(&[0; 100]), None);
    assert_eq!(extents(&[0x5555_5555]), None);
    assert_eq!(extents(&[u32::MAX; 5000]), Some(vec![extent(0, 0x1e00_0000)]));
    assert_eq!(memory::from_bitmap(0x1_0000, &[3]).map(|extents| extents.to_vec()), Some(vec![extent(0, 0x2_0000)]));
    for bytes in [0, 1, 2048, 4097, 0x2_0000, u32::MAX] {
        assert_eq!(memory::from_bitmap(bytes, &[u32::MAX]), None);
    }
}

#[test]
fn the_map_gives_nothing_twice() {
    let mut map = Map::new(&[Extent { start: 0, end: 0x10_0000 }]).unwrap();
    let claim = |map: &mut Map, start, end| map.claim(Extent { start, end }, 2);
    assert_eq!(claim(&mut map, 0x4_0001, 0x4_0002), Ok(()));
    assert_eq!(claim(&mut map, 0x4_0fff, 0x4_1000), Err(Taken::By(2)));
    assert_eq!(claim(&mut map, 0x3_f000, 0x4_0001), Err(Taken::By(2)));
    assert_eq!(claim(&mut map, 0x2_f000, 0x4_0000), Err(Taken::By(1)));
    assert_eq!(claim(&mut map, 0xf_f000, 0x10_0001), Err(Taken::NoMemory));
    assert_eq!(claim(&mut map, 0x10_0000, 0x10_0001), Err(Taken::NoMemory));
    assert_eq!(claim(&mut map, 0xffff_f000, u32::MAX), Err(Taken::NoMemory));
    assert_eq!(map.allocate(0xb_f001, 0, 4), Err(Taken::NoMemory));
    assert_eq!(map.allocate(0xb_f000, 0, 4), Ok(0x4_1000));
    // What is of the same kind and adjacent is one range.
    assert_eq!(map.ranges().len(), 4);
    for memory in [[(1, 4096)], [(0, 4095)], [(4096, 4096)], [(0, 0x1e00_1000)]] {
        let memory = memory.map(|(start, end)| Extent { start, end });
        assert!(matches!(Map::new(&memory), Err(Taken::NoMemory)));
    }
    assert!(matches!(Map::new(&[Extent { start: 0, end: 0x2_0000 }]), Err(Taken::NoMemory)));
}
