//! DNS: the address that belongs to a name (RFC 1035), as the network's server for names knows it.

use crate::{Fail, Stack};
use smoltcp::wire::{DnsFlags, DnsPacket, DnsQueryType, DnsQuestion, DnsRcode, DnsRecord, DnsRecordData, Ipv4Address};

/// The port of servers.
const PORT: u16 = 53;
/// Bytes of a message's header.
const HEADER: usize = 12;
/// The longest name, as messages have it.
const NAME: usize = 255;

impl Stack {
    /// The address of a name, or of what is an address already. Asks again and again until the tick `deadline`.
    ///
    /// # Errors
    /// [`Fail::BadMessage`] if the text is no name; [`Fail::NoName`] if it has no address, or nobody is known who could
    /// know; [`Fail::TimedOut`]; those of [`Stack::udp`].
    pub fn resolve(&mut self, name: &str, deadline: u32) -> Result<Ipv4Address, Fail> {
        if let Ok(address) = name.parse() {
            return Ok(address);
        }
        let server = self.host().and_then(|host| host.names).ok_or(Fail::NoName)?;
        let mut buffer = [0; HEADER + NAME + 4];
        let question = question(&mut buffer, self.random() as u16, name).ok_or(Fail::BadMessage)?;
        self.ask((server, PORT), question, deadline, |message| answer(message, question))
    }
}

/// The question for the address of a name; none if it is no name.
fn question<'a>(buffer: &'a mut [u8; HEADER + NAME + 4], identifier: u16, name: &str) -> Option<&'a [u8]> {
    let mut end = HEADER;
    for label in name.trim_end_matches('.').split('.') {
        let good = (1..64).contains(&label.len()) && end + 1 + label.len() < HEADER + NAME;
        if !good {
            return None;
        }
        buffer[end] = label.len() as u8;
        buffer[end + 1..][..label.len()].copy_from_slice(label.as_bytes());
        end += 1 + label.len();
    }
    buffer[end..end + 5].copy_from_slice(&[0, 0, 1, 0, 1]); // the name's end; an address; of the Internet
    let question = &mut buffer[..end + 5];
    let mut packet = DnsPacket::new_checked(&mut *question).ok()?;
    packet.set_transaction_id(identifier);
    packet.set_flags(DnsFlags::RECURSION_DESIRED);
    packet.set_question_count(1);
    Some(question)
}

/// What a message says to a question: nothing, if it is not its answer.
fn answer(message: &[u8], question: &[u8]) -> Option<Result<Ipv4Address, Fail>> {
    let packet = DnsPacket::new_checked(message).ok()?;
    let asked = DnsPacket::new_checked(question).ok()?;
    let is_answer = packet.flags().contains(DnsFlags::RESPONSE)
        && packet.transaction_id() == asked.transaction_id()
        && packet.question_count() == 1;
    if !is_answer {
        return None;
    }
    let (rest, DnsQuestion { type_, .. }) = DnsQuestion::parse(packet.payload()).ok()?;
    let repeated = &packet.payload()[..packet.payload().len() - rest.len()];
    if !repeated.eq_ignore_ascii_case(asked.payload()) || type_ != DnsQueryType::A {
        return None;
    }
    if packet.rcode() != DnsRcode::NoError {
        return Some(Err(Fail::NoName));
    }
    // Of a chain of names the server has sent all that it knows; its end is the address.
    let mut rest = rest;
    for _ in 0..packet.answer_record_count() {
        let Ok((next, record)) = DnsRecord::parse(rest) else { break };
        if let DnsRecordData::A(address) = record.data {
            return Some(Ok(address));
        }
        rest = next;
    }
    Some(Err(Fail::NoName))
}
