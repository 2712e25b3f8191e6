//! The DC7085 serial controller: four lines, a 64-character receive silo and a transmit scanner.
//!
//! Characters take as long as the line's speed says, in simulated time. The console is line 3, the printer port, as on a
//! machine without a keyboard. Nothing is attached to the other lines.

use borsh::{BorshDeserialize, BorshSerialize};
use std::collections::VecDeque;

/// The console's line.
pub const CONSOLE: usize = 3;
const LINES: usize = 4;
const SILO: usize = 64;

/// CSR: the scanner has found a line that can take a character.
pub const CSR_TRDY: u16 = 0x8000;
/// CSR: transmit interrupt enable.
pub const CSR_TIE: u16 = 0x4000;
/// CSR: the line that the scanner has found.
pub const CSR_TLINE: u16 = 0x0300;
/// CSR: a character is at the bottom of the silo.
pub const CSR_RDONE: u16 = 0x0080;
/// CSR: receive interrupt enable.
pub const CSR_RIE: u16 = 0x0040;
/// CSR: master scan enable.
pub const CSR_MSE: u16 = 0x0020;
/// CSR: reset the controller.
pub const CSR_CLR: u16 = 0x0010;
/// CSR: loop each line's transmitter back to its receiver.
pub const CSR_MAINT: u16 = 0x0008;
/// RBUF: the rest of the word is valid.
pub const RBUF_DVAL: u16 = 0x8000;
/// RBUF: characters were lost before this one.
pub const RBUF_OERR: u16 = 0x4000;
/// RBUF: framing error.
pub const RBUF_FERR: u16 = 0x2000;
/// RBUF: parity error.
pub const RBUF_PERR: u16 = 0x1000;
/// LPR: receiver enable.
pub const LPR_RXENAB: u16 = 0x1000;

/// Speeds by LPR code; the last is the external clock that the KN02 CSR selects.
const BAUD: [u32; 16] = [50, 75, 110, 134, 150, 300, 600, 1200, 1800, 2000, 2400, 3600, 4800, 7200, 9600, 19200];

#[derive(Clone, Debug, Default, BorshSerialize, BorshDeserialize)]
struct Line {
    lpr: u16,
    /// Waits for the shift register.
    holding: Option<u8>,
    /// When the shift register is empty.
    shifting_until: u64,
    /// What the far end has sent or will send, with error bits.
    incoming: VecDeque<u16>,
    /// When the next incoming character is complete.
    arrives_at: u64,
}

/// The controller.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Dz {
    hz: u64,
    /// Serial lines without delay, for runs where they would only cost time.
    instant: bool,
    csr: u16,
    tcr: u16,
    lines: [Line; LINES],
    silo: VecDeque<u16>,
    overrun: bool,
    /// Error bits for the next character that arrives.
    fault: u16,
    /// The line on which the scanner stopped.
    ready: Option<usize>,
    last: usize,
    /// KN02 CSR BAUD38: the external clock is 38400.
    pub(crate) fast_external: bool,
    output: Vec<u8>,
}

impl Dz {
    /// The controller as the PROM leaves it: scanning, console line at 9600 baud, receiver on.
    pub fn new(hz: u64, instant: bool) -> Dz {
        let mut dz = Dz {
            hz,
            instant,
            csr: CSR_MSE,
            tcr: 0,
            lines: Default::default(),
            silo: VecDeque::new(),
            overrun: false,
            fault: 0,
            ready: None,
            last: LINES - 1,
            fast_external: false,
            output: Vec::new(),
        };
        dz.lines[CONSOLE].lpr = LPR_RXENAB | 14 << 8 | 0x18 | CONSOLE as u16;
        dz
    }

    /// Cycles that one character takes on a line.
    fn character_time(&self, line: usize) -> u64 {
        if self.instant {
            return 0;
        }
        let lpr = self.lines[line].lpr;
        let code = usize::from(lpr >> 8 & 15);
        let baud = if code == 15 && self.fast_external { 38400 } else { BAUD[code] };
        let data = 5 + u64::from(lpr >> 3 & 3);
        let bits = 1 + data + u64::from(lpr >> 6 & 1) + 1 + u64::from(lpr >> 5 & 1);
        bits * self.hz / u64::from(baud)
    }

    /// A character that the terminal at the console's far end types.
    pub fn type_character(&mut self, now: u64, byte: u8) {
        let fault = std::mem::take(&mut self.fault);
        self.receive_on(CONSOLE, now, u16::from(byte) | fault);
    }

