//! Marks: show a counting tool where an operation begins and ends. See [`aegis_abi::mark`].

/// Marks the beginning of operation `$id`, a constant.
#[macro_export]
macro_rules! mark_begin {
    ($id:expr) => {
        // SAFETY: the instruction does nothing. No `nomem`: what is before a mark stays before it.
        unsafe { ::core::arch::asm!(".word {}", const $crate::abi::mark::WORD | $id, options(nostack, preserves_flags)) }
    };
}

/// Marks the end of operation `$id`, a constant.
#[macro_export]
macro_rules! mark_end {
    ($id:expr) => {
        $crate::mark_begin!($crate::abi::mark::END | $id)
    };
}
