/* The calls of Aegis for programs in C.

   Written by `cargo exo interface` from aegis/abi, which is the place to change anything. For an R3000: gcc -EL -march=mips1
   -msoft-float -mno-abicalls -G0. Transfers, and calls that end a slice, need what the runtime knows: see exos.h. */
#ifndef AEGIS_H
#define AEGIS_H

#include <stdint.h>

#define AEGIS_VERSION 6
#define AEGIS_PAGE_BYTES 4096
#define AEGIS_USER_END 0x80000000u
#define AEGIS_NORMAL_START 0x40000000u
#define AEGIS_PROGRAM_START 0x10000u
#define AEGIS_SAVE_PAGE 0x7000u
#define AEGIS_PUBLIC_PAGE 0x6000u
#define AEGIS_ENTRY_VALID 0x200u
#define AEGIS_ENTRY_DIRTY 0x400u
#define AEGIS_ENTRY_UNCACHED 0x800u
#define AEGIS_SLICES 64
#define AEGIS_SLICE_MICROSECONDS 15625
#define AEGIS_CONSOLE_WRITE_MAX 128
#define AEGIS_MESSAGE_MIN 14
#define AEGIS_MESSAGE_MAX 1514
#define AEGIS_RIGHT_READ 1
#define AEGIS_RIGHT_WRITE 2
#define AEGIS_RIGHT_CONTROL 4
#define AEGIS_RIGHT_REVOKE 8

/* What a call can refuse with. A result that is not negative is a success. */
#define AEGIS_NO_SUCH_CALL (-1)
#define AEGIS_BAD_ARGUMENT (-2)
#define AEGIS_BAD_POINTER (-3)
#define AEGIS_BUSY (-4)
#define AEGIS_AGAIN (-5)
#define AEGIS_DENIED (-6)
#define AEGIS_NO_SUCH_ENVIRONMENT (-7)
#define AEGIS_FULL (-8)
#define AEGIS_NO_SUCH_DEVICE (-9)

/* What the kernel shows: where on the public page. See aegis/abi/src/public.rs. */
#define AEGIS_PUBLIC_VERSION 0
#define AEGIS_PUBLIC_TICKS 4
#define AEGIS_PUBLIC_POSITION 8
#define AEGIS_PUBLIC_FRAMES 12
#define AEGIS_PUBLIC_FRAME_TABLE 16
#define AEGIS_PUBLIC_DIRECTORY 20
#define AEGIS_PUBLIC_SOFTWARE_TLB 24
#define AEGIS_PUBLIC_COLOURS 28
#define AEGIS_PUBLIC_ARCHIVE 32
#define AEGIS_PUBLIC_ARCHIVE_BYTES 36
#define AEGIS_PUBLIC_SLICES 40
#define AEGIS_PUBLIC_STATISTICS 552
#define AEGIS_PUBLIC_INTERFACE 612
#define AEGIS_PUBLIC_FILTERS 680

/* The tag of a capability that a call takes or gives: two words of the save page. */
#define AEGIS_CAPABILITY ((volatile uint32_t *)(AEGIS_SAVE_PAGE + 3832))

/* Marks: instructions that do nothing, between which a tool counts. */
#define AEGIS_MARK_BEGIN(id) __asm__ volatile(".word %0" : : "i"(0x3c000000 | (id)) : "memory")
#define AEGIS_MARK_END(id) AEGIS_MARK_BEGIN(0x8000 | (id))

/* A word of the public page. */
static inline uint32_t aegis_public(uint32_t offset)
{
    return *(const volatile uint32_t *)(AEGIS_PUBLIC_PAGE + offset);
}

/* A position of the slice vector: who owns it, and who runs in it. */
static inline const volatile uint32_t *aegis_public_slice(uint32_t position)
{
    return (const volatile uint32_t *)(AEGIS_PUBLIC_PAGE + AEGIS_PUBLIC_SLICES) + 2 * position;
}

/* Makes a call, again as long as it answers that there is more to do. */
static inline int32_t aegis_call(uint32_t number, uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3)
{
    for (;;) {
        register uint32_t in0 __asm__("$4") = a0;
        register uint32_t in1 __asm__("$5") = a1;
        register uint32_t in2 __asm__("$6") = a2;
        register uint32_t in3 __asm__("$7") = a3;
        register int32_t v0 __asm__("$2") = (int32_t)number;

        __asm__ volatile("syscall"
                         : "+r"(v0), "+r"(in0), "+r"(in1), "+r"(in2), "+r"(in3)
                         :
                         : "$1", "$3", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "hi", "lo",
                           "memory");
        if (v0 != AEGIS_AGAIN)
            return v0;
    }
}

