//! The assembler: words emitted one after the other, with what the last of them leaves pending.

use mips1::{Instruction, Register, encode};

/// Why code could not be made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// It does not fit the memory that was given; so many words would.
    Full(usize),
    /// A branch goes to a label that was never bound.
    Unbound,
    /// A branch or jump does not reach its target.
    TooFar,
}

/// A place in the code that branches go to, before or after it is known.
///
/// It belongs to the assembler that it is first used with.
#[derive(Clone, Copy, Default, Debug)]
pub struct Label {
    /// One more than the index of the word that it names; 0 before it is bound.
    place: usize,
    /// One more than the index of the last branch that waits for it; 0 if none does. Each holds in its lower half how
    /// many words before it the next one is.
    waiting: usize,
}

impl Label {
    /// One that is not bound yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { place: 0, waiting: 0 }
    }
}

/// Where a branch goes.
enum Target<'t> {
    Label(&'t mut Label),
    Address(u32),
}

/// Emits instructions into memory.
///
/// It has a method for each instruction of MIPS I that a program may use and that is not for floating-point numbers,
/// with operands in assembly order.
#[derive(Debug)]
pub struct Assembler<'a> {
    code: &'a mut [u32],
    /// Where the first word will be executed.
    base: u32,
    /// Words emitted, those too that did not fit.
    at: usize,
    /// Registers, as bits, that the last instruction loads.
    late: u32,
    /// The same of the one before it.
    late_before: u32,
    /// What the last instruction reads and writes, if it may move into the slot of a branch; else all bits are set.
    touches: u32,
    /// Likewise, what it writes.
    writes: u32,
    /// Whether the last word is the empty slot of a branch behind which execution may go on.
    open: bool,
    /// The index of the word that the branch with the open slot goes to, if that is known.
    behind: Option<usize>,
    /// The first index at which HI and LO may be written.
    hi_lo: usize,
    /// Branches that wait for their labels.
    waiting: usize,
    too_far: bool,
}

const fn bit(register: Register) -> u32 {
    // `$zero` never counts.
    (1 << register.number()) & !1
}

/// The register, as a bit, that a word loads from memory.
const fn loaded(word: u32) -> u32 {
    // `lb` to `lwr`
    if matches!(word >> 26, 0x20..=0x26) { (1 << (word >> 16 & 31)) & !1 } else { 0 }
}

impl<'a> Assembler<'a> {
    /// Code for `code` that will be executed at the address `base`, which is a multiple of four.
    #[must_use]
    pub fn new(code: &'a mut [u32], base: u32) -> Self {
        Self {
            code,
            base,
            at: 0,
            late: 0,
            late_before: 0,
            touches: !0,
            writes: !0,
            open: false,
            behind: None,
            hi_lo: 0,
            waiting: 0,
            too_far: false,
        }
    }

    /// Goes on behind the first `len` words of code that is there, the last of which is the slot of a branch; with `open`
    /// it is emitted anew, by [`speculate`](Self::speculate) or else as `nop`.
    pub fn resume(&mut self, len: usize, open: bool) {
        self.at = len;
        self.open = open && len > 0;
        if self.open
            && let Some(slot) = self.code.get_mut(len - 1)
        {
            *slot = encode::nop();
        }
    }

    /// Words emitted so far, with those that did not fit.
    #[must_use]
    pub fn len(&self) -> usize {
        self.at
    }

