//! Files that can be written to: in memory, for as long as the world lasts.
//!
//! Their names and which pages they have are in the world's table; the pages are frames of `init`'s, with a capability
//! for each, and a process that touches one maps it when it misses it ([`missed`]). So they cost a process nothing that
//! uses none. There are no directories, and names of files of the boot archive are not free.

use crate::page_table::HARDWARE;
use crate::process::Fail;
use crate::process::lock::Lock;
use crate::process::table::world;
use exos_rt::abi::Error;
use exos_rt::abi::frame::{Capability, WRITE};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT};
use exos_rt::shared::Shared;
use exos_rt::{archive, call, memory};

/// Files that there can be at once.
pub const FILES: usize = 32;
/// Pages of all files.
pub const PAGES: usize = 96;
/// Pages of a file.
pub const FILE_PAGES: usize = 16;
/// Characters of a name.
pub const NAME: usize = 24;

/// Where pages are seen. Nothing that processes use much has its place of the software TLB.
const STORE: u32 = 0x2080_0000;

/// All files.
#[repr(C)]
pub struct Store {
    lock: Lock,
    files: [File; FILES],
    pages: [Page; PAGES],
}

/// A file.
#[repr(C)]
struct File {
    /// What it is called, with zeros behind; all zeros if nobody can open it any more.
    name: Shared<[u8; NAME]>,
    /// How many open files it is.
    opens: Shared<u32>,
    bytes: Shared<u32>,
    /// Places of its pages plus one; 0 where it has none yet.
    pages: [Shared<u32>; FILE_PAGES],
}

/// A page.
#[repr(C)]
struct Page {
    /// Its frame plus one; 0 if there was none for it.
    frame: Shared<u32>,
    capability: Shared<Capability>,
    /// Not 0 if a file has it.
    used: Shared<u32>,
}

fn store() -> &'static Store {
    &world().store
}

fn at(place: u32) -> &'static File {
    &store().files[place as usize % FILES]
}

/// Gets the frames, as far as there are any: `init`'s part.
pub(crate) fn begin() {
    for page in &store().pages {
        let Ok(frame) = memory::allocate() else { return };
        match call::capability(frame, WRITE) {
            Ok(capability) => {
                page.capability.set(capability);
                page.frame.set(frame + 1);
            }
            // SAFETY: nothing has been done with it.
            Err(_) => _ = unsafe { call::frame_free(frame) },
        }
    }
}

/// Maps a page of files that is missed; none if it is no such page.
pub(crate) fn missed(address: u32) -> Option<Result<(), Error>> {
    let place = (address.checked_sub(STORE)? >> PAGE_SHIFT) as usize;
    let page = store().pages.get(place)?;
    let frame = page.frame.get().checked_sub(1)?;
    // SAFETY: nothing else is there, and only this module looks at it.
    Some(unsafe { call::tlb_write(address, frame << PAGE_SHIFT | HARDWARE, page.capability.get()) })
}

/// A name as files have it.
fn name_of(name: &str) -> Option<[u8; NAME]> {
    let mut bytes = [0; NAME];
    let fits = !name.is_empty() && name.len() < NAME && !name.contains('\0');
    bytes.get_mut(..name.len()).filter(|_| fits)?.copy_from_slice(name.as_bytes());
    Some(bytes)
}

/// The place of the file of that name.
fn find(name: [u8; NAME]) -> Option<u32> {
    store().files.iter().position(|file| file.name.get() == name).map(|place| place as u32)
}

/// Opens a file: its place, if there is one. To be closed as often.
pub(crate) fn open(name: &str) -> Option<u32> {
    let name = name_of(name)?;
    store().lock.hold(|| {
        let place = find(name)?;
        at(place).opens.add(1);
        Some(place)
    })
}

/// Likewise; if there is none it is made, and if it is not to be kept it is empty from now on.
///
/// # Errors
/// [`Fail::ReadOnly`] for a file of the boot archive, [`Fail::TooLong`] for a name that is, [`Fail::Full`].
pub(crate) fn create(name: &str, keep: bool) -> Result<u32, Fail> {
    if archive::find(name).is_some() {
        return Err(Fail::ReadOnly);
    }
    let name = name_of(name).ok_or(Fail::TooLong)?;
    store().lock.hold(|| {
        let place = match find(name) {
            Some(place) => place,
            None => {
                let free = |file: &File| file.name.get() == [0; NAME] && file.opens.get() == 0;
                store().files.iter().position(free).ok_or(Fail::Full)? as u32
            }
        };
        let file = at(place);
        file.name.set(name);
        if !keep {
            empty(file);
        }
        file.opens.add(1);
        Ok(place)
    })
}

