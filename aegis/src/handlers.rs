//! Handlers for messages (the paper's section 6.3): made from what programs download, and run when a message comes.
//!
//! A chain of handlers is made in steps, a call each, in the frames that its owner gave, which only the kernel writes then. It runs
//! with interrupts off, before anybody is scheduled for its message, and what it may take is bounded by what can be done so. Nearly always
//! it is one body: what there is beyond that is out of its way.

use crate::arch::bindings::Translation;
use crate::arch::handlers as arch;
use crate::kernel::Kernel;
use crate::machine;
use crate::network::gathered;
use aegis_abi::ash::{
    CHECKSUM, CYCLES_AT_ONCE, CYCLES_MAX, Entry, HANDLERS_MAX, Installed, LAYERS_MAX, Loop, NO_PIPE, OWN, Outcome,
    PIPE_WORDS_MAX, PIPES_COST_MAX, PIPES_MAX, Part, Pipe, Refusal, Request, SETS, SWAP16, SWAP32, Set, WORDS_MAX,
    cost,
};
use aegis_abi::network::{BUFFER_OFFSET, HEADER};
use aegis_abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use aegis_abi::{EnvId, Error};
use aegis_ash::{Composition, Handler, Place, Rewriting, chain, compose_checked, words_max};
use aegis_core::hardware::Hardware;
use core::mem::MaybeUninit;
use heapless::Vec;

/// Words that one call checks and rewrites.
const WORDS_AT_ONCE: usize = 24;
/// Words of a handler's second frame before the loops of its pipes.
const NOTED: usize = 68;
const FRAME_WORDS: usize = PAGE_BYTES as usize / 4;

const _: () = assert!(size_of::<Installed>() <= 4 * NOTED && words_max(WORDS_MAX) <= FRAME_WORDS);

/// The chain that is being made: whose was begun last.
pub struct Making {
    /// The environment, the filter, and the address of the request.
    by: (EnvId, u32, u32),
    request: Request,
    memory: &'static mut Scratch,
    /// How many layers it has, or 0 if it is one body alone.
    layers: usize,
    /// The handler that is next, by its number: where its words begin, and where what becomes of them does.
    number: usize,
    words_at: usize,
    code_at: usize,
    /// If it was looked at as a whole.
    rewriting: Option<Rewriting>,
    /// What those that are made take at most, by their parts.
    most: [u32; Part::ALL.len()],
    /// The next set of pipes, and where in the frame its loop goes, in words.
    set: usize,
    at: usize,
    /// Whether that set was checked; its own pipe's words are the first of the memory's then.
    checked: bool,
    next: Step,
}

/// What the next call does for it. Each is short enough for one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Reads all words.
    Read,
    /// Looks at the next handler as a whole, or checks and rewrites some of its words.
    Rewrite,
    /// Makes the loop of a set of pipes, or, behind the last, has the instruction cache forget what was where its code is.
    Compose,
    /// The same of its loops; then it can run.
    Finish,
}

/// What the chain that is being made takes: its words, and what is known of those of one handler.
pub struct Scratch {
    words: [u32; WORDS_MAX],
    places: [Place; WORDS_MAX],
}

impl Scratch {
    /// All zero.
    pub const NEW: Self = Self { words: [0; WORDS_MAX], places: [Place::NONE; WORDS_MAX] };
}

impl Making {
    const NOBODY: (EnvId, u32, u32) = (EnvId(0), 0, 0);

    /// None.
    pub const fn none(memory: &'static mut Scratch) -> Self {
        Self {
            by: Self::NOBODY,
            request: Request::NONE,
            memory,
            layers: 0,
            number: 0,
            words_at: 0,
            code_at: 0,
            rewriting: None,
            most: [0; _],
            set: 0,
            at: 0,
            checked: false,
            next: Step::Read,
        }
    }
}

/// What has become of a message by a handler.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// It has not dealt with it.
    Passed,
    /// It has dealt with it; whether its owner was woken.
    Consumed(bool),
    /// It did not run, for it may take too long, and has an interrupt of its own.
    Later,
}

