//! Spawn and exec: environments whose program is a file of the boot archive.
//!
//! Nothing of the file is copied at first. Its text is a guaranteed mapping of the archive's own frames, which are
//! public; its data are pages that are the archive's until they are written to; the rest are pages of zeros. The maker
//! fills in two frames, one that is pinned and the one that the stack begins in, and gives them away, with an empty one.
//! The page table is made of that by the process itself, since its form is its program's.
//!
//! A program that is no file of the archive is read in before ([`loaded`]); its text and data are the process's own frames.

use crate::page_table::{Memory, TABLE};
use crate::process::loaded::{self, Frames};
use crate::process::space::{self, HEAP_END, PINNED, PINNED_PAGES, STACK_TOP, START, TABLE_PAGES, Table, WINDOWS};
use crate::process::table::{DESCRIPTORS, Name, Process, Status, WORLD, WORLD_PAGES, signal, state, world};
use crate::process::{self, Fail, Home, file, home, lending, me, scheme};
use aegis_loader::elf::{Elf, Load};
use core::ops::Range;
use exos_rt::abi::boot::PROGRAM_PREFIX;
use exos_rt::abi::frame::Capability;
use exos_rt::abi::program::{NOTE_TYPE, ProgramHeader};
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, PROGRAM_START, entry_lo};
use exos_rt::abi::{EnvId, Error};
use exos_rt::archive::{self, File};
use exos_rt::{call, memory};

/// The most bytes of arguments and variables, with a zero byte for each.
pub const ARGUMENTS_MAX: u32 = 2048;

/// A process to make.
#[derive(Clone, Copy, Debug)]
pub struct Spawn<'a> {
    /// The program's name in the boot archive, without `bin/`; or `nfs:PATH`, and that file is read in.
    pub program: &'a str,
    /// Its arguments; the first is what it is called as.
    pub arguments: &'a [&'a str],
    /// Its variables, each `NAME=VALUE`.
    pub variables: &'a [&'a str],
    /// Which of the caller's descriptors it has as 0, 1 and 2. It has no others.
    pub files: [u32; 3],
    /// The job that it belongs to; none for one of its own.
    pub job: Option<u32>,
}

/// Makes a process; its number.
///
/// # Errors
/// [`Fail::NotFound`], [`Fail::BadProgram`], [`Fail::TooLong`], [`Fail::Full`], [`Fail::NoMemory`],
/// [`Fail::BadDescriptor`]; [`Fail::TooLarge`] and those of [`file::open`] for a program that is read in.
pub fn spawn(spawn: &Spawn) -> Result<u32, Fail> {
    start(spawn, home().me.get())
}

/// Likewise, but it is `init`'s child from the beginning, and nobody asks how it ends.
pub(crate) fn spawn_orphan(spawn: &Spawn) -> Result<u32, Fail> {
    start(spawn, 1)
}

/// Makes a process that is the child of the one at a place plus one.
fn start(spawn: &Spawn, parent: u32) -> Result<u32, Fail> {
    let image = Image::find(spawn.program, spawn.variables)?;
    let place = world().claim(home().me.get()).map_err(|_| Fail::Full)?;
    let process = &world().processes[place];
    let place = place as u32 + 1;
    let pid = process.pid.get();
    process.name.set(Name::new(spawn.program));
    process.parent.set(parent);
    process.job.set(spawn.job.unwrap_or(pid));
    for (to, from) in spawn.files.into_iter().enumerate() {
        if let Err(error) = file::inherit(from, &process.descriptors[to]) {
            file::close_all(process, false);
            process.state.set(state::FREE);
            return Err(error);
        }
    }
    let made = image.make(process, place, spawn.arguments, spawn.variables);
    if let Err(error) = made {
        file::close_all(process, false);
        process.state.set(state::FREE);
        return Err(error);
    }
    if parent == home().me.get() {
        process.sibling.set(me().child.get());
        me().child.set(place);
    }
    process.state.set(state::RUNNING);
    process::give_slice(process);
    Ok(pid)
}

