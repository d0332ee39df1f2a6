//! One GET, with limits.
//!
//! Owns the HTTP client, the deadline of a whole fetch, the roots of TLS and the redirects. Leaves
//! the meaning of an answer to its callers. Callers rely on this: an `Authorization` is sent to the
//! server of its request and to no other; nothing is asked over plain HTTP but of this machine, and
//! only where that is allowed; a body is never longer than its limit.

use std::io::Read;
use std::time::{Duration, Instant};

use jiff::fmt::rfc2822;
use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use super::address::Address;
use super::error::Error;
use crate::cli::variables::variable;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(10);

const REDIRECTS: usize = 5;

/// A file of roots that replaces those of this program, as other programs read it.
const ROOTS: &str = "SSL_CERT_FILE";

/// Whether plain HTTP is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Refused,
    /// To loopback addresses.
    ToThisMachine,
}

pub struct Client {
    agent: Agent,
    plain: Plain,
    end: Instant,
    deadline: Duration,
}

/// What is asked for.
pub struct Ask<'a> {
    pub address: &'a Address,
    /// Its name in an error.
    pub what: &'static str,
    /// The most bytes of its body.
    pub most: usize,
    pub accept: Option<&'a str>,
    pub authorization: Option<&'a str>,
}

pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body of a 200; otherwise nothing.
    pub body: Vec<u8>,
    /// Where it is from, after redirects.
    pub from: Address,
}

impl Client {
    /// A client for requests that take so long together.
    pub fn new(plain: Plain, deadline: Duration) -> Result<Client, Error> {
        let mut tls = TlsConfig::builder();
        if let Some(roots) = roots()? {
            tls = tls.root_certs(roots);
        }
        let agent = Agent::config_builder()
            .tls_config(tls.build())
            .timeout_connect(Some(CONNECT.min(deadline)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("serial-gate/", env!("CARGO_PKG_VERSION")))
            .build();
        Ok(Client {
            agent: agent.into(),
            plain,
            end: Instant::now() + deadline,
            deadline,
        })
    }

    /// Whether an address may be asked at all.
    pub fn allows(&self, address: &Address) -> bool {
        let is_here = self.plain == Plain::ToThisMachine && address.is_loopback();
        address.is_https() || is_here
    }

    /// Asks, and follows redirects.
    pub fn get(&self, ask: &Ask<'_>) -> Result<Answer, Error> {
        let mut address = ask.address.clone();
        let mut authorization = ask.authorization;
        for _ in 0..=REDIRECTS {
            let answer = self.get_once(&address, authorization, ask)?;
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let location = answer.headers.get("location");
            let next = location
                .and_then(|location| address.joined(location.to_str().ok()?).ok())
                .ok_or_else(|| Error::Lost(address.to_string()))?;
            if !self.allows(&next) {
                return Err(Error::PlainRedirect {
                    from: address.to_string(),
                    to: next.to_string(),
                });
            }
            if !next.is_at(&address) {
                authorization = None;
            }
            address = next;
        }
        Err(Error::TooManyRedirects(REDIRECTS))
    }

    fn get_once(
        &self,
        address: &Address,
        authorization: Option<&str>,
        ask: &Ask<'_>,
    ) -> Result<Answer, Error> {
        let failed = |cause| self.failed(address, cause);
        let left = self.end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::TooSlow(self.deadline));
        }
        let get = self.agent.get(address.uri());
        let mut get = get.config().timeout_global(Some(left));
        // A proxy cannot reach this machine's own addresses, and would see plain requests to them.
        if address.is_loopback() {
            get = get.proxy(None);
        }
        let mut get = get.build();
        if let Some(accept) = ask.accept {
            get = get.header("accept", accept);
        }
        if let Some(authorization) = authorization {
            get = get.header("authorization", authorization);
        }
        let mut response = get.call().map_err(failed)?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        let mut body = Vec::new();
        if status == 200 {
            let too_large = Error::TooLarge {
                what: ask.what,
                most: ask.most,
            };
            let length = response.body().content_length();
            let most = u64::try_from(ask.most).unwrap_or(u64::MAX);
            if length.is_some_and(|length| length > most) {
                return Err(too_large);
            }
            let mut reader = response.body_mut().as_reader().take(most.saturating_add(1));
            let read = reader.read_to_end(&mut body);
            read.map_err(|cause| failed(cause.into()))?;
            if body.len() > ask.most {
                return Err(too_large);
            }
        }
        Ok(Answer {
            status,
            headers,
            body,
            from: address.clone(),
        })
    }

    fn failed(&self, address: &Address, cause: ureq::Error) -> Error {
        let server = address.server();
        // The deadline may end a read as an error of the connection.
        if Instant::now() >= self.end {
            return Error::TooSlow(self.deadline);
        }
        match cause {
            ureq::Error::Timeout(ureq::Timeout::Global) => Error::TooSlow(self.deadline),
            ureq::Error::Timeout(_) => Error::NoConnection(server),
            ureq::Error::HostNotFound => Error::UnknownHost(server),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => Error::Untrusted {
                server,
                cause: std::io::Error::other(cause),
            },
            ureq::Error::Io(cause) if is_tls(&cause) => Error::Untrusted { server, cause },
            ureq::Error::Io(cause) => Error::Broken { server, cause },
            cause => Error::Broken {
                server,
                cause: std::io::Error::other(cause),
            },
        }
    }
}

