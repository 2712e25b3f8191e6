//! The system calls of Linux that the benchmarks make, by the o32 convention: the number in `$v0`, arguments in `$a0` to `$a3`
//! and on the stack, the result in `$v0`, and in `$a3` whether it is an error.

use core::ffi::CStr;
use core::fmt;

use asm_lines::{global_asm, naked_asm};

/// The numbers of the calls.
pub mod number {
    /// Of the caller's process.
    pub const GETPID: u32 = 4020;
    /// Of another's turn.
    pub const SCHED_YIELD: u32 = 4162;
    pub(super) const FORK: u32 = 4002;
    pub(super) const READ: u32 = 4003;
    pub(super) const WRITE: u32 = 4004;
    pub(super) const OPEN: u32 = 4005;
    pub(super) const CLOSE: u32 = 4006;
    pub(super) const EXECVE: u32 = 4011;
    pub(super) const MOUNT: u32 = 4021;
    pub(super) const IOCTL: u32 = 4054;
    pub(super) const REBOOT: u32 = 4088;
    pub(super) const MUNMAP: u32 = 4091;
    pub(super) const SYSLOG: u32 = 4103;
    pub(super) const WAIT4: u32 = 4114;
    pub(super) const CLONE: u32 = 4120;
    pub(super) const MPROTECT: u32 = 4125;
    pub(super) const SYSMIPS: u32 = 4149;
    pub(super) const SCHED_SETSCHEDULER: u32 = 4160;
    pub(super) const RT_SIGACTION: u32 = 4194;
    pub(super) const MMAP2: u32 = 4210;
    pub(super) const EXIT_GROUP: u32 = 4246;
    pub(super) const PIPE2: u32 = 4328;
    pub(super) const CLOCK_GETTIME64: u32 = 4403;
}

/// Bytes of a page.
pub const PAGE_BYTES: u32 = 4096;
/// Protection: may be read.
pub const READ: u32 = 1;
/// Protection: may be written.
pub const WRITE: u32 = 2;

/// The number of an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error(pub u32);

/// A signal, by its number on MIPS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Signal {
    /// An instruction that there is not, or that may not be used.
    Illegal = 4,
    /// Arithmetic.
    Arithmetic = 8,
    /// An access that is out of line.
    Bus = 10,
    /// An access that is forbidden.
    Segment = 11,
}

/// What a handler finds saved: the beginning of Linux's `sigcontext`.
#[repr(C)]
pub struct Saved {
    registers_owned: u32,
    status: u32,
    /// Where the process goes on.
    pub pc: u64,
}

/// What a handler is told about its cause: the beginning of Linux's `siginfo`.
#[repr(C)]
pub struct Cause {
    numbers: [u32; 3],
    /// The address of the access.
    pub address: u32,
}

/// A handler: the signal, what caused it if that was asked for, and what was saved.
pub type Handler = unsafe extern "C" fn(u32, *const Cause, *mut Saved);

/// A call with up to three arguments.
///
/// # Safety
/// What the call does to memory is sound.
#[unsafe(naked)]
unsafe extern "C" fn call(_a: u32, _b: u32, _c: u32, _number: u32) -> u32 {
    naked_asm!(
        ".set noreorder",
        "move  $v0, $a3",
        "syscall",
        "bne   $a3, $zero, 1f",
        " nop",
        "jr    $ra",
        " nop",
        "1:",
        "jr    $ra",
        " subu $v0, $zero, $v0",
    )
}

/// A call with up to six. The kernel takes the last two from where the convention for functions has them, too.
///
/// # Safety
/// As for [`call`].
#[unsafe(naked)]
unsafe extern "C" fn call_with_six(_a: u32, _b: u32, _c: u32, _d: u32, _e: u32, _f: u32, _number: u32) -> u32 {
    naked_asm!(
        ".set noreorder",
        "lw    $v0, 24($sp)", // the number
        "nop",                // delay of the load
        "syscall",
        "bne   $a3, $zero, 1f",
        " nop",
        "jr    $ra",
        " nop",
        "1:",
        "jr    $ra",
        " subu $v0, $zero, $v0",
    )
}

