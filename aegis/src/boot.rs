//! How the kernel starts: from the loader's jump to the first program.

use crate::arch::bindings::{self, Translation};
use crate::arch::layout::{
    self, DIRECTORY, FRAMES_HIGH, NONCES, PUBLIC, Pages, Record, SAVE_DISTANCE, STLB, VERIFIERS_HIGH,
};
use crate::arch::{self, cp0, entry, fpu};
use crate::console::Console;
use crate::kernel::{Changing, Kernel};
use crate::machine;
use aegis_abi::EnvId;
use aegis_abi::boot::{self, BootInfo, MEMORY_FREE, NAME_BYTES, Program};
use aegis_abi::env::DirectoryEntry;
use aegis_abi::exception::{CODES, Code};
use aegis_abi::frame::{self, FREE, Frame};
use aegis_abi::program::{self, ProgramHeader};
use aegis_abi::public::{Public, Statistics};
use aegis_abi::slice::{COUNT, Slice};
use aegis_abi::vm::{PAGE_BYTES, PAGE_SHIFT, PUBLIC_PAGE, SAVE_PAGE};
use aegis_core::capability::Key;
use aegis_core::environments::{Environments, State};
use aegis_core::frames::{Frames, Verifier};
use aegis_core::hardware::Hardware;
use aegis_core::header;
use aegis_core::mappings::Mapping;
use aegis_core::slices::Slices;
use aegis_core::system::System;
use asm_lines::naked_asm;

/// The note by which the loader knows which interface this kernel has.
#[repr(C)]
struct Note {
    owner_bytes: u32,
    descriptor_bytes: u32,
    kind: u32,
    owner: [u8; 8],
    version: u32,
}

#[used]
#[unsafe(link_section = ".note.aegis")]
static NOTE: Note = Note {
    owner_bytes: program::NOTE_OWNER.len() as u32 + 1,
    descriptor_bytes: 4,
    kind: program::KERNEL_NOTE_TYPE,
    owner: *b"Aegis\0\0\0",
    version: aegis_abi::VERSION,
};

const _: () = assert!(program::NOTE_OWNER.len() == 5);

/// Entered by the loader: kernel mode, interrupts off, a0 = the boot-info block, a1 = its magic number, memory of the kernel's data zeroed.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() -> ! {
    naked_asm!(
        ".set noreorder",
        "mtc0  $zero, $12",            // Status: interrupts off, vectors in memory, no coprocessor
        "lui   $sp, {pages}",
        "j     {start}",
        " addiu $sp, $sp, -16",        // room for four register arguments
        pages = const layout::KERNEL_PAGES_HIGH,
        start = sym start,
    )
}

/// Sets everything up and runs the first slice.
unsafe extern "C" fn start(info: *const BootInfo, magic: u32) -> ! {
    // Until the vectors and records are in place a fault would go nowhere, so that comes first.
    cp0::initialise();
    bindings::clear_all();
    // SAFETY: the kernel is starting.
    let own = unsafe { entry::kernel_record() };
    own.handlers = [arch::kernel_fault_address(); CODES];
    arch::make_current(own);
    assert!(magic == boot::MAGIC, "not started by the loader");
    // SAFETY: by the magic number the loader passed it, and nothing is written where it lies until its last use here.
    let info = unsafe { &*info };
    assert!(info.magic == boot::MAGIC && info.version == aegis_abi::VERSION, "started by another version's loader");
    let machine = machine::Machine::new(info);
    // SAFETY: the first and only time, and no program runs.
    let kernel = unsafe { entry::install(kernel(info, machine)) };
    for (position, program) in info.programs.iter().take(info.program_count as usize).enumerate() {
        if let Err(reason) = start_program(kernel, position as u32, program) {
            kernel.refused += 1;
            kernel.report(format_args!("{}: refused: {reason}", crate::console::text(&program.name)));
        }
    }
    let first = (0..=u8::MAX).find_map(|index| kernel.system.environments.at(index));
    kernel.console.give(first.unwrap_or(EnvId(0)));
    // Who comes first may also take back what others have, and passes that right on.
    if let Some(first) = first {
        kernel.record(first).save_page().revocation.authority = kernel.system.authority();
    }
    kernel.machine.start_clock();
    kernel.next_slice()
}

