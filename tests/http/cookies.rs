//! What a browser keeps, and how it forgets.

use serde_json::json;

use crate::support::Gate;
use crate::support::service::access_token;
use crate::support::service::{Answer, Service};

fn with_token() -> (Service, String) {
    let gate = Gate::new();
    let token = access_token(&gate, "kim", "operator");
    (Service::on(gate), token)
}

fn login(service: &Service, token: &str, headers: &[(&str, &str)]) -> Answer {
    let kind = "application/x-www-form-urlencoded";
    let asked = service.request("POST", "/login");
    let asked = asked.body(kind, format!("token={token}").into_bytes());
    let asked = headers
        .iter()
        .fold(asked, |asked, (name, value)| asked.header(name, value));
    asked.send().is(303)
}

fn cookie(answer: &Answer) -> &str {
    answer.headers["set-cookie"].to_str().unwrap()
}

#[test]
fn behind_tls_the_cookie_is_never_sent_without() {
    let (service, token) = with_token();
    let host = format!("https://{}", service.address);
    for headers in [
        [("x-forwarded-proto", "https")],
        [("x-forwarded-proto", "HTTPS, http")],
        [("forwarded", "for=203.0.113.7;proto=https")],
        [(
            "forwarded",
            "for=203.0.113.7; Proto=\"https\", for=10.0.0.1",
        )],
        // If the proxy adds no header, the browser's counts.
        [("origin", host.as_str())],
    ] {
        let answer = login(&service, &token, &headers);
        let cookie = cookie(&answer);
        assert!(
            cookie.starts_with("__Host-serial_gate_token="),
            "{headers:?}: {cookie}"
        );
        let ends = "; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800; Secure";
        assert!(cookie.ends_with(ends), "{headers:?}: {cookie}");
    }
}

#[test]
fn without_tls_it_is_kept_all_the_same() {
    let (service, token) = with_token();
    for headers in [
        &[][..],
        &[("x-forwarded-proto", "http")],
        &[("x-forwarded-proto", "http, https")],
        &[("forwarded", "for=\"proto=https\"")],
    ] {
        let answer = login(&service, &token, headers);
        let cookie = cookie(&answer);
        assert!(!cookie.contains("Secure"), "{headers:?}: {cookie}");
        assert!(
            cookie.contains("; HttpOnly; SameSite=Strict"),
            "{headers:?}: {cookie}"
        );
    }
}

#[test]
fn a_cookie_of_either_name_lets_a_browser_in_and_the_safe_one_comes_first() {
    let (service, token) = with_token();
    let ask = |cookie: &str| service.request("GET", "/").header("cookie", cookie).send();
    ask(&format!("serial_gate_token={token}")).is(200);
    ask(&format!("other=1; __Host-serial_gate_token={token}")).is(200);
    ask(&format!(
        "serial_gate_token=sgt_9_other; __Host-serial_gate_token={token}"
    ))
    .is(200);
    ask(&format!("not_serial_gate_token={token}")).is(401);
}

#[test]
fn signing_out_makes_the_browser_forget_both() {
    let (service, token) = with_token();
    let cookie = format!("serial_gate_token={token}");
    let page = service
        .request("GET", "/")
        .header("cookie", &cookie)
        .send()
        .is(200);
    assert!(page.text.contains("action=\"/logout\""), "{}", page.text);
    assert!(page.text.contains("kim, operator"), "{}", page.text);
    let gone = service
        .request("POST", "/logout")
        .header("cookie", &cookie)
        .send()
        .is(303);
    assert_eq!(gone.headers["location"], "/login");
    let cookies: Vec<&str> = gone
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|cookie| cookie.to_str().unwrap())
        .collect();
    insta::assert_snapshot!(cookies.join("\n"), @r"
    __Host-serial_gate_token=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0; Secure
    serial_gate_token=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0
    ");
}

#[test]
fn another_site_signs_nobody_out() {
    let (service, _) = with_token();
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let refused = service
            .request("POST", "/logout")
            .header(name, value)
            .send()
            .is(403);
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    service.get("/logout").is(405);
}

#[test]
fn those_who_keep_no_token_have_nothing_to_sign_out_of() {
    let service = Service::start();
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let page = service.get("/").is(200).text;
    assert!(!page.contains("/logout"), "{page}");
}
