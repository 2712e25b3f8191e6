//! Handlers of several protocol layers for one message.
//!
//! Each layer's body runs in turn, from the lowest on. If one does not consume the message, the layers before it are told
//! by their abort handlers, in the same order, and the message is delivered the ordinary way; if all do, each is told
//! by its commit handler. So a body leaves what cannot be undone to the commit handler.
//!
//! ```
//! use aegis_abi::ash::{Outcome, Part};
//! use aegis_ash::chain::run;
//!
//! // The third of three layers does not want the message.
//! let mut log = Vec::new();
//! let outcome = run(3, |layer, part| {
//!     log.push((layer, part));
//!     if layer == 2 { Outcome::Passed } else { Outcome::Consumed }
//! });
//! assert_eq!(outcome, Outcome::Passed);
//! assert_eq!(log[3..], [(0, Part::Abort), (1, Part::Abort)]);
//! ```

use aegis_abi::ash::{Code, HANDLERS_MAX, Outcome, Part, WORDS_MAX};

const PARTS: usize = Part::ALL.len();

/// The number of the handler that is a layer's part.
#[must_use]
pub const fn number(layer: usize, part: Part) -> usize {
    PARTS * layer + part as usize
}

/// How many layers these handlers are, if they are a chain: layers from the lowest on, each with a body; and not too many words.
#[must_use]
pub fn layers(handlers: &[Code; HANDLERS_MAX]) -> Option<usize> {
    let layers =
        handlers.as_chunks::<PARTS>().0.iter().take_while(|layer| layer[Part::Body as usize].words != 0).count();
    let is_there = |handler: &&Code| handler.words != 0;
    let count = handlers.iter().filter(is_there).count();
    let words: usize = handlers.iter().map(|handler| usize::from(handler.words)).sum();
    let nothing_behind = handlers[PARTS * layers..].iter().find(is_there).is_none();
    (layers != 0 && nothing_behind && words + count <= WORDS_MAX + 1).then_some(layers)
}

/// What a chain takes at most, of what all handlers of each [`Part`] do: commit and abort handlers never run for the same message.
#[must_use]
pub fn most([bodies, commits, aborts]: [u32; PARTS]) -> u32 {
    bodies + commits.max(aborts)
}

/// Runs the handlers of so many layers for a message; `run` runs one of them, or tells that there is nothing to do ([`Outcome::Consumed`]).
///
/// [`Outcome::Consumed`] if all bodies have consumed the message and all commit handlers have returned. If not, the message is to be
/// delivered the ordinary way: the outcome is that of the first which has not. How commit and abort handlers end changes nothing for
/// the others. `run` is called at most twice for a layer.
pub fn run(layers: usize, mut run: impl FnMut(usize, Part) -> Outcome) -> Outcome {
    let mut bodies = (0..layers).map(|layer| (layer, run(layer, Part::Body)));
    let (told, part, mut outcome) = match bodies.find(|&(_, outcome)| outcome != Outcome::Consumed) {
        Some((layer, outcome)) => (layer, Part::Abort, outcome),
        None => (layers, Part::Commit, Outcome::Consumed),
    };
    for layer in 0..told {
        let ended = run(layer, part);
        if outcome == Outcome::Consumed && !ended.returned() {
            outcome = ended;
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    type Log = Vec<(usize, Part)>;

    /// What is run of so many layers if a layer's part ends so, and the others consume.
    fn log(layers: usize, of: (usize, Part), outcome: Outcome) -> (Log, Outcome) {
        let mut log = Vec::new();
        let result = run(layers, |layer, part| {
            log.push((layer, part));
            if (layer, part) == of { outcome } else { Outcome::Consumed }
        });
        (log, result)
    }

    fn parts(layers: usize, part: Part) -> Log {
        (0..layers).map(|layer| (layer, part)).collect()
    }

    #[test]
    fn all_commit_or_those_before_abort() {
        for layers in 0..5 {
            let all = [parts(layers, Part::Body), parts(layers, Part::Commit)].concat();
            assert_eq!(log(layers, (layers, Part::Body), Outcome::Passed), (all.clone(), Outcome::Consumed));
            for layer in 0..layers {
                for outcome in Outcome::ALL {
                    let body = log(layers, (layer, Part::Body), outcome);
                    let aborted = [parts(layer + 1, Part::Body), parts(layer, Part::Abort)].concat();
                    let ran = if outcome == Outcome::Consumed { all.clone() } else { aborted };
                    assert_eq!(body, (ran, outcome));
                    let commit = log(layers, (layer, Part::Commit), outcome);
                    let delivered = if outcome == Outcome::Passed { Outcome::Consumed } else { outcome };
                    assert_eq!(commit, (all.clone(), delivered));
                }
            }
        }
    }

    #[test]
    fn the_first_commit_handler_that_is_stopped_tells() {
        let outcome = run(3, |layer, part| match (layer, part) {
            (1, Part::Commit) => Outcome::Overrun,
            (2, Part::Commit) => Outcome::DivideByZero,
            _ => Outcome::Consumed,
        });
        assert_eq!(outcome, Outcome::Overrun);
    }

    #[test]
    fn chains_have_bodies_and_no_gaps() {
        let of = |words: &[(usize, Part, u16)]| {
            let mut handlers = [Code::default(); HANDLERS_MAX];
            words.iter().for_each(|&(layer, part, words)| handlers[number(layer, part)].words = words);
            layers(&handlers)
        };
        use Part::{Abort, Body, Commit};
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[(0, Body, 2)]), Some(1));
        assert_eq!(of(&[(0, Body, 2), (0, Abort, 2), (1, Body, 2), (1, Commit, 2)]), Some(2));
        assert_eq!(of(&[(0, Body, 2), (1, Body, 2), (2, Body, 2), (3, Body, 2), (3, Abort, 2)]), Some(4));
        for without_body in [&[(0, Commit, 2)][..], &[(0, Body, 2), (2, Body, 2)], &[(0, Body, 2), (1, Abort, 2)]] {
            assert_eq!(of(without_body), None, "{without_body:?}");
        }
        assert_eq!(of(&[(0, Body, 255)]), Some(1));
        assert_eq!(of(&[(0, Body, 256)]), None);
        assert_eq!(of(&[(0, Body, 200), (1, Body, 54)]), Some(2));
        assert_eq!(of(&[(0, Body, 200), (1, Body, 55)]), None);
        assert_eq!(of(&[(0, Body, u16::MAX), (1, Body, u16::MAX)]), None);
    }

    #[test]
    fn commit_and_abort_handlers_are_not_both_paid_for() {
        assert_eq!((most([5, 3, 2]), most([5, 2, 3]), most([5, 0, 0])), (8, 8, 5));
    }
}
