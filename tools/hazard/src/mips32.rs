//! The instructions of MIPS32 that a kernel for it may use, beside MIPS I.

/// An instruction: its fixed bits, and which of its bits are fixed.
struct Row {
    bits: u32,
    mask: u32,
}

/// Return from exception. It has no delay slot.
pub const ERET: u32 = 0x4200_0018;

// `ehb` and `ssnop` are MIPS I as they stand: `sll $zero, $zero, 3` and `sll $zero, $zero, 1`.
const ALLOWED: [Row; 7] = [
    // eret
    Row { bits: ERET, mask: u32::MAX },
    // wait
    Row { bits: 0x4200_0020, mask: 0xfe00_003f },
    // mfc0 rt, rd, select
    Row { bits: 0x4000_0000, mask: 0xffe0_07f8 },
    // mtc0 rt, rd, select
    Row { bits: 0x4080_0000, mask: 0xffe0_07f8 },
    // cache operation, offset(base)
    Row { bits: 0xbc00_0000, mask: 0xfc00_0000 },
    // sync
    Row { bits: 0x0000_000f, mask: 0xffff_f83f },
    // sdbbp 1: semihosting
    Row { bits: 0x7000_007f, mask: u32::MAX },
];

/// Whether `word` is such an instruction.
pub fn allows(word: u32) -> bool {
    ALLOWED.iter().any(|row| word & row.mask == row.bits)
}

#[cfg(test)]
mod tests {
    use super::allows;

    #[test]
    fn only_what_is_listed_is_allowed() {
        // eret, wait, mfc0 $t0, $16, 1, mtc0 $t0, $15, 1, cache 0x15, 0($a0), sync, sdbbp 1
        for word in [0x4200_0018, 0x4200_0020, 0x4008_8001, 0x4088_7801, 0xbc95_0000, 0xf, 0x7000_007f] {
            assert!(allows(word), "{word:#010x}");
        }
        // ll, sc, movz, clz, teq, beql, ext, di, synci, sdbbp 0, deret, mul, rdhwr
        for word in [
            0xc080_0000,
            0xe080_0000,
            0x0000_000a,
            0x7000_0020,
            0x0000_0034,
            0x5000_0000,
            0x7c00_0000,
            0x4160_6000,
            0x041f_0000,
            0x7000_003f,
            0x4200_001f,
            0x7000_0002,
            0x7c03_e83b,
        ] {
            assert!(!allows(word), "{word:#010x}");
        }
    }
}
