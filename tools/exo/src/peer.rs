//! The station at the other end of the cable of a test: it sends what the guest asks it to send.
//!
//! `tests/src/cable.rs` says how it is asked.

#[path = "../../../tests/src/cable.rs"]
mod cable;

use cable::{AS_IT_IS, DAMAGED, PEER, TEMPLATE, TYPE};

/// A frame to send, without check sequence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// From the addresses on.
    pub data: Vec<u8>,
    /// It is not to be filled up if it is short.
    pub as_it_is: bool,
    /// Its check sequence is to be wrong.
    pub damaged: bool,
}

/// The most frames for one question, and the longest of them: more is not sent.
const FRAMES_MAX: u32 = 100_000;
const BYTES_MAX: usize = 4096;

/// What is to be sent for a frame that was received: nothing if it is no question to the station.
pub fn answer(frame: &[u8]) -> impl Iterator<Item = Reply> {
    let question = Question::read(frame);
    let count = question.as_ref().map_or(0, |question| question.count.min(FRAMES_MAX));
    (0..count).filter_map(move |number| question.as_ref().map(|question| question.frame(number)))
}

/// What the guest asks for.
struct Question {
    flags: u8,
    count: u32,
    bytes: usize,
    number_at: usize,
    template: Vec<u8>,
}

impl Question {
    fn read(frame: &[u8]) -> Option<Self> {
        let (head, template) = frame.split_at_checked(TEMPLATE)?;
        let is_question = head[..6] == PEER && head[12..14] == TYPE.to_be_bytes();
        let half = |at: usize| usize::from(u16::from_be_bytes([head[at], head[at + 1]]));
        is_question.then(|| Self {
            flags: head[15],
            count: u32::from_be_bytes([head[16], head[17], head[18], head[19]]),
            bytes: half(20).min(BYTES_MAX),
            number_at: half(22),
            template: template.iter().copied().take(half(24)).collect(),
        })
    }

    fn frame(&self, number: u32) -> Reply {
        let mut data: Vec<u8> = self.template.iter().copied().take(self.bytes).collect();
        data.extend((data.len()..self.bytes).map(|at| at as u8));
        if self.number_at != 0
            && let Some(place) = data.get_mut(self.number_at..self.number_at + 4)
        {
            place.copy_from_slice(&number.to_be_bytes());
        }
        Reply { data, as_it_is: self.flags & AS_IT_IS != 0, damaged: self.flags & DAMAGED != 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(flags: u8, count: u32, bytes: u16, number_at: u16, template: &[u8]) -> Vec<u8> {
        let mut frame = PEER.to_vec();
        frame.extend([0; 6]);
        frame.extend(TYPE.to_be_bytes());
        frame.extend([7, flags]);
        frame.extend(count.to_be_bytes());
        frame.extend([bytes, number_at, template.len() as u16].map(u16::to_be_bytes).concat());
        frame.extend(template);
        frame.extend([0; 30]);
        frame
    }

    #[test]
    fn frames_are_made_as_asked() {
        let frames: Vec<_> = answer(&question(AS_IT_IS, 2, 10, 2, &[9; 8])).collect();
        assert_eq!(frames[0].data, [9, 9, 0, 0, 0, 0, 9, 9, 8, 9]);
        assert_eq!(frames[1].data, [9, 9, 0, 0, 0, 1, 9, 9, 8, 9]);
        assert!(frames.len() == 2 && frames[0].as_it_is && !frames[0].damaged);
        assert_eq!(answer(&question(DAMAGED, 1, 4, 0, &[9; 8])).next().unwrap().data, [9; 4]);
    }

    #[test]
    fn what_is_no_question_is_not_answered() {
        let good = question(0, 1, 60, 0, &[]);
        assert_eq!(answer(&good).count(), 1);
        assert_eq!(answer(&good[..TEMPLATE - 1]).count(), 0);
        for at in [0, 5, 12, 13] {
            let mut other = good.clone();
            other[at] ^= 1;
            assert_eq!(answer(&other).count(), 0);
        }
        assert_eq!(answer(&question(0, u32::MAX, 0, 9, &[])).count(), FRAMES_MAX as usize);
    }
}