/// The result that a call's word stands for: errors are small and negative.
fn result(word: u32) -> Result<u32, Error> {
    match word.wrapping_neg() {
        error @ 1..4096 => Err(Error(error)),
        _ => Ok(word),
    }
}

/// Ends the process.
pub fn exit(status: u32) -> ! {
    loop {
        // SAFETY: nothing of the process is used any more.
        unsafe { call(status, 0, 0, number::EXIT_GROUP) };
    }
}

/// Copies the process. None in the copy.
///
/// # Errors
/// The kernel's.
pub fn fork() -> Result<Option<u32>, Error> {
    // SAFETY: the copy has a stack of its own.
    let pid = result(unsafe { call(0, 0, 0, number::FORK) })?;
    Ok((pid != 0).then_some(pid))
}

global_asm!(
    ".set noreorder",
    ".globl spawn_true",
    ".type spawn_true, @function",
    // a0 = the path, a1 = the arguments. The child shares memory and stack with the parent, which waits until it executes the
    // program; so it keeps to registers that system calls leave alone.
    "spawn_true:",
    "addiu $sp, $sp, -32",
    "sw    $s0, 24($sp)",
    "sw    $s1, 28($sp)",
    "move  $s0, $a0",
    "move  $s1, $a1",
    "ori   $a0, $zero, {flags}",
    "move  $a1, $zero", // the same stack
    "move  $a2, $zero",
    "sw    $zero, 16($sp)",
    "ori   $v0, $zero, {clone}",
    "syscall",
    "bne   $a3, $zero, 1f",
    " nop",
    "bne   $v0, $zero, 2f",
    " nop",
    "move  $a0, $s0", // the child
    "move  $a1, $s1",
    "addiu $a2, $s1, 4", // no variables: what ends the arguments
    "ori   $v0, $zero, {execve}",
    "syscall",
    "ori   $a0, $zero, 1",
    "ori   $v0, $zero, {exit}",
    "syscall",
    "1:",
    "subu  $v0, $zero, $v0",
    "2:",
    "lw    $s0, 24($sp)",
    "lw    $s1, 28($sp)",
    "jr    $ra",
    " addiu $sp, $sp, 32",
    ".size spawn_true, . - spawn_true",
    // The child shares memory, the parent waits for it, and is told of its end by a signal.
    flags = const 0x100 | 0x4000 | 18,
    clone = const number::CLONE,
    execve = const number::EXECVE,
    exit = const number::EXIT_GROUP,
);

unsafe extern "C" {
    fn spawn_true(path: *const u8, arguments: *const *const u8) -> u32;
}

/// Starts a program in a new process, without copying this one.
///
/// # Errors
/// The kernel's.
pub fn spawn(path: &CStr) -> Result<u32, Error> {
    let arguments = [path.as_ptr().cast(), core::ptr::null()];
    // SAFETY: the path ends with a zero byte, the arguments with a null pointer.
    result(unsafe { spawn_true(path.as_ptr().cast(), arguments.as_ptr()) })
}

/// Executes a program in this process.
pub fn execute(path: &CStr) -> Error {
    let arguments = [path.as_ptr() as u32, 0];
    // SAFETY: as for `spawn`.
    let error = unsafe { call(path.as_ptr() as u32, &raw const arguments as u32, 0, number::EXECVE) };
    Error(error.wrapping_neg())
}

/// Waits for the end of a child, and tells its status.
///
/// # Errors
/// The kernel's.
pub fn wait(pid: u32) -> Result<u32, Error> {
    let mut status = 0_u32;
    // SAFETY: the kernel writes the status.
    result(unsafe { call_with_six(pid, &raw mut status as u32, 0, 0, 0, 0, number::WAIT4) })?;
    Ok(status)
}

