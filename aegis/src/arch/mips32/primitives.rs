//! Transfers and primitive operations on MIPS32: all of them are done in Rust, by the functions in `crate::primitive`.

macro_rules! transfer_async {
    () => {
        "    primitive_gate TRANSFER_ASYNC"
    };
}

macro_rules! yield_to {
    () => {
        "    primitive_gate YIELD_TO"
    };
}

macro_rules! tlb_delete {
    () => {
        "    primitive_gate TLB_DELETE"
    };
}

macro_rules! tlb_write {
    () => {
        "    primitive_gate TLB_WRITE"
    };
}

pub(super) use {tlb_delete, tlb_write, transfer_async, yield_to};
