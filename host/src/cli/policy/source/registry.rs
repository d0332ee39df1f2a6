//! The pull of one component from an OCI registry: a manifest, and its only layer.
//!
//! Owns which manifests are a policy, and the checks of digests and sizes. The manifest's config is
//! not read: `wkg` and `oras` write different ones. Callers rely on this: the component is the one
//! that the manifest names, and the manifest the one that the reference names, if it has a digest.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::credentials::Credentials;
use super::digest::Sha256;
use super::error::Error;
use super::get::{Answer, Ask, Client};
use super::login;
use super::reference::Reference;
use super::{SIGNATURE, address::Address};
use crate::http::COMPONENT;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const LAYER: &str = "application/wasm";

/// The annotation of the layer, or of the manifest, that has the signature's text.
const ANNOTATION: &str = "serial-gate.minisig";

/// The most bytes of a manifest.
const LARGEST: usize = 1 << 20;

/// How much of a registry's text is shown.
const SHOWN: usize = 100;

pub struct Pulled {
    pub component: Vec<u8>,
    pub signature: Option<String>,
    /// The digests of the manifest and of the component.
    pub manifest: Sha256,
    pub layer: Sha256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u8,
    media_type: Option<String>,
    #[serde(default)]
    layers: Vec<Layer>,
    /// An index has these. A document that is both may be read in two ways.
    manifests: Option<IgnoredAny>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

/// Pulls the component. The credentials are read only if the registry asks for a login.
pub fn pull(
    client: &Client,
    reference: &Reference,
    credentials: &dyn Fn() -> Result<Credentials, Error>,
) -> Result<Pulled, Error> {
    let mut session = Session {
        client,
        reference,
        credentials,
        authorization: None,
    };
    let answer = session.get("manifests", &reference.asked(), "the manifest", LARGEST)?;
    let digest = Sha256::of(&answer.body);
    if let Some(expected) = reference.digest() {
        expected.check("the manifest", &answer.body)?;
    }
    if let Some(said) = answer.header("docker-content-digest")
        && said.starts_with("sha256:")
    {
        Sha256::parse(said)?.check("the manifest", &answer.body)?;
    }
    let (layer, signature) = read(&answer)?;
    let expected = Sha256::named(&layer.digest)
        .map_err(|_| Error::BadManifest("its layer has no digest of SHA-256".into()))?;
    if layer.size > u64::try_from(COMPONENT).unwrap_or(u64::MAX) {
        return Err(Error::TooLarge {
            what: "the component",
            most: COMPONENT,
        });
    }
    let blob = session.get("blobs", &expected.to_string(), "the component", COMPONENT)?;
    if u64::try_from(blob.body.len()).ok() != Some(layer.size) {
        return Err(Error::OtherSize {
            expected: layer.size,
            found: blob.body.len(),
        });
    }
    expected.check("the component", &blob.body)?;
    Ok(Pulled {
        component: blob.body,
        signature,
        manifest: digest,
        layer: expected,
    })
}

/// The only layer of a manifest, and its signature.
fn read(answer: &Answer) -> Result<(Layer, Option<String>), Error> {
    let kind = answer.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind != MANIFEST {
        return Err(Error::NotAManifest(cut(kind)));
    }
    let manifest: Manifest = serde_json::from_slice(&answer.body)
        .map_err(|cause| Error::BadManifest(cut(&cause.to_string())))?;
    if let Some(kind) = &manifest.media_type
        && kind != MANIFEST
    {
        return Err(Error::NotAManifest(cut(kind)));
    }
    if manifest.manifests.is_some() {
        return Err(Error::BadManifest("it is an index, too".into()));
    }
    if manifest.schema_version != 2 {
        return Err(Error::BadManifest("its `schemaVersion` is not 2".into()));
    }
    let number = manifest.layers.len();
    let layer = manifest.layers.into_iter().next();
    let mut layer = layer.filter(|_| number == 1).ok_or(Error::Layers(number))?;
    if layer.media_type != LAYER {
        return Err(Error::LayerType(cut(&layer.media_type)));
    }
    let mut annotations = manifest.annotations;
    let signature = (layer.annotations.remove(ANNOTATION)).or(annotations.remove(ANNOTATION));
    match signature {
        Some(signature) if signature.len() > SIGNATURE => Err(Error::TooLarge {
            what: "the signature",
            most: SIGNATURE,
        }),
        signature => Ok((layer, signature)),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Requests to one registry.
struct Session<'a> {
    client: &'a Client,
    reference: &'a Reference,
    credentials: &'a dyn Fn() -> Result<Credentials, Error>,
    authorization: Option<String>,
}

impl Session<'_> {
    fn get(
        &mut self,
        kind: &str,
        id: &str,
        what: &'static str,
        most: usize,
    ) -> Result<Answer, Error> {
        let (registry, name) = (self.reference.registry(), self.reference.name());
        let address = registry.at(&format!("/v2/{name}/{kind}/{id}"))?;
        let answer = self.ask(&address, what, most)?;
        // Only the registry itself may ask for its login: not a store that it redirects to.
        if answer.status != 401 || !answer.from.is_at(registry) {
            return answer.success();
        }
        let denied = || Error::Denied {
            registry: registry.server(),
        };
        if self.authorization.is_some() {
            return Err(denied());
        }
        let challenges = answer.headers.get_all("www-authenticate");
        let challenges = challenges.iter().filter_map(|text| text.to_str().ok());
        let login = login::authorization(
            self.client,
            self.reference,
            &(self.credentials)()?,
            challenges,
        )?;
        self.authorization = Some(login.header);
        let answer = self.ask(&address, what, most)?;
        match answer.status {
            401 | 403 if answer.from.is_at(registry) => Err(login.refused.unwrap_or_else(denied)),
            _ => answer.success(),
        }
    }

    fn ask(&self, address: &Address, what: &'static str, most: usize) -> Result<Answer, Error> {
        self.client.get(&Ask {
            address,
            what,
            most,
            accept: (what == "the manifest").then_some(MANIFEST),
            authorization: self.authorization.as_deref(),
        })
    }
}
