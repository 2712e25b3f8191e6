//! Loads, stores and fetches: the quick way for cached main memory, the long way for everything else.

use crate::cache::{CodeWord, DataWord, SUSPECT, Which, index_of, tag_of};
use crate::cp0::{Access, Exception, Fault, Physical, SR_CM, SR_ISC, SR_SWC};
use crate::insn::{Insn, Op, decode};
use crate::instruments::Stall;
use crate::kn02::Kn02;
use crate::machine::Machine;
use crate::prom;
use crate::strict::Rule;
use crate::tlb;
use borsh::{BorshDeserialize, BorshSerialize};

/// A remembered translation is valid. Bits 11..6 of a context are the address space.
pub(crate) const CONTEXT_VALID: u32 = 0x20;
/// It is for user mode.
pub(crate) const CONTEXT_USER: u32 = 0x10;
/// Matches nothing: every access takes the long way.
pub(crate) const CONTEXT_NONE: u32 = 0x8;

/// Pages whose translation the interpreter remembers.
const REMEMBERED: usize = 256;

/// A remembered translation of a page of cached main memory.
#[derive(Clone, Copy, Debug, Default, BorshSerialize, BorshDeserialize)]
pub(crate) struct Remembered {
    /// Virtual page and context for loads.
    load: u32,
    /// The same for stores; 0 if the page is not writable.
    store: u32,
    /// Physical page.
    page: u32,
}

impl Remembered {
    /// The physical page, if stores may go there.
    pub(crate) fn writable(&self) -> Option<u32> {
        (self.store != 0).then_some(self.page)
    }
}

/// The table of remembered translations.
pub(crate) type Translations = Box<[Remembered; REMEMBERED]>;

/// An empty table.
pub(crate) fn translations() -> Translations {
    Box::new([Remembered::default(); REMEMBERED])
}

fn slot_of(va: u32) -> usize {
    (va >> 12) as usize & (REMEMBERED - 1)
}

/// The bits of a word that these bytes cover.
fn mask_of(bytes: u32) -> u32 {
    let byte = |i: u32| ((bytes >> i) & 1) * (0xff << (i * 8));
    byte(0) | byte(1) | byte(2) | byte(3)
}

/// `fetch_page` when no page is remembered: it has low bits that no aligned address has.
pub(crate) const NO_PAGE: u32 = 1;

impl Machine {
    /// Forgets the page that instructions come from.
    pub(crate) fn forget_fetch(&mut self) {
        self.fetch_page = NO_PAGE;
    }

    /// Forgets the translation of one page.
    pub(crate) fn forget_page(&mut self, va: u32) {
        self.translations[slot_of(va)] = Remembered::default();
        self.micro_tlb.fill(NO_PAGE);
        self.forget_fetch();
    }

    /// Forgets all translations.
    pub(crate) fn forget_translations(&mut self) {
        *self.translations = [Remembered::default(); REMEMBERED];
        self.micro_tlb.fill(NO_PAGE);
        self.forget_fetch();
    }

    fn remember(&mut self, va: u32, physical: &Physical) {
        if self.context == CONTEXT_NONE || self.bus_error_near(physical.pa) {
            return;
        }
        if physical.writable {
            self.pages.note(physical.pa);
        }
        let key = va & tlb::HI_VPN | self.context;
        self.translations[slot_of(va)] =
            Remembered { load: key, store: if physical.writable { key } else { 0 }, page: physical.pa & tlb::HI_VPN };
    }

    pub(crate) fn in_ram(&self, pa: u32) -> bool {
        (pa as usize >> 2) < self.ram.len()
    }

