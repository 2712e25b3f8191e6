//! The system calls that are written in Rust. `aegis_abi::call` says what each is for; gates call these functions.
//!
//! A result that is not negative is a success. The caller's registers are the gates' concern.

use crate::arch::bindings::{self, Context, Translation};
use crate::arch::entry::with_kernel;
use crate::arch::layout::Record;
use crate::arch::{self, cp0, no_handler_address};
use crate::kernel::Kernel;
use crate::machine;
use aegis_abi::console::WRITE_MAX;
use aegis_abi::exception::Code;
use aegis_abi::frame::Capability;
use aegis_abi::revocation::Revocation;
use aegis_abi::vm::{NORMAL_START, PAGE_BYTES, PAGE_SHIFT, PUBLIC_PAGE, SAVE_PAGE, entry_lo};
use aegis_abi::{EnvId, Error};
use aegis_core::contexts::ContextId;
use aegis_core::header::{self, is_entry};
use aegis_core::mappings::{Mapping, Mappings, Pieces, Refusal};
use aegis_core::system::System;

/// What a gate passes: four arguments of the program's and its record.
macro_rules! calls {
    ($($(#[$doc:meta])* fn $name:ident($kernel:pat, $caller:pat, $($argument:pat),*) $body:block)*) => {
        $(
            $(#[$doc])*
            pub unsafe extern "C" fn $name(a0: u32, a1: u32, a2: u32, a3: u32, record: *const Record) -> i32 {
                // SAFETY: only the call's gate refers to this function, and it passes the caller's record.
                let result: Result<u32, Error> = unsafe { with_kernel(record, |kernel, caller| {
                    let ($kernel, $caller, [$($argument),*]) = (kernel, caller, [a0, a1, a2, a3]);
                    $body
                }) };
                match result {
                    Ok(value) => value as i32,
                    Err(error) => error as i32,
                }
            }
        )*
    };
}

/// See [`aegis_abi::call::NULL`]. It uses nothing, so it takes nothing.
pub extern "C" fn null() -> i32 {
    0
}

/// The most pages of one guaranteed mapping that a program asks for: bounds the time of the call.
const MAP_MAX: u32 = 256;

calls! {
    /// See [`aegis_abi::call::YIELD`].
    fn yield_(kernel, _, _, _, _, _) {
        kernel.next_slice()
    }

    /// See [`aegis_abi::call::WAIT`].
    fn wait(kernel, caller, deadline, _, _, _) {
        kernel.system.wait(caller, Some(deadline).filter(|&tick| tick as i32 >= 0));
        kernel.next_slice()
    }

    /// See [`aegis_abi::call::WAKE`].
    fn wake(kernel, _, id, _, _, _) {
        kernel.system.wake(EnvId(id)).map(|()| 0)
    }

    /// See [`aegis_abi::call::EXIT`].
    fn exit(kernel, caller, status, _, _, _) {
        kernel.end(caller, status == 0);
        kernel.next_slice()
    }

    /// See [`aegis_abi::call::CONSOLE_WRITE`].
    fn console_write(kernel, caller, address, bytes, _, _) {
        if bytes > WRITE_MAX {
            return Err(Error::BadArgument);
        }
        let mut text = [0; WRITE_MAX as usize];
        let text = &mut text[..bytes as usize];
        kernel.read(caller, address, text)?;
        if !kernel.console.has_room(text.len()) {
            return Err(Error::Busy);
        }
        kernel.console.push(text);
        kernel.machine.console_start(&mut kernel.console);
        Ok(0)
    }

    /// See [`aegis_abi::call::CONSOLE_PENDING`].
    fn console_pending(kernel, _, _, _, _, _) {
        Ok(kernel.console.len() as u32)
    }

    /// See [`aegis_abi::call::CONSOLE_READ`].
    fn console_read(kernel, caller, _, _, _, _) {
        if kernel.console.reader != caller {
            return Err(Error::Denied);
        }
        kernel.serve_console();
        kernel.console.read().map(u32::from).ok_or(Error::Busy)
    }

    /// See [`aegis_abi::call::CONSOLE_GIVE`].
    fn console_give(kernel, caller, to, _, _, _) {
        let reader = kernel.console.reader;
        if reader != caller && kernel.system.lives(reader) {
            return Err(Error::Denied);
        }
        if !kernel.system.lives(EnvId(to)) {
            return Err(Error::NoSuchEnvironment);
        }
        kernel.console.give(EnvId(to));
        Ok(0)
    }

    /// See [`aegis_abi::call::SET_HANDLER`].
    fn set_handler(kernel, caller, code, handler, _, _) {
        let code = Code::handled(code).filter(|_| is_entry(handler)).ok_or(Error::BadArgument)?;
        let new = if handler == 0 { no_handler_address() } else { handler };
        let old = core::mem::replace(&mut kernel.record(caller).handlers[code as usize], new);
        Ok(if old == no_handler_address() { 0 } else { old })
    }

    /// See [`aegis_abi::call::CLOCK`].
    fn clock(kernel, _, _, _, _, _) {
        Ok(*kernel.public.ticks)
    }

    /// See [`aegis_abi::call::SLICE_ALLOCATE`].
    fn slice_allocate(kernel, caller, position, _, _, _) {
        kernel.counted(caller, |kernel| kernel.system.slice_allocate(caller, position).map(|()| 0))
    }

    /// See [`aegis_abi::call::SLICE_FREE`].
    fn slice_free(kernel, caller, position, _, _, _) {
        kernel.counted(caller, |kernel| kernel.system.slice_free(caller, position).map(|()| 0))
    }

    /// See [`aegis_abi::call::SLICE_GIVE`].
    fn slice_give(kernel, caller, position, to, _, _) {
        kernel.system.slice_give(caller, position, EnvId(to)).map(|()| 0)
    }

    /// See [`aegis_abi::call::SLICE_RECLAIM`].
    fn slice_reclaim(kernel, caller, position, _, _, _) {
        kernel.system.slices.reclaim(position, caller).map(|()| 0)
    }

    /// See [`aegis_abi::call::ENV_CREATE`].
    fn env_create(kernel, caller, frame, _, _, _) {
        let record = machine::cached::<Record>(frame.wrapping_add(1).wrapping_mul(PAGE_BYTES));
        let (id, capability) = kernel.system.env_create(&mut Translation, caller, frame, record as u32)?;
        let name = kernel.record(caller).name;
        kernel.begin_record(id, frame, name);
        kernel.record(caller).save_page().capability = capability;
        Ok(id.0)
    }

    /// See [`aegis_abi::call::ENV_SETUP`].
    fn env_setup(kernel, caller, env, header, entry, _) {
        let env = kernel.controlled(caller, env)?;
        let mut words = [0; header::WORDS];
        kernel.read_words(caller, header, &mut words)?;
        let header = header::from_words(words);
        header::check(entry, &header).map_err(|_| Error::BadArgument)?;
        kernel.set_up(env, entry, &header);
        Ok(0)
    }

    /// See [`aegis_abi::call::ENV_DESTROY`].
    fn env_destroy(kernel, caller, env, _, _, _) {
        let env = kernel.controlled(caller, env)?;
        kernel.end(env, true);
        if env == caller {
            kernel.next_slice();
        }
        Ok(0)
    }

    /// See [`aegis_abi::call::ENV_MAP`].
    fn env_map(kernel, caller, env, address, word, pages) {
        let env = kernel.controlled(caller, env)?;
        if pages == 0 || pages > MAP_MAX || address >= NORMAL_START || pages > (NORMAL_START - address) / PAGE_BYTES {
            return Err(Error::BadArgument);
        }
        let writable = word & entry_lo::DIRTY != 0;
        let own = kernel.mappings(caller);
        let grounds = kernel.system.may_guarantee([caller, env], own, word >> PAGE_SHIFT, pages, writable);
        let (owner, stamp) = grounds.ok_or(Error::Denied)?;
        let mapping = Mapping {
            virtual_start: address,
            physical_start: word & entry_lo::FRAME,
            bytes: pages * PAGE_BYTES,
            writable,
            owner,
            stamp,
        };
        match kernel.record(env).mappings.insert(mapping) {
            Ok(()) => Ok(0),
            Err(Refusal::Full) => Err(Error::Full),
            Err(_) => Err(Error::BadArgument),
        }
    }

    /// See [`aegis_abi::call::ENV_UNMAP`].
    fn env_unmap(kernel, caller, env, address, _, _) {
        let env = kernel.controlled(caller, env)?;
        if [SAVE_PAGE, PUBLIC_PAGE].contains(&address) {
            return Err(Error::BadArgument);
        }
        let mapping = kernel.record(env).mappings.remove(address).ok_or(Error::BadArgument)?;
        let ids = kernel.system.environments.contexts(env).unwrap_or_default();
        let contexts = ids.into_iter().filter(|&id| id != ContextId::NONE).map(Context::new);
        bindings::delete_range(contexts, address, mapping.bytes / PAGE_BYTES);
        Ok(0)
    }

    /// See [`aegis_abi::call::FRAME_ALLOCATE`].
    fn frame_allocate(kernel, caller, frame, _, _, _) {
        kernel.counted(caller, |kernel| kernel.system.frame_allocate(&mut Translation, caller, frame).map(|()| 0))
    }

    /// See [`aegis_abi::call::FRAME_FREE`].
    fn frame_free(kernel, caller, frame, _, _, _) {
        kernel.counted(caller, |kernel| kernel.system.frame_free(&mut Translation, caller, frame).map(|()| 0))
    }

    /// See [`aegis_abi::call::FRAME_GIVE`].
    fn frame_give(kernel, caller, frame, to, _, _) {
        kernel.system.frame_give(&mut Translation, caller, frame, EnvId(to)).map(|()| 0)
    }

    /// See [`aegis_abi::call::FRAME_RENEW`].
    fn frame_renew(kernel, caller, frame, _, _, _) {
        kernel.system.frame_renew(&mut Translation, caller, frame).map(|()| 0)
    }

    /// See [`aegis_abi::call::CAPABILITY`].
    fn capability(kernel, caller, frame, right, _, _) {
        let capability = kernel.system.capability(caller, frame, right)?;
        kernel.record(caller).save_page().capability = capability;
        Ok(0)
    }

    /// See [`aegis_abi::call::ICACHE_FLUSH`].
    fn icache_flush(kernel, _, start, bytes, _, _) {
        let end = start.checked_add(bytes).filter(|_| bytes <= PAGE_BYTES).ok_or(Error::BadArgument)?;
        if end > kernel.system.frames.len() << PAGE_SHIFT {
            return Err(Error::BadArgument);
        }
        if bytes != 0 {
            let (start, end) = (start & !31, end.next_multiple_of(32));
            cp0::flush_instructions(start, end - start);
        }
        Ok(0)
    }

    /// See [`aegis_abi::call::REVOKE`].
    fn revoke(kernel, caller, env, what, count, within) {
        kernel.may_revoke(caller)?;
        let left = kernel.system.revoke(EnvId(env), what, count, within, *kernel.public.ticks)?;
        kernel.show_demands(EnvId(env));
        Ok(left)
    }

    /// See [`aegis_abi::call::FRAME_REPOSSESS`].
    fn frame_repossess(kernel, caller, frame, _, _, _) {
        kernel.may_revoke(caller)?;
        let owner = kernel.system.frame_owner(frame)?;
        kernel.repossess(owner, |system, now, page| system.frame_repossess(&mut Translation, owner, frame, now, page))
    }

    /// See [`aegis_abi::call::SLICE_REPOSSESS`].
    fn slice_repossess(kernel, caller, position, _, _, _) {
        kernel.may_revoke(caller)?;
        let owner = kernel.system.slice_owner(position)?;
        kernel.repossess(owner, |system, now, page| system.slice_repossess(owner, position, now, page))
    }

    /// See [`aegis_abi::call::FILTER_INSERT`].
    fn filter_insert(kernel, caller, frame, atoms, count, _) {
        kernel.counted(caller, |kernel| kernel.filter_insert(caller, frame, atoms, count))
    }

    /// See [`aegis_abi::call::FILTER_REMOVE`].
    fn filter_remove(kernel, caller, number, _, _, _) {
        kernel.counted(caller, |kernel| kernel.filter_remove(caller, number))
    }

    /// See [`aegis_abi::call::FILTER_RING`].
    fn filter_ring(kernel, caller, number, ring, _, _) {
        kernel.system.filter_ring(&mut Translation, caller, number, ring).map(|()| 0)
    }

    /// See [`aegis_abi::call::NETWORK_SEND`].
    fn network_send(kernel, caller, address, bytes, _, _) {
        kernel.network_send(caller, address, bytes)
    }

    /// See [`aegis_abi::call::HANDLER_INSTALL`].
    fn handler_install(kernel, caller, number, request, _, _) {
        kernel.counted(caller, |kernel| kernel.handler_install(caller, number, request))
    }

    /// See [`aegis_abi::call::HANDLER_REMOVE`].
    fn handler_remove(kernel, caller, number, _, _, _) {
        kernel.counted(caller, |kernel| kernel.handler_remove(caller, number))
    }

    /// See [`aegis_abi::call::FILTER_REPOSSESS`].
    fn filter_repossess(kernel, caller, number, _, _, _) {
        kernel.may_revoke(caller)?;
        let owner = kernel.system.filter_owner(number)?;
        let result = kernel.repossess(owner, |system, now, page| system.filter_repossess(owner, number, now, page));
        kernel.flush_filters();
        result
    }

    /// See [`aegis_abi::call::HANDLER_REPOSSESS`].
    fn handler_repossess(kernel, caller, number, _, _, _) {
        kernel.may_revoke(caller)?;
        let owner = kernel.system.handler_owner(number)?;
        kernel.repossess(owner, |system, now, page| {
            system.handler_repossess(&mut Translation, owner, number, now, page)
        })
    }
}

impl Kernel {
    /// The environment with this id, if the caller is that or presents a capability for control over it.
    fn controlled(&mut self, caller: EnvId, id: u32) -> Result<EnvId, Error> {
        let shown: Capability = self.record(caller).save_page().capability;
        self.system.controls(caller, EnvId(id), shown)?;
        Ok(EnvId(id))
    }

    /// The caller presents the capability for revocation.
    fn may_revoke(&mut self, caller: EnvId) -> Result<(), Error> {
        let shown: Capability = self.record(caller).save_page().capability;
        self.system.may_revoke(shown)
    }

    /// Gives something to the caller or takes it from it, which counts if anything is asked of it.
    fn counted(&mut self, caller: EnvId, change: impl FnOnce(&mut Self) -> Result<u32, Error>) -> Result<u32, Error> {
        let asked = self.system.is_asked(caller);
        let result = change(self);
        if asked {
            self.show_demands(caller);
        }
        result
    }

    /// Takes something from `owner`, which lives, and has in its save page what it has said about that.
    fn repossess(
        &mut self,
        owner: EnvId,
        take: impl FnOnce(&mut System, u32, &mut Revocation) -> Result<(), Error>,
    ) -> Result<u32, Error> {
        let page = &raw mut self.record(owner).save_page().revocation;
        // SAFETY: the save page is the owner's, and nothing else refers to it meanwhile: contents are written to no save
        // page of the owner's.
        let result = take(&mut self.system, *self.public.ticks, unsafe { &mut *page });
        self.show_demands(owner);
        result.map(|()| 0)
    }

    /// Brings up to date what the save page of an environment, which lives, says of what it is asked for.
    pub fn show_demands(&mut self, env: EnvId) {
        let demands = self.system.demands(env);
        self.record(env).save_page().revocation.demands = demands;
    }

    /// Copies what the caller has at `address`.
    pub fn read(&mut self, caller: EnvId, address: u32, bytes: &mut [u8]) -> Result<(), Error> {
        let mut rest = bytes;
        for piece in self.pieces(caller, address, rest.len() as u32)? {
            let (now, later) = rest.split_at_mut(piece.bytes as usize);
            now.copy_from_slice(machine::memory(piece));
            rest = later;
        }
        Ok(())
    }

    /// Where in cached memory the bytes lie that the caller has at `address`, if they lie in one page.
    pub fn whole(&self, caller: EnvId, address: u32, bytes: u32) -> Result<Option<u32>, Error> {
        let offset = address % PAGE_BYTES;
        if offset + bytes > PAGE_BYTES {
            return Ok(None);
        }
        let holds = |&page: &_| self.system.holds_for(page, caller) || self.system.holds(page);
        let page = self.mappings(caller).page(address).filter(holds).ok_or(Error::BadPointer)?;
        Ok(Some(machine::cached::<u8>(page.frame + offset) as u32))
    }

    /// Copies the words that the caller has at `address`.
    pub fn read_words(&mut self, caller: EnvId, address: u32, words: &mut [u32]) -> Result<(), Error> {
        let mut to = words.iter_mut();
        for piece in self.pieces(caller, address, 4 * to.len() as u32)? {
            let from = machine::words(piece).ok_or(Error::BadPointer)?;
            from.iter().zip(&mut to).for_each(|(&word, to)| *to = word);
        }
        Ok(())
    }

    /// The memory behind a range of the caller's addresses.
    pub fn pieces(&self, caller: EnvId, address: u32, bytes: u32) -> Result<Pieces<'_>, Error> {
        self.mappings(caller).readable(address, bytes, |page| self.system.holds(page)).ok_or(Error::BadPointer)
    }

    /// The guaranteed mappings of the caller.
    fn mappings(&self, caller: EnvId) -> &Mappings {
        // SAFETY: as for `Kernel::record`; whoever changes a record borrows the kernel to do so.
        unsafe { &arch::record_at(self.record_address(caller)).mappings }
    }
}
