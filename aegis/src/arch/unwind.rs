//! How a debugger gets from the kernel's assembly to the program that it interrupted: unwind tables, as assembly.
//!
//! They are data (DWARF, `.debug_frame`), which nothing loads, and written out: what the assembler makes of `.cfi_*`
//! knows no return address but `$ra`. A program goes on at `$k0`, which compiled code leaves alone.
//!
//! Where Rust returns to, the kernel's stack ends and the program's goes on, elsewhere. A debugger allows that of
//! *signal frames* only.
//!
//! The assembler's labels 60 to 67 are taken.

/// A routine begins. The program's registers are in their places, except for `$k0` and `$k1`.
macro_rules! frame_begins {
    () => {
        "60:"
    };
}

/// The next instruction is the delay slot of the call of Rust, which goes to the kernel's stack.
macro_rules! frame_calls_rust {
    () => {
        "61:"
    };
}

/// A routine ends that calls nothing, and in which `$k0` is where the program goes on.
macro_rules! frame_ends {
    () => {
        crate::arch::unwind::table!("62:", "", "60b, 62b - 60b", "")
    };
}

/// A routine ends that calls nothing, and in which only EPC is where the program goes on.
macro_rules! frame_ends_at_epc {
    () => {
        crate::arch::unwind::table!("62:", "", "60b, 62b - 60b", ".byte 0x07, 26") // DW_CFA_undefined
    };
}

/// A routine ends that kept `$sp` and `$ra` in the globals while Rust ran; `$k0` is where the program goes on.
macro_rules! frame_ends_with_globals {
    () => {
        concat!(
            crate::arch::unwind::table!("62:", "", "60b, 61b - 60b", ""),
            // DW_CFA_def_cfa_expression: a constant. DW_CFA_offset_extended_sf: `$sp`, `$ra`.
            crate::arch::unwind::table!(
                "",
                "S",
                "61b, 8",
                "
                .byte 0x0f, 5, 0x0d, 0, 0, {pages} & 0xff, {pages} >> 8
                .byte 0x11, 29
                .sleb128 {sp} / 4
                .byte 0x11, 31
                .sleb128 {ra} / 4"
            ),
            // The same: what is at an address. DW_CFA_expression: `$ra` is at an address.
            crate::arch::unwind::table!(
                "",
                "",
                "61b + 8, 62b - 61b - 8",
                "
                .byte 0x0f, 6, 0x0d, {sp} & 0xff, {sp} >> 8, {pages} & 0xff, {pages} >> 8, 0x06
                .byte 0x10, 31, 5, 0x0d, {ra} & 0xff, {ra} >> 8, {pages} & 0xff, {pages} >> 8"
            )
        )
    };
}

/// A routine ends that kept a [`Frame`](super::layout::Frame) on the stack while Rust ran and until now.
macro_rules! frame_ends_with_frame {
    () => {
        concat!(
            crate::arch::unwind::table!("62:", "", "60b, 61b - 60b", ".byte 0x07, 26"),
            // `$t8` and `$t9`, HI and LO (64, 65), and EPC in the place of `$k0`.
            crate::arch::unwind::table!(
                "",
                "S",
                "61b, 62b - 61b",
                "
                .byte 0x0f, 5, 0x0d, 0, 0, {pages} & 0xff, {pages} >> 8
                .irp n, 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
                .byte 0x11, \\n
                .sleb128 {at} / 4 + \\n - 1
                .endr
                .byte 0x11, 24
                .sleb128 {t0} / 4 + 8
                .byte 0x11, 25
                .sleb128 {t0} / 4 + 9
                .byte 0x11, 29
                .sleb128 {sp} / 4
                .byte 0x11, 31
                .sleb128 {ra} / 4
                .byte 0x11, 64
                .sleb128 {hi} / 4
                .byte 0x11, 65
                .sleb128 {lo} / 4
                .byte 0x11, 26
                .sleb128 {epc} / 4"
            )
        )
    };
}

/// A table for a range of code: its CIE, of which this is the only use, and its FDE. `kind` is "S" for a signal frame.
/// At first the program's `$sp` is where it was (DW_CFA_def_cfa), and `$k0` is the column of the return address.
macro_rules! table {
    ($label:literal, $kind:literal, $range:literal, $rules:literal) => {
        concat!(
            $label,
            "
            .pushsection .debug_frame, \"\", @0x7000001e, unique, 60
            .balign 4
            63: .4byte 65f - 64f
            64: .4byte 0xffffffff
            .byte 1
            .asciz \"",
            $kind,
            "\"
            .byte 1, 4, 26
            .byte 0x0c, 29, 0
            .balign 4
            65: .4byte 67f - 66f
            66: .4byte 63b, ",
            $range,
            "
            ",
            $rules,
            "
            .balign 4
            67: .popsection
            "
        )
    };
}

pub(super) use {frame_begins, frame_calls_rust, frame_ends, frame_ends_at_epc};
pub(super) use {frame_ends_with_frame, frame_ends_with_globals, table};
