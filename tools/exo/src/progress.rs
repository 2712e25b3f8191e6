//! A line on the terminal that shows what long work is at. Nothing of it appears where no person looks.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows what is being done, on a terminal only.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A new line, hidden if `quiet` or if standard error is not a terminal.
    pub fn new(quiet: bool) -> Self {
        if quiet {
            return Self { bar: ProgressBar::hidden() };
        }
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {wide_msg}").expect("the template is valid"));
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar }
    }

    /// Whether anyone sees it.
    pub fn is_visible(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// What is being done now.
    pub fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Prints a line that stays.
    pub fn above(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Takes the line away.
    pub fn done(&self) {
        self.bar.finish_and_clear();
    }
}