/* Synchronous protected control transfer (the paper's section 5.5; Table 6): enters the environment that $v1
   names at its synchronous entry. $v1 becomes the caller's id, which nobody can forge: whom to serve is the
   callee's business. No other register changes, so that they are the message.

   The callee runs in the caller's time slice, and whoever runs when the clock next ticks has it, and all its later
   instances, until it is passed on by a transfer again: to answer, the callee makes a synchronous transfer to its
   caller, which is entered at *its* synchronous entry. A slice whose runner dies goes back to its owner.

   Errors: NoSuchEnvironment, with $v1 as it was, if the id is not that of an environment that lives and has a
   synchronous entry. */
#define AEGIS_CALL_TRANSFER 0x0

/* The id of the calling environment: the null system call, as getpid is in a UNIX. No arguments. No errors.
   Without a stack. */
#define AEGIS_CALL_SELF 0x200
static inline int32_t aegis_self(void)
{
    return aegis_call(AEGIS_CALL_SELF, 0, 0, 0, 0);
}

/* Asynchronous protected control transfer: as TRANSFER, but to the callee's asynchronous entry, and it lends
   only what is left of the running slice. Errors as for TRANSFER. */
#define AEGIS_CALL_TRANSFER_ASYNC 0x280

/* Gives what is left of the running slice to the environment that $v1 names, which is entered at its start of
   slice; $v1 becomes the caller's id. What the caller leaves in the other registers but $v0 the callee sees.
   The caller is entered again at its next slice, at its start-of-slice entry, so it saves its registers first.

   Errors: NoSuchEnvironment, with $v1 as it was, if the id is not that of an environment that lives. */
#define AEGIS_CALL_YIELD_TO 0x300

/* Enters a mapping into the software TLB and the TLB (the paper's TLBwr): of the page of the address $a1, by
   the EntryLo word $a2 (vm::entry_lo), in the caller's addressing context. A mapping that was there for the
   page is replaced. $a0 and $a3 are the first and second word of a capability's tag, for a frame that the
   caller does not own: one with the right to write if $a2 allows stores, else one with either right.

   The bit for global mappings is ignored, the context id is always the caller's, and no page ever has two entries.
   The mapping lasts until it is replaced or deleted, its frame is freed or renewed, or for as long as nothing else
   needs its place: a program is prepared to be asked again.

   Errors: BadArgument if the address is the kernel's; Denied if the frame is not the caller's and the tag is
   not that of a capability for it, or it is no memory for programs at all.

   It has the last gate, since its code is longer than one. */
#define AEGIS_CALL_TLB_WRITE 0x1f80
static inline int32_t aegis_tlb_write(uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3)
{
    return aegis_call(AEGIS_CALL_TLB_WRITE, a0, a1, a2, a3);
}

/* Deletes the mapping of the page of the address $a1 from the software TLB and the TLB, if it has one there (the
   paper's TLBvadelete), in the caller's addressing context. No errors. */
#define AEGIS_CALL_TLB_DELETE 0x380
static inline int32_t aegis_tlb_delete(uint32_t a1)
{
    return aegis_call(AEGIS_CALL_TLB_DELETE, 0, a1, 0, 0);
}

/* What the TLB or the software TLB maps the page of the address $a1 to, in the caller's addressing context:
   $v0 becomes its EntryLo word, or 0 if neither holds it. No errors. */
#define AEGIS_CALL_TLB_PROBE 0x400
static inline int32_t aegis_tlb_probe(uint32_t a1)
{
    return aegis_call(AEGIS_CALL_TLB_PROBE, 0, a1, 0, 0);
}

/* Takes rights from the mappings of $a2 pages, at most PROTECT_MAX, from the address $a1 on, in the caller's
   addressing context: in those that the software TLB or the TLB hold, the bits that are clear in $a0 are cleared
   of VALID and DIRTY. An addition to the paper's primitives.

   Errors: BadArgument if there are too many pages, or they reach into the kernel's addresses. */
