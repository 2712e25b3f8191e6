//! Threads of one environment: flows of control with stacks of their own, which the kernel knows nothing of.
//!
//! Threads take turns. A thread goes on until it waits, yields ([`yield_now`]), or the environment's slice ends: the
//! end-of-slice entry saves what runs as it always does, and then this module puts another thread in its place
//! ([`sequences::set_switcher`]), which the next slice resumes. A thread that changes over by itself is a function that
//! calls another: only registers that a function preserves are saved.
//!
//! # Without the kernel's help
//!
//! There is one processor, and a thread can lose it to another thread of the same environment at the end of a slice
//! only. So whoever changes what threads share here *holds* the processor ([`Hold`]): a word that the end of a slice looks
//! at. While it is set the slice is given back as ever, but the same thread goes on in the next one, and makes up for
//! its turn when it lets go. Wakeups can't be lost between looking and waiting, because both happen in one hold.
//!
//! Four things end a turn later than the slice: a hold; an exception that is handled in Rust, for there is one stack for
//! it; a change of what is mapped where ([`vm`]); and a call of another environment, until that answers
//! ([`mod@exos_rt::transfer`]). Calls that give up the slice, such as
//! [`call::yield_slice`], give it up for all threads.
//!
//! # Changing over
//!
//! The code from `thread_resume` to `thread_switch_end` is begun anew if a slice ends there. It changes nothing that it
//! reads, its arguments are in `$a1` and `$a2` throughout, and the thread that it leaves is complete in memory.
//!
//! # Stacks
//!
//! A thread has [`STACK_PAGES`] pages, which get frames when they are touched, and below them one that is unmapped. A
//! thread that reaches it ends ([`Failed::Overflowed`]), and no other thread is disturbed. So does a thread that panics
//! ([`Failed::Panicked`]); the first one, `main`, takes the program with it. Its frames are free when it has been joined.

use crate::vm::{self, READ, Vm, WRITE};
use asm_lines::global_asm;
use core::cell::UnsafeCell;
use core::mem::offset_of;
use exos_rt::abi::Error;
use exos_rt::abi::exception::Code;
use exos_rt::abi::vm::{PAGE_BYTES, SAVE_PAGE};
use exos_rt::sequences::{self, Activity, FAULT_STACK_WORD, HELD};
use exos_rt::shared::Shared;
use exos_rt::{call, fault, println, program, public};
use heapless::Deque;

/// The most threads at a time, `main` included.
pub const THREADS: usize = 32;
/// Pages of a thread's stack.
pub const STACK_PAGES: u32 = 8;
/// Where the stacks are, one behind another; the page below each is unmapped.
const STACKS: u32 = 0x7000_0000;
const STACK_DISTANCE: u32 = (1 + STACK_PAGES) * PAGE_BYTES;

/// What a thread executes: its argument, and its value for who joins it.
pub type Function = extern "C" fn(u32) -> u32;

/// The name of a thread; none is used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id(u32);

/// `main`.
pub const MAIN: Id = Id(THREADS as u32);

impl Id {
    fn index(self) -> usize {
        self.0 as usize % THREADS
    }

    /// As a number, which is not 0.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Why there is no value of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failed {
    /// It has panicked, which the console tells.
    Panicked,
    /// It has used up its stack, likewise.
    Overflowed,
    /// There is no such thread: it has been joined already, or it is the one that asks.
    NoSuchThread,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is none.
    Free,
    /// It runs or is in the queue of those that can.
    Ready,
    /// It waits for what is at an address; the number is greater the later it began to. If `owned`, the number of the
    /// thread that has it is there.
    Waits { at: usize, since: u32, owned: bool },
    /// It waits for a tick of the clock.
    Sleeps { until: u32 },
    /// It has ended and is yet to be joined.
    Ended(Result<u32, Failed>),
}

/// A power of two of bytes, so that an index is shifted and not multiplied.
#[repr(C, align(512))]
struct Thread {
    /// Complete while it does not run.
    context: Activity,
    id: Id,
    state: State,
}

/// What all threads share: see [`Hold`].
struct Threads {
    all: [Thread; THREADS],
    ready: Deque<u8, THREADS>,
    /// How many sleep.
    sleep: u32,
    /// Waits so far.
    waits: u32,
    /// The stack for exceptions, when nothing is on it; 0 before [`start`].
    fault_stack: u32,
}

struct Everything(UnsafeCell<Threads>);

// SAFETY: only who holds the processor accesses it, or the end of a slice if nobody does.
unsafe impl Sync for Everything {}

