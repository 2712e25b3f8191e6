//! The check on what a program tells of itself.
//!
//! Every address at which the kernel will ever enter a program passes here once, so that none needs a look when it is
//! used.

use aegis_abi::program::{ProgramHeader, ProtectedEntries, RETURN_SEQUENCE_BYTES, Range};
use aegis_abi::vm::USER_END;

/// Whether the kernel may enter a program at `address`: in user space and word aligned.
#[must_use]
pub const fn is_entry(address: u32) -> bool {
    address < USER_END && address.is_multiple_of(4)
}

/// Whether `address` lies in `range`.
#[must_use]
pub const fn contains(range: Range, address: u32) -> bool {
    address >= range.start && address < range.end
}

const fn is_range(range: Range) -> bool {
    range.start <= range.end && is_entry(range.start) && range.end <= USER_END && range.end.is_multiple_of(4)
}

/// What is wrong with a program's header or its entry point, in words that complete "refused: ".
///
/// # Errors
/// The first thing that is wrong.
pub fn check(entry: u32, header: &ProgramHeader) -> Result<(), &'static str> {
    if header.abi_version != aegis_abi::VERSION {
        return Err("it was built for another version of the kernel's interface; rebuild it");
    }
    if !is_entry(entry) || entry == 0 {
        return Err("its entry point is not a word-aligned user address");
    }
    if !is_entry(header.start_of_slice) || !is_entry(header.end_of_slice) {
        return Err("its entries for the start and the end of a slice are not word-aligned user addresses");
    }
    if !header.handlers.iter().all(|&handler| is_entry(handler)) {
        return Err("one of its exception handlers is not at a word-aligned user address");
    }
    let entries = header.protected_entries;
    if !is_entry(entries.synchronous) || !is_entry(entries.asynchronous) {
        return Err("its protected entries are not word-aligned user addresses");
    }
    if !is_entry(header.revocation) {
        return Err("its entry for revocation is not a word-aligned user address");
    }
    let returns = header.return_sequences;
    if !is_range(returns) || !(returns.start | returns.end).is_multiple_of(RETURN_SEQUENCE_BYTES) {
        return Err("its return sequences are not a range of aligned user addresses");
    }
    if !is_range(header.resume) || !contains(header.resume, header.start_of_slice) {
        return Err("its resume range does not hold its entry for the start of a slice");
    }
    Ok(())
}

/// Words of a header.
pub const WORDS: usize = size_of::<ProgramHeader>() / 4;

/// The header of which a program has these words.
#[must_use]
pub const fn from_words(words: [u32; WORDS]) -> ProgramHeader {
    let [abi_version, start_of_slice, end_of_slice, handlers @ .., synchronous, asynchronous, a, b, c, d, revocation] =
        words;
    ProgramHeader {
        abi_version,
        start_of_slice,
        end_of_slice,
        handlers,
        protected_entries: ProtectedEntries { synchronous, asynchronous },
        return_sequences: Range { start: a, end: b },
        resume: Range { start: c, end: d },
        revocation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut ProgramHeader);

    fn good() -> ProgramHeader {
        ProgramHeader {
            abi_version: aegis_abi::VERSION,
            start_of_slice: 0x1_0010,
            end_of_slice: 0x1_0100,
            handlers: [0x1_0200; 16],
            protected_entries: ProtectedEntries { synchronous: 0x1_0300, asynchronous: 0 },
            return_sequences: Range { start: 0x1_0400, end: 0x1_0800 },
            resume: Range { start: 0x1_0000, end: 0x1_0080 },
            revocation: 0x1_0900,
        }
    }

    #[test]
    fn accepts_a_good_one() {
        assert_eq!(check(0x1_0000, &good()), Ok(()));
        assert_eq!(check(0x1_0000, &ProgramHeader { handlers: [0; 16], ..good() }), Ok(()));
    }

    #[test]
    fn refuses_each_bad_field() {
        let bad: [(u32, Change); 18] = [
            (0x1_0000, |h| h.abi_version += 1),
            (0, |_| ()),
            (0x8000_0000, |_| ()),
            (0x1_0002, |_| ()),
            (0x1_0000, |h| h.start_of_slice = 0x8000_0080),
            (0x1_0000, |h| h.start_of_slice = 0x1_0011),
            (0x1_0000, |h| h.end_of_slice = 0xffff_fffc),
            (0x1_0000, |h| h.handlers[12] = 0x8003_0000),
            (0x1_0000, |h| h.handlers[1] = 0x1_0201),
            (0x1_0000, |h| h.protected_entries.synchronous = 0x8003_0000),
            (0x1_0000, |h| h.protected_entries.asynchronous = 2),
            (0x1_0000, |h| h.return_sequences.start = 0x1_0404),
            (0x1_0000, |h| h.return_sequences.end = 0x1_0000),
            (0x1_0000, |h| h.return_sequences.end = 0x8000_0020),
            (0x1_0000, |h| h.resume.start = 0x1_0014),
            (0x1_0000, |h| h.resume = Range::default()),
            (0x1_0000, |h| h.revocation = 0x8003_0000),
            (0x1_0000, |h| h.revocation = 0x1_0902),
        ];
        for (n, (entry, change)) in bad.into_iter().enumerate() {
            let mut header = good();
            change(&mut header);
            assert!(check(entry, &header).is_err(), "number {n} was accepted");
        }
    }
}
