//! Checks a handler and rewrites it.
//!
//! Two passes over its words. The first marks what is branched to and what is a delay slot; the second checks each word
//! and emits what it becomes. Branches forward wait for their targets, in a list through the words emitted. Both can be
//! done in pieces, so that the kernel never works for long.
//!
//! What is emitted for a word is its *group*. Only groups' beginnings are branched to.

use crate::kind::{Kind, What};
use aegis_abi::ash::{
    CALLS, GUARD, MESSAGE, MESSAGE_MAX, REGION, REGION_MAX, REGION_MIN, Refusal, Rule, USABLE, WORDS_MAX,
};
use core::ops::Range;
use mips1::{Control, Instruction, Register, encode};

type R = Register;

/// What is left of the time that the handler may take: each round of a loop takes what it costs. `$t9`.
pub const BUDGET: u8 = 25;
/// What addresses are masked with that a byte, a halfword and a word is accessed at: `$s6`, `$s7`, `$fp`. See [`masks`].
pub const MASKS: [u8; 3] = [22, 23, 30];
/// Registers for addresses that lie in the region.
const ADDRESSES: [R; 3] = [R::AT, R::T8, R::RA];

const BUDGET_REGISTER: R = R::T9;
const MASK_REGISTERS: [R; 3] = [R::S6, R::S7, R::FP];
const BASE: R = R::GP;

/// The code begins with a jump to each of the kernel's ends, which branches can reach.
const OVERRUN: usize = 0;
const DIVIDE: usize = 2;
const ENDS: usize = 4;
/// The most words that are emitted for one.
const GROWTH: usize = 4;
/// What `mult` and `div` cost, beyond one, until their result is there.
const MULTIPLY_COST: u32 = 12;
const DIVIDE_COST: u32 = 35;

/// The most words that a handler of so many can become.
#[must_use]
pub const fn words_max(words: usize) -> usize {
    GROWTH * words + ENDS
}

/// What [`MASKS`] hold for a region of so many bytes.
#[must_use]
pub const fn masks(region_bytes: u32) -> [u32; 3] {
    [region_bytes - 1, region_bytes - 2, region_bytes - 4]
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stub {
    /// Its address.
    pub address: u32,
    /// What it costs at most, besides what it takes from the budget itself.
    pub cost: u16,
    /// What it costs that the handler is fetched again where the call's code was in its place in the instruction cache: in each
    /// round of a loop.
    pub evicts: u16,
}

/// Where in the kernel a handler goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kernel {
    /// Its calls, by their numbers.
    pub calls: [Stub; CALLS],
    /// The return.
    pub done: u32,
    /// Its time is up.
    pub overrun: u32,
    /// It divides by zero.
    pub divide: u32,
    /// What a load costs beside one,
    pub load: u16,
    /// and a store.
    pub store: u16,
}

/// A handler as its owner gives it.
#[derive(Clone, Copy, Debug)]
pub struct Handler<'a> {
    /// Its code, which nobody changes meanwhile. It is entered at the first word.
    pub words: &'a [u32],
    /// The size of its region.
    pub region_bytes: u32,
}

/// What a handler has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// How many words it has.
    pub words: usize,
    /// The address where it is entered.
    pub entry: u32,
    /// Bytes that a message must have for it to run.
    pub message_bytes: u32,
    /// What its longest path without going back costs: instructions, waiting for HI and LO, and calls.
    pub straight: u32,
    /// What a round of its dearest loop costs.
    pub round: u32,
}

/// What is known of a handler's word: the rewriter's memory, one for each.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// What all before it costs.
    cost: u32,
    /// Where its group begins.
    at: u16,
    /// One more than the index of the last branch that was emitted and waits for it; 0 if none does. Each has in its lower
    /// half the same of the one before it.
    waiting: u16,
    /// Whether something goes here that is not before it.
    target: bool,
    slot: bool,
}