static EVERYTHING: Everything = Everything(UnsafeCell::new(Threads {
    all: [const { Thread { context: Activity::NEW, id: Id(0), state: State::Free } }; THREADS],
    ready: Deque::new(),
    sleep: 0,
    waits: 0,
    fault_stack: 0,
}));

/// The index of the thread that runs.
static CURRENT: Shared<u32> = Shared::new(0);
/// Not 0 if it would have lost it.
static MISSED: Shared<u32> = Shared::new(0);

/// The processor, held: no other thread of this environment runs until it is let go. What all threads share is
/// accessed through it.
pub(crate) struct Hold(());

impl Hold {
    pub(crate) fn take() -> Self {
        assert!(HELD.get() == 0, "the processor is held twice");
        HELD.set(1);
        barrier();
        Self(())
    }

    fn threads(&mut self) -> &mut Threads {
        // SAFETY: nobody else has it while the processor is held, and this is borrowed as long.
        unsafe { &mut *EVERYTHING.0.get() }
    }

    fn thread(&mut self, index: usize) -> &mut Thread {
        &mut self.threads().all[index % THREADS]
    }

    /// The thread that runs.
    fn me(&mut self) -> &mut Thread {
        self.thread(CURRENT.get() as usize)
    }

    /// Its name.
    pub(crate) fn id(&mut self) -> Id {
        self.me().id
    }

    /// Whether a thread has neither ended nor been joined.
    pub(crate) fn lives(&mut self, id: u32) -> bool {
        let thread = self.thread(Id(id).index());
        thread.id.0 == id && !matches!(thread.state, State::Free | State::Ended(_))
    }

    /// Lets others run until this thread is woken from waiting `at` an address; also when the thread ends whose number is
    /// there, if `owned`.
    pub(crate) fn wait(mut self, at: usize, owned: bool) {
        let threads = self.threads();
        threads.waits += 1;
        let since = threads.waits;
        self.me().state = State::Waits { at, since, owned };
        self.change_over();
    }

    /// Wakes who has waited longest at an address.
    pub(crate) fn wake_one(&mut self, at: usize) -> Option<Id> {
        let waiting = self.threads().all.iter().enumerate().filter_map(|(index, thread)| match thread.state {
            State::Waits { at: place, since, .. } if place == at => Some((since, index, thread.id)),
            _ => None,
        });
        let (_, index, id) = waiting.min_by_key(|&(since, ..)| since)?;
        self.wake(index);
        Some(id)
    }

    fn wake(&mut self, index: usize) {
        self.thread(index).state = State::Ready;
        self.enqueue(index);
    }

    fn enqueue(&mut self, index: usize) {
        // It has room for all, and none is in it twice.
        let _ = self.threads().ready.push_back(index as u8);
    }

    /// Wakes all whose time has come.
    fn wake_sleepers(&mut self) {
        if self.threads().sleep == 0 {
            return;
        }
        let now = public::ticks();
        for index in 0..THREADS {
            if let State::Sleeps { until } = self.thread(index).state
                && reached(now, until)
            {
                self.threads().sleep -= 1;
                self.wake(index);
            }
        }
    }

    /// The next thread to run. If there is none the environment waits for the clock.
    fn next(&mut self) -> usize {
        loop {
            self.wake_sleepers();
            if let Some(index) = self.threads().ready.pop_front() {
                return index.into();
            }
            let now = public::ticks();
            let first = self.threads().all.iter().filter_map(|thread| match thread.state {
                State::Sleeps { until } => Some(until.wrapping_sub(now) & TICKS),
                _ => None,
            });
            let first = first.min().expect("every thread waits for another");
            call::wait(Some(now.wrapping_add(first) & TICKS));
        }
    }

    /// Goes on with the next thread; returns when it is this one's turn.
    fn change_over(mut self) {
        let (from, to) = (CURRENT.get() as usize, self.next());
        if from == to {
            return;
        }
        MISSED.set(0);
        let from = &raw mut self.thread(from).context;
        let next = &raw const self.thread(to).context;
        core::mem::forget(self);
        barrier();
        // SAFETY: both are contexts of threads, that which is left is this thread's, the other is complete. The processor
        // is let go there.
        unsafe { thread_switch(from, next, to as u32) };
        barrier();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        barrier();
        HELD.set(0);
        // One that is missed between the two is seen the next time.
        if MISSED.get() != 0 {
            yield_now();
        }
    }
}

