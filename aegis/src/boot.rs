//! How the kernel starts: from the loader's jump to the first program.

use crate::arch::bindings::{self, Translation};
use crate::arch::layout::{self, DIRECTORY, FRAMES_HIGH, NONCES, PUBLIC, Pages, Record, STLB, VERIFIERS_HIGH};
use crate::arch::{self, cp0, entry, fpu};
use crate::console::Console;
use crate::handlers::{Making, Scratch};
use crate::kernel::{Changing, Kernel};
use crate::machine;
use crate::network::{self, FRAME, Seen};
use aegis_abi::EnvId;
use aegis_abi::boot::{self, BootInfo, MEMORY_FREE, NAME_BYTES, Program};
use aegis_abi::env::DirectoryEntry;
use aegis_abi::exception::{CODES, Code};
use aegis_abi::frame::{self, FREE, Frame};
use aegis_abi::network::FILTERS;
use aegis_abi::program::{self, ProgramHeader};
use aegis_abi::public::Public;
use aegis_abi::slice::{COUNT, Slice};
use aegis_abi::vm::{PAGE_BYTES, PAGE_SHIFT, PUBLIC_PAGE, SAVE_PAGE};
use aegis_core::capability::Key;
use aegis_core::environments::{Environments, State};
use aegis_core::frames::{Frames, Verifier};
use aegis_core::hardware::Hardware;
use aegis_core::header;
use aegis_core::mappings::Mapping;
use aegis_core::network::Network;
use aegis_core::slices::Slices;
use aegis_core::system::System;
use aegis_dpf::{Block, Edge, Engine, Filter, Memory, Node, buddy};
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
        " addiu $sp, $sp, {top} - 16",  // room for four register arguments
        pages = const layout::KERNEL_PAGES_HIGH,
        top = const layout::STACK_TOP,
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
    own.pending.0 = [arch::kernel_fault_address(); CODES];
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
    kernel.slice_cycles = kernel.machine.start_clock();
    kernel.left = network::share(kernel.slice_cycles);
    if let Some(network) = &mut kernel.machine.network {
        network.begin();
    }
    kernel.next_slice()
}

/// The kernel's state when nobody owns anything: all free memory is in the table of frames.
fn kernel(info: &BootInfo, mut machine: machine::Machine) -> Kernel {
    static STATES: entry::Static<[State; EnvId::COUNT]> = entry::Static::new([State::NONE; EnvId::COUNT]);
    static MAKING: entry::Static<Scratch> = entry::Static::new(Scratch::NEW);
    let key = Key(machine.entropy());
    // SAFETY: the linker script keeps these places for these tables, the loader zeroed them, all zero is valid for each, and this
    // is the only time that they are named.
    let (table, verifiers, nonces, directory, states, public, scratch) = unsafe {
        (
            &mut *((FRAMES_HIGH << 16) as *mut [Frame; frame::COUNT]),
            &mut *((VERIFIERS_HIGH << 16) as *mut [Verifier; frame::COUNT]),
            &mut *(NONCES as *mut [u64; frame::COUNT]),
            &mut *(DIRECTORY as *mut [DirectoryEntry; EnvId::COUNT]),
            STATES.get(),
            &mut *(PUBLIC as *mut Public),
            MAKING.get(),
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
    machine.prepare_network(set_aside(&mut frames, machine::NETWORK_BYTES));
    let Public { ticks, position, slices, statistics, interface, filters, .. } = public;
    if let Some(network) = &machine.network {
        interface.present = 1;
        interface.address[..6].copy_from_slice(&network.address);
    }
    let network = Network::new(engine(&mut frames), filters);
    let environments = Environments::new(directory, states, layout::KERNEL_PAGES);
    let slices: &mut [Slice; COUNT] = slices;
    Kernel {
        system: System::new(frames, environments, Slices::new(slices), network, statistics, key),
        public: Changing { ticks, position, interface },
        console: Console::new(),
        machine,
        slice_cycles: machine::SLICE_CYCLES,
        left: 0,
        frame: FRAME,
        seen: Seen::default(),
        making: Making::none(scratch),
        refused: 0,
        failed: 0,
        has_fpu: fpu::exists(),
        fpu_user: EnvId(0),
    }
}

/// What the engine that tells messages apart works in: for as many filters as there can be, if they are alike, as filters
/// of connections are. All zero is good.
#[repr(C, align(64))]
struct EngineMemory {
    code: [u32; 16 * 1024],
    tables: [u32; 4 * 1024],
    filters: [Filter; FILTERS],
    nodes: [Node; 512],
    edges: [Edge; 1024],
    buckets: [u16; 1024],
    code_blocks: [Block; 16 * 1024 / buddy::UNIT],
    table_blocks: [Block; 4 * 1024 / buddy::UNIT],
}

/// The engine, in memory that is set aside for it.
fn engine(frames: &mut Frames) -> Engine<'static> {
    let memory = machine::cached::<EngineMemory>(set_aside(frames, size_of::<EngineMemory>() as u32));
    // SAFETY: the memory is the kernel's from now on and full of zeros, which are good values, and it is named only here.
    let memory = unsafe { &mut *memory };
    Engine::new(Memory {
        code_at: &raw const memory.code as u32,
        tables_at: &raw const memory.tables as u32,
        code: &mut memory.code,
        tables: &mut memory.tables,
        filters: &mut memory.filters,
        nodes: &mut memory.nodes,
        edges: &mut memory.edges,
        buckets: &mut memory.buckets,
        code_blocks: &mut memory.code_blocks,
        table_blocks: &mut memory.table_blocks,
    })
}

/// Makes the first free frames that stand side by side, and have so many bytes together, the kernel's, and empties them;
/// the physical address.
fn set_aside(frames: &mut Frames, bytes: u32) -> u32 {
    let count = bytes.div_ceil(PAGE_BYTES);
    let is_free = |frames: &Frames, first| (first..first + count).all(|number| frames.owner(number) == FREE);
    let first = (0..frames.len()).find(|&first| is_free(frames, first)).expect("the machine has little memory");
    for number in first..first + count {
        frames.set_owner_at_boot(number, frame::KERNEL);
        Translation.zero(number);
    }
    first << PAGE_SHIFT
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
    let record = machine::cached::<Record>((home + 1) << PAGE_SHIFT) as u32;
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
        // In its place, and not as a value, which is a page, and on a page boundary, of the stack.
        record.handlers = [arch::no_handler_address(); CODES];
        record.handlers[Code::Interrupt as usize] = arch::interrupt_address();
        record.pending.0 = [arch::interrupt_address(); CODES];
        record.id = id.0;
        record.status = machine::user_status().bits();
        record.stlb = STLB;
        record.name = name;
        let own = [
            Mapping {
                virtual_start: SAVE_PAGE,
                physical_start: physical,
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
