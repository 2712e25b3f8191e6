//! Virtual memory (the paper's sections 5.4 and 6.2): what pages are, decided by the program's own library.
//!
//! [`Vm`] is a space with our page table; `Space<Linear>` is one with another ([`page_table`](crate::page_table)). A
//! program has one, and names it once: `type Vm = exos::vm::Space<exos::page_table::Inverted>`.
//!
//! ```ignore
//! Vm::install()?;                                    // or, in a child that a parent has made, Vm::adopt()
//! Vm::zeros(0x4000_0000, 100, READ | WRITE)?;        // 100 pages of zeros: a frame for each when it is touched
//! Vm::take(0x4000_0000, 10, WRITE);                  // read-only from now on
//! ```
//!
//! Rights are [`READ`] and [`WRITE`]. An access that they do not allow goes to the handler for its code
//! ([`exception::handle`](crate::exception::handle)), else to the hook, else it ends the program.
//!
//! # Frames of others
//!
//! A page can be mapped to a frame that is not this environment's: a public one ([`Space::copy_of`] without a
//! capability, e.g. of the boot archive), or one for which its owner has made a capability. [`Space::shared`] maps it
//! as it is; [`Space::copy_of`] maps it until a store, which then gets a copy in a frame of this environment's. No frame
//! is used before.
//!
//! # Children (for fork)
//!
//! ```ignore
//! let (id, control) = call::env_create(memory::allocate_pair()?)?;
//! let mut child = Vm::child(id, control)?;           // one frame, and one for each leaf that is needed
//! for page in Vm::pages() {                          // what is mapped, in the order of addresses
//!     child.share(page)?;                            // both have it, and whoever stores to it first gets a copy
//! }                                                  // (child.copy(page): the child gets a copy now)
//! child.finish()?;                                   // the child's frames and guaranteed mappings
//! call::env_setup(id, control, &Vm::header(), start)?;
//! // … in the child, on the stack that ends at `vm::EXCEPTION_STACK_TOP`, before it touches the normal segment:
//! Vm::adopt();
//! ```
//!
//! What is shared stays the parent's frame, so it holds while the parent lives: a process that has lent frames
//! ([`lends`]) and is to end waits until its children have ended or were given copies. The parent's library keeps a
//! lent frame until all environments that it may be lent to have ended ([`forget`] says that one needs it no more), and
//! then uses it again itself; nothing is freed that is mapped elsewhere, which would cost the kernel a search.
//!
//! # Paging
//!
//! [`Space::set_quota`] limits the frames that pages may have. When there are no more, or the kernel has none, a page
//! that has not been used lately is *paged out*: a page that was never stored to and is full of zeros is dropped, the
//! contents of another go to the backing environment ([`Space::set_backing`], [`backing`]). [`give_up`](Space::give_up)
//! is the answer to a kernel that wants frames back. Pages that are locked, shared, or lent stay.
//!
//! # Two activities
//!
//! The server activity may run in the midst of anything that main does. So it does not call what maps or unmaps. Its own
//! misses are answered; if main is changing the space just then, only those that need no more than a new frame of zeros,
//! and others are faults. What it needs more than that is locked before.

use crate::backing;
use crate::exception::{Context, handler};
use crate::page_table::{
    ABSENT, COPY, FAULT_STACK, Form, HARDWARE, LOCKED, Machine, OWN, RIGHTS, ROOT, SHARED, STACK_TOP, START, STORED,
    TABLE, TO_DONE, TO_HARDWARE, TwoLevel, USED, grant, keep, prepare, set_rights, settled,
};
pub use crate::page_table::{READ, WRITE};
use crate::state::{BORROWERS, POOL, get, set};
use core::marker::PhantomData;
use exos_rt::abi::exception::Code;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::program::ProgramHeader;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, PROTECT_MAX, USER_END, entry_lo};
use exos_rt::abi::{EnvId, Error, frame};
use exos_rt::call::NO_CAPABILITY;
use exos_rt::{call, fault, memory, public, sequences};
use exos_tables::{Memory, TABLE_PAGES};

/// A space with the default page table.
pub type Vm = Space<TwoLevel>;

/// The address space of this environment, with a page table of the form `T`.
pub struct Space<T>(PhantomData<T>);

/// What is asked when an access is not allowed: its address and the kind of exception. True if it is to be tried again.
pub type Hook = fn(u32, Code) -> bool;

/// The end of the stack for exceptions: a child begins on it.
pub const EXCEPTION_STACK_TOP: u32 = STACK_TOP;

/// A page that is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// Its address.
    pub address: u32,
    /// Its entry; the bits are those of [`page_table`](crate::page_table).
    pub entry: u32,
}

impl Page {
    /// The number of its frame, if it has one.
    #[must_use]
    pub fn frame(&self) -> Option<u32> {
        (self.entry & ABSENT == 0).then_some(self.entry >> PAGE_SHIFT)
    }

    /// Whether it has a bit, or one of several.
    #[must_use]
    pub fn has(&self, bits: u32) -> bool {
        self.entry & bits != 0
    }
}

// --- Pages for the library's own use, to reach frames that are mapped nowhere. ----------------------------------------

/// Each of two frames is seen at the address here that competes for the same place of the software TLB as the page that
/// it is for, so that the kernel has one place to look for it.
const SCRATCH: [u32; 2] = [0x3e00_0000, 0x3d00_0000];
const SCRATCH_BITS: u32 = 24;

/// Maps a frame for the page of `address`; where it is seen.
fn see(which: usize, address: u32, frame: u32) -> u32 {
    let at = SCRATCH[which] | address & ((1 << SCRATCH_BITS) - 1) & !(PAGE_BYTES - 1);
    set!(scratch[which], frame << PAGE_SHIFT | HARDWARE);
    // If it is lost, the miss on it enters it again. Stale entries of former uses are replaced or were deleted.
    // SAFETY: nothing else is at this address, and the frame is nobody else's.
    let _ = unsafe { call::tlb_write(at, frame << PAGE_SHIFT | HARDWARE, NO_CAPABILITY) };
    at
}