impl Place {
    /// A word of which nothing is known.
    pub const NONE: Self = Self { cost: 0, at: 0, waiting: 0, target: false, slot: false };
}

/// Checks a handler and rewrites it into `code`, to be executed at `at`, in one go: see [`Rewriting`].
///
/// # Errors
/// A word and the rule that it breaks.
///
/// # Panics
/// See [`Rewriting::begin`] and [`Rewriting::step`].
pub fn rewrite(
    handler: &Handler,
    kernel: &Kernel,
    at: u32,
    code: &mut [u32],
    places: &mut [Place],
) -> Result<Rewritten, Refusal> {
    let mut rewriting = Rewriting::begin(handler, kernel, at, places)?;
    loop {
        if let Some(rewritten) = rewriting.step(handler, kernel, code, places, WORDS_MAX)? {
            return Ok(rewritten);
        }
    }
}

/// A handler that is being checked and rewritten, in steps that are as long as the caller likes.
///
/// The caller passes the same handler, kernel and memory to each step, and makes sure that the region and the [`GUARD`]
/// bytes behind it are the handler's owner's for as long as the code is there.
#[derive(Debug)]
pub struct Rewriting {
    /// Where the code will be executed.
    base: u32,
    /// Words that the first pass has seen.
    marked: usize,
    /// Words that the second has.
    done: usize,
    /// What the instruction before loads, as a bit.
    late: u32,
    /// From which word on HI and LO may be written.
    hi_lo: usize,
    /// Whether the next word is a slot.
    slot: bool,
    /// Words emitted.
    at: usize,
    /// What they cost beside one each.
    extra: u32,
    /// What calls evict.
    evicted: u32,
    /// What is in [`ADDRESSES`]: the address in a register, which is given as a bit, for accesses of this alignment; no bit
    /// if none is.
    held: [(u32, u8); 3],
    /// The registers of all of them.
    held_registers: u32,
    /// Which of them is used next.
    next: usize,
    round: u32,
    message_bytes: u32,
}

impl Rewriting {
    /// Begins, without looking at more than the last words.
    ///
    /// # Errors
    /// If the size of the handler or of the region is none, or something falls off the handler's end.
    ///
    /// # Panics
    /// If there are less places than words, or code and kernel do not lie in the same 256 MB.
    pub fn begin(handler: &Handler, kernel: &Kernel, at: u32, places: &mut [Place]) -> Result<Self, Refusal> {
        let words = handler.words;
        let region =
            handler.region_bytes.is_power_of_two() && (REGION_MIN..=REGION_MAX).contains(&handler.region_bytes);
        if words.is_empty() || words.len() > WORDS_MAX || !region {
            return Err(Refusal { word: 0, rule: Rule::Size });
        }
        let targets = kernel.calls.iter().map(|stub| stub.address).chain([kernel.done, kernel.overrun, kernel.divide]);
        for target in targets.chain([at + 4 * words_max(words.len()) as u32]) {
            assert!((target ^ at) >> 28 == 0, "{target:#x} is out of reach of {at:#x}");
        }
        let ends = words.len().checked_sub(2).and_then(|n| Instruction::decode(words[n])).is_some_and(never_goes_on);
        if !ends {
            return Err(Refusal { word: words.len() as u16 - 1, rule: Rule::End });
        }
        places[..words.len()].fill(Place::default());
        Ok(Self {
            base: at,
            marked: 0,
            done: 0,
            late: 0,
            hi_lo: 0,
            slot: false,
            at: 0,
            extra: 0,
            evicted: 0,
            held: [(0, 0); 3],
            held_registers: 0,
            next: 0,
            round: 0,
            message_bytes: 0,
        })
    }

