//! A generational collector that copies: new objects are in the *nursery*, and those that live on are moved to the *old*
//! space, which is collected as a whole when it is full.
//!
//! To collect the nursery alone it must know which old objects were changed since, for they may refer to new ones. There
//! are two *barriers* that tell: a page of the old space is read-only until it is stored to, and the exception says so
//! (Appel and Li; the paper's section 6.2); or each store also marks a *card*, a piece of 512 bytes, in a table.
//!
//! An object is a header and so many fields, each a word. A word that is odd is a number, one that is not refers to an
//! object, or to none if it is 0. The header is odd: twice the number of fields, and one; while objects are moved it is
//! where the object is now. Objects move, so who keeps one across an allocation keeps it in a root.

use core::cell::UnsafeCell;
use core::ops::Range;
use exos::exception::{self, Context};
use exos::vm::{READ, Vm, WRITE};
use exos_rt::abi::Error;
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use exos_rt::shared::Shared;

/// Pages of the nursery.
pub const NURSERY_PAGES: u32 = 16;
/// Pages of each of the two halves of the old space.
pub const OLD_PAGES: u32 = 80;
/// Roots of a program.
pub const ROOTS: usize = 96;
/// The most fields of an object.
pub const FIELDS: u32 = 16;

const NURSERY: Range<u32> = 0x5000_0000..0x5000_0000 + NURSERY_PAGES * PAGE_BYTES;
const OLD: u32 = NURSERY.end;
/// A half has room for what lives on of the nursery besides.
const HALF: u32 = (OLD_PAGES + NURSERY_PAGES) * PAGE_BYTES;
const FULL: u32 = OLD_PAGES * PAGE_BYTES;
const END: u32 = OLD + 2 * HALF;

const CARD_SHIFT: u32 = 9;
const CARD: u32 = 1 << CARD_SHIFT;
const CARDS: usize = ((END - NURSERY.start) >> CARD_SHIFT) as usize;
const PAGES: usize = ((END - OLD) >> PAGE_SHIFT) as usize;

/// How it is known which old objects were changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Barrier {
    /// By exceptions.
    Pages,
    /// By stores to a table.
    Cards,
}

/// Which cards were stored to, nursery and all, so that a store need not ask.
static MARKED: [Shared<u8>; CARDS] = [const { Shared::new(0) }; CARDS];
/// Which pages of the old space were.
static CHANGED: [Shared<u8>; PAGES] = [const { Shared::new(0) }; PAGES];

/// What has happened.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Collections of the nursery.
    pub minor: u32,
    /// Collections of everything.
    pub major: u32,
}

/// The heap. There is one at a time.
pub struct Heap {
    barrier: Barrier,
    /// Where the next new object is to be.
    new: u32,
    /// Where the next old one is.
    old: u32,
    /// Where the half that is used begins.
    half: u32,
    /// More lives than there is room for.
    full: bool,
    roots: [u32; ROOTS],
    /// What has happened.
    pub counts: Counts,
}

/// For each card of the old space the object that covers its first word.
struct Covers(UnsafeCell<[u32; (2 * HALF / CARD) as usize]>);

// SAFETY: the one heap accesses it.
unsafe impl Sync for Covers {}

static COVERS: Covers = Covers(UnsafeCell::new([0; (2 * HALF / CARD) as usize]));
static TAKEN: Shared<bool> = Shared::new(false);

/// Called for a store to a read-only page: one of the old space was changed.
extern "C" fn stored(context: &mut Context) {
    let address = context.address;
    if !(OLD..END).contains(&address) {
        context.report();
    }
    CHANGED[((address - OLD) >> PAGE_SHIFT) as usize].set(1);
    // It is mapped, since it can be read.
    let _ = Vm::protect(address, READ | WRITE);
}

fn load(address: u32) -> u32 {
    // SAFETY: those that call it have the address of a word of an object.
    unsafe { (address as *const u32).read() }
}

fn store(address: u32, value: u32) {
    // SAFETY: as above, and objects are this module's.
    unsafe { (address as *mut u32).write_volatile(value) }
}