    /// Reads `size` bytes at `address`, zero-extended; `va` is what BadVAddr shows, `bytes` the bytes of the word that the
    /// instruction uses. None: an exception was taken.
    #[inline(always)]
    pub(crate) fn load<const TIMED: bool, const STRICT: bool>(
        &mut self,
        va: u32,
        address: u32,
        size: u32,
        bytes: u32,
        pc: u32,
    ) -> Option<u32> {
        let remembered = self.translations[slot_of(address)];
        if remembered.load == address & (tlb::HI_VPN | (size - 1)) | self.context {
            let pa = remembered.page | address & 0xfff;
            let word = self.caches.data[index_of(pa)];
            if word.tag == tag_of(pa) {
                return Some(part(word.data, address, size));
            }
        }
        self.load_slowly::<TIMED, STRICT>(va, address, size, bytes, pc)
    }

    #[inline(never)]
    fn load_slowly<const TIMED: bool, const STRICT: bool>(
        &mut self,
        va: u32,
        address: u32,
        size: u32,
        bytes: u32,
        pc: u32,
    ) -> Option<u32> {
        if address & (size - 1) != 0 {
            self.translation_exception(Fault::Address, va, Access::Load, pc, self.cpu.in_slot());
            return None;
        }
        if STRICT {
            self.check_access(address, pc);
        }
        let physical = match self.translate(address, Access::Load) {
            Ok(physical) => physical,
            Err(fault) => {
                self.translation_exception(fault, va, Access::Load, pc, self.cpu.in_slot());
                return None;
            }
        };
        let pa = physical.pa;
        let which = if self.cp0.effective & SR_SWC != 0 { Which::Code } else { Which::Data };
        if self.cp0.effective & SR_ISC != 0 {
            let miss = if self.caches.holds(which, pa) { 0 } else { SR_CM };
            self.cp0.status = self.cp0.status & !SR_CM | miss;
            self.cp0.effective = self.cp0.effective & !SR_CM | miss;
            return Some(part(self.caches.get(which, pa).1, address, size));
        }
        if self.injected_bus_error(pa) {
            self.board.bus_error(pa, false);
            self.exception(Exception::Dbe, pc, self.cpu.in_slot());
            return None;
        }
        if self.in_ram(pa) {
            let now = self.cpu.now();
            let word = if physical.cached {
                if which == Which::Data {
                    self.remember(address, &physical);
                }
                if !self.caches.holds(which, pa) {
                    if TIMED {
                        let words = self.config.profile.refill_words;
                        let first = pa & !(words * 4 - 1);
                        let wait = self.write_buffer.read(now, Some((first, words)), self.config.profile.read_miss);
                        self.stall(Stall::ReadWait, wait);
                        self.stall(Stall::DataMiss, self.config.profile.read_miss.into());
                    }
                    self.refill::<STRICT>(which, pa);
                }
                self.caches.get(which, pa).1
            } else {
                if TIMED {
                    let wait = self.write_buffer.read(now, Some((pa & !3, 1)), self.config.profile.uncached_read);
                    self.stall(Stall::ReadWait, wait);
                    self.stall(Stall::UncachedRead, self.config.profile.uncached_read.into());
                }
                self.ram[pa as usize >> 2]
            };
            if STRICT && u32::from(self.written[pa as usize >> 2]) & bytes != bytes {
                self.violation(Rule::UninitializedRead, pc, || format!("load from {va:08x}, which was never written"));
            }
            return Some(part(word, address, size));
        }
        if STRICT && physical.cached {
            self.violation(Rule::CachedDevice, pc, || {
                format!("cached load of {va:08x}, where there is no main memory")
            });
        }
        self.load_device::<TIMED>(pa, address, size, pc)
    }

    fn load_device<const TIMED: bool>(&mut self, pa: u32, address: u32, size: u32, pc: u32) -> Option<u32> {
        if TIMED {
            let profile = &self.config.profile;
            let cycles = if Kn02::is_ether_memory(pa) { profile.ether.read } else { profile.device_read };
            let wait = self.write_buffer.read(self.cpu.now(), None, cycles);
            self.stall(Stall::ReadWait, wait);
            self.stall(Stall::UncachedRead, cycles.into());
        }
        if Kn02::read_acts(pa) {
            self.attention();
        }
        let now = self.cycles();
        match self.board.read(now, pa) {
            Ok(word) => Some(part(word, address, size)),
            Err(_) => {
                self.board.bus_error(pa, false);
                self.exception(Exception::Dbe, pc, self.cpu.in_slot());
                None
            }
        }
    }

