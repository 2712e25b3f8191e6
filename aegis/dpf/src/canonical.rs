//! Canonical form: what a program's atoms come down to once they are checked.
//!
//! However a program writes a filter, equal filters become the same list of steps. Constant shifts go into the offsets; each
//! different shift that reads the message opens a *level*, a base of its own, and level 0 is the message itself;
//! comparisons are gathered in *cells*, the words of memory that they look at, sorted. What is compared of a cell becomes one
//! load, if that is all four bytes, or one for each half, or each byte. So adjacent comparisons coalesce: two ports of 16
//! bits are one comparison of 32.
//!
//! Every step but a comparison opens a level: it checks, once, that all that is read from that base lies in the message.
//!
//! Steps are in the order of their tests, and that order is such that of two filters of which one compares all that
//! the other does, and more, the stricter is the first ([`Test`]).

use crate::Error;
use aegis_abi::filter::{ATOMS_MAX, Atom, COMPARE, INDIRECT, MESSAGE_MIN, OFFSET_MAX, SHIFT_BY, SHIFT_MAX, SHIFTS_MAX};

/// The most steps of a filter.
pub const STEPS_MAX: usize = 24;
/// Level 0, and one for each shift that reads the message.
pub const LEVELS: usize = SHIFTS_MAX + 1;

/// What a step looks at, as three words. Tests of a list of alternatives are tried in ascending order.
///
/// The order is by level; then what opens a level, before the comparisons; then by offset, ascending; then the wider
/// load; then the mask, descending. Whoever looks at more comes before whoever looks at less, then, since a mask that has all
/// the bits of another is not the smaller number. What opens a level is ordered by what it reads, and then by how much of the message it requires,
/// descending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
#[repr(C)]
pub struct Test {
    /// Level 31..28, comparison 27, base of what a shift reads 26..24, offset 23..8, [`Width`] or bytes 7..0.
    place: u32,
    /// The complement of the mask.
    ignored: u32,
    /// What opens a level: the scale plus 64 in 31..16, and the complement of the bytes that it requires.
    extra: u32,
}

/// How a comparison loads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Width {
    /// An aligned word.
    Word = 0,
    /// A word at any address.
    WordAnywhere = 1,
    /// An aligned halfword.
    Half = 2,
    /// A halfword at any address.
    HalfAnywhere = 3,
    /// A byte.
    Byte = 4,
}

impl Width {
    /// Bytes that are loaded.
    pub(crate) const fn bytes(self) -> u32 {
        match self {
            Self::Word | Self::WordAnywhere => 4,
            Self::Half | Self::HalfAnywhere => 2,
            Self::Byte => 1,
        }
    }

    /// The mask of all that is loaded.
    pub(crate) const fn all(self) -> u32 {
        u32::MAX >> (32 - 8 * self.bytes())
    }
}

const COMPARES: u32 = 1 << 27;

impl Test {
    const fn compare(level: usize, offset: u32, width: Width, mask: u32) -> Self {
        let place = (level as u32) << 28 | COMPARES | offset << 8 | width as u32;
        Self { place, ignored: !mask, extra: 0 }
    }

    /// The message has at least `need` bytes.
    const fn bound(need: u32) -> Self {
        Self { place: 0, ignored: !0, extra: 0xffff - need }
    }

    const fn shift(level: usize, from: usize, load: Load, need: u32) -> Self {
        let place = (level as u32) << 28 | (from as u32) << 24 | load.offset << 8 | load.bytes;
        let extra = (load.scale + 64) as u32;
        Self { place, ignored: !load.mask, extra: extra << 16 | (0xffff - need) }
    }

    /// Whether it compares; else it opens its level.
    pub(crate) const fn compares(self) -> bool {
        self.place & COMPARES != 0
    }

    pub(crate) const fn level(self) -> usize {
        (self.place >> 28) as usize
    }

    /// The level from whose base a shift reads.
    pub(crate) const fn from(self) -> usize {
        (self.place >> 24 & 7) as usize
    }

