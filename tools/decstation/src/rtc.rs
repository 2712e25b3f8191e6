//! The MC146818 clock: time of day, alarm, 50 bytes of memory and a periodic interrupt, all from simulated time.

use borsh::{BorshDeserialize, BorshSerialize};

/// Register A: update in progress.
pub const A_UIP: u8 = 0x80;
/// Register B: stop updates.
pub const B_SET: u8 = 0x80;
/// Register B: periodic interrupt enable.
pub const B_PIE: u8 = 0x40;
/// Register B: alarm interrupt enable.
pub const B_AIE: u8 = 0x20;
/// Register B: update-ended interrupt enable.
pub const B_UIE: u8 = 0x10;
/// Register B: binary, not BCD.
pub const B_DM: u8 = 0x04;
/// Register B: 24-hour mode.
pub const B_24: u8 = 0x02;
/// Register C: an enabled flag is set.
pub const C_IRQF: u8 = 0x80;
/// Register C: periodic flag.
pub const C_PF: u8 = 0x40;
/// Register C: alarm flag.
pub const C_AF: u8 = 0x20;
/// Register C: update-ended flag.
pub const C_UF: u8 = 0x10;
/// Register D: the battery kept time and memory valid.
pub const D_VRT: u8 = 0x80;

/// The crystal.
const CRYSTAL: u64 = 32768;
/// Crystal ticks before the end of an update during which UIP is set: 244 + 1984 microseconds.
const UPDATE: u64 = 73;

/// Seconds, minutes, hours, weekday, day, month, year, all binary and in 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
struct Date {
    second: u8,
    minute: u8,
    hour: u8,
    weekday: u8,
    day: u8,
    month: u8,
    year: u8,
}

