//! The parameters of a profile that are guessed or derived, each with both ends of its range: to see how much depends on them.

use crate::profile::Profile;

/// A parameter whose value nobody has published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    /// What it is, with its range.
    pub parameter: &'static str,
    /// The profile with the least value that it may have.
    pub low: Profile,
    /// With the greatest.
    pub high: Profile,
}

impl Profile {
    /// The guesses in this profile. `docs/model.md` has the reasons for the ranges.
    pub fn guesses(&self) -> Vec<Guess> {
        let mut guesses = Vec::new();
        let mut guess = |parameter, low: &dyn Fn(&mut Profile), high: &dyn Fn(&mut Profile)| {
            let with = |change: &dyn Fn(&mut Profile)| {
                let mut profile = *self;
                change(&mut profile);
                profile
            };
            guesses.push(Guess { parameter, low: with(low), high: with(high) });
        };
        guess("exception 2..5", &|p| p.exception = 2, &|p| p.exception = 5);
        guess("interrupt 1..2", &|p| p.interrupt = 1, &|p| p.interrupt = 2);
        guess("micro-TLB miss 0..1", &|p| p.micro_tlb_miss = 0, &|p| p.micro_tlb_miss = 1);
        guess("partial store 0..1", &|p| p.partial_store = 0, &|p| p.partial_store = 1);
        guess("mult 12..13", &|p| p.mult = 12, &|p| p.mult = 13);
        guess("Ethernet controller 25..51 us", &|_| (), &|p| (p.ether.transmit, p.ether.receive) = (24_000, 27_000));
        match self.name {
            "dec5000" => {
                guess("read miss 27..38", &|p| p.read_miss = 27, &|p| p.read_miss = 38);
                guess("refill 1 word at 9", &|p| (p.refill_words, p.read_miss) = (1, 9), &|_| ());
                guess("write buffer 4..6", &|p| p.write_buffer.depth = 4, &|p| p.write_buffer.depth = 6);
                let fast = |p: &mut Profile| (p.write_buffer.page_write, p.write_buffer.other_write) = (1, 5);
                guess("write 1/5..2/10", &fast, &|_| ());
                let free = |p: &mut Profile| p.write_buffer.drain_before_read = false;
                guess("reads wait for writes: no..yes", &free, &|_| ());
                guess("uncached read 18..22", &|p| p.uncached_read = 18, &|p| p.uncached_read = 22);
                guess("Ethernet memory read 18..22", &|p| p.ether.read = 18, &|p| p.ether.read = 22);
            }
            "dec5000_200" => {
                guess("partial write 3..5", &|p| p.write_buffer.partial_write = 3, &|p| {
                    p.write_buffer.partial_write = 5
                });
                guess("gathering: yes..no", &|p| p.write_buffer.merge = true, &|_| ());
                guess("device read 8..16", &|p| p.device_read = 8, &|p| p.device_read = 16);
                guess("Ethernet memory read 20..24", &|p| p.ether.read = 20, &|p| p.ether.read = 24);
            }
            _ => {
                guess("uncached read 5..6", &|p| p.uncached_read = 5, &|p| p.uncached_read = 6);
                guess("device read 8..16", &|p| p.device_read = 8, &|p| p.device_read = 16);
                guess("Ethernet memory read 16..28", &|p| p.ether.read = 16, &|p| p.ether.read = 28);
            }
        }
        guesses
    }
}

#[cfg(test)]
mod tests {
    use crate::profile::PROFILES;

    #[test]
    fn each_changes_something_and_covers_the_frozen_value() {
        for profile in PROFILES {
            for guess in profile.guesses() {
                assert_ne!(guess.low, guess.high, "{}: {}", profile.name, guess.parameter);
                assert_eq!(guess.low.hz, profile.hz);
            }
        }
    }
}