/// The compiler moves no access to memory from one side to the other. (Its own fence becomes an instruction that MIPS I has
/// not.)
fn barrier() {
    // SAFETY: it is empty.
    unsafe { core::arch::asm!("", options(nostack, preserves_flags)) };
}

/// The clock counts modulo this, and one.
const TICKS: u32 = (1 << 31) - 1;

/// Whether a tick has come.
fn reached(now: u32, until: u32) -> bool {
    now.wrapping_sub(until) & TICKS < 1 << 30
}

/// Makes what runs the thread `main`, and the end of a slice a change of threads. [`Vm`] is installed; a program with a hook of its own in it asks [`fault`] there.
///
/// # Panics
/// If there are threads already, or no `Vm`.
pub fn start() {
    let mut hold = Hold::take();
    // SAFETY: the save page is always mapped.
    let fault_stack = unsafe { (&raw const (*sequences::main_activity()).fault_stack).read_volatile() };
    assert!(fault_stack != 0 && hold.threads().fault_stack == 0, "it is started once, with a Vm");
    hold.threads().fault_stack = fault_stack;
    let main = hold.me();
    (main.id, main.state) = (MAIN, State::Ready);
    vm::set_hook(Some(fault));
    fault::set_panic_hook(panicked);
    // SAFETY: it is written to be one.
    unsafe { sequences::set_switcher(thread_end_of_slice as *const () as u32) };
}

/// The thread that runs.
#[must_use]
pub fn current() -> Id {
    Hold::take().id()
}

/// Makes a thread, which runs when its turn comes.
///
/// # Errors
/// [`Error::Full`] if there are [`THREADS`], or no memory for the table of pages.
pub fn spawn(function: Function, argument: u32) -> Result<Id, Error> {
    let mut hold = Hold::take();
    let free = hold.threads().all.iter().position(|thread| thread.state == State::Free).ok_or(Error::Full)?;
    let top = stack_top(free);
    // SAFETY: the pages are that thread's, and it is none yet.
    unsafe { Vm::zeros(top - STACK_PAGES * PAGE_BYTES, STACK_PAGES, READ | WRITE)? };
    let thread = hold.thread(free);
    // Never 0, and never the same again while one can remember it.
    let generation = (thread.id.0 / THREADS as u32).wrapping_add(1) % (u32::MAX / THREADS as u32);
    thread.id = Id((generation.max(1)) * THREADS as u32 + free as u32);
    thread.context = Activity::NEW;
    thread.context.pc = thread_begin as *const () as u32;
    thread.context.registers[16] = function as *const () as u32;
    thread.context.registers[17] = argument;
    // A function's caller keeps room for four register arguments.
    thread.context.registers[29] = top - 16;
    thread.state = State::Ready;
    let id = thread.id;
    hold.enqueue(free);
    Ok(id)
}

/// Waits until a thread has ended; its value. Its stack is free then, and its name nobody's.
///
/// # Errors
/// [`Failed`]. That it has failed is told once.
pub fn join(id: Id) -> Result<u32, Failed> {
    loop {
        let mut hold = Hold::take();
        let thread = hold.thread(id.index());
        let at = &raw const *thread as usize;
        match thread.state {
            State::Ended(result) if thread.id == id => {
                thread.state = State::Free;
                release_stack(id.index());
                return result;
            }
            State::Free => return Err(Failed::NoSuchThread),
            _ if thread.id != id || id.index() == CURRENT.get() as usize => return Err(Failed::NoSuchThread),
            _ => hold.wait(at, false),
        }
    }
}

/// Ends the thread that runs, with a value for who joins it. `main` ends by returning, and all others with it.
pub fn exit(value: u32) -> ! {
    end(Ok(value))
}

/// Lets other threads run that can; if there are none, other environments.
pub fn yield_now() {
    let mut hold = Hold::take();
    hold.wake_sleepers();
    if hold.threads().ready.is_empty() {
        MISSED.set(0);
        drop(hold);
        return call::yield_slice();
    }
    let me = CURRENT.get() as usize;
    hold.enqueue(me);
    hold.change_over();
}

/// Waits for a tick of the [`clock`](call::clock), which is at most 2^30 ahead.
pub fn sleep_until(tick: u32) {
    let mut hold = Hold::take();
    hold.me().state = State::Sleeps { until: tick };
    hold.threads().sleep += 1;
    hold.change_over();
}

