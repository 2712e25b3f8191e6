//! Fetches a file by HTTP and writes it to its output: `fetch [http://]HOST[:PORT]/PATH`.

#![no_std]
#![no_main]

use core::fmt::Write;
use exos::process::{arguments, file};
use exos_apps::network::{in_ticks, open, status};
use exos_net::{Fail, Limits};
use heapless::{String, Vec};

exos::process!(main);

/// Ticks in a second.
const SECOND: u32 = 64;
/// The longest head of an answer.
const HEAD: usize = 2048;
/// The longest question.
const QUESTION: usize = 512;

fn main() -> u32 {
    let Some(address) = arguments().nth(1) else {
        exos::complain!("what?");
        return 2;
    };
    status(fetch(address))
}

fn fetch(address: &str) -> Result<(), Fail> {
    let address = address.strip_prefix("http://").unwrap_or(address);
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, port.parse().map_err(|_| Fail::BadMessage)?),
        None => (host, 80),
    };
    let mut question: String<QUESTION> = String::new();
    write!(question, "GET /{path} HTTP/1.0\r\nHost: {host}\r\n\r\n").map_err(|_| Fail::BadMessage)?;

    let mut stack = open(Limits { buffers: 16, ..Limits::default() })?;
    let to = stack.resolve(name, in_ticks(10 * SECOND))?;
    let tcp = stack.tcp(16_384)?;
    stack.connect(tcp, to, port, Some(in_ticks(30 * SECOND)))?;
    stack.write(tcp, question.as_bytes(), Some(in_ticks(30 * SECOND)))?;

    // The head ends with an empty line; behind it is the file.
    let mut head: Vec<u8, HEAD> = Vec::new();
    let mut left = None;
    let mut buffer = [0; 1024];
    let mut in_head = true;
    loop {
        let count = stack.read(tcp, &mut buffer, Some(in_ticks(30 * SECOND)))?;
        if count == 0 {
            break;
        }
        let mut piece = &buffer[..count];
        while in_head && let Some((&byte, rest)) = piece.split_first() {
            head.push(byte).map_err(|_| Fail::BadAnswer)?;
            piece = rest;
            in_head = !head.ends_with(b"\r\n\r\n");
            if !in_head {
                left = length(&head)?;
            }
        }
        if let Some(left) = &mut left {
            piece = &piece[..piece.len().min(*left)];
            *left -= piece.len();
        }
        // Nobody reads it: there is nobody to tell either.
        file::write(file::OUTPUT, piece).map_err(|_| Fail::Closed)?;
    }
    // Who is told how much there is notices what is missing.
    let whole = !in_head && left.is_none_or(|left| left == 0);
    let _ = stack.finish(tcp, Some(in_ticks(SECOND)));
    stack.end();
    if whole { Ok(()) } else { Err(Fail::BadAnswer) }
}

/// How many bytes the file has, if the head says so.
fn length(head: &[u8]) -> Result<Option<usize>, Fail> {
    let head = core::str::from_utf8(head).map_err(|_| Fail::BadAnswer)?;
    let mut lines = head.lines();
    let code = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.split(' ').nth(1)).ok_or(Fail::BadAnswer)?;
    if code != "200" {
        exos::complain!("the server says {code}");
        return Err(Fail::BadAnswer);
    }
    Ok(lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    }))
}