fn fields(object: u32) -> u32 {
    load(object) >> 1
}

impl Heap {
    /// An empty heap. [`Vm`] is installed.
    ///
    /// # Errors
    /// [`Error::Busy`] if there is one; [`Error::Full`] if there is no memory for the table of its pages.
    pub fn new(barrier: Barrier) -> Result<Self, Error> {
        if TAKEN.get() {
            return Err(Error::Busy);
        }
        // SAFETY: nothing else is at these addresses. The handler changes a page's rights and nothing else.
        unsafe {
            Vm::zeros(NURSERY.start, (END - NURSERY.start) >> PAGE_SHIFT, READ | WRITE)?;
            exception::handle(Code::Modified, Some(stored))?;
        }
        TAKEN.set(true);
        MARKED.iter().chain(&CHANGED).for_each(|one| one.set(0));
        Ok(Self {
            barrier,
            new: NURSERY.start,
            old: OLD,
            half: OLD,
            full: false,
            roots: [0; ROOTS],
            counts: Counts::default(),
        })
    }

    /// What a root refers to.
    #[must_use]
    pub fn root(&self, root: usize) -> u32 {
        self.roots[root]
    }

    /// Sets a root.
    pub fn set_root(&mut self, root: usize, value: u32) {
        self.roots[root] = value;
    }

    /// A new object, its fields 0. Every object may move.
    ///
    /// # Errors
    /// [`Error::BadArgument`] for more than [`FIELDS`], or none; [`Error::Full`] if all memory is in use.
    pub fn allocate(&mut self, fields: u32) -> Result<u32, Error> {
        if !(1..=FIELDS).contains(&fields) {
            return Err(Error::BadArgument);
        }
        let bytes = 4 * (1 + fields);
        if self.full || self.new + bytes > NURSERY.end {
            self.collect()?;
        }
        let object = self.new;
        self.new += bytes;
        store(object, fields << 1 | 1);
        (1..=fields).for_each(|field| store(object + 4 * field, 0));
        Ok(object)
    }

    /// A field.
    ///
    /// # Panics
    /// Here and below, if the object has no such field.
    #[must_use]
    pub fn get(&self, object: u32, field: u32) -> u32 {
        assert!(field < fields(object));
        load(object + 4 * (1 + field))
    }

    /// Sets a field to a number or an object.
    pub fn set(&mut self, object: u32, field: u32, value: u32) {
        assert!(field < fields(object));
        let address = object + 4 * (1 + field);
        store(address, value);
        if self.barrier == Barrier::Cards {
            MARKED[((address - NURSERY.start) >> CARD_SHIFT) as usize].set(1);
        }
    }

    /// Collects the nursery, or everything if the old space might not take what lives on.
    ///
    /// # Errors
    /// [`Error::Full`] if there is more than the old space can take.
    pub fn collect(&mut self) -> Result<(), Error> {
        if self.full || self.old + (self.new - NURSERY.start) > self.half + FULL {
            return self.collect_all();
        }
        self.counts.minor += 1;
        let begin = self.old;
        // The page that is not full yet is stored to.
        if self.barrier == Barrier::Pages && begin != self.half {
            Vm::give(begin, 1, WRITE);
        }
        self.move_roots(|at| NURSERY.contains(&at));
        self.move_from_changed(begin);
        self.move_the_rest(begin, |at| NURSERY.contains(&at));
        self.new = NURSERY.start;
        if self.barrier == Barrier::Pages && self.old != begin {
            let first = begin & !(PAGE_BYTES - 1);
            Vm::take(first, (self.old - first).div_ceil(PAGE_BYTES), WRITE);
        }
        Ok(())
    }

