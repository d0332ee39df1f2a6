//! Components from an OCI registry.

use serde_json::{Value, json};
use serial_gate::policy::digest;

use super::site::{Reply, Seen, Site, endless, ok, status, to};
use super::{MANIFEST, component, manifest, refused, registry, signed, swap};
use crate::support::Gate;

fn reference(site: &Site) -> String {
    format!("oci://{}/team/policy:1.0", site.server)
}

#[test]
fn a_tag_is_shown_with_the_digest_that_pins_it() {
    let (component, gate) = (component(), Gate::new());
    let manifest = manifest(&component);
    let site = Site::plain(registry(&manifest, &component));
    let ran = swap(&gate, &reference(&site), &["--json"]).succeeds();
    let fetched = &ran.json_lines()[0];
    let pinned = format!(
        "{}@sha256:{}",
        reference(&site),
        digest(manifest.to_string().as_bytes())
    );
    assert_eq!(
        *fetched,
        json!({ "fetched": pinned, "sha256": digest(&component) })
    );
    let hex = digest(&component);
    let latest = format!("oci://{}/team/policy", site.server);
    for source in [pinned.as_str(), &latest] {
        let inspect = ["policy", "inspect", source, "--json", "--sha256", &hex];
        let found = gate.run(&inspect).succeeds().json();
        assert_eq!(found["digest"], digest(&component));
        let name = found["fetched"].as_str().unwrap();
        assert!(name.ends_with(&pinned[pinned.len() - 64..]), "{name}");
    }
    let asked = site.seen().remove(0);
    assert_eq!(asked.path, "/v2/team/policy/manifests/1.0");
    assert!(
        asked.headers.contains(&format!("accept: {MANIFEST}")),
        "{}",
        asked.headers
    );
    assert_eq!(asked.authorization(), "");
}

#[test]
fn a_signature_is_an_annotation_of_the_layer_or_of_the_manifest() {
    let component = component();
    let (key, signature) = signed(&Gate::folder(), &component);
    let of = |signature: &str| json!({ "serial-gate.minisig": signature });
    for place in ["", "/layers/0"] {
        let gate = Gate::new();
        let mut manifest = manifest(&component);
        manifest.pointer_mut(place).unwrap()["annotations"] = of(&signature);
        let site = Site::plain(registry(&manifest, &component));
        swap(&gate, &reference(&site), &["--trust", &key]).succeeds();
    }
    let gate = Gate::new();
    for (annotations, expected) in [
        (json!({}), "has no signature"),
        (of("x"), "not in minisign's format"),
        (of(&"x".repeat(9000)), "the signature is larger than 8 KiB"),
        (
            of(&signature.replace("timestamp", "timestamq")),
            "is not what was signed",
        ),
    ] {
        let mut manifest = manifest(&component);
        manifest["annotations"] = annotations;
        let site = Site::plain(registry(&manifest, &component));
        let error = refused(&gate, &reference(&site), &["--trust", &key]);
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_manifest_that_is_no_policy_is_refused() {
    let gate = Gate::new();
    let with = |change: fn(&mut Value)| {
        let mut manifest = manifest(&component());
        change(&mut manifest);
        manifest
    };
    let index = "application/vnd.oci.image.index.v1+json";
    for (manifest, expected) in [
        (
            with(|it| it["mediaType"] = "application/vnd.oci.image.index.v1+json".into()),
            &format!("leads to `{index}`, and not to an OCI image manifest: push the")[..],
        ),
        (
            with(|it| it["manifests"] = json!([])),
            "it is an index, too",
        ),
        (
            with(|it| it["schemaVersion"] = 1.into()),
            "its `schemaVersion` is not 2",
        ),
        (
            with(|it| it["layers"] = json!([])),
            "has 0 layers, and a policy is one",
        ),
        (
            with(|it| {
                let layer = it["layers"][0].clone();
                it["layers"].as_array_mut().unwrap().push(layer);
            }),
            "has 2 layers",
        ),
        (
            with(|it| {
                it["layers"][0]["mediaType"] = "application/vnd.oci.image.layer.v1.tar".into()
            }),
            "layer is `application/vnd.oci.image.layer.v1.tar`, and a policy is `application/wasm`",
        ),
        (
            with(|it| it["layers"][0]["digest"] = "sha256:../../../other".into()),
            "its layer has no digest of SHA-256",
        ),
        (
            with(|it| it["layers"][0]["digest"] = format!("sha512:{}", "0".repeat(128)).into()),
            "its layer has no digest of SHA-256",
        ),
        (
            with(|it| it["layers"][0]["size"] = (33 << 20).into()),
            "the component is larger than 32 MiB",
        ),
        (
            with(|it| it["layers"][0]["size"] = 1.into()),
            "bytes, and the manifest says 1: ask",
        ),
        (
            with(|it| it["layers"][0]["size"] = (-1).into()),
            "the manifest cannot be read",
        ),
        (
            with(|it| it["layers"][0]["digest"] = format!("sha256:{}", "0".repeat(64)).into()),
            "the component has the digest sha256:",
        ),
        (
            Value::String("\u{1b}[31m".repeat(9999)),
            "the manifest cannot be read",
        ),
    ] {
        let site = Site::plain(registry(&manifest, &component()));
        let error = refused(&gate, &reference(&site), &[]);
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.len() < 1000 && !error.contains('\u{1b}'), "{error}");
    }
}

/// The registry, but for the requests that begin like this.
fn but(
    part: &'static str,
    reply: impl Fn() -> Reply + Send + Sync + 'static,
) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    let component = component();
    let registry = registry(&manifest(&component), &component);
    move |seen| match seen.path.contains(part) {
        true => reply(),
        false => registry(seen),
    }
}

