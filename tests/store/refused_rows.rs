//! A row that the orchestrator's own rules refuse does not stop other work.

use crate::support::Gate;
use crate::support::engine::{Does, Program};

const UNIQUE: &str = "CREATE UNIQUE INDEX one_runs ON jobs (repo) WHERE status = 'running'";

/// A repo with a queued job each, by two agents in the first.
fn queue(repos: &[&str], add_rule: impl Fn(&Program)) -> Gate {
    let gate = Gate::new();
    for repo in repos {
        gate.run(&["task", "add", repo]).succeeds();
    }
    gate.run(&["job", "add", "1", "developer"]).succeeds();
    add_rule(&gate.program());
    gate
}

#[test]
fn a_job_that_a_rule_of_the_database_refuses_is_passed_over_and_told() {
    for rule in [
        Does::Refuse("not now"),
        Does::Fail("not now"),
        Does::RollBack("not now"),
        Does::Ignore,
    ] {
        let gate = queue(&["alpha", "beta", "gamma"], |program| {
            let alpha = "new.status = 'running' AND new.repo = 'alpha'";
            program.trigger("theirs", "BEFORE UPDATE ON jobs", Some(alpha), &rule);
        });
        let claimed = gate.run(&["claim", "--json"]).succeeds();
        assert_eq!(claimed.json()["repo"], "beta", "{rule:?}");
        assert_eq!(
            claimed
                .stderr
                .matches("the claim of job 1 was refused")
                .count(),
            1,
            "{rule:?}: {}",
            claimed.stderr
        );
        let claimed = gate
            .run(&["claim", "--agent", "analyst", "--json"])
            .succeeds();
        assert_eq!(claimed.json()["repo"], "gamma", "{rule:?}");
        // Nothing else may be claimed, so the refusal is the answer.
        gate.run(&["claim"]).exits(1);
        gate.run(&["claim", "--agent", "nobody"]).exits(3);
    }
}

#[test]
fn one_running_job_for_each_repo_leaves_the_other_repos_to_be_claimed() {
    let gate = queue(&["alpha", "beta"], |program| {
        program.run(UNIQUE);
    });
    let repos = [(); 2].map(|()| gate.run(&["claim", "--json"]).succeeds().json()["repo"].clone());
    assert_eq!(repos, ["alpha", "beta"]);
    gate.run(&["claim"]).exits(1);
    gate.run(&["task", "add", "gamma"]).succeeds();
    assert_eq!(
        gate.run(&["claim", "--json"]).succeeds().json()["repo"],
        "gamma"
    );
}

#[test]
fn more_refused_repos_than_any_rule_should_make_are_an_error() {
    let rule = |program: &Program| {
        let not_the_last = "new.status = 'running' AND new.repo != 'last'";
        let refuse = Does::Refuse("not now");
        program.trigger(
            "theirs",
            "BEFORE UPDATE ON jobs",
            Some(not_the_last),
            &refuse,
        );
    };
    for (number, exit) in [(15, 0), (17, 1)] {
        let names: Vec<String> = (0..number).map(|number| format!("repo-{number}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.push("last");
        queue(&names, rule).run(&["claim"]).exits(exit);
    }
}
