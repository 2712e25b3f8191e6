//! Forks: a second machine in the state of a first, and how it follows the first at little cost.
//!
//! Memory is most of a machine. Two machines that were once equal differ only in pages that one of them has written since,
//! so those alone are copied when one takes the other's state again.

use crate::machine::Machine;
use crate::tlb::HI_VPN;
use std::sync::atomic::{AtomicU64, Ordering};

/// Words in a page.
const PAGE: usize = 1024;

/// The pages of main memory that were written since a moment at which two machines were equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    /// The moment: only those two have it. 0: there was none.
    since: u64,
    /// A bit a page.
    pages: Box<[u64]>,
}

impl Written {
    /// For so many words of memory, all pages as they were.
    pub(crate) fn new(words: usize) -> Written {
        Written { since: 0, pages: vec![0; words.div_ceil(PAGE * 64)].into_boxed_slice() }
    }

    /// The page at this address is about to be written.
    pub(crate) fn note(&mut self, pa: u32) {
        if let Some(word) = self.pages.get_mut(pa as usize >> 18) {
            *word |= 1 << (pa >> 12 & 63);
        }
    }

    /// Begins anew.
    fn forget(&mut self, since: u64) {
        self.since = since;
        self.pages.fill(0);
    }

    /// The pages in either.
    fn or<'a>(&'a self, other: &'a Written) -> impl Iterator<Item = usize> + 'a {
        self.pages.iter().zip(&other.pages).enumerate().flat_map(|(i, (a, b))| {
            let both = a | b;
            (0..64).filter(move |bit| both >> bit & 1 != 0).map(move |bit| i * 64 + bit)
        })
    }
}

impl Machine {
    /// The same machine once more, in the same state. Symbols, the sinks of marks and console output, the other
    /// instruments, and the place on a segment stay with this one.
    pub fn fork(&self) -> Machine {
        self.with(self.ram.clone(), self.written.clone(), self.caches.clone())
    }

    /// The same in place of a machine that is no longer wanted, whose memory is used again. If that was the last fork of this
    /// one, only the pages that either has written since are copied.
    pub fn fork_over(&mut self, old: Machine) -> Machine {
        static MOMENTS: AtomicU64 = AtomicU64::new(1);
        let Machine { mut ram, mut written, mut caches, pages, .. } = old;
        if pages.since != 0 && pages.since == self.pages.since {
            for page in pages.or(&self.pages) {
                let words = page * PAGE..(page + 1) * PAGE;
                ram[words.clone()].copy_from_slice(&self.ram[words.clone()]);
                // Books of what was written are strict mode's alone.
                if let (Some(to), Some(from)) = (written.get_mut(words.clone()), self.written.get(words)) {
                    to.copy_from_slice(from);
                }
            }
        } else {
            ram.clone_from(&self.ram);
            written.clone_from(&self.written);
        }
        caches.clone_from(&self.caches);
        self.pages.forget(MOMENTS.fetch_add(1, Ordering::Relaxed));
        // Stores to these do not come the way on which pages are noted.
        for page in self.translations.iter().filter_map(|remembered| remembered.writable()) {
            self.pages.note(page & HI_VPN);
        }
        self.with(ram, written, caches)
    }

    /// Everything but the memory from this machine.
    fn with(&self, ram: Box<[u32]>, written: Box<[u8]>, caches: crate::cache::Caches) -> Machine {
        Machine {
            config: self.config.clone(),
            cpu: self.cpu.clone(),
            cp0: self.cp0.clone(),
            fpu: self.fpu.clone(),
            tlb: self.tlb.clone(),
            caches,
            ram,
            written,
            pages: self.pages.clone(),
            write_buffer: self.write_buffer.clone(),
            board: self.board.clone(),
            translations: self.translations.clone(),
            context: self.context,
            fetch_page: self.fetch_page,
            fetch_tag: self.fetch_tag,
            fetch_base: self.fetch_base,
            micro_tlb: self.micro_tlb,
            counts: self.counts,
            marks: self.marks.clone(),
            mark_sink: None,
            stretch_sink: None,
            hooks: Default::default(),
            stretches: self.stretches.clone(),
            broken: self.broken.clone(),
            word: self.word,
            loops: self.loops,
            stop: self.stop.clone(),
            instruction_limit: self.instruction_limit,
            cycle_limit: self.cycle_limit,
            injections: self.injections.clone(),
            injected_lines: self.injected_lines,
            bus_errors: self.bus_errors.clone(),
            console: None,
            output: self.output.clone(),
            symbols: Default::default(),
            environment: self.environment.clone(),
        }
    }
}
