//! Captures in the classic pcap format, with times in nanoseconds, for tcpdump and Wireshark.

use crate::segment::Passed;
use std::io::{self, Write};

/// The file's first word: the byte order is that of the host that wrote it, times are in nanoseconds.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Ethernet, each frame followed by a check sequence of four bytes.
const LINK: u32 = 1 | 1 << 26 | 4 << 28;
/// Longer frames are cut off.
const LONGEST: u32 = 0x4_0000;

/// A capture being written.
#[derive(Debug)]
pub struct Capture<W: Write> {
    to: W,
}

impl<W: Write> Capture<W> {
    /// Begins one: its header.
    pub fn new(mut to: W) -> io::Result<Capture<W>> {
        // Magic, version 2.4, zone, accuracy, longest frame, link.
        for word in [MAGIC, 4 << 16 | 2, 0, 0, LONGEST, LINK] {
            to.write_all(&word.to_le_bytes())?;
        }
        Ok(Capture { to })
    }

    /// Adds a frame.
    pub fn write(&mut self, passed: &Passed) -> io::Result<()> {
        let length = passed.frame.len() as u32;
        let kept = length.min(LONGEST);
        for word in [(passed.time / 1_000_000_000) as u32, (passed.time % 1_000_000_000) as u32, kept, length] {
            self.to.write_all(&word.to_le_bytes())?;
        }
        self.to.write_all(&passed.frame[..kept as usize])
    }

    /// Ends it.
    pub fn finish(mut self) -> io::Result<W> {
        self.to.flush()?;
        Ok(self.to)
    }
}
