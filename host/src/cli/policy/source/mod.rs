//! Where a policy's component comes from: built in, a file, a URL, or a registry.
//!
//! Owns how a source is written, and the check against `--sha256`. `here` reads what is on this
//! machine, `get` makes one bounded request, `registry` pulls with it, `login` and `credentials`
//! answer a registry that asks who is there. Leaves to the caller what is done with the bytes. Callers rely on this: bytes from elsewhere have
//! a digest that somebody named, by `--sha256`, in the reference or in the registry's manifest; and
//! all of a fetch ends within [`DEADLINE`]. The service fetches nothing: only the command line
//! does, for the person who wrote the address.

mod address;
mod credentials;
mod digest;
mod error;
mod get;
mod here;
mod login;
mod reference;
mod registry;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use serial_gate::remedy::with_advice;

use address::Address;
use credentials::Credentials;
pub use digest::Sha256;
pub use error::Error;
use get::{Ask, Client, Plain};
pub use here::{component_of, signature_path};
use reference::Reference;

use crate::cli;
use crate::cli::output::{Report, shown};
use crate::cli::plain_text::plain;
use crate::cli::variables::variable;
use crate::http::COMPONENT;

/// How long all requests of a fetch may take together.
const DEADLINE: Duration = Duration::from_secs(60);

/// The most bytes of a signature. Minisign's have about 300.
const SIGNATURE: usize = 8 << 10;

/// A policy's component, as an operator names it.
#[derive(Debug, Clone)]
pub enum Source {
    /// A policy of this program, by its name.
    BuiltIn(String),
    /// A component or a rule file, with its signature next to it.
    File(PathBuf),
    /// A file on a server, with its signature next to it.
    Url(Address),
    /// An artefact in an OCI registry, with its signature as an annotation.
    Registry(Reference),
}

/// A component that was read.
#[derive(Debug)]
pub struct Fetched {
    pub component: Vec<u8>,
    pub signature: Option<String>,
    /// Where it is from, if that is another machine.
    pub origin: Option<Origin>,
}

/// Where a component was fetched from, as a source that gives the same bytes again.
#[derive(Debug)]
pub struct Origin {
    source: String,
    sha256: Sha256,
}

impl Source {
    /// Reads a command's argument.
    pub fn parser() -> impl TypedValueParser<Value = Source> {
        OsStringValueParser::new().try_map(|text| {
            Source::parse(text).map_err(|error| match error.remedy() {
                Some(remedy) => with_advice(&error.to_string(), &remedy),
                None => error.to_string(),
            })
        })
    }

    fn parse(text: OsString) -> Result<Source, Error> {
        if let Some(text) = text.to_str()
            && (text == here::DEFAULT || text.starts_with(here::PREFIX))
        {
            return Ok(Source::BuiltIn(text.into()));
        }
        let scheme = |name: &str| {
            let text = text.to_str()?;
            let start = text.get(..name.len())?;
            let rest = text.get(name.len()..)?;
            start.eq_ignore_ascii_case(name).then_some(rest)
        };
        if let Some(rest) = scheme("https://") {
            return Ok(Source::Url(Address::https(rest)?));
        }
        if let Some(rest) = scheme("oci://") {
            return Ok(Source::Registry(Reference::parse(rest)?));
        }
        if scheme("http://").is_some() {
            return Err(Error::Plain);
        }
        Ok(Source::File(text.into()))
    }

    /// The component and its signature.
    pub fn read(&self, sha256: Option<&Sha256>) -> Result<Fetched, cli::Error> {
        let failed = |cause| cli::Error::because(format!("cannot use `{self}`"), cause);
        let fetched = match self {
            Source::BuiltIn(name) => Fetched::here(here::built_in(name)?.to_vec(), None),
            Source::File(path) => {
                Fetched::here(component_of(path)?, here::signature_next_to(path)?)
            }
            Source::Url(address) => {
                let sha256 = sha256.ok_or(Error::NoDigest).map_err(failed)?;
                let mut fetched = from_url(address, sha256).map_err(failed)?;
                if address.uri().path().ends_with(here::RULE_FILE) {
                    fetched.component =
                        here::of_rule_file(&address.to_string(), fetched.component)?;
                }
                return Ok(fetched);
            }
            Source::Registry(reference) => from_registry(reference).map_err(failed)?,
        };
        if let Some(sha256) = sha256 {
            let checked = sha256.check("the component", &fetched.component);
            checked.map_err(failed)?;
        }
        Ok(fetched)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::BuiltIn(name) => f.write_str(name),
            Source::File(path) => path.display().fmt(f),
            Source::Url(address) => address.fmt(f),
            Source::Registry(reference) => reference.fmt(f),
        }
    }
}

impl Fetched {
    fn here(component: Vec<u8>, signature: Option<String>) -> Fetched {
        Fetched {
            component,
            signature,
            origin: None,
        }
    }
}

impl Origin {
    /// Adds it to a report, if the component is from another machine.
    pub fn add(origin: Option<&Origin>, report: &mut Report) {
        if let Some(Origin { source, sha256 }) = origin {
            report.json(&serde_json::json!({ "fetched": source, "sha256": sha256.hex() }));
            report.line(format!("fetched      {}, {sha256}", shown(source)));
        }
    }

    /// The source, with the digest of a registry's manifest.
    pub fn source(&self) -> &str {
        &self.source
    }
}

/// A signature's text. Anything but text fails the check of the signature, which explains it.
fn text(bytes: &[u8]) -> String {
    plain(&String::from_utf8_lossy(bytes)).to_owned()
}

fn from_url(address: &Address, sha256: &Sha256) -> Result<Fetched, Error> {
    let client = Client::new(Plain::Refused, DEADLINE)?;
    let ask = |address, what, most| Ask {
        address,
        what,
        most,
        accept: None,
        authorization: None,
    };
    let component = client.get(&ask(address, "the component", COMPONENT))?;
    let component = component.success()?.body;
    // Nothing more is asked of a server that sent something else.
    sha256.check("the component", &component)?;
    let signature = address.with_suffix(".minisig")?;
    let signature = client.get(&ask(&signature, "the signature", SIGNATURE))?;
    let signature = match signature.status {
        // A store that does not list its files answers 403 for one that is not there.
        403 | 404 | 410 => None,
        _ => Some(text(&signature.success()?.body)),
    };
    Ok(Fetched {
        component,
        signature,
        origin: Some(Origin {
            source: address.to_string(),
            sha256: sha256.clone(),
        }),
    })
}

fn from_registry(reference: &Reference) -> Result<Fetched, Error> {
    let plain = match reference.registry().is_loopback() {
        true => Plain::ToThisMachine,
        false => Plain::Refused,
    };
    let client = Client::new(plain, DEADLINE)?;
    let credentials = || Credentials::read(&|name: &str| variable(OsStr::new(name)));
    let pulled = registry::pull(&client, reference, &credentials)?;
    Ok(Fetched {
        signature: pulled.signature.map(|signature| text(signature.as_bytes())),
        origin: Some(Origin {
            source: reference.pinned(&pulled.manifest).to_string(),
            sha256: pulled.layer,
        }),
        component: pulled.component,
    })
}
