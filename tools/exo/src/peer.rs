//! The station at the other end of the cable of a test: it sends what the guest asks it to send, and counts with it.
//!
//! `tests/src/cable.rs` says how it is asked.

#[path = "../../../tests/src/cable.rs"]
mod cable;

use cable::{AS_IT_IS, COUNTER, COUNTER_PORT, DAMAGED, PEER, TEMPLATE, TYPE};

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

/// What is to be sent for a frame that was received: nothing if it is neither a question to the station nor a counter.
pub fn answer(frame: &[u8]) -> impl Iterator<Item = Reply> {
    let question = Question::read(frame);
    let count = question.as_ref().map_or(0, |question| question.count.min(FRAMES_MAX));
    let asked = (0..count).filter_map(move |number| question.as_ref().map(|question| question.frame(number)));
    counted(frame).into_iter().chain(asked)
}

/// A counter's packet on its way back, if it is one.
fn counted(frame: &[u8]) -> Option<Reply> {
    let counter = frame.get(COUNTER..COUNTER + 4)?;
    let next = u32::from_le_bytes(counter.try_into().ok()?).wrapping_add(1);
    // IPv4 without options, UDP, its port, and no checksum.
    let is_counter = frame[..6] == PEER
        && frame[12..15] == [8, 0, 0x45]
        && frame[23] == 17
        && frame[36..38] == COUNTER_PORT.to_be_bytes()
        && frame[40..42] == [0; 2];
    is_counter.then(|| {
        let mut data = frame.to_vec();
        // The addresses of Ethernet, those of IP, and the ports change places; the header's sum does not change by that.
        data[..12].rotate_left(6);
        data[26..34].rotate_left(4);
        data[34..38].rotate_left(2);
        data[COUNTER..COUNTER + 4].copy_from_slice(&next.to_le_bytes());
        Reply { data, as_it_is: false, damaged: false }
    })
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
    fn counters_come_back() {
        let mut packet: Vec<u8> = (0..60).collect();
        packet[..6].copy_from_slice(&PEER);
        packet[12..15].copy_from_slice(&[8, 0, 0x45]);
        packet[23] = 17;
        packet[36..38].copy_from_slice(&COUNTER_PORT.to_be_bytes());
        packet[40..42].fill(0);
        packet[COUNTER..COUNTER + 4].copy_from_slice(&[255, 255, 0, 7]);
        let replies: Vec<_> = answer(&packet).collect();
        let [Reply { data, as_it_is: false, damaged: false }] = &replies[..] else { panic!("{replies:?}") };
        assert_eq!(data[..12], [&packet[6..12], &PEER].concat());
        assert_eq!(data[26..34], [30, 31, 32, 33, 26, 27, 28, 29]);
        assert_eq!(data[34..38], [&COUNTER_PORT.to_be_bytes()[..], &[34, 35]].concat());
        assert_eq!(data[COUNTER..COUNTER + 4], [0, 0, 1, 7]);
        for same in [12..26, 38..COUNTER, COUNTER + 4..60] {
            assert_eq!(data[same.clone()], packet[same]);
        }
        // Nobody else's, of no other protocol or port, with no checksum that is right no more, and not cut off.
        for at in [0, 12, 14, 23, 36, 40] {
            let mut other = packet.clone();
            other[at] ^= 1;
            assert_eq!(answer(&other).count(), 0, "{at}");
        }
        assert_eq!(answer(&packet[..COUNTER + 3]).count(), 0);
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