/// What threads make of an access that no page allows: that of a thread which has used up its stack ends it. False if it is
/// another.
pub fn fault(address: u32, _code: Code) -> bool {
    let index = CURRENT.get() as usize;
    if index == 0 || HELD.get() != 0 {
        return false;
    }
    let guard = stack_top(index) - STACK_DISTANCE;
    if !(guard..guard + PAGE_BYTES).contains(&address) {
        return false;
    }
    println!("{}: thread {}: stack overflow", program::name(), index);
    // SAFETY: the processor is not held, and on the exception stack, where this is, nobody loses it to another thread. The
    // word is read only.
    let fault_stack = unsafe { (&raw const (*EVERYTHING.0.get()).fault_stack).read() };
    // SAFETY: nothing of what is on this stack, or on the thread's, is returned to.
    unsafe { thread_abandon(stack_top(index) - 16, fault_stack) }
}

/// Called when a panic has been reported: ends the thread, if it is one that may end so.
fn panicked() {
    // SAFETY: the save page is always mapped.
    let handling = unsafe { (&raw const (*sequences::main_activity()).fault_stack).read_volatile() } == 0;
    if CURRENT.get() != 0 && HELD.get() == 0 && !handling {
        end(Err(Failed::Panicked));
    }
}

/// Called by assembly where a thread begins.
unsafe extern "C" fn begin(function: Function, argument: u32) -> ! {
    end(Ok(function(argument)))
}

/// Called by assembly on the stack of a thread that has overflowed.
unsafe extern "C" fn overflowed() -> ! {
    end(Err(Failed::Overflowed))
}

/// Ends the thread that runs.
fn end(result: Result<u32, Failed>) -> ! {
    let mut hold = Hold::take();
    assert!(CURRENT.get() != 0, "main ends by returning");
    let me = hold.me();
    me.state = State::Ended(result);
    let (id, at) = (me.id.0, &raw const *me as usize);
    while hold.wake_one(at).is_some() {}
    for index in 0..THREADS {
        if let State::Waits { at, owned: true, .. } = hold.thread(index).state {
            // SAFETY: it is a word of what that thread has borrowed as long as it waits.
            let owner = unsafe { (at as *const u32).read_volatile() };
            if owner == id {
                hold.wake(index);
            }
        }
    }
    hold.change_over();
    unreachable!("it is not in the queue any more")
}

/// The address behind a thread's stack.
fn stack_top(index: usize) -> u32 {
    STACKS + (1 + index as u32) * STACK_DISTANCE
}

/// Unmaps the stack of a thread that is none any more.
fn release_stack(index: usize) {
    // SAFETY: nothing runs on it.
    unsafe { Vm::unmap(stack_top(index) - STACK_PAGES * PAGE_BYTES, STACK_PAGES) };
}

/// Called by assembly at the end of a slice, on a stack of its own: main, in the save page, is complete. Puts another
/// thread there if it may.
unsafe extern "C" fn end_of_slice() {
    let main = sequences::main_activity();
    // SAFETY: nothing else accesses the save page now. Likewise below.
    let (pc, sp, awaits, fault_stack) =
        unsafe { ((*main).pc, (*main).registers[29], (*main).awaits, (*main).fault_stack) };
    let anew = thread_resume as *const () as u32;
    if (anew..thread_switch_end as *const () as u32).contains(&pc) {
        // SAFETY: as above.
        unsafe { (*main).pc = anew | 1 };
        return;
    }
    if HELD.get() != 0 {
        return MISSED.set(1);
    }
    // Or on the way back from there, or uses the context in the save page, which threads have in common.
    let on_exception_stack =
        fault_stack == 0 || fault_stack.wrapping_sub(sp) < PAGE_BYTES || sp.wrapping_sub(SAVE_PAGE) < PAGE_BYTES;
    if awaits != 0 || on_exception_stack || vm::is_changing() {
        return;
    }
    let mut hold = Hold(());
    hold.wake_sleepers();
    let me = CURRENT.get() as usize;
    if let Some(next) = hold.threads().ready.pop_front() {
        // SAFETY: as above.
        unsafe { hold.me().context = *main };
        hold.enqueue(me);
        CURRENT.set(next.into());
        let next = hold.me().context;
        // SAFETY: as above. Stacks for exceptions are no thread's, and no thread that is left awaits an answer.
        unsafe {
            *main = next;
            (*main).fault_stack = fault_stack;
            (*main).awaits = 0;
        }
    }
    core::mem::forget(hold);
}