/// Makes this process another program, with the same number, parent, job and descriptors. Does not return.
///
/// # Errors
/// As for [`spawn()`]; then nothing has happened.
pub fn exec(program: &str, arguments: &[&str], variables: &[&str]) -> Result<core::convert::Infallible, Fail> {
    let image = Image::find(program, variables)?;
    let (me, place) = (me(), home().me.get());
    // SAFETY: the header is this process's.
    let header = unsafe { *me.header.get() };
    let (env, control) = match image.make(me, place, arguments, variables) {
        Ok(made) => made,
        Err(error) => {
            // SAFETY: as above.
            unsafe { *me.header.get() = header };
            return Err(error);
        }
    };
    let lends = home().lending.get() != 0;
    if lends && me.slice.get() == 0 {
        lending::outlive();
    }
    me.name.set(Name::new(program));
    me.kill_entry.set(0);
    me.caught.set(0);
    let lender = me.lender.get();
    me.lender.set(0);
    let slice = me.slice.get();
    me.slice.set(0);
    me.control.set(control);
    // From here on the new environment is the process.
    me.env.set(env.0);
    if lender != 0 {
        // It may wait for this, or be gone.
        let _ = call::wake(EnvId(lender));
    }
    if !lends && slice != 0 && call::slice_give(slice - 1, env).is_ok() {
        me.slice.set(slice);
    } else {
        process::give_slice(me);
    }
    if lends {
        lending::outlive();
    }
    call::exit(0)
}

/// A program that has been checked.
struct Image {
    /// The physical address of its file.
    physical: u32,
    /// The file's frames, if they are not the archive's.
    loaded: Option<Frames>,
    entry: u32,
    text: Load,
    data: Option<Load>,
    header: ProgramHeader,
}

impl Image {
    fn find(program: &str, variables: &[&str]) -> Result<Self, Fail> {
        if scheme::of(program).is_some() {
            return Self::load(program, variables);
        }
        let is_it = |file: &File| file.name.strip_prefix(PROGRAM_PREFIX) == Some(program);
        let file = archive::files().find(is_it).ok_or(Fail::NotFound)?;
        Self::read(file.bytes, file.physical()).ok_or(Fail::BadProgram)
    }

    /// Reads in a file that is not the archive's. Behind its data there are zeros then, up to the end of a page.
    #[cold]
    #[inline(never)]
    fn load(program: &str, variables: &[&str]) -> Result<Self, Fail> {
        let (mut frames, bytes) = loaded::read(program, variables)?;
        let physical = frames.physical();
        let mut image = frames
            .seen(|file| {
                let image = Self::read(&file[..bytes], physical)?;
                let (text, data) = (pages_of(&image.text), image.data.as_ref().map_or(0..0, pages_of));
                if data.is_empty() {
                    return Some(image);
                }
                let end = image.data.map_or(0, |data| (data.offset + data.file_bytes) as usize);
                file[end..end.next_multiple_of(PAGE_BYTES as usize)].fill(0);
                // Pages of text stay when those of data go.
                (text.end <= data.start || data.end <= text.start).then_some(image)
            })?
            .ok_or(Fail::BadProgram)?;
        frames.make_executable(image.text.offset, image.text.bytes)?;
        image.loaded = Some(frames);
        Ok(image)
    }

