//! What visitors of a server of the web ask for, by HTTP 1.0 and 1.1 (RFC 9112): requests without contents, and the heads of
//! answers.

use core::fmt::{Result as Written, Write};
use heapless::Vec;

/// How an answer begins that is not the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It is.
    Good,
    /// The request is none.
    BadRequest,
    /// The file is not to be had.
    Forbidden,
    /// There is no such file.
    NotFound,
    /// The request is too long.
    TooLong,
    /// Something else is to be done than to send a file.
    NotImplemented,
    /// Who has the file can't be understood.
    BadGateway,
    /// Who has the file does not answer.
    GatewayTimeout,
    /// The request is of another version of HTTP.
    Version,
}

impl Status {
    /// As an answer has it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Good => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::Forbidden => "403 Forbidden",
            Self::NotFound => "404 Not Found",
            Self::TooLong => "431 Request Header Fields Too Large",
            Self::NotImplemented => "501 Not Implemented",
            Self::BadGateway => "502 Bad Gateway",
            Self::GatewayTimeout => "504 Gateway Timeout",
            Self::Version => "505 HTTP Version Not Supported",
        }
    }
}

/// What becomes of the connection when a request is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum After {
    /// It stays for the next one, as since HTTP 1.1.
    Stays,
    /// It stays, as one of before HTTP 1.1 has asked for.
    StaysAsAsked,
    /// It ends.
    Ends,
}

/// A request: a file is to be sent, or only the head of the answer that has the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request<const PATH: usize> {
    /// Whether only the head is wanted.
    pub head_only: bool,
    /// The file, without the slash at the beginning. No part of it leads upwards.
    pub path: Vec<u8, PATH>,
    /// What becomes of the connection.
    pub after: After,
}

/// How many of these bytes are the first request, its empty line included; none if its end has not come.
#[must_use]
pub fn whole(bytes: &[u8]) -> Option<usize> {
    let start = bytes.len() - without_empty_lines(bytes).len();
    let mut empty = start;
    for (at, &byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'\n' if empty == at && at != start => return Some(at + 1),
            b'\n' => empty = at + 1,
            b'\r' if empty == at => empty = at + 1,
            _ => {}
        }
    }
    None
}

/// Some send an empty line too many behind a request.
fn without_empty_lines(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(bytes.len());
    &bytes[start..]
}

impl<const PATH: usize> Request<PATH> {
    /// Reads what [`whole`] has found.
    ///
    /// # Errors
    /// The answer, after which the connection ends: where the next request would begin is not known then.
    pub fn read(bytes: &[u8]) -> Result<Self, Status> {
        let text = core::str::from_utf8(without_empty_lines(bytes)).map_err(|_| Status::BadRequest)?;
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(Status::BadRequest);
        };
        let is_new = match version.strip_prefix("HTTP/") {
            Some("1.0") => false,
            Some(version) if version.len() == 3 && version.starts_with("1.") => true,
            Some(_) => return Err(Status::Version),
            None => return Err(Status::BadRequest),
        };
        let head_only = match method {
            "GET" => false,
            "HEAD" => true,
            _ => return Err(Status::NotImplemented),
        };
        let (mut hosts, mut closes, mut stays, mut has_content) = (0, false, false, false);
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(Status::BadRequest)?;
            let is = |other: &str| name.eq_ignore_ascii_case(other);
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(Status::BadRequest);
            } else if is("host") {
                hosts += 1;
            } else if is("content-length") {
                has_content |= value.trim() != "0";
            } else if is("transfer-encoding") {
                has_content = true;
            } else if is("connection") {
                for wish in value.split(',').map(str::trim) {
                    closes |= wish.eq_ignore_ascii_case("close");
                    stays |= wish.eq_ignore_ascii_case("keep-alive");
                }
            }
        }
        if hosts > 1 || is_new && hosts == 0 {
            return Err(Status::BadRequest);
        }
        let after = match (is_new, stays) {
            // What follows is no request.
            _ if closes || has_content => After::Ends,
            (true, _) => After::Stays,
            (false, true) => After::StaysAsAsked,
            (false, false) => After::Ends,
        };
        Ok(Self { head_only, path: path(target)?, after })
    }
}

