//! The system calls and the primitive operations.
//!
//! `$v0` holds the number, `syscall` makes the call. `$k0` and `$k1` are lost, as they are at any instruction.
//!
//! - *Primitive operations* (the paper's Table 3) stand for privileged instructions and change **no register**: where
//!   one succeeds even `$v0` keeps the number, which is not negative; where it is refused `$v0` holds an
//!   [`Error`](crate::Error). They take their arguments in `$a0` to `$a3`, the address first in `$a1`, where the
//!   handler of a TLB miss has it.
//! - *Transfers* ([`TRANSFER`], [`TRANSFER_ASYNC`], [`YIELD_TO`]) change `$v1` alone: the party that is named in, the
//!   party that named it out.
//! - *System calls* take `$a0` to `$a3` and give a result in `$v0`: not negative on success, an `Error` otherwise.
//!   There are two paths (the paper's section 5.1, Table 4): *without a stack*, a few instructions of assembly, where
//!   every other register keeps its value; *with a stack*, a function in Rust, where the registers that a function call
//!   may change (`$at`, `$v1`, `$a0`-`$a3`, `$t0`-`$t9`, HI, LO) are lost and the rest keep their values.
//!
//! A number is the byte offset of the call's entry in the kernel's table of gates, so that finding it takes no load; 0
//! is the synchronous transfer, which has a path of its own. Only the bits in [`NUMBER_MASK`] count: any other number
//! but 0 is taken as one that differs in those bits alone.
//!
//! Where a call names a resource that the caller does not own, it *presents* a capability: a tag, in two registers or
//! in its save page, as the call says.

/// Bytes of one gate: 32 instructions.
pub const GATE_BYTES: u32 = 128;
/// Gates in the table, those that no call uses included.
pub const GATES: u32 = 64;
/// The bits of `$v0` that select a gate.
pub const NUMBER_MASK: u32 = (GATES - 1) * GATE_BYTES;
/// The first number in use, but for [`TRANSFER`]. The gates before it would compete with the exception vectors for
/// lines of the instruction cache.
pub const FIRST: u32 = 0x200;

/// The number of the `n`-th gate in use.
const fn gate(n: u32) -> u32 {
    FIRST + n * GATE_BYTES
}

/// Synchronous protected control transfer (the paper's section 5.5; Table 6): enters the environment that `$v1` names
/// at its synchronous entry. `$v1` becomes the caller's id, which nobody can forge: whom to serve is the callee's
/// business. No other register changes, so that they are the message.
///
/// The callee runs in the caller's time slice, and whoever runs when the clock next ticks has it, and all its later
/// instances, until it is passed on by a transfer again: to answer, the callee makes a synchronous transfer to its
/// caller, which is entered at *its* synchronous entry. A slice whose runner dies goes back to its owner.
///
/// Errors: [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment), with `$v1` as it was, if the id is not that of an
/// environment that lives and has a synchronous entry.
pub const TRANSFER: u32 = 0;

/// The id of the calling environment: the null system call, as `getpid` is in a UNIX. No arguments. No errors.
/// Without a stack.
pub const SELF: u32 = gate(0);

/// Asynchronous protected control transfer: as [`TRANSFER`], but to the callee's asynchronous entry, and it lends only
/// what is left of the running slice. Errors as for [`TRANSFER`].
pub const TRANSFER_ASYNC: u32 = gate(1);

/// Gives what is left of the running slice to the environment that `$v1` names, which is entered at its start of slice;
/// `$v1` becomes the caller's id. What the caller leaves in the other registers but `$v0` the callee sees. The caller
/// is entered again at its next slice, at its start-of-slice entry, so it saves its registers first.
///
/// Errors: [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment), with `$v1` as it was, if the id is not that of an
/// environment that lives.
pub const YIELD_TO: u32 = gate(2);

