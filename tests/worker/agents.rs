//! A worker of several agents.

use serde_json::Value;

use crate::support::Gate;
use crate::support::look::lines;

/// Three repos with a job each: 1 for an analyst, 2 for a reviewer, 3 for a developer.
fn gate() -> Gate {
    let gate = Gate::new();
    for (repo, agent) in [
        ("alpha", "analyst"),
        ("beta", "reviewer"),
        ("gamma", "developer"),
    ] {
        gate.run(&["task", "add", repo, "--agent", agent])
            .succeeds();
    }
    gate
}

#[test]
fn it_takes_the_lowest_job_among_those_of_its_agents() {
    let gate = gate();
    let shell = "echo $SERIAL_GATE_JOB $SERIAL_GATE_AGENT >> jobs";
    let arguments = ["work", "--agent", "developer,analyst", "--max", "2"];
    let arguments = [&arguments[..], &["--", "sh", "-c", shell]].concat();
    gate.run(&arguments).succeeds();
    assert_eq!(lines(&gate.path("jobs")), ["1 analyst", "3 developer"]);
}

#[test]
fn a_claim_may_be_for_several_agents() {
    let gate = gate();
    let claim = ["claim", "--agent", "developer", "--agent", "reviewer"];
    let claimed = gate.run(&[&claim[..], &["--max", "9", "--json"]].concat());
    let claimed = claimed.succeeds().json_lines();
    let agents: Vec<&Value> = claimed.iter().map(|job| &job["agent"]).collect();
    assert_eq!(agents, ["reviewer", "developer"]);
}

#[test]
fn each_agent_that_no_job_ever_had_is_named() {
    let gate = gate();
    let ran = gate.run(&["claim", "--agent", "analist,analyst,rewiever"]);
    ran.succeeds();
    let ran = gate.run(&["claim", "--agent", "analist,analyst,rewiever"]);
    insta::assert_snapshot!(ran.exits(3).stdout, @"
    nothing to claim: no job has ever been for `analist`; known agents: `analyst`, `developer`, `reviewer`
    nothing to claim: no job has ever been for `rewiever`; known agents: `reviewer`, `analyst`, `developer`
    ");
}

#[test]
fn an_agent_without_a_name_is_refused() {
    let gate = Gate::new();
    for agents in ["", "analyst,", ","] {
        gate.run(&["claim", "--agent", agents]).exits(2);
    }
}