/// Ends that.
fn unsee(which: usize, at: u32) {
    set!(scratch[which], 0);
    call::tlb_delete(at);
}

/// Fills a page with zeros.
///
/// # Safety
/// It is mapped, and nobody else uses it.
unsafe fn clear(page: u32) {
    let words = page as *mut [u32; 16];
    for place in 0..PAGE_BYTES as usize / 64 {
        // SAFETY: it lies in the page.
        unsafe { words.add(place).write([0; 16]) };
    }
}

/// Copies a page.
///
/// # Safety
/// Both are mapped, `to` is another, and nobody else uses it.
unsafe fn copy(from: u32, to: u32) {
    // SAFETY: both are pages.
    unsafe { memory::copy_words(to as *mut u32, from as *const u32, PAGE_BYTES as usize / 4) }
}

// --- Records: capabilities for frames of others, and frames that are lent. --------------------------------------------

/// A record: a capability for the frame of a page, or a frame that is mapped here no more, and who may still use it.
#[derive(Clone, Copy)]
#[repr(C)]
struct Record {
    /// Which of the two, and the number of the page or of the frame.
    what: u32,
    capability: Capability,
    borrowers: u32,
}

const OF_PAGE: u32 = 1 << 31;
const LENT: u32 = 1 << 30;
/// The most.
pub const RECORDS: u32 = (PAGE_BYTES - 3072) / size_of::<Record>() as u32;

fn record(number: u32) -> *mut Record {
    (STACK_TOP as *mut Record).wrapping_add(number as usize)
}

/// The number of the record about something.
fn find(what: u32) -> Option<u32> {
    // SAFETY: so many are initialised, in a page that is always mapped. Likewise below.
    (0..get!(records)).find(|&number| unsafe { (*record(number)).what } == what)
}

fn add(new: Record) -> Result<(), Error> {
    let number = find(new.what).unwrap_or(get!(records));
    if number == RECORDS {
        return Err(Error::Full);
    }
    // SAFETY: as above.
    unsafe { record(number).write(new) };
    set!(records, get!(records).max(number + 1));
    Ok(())
}

fn remove(number: u32) {
    let last = get!(records) - 1;
    // SAFETY: as above.
    unsafe { record(number).write(record(last).read()) };
    set!(records, last);
}

/// The capability for the frame of a page, if it needs one.
fn capability_of(page: u32) -> Capability {
    // SAFETY: as above.
    find(OF_PAGE | page).map_or(NO_CAPABILITY, |number| unsafe { (*record(number)).capability })
}

// --- Frames. ----------------------------------------------------------------------------------------------------------

/// A bit for each environment that frames may be lent to and that lives.
fn borrowers() -> u32 {
    let mut all = 0;
    for place in 0..BORROWERS {
        let id = get!(borrowers[place]);
        if id != 0 {
            if lives(EnvId(id)) {
                all |= 1 << place;
            } else {
                set!(borrowers[place], 0);
            }
        }
    }
    all
}

/// For certain, and at the cost of a wake that does no harm.
fn lives(id: EnvId) -> bool {
    call::wake(id).is_ok()
}

/// Notes that frames are lent to an environment.
fn lend_to(id: EnvId) -> Result<(), Error> {
    borrowers();
    let place = (0..BORROWERS).find(|&place| get!(borrowers[place]) == 0).ok_or(Error::Full)?;
    set!(borrowers[place], id.0);
    Ok(())
}

/// Takes frames back into use that nobody borrows any more.
fn recover() {
    let living = borrowers();
    let mut number = 0;
    while number < get!(records) {
        // SAFETY: as above.
        let found = unsafe { record(number).read() };
        if found.what & LENT != 0 && found.borrowers & living == 0 {
            remove(number);
            recycle(found.what & !LENT);
        } else {
            number += 1;
        }
    }
}

/// Whether frames of this environment's may be in use by others that live; it should not end before them.
#[must_use]
pub fn lends() -> bool {
    borrowers() != 0
}

/// Says that an environment uses no frame any more that was lent to it: it has ended, or become another program.
pub fn forget(id: EnvId) {
    for place in 0..BORROWERS {
        if get!(borrowers[place]) == id.0 {
            set!(borrowers[place], 0);
        }
    }
    recover();
}

/// Keeps a frame of this environment's for later, or frees it.
fn recycle(frame: u32) {
    let pooled = get!(pooled);
    if (pooled as usize) < POOL {
        set!(pool[pooled as usize], frame);
        set!(pooled, pooled + 1);
    } else {
        // SAFETY: nothing here is mapped to it. It is this environment's, so this does not fail.
        let _ = unsafe { call::frame_free(frame) };
    }
}

/// Frees the frames that are kept for later; how many.
pub fn drain() -> u32 {
    recover();
    let pooled = get!(pooled);
    for place in 0..pooled as usize {
        let frame = get!(pool[place]);
        // SAFETY: as above.
        let _ = unsafe { call::frame_free(frame) };
    }
    set!(pooled, 0);
    pooled
}

/// A frame that was kept; if it matters, of a colour.
fn kept(colour: Option<u32>) -> Option<u32> {
    let (pooled, colours) = (get!(pooled), public::colours());
    let fits = |&place: &u32| colour.is_none_or(|colour| get!(pool[place as usize]) % colours == colour);
    let place = (0..pooled).rev().find(fits)?;
    let frame = get!(pool[place as usize]);
    set!(pool[place as usize], get!(pool[pooled as usize - 1]));
    set!(pooled, pooled - 1);
    Some(frame)
}

/// Whether the frames of pages are chosen so that pages that lie together do not compete for lines of the caches.
pub fn set_colouring(on: bool) {
    set!(colouring, u32::from(on));
}

/// How many frames the pages of this space have.
#[must_use]
pub fn resident() -> u32 {
    get!(resident[0]).wrapping_add(get!(resident[1]))
}

/// Counts frames that pages have got (1) or lost (-1). Each activity has a number of its own to count with.
fn count(change: i32) {
    let activity = usize::from(sequences::current() != 0);
    set!(resident[activity], get!(resident[activity]).wrapping_add_signed(change));
}

