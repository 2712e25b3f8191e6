//! Serves the files of the boot archive by HTTP: `httpd [PORT [COUNT]]`, port 80 if none is named, and COUNT requests before
//! it ends, if that is named. `/` is a list of them.
//!
//! Files are sent from where they are; nothing of them is copied but into the memory of connections.

#![no_std]
#![no_main]

use core::fmt::Write;
use exos::process::file::content;
use exos_apps::network::{in_ticks, open, status};
use exos_apps::number;
use exos_net::{Fail, Limits, Memory, Stack, Tcp};
use exos_rt::archive;
use heapless::{String, Vec};

exos::process!(main);

/// Connections at once.
const VISITORS: usize = 16;
/// Bytes for each direction of one.
const BYTES: usize = 4096;
/// The longest request.
const REQUEST: usize = 1024;
/// The longest head of an answer, with the list of files.
const HEAD: usize = 2048;
/// Ticks that a visitor has.
const PATIENCE: u32 = 64 * 60;

static MEMORY: Memory<{ (VISITORS + 1) * size_of::<Visitor>() }> = Memory::new();

/// A connection.
struct Visitor {
    tcp: Tcp,
    request: Vec<u8, REQUEST>,
    answer: Option<Answer>,
    /// The tick at which it has taken too long; none before it has come.
    deadline: Option<u32>,
}

/// What is being sent.
struct Answer {
    head: String<HEAD>,
    body: &'static [u8],
    /// Bytes of both that were handed over.
    sent: usize,
}

fn main() -> u32 {
    status(serve(number(1).map_or(80, |port| port as u16), number(2)))
}

fn serve(port: u16, count: Option<u32>) -> Result<(), Fail> {
    // A filter for each connection, for the port, for who is found, and for questions.
    let limits = Limits { sockets: VISITORS, filters: VISITORS + 5, buffers: 6 };
    let mut stack = open(limits)?;
    let mut sockets: Vec<Tcp, VISITORS> = Vec::new();
    for _ in 0..VISITORS {
        let tcp = stack.tcp(BYTES)?;
        stack.listen(tcp, port)?;
        let _ = sockets.push(tcp);
    }
    // They are too large for the stack.
    let new =
        || Visitor { tcp: sockets.pop().expect("each has one"), request: Vec::new(), answer: None, deadline: None };
    let visitors = MEMORY.claim().take(VISITORS, new).ok_or(Fail::NoRoom)?;
    let mut served = 0;
    while count.is_none_or(|count| served < count) {
        let mut busy = false;
        for visitor in visitors.iter_mut() {
            match visitor.attend(&mut stack) {
                Some(true) => {
                    served += 1;
                    busy = true;
                }
                Some(false) => busy = true,
                None => {}
            }
            if !stack.socket(visitor.tcp).is_open() {
                visitor.welcome(&mut stack, port)?;
            }
        }
        if busy {
            stack.poll();
        } else {
            stack.step(Some(in_ticks(PATIENCE)));
        }
    }
    for visitor in visitors.iter() {
        if !stack.socket(visitor.tcp).is_listening() {
            let _ = stack.finish(visitor.tcp, Some(in_ticks(64)));
        }
    }
    stack.end();
    Ok(())
}

impl Visitor {
    /// Waits for the next one.
    fn welcome(&mut self, stack: &mut Stack, port: u16) -> Result<(), Fail> {
        self.request.clear();
        (self.answer, self.deadline) = (None, None);
        stack.listen(self.tcp, port)
    }

    /// Does what can be done now: whether that is all that was to be done, and none if there was nothing.
    fn attend(&mut self, stack: &mut Stack) -> Option<bool> {
        if !stack.accepted(self.tcp) {
            return None;
        }
        let deadline = *self.deadline.get_or_insert_with(|| in_ticks(PATIENCE));
        if (in_ticks(0).wrapping_sub(deadline) & 0x4000_0000) == 0 {
            stack.abort(self.tcp);
            return Some(false);
        }
        if self.answer.is_none() {
            return self.read(stack);
        }
        let answer = self.answer.as_mut()?;
        let socket = stack.socket(self.tcp);
        let head = answer.head.as_bytes();
        let rest = match head.get(answer.sent..) {
            Some(rest @ [_, ..]) => rest,
            _ => &answer.body[answer.sent - head.len()..],
        };
        if rest.is_empty() {
            return None;
        }
        match socket.send_slice(rest) {
            Ok(0) => None,
            Ok(count) => {
                answer.sent += count;
                let all = answer.sent == head.len() + answer.body.len();
                if all {
                    socket.close();
                }
                Some(all)
            }
            Err(_) => {
                socket.abort();
                Some(false)
            }
        }
    }

    /// Reads the request.
    fn read(&mut self, stack: &mut Stack) -> Option<bool> {
        let mut piece = [0; 256];
        let socket = stack.socket(self.tcp);
        let Ok(count) = socket.recv_slice(&mut piece) else {
            // It ended without a request.
            socket.abort();
            return Some(false);
        };
        if count == 0 {
            return None;
        }
        let whole = match self.request.extend_from_slice(&piece[..count]) {
            Ok(()) => self.request.windows(4).any(|end| end == b"\r\n\r\n"),
            Err(_) => true,
        };
        if whole {
            self.answer = Some(answer(&self.request));
        }
        Some(false)
    }
}

/// The answer to a request.
fn answer(request: &[u8]) -> Answer {
    let line = request.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let mut words = core::str::from_utf8(line).unwrap_or_default().split(' ');
    let (method, path) = (words.next(), words.next().and_then(|path| path.strip_prefix('/')));
    let mut head = String::new();
    let mut body: &'static [u8] = &[];
    // What is written always has room: names are short, and of a list only so much is taken as there is room for.
    let _ = match (method, path) {
        (Some("GET" | "HEAD"), Some("")) => list(&mut head),
        (Some(method @ ("GET" | "HEAD")), Some(path)) => match archive::find(path) {
            Some(file) => {
                let content = content(&file);
                if method == "GET" {
                    body = content;
                }
                write!(head, "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", content.len())
            }
            None => write!(head, "HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n"),
        },
        _ => write!(head, "HTTP/1.0 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
    };
    Answer { head, body, sent: 0 }
}

/// Writes a list of all files.
fn list(head: &mut String<HEAD>) -> core::fmt::Result {
    write!(head, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n")?;
    for file in archive::files() {
        if head.len() + file.name.len() < HEAD {
            writeln!(head, "{}", file.name)?;
        }
    }
    Ok(())
}