impl Kernel {
    /// See [`aegis_abi::call::HANDLER_INSTALL`].
    pub fn handler_install(&mut self, caller: EnvId, number: u32, address: u32) -> Result<u32, Error> {
        if self.making.by != (caller, number, address) || self.system.handler_frame(number) == 0 {
            return self.begin_to_make(caller, number, address).map(|()| 0);
        }
        self.make(caller).map(|()| 0).inspect_err(|&error| {
            if error != Error::Again {
                self.making.by = Making::NOBODY;
                let _ = self.system.handler_remove(&mut Translation, caller, number);
            }
        })
    }

    /// See [`aegis_abi::call::HANDLER_REMOVE`].
    pub fn handler_remove(&mut self, caller: EnvId, number: u32) -> Result<u32, Error> {
        self.system.handler_remove(&mut Translation, caller, number).map(|_| 0)
    }

    fn begin_to_make(&mut self, caller: EnvId, number: u32, address: u32) -> Result<(), Error> {
        let mut words = [0; Request::WORDS];
        self.read_words(caller, address, &mut words)?;
        let request = Request::from_words(words);
        let layers = chain::layers(&request.handlers).ok_or(Error::BadArgument)?;
        self.pieces(caller, request.words, bytes_of(&request))?;
        self.making.by = Making::NOBODY;
        self.system.handler_begin(&mut Translation, caller, number, &request)?;
        let making = &mut self.making;
        (making.by, making.request, making.next) = ((caller, number, address), request, Step::Read);
        let alone = bytes_of(&request) == 4 * u32::from(request.handlers[0].words);
        making.layers = if alone { 0 } else { layers };
        (making.number, making.words_at, making.code_at) = (0, 0, 0);
        (making.rewriting, making.most) = (None, [if alone { 0 } else { cost::CHAIN }, 0, 0]);
        Err(Error::Again)
    }

    /// Reads the words of the chain that is being made.
    fn read_handlers(&mut self, caller: EnvId) -> Result<(), Error> {
        let request = &self.making.request;
        let pieces: Vec<_, 2> = self.pieces(caller, request.words, bytes_of(request))?.collect();
        let making = &mut self.making;
        let mut to = making.memory.words.iter_mut();
        for piece in pieces {
            let from = machine::words(piece).ok_or(Error::BadPointer)?;
            from.iter().zip(&mut to).for_each(|(&word, to)| *to = word);
        }
        making.next = Step::Rewrite;
        Err(Error::Again)
    }

    /// Does the next step of what makes a chain.
    fn make(&mut self, caller: EnvId) -> Result<(), Error> {
        match self.making.next {
            Step::Read => return self.read_handlers(caller),
            Step::Rewrite => return self.rewrite(),
            Step::Compose if self.making.set <= SETS => {
                self.compose(caller)?;
                return Err(Error::Again);
            }
            _ => {}
        }
        let making = &mut self.making;
        let frame = making.request.frame;
        if making.next == Step::Compose {
            Translation.flush_instructions(frame);
            making.next = Step::Finish;
            return Err(Error::Again);
        }
        Translation.flush_instructions(frame + 1);
        let mut hw = Translation;
        let noted = hw.handler(frame + 1);
        let Entry { at, budget, cost } = noted.handlers[0];
        (noted.budget, noted.straight) = (budget.into(), (cost - budget).into());
        noted.layers = making.layers as u32;
        noted.at_once_bytes = if noted.most <= CYCLES_AT_ONCE { noted.message_bytes } else { u32::MAX };
        noted.entry = kseg0(frame) + u32::from(at);
        making.by = Making::NOBODY;
        Ok(())
    }

