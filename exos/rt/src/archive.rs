//! Files of the boot archive.
use crate::sequences::window;
/// A file.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Physical address.
    pub physical: u32,
    /// Bytes.
    pub bytes: u32,
}
impl File {
    /// Its contents.
    #[must_use]
    pub fn bytes(&self) -> &'static [u8] {
        // SAFETY: public.
        unsafe { core::slice::from_raw_parts(window(self.physical) as *const u8, self.bytes as usize) }
    }
}
/// A file by name.
#[must_use]
pub fn find(_name: &str) -> Option<File> {
    None
}
/// A program by name.
#[must_use]
pub fn program(_name: &str) -> Option<File> {
    None
}
impl File {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        ""
    }
}
/// All files.
pub fn files() -> impl Iterator<Item = File> {
    core::iter::empty()
}
