//! What test programs ask of the station at the other end of their cable, a part of the harness that answers whoever
//! asks: to be sent frames, any frames, so many times. It is the same on every machine.
//!
//! The question is a message to [`PEER`] of the type [`TYPE`]. Numbers in it are big-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 14 | 1 | the asker's choice, so that it has a filter for just this |
//! | 15 | 1 | [`AS_IT_IS`], [`DAMAGED`] |
//! | 16 | 4 | how often |
//! | 20 | 2 | bytes of each frame: its beginning is cut off there, or goes on with bytes that count up |
//! | 22 | 2 | where in it a number of four bytes stands that counts up from 0; 0 for nowhere |
//! | 24 | 2 | bytes of its beginning |
//! | 26 | | how each frame begins |
//!
//! And it is the other end of a round trip: a UDP/IP packet to its [`COUNTER_PORT`], without a checksum of UDP's, comes back from
//! there with 1 added to its first word of data, which is little-endian.

#![allow(dead_code, reason = "not every program needs all of it")]

/// The address of the station.
pub const PEER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// The type of what it is asked.
pub const TYPE: u16 = 0x88b5;
/// The frame is not filled up if it is short.
pub const AS_IT_IS: u8 = 1;
/// Its check sequence is wrong, where there is one.
pub const DAMAGED: u8 = 2;
/// Where the beginning of the frames stands.
pub const TEMPLATE: usize = 26;
/// The port at which it counts.
pub const COUNTER_PORT: u16 = 7002;
/// Where in a packet the counter is.
pub const COUNTER: usize = 42;