    /// Goes on, for at most so many words in each pass; what has become of the handler, if that was the last step.
    ///
    /// # Errors
    /// A word and the rule that it breaks: the first, but for what is found when it begins.
    ///
    /// # Panics
    /// If there are less than [`words_max`] words in `code`, or less places than words.
    #[inline(never)]
    pub fn step(
        &mut self,
        handler: &Handler,
        kernel: &Kernel,
        code: &mut [u32],
        places: &mut [Place],
        limit: usize,
    ) -> Result<Option<Rewritten>, Refusal> {
        let words = handler.words;
        let code = &mut code[..words_max(words.len())];
        let places = &mut places[..words.len()];
        if self.marked < words.len() {
            let end = self.marked.saturating_add(limit).min(words.len());
            mark(words, places, self.marked..end);
            self.marked = end;
            if end < words.len() {
                return Ok(None);
            }
        }
        let mut emitter = Emitter { state: self, code };
        let end = emitter.state.done.saturating_add(limit).min(words.len());
        emitter.rewrite(handler, kernel, places, end)?;
        self.done = end;
        if end < words.len() {
            return Ok(None);
        }
        Ok(Some(Rewritten {
            words: self.at,
            entry: self.base + 4 * ENDS as u32,
            message_bytes: self.message_bytes,
            straight: self.at as u32 + self.extra,
            round: self.round,
        }))
    }
}

/// The first pass: marks what words branch to, and slots.
fn mark(words: &[u32], places: &mut [Place], range: Range<usize>) {
    for n in range {
        let Some(&word) = words.get(n) else { return };
        let kind = Kind::of(word);
        // A branch in a slot has none.
        if !kind.has_slot() || places[n].slot {
            continue;
        }
        if let Some(slot) = places.get_mut(n + 1) {
            slot.slot = true;
        }
        if kind.what == What::Branches
            && let Some(place) = places.get_mut(target(n, word))
        {
            place.target = true;
        }
    }
}

/// The index of the word that a branch goes to; too large if it is before the first.
#[inline(always)]
fn target(n: usize, word: u32) -> usize {
    (n + 1).wrapping_add_signed(isize::from(word as i16))
}

/// Whether a jump or branch never goes on behind its slot.
fn never_goes_on(instruction: Instruction) -> bool {
    match instruction.control() {
        Control::Jump { conditional, link } => !conditional && link.is_none(),
        control => matches!(control, Control::Indirect { .. }),
    }
}

#[inline(always)]
fn aligned(offset: i32, shift: u8) -> bool {
    offset & ((1 << shift) - 1) == 0
}

/// The second pass.
struct Emitter<'a> {
    state: &'a mut Rewriting,
    code: &'a mut [u32],
}

