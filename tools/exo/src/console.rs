//! The guest's console as lines, and the verdict they give on the run.

use std::ops::ControlFlow;

use aegis_abi::console::{KERNEL_PANIC, VERDICT_FAIL, VERDICT_PASS};

use crate::symbols::Symbols;

/// What the guest or the loader said about the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every program ended with status 0.
    Pass,
    /// Something went wrong and was brought to an end.
    Fail,
}

/// Gathers bytes to lines and watches for the verdict.
pub struct Console<'a> {
    symbols: &'a Symbols,
    /// Called with each line as soon as it is complete.
    show: Box<dyn FnMut(&str) + 'a>,
    partial: Vec<u8>,
    /// The complete lines, with source lines added.
    pub lines: Vec<String>,
    /// The verdict, once there is one.
    pub verdict: Option<Verdict>,
}

/// A line longer than this is broken, so that a guest that never ends its line fills no memory.
const LONGEST_LINE: usize = 4096;
/// More lines than this are not kept: a guest that fills them is out of control.
const MOST_LINES: usize = 100_000;

impl<'a> Console<'a> {
    /// An empty console; `show` is given each line.
    pub fn new(symbols: &'a Symbols, show: impl FnMut(&str) + 'a) -> Self {
        Self { symbols, show: Box::new(show), partial: Vec::new(), lines: Vec::new(), verdict: None }
    }

    /// Takes what the guest sent. Break once the verdict or a bug in the kernel is known: not much can follow.
    pub fn take(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        let mut flow = ControlFlow::Continue(());
        for &byte in bytes {
            match byte {
                b'\r' => {}
                b'\n' => {
                    if self.end_line().is_break() {
                        flow = ControlFlow::Break(());
                    }
                }
                _ => {
                    if self.partial.len() == LONGEST_LINE {
                        let _ = self.end_line();
                    }
                    self.partial.push(byte);
                }
            }
        }
        flow
    }

    /// The run is over: what is left is a line as well.
    pub fn finish(&mut self) {
        if !self.partial.is_empty() {
            let _ = self.end_line();
        }
    }

    fn end_line(&mut self) -> ControlFlow<()> {
        let line = printable(&self.partial);
        self.partial.clear();
        match line.as_str() {
            VERDICT_PASS => self.verdict = self.verdict.or(Some(Verdict::Pass)),
            VERDICT_FAIL => self.verdict = Some(Verdict::Fail),
            _ => {}
        }
        let line = self.symbols.annotate(&line);
        (self.show)(&line);
        let over = self.verdict.is_some() || line.starts_with(KERNEL_PANIC) || self.lines.len() >= MOST_LINES;
        if self.lines.len() < MOST_LINES {
            self.lines.push(line);
        }
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The report of a bug in the kernel, if there is one.
    pub fn panic(&self) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(KERNEL_PANIC))
    }
}

/// A line as it may be sent to a terminal: whatever else a guest sends shows as an escape.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '\t' => text.push(c),
            c if c.is_control() => text.extend(c.escape_default()),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(text: &[u8]) -> (Vec<String>, Option<Verdict>, bool) {
        let symbols = Symbols::default();
        let mut console = Console::new(&symbols, |_| {});
        let mut broke = false;
        for byte in text {
            broke |= console.take(&[*byte]).is_break();
        }
        console.finish();
        (console.lines, console.verdict, broke)
    }

    #[test]
    fn verdicts_are_whole_lines() {
        assert_eq!(console(b"x\r\naegis: verdict: pass\r\n").1, Some(Verdict::Pass));
        assert_eq!(console(b"aegis: verdict: fail\n").1, Some(Verdict::Fail));
        assert_eq!(console(b"aegis: verdict: passed\n x aegis: verdict: pass\n").1, None);
        assert!(!console(b"nothing").2);
        assert!(console(b"aegis: PANIC: index\n").2);
    }

    #[test]
    fn failure_outweighs() {
        assert_eq!(console(b"aegis: verdict: pass\naegis: verdict: fail\n").1, Some(Verdict::Fail));
        assert_eq!(console(b"aegis: verdict: fail\naegis: verdict: pass\n").1, Some(Verdict::Fail));
    }

    #[test]
    fn garbage_is_escaped() {
        assert_eq!(console(b"a\x1b[2Jb\x00\xff\tc").0, ["a\\u{1b}[2Jb\\u{0}\u{fffd}\tc"]);
    }

    #[test]
    fn endless_line_is_broken() {
        let (lines, ..) = console(&[b'x'; LONGEST_LINE * 2 + 1]);
        assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [LONGEST_LINE, LONGEST_LINE, 1]);
    }
}