    /// Checks a file: it has text, at most one segment of data, and nothing but empty memory for the pinned page, each
    /// where `process.ld` has it, so that pages of the file can be pages of memory.
    fn read(file: &[u8], physical: u32) -> Option<Self> {
        if !physical.is_multiple_of(PAGE_BYTES) {
            return None;
        }
        let elf = Elf::read(file).ok()?;
        let (mut text, mut data) = (None, None);
        for load in &elf.loads {
            let in_step = load.address % PAGE_BYTES == load.offset % PAGE_BYTES;
            let place = if !load.writable && load.address >= PROGRAM_START && load.end() <= WORLD && in_step {
                &mut text
            } else if load.writable
                && load.address == START
                && load.end() <= HEAP_END
                && (in_step || load.file_bytes == 0)
            {
                &mut data
            } else if load.writable
                && load.address >= PINNED
                && load.end() <= space::STATICS_END
                && load.file_bytes == 0
            {
                continue;
            } else {
                return None;
            };
            if place.replace(*load).is_some() {
                return None;
            }
        }
        let text = text.filter(|text| text.file_bytes == text.bytes && text.executable)?;
        let note = elf.note(NOTE_TYPE).ok()??;
        if note.len() != size_of::<ProgramHeader>() {
            return None;
        }
        // SAFETY: it has so many bytes, and any will do for a header: the kernel checks it.
        let header = unsafe { note.as_ptr().cast::<ProgramHeader>().read_unaligned() };
        Some(Self { physical, loaded: None, entry: elf.entry, text, data, header })
    }

    /// The frame of the file's page at an offset.
    fn frame(&self, offset: u32) -> u32 {
        (self.physical + offset) >> PAGE_SHIFT
    }

    /// Makes an environment of it.
    fn make(
        mut self,
        process: &Process,
        place: u32,
        arguments: &[&str],
        variables: &[&str],
    ) -> Result<(EnvId, Capability), Fail> {
        let strings = || arguments.iter().chain(variables);
        let bytes = strings().map(|string| string.len() as u32 + 1).sum::<u32>();
        if bytes > ARGUMENTS_MAX || strings().any(|string| string.as_bytes().contains(&0)) {
            return Err(Fail::TooLong);
        }
        let (env, control) = create()?;
        let becomes_another = place == home().me.get();
        if !becomes_another {
            process.control.set(control);
            process.env.set(env.0);
        }
        let mut pages = Pages::open(env).inspect_err(|_| destroy(env, control))?;
        let home = pages.home();
        if becomes_another && process.slice.get() == 0 {
            home.before.set(call::self_id().0);
            home.before_control.set(process.control.get());
        }
        home.me.set(place);
        home.next_frame.set(memory::next());
        let at = STACK_TOP - bytes;
        home.arguments.set(at);
        home.argument_count.set(arguments.len() as u32);
        home.variable_count.set(variables.len() as u32);
        let text_start = self.text.address & !(PAGE_BYTES - 1);
        let text_pages = (self.text.end() - text_start).div_ceil(PAGE_BYTES);
        let text = [text_start, self.frame(self.text.offset) << PAGE_SHIFT, text_pages];
        home.text.set(text);
        home.loaded.set(self.loaded.is_some().into());
        let mut end = START;
        if let Some(data) = &self.data {
            let file_end = START + data.file_bytes;
            end = data.end().next_multiple_of(8);
            home.data_end.set(file_end);
            home.data_frame.set(self.frame(data.offset));
        }
        home.heap_start.set(end);
        home.heap_end.set(end);
        let data = self.data.as_ref().map_or(0..0, pages_of);
        let own_data = if self.loaded.is_some() { data.len() as u32 } else { 0 };
        let made = pages.new_frame().map(|(frame, stack)| {
            home.stack_frame.set(frame);
            home.resident.set(1 + own_data);
            let mut to = stack.wrapping_add((PAGE_BYTES - bytes) as usize);
            for string in strings() {
                // SAFETY: there is room for all of them on the page.
                unsafe {
                    to.copy_from_nonoverlapping(string.as_ptr(), string.len());
                    to.add(string.len()).write(0);
                    to = to.add(string.len() + 1);
                }
            }
        });
        // SAFETY: the header is this process's or a new one's, and nobody else looks at it now.
        unsafe { *process.header.get() = self.header };
        made.and_then(|()| match self.loaded.take() {
            Some(frames) => frames.give(env, |page| data.contains(&page) || pages_of(&self.text).contains(&page)),
            None => Ok(()),
        })
        .and_then(|()| pages.finish(control, text))
        // SAFETY: the environment is another.
        .and_then(|()| unsafe { call::env_setup(env, control, &*process.header.get(), self.entry) })
        .inspect_err(|_| destroy(env, control))?;
        Ok((env, control))
    }
}