    fn receive_on(&mut self, line: usize, now: u64, value: u16) {
        let time = self.character_time(line);
        let line = &mut self.lines[line];
        if line.incoming.is_empty() {
            line.arrives_at = now.max(line.arrives_at) + time;
        }
        line.incoming.push_back(value);
    }

    /// The next character that is typed arrives with these error bits ([`RBUF_PERR`], [`RBUF_FERR`], [`RBUF_OERR`]).
    pub fn inject_error(&mut self, bits: u16) {
        self.fault |= bits & (RBUF_PERR | RBUF_FERR | RBUF_OERR);
    }

    /// A typed character that the guest has not received yet, for the PROM's polled console.
    pub fn take_typed(&mut self) -> Option<u8> {
        if let Some(value) = self.silo.pop_front() {
            return Some(value as u8);
        }
        self.lines[CONSOLE].incoming.pop_front().map(|value| value as u8)
    }

    /// What the guest has sent to the console since the last call.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether there is something for [`Dz::take_output`].
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Brings the controller up to date.
    pub fn advance(&mut self, now: u64) {
        for i in 0..LINES {
            let time = self.character_time(i);
            if self.lines[i].shifting_until <= now
                && let Some(byte) = self.lines[i].holding.take()
            {
                let start = self.lines[i].shifting_until;
                self.send(i, start, byte);
            }
            while !self.lines[i].incoming.is_empty() && self.lines[i].arrives_at <= now && !self.held_back() {
                let Some(value) = self.lines[i].incoming.pop_front() else { break };
                self.lines[i].arrives_at += time;
                self.receive(i, value);
            }
        }
        if self.csr & CSR_MSE == 0 {
            self.ready = None;
        }
        if let Some(line) = self.ready
            && self.tcr >> line & 1 == 0
        {
            self.ready = None;
        }
        if self.csr & CSR_MSE != 0 && self.ready.is_none() {
            self.ready = (1..=LINES)
                .map(|step| (self.last + step) % LINES)
                .find(|&line| self.tcr >> line & 1 != 0 && self.lines[line].holding.is_none());
        }
    }

    /// Without line speed the far end waits until what it has sent is read, or a pipe's content would be lost.
    fn held_back(&self) -> bool {
        self.instant && !self.silo.is_empty()
    }

    fn receive(&mut self, line: usize, value: u16) {
        if self.csr & CSR_MSE == 0 || self.lines[line].lpr & LPR_RXENAB == 0 {
            return;
        }
        if self.silo.len() == SILO {
            self.overrun = true;
            return;
        }
        let overrun = if std::mem::take(&mut self.overrun) { RBUF_OERR } else { 0 };
        self.silo.push_back(RBUF_DVAL | overrun | (line as u16) << 8 | value);
    }

    /// A character enters the shift register.
    fn send(&mut self, line: usize, now: u64, byte: u8) {
        self.lines[line].shifting_until = now + self.character_time(line);
        if self.csr & CSR_MAINT != 0 {
            self.receive_on(line, now, byte.into());
        } else if line == CONSOLE {
            self.output.push(byte);
        }
    }

    /// When something next changes by itself, after [`Dz::advance`].
    pub fn next_event(&self) -> u64 {
        let lines = self.lines.iter().map(|line| {
            let transmit = if line.holding.is_some() { line.shifting_until } else { u64::MAX };
            let receive = if line.incoming.is_empty() || self.held_back() { u64::MAX } else { line.arrives_at };
            transmit.min(receive)
        });
        lines.min().unwrap_or(u64::MAX)
    }

    /// The interrupt line.
    pub fn interrupt(&self) -> bool {
        self.csr & CSR_TIE != 0 && self.ready.is_some() || self.csr & CSR_RIE != 0 && !self.silo.is_empty()
    }

    /// Whether a character that is typed would raise the interrupt line.
    pub fn awaits_input(&self) -> bool {
        self.csr & CSR_RIE != 0 && self.csr & CSR_MSE != 0 && self.lines[CONSOLE].lpr & LPR_RXENAB != 0
    }

