//! The REX PROM: what it leaves in memory and registers, its call vector, and the functions behind it.
//!
//! The ROM holds a call vector like the machine's; each function's first instruction is a trap to the host that counts as one
//! instruction, changes only `$v0`, and returns through `$ra`.

use crate::kn02::ROM;
use crate::machine::{Machine, Stop};

/// `a2` at entry: the image was started by a REX PROM.
pub const MAGIC: u32 = 0x3046_4354;
/// `a3` at entry: the call vector.
pub const CALL_VECTOR: u32 = 0xbfc0_4000;
/// The functions' addresses: this plus twice the offset in the vector.
const FUNCTIONS: u32 = 0xbfc0_8000;
/// Words in the call vector.
const VECTOR_WORDS: u32 = 150;
/// Environment strings.
const STRINGS: u32 = 0xbfc2_0000;
/// What `gettcinfo` points to.
const TC_INFO: u32 = 0xbfc2_c000;
/// The bitmap of working memory, with the page size before it.
const MEMORY_MAP: u32 = 0xbfc3_0000;
/// Bytes of the bitmap: a bit for each page of the 480 MB that the board can hold.
const MEMORY_MAP_SIZE: u32 = 480 * 256 / 8;
/// Where an exception goes while Status.BEV is set: the refill of kuseg, and everything else.
pub(crate) const REFILL_VECTOR: u32 = 0xbfc0_0100;
pub(crate) const GENERAL_VECTOR: u32 = 0xbfc0_0180;
/// The oldest PROMs' jump table: one entry every eight bytes from the start of the ROM.
const JUMP_TABLE: u32 = 0xbfc0_0000;
const JUMP_TABLE_SIZE: u32 = 0x188;

/// `sp` at entry.
pub const STACK: u32 = 0xa000_7f00;
/// `argv`.
const ARGV: u32 = 0xa000_7f80;
/// The strings that `argv` points to; the last, the boot arguments, may be long.
const ARGUMENTS: [u32; 3] = [ARGV + 0x10, ARGV + 0x70, ARGV + 0xe0];
/// Status at entry: coprocessors 0 and 1 usable, interrupts off, vectors in RAM.
const STATUS: u32 = 0x3000_0000;
/// What `getsysid` answers: R3000, 5000/200, PROM version 3.0.
const SYSTEM_ID: u32 = 0x8202_0300;
/// Trap number of the first jump-table entry; below it are offsets in the call vector.
const JUMPS: u32 = 0x1000;

/// The longest string that a PROM function looks at.
const LONGEST: usize = 4096;

/// The trap behind a ROM address.
pub(crate) fn entry_at(pa: u32) -> Option<u32> {
    let address = pa | 0xa000_0000;
    if (FUNCTIONS..FUNCTIONS + VECTOR_WORDS * 8).contains(&address) && address & 7 == 0 {
        return Some((address - FUNCTIONS) / 2);
    }
    if (JUMP_TABLE..JUMP_TABLE + JUMP_TABLE_SIZE).contains(&address) && address & 7 == 0 {
        return Some(JUMPS + (address - JUMP_TABLE));
    }
    None
}