    /// Checks and rewrites a piece of the handler that is next.
    #[inline(never)]
    fn rewrite(&mut self) -> Result<(), Error> {
        let making = &mut self.making;
        let &Request { frame, region_bytes, ref handlers, .. } = &making.request;
        let (number, words_at) = (making.number, making.words_at);
        let given = handlers.get(number).ok_or(Error::BadArgument)?;
        let words = making.memory.words.get(words_at..words_at + usize::from(given.words)).ok_or(Error::BadArgument)?;
        let handler = Handler { words, region_bytes };
        let refused = |Refusal { word, rule }| {
            Translation.handler(frame + 1).refused = [word + words_at as u16, rule as u16];
            Error::BadArgument
        };
        let kernel = arch::kernel();
        let Some(rewriting) = &mut making.rewriting else {
            let at = kseg0(frame) + 4 * making.code_at as u32;
            let begun = Rewriting::begin(&handler, &kernel, at, &mut making.memory.places);
            making.rewriting = Some(begun.map_err(refused)?);
            return Err(Error::Again);
        };
        // SAFETY: the frame is the handlers', so the kernel's alone to write, and nobody else refers to it.
        let code = unsafe { &mut *machine::cached::<[u32; FRAME_WORDS]>(frame << PAGE_SHIFT) };
        let code = code.get_mut(making.code_at..).ok_or(Error::BadArgument)?;
        let rewritten = rewriting
            .step(&handler, &kernel, code, &mut making.memory.places, WORDS_AT_ONCE)
            .map_err(refused)?
            .ok_or(Error::Again)?;
        let straight = rewritten.straight + cost::FETCH * rewritten.words as u32 + cost::END;
        let chained = if number == 0 { 0 } else { cost::CHAINED };
        let cost = straight + chained + u32::from(given.budget);
        making.most[number % Part::ALL.len()] += cost + rewritten.round;
        let most = chain::most(making.most);
        if most > CYCLES_MAX {
            return Err(Error::BadArgument);
        }
        let mut hw = Translation;
        let noted = hw.handler(frame + 1);
        let at = (rewritten.entry - kseg0(frame)) as u16;
        noted.handlers[number] = Entry { at, budget: given.budget, cost: cost as u16 };
        (noted.most, noted.message_bytes) = (most, noted.message_bytes.max(rewritten.message_bytes));
        making.words_at += usize::from(given.words);
        making.code_at += rewritten.words;
        making.rewriting = None;
        making.number += 1;
        while handlers.get(making.number).is_some_and(|next| next.words == 0) {
            making.number += 1;
        }
        if making.number == HANDLERS_MAX {
            (making.next, making.set, making.at, making.checked) = (Step::Compose, 0, NOTED, false);
        }
        Err(Error::Again)
    }

    /// Compiles the next set of pipes of the handler that is being made.
    #[inline(never)]
    fn compose(&mut self, caller: EnvId) -> Result<(), Error> {
        let set = self.making.set.checked_sub(1).map_or(Set::default(), |set| self.making.request.sets[set]);
        let mut own = [0; PIPE_WORDS_MAX];
        let own = own.get_mut(..set.own_words as usize).ok_or(Error::BadArgument)?;
        if self.making.checked {
            own.copy_from_slice(&self.making.memory.words[..own.len()]);
        } else {
            self.read_words(caller, set.own, own)?;
        }
        let mut pipes = Vec::<Pipe, PIPES_MAX>::new();
        let count = set.pipes.iter().take_while(|&&pipe| pipe != NO_PIPE).count();
        if set.pipes[count..].iter().any(|&pipe| pipe != NO_PIPE) {
            return Err(Error::BadArgument);
        }
        for pipe in &set.pipes[..count] {
            let pipe = match *pipe {
                CHECKSUM => Pipe::Checksum,
                SWAP16 => Pipe::Swap16,
                SWAP32 => Pipe::Swap32,
                OWN => Pipe::Own(own),
                _ => return Err(Error::BadArgument),
            };
            let _ = pipes.push(pipe);
        }
        let composition = Composition { pipes: &pipes, copies: true };
        let making = &mut self.making;
        // Checking takes its time, and composing does. What the program's words were when they were checked they are.
        if !making.checked {
            if composition.instructions() > PIPES_COST_MAX {
                return Err(Error::BadArgument);
            }
            composition.check().map_err(|_| Error::BadArgument)?;
            making.memory.words[..own.len()].copy_from_slice(own);
            making.checked = true;
            return Ok(());
        }
        making.checked = false;
        let number = making.set;
        making.set += 1;
        if number != 0 && count == 0 {
            return Ok(());
        }
        let frame = making.request.frame + 1;
        // SAFETY: as in `make`; what is noted there is before it.
        let words = unsafe { &mut *machine::cached::<[u32; FRAME_WORDS]>(frame << PAGE_SHIFT) };
        let at = kseg0(frame) + 4 * making.at as u32;
        let composed = compose_checked(&composition, &mut words[making.at..], at).map_err(|error| match error {
            aegis_ash::Error::Full => Error::Full,
            _ => Error::BadArgument,
        })?;
        making.at += composed.words;
        let moved = 8 * (cost::MESSAGE + cost::MOVED);
        Translation.handler(frame).loops[number] = Loop {
            code: at,
            unit: composed.unit - 1,
            cost: u32::from(composed.cost) + moved + cost::FETCH * composed.words as u32,
            block_cost: u32::from(composed.block_cost) + moved,
        };
        Ok(())
    }

