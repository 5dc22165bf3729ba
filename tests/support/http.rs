//! A small HTTP/1.1 client: one request a connection, and every byte of the answer is there to look at.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use glint::json::Value;

use super::{Broker, parse, shown};

/// Headers as they came.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// Every header of this name.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        let found = self.headers.iter().filter(same);
        found.map(|(_, value)| value.as_str()).collect()
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub head: Head,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value<'static> {
        parse(self.text())
    }
}

/// The body of an answer, taken out of its transfer coding.
#[derive(Debug)]
pub struct Body {
    input: BufReader<TcpStream>,
    framing: Framing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// So many bytes of the chunk are left; none before its head.
    Chunked(Option<u64>),
    /// To the end of the connection.
    Close,
    /// Read to its proper end.
    Done,
}

impl Body {
    /// Tells whether the body came to its proper end: its last chunk, or its whole length.
    pub fn is_complete(&self) -> bool {
        self.framing == Framing::Done
    }

    /// The connection, for those who shut it down.
    pub fn connection(&self) -> &TcpStream {
        self.input.get_ref()
    }

    fn chunk_head(&mut self) -> std::io::Result<u64> {
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(u64::from_str_radix(line.trim_end(), 16)
            .unwrap_or_else(|_| panic!("no chunk: {line:?}")))
    }

    fn line_end(&mut self) -> std::io::Result<()> {
        let mut end = [0; 2];
        self.input.read_exact(&mut end)?;
        assert_eq!(&end, b"\r\n", "a chunk ends with CRLF");
        Ok(())
    }
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.framing == Framing::Chunked(None) {
            let length = self.chunk_head()?;
            self.framing = Framing::Chunked(Some(length));
            if length == 0 {
                self.line_end()?;
                self.framing = Framing::Done;
            }
        }
        let left = match self.framing {
            Framing::Done => return Ok(0),
            Framing::Close => return self.input.read(out),
            Framing::Length(left) | Framing::Chunked(Some(left)) => left,
            Framing::Chunked(None) => 0,
        };
        let room = out.len().min(usize::try_from(left).unwrap());
        let read = self.input.read(&mut out[..room])?;
        if read == 0 && room > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let left = left - read as u64;
        self.framing = match (self.framing, left) {
            (Framing::Length(_), 0) => Framing::Done,
            (Framing::Length(_), left) => Framing::Length(left),
            (_, 0) => {
                self.line_end()?;
                Framing::Chunked(None)
            }
            (_, left) => Framing::Chunked(Some(left)),
        };
        Ok(read)
    }
}

/// Reads the head of an answer from `stream`; `method` says whether a body follows.
pub fn answer_on(stream: TcpStream, method: &str) -> (Head, Body) {
    let mut input = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        let read = input.read_line(&mut line).unwrap();
        assert!(read > 0, "the connection ended before the head: {lines:?}");
        let line = line
            .strip_suffix("\r\n")
            .expect("lines of a head end with CRLF");
        if line.is_empty() {
            break;
        }
        lines.push(line.to_owned());
    }
    let status = lines[0].strip_prefix("HTTP/1.1 ").expect("HTTP/1.1");
    let headers = lines[1..].iter().map(|line| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_owned(), value.to_owned())
    });
    let head = Head {
        status: status[..3].parse().unwrap(),
        headers: headers.collect(),
    };
    let length = head
        .header("content-length")
        .map(|length| length.parse().unwrap());
    let framing = if method == "HEAD" || matches!(head.status, 101 | 204 | 304) {
        Framing::Done
    } else if head.header("transfer-encoding") == Some("chunked") {
        Framing::Chunked(None)
    } else {
        match length {
            Some(0) => Framing::Done,
            Some(length) => Framing::Length(length),
            None => Framing::Close,
        }
    };
    (head, Body { input, framing })
}

impl Broker {
    /// Sends a request and returns the head of the answer with its body still to come.
    pub fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (Head, Body) {
        let mut stream = self.connect();
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address());
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let framed = headers.iter().any(|(name, _)| {
            name.eq_ignore_ascii_case("transfer-encoding")
                || name.eq_ignore_ascii_case("content-length")
        });
        if !framed && (!body.is_empty() || method == "POST") {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        // Whoever refuses a body may stop reading it.
        let _ = stream.write_all(body);
        answer_on(stream, method)
    }

    /// Sends a request and reads the whole answer.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let headers = [headers, &[("Connection", "close")]].concat();
        let (head, mut input) = self.open(method, path, &headers, body);
        let mut body = Vec::new();
        if let Err(err) = input.read_to_end(&mut body) {
            panic!("{method} {path}: {err} after {}", shown(&body));
        }
        Answer { head, body }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub fn post(&self, path: &str, media_type: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", path, &[("Content-Type", media_type)], body.as_ref())
    }

    /// Publishes one glint and returns its cursor.
    pub fn publish(&self, glint: &str) -> String {
        let answer = self.post("/glints", "application/json", glint);
        assert_eq!(answer.status(), 200, "{}", answer.text());
        super::text_at(&answer.json(), &["cursor"]).to_owned()
    }
}

/// The bytes of a body cut into chunks of `size`.
pub fn chunked(body: &[u8], size: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in body.chunks(size) {
        out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
