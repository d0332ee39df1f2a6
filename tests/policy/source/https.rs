//! Components from `https://`.

use serial_gate::policy::digest;

use super::site::{Authority, Reply, Seen, Site, endless, ok, status, to};
use super::{component, refused, signed, swap};
use crate::support::Gate;

/// A queue, and a server that it trusts.
fn queue_and_site(reply: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> (Gate, Site, String) {
    let authority = Authority::new();
    let site = Site::tls(&authority, reply);
    let url = format!("https://{}/p.wasm", site.server);
    (authority.trusted_by(Gate::new()), site, url)
}

fn named(error: &str, site: &Site) -> String {
    error.replace(&site.server, "HOST")
}

#[test]
fn a_component_and_the_signature_next_to_it_are_stored() {
    let signer = Gate::folder();
    let component = component();
    let (key, signature) = signed(&signer, &component);
    let (sent, sent_signature) = (component.clone(), signature.clone());
    let (gate, site, url) = queue_and_site(move |seen| match seen.path.as_str() {
        "/p.wasm" => ok(sent.clone()),
        "/p.wasm.minisig" => ok(sent_signature.clone()),
        _ => status(404),
    });
    let hex = digest(&component);
    let ran = swap(&gate, &url, &["--sha256", &hex, "--trust", &key]).succeeds();
    let lines = named(&ran.stdout, &site).replace(&hex, "HEX");
    assert!(
        lines.starts_with("fetched      https://HOST/p.wasm, sha256:HEX\ncontract     ok "),
        "{lines}"
    );
    let generation = ["policy", "export", "2", "kept.wasm"];
    gate.run(&generation).succeeds();
    assert_eq!(std::fs::read(gate.path("kept.wasm")).unwrap(), component);
    let kept = std::fs::read_to_string(gate.path("kept.wasm.minisig")).unwrap();
    assert_eq!(kept.trim(), signature.trim());
}

#[test]
fn without_a_digest_nothing_is_asked() {
    let (gate, site, url) = queue_and_site(|_| ok(component()));
    let error = refused(&gate, &url, &[]);
    insta::assert_snapshot!(named(&error, &site), @"
    error: cannot use `https://HOST/p.wasm`
      because a component from a URL needs `--sha256`, so that it is the one that you mean: take it from who publishes the component, or from your own copy: `sha256sum FILE.wasm`, or `serial-gate policy inspect FILE.wasm`
    ");
    assert!(site.seen().is_empty());
}

#[test]
fn plain_http_is_refused_by_name() {
    let gate = Gate::folder();
    for url in ["http://127.0.0.1:9/p.wasm", "HTTP://example.com/p.wasm"] {
        let error = gate.run(&["policy", "check", url]).exits(2).stderr;
        let reason = "plain `http://` is not used, because anybody on the way can change what it \
                      carries: use `https://`, with `--sha256`";
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn another_component_is_refused_and_nothing_more_is_asked() {
    let (gate, site, url) =
        queue_and_site(|_| ok("<html>log in</html>").with("content-type", "text/html"));
    let error = refused(&gate, &url, &["--sha256", &"0".repeat(64)]);
    insta::assert_snapshot!(named(&error, &site), @"
    error: cannot use `https://HOST/p.wasm`
      because the component has the digest sha256:9a6242c8973c15c1f75d9c64c2289f216419e41e8f75e1c7d543ff256612ce7d, and not sha256:0000000000000000000000000000000000000000000000000000000000000000: ask who publishes it which of the two is right, and use nothing until then
    ");
    assert_eq!(site.paths(), ["/p.wasm"]);
}

#[test]
fn a_file_s_digest_is_checked_too() {
    let gate = Gate::new();
    gate.write("p.wasm", component());
    for source in ["p.wasm", "built-in"] {
        let error = refused(&gate, source, &["--sha256", &"0".repeat(64)]);
        assert!(error.contains("has the digest sha256:"), "{error}");
    }
    let hex = digest(&component()).to_uppercase();
    let inspect = ["policy", "inspect", "p.wasm", "--sha256", &hex];
    gate.run(&inspect).succeeds();
    for wrong in ["0", "sha512:0", &"g".repeat(64)] {
        let error = swap(&gate, "p.wasm", &["--sha256", wrong]).exits(2).stderr;
        assert!(error.contains("is not a SHA-256"), "{error}");
    }
}

#[test]
fn a_redirect_to_plain_http_or_to_nowhere_is_refused() {
    for (location, expected) in [
        (
            "http://127.0.0.1:9/p.wasm",
            "redirects to `http://127.0.0.1:9/p.wasm`, which is plain",
        ),
        (
            "http://example.com/p.wasm",
            "redirects to `http://example.com/p.wasm`, which is plain",
        ),
        ("file:///etc/passwd", "redirects to no address"),
        (
            "https://user:secret@example.com/",
            "redirects to no address",
        ),
        ("https://", "redirects to no address"),
        ("/p.wasm", "it was redirected more than 5 times"),
    ] {
        let (gate, site, url) = queue_and_site(move |_| to(location));
        let error = refused(&gate, &url, &["--sha256", &"0".repeat(64)]);
        assert!(error.contains(expected), "{location}: {error}");
        assert!(!error.contains("secret"), "{error}");
        assert!(site.seen().len() <= 6, "{:?}", site.paths());
    }
}

#[test]
fn a_redirect_is_followed_to_another_server_and_its_query_is_not_shown() {
    let authority = Authority::new();
    let other = Site::tls(&authority, |_| status(403));
    let location = format!("https://{}/kept?signature=secret", other.server);
    let site = Site::tls(&authority, move |_| to(&location));
    let gate = authority.trusted_by(Gate::new());
    let url = format!("https://{}/p.wasm?token=secret", site.server);
    let error = refused(&gate, &url, &["--sha256", &"0".repeat(64)]);
    assert_eq!(other.paths(), ["/kept?signature=secret"]);
    assert!(error.contains("/kept` answered 403"), "{error}");
    assert!(!error.contains("secret"), "{error}");
}

#[test]
fn a_server_that_asks_to_wait_is_named_with_its_time() {
    for (reply, expected) in [
        (
            status(429).with("retry-after", "120"),
            "answered 429, and asks to be left alone for 120 s: try again later",
        ),
        (
            status(503).with("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            "answered 503, and asks to be left alone until 1994-11-06 08:49:37 UTC: try again",
        ),
        (
            status(500).with("retry-after", "soon"),
            "answered 500: try again later, or ask who runs the server",
        ),
        (status(404), "answered 404: check the address"),
        (status(204), "answered 204: ask who runs the server"),
        (status(206), "answered 206: ask who runs the server"),
    ] {
        let (gate, site, url) = queue_and_site(move |_| reply.clone());
        let error = refused(&gate, &url, &["--sha256", &"0".repeat(64)]);
        assert!(error.contains(expected), "{error}");
        assert_eq!(site.seen().len(), 1, "it is asked once");
    }
}

#[test]
fn a_body_that_is_longer_than_a_policy_is_not_read_to_its_end() {
    let long = (33 << 20).to_string();
    let (gate, _site, url) = queue_and_site(move |_| ok("x").with("content-length", &long));
    let error = refused(&gate, &url, &["--sha256", &"0".repeat(64)]);
    assert!(
        error.contains("the component is larger than 32 MiB"),
        "{error}"
    );
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_before_anything_is_asked() {
    let (authority, other) = (Authority::new(), Authority::new());
    let site = Site::tls(&authority, |_| ok(component()));
    let url = format!("https://{}/p.wasm", site.server);
    let hex = digest(&component());
    let sha256 = ["--sha256", hex.as_str()];
    // Without the variable, and with another authority.
    for gate in [Gate::new(), other.trusted_by(Gate::new())] {
        let error = refused(&gate, &url, &sha256);
        assert!(
            error.contains("did not prove who it is: if its certificate"),
            "{error}"
        );
    }
    // The certificate is for `localhost`, and not for its address.
    let gate = authority.trusted_by(Gate::new());
    let error = refused(&gate, &url.replace("localhost", "127.0.0.1"), &sha256);
    assert!(error.contains("did not prove who it is"), "{error}");
    assert!(site.seen().is_empty());
    gate.write("none.pem", "no certificate");
    for file in ["none.pem", "missing.pem"] {
        let gate = gate
            .clone()
            .with_environment(vec![("SSL_CERT_FILE", file.into())]);
        let error = refused(&gate, &url, &sha256);
        assert!(
            error.contains(&format!("the roots in `{file}` cannot be used")),
            "{error}"
        );
    }
}

#[test]
fn a_missing_signature_is_none_and_any_other_answer_is_an_error() {
    let hex = digest(&component());
    let key = signed(&Gate::folder(), &component()).0;
    for (reply, more, expected) in [
        (
            status(404),
            &["--trust", &key][..],
            "has no signature, and only signed",
        ),
        (
            status(403),
            &["--trust", &key],
            "has no signature, and only signed",
        ),
        (
            ok("not one"),
            &["--trust", &key],
            "has a signature that is not in minisign's format",
        ),
        (status(500), &[], "/p.wasm.minisig` answered 500"),
        (endless(), &[], "the signature is larger than 8 KiB"),
        (to("http://example.com/"), &[], "which is plain HTTP"),
    ] {
        let (gate, _site, url) = queue_and_site(move |seen| match seen.path.as_str() {
            "/p.wasm" => ok(component()),
            _ => reply.clone(),
        });
        let error = refused(&gate, &url, &[&["--sha256", &hex], more].concat());
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_signature_of_another_component_is_refused() {
    let other = crate::support::hostile::HARMLESS.component();
    let (key, signature) = signed(&Gate::folder(), &other);
    let (gate, _site, url) = queue_and_site(move |seen| match seen.path.as_str() {
        "/p.wasm" => ok(component()),
        _ => ok(signature.clone()),
    });
    let hex = digest(&component());
    let error = refused(&gate, &url, &["--sha256", &hex, "--trust", &key]);
    assert!(error.contains("is not what was signed"), "{error}");
}

#[test]
fn every_verb_that_takes_a_policy_takes_a_url() {
    let (gate, _site, url) = queue_and_site(|seen| match seen.path.as_str() {
        "/p.wasm" => ok(component()),
        _ => status(404),
    });
    gate.write("none.jsonl", "");
    let settings = r#"{"enabled": true, "repos": "", "freeze_enabled": true}"#;
    let case = format!(
        r#"{{"case": {{"name": "nothing", "settings": {settings}, "tasks": []}}, "expected": {{}}}}"#
    );
    gate.write("case.jsonl", case);
    let hex = digest(&component());
    for arguments in [
        &["policy", "inspect", &url][..],
        &["policy", "check", &url],
        &["policy", "diff", &url],
        &["policy", "replay", &url, "--from", "none.jsonl"],
        &["policy", "shadow", &url, "--reason", "r"],
        &["conform", "case.jsonl", "--policy", &url],
    ] {
        let sha256 = ["--sha256", hex.as_str()];
        gate.run(&[arguments, &sha256].concat()).succeeds();
        let error = gate.run(arguments).exits(1).stderr;
        assert!(error.contains("needs `--sha256`"), "{error}");
    }
}
