//! Canonical form: what a program's atoms come down to once they are checked.
//!
//! However a program writes a filter, equal filters become the same list of steps. Constant shifts go into the offsets; each
//! different shift that reads the message opens a *level*, a base of its own, and level 0 is the message itself;
//! comparisons are taken apart into bytes, sorted, and put together again into the widest loads that the alignment
//! allows. So adjacent comparisons coalesce: two ports of 16 bits are one comparison of 32.
//!
//! Every step but a comparison opens a level: it checks, once, that all that is read from that base lies in the message.
//!
//! Steps are in the order of their tests, and that order is such that of two filters of which one compares all that
//! the other does, and more, the stricter is the first ([`Test`]).

use crate::Error;
use aegis_abi::filter::{
    ATOMS_MAX, Atom, COMPARE, INDIRECT, MESSAGE_MIN, OFFSET_MAX, SHIFT, SHIFT_BY, SHIFT_MAX, SHIFTS_MAX,
};

/// The most steps of a filter.
pub const STEPS_MAX: usize = 48;
/// The most bytes that the comparisons of a filter may look at.
pub const BYTES_MAX: usize = 96;
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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
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

/// A byte that is compared: level and offset as one number, and what.
#[derive(Clone, Copy, Default, Debug)]
struct Byte {
    at: u32,
    mask: u8,
    value: u8,
}