/// The path of what is asked for: without a server's name before it and a question behind it, and with the bytes that `%` and two
/// digits stand for.
fn path<const PATH: usize>(target: &str) -> Result<Vec<u8, PATH>, Status> {
    let target = match target.strip_prefix("http://") {
        Some(address) => address.find('/').map_or("/", |slash| &address[slash..]),
        None => target,
    };
    let (target, _) = target.split_once(['?', '#']).unwrap_or((target, ""));
    let mut rest = target.strip_prefix('/').ok_or(Status::BadRequest)?.bytes();
    let mut path = Vec::new();
    while let Some(byte) = rest.next() {
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let byte = match byte {
            b'%' => digit().zip(digit()).map(|(high, low)| (high << 4 | low) as u8).ok_or(Status::BadRequest)?,
            byte => byte,
        };
        path.push(byte).map_err(|_| Status::NotFound)?;
    }
    // Nothing outside of what is served has a name here.
    if path.contains(&0) || path.split(|&byte| byte == b'/').any(|part| part == b"..") {
        return Err(Status::NotFound);
    }
    Ok(path)
}

/// Writes the head of an answer behind which so many bytes follow, which are text or are what they are.
///
/// # Errors
/// If there is no room for it: 160 bytes are enough.
pub fn head(to: &mut impl Write, status: Status, bytes: u64, is_text: bool, after: After) -> Written {
    write!(to, "HTTP/1.1 {}\r\nContent-Length: {bytes}\r\n", status.text())?;
    if is_text {
        write!(to, "Content-Type: text/plain\r\n")?;
    }
    match after {
        After::Stays => {}
        After::StaysAsAsked => write!(to, "Connection: keep-alive\r\n")?,
        After::Ends => write!(to, "Connection: close\r\n")?,
    }
    write!(to, "\r\n")
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec;
    use std::vec::Vec as List;

    fn read(text: &str) -> Result<(bool, String, After), Status> {
        assert_eq!(whole(text.as_bytes()), Some(text.len()), "{text:?}");
        let Request { head_only, path, after } = Request::<16>::read(text.as_bytes())?;
        Ok((head_only, String::from_utf8_lossy(&path).into_owned(), after))
    }

    #[test]
    fn what_clients_send_is_understood() {
        let good = |head_only, path: &str, after| Ok((head_only, String::from(path), after));
        assert_eq!(read("GET / HTTP/1.0\r\n\r\n"), good(false, "", After::Ends));
        assert_eq!(read("HEAD /a/b HTTP/1.1\r\nHost: x\r\n\r\n"), good(true, "a/b", After::Stays));
        assert_eq!(read("\r\n\nGET /a HTTP/1.1\nhost:x\nX: y\n\n"), good(false, "a", After::Stays));
        let connection =
            |version, wish| read(&std::format!("GET / HTTP/{version}\r\nHost:\r\nConnection: {wish}\r\n\r\n"));
        assert_eq!(connection("1.0", "Keep-Alive"), good(false, "", After::StaysAsAsked));
        assert_eq!(connection("1.1", "keep-alive"), good(false, "", After::Stays));
        assert_eq!(connection("1.1", "TE , Close"), good(false, "", After::Ends));
        assert_eq!(connection("1.0", "keep-alive, close"), good(false, "", After::Ends));
        assert_eq!(connection("1.9", ""), good(false, "", After::Stays));
        for (target, path) in [
            ("/a%20b%2f%C3%a4", "a b/ä"),
            ("/a?b=/../c", "a"),
            ("http://x:80/a", "a"),
            ("http://x", ""),
            ("/..a/b..", "..a/b.."),
        ] {
            assert_eq!(
                read(&std::format!("GET {target} HTTP/1.0\r\n\r\n")),
                good(false, path, After::Ends),
                "{target}"
            );
        }
        // Behind a request with contents the connection ends.
        for content in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
            let text = std::format!("GET / HTTP/1.1\r\nHost: x\r\n{content}\r\n\r\n");
            assert_eq!(read(&text), good(false, "", After::Ends));
        }
        assert_eq!(read("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"), good(false, "", After::Stays));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (text, status) in [
            ("GET /\r\n\r\n", Status::BadRequest),
            ("GET  / HTTP/1.0\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0 x\r\n\r\n", Status::BadRequest),
            ("GET / SMTP\r\n\r\n", Status::BadRequest),
            ("GET a HTTP/1.0\r\n\r\n", Status::BadRequest),
            ("GET /%0 HTTP/1.0\r\n\r\n", Status::BadRequest),
            ("GET /%zz HTTP/1.0\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.1\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\nno field\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\nHost : a\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/1.0\r\n: a\r\n\r\n", Status::BadRequest),
            ("GET / HTTP/2.0\r\n\r\n", Status::Version),
            ("POST / HTTP/1.0\r\n\r\n", Status::NotImplemented),
            ("get / HTTP/1.0\r\n\r\n", Status::NotImplemented),
            ("GET /../a HTTP/1.0\r\n\r\n", Status::NotFound),
            ("GET /a/%2e%2E HTTP/1.0\r\n\r\n", Status::NotFound),
            ("GET /a%00b HTTP/1.0\r\n\r\n", Status::NotFound),
            ("GET /a%2f..%2fb HTTP/1.0\r\n\r\n", Status::NotFound),
            ("GET /12345678901234567 HTTP/1.0\r\n\r\n", Status::NotFound),
        ] {
            assert_eq!(read(text), Err(status), "{text:?}");
        }
        assert_eq!(Request::<16>::read(b"GET /\xff HTTP/1.0\r\n\r\n"), Err(Status::BadRequest));
        assert_eq!(Request::<16>::read(b""), Err(Status::BadRequest));
    }

    #[test]
    fn requests_end_with_an_empty_line() {
        for text in ["", "\r\n", "\r\n\r\n\n", "GET", "GET / HTTP/1.0\r\n", "GET / HTTP/1.0\r\nA: b\r\n\r", "a\nb\n"] {
            assert_eq!(whole(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(whole(b"\na\n\nb\n\n"), Some(4));
    }

    #[test]
    fn heads_say_what_follows() {
        let mut text = String::new();
        head(&mut text, Status::Good, 7, true, After::Ends).unwrap();
        head(&mut text, Status::NotFound, 0, false, After::StaysAsAsked).unwrap();
        head(&mut text, Status::Good, 1, false, After::Stays).unwrap();
        let expected = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
            HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n\
            HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n";
        assert_eq!(text, expected);
        text.clear();
        head(&mut text, Status::TooLong, u64::MAX, true, After::StaysAsAsked).unwrap();
        assert!(text.len() <= 160);
    }

    proptest! {
        /// Whatever comes, in whatever pieces, is read to the same ends or refused.
        #[test]
        fn nothing_is_too_bad_to_be_read(
            words in prop::collection::vec(
                prop_oneof![
                    Just("GET"), Just("HEAD"), Just(" "), Just("/"), Just("%2"), Just("HTTP/1.1"), Just("\r\n"), Just("\n"),
                    Just("Host: "), Just("Connection:"), Just("close"), Just(".."), Just("\r"), Just("é"), Just("GET / HTTP/1.0\r\n\r\n"),
                ],
                0..30,
            ),
            bytes in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let text: List<u8> = words.concat().into_bytes().into_iter().chain(bytes).collect();
            let mut rest = &text[..];
            while let Some(end) = whole(rest) {
                prop_assert!((2..=rest.len()).contains(&end));
                // It is not whole before.
                prop_assert!((0..end).all(|end| whole(&rest[..end]).is_none()));
                let _ = Request::<8>::read(&rest[..end]);
                rest = &rest[end..];
            }
        }

        #[test]
        fn pipelined_requests_are_told_apart(paths in prop::collection::vec("[a-z]{0,9}", 1..6)) {
            let text: String =
                paths.iter().map(|path| std::format!("GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n")).collect();
            let mut rest = text.as_bytes();
            for path in &paths {
                let end = whole(rest).unwrap();
                prop_assert_eq!(&Request::<16>::read(&rest[..end]).unwrap().path, path.as_bytes());
                rest = &rest[end..];
            }
            prop_assert!(rest.is_empty());
        }
    }
}