impl Machine {
    /// Fills ROM, memory and registers as the PROM leaves them when it starts an image.
    pub(crate) fn start_prom(&mut self) {
        let ram = self.ram.len() as u32 * 4;
        for i in 0..VECTOR_WORDS {
            self.rom(CALL_VECTOR + i * 4, FUNCTIONS + i * 8);
            // What a disassembler shows there: jr $ra; nop.
            self.rom(FUNCTIONS + i * 8, 0x03e0_0008);
        }
        for address in (JUMP_TABLE..JUMP_TABLE + JUMP_TABLE_SIZE).step_by(8) {
            self.rom(address, 0x03e0_0008);
        }
        // TURBOchannel: revision, clock period in ns, slot size in MB, I/O timeout, DMA range in MB, longest burst, parity.
        let period = (1_000_000_000 / self.config.profile.hz) as u32;
        for (i, value) in [0, period, 4, 10, 1, 100, 0, 0].into_iter().enumerate() {
            self.rom(TC_INFO + i as u32 * 4, value);
        }

        self.rom(MEMORY_MAP, 4096);
        for word in 0..(ram >> 20) * 8 {
            self.rom(MEMORY_MAP + 4 + word * 4, !0);
        }

        let mut environment: Vec<(String, String)> = [
            ("osconsole", "2"),
            ("console", "2"),
            ("boot", "6/tftp/kernel"),
            ("haltaction", "h"),
            ("scsiid0", "7"),
            ("testaction", "q"),
        ]
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .into();
        environment.push(("bitmaplen".into(), format!("0x{:x}", ram >> 15)));
        environment.push(("bitmap".into(), format!("0x{:x}", MEMORY_MAP + 4)));
        environment.extend(self.config.environment.iter().cloned());
        let mut at = STRINGS;
        self.environment.clear();
        for (name, value) in environment {
            self.environment.retain(|(other, _, _)| *other != name);
            self.environment.push((name.clone(), at + name.len() as u32 + 1, value.clone()));
            at += self.rom_string(at, &format!("{name}={value}"));
        }

        // argv: the command, what was booted, and the user's arguments.
        let mut strings = vec!["boot".to_string(), "6/tftp/kernel".to_string()];
        if !self.config.boot_args.is_empty() {
            strings.push(self.config.boot_args.clone());
        }
        for (i, (string, start)) in strings.iter().zip(ARGUMENTS).enumerate() {
            self.poke_word(ARGV + i as u32 * 4, start);
            for (at, byte) in (start..).zip(string.bytes().chain([0])) {
                self.poke_byte(at, byte);
            }
        }
        self.poke_word(ARGV + strings.len() as u32 * 4, 0);

        self.cpu.regs[4] = strings.len() as u32;
        self.cpu.regs[5] = ARGV;
        self.cpu.regs[6] = MAGIC;
        self.cpu.regs[7] = CALL_VECTOR;
        self.cpu.regs[29] = STACK;
        self.cp0.status = STATUS;
    }

    fn rom(&mut self, address: u32, word: u32) {
        self.board.program_rom(address & 0x1fff_ffff, word);
    }

    /// Writes a string into the ROM, word aligned; returns the bytes taken.
    fn rom_string(&mut self, address: u32, string: &str) -> u32 {
        let mut bytes = string.as_bytes().to_vec();
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        debug_assert!(address + (bytes.len() as u32) < ROM + 0xa000_0000 + crate::kn02::ROM_SIZE);
        for (i, word) in bytes.as_chunks::<4>().0.iter().enumerate() {
            self.rom(address + i as u32 * 4, u32::from_le_bytes(*word));
        }
        bytes.len() as u32
    }

    fn poke_word(&mut self, va: u32, word: u32) -> bool {
        (0..4).all(|i| self.poke_byte(va.wrapping_add(i), word.to_le_bytes()[i as usize]))
    }

    /// A string of the guest.
    fn guest_string(&self, va: u32) -> Vec<u8> {
        (0..LONGEST as u32).map_while(|i| self.peek_byte(va.wrapping_add(i))).take_while(|&byte| byte != 0).collect()
    }

    fn print(&mut self, bytes: &[u8]) {
        // Through the serial controller's output, so that both kinds of output stay in order.
        self.take_serial();
        self.output.extend_from_slice(bytes);
        self.attention();
    }

    fn take_serial(&mut self) {
        let bytes = self.board.dz.take_output();
        self.output.extend(bytes);
    }