#define AEGIS_CALL_TLB_PROTECT 0x480
static inline int32_t aegis_tlb_protect(uint32_t a0, uint32_t a1, uint32_t a2)
{
    return aegis_call(AEGIS_CALL_TLB_PROTECT, a0, a1, a2, 0);
}

/* Installs the addressing context $a1, one of the caller's CONTEXTS (the paper's CIDswitch): from the next
   instruction on, addresses are those of another address space, in which no page is mapped but what the program
   has entered there, and its guaranteed mappings, which are the same in all of them.

   Errors: BadArgument if there is no such context. */
#define AEGIS_CALL_CONTEXT_SWITCH 0x500
static inline int32_t aegis_context_switch(uint32_t a1)
{
    return aegis_call(AEGIS_CALL_CONTEXT_SWITCH, 0, a1, 0, 0);
}

/* Lets the program use the floating-point unit if $a1 is 1, and makes its instructions exceptions if $a1 is 0
   (the paper's FPUmod). It has one user at a time: whoever turns it on takes it from the environment that had
   it, for which its instructions are exceptions again, and finds 0 in its registers. So a program saves them
   before it lets others run, and loads them again when it is told by an exception that it has lost them.

   Errors: BadArgument for other values of $a1; NoSuchDevice if there is no such unit. */
#define AEGIS_CALL_FPU_MODE 0x580
static inline int32_t aegis_fpu_mode(uint32_t a1)
{
    return aegis_call(AEGIS_CALL_FPU_MODE, 0, a1, 0, 0);
}

/* Does nothing and returns 0: what any call with a stack costs at least. No arguments. No errors. With a stack. */
#define AEGIS_CALL_NULL 0x600
static inline int32_t aegis_null(void)
{
    return aegis_call(AEGIS_CALL_NULL, 0, 0, 0, 0);
}

/* Ends the caller's time slice at once; the processor goes to the next slice whose owner has work, which may be
   the caller's. The caller is entered again at its start-of-slice entry, so it saves its registers first. Does not
   return. No errors. With a stack.

   A caller that was in its end-of-slice handler has thereby given the processor back in time. */
#define AEGIS_CALL_YIELD 0x680

/* Gives up the caller's slices until an event: another environment's WAKE, or the tick a0 of the CLOCK if
   that is not negative as a signed number. The caller is entered again at its start-of-slice entry, as after
   YIELD; at once, if a WAKE has come since it last waited. Transfers and yields to it are taken all the same,
   and do not end the wait. Does not return. No errors. With a stack. */
#define AEGIS_CALL_WAIT 0x700

/* Ends the wait of the environment a0, or its next one if it does not wait just now. Returns 0. With a stack.

   Errors: NoSuchEnvironment. */
#define AEGIS_CALL_WAKE 0x780
static inline int32_t aegis_wake(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_WAKE, a0, 0, 0, 0);
}

/* Destroys the calling environment; a0 is its exit status, 0 for success. Does not return. No errors. With a
   stack. */
#define AEGIS_CALL_EXIT 0x800

/* Sends bytes to the console: a0 points to them, a1 is how many, at most WRITE_MAX. All are queued, in one
   piece, or none. Returns 0. With a stack.

   Errors: BadArgument if a1 is too large; BadPointer if the bytes are not in guaranteed mappings; Busy if
   they do not fit the queue now. */
#define AEGIS_CALL_CONSOLE_WRITE 0x880
static inline int32_t aegis_console_write(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_CONSOLE_WRITE, a0, a1, 0, 0);
}

/* How many bytes wait to be sent to the console. No arguments. No errors. With a stack. */
#define AEGIS_CALL_CONSOLE_PENDING 0x900
static inline int32_t aegis_console_pending(void)
{
    return aegis_call(AEGIS_CALL_CONSOLE_PENDING, 0, 0, 0, 0);
}

/* Sets where the kernel enters the program for the exception whose code is a0 to the address a1, or to nowhere
   if a1 is 0; an exception that has nowhere to go destroys the environment. Returns the former address, 0 if
   there was none. With a stack.

   Errors: BadArgument if a0 is no exception that programs handle (see exception), or a1 is not a
   word-aligned address in user space. */
#define AEGIS_CALL_SET_HANDLER 0x980
static inline int32_t aegis_set_handler(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_SET_HANDLER, a0, a1, 0, 0);
}