/// Enters a mapping into the software TLB and the TLB (the paper's `TLBwr`): of the page of the address `$a1`, by the
/// EntryLo word `$a2` ([`vm::entry_lo`](crate::vm::entry_lo)), in the caller's addressing context. A mapping that was
/// there for the page is replaced. `$a0` and `$a3` are the first and second word of a capability's tag, for a frame
/// that the caller does not own: one with the right to write if `$a2` allows stores, else one with either right.
///
/// The bit for global mappings is ignored, the context id is always the caller's, and no page ever has two entries.
/// The mapping lasts until it is replaced or deleted, its frame is freed or renewed, or for as long as nothing else
/// needs its place: a program is prepared to be asked again.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if the address is the kernel's; [`Denied`](crate::Error::Denied)
/// if the frame is not the caller's and the tag is not that of a capability for it, or it is no memory for programs at
/// all.
///
/// It has the last gate, since its code is longer than one.
pub const TLB_WRITE: u32 = (GATES - 1) * GATE_BYTES;

/// Deletes the mapping of the page of the address `$a1` from the software TLB and the TLB, if it has one there (the
/// paper's `TLBvadelete`), in the caller's addressing context. No errors.
pub const TLB_DELETE: u32 = gate(3);

/// What the TLB or the software TLB maps the page of the address `$a1` to, in the caller's addressing context: `$v0`
/// becomes its EntryLo word, or 0 if neither holds it. No errors.
pub const TLB_PROBE: u32 = gate(4);

/// Takes rights from the mappings of `$a2` pages, at most [`PROTECT_MAX`](crate::vm::PROTECT_MAX), from the address
/// `$a1` on, in the caller's addressing context: in those that the software TLB or the TLB hold, the bits that are
/// clear in `$a0` are cleared of [`VALID`](crate::vm::entry_lo::VALID) and [`DIRTY`](crate::vm::entry_lo::DIRTY). An
/// addition to the paper's primitives.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there are too many pages, or they reach into the kernel's
/// addresses.
pub const TLB_PROTECT: u32 = gate(5);

/// Installs the addressing context `$a1`, one of the caller's [`CONTEXTS`](crate::vm::CONTEXTS) (the paper's
/// `CIDswitch`): from the next instruction on, addresses are those of another address space, in which no page is mapped
/// but what the program has entered there, and its guaranteed mappings, which are the same in all of them.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such context.
pub const CONTEXT_SWITCH: u32 = gate(6);

/// Lets the program use the floating-point unit if `$a1` is 1, and makes its instructions exceptions if `$a1` is 0 (the
/// paper's `FPUmod`). It has one user at a time: whoever turns it on takes it from the environment that had it, for
/// which its instructions are exceptions again, and finds 0 in its registers. So a program saves them before it lets
/// others run, and loads them again when it is told by an exception that it has lost them.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) for other values of `$a1`;
/// [`NoSuchDevice`](crate::Error::NoSuchDevice) if there is no such unit.
pub const FPU_MODE: u32 = gate(7);

/// Does nothing and returns 0: what any call with a stack costs at least. No arguments. No errors. With a stack.
pub const NULL: u32 = gate(8);

/// Ends the caller's time slice at once; the processor goes to the next slice whose owner has work, which may be the
/// caller's. The caller is entered again at its start-of-slice entry, so it saves its registers first. Does not return.
/// No errors. With a stack.
///
/// A caller that was in its end-of-slice handler has thereby given the processor back in time.
pub const YIELD: u32 = gate(9);

/// Gives up the caller's slices until an event: another environment's [`WAKE`], or the tick `a0` of the
/// [`CLOCK`] if that is not negative as a signed number. The caller is entered again at its start-of-slice entry, as
/// after [`YIELD`]; at once, if a `WAKE` has come since it last waited. Transfers and yields to it are taken all the
/// same, and do not end the wait. Does not return. No errors. With a stack.
pub const WAIT: u32 = gate(10);

/// Ends the wait of the environment `a0`, or its next one if it does not wait just now. Returns 0. With a stack.
///
/// Errors: [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment).
pub const WAKE: u32 = gate(11);