impl Emitter<'_> {
    #[inline(always)]
    fn put(&mut self, word: u32) {
        if let Some(place) = self.code.get_mut(self.state.at) {
            *place = word;
        }
        self.state.at += 1;
    }

    fn cost(&self) -> u32 {
        self.state.at as u32 + self.state.extra + self.state.evicted
    }

    /// Nothing is known any more of what registers hold.
    #[inline(always)]
    fn forget(&mut self) {
        self.state.held = [(0, 0); 3];
        self.state.held_registers = 0;
    }

    fn rewrite(&mut self, handler: &Handler, kernel: &Kernel, places: &mut [Place], end: usize) -> Result<(), Refusal> {
        if self.state.at == 0 {
            for end in [kernel.overrun, kernel.divide] {
                self.put(encode::j(end));
                self.put(encode::nop());
            }
        }
        let Rewriting { mut late, mut hi_lo, mut slot, done, .. } = *self.state;
        for n in done..end {
            let Some(&word) = handler.words.get(n) else { break };
            let refuse = |rule| Err(Refusal { word: n as u16, rule });
            let kind = Kind::of(word);
            if let Some(rule) = kind.broken(word) {
                return refuse(rule);
            }
            if slot && kind.what != What::Computes {
                return refuse(Rule::Slot);
            }
            let base = (word >> 21 & 31) as u8;
            let (reads, writes) = (kind.reads(word), kind.writes(word));
            let accesses = kind.what.accesses();
            let fixed = accesses && (base == MESSAGE || base == REGION);
            let known = if fixed { 1 << base } else { 0 };
            // It is known as a base, not as what is loaded or stored.
            if (reads | writes) & !(USABLE | 1 | known) != 0 || 1 << (word >> 16 & 31) & known != 0 {
                return refuse(Rule::Reserved);
            }
            // What `lwl` and `lwr` merge into is forwarded to them.
            let waits = if kind.what == What::LoadsPart { 1 << base } else { reads };
            if late & waits != 0 {
                return refuse(Rule::LoadDelay);
            }
            late = 0;
            slot = kind.has_slot();
            if slot && n + 1 == handler.words.len() {
                return refuse(Rule::Slot);
            }
            self.begin(places, n);
            match kind.what {
                What::Computes => self.put(word),
                What::Loads | What::LoadsPart | What::Stores | What::StoresPart => {
                    if fixed {
                        if let Err(rule) = self.check_fixed(word, kind, handler.region_bytes) {
                            return refuse(rule);
                        }
                        self.put(word);
                    } else {
                        self.access(word, kind.shift);
                    }
                    late = writes & !1;
                    let loads = matches!(kind.what, What::Loads | What::LoadsPart);
                    self.state.extra += u32::from(if loads { kernel.load } else { kernel.store });
                }
                What::Branches => {
                    if let Err(rule) = self.branch(places, n, word) {
                        return refuse(rule);
                    }
                }
                What::Returns => self.put(encode::j(kernel.done)),
                What::Calls => {
                    let Some(stub) = kernel.calls.get((word & 0x3ff_ffff) as usize) else {
                        return refuse(Rule::Call);
                    };
                    self.put(encode::jal(stub.address));
                    self.state.extra += u32::from(stub.cost);
                    self.state.evicted += u32::from(stub.evicts);
                    self.forget();
                }
                What::ReadsHiLo => {
                    self.put(word);
                    hi_lo = n + 3;
                }
                What::Multiplies | What::Divides | What::WritesHiLo => {
                    if n < hi_lo {
                        return refuse(Rule::HiLo);
                    }
                    if kind.what == What::Divides {
                        // What the division leaves if it is by zero is nobody's.
                        let offset = self.back_to(DIVIDE);
                        self.put(encode::beq(R::ZERO, R::ZERO, offset) | word & 31 << 16);
                        self.state.extra += DIVIDE_COST;
                    } else if kind.what == What::Multiplies {
                        self.state.extra += MULTIPLY_COST;
                    }
                    self.put(word);
                }
                What::Forbidden => return refuse(Rule::Undefined),
            }
            if self.state.held_registers & writes != 0 {
                self.forget_register(writes);
            }
        }
        (self.state.late, self.state.hi_lo, self.state.slot) = (late, hi_lo, slot);
        Ok(())
    }

    /// A register is written: what was held of it is not its address any more.
    fn forget_register(&mut self, register: u32) {
        for held in self.state.held.iter_mut().filter(|held| held.0 & register != 0) {
            *held = (0, 0);
        }
        self.state.held_registers &= !register;
    }

    /// Begins a word's group.
    #[inline(always)]
    fn begin(&mut self, places: &mut [Place], n: usize) {
        let Some(place) = places.get_mut(n) else { return };
        let cost = self.state.at as u32 + self.state.extra + self.state.evicted;
        (place.at, place.cost) = (self.state.at as u16, cost);
        if !place.target {
            return;
        }
        let mut waiting = place.waiting;
        self.forget();
        while let Some(branch) = waiting.checked_sub(1) {
            let Some(word) = self.code.get_mut(usize::from(branch)) else { return };
            waiting = *word as u16;
            *word = *word & 0xffff_0000 | (self.state.at as u32 - u32::from(branch) - 1);
        }
    }

    /// Checks an access relative to the message or the region.
    fn check_fixed(&mut self, word: u32, kind: &Kind, region_bytes: u32) -> Result<(), Rule> {
        let in_message = (word >> 21 & 31) as u8 == MESSAGE;
        let offset = i32::from(word as i16);
        // From where alignment counts.
        let place = if in_message { offset + 2 } else { offset };
        // What is touched: of the partial ones, what is up to the address in its word, and from it on.
        let (first, last) = match kind.what {
            What::LoadsPart | What::StoresPart if word >> 26 & 4 == 0 => (offset - (place & 3), offset),
            What::LoadsPart | What::StoresPart => (offset, offset + 3 - (place & 3)),
            _ => (offset, offset + (1 << kind.shift) - 1),
        };
        if in_message {
            if matches!(kind.what, What::Stores | What::StoresPart) {
                return Err(Rule::MessageStore);
            } else if first < 0 || last >= MESSAGE_MAX as i32 {
                return Err(Rule::MessageBounds);
            }
            self.state.message_bytes = self.state.message_bytes.max(last as u32 + 1);
        } else if first < 0 || last >= (region_bytes + GUARD) as i32 {
            return Err(Rule::RegionBounds);
        }
        if aligned(place, kind.shift) { Ok(()) } else { Err(Rule::Alignment) }
    }

    /// Emits a branch; before one that goes back what takes the round's cost from the budget.
    fn branch(&mut self, places: &mut [Place], n: usize, word: u32) -> Result<(), Rule> {
        let to = target(n, word);
        let Some(place) = places.get_mut(to).filter(|place| !place.slot) else { return Err(Rule::Target) };
        if to > n {
            let before = place.waiting;
            place.waiting = self.state.at as u16 + 1;
            self.put(word & 0xffff_0000 | u32::from(before));
            return Ok(());
        }
        let place = *place;
        // The four are: these two, the branch, its slot.
        let cost = self.cost() + 4 - place.cost;
        let Ok(charge) = i16::try_from(cost) else { return Err(Rule::Loop) };
        self.state.round = self.state.round.max(cost);
        let offset = self.back_to(OVERRUN);
        self.put(encode::bltz(BUDGET_REGISTER, offset));
        self.put(encode::addiu(BUDGET_REGISTER, BUDGET_REGISTER, -charge));
        let offset = self.back_to(place.at.into());
        self.put(word & 0xffff_0000 | u32::from(offset as u16));
        Ok(())
    }

    /// The offset of a branch that is emitted next to a word before it.
    #[inline(always)]
    fn back_to(&self, to: usize) -> i16 {
        (to as i32 - (self.state.at as i32 + 1)) as i16
    }

    /// Emits an access to the region by a pointer.
    fn access(&mut self, word: u32, shift: u8) {
        let (base, offset) = (word >> 21 & 31, i32::from(word as i16));
        // So far behind an address in the region there is nothing but the region and the guard.
        let near = offset >= 0 && offset + 4 <= GUARD as i32 && aligned(offset, shift);
        let wanted = (1 << base, shift);
        let held = if near { self.state.held.iter().position(|&held| held == wanted) } else { None };
        let place = held.unwrap_or_else(|| {
            let place = self.state.next;
            self.state.next = if place + 1 == ADDRESSES.len() { 0 } else { place + 1 };
            let address = ADDRESSES[place];
            let mask = encode::and(address, R::ZERO, MASK_REGISTERS[usize::from(shift)]);
            if near {
                self.put(mask | base << 21);
            } else {
                self.put(encode::addiu(address, R::ZERO, offset as i16) | base << 21);
                self.put(mask | u32::from(address.number()) << 21);
            }
            self.put(encode::or(address, address, BASE));
            self.state.held[place] = if near { wanted } else { (0, 0) };
            self.state.held_registers = self.state.held.iter().fold(0, |all, held| all | held.0);
            place
        });
        let address = u32::from(ADDRESSES[place].number()) << 21;
        let offset = if near { word & 0xffff } else { 0 };
        self.put(word & 0xfc1f_0000 | address | offset);
    }
}
