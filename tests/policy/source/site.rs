//! A server of a test's own on this machine, plain or with TLS, and the authority of its
//! certificate.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::support::{Gate, Ran};

/// A request, without its body.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: String,
}

impl Seen {
    /// The value of `Authorization`, or nothing.
    pub fn authorization(&self) -> &str {
        let lines = self.headers.lines();
        let mut values = lines.filter_map(|line| line.strip_prefix("authorization: "));
        values.next().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Default)]
pub struct Reply {
    status: u16,
    headers: String,
    body: Vec<u8>,
    is_endless: bool,
}

/// 200 with this body.
pub fn ok(body: impl Into<Vec<u8>>) -> Reply {
    let (status, body) = (200, body.into());
    Reply {
        status,
        body,
        ..Reply::default()
    }
}

/// Another status, with a body that nobody should take for the right one.
pub fn status(status: u16) -> Reply {
    Reply {
        status,
        ..ok("<html>no</html>")
    }
}

/// A redirect.
pub fn to(location: impl AsRef<str>) -> Reply {
    status(307).with("location", location.as_ref())
}

/// 200 with a body that does not end.
pub fn endless() -> Reply {
    Reply {
        is_endless: true,
        ..ok("x".repeat(64 << 10)).with("transfer-encoding", "chunked")
    }
}

impl Reply {
    pub fn with(mut self, name: &str, value: &str) -> Reply {
        self.headers += &format!("{name}: {value}\r\n");
        self
    }

    fn send(&self, mut stream: impl Write) -> std::io::Result<()> {
        let Reply {
            status,
            headers,
            body,
            ..
        } = self;
        write!(
            stream,
            "HTTP/1.1 {status} Said\r\nconnection: close\r\n{headers}"
        )?;
        if !headers.contains("transfer-encoding") && !headers.contains("content-length") {
            write!(stream, "content-length: {}\r\n", body.len())?;
        }
        write!(stream, "\r\n")?;
        if self.is_endless {
            loop {
                write!(stream, "{:x}\r\n", body.len())?;
                stream.write_all(body)?;
                write!(stream, "\r\n")?;
            }
        }
        stream.write_all(body)?;
        stream.flush()
    }
}

/// It runs until the test's process ends.
pub struct Site {
    /// `HOST:PORT`.
    pub server: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Site {
    pub fn plain(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Site {
        Site::new("127.0.0.1", None, reply)
    }

    /// With a certificate for `localhost`.
    pub fn tls(
        authority: &Authority,
        reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Site {
        Site::new("localhost", Some(authority.server()), reply)
    }

    fn new(
        host: &str,
        tls: Option<Arc<ServerConfig>>,
        reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Site {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let site = Site {
            server: format!("{host}:{}", listener.local_addr().unwrap().port()),
            seen: Arc::default(),
        };
        let (seen, reply) = (Arc::clone(&site.seen), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, reply, tls) = (Arc::clone(&seen), Arc::clone(&reply), tls.clone());
                std::thread::spawn(move || {
                    let stream = stream.unwrap();
                    let reply = |request: Seen| {
                        seen.lock().unwrap().push(request.clone());
                        reply(&request)
                    };
                    // A client that has seen enough, or too little, breaks the connection.
                    let _ = match tls {
                        None => serve(stream, reply),
                        Some(tls) => {
                            let connection = ServerConnection::new(tls).unwrap();
                            serve(StreamOwned::new(connection, stream), reply)
                        }
                    };
                });
            }
        });
        site
    }

    /// The requests until now.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The paths of the requests until now.
    pub fn paths(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.path).collect()
    }
}

fn serve(stream: impl Read + Write, reply: impl Fn(Seen) -> Reply) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let first = lines.first().cloned().unwrap_or_default();
    let request = Seen {
        path: first.split(' ').nth(1).unwrap_or_default().into(),
        headers: lines[1..].join("\n"),
    };
    reply(request).send(reader.get_mut())
}

/// An authority, and a server's certificate of it.
pub struct Authority(tempfile::TempDir);

impl Authority {
    pub fn new() -> Authority {
        let folder = tempfile::tempdir().unwrap();
        let curve = "req -x509 -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for line in [
            "-subj /CN=authority -keyout ca.key -out ca.crt",
            "-subj /CN=localhost -keyout server.key -out server.crt -CA ca.crt -CAkey ca.key \
             -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE",
        ] {
            let mut openssl = Command::new("openssl");
            openssl
                .args(curve.split(' '))
                .args(line.split_whitespace())
                .current_dir(folder.path());
            Ran::from(openssl.output().unwrap()).succeeds();
        }
        Authority(folder)
    }

    fn server(&self) -> Arc<ServerConfig> {
        let path = |name: &str| self.0.path().join(name);
        let certificate = CertificateDer::from_pem_file(path("server.crt")).unwrap();
        let key = PrivateKeyDer::from_pem_file(path("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_no_client_auth();
        Arc::new(config.with_single_cert(vec![certificate], key).unwrap())
    }

    /// The gate, whose fetches trust this authority.
    pub fn trusted_by(&self, gate: Gate) -> Gate {
        let roots = std::fs::read(self.0.path().join("ca.crt")).unwrap();
        gate.write("roots.pem", roots);
        gate.with_environment(vec![("SSL_CERT_FILE", "roots.pem".into())])
    }
}

/// The gate with a configuration of docker's.
pub fn with_docker(gate: Gate, config: &str) -> Gate {
    let folder = gate.path("docker");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("config.json"), config).unwrap();
    let folder: OsString = folder.into();
    gate.with_environment(vec![("DOCKER_CONFIG", folder)])
}