/* How many time slices have begun since the machine started: a clock with the resolution of one slice
   (slice::MICROSECONDS). Wraps at 2^31. No arguments. No errors. With a stack. */
#define AEGIS_CALL_CLOCK 0xa00
static inline int32_t aegis_clock(void)
{
    return aegis_call(AEGIS_CALL_CLOCK, 0, 0, 0, 0);
}

/* Makes the slice at position a0 of the vector the caller's. Returns 0. With a stack.

   Errors: BadArgument if there is no such position, Busy if it has an owner. */
#define AEGIS_CALL_SLICE_ALLOCATE 0xa80
static inline int32_t aegis_slice_allocate(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_SLICE_ALLOCATE, a0, 0, 0, 0);
}

/* Frees the slice at position a0. Returns 0. With a stack.

   Errors: BadArgument if there is no such position, Denied if the caller does not own it. */
#define AEGIS_CALL_SLICE_FREE 0xb00
static inline int32_t aegis_slice_free(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_SLICE_FREE, a0, 0, 0, 0);
}

/* Makes the environment a1 the owner of the caller's slice at position a0. Returns 0. With a stack.

   Errors: as for SLICE_FREE, and NoSuchEnvironment. */
#define AEGIS_CALL_SLICE_GIVE 0xb80
static inline int32_t aegis_slice_give(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_SLICE_GIVE, a0, a1, 0, 0);
}

/* Takes the caller's slice at position a0 back from whom a synchronous transfer has lent it to, from its next
   instance on. Returns 0. Errors as for SLICE_FREE. With a stack. */
#define AEGIS_CALL_SLICE_RECLAIM 0xc00
static inline int32_t aegis_slice_reclaim(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_SLICE_RECLAIM, a0, 0, 0, 0);
}

/* Makes an environment out of two frames: a0, which is even, becomes its save page and a0 + 1 the kernel's
   record of it. Both are the caller's, and are mapped nowhere afterwards. The environment has no mappings,
   entries, or slices yet, and runs only when it has been set up (ENV_SETUP). Returns its id and, in the save
   page, a capability for CONTROL over it. With a stack.

   Errors: BadArgument if a0 is odd or no frame; Denied if the caller does not own both; Full if there are
   as many environments as there can be; Again. */
#define AEGIS_CALL_ENV_CREATE 0xc80
static inline int32_t aegis_env_create(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_ENV_CREATE, a0, 0, 0, 0);
}

/* Sets where the environment a0 is entered: a1 points to a ProgramHeader, a2 is where its next slice
   begins, as an ELF entry point is. May be repeated. The caller is that environment or presents, in its save page,
   a capability for CONTROL over it. Returns 0. With a stack.

   From now on its protected entries take transfers, even before it has begun its first slice: so a server that its
   parent has set up can be called at once, and needs no slice of its own. Whatever its entries rely on has to be
   in place before.

   Errors: NoSuchEnvironment, Denied; BadPointer if the header is not in guaranteed mappings; BadArgument
   if an entry is not a word-aligned address in user space, or the header is for another version. */
#define AEGIS_CALL_ENV_SETUP 0xd00
static inline int32_t aegis_env_setup(uint32_t a0, uint32_t a1, uint32_t a2)
{
    return aegis_call(AEGIS_CALL_ENV_SETUP, a0, a1, a2, 0);
}

/* Destroys the environment a0. All that it had is free at once; frames whose owner is dead count as free. The
   caller presents, in its save page, a capability for CONTROL, unless it is that environment. Returns 0. With a
   stack.

   Errors: NoSuchEnvironment, Denied. */
#define AEGIS_CALL_ENV_DESTROY 0xd80
static inline int32_t aegis_env_destroy(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_ENV_DESTROY, a0, 0, 0, 0);
}

/* Gives the environment a0 a guaranteed mapping: a3 pages from the address a1 on, which lie in the pinned
   segment, to as many frames from that in the EntryLo word a2 on; of its other bits DIRTY counts. All frames
   are the caller's, or all that environment's, or public and only to be read; or the caller has a guaranteed
   mapping of them itself, with such rights, which it passes on. The mapping of each holds until its owner frees
   the frame, gives it away or renews it, or dies. The caller is the environment or presents, in its save page, a
   capability for CONTROL. Returns 0. With a stack.

   Errors: NoSuchEnvironment; Denied for lack of control or of a frame; BadArgument for an address or a
   number of pages (at most 256) outside of what is allowed, or pages that already have a guaranteed mapping;
   Full if it has GUARANTEED ranges. */