    pub(crate) const fn offset(self) -> u32 {
        self.place >> 8 & 0xffff
    }

    /// How many bytes a shift reads.
    pub(crate) const fn load_bytes(self) -> u32 {
        self.place & 7
    }

    pub(crate) const fn width(self) -> Width {
        match self.place & 7 {
            0 => Width::Word,
            1 => Width::WordAnywhere,
            2 => Width::Half,
            3 => Width::HalfAnywhere,
            _ => Width::Byte,
        }
    }

    /// Of a comparison: as the processor loads it, the first byte being the lowest. Of a shift: in network order.
    pub(crate) const fn mask(self) -> u32 {
        !self.ignored
    }

    /// How far left a shift moves what it reads; to the right if negative.
    pub(crate) const fn scale(self) -> i32 {
        (self.extra >> 16) as i32 - 64
    }

    /// From its level's base on, the bytes that must be there.
    pub(crate) const fn need(self) -> u32 {
        0xffff - (self.extra & 0xffff)
    }

    /// What a shift reads.
    pub(crate) const fn load(self) -> Load {
        Load { offset: self.offset(), bytes: self.load_bytes(), mask: self.mask(), scale: self.scale() }
    }
}

/// A test and what it must find: of a comparison the value, else zero.
#[derive(Clone, Copy, Default, Debug)]
pub struct Step {
    pub(crate) test: Test,
    pub(crate) key: u32,
}

/// What a shift reads and makes of it: `bytes` bytes in network order, masked, then scaled.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Load {
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
    pub(crate) mask: u32,
    pub(crate) scale: i32,
}

impl Load {
    /// What the shift amounts to for what was read.
    pub(crate) const fn amount(self, read: u32) -> u32 {
        let masked = read & self.mask;
        if self.scale < 0 { masked >> -self.scale } else { masked << self.scale }
    }
}

/// A base that comparisons count from.
#[derive(Clone, Copy, Default, Debug)]
struct Level {
    from: usize,
    load: Load,
    /// Bytes behind its base that are read.
    need: u32,
    /// Its base is a multiple of this...
    modulus: u32,
    /// ...plus this.
    residue: u32,
}

/// A word of memory of which something is compared.
#[derive(Clone, Copy, Default, Debug)]
struct Cell {
    /// The level in 31..16, and which word it is from the last aligned address before the base on.
    place: u32,
    /// The bits, and what they are. The first byte is the lowest, as the processor loads it.
    mask: u32,
    value: u32,
}

impl Cell {
    /// Takes in another of the same place.
    fn merge(&mut self, other: Self) -> Result<(), Error> {
        let agree = (self.value ^ other.value) & self.mask & other.mask == 0;
        self.mask |= other.mask;
        self.value |= other.value;
        if agree { Ok(()) } else { Err(Error::Malformed) }
    }
}

/// An atom's first four bytes.
const fn head(atom: &Atom) -> u32 {
    u32::from_le_bytes([atom.kind, atom.bits, atom.scale.cast_unsigned(), atom.reserved])
}

const COMPARE_BYTE: u32 = head(&Atom::equal(0, 8, 0));
const COMPARE_HALF: u32 = head(&Atom::equal(0, 16, 0));
const COMPARE_WORD: u32 = head(&Atom::equal(0, 32, 0));
const PLAIN_SHIFT: u32 = head(&Atom::shift(0));

/// Whether something counts of both bytes of a half.
const fn is_half(mask: u32) -> bool {
    mask > 0xff && mask & 0xff != 0
}

/// The most cells: two for each comparison.
const CELLS_MAX: usize = 2 * ATOMS_MAX;

/// A filter in canonical form.
pub struct Canonical {
    steps: [Step; STEPS_MAX],
    len: usize,
    levels: [Level; LEVELS],
    level_count: usize,
    /// In order of their places, one for each.
    cells: [Cell; CELLS_MAX],
    cell_count: usize,
}

