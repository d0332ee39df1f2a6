//! While a hostile component is compiled, everything else goes on.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use crate::support::bombs::{compilers_of, refused, slow};
use crate::support::look::until;
use crate::support::service::Service;

/// Asks for a check on a connection that is kept open, and waits until the component is being
/// compiled.
fn check_slowly(service: &Service) -> TcpStream {
    let component = slow();
    let mut connection = TcpStream::connect(&service.address).unwrap();
    let length = component.len();
    write!(
        connection,
        "POST /v1/policy/check HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"
    )
    .unwrap();
    connection.write_all(&component).unwrap();
    until("it compiles", || {
        !compilers_of(service.process()).is_empty()
    });
    connection
}

#[test]
fn a_component_that_breaks_a_cap_is_refused_by_name() {
    let service = Service::start();
    for (what, bomb) in refused() {
        // The service refuses a larger one without compiling it.
        if bomb.len() < 32 << 20 {
            let asked = service.request("POST", "/v1/policy/check");
            let checked = asked.body("application/wasm", bomb).send().is(200).json();
            assert_eq!(checked["accepted"], false);
            let found = checked["stages"][0]["found"].as_str().unwrap();
            assert!(found.contains(&format!(" {what}, and ")), "{found}");
        }
    }
}

#[test]
fn nothing_waits_for_a_compilation() {
    let service = Service::start();
    let rules = "rules=%7B%22gated_agents%22%3A%5B%22analyst%22%2C%22planner%22%5D%7D";
    let swap = format!("/v1/policy/swap?reason=why&{rules}");
    service.request("POST", &swap).send().is(200);
    service.post("/v1/tasks", &json!({"repo": "alpha"})).is(201);
    let shadow =
        "/v1/policy/shadow?reason=try&rules=%7B%22gated_agents%22%3A%5B%22planner%22%5D%7D";
    service.request("POST", shadow).send().is(200);
    let _connection = check_slowly(&service);
    service
        .post("/v1/policy/rollback", &json!({"reason": "now"}))
        .is(200);
    let stop = service.request("DELETE", "/v1/policy/shadow");
    stop.json(&json!({"reason": "enough"})).send().is(200);
    service.post("/v1/claim", &json!({"worker": "one"})).is(200);
    service.get("/readyz").is(200);
    service.get("/queue").is(200);
    assert_eq!(compilers_of(service.process()).len(), 1);
}

#[test]
fn told_to_stop_the_service_ends_and_its_compiler_with_it() {
    let service = Service::start();
    let process = service.process();
    let _connection = check_slowly(&service);
    assert!(service.stop().success());
    assert_eq!(compilers_of(process).len(), 0);
}

#[test]
fn a_caller_that_is_gone_is_compiled_for_no_longer() {
    let service = Service::start();
    drop(check_slowly(&service));
    until("the compiler is gone", || {
        compilers_of(service.process()).is_empty()
    });
    service.request("POST", "/v1/policy/check").send().is(200);
}
