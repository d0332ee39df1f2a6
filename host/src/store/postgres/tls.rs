//! TLS to a server: whether it is used, and what a server's certificate has to prove.
//!
//! Owns libpq's five modes, with its usual files in `~/.postgresql`. Leaves the order of attempts to
//! `dial`. Callers rely on this: with `verify-ca` and `verify-full`, and with `require` if
//! there is a root certificate, no password is sent to a server whose certificate does not come
//! from it. Files are read anew for each connection, so that a certificate can be replaced.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::password::{FileError, Variables, read};
use super::server::Server;

/// Whether a connection uses TLS, and what the certificate of its server has to prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// No TLS.
    Disable,
    /// TLS if the server has it.
    Prefer,
    /// TLS.
    Require,
    /// TLS with a certificate that comes from a root.
    VerifyCa,
    /// TLS with such a certificate for the name of the host.
    VerifyFull,
}

/// The root that means the public authorities.
pub(super) const PUBLIC: &str = "system";

/// Why TLS cannot be used as the address says.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "`sslmode=verify-ca` needs the certificate of the server's authority: name its file with \
         `sslrootcert`"
    )]
    NoRoot,
    #[error("`{}` has no {what} in PEM form", path.display())]
    Pem { path: PathBuf, what: &'static str },
    #[error("the certificate `{}` and the key `{}` cannot be used", cert.display(), key.display())]
    Client {
        cert: PathBuf,
        key: PathBuf,
        #[source]
        cause: rustls::Error,
    },
    #[error("a certificate of `{}` cannot be used", path.display())]
    Root {
        path: PathBuf,
        #[source]
        cause: rustls::Error,
    },
    #[error(transparent)]
    Versions(#[from] rustls::Error),
}

impl Mode {
    /// By its name in a URL.
    pub(super) fn of_name(name: &str) -> Option<Mode> {
        Some(match name {
            "disable" => Mode::Disable,
            "prefer" => Mode::Prefer,
            "require" => Mode::Require,
            "verify-ca" => Mode::VerifyCa,
            "verify-full" => Mode::VerifyFull,
            _ => return None,
        })
    }

    /// The mode of an address.
    pub(super) fn of(server: &Server) -> Mode {
        match server.parameter("sslmode").and_then(Mode::of_name) {
            Some(mode) => mode,
            None if server.parameter("sslrootcert") == Some(PUBLIC) => Mode::VerifyFull,
            None => Mode::Prefer,
        }
    }
}

/// How TLS is made for an address, if its mode is not `disable`.
pub(super) fn connector(
    server: &Server,
    variable: Variables<'_>,
) -> Result<Option<MakeRustlsConnect>, TlsError> {
    let mode = Mode::of(server);
    if mode == Mode::Disable {
        return Ok(None);
    }
    let file = |parameter, usual| match server.parameter(parameter) {
        Some(path) => Some(PathBuf::from(path)),
        None => usual_file(usual, variable).filter(|path| path.exists()),
    };
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        roots: roots(mode, file("sslrootcert", "root.crt"))?,
        checks_name: mode == Mode::VerifyFull,
        algorithms: provider.signature_verification_algorithms,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some(cert) = file("sslcert", "postgresql.crt") else {
        return Ok(Some(MakeRustlsConnect::new(builder.with_no_client_auth())));
    };
    let key = server.parameter("sslkey").map(PathBuf::from);
    let key = key.or_else(|| usual_file("postgresql.key", variable));
    let key = key.unwrap_or_else(|| "postgresql.key".into());
    let chain = certificates(&cert)?;
    let secret = PrivateKeyDer::from_pem_slice(&read(&key)?);
    let secret = secret.map_err(|_| TlsError::Pem {
        path: key.clone(),
        what: "key without a password",
    })?;
    let config = builder.with_client_auth_cert(chain, secret);
    let config = config.map_err(|cause| TlsError::Client { cert, key, cause })?;
    Ok(Some(MakeRustlsConnect::new(config)))
}

fn usual_file(name: &str, variable: Variables<'_>) -> Option<PathBuf> {
    Some(Path::new(&variable("HOME")?).join(".postgresql").join(name))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = std::fs::read(path).map_err(|cause| FileError::Read {
        path: path.into(),
        cause,
    })?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(TlsError::Pem {
            path: path.into(),
            what: "certificate",
        }),
    }
}

/// The roots that a server's certificate may come from.
struct Roots {
    store: RootCertStore,
    certificates: Vec<CertificateDer<'static>>,
}

/// None if any certificate will do.
fn roots(mode: Mode, file: Option<PathBuf>) -> Result<Option<Roots>, TlsError> {
    let mut store = RootCertStore::empty();
    let Some(path) = file.filter(|path| path != Path::new(PUBLIC)) else {
        // Without a file, `verify-full` is still good with public authorities: none of them gives
        // anybody else a certificate for the host.
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return match mode {
            Mode::VerifyFull => Ok(Some(Roots {
                store,
                certificates: Vec::new(),
            })),
            Mode::VerifyCa => Err(TlsError::NoRoot),
            Mode::Disable | Mode::Prefer | Mode::Require => Ok(None),
        };
    };
    let certificates = certificates(&path)?;
    for certificate in &certificates {
        let added = store.add(certificate.clone());
        added.map_err(|cause| TlsError::Root {
            path: path.clone(),
            cause,
        })?;
    }
    Ok(Some(Roots {
        store,
        certificates,
    }))
}

/// What the certificate of a server has to prove.
struct Verifier {
    /// None if any certificate will do.
    roots: Option<Roots>,
    checks_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("checks_name", &self.checks_name)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else {
            return Ok(ServerCertVerified::assertion());
        };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        let comes_from_a_root = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &roots.store,
            intermediates,
            now,
            algorithms,
        );
        match comes_from_a_root {
            // The self-signed certificate of PostgreSQL's manual is its own authority. Its dates
            // were found good before this was.
            Err(error) if is_an_authority(&error) && roots.certificates.contains(end_entity) => {}
            result => result?,
        }
        if self.checks_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Whether a server's certificate was refused because it is that of an authority. The error's type
/// belongs to a crate below `rustls`.
fn is_an_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = error else {
        return false;
    };
    other.to_string() == "CaUsedAsEndEntity"
}

/// The driver's words for a handshake that failed, for which it has no code.
pub(super) const HANDSHAKE_FAILED: &str = "error performing TLS handshake";

/// Whether there is no connection because the certificate of the server does not prove enough.
pub(super) fn is_about_the_certificate(error: &postgres::Error) -> bool {
    let source = error
        .source()
        .and_then(|cause| cause.downcast_ref::<io::Error>());
    let reason = source.and_then(io::Error::get_ref);
    let reason = reason.and_then(|reason| reason.downcast_ref::<rustls::Error>());
    matches!(reason, Some(rustls::Error::InvalidCertificate(_)))
}
