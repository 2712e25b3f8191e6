//! A page table of two levels for the program's address space, and the handlers that consult it.
//!
//! The directory has a word for each 4 MB of user space: the address of a *leaf*, 1024 EntryLo words. It lies in the
//! save page, where an offset from `$zero` reaches it, and covers the pinned segment, too, though that is empty: so an
//! address needs no test, and one that is not mapped finds a leaf of zeros. Leaves are in a guaranteed mapping, so a
//! miss never misses.
//!
//! A miss on a page that is mapped takes 13 instructions to the kernel's leave, and two and the return sequence from
//! there. An entry that does not allow the access, and one that the kernel refuses, go to [`missed`], in Rust, on the
//! stack for exceptions of the activity that runs.
//!
//! The TLBs hold copies of entries. What takes rights away deals with them at once; what gives rights leaves that to
//! the exception that finds them out of date.

use asm_lines::global_asm;
use core::mem::offset_of;
use exos_rt::abi::Error;
use exos_rt::abi::call::TLB_WRITE;
use exos_rt::abi::exception::{Code, SavePage};
use exos_rt::abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, PROTECT_MAX, SAVE_PAGE, USER_END, entry_lo};
use exos_rt::sequences::{self, CURRENT, FAULT_STACK_WORD, HANDLER_SCRATCH};
use exos_rt::{call, fault, memory};

/// EntryLo words of a leaf.
const ENTRIES: usize = 1024;
/// Address bits below the directory's.
const LEAF_SHIFT: u32 = PAGE_SHIFT + ENTRIES.trailing_zeros();
/// Leaves of the directory.
const DIRECTORY: usize = (USER_END >> LEAF_SHIFT) as usize;
/// Leaves that an environment can have, besides the empty one.
const LEAVES: u32 = 16;

/// The rights that an entry grants.
pub const RIGHTS: u32 = entry_lo::VALID | entry_lo::DIRTY;
/// An entry that stands for a page of zeros that is yet to be given a frame. The hardware has no bit there.
const DEMAND: u32 = 1;

/// What is asked when an access is not allowed: its address and the kind of exception. True if it is to be tried again.
pub type Hook = fn(u32, Code) -> bool;

#[repr(C, align(4096))]
struct Leaf([u32; ENTRIES]);

/// Of 4 MB in which nothing is mapped.
static EMPTY: Leaf = Leaf([0; ENTRIES]);

/// Pages of the table's, in the pinned segment and in this order: a stack for exceptions, the leaves, the other stack.
const PAGES: u32 = 1 + LEAVES + 1;
/// Where they are. The page below, on which the first stack would overflow, is unmapped.
const START: u32 = NORMAL_START - 32 * PAGE_BYTES;

/// What is in the save page, behind what is the runtime's.
#[repr(C)]
struct Table {
    directory: [*mut u32; DIRECTORY],
    /// Leaves in use.
    leaves: u32,
    hook: Option<Hook>,
}

const TABLE: *mut Table = sequences::FREE as *mut Table;

const _: () = assert!(sequences::FREE as usize + size_of::<Table>() <= SAVE_PAGE as usize + offset_of!(SavePage, name));
const _: () = assert!(offset_of!(Table, directory) == 0);

/// Begins with an empty table: from here on it is asked about every page that is not in a guaranteed mapping.
///
/// # Panics
/// If there is no memory for it.
pub fn install() {
    let frames = memory::allocate_run(PAGES, 1).expect("there are as many free frames side by side");
    let entry_lo = frames << PAGE_SHIFT | entry_lo::DIRTY;
    // SAFETY: nothing else is at these addresses; that part of the save page is left to programs.
    unsafe {
        call::env_map(call::self_id(), call::NO_CAPABILITY, START, entry_lo, PAGES)
            .expect("it may have another mapping");
        for slot in 0..DIRECTORY {
            (&raw mut (*TABLE).directory[slot]).write_volatile((&raw const EMPTY).cast_mut().cast());
        }
        (&raw mut (*TABLE).leaves).write_volatile(0);
    }
    set_hook(None);
    sequences::set_fault_stacks([START + PAGE_BYTES, START + PAGES * PAGE_BYTES]);
    for (code, handler) in [
        (Code::Modified, page_modified as *const () as u32),
        (Code::TlbLoad, page_load_missed as *const () as u32),
        (Code::TlbStore, page_store_missed as *const () as u32),
    ] {
        // SAFETY: the handlers do what handlers must.
        unsafe { call::set_handler(code, Some(handler)) }.expect("a handler for it may be set");
    }
}