/// The pages of a file that a segment has.
fn pages_of(load: &Load) -> Range<u32> {
    match load.file_bytes {
        0 => 0..0,
        bytes => load.offset >> PAGE_SHIFT..(load.offset + bytes).div_ceil(PAGE_BYTES),
    }
}

/// Makes an environment with nothing in it.
pub(crate) fn create() -> Result<(EnvId, Capability), Fail> {
    let frames = memory::allocate_pair()?;
    call::env_create(frames).map_err(|error| {
        for frame in [frames, frames + 1] {
            // SAFETY: nothing has been done with it.
            let _ = unsafe { call::frame_free(frame) };
        }
        if error == Error::Full { Fail::Full } else { Fail::Kernel(error) }
    })
}

/// Undoes [`create`], with what the environment was given.
pub(crate) fn destroy(env: EnvId, control: Capability) {
    let _ = call::env_destroy(env, control);
}

/// The pages that the maker of a process fills in, seen through windows, until they are given away.
pub struct Pages {
    env: EnvId,
    home: *mut u8,
    /// The frame of the first of the pinned pages; that of the second is the next one.
    frame: u32,
    /// How many there are, the table's among them.
    pinned: u32,
    /// Whether there is something at the last window.
    filling: bool,
}

/// The window of the page that is filled in.
const FILLED: u32 = WINDOWS - 1;

impl Pages {
    /// Opens the pinned pages of a process.
    pub(crate) fn open(env: EnvId) -> Result<Self, Error> {
        let frame = memory::allocate_run(PINNED_PAGES, 1)?;
        let mut pages = Self { env, home: core::ptr::null_mut(), frame, pinned: 0, filling: false };
        // SAFETY: the frame is new, and no other pages are open.
        pages.home = unsafe { space::open(0, frame)? };
        pages.pinned = 1;
        Ok(pages)
    }

    /// The first page, as words.
    pub(crate) fn words(&mut self) -> *mut u32 {
        self.home.cast()
    }