#[test]
fn an_answer_that_is_not_the_right_one_is_refused() {
    let gate = Gate::new();
    let text = || manifest(&component()).to_string();
    let typed = |kind: &'static str| {
        move || ok(manifest(&component()).to_string()).with("content-type", kind)
    };
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let said = format!("sha256:{}", "0".repeat(64));
    let lies = move || {
        let reply = ok(manifest(&component()).to_string()).with("content-type", MANIFEST);
        reply.with("docker-content-digest", &said)
    };
    let sites = [
        (
            Site::plain(but("manifests", typed(docker))),
            "leads to `application/vnd.docker",
        ),
        (
            Site::plain(but("manifests", typed("text/html"))),
            "leads to `text/html`, and not",
        ),
        (
            Site::plain(but("manifests", move || ok(text()))),
            "leads to ``, and not",
        ),
        (
            Site::plain(but("manifests", lies)),
            "the manifest has the digest sha256:",
        ),
        (
            Site::plain(but("manifests", endless)),
            "the manifest is larger than 1 MiB",
        ),
        (
            Site::plain(but("manifests", || status(404))),
            "manifests/1.0` answered 404: check",
        ),
        (
            Site::plain(but("manifests", || status(429).with("retry-after", "7"))),
            "answered 429, and asks to be left alone for 7 s",
        ),
        (
            Site::plain(but("blobs", endless)),
            "the component is larger than 32 MiB",
        ),
        (
            Site::plain(but("blobs", || ok("short"))),
            "the component has 5 bytes, and the manifest",
        ),
        (
            Site::plain(but("blobs", || ok(vec![0; component().len()]))),
            "the component has the digest",
        ),
        (
            Site::plain(but("blobs", || ok("x").with("content-length", "900"))),
            "the connection to",
        ),
        (Site::plain(but("blobs", || status(503))), "answered 503"),
        (
            Site::plain(but("blobs", || to("http://192.0.2.1/"))),
            "which is plain HTTP",
        ),
    ];
    for (site, expected) in sites {
        let error = refused(&gate, &reference(&site), &[]);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_digest_in_the_reference_and_one_in_the_flag_both_count() {
    let gate = Gate::new();
    let component = component();
    let answer = || ok(manifest(&self::component()).to_string()).with("content-type", MANIFEST);
    let site = Site::plain(but("manifests", answer));
    let other = format!("{}@sha256:{}", reference(&site), "0".repeat(64));
    let error = refused(&gate, &other, &[]);
    assert!(
        error.contains("the manifest has the digest sha256:"),
        "{error}"
    );
    assert_eq!(site.paths().len(), 1, "the component was asked for");
    let error = refused(&gate, &reference(&site), &["--sha256", &"0".repeat(64)]);
    let found = format!("the component has the digest sha256:{}", digest(&component));
    assert!(error.contains(&found), "{error}");
}

#[test]
fn a_reference_that_cannot_be_one_is_refused_before_anything_is_asked() {
    let gate = Gate::folder();
    for (source, expected) in [
        ("oci://ghcr.io", "write it as `oci://HOST/NAME:TAG`"),
        ("oci://127.0.0.1:5000/../x:1", "a name has small letters"),
        ("oci://127.0.0.1:5000/x:1?y", "a tag has letters"),
        (
            "oci://127.0.0.1:5000/x@sha512:0",
            "`sha512:0` is not a SHA-256",
        ),
        ("oci://user:secret@127.0.0.1/x", "it has a user, which"),
    ] {
        let error = gate.run(&["policy", "inspect", source]).exits(2).stderr;
        assert!(error.contains(expected), "{error}");
    }
}
