//! Why a component was not fetched, and what to do about it.
//!
//! Callers rely on this: a text has no secret. An address is shown without its query, and nothing
//! of a body is shown but media types and digests.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::digest::Sha256;

/// A source that gives no component.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The argument.
    #[error("plain `http://` is not used, because anybody on the way can change what it carries")]
    Plain,
    #[error("it is not an address that can be asked: {why}")]
    NotAnAddress { why: &'static str },
    #[error("it is not a reference to a registry: {why}")]
    NotAReference { why: &'static str },
    #[error("`{0}` is not a SHA-256, which has 64 hexadecimal digits")]
    NotADigest(String),
    #[error("a component from a URL needs `--sha256`, so that it is the one that you mean")]
    NoDigest,
    #[error("{what} has the digest {found}, and not {expected}")]
    OtherDigest {
        what: &'static str,
        expected: Sha256,
        found: Sha256,
    },
    /// The connection.
    #[error("there is no host `{0}`")]
    UnknownHost(String),
    #[error("`{0}` did not answer in time")]
    NoConnection(String),
    #[error("the connection to `{server}` failed")]
    Broken {
        server: String,
        #[source]
        cause: io::Error,
    },
    #[error("`{server}` did not prove who it is")]
    Untrusted {
        server: String,
        #[source]
        cause: io::Error,
    },
    #[error("the roots in `{}` cannot be used", path.display())]
    Roots {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("it was not there within {} s", .0.as_secs_f32())]
    TooSlow(Duration),
    /// An answer.
    #[error("`{from}` answered {status}{}", asked_to_wait(.wait.as_deref()))]
    Status {
        from: String,
        status: u16,
        /// How long the server asks to be left alone.
        wait: Option<String>,
    },
    #[error("{what} is larger than {}", size(*most))]
    TooLarge { what: &'static str, most: usize },
    #[error("`{from}` redirects to `{to}`, which is plain HTTP")]
    PlainRedirect { from: String, to: String },
    #[error("`{0}` redirects to no address")]
    Lost(String),
    #[error("it was redirected more than {0} times")]
    TooManyRedirects(usize),
    /// What a registry keeps under the reference.
    #[error("the reference leads to `{0}`, and not to an OCI image manifest")]
    NotAManifest(String),
    #[error("the manifest cannot be read: {0}")]
    BadManifest(String),
    #[error("the manifest has {0} layers, and a policy is one")]
    Layers(usize),
    #[error("the manifest's layer is `{0}`, and a policy is `application/wasm`")]
    LayerType(String),
    #[error("the component has {found} bytes, and the manifest says {expected}")]
    OtherSize { expected: u64, found: usize },
    /// The login.
    #[error("`{registry}` asks for a login")]
    NoCredentials { registry: String },
    #[error("`{registry}` asks for a login, and only `docker-credential-{helper}` knows it")]
    Helper { registry: String, helper: String },
    #[error(
        "`{registry}` asks for a login at `{realm}`, another host, which gets no credentials of it"
    )]
    OtherRealm { registry: String, realm: String },
    #[error("`{registry}` does not accept the credentials")]
    Denied { registry: String },
    #[error("`{registry}` asks for a login of a kind that is not known here")]
    UnknownLogin { registry: String },
    #[error("`{0}` asks for a login at an address that is not `https://`")]
    PlainRealm(String),
    #[error("`{0}` gave no token")]
    NoToken(String),
    #[error("the credentials in `{}` cannot be read", path.display())]
    Credentials {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

impl Error {
    /// What to do about it. It continues the sentence.
    pub fn remedy(&self) -> Option<String> {
        Some(match self {
            Error::NoDigest => "take it from who publishes the component, or from your own copy: \
                 `sha256sum FILE.wasm`, or `serial-gate policy inspect FILE.wasm`"
                .into(),
            Error::OtherDigest { .. } => {
                "ask who publishes it which of the two is right, and use nothing until then".into()
            }
            Error::UnknownHost(_) => "check the name".into(),
            Error::NoConnection(_) | Error::TooSlow(_) | Error::Broken { .. } => {
                "try again, or download it in another way and name the file".into()
            }
            Error::Untrusted { .. } => "if its certificate is from an authority of your own, name \
                 the authority's file in the variable `SSL_CERT_FILE`"
                .into(),
            Error::Roots { .. } => {
                "name a file of certificates in the PEM format in `SSL_CERT_FILE`".into()
            }
            Error::Status { status, .. } => match status {
                404 | 410 => "check the address".into(),
                429 => "try again later".into(),
                500.. => "try again later, or ask who runs the server".into(),
                _ => "ask who runs the server".into(),
            },
            Error::TooLarge { .. } => "check that the address is a policy's".into(),
            Error::PlainRedirect { .. } | Error::Lost(_) | Error::TooManyRedirects(_) => {
                "ask who runs the server, or download it in another way and name the file".into()
            }
            Error::NotAManifest(_) | Error::Layers(_) | Error::LayerType(_) => {
                "push the component alone, such as with `wkg oci push`".into()
            }
            Error::BadManifest(_) | Error::OtherSize { .. } => "ask who runs the registry".into(),
            Error::NoCredentials { registry } => format!(
                "check the name, or log in with `docker login {registry}`, which writes `auth` \
                 into its `config.json`"
            ),
            Error::Helper { .. } => "no helper is run here: write `auth`, the base64 of \
                 `USER:PASSWORD`, for this registry into docker's `config.json`"
                .into(),
            Error::OtherRealm { realm, .. } => format!(
                "if both are one account's, write the same `auth` for `{realm}` into docker's \
                 `config.json`"
            ),
            Error::Denied { registry } => {
                format!("check the name, or log in again with `docker login {registry}`")
            }
            Error::UnknownLogin { .. } | Error::PlainRealm(_) | Error::NoToken(_) => {
                "pull it with another program and name the file".into()
            }
            Error::Credentials { .. } => "repair it with `docker login`".into(),
            Error::Plain => "use `https://`, with `--sha256`".into(),
            Error::NotADigest(_) => "write its 64 hexadecimal digits".into(),
            Error::NotAnAddress { .. } | Error::NotAReference { .. } => return None,
        })
    }
}

fn asked_to_wait(wait: Option<&str>) -> String {
    wait.map(|wait| format!(", and asks to be left alone {wait}"))
        .unwrap_or_default()
}

fn size(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes >> 10),
        mebi => format!("{mebi} MiB"),
    }
}