    /// Has the chain of a filter, if it has one, deal with the message at an address of the controller's memory, the first of an interrupt: `None`
    /// if none runs, so that it goes the ordinary way.
    #[inline(always)]
    pub fn handle_at_once(&mut self, number: u32, at: u32, bytes: u32) -> Option<Handled> {
        let first = self.system.handler_frame(number);
        if first == 0 {
            return None;
        }
        if self.system.is_ready(Translation.handler(first + 1), bytes) {
            return Some(self.handle(first + 1, at, bytes));
        }
        self.handle_unready(number, at, bytes)
    }

    #[cold]
    #[inline(never)]
    fn handle_unready(&mut self, number: u32, at: u32, bytes: u32) -> Option<Handled> {
        let frame = self.handler_for(number, bytes)?;
        if Translation.handler(frame).most > CYCLES_AT_ONCE {
            return Some(Handled::Later);
        }
        Some(self.handle_later(frame, at, bytes))
    }

    /// The second frame of the chain that a filter has, if it can run now for a message of so many bytes.
    pub fn handler_for(&mut self, number: u32, bytes: u32) -> Option<u32> {
        if self.system.handler_frame(number) == 0 {
            return None;
        }
        let Some(frame) = self.system.handler(&mut Translation, number) else {
            // It may have just gone, because its region has. That counts, if any are asked for.
            if let Ok(owner) = self.system.filter_owner(number) {
                self.show_demands(owner);
            }
            return None;
        };
        let Installed { owner, message_bytes, .. } = *Translation.handler(frame);
        if bytes < message_bytes || !self.system.may_handle(EnvId(owner)) {
            count(frame, Outcome::Skipped);
            return None;
        }
        Some(frame)
    }

    /// Runs a chain that [can](Kernel::handler_for) for the message at an address of the controller's memory.
    #[inline(always)]
    fn handle(&mut self, frame: u32, at: u32, bytes: u32) -> Handled {
        let mut hw = Translation;
        let noted = hw.handler(frame);
        let &mut Installed { entry, budget, .. } = noted;
        let mut run = arch::Run {
            message: at,
            bytes,
            noted,
            kernel: self,
            done: MaybeUninit::uninit(),
            scratch: MaybeUninit::uninit(),
        };
        // SAFETY: it was made for this, its owner owns region and guard, and nothing refers to the kernel meanwhile.
        let (mut outcome, consumed) = unsafe { run.first(entry, budget) };
        // SAFETY: one was run.
        let arch::Done { left, .. } = *unsafe { run.done() };
        // Who is stopped pays the most: what it was stopped at is taken from its budget already.
        let spent = budget.saturating_add_signed(left.saturating_neg());
        let noted = hw.handler(frame);
        let mut cycles = if outcome == Outcome::Overrun { noted.most } else { noted.straight + spent };
        if noted.layers != 0 {
            // SAFETY: as above, for all handlers of the chain.
            (outcome, cycles) = unsafe { go_on(&mut run, noted, outcome, consumed, cycles) };
        }
        // SAFETY: as above.
        let arch::Done { wakes, number, sent, .. } = *unsafe { run.done() };
        let cycles = cycles.saturating_sub(sent * (u32::from(cost::SEND_CALL[0]) - cost::SENT));
        self.left -= cycles as i32;
        let noted = hw.handler(frame);
        self.system.charge(noted, cycles, self.slice_cycles);
        noted.sent = noted.sent.wrapping_add(sent);
        let times = &mut noted.outcomes[outcome as usize];
        *times = times.wrapping_add(1);
        if wakes != 0 {
            noted.wakes = noted.wakes.wrapping_add(wakes);
            noted.number = number;
            let _ = self.system.wake(EnvId(noted.owner));
        }
        if outcome == Outcome::Consumed { Handled::Consumed(wakes != 0) } else { Handled::Passed }
    }

    /// The same, where nobody waits for each microsecond.
    #[inline(never)]
    pub fn handle_later(&mut self, frame: u32, at: u32, bytes: u32) -> Handled {
        self.handle(frame, at, bytes)
    }
}