/// What is asked when an access is not allowed and has no handler.
pub fn set_hook(hook: Option<Hook>) {
    set!(hook, hook.map_or(0, |hook| hook as *const () as u32));
}

fn in_user_space(address: u32) {
    assert!(address < USER_END, "{address:#x} is not in user space");
}

fn page_of(address: u32) -> u32 {
    in_user_space(address);
    address >> PAGE_SHIFT
}

/// The pages of a range.
fn range(address: u32, pages: u32) -> core::ops::Range<u32> {
    let first = page_of(address);
    assert!(pages <= (USER_END >> PAGE_SHIFT) - first, "{pages} pages from {address:#x} on are not in user space");
    first..first + pages
}

/// Called by assembly for an access that an entry does not allow, or the kernel.
#[doc(hidden)]
pub extern "C" fn missed<T: Form>(context: &mut Context) {
    let (code, address) = (context.code(), context.address);
    if Space::<T>::mend(address, code) {
        return;
    }
    if let Some(handler) = handler(code) {
        return handler(context);
    }
    let hook = get!(hook);
    // SAFETY: nothing but `set_hook` sets it.
    let hook = (hook != 0).then(|| unsafe { core::mem::transmute::<usize, Hook>(hook as usize) });
    if !hook.is_some_and(|hook| hook(address, code)) {
        fault::report(context.resume.pc, address, code);
    }
}

impl<T: Form> Space<T> {
    // --- The table. -----------------------------------------------------------------------------------------------------

    /// Begins with an empty table: from here on it is asked about every page that is not in a guaranteed mapping.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no memory for it.
    pub fn install() -> Result<(), Error> {
        prepare()?;
        set!(quota, u32::MAX);
        if !T::clear(&mut Machine, ROOT) {
            return Err(Error::Full);
        }
        Self::set_handlers();
        Ok(())
    }

    /// Makes the page table's handlers the environment's.
    fn set_handlers() {
        for (code, handler) in T::HANDLERS {
            // SAFETY: the handlers do what handlers must. The code may have one, and the address is user space's.
            let _ = unsafe { call::set_handler(code, Some(handler as *const () as u32)) };
        }
    }

    /// The entry of the page of `address`; 0 if it is not mapped.
    ///
    /// # Panics
    /// Here and below, if the address is not in user space.
    #[must_use]
    pub fn entry(address: u32) -> u32 {
        in_user_space(address);
        Machine.read(T::place(address))
    }

    /// All pages that are mapped, in the order of their addresses.
    pub fn pages() -> impl Iterator<Item = Page> {
        let mut from = 0;
        core::iter::from_fn(move || {
            let page = T::next(&Machine, ROOT, from)?;
            from = page + 1;
            Some(Page { address: page << PAGE_SHIFT, entry: Self::entry(page << PAGE_SHIFT) })
        })
    }

    /// Sets the entry of a page that was not mapped, or is unmapped first.
    ///
    /// # Safety
    /// What is there may be accessed at this address as the language's rules have it.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no memory for the table.
    unsafe fn enter(address: u32, entry: u32) -> Result<(), Error> {
        let _busy = Busy::begin();
        let page = page_of(address);
        // SAFETY: the caller's.
        unsafe { Self::unmap(address, 1) };
        let place = T::make(&mut Machine, ROOT, page).ok_or(Error::Full)?;
        Machine.write(place, settled(entry));
        Ok(())
    }

    // --- Mapping. -------------------------------------------------------------------------------------------------------

    /// Makes `pages` pages from that of `address` on pages of zeros, which get frames when they are touched.
    ///
    /// # Safety
    /// Nothing else is at these addresses.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no memory for the table: then none of them is mapped.
    pub unsafe fn zeros(address: u32, pages: u32, rights: u32) -> Result<(), Error> {
        let range = range(address, pages);
        for page in range.clone() {
            // SAFETY: the caller's.
            if let Err(error) = unsafe { Self::enter(page << PAGE_SHIFT, ABSENT | rights & RIGHTS) } {
                // SAFETY: they are not used yet.
                unsafe { Self::unmap(address, page - range.start) };
                return Err(error);
            }
        }
        Ok(())
    }

    /// Maps a page to a frame of this environment's, which becomes the page's: it is unmapped with it.
    ///
    /// # Safety
    /// The frame is mapped nowhere else, and may be accessed at this address as the language's rules have it.
    ///
    /// # Errors
    /// [`Error::Full`] if there is no memory for the table.
    pub unsafe fn own(address: u32, frame: u32, rights: u32) -> Result<(), Error> {
        // SAFETY: the caller's.
        unsafe { Self::enter(address, frame << PAGE_SHIFT | OWN | USED | STORED | rights & RIGHTS)? };
        count(1);
        Ok(())
    }

    /// Maps a page to a frame of another's, or a public one: with a capability that suffices for the rights, or none.
    ///
    /// # Safety
    /// As for [`own`](Self::own).
    ///
    /// # Errors
    /// [`Error::Full`] if there is no memory for the table, or there are [`RECORDS`] already.
    pub unsafe fn shared(address: u32, frame: u32, capability: Option<Capability>, rights: u32) -> Result<(), Error> {
        // SAFETY: the caller's.
        unsafe { Self::foreign(address, frame << PAGE_SHIFT | rights & RIGHTS, capability) }
    }

    /// Maps a page to a frame of another's, or a public one, until it is stored to: then it gets a copy.
    ///
    /// # Safety
    /// Nothing else is at this address.
    ///
    /// # Errors
    /// As for [`shared`](Self::shared).
    pub unsafe fn copy_of(address: u32, frame: u32, capability: Option<Capability>, rights: u32) -> Result<(), Error> {
        // SAFETY: the caller's.
        unsafe { Self::foreign(address, frame << PAGE_SHIFT | COPY | rights & RIGHTS, capability) }
    }

    unsafe fn foreign(address: u32, entry: u32, capability: Option<Capability>) -> Result<(), Error> {
        // SAFETY: the caller's.
        unsafe { Self::enter(address, entry)? };
        if let Some(capability) = capability {
            let new = Record { what: OF_PAGE | page_of(address), capability, borrowers: 0 };
            // SAFETY: it is not used yet.
            return add(new).inspect_err(|_| unsafe { Self::unmap(address, 1) });
        }
        Ok(())
    }

