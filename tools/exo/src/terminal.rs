//! The terminal of the person who uses a shell on the machine: each key reaches the machine as it is pressed.
//!
//! Line editing, echo and signals of the host's terminal are off while it is open; what the machine writes is shown with
//! its line ends made the terminal's. Ctrl-] leaves, whatever the machine does. If the standard input is no terminal all
//! of it is typed, and Ctrl-D behind it.

use std::io::{IsTerminal, Read, stdin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use anyhow::{Context, Result};
use rustix::termios::{InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::machine::Typed;

/// Ctrl-].
const LEAVE: u8 = 0x1d;
/// Ctrl-D.
const END: u8 = 0x04;

/// An open terminal. Dropped, it is as before.
pub struct Terminal {
    before: Option<Termios>,
    typed: Typed,
}

impl Terminal {
    /// Opens it.
    pub fn open() -> Result<Self> {
        let is_terminal = stdin().is_terminal();
        let before =
            if is_terminal { Some(tcgetattr(stdin()).context("cannot ask the terminal for its state")?) } else { None };
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.input_modes -= InputModes::ICRNL | InputModes::INLCR | InputModes::IGNCR | InputModes::IXON;
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
            raw.special_codes[SpecialCodeIndex::VMIN] = 1;
            raw.special_codes[SpecialCodeIndex::VTIME] = 0;
            eprintln!("Ctrl-] leaves, whatever the machine does.");
            tcsetattr(stdin(), OptionalActions::Now, &raw).context("cannot set the terminal")?;
        }
        let (sender, receiver) = mpsc::channel();
        let left = Arc::new(AtomicBool::new(false));
        let leaving = Arc::clone(&left);
        thread::spawn(move || {
            let mut buffer = [0; 256];
            while let Ok(count @ 1..) = stdin().read(&mut buffer) {
                let bytes = &buffer[..count];
                if is_terminal && bytes.contains(&LEAVE) {
                    leaving.store(true, Ordering::Relaxed);
                    return;
                }
                if sender.send(bytes.to_vec()).is_err() {
                    return;
                }
            }
            let _ = sender.send(vec![END]);
            // What is typed has come to its end; the machine has not.
            thread::park();
        });
        Ok(Self { before, typed: Typed::new(receiver, left) })
    }

    /// What is typed.
    pub fn typed(&self) -> Typed {
        self.typed.clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It was so before.
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}