#define AEGIS_CALL_ENV_MAP 0xe00
static inline int32_t aegis_env_map(uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3)
{
    return aegis_call(AEGIS_CALL_ENV_MAP, a0, a1, a2, a3);
}

/* Takes the guaranteed mapping that begins at the address a1 from the environment a0, with what the TLBs hold
   of it. Who may: as for ENV_MAP. The save page and the public page stay. Returns 0. With a stack.

   Errors: NoSuchEnvironment, Denied; BadArgument if none begins there, or it is one that stays. */
#define AEGIS_CALL_ENV_UNMAP 0xe80
static inline int32_t aegis_env_unmap(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_ENV_UNMAP, a0, a1, 0, 0);
}

/* Makes the frame with the number a0 the caller's. It is full of zeros, nothing maps it, and no capability for
   it is valid. Returns 0. With a stack.

   Errors: BadArgument if there is no such frame, Busy if it has an owner; Again. */
#define AEGIS_CALL_FRAME_ALLOCATE 0xf00
static inline int32_t aegis_frame_allocate(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_FRAME_ALLOCATE, a0, 0, 0, 0);
}

/* Frees the frame a0: breaks every mapping of it and voids its capabilities. Returns 0. With a stack.

   Errors: BadArgument if there is no such frame; Denied if the caller does not own it; Busy if it is its
   save page; Again: the frame can't be mapped meanwhile. */
#define AEGIS_CALL_FRAME_FREE 0xf80
static inline int32_t aegis_frame_free(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_FRAME_FREE, a0, 0, 0, 0);
}

/* Makes the environment a1 the owner of the caller's frame a0, contents and all. Every mapping of it is broken
   and its capabilities are void. Returns 0. With a stack.

   Errors: as for FRAME_FREE, and NoSuchEnvironment. */
#define AEGIS_CALL_FRAME_GIVE 0x1000
static inline int32_t aegis_frame_give(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_FRAME_GIVE, a0, a1, 0, 0);
}

/* Voids all capabilities for the caller's frame a0 and breaks every mapping of it, guaranteed ones included.
   Returns 0. Errors: as for FRAME_FREE. With a stack. */
#define AEGIS_CALL_FRAME_RENEW 0x1080
static inline int32_t aegis_frame_renew(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_FRAME_RENEW, a0, 0, 0, 0);
}

/* Makes a capability for the caller's frame a0, with the right a1: READ or WRITE. It is in the save page
   afterwards. Returns 0. With a stack.

   Errors: BadArgument if there is no such frame or right; Denied if the caller does not own it, or is freeing
   it. */
#define AEGIS_CALL_CAPABILITY 0x1100
static inline int32_t aegis_capability(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_CAPABILITY, a0, a1, 0, 0);
}

/* Makes the instruction cache coherent with memory for a1 bytes, at most a page, of physical memory from the
   address a0 on: before code that a program has written is executed. Cache lines have no owner, so any address
   will do. Returns 0. With a stack.

   Errors: BadArgument if a1 is too large or there is no such memory. */
#define AEGIS_CALL_ICACHE_FLUSH 0x1180
static inline int32_t aegis_icache_flush(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_ICACHE_FLUSH, a0, a1, 0, 0);
}

/* The next byte that was typed on the console, if the caller is its reader: 0 to 255. With a stack.

   What is typed belongs to one environment at a time, the *reader*: at first to the program that is started first.
   It is woken (WAKE) when something arrives. 256 bytes are kept; what does not fit is lost.

   Errors: Denied if the caller is not the reader; Busy if there is nothing to read just now. */
#define AEGIS_CALL_CONSOLE_READ 0x1200
static inline int32_t aegis_console_read(void)
{
    return aegis_call(AEGIS_CALL_CONSOLE_READ, 0, 0, 0, 0);
}

/* Makes the environment a0 the console's reader. The caller is the reader, or that one is dead. Returns 0. With
   a stack.

   Errors: Denied; NoSuchEnvironment. */
