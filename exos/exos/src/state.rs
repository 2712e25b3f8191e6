//! What ExOS keeps of an environment where its handlers find it: in the save page, behind what is the runtime's. So
//! environments that share their memory have it apart.

use crate::exception::Context;
use crate::page_table::{PageTable, TwoLevel};
use core::mem::offset_of;
use exos_rt::abi::exception::SavePage;
use exos_rt::abi::vm::SAVE_PAGE;
use exos_rt::sequences;

/// Frames that the library keeps for later rather than to free them.
pub(crate) const POOL: usize = 10;
/// Environments that frames are lent to, at once.
pub(crate) const BORROWERS: usize = 16;

/// The words. All are 0 in an environment that was just made.
#[repr(C)]
pub(crate) struct State {
    /// The page table's. Other forms take fewer.
    pub root: [u32; TwoLevel::ROOT],
    /// Handlers by exception code, 0 for none.
    pub handlers: [u32; 13],
    /// What is asked when an access is not allowed, 0 for nothing.
    pub hook: u32,
    /// Pages of the table in use.
    pub tables: u32,
    /// Pages of the library's, the exception stack and those of the table, that have frames.
    pub backed: u32,
    /// What two pages for the library's own use are mapped to.
    pub scratch: [u32; 2],
    /// Which activity is in the midst of changing what is here: 0 for none, else one more than `current`.
    pub busy: u32,
    /// Frames that pages have, counted by main and by the server activity, and how many they may have.
    pub resident: [u32; 2],
    pub quota: u32,
    /// Whether frames are chosen by colour.
    pub colouring: u32,
    /// The page behind the last one that was looked at for paging out.
    pub hand: u32,
    /// The environment that keeps what is paged out.
    pub backing: u32,
    /// Records in use; see `vm`.
    pub records: u32,
    /// Living environments that frames may be lent to.
    pub borrowers: [u32; BORROWERS],
    /// Frames to use again.
    pub pooled: u32,
    pub pool: [u32; POOL],
    /// See `signal`.
    pub signals: [u32; 16],
    /// What is saved for a handler of stores to protected pages, if it interrupts main.
    pub protected: Context,
}

/// Where they are.
pub(crate) const STATE: *mut State = sequences::FREE as *mut State;

const _: () =
    assert!(sequences::FREE as usize + size_of::<State>() <= SAVE_PAGE as usize + offset_of!(SavePage, revocation));

/// Reads a word. Volatile, because handlers change it.
macro_rules! get {
    ($($field:tt)*) => {
        // SAFETY: the save page is always mapped, and nobody has a reference to what is in it.
        unsafe { (&raw const (*$crate::state::STATE).$($field)*).read_volatile() }
    };
}

/// Sets a word.
macro_rules! set {
    ($field:ident $(.$part:ident)? $([$index:expr])?, $value:expr) => {{
        let value = $value;
        // SAFETY: as for `get`; and nobody but this library uses it.
        unsafe { (&raw mut (*$crate::state::STATE).$field $(.$part)? $([$index])?).write_volatile(value) }
    }};
}

pub(crate) use {get, set};