    /// Maps a page to the frame of another page of this space's: two names of the same memory.
    ///
    /// # Safety
    /// As for [`own`](Self::own).
    ///
    /// # Errors
    /// [`Error::Full`]; [`Error::BadArgument`] if the other is not mapped, or is to be copied; and what bringing it in
    /// may fail with.
    pub unsafe fn alias(address: u32, of: u32, rights: u32) -> Result<(), Error> {
        let place = Self::present(of)?;
        let entry = Machine.read(place);
        if entry & COPY != 0 || page_of(address) == page_of(of) {
            return Err(Error::BadArgument);
        }
        let capability = find(OF_PAGE | page_of(of)).map(|_| capability_of(page_of(of)));
        Machine.write(place, entry | SHARED);
        let entry = entry & (OWN | entry_lo::FRAME | entry_lo::UNCACHED) | SHARED | USED | STORED | rights & RIGHTS;
        // SAFETY: the caller's.
        unsafe { Self::foreign(address, entry, capability) }
    }

    /// Unmaps `pages` pages from that of `address` on, as far as they are mapped. Their frames are used again.
    ///
    /// # Safety
    /// Nothing that is there is used any more.
    pub unsafe fn unmap(address: u32, pages: u32) {
        let _busy = Busy::begin();
        let mut next = range(address, pages);
        while let Some(page) = T::next(&Machine, ROOT, next.start).filter(|page| next.contains(page)) {
            next.start = page + 1;
            let entry = Self::entry(page << PAGE_SHIFT);
            T::remove(&mut Machine, ROOT, page);
            if let Some(number) = find(OF_PAGE | page) {
                remove(number);
            }
            if entry & ABSENT != 0 {
                backing::drop_copy(EnvId(get!(backing)), entry >> PAGE_SHIFT);
                continue;
            }
            call::tlb_delete(page << PAGE_SHIFT);
            if entry & OWN != 0 && !(entry & SHARED != 0 && Self::is_mapped(entry & entry_lo::FRAME)) {
                count(-1);
                Self::release(entry);
            }
        }
    }

    /// Whether a page is mapped to a frame, as its entry says it.
    fn is_mapped(frame: u32) -> bool {
        Self::pages().any(|page| page.entry & entry_lo::FRAME == frame && !page.has(ABSENT))
    }

    /// What becomes of a frame that no page has any more: it is used again, unless others may still have it.
    fn release(entry: u32) {
        let frame = entry >> PAGE_SHIFT;
        let borrowers = if entry & COPY != 0 { borrowers() } else { 0 };
        if borrowers == 0 {
            recycle(frame);
        } else {
            // If there is no room to note it, it stays this environment's, unused, until that ends: never another's.
            let _ = add(Record { what: LENT | frame, capability: NO_CAPABILITY, borrowers });
        }
    }

    // --- Rights, what was done, and how. --------------------------------------------------------------------------------

    /// Takes rights from `pages` pages from that of `address` on: one call of the kernel's for each 128 pages.
    pub fn take(address: u32, pages: u32, rights: u32) {
        let lost = (rights & RIGHTS) << (TO_DONE + TO_HARDWARE);
        Self::keep(address, pages, !(lost | rights & RIGHTS), HARDWARE & !lost);
    }

    /// Gives rights to `pages` pages from that of `address` on, as far as they are mapped. The TLBs learn of it when an
    /// access finds them out of date.
    pub fn give(address: u32, pages: u32, rights: u32) {
        let range = range(address, pages);
        // SAFETY: the table says that they are there.
        T::runs(&Machine, ROOT, range.start, pages, |run| unsafe { grant(run, rights & RIGHTS) });
    }

    /// Leaves of the entries of pages what a mask has, and in the TLBs these rights of the hardware's.
    fn keep(address: u32, pages: u32, mask: u32, hardware: u32) {
        let range = range(address, pages);
        // SAFETY: as above.
        T::runs(&Machine, ROOT, range.start, pages, |run| unsafe { keep(run, mask) });
        restrict(hardware, range);
    }

    /// Sets the rights of one page, in the table and in the TLBs.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if it is not mapped.
    pub fn protect(address: u32, rights: u32) -> Result<(), Error> {
        in_user_space(address);
        // SAFETY: it is the page's. TLBs that have it are told; a frame that is not ours they would have to look for.
        let done = unsafe { set_rights(T::place(address), address, rights & RIGHTS) };
        if done < 0 { Err(Error::BadArgument) } else { Ok(()) }
    }

    /// As [`protect`](Self::protect), page by page: what [`take`](Self::take) and [`give`](Self::give) are measured
    /// against.
    ///
    /// # Errors
    /// As for `protect`; the pages before the first that is not mapped have the rights.
    pub fn protect_each(address: u32, pages: u32, rights: u32) -> Result<(), Error> {
        range(address, pages).try_for_each(|page| Self::protect(page << PAGE_SHIFT, rights))
    }

    /// Whether a page has been stored to since it was mapped, or since [`clean`](Self::clean).
    #[must_use]
    pub fn dirty(address: u32) -> bool {
        Self::entry(address) & STORED != 0
    }

    /// Whether a page has been accessed since it was mapped, or since [`unreference`](Self::unreference).
    #[must_use]
    pub fn referenced(address: u32) -> bool {
        Self::entry(address) & USED != 0
    }

    /// Makes pages clean: the next store to each is an exception that notes it.
    pub fn clean(address: u32, pages: u32) {
        Self::keep(address, pages, !(STORED | entry_lo::DIRTY), entry_lo::VALID);
    }

    /// Makes pages count as not used: the next access to each is an exception that notes it.
    pub fn unreference(address: u32, pages: u32) {
        Self::keep(address, pages, !(USED | HARDWARE), 0);
    }