#define AEGIS_CALL_CONSOLE_GIVE 0x1280
static inline int32_t aegis_console_give(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_CONSOLE_GIVE, a0, 0, 0, 0);
}

/* Asks the environment a0 for a2 resources of a kind, a1: FRAMES, SLICES, FILTERS or HANDLERS, with
   or without EMERGENCY. With a3 = 0 it is a request, else a command to be done with in a3 ticks. It takes
   the place of what was asked for of that kind before, and 0 resources only take that back. The caller presents,
   in its save page, the capability for REVOKE. Returns how many were still left of what was asked for before.
   With a stack.

   What the environment frees counts, and what it allocates counts back. It is told at the beginning of its next
   slice, and woken if it waits; see ProgramHeader::revocation.

   Errors: Denied; NoSuchEnvironment; BadArgument for another kind, more resources than there are of it, a
   deadline that is not between DEADLINE_MIN and DEADLINE_MAX, or an emergency without one. */
#define AEGIS_CALL_REVOKE 0x1300
static inline int32_t aegis_revoke(uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3)
{
    return aegis_call(AEGIS_CALL_REVOKE, a0, a1, a2, a3);
}

/* Takes the frame a0 from an environment that owes frames past a deadline: the abort protocol. Every mapping of
   it is broken, its capabilities are void, its contents go where its owner has said, and it is nobody's; the
   owner's repossession vector tells of it, and the owner is told. The caller presents, in its save page, the
   capability for REVOKE. Returns 0. With a stack.

   Errors: BadArgument if there is no such frame; NoSuchEnvironment if no environment that lives owns it;
   Denied without the capability, if the owner owes no frames or was only requested to give some, or if the frame
   is in its reserve and this is no emergency; Busy if the deadline has not passed, if it is the owner's save
   page, or while another frame is taken from it; Again: the frame can't be mapped meanwhile, and its owner can
   only free it. */
#define AEGIS_CALL_FRAME_REPOSSESS 0x1380
static inline int32_t aegis_frame_repossess(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_FRAME_REPOSSESS, a0, 0, 0, 0);
}

/* Takes the slice at position a0 from an environment that owes slices past a deadline, as FRAME_REPOSSESS
   takes frames; lent or not, it is nobody's. Returns 0. With a stack.

   Errors: BadArgument if there is no such position; NoSuchEnvironment if it has no owner; Denied without the
   capability, if the owner owes no slices or was only requested to give some, or if it has no other and this is no
   emergency; Busy if the deadline has not passed. */
#define AEGIS_CALL_SLICE_REPOSSESS 0x1400
static inline int32_t aegis_slice_repossess(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_SLICE_REPOSSESS, a0, 0, 0, 0);
}

/* Installs a packet filter (the paper's section 5.6): a1 points to its atoms, a2 is how many. From now on it
   gets the messages that it accepts. a0 is a frame of the caller's that pays for it and that nothing maps: as
   long as the filter is there the frame is public, and the kernel notes the filter in it (Installed). Returns
   the filter's number; that of the caller's filter that the frame pays for already, if there is one. With a stack.

   The filter must be provably disjoint from the filters of every other owner, unless that owner allows it: the
   caller presents, in its save page, a capability for CONTROL over it.

   Errors: NoSuchDevice if the machine has no network; BadPointer if the atoms are not in guaranteed mappings;
   BadArgument if they are no filter, or there is no such frame; Denied if the caller does not own the frame,
   or the filter may accept a message of another owner's; Busy if the frame is the save page or may be mapped
   (FRAME_RENEW ends that), or this very filter is installed already; Full if there are too many filters;
   Again: its parts are a call each, and filters of the dead are removed before. The atoms are read by the first. */
#define AEGIS_CALL_FILTER_INSERT 0x1480
static inline int32_t aegis_filter_insert(uint32_t a0, uint32_t a1, uint32_t a2)
{
    return aegis_call(AEGIS_CALL_FILTER_INSERT, a0, a1, a2, 0);
}

/* Removes the caller's filter a0. The frame that paid for it is the caller's again. If others have mapped it, it
   counts as being freed until FRAME_RENEW or FRAME_FREE has broken those mappings. Returns 0. With a stack.

   Errors: BadArgument if there is no such filter; Denied if it is another's; Again: an insertion under way
   is finished first. */
