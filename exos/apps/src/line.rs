//! Editing of a line on a terminal: cursor keys, erasing, and former lines.

use exos::process::file;

/// Characters of a line.
const LINE: usize = 256;
/// Former lines.
const LINES: usize = 16;

/// A line that is being typed.
#[derive(Clone, Copy)]
struct Line {
    bytes: [u8; LINE],
    used: usize,
}

/// Reads lines.
pub struct Editor {
    /// The last one is the newest.
    former: [Line; LINES],
    count: usize,
    line: Line,
}

/// A key.
enum Key {
    Byte(u8),
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    Delete,
    Other,
}

const EMPTY: Line = Line { bytes: [0; LINE], used: 0 };

impl Default for Editor {
    fn default() -> Self {
        Self::new()
    }
}

fn show(bytes: &[u8]) {
    let _ = file::write(file::OUTPUT, bytes);
}

/// The next byte that is typed.
fn byte() -> Option<u8> {
    let mut byte = [0];
    matches!(file::read(file::INPUT, &mut byte), Ok(1)).then_some(byte[0])
}

/// The next key.
fn key() -> Option<Key> {
    let first = byte()?;
    if first != 0x1b {
        return Some(Key::Byte(first));
    }
    if !matches!(byte()?, b'[' | b'O') {
        return Some(Key::Other);
    }
    Some(match byte()? {
        b'A' => Key::Up,
        b'B' => Key::Down,
        b'C' => Key::Right,
        b'D' => Key::Left,
        b'H' => Key::Home,
        b'F' => Key::End,
        digit @ b'0'..=b'9' => {
            // Up to a tilde.
            let mut last = digit;
            while !(b'@'..=b'~').contains(&last) {
                last = byte()?;
            }
            match digit {
                b'1' | b'7' => Key::Home,
                b'4' | b'8' => Key::End,
                b'3' => Key::Delete,
                _ => Key::Other,
            }
        }
        _ => Key::Other,
    })
}

/// Moves the cursor to the left.
fn back(count: usize) {
    (0..count).for_each(|_| show(b"\x08"));
}

impl Editor {
    /// With no former lines.
    #[must_use]
    pub const fn new() -> Self {
        Self { former: [EMPTY; LINES], count: 0, line: EMPTY }
    }

    /// Reads a line behind a prompt. None at the end of what is typed.
    pub fn read(&mut self, prompt: &str) -> Option<&str> {
        self.line.used = 0;
        let (mut at, mut shown) = (0, self.count);
        show(prompt.as_bytes());
        loop {
            match key()? {
                Key::Byte(b'\r' | b'\n') => break,
                Key::Byte(0x03) => {
                    show(b"^C\n");
                    self.line.used = 0;
                    return Some("");
                }
                Key::Byte(0x04) if self.line.used == 0 => {
                    show(b"\n");
                    return None;
                }
                Key::Byte(0x08 | 0x7f) if at > 0 => {
                    at -= 1;
                    show(b"\x08");
                    self.remove(at);
                }
                Key::Delete | Key::Byte(0x04) if at < self.line.used => self.remove(at),
                Key::Left | Key::Byte(0x02) if at > 0 => {
                    at -= 1;
                    back(1);
                }
                Key::Right | Key::Byte(0x06) if at < self.line.used => {
                    show(&self.line.bytes[at..at + 1]);
                    at += 1;
                }
                Key::Home | Key::Byte(0x01) => {
                    back(at);
                    at = 0;
                }
                Key::End | Key::Byte(0x05) => {
                    show(&self.line.bytes[at..self.line.used]);
                    at = self.line.used;
                }
                Key::Byte(0x0b) => {
                    self.line.used = at;
                    show(b"\x1b[K");
                }
                Key::Byte(0x15) => {
                    back(at);
                    show(b"\x1b[K");
                    self.line.bytes.copy_within(at..self.line.used, 0);
                    self.line.used -= at;
                    at = 0;
                    show(&self.line.bytes[..self.line.used]);
                    back(self.line.used);
                }
                Key::Byte(0x17) => {
                    // The word before the cursor, and the blanks behind it.
                    let before = &self.line.bytes[..at];
                    let end = before.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
                    let start = before[..end].iter().rposition(|&byte| byte == b' ').map_or(0, |blank| blank + 1);
                    back(at - start);
                    show(b"\x1b[K");
                    self.line.bytes.copy_within(at..self.line.used, start);
                    self.line.used -= at - start;
                    at = start;
                    show(&self.line.bytes[at..self.line.used]);
                    back(self.line.used - at);
                }
                Key::Byte(0x0c) => {
                    show(b"\x1b[H\x1b[2J");
                    show(prompt.as_bytes());
                    show(&self.line.bytes[..self.line.used]);
                    back(self.line.used - at);
                }
                Key::Up | Key::Byte(0x10) if shown > 0 => {
                    shown -= 1;
                    at = self.replace(at, self.former[shown]);
                }
                Key::Down | Key::Byte(0x0e) if shown < self.count => {
                    shown += 1;
                    let line = if shown < self.count { self.former[shown] } else { EMPTY };
                    at = self.replace(at, line);
                }
                Key::Byte(byte @ b' '..=b'~') if self.line.used < LINE - 1 => {
                    self.line.bytes.copy_within(at..self.line.used, at + 1);
                    self.line.bytes[at] = byte;
                    self.line.used += 1;
                    show(&self.line.bytes[at..self.line.used]);
                    at += 1;
                    back(self.line.used - at);
                }
                _ => {}
            }
        }
        show(b"\n");
        self.remember();
        core::str::from_utf8(&self.line.bytes[..self.line.used]).ok()
    }

    /// Removes the character at the cursor.
    fn remove(&mut self, at: usize) {
        self.line.bytes.copy_within(at + 1..self.line.used, at);
        self.line.used -= 1;
        show(&self.line.bytes[at..self.line.used]);
        show(b" ");
        back(self.line.used - at + 1);
    }

    /// Shows another line in place of this one; where the cursor is.
    fn replace(&mut self, at: usize, line: Line) -> usize {
        back(at);
        show(b"\x1b[K");
        self.line = line;
        show(&line.bytes[..line.used]);
        line.used
    }

    fn remember(&mut self) {
        let is_last = self.count > 0 && {
            let last = &self.former[self.count - 1];
            last.bytes[..last.used] == self.line.bytes[..self.line.used]
        };
        if self.line.used == 0 || is_last {
            return;
        }
        if self.count == LINES {
            self.former.copy_within(1.., 0);
            self.count -= 1;
        }
        self.former[self.count] = self.line;
        self.count += 1;
    }
}