    /// Whether nothing was emitted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.at == 0
    }

    /// Ends the code: how many words it has.
    ///
    /// What follows the last of them is not looked at: the code ends with a jump, or goes on into code that does not
    /// begin with reading what was loaded last.
    ///
    /// # Errors
    /// If it can't be executed.
    pub fn finish(&self) -> Result<usize, Error> {
        if self.at > self.code.len() {
            Err(Error::Full(self.at))
        } else if self.waiting != 0 {
            Err(Error::Unbound)
        } else if self.too_far {
            Err(Error::TooFar)
        } else {
            Ok(self.at)
        }
    }

    #[inline(always)]
    fn put(&mut self, word: u32) {
        if let Some(place) = self.code.get_mut(self.at) {
            *place = word;
        }
        self.at += 1;
    }

    /// Emits an instruction that reads and writes registers; `late` of them arrive one instruction late.
    #[inline(always)]
    fn emit(&mut self, word: u32, reads: u32, writes: u32, late: u32, movable: bool) {
        if self.late & reads != 0 {
            self.put(encode::nop());
            self.late = 0;
        }
        self.put(word);
        self.late_before = self.late;
        self.late = late;
        (self.touches, self.writes) = if movable { (reads | writes, writes) } else { (!0, !0) };
        self.open = false;
    }

    /// Emits a branch or jump and its slot. `word` lacks the offset to `target`, if there is one.
    #[inline]
    fn emit_branch(&mut self, word: u32, reads: u32, links: u32, goes_on: bool, target: Option<Target>) {
        if self.late & reads != 0 {
            self.put(encode::nop());
            self.late = 0;
            (self.touches, self.writes) = (!0, !0);
        }
        let moves = self.writes & reads == 0 && self.touches & links == 0 && self.late_before & reads == 0;
        // An instruction was emitted before if it touches anything but all.
        let moved = if moves && self.touches != !0 { self.code.get(self.at - 1).copied() } else { None };
        self.at -= usize::from(moved.is_some());
        self.behind = None;
        let offset = target.map_or(0, |target| self.offset(target));
        self.put(word | u32::from(offset));
        self.put(moved.unwrap_or(encode::nop()));
        self.open = moved.is_none() && goes_on;
        self.late = 0;
        self.late_before = 0;
        (self.touches, self.writes) = (!0, !0);
    }

    /// The lower half of a branch that is emitted next.
    #[inline]
    fn offset(&mut self, target: Target) -> u16 {
        let distance = match target {
            Target::Address(address) => {
                let from = self.base.wrapping_add(4 * self.at as u32 + 4);
                address.wrapping_sub(from) as i32 >> 2
            }
            Target::Label(label) if label.place != 0 => {
                self.behind = Some(label.place - 1);
                label.place as i32 - 2 - self.at as i32
            }
            Target::Label(label) => {
                let before = if label.waiting == 0 { 0 } else { self.at + 1 - label.waiting };
                label.waiting = self.at + 1;
                self.waiting += 1;
                let before = u16::try_from(before);
                self.too_far |= before.is_err();
                return before.unwrap_or(0);
            }
        };
        self.too_far |= i16::try_from(distance).is_err();
        distance as u16
    }

    /// Makes a label name what is emitted next. A label is bound once; what a second time would name is not looked at.
    pub fn bind(&mut self, label: &mut Label) {
        if label.place != 0 {
            return;
        }
        label.place = self.at + 1;
        let mut waiting = core::mem::take(&mut label.waiting);
        while let Some(branch) = waiting.checked_sub(1) {
            self.waiting -= 1;
            let slot = self.code.get(branch + 1).copied().unwrap_or(0);
            // What a slot loads is late on this path, too.
            self.late |= loaded(slot);
            let Some(word) = self.code.get_mut(branch) else { break };
            let before = *word as u16;
            let distance = self.at - (branch + 1);
            self.too_far |= distance > i16::MAX as usize;
            *word = *word & !0xffff | (distance & 0xffff) as u32;
            waiting = if before == 0 { 0 } else { waiting - usize::from(before) };
        }
        (self.touches, self.writes) = (!0, !0);
        self.late_before = 0;
        self.open = false;
    }

    /// Lets what `emit` emits, if that is one instruction, go into the slot of the branch before it, if that is empty.
    ///
    /// It is executed whether the branch is taken or not, so the code there must not care; in particular it may be a
    /// load only if its address is good on both paths. If the branch goes to an address rather than a label, the
    /// instruction there must not read what is loaded.
    #[inline]
    pub fn speculate(&mut self, emit: impl FnOnce(&mut Self)) {
        if !self.open {
            return emit(self);
        }
        let (at, behind) = (self.at, self.behind);
        emit(self);
        let Some(&word) = self.code.get(at) else { return };
        let hurts = loaded(word) != 0 && behind.is_some_and(|behind| self.reads(behind) & loaded(word) != 0);
        let fits = self.at == at + 1 && self.hi_lo < at && !hurts;
        if fits {
            if let Some(slot) = self.code.get_mut(at - 1) {
                *slot = word;
            }
            self.at = at;
            (self.touches, self.writes) = (!0, !0);
            self.late_before = 0;
        }
    }

    /// [`speculate`](Self::speculate) for a load, as a word.
    pub fn speculate_load(&mut self, word: u32) {
        let (base, loaded) = ((1 << (word >> 21 & 31)) & !1, loaded(word));
        self.speculate(|asm| asm.emit(word, base, loaded, loaded, false));
    }

    /// The registers, as bits, that the word at an index reads.
    fn reads(&self, at: usize) -> u32 {
        let instruction = self.code.get(at).and_then(|&word| Instruction::decode(word));
        instruction.map_or(0, |instruction| instruction.reads().bits())
    }

    /// Keeps what comes next out of the slot of the branch before it.
    pub fn keep_slot(&mut self) {
        self.open = false;
    }

    // --- Templates: words as they are, of which there are often the same. --------------------------------------------

    /// Emits words that are free of hazards, also with what comes before and behind them; branches among them have
    /// their offsets. With `fill` the first of them goes into the slot of the branch before, if that is empty, as with
    /// [`speculate`](Self::speculate).
    #[inline]
    pub fn words<const N: usize>(&mut self, words: [u32; N], fill: bool) {
        self.at -= usize::from(fill && self.open);
        if let Some(place) = self.code.get_mut(self.at..self.at + N) {
            place.copy_from_slice(&words);
        }
        self.at += N;
        (self.touches, self.writes, self.late, self.late_before, self.open) = (!0, !0, 0, 0, false);
    }

    /// The same, of which the last two are a branch, which lacks its offset, to an address, and its empty slot.
    #[inline]
    pub fn words_to<const N: usize>(&mut self, mut words: [u32; N], fill: bool, address: u32) {
        let at = self.at - usize::from(fill && self.open) + N;
        let distance = address.wrapping_sub(self.base.wrapping_add(4 * at as u32 - 4)) as i32 >> 2;
        self.too_far |= i16::try_from(distance).is_err();
        if let Some(branch) = words.iter_mut().rev().nth(1) {
            *branch |= distance as u32 & 0xffff;
        }
        self.words(words, fill);
        (self.open, self.behind) = (true, None);
    }

    // --- Numbers and moves. ------------------------------------------------------------------------------------------

    /// Loads a number: one instruction or two.
    #[inline]
    pub fn li(&mut self, t: Register, number: u32) {
        if number as i32 == i32::from(number as i16) {
            self.addiu(t, Register::ZERO, number as i16);
        } else if number >> 16 == 0 {
            self.ori(t, Register::ZERO, number as u16);
        } else {
            self.lui(t, (number >> 16) as u16);
            if number as u16 != 0 {
                self.ori(t, t, number as u16);
            }
        }
    }

    /// `move d, s`
    #[inline]
    pub fn move_(&mut self, d: Register, s: Register) {
        self.addu(d, s, Register::ZERO);
    }

    /// `lui t, immediate`
    #[inline]
    pub fn lui(&mut self, t: Register, immediate: u16) {
        self.emit(encode::lui(t, immediate), 0, bit(t), 0, true);
    }

    /// An instruction that does nothing and stays where it is.
    pub fn nop(&mut self) {
        self.emit(encode::nop(), 0, 0, 0, false);
    }

    // --- HI and LO. --------------------------------------------------------------------------------------------------

    fn write_hi_lo(&mut self, word: u32, reads: u32) {
        while self.at < self.hi_lo {
            self.put(encode::nop());
            self.late = 0;
        }
        self.emit(word, reads, 0, 0, false);
    }

    fn read_hi_lo(&mut self, word: u32, d: Register) {
        self.emit(word, 0, bit(d), 0, false);
        self.hi_lo = self.at + 2;
    }

    /// `mfhi d`
    pub fn mfhi(&mut self, d: Register) {
        self.read_hi_lo(encode::mfhi(d), d);
    }

    /// `mflo d`
    pub fn mflo(&mut self, d: Register) {
        self.read_hi_lo(encode::mflo(d), d);
    }

    /// `mthi s`
    pub fn mthi(&mut self, s: Register) {
        self.write_hi_lo(encode::mthi(s), bit(s));
    }

    /// `mtlo s`
    pub fn mtlo(&mut self, s: Register) {
        self.write_hi_lo(encode::mtlo(s), bit(s));
    }

    // --- Jumps. ------------------------------------------------------------------------------------------------------

    /// `jr s`
    pub fn jr(&mut self, s: Register) {
        self.emit_branch(encode::jr(s), bit(s), 0, false, None);
    }

    /// `jalr d, s`, where the two differ
    pub fn jalr(&mut self, d: Register, s: Register) {
        self.emit_branch(encode::jalr(d, s), bit(s), bit(d), false, None);
    }

    /// `j address`, which must be in the same 256 MB as the jump
    pub fn j(&mut self, address: u32) {
        self.region(address);
        self.emit_branch(encode::j(address), 0, 0, false, None);
    }

    /// `jal address`, which must be in the same 256 MB as the jump
    pub fn jal(&mut self, address: u32) {
        self.region(address);
        self.emit_branch(encode::jal(address), 0, bit(Register::RA), false, None);
    }

    fn region(&mut self, address: u32) {
        // The slot may lie up to two words further on than it seems.
        let slot = self.base.wrapping_add(4 * self.at as u32 + 4);
        self.too_far |= (slot ^ address) >> 28 != 0 || (slot.wrapping_add(8) ^ address) >> 28 != 0 || address & 3 != 0;
    }

    /// `b label`
    pub fn b(&mut self, label: &mut Label) {
        self.emit_branch(encode::b(0), 0, 0, false, Some(Target::Label(label)));
    }

    /// `b address`
    pub fn b_to(&mut self, address: u32) {
        self.emit_branch(encode::b(0), 0, 0, false, Some(Target::Address(address)));
    }
}