/// The kernel's state when nobody owns anything: all free memory is in the table of frames.
fn kernel(info: &BootInfo, mut machine: machine::Machine) -> Kernel {
    static STATES: entry::Static<[State; EnvId::COUNT]> = entry::Static::new([State::NONE; EnvId::COUNT]);
    let key = Key(machine.entropy());
    // SAFETY: the linker script keeps these places for these tables, the loader zeroed them, all zero is valid for each, and this
    // is the only time that they are named.
    let (table, verifiers, nonces, directory, states, public) = unsafe {
        (
            &mut *((FRAMES_HIGH << 16) as *mut [Frame; frame::COUNT]),
            &mut *((VERIFIERS_HIGH << 16) as *mut [Verifier; frame::COUNT]),
            &mut *(NONCES as *mut [u64; frame::COUNT]),
            &mut *(DIRECTORY as *mut [DirectoryEntry; EnvId::COUNT]),
            STATES.get(),
            &mut *(PUBLIC as *mut Public),
        )
    };
    let mut frames = Frames::new(table, verifiers, nonces, &key);
    let ranges = || info.memory.iter().take(info.memory_count as usize);
    for range in ranges().filter(|range| range.kind == MEMORY_FREE) {
        for number in frame_range(range.start, range.bytes) {
            frames.set_owner_at_boot(number, FREE);
        }
    }
    public.version = aegis_abi::VERSION;
    public.frames = ranges().flat_map(|range| frame_range(range.start, range.bytes)).max().map_or(0, |last| last + 1);
    public.frame_table = machine::physical((FRAMES_HIGH << 16) as *const Frame);
    public.directory = machine::physical(DIRECTORY as *const DirectoryEntry);
    public.software_tlb = machine::physical(STLB as *const u32);
    public.colours = machine::CACHE_BYTES / PAGE_BYTES;
    (public.archive, public.archive_bytes) = (info.archive_start, info.archive_bytes);
    let physical = |start| machine::physical(start as *const u8);
    let exposed = [
        (physical(PUBLIC), size_of::<Public>()),
        (physical(DIRECTORY), size_of::<[DirectoryEntry; EnvId::COUNT]>()),
        (physical(FRAMES_HIGH << 16), size_of::<[Frame; frame::COUNT]>()),
        (physical(STLB), 2 * layout::STLB_DISTANCE as usize),
        (info.archive_start, info.archive_bytes as usize),
    ];
    let archive_end = info.archive_start + info.archive_bytes;
    let rest = archive_end.next_multiple_of(PAGE_BYTES) - archive_end;
    // SAFETY: behind the archive is nothing but the rest of its last page, which becomes public, too.
    unsafe { machine::cached::<u8>(archive_end).write_bytes(0, rest as usize) };
    for (start, bytes) in exposed {
        for number in frame_range(start, bytes as u32) {
            frames.set_owner_at_boot(number, frame::PUBLIC);
        }
    }
    let Public { ticks, position, slices, statistics, .. } = public;
    let environments = Environments::new(directory, states, layout::KERNEL_PAGES);
    let slices: &mut [Slice; COUNT] = slices;
    let statistics: &mut Statistics = statistics;
    Kernel {
        system: System::new(frames, environments, Slices::new(slices), key),
        public: Changing { ticks, position, statistics },
        console: Console::new(),
        machine,
        refused: 0,
        failed: 0,
        has_fpu: fpu::exists(),
        fpu_user: EnvId(0),
    }
}

/// The numbers of the frames of a range of memory, as far as the table of frames goes.
fn frame_range(start: u32, bytes: u32) -> core::ops::Range<u32> {
    let limit = frame::COUNT as u32;
    (start >> PAGE_SHIFT).min(limit)..((start + bytes).div_ceil(PAGE_BYTES)).min(limit)
}