/// Destroys the calling environment; `a0` is its exit status, 0 for success. Does not return. No errors. With a stack.
pub const EXIT: u32 = gate(12);

/// Sends bytes to the console: `a0` points to them, `a1` is how many, at most
/// [`WRITE_MAX`](crate::console::WRITE_MAX). All are queued, in one piece, or none. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if `a1` is too large; [`BadPointer`](crate::Error::BadPointer) if
/// the bytes are not in guaranteed mappings; [`Busy`](crate::Error::Busy) if they do not fit the queue now.
pub const CONSOLE_WRITE: u32 = gate(13);

/// How many bytes wait to be sent to the console. No arguments. No errors. With a stack.
pub const CONSOLE_PENDING: u32 = gate(14);

/// Sets where the kernel enters the program for the exception whose code is `a0` to the address `a1`, or to nowhere if
/// `a1` is 0; an exception that has nowhere to go destroys the environment. Returns the former address, 0 if there was
/// none. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if `a0` is no exception that programs handle
/// (see [`exception`](crate::exception)), or `a1` is not a word-aligned address in user space.
pub const SET_HANDLER: u32 = gate(15);

/// How many time slices have begun since the machine started: a clock with the resolution of one slice
/// ([`slice::MICROSECONDS`](crate::slice::MICROSECONDS)). Wraps at 2^31. No arguments. No errors. With a stack.
pub const CLOCK: u32 = gate(16);

/// Makes the slice at position `a0` of the vector the caller's. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such position, [`Busy`](crate::Error::Busy) if it
/// has an owner.
pub const SLICE_ALLOCATE: u32 = gate(17);

/// Frees the slice at position `a0`. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such position, [`Denied`](crate::Error::Denied) if
/// the caller does not own it.
pub const SLICE_FREE: u32 = gate(18);

/// Makes the environment `a1` the owner of the caller's slice at position `a0`. Returns 0. With a stack.
///
/// Errors: as for [`SLICE_FREE`], and [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment).
pub const SLICE_GIVE: u32 = gate(19);

/// Takes the caller's slice at position `a0` back from whom a synchronous transfer has lent it to, from its next
/// instance on. Returns 0. Errors as for [`SLICE_FREE`]. With a stack.
pub const SLICE_RECLAIM: u32 = gate(20);

/// Makes an environment out of two frames: `a0`, which is even, becomes its save page and `a0` + 1 the kernel's record of
/// it. Both are the caller's, and are mapped nowhere afterwards. The environment has no mappings, entries, or slices
/// yet, and runs only when it has been set up ([`ENV_SETUP`]). Returns its id and, in the save page, a capability for
/// [`CONTROL`](crate::frame::CONTROL) over it. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if `a0` is odd or no frame; [`Denied`](crate::Error::Denied)
/// if the caller does not own both; [`Full`](crate::Error::Full) if there are as many environments as there can be;
/// [`Again`](crate::Error::Again).
pub const ENV_CREATE: u32 = gate(21);

/// Sets where the environment `a0` is entered: `a1` points to a [`ProgramHeader`](crate::program::ProgramHeader), `a2`
/// is where its next slice begins, as an ELF entry point is. May be repeated. The caller is that environment or
/// presents, in its save page, a capability for [`CONTROL`](crate::frame::CONTROL) over it. Returns 0. With a stack.
///
/// From now on its protected entries take transfers, even before it has begun its first slice: so a server that its
/// parent has set up can be called at once, and needs no slice of its own. Whatever its entries rely on has to be in
/// place before.
///
/// Errors: [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment), [`Denied`](crate::Error::Denied);
/// [`BadPointer`](crate::Error::BadPointer) if the header is not in guaranteed mappings;
/// [`BadArgument`](crate::Error::BadArgument) if an entry is not a word-aligned address in user space, or the
/// header is for another version.
pub const ENV_SETUP: u32 = gate(22);