impl Canonical {
    /// None yet.
    pub(crate) const fn new() -> Self {
        let test = Test { place: 0, ignored: 0, extra: 0 };
        let load = Load { offset: 0, bytes: 0, mask: 0, scale: 0 };
        Self {
            steps: [Step { test, key: 0 }; STEPS_MAX],
            len: 0,
            levels: [Level { from: 0, load, need: 0, modulus: 0, residue: 0 }; LEVELS],
            level_count: 0,
            cells: [Cell { place: 0, mask: 0, value: 0 }; CELLS_MAX],
            cell_count: 0,
        }
    }

    /// The filter's steps: at least one.
    pub(crate) fn steps(&self) -> &[Step] {
        self.steps.get(..self.len).unwrap_or_default()
    }

    /// Checks what a program wrote and takes it in.
    pub(crate) fn read(&mut self, atoms: &[Atom]) -> Result<(), Error> {
        if atoms.len() > ATOMS_MAX || atoms.last().is_none_or(|last| last.kind != COMPARE) {
            return Err(Error::Malformed);
        }
        self.cell_count = 0;
        self.level_count = 1;
        // The message lies at 2 modulo 4, so that what follows an Ethernet header of 14 bytes is aligned.
        self.levels[0] = Level { modulus: 4, residue: 2, ..Level::default() };
        let (mut level, mut origin, mut next, mut in_order) = (0, 0, None, true);
        for atom in atoms {
            if atom.offset > OFFSET_MAX {
                return Err(Error::Malformed);
            }
            let offset = origin + atom.offset;
            // Kind and bits of nearly all atoms, whose scale and reserved byte are zero.
            let bytes = match head(atom) {
                COMPARE_BYTE => 1,
                COMPARE_HALF => 2,
                COMPARE_WORD => 4,
                PLAIN_SHIFT if next.is_none() && atom.mask | atom.value == 0 => {
                    origin = if offset <= OFFSET_MAX { offset } else { return Err(Error::Malformed) };
                    continue;
                }
                _ if next.is_none() && atom.reserved == 0 && atom.value == 0 => {
                    let to = self.level(level, offset, atom)?;
                    match atom.kind {
                        SHIFT_BY => level = to,
                        INDIRECT => next = Some(to),
                        _ => return Err(Error::Malformed),
                    }
                    continue;
                }
                _ => return Err(Error::Malformed),
            };
            in_order &= self.compare(next.take().unwrap_or(level), offset, bytes, atom)?;
        }
        if self.level_count > 2 {
            in_order &= self.sort_levels();
        }
        if !in_order {
            self.sort()?;
        }
        self.combine()
    }

    /// The bytes of an access: how many, and whether the mask and the place are good.
    fn access(offset: u32, atom: &Atom) -> Result<u32, Error> {
        let bytes = u32::from(atom.bits) / 8;
        let fits = matches!(atom.bits, 8 | 16 | 32) && atom.mask <= u32::MAX >> (32 - u32::from(atom.bits));
        if fits && atom.mask != 0 && offset + bytes <= OFFSET_MAX { Ok(bytes) } else { Err(Error::Malformed) }
    }

    /// Notes what a comparison looks at, a cell or two; whether that is behind what was noted before.
    #[inline(always)]
    fn compare(&mut self, level: usize, offset: u32, bytes: u32, atom: &Atom) -> Result<bool, Error> {
        let left = 32 - 8 * bytes;
        let all = u32::MAX >> left;
        if atom.mask > all || atom.mask == 0 || atom.value & !atom.mask != 0 || offset + bytes > OFFSET_MAX {
            return Err(Error::Malformed);
        }
        // As the processor loads it. To swap bytes takes it many instructions.
        let swapped = |number: u32| (number << left).swap_bytes();
        let (mask, value) = (if atom.mask == all { all } else { swapped(atom.mask) }, swapped(atom.value));
        // Bytes of which nothing counts are not read.
        let (mut need, mut rest) = (offset + bytes, atom.mask);
        while rest & 0xff == 0 {
            (need, rest) = (need - 1, rest >> 8);
        }
        let of = &mut self.levels[level];
        if of.need < need {
            of.need = need;
        }
        let address = of.residue + offset;
        let (place, shift) = ((level as u32) << 16 | address >> 2, 8 * (address & 3));
        let first = Cell { place, mask: mask << shift, value: value << shift };
        if shift <= left {
            return self.note(first);
        }
        let second = Cell { place: place + 1, mask: mask >> (32 - shift), value: value >> (32 - shift) };
        Ok(self.note(first)? & self.note(second)?)
    }