/// Reads into a buffer; tells how much.
///
/// # Errors
/// The kernel's.
pub fn read(file: u32, buffer: &mut [u8]) -> Result<usize, Error> {
    // SAFETY: the kernel writes into the buffer.
    let bytes = unsafe { call(file, buffer.as_mut_ptr() as u32, buffer.len() as u32, number::READ) };
    result(bytes).map(|bytes| bytes as usize)
}

/// Writes what is in a buffer; tells how much.
///
/// # Errors
/// The kernel's.
pub fn write(file: u32, buffer: &[u8]) -> Result<usize, Error> {
    // SAFETY: the kernel reads from the buffer.
    let bytes = unsafe { call(file, buffer.as_ptr() as u32, buffer.len() as u32, number::WRITE) };
    result(bytes).map(|bytes| bytes as usize)
}

/// Opens a file for reading and writing, past any cache.
///
/// # Errors
/// The kernel's.
pub fn open(path: &CStr) -> Result<u32, Error> {
    const READ_WRITE_SYNCHRONOUS: u32 = 0x4012;
    // SAFETY: the path ends with a zero byte.
    result(unsafe { call(path.as_ptr() as u32, READ_WRITE_SYNCHRONOUS, 0, number::OPEN) })
}

/// Closes a file.
pub fn close(file: u32) {
    // SAFETY: nobody else uses its number.
    unsafe { call(file, 0, 0, number::CLOSE) };
}

/// Makes a pipe: the end to read from and the end to write to.
///
/// # Errors
/// The kernel's.
pub fn pipe() -> Result<[u32; 2], Error> {
    let mut ends = [0_u32; 2];
    // SAFETY: the kernel writes both.
    result(unsafe { call(&raw mut ends as u32, 0, 0, number::PIPE2) })?;
    Ok(ends)
}

/// Waits until everything that was written to the terminal has been sent.
pub fn drain() {
    const TCSBRK: u32 = 0x5405;
    // SAFETY: it only waits.
    unsafe { call(1, TCSBRK, 1, number::IOCTL) };
}

/// Has the kernel keep what it says to itself.
pub fn silence_kernel() {
    const CONSOLE_OFF: u32 = 6;
    // SAFETY: it is about the console.
    unsafe { call(CONSOLE_OFF, 0, 0, number::SYSLOG) };
}

/// Lets others run, if there are any.
pub fn sched_yield() {
    // SAFETY: it only waits.
    unsafe { call(0, 0, 0, number::SCHED_YIELD) };
}

/// Whether this process, and the children that it will have, run in turn with those of their kind and before all others.
pub fn set_in_turn(on: bool) {
    let (policy, priority) = (u32::from(on), u32::from(on));
    // SAFETY: the kernel reads the priority.
    let done = unsafe { call(0, policy, &raw const priority as u32, number::SCHED_SETSCHEDULER) };
    assert_eq!(result(done), Ok(0), "the superuser may");
}

/// Mounts a file system of the kernel's own.
///
/// # Errors
/// The kernel's.
pub fn mount(kind: &CStr, at: &CStr) -> Result<(), Error> {
    let [kind, at] = [kind, at].map(|text| text.as_ptr() as u32);
    // SAFETY: the strings end with a zero byte.
    result(unsafe { call_with_six(kind, at, kind, 0, 0, 0, number::MOUNT) }).map(drop)
}

/// Switches the machine off.
pub fn power_off() {
    const MAGIC: [u32; 2] = [0xfee1_dead, 0x2812_1969];
    const POWER_OFF: u32 = 0x4321_fedc;
    // SAFETY: there is nothing to lose.
    unsafe { call(MAGIC[0], MAGIC[1], POWER_OFF, number::REBOOT) };
}

/// What is mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapping {
    /// Zeros of this process, at an address that is free: what is mapped side by side Linux would join.
    Private(u32),
    /// Zeros that it shares with its children.
    Shared,
    /// A file from this page on.
    File(u32, u32),
}