/// Gives an environment to a program that the loader placed, and a slice to the environment.
fn start_program(kernel: &mut Kernel, position: u32, program: &Program) -> Result<(), &'static str> {
    header::check(program.entry, &program.header)?;
    let free = |number: &u32| kernel.system.is_free(*number) && kernel.system.is_free(number + 1);
    let home = (0..frame::COUNT as u32).step_by(2).find(free).ok_or("no memory is left for its environment")?;
    let record = machine::cached::<Record>(home << PAGE_SHIFT) as u32;
    let id = kernel.system.env_create_at_boot(home, record).ok_or("there are too many environments")?;
    for number in [home, home + 1] {
        Translation.zero(number);
    }
    kernel.begin_record(id, home, program.name);
    for segment in program.segments.iter().take(program.segment_count as usize) {
        for number in frame_range(segment.physical_start, segment.bytes) {
            kernel.system.frames.set_owner_at_boot(number, id.0);
        }
        let mapping = Mapping {
            virtual_start: segment.virtual_start,
            physical_start: segment.physical_start,
            bytes: segment.bytes,
            writable: segment.writable != 0,
            owner: id.0,
            stamp: kernel.system.frames.stamp(),
        };
        let inserted = kernel.record(id).mappings.insert(mapping);
        inserted.expect("the loader places segments on pages of their own");
    }
    let save = kernel.record(id).save_page();
    save.name = program.name;
    save.arguments = program.arguments;
    kernel.set_up(id, program.entry, &program.header);
    kernel.system.slices.allocate(position, id).map_err(|_| "there are more programs than slices")
}

impl Kernel {
    /// Fills in the record of an environment that has just come to life in two empty frames, the first of which is `home`.
    pub fn begin_record(&mut self, id: EnvId, home: u32, name: [u8; NAME_BYTES]) {
        let physical = home << PAGE_SHIFT;
        // SAFETY: the frames are the kernel's and the environment's own, and nobody has a reference to them. They are
        // empty, and all zero is a valid record but for its mappings, an empty vector, which all zero also is.
        let record = unsafe { &mut (*machine::cached::<Pages>(physical)).record };
        // In its place, and not as a value: that is a page, and on a page boundary, of a stack that has two pages.
        record.handlers = [arch::no_handler_address(); CODES];
        record.handlers[Code::Interrupt as usize] = arch::interrupt_address();
        record.id = id.0;
        record.status = machine::user_status().bits();
        record.stlb = STLB;
        record.name = name;
        let own = [
            Mapping {
                virtual_start: SAVE_PAGE,
                physical_start: physical + SAVE_DISTANCE,
                bytes: PAGE_BYTES,
                writable: true,
                owner: id.0,
                stamp: self.system.frames.stamp(),
            },
            Mapping {
                virtual_start: PUBLIC_PAGE,
                physical_start: machine::physical(PUBLIC as *const u8),
                bytes: PAGE_BYTES,
                writable: false,
                owner: frame::PUBLIC,
                stamp: self.system.frames.stamp(),
            },
        ];
        for mapping in own {
            record.mappings.insert(mapping).expect("there is room for the first two");
        }
    }

    /// Sets where an environment is entered: from a header that has been checked, as its entry point has.
    pub fn set_up(&mut self, id: EnvId, entry: u32, header: &ProgramHeader) {
        let record = self.record(id);
        for code in Code::HANDLED {
            let handler = header.handlers[code as usize];
            record.handlers[code as usize] = if handler == 0 { arch::no_handler_address() } else { handler };
        }
        record.next_entry = entry;
        record.start_of_slice = header.start_of_slice;
        record.end_of_slice = header.end_of_slice;
        record.protected_entries = header.protected_entries;
        record.return_sequences = header.return_sequences;
        record.resume = header.resume;
        record.revocation = header.revocation;
        let entries = header.protected_entries;
        self.system.open(id, entries.synchronous != 0, entries.asynchronous != 0, header.revocation != 0);
    }
}