    /// Notes a cell, of which bits may be noted already; whether it is behind the others.
    #[inline]
    fn note(&mut self, cell: Cell) -> Result<bool, Error> {
        if cell.mask == 0 {
            return Ok(true);
        }
        let count = self.cell_count;
        let mut in_order = true;
        if let Some(last) = self.cells.get_mut(count.wrapping_sub(1)) {
            if last.place == cell.place {
                return last.merge(cell).map(|()| true);
            }
            in_order = last.place < cell.place;
        }
        *self.cells.get_mut(count).ok_or(Error::TooLong)? = cell;
        self.cell_count = count + 1;
        Ok(in_order)
    }

    /// Sorts the cells (Shell's way), and puts those of one place together.
    #[inline(never)]
    fn sort(&mut self) -> Result<(), Error> {
        let cells = self.cells.get_mut(..self.cell_count).unwrap_or_default();
        for gap in [10, 4, 1] {
            for from in gap..cells.len() {
                let cell = cells[from];
                let mut to = from;
                while to >= gap && cells[to - gap].place > cell.place {
                    cells[to] = cells[to - gap];
                    to -= gap;
                }
                cells[to] = cell;
            }
        }
        let mut last = 0;
        for next in 1..cells.len() {
            let cell = cells[next];
            if cells[last].place == cell.place {
                cells[last].merge(cell)?;
            } else {
                last += 1;
                cells[last] = cell;
            }
        }
        self.cell_count = cells.len().min(last + 1);
        Ok(())
    }

    /// The level that a shift leads to.
    #[inline(never)]
    fn level(&mut self, from: usize, offset: u32, atom: &Atom) -> Result<usize, Error> {
        let bytes = Self::access(offset, atom)?;
        let mut load = Load { offset, bytes, mask: atom.mask, scale: atom.scale.into() };
        if !(-31..=31).contains(&load.scale) {
            return Err(Error::Malformed);
        }
        if load.scale < 0 {
            load.mask &= u32::MAX << -load.scale;
        }
        let most = match load.scale {
            left @ 0.. if load.mask <= SHIFT_MAX >> left => load.mask << left,
            0.. => return Err(Error::Malformed),
            right => load.mask >> -right,
        };
        if load.mask == 0 || most > SHIFT_MAX {
            return Err(Error::Malformed);
        }
        // Bytes of which nothing counts are not read.
        while load.mask & 0xff == 0 {
            load = Load { bytes: load.bytes - 1, mask: load.mask >> 8, scale: load.scale + 8, ..load };
        }
        while load.mask >> (8 * (load.bytes - 1)) == 0 {
            load = Load { bytes: load.bytes - 1, offset: load.offset + 1, ..load };
        }
        let known = self.levels.get(1..self.level_count).unwrap_or_default();
        if let Some(known) = known.iter().position(|level| level.from == from && level.load == load) {
            return Ok(known + 1);
        }
        let parent = &mut self.levels[from];
        parent.need = parent.need.max(load.offset + load.bytes);
        // The lowest bit of all that the shift may be, but 4 at most.
        let step = (most | 4) & (most | 4).wrapping_neg();
        let modulus = parent.modulus.min(step);
        let residue = parent.residue & (modulus - 1);
        let level = self.levels.get_mut(self.level_count).ok_or(Error::TooLong)?;
        *level = Level { from, load, need: 0, modulus, residue };
        self.level_count += 1;
        Ok(self.level_count - 1)
    }

