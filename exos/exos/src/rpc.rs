//! RPC: procedures of a service in another environment, with stubs that are made of its description.
//!
//! [`rpc!`](crate::rpc) takes a description and makes a trait of it, which the server implements, and a client, whose
//! functions call it. A procedure has at most three arguments, each a word, and a result that is one: a message is what
//! the registers of a transfer hold ([`exos_rt::transfer`]). More goes through a [`Buffer`], a frame that the client
//! shares with the server: it shows the capability once, in a call of its own, and the server maps the frame when it
//! serves.
//!
//! The server says of each caller, which the kernel vouches for, and each procedure whether it is permitted. It serves
//! one call at a time. What is in a buffer may change at any time, so it is copied before it is looked at.

use exos_rt::abi::frame::Capability;
use exos_rt::abi::vm::{PAGE_BYTES, PAGE_SHIFT, entry_lo};
use exos_rt::abi::{self, EnvId};
use exos_rt::shared::Shared;
use exos_rt::{call, transfer};

#[doc(hidden)]
pub use exos_rt::{abi::EnvId as Id, shared::Shared as Cell, transfer::Stack, transfer::serve};

/// Why a call was not served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    /// The service has no such procedure.
    NoSuchProcedure = 1,
    /// The caller may not call it.
    NotPermitted = 2,
    /// The caller's buffer can't be mapped, or it has none.
    BadBuffer = 3,
    /// The server does not live, or died before it answered, or takes no calls.
    Dead = 4,
    /// It serves another call.
    Busy = 5,
}

/// What fits a register.
pub trait Word {
    /// As a word.
    fn to_word(self) -> u32;
    /// Of a word, which may be any.
    fn from_word(word: u32) -> Self;
}

macro_rules! words {
    ($($type:ty: |$value:ident| $to:expr, |$word:ident| $from:expr;)*) => {
        $(impl Word for $type {
            fn to_word(self) -> u32 {
                let $value = self;
                $to
            }
            fn from_word($word: u32) -> Self {
                $from
            }
        })*
    };
}

words! {
    (): |_value| 0, |_word| ();
    u32: |value| value, |word| word;
    i32: |value| value.cast_unsigned(), |word| word.cast_signed();
    bool: |value| u32::from(value), |word| word != 0;
    EnvId: |value| value.0, |word| EnvId(word);
}

/// The procedure that every service has: it takes a buffer.
const SHARE: u32 = u32::MAX;

/// A client's end.
#[derive(Clone, Copy, Debug)]
pub struct Connection(pub EnvId);

impl Connection {
    /// Calls a procedure by its number.
    ///
    /// # Errors
    /// The service's, or those of the transfer.
    pub fn call<const N: usize>(self, procedure: u32, arguments: [u32; N]) -> Result<u32, Error> {
        const { assert!(N <= 3, "a procedure has at most three arguments") };
        let mut message = [procedure, 0, 0, 0];
        message[1..=N].copy_from_slice(&arguments);
        match transfer::call(self.0, message) {
            Ok(answer) => match (answer >> 32) as u32 {
                0 => Ok(answer as u32),
                1 => Err(Error::NoSuchProcedure),
                2 => Err(Error::NotPermitted),
                _ => Err(Error::BadBuffer),
            },
            Err(abi::Error::Busy) => Err(Error::Busy),
            Err(_) => Err(Error::Dead),
        }
    }

    /// Shares a frame of this environment's with the server, as the buffer of its further calls.
    ///
    /// # Errors
    /// As for [`Self::call`]; [`Error::BadBuffer`] if the frame is not this environment's, or the server takes none.
    pub fn share(self, frame: u32) -> Result<(), Error> {
        let Capability([low, high]) = call::capability(frame, abi::frame::WRITE).map_err(|_| Error::BadBuffer)?;
        self.call(SHARE, [frame, low, high]).map(drop)
    }
}

/// A frame that a client shares with a server, as either sees it.
#[derive(Clone, Copy, Debug)]
pub struct Buffer(u32);

impl Buffer {
    /// Bytes in it.
    pub const BYTES: usize = PAGE_BYTES as usize;

    /// The one that is mapped at `address`.
    ///
    /// # Safety
    /// It is, for loads and stores, as long as it is used.
    #[must_use]
    pub const unsafe fn at(address: u32) -> Self {
        Self(address)
    }

    /// Copies its first bytes.
    ///
    /// # Errors
    /// [`Error::BadBuffer`] if there are not so many.
    pub fn read(self, bytes: &mut [u8]) -> Result<(), Error> {
        if bytes.len() > Self::BYTES {
            return Err(Error::BadBuffer);
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            // SAFETY: it is in the page. Volatile, because of the other side.
            *byte = unsafe { (self.0 as *const u8).add(at).read_volatile() };
        }
        Ok(())
    }

    /// Sets its first bytes.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn write(self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > Self::BYTES {
            return Err(Error::BadBuffer);
        }
        for (at, &byte) in bytes.iter().enumerate() {
            // SAFETY: as above.
            unsafe { (self.0 as *mut u8).add(at).write_volatile(byte) };
        }
        Ok(())
    }
}

/// What a server has been shown, by the callers' indices: id, EntryLo, and the capability.
pub struct Buffers {
    /// Where a caller's buffer is mapped while it is served.
    address: u32,
    shown: [Shared<[u32; 4]>; EnvId::COUNT],
}

impl Buffers {
    /// None yet. The page at `address`, in the normal segment, is theirs.
    #[must_use]
    pub const fn new(address: u32) -> Self {
        Self { address, shown: [const { Shared::new([0; 4]) }; EnvId::COUNT] }
    }