/// Destroys the environment `a0`. All that it had is free at once; frames whose owner is dead count as free. The caller
/// presents, in its save page, a capability for [`CONTROL`](crate::frame::CONTROL), unless it is that environment.
/// Returns 0. With a stack.
///
/// Errors: [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment), [`Denied`](crate::Error::Denied).
pub const ENV_DESTROY: u32 = gate(23);

/// Gives the environment `a0` a guaranteed mapping: `a3` pages from the address `a1` on, which lie in the pinned
/// segment, to as many frames from that in the EntryLo word `a2` on; of its other bits
/// [`DIRTY`](crate::vm::entry_lo::DIRTY) counts. All frames are the caller's, or all that environment's, or public and
/// only to be read; or the caller has a guaranteed mapping of them itself, with such rights, which it passes on. The
/// mapping of each holds until its owner frees the frame, gives it away or renews it, or dies. The caller is the environment or presents, in its save
/// page, a capability for [`CONTROL`](crate::frame::CONTROL). Returns 0. With a stack.
///
/// Errors: [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment); [`Denied`](crate::Error::Denied) for lack of control
/// or of a frame; [`BadArgument`](crate::Error::BadArgument) for an address or a number of pages (at most
/// 256) outside of what is allowed, or pages that already have a guaranteed mapping; [`Full`](crate::Error::Full) if it
/// has [`GUARANTEED`](crate::vm::GUARANTEED) ranges.
pub const ENV_MAP: u32 = gate(24);

/// Takes the guaranteed mapping that begins at the address `a1` from the environment `a0`, with what the TLBs hold of
/// it. Who may: as for [`ENV_MAP`]. The save page and the public page stay. Returns 0. With a stack.
///
/// Errors: [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment), [`Denied`](crate::Error::Denied);
/// [`BadArgument`](crate::Error::BadArgument) if none begins there, or it is one that stays.
pub const ENV_UNMAP: u32 = gate(25);

/// Makes the frame with the number `a0` the caller's. It is full of zeros, nothing maps it, and no capability for it is
/// valid. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such frame, [`Busy`](crate::Error::Busy) if
/// it has an owner; [`Again`](crate::Error::Again).
pub const FRAME_ALLOCATE: u32 = gate(26);

/// Frees the frame `a0`: breaks every mapping of it and voids its capabilities. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such frame; [`Denied`](crate::Error::Denied) if
/// the caller does not own it; [`Busy`](crate::Error::Busy) if it is its save page; [`Again`](crate::Error::Again): the
/// frame can't be mapped meanwhile.
pub const FRAME_FREE: u32 = gate(27);

/// Makes the environment `a1` the owner of the caller's frame `a0`, contents and all. Every mapping of it is broken and
/// its capabilities are void. Returns 0. With a stack.
///
/// Errors: as for [`FRAME_FREE`], and [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment).
pub const FRAME_GIVE: u32 = gate(28);

/// Voids all capabilities for the caller's frame `a0` and breaks every mapping of it, guaranteed ones included. Returns
/// 0. Errors: as for [`FRAME_FREE`]. With a stack.
pub const FRAME_RENEW: u32 = gate(29);

/// Makes a capability for the caller's frame `a0`, with the right `a1`: [`READ`](crate::frame::READ) or
/// [`WRITE`](crate::frame::WRITE). It is in the save page afterwards. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such frame or right;
/// [`Denied`](crate::Error::Denied) if the caller does not own it, or is freeing it.
pub const CAPABILITY: u32 = gate(30);

/// Makes the instruction cache coherent with memory for `a1` bytes, at most a page, of physical memory from the address
/// `a0` on: before code that a program has written is executed. Cache lines have no owner, so any address will do.
/// Returns
/// 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if `a1` is too large or there is no such memory.
pub const ICACHE_FLUSH: u32 = gate(31);

/// The next byte that was typed on the console, if the caller is its reader: 0 to 255. With a stack.
///
/// What is typed belongs to one environment at a time, the *reader*: at first to the program that is started first. It is
/// woken ([`WAKE`]) when something arrives. 256 bytes are kept; what does not fit is lost.
///
/// Errors: [`Denied`](crate::Error::Denied) if the caller is not the reader; [`Busy`](crate::Error::Busy) if there is
/// nothing to read just now.
pub const CONSOLE_READ: u32 = gate(32);

