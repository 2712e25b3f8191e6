//! Reading what GXemul writes with its option `-i`: each executed instruction on a line, the guest's console in between.
//!
//! ```text
//! a80030064: 1000fff7        b 0x80030044
//! 80030068: 00000000 (d)    nop
//! [ exception SYS v0=0 a0=3 a1=0xa0007f80 a2=0x30464354 a3=0xbfc04000 pc=0x80030008 ]
//! ```
//!
//! The `a` is a character that the guest sent to its console. It stands before the next instruction's line. So all that stands before
//! an instruction is console text, and so is a line without one, apart from GXemul's own: messages in brackets and names of
//! functions, as in `<main>`. A guest's text resembles them only if it comes in one piece, from the PROM.
//! The option also turns on messages about the machine, which end with a line of dashes and an empty line.

use std::ops::ControlFlow;

use super::{Observer, Step};

/// Tells instructions and console text apart, line by line.
#[derive(Debug, Default)]
pub struct TraceReader {
    section: Section,
}

#[derive(Debug, Default)]
enum Section {
    /// Messages about the machine, before the guest runs.
    #[default]
    Machine,
    /// The empty line behind them.
    Gap,
    /// What the guest does.
    Guest,
}

impl TraceReader {
    /// Tells the observer what a line says.
    pub fn line(&mut self, line: &[u8], observer: &mut dyn Observer) -> ControlFlow<()> {
        match self.section {
            Section::Machine => {
                if line.starts_with(b"----------") {
                    self.section = Section::Gap;
                }
                return ControlFlow::Continue(());
            }
            Section::Gap => {
                self.section = Section::Guest;
                if line == b"\n" {
                    return ControlFlow::Continue(());
                }
            }
            Section::Guest => {}
        }
        let (console, instruction) = match find_instruction(line) {
            Some((start, address, word)) => (&line[..start], Some((address, word))),
            None => (without_message(line), None),
        };
        let flow = match console.is_empty() {
            true => ControlFlow::Continue(()),
            false => observer.console(console),
        };
        if let Some((address, word)) = instruction {
            observer.instruction(Step { address, word, user: None, cycles: None });
        }
        flow
    }
}

/// Finds `HHHHHHHH: HHHHHHHH` followed by a space: where it begins, the address and the instruction word.
fn find_instruction(line: &[u8]) -> Option<(usize, u32, u32)> {
    // The colon is the ninth byte unless console text stands before it, so the search is short.
    line.windows(2).enumerate().filter(|(_, pair)| *pair == b": ").find_map(|(colon, _)| {
        let start = colon.checked_sub(8)?;
        let address = hexadecimal(line.get(start..colon)?)?;
        let word = hexadecimal(line.get(colon + 2..colon + 10)?)?;
        (line.get(colon + 10) == Some(&b' ')).then_some((start, address, word))
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, &digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u32::from(value))
    })
}

/// A line without what GXemul itself says at its end.
fn without_message(line: &[u8]) -> &[u8] {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let start = match text {
        [.., b' ', b']'] => text.windows(2).position(|pair| pair == b"[ "),
        [.., b'>'] => text.iter().rposition(|&byte| byte == b'<'),
        _ => None,
    };
    start.map_or(line, |start| &line[..start])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Record {
        console: Vec<u8>,
        instructions: Vec<(u32, u32)>,
    }

    impl Observer for Record {
        fn console(&mut self, bytes: &[u8]) -> ControlFlow<()> {
            self.console.extend_from_slice(bytes);
            ControlFlow::Continue(())
        }

        fn instruction(&mut self, step: Step) {
            self.instructions.push((step.address, step.word));
        }
    }

    fn read(text: &[u8]) -> Record {
        let mut record = Record::default();
        let mut reader = TraceReader::default();
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            assert!(reader.line(line, &mut record).is_continue());
        }
        record
    }

    #[test]
    fn console_text_is_told_from_instructions() {
        let record = read(
            b"machine: \n    memory: 64 MB\n-------------------------------------\n\n\
              80030060: a5450018        sh\ta1,24(t2)\t[0xbfe00018 = (dc7085@0x1fe00000)+0x18]\n\
              a80030064: 1000fff7        b\t0x80030044\n\
              80030068: 00000000 (d)    nop\n\
              :80030064: 1000fff7        b\t0x80030044\n\
              \n80030064: 1000fff7        b\t0x80030044\n\
              [ exception SYS v0=0 a0=3 pc=0x80030008 ]\n\
              80000080: 401a7000        mfc0\tk0,epc\n\
              b<main>\n\
              <without_message>\n\
              [ exception SYS v0=0 a0=3 pc=0x80030008 ]\n\
              loader: ready\n\
              bfc08138: 00c0de0c        syscall\t0x30378\n\
              [ DEC PROM halt() ]",
        );
        assert_eq!(record.console, b"a:\nbloader: ready\n");
        let words: Vec<_> = record.instructions.iter().map(|&(_, word)| word).collect();
        assert_eq!(words, [0xa545_0018, 0x1000_fff7, 0, 0x1000_fff7, 0x1000_fff7, 0x401a_7000, 0x00c0_de0c]);
        assert_eq!(record.instructions[1].0, 0x8003_0064, "the console's `a` is no digit of the address");
    }

    #[test]
    fn text_that_only_resembles_an_instruction_is_console_text() {
        for text in ["pc: 12345678 x", "80030064: 1000fff\n", "80030064: 1000fff7", "8003006g: 1000fff7 \n", ": \n", ""]
        {
            let record = read(format!("----------\n\n{text}").as_bytes());
            assert_eq!(record.console, text.as_bytes());
            assert!(record.instructions.is_empty());
        }
    }

    #[test]
    fn empty_line_behind_the_messages_is_not_the_guests() {
        assert_eq!(read(b"x\n----------\n\n\n").console, b"\n");
        assert_eq!(read(b"x\n----------\nA\n").console, b"A\n");
        assert_eq!(read(b"x\ny\n").console, b"");
    }

    #[test]
    fn arbitrary_bytes_are_read() {
        let mut noise = 1_u32;
        for _ in 0..200 {
            let mut text = b"----------\n\n".to_vec();
            text.extend((0..300).map(|_| {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                b"0123456789abcdef: \n[]x"[(noise >> 16) as usize % 22]
            }));
            read(&text);
        }
    }
}
