//! Transfers and primitive operations in Rust. Each changes no register of the caller's but those that its reference
//! (`aegis_abi::call`) names.
//!
//! The assembly in `arch::primitives` does the most frequent of them by a shorter way, and comes here when anything is out of the ordinary: a party
//! without a context id, a capability that was not shown before, an error.

use crate::arch;
use crate::arch::bindings::Context;
use crate::arch::cp0::EntryLo;
use crate::arch::layout::Frame;
use crate::kernel::Kernel;
use aegis_abi::frame::Capability;
use aegis_abi::vm::{PAGE_BYTES, PAGE_SHIFT, PROTECT_MAX, USER_END, entry_lo};
use aegis_abi::{EnvId, Error, call};

/// How another environment is entered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Entry {
    Synchronous,
    Asynchronous,
    StartOfSlice,
}

impl Kernel {
    /// Does what `frame`'s `$v0` asks for and changes the frame accordingly.
    pub fn primitive(&mut self, caller: EnvId, frame: &mut Frame) {
        let number = frame.v[0];
        // Behind the system call.
        frame.epc = frame.epc.wrapping_add(4);
        let result = match number {
            call::TRANSFER => self.transfer(caller, frame, Entry::Synchronous),
            call::TRANSFER_ASYNC => self.transfer(caller, frame, Entry::Asynchronous),
            call::YIELD_TO => self.transfer(caller, frame, Entry::StartOfSlice),
            call::TLB_WRITE => self.tlb_write(caller, frame),
            call::TLB_DELETE => {
                self.context(caller).delete(frame.a[1]);
                Ok(number)
            }
            call::TLB_PROBE => Ok(self.context(caller).probe(frame.a[1]).map_or(0, EntryLo::to_program)),
            call::TLB_PROTECT => self.tlb_protect(caller, frame),
            call::CONTEXT_SWITCH => self.context_switch(caller, frame.a[1]),
            call::FPU_MODE => self.fpu_mode(caller, frame.a[1]),
            _ => Err(Error::NoSuchCall),
        };
        frame.v[0] = match result {
            Ok(value) => value,
            Err(error) => error as u32,
        };
    }

    fn transfer(&mut self, caller: EnvId, frame: &mut Frame, entry: Entry) -> Result<u32, Error> {
        let callee = EnvId(frame.v[1]);
        if !self.system.lives(callee) {
            return Err(Error::NoSuchEnvironment);
        }
        let record = self.record(callee);
        let mut pc = match entry {
            Entry::Synchronous => record.protected_entries.synchronous,
            Entry::Asynchronous => record.protected_entries.asynchronous,
            Entry::StartOfSlice => record.next_entry,
        };
        if pc == 0 {
            return Err(Error::NoSuchEnvironment);
        }
        if entry == Entry::StartOfSlice {
            pc = self.start(callee);
        }
        if entry != Entry::Synchronous {
            arch::set_lent(true);
        }
        self.install(callee);
        frame.record = self.record_address(callee);
        frame.epc = pc;
        frame.v[1] = caller.0;
        Ok(frame.v[0])
    }

    fn tlb_write(&mut self, caller: EnvId, frame: &Frame) -> Result<u32, Error> {
        let [tag0, address, word, tag1] = frame.a;
        if address >= USER_END {
            return Err(Error::BadArgument);
        }
        let write = word & entry_lo::DIRTY != 0;
        if !self.system.may_bind(caller, word >> PAGE_SHIFT, write, Capability([tag0, tag1])) {
            return Err(Error::Denied);
        }
        let entry_lo = EntryLo::from_program(word);
        if arch::MAY_ENTER_INVALID || entry_lo.contains(EntryLo::VALID) {
            self.map(caller, address, entry_lo);
        } else {
            self.context(caller).delete(address);
        }
        Ok(frame.v[0])
    }

    fn tlb_protect(&mut self, caller: EnvId, frame: &Frame) -> Result<u32, Error> {
        let [rights, address, pages, _] = frame.a;
        if pages > PROTECT_MAX || address >= USER_END || pages > (USER_END - address).div_ceil(PAGE_BYTES) {
            return Err(Error::BadArgument);
        }
        if pages != 0 {
            self.context(caller).restrict(address, pages, rights);
        }
        Ok(frame.v[0])
    }

    fn context_switch(&mut self, caller: EnvId, context: u32) -> Result<u32, Error> {
        self.system.select_context(caller, context)?;
        self.install(caller);
        Ok(call::CONTEXT_SWITCH)
    }

    fn fpu_mode(&mut self, caller: EnvId, mode: u32) -> Result<u32, Error> {
        if mode > 1 {
            return Err(Error::BadArgument);
        }
        if !self.has_fpu {
            return Err(Error::NoSuchDevice);
        }
        if mode == 1 && self.fpu_user != caller {
            // It has one user at a time, so that no way of running another lets that one see its registers.
            let last = core::mem::replace(&mut self.fpu_user, caller);
            if self.system.lives(last) {
                let record = self.record(last);
                record.status = arch::fpu::status(record.status, false);
            }
            arch::fpu::clear();
        }
        let record = self.record(caller);
        record.status = arch::fpu::status(record.status, mode == 1);
        self.install(caller);
        Ok(call::FPU_MODE)
    }

    /// The current addressing context of an environment that has run, as the hardware knows it.
    pub fn context(&mut self, id: EnvId) -> Context {
        let record = self.record(id);
        Context { entry_hi: record.entry_hi, stlb: record.stlb }
    }
}