    /// Executes the PROM function behind a trap.
    pub(crate) fn prom_call(&mut self, entry: u32, pc: u32) {
        let a: [u32; 4] = std::array::from_fn(|i| self.cpu.regs[4 + i]);
        let caller = self.cpu.regs[31];
        let result = match entry {
            0x00 => Some(self.copy(a[0], a[1], a[2])),
            0x04 => {
                (0..a[2]).all(|i| self.poke_byte(a[0].wrapping_add(i), a[1] as u8));
                Some(a[0])
            }
            0x08 => {
                let end = a[0].wrapping_add(self.guest_string(a[0]).len() as u32);
                self.copy_string(end, a[1]);
                Some(a[0])
            }
            0x0c => Some(compare(&self.guest_string(a[0]), &self.guest_string(a[1]))),
            0x10 => {
                self.copy_string(a[0], a[1]);
                Some(a[0])
            }
            0x14 => Some(self.guest_string(a[0]).len() as u32),
            0x20 => {
                let limit = |mut bytes: Vec<u8>| {
                    bytes.truncate(a[2] as usize);
                    bytes
                };
                Some(compare(&limit(self.guest_string(a[0])), &limit(self.guest_string(a[1]))))
            }
            // getchar: the next character or -1.
            0x24 => Some(self.board.dz.take_typed().map_or(!0, u32::from)),
            0x28 => Some(self.gets(a[0])),
            0x2c => {
                let mut string = self.guest_string(a[0]);
                string.push(b'\n');
                self.print(&string);
                Some(0)
            }
            0x30 => {
                let text = self.format(a[0], &mut self.arguments(1));
                self.print(&text);
                Some(text.len() as u32)
            }
            0x34 => {
                let mut text = self.format(a[1], &mut self.arguments(2));
                let length = text.len() as u32;
                text.push(0);
                for (i, byte) in text.into_iter().enumerate() {
                    self.poke_byte(a[0].wrapping_add(i as u32), byte);
                }
                Some(length)
            }
            // bootinit opens what was booted; there is no device, so bootread reads nothing and bootwrite fails.
            0x54 => Some(0),
            0x58 | 0x5c => Some(!0),
            0x64 => Some(self.getenv(a[0])),
            0x6c => Some(match a[0] {
                slot @ 0..=2 => 0xbe00_0000 + slot * 0x40_0000,
                slot @ 5..=6 => 0xbf40_0000 + (slot - 5) * 0x40_0000,
                7 => 0xbfc0_0000,
                _ => 0,
            }),
            // wbflush, and the interrupt calls, of which nothing is to be seen here.
            0x70 | 0x88 | 0x8c => Some(0),
            // leds
            0x78 => Some(0),
            0x7c => {
                self.clear_cache(a[0], a[1]);
                Some(0)
            }
            0x80 => Some(SYSTEM_ID),
            0x84 => Some(self.getbitmap(a[0])),
            0xa4 => Some(TC_INFO),
            // execute_cmd: no commands.
            0xa8 => Some(!0),
            0x9c => return self.halt(Stop::Halted),
            0xac => match a[0] as u8 {
                b'b' => return self.halt(Stop::Reboot),
                _ => return self.halt(Stop::Halted),
            },
            _ if entry >= JUMPS => match (entry - JUMPS) / 8 {
                // The two exception vectors in the ROM.
                32 | 48 => return self.halt(Stop::PromMissing { offset: pc, caller: self.cp0.epc }),
                // reset, restart and reinit.
                0 | 2 | 3 => return self.halt(Stop::Reboot),
                // putchar
                13 => {
                    self.print(&[a[0] as u8]);
                    Some(a[0] & 0xff)
                }
                // printf
                17 => {
                    let text = self.format(a[0], &mut self.arguments(1));
                    self.print(&text);
                    Some(text.len() as u32)
                }
                // getenv
                33 => Some(self.getenv(a[0])),
                _ => None,
            },
            _ => None,
        };
        match result {
            Some(value) => {
                self.cpu.regs[2] = value;
                self.cpu.jump(caller);
            }
            None => {
                // A wild jump into the ROM looks like a call; the message has the address to tell them apart.
                let offset = if entry >= JUMPS { pc } else { entry };
                self.halt(Stop::PromMissing { offset, caller });
            }
        }
    }

    fn copy(&mut self, to: u32, from: u32, length: u32) -> u32 {
        for i in 0..length {
            let Some(byte) = self.peek_byte(from.wrapping_add(i)) else { break };
            if !self.poke_byte(to.wrapping_add(i), byte) {
                break;
            }
        }
        to
    }

    fn copy_string(&mut self, to: u32, from: u32) {
        let string = self.guest_string(from);
        for (i, byte) in string.into_iter().chain([0]).enumerate() {
            self.poke_byte(to.wrapping_add(i as u32), byte);
        }
    }

