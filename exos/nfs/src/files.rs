//! Descriptors: numbers by which a program names files that it has opened, with how far they were read or written.

use crate::cache::Policy;
use crate::client::{Attributes, Client, Handle, Kind};
use crate::{Fail, Transport};

/// A number of an open file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor(usize);

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Open {
    /// To be read.
    Read,
    /// To be read and written, as it is.
    Write,
    /// To be read and written; it is made if there is none, and emptied.
    Create,
}

/// An open file.
#[derive(Debug)]
struct File {
    handle: Handle,
    attributes: Attributes,
    /// The tick at which the server said so.
    learned: u32,
    at: u64,
    writable: bool,
}

/// The open files of a program, so many at most.
#[derive(Debug)]
pub struct Files<const FILES: usize>([Option<File>; FILES]);

/// Who may what with files that are made here.
const MODE: u32 = 0o644;

impl<const FILES: usize> Files<FILES> {
    /// None is open.
    #[must_use]
    pub const fn new() -> Self {
        Self([const { None }; FILES])
    }

    fn file(&mut self, Descriptor(number): Descriptor) -> Result<&mut File, Fail> {
        self.0.get_mut(number).and_then(Option::as_mut).ok_or(Fail::BadDescriptor)
    }

    /// Opens the file that a path leads to. The server says what it is like now, so what others have written and closed is
    /// read.
    ///
    /// # Errors
    /// Those of [`Client`]; [`Fail::IsDirectory`], [`Fail::BadKind`]; [`Fail::NoRoom`].
    pub fn open<T: Transport, P: Policy>(
        &mut self,
        client: &mut Client<T, P>,
        path: &str,
        how: Open,
    ) -> Result<Descriptor, Fail> {
        let number = self.0.iter().position(Option::is_none).ok_or(Fail::NoRoom)?;
        let (handle, attributes) = if how == Open::Create { client.create(path, MODE)? } else { client.walk(path)? };
        match attributes.kind {
            Kind::File => {}
            Kind::Directory => return Err(Fail::IsDirectory),
            Kind::Other => return Err(Fail::BadKind),
        }
        let (learned, writable) = (client.transport.now(), how != Open::Read);
        self.0[number] = Some(File { handle, attributes, learned, at: 0, writable });
        Ok(Descriptor(number))
    }

    /// Reads on: at most as much as there is room for, and 0 at the end.
    ///
    /// # Errors
    /// Those of [`Client`]; [`Fail::BadDescriptor`].
    pub fn read<T: Transport, P: Policy>(
        &mut self,
        client: &mut Client<T, P>,
        descriptor: Descriptor,
        buffer: &mut [u8],
    ) -> Result<usize, Fail> {
        let file = self.file(descriptor)?;
        file.learn(client)?;
        let count = client.read(&file.handle, &mut file.attributes, file.at, buffer)?;
        file.at = file.at.saturating_add(count as u64);
        Ok(count)
    }

    /// Writes on: all of it.
    ///
    /// # Errors
    /// Those of [`Client`]; [`Fail::BadDescriptor`] also if it was opened to be read.
    pub fn write<T: Transport, P: Policy>(
        &mut self,
        client: &mut Client<T, P>,
        descriptor: Descriptor,
        bytes: &[u8],
    ) -> Result<(), Fail> {
        let file = self.file(descriptor)?;
        if !file.writable {
            return Err(Fail::BadDescriptor);
        }
        client.write(&file.handle, &mut file.attributes, file.at, bytes)?;
        file.learned = client.transport.now();
        file.at += bytes.len() as u64;
        Ok(())
    }

    /// Goes on from so many bytes behind the beginning.
    ///
    /// # Errors
    /// [`Fail::BadDescriptor`].
    pub fn seek(&mut self, descriptor: Descriptor, at: u64) -> Result<(), Fail> {
        self.file(descriptor)?.at = at;
        Ok(())
    }

    /// What is known of it.
    ///
    /// # Errors
    /// [`Fail::BadDescriptor`].
    pub fn attributes(&mut self, descriptor: Descriptor) -> Result<Attributes, Fail> {
        Ok(self.file(descriptor)?.attributes)
    }

    /// Closes it. Nothing of it is left to be written.
    ///
    /// # Errors
    /// [`Fail::BadDescriptor`].
    pub fn close(&mut self, descriptor: Descriptor) -> Result<(), Fail> {
        self.file(descriptor)?;
        self.0[descriptor.0] = None;
        Ok(())
    }
}

impl<const FILES: usize> Default for Files<FILES> {
    fn default() -> Self {
        Self::new()
    }
}

impl File {
    /// Asks what the file is like, if what was said of it is not believed any more.
    fn learn<T: Transport, P: Policy>(&mut self, client: &mut Client<T, P>) -> Result<(), Fail> {
        if !client.believes(&self.attributes, self.learned) {
            self.attributes = client.attributes(&self.handle)?;
            self.learned = client.transport.now();
        }
        Ok(())
    }
}