    /// Whether accesses to a page go past the cache. Its frame must not be in the cache: see what the machine says.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if it is not mapped.
    pub fn set_uncached(address: u32, uncached: bool) -> Result<(), Error> {
        let place = Self::present(address)?;
        let entry = Machine.read(place);
        let bit = if uncached { entry_lo::UNCACHED } else { 0 };
        Machine.write(place, entry & !entry_lo::UNCACHED | bit);
        call::tlb_delete(address);
        Ok(())
    }

    /// Brings pages in, and sees to it that they keep their frames.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if one is not mapped; what bringing it in fails with. Those before it are locked.
    pub fn lock(address: u32, pages: u32) -> Result<(), Error> {
        range(address, pages).try_for_each(|page| {
            let place = Self::present(page << PAGE_SHIFT)?;
            let entry = Machine.read(place);
            Machine.write(place, entry | LOCKED);
            Ok(())
        })
    }

    /// Ends that.
    pub fn unlock(address: u32, pages: u32) {
        let range = range(address, pages);
        // SAFETY: as above.
        T::runs(&Machine, ROOT, range.start, pages, |run| unsafe { keep(run, !LOCKED) });
    }

    // --- What happens when a page is missed. ------------------------------------------------------------------------------

    /// Enters a page into the TLBs as for a load from it, or a store if it may be stored to; whether that is allowed.
    pub(crate) fn touch(address: u32) -> bool {
        let code = if Self::entry(address) & WRITE != 0 { Code::TlbStore } else { Code::TlbLoad };
        Self::mend(address, code)
    }

    /// Where the entry of a page is, which has a frame from now on.
    fn present(address: u32) -> Result<u32, Error> {
        let place = T::find(&Machine, ROOT, page_of(address)).ok_or(Error::BadArgument)?;
        if Machine.read(place) & ABSENT != 0 {
            let _busy = Busy::begin();
            Self::bring_in(address, place)?;
        }
        Ok(place)
    }

    /// Sees to it that an access can be tried again, if it is allowed.
    fn mend(address: u32, code: Code) -> bool {
        let store = code != Code::TlbLoad;
        if let Some(public) = sequences::unwindow(address) {
            // SAFETY: the kernel maps public memory only, and only for reading.
            return !store && unsafe { call::tlb_write(address, public, NO_CAPABILITY) }.is_ok();
        }
        if let Some(entry) = own_use(address) {
            // SAFETY: it was mapped there by this library, and the TLBs have lost it.
            return entry != 0 && unsafe { call::tlb_write(address, entry, NO_CAPABILITY) }.is_ok();
        }
        let page = address >> PAGE_SHIFT;
        let Some(place) = T::find(&Machine, ROOT, page) else { return false };
        let entry = Machine.read(place);
        let needed = if store { RIGHTS } else { READ };
        if entry & needed != needed {
            return false;
        }
        if entry & (ABSENT | COPY) != 0 {
            let fresh = if is_busy() {
                // The other activity is in the midst of something.
                if entry & !RIGHTS == ABSENT { Self::bring_zeros(place) } else { Err(Error::Busy) }
            } else {
                Self::refresh(address, place, store)
            };
            if fresh.is_err() {
                return false;
            }
        }
        let entry = settled(Machine.read(place) | USED | if store { STORED } else { 0 });
        Machine.write(place, entry);
        // SAFETY: it is what the table says.
        let mut done = unsafe { call::raw_tlb_write(0, address, entry, 0) };
        if done < 0 {
            let Capability([tag0, tag1]) = capability_of(page);
            // SAFETY: as above.
            done = unsafe { call::raw_tlb_write(tag0, address, entry, tag1) };
        }
        done >= 0
    }

    /// Gives a page a frame, and one of its own if it is to be stored to.
    fn refresh(address: u32, place: u32, store: bool) -> Result<(), Error> {
        let _busy = Busy::begin();
        let entry = Machine.read(place);
        if entry & ABSENT != 0 {
            Self::bring_in(address, place)?;
        }
        if store && entry & COPY != 0 { Self::break_copy(address, place) } else { Ok(()) }
    }

    /// Gives a page of zeros a frame of the kernel's.
    fn bring_zeros(place: u32) -> Result<(), Error> {
        let frame = memory::allocate()?;
        Machine.write(place, Machine.read(place) & RIGHTS | frame << PAGE_SHIFT | OWN);
        count(1);
        Ok(())
    }

    /// A frame for the page of `address`; and whether it is full of zeros.
    fn frame(address: u32) -> Result<(u32, bool), Error> {
        let colour = (get!(colouring) != 0).then(|| (address >> PAGE_SHIFT) % public::colours());
        while resident() >= get!(quota) {
            Self::page_out_one()?;
        }
        if get!(pooled) == 0 && get!(records) != 0 {
            recover();
        }
        if let Some(frame) = kept(colour) {
            return Ok((frame, false));
        }
        let any = match colour {
            Some(colour) => memory::allocate_of_colour(colour).or_else(|_| memory::allocate()),
            None => memory::allocate(),
        };
        match any {
            Ok(frame) => Ok((frame, true)),
            Err(error) => {
                if get!(pooled) == 0 {
                    Self::page_out_one().map_err(|_| error)?;
                }
                kept(None).map(|frame| (frame, false)).ok_or(error)
            }
        }
    }

    /// Gives a page its contents.
    fn bring_in(address: u32, place: u32) -> Result<(), Error> {
        let entry = Machine.read(place);
        let (frame, zeros) = Self::frame(address)?;
        let kept = entry >> PAGE_SHIFT;
        let filled = match (kept, zeros) {
            (0, true) => Ok(()),
            (0, false) => {
                let at = see(0, address, frame);
                // SAFETY: the frame is nobody's but ours.
                unsafe { clear(at) };
                unsee(0, at);
                Ok(())
            }
            _ => backing::fetch(EnvId(get!(backing)), kept, frame),
        };
        if let Err(error) = filled {
            recycle(frame);
            return Err(error);
        }
        let stored = if kept == 0 { 0 } else { STORED };
        Machine.write(place, settled(frame << PAGE_SHIFT | entry & !(ABSENT | entry_lo::FRAME) | OWN | stored));
        count(1);
        Ok(())
    }

