//! An HTTP server on this machine that gives prepared answers, and keeps the requests.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;

/// The answer to a request. After the last prepared answer, it accepts every request.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    Status(u16),
    /// 429, with `Retry-After` in seconds.
    TooMany(u64),
    /// 429 as Telegram reports it: in the body.
    TooManyInBody(u64),
    /// This status, with this body.
    Says(u16, &'static str),
    /// 400, with which Telegram reports that a chat has a new number.
    Moved(i64),
    /// A redirect to another address.
    Elsewhere,
    /// No answer, and the connection stays open.
    Hang,
    /// No answer, and the connection is closed.
    Drop,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> &str {
        let named = |(header, _): &&(String, String)| header.eq_ignore_ascii_case(name);
        &self.headers.iter().find(named).expect(name).1
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

#[derive(Default)]
struct Shared {
    answers: Mutex<VecDeque<Answer>>,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
}

/// It runs until the test's process ends.
#[derive(Clone)]
pub struct Endpoint {
    pub url: String,
    shared: Arc<Shared>,
}

impl Endpoint {
    pub fn new(answers: &[Answer]) -> Endpoint {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            answers: Mutex::new(answers.iter().copied().collect()),
            ..Shared::default()
        });
        let endpoint = Endpoint { url, shared };
        let server = endpoint.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream.unwrap()));
            }
        });
        endpoint
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until this many requests have arrived.
    pub fn wait_for(&self, requests: usize) -> Vec<Request> {
        let lock = self.shared.requests.lock().unwrap();
        let too_few = |arrived: &mut Vec<Request>| arrived.len() < requests;
        let patience = Duration::from_secs(120);
        let (arrived, waited) = self
            .shared
            .arrived
            .wait_timeout_while(lock, patience, too_few)
            .unwrap();
        assert!(!waited.timed_out(), "{} of {requests}", arrived.len());
        arrived.clone()
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read(&mut reader) {
            let answer = self.shared.answers.lock().unwrap().pop_front();
            self.shared.requests.lock().unwrap().push(request);
            self.shared.arrived.notify_all();
            let (status, header, body) = match answer.unwrap_or(Answer::Status(200)) {
                Answer::Status(status) => (status, String::new(), "{}".to_owned()),
                Answer::Says(status, body) => (status, String::new(), body.to_owned()),
                Answer::TooMany(seconds) => {
                    (429, format!("Retry-After: {seconds}\r\n"), "{}".into())
                }
                Answer::TooManyInBody(seconds) => (
                    429,
                    String::new(),
                    format!(
                        r#"{{"ok":false,"description":"Too Many Requests","parameters":{{"retry_after":{seconds}}}}}"#
                    ),
                ),
                Answer::Moved(chat) => (
                    400,
                    String::new(),
                    format!(
                        r#"{{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{{"migrate_to_chat_id":{chat}}}}}"#
                    ),
                ),
                Answer::Elsewhere => (
                    307,
                    format!("Location: {}/elsewhere\r\n", self.url),
                    "".into(),
                ),
                Answer::Hang => loop {
                    std::thread::park();
                },
                Answer::Drop => return,
            };
            let length = body.len();
            let _ = write!(
                &stream,
                "HTTP/1.1 {status} Said\r\n{header}Content-Length: {length}\r\n\r\n{body}"
            );
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned()).filter(|_| !line.is_empty())
    };
    let path = line()?.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    while let Some((name, value)) = line()?.split_once(": ") {
        headers.push((name.to_owned(), value.to_owned()));
    }
    let mut request = Request {
        path,
        headers,
        body: String::new(),
    };
    let length = request.header("content-length").parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}