/// Sets what is asked when an access is not allowed.
pub fn set_hook(hook: Option<Hook>) {
    // SAFETY: the table is in the save page, and nobody has a reference to it. Likewise below.
    unsafe { (&raw mut (*TABLE).hook).write_volatile(hook) }
}

/// The entry of the page of `address`; 0 if it is not mapped.
///
/// # Panics
/// Here and below, if the address is not in user space.
#[must_use]
pub fn entry(address: u32) -> u32 {
    // SAFETY: it is a word of a leaf.
    unsafe { slot(address).read_volatile() }
}

/// Maps the page of `address`; the entry that it had.
///
/// # Safety
/// The frame may be accessed at this address as the language's rules have it.
///
/// # Errors
/// [`Error::Full`] if there are no more leaves.
pub unsafe fn map(address: u32, entry_lo: u32) -> Result<u32, Error> {
    let slot = made(address)?;
    // SAFETY: it is a word of a leaf of its own.
    let old = unsafe { slot.replace(entry_lo) };
    if old != 0 {
        call::tlb_delete(address);
    }
    Ok(old)
}

/// Unmaps the page of `address`; the entry that it had.
///
/// # Safety
/// Nothing that is there is used any more.
pub unsafe fn unmap(address: u32) -> u32 {
    let old = entry(address);
    if old != 0 {
        // SAFETY: an entry that is not 0 is in a leaf of its own.
        unsafe { slot(address).write_volatile(0) };
        call::tlb_delete(address);
    }
    old
}

/// Makes `pages` pages from that of `address` on pages of zeros, which get frames when they are touched.
///
/// # Safety
/// Nothing else is at these addresses.
///
/// # Errors
/// [`Error::Full`] if there are no more leaves.
pub unsafe fn demand_zero(address: u32, pages: u32) -> Result<(), Error> {
    for page in 0..pages {
        // SAFETY: the caller's.
        unsafe { map(address + page * PAGE_BYTES, DEMAND)? };
    }
    Ok(())
}

/// Takes the rights that are clear in `rights` from `pages` pages from that of `address` on.
pub fn protect(address: u32, pages: u32, rights: u32) {
    change(address, pages, |entry| entry & (rights | !RIGHTS));
    let (mut address, mut left) = (address, pages);
    while left != 0 {
        let now = left.min(PROTECT_MAX);
        call::tlb_protect(rights, address, now).expect("the pages are in user space");
        address += now * PAGE_BYTES;
        left -= now;
    }
}

/// Gives `pages` pages from that of `address` on, as far as they have frames, the rights that are set in `rights`.
pub fn allow(address: u32, pages: u32, rights: u32) {
    change(address, pages, |entry| entry | rights & RIGHTS);
}

/// Changes the entries of those pages that have frames.
fn change(address: u32, pages: u32, new: impl Fn(u32) -> u32) {
    let (mut number, end) = (address >> PAGE_SHIFT, (address >> PAGE_SHIFT) + pages);
    while number < end {
        let leaf = slot(number << PAGE_SHIFT);
        let in_leaf = (ENTRIES as u32 - number % ENTRIES as u32).min(end - number);
        for place in 0..in_leaf as usize {
            // SAFETY: so many words are left in the leaf, and one that is not 0 is in a leaf of its own.
            unsafe {
                let entry = leaf.add(place).read_volatile();
                if entry & entry_lo::FRAME != 0 {
                    leaf.add(place).write_volatile(new(entry));
                }
            }
        }
        number += in_leaf;
    }
}

/// Where the entry of a page is, in a leaf that may be the empty one.
fn slot(address: u32) -> *mut u32 {
    assert!(address < USER_END, "{address:#x} is not in user space");
    // SAFETY: the address is in user space, so both indices are in range.
    unsafe { (&raw const (*TABLE).directory[(address >> LEAF_SHIFT) as usize]).read_volatile().add(index(address)) }
}

fn index(address: u32) -> usize {
    (address >> PAGE_SHIFT) as usize % ENTRIES
}

/// As `slot`, in a leaf of its own.
fn made(address: u32) -> Result<*mut u32, Error> {
    let slot = slot(address);
    if slot.cast_const() != &raw const EMPTY.0[index(address)] {
        return Ok(slot);
    }
    // SAFETY: that leaf is nobody's yet, and full of zeros.
    unsafe {
        let used = &raw mut (*TABLE).leaves;
        let next = used.read_volatile();
        if next == LEAVES {
            return Err(Error::Full);
        }
        used.write_volatile(next + 1);
        let leaf = (START + (1 + next) * PAGE_BYTES) as *mut u32;
        (&raw mut (*TABLE).directory[(address >> LEAF_SHIFT) as usize]).write_volatile(leaf);
        Ok(leaf.add(index(address)))
    }
}