    /// What is at its beginning.
    pub(crate) fn home(&self) -> &'static Home {
        // SAFETY: the page is open, and whatever it holds will do. It is not used any longer than `self` is.
        unsafe { &*self.home.cast() }
    }

    /// Begins the process's table, which is of this process's form.
    pub(crate) fn begin_table(&mut self) -> Result<(), Error> {
        self.home().root_words.set(0);
        if space::begin_table(&mut Table::New(self)) { Ok(()) } else { Err(Error::Full) }
    }

    /// Sets an entry of it.
    #[inline]
    pub(crate) fn set(&mut self, page: u32, entry: u32) -> Result<(), Error> {
        space::enter(&mut Table::New(self), page, entry)
    }

    /// One more page for it.
    pub(crate) fn table_page(&mut self) -> Option<u32> {
        let number = self.pinned;
        if number == 1 + TABLE_PAGES {
            return None;
        }
        let frame = if number < PINNED_PAGES { self.frame + number } else { memory::allocate().ok()? };
        // SAFETY: the frame is new, and nothing is at the window.
        if unsafe { space::open(number, frame) }.is_err() {
            if number >= PINNED_PAGES {
                // SAFETY: nothing has been done with it.
                let _ = unsafe { call::frame_free(frame) };
            }
            return None;
        }
        self.pinned += 1;
        Some(PINNED + number * PAGE_BYTES)
    }

    /// Where a word of a table's page is seen, or that of one of its root's words that has been set.
    fn seen(&self, address: u32) -> Option<*mut u32> {
        if address >= TABLE {
            return Some((address - PINNED + space::window(0)) as *mut u32);
        }
        let home = self.home();
        let known = &home.root[..home.root_words.get() as usize];
        known.iter().find(|word| word.place.get() == address).map(|word| word.value.as_ptr())
    }

    /// Gives a page a frame of zeros, with the rights that an entry has, which is to be filled in before the next one; where
    /// it is.
    pub(crate) fn new_page(&mut self, page: u32, rights: u32) -> Result<*mut u8, Error> {
        let (frame, seen) = self.new_frame()?;
        self.set(page, space::owned(frame, rights))?;
        self.home().resident.add(1);
        Ok(seen)
    }

    /// A frame of zeros for it, which is to be filled in before the next one, and where it is.
    pub(crate) fn new_frame(&mut self) -> Result<(u32, *mut u8), Error> {
        self.close_page()?;
        let frame = memory::allocate()?;
        // SAFETY: the frame is new, and nothing is at the window.
        let seen = unsafe {
            space::open(FILLED, frame).inspect_err(|_| {
                let _ = call::frame_free(frame);
            })?
        };
        self.filling = true;
        Ok((frame, seen))
    }

    fn close_page(&mut self) -> Result<(), Error> {
        if core::mem::take(&mut self.filling) {
            // SAFETY: who has filled it in is done.
            unsafe { space::give(FILLED, self.env)? };
        }
        Ok(())
    }

    /// Gives all away, and has them, text and world mapped.
    pub(crate) fn finish(mut self, control: Capability, [text, text_lo, text_pages]: [u32; 3]) -> Result<(), Error> {
        self.close_page()?;
        let (env, frame, pinned) = (self.env, self.frame, self.pinned);
        self.home().tables.set(pinned.max(PINNED_PAGES) - 1);
        if pinned < PINNED_PAGES {
            // The process makes its table itself, beginning with this page.
            // SAFETY: nobody uses it.
            unsafe { call::frame_give(frame + 1, env)? };
        }
        while self.pinned != 0 {
            let number = self.pinned - 1;
            self.pinned = number;
            // SAFETY: all is filled in. The environment is another, which does not run yet.
            unsafe {
                let given = space::give(number, env)?;
                if number >= PINNED_PAGES {
                    let entry_lo = given << PAGE_SHIFT | entry_lo::DIRTY;
                    call::env_map(env, control, PINNED + number * PAGE_BYTES, entry_lo, 1)?;
                }
            }
        }
        // SAFETY: as above.
        unsafe {
            call::env_map(env, control, PINNED, frame << PAGE_SHIFT | entry_lo::DIRTY, PINNED_PAGES)?;
            call::env_map(env, control, text, text_lo, text_pages)?;
            call::env_map(env, control, WORLD, world().entry_lo.get(), WORLD_PAGES)?;
        }
        core::mem::forget(self);
        Ok(())
    }
}

impl Memory for Pages {
    fn read(&self, address: u32) -> u32 {
        // SAFETY: a table reads and writes its own words only. Volatile, as for one's own.
        self.seen(address).map_or_else(|| self.empty(), |word| unsafe { word.read_volatile() })
    }

    fn write(&mut self, address: u32, word: u32) {
        if let Some(seen) = self.seen(address) {
            // SAFETY: as above.
            return unsafe { seen.write_volatile(word) };
        }
        let home = self.home();
        let number = home.root_words.get();
        // A form whose root has more words than there is room for is an error of the program's.
        let new = &home.root[number as usize];
        new.place.set(address);
        new.value.set(word);
        home.root_words.set(number + 1);
    }

    fn page(&mut self) -> Option<u32> {
        self.table_page()
    }

    fn empty(&self) -> u32 {
        crate::page_table::Machine.empty()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let opened = (0..self.pinned).chain(self.filling.then_some(FILLED));
        for window in opened {
            // SAFETY: who fills it in has given up.
            unsafe { space::discard(window) };
        }
        // Those of the first two that were not open. If they have been given away already that is refused.
        for frame in self.frame + self.pinned.min(PINNED_PAGES)..self.frame + PINNED_PAGES {
            // SAFETY: nothing has been done with it.
            let _ = unsafe { call::frame_free(frame) };
        }
    }
}

const _: () = assert!(DESCRIPTORS >= 3 && Status::signal(signal::KILL).0 != 0);
