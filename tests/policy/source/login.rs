//! The login at a registry: who is sent the credentials and the token, and who is not.

use ct_codecs::{Base64, Encoder};
use serde_json::json;

use super::site::{Authority, Reply, Seen, Site, ok, status, to, with_docker};
use super::{component, manifest, refused, registry};
use crate::support::Gate;

fn base64(pair: &str) -> String {
    Base64::encode_to_string(pair).unwrap()
}

/// A registry that gives its artefact to who shows this, and names this login to everybody else.
fn guarded(shown: &'static str, challenge: String) -> Site {
    let component = component();
    let registry = registry(&manifest(&component), &component);
    Site::plain(move |seen| match seen.authorization() {
        found if found == shown => registry(seen),
        _ => status(401).with("www-authenticate", &challenge),
    })
}

/// A token server.
fn tokens() -> Site {
    Site::plain(|_| ok(r#"{"token":"letmein"}"#))
}

fn bearer(server: &str) -> String {
    format!(
        r#"Bearer realm="http://{server}/token",service="s p",scope="repository:other:pull,push""#
    )
}

fn reference(site: &Site) -> String {
    format!("oci://{}/team/policy:1.0", site.server)
}

/// The gate with these credentials for these servers.
fn logged_in(pairs: &[(&str, &str)]) -> Gate {
    let auths = pairs.iter().map(|(server, pair)| {
        let auth = json!({ "auth": base64(pair) });
        ((*server).to_owned(), auth)
    });
    let auths: serde_json::Map<_, _> = auths.collect();
    with_docker(Gate::new(), &json!({ "auths": auths }).to_string())
}

#[track_caller]
fn pulls(gate: &Gate, site: &Site) {
    let ran = gate.run(&["policy", "inspect", &reference(site)]);
    ran.succeeds();
}

#[test]
fn anybody_gets_a_token_for_this_name_and_for_its_pull_only() {
    let tokens = tokens();
    let site = guarded("Bearer letmein", bearer(&tokens.server));
    pulls(&logged_in(&[]), &site);
    let asked = &tokens.seen()[0];
    let expected = "/token?scope=repository%3Ateam%2Fpolicy%3Apull&service=s%20p";
    assert_eq!((asked.path.as_str(), asked.authorization()), (expected, ""));
    // The token is kept for the component.
    assert_eq!((tokens.seen().len(), site.seen().len()), (1, 3));
}

#[test]
fn the_password_goes_to_the_registry_s_own_token_server() {
    let component = component();
    let registry = registry(&manifest(&component), &component);
    let own = Site::plain(move |seen| {
        let (path, shown) = (seen.path.as_str(), seen.authorization());
        let host = seen
            .headers
            .lines()
            .find_map(|line| line.strip_prefix("host: "));
        let is_token =
            path.starts_with("/token") && shown == format!("Basic {}", base64("me:secret"));
        match shown {
            _ if is_token => ok(r#"{"access_token":"letmein","expires_in":60}"#),
            "Bearer letmein" => registry(seen),
            _ => status(401).with("www-authenticate", &bearer(host.unwrap())),
        }
    });
    pulls(&logged_in(&[(&own.server, "me:secret")]), &own);
    let shown: Vec<bool> = own
        .seen()
        .iter()
        .map(|seen| seen.authorization().starts_with("Basic"))
        .collect();
    assert_eq!(shown, [false, true, false, false]);
}

#[test]
fn a_token_server_on_another_host_gets_the_password_only_if_it_is_its_own_too() {
    let tokens = Site::plain(|seen| match seen.authorization() {
        "" => ok(r#"{"token":"nobody"}"#),
        _ => ok(r#"{"token":"letmein"}"#),
    });
    let site = guarded("Bearer letmein", bearer(&tokens.server));
    let (ours, theirs) = (site.server.as_str(), tokens.server.as_str());
    // Nor is the other host's own password used: the token would go to this registry.
    for gate in [
        logged_in(&[(ours, "me:secret")]),
        logged_in(&[(theirs, "me:other")]),
        logged_in(&[(ours, "me:secret"), (theirs, "me:other")]),
    ] {
        let error = refused(&gate, &reference(&site), &[]);
        assert!(error.contains("asks for a login"), "{error}");
        assert!(
            !error.contains("secret") && !error.contains(&base64("me:secret")),
            "{error}"
        );
    }
    let shown = |tokens: &Site| {
        tokens
            .seen()
            .iter()
            .any(|seen| !seen.authorization().is_empty())
    };
    assert!(!shown(&tokens), "{:?}", tokens.seen());
    pulls(
        &logged_in(&[(ours, "me:secret"), (theirs, "me:secret")]),
        &site,
    );
    assert!(shown(&tokens));
}

#[test]
fn the_refusal_says_what_is_missing() {
    let tokens = Site::plain(|_| status(401));
    let at_tokens = bearer(&tokens.server);
    let site = guarded("never", at_tokens);
    let said = |config: String| {
        let error = refused(&with_docker(Gate::new(), &config), &reference(&site), &[]);
        error
            .replace(&site.server, "REGISTRY")
            .replace(&tokens.server, "TOKENS")
    };
    insta::assert_snapshot!(said("{}".into()), @"
    error: cannot use `oci://REGISTRY/team/policy:1.0`
      because `REGISTRY` asks for a login: check the name, or log in with `docker login REGISTRY`, which writes `auth` into its `config.json`
    ");
    insta::assert_snapshot!(said(r#"{"credsStore":"desktop"}"#.into()), @"
    error: cannot use `oci://REGISTRY/team/policy:1.0`
      because `REGISTRY` asks for a login, and only `docker-credential-desktop` knows it: no helper is run here: write `auth`, the base64 of `USER:PASSWORD`, for this registry into docker's `config.json`
    ");
    let own = json!({ "auths": { site.server.as_str(): { "auth": base64("me:secret") } } });
    insta::assert_snapshot!(said(own.to_string()), @"
    error: cannot use `oci://REGISTRY/team/policy:1.0`
      because `REGISTRY` asks for a login at `TOKENS`, another host, which gets no credentials of it: if both are one account's, write the same `auth` for `TOKENS` into docker's `config.json`
    ");
    let broken = said(r#"{"auths": {"x": {"auth": "c2VjcmV0"}}}"#.into());
    assert!(broken.contains("because an `auth` is not"), "{broken}");
    assert!(
        !broken.contains("secret") && !broken.contains("c2V"),
        "{broken}"
    );
}

#[test]
fn basic_is_sent_to_the_registry_only_when_it_asks() {
    let site = guarded("Basic bWU6c2VjcmV0", r#"Basic realm="x""#.into());
    let gate = logged_in(&[(&site.server, "me:secret")]);
    pulls(&gate, &site);
    assert_eq!(site.seen()[0].authorization(), "");
    let other = logged_in(&[(&site.server, "me:wrong"), ("127.0.0.1", "me:secret")]);
    let error = refused(&other, &reference(&site), &[]);
    assert!(error.contains("does not accept the credentials"), "{error}");
    assert!(!error.contains("wrong"), "{error}");
}

#[test]
fn a_login_that_is_not_safe_is_refused() {
    let too_long = format!(r#"{{"token":"{}"}}"#, "x".repeat(70_000));
    let answers = |reply: Reply| Site::plain(move |_| reply.clone());
    let folded = answers(ok(r#"{"token":"a\r\nx-admin: 1"}"#));
    let (long, empty) = (answers(ok(too_long)), answers(ok(r#"{"token":""}"#)));
    let elsewhere = answers(to("http://192.0.2.1/token"));
    for (challenge, expected) in [
        (
            r#"Bearer realm="http://192.0.2.1/token""#.into(),
            "that is not `https://`",
        ),
        (
            r#"Bearer realm="file:///etc/passwd""#.into(),
            "that is not `https://`",
        ),
        (
            r#"Bearer realm="https://a:b@192.0.2.1/""#.into(),
            "that is not `https://`",
        ),
        ("Negotiate".into(), "of a kind that is not known here"),
        (bearer(&folded.server), "gave no token"),
        (bearer(&empty.server), "gave no token"),
        (bearer(&long.server), "the token is larger than 64 KiB"),
        (bearer(&elsewhere.server), "which is plain HTTP"),
    ] {
        let site = guarded("never", challenge);
        let gate = logged_in(&[(&site.server, "me:secret")]);
        let error = refused(&gate, &reference(&site), &[]);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

/// A registry whose components are in a store at this address.
fn with_store(location: String) -> Site {
    let component = component();
    let registry = registry(&manifest(&component), &component);
    let basic = format!("Basic {}", base64("me:secret"));
    Site::plain(move |seen: &Seen| match seen.authorization() {
        shown if shown != basic => status(401).with("www-authenticate", "Basic"),
        _ if seen.path.contains("/blobs/") => to(&location),
        _ => registry(seen),
    })
}

#[test]
fn a_store_that_a_registry_redirects_to_gets_no_credentials() {
    let authority = Authority::new();
    let tls = Site::tls(&authority, |_| ok(component()));
    let plain = Site::plain(|_| ok(component()));
    for (store, scheme) in [(&tls, "https"), (&plain, "http")] {
        let site = with_store(format!("{scheme}://{}/kept?signature=x", store.server));
        let gate = logged_in(&[(&site.server, "me:secret"), (&store.server, "me:secret")]);
        pulls(&authority.trusted_by(gate), &site);
        let seen = store.seen();
        assert_eq!(seen[0].path, "/kept?signature=x");
        assert_eq!(seen[0].authorization(), "");
    }
}

#[test]
fn a_store_cannot_ask_for_the_registry_s_login() {
    let thief = tokens();
    let store = guarded("never", bearer(&thief.server));
    let component = component();
    let registry = registry(&manifest(&component), &component);
    let location = format!("http://{}/kept", store.server);
    let site = Site::plain(move |seen| match seen.path.contains("/blobs/") {
        true => to(&location),
        false => registry(seen),
    });
    let gate = logged_in(&[(&site.server, "me:secret"), (&thief.server, "me:secret")]);
    let error = refused(&gate, &reference(&site), &[]);
    assert!(error.contains("/kept` answered 401"), "{error}");
    assert!(thief.seen().is_empty());
}