/// Called by assembly for an access that an entry does not allow, or the kernel: sees to it that it can be tried again,
/// or ends the program.
unsafe extern "C" fn missed(address: u32, code: u32, pc: u32) {
    let code = Code::handled(code).expect("it is one of three");
    // SAFETY: as above.
    let hook = unsafe { (&raw const (*TABLE).hook).read_volatile() };
    if !(make_good(address, code) || hook.is_some_and(|hook| hook(address, code))) {
        fault::report(pc, address, code);
    }
}

/// Does what the table itself has an answer to.
fn make_good(address: u32, code: Code) -> bool {
    if let Some(public) = sequences::unwindow(address) {
        // SAFETY: the kernel maps public memory only, and only for reading.
        return code == Code::TlbLoad && unsafe { call::tlb_write(address, public, call::NO_CAPABILITY) }.is_ok();
    }
    if entry(address) != DEMAND {
        return false;
    }
    let Ok(frame) = memory::allocate() else { return false };
    let entry_lo = frame << PAGE_SHIFT | RIGHTS;
    // SAFETY: an entry that is not 0 is in a leaf of its own. The frame is new, and stands for what `demand_zero`
    // promised.
    unsafe {
        slot(address).write_volatile(entry_lo);
        call::tlb_write(address, entry_lo, call::NO_CAPABILITY).is_ok()
    }
}

/// What `page_missed_slowly` saves on the stack.
#[repr(C, align(8))]
struct Frame {
    /// A function's caller keeps room for four register arguments.
    arguments: [u32; 4],
    at: u32,
    v0: u32,
    v1: u32,
    a3: u32,
    /// `$t0` to `$t9`.
    t: [u32; 10],
    sp: u32,
    ra: u32,
    hi: u32,
    lo: u32,
    code: u32,
    /// The stack for exceptions, or 0 if this was it already.
    stack: u32,
    /// The save slots, and where to go back to.
    slots: [u32; 4],
}

unsafe extern "C" {
    fn page_modified();
    fn page_load_missed();
    fn page_store_missed();
}