macro_rules! three_registers {
    ($($name:ident)*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " d, s, t`")]
        #[inline]
        pub fn $name(&mut self, d: Register, s: Register, t: Register) {
            self.emit(encode::$name(d, s, t), bit(s) | bit(t), bit(d), 0, true);
        }
    )*} };
}

macro_rules! shifts {
    ($($name:ident)*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " d, t, amount`")]
        #[inline]
        pub fn $name(&mut self, d: Register, t: Register, amount: u8) {
            self.emit(encode::$name(d, t, amount), bit(t), bit(d), 0, true);
        }
    )*} };
}

macro_rules! variable_shifts {
    ($($name:ident)*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " d, t, s`")]
        #[inline]
        pub fn $name(&mut self, d: Register, t: Register, s: Register) {
            self.emit(encode::$name(d, t, s), bit(t) | bit(s), bit(d), 0, true);
        }
    )*} };
}

macro_rules! immediates {
    ($($name:ident $kind:ty),*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " t, s, immediate`")]
        #[inline]
        pub fn $name(&mut self, t: Register, s: Register, immediate: $kind) {
            self.emit(encode::$name(t, s, immediate), bit(s), bit(t), 0, true);
        }
    )*} };
}

macro_rules! multiplies {
    ($($name:ident)*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " s, t`")]
        pub fn $name(&mut self, s: Register, t: Register) {
            self.write_hi_lo(encode::$name(s, t), bit(s) | bit(t));
        }
    )*} };
}