/// Makes the environment `a0` the console's reader. The caller is the reader, or that one is dead. Returns 0. With a
/// stack.
///
/// Errors: [`Denied`](crate::Error::Denied); [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment).
pub const CONSOLE_GIVE: u32 = gate(33);

/// Asks the environment `a0` for `a2` resources of a kind, `a1`: [`FRAMES`](crate::revocation::FRAMES),
/// [`SLICES`](crate::revocation::SLICES), [`FILTERS`](crate::revocation::FILTERS) or
/// [`HANDLERS`](crate::revocation::HANDLERS), with or without [`EMERGENCY`](crate::revocation::EMERGENCY). With `a3` = 0 it
/// is a request, else a command to be done with in `a3` ticks. It takes the place of what was asked for of that kind
/// before, and 0 resources only take that back. The caller presents, in its save page, the capability for
/// [`REVOKE`](crate::frame::REVOKE). Returns how many were still left of what was asked for before. With a stack.
///
/// What the environment frees counts, and what it allocates counts back. It is told at the beginning of its next slice,
/// and woken if it waits; see [`ProgramHeader::revocation`](crate::program::ProgramHeader::revocation).
///
/// Errors: [`Denied`](crate::Error::Denied); [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment);
/// [`BadArgument`](crate::Error::BadArgument) for another kind, more resources than there are of it, a deadline that is
/// not between [`DEADLINE_MIN`](crate::revocation::DEADLINE_MIN) and
/// [`DEADLINE_MAX`](crate::revocation::DEADLINE_MAX), or an emergency without one.
pub const REVOKE: u32 = gate(34);

/// Takes the frame `a0` from an environment that owes frames past a deadline: the abort protocol. Every mapping of it is
/// broken, its capabilities are void, its contents go where its owner has said, and it is nobody's; the owner's
/// repossession vector tells of it, and the owner is told. The caller presents, in its save page, the capability for
/// [`REVOKE`](crate::frame::REVOKE). Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such frame;
/// [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment) if no environment that lives owns it;
/// [`Denied`](crate::Error::Denied) without the capability, if the owner owes no frames or was only requested to give
/// some, or if the frame is in its reserve and this is no emergency; [`Busy`](crate::Error::Busy) if the deadline has not
/// passed, if it is the owner's save page, or while another frame is taken from it;
/// [`Again`](crate::Error::Again): the frame can't be mapped meanwhile, and its owner can only free it.
pub const FRAME_REPOSSESS: u32 = gate(35);

/// Takes the slice at position `a0` from an environment that owes slices past a deadline, as [`FRAME_REPOSSESS`] takes
/// frames; lent or not, it is nobody's. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such position;
/// [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment) if it has no owner; [`Denied`](crate::Error::Denied) without
/// the capability, if the owner owes no slices or was only requested to give some, or if it has no other and this is no
/// emergency; [`Busy`](crate::Error::Busy) if the deadline has not passed.
pub const SLICE_REPOSSESS: u32 = gate(36);

/// Installs a packet filter (the paper's section 5.6): `a1` points to its [atoms](crate::filter), `a2` is how many. From
/// now on it gets the messages that it accepts. `a0` is a frame of the caller's that pays for it and that nothing maps:
/// as long as the filter is there the frame is public, and the kernel notes the filter in it
/// ([`Installed`](crate::network::Installed)). Returns the filter's number; that of the caller's filter that the frame pays for already, if
/// there is one. With a stack.
///
/// The filter must be provably disjoint from the filters of every other owner, unless that owner allows it: the caller
/// presents, in its save page, a capability for [`CONTROL`](crate::frame::CONTROL) over it.
///
/// Errors: [`NoSuchDevice`](crate::Error::NoSuchDevice) if the machine has no network;
/// [`BadPointer`](crate::Error::BadPointer) if the atoms are not in guaranteed mappings;
/// [`BadArgument`](crate::Error::BadArgument) if they are no filter, or there is no such frame;
/// [`Denied`](crate::Error::Denied) if the caller does not own the frame, or the filter may accept a message of another
/// owner's; [`Busy`](crate::Error::Busy) if the frame is the save page or may be mapped ([`FRAME_RENEW`] ends that), or
/// this very filter is installed already; [`Full`](crate::Error::Full) if there are too many filters;
/// [`Again`](crate::Error::Again): its parts are a call each, and filters of the dead are removed before. The atoms are read by
/// the first.
pub const FILTER_INSERT: u32 = gate(37);