    /// Reads the register at this offset (0, 8, 0x10, 0x18).
    pub fn read(&mut self, now: u64, offset: u32) -> u16 {
        self.advance(now);
        match offset & 0x18 {
            0x00 => {
                let transmit = self.ready.map_or(0, |line| CSR_TRDY | (line as u16) << 8);
                let receive = if self.silo.is_empty() { 0 } else { CSR_RDONE };
                self.csr | transmit | receive
            }
            0x08 => self.silo.pop_front().unwrap_or(0),
            0x10 => self.tcr,
            // Modem status: nothing drives the lines.
            _ => 0,
        }
    }

    /// Writes the register at this offset; `mask` says which of its bytes are written.
    pub fn write(&mut self, now: u64, offset: u32, value: u16, mask: u16) {
        self.advance(now);
        match offset & 0x18 {
            0x00 => {
                let writable = (CSR_TIE | CSR_RIE | CSR_MSE | CSR_MAINT) & mask;
                self.csr = self.csr & !writable | value & writable;
                if value & mask & CSR_CLR != 0 {
                    *self = Dz {
                        csr: 0,
                        lines: Default::default(),
                        fast_external: self.fast_external,
                        output: std::mem::take(&mut self.output),
                        ..Dz::new(self.hz, self.instant)
                    };
                }
            }
            0x08 => self.lines[usize::from(value & 3)].lpr = value,
            0x10 => self.tcr = self.tcr & !(mask & 0x0f0f) | value & mask & 0x0f0f,
            _ => {
                if mask & 0xff != 0
                    && let Some(line) = self.ready.take()
                {
                    self.last = line;
                    if self.lines[line].shifting_until <= now {
                        self.send(line, now, value as u8);
                    } else {
                        self.lines[line].holding = Some(value as u8);
                    }
                }
            }
        }
        self.advance(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u64 = 25_000_000;
    const CHARACTER: u64 = 10 * HZ / 9600;

    #[test]
    fn transmits_at_line_speed() {
        let mut dz = Dz::new(HZ, false);
        assert_eq!(dz.read(0, 0) & CSR_TRDY, 0, "no line enabled");
        dz.write(0, 0x10, 1 << CONSOLE, 0xffff);
        assert_eq!(dz.read(0, 0) & (CSR_TRDY | CSR_TLINE), CSR_TRDY | 0x300);
        dz.write(1, 0x18, b'a'.into(), 0xffff);
        assert_ne!(dz.read(2, 0) & CSR_TRDY, 0, "the holding register is free");
        dz.write(2, 0x18, b'b'.into(), 0xffff);
        assert_eq!(dz.read(3, 0) & CSR_TRDY, 0, "both full");
        assert_eq!(dz.next_event(), 1 + CHARACTER);
        assert_ne!(dz.read(1 + CHARACTER, 0) & CSR_TRDY, 0);
        assert_eq!(dz.take_output(), b"ab");
    }

    #[test]
    fn receives_into_the_silo_and_overruns() {
        let mut dz = Dz::new(HZ, false);
        dz.write(0, 0, CSR_MSE | CSR_RIE, 0xffff);
        for i in 0..66 {
            dz.type_character(0, i);
        }
        dz.advance(CHARACTER - 1);
        assert!(!dz.interrupt());
        dz.advance(CHARACTER);
        assert!(dz.interrupt());
        dz.advance(66 * CHARACTER);
        for i in 0..64 {
            assert_eq!(dz.read(66 * CHARACTER, 8), RBUF_DVAL | 0x300 | i);
        }
        assert_eq!(dz.read(66 * CHARACTER, 8), 0);
        dz.type_character(70 * CHARACTER, 7);
        assert_eq!(dz.read(71 * CHARACTER, 8), RBUF_DVAL | RBUF_OERR | 0x307);
    }

    #[test]
    fn without_delay_nothing_is_lost() {
        let mut dz = Dz::new(HZ, true);
        for i in 0..200 {
            dz.type_character(0, i);
        }
        for i in 0..200 {
            assert_eq!(dz.read(1, 8), RBUF_DVAL | 0x300 | i);
        }
        assert_eq!(dz.read(1, 8), 0);
    }

    #[test]
    fn loops_back() {
        let mut dz = Dz::new(HZ, false);
        dz.write(0, 0, CSR_MSE | CSR_MAINT, 0xffff);
        dz.write(0, 0x10, 1 << CONSOLE, 0xffff);
        dz.write(0, 0x18, 0x55, 0xffff);
        assert_eq!(dz.read(CHARACTER, 8), RBUF_DVAL | 0x355);
        assert!(dz.take_output().is_empty());
    }
}
