//! Handlers: which filter has one, and for how long, against a model that knows whose each frame is and which regions were broken.

extern crate std;

use super::machine::{Machine, Tables};
use super::network::{byte, insert};
use crate::hardware::Hardware;
use aegis_abi::ash::Request;
use aegis_abi::frame::{Capability, PUBLIC};
use aegis_abi::vm::PAGE_BYTES;
use aegis_abi::{EnvId, Error};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;
use std::vec::Vec;

/// Frames that pay for the filters; the first of the two that a handler gets; regions with their guards, of a page and of two. The third
/// region lies where a handler's frames do.
const FILTERS: [u32; 2] = [10, 11];
const PAIRS: [u32; 2] = [12, 14];
const REGIONS: [Range<u32>; 4] = [16..18, 18..21, 12..14, 17..19];
/// All frames that the owner has or may have.
const FRAMES: Range<u32> = 10..21;

#[derive(Clone, Debug)]
enum Step {
    Begin { filter: usize, pair: usize, region: usize },
    Make(usize),
    Remove(usize),
    Find(usize),
    Renew(u32),
    Free(u32),
    Allocate(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let begin = (0..2_usize, 0..2_usize, 0..4_usize);
    prop_oneof![
        4 => begin.prop_map(|(filter, pair, region)| Step::Begin { filter, pair, region }),
        3 => (0..2_usize).prop_map(Step::Make),
        1 => (0..2_usize).prop_map(Step::Remove),
        4 => (0..2_usize).prop_map(Step::Find),
        1 => FRAMES.prop_map(Step::Renew),
        1 => FRAMES.prop_map(Step::Free),
        2 => FRAMES.prop_map(Step::Allocate),
    ]
}

/// A handler of the model's.
#[derive(Clone, Debug)]
struct Handler {
    pair: u32,
    region: Range<u32>,
    made: bool,
    /// A frame of its region was unbound.
    broken: bool,
}

#[derive(Default)]
struct Model {
    /// Frames that the owner can do something with.
    owned: BTreeSet<u32>,
    handlers: [Option<Handler>; 2],
}

impl Model {
    /// The frames are mapped nowhere any more.
    fn unbind(&mut self, frames: Range<u32>) {
        for handler in self.handlers.iter_mut().flatten() {
            handler.broken |= frames.clone().any(|frame| handler.region.contains(&frame));
        }
    }

    fn owns(&self, mut frames: Range<u32>) -> bool {
        frames.all(|frame| self.owned.contains(&frame))
    }

    /// Whether a handler can be begun; if so it is.
    fn begin(&mut self, filter: usize, pair: u32, region: Range<u32>) -> bool {
        if !self.owns(region.clone()) {
            return false;
        }
        match &self.handlers[filter] {
            Some(handler) if handler.made || handler.pair != pair => return false,
            Some(_) => {}
            None => {
                if !self.owns(pair..pair + 2) || region.contains(&pair) || region.contains(&(pair + 1)) {
                    return false;
                }
                self.unbind(pair..pair + 2);
                self.owned.retain(|frame| !(pair..pair + 2).contains(frame));
            }
        }
        self.handlers[filter] = Some(Handler { pair, region, made: false, broken: false });
        true
    }

    fn remove(&mut self, filter: usize) -> bool {
        let Some(handler) = self.handlers[filter].take() else { return false };
        self.owned.extend(handler.pair..handler.pair + 2);
        true
    }

