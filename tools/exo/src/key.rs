//! The key that all capabilities are made with is where no program can read it: looked for in all memory, on the model.
//!
//! The test knows the key when it sees it: under it the hash of what a program was given a tag for is that tag. So it
//! needs not be told where the kernel keeps it, and finds each copy that was left anywhere.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::time::Duration;

use aegis_abi::frame::{CONTROL, KERNEL};
use aegis_abi::vm::PAGE_BYTES;
use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use siphasher::sip::SipHasher24;

use crate::console::Console;
use crate::machine::decstation::Run;
use crate::machine::{Job, Machine, Observer};
use crate::test::{Bench, timed};

/// The program that tells a tag.
const PROGRAM: &str = "hostile_key";
/// Megabytes of memory.
const MEMORY: u32 = 4;
/// Where the kernel's table of frames is: an owner and another word for each.
const FRAMES: u32 = 0x6_0000;

/// The test.
pub fn trials(bench: &Arc<Bench>) -> Vec<Trial> {
    let bench = Arc::clone(bench);
    vec![timed("model::key_is_nowhere_to_be_read", move || look(&bench).map_err(|error| format!("{error:#}").into()))]
}

fn look(bench: &Bench) -> Result<()> {
    let image = bench.guest.write_image(&bench.workspace, Machine::Decstation, "key", &[PROGRAM.to_owned()])?;
    let symbols = bench.guest.symbols(&bench.workspace, Machine::Decstation);
    let job = Job::new(&image, PROGRAM, Duration::from_secs(20));
    let mut run = Run::start(&Job { memory: Some(MEMORY), instant_console: true, ..job })?;
    let mut watch = Watching(Console::new(&symbols, |_| {}));
    // The line comes while the program still runs.
    let line = loop {
        let end = run.go_on(1 << 10, &mut watch);
        if let Some(line) = watch.0.lines.iter().find_map(|line| line.strip_prefix("hostile_key: id ")) {
            break line.to_owned();
        }
        ensure!(end.is_none(), "{PROGRAM} did not tell its tag: {:?}", watch.0.lines);
    };
    let words = line.split_whitespace().filter_map(|word| u32::from_str_radix(word.strip_prefix("0x")?, 16).ok());
    let [id, tag0, tag1] = words.collect::<Vec<_>>().try_into().ok().context("it tells other than three words")?;
    let message: Vec<_> = [2, id, CONTROL, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    let memory: Vec<_> = (0..MEMORY << 20).step_by(4).map(|at| run.word(at).unwrap_or_default()).collect();
    let tag = u64::from(tag1) << 32 | u64::from(tag0);
    let is_key = |window: &[u32]| {
        let bytes: Vec<_> = window.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.try_into().is_ok_and(|key: [u8; 16]| SipHasher24::new_with_key(&key).hash(&message) == tag)
    };
    let places: Vec<_> = (0..memory.len() - 3).filter(|&at| is_key(&memory[at..at + 4])).collect();
    let &first = places.first().context("the key is nowhere: the kernel makes tags in another way than this test")?;
    let key = memory[first..first + 4].to_vec();
    // Whatever a program can own or read, or will when somebody lets it go.
    let owner = |page: usize| run.word(FRAMES + 8 * page as u32).unwrap_or(KERNEL);
    let words = PAGE_BYTES as usize / 4;
    for (page, contents) in memory.chunks(words).enumerate().filter(|&(page, _)| owner(page) != KERNEL) {
        let place: Range<usize> = page * words..(page + 1) * words;
        let whole = places.iter().any(|at| place.contains(at) || place.contains(&(at + 3)));
        ensure!(!whole, "the key is in frame {page}, whose owner is {:#x}", owner(page));
        let part = key.iter().find(|word| **word != 0 && contents.contains(word));
        ensure!(part.is_none(), "the key's word {part:#x?} is in frame {page}, whose owner is {:#x}", owner(page));
    }
    Ok(())
}

struct Watching<'a>(Console<'a>);

impl Observer for Watching<'_> {
    fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        self.0.take(bytes)
    }
}