/// Maps pages, where the kernel likes if the address is not given. They can be read and written.
///
/// # Errors
/// The kernel's.
pub fn map(pages: u32, mapping: Mapping) -> Result<u32, Error> {
    const SHARED: u32 = 1;
    const PRIVATE: u32 = 2;
    const ANONYMOUS: u32 = 0x800;
    const FIXED: u32 = 0x10;
    let (address, flags, file, first) = match mapping {
        Mapping::Private(address) => (address, PRIVATE | ANONYMOUS | FIXED, !0, 0),
        Mapping::Shared => (0, SHARED | ANONYMOUS, !0, 0),
        Mapping::File(file, first) => (0, SHARED, file, first),
    };
    // SAFETY: nothing is there yet.
    result(unsafe { call_with_six(address, pages * PAGE_BYTES, READ | WRITE, flags, file, first, number::MMAP2) })
}

/// Removes a mapping.
///
/// # Safety
/// Nobody refers to it.
pub unsafe fn unmap(start: u32, pages: u32) {
    // SAFETY: the caller's.
    unsafe { call(start, pages * PAGE_BYTES, 0, number::MUNMAP) };
}

/// Changes what may be done with pages of a mapping.
///
/// # Errors
/// The kernel's.
pub fn protect(start: u32, pages: u32, protection: u32) -> Result<(), Error> {
    // SAFETY: it takes nothing away but rights.
    result(unsafe { call(start, pages * PAGE_BYTES, protection, number::MPROTECT) }).map(drop)
}

/// Has a handler called on a signal; with its cause, if that is wanted.
///
/// # Safety
/// The handler may run wherever the signal comes.
pub unsafe fn handle(signal: Signal, handler: Handler, with_cause: bool) {
    const WITH_CAUSE: u32 = 8;
    const MASK_BYTES: u32 = 16;
    let action = [if with_cause { WITH_CAUSE } else { 0 }, handler as *const () as u32, 0, 0, 0, 0];
    let (signal, action) = (signal as u32, &raw const action as u32);
    // SAFETY: the kernel reads the action; the rest is the caller's.
    let done = unsafe { call_with_six(signal, action, 0, MASK_BYTES, 0, 0, number::RT_SIGACTION) };
    assert_eq!(result(done), Ok(0), "a signal may be handled");
}

/// What a handler that was told the cause finds saved: its third argument points to more, of which this is a part.
///
/// # Safety
/// It is that argument.
pub unsafe fn saved_with_cause(context: *mut Saved) -> *mut Saved {
    const OFFSET: usize = 24;
    // SAFETY: the caller's.
    unsafe { context.byte_add(OFFSET) }
}

/// Whether the kernel itself mends accesses that are out of line.
pub fn mend_unaligned(on: bool) {
    const FIXADE: u32 = 7;
    // SAFETY: it is about what becomes of mistakes that follow.
    unsafe { call(FIXADE, on.into(), 0, number::SYSMIPS) };
}

/// Nanoseconds since the start.
pub fn nanoseconds() -> u64 {
    const MONOTONIC: u32 = 1;
    let mut time = [0_u64; 2];
    // SAFETY: the kernel writes seconds and nanoseconds.
    unsafe { call(MONOTONIC, &raw mut time as u32, 0, number::CLOCK_GETTIME64) };
    time[0] * 1_000_000_000 + time[1]
}

/// A line for the console, written in one piece. What is too long is cut.
pub struct Line {
    bytes: [u8; 256],
    length: usize,
}

impl Line {
    /// Puts a line together and writes it.
    pub fn print(arguments: fmt::Arguments) {
        let mut line = Self { bytes: [0; 256], length: 0 };
        let _ = fmt::Write::write_fmt(&mut line, arguments);
        let mut rest = &line.bytes[..line.length];
        while let Ok(written @ 1..) = write(1, rest) {
            rest = &rest[written..];
        }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.length..];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        Ok(())
    }
}

/// Prints a line.
#[macro_export]
macro_rules! println {
    ($($arguments:tt)*) => {
        $crate::system::Line::print(format_args!("{}\n", format_args!($($arguments)*)))
    };
}