unsafe extern "C" {
    /// Saves what a function preserves in `from`, and goes on with `to`, which is the thread `index`. Lets the processor
    /// go. Returns when `from` is resumed.
    fn thread_switch(from: *mut Activity, to: *const Activity, index: u32);
    /// Where `from` is complete.
    fn thread_resume();
    fn thread_switch_end();
    fn thread_begin();
    fn thread_end_of_slice();
    /// Leaves the stack for exceptions, and ends the thread on its own.
    fn thread_abandon(stack: u32, fault_stack: u32) -> !;
}

/// Bytes of the stack of `end_of_slice`.
const STACK: usize = 1024;

// Contexts are copied by seven words.
const _: () = assert!(size_of::<Activity>().is_multiple_of(28));

global_asm!(
    ".text",
    ".set noreorder",
    ".set noat",
    "",
    // --- a0 = the context of who leaves, a1 = of who comes, a2 = the latter's index. The processor is held. -----------
    ".globl thread_switch",
    ".type thread_switch, @function",
    "thread_switch:",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30",
    "    sw    $\\n, {registers} + 4*\\n($a0)",
    "    .endr",
    "    sw    $ra, {pc}($a0)",        // as a function leaves registers
    // From here on it is begun anew when a slice ends: a1 and a2 stay as they are.
    ".globl thread_resume",
    "thread_resume:",
    "    lw    $t0, {pc}($a1)",
    "    lui   $t1, %hi({current})",
    "    sw    $a2, %lo({current})($t1)",
    "    andi  $t1, $t0, 1",
    "    bne   $t1, $zero, 1f",
    "     lui  $t2, %hi({held})",
    "    .irp n, 16,17,18,19,20,21,22,23,28,29,30",
    "    lw    $\\n, {registers} + 4*\\n($a1)",
    "    .endr",
    "    jr    $t0",
    "     sw   $zero, %lo({held})($t2)",
    // It lost the processor at the end of a slice: it becomes main, whole.
    "1:  move  $t0, $a1",
    "    addiu $t3, $zero, {main}",
    "    addiu $t4, $t3, {activity}",
    "2:",
    "    .irp n, 0,1,2,3,4,5,6",
    "    lw    $t5, 4*\\n($t0)",
    "    nop",
    "    sw    $t5, 4*\\n($t3)",
    "    .endr",
    "    addiu $t3, $t3, 28",
    "    bne   $t3, $t4, 2b",
    "     addiu $t0, $t0, 28",
    "    j     exos_restore",
    "     sw   $zero, %lo({held})($t2)",
    ".globl thread_switch_end",
    "thread_switch_end:",
    ".size thread_switch, . - thread_switch",
    "",
    // --- A thread's first instruction: s0 = its function, s1 = the argument. -----------------------------------------
    ".globl thread_begin",
    ".type thread_begin, @function",
    "thread_begin:",
    "    move  $a0, $s0",
    "    j     {begin}",
    "     move $a1, $s1",
    ".size thread_begin, . - thread_begin",
    "",
    // --- End of a slice: main is saved, no register is defined. ------------------------------------------------------
    ".globl thread_end_of_slice",
    ".type thread_end_of_slice, @function",
    "thread_end_of_slice:",
    "    lui   $sp, %hi(thread_stack_top)",
    "    jal   {end_of_slice}",
    "     addiu $sp, $sp, %lo(thread_stack_top)",
    "    j     exos_resume",
    "     nop",
    ".size thread_end_of_slice, . - thread_end_of_slice",
    "",
    // --- a0 = the stack to go on with, a1 = the stack for exceptions, on which nothing is from here on. ---------------
    ".globl thread_abandon",
    ".type thread_abandon, @function",
    "thread_abandon:",
    "    move  $sp, $a0",
    "    j     {overflowed}",
    "     sw   $a1, {fault_stack}($zero)",
    ".size thread_abandon, . - thread_abandon",
    "",
    ".section .bss.thread_stack, \"aw\", @nobits",
    "    .balign 8",
    "    .space {stack} - 16",         // a function's caller keeps room for four register arguments
    "thread_stack_top:",
    "    .space 16",
    ".text",
    registers = const offset_of!(Activity, registers),
    pc = const offset_of!(Activity, pc),
    main = const FAULT_STACK_WORD as usize - offset_of!(Activity, fault_stack),
    activity = const size_of::<Activity>(),
    fault_stack = const FAULT_STACK_WORD,
    stack = const STACK,
    current = sym CURRENT,
    held = sym HELD,
    begin = sym begin,
    overflowed = sym overflowed,
    end_of_slice = sym end_of_slice,
);