    /// A line without its end, as far as it has been typed.
    fn gets(&mut self, to: u32) -> u32 {
        let mut at = to;
        while let Some(byte) = self.board.dz.take_typed() {
            if byte == b'\n' || byte == b'\r' {
                break;
            }
            self.poke_byte(at, byte);
            at = at.wrapping_add(1);
        }
        self.poke_byte(at, 0);
        to
    }

    fn getenv(&self, name: u32) -> u32 {
        let name = self.guest_string(name);
        self.environment.iter().find(|(known, _, _)| known.as_bytes() == name).map_or(0, |&(_, address, _)| address)
    }

    /// Fills in the guest's memory bitmap: page size, then one bit for each page that works. Returns the bitmap's bytes.
    fn getbitmap(&mut self, to: u32) -> u32 {
        self.poke_word(to, 4096);
        let present = self.ram.len() as u32 * 4 / 4096 / 8;
        for i in 0..MEMORY_MAP_SIZE {
            self.poke_byte(to.wrapping_add(4 + i), if i < present { 0xff } else { 0 });
        }
        MEMORY_MAP_SIZE
    }

    /// Invalidates both caches for a range of addresses.
    fn clear_cache(&mut self, start: u32, length: u32) {
        use crate::cache::{WORDS, Which};
        // More than the cache's size reaches every word.
        for i in 0..length.div_ceil(4).saturating_add(1).min(WORDS as u32) {
            if let Some(pa) = self.probe((start & !3).wrapping_add(i * 4)) {
                for which in [Which::Data, Which::Code] {
                    self.caches.invalidate(which, pa);
                }
            }
        }
        self.forget_fetch();
    }

    /// The variable arguments of a call: registers, then the stack.
    fn arguments(&self, fixed: u32) -> Vec<u32> {
        let stack = self.cpu.regs[29];
        (fixed..16)
            .map(|i| match i {
                0..4 => self.cpu.regs[4 + i as usize],
                _ => self.peek_word(stack.wrapping_add(i * 4)).unwrap_or(0),
            })
            .collect()
    }

    /// What `printf` makes of a format: %c %d %i %u %x %X %o %p %s %% with flags 0 and -, width, and length l.
    fn format(&self, format: u32, arguments: &mut Vec<u32>) -> Vec<u8> {
        let format = self.guest_string(format);
        let mut text = Vec::new();
        let mut arguments = arguments.drain(..);
        let mut bytes = format.into_iter().peekable();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                text.push(byte);
                continue;
            }
            let left = bytes.next_if_eq(&b'-').is_some();
            let zero = bytes.next_if_eq(&b'0').is_some();
            let mut width = 0;
            while let Some(digit) = bytes.next_if(u8::is_ascii_digit) {
                width = (width * 10 + usize::from(digit - b'0')).min(256);
            }
            while bytes.next_if_eq(&b'l').is_some() {}
            let mut argument = || arguments.next().unwrap_or(0);
            let field: Vec<u8> = match bytes.next() {
                Some(b'c') => vec![argument() as u8],
                Some(b'd' | b'i') => (argument() as i32).to_string().into(),
                Some(b'u') => argument().to_string().into(),
                Some(b'x' | b'p') => format!("{:x}", argument()).into(),
                Some(b'X') => format!("{:X}", argument()).into(),
                Some(b'o') => format!("{:o}", argument()).into(),
                Some(b's') => self.guest_string(argument()),
                Some(other) => vec![other],
                None => Vec::new(),
            };
            let fill = vec![if zero && !left { b'0' } else { b' ' }; width.saturating_sub(field.len())];
            if left {
                text.extend(field);
                text.extend(fill);
            } else {
                text.extend(fill);
                text.extend(field);
            }
        }
        text
    }
}

/// What `strcmp` answers.
fn compare(a: &[u8], b: &[u8]) -> u32 {
    match a.cmp(b) {
        std::cmp::Ordering::Less => !0,
        std::cmp::Ordering::Equal => 0,
        std::cmp::Ordering::Greater => 1,
    }
}