    fn collect_all(&mut self) -> Result<(), Error> {
        self.counts.major += 1;
        self.half = if self.half == OLD { OLD + HALF } else { OLD };
        self.old = self.half;
        Vm::give(OLD, PAGES as u32, WRITE);
        let begin = self.old;
        // All but what is in the new half is left.
        let moved = begin..begin + HALF;
        self.move_roots(|at| !moved.contains(&at));
        self.move_the_rest(begin, |at| !moved.contains(&at));
        MARKED.iter().chain(&CHANGED).for_each(|one| one.set(0));
        self.new = NURSERY.start;
        if self.barrier == Barrier::Pages && self.old != begin {
            Vm::take(begin, (self.old - begin).div_ceil(PAGE_BYTES), WRITE);
        }
        self.full = self.old > self.half + FULL;
        if self.full { Err(Error::Full) } else { Ok(()) }
    }

    /// Moves what roots refer to and is `left`.
    fn move_roots(&mut self, left: impl Fn(u32) -> bool) {
        for root in 0..ROOTS {
            self.roots[root] = self.moved_of(self.roots[root], &left);
        }
    }

    /// Moves what changed objects before `begin` refer to.
    fn move_from_changed(&mut self, begin: u32) {
        match self.barrier {
            Barrier::Pages => {
                for page in (self.half - OLD) >> PAGE_SHIFT..(begin - OLD).div_ceil(PAGE_BYTES) {
                    if CHANGED[page as usize].get() != 0 {
                        CHANGED[page as usize].set(0);
                        let start = OLD + (page << PAGE_SHIFT);
                        self.move_from(start..(start + PAGE_BYTES).min(begin));
                        Vm::take(start, 1, WRITE);
                        // It may be the one that objects are moved to.
                        if (start..start + PAGE_BYTES).contains(&self.old) {
                            Vm::give(start, 1, WRITE);
                        }
                    }
                }
            }
            Barrier::Cards => {
                let card = |address: u32| (address - NURSERY.start) >> CARD_SHIFT;
                for card in card(self.half)..card(begin + CARD - 1) {
                    if MARKED[card as usize].get() != 0 {
                        MARKED[card as usize].set(0);
                        let start = NURSERY.start + (card << CARD_SHIFT);
                        self.move_from(start..(start + CARD).min(begin));
                    }
                }
            }
        }
    }

    /// Moves what the objects in a piece of the old space refer to.
    fn move_from(&mut self, piece: Range<u32>) {
        // SAFETY: the one heap accesses it.
        let mut object = unsafe { (*COVERS.0.get())[((piece.start - OLD) >> CARD_SHIFT) as usize] };
        while object < piece.end {
            let next = object + 4 * (1 + fields(object));
            for at in ((object + 4).max(piece.start)..next.min(piece.end)).step_by(4) {
                let (value, moved) = (load(at), self.moved_of(load(at), |at| NURSERY.contains(&at)));
                if value != moved {
                    store(at, moved);
                }
            }
            object = next;
        }
    }

    /// Moves what moved objects, from `object` on, refer to and is `left`.
    fn move_the_rest(&mut self, mut object: u32, left: impl Fn(u32) -> bool) {
        while object < self.old {
            let next = object + 4 * (1 + fields(object));
            for at in (object + 4..next).step_by(4) {
                let value = self.moved_of(load(at), &left);
                store(at, value);
            }
            object = next;
        }
    }

    /// What a word is when its object, if it refers to one that is `left`, is moved.
    fn moved_of(&mut self, word: u32, left: impl Fn(u32) -> bool) -> u32 {
        if word == 0 || word & 1 != 0 || !left(word) {
            return word;
        }
        let header = load(word);
        if header & 1 == 0 {
            return header;
        }
        let (to, words) = (self.old, 1 + (header >> 1));
        for place in 0..words {
            store(to + 4 * place, load(word + 4 * place));
        }
        store(word, to);
        self.old += 4 * words;
        // The cards that begin in it.
        for card in (to - OLD).div_ceil(CARD)..(self.old - OLD).div_ceil(CARD) {
            // SAFETY: as above.
            unsafe { (*COVERS.0.get())[card as usize] = to };
        }
        to
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // SAFETY: nobody refers to an object any more.
        unsafe {
            Vm::unmap(NURSERY.start, (END - NURSERY.start) >> PAGE_SHIFT);
            let _ = exception::handle(Code::Modified, None);
        }
        TAKEN.set(false);
    }
}
