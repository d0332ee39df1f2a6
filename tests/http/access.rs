//! Who may do what: every operation of the document, with every token that does not suffice.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::Gate;
use crate::support::service::Service;
use crate::support::service::access_token;

const ROLES: [&str; 3] = ["reader", "worker", "operator"];

/// The operations of the document, each with the role that it needs.
fn operations(service: &Service) -> Vec<(String, String, Option<String>)> {
    let document = service.get("/openapi.json").is(200).json();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let security = operation["security"].as_array().expect(path);
            let [requirement] = security.as_slice() else {
                panic!("{method} {path}: {security:?}")
            };
            let role = requirement.get("token").map(|roles| {
                let [Value::String(role)] = roles.as_array().unwrap().as_slice() else {
                    panic!("{path}")
                };
                assert!(ROLES.contains(&role.as_str()), "{method} {path}: {role}");
                role.clone()
            });
            found.push((method.to_uppercase(), path.replace("{id}", "1"), role));
        }
    }
    found
}

#[test]
fn every_operation_refuses_a_missing_a_wrong_a_revoked_and_a_lesser_token() {
    let gate = Gate::new();
    let tokens = ROLES.map(|role| access_token(&gate, role, role));
    let revoked = access_token(&gate, "gone", "operator");
    gate.run(&["token", "revoke", "gone"]).succeeds();
    let wrong = format!("{}x", tokens[2]);
    let service = Service::on(gate);
    let mut asked = 0;
    for (method, path, role) in operations(&service) {
        let Some(role) = role else { continue };
        asked += 1;
        let send = |token: Option<&str>| {
            let asking = service.request(&method, &path).json(&json!({}));
            match token {
                Some(token) => asking.token(token),
                None => asking,
            }
            .send()
        };
        let missing = send(None).is(401);
        assert_eq!(missing.headers["www-authenticate"], "Bearer");
        // Wrong tokens are counted: after some of them the answer is to come back later.
        for token in [&wrong, &revoked, "sgt_1", "nonsense", ""] {
            let status = send(Some(token)).status;
            assert!(
                [401, 429].contains(&status),
                "{method} {path}: {status} for `{token}`"
            );
        }
        let place = ROLES.iter().position(|known| *known == role).unwrap();
        for lesser in &tokens[..place] {
            let detail = send(Some(lesser)).is(403).detail();
            assert!(
                detail.contains(&format!("needs the role `{role}`")),
                "{detail}"
            );
        }
        if path != "/v1/events" {
            for enough in &tokens[place..] {
                let status = send(Some(enough)).status;
                assert!(
                    ![401, 403, 429].contains(&status),
                    "{method} {path}: {status}"
                );
            }
        }
    }
    assert!(asked > 15, "{asked}");
}

#[test]
fn what_cannot_be_done_somewhere_is_refused_with_what_can() {
    let service = Service::start();
    let refused = service.request("PUT", "/v1/policy/shadow").send().is(405);
    assert_eq!(refused.headers["allow"], "DELETE, GET, POST");
    assert!(refused.detail().contains("/openapi.json"));
}

#[test]
fn once_there_was_a_token_nobody_is_let_in_without_one() {
    let gate = Gate::new();
    access_token(&gate, "ops", "operator");
    gate.run(&["token", "revoke", "ops"]).succeeds();
    let service = Service::on(gate);
    service.get("/queue").is(401);
}

#[test]
fn a_token_is_revoked_while_the_service_runs() {
    let service = Service::start();
    service.get("/queue").is(200);
    let ops = access_token(&service.gate, "ops", "reader");
    let ask = || service.request("GET", "/queue").token(&ops).send();
    service.get("/queue").is(401);
    ask().is(200);
    service.gate.run(&["token", "revoke", "ops"]).succeeds();
    ask().is(401);
}

#[test]
fn many_wrong_tokens_are_told_to_wait_and_a_right_one_is_not() {
    let gate = Gate::new();
    let reader = access_token(&gate, "dashboard", "reader");
    let service = Service::on(gate);
    let ask = |token: &str| service.request("GET", "/queue").token(token).send();
    for _ in 0..30 {
        ask("sgt_1_wrong");
    }
    let last = ask("sgt_1_wrong").is(429);
    assert_eq!(last.headers["retry-after"], "60");
    ask(&reader).is(200);
}

