//! What the programs share that visit a server of the web: heads of answers, and what is behind them.

use crate::in_seconds;
use exos_net::{Stack, Tcp};

/// How long a server may be silent, in seconds.
const PATIENCE: u32 = 60;
/// The longest head.
const HEAD: usize = 256;

/// The head of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub status: u32,
    /// Bytes behind it.
    pub bytes: usize,
    /// Whether the connection ends behind them.
    pub ends: bool,
}

/// Asks for something, or for several.
#[track_caller]
pub fn ask(stack: &mut Stack, tcp: Tcp, request: &[u8]) {
    stack.write(tcp, request, Some(in_seconds(PATIENCE))).unwrap();
}

/// Reads the next answer's head.
#[track_caller]
pub fn head(stack: &mut Stack, tcp: Tcp) -> Head {
    let (mut text, mut used) = ([0; HEAD], 0);
    while !text[..used].ends_with(b"\r\n\r\n") {
        let count = stack.read(tcp, &mut text[used..=used], Some(in_seconds(PATIENCE))).unwrap();
        assert_ne!(count, 0, "the connection ends behind {:?}", core::str::from_utf8(&text[..used]));
        used += count;
    }
    let text = core::str::from_utf8(&text[..used]).unwrap();
    let status = text.strip_prefix("HTTP/1.1 ").unwrap().split(' ').next().unwrap().parse().unwrap();
    let field = |name: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(field, _)| *field == name).map(|(_, value)| value)
    };
    let bytes = field("Content-Length").expect("each answer says how long it is").parse().unwrap();
    Head { status, bytes, ends: field("Connection") == Some("close") }
}

/// Reads the next answer, which has this behind its head.
#[track_caller]
pub fn answer(stack: &mut Stack, tcp: Tcp, content: &[u8]) -> Head {
    let head = head(stack, tcp);
    assert_eq!((head.status, head.bytes), (200, content.len()));
    let (mut piece, mut rest) = ([0; 512], content);
    while !rest.is_empty() {
        let wanted = rest.len().min(piece.len());
        let count = stack.read(tcp, &mut piece[..wanted], Some(in_seconds(PATIENCE))).unwrap();
        let at = content.len() - rest.len();
        assert!(count != 0 && rest.starts_with(&piece[..count]), "wrong bytes, or none, behind {at}");
        rest = &rest[count..];
    }
    head
}

/// The connection ends here.
#[allow(dead_code, reason = "not every program needs it")]
#[track_caller]
pub fn end(stack: &mut Stack, tcp: Tcp) {
    assert_eq!(stack.read(tcp, &mut [0], Some(in_seconds(PATIENCE))), Ok(0), "the connection does not end");
    stack.finish(tcp, Some(in_seconds(PATIENCE))).unwrap();
}