/// Removes the caller's filter `a0`. The frame that paid for it is the caller's again. If others have mapped it, it
/// counts as being freed until [`FRAME_RENEW`] or [`FRAME_FREE`] has broken those mappings. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such filter; [`Denied`](crate::Error::Denied) if it
/// is another's; [`Again`](crate::Error::Again): an insertion under way is finished first.
pub const FILTER_REMOVE: u32 = gate(38);

/// Makes the caller's frame `a1` the ring of the caller's filter `a0`, whose next message takes its first descriptor; 0
/// is no frame, and then messages are dropped. It holds until the frame is freed, given away, renewed or taken. Returns
/// 0. With a stack.
///
/// Errors: as for [`FILTER_REMOVE`], and [`BadArgument`](crate::Error::BadArgument) if there is no such frame;
/// [`Denied`](crate::Error::Denied) if the caller does not own it; [`Busy`](crate::Error::Busy) if it is its save page.
pub const FILTER_RING: u32 = gate(39);

/// Sends a message of `a1` bytes at the address `a0`, from the Ethernet header on; see [`network`](crate::network). Its
/// source must be the interface's own address, and, turned round, it must be a message for a filter of the caller's:
/// addresses of Ethernet, IP and ARP, ports of TCP and UDP, and what is asked and what answers it (ARP, ICMP's echo),
/// change places. A later part of an IP datagram has no ports. Returns 0 when the controller has it.
/// With a stack.
///
/// Errors: [`NoSuchDevice`](crate::Error::NoSuchDevice); [`BadArgument`](crate::Error::BadArgument) if it is shorter than
/// [`HEADER`](crate::network::HEADER) or longer than [`MESSAGE_MAX`](crate::network::MESSAGE_MAX);
/// [`BadPointer`](crate::Error::BadPointer) if it is not in guaranteed mappings; [`Busy`](crate::Error::Busy) if the
/// controller has no room just now; [`Denied`](crate::Error::Denied) if it is not in the caller's name;
/// [`Again`](crate::Error::Again): an insertion under way is finished first.
pub const NETWORK_SEND: u32 = gate(40);

/// Installs a handler for the messages of the caller's filter `a0` (the paper's section 6.3, [`ash`](crate::ash)): `a1`
/// points to a [`Request`](crate::ash::Request). It is checked and rewritten into frames of the caller's, which are public
/// for as long as it is there; it goes when the filter goes, or one of the frames of its region. Returns 0. With a stack.
///
/// Errors: as for [`FILTER_REMOVE`]; [`BadPointer`](crate::Error::BadPointer) if request, code, or an own pipe is not in
/// guaranteed mappings; [`BadArgument`](crate::Error::BadArgument) if there is no such frame, if region, budget or pipes are
/// none, or if the code breaks a [rule](crate::ash::Rule): then the second frame, which is the caller's again, tells which
/// ([`Installed::refused`](crate::ash::Installed::refused)); [`Denied`](crate::Error::Denied) if the caller does not own all
/// frames; [`Busy`](crate::Error::Busy) if the filter has a handler, the two frames may be mapped, or one is the save page;
/// [`Full`](crate::Error::Full) if the loops of the pipes are too long for their frame;
/// [`Again`](crate::Error::Again): its parts are a call each. The first reads the request and the code.
pub const HANDLER_INSTALL: u32 = gate(41);

