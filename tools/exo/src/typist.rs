//! Types at a test's console, as a person would: a text each time that the console shows what it is an answer to.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, Result};

use crate::machine::Typed;

/// What is typed, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keys {
    /// What the console must have shown since the last text was typed.
    pub when: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Keys {
    /// The bytes that a directive stands for: `^X` is a control character, `^[` begins a cursor key; Enter is at the end
    /// unless the text ends with `^`.
    pub fn bytes(text: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'^' => match rest.next() {
                    None => return Ok(bytes),
                    Some(key @ b'@'..=b'_') => bytes.push(key - b'@'),
                    Some(b'?') => bytes.push(0x7f),
                    Some(_) => None.context("behind ^ is an upper-case letter, [ or ?")?,
                },
                byte => bytes.push(byte),
            }
        }
        bytes.push(b'\r');
        Ok(bytes)
    }
}

/// Types texts, one after the other.
pub struct Typist<'a> {
    keys: std::slice::Iter<'a, Keys>,
    next: Option<&'a Keys>,
    /// What the console has shown since something was typed.
    shown: Vec<u8>,
    sender: Sender<Vec<u8>>,
}

impl<'a> Typist<'a> {
    /// One with these keys, and what is typed as a machine takes it; none if there are none.
    pub fn new(keys: &'a [Keys]) -> (Self, Option<Typed>) {
        let (sender, receiver) = channel();
        let typed = (!keys.is_empty()).then(|| Typed::new(receiver, Arc::new(AtomicBool::new(false))));
        let mut keys = keys.iter();
        let next = keys.next();
        (Self { keys, next, shown: Vec::new(), sender }, typed)
    }

    /// The console shows these bytes.
    pub fn sees(&mut self, bytes: &[u8]) {
        self.shown.extend(bytes);
        while let Some(next) = self.next {
            let when = next.when.as_bytes();
            let Some(at) = self.shown.windows(when.len().max(1)).position(|shown| shown == when) else { return };
            self.shown.drain(..at + when.len());
            // If the machine is gone nobody needs it.
            let _ = self.sender.send(next.bytes.clone());
            self.next = self.keys.next();
        }
        self.shown.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read() {
        assert_eq!(Keys::bytes("ls").unwrap(), b"ls\r");
        assert_eq!(Keys::bytes("a^[[Db^?^U^").unwrap(), b"a\x1b[Db\x7f\x15");
        assert!(Keys::bytes("^x").is_err());
    }

    #[test]
    fn each_text_waits_for_what_it_answers() {
        let keys = |when: &str, text: &str| Keys { when: when.to_owned(), bytes: Keys::bytes(text).unwrap() };
        let keys = [keys("$ ", "one"), keys("$ ", "two"), keys("go", "^C^")];
        let (mut typist, typed) = Typist::new(&keys);
        let typed = typed.unwrap();
        let mut take = |shown: &[u8]| {
            typist.sees(shown);
            typed.take(std::time::Duration::ZERO)
        };
        assert_eq!(take(b"hello $"), None);
        assert_eq!(take(b" "), Some(b"one\r".to_vec()));
        assert_eq!(take(b"one\r\n"), None);
        assert_eq!(take(b"$ "), Some(b"two\r".to_vec()));
        assert_eq!(take(b"$ g"), None);
        assert_eq!(take(b"o"), Some(vec![3]));
        assert_eq!(take(b"go"), None);
    }
}