    /// Takes what a caller has shown, if it is good.
    fn take(&self, caller: EnvId, [frame, low, high]: [u32; 3]) -> Result<(), Error> {
        if frame as usize >= abi::frame::COUNT {
            return Err(Error::BadBuffer);
        }
        let entry = frame << PAGE_SHIFT | entry_lo::VALID | entry_lo::DIRTY;
        self.shown[usize::from(caller.index())].set([caller.0, entry, low, high]);
        self.of(caller).map(drop)
    }

    /// A caller's buffer, mapped from here on until another's is.
    ///
    /// # Errors
    /// [`Error::BadBuffer`] if it has shown none, or its capability is not good, or not any more.
    pub fn of(&self, caller: EnvId) -> Result<Buffer, Error> {
        let [id, entry, low, high] = self.shown[usize::from(caller.index())].get();
        // SAFETY: the page is the buffers', and nobody else's is accessed through it from here on.
        let mapped = || unsafe { call::tlb_write(self.address, entry, Capability([low, high])) };
        if id != caller.0 || mapped().is_err() {
            return Err(Error::BadBuffer);
        }
        Ok(Buffer(self.address))
    }
}

/// What a stub of the server's answers.
#[doc(hidden)]
#[must_use]
pub fn answer(result: Result<u32, Error>) -> u64 {
    match result {
        Ok(word) => u64::from(word),
        Err(error) => u64::from(error as u32) << 32,
    }
}

/// What is no procedure of the service's own.
#[doc(hidden)]
#[must_use]
pub fn other(buffers: Option<&Buffers>, procedure: u32, arguments: [u32; 3], caller: EnvId) -> u64 {
    answer(match (procedure, buffers) {
        (SHARE, Some(buffers)) => buffers.take(caller, arguments).map(|()| 0),
        (SHARE, None) => Err(Error::BadBuffer),
        _ => Err(Error::NoSuchProcedure),
    })
}

/// Makes a trait and a client of a description. See [`mod@crate::rpc`].
///
/// ```ignore
/// exos::rpc! {
///     /// A counter.
///     pub trait Counter, client CounterClient {
///         /// Adds to it; the sum.
///         fn add(amount: u32) -> u32;
///     }
/// }
/// ```
///
/// The trait has these functions, with `&self` and the caller in front, and two more: whom they are permitted to, and
/// where buffers are kept, if the service takes any. The client has them with `&self` in front, and `Result<…,
/// rpc::Error>` as their result; `serve` makes a service answer from now on, one for each description in a program.
#[macro_export]
macro_rules! rpc {
    ($(#[$doc:meta])* $visibility:vis trait $service:ident, client $client:ident {
        $($(#[$about:meta])* fn $name:ident($($argument:ident: $type:ty),* $(,)?) -> $result:ty;)*
    }) => {
        $(#[$doc])*
        $visibility trait $service {
            /// Whether `caller` may call the procedure with this name.
            fn permits(&self, caller: $crate::rpc::Id, procedure: &str) -> bool;
            /// Where callers' buffers are kept.
            fn buffers(&self) -> Option<&$crate::rpc::Buffers> {
                None
            }
            $($(#[$about])* fn $name(&self, caller: $crate::rpc::Id $(, $argument: $type)*) -> $result;)*
        }

        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        $visibility struct $client(pub $crate::rpc::Connection);

        const _: () = {
            #[allow(non_camel_case_types, reason = "they are the procedures' names")]
            enum Procedure {
                $($name,)*
            }

            /// The service of this program.
            static SERVICE: $crate::rpc::Cell<usize> = $crate::rpc::Cell::new(0);

            #[allow(dead_code, reason = "a program may be one side only, and use a part of a service")]
            impl $client {
                /// The client of a service in another environment.
                $visibility const fn new(server: $crate::rpc::Id) -> Self {
                    Self($crate::rpc::Connection(server))
                }

                $($(#[$about])*
                $visibility fn $name(&self $(, $argument: $type)*) -> Result<$result, $crate::rpc::Error> {
                    let arguments = [$($crate::rpc::Word::to_word($argument)),*];
                    self.0.call(Procedure::$name as u32, arguments).map($crate::rpc::Word::from_word)
                })*

                /// Serves calls of this environment from now on.
                ///
                /// # Safety
                /// As for `exos_rt::transfer::serve`.
                $visibility unsafe fn serve<T: $service, const BYTES: usize>(
                    service: &'static T,
                    stack: &'static $crate::rpc::Stack<BYTES>,
                ) {
                    SERVICE.set(core::ptr::from_ref(service).addr());
                    // SAFETY: the caller's.
                    unsafe { $crate::rpc::serve(dispatch::<T>, stack) }
                }
            }

            #[allow(unused_mut, unused_variables, reason = "a procedure may have no arguments")]
            extern "C" fn dispatch<T: $service>(
                procedure: u32,
                a: u32,
                b: u32,
                c: u32,
                caller: $crate::rpc::Id,
            ) -> u64 {
                // SAFETY: it is what `serve` was given.
                let service = unsafe { &*(SERVICE.get() as *const T) };
                $(if procedure == Procedure::$name as u32 {
                    if !service.permits(caller, stringify!($name)) {
                        return $crate::rpc::answer(Err($crate::rpc::Error::NotPermitted));
                    }
                    let mut words = [a, b, c].into_iter();
                    $(let $argument: $type = $crate::rpc::Word::from_word(words.next().unwrap_or(0));)*
                    let result = service.$name(caller $(, $argument)*);
                    return $crate::rpc::answer(Ok($crate::rpc::Word::to_word(result)));
                })*
                $crate::rpc::other(service.buffers(), procedure, [a, b, c], caller)
            }
        };
    };
}