/// Takes a file's pages.
fn empty(file: &File) {
    file.bytes.set(0);
    for place in &file.pages {
        if let Some(page) = (place.get() as usize).checked_sub(1).and_then(|place| store().pages.get(place)) {
            page.used.set(0);
        }
        place.set(0);
    }
}

/// One open file less is this one.
pub(crate) fn close(place: u32) {
    let file = at(place);
    store().lock.hold(|| {
        file.opens.set(file.opens.get().saturating_sub(1));
        if file.opens.get() == 0 && file.name.get() == [0; NAME] {
            empty(file);
        }
    });
}

/// Removes a file. Who has it open keeps it.
///
/// # Errors
/// [`Fail::NotFound`], [`Fail::ReadOnly`].
pub fn remove(name: &str) -> Result<(), Fail> {
    if archive::find(name).is_some() {
        return Err(Fail::ReadOnly);
    }
    let name = name_of(name).ok_or(Fail::NotFound)?;
    store().lock.hold(|| {
        let file = at(find(name).ok_or(Fail::NotFound)?);
        file.name.set([0; NAME]);
        if file.opens.get() == 0 {
            empty(file);
        }
        Ok(())
    })
}

/// Gives the name and size of each file to a function.
pub fn each(mut with: impl FnMut(&str, u32)) {
    for file in &store().files {
        let name = file.name.get();
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(NAME);
        if let Ok(text) = core::str::from_utf8(&name[..end])
            && !text.is_empty()
        {
            with(text, file.bytes.get());
        }
    }
}

/// Where a byte of a file is, and how many follow it on its page.
fn seen(file: &File, offset: u32) -> Option<(*mut u8, usize)> {
    let page = file.pages.get((offset / PAGE_BYTES) as usize)?.get().checked_sub(1)?;
    let within = offset % PAGE_BYTES;
    Some(((STORE + page * PAGE_BYTES + within) as *mut u8, (PAGE_BYTES - within) as usize))
}

/// Reads what a file has from an offset on, up to the end of a page; 0 at its end.
pub(crate) fn read(place: u32, offset: u32, to: &mut [u8]) -> usize {
    let file = at(place);
    store().lock.hold(|| {
        let left = file.bytes.get().saturating_sub(offset) as usize;
        let Some((from, there)) = seen(file, offset) else { return 0 };
        let count = left.min(there).min(to.len());
        // SAFETY: the page is the file's as long as the lock is held, and has so many bytes.
        unsafe { to.as_mut_ptr().copy_from_nonoverlapping(from, count) };
        count
    })
}

/// Writes all of `from` at an offset, or, without one, behind what is there; where it ends.
///
/// # Errors
/// [`Fail::Full`] if there are no pages left, or the file has as many as one can have: what there was room for is
/// written.
pub(crate) fn write(place: u32, offset: Option<u32>, from: &[u8]) -> Result<u32, Fail> {
    let file = at(place);
    store().lock.hold(|| {
        let mut offset = offset.unwrap_or(file.bytes.get());
        let mut rest = from;
        while !rest.is_empty() {
            let slot = file.pages.get((offset / PAGE_BYTES) as usize).ok_or(Fail::Full)?;
            if slot.get() == 0 {
                slot.set(new_page()?);
            }
            let (to, room) = seen(file, offset).ok_or(Fail::Full)?;
            let count = room.min(rest.len());
            // SAFETY: as above.
            unsafe { to.copy_from_nonoverlapping(rest.as_ptr(), count) };
            rest = &rest[count..];
            offset += count as u32;
            file.bytes.set(file.bytes.get().max(offset));
        }
        Ok(offset)
    })
}

/// A page that no file has, full of zeros; its place plus one.
fn new_page() -> Result<u32, Fail> {
    let free = |page: &Page| page.used.get() == 0 && page.frame.get() != 0;
    let place = store().pages.iter().position(free).ok_or(Fail::Full)?;
    store().pages[place].used.set(1);
    let start = STORE + place as u32 * PAGE_BYTES;
    // SAFETY: no file has it.
    unsafe { (start as *mut u8).write_bytes(0, PAGE_BYTES as usize) };
    Ok(place as u32 + 1)
}