    /// Numbers the levels in the order in which what opens them is preferred, each behind the one that it is read from, so
    /// that one more of them never makes a filter less preferred; whether they were so numbered.
    #[inline(never)]
    fn sort_levels(&mut self) -> bool {
        let old = self.levels;
        let mut numbers = [0; LEVELS];
        let mut done = [true, false, false, false, false];
        for number in 1..self.level_count {
            let ready = (1..self.level_count).filter(|&level| !done[level] && done[old[level].from]);
            let first = ready.min_by_key(|&level| Test::shift(0, numbers[old[level].from], old[level].load, 0));
            // Levels are read from levels that were there before, so there is always one.
            let Some(first) = first else { return true };
            done[first] = true;
            numbers[first] = number;
            self.levels[number] = Level { from: numbers[old[first].from], ..old[first] };
        }
        for cell in self.cells.iter_mut().take(self.cell_count) {
            cell.place = (numbers[(cell.place >> 16) as usize] as u32) << 16 | cell.place & 0xffff;
        }
        numbers.is_sorted()
    }

    /// Makes the steps.
    fn combine(&mut self) -> Result<(), Error> {
        self.len = 0;
        let mut next = 0;
        for number in 0..self.level_count {
            let &Level { from, load, need, modulus, residue } = &self.levels[number];
            if number > 0 {
                self.push(Test::shift(number, from, load, need), 0)?;
            } else if need > MESSAGE_MIN {
                self.push(Test::bound(need), 0)?;
            }
            let word = if modulus == 4 { Width::Word } else { Width::WordAnywhere };
            let half = if modulus >= 2 { Width::Half } else { Width::HalfAnywhere };
            while next < self.cell_count
                && let Some(&Cell { place, mask, value }) = self.cells.get(next)
                && (place >> 16) as usize == number
            {
                next += 1;
                // The first byte of the cell may lie before the base; those that are compared don't.
                let at = ((place & 0xffff) << 2).wrapping_sub(residue);
                let mut push = |at, width, mask, value| self.push(Test::compare(number, at, width, mask), value);
                let (low, high) = (mask & 0xffff, mask >> 16);
                if is_half(low) && is_half(high) {
                    push(at, word, mask, value)?;
                    continue;
                }
                for (at, mask, value) in [(at, low, value & 0xffff), (at.wrapping_add(2), high, value >> 16)] {
                    if is_half(mask) {
                        push(at, half, mask, value)?;
                    } else if mask > 0xff {
                        push(at.wrapping_add(1), Width::Byte, mask >> 8, value >> 8)?;
                    } else if mask != 0 {
                        push(at, Width::Byte, mask, value)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn push(&mut self, test: Test, key: u32) -> Result<(), Error> {
        *self.steps.get_mut(self.len).ok_or(Error::TooLong)? = Step { test, key };
        self.len += 1;
        Ok(())
    }

    /// The level of this filter that reads what `test`, a shift, reads, from the level `from` of this filter.
    pub(crate) fn level_of(&self, from: usize, test: Test) -> Option<usize> {
        let levels = self.levels.get(1..self.level_count).unwrap_or_default();
        levels.iter().position(|level| level.from == from && level.load == test.load()).map(|place| place + 1)
    }

    /// Which bits this filter compares of what `test` loads, at the filter's `level`, and what they must be.
    pub(crate) fn compared(&self, level: usize, test: Test) -> (u32, u32) {
        let address = self.levels[level].residue + test.offset();
        let place = (level as u32) << 16 | address >> 2;
        let cells = self.cells.get(..self.cell_count).unwrap_or_default();
        let at = cells.partition_point(|cell| cell.place < place);
        let cell = cells.get(at).filter(|cell| cell.place == place).copied().unwrap_or_default();
        let (shift, all) = (8 * (address & 3), test.width().all());
        (cell.mask >> shift & all, cell.value >> shift & all)
    }
}
