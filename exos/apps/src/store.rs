//! A store of records in more pages than it has frames, which pages by a policy of its own.
//!
//! The store is its own pager: it has a table of its pages, answers their misses, has a page that is to go kept by a backing
//! environment ([`backing`]), and fetches it from there. Which page goes is a policy's to say ([`Replacement`]). The
//! store tells it of each use, so least recently used means just that, and whether the use was part of a scan.

use core::cell::UnsafeCell;
use exos::backing;
use exos_policy::paging::{Lru, Replacement, Scans};
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::{call, memory};

/// Pages of records.
pub const PAGES: u32 = 96;
/// Words of a record.
pub const WORDS: usize = 16;
/// Records.
pub const RECORDS: u32 = PAGES * PER_PAGE;
/// Records of a page.
pub const PER_PAGE: u32 = PAGE_BYTES / size_of::<Record>() as u32;
/// The most frames that it can have.
pub const FRAMES: usize = 64;

/// What is kept under a key.
pub type Record = [u32; WORDS];

/// Where the pages are.
const START: u32 = 0x6000_0000;

/// Which page goes.
#[allow(clippy::large_enum_variant, reason = "there is one, in the one store")]
pub enum Policy {
    /// The least recently used.
    Lru(Lru),
    /// Those of scans before others.
    Scans(Scans),
}

impl Policy {
    fn replacement(&mut self) -> &mut dyn Replacement {
        match self {
            Self::Lru(lru) => lru,
            Self::Scans(scans) => scans,
        }
    }
}

struct Pager {
    policy: Policy,
    backing: EnvId,
    /// The EntryLo word of each page that has a frame, else 0.
    entries: [u32; PAGES as usize],
    /// Where each page is kept, 0 for nowhere: it is full of zeros, or has a frame.
    places: [u32; PAGES as usize],
    /// Frames that no page has.
    spare: heapless::Vec<u32, FRAMES>,
    fetched: u32,
}

struct Cell(UnsafeCell<Option<Pager>>);

// SAFETY: one store at a time has it, and it is in one environment's main activity.
unsafe impl Sync for Cell {}

static PAGER: Cell = Cell(UnsafeCell::new(None));

/// What answers the store's misses, for [`set_hook`](exos::vm::set_hook).
pub fn miss(address: u32, _code: Code) -> bool {
    if !(START..START + PAGES * PAGE_BYTES).contains(&address) {
        return false;
    }
    // SAFETY: nobody refers to it while a record is accessed.
    match unsafe { &mut *PAGER.0.get() } {
        Some(pager) => pager.miss((address - START) >> PAGE_SHIFT).is_ok(),
        None => false,
    }
}

impl Pager {
    /// Maps a page, and sees to it that it has a frame.
    fn miss(&mut self, page: u32) -> Result<(), Error> {
        let address = START + page * PAGE_BYTES;
        let slot = page as usize;
        if self.entries[slot] == 0 {
            let frame = match self.spare.pop() {
                Some(frame) => frame,
                None => self.evict()?,
            };
            let entry = frame << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY;
            if let Err(error) = self.fill(page, frame, address, entry) {
                // It has room for all.
                let _ = self.spare.push(frame);
                return Err(error);
            }
            self.entries[slot] = entry;
        }
        // SAFETY: the frame is this page's and no other's.
        unsafe { call::tlb_write(address, self.entries[slot], call::NO_CAPABILITY) }
    }

    /// Gives a frame what is in a page.
    fn fill(&mut self, page: u32, frame: u32, address: u32, entry: u32) -> Result<(), Error> {
        match core::mem::take(&mut self.places[page as usize]) {
            // SAFETY: as above; the page has not been used yet.
            0 => unsafe {
                call::tlb_write(address, entry, call::NO_CAPABILITY)?;
                (address as *mut u8).write_bytes(0, PAGE_BYTES as usize);
                Ok(())
            },
            place => {
                self.fetched += 1;
                backing::fetch(self.backing, place, frame).inspect_err(|_| self.places[page as usize] = place)
            }
        }
    }