global_asm!(
    ".text",
    ".set noreorder",
    ".set noat",
    "",
    // --- Handlers: a0 = EPC, a1 = BadVAddr, a2 = Cause. From the first instruction to the one behind syscall: 13. ----
    // `bit` is the bit of the entry that allows the access.
    ".macro miss name, code, bit",
    ".type \\name, @function",
    "\\name:",
    "    sw    $a0, {pc} + 4*\\code($zero)",
    "    srl   $a0, $a1, {LEAF_SHIFT} - 2",
    "    andi  $a0, $a0, 4*{DIRECTORY} - 4",
    "    lw    $a0, {directory}($a0)", // the leaf
    "    srl   $a2, $a1, 10",
    "    andi  $a2, $a2, 0xffc",
    "    addu  $a2, $a2, $a0",
    "    lw    $a2, 0($a2)",           // the entry
    "    sw    $v0, {scratch}($zero)",
    "    sll   $a0, $a2, 31 - \\bit",
    "    bgez  $a0, 1f",
    "     addiu $v0, $zero, {TLB_WRITE}",
    "    syscall",                     // a0 and a3 are no capability's tag: the frame is the program's own
    "    bgez  $v0, exos_return + 32*\\code",
    "     lw   $v0, {scratch}($zero)",
    "1:  j     page_missed_slowly",
    "     addiu $a2, $zero, \\code",
    ".size \\name, . - \\name",
    ".endm",
    "    miss  page_load_missed, 2, 9",
    "    miss  page_store_missed, 3, 9",
    "    miss  page_modified, 1, 10",
    "",
    // --- The long way: a1 = BadVAddr, a2 = the code; v0 and EPC are saved, every other register is the program's. ----
    ".type page_missed_slowly, @function",
    "page_missed_slowly:",
    "    lw    $a0, {CURRENT}($zero)",
    "    nop",
    "    lw    $v0, {fault_stack}($a0)",
    "    sw    $zero, {fault_stack}($a0)", // in use
    "    bne   $v0, $zero, 1f",
    "     move $a0, $v0",
    "    move  $v0, $sp",              // it was so before: below what is there
    "1:  addiu $v0, $v0, -{frame}",
    "    sw    $sp, {sp}($v0)",
    "    sw    $a0, {stack}($v0)",
    "    move  $sp, $v0",
    "    lw    $v0, {scratch}($zero)",
    "    sw    $at, {at}($sp)",
    "    sw    $v0, {v0}($sp)",
    "    sw    $v1, {v1}($sp)",
    "    sw    $a3, {a3}($sp)",
    "    sw    $ra, {ra}($sp)",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9",
    "    sw    $t\\n, {t} + 4*\\n($sp)",
    "    .endr",
    "    mfhi  $t0",
    "    mflo  $t1",
    "    sw    $t0, {hi}($sp)",
    "    sw    $t1, {lo}($sp)",
    "    sll   $t0, $a2, 2",
    "    lw    $t1, {saved_a0}($t0)",
    "    lw    $t2, {saved_a1}($t0)",
    "    lw    $t3, {saved_a2}($t0)",
    "    lw    $t4, {pc}($t0)",
    "    sw    $t1, {slots}($sp)",
    "    sw    $t2, {slots} + 4($sp)",
    "    sw    $t3, {slots} + 8($sp)",
    "    sw    $t4, {slots} + 12($sp)",
    "    sw    $a2, {code}($sp)",
    "    move  $a0, $a1",
    "    move  $a1, $a2",
    "    jal   {missed}",
    "     move $a2, $t4",
    "    lw    $a2, {code}($sp)",
    "    lw    $t1, {slots}($sp)",
    "    sll   $a0, $a2, 2",
    "    lw    $t2, {slots} + 4($sp)",
    "    lw    $t3, {slots} + 8($sp)",
    "    lw    $t4, {slots} + 12($sp)",
    "    sw    $t1, {saved_a0}($a0)",
    "    sw    $t2, {saved_a1}($a0)",
    "    sw    $t3, {saved_a2}($a0)",
    "    sw    $t4, {pc}($a0)",
    "    lw    $t0, {hi}($sp)",
    "    lw    $t1, {lo}($sp)",
    "    mthi  $t0",
    "    mtlo  $t1",
    "    .irp n, 0,1,2,3,4,5,6,7,8,9",
    "    lw    $t\\n, {t} + 4*\\n($sp)",
    "    .endr",
    "    lw    $at, {at}($sp)",
    "    lw    $v0, {v0}($sp)",
    "    lw    $v1, {v1}($sp)",
    "    lw    $a3, {a3}($sp)",
    "    lw    $ra, {ra}($sp)",
    "    sll   $a2, $a2, 5",           // the return sequence of the code
    "    lui   $a1, %hi(exos_return)",
    "    addiu $a1, $a1, %lo(exos_return)",
    "    addu  $a1, $a1, $a2",
    "    lw    $a0, {CURRENT}($zero)",
    "    lw    $a2, {stack}($sp)",
    "    lw    $sp, {sp}($sp)",
    "    jr    $a1",
    "     sw   $a2, {fault_stack}($a0)",
    ".size page_missed_slowly, . - page_missed_slowly",
    pc = const SAVE_PAGE + offset_of!(SavePage, pc) as u32,
    saved_a0 = const SAVE_PAGE + offset_of!(SavePage, a0) as u32,
    saved_a1 = const SAVE_PAGE + offset_of!(SavePage, a1) as u32,
    saved_a2 = const SAVE_PAGE + offset_of!(SavePage, a2) as u32,
    directory = const sequences::FREE,
    LEAF_SHIFT = const LEAF_SHIFT,
    DIRECTORY = const DIRECTORY,
    TLB_WRITE = const TLB_WRITE,
    CURRENT = const CURRENT,
    fault_stack = const FAULT_STACK_WORD,
    scratch = const HANDLER_SCRATCH,
    frame = const size_of::<Frame>(),
    at = const offset_of!(Frame, at),
    v0 = const offset_of!(Frame, v0),
    v1 = const offset_of!(Frame, v1),
    a3 = const offset_of!(Frame, a3),
    t = const offset_of!(Frame, t),
    sp = const offset_of!(Frame, sp),
    ra = const offset_of!(Frame, ra),
    hi = const offset_of!(Frame, hi),
    lo = const offset_of!(Frame, lo),
    code = const offset_of!(Frame, code),
    stack = const offset_of!(Frame, stack),
    slots = const offset_of!(Frame, slots),
    missed = sym missed,
);

const _: () = {
    assert!(Code::Modified as u32 == 1 && Code::TlbLoad as u32 == 2 && Code::TlbStore as u32 == 3);
    assert!(entry_lo::VALID == 1 << 9 && entry_lo::DIRTY == 1 << 10);
    assert!(ENTRIES == 1024 && DIRECTORY == 512);
};