impl Date {
    fn month_length(&self) -> u8 {
        match self.month {
            2 if self.year.is_multiple_of(4) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    fn tick(&mut self) {
        self.second = self.second.wrapping_add(1);
        if self.second != 60 {
            return;
        }
        self.second = 0;
        self.minute = self.minute.wrapping_add(1);
        if self.minute != 60 {
            return;
        }
        self.minute = 0;
        self.hour = self.hour.wrapping_add(1);
        if self.hour != 24 {
            return;
        }
        self.hour = 0;
        self.weekday = self.weekday % 7 + 1;
        let last = self.month_length();
        self.day = self.day.wrapping_add(1);
        if self.day <= last {
            return;
        }
        self.day = 1;
        self.month = self.month % 12 + 1;
        if self.month == 1 {
            self.year = self.year.wrapping_add(1) % 100;
        }
    }
}

/// The chip.
#[derive(Clone, Debug, BorshSerialize, BorshDeserialize)]
pub struct Rtc {
    hz: u64,
    date: Date,
    alarm: [u8; 3],
    a: u8,
    b: u8,
    flags: u8,
    memory: [u8; 50],
    /// Cycle at which the divider chain started.
    started: u64,
    /// Crystal ticks up to which flags and date are right.
    done: u64,
}

impl Rtc {
    /// The chip as the PROM leaves it: running, no interrupts, 3 December 1995, noon.
    pub fn new(hz: u64) -> Rtc {
        let date = Date { second: 0, minute: 0, hour: 12, weekday: 1, day: 3, month: 12, year: 95 };
        Rtc { hz, date, alarm: [0; 3], a: 0x20, b: B_DM | B_24, flags: 0, memory: [0; 50], started: 0, done: 0 }
    }

    fn running(&self) -> bool {
        self.a & 0x60 != 0x60
    }

    fn ticks(&self, now: u64) -> u64 {
        (u128::from(now.saturating_sub(self.started)) * u128::from(CRYSTAL) / u128::from(self.hz)) as u64
    }

    fn cycle_of(&self, tick: u64) -> u64 {
        let cycles = (u128::from(tick) * u128::from(self.hz)).div_ceil(u128::from(CRYSTAL));
        self.started.saturating_add(cycles as u64)
    }

    /// Crystal ticks of the periodic interrupt.
    fn period(&self) -> Option<u64> {
        match self.a & 15 {
            0 => None,
            1 => Some(128),
            2 => Some(256),
            rate => Some(1 << (rate - 1)),
        }
    }

    /// Brings flags and date up to date.
    pub fn advance(&mut self, now: u64) {
        if !self.running() {
            return;
        }
        let ticks = self.ticks(now);
        if let Some(period) = self.period()
            && ticks / period != self.done / period
        {
            self.flags |= C_PF;
        }
        let seconds = ticks / CRYSTAL - self.done / CRYSTAL;
        if seconds > 0 && self.b & B_SET == 0 {
            for _ in 0..seconds {
                self.date.tick();
                let now = [self.date.second, self.date.minute, self.date.hour];
                let [second, minute, hour] = self.alarm;
                let set = [self.guest_value(second), self.guest_value(minute), self.hour_value(hour)];
                // An alarm register of 0xc0 and above matches everything.
                if (0..3).all(|i| self.alarm[i] >= 0xc0 || set[i] == now[i]) {
                    self.flags |= C_AF;
                }
            }
            self.flags |= C_UF;
        }
        self.done = ticks;
    }

    /// Sets the periodic flag before its time. The divider chain, and so the regular period, goes on.
    pub(crate) fn inject_tick(&mut self, now: u64) {
        self.advance(now);
        if self.running() && self.period().is_some() {
            self.flags |= C_PF;
        }
    }

    /// When an enabled flag can next be set, after [`Rtc::advance`].
    pub fn next_event(&self) -> u64 {
        if !self.running() || self.interrupt() {
            return u64::MAX;
        }
        let mut next = u64::MAX;
        if let Some(period) = self.period()
            && self.b & B_PIE != 0
        {
            next = self.cycle_of((self.done / period + 1) * period);
        }
        if self.b & (B_UIE | B_AIE) != 0 {
            next = next.min(self.cycle_of((self.done / CRYSTAL + 1) * CRYSTAL));
        }
        next
    }

    /// The interrupt line.
    pub fn interrupt(&self) -> bool {
        self.flags & self.b & (C_PF | C_AF | C_UF) != 0
    }

    fn guest_form(&self, value: u8) -> u8 {
        if self.b & B_DM != 0 { value } else { ((value / 10) << 4) | (value % 10) }
    }

    fn guest_value(&self, value: u8) -> u8 {
        if self.b & B_DM != 0 { value } else { (value >> 4).wrapping_mul(10).wrapping_add(value & 15) }
    }

    /// The hour as the guest sees it: in 12-hour mode the top bit is PM.
    fn hour_form(&self, hour: u8) -> u8 {
        if self.b & B_24 != 0 {
            return self.guest_form(hour);
        }
        let twelve = if hour.is_multiple_of(12) { 12 } else { hour % 12 };
        self.guest_form(twelve) | if hour >= 12 { 0x80 } else { 0 }
    }

    fn hour_value(&self, value: u8) -> u8 {
        if self.b & B_24 != 0 {
            return self.guest_value(value);
        }
        self.guest_value(value & 0x7f) % 12 + if value & 0x80 != 0 { 12 } else { 0 }
    }

    /// Reads register 0 to 63.
    pub fn read(&mut self, now: u64, register: u32) -> u8 {
        self.advance(now);
        match register {
            0 => self.guest_form(self.date.second),
            1 | 3 | 5 => self.alarm[register as usize / 2],
            2 => self.guest_form(self.date.minute),
            4 => self.hour_form(self.date.hour),
            6 => self.guest_form(self.date.weekday),
            7 => self.guest_form(self.date.day),
            8 => self.guest_form(self.date.month),
            9 => self.guest_form(self.date.year),
            10 => {
                let updating = self.running() && self.b & B_SET == 0 && self.ticks(now) % CRYSTAL >= CRYSTAL - UPDATE;
                self.a | if updating { A_UIP } else { 0 }
            }
            11 => self.b,
            12 => {
                let irq = if self.interrupt() { C_IRQF } else { 0 };
                std::mem::take(&mut self.flags) | irq
            }
            13 => D_VRT,
            _ => self.memory.get(register as usize - 14).copied().unwrap_or(0),
        }
    }

    /// Writes register 0 to 63.
    pub fn write(&mut self, now: u64, register: u32, value: u8) {
        self.advance(now);
        match register {
            0 => self.date.second = self.guest_value(value),
            1 | 3 | 5 => self.alarm[register as usize / 2] = value,
            2 => self.date.minute = self.guest_value(value),
            4 => self.date.hour = self.hour_value(value),
            6 => self.date.weekday = self.guest_value(value),
            7 => self.date.day = self.guest_value(value),
            8 => self.date.month = self.guest_value(value),
            9 => self.date.year = self.guest_value(value),
            10 => {
                let stopped = !self.running();
                self.a = value & !A_UIP;
                if stopped && self.running() {
                    // The first update comes half a second after the divider is let go.
                    self.started = now.saturating_sub(self.hz / 2);
                    self.done = self.ticks(now);
                }
            }
            11 => self.b = value,
            12 | 13 => {}
            _ => {
                if let Some(byte) = self.memory.get_mut(register as usize - 14) {
                    *byte = value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u64 = 25_000_000;

    #[test]
    fn ticks_at_64_hertz() {
        let mut rtc = Rtc::new(HZ);
        rtc.write(0, 10, 0x2a);
        rtc.write(0, 11, B_PIE | B_DM | B_24);
        assert_eq!(rtc.next_event(), HZ / 64);
        rtc.advance(HZ / 64 - 1);
        assert!(!rtc.interrupt());
        rtc.advance(HZ / 64);
        assert!(rtc.interrupt());
        assert_eq!(rtc.read(HZ / 64, 12), C_IRQF | C_PF);
        assert!(!rtc.interrupt());
        assert_eq!(rtc.next_event(), 2 * HZ / 64);
    }

    #[test]
    fn a_planted_tick_leaves_the_period_alone() {
        let mut rtc = Rtc::new(HZ);
        rtc.inject_tick(10);
        assert_eq!(rtc.read(10, 12), 0, "no period");
        rtc.write(20, 10, 0x2a);
        rtc.inject_tick(30);
        assert!(!rtc.interrupt());
        assert_eq!(rtc.read(30, 12), C_PF, "not enabled");
        rtc.write(40, 11, B_PIE | B_DM | B_24);
        rtc.inject_tick(50);
        assert_eq!(rtc.read(50, 12), C_IRQF | C_PF);
        assert_eq!(rtc.next_event(), HZ / 64);
    }

    #[test]
    fn keeps_the_date() {
        let mut rtc = Rtc::new(HZ);
        for (register, value) in [(0, 59), (2, 59), (4, 23), (7, 31), (8, 12), (9, 99)] {
            rtc.write(0, register, value);
        }
        assert_eq!(rtc.read(HZ, 9), 0);
        assert_eq!((rtc.read(HZ, 8), rtc.read(HZ, 7), rtc.read(HZ, 4)), (1, 1, 0));
        assert_eq!(rtc.read(HZ, 12), C_UF | C_AF, "the alarm is set to midnight");
        assert_eq!(rtc.read(HZ * 2 - 1, 10) & A_UIP, A_UIP);
        assert_eq!(rtc.read(HZ * 2, 10) & A_UIP, 0);
    }

    #[test]
    fn speaks_bcd_and_twelve_hours() {
        let mut rtc = Rtc::new(HZ);
        rtc.write(0, 11, 0);
        rtc.write(0, 4, 0x91);
        assert_eq!(rtc.read(0, 4), 0x91);
        rtc.write(0, 11, B_DM | B_24);
        assert_eq!(rtc.read(0, 4), 23);
    }

    #[test]
    fn rings_the_alarm() {
        let mut rtc = Rtc::new(HZ);
        for (register, value) in [(1, 3), (3, 0xff), (5, 0xff), (11, B_AIE | B_DM | B_24)] {
            rtc.write(0, register, value);
        }
        rtc.advance(2 * HZ);
        assert!(!rtc.interrupt());
        rtc.advance(3 * HZ);
        assert_eq!(rtc.read(3 * HZ, 12), C_IRQF | C_AF | C_UF);
    }
}
