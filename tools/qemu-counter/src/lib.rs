//! A plugin for QEMU that counts the instructions that a guest executes, marks not among them, and writes a line
//! `mark IMMEDIATE COUNT` to the standard error at each mark ([`aegis_abi::mark`]).
//!
//! It is loaded into QEMU and speaks to it in C: the interface of `qemu-plugin.h`, version 1, which QEMU has up to its
//! version 8. QEMU calls when it has translated a block; there each instruction is told to add one to the count, and a mark to
//! call back. An instruction that QEMU begins anew because it reaches a device is translated without either, so it counts once.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::io::Write;

use aegis_abi::mark::{END, ID_MASK, WORD};

/// The version of the interface.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals)]
pub static qemu_plugin_version: c_int = 1;

/// What QEMU calls a plugin.
type Id = u64;
/// A block of instructions that is translated; nobody looks into it here.
type Block = c_void;
/// An instruction of it.
type Instruction = c_void;

/// `QEMU_PLUGIN_INLINE_ADD_U64`.
const ADD: c_int = 0;
/// `QEMU_PLUGIN_CB_NO_REGS`.
const NO_REGISTERS: c_int = 0;

unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: Id, callback: extern "C" fn(Id, *mut Block));
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(instruction: *const Instruction) -> *const c_void;
    fn qemu_plugin_insn_size(instruction: *const Instruction) -> usize;
    fn qemu_plugin_register_vcpu_insn_exec_inline(instruction: *mut Instruction, what: c_int, at: *mut c_void, by: u64);
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        instruction: *mut Instruction,
        callback: extern "C" fn(c_uint, *mut c_void),
        flags: c_int,
        argument: *mut c_void,
    );
}

/// The count. Code that QEMU generates adds to it.
struct Count(UnsafeCell<u64>);

// SAFETY: the guest has one processor, which QEMU runs in one thread; only that adds, and only what it calls reads.
unsafe impl Sync for Count {}

static COUNT: Count = Count(UnsafeCell::new(0));

/// Called by QEMU when it has loaded the plugin.
#[unsafe(no_mangle)]
pub extern "C" fn qemu_plugin_install(id: Id, _info: *const c_void, _count: c_int, _words: *mut *mut c_char) -> c_int {
    // SAFETY: the id is the one that QEMU gave, and the callback stays as long as the plugin.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    0
}

/// A block was translated.
extern "C" fn translated(_id: Id, block: *mut Block) {
    // SAFETY: QEMU gives a block that is valid during this call, and so are its instructions. The count is never dropped.
    unsafe {
        for index in 0..qemu_plugin_tb_n_insns(block) {
            let instruction = qemu_plugin_tb_get_insn(block, index);
            let is_word = qemu_plugin_insn_size(instruction) == 4;
            let word = if is_word { qemu_plugin_insn_data(instruction).cast::<u32>().read_unaligned() } else { 0 };
            if is_word && u32::from_le(word) & !(END | ID_MASK) == WORD {
                let immediate = u32::from_le(word) & (END | ID_MASK);
                let argument = std::ptr::without_provenance_mut(immediate as usize);
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, marked, NO_REGISTERS, argument);
            } else {
                qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD, COUNT.0.get().cast(), 1);
            }
        }
    }
}

/// A mark is executed.
extern "C" fn marked(_processor: c_uint, immediate: *mut c_void) {
    // SAFETY: the processor that adds to it is the one that calls.
    let count = unsafe { *COUNT.0.get() };
    // Whoever reads it has gone if this fails, and will end QEMU.
    let _ = std::io::stderr().write_all(format!("mark {} {count}\n", immediate.addr()).as_bytes());
}
