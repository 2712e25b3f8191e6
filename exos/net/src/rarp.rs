//! RARP: a machine asks for the address that belongs to its interface (RFC 903).

use crate::binding::Binding;
use crate::filter::{Purpose, RARP};
use crate::host::is_machines;
use crate::{Fail, passed};
use exos_rt::call;
use smoltcp::wire::Ipv4Address;

/// Bytes of a message.
const BYTES: usize = 42;
/// Ethernet and IP, and the lengths of their addresses.
const FAMILIES: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// What a message is: a question, or its answer.
const QUESTION: u16 = 3;
const ANSWER: u16 = 4;
/// Ticks between two questions.
const AGAIN: u32 = 64;

/// Asks for this machine's address, each second until the tick `deadline`.
///
/// # Errors
/// [`Fail::TimedOut`]; those of [`Binding::open`].
pub fn ask(binding: &mut Binding, deadline: u32) -> Result<Ipv4Address, Fail> {
    binding.open(Purpose::Rarp)?;
    let station = binding.station();
    let result = loop {
        binding.send(&question(station));
        let next = call::clock().wrapping_add(AGAIN);
        if let Some(address) = listen(binding, next) {
            break Ok(address);
        }
        if passed(deadline) {
            break Err(Fail::TimedOut);
        }
    };
    binding.close(Purpose::Rarp);
    result
}

/// The question: sender and target are this machine.
fn question(station: [u8; 6]) -> [u8; BYTES] {
    let mut message = [0; BYTES];
    message[..6].fill(0xff);
    message[6..12].copy_from_slice(&station);
    message[12..14].copy_from_slice(&RARP.to_be_bytes());
    message[14..20].copy_from_slice(&FAMILIES);
    message[20..22].copy_from_slice(&QUESTION.to_be_bytes());
    message[22..28].copy_from_slice(&station);
    message[32..38].copy_from_slice(&station);
    message
}

/// Waits for the answer.
fn listen(binding: &mut Binding, deadline: u32) -> Option<Ipv4Address> {
    while !passed(deadline) {
        match binding.take(Purpose::Rarp, answer) {
            Some(Some(address)) => return Some(address),
            Some(None) => {}
            None => call::wait(Some(deadline)),
        }
    }
    None
}

/// The address that a message says this machine has. That it is for this machine the filter has seen to.
fn answer(message: &[u8]) -> Option<Ipv4Address> {
    let message = message.first_chunk::<BYTES>()?;
    let good = message[14..20] == FAMILIES && message[20..22] == ANSWER.to_be_bytes();
    let [.., a, b, c, d] = *message;
    let address = Ipv4Address::new(a, b, c, d);
    (good && is_machines(address)).then_some(address)
}
