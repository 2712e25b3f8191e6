//! NFS version 3 (RFC 1813) as a library: safe code on plain data, without a network of its own, tested on the host.
//!
//! A client asks a server through a [`Transport`]; `exos-net` has one over UDP. Nothing that a server says is believed unless
//! it is well formed: what is no answer to just this question is passed over by the transport, and what is one, and lies
//! about its lengths, names or kinds, is [`Fail::BadAnswer`].
//!
//! - [`xdr`]: numbers and bytes as messages have them (RFC 4506)
//! - [`rpc`]: calls and answers (RFC 5531)
//! - [`client`]: a mounted directory: names, attributes, reading, writing
//! - [`cache`]: blocks that were read, by a policy of the application's
//! - [`files`]: open files, and the descriptors that name them

#![no_std]
#![forbid(unsafe_code)]

pub mod cache;
pub mod client;
pub mod files;
pub mod rpc;
pub mod xdr;

pub use cache::{Cache, Policy, Slot};
pub use client::{Attributes, Client, Entry, Handle, Kind, Ports};
pub use files::{Descriptor, Files, Open};

use core::fmt;

/// The longest message, of which a datagram that is not in parts has room for: headers, and a [block](client::BLOCK).
pub const MESSAGE_MAX: usize = 1472;

/// How a client asks its server.
pub trait Transport {
    /// Sends a call to a port of the server's, again and again while nobody answers, until `answer` takes a message that came
    /// from there for one.
    ///
    /// # Errors
    /// Those of `answer`; [`Fail::TimedOut`], [`Fail::Network`].
    fn ask<R>(
        &mut self,
        port: u16,
        call: &[u8],
        answer: impl FnMut(&[u8]) -> Option<Result<R, Fail>>,
    ) -> Result<R, Fail>;

    /// The time, in ticks of which the policy knows how long they are.
    fn now(&self) -> u32;

    /// A number that others can't guess well, for the first call.
    fn random(&mut self) -> u32;
}

/// One that is lent, so that it is left when there is no client.
impl<T: Transport> Transport for &mut T {
    fn ask<R>(
        &mut self,
        port: u16,
        call: &[u8],
        answer: impl FnMut(&[u8]) -> Option<Result<R, Fail>>,
    ) -> Result<R, Fail> {
        T::ask(self, port, call, answer)
    }

    fn now(&self) -> u32 {
        T::now(self)
    }

    fn random(&mut self) -> u32 {
        T::random(self)
    }
}

/// What can go wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fail {
    /// There is no such file.
    NotFound,
    /// The server does not allow it.
    Denied,
    /// There is one already.
    Exists,
    /// It is no directory, or a part of the path is none.
    NotDirectory,
    /// It is a directory.
    IsDirectory,
    /// The directory is not empty.
    NotEmpty,
    /// The server has no room for it.
    Full,
    /// Nothing can be written there.
    ReadOnly,
    /// The file is no more.
    Stale,
    /// It is neither a file nor a directory.
    BadKind,
    /// A name is empty, too long, or has a byte that names don't have.
    BadName,
    /// The descriptor names no open file, or not one for that.
    BadDescriptor,
    /// Too many files are open, or a path is too long.
    NoRoom,
    /// The server can't, with the number of its reason.
    Server(u32),
    /// The server has no such service, or does not hear this client.
    Refused,
    /// The answer is no good.
    BadAnswer,
    /// Nobody has answered.
    TimedOut,
    /// The network can't be asked.
    Network,
}

impl Fail {
    /// What a status of NFS' or of MOUNT's says, which is not 0.
    fn of_status(status: u32) -> Self {
        match status {
            1 | 13 => Self::Denied,
            2 => Self::NotFound,
            17 => Self::Exists,
            20 => Self::NotDirectory,
            21 => Self::IsDirectory,
            27 | 28 | 69 => Self::Full,
            30 => Self::ReadOnly,
            63 => Self::BadName,
            66 => Self::NotEmpty,
            70 | 10001 => Self::Stale,
            status => Self::Server(status),
        }
    }
}

impl From<xdr::Malformed> for Fail {
    fn from(_: xdr::Malformed) -> Self {
        Self::BadAnswer
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotFound => "no such file",
            Self::Denied => "the server does not allow it",
            Self::Exists => "there is one already",
            Self::NotDirectory => "no directory",
            Self::IsDirectory => "a directory",
            Self::NotEmpty => "the directory is not empty",
            Self::Full => "the server has no room",
            Self::ReadOnly => "nothing can be written there",
            Self::Stale => "the file is no more",
            Self::BadKind => "neither a file nor a directory",
            Self::BadName => "no good name",
            Self::BadDescriptor => "no such open file",
            Self::NoRoom => "too many, or too long",
            Self::Server(number) => return write!(formatter, "the server can't, for its reason {number}"),
            Self::Refused => "the server does not hear this client",
            Self::BadAnswer => "the server's answer is no good",
            Self::TimedOut => "the server does not answer",
            Self::Network => "the network can't be asked",
        })
    }
}