macro_rules! loads {
    ($($name:ident)*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " t, offset(base)`")]
        #[inline]
        pub fn $name(&mut self, t: Register, offset: i16, base: Register) {
            self.emit(encode::$name(t, offset, base), bit(base), bit(t), bit(t), false);
        }
    )*} };
}

macro_rules! stores {
    ($($name:ident)*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " t, offset(base)`")]
        #[inline]
        pub fn $name(&mut self, t: Register, offset: i16, base: Register) {
            self.emit(encode::$name(t, offset, base), bit(base) | bit(t), 0, 0, false);
        }
    )*} };
}

macro_rules! compare_branches {
    ($($name:ident $to:ident)*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " s, t, label`")]
        pub fn $name(&mut self, s: Register, t: Register, label: &mut Label) {
            let word = encode::$name(s, t, 0);
            self.emit_branch(word, bit(s) | bit(t), 0, true, Some(Target::Label(label)));
        }

        #[doc = concat!("`", stringify!($name), " s, t, address`")]
        pub fn $to(&mut self, s: Register, t: Register, address: u32) {
            let word = encode::$name(s, t, 0);
            self.emit_branch(word, bit(s) | bit(t), 0, true, Some(Target::Address(address)));
        }
    )*} };
}

macro_rules! sign_branches {
    ($($name:ident)*) => { impl Assembler<'_> {$(
        #[doc = concat!("`", stringify!($name), " s, label`")]
        pub fn $name(&mut self, s: Register, label: &mut Label) {
            self.emit_branch(encode::$name(s, 0), bit(s), 0, true, Some(Target::Label(label)));
        }
    )*} };
}

three_registers! { add addu sub subu and or xor nor slt sltu }
shifts! { sll srl sra }
variable_shifts! { sllv srlv srav }
immediates! { addi i16, addiu i16, slti i16, sltiu i16, andi u16, ori u16, xori u16 }
multiplies! { mult multu div divu }
// `lwl` and `lwr` read their target too, to be merged into. A load of it just before is forwarded to the merge.
loads! { lb lbu lh lhu lw lwl lwr }
stores! { sb sh sw swl swr }
compare_branches! { beq beq_to bne bne_to }
sign_branches! { blez bgtz bltz bgez }
