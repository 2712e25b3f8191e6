//! What the test programs share: the frame of a program that uses nothing of the runtime's.

#![no_std]

/// A program written in assembly alone, for what no well-meaning program would do: its `code`, which defines `_start`, and the
/// `header` that it shows to the kernel, as directives for the words behind the version.
#[macro_export]
macro_rules! bare_program {
    (code: [$($code:literal),* $(,)?], header: [$($header:literal),* $(,)?] $(,)?) => {
        core::arch::global_asm!(
            ".set noreorder",
            ".globl _start",
            $($code,)*
            ".section .note.aegis, \"a\", @note",
            ".balign 4",
            ".word 6, {bytes}, {kind}",
            ".asciz \"Aegis\"",
            ".balign 4",
            ".word {version}",
            $($header,)*
            ".word 0", // it is not told of revocation
            bytes = const size_of::<aegis_abi::program::ProgramHeader>(),
            kind = const aegis_abi::program::NOTE_TYPE,
            version = const aegis_abi::VERSION,
        );

        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo) -> ! {
            unreachable!()
        }
    };
}