    /// Gives a page a copy of its frame.
    fn break_copy(address: u32, place: u32) -> Result<(), Error> {
        let entry = Machine.read(place);
        if entry & OWN != 0 && borrowers() == 0 {
            // It was lent, and those that borrowed it have ended.
            Machine.write(place, settled(entry & !COPY));
            return Ok(());
        }
        // What is copied from is not to be paged out meanwhile, and is read where it is.
        Machine.write(place, settled(entry | USED | LOCKED));
        let (frame, _) = Self::frame(address).inspect_err(|_| Machine.write(place, settled(entry)))?;
        let at = see(0, address, frame);
        // SAFETY: the page is mapped and may be read; the frame is nobody's but ours.
        unsafe { copy(address & !(PAGE_BYTES - 1), at) };
        unsee(0, at);
        if entry & OWN != 0 {
            Self::release(entry);
        } else {
            count(1);
            if let Some(number) = find(OF_PAGE | address >> PAGE_SHIFT) {
                remove(number);
            }
        }
        Machine.write(place, settled(frame << PAGE_SHIFT | entry & !(COPY | SHARED | entry_lo::FRAME) | OWN));
        Ok(())
    }

    // --- Paging. ----------------------------------------------------------------------------------------------------------

    /// How many frames the pages of this space may have; those that it has too many are given up one by one, when
    /// others are needed.
    pub fn set_quota(frames: u32) {
        set!(quota, frames);
    }

    /// The environment that keeps what is paged out. It can't be changed while it keeps anything.
    pub fn set_backing(id: EnvId) {
        set!(backing, id.0);
    }

    /// Gives up to `frames` frames back to the kernel: those that are kept for later, then those of pages that have not
    /// been used lately. How many it were.
    pub fn give_up(frames: u32) -> u32 {
        let _busy = Busy::begin();
        recover();
        let mut given = 0;
        while given < frames {
            if get!(pooled) == 0 && Self::page_out_one().is_err() {
                break;
            }
            let Some(frame) = kept(None) else { break };
            // SAFETY: nothing is mapped to it.
            if unsafe { call::frame_free(frame) }.is_ok() {
                given += 1;
            }
        }
        given
    }

    /// Takes the frame of a page that has not been used lately, which then is kept for later.
    ///
    /// # Errors
    /// [`Error::Full`] if no page can be paged out, or the backing environment's.
    fn page_out_one() -> Result<(), Error> {
        let mut failed = Error::Full;
        let mut hand = get!(hand);
        // Whoever is passed over loses the mark of use; so the second time round somebody is found. A third time would
        // find nobody new.
        let mut rounds = 0;
        loop {
            let Some(page) = T::next(&Machine, ROOT, hand) else {
                rounds += 1;
                if rounds == 3 {
                    return Err(failed);
                }
                hand = 0;
                continue;
            };
            hand = page + 1;
            let Some(place) = T::find(&Machine, ROOT, page) else { continue };
            let entry = Machine.read(place);
            if entry & (ABSENT | LOCKED | SHARED | COPY) != 0 || entry & OWN == 0 {
                continue;
            }
            let address = page << PAGE_SHIFT;
            if entry & USED != 0 {
                Machine.write(place, settled(entry & !USED));
                call::tlb_delete(address);
                continue;
            }
            match Self::page_out(address, entry) {
                Ok(kept) => {
                    set!(hand, hand);
                    call::tlb_delete(address);
                    let bits = entry & (RIGHTS | entry_lo::UNCACHED);
                    Machine.write(place, kept << PAGE_SHIFT | ABSENT | bits);
                    count(-1);
                    recycle(entry >> PAGE_SHIFT);
                    return Ok(());
                }
                Err(error) => failed = error,
            }
        }
    }

    /// Sees to it that the contents of a page are not lost; where they are, 0 if they are zeros.
    fn page_out(address: u32, entry: u32) -> Result<u32, Error> {
        if entry & STORED == 0 {
            let at = see(1, address, entry >> PAGE_SHIFT);
            // SAFETY: it is mapped, and words are all that it is read as.
            let page = unsafe { &*(at as *const [u32; PAGE_BYTES as usize / 4]) };
            let zeros = page.iter().all(|&word| word == 0);
            unsee(1, at);
            if zeros {
                return Ok(0);
            }
        }
        backing::keep(EnvId(get!(backing)), entry >> PAGE_SHIFT)
    }

    // --- Sharing, and children. -------------------------------------------------------------------------------------------

    /// The frame of a page of this environment's, and a capability for it with the right [`frame::READ`] or
    /// [`frame::WRITE`]. The page keeps its frame.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if it is not mapped, or to be copied; [`Error::Denied`] if it is another's.
    pub fn share(address: u32, right: u32) -> Result<(u32, Capability), Error> {
        let place = Self::present(address)?;
        let entry = Machine.read(place);
        if entry & COPY != 0 {
            return Err(Error::BadArgument);
        }
        let capability = call::capability(entry >> PAGE_SHIFT, right)?;
        Machine.write(place, entry | LOCKED);
        Ok((entry >> PAGE_SHIFT, capability))
    }

    /// Begins to make the space of a child, an environment that has been created and is not set up yet.
    ///
    /// # Errors
    /// [`Error::Full`] if there are no frames for it.
    pub fn child(id: EnvId, control: Capability) -> Result<Child<T>, Error> {
        let first = memory::allocate()?;
        let mut child = Child {
            id,
            control,
            frames: [0; 1 + TABLE_PAGES as usize],
            used: 1,
            root: [(0, 0); WORDS],
            words: 0,
            records: 0,
            resident: 0,
            lent: false,
            form: PhantomData,
        };
        child.frames[0] = first;
        // With a page for the table it needs, it does not fail.
        if T::begin(&mut child, ROOT) { Ok(child) } else { Err(Error::Full) }
    }

    /// What the kernel is to be told of a child: the program's header, with the page table's handlers.
    #[must_use]
    pub fn header() -> ProgramHeader {
        // SAFETY: it is plain words.
        let mut header = unsafe { core::ptr::read(sequences::header()) };
        for (code, handler) in T::HANDLERS {
            header.handlers[code as usize] = handler as *const () as u32;
        }
        header
    }