#define AEGIS_CALL_FILTER_REMOVE 0x1500
static inline int32_t aegis_filter_remove(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_FILTER_REMOVE, a0, 0, 0, 0);
}

/* Makes the caller's frame a1 the ring of the caller's filter a0, whose next message takes its first
   descriptor; 0 is no frame, and then messages are dropped. It holds until the frame is freed, given away, renewed
   or taken. Returns 0. With a stack.

   Errors: as for FILTER_REMOVE, and BadArgument if there is no such frame; Denied if the caller does not own
   it; Busy if it is its save page. */
#define AEGIS_CALL_FILTER_RING 0x1580
static inline int32_t aegis_filter_ring(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_FILTER_RING, a0, a1, 0, 0);
}

/* Sends a message of a1 bytes at the address a0, from the Ethernet header on; see network. Its source must
   be the interface's own address, and, turned round, it must be a message for a filter of the caller's: addresses
   of Ethernet, IP and ARP, ports of TCP and UDP, and what is asked and what answers it (ARP, ICMP's echo), change
   places. A later part of an IP datagram has no ports. Returns 0 when the controller has it. With a stack.

   Errors: NoSuchDevice; BadArgument if it is shorter than HEADER or longer than MESSAGE_MAX; BadPointer
   if it is not in guaranteed mappings; Busy if the controller has no room just now; Denied if it is not in the
   caller's name; Again: an insertion under way is finished first. */
#define AEGIS_CALL_NETWORK_SEND 0x1600
static inline int32_t aegis_network_send(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_NETWORK_SEND, a0, a1, 0, 0);
}

/* Installs a handler for the messages of the caller's filter a0 (the paper's section 6.3, ash): a1 points to
   a Request. It is checked and rewritten into frames of the caller's, which are public for as long as it is
   there; it goes when the filter goes, or one of the frames of its region. Returns 0. With a stack.

   Errors: as for FILTER_REMOVE; BadPointer if request, code, or an own pipe is not in guaranteed mappings;
   BadArgument if there is no such frame, if region, budget or pipes are none, or if the code breaks a rule: then
   the second frame, which is the caller's again, tells which (Installed::refused); Denied if the caller does
   not own all frames; Busy if the filter has a handler, the two frames may be mapped, or one is the save page;
   Full if the loops of the pipes are too long for their frame; Again: its parts are a call each. The first
   reads the request and the code. */
#define AEGIS_CALL_HANDLER_INSTALL 0x1680
static inline int32_t aegis_handler_install(uint32_t a0, uint32_t a1)
{
    return aegis_call(AEGIS_CALL_HANDLER_INSTALL, a0, a1, 0, 0);
}

/* Removes the handler of the caller's filter a0. Its two frames are the caller's again; as with FILTER_REMOVE,
   those that others have mapped count as being freed. Returns 0. With a stack.

   Errors: as for FILTER_REMOVE, and BadArgument if it has none. */
#define AEGIS_CALL_HANDLER_REMOVE 0x1700
static inline int32_t aegis_handler_remove(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_HANDLER_REMOVE, a0, 0, 0, 0);
}

/* Takes the filter a0 from an environment that owes filters past a deadline, as FRAME_REPOSSESS takes frames:
   its messages are nobody's, its handler goes with it, and the frames of both are the owner's again, as after
   FILTER_REMOVE. Returns 0. With a stack.

   Errors: BadArgument if there is no such number; NoSuchEnvironment if nobody who lives has a filter with it;
   Denied without the capability, or if the owner owes no filters or was only requested to give some; Busy if
   the deadline has not passed; Again: an insertion under way is finished first. */
#define AEGIS_CALL_FILTER_REPOSSESS 0x1780
static inline int32_t aegis_filter_repossess(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_FILTER_REPOSSESS, a0, 0, 0, 0);
}

/* Takes the handler of the filter a0 from an environment that owes handlers past a deadline; the filter stays.
   Its frames are the owner's again, as after HANDLER_REMOVE. Returns 0. Errors: as for FILTER_REPOSSESS, with
   handlers in the place of filters. With a stack. */
#define AEGIS_CALL_HANDLER_REPOSSESS 0x1800
static inline int32_t aegis_handler_repossess(uint32_t a0)
{
    return aegis_call(AEGIS_CALL_HANDLER_REPOSSESS, a0, 0, 0, 0);
}

#endif