    /// What strict mode asks of every access that takes the long way.
    fn check_access(&mut self, va: u32, pc: u32) {
        self.check_status_distance(SR_ISC | SR_SWC, "load or store", pc);
        if mapped(va) && self.cpu.instructions.wrapping_sub(self.cp0.mapping_at) <= 2 {
            self.violation(Rule::MappingChange, pc, || {
                format!("access to {va:08x} within two instructions after the TLB or the address space changed")
            });
        }
    }

    /// Fetches the words that one miss brings in.
    pub(crate) fn refill<const STRICT: bool>(&mut self, which: Which, pa: u32) {
        let words = self.config.profile.refill_words;
        let first = pa & !(words * 4 - 1);
        for pa in (first..).step_by(4).take(words as usize) {
            let i = pa as usize >> 2;
            let suspect = if STRICT && self.written[i] != 0xf { SUSPECT } else { 0 };
            self.caches.set(which, pa, tag_of(pa) | suspect, self.ram[i]);
        }
    }

    /// Stores the given bytes of the word at `address & !3`; `va` is what BadVAddr shows, `size` what it must be aligned
    /// to. False: an exception was taken.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn store<const TIMED: bool, const STRICT: bool>(
        &mut self,
        va: u32,
        address: u32,
        size: u32,
        value: u32,
        bytes: u32,
        pc: u32,
    ) -> bool {
        let remembered = self.translations[slot_of(address)];
        if remembered.store == address & (tlb::HI_VPN | (size - 1)) | self.context {
            let pa = remembered.page | address & 0xfff;
            self.store_cached::<TIMED, STRICT>(pa, value, bytes);
            return true;
        }
        self.store_slowly::<TIMED, STRICT>(va, address, size, value, bytes, pc)
    }

    /// Stores into main memory through the data cache.
    #[inline(always)]
    fn store_cached<const TIMED: bool, const STRICT: bool>(&mut self, pa: u32, value: u32, bytes: u32) {
        let i = pa as usize >> 2;
        let line = index_of(pa);
        let tag = tag_of(pa);
        if bytes == 0xf {
            self.ram[i] = value;
            self.caches.data[line] = DataWord { tag, data: value };
        } else {
            let mask = mask_of(bytes);
            self.ram[i] = self.ram[i] & !mask | value & mask;
            let word = &mut self.caches.data[line];
            if word.tag & !SUSPECT == tag {
                word.data = word.data & !mask | value & mask;
                if TIMED {
                    self.stall(Stall::PartialStore, self.config.profile.partial_store.into());
                }
            }
        }
        if STRICT {
            self.note_write(pa, bytes);
        }
        if TIMED {
            let stall = self.write_buffer.store(self.cpu.now(), pa, bytes != 0xf);
            self.stall(Stall::WriteBuffer, stall);
        }
    }

    /// Strict mode's books after a write to main memory.
    #[inline(always)]
    pub(crate) fn note_write(&mut self, pa: u32, bytes: u32) {
        let i = pa as usize >> 2;
        let line = index_of(pa);
        let tag = tag_of(pa);
        self.written[i] |= bytes as u8;
        if self.written[i] == 0xf && self.caches.data[line].tag == tag | SUSPECT {
            self.caches.data[line].tag = tag;
        }
        let code = &mut self.caches.code[line];
        if code.tag == tag && code.data != self.ram[i] {
            code.tag = tag | SUSPECT;
        }
    }

    #[inline(never)]
    fn store_slowly<const TIMED: bool, const STRICT: bool>(
        &mut self,
        va: u32,
        address: u32,
        size: u32,
        value: u32,
        bytes: u32,
        pc: u32,
    ) -> bool {
        if address & (size - 1) != 0 {
            self.translation_exception(Fault::Address, va, Access::Store, pc, self.cpu.in_slot());
            return false;
        }
        if STRICT {
            self.check_access(address, pc);
        }
        let physical = match self.translate(address, Access::Store) {
            Ok(physical) => physical,
            Err(fault) => {
                self.translation_exception(fault, va, Access::Store, pc, self.cpu.in_slot());
                return false;
            }
        };
        let pa = physical.pa;
        let swapped = self.cp0.effective & SR_SWC != 0;
        let which = if swapped { Which::Code } else { Which::Data };
        if self.cp0.effective & SR_ISC != 0 {
            // A whole word sets tag and data; less than a word invalidates.
            if bytes == 0xf {
                self.caches.set(which, pa, tag_of(pa), value);
            } else {
                self.caches.invalidate(which, pa);
            }
            self.forget_fetch();
            return true;
        }
        if self.in_ram(pa) {
            self.pages.note(pa);
            if physical.cached && !swapped {
                self.remember(address, &physical);
                self.store_cached::<TIMED, STRICT>(pa, value, bytes);
                return true;
            }
            let i = pa as usize >> 2;
            let mask = mask_of(bytes);
            self.ram[i] = self.ram[i] & !mask | value & mask;
            if physical.cached {
                let (_, old) = self.caches.get(which, pa);
                if bytes == 0xf || self.caches.holds(which, pa) {
                    self.caches.set(which, pa, tag_of(pa), old & !mask | value & mask);
                }
            }
            if STRICT {
                self.note_write(pa, bytes);
            }
            if TIMED {
                let stall = self.write_buffer.store(self.cpu.now(), pa, bytes != 0xf);
                self.stall(Stall::WriteBuffer, stall);
            }
            return true;
        }
        if STRICT && physical.cached {
            self.violation(Rule::CachedDevice, pc, || {
                format!("cached store to {va:08x}, where there is no main memory")
            });
        }
        if TIMED {
            let cycles = self.config.profile.device_write;
            let stall = self.write_buffer.store_device(self.cpu.now(), pa, cycles);
            self.stall(Stall::WriteBuffer, stall);
        }
        if !Kn02::is_ether_memory(pa) {
            self.attention();
        }
        let now = self.cycles();
        if self.board.write(now, pa, value, mask_of(bytes)).is_err() {
            self.board.bus_error(pa, true);
            if !self.user_mode() {
                self.violation(Rule::WildStore, pc, || {
                    format!("store to {va:08x} (physical {pa:08x}), where there is nothing to write")
                });
            }
        }
        true
    }

    /// Fetches the instruction at `pc` when the quick way does not. None: an exception was taken.
    #[inline(never)]
    pub(crate) fn fetch_slowly<const TIMED: bool, const STRICT: bool>(&mut self, pc: u32) -> Option<CodeWord> {
        let slot = self.cpu.next_in_slot();
        if pc & 3 != 0 {
            self.wild_jump(pc, "is not a multiple of four");
            self.translation_exception(Fault::Address, pc, Access::Fetch, pc, slot);
            return None;
        }
        if STRICT && mapped(pc) && (self.cpu.instructions + 1).wrapping_sub(self.cp0.mapping_at) <= 2 {
            self.violation(Rule::MappingChange, pc, || {
                "fetch from a mapped page within two instructions after the TLB or the address space changed".into()
            });
        }
        let physical = match self.translate(pc, Access::Fetch) {
            Ok(physical) => physical,
            Err(fault) => {
                if !self.user_mode() {
                    self.wild_jump(pc, "is not mapped");
                }
                self.translation_exception(fault, pc, Access::Fetch, pc, slot);
                return None;
            }
        };
        let pa = physical.pa;
        if STRICT && pc < 0x8000_0000 && !self.user_mode() {
            self.violation(Rule::KernelFetch, pc, || "kernel mode fetches an instruction from kuseg".into());
        }
        if TIMED && physical.mapped && self.fetch_page != pc & tlb::HI_VPN {
            self.look_up_micro_tlb(pc);
        }
        let swapped = self.cp0.effective & SR_SWC != 0;
        if self.in_ram(pa) && physical.cached {
            let which = if swapped { Which::Data } else { Which::Code };
            if !swapped {
                self.fetch_page = pc & tlb::HI_VPN;
                self.fetch_tag = tag_of(pa);
                self.fetch_base = index_of(pa & tlb::HI_VPN);
            }
            if !self.caches.holds(which, pa) {
                if TIMED {
                    let words = self.config.profile.refill_words;
                    let first = pa & !(words * 4 - 1);
                    let now = self.cycles();
                    let wait = self.write_buffer.read(now, Some((first, words)), self.config.profile.read_miss);
                    self.stall(Stall::ReadWait, wait);
                    self.stall(Stall::CodeMiss, self.config.profile.read_miss.into());
                }
                self.refill::<STRICT>(which, pa);
            }
            if STRICT && self.caches.get(which, pa).0 & SUSPECT != 0 {
                self.check_suspect_fetch(pc, pa, which);
            }
            return Some(if swapped {
                let (tag, data) = self.caches.get(which, pa);
                CodeWord::new(tag, data)
            } else {
                self.caches.code[index_of(pa)]
            });
        }
        self.fetch_uncached::<TIMED, STRICT>(pc, pa, slot)
    }

    fn fetch_uncached<const TIMED: bool, const STRICT: bool>(
        &mut self,
        pc: u32,
        pa: u32,
        slot: bool,
    ) -> Option<CodeWord> {
        if TIMED {
            let profile = &self.config.profile;
            let (cycles, range) =
                if self.in_ram(pa) { (profile.uncached_read, Some((pa, 1))) } else { (profile.device_read, None) };
            let wait = self.write_buffer.read(self.cycles(), range, cycles);
            self.stall(Stall::ReadWait, wait);
            self.stall(Stall::CodeMiss, cycles.into());
        }
        if self.in_ram(pa) {
            let i = pa as usize >> 2;
            if STRICT && self.written[i] != 0xf {
                self.violation(Rule::UninitializedRead, pc, || "instruction fetch from memory never written".into());
            }
            return Some(CodeWord::new(0, self.ram[i]));
        }
        if let Some(data) = self.board.rom_word(pa) {
            let insn = match prom::entry_at(pa) {
                // The host's side of the PROM is the kernel's alone, whoever the ROM is mapped for.
                Some(entry) if !self.user_mode() => Insn { op: Op::Prom, imm: entry, ..Insn::RESERVED },
                _ => decode(data),
            };
            return Some(CodeWord { tag: 0, data, insn });
        }
        if !self.user_mode() {
            self.wild_jump(pc, "is where there is no memory");
        }
        self.board.bus_error(pa, false);
        self.exception(Exception::Ibe, pc, slot);
        None
    }

    fn wild_jump(&mut self, pc: u32, why: &str) {
        if !self.user_mode() {
            let from = self.cpu.last_branch;
            self.violation(Rule::WildJump, pc, || format!("the jump at {from:08x} leads to {pc:08x}, which {why}"));
        }
    }

    fn look_up_micro_tlb(&mut self, pc: u32) {
        let key = pc & tlb::HI_VPN | self.cp0.entry_hi & tlb::HI_ASID;
        let size = self.config.profile.micro_tlb.min(self.micro_tlb.len());
        let entries = &mut self.micro_tlb[..size];
        match entries.iter().position(|&entry| entry == key) {
            Some(i) => entries[..=i].rotate_right(1),
            None => {
                entries.rotate_right(1);
                if let Some(first) = entries.first_mut() {
                    *first = key;
                }
                self.stall(Stall::MicroTlb, self.config.profile.micro_tlb_miss.into());
            }
        }
    }

    /// A fetch from a word of the cache that has a flag: is it stale, or was it never written?
    fn check_suspect_fetch(&mut self, pc: u32, pa: u32, which: Which) {
        let i = pa as usize >> 2;
        let (_, data) = self.caches.get(which, pa);
        if self.written[i] != 0xf {
            self.violation(Rule::UninitializedRead, pc, || "instruction fetch from memory never written".into());
        } else if data != self.ram[i] {
            let memory = self.ram[i];
            self.violation(Rule::StaleFetch, pc, || {
                format!("the instruction cache holds {data:08x}, memory {memory:08x}: the line was not invalidated")
            });
        } else if which == Which::Code {
            self.caches.code[index_of(pa)].tag = tag_of(pa);
        }
    }

    /// Reads a word of main memory as a device would, past the caches.
    pub fn read_physical(&self, pa: u32) -> Option<u32> {
        self.ram.get(pa as usize >> 2).copied()
    }

    /// Writes bytes into main memory as the loader and the PROM do; caches that hold the word follow.
    pub(crate) fn write_physical(&mut self, pa: u32, byte: u8) -> bool {
        let i = pa as usize >> 2;
        if i >= self.ram.len() {
            return false;
        }
        self.pages.note(pa);
        let shift = (pa & 3) * 8;
        let word = self.ram[i] & !(0xff << shift) | u32::from(byte) << shift;
        self.ram[i] = word;
        if self.caches.holds(Which::Data, pa) {
            self.caches.data[index_of(pa)].data = word;
        }
        if self.config.strict {
            self.note_write(pa & !3, 1 << (pa & 3));
        }
        true
    }

    /// Writes bytes into main memory, which must hold them, as the loader does.
    pub(crate) fn load_physical(&mut self, mut pa: u32, mut data: &[u8]) {
        while let Some(&first) = data.first() {
            if let (0, Some((word, rest))) = (pa & 3, data.split_first_chunk::<4>()) {
                self.pages.note(pa);
                self.ram[pa as usize >> 2] = u32::from_le_bytes(*word);
                if self.caches.holds(Which::Data, pa) {
                    self.caches.data[index_of(pa)].data = u32::from_le_bytes(*word);
                }
                if self.config.strict {
                    self.note_write(pa, 0xf);
                }
                (pa, data) = (pa + 4, rest);
            } else {
                self.write_physical(pa, first);
                (pa, data) = (pa + 1, &data[1..]);
            }
        }
    }

    /// Where a kernel address leads without looking at privilege, for the PROM and for inspection.
    pub fn probe(&self, va: u32) -> Option<u32> {
        match va {
            0x8000_0000..=0xbfff_ffff => Some(va & 0x1fff_ffff),
            _ => match self.tlb.lookup(va, self.cp0.entry_hi) {
                tlb::Match::One(i) => {
                    let entry = self.tlb.read(i);
                    (entry.lo & tlb::LO_V != 0).then_some(entry.lo & tlb::HI_VPN | va & 0xfff)
                }
                _ => None,
            },
        }
    }

    /// Reads a byte at a virtual address without any effect on the machine. Device registers read as nothing.
    pub fn peek_byte(&self, va: u32) -> Option<u8> {
        let pa = self.probe(va)?;
        let word = self.read_physical(pa & !3).or_else(|| self.board.rom_word(pa))?;
        Some((word >> ((pa & 3) * 8)) as u8)
    }

    /// Reads an aligned word at a virtual address without any effect on the machine.
    pub fn peek_word(&self, va: u32) -> Option<u32> {
        let pa = self.probe(va)? & !3;
        self.read_physical(pa).or_else(|| self.board.rom_word(pa))
    }

    /// Writes a byte at a virtual address, as the PROM would: the cache follows.
    pub fn poke_byte(&mut self, va: u32, byte: u8) -> bool {
        self.probe(va).is_some_and(|pa| self.write_physical(pa, byte))
    }
}

/// Whether the TLB translates this address.
fn mapped(va: u32) -> bool {
    !(0x8000_0000..0xc000_0000).contains(&va)
}

/// The `size` bytes of a word that an address names, zero-extended.
#[inline(always)]
fn part(word: u32, address: u32, size: u32) -> u32 {
    match size {
        1 => word >> ((address & 3) * 8) & 0xff,
        2 => word >> ((address & 2) * 8) & 0xffff,
        _ => word,
    }
}