    /// Takes the frame of the page that is to go.
    fn evict(&mut self) -> Result<u32, Error> {
        let page = self.policy.replacement().evict().ok_or(Error::Full)?;
        let frame = self.entries[usize::from(page)] >> PAGE_SHIFT;
        self.places[usize::from(page)] = backing::keep(self.backing, frame).inspect_err(|_| {
            self.policy.replacement().used(page, false);
        })?;
        self.entries[usize::from(page)] = 0;
        call::tlb_delete(START + u32::from(page) * PAGE_BYTES);
        Ok(frame)
    }
}

/// The store. There is one at a time.
pub struct Store(());

impl Store {
    /// An empty one: all records are zeros. It has so many frames; pages without one are kept by `backing`. Its misses are to
    /// be answered by [`miss`].
    ///
    /// # Errors
    /// [`Error::Busy`] if there is one; [`Error::BadArgument`] if it is to have no frames, or more than [`FRAMES`];
    /// [`Error::Full`] if there are not so many.
    pub fn new(policy: Policy, frames: usize, backing: EnvId) -> Result<Self, Error> {
        if !(1..=FRAMES).contains(&frames) {
            return Err(Error::BadArgument);
        }
        // SAFETY: nobody refers to it outside of the functions here.
        let pager = unsafe { &mut *PAGER.0.get() };
        if pager.is_some() {
            return Err(Error::Busy);
        }
        let (entries, places) = ([0; PAGES as usize], [0; PAGES as usize]);
        *pager = Some(Pager { policy, backing, entries, places, spare: heapless::Vec::new(), fetched: 0 });
        let store = Self(());
        for _ in 0..frames {
            let frame = memory::allocate()?;
            // It has room for so many.
            let _ = store.pager().spare.push(frame);
        }
        Ok(store)
    }

    #[allow(clippy::mut_from_ref, reason = "one store, one activity, and no two are in use at a time")]
    fn pager(&self) -> &mut Pager {
        // SAFETY: as above; and there is one, since there is a store.
        unsafe { (*PAGER.0.get()).as_mut().unwrap_unchecked() }
    }

    /// Pages that were fetched from the backing environment.
    #[must_use]
    pub fn fetched(&self) -> u32 {
        self.pager().fetched
    }

    /// The record of a key, as one of those that are used again and again.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if there is no such key.
    pub fn get(&self, key: u32) -> Result<Record, Error> {
        // SAFETY: `access` says so. Likewise below.
        self.access(key, false, |record| unsafe { record.read_volatile() })
    }

    /// Puts a record there.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn put(&self, key: u32, value: Record) -> Result<(), Error> {
        // SAFETY: as above.
        self.access(key, false, |record| unsafe { record.write_volatile(value) })
    }

    /// Reads all records in order; what a function makes of them one after the other.
    pub fn scan<T>(&self, mut value: T, mut each: impl FnMut(T, &Record) -> T) -> T {
        for key in 0..RECORDS {
            // SAFETY: as above.
            if let Ok(record) = self.access(key, true, |record| unsafe { record.read_volatile() }) {
                value = each(value, &record);
            }
        }
        value
    }

    /// Passes on the address of a record, which is mapped or is missed, and which nobody else refers to.
    fn access<T>(&self, key: u32, once: bool, access: impl FnOnce(*mut Record) -> T) -> Result<T, Error> {
        if key >= RECORDS {
            return Err(Error::BadArgument);
        }
        let page = key / PER_PAGE;
        // The page may be missed, which changes the pager; only then is it told of the use.
        let result = access((START as *mut Record).wrapping_add(key as usize));
        self.pager().policy.replacement().used(page as u16, once);
        Ok(result)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: as above.
        let Some(pager) = (unsafe { (*PAGER.0.get()).take() }) else { return };
        for place in pager.places {
            backing::drop_copy(pager.backing, place);
        }
        let mapped = pager.entries.iter().filter(|&&entry| entry != 0).map(|entry| entry >> PAGE_SHIFT);
        for frame in mapped.chain(pager.spare.iter().copied()) {
            // SAFETY: no page is used any more. It is this environment's, so this does not fail.
            let _ = unsafe { call::frame_free(frame) };
        }
    }
}