/// A filter in canonical form.
pub struct Canonical {
    steps: [Step; STEPS_MAX],
    len: usize,
    levels: [Level; LEVELS],
    level_count: usize,
    bytes: [Byte; BYTES_MAX],
    byte_count: usize,
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
            bytes: [Byte { at: 0, mask: 0, value: 0 }; BYTES_MAX],
            byte_count: 0,
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
        self.byte_count = 0;
        self.level_count = 1;
        // The message lies at 2 modulo 4, so that what follows an Ethernet header of 14 bytes is aligned.
        self.levels[0] = Level { modulus: 4, residue: 2, ..Level::default() };
        let (mut level, mut origin, mut next) = (0, 0, None);
        for atom in atoms {
            if atom.reserved != 0 || atom.offset > OFFSET_MAX || next.is_some() && atom.kind != COMPARE {
                return Err(Error::Malformed);
            }
            let offset = origin + atom.offset;
            match atom.kind {
                COMPARE if atom.scale == 0 => self.compare(next.take().unwrap_or(level), offset, atom)?,
                SHIFT if atom.bits == 0 && atom.scale == 0 && atom.mask | atom.value == 0 => {
                    origin = if offset <= OFFSET_MAX { offset } else { return Err(Error::Malformed) };
                }
                SHIFT_BY if atom.value == 0 => level = self.level(level, offset, atom)?,
                INDIRECT if atom.value == 0 => next = Some(self.level(level, offset, atom)?),
                _ => return Err(Error::Malformed),
            }
        }
        if self.level_count > 2 {
            self.sort_levels();
        }
        self.combine()
    }

    /// The bytes of an access: how many, and whether the mask and the place are good.
    fn access(offset: u32, atom: &Atom) -> Result<u32, Error> {
        let bytes = u32::from(atom.bits) / 8;
        let fits = matches!(atom.bits, 8 | 16 | 32) && atom.mask <= u32::MAX >> (32 - u32::from(atom.bits));
        if fits && atom.mask != 0 && offset + bytes <= OFFSET_MAX { Ok(bytes) } else { Err(Error::Malformed) }
    }

    /// Notes the bytes of a comparison, in order.
    fn compare(&mut self, level: usize, offset: u32, atom: &Atom) -> Result<(), Error> {
        let bytes = Self::access(offset, atom)?;
        if atom.value & !atom.mask != 0 {
            return Err(Error::Malformed);
        }
        let (mut at, end) = ((level as u32) << 16 | offset, (level as u32) << 16 | (offset + bytes));
        let left = 32 - 8 * bytes;
        let (mut mask, mut value) = (atom.mask << left, atom.value << left);
        // As a rule they come in order.
        let behind = self.byte_count.checked_sub(1).and_then(|last| self.bytes.get(last));
        let in_order = behind.is_none_or(|last| last.at < at);
        let mut need = 0;
        while at < end {
            let byte = Byte { at, mask: (mask >> 24) as u8, value: (value >> 24) as u8 };
            at += 1;
            (mask, value) = (mask << 8, value << 8);
            if byte.mask == 0 {
                continue;
            }
            need = (at & 0xffff).max(need);
            if in_order {
                *self.bytes.get_mut(self.byte_count).ok_or(Error::TooLong)? = byte;
                self.byte_count += 1;
            } else {
                self.note(byte)?;
            }
        }
        let level = &mut self.levels[level];
        level.need = level.need.max(need);
        Ok(())
    }

    /// Notes a byte where it belongs.
    fn note(&mut self, byte: Byte) -> Result<(), Error> {
        let noted = self.bytes.get_mut(..=self.byte_count).ok_or(Error::TooLong)?;
        let mut place = noted.len() - 1;
        while place > 0 && noted[place - 1].at > byte.at {
            noted[place] = noted[place - 1];
            place -= 1;
        }
        if place > 0 && noted[place - 1].at == byte.at {
            // What was moved up goes back.
            noted.copy_within(place + 1.., place);
            let same = &mut noted[place - 1];
            if (same.value ^ byte.value) & same.mask & byte.mask != 0 {
                return Err(Error::Malformed);
            }
            same.mask |= byte.mask;
            same.value |= byte.value;
            return Ok(());
        }
        noted[place] = byte;
        self.byte_count += 1;
        Ok(())
    }

    /// The level that a shift leads to.
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
            left @ 0.. => u64::from(load.mask) << left,
            right => u64::from(load.mask >> -right),
        };
        if load.mask == 0 || most > u64::from(SHIFT_MAX) {
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
        let modulus = parent.modulus.min(1 << most.trailing_zeros().min(2));
        let residue = parent.residue % modulus;
        let level = self.levels.get_mut(self.level_count).ok_or(Error::TooLong)?;
        *level = Level { from, load, need: 0, modulus, residue };
        self.level_count += 1;
        Ok(self.level_count - 1)
    }

    /// Numbers the levels by what they read, each behind the one that it is read from.
    fn sort_levels(&mut self) {
        let old = self.levels;
        let mut numbers = [0; LEVELS];
        let mut done = [true, false, false, false, false];
        for number in 1..self.level_count {
            let ready = (1..self.level_count).filter(|&level| !done[level] && done[old[level].from]);
            let first = ready.min_by_key(|&level| (numbers[old[level].from], old[level].load));
            // Levels are read from levels that were there before, so there is always one.
            let Some(first) = first else { return };
            done[first] = true;
            numbers[first] = number;
            self.levels[number] = Level { from: numbers[old[first].from], ..old[first] };
        }
        let bytes = self.bytes.get_mut(..self.byte_count).unwrap_or_default();
        for byte in &mut *bytes {
            byte.at = (numbers[(byte.at >> 16) as usize] as u32) << 16 | byte.at & 0xffff;
        }
        bytes.sort_unstable_by_key(|byte| byte.at);
    }

    /// Makes the steps.
    fn combine(&mut self) -> Result<(), Error> {
        self.len = 0;
        let mut place = 0;
        for number in 0..self.level_count {
            let level = self.levels[number];
            if number > 0 {
                self.push(Test::shift(number, level.from, level.load, level.need), 0)?;
            } else if level.need > MESSAGE_MIN {
                self.push(Test::bound(level.need), 0)?;
            }
            while let Some(rest) = self.bytes.get(place..self.byte_count)
                && let Some(first) = rest.first()
                && (first.at >> 16) as usize == number
            {
                let (width, offset) = (widest(&level, rest), first.at & 0xffff);
                let (mut mask, mut value, mut shift) = (0, 0, 0);
                for byte in rest {
                    mask |= u32::from(byte.mask) << shift;
                    value |= u32::from(byte.value) << shift;
                    shift += 8;
                    place += 1;
                    if shift == 8 * width.bytes() {
                        break;
                    }
                }
                self.push(Test::compare(number, offset, width, mask), value)?;
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
        let first = (level as u32) << 16 | test.offset();
        let bytes = self.bytes.get(..self.byte_count).unwrap_or_default();
        let start = bytes.partition_point(|byte| byte.at < first);
        let (mut mask, mut value) = (0, 0);
        for byte in &bytes[start..] {
            let n = byte.at - first;
            if n >= test.width().bytes() {
                break;
            }
            mask |= u32::from(byte.mask) << (8 * n);
            value |= u32::from(byte.value) << (8 * n);
        }
        (mask, value)
    }
}

/// The widest load that begins with the first of `bytes`, all of which it compares.
fn widest(level: &Level, bytes: &[Byte]) -> Width {
    let [first, second, ..] = bytes else { return Width::Byte };
    if second.at != first.at + 1 {
        return Width::Byte;
    }
    let address = level.residue + (first.at & 0xffff);
    if let [_, _, third, fourth, ..] = bytes
        && third.at == first.at + 2
        && fourth.at == first.at + 3
    {
        if level.modulus < 4 {
            return Width::WordAnywhere;
        } else if address.is_multiple_of(4) {
            return Width::Word;
        }
    }
    if level.modulus < 2 {
        Width::HalfAnywhere
    } else if address.is_multiple_of(2) {
        Width::Half
    } else {
        Width::Byte
    }
}