    /// The frame that is found.
    fn find(&mut self, filter: usize) -> Option<u32> {
        let handler = self.handlers[filter].clone().filter(|handler| handler.made)?;
        if handler.broken {
            self.remove(filter);
            return None;
        }
        Some(handler.pair + 1)
    }
}

fn request(pair: u32, region: &Range<u32>) -> Request {
    let pages = region.len() as u32 - 1;
    Request { frame: pair, region: region.start, region_bytes: pages * PAGE_BYTES, ..Request::NONE }
}

/// The owner's environment, with both filters and all frames.
fn begin(m: &mut Machine) -> (EnvId, [u32; 2], Model) {
    let owner = m.environment(2);
    FRAMES.for_each(|frame| m.system.frame_allocate(&mut m.tlbs, owner, frame).unwrap());
    let numbers = [0, 1].map(|n| insert(m, owner, FILTERS[n], &byte(n as u32), Capability([0; 2])).unwrap());
    (owner, numbers, Model { owned: FRAMES.skip(FILTERS.len()).collect(), ..Model::default() })
}

proptest! {
    #[test]
    fn handlers_hold_while_their_regions_do(steps in prop::collection::vec(step(), 1..60)) {
        let mut tables = Tables::new(64);
        let mut m = tables.machine();
        let (owner, numbers, mut model) = begin(&mut m);
        for step in steps {
            let Machine { system, tlbs } = &mut m;
            match step.clone() {
                Step::Begin { filter, pair, region } => {
                    let (pair, region) = (PAIRS[pair], REGIONS[region].clone());
                    let result = system.handler_begin(tlbs, owner, numbers[filter], &request(pair, &region));
                    let can = model.begin(filter, pair, region.clone());
                    prop_assert_eq!(result.is_ok(), can, "{:?} {:?}", step, result);
                    // What the kernel writes to is not taken for blank.
                    prop_assert!(!can || region.chain(pair..pair + 2).all(|frame| !system.frames.is_blank(frame)));
                }
                Step::Make(filter) => if let Some(handler) = &mut model.handlers[filter] {
                    handler.made = true;
                    tlbs.handler(handler.pair + 1).entry = 0x8000_1000;
                },
                Step::Remove(filter) => {
                    let pair = model.handlers[filter].as_ref().map(|handler| handler.pair);
                    let result = system.handler_remove(tlbs, owner, numbers[filter]);
                    prop_assert_eq!(result, pair.ok_or(Error::BadArgument));
                    model.remove(filter);
                }
                Step::Find(filter) => {
                    prop_assert_eq!(system.handler(tlbs, numbers[filter]), model.find(filter), "{:?}", step);
                }
                Step::Renew(frame) => {
                    let result = system.frame_renew(tlbs, owner, frame);
                    prop_assert_eq!(result.is_ok(), model.owned.contains(&frame), "{:?} {:?}", step, result);
                    if result.is_ok() {
                        model.unbind(frame..frame + 1);
                    }
                }
                Step::Free(frame) => {
                    let result = system.frame_free(tlbs, owner, frame);
                    prop_assert_eq!(result.is_ok(), model.owned.remove(&frame), "{:?} {:?}", step, result);
                    if result.is_ok() {
                        model.unbind(frame..frame + 1);
                    }
                }
                Step::Allocate(frame) => {
                    if system.frame_allocate(tlbs, owner, frame).is_ok() {
                        prop_assert!(model.owned.insert(frame), "{:?}", step);
                    }
                }
            }
            m.audit();
            for (number, handler) in numbers.into_iter().zip(&model.handlers) {
                let first = handler.as_ref().map_or(0, |handler| handler.pair);
                prop_assert_eq!(m.system.handler_frame(number), first);
            }
            let noted = FRAMES.filter(|&frame| m.system.frames.owner(frame) == owner.0).collect::<Vec<_>>();
            prop_assert!(noted.into_iter().eq(model.owned.iter().copied()), "{:?}", model.owned);
        }
        // Nobody's handler runs.
        m.system.env_destroy(owner);
        for number in numbers {
            prop_assert_eq!(m.system.handler(&mut m.tlbs, number), None);
        }
        m.audit();
    }
}

#[test]
fn who_owes_too_much_is_not_served() {
    let mut tables = Tables::new(64);
    let mut m = tables.machine();
    let (owner, numbers, mut model) = begin(&mut m);
    m.system.handler_begin(&mut m.tlbs, owner, numbers[0], &request(PAIRS[0], &REGIONS[0])).unwrap();
    assert!(model.begin(0, PAIRS[0], REGIONS[0].clone()));
    let mut noted = *m.tlbs.handlers.get(&(PAIRS[0] + 1)).unwrap();
    let slice_cycles = 100_000;
    let mut slices = 0;
    while m.system.may_handle(owner) {
        m.system.charge(&mut noted, slice_cycles / 2 + 1, slice_cycles);
        slices += 1;
        assert!(slices < 100, "it is never too much");
    }
    // Half a slice each, and a little.
    assert_eq!((noted.slices, noted.charged < slice_cycles), (slices / 2, true));
    assert_eq!(m.system.frames.owner(PAIRS[0]), PUBLIC);
}

#[test]
fn requests_that_no_handler_has_are_refused() {
    let mut tables = Tables::new(64);
    let mut m = tables.machine();
    let (owner, numbers, _) = begin(&mut m);
    let other = m.environment(4);
    let good = request(PAIRS[0], &REGIONS[0]);
    let Machine { system, tlbs } = &mut m;
    for (caller, request, error) in [
        (owner, Request { region_bytes: 3 * PAGE_BYTES, ..good }, Error::BadArgument),
        (owner, Request { region_bytes: 0, ..good }, Error::BadArgument),
        (owner, Request { region_bytes: 2 * PAGE_BYTES, region: 17, ..good }, Error::BadArgument),
        (owner, Request { region: u32::MAX, ..good }, Error::BadArgument),
        (owner, Request { region: 30, ..good }, Error::Denied),
        (owner, Request { frame: u32::MAX, ..good }, Error::BadArgument),
        (other, good, Error::Denied),
    ] {
        assert_eq!(system.handler_begin(tlbs, caller, numbers[0], &request), Err(error), "{request:?}");
    }
    assert_eq!(system.handler_begin(tlbs, owner, 200, &good), Err(Error::BadArgument), "there is no such filter");
    assert_eq!(system.handler_frame(numbers[0]), 0);
    m.audit();
}