impl Answer {
    /// Refuses every other status than 200.
    pub fn success(self) -> Result<Answer, Error> {
        if self.status == 200 {
            return Ok(self);
        }
        let wait = self.headers.get("retry-after");
        let wait = wait.and_then(|wait| wait.to_str().ok()).and_then(readable);
        Err(Error::Status {
            from: self.from.to_string(),
            status: self.status,
            wait,
        })
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// `Retry-After` in words, if it is a number of seconds or a date (RFC 9110, 10.2.3).
fn readable(wait: &str) -> Option<String> {
    let wait = wait.trim();
    if let Ok(seconds) = wait.parse::<u64>() {
        return Some(format!("for {seconds} s"));
    }
    let then = rfc2822::parse(wait).ok()?.timestamp();
    Some(format!("until {}", then.strftime("%Y-%m-%d %H:%M:%S UTC")))
}

fn is_tls(cause: &std::io::Error) -> bool {
    cause.kind() == std::io::ErrorKind::InvalidData
}

/// The roots of the variable, if it is set.
fn roots() -> Result<Option<RootCerts>, Error> {
    let Some(path) = variable(ROOTS) else {
        return Ok(None);
    };
    let unusable = |cause| Error::Roots {
        path: path.clone().into(),
        cause,
    };
    let not = |why: &str| unusable(std::io::Error::other(why));
    let pem = std::fs::read(&path).map_err(unusable)?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(root)) => roots.push(root),
            Ok(_) => {}
            Err(_) => return Err(not("it is not in the PEM format")),
        }
    }
    match roots.is_empty() {
        true => Err(not("it has no certificate")),
        false => Ok(Some(RootCerts::from(roots))),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// Asks a server that begins like this, and then sends a byte from time to time.
    fn asked(beginning: &'static str) -> Result<Answer, Error> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            let mut bytes = beginning.as_bytes();
            while stream.write_all(bytes).is_ok() {
                std::thread::sleep(Duration::from_millis(20));
                bytes = b"x";
            }
        });
        let client = Client::new(Plain::ToThisMachine, Duration::from_millis(300)).unwrap();
        client.get(&Ask {
            address: &Address::parse(&url).unwrap(),
            what: "the component",
            most: 1 << 20,
            accept: None,
            authorization: None,
        })
    }

    #[test]
    fn a_server_that_sends_a_byte_from_time_to_time_is_left_in_the_end() {
        for beginning in [
            "HTTP/1.1 200 ",
            "HTTP/1.1 200 OK\r\nx-header: ",
            "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n",
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            let error = asked(beginning).err().unwrap();
            assert!(matches!(error, Error::TooSlow(_)), "{beginning:?}: {error}");
        }
    }
}