/// Runs what there is of a chain behind the lowest layer's body, which ended so and consumed so much: how all ended, and the cycles that
/// its owner is charged.
///
/// # Safety
/// That body has just been run, by [`Kernel::handle`], and what is `noted` is the chain's; and as for [`arch::Run::run`].
#[cold]
#[inline(never)]
unsafe fn go_on(
    run: &mut arch::Run,
    noted: *mut Installed,
    first: Outcome,
    consumed: u32,
    cycles: u32,
) -> (Outcome, u32) {
    // SAFETY: the caller's. While a handler runs there is no reference to it, since its loops are read then.
    let &Installed { entry, layers, most, .. } = unsafe { &*noted };
    let code = entry & !(PAGE_BYTES - 1);
    let mut cycles = cycles + cost::CHAIN;
    // What the layers below each have consumed; all of it behind the last.
    let mut below = [0; LAYERS_MAX + 1];
    below[1] = consumed;
    let outcome = chain::run(layers as usize, |layer, part| {
        let number = chain::number(layer, part);
        let mut outcome = first;
        if number != 0 {
            // SAFETY: as above.
            let Entry { at, budget, cost } = unsafe { (&*noted).handlers[number] };
            if at == 0 {
                return Outcome::Consumed;
            }
            // SAFETY: the caller's.
            let ended = unsafe { run.next(code + u32::from(at), budget.into(), below[layer]) };
            outcome = ended.0;
            if part == Part::Body {
                below[layer + 1] = ended.1;
            }
            // SAFETY: as above.
            let left = unsafe { run.done() }.left;
            cycles = cycles.wrapping_add(u32::from(cost)).wrapping_sub(left as u32);
        }
        if !outcome.returned() {
            // SAFETY: as above.
            let noted = unsafe { &mut *noted };
            noted.stopped[part as usize] = noted.stopped[part as usize].wrapping_add(1);
            noted.last_stopped = [number as u16, outcome as u16];
            if outcome == Outcome::Overrun {
                cycles = most;
            }
        }
        outcome
    });
    (outcome, cycles.min(most))
}

/// Sends the message at an address in a handler's region, for it: 1, or 0 if the controller has no room, or the number of the outcome
/// that ends it.
///
/// # Safety
/// A handler runs, by [`Kernel::handle`], and this is it; and this is an even address in its region, with so many bytes behind it in
/// region or guard, as many as a message may have at most.
pub unsafe extern "C" fn send(address: u32, bytes: u32, run: *mut arch::Run) -> u32 {
    // SAFETY: the caller's; while a handler runs, nothing else uses what is noted of it, or the kernel.
    let (run, noted, kernel) = unsafe { (&mut *run, &*(*run).noted, &mut *(*run).kernel) };
    if bytes < HEADER {
        return Outcome::BadTransfer as u32;
    }
    let mut from = address;
    // It is even.
    if address & BUFFER_OFFSET == 0 {
        // SAFETY: the caller's, and that nobody has a reference to where it is gathered.
        unsafe {
            let (at, copy) = gathered(bytes);
            copy.as_mut_ptr().copy_from_nonoverlapping(address as *const u8, bytes as usize);
            from = at;
        }
    }
    // SAFETY: the caller's.
    let sent = unsafe { kernel.transmit(EnvId(noted.owner), noted.filter, from, bytes) };
    match sent {
        Ok(()) => {
            // SAFETY: it runs.
            unsafe { run.done() }.sent += 1;
            1
        }
        Err(Error::Busy) => 0,
        Err(Error::Denied) => Outcome::Denied as u32,
        Err(_) => Outcome::BadTransfer as u32,
    }
}

/// Bytes of the words of a request's handlers.
fn bytes_of(request: &Request) -> u32 {
    request.handlers.iter().map(|handler| 4 * u32::from(handler.words)).sum()
}

fn count(frame: u32, outcome: Outcome) {
    let mut hw = Translation;
    let times = &mut hw.handler(frame).outcomes[outcome as usize];
    *times = times.wrapping_add(1);
}

/// The kernel's address of a frame.
fn kseg0(frame: u32) -> u32 {
    machine::cached::<u8>(frame << PAGE_SHIFT) as u32
}