    /// Takes over the space that the parent has made. To be called before anything in the normal segment is touched.
    ///
    /// # Safety
    /// This environment was made by [`Child::finish`] and set up with [`header`](Self::header), runs on the stack for
    /// exceptions, and has not done so yet.
    pub unsafe fn adopt() {
        // SAFETY: the parent has written it.
        let birth = unsafe { &*(START as *const Birth) };
        T::clear(&mut Cleared, ROOT);
        for &(place, word) in &birth.root[..birth.words as usize] {
            Machine.write(ROOT + 4 * place, word);
        }
        set!(quota, u32::MAX);
        set!(protected.code, Code::Modified as u32);
        set!(backed, 1 + birth.tables);
        set!(tables, birth.tables);
        set!(resident[0], birth.resident);
        set!(records, birth.records);
        sequences::set_fault_stacks([FAULT_STACK, 0]);
    }
}

/// The most words of a root that are to be told to a child.
const WORDS: usize = 2 * TABLE_PAGES as usize + 2;

/// What a parent tells a child of its space, at the lower end of its stack for exceptions.
#[repr(C)]
struct Birth {
    tables: u32,
    resident: u32,
    records: u32,
    words: u32,
    root: [(u32, u32); WORDS],
}

/// The table's memory in a child, whose own words are not told yet.
struct Cleared;

impl Memory for Cleared {
    fn read(&self, address: u32) -> u32 {
        Machine.read(address)
    }

    fn write(&mut self, address: u32, word: u32) {
        Machine.write(address, word);
    }

    fn page(&mut self) -> Option<u32> {
        // The parent has given it already, and its address is among the words.
        Some(TABLE)
    }

    fn empty(&self) -> u32 {
        Machine.empty()
    }
}

/// The space of a child while it is made: its table is in frames of this environment's yet, and looks like the table of
/// the environment that it will be.
pub struct Child<T> {
    id: EnvId,
    control: Capability,
    /// The frames of its stack for exceptions and of its table, as far as they are in use.
    frames: [u32; 1 + TABLE_PAGES as usize],
    used: usize,
    /// Its root's words that are other than in an empty table.
    root: [(u32, u32); WORDS],
    words: usize,
    records: u32,
    resident: u32,
    /// Whether frames were lent to it.
    lent: bool,
    form: PhantomData<T>,
}

impl<T> Child<T> {
    /// Where a word of its pages is seen.
    fn seen(&self, address: u32) -> *mut u32 {
        let frame = self.frames[((address - START) >> PAGE_SHIFT) as usize];
        let at = if get!(scratch[1]) >> PAGE_SHIFT == frame {
            SCRATCH[1] | address & ((1 << SCRATCH_BITS) - 1) & !(PAGE_BYTES - 1)
        } else {
            see(1, address, frame)
        };
        (at | address & (PAGE_BYTES - 1)) as *mut u32
    }
}

impl<T> Memory for Child<T> {
    fn read(&self, address: u32) -> u32 {
        if address >= START {
            // SAFETY: a table reads its own words only. Likewise below.
            return unsafe { self.seen(address).read_volatile() };
        }
        let place = (address - ROOT) / 4;
        let known = self.root[..self.words].iter().find(|(known, _)| *known == place);
        known.map_or_else(|| self.empty(), |(_, word)| *word)
    }

    fn write(&mut self, address: u32, word: u32) {
        if address >= START {
            // SAFETY: as above.
            return unsafe { self.seen(address).write_volatile(word) };
        }
        let place = (address - ROOT) / 4;
        let known = self.root[..self.words].iter().position(|(known, _)| *known == place);
        let number = known.unwrap_or(self.words);
        self.root[number] = (place, word);
        self.words = self.words.max(number + 1);
    }

    fn page(&mut self) -> Option<u32> {
        let number = self.used;
        *self.frames.get_mut(number)? = memory::allocate().ok()?;
        self.used += 1;
        Some(START + number as u32 * PAGE_BYTES)
    }

    fn empty(&self) -> u32 {
        Machine.empty()
    }
}

impl<T: Form> Child<T> {
    fn enter(&mut self, address: u32, entry: u32) -> Result<(), Error> {
        let place = T::make(self, ROOT, page_of(address)).ok_or(Error::Full)?;
        self.write(place, settled(entry));
        Ok(())
    }

    /// The child gets what a page of this space's holds, when one of the two stores to it; until then both have it.
    /// What can't be shared so is copied.
    ///
    /// # Errors
    /// [`Error::Full`] if there are no frames; what bringing the page in may fail with.
    pub fn share(&mut self, page: Page) -> Result<(), Error> {
        let Page { address, entry } = page;
        if entry & ABSENT != 0 && entry >> PAGE_SHIFT == 0 {
            return self.enter(address, entry);
        }
        let is_public = entry & (OWN | ABSENT) == 0 && find(OF_PAGE | page_of(address)).is_none();
        if is_public {
            return self.enter(address, entry & !(USED | STORED | LOCKED));
        }
        let can_lend = entry & (ABSENT | SHARED) == 0 && entry & OWN != 0 && self.records < RECORDS;
        if !can_lend || !self.lent && lend_to(self.id).is_err() {
            return self.copy(page);
        }
        self.lent = true;
        let capability = call::capability(entry >> PAGE_SHIFT, frame::READ)?;
        let of_child = entry & (entry_lo::FRAME | RIGHTS | entry_lo::UNCACHED) | COPY;
        self.enter(address, of_child)?;
        let new = Record { what: OF_PAGE | page_of(address), capability, borrowers: 0 };
        let at = self.seen(STACK_TOP).cast::<Record>().wrapping_add(self.records as usize);
        // SAFETY: there is room for it.
        unsafe { at.write_volatile(new) };
        self.records += 1;
        if let Some(place) = T::find(&Machine, ROOT, page_of(address)) {
            Machine.write(place, settled(entry & !STORED | COPY));
            call::tlb_delete(address);
        }
        Ok(())
    }

