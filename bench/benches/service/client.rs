//! A client that keeps its connection and does as little as possible, because its own time counts
//! as the service's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

/// One connection.
pub struct Client {
    stream: TcpStream,
    answers: BufReader<TcpStream>,
    request: String,
    body: Vec<u8>,
}

impl Client {
    pub fn new(address: &str) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            answers: BufReader::new(stream.try_clone().unwrap()),
            stream,
            request: String::new(),
            body: Vec::new(),
        }
    }

    /// Sends a request, and waits for the status and the body of the answer; `None` when the
    /// service ends.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> Option<(u16, &[u8])> {
        use std::fmt::Write as _;
        self.request.clear();
        write!(
            self.request,
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        self.stream.write_all(self.request.as_bytes()).ok()?;
        self.answer()
    }

    fn answer(&mut self) -> Option<(u16, &[u8])> {
        let mut line = String::new();
        self.answers.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().unwrap();
        let mut length = 0;
        loop {
            line.clear();
            self.answers.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(": ") else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
        }
        self.body.resize(length, 0);
        self.answers.read_exact(&mut self.body).unwrap();
        Some((status, &self.body))
    }

    /// Asks for something that is there, and reads the answer.
    pub fn json(&mut self, method: &str, path: &str, body: &str) -> Value {
        let (status, body) = self.ask(method, path, body).expect("an answer");
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {}",
            String::from_utf8_lossy(body)
        );
        serde_json::from_slice(body).unwrap()
    }
}
