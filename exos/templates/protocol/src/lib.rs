//! A protocol of its own on the Ethernet: blocks, in order, each acknowledged before the next is sent.
//!
//! The kernel knows nothing of protocols. A packet filter says which messages are this program's; the kernel puts them where the
//! program wants them, and sends what is in the filter's name. Programs with other protocols, TCP/IP for one, have other filters
//! on the same interface at the same time.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 14 | Ethernet: to whom, from whom, [`TYPE`] |
//! | 14 | 1 | [`BLOCK`] or [`ACKNOWLEDGEMENT`] |
//! | 15 | 1 | the number of the block, modulo 256 |
//! | 16 | 2 | bytes of the block, big-endian |
//! | 18 | | the block |

#![no_std]
#![feature(asm_experimental_arch)]

use exos_rt::abi::Error;
use exos_rt::abi::filter::Atom;
use exos_rt::call::{self, NO_CAPABILITY};
use exos_rt::net::{Endpoint, address, send};

// The compiler has a fault, which `cargo exo` mends if there is room.
exos_rt::room_for_mends!();

/// The type of its messages: one of those that are for experiments.
pub const TYPE: u16 = 0x88b6;
/// What a message is.
pub const BLOCK: u8 = 1;
/// See [`BLOCK`].
pub const ACKNOWLEDGEMENT: u8 = 2;
/// The most bytes of a block.
pub const BLOCK_BYTES: usize = 1024;

const HEADER: usize = 18;
/// Ticks of the clock, 64 a second, after which a block is sent again, and how often it is.
const PATIENCE: u32 = 2;
const ATTEMPTS: u32 = 100;

/// An end of a connection of two machines.
pub struct Link {
    endpoint: Endpoint,
    me: [u8; 6],
    peer: [u8; 6],
    /// The number of the next block, either way.
    out: u8,
    next: u8,
    /// A block that came while an acknowledgement was awaited.
    message: [u8; HEADER + BLOCK_BYTES],
}

impl Link {
    /// An end here, with the other at `peer`.
    ///
    /// # Errors
    /// Those of [`Endpoint::open`]; [`Error::BadArgument`] if there is no network.
    pub fn open(peer: [u8; 6]) -> Result<Self, Error> {
        let me = address().ok_or(Error::BadArgument)?;
        let high = u32::from(peer[0]) << 8 | u32::from(peer[1]);
        let low = u32::from_be_bytes([peer[2], peer[3], peer[4], peer[5]]);
        let filter = [Atom::equal(6, 16, high), Atom::equal(8, 32, low), Atom::equal(12, 16, TYPE.into())];
        let endpoint = Endpoint::open(&filter, NO_CAPABILITY, 8)?;
        Ok(Self { endpoint, me, peer, out: 0, next: 0, message: [0; HEADER + BLOCK_BYTES] })
    }

    /// Sends a message; the bytes of its block are in `self.message` already.
    fn put(&mut self, kind: u8, number: u8, bytes: usize) -> Result<(), Error> {
        let message = &mut self.message;
        message[..6].copy_from_slice(&self.peer);
        message[6..12].copy_from_slice(&self.me);
        message[12..14].copy_from_slice(&TYPE.to_be_bytes());
        message[14..16].copy_from_slice(&[kind, number]);
        message[16..18].copy_from_slice(&(bytes as u16).to_be_bytes());
        // What is shorter than an Ethernet message is filled up.
        send(&message[..(HEADER + bytes).max(60)])
    }

    /// Sends a block and waits until the other end has it.
    ///
    /// # Errors
    /// [`Error::BadArgument`] if it is too long; [`Error::Busy`] if nobody acknowledges it.
    pub fn send(&mut self, block: &[u8]) -> Result<(), Error> {
        if block.len() > BLOCK_BYTES {
            return Err(Error::BadArgument);
        }
        let number = self.out;
        for _ in 0..ATTEMPTS {
            self.message[HEADER..HEADER + block.len()].copy_from_slice(block);
            self.put(BLOCK, number, block.len())?;
            let deadline = call::clock() + PATIENCE;
            while self.endpoint.wait(Some(deadline)) {
                let next = self.next;
                let (kind, of) = self.endpoint.receive(|message| (message[14], message[15])).unwrap_or_default();
                if (kind, of) == (ACKNOWLEDGEMENT, number) {
                    self.out = number.wrapping_add(1);
                    return Ok(());
                }
                // The acknowledgement of an earlier block was lost.
                if kind == BLOCK && of != next {
                    self.put(ACKNOWLEDGEMENT, of, 0)?;
                }
            }
        }
        Err(Error::Busy)
    }

    /// Waits for the next block, until the tick `deadline` if there is one; how many bytes it has.
    ///
    /// # Errors
    /// [`Error::Busy`] if none has come.
    pub fn receive(&mut self, block: &mut [u8; BLOCK_BYTES], deadline: Option<u32>) -> Result<usize, Error> {
        while self.endpoint.wait(deadline) {
            let next = self.next;
            let got = self.endpoint.receive(|message| {
                let bytes = usize::from(u16::from_be_bytes([message[16], message[17]]));
                let contents =
                    message.get(HEADER..HEADER + bytes).filter(|_| message[14] == BLOCK && bytes <= BLOCK_BYTES)?;
                if message[15] == next {
                    block[..bytes].copy_from_slice(contents);
                }
                Some((message[15], bytes))
            });
            let Some((number, bytes)) = got.flatten() else { continue };
            // One that came before is acknowledged again, for its sender does not know.
            self.put(ACKNOWLEDGEMENT, number, 0)?;
            if number == next {
                self.next = next.wrapping_add(1);
                return Ok(bytes);
            }
        }
        Err(Error::Busy)
    }

    /// Ends it.
    pub fn close(self) {
        self.endpoint.close();
    }
}