    /// The child gets a copy of a page of this space's, at once.
    ///
    /// # Errors
    /// As for [`share`](Self::share).
    pub fn copy(&mut self, page: Page) -> Result<(), Error> {
        let Page { address, entry } = page;
        let place = Space::<T>::present(address)?;
        if entry & READ == 0 {
            Space::<T>::protect(address, entry & RIGHTS | READ)?;
        }
        let frame = memory::allocate()?;
        let at = see(0, address, frame);
        // SAFETY: the page may be read; the frame is nobody's but ours.
        unsafe { copy(address, at) };
        unsee(0, at);
        if entry & READ == 0 {
            Space::<T>::protect(address, entry & RIGHTS)?;
        }
        let entry = Machine.read(place) & (RIGHTS | entry_lo::UNCACHED);
        self.page(address, frame, entry | STORED | USED)
    }

    /// The child gets a frame of this environment's for a page; rights as for [`Space::own`].
    ///
    /// # Errors
    /// [`Error::Full`]; the frame is then free.
    pub fn own(&mut self, address: u32, frame: u32, rights: u32) -> Result<(), Error> {
        self.page(address, frame, rights & RIGHTS | STORED | USED)
    }

    /// The child gets pages of zeros.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn zeros(&mut self, address: u32, pages: u32, rights: u32) -> Result<(), Error> {
        range(address, pages).try_for_each(|page| self.enter(page << PAGE_SHIFT, ABSENT | rights & RIGHTS))
    }

    /// The child gets a public frame for a page, until it stores to it.
    ///
    /// # Errors
    /// [`Error::Full`].
    pub fn copy_of_public(&mut self, address: u32, frame: u32, rights: u32) -> Result<(), Error> {
        self.enter(address, frame << PAGE_SHIFT | COPY | rights & RIGHTS)
    }

    fn page(&mut self, address: u32, frame: u32, bits: u32) -> Result<(), Error> {
        // SAFETY: nothing here uses it any more.
        let given = unsafe { call::frame_give(frame, self.id) };
        let entered = given.and_then(|()| self.enter(address, frame << PAGE_SHIFT | OWN | bits));
        if entered.is_ok() {
            self.resident += 1;
        } else if given.is_err() {
            // SAFETY: as above.
            let _ = unsafe { call::frame_free(frame) };
        }
        entered
    }

    /// Gives the child its table. It can be set up, with [`Space::header`], and begins on the stack that ends at
    /// [`EXCEPTION_STACK_TOP`].
    ///
    /// # Errors
    /// Those of the calls. Whatever has been given to the child ends with it, when it is destroyed.
    pub fn finish(mut self) -> Result<(), Error> {
        let mut birth = Birth {
            tables: self.used as u32 - 1,
            resident: self.resident,
            records: self.records,
            words: 0,
            root: [(0, 0); WORDS],
        };
        for (number, place) in T::words(&self, ROOT).enumerate() {
            birth.root[number] = (place, self.read(ROOT + 4 * place));
            birth.words = number as u32 + 1;
        }
        // SAFETY: there is room for it, and it is nobody's but ours.
        unsafe { self.seen(START).cast::<Birth>().write_volatile(birth) };
        self.hide();
        let mut at = START;
        while self.used != 0 {
            // Those that stand side by side have one mapping.
            let frames = &self.frames[..self.used];
            let together = frames.windows(2).take_while(|pair| pair[0] + 1 == pair[1]).count() + 1;
            let (first, id) = (frames[0], self.id);
            for _ in 0..together {
                // SAFETY: nothing here uses it any more.
                unsafe { call::frame_give(self.frames[0], id)? };
                self.frames.copy_within(1.., 0);
                self.used -= 1;
            }
            let entry_lo = first << PAGE_SHIFT | entry_lo::DIRTY;
            // SAFETY: the environment is another.
            unsafe { call::env_map(id, self.control, at, entry_lo, together as u32)? };
            at += together as u32 * PAGE_BYTES;
        }
        Ok(())
    }
}

impl<T> Child<T> {
    /// Nothing of it is seen any more.
    fn hide(&self) {
        let seen = get!(scratch[1]) >> PAGE_SHIFT;
        if let Some(number) = self.frames[..self.used].iter().position(|&frame| frame == seen) {
            let address = START + number as u32 * PAGE_BYTES;
            unsee(1, SCRATCH[1] | address & ((1 << SCRATCH_BITS) - 1));
        }
    }
}

impl<T> Drop for Child<T> {
    /// What has not been given to it is free again.
    fn drop(&mut self) {
        self.hide();
        for &frame in &self.frames[..self.used] {
            // SAFETY: nothing is mapped to it.
            let _ = unsafe { call::frame_free(frame) };
        }
    }
}

/// Takes rights from what the TLBs hold of pages.
fn restrict(stay: u32, range: core::ops::Range<u32>) {
    let (mut page, end) = (range.start, range.end);
    while page < end {
        let now = (end - page).min(PROTECT_MAX);
        // SAFETY: TLBs may lose a mapping at any time. The pages are user space's, and not too many.
        let _ = unsafe { call::raw_tlb_protect(stay, page << PAGE_SHIFT, now, 0) };
        page += now;
    }
}

/// What an address for the library's own use is mapped to: `None` if it is another's, 0 if to nothing.
fn own_use(address: u32) -> Option<u32> {
    let number = address >> SCRATCH_BITS;
    let which = SCRATCH.iter().position(|start| start >> SCRATCH_BITS == number)?;
    Some(get!(scratch[which]))
}

/// While it lives an activity changes the space, and the other leaves alone what both use.
struct Busy(u32);

impl Busy {
    fn begin() -> Self {
        let was = get!(busy);
        set!(busy, 1 + sequences::current());
        Self(was)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        set!(busy, self.0);
    }
}

/// Whether an activity is changing the space.
pub(crate) fn is_changing() -> bool {
    get!(busy) != 0
}

/// Whether the other activity is changing the space.
fn is_busy() -> bool {
    let busy = get!(busy);
    busy != 0 && busy != 1 + sequences::current()
}