/// Removes the handler of the caller's filter `a0`. Its two frames are the caller's again; as with [`FILTER_REMOVE`], those that others
/// have mapped count as being freed. Returns 0. With a stack.
///
/// Errors: as for [`FILTER_REMOVE`], and [`BadArgument`](crate::Error::BadArgument) if it has none.
pub const HANDLER_REMOVE: u32 = gate(42);

/// Takes the filter `a0` from an environment that owes filters past a deadline, as [`FRAME_REPOSSESS`] takes frames: its
/// messages are nobody's, its handler goes with it, and the frames of both are the owner's again, as after
/// [`FILTER_REMOVE`]. Returns 0. With a stack.
///
/// Errors: [`BadArgument`](crate::Error::BadArgument) if there is no such number;
/// [`NoSuchEnvironment`](crate::Error::NoSuchEnvironment) if nobody who lives has a filter with it;
/// [`Denied`](crate::Error::Denied) without the capability, or if the owner owes no filters or was only requested to give
/// some; [`Busy`](crate::Error::Busy) if the deadline has not passed; [`Again`](crate::Error::Again): an insertion under way
/// is finished first.
pub const FILTER_REPOSSESS: u32 = gate(43);

/// Takes the handler of the filter `a0` from an environment that owes handlers past a deadline; the filter stays. Its frames
/// are the owner's again, as after [`HANDLER_REMOVE`]. Returns 0. Errors: as for [`FILTER_REPOSSESS`], with handlers in the
/// place of filters. With a stack.
pub const HANDLER_REPOSSESS: u32 = gate(44);

/// Every call's name and number, in order of number, for tables and documentation.
pub const ALL: [(&str, u32); 47] = [
    ("transfer", TRANSFER),
    ("self", SELF),
    ("transfer_async", TRANSFER_ASYNC),
    ("yield_to", YIELD_TO),
    ("tlb_delete", TLB_DELETE),
    ("tlb_probe", TLB_PROBE),
    ("tlb_protect", TLB_PROTECT),
    ("context_switch", CONTEXT_SWITCH),
    ("fpu_mode", FPU_MODE),
    ("null", NULL),
    ("yield", YIELD),
    ("wait", WAIT),
    ("wake", WAKE),
    ("exit", EXIT),
    ("console_write", CONSOLE_WRITE),
    ("console_pending", CONSOLE_PENDING),
    ("set_handler", SET_HANDLER),
    ("clock", CLOCK),
    ("slice_allocate", SLICE_ALLOCATE),
    ("slice_free", SLICE_FREE),
    ("slice_give", SLICE_GIVE),
    ("slice_reclaim", SLICE_RECLAIM),
    ("env_create", ENV_CREATE),
    ("env_setup", ENV_SETUP),
    ("env_destroy", ENV_DESTROY),
    ("env_map", ENV_MAP),
    ("env_unmap", ENV_UNMAP),
    ("frame_allocate", FRAME_ALLOCATE),
    ("frame_free", FRAME_FREE),
    ("frame_give", FRAME_GIVE),
    ("frame_renew", FRAME_RENEW),
    ("capability", CAPABILITY),
    ("icache_flush", ICACHE_FLUSH),
    ("console_read", CONSOLE_READ),
    ("console_give", CONSOLE_GIVE),
    ("revoke", REVOKE),
    ("frame_repossess", FRAME_REPOSSESS),
    ("slice_repossess", SLICE_REPOSSESS),
    ("filter_insert", FILTER_INSERT),
    ("filter_remove", FILTER_REMOVE),
    ("filter_ring", FILTER_RING),
    ("network_send", NETWORK_SEND),
    ("handler_install", HANDLER_INSTALL),
    ("handler_remove", HANDLER_REMOVE),
    ("filter_repossess", FILTER_REPOSSESS),
    ("handler_repossess", HANDLER_REPOSSESS),
    ("tlb_write", TLB_WRITE),
];