#[test]
fn only_the_hash_of_a_token_is_kept() {
    let gate = Gate::new();
    let text = access_token(&gate, "ops", "operator");
    let secret = text.splitn(3, '_').last().unwrap();
    let decoded = Base64UrlSafeNoPadding::decode_to_vec(secret, None).unwrap();
    let hash = Sha256::digest(&decoded);
    let content = gate.content();
    let has = |bytes: &[u8]| {
        let in_hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let has = |part: &[u8]| content.windows(part.len()).any(|window| window == part);
        has(bytes) || has(in_hex.as_bytes())
    };
    let found = [secret.as_bytes(), &decoded, &hash].map(has);
    assert_eq!(found, [false, false, true]);
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let service = Service::start();
    let freeze = json!({"repo": "alpha", "new": true, "reason": "because"});
    for (header, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("host", "evil.example"),
        ("host", "127.0.0.1.evil.example"),
        // Through a proxy, the client may be on any machine.
        ("x-forwarded-for", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
        ("via", "1.1 proxy"),
    ] {
        let asked = service.request("POST", "/v1/freezes").json(&freeze);
        let detail = asked.header(header, value).send().is(403).detail();
        assert!(!detail.is_empty());
    }
    assert_eq!(
        service.get("/queue").json()["serial_gate"]["per_repo"],
        json!({})
    );
    let own = format!("http://{}", service.address);
    let asked = service.request("POST", "/v1/freezes").json(&freeze);
    asked.header("origin", &own).send().is(200);
}

#[test]
fn a_cookie_of_another_service_on_this_machine_locks_nobody_out() {
    let service = Service::start();
    let ask = |name, value| service.request("GET", "/queue").header(name, value).send();
    ask("cookie", "serial_gate_token=sgt_1_of-another").is(200);
    // A bearer token is checked even if the database has no tokens.
    ask("authorization", "Bearer sgt_1_of-another").is(401);
}

#[test]
fn behind_a_proxy_of_another_name_a_token_is_enough() {
    let gate = Gate::new();
    let reader = access_token(&gate, "dashboard", "reader");
    let service = Service::on(gate);
    let ask = || {
        service
            .request("GET", "/queue")
            .header("host", "gate.example.com")
            .header("x-forwarded-for", "203.0.113.7")
    };
    ask().send().is(401);
    ask().token(&reader).send().is(200);
}

#[test]
fn tokens_are_listed_without_their_secrets() {
    let gate = Gate::new();
    let ran = gate.run(&["token", "list"]).succeeds();
    insta::assert_snapshot!(ran.stdout, @"there is no token: everyone on this machine may use the service");
    access_token(&gate, "ops", "operator");
    let again = gate
        .run(&["token", "add", "ops", "--role", "reader"])
        .exits(1);
    insta::assert_snapshot!(again.stderr, @"error: there is a token `ops` already: revoke it, or give another name");
    let unknown = gate.run(&["token", "revoke", "nobody"]).exits(1);
    insta::assert_snapshot!(unknown.stderr, @"error: there is no token `nobody`: `serial-gate token list` lists them");
    let listed = gate.run(&["token", "list", "--json"]).succeeds().json();
    assert_eq!(
        (&listed["name"], &listed["role"]),
        (&json!("ops"), &json!("operator"))
    );
}

#[test]
fn a_refusal_leaves_a_connection_open_whose_body_came_late() {
    let gate = Gate::new();
    access_token(&gate, "ops", "operator");
    let service = Service::on(gate);
    let mut connection = TcpStream::connect(&service.address).unwrap();
    for _ in 0..2 {
        let head = format!(
            "POST /v1/claim HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n",
            service.address
        );
        connection.write_all(head.as_bytes()).unwrap();
        // An answer before the body would have to close the connection.
        thread::sleep(Duration::from_millis(100));
        connection.write_all(b"{}").unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            answer.extend(byte);
        }
        assert!(answer.starts_with(b"HTTP/1.1 401"));
    }
}
