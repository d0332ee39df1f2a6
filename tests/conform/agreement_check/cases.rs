//! `conform` with settings that replace those of each case.

use crate::support::Gate;

/// Task 2 waits for task 1, while the gate is on and looks at the repo.
const HELD: &str = r#"{"case":{"settings":{"enabled":true,"repos":"a","freeze_enabled":true},"tasks":[{"id":1,"repo":"a","stage":"review"},{"id":2,"repo":"a","stage":"review"}],"jobs":[{"id":1,"task_id":2,"repo":"a","agent":"analyst"}]},"expected":{"claimable":[]}}"#;

fn conform(flags: &[&str]) -> (Option<i32>, String) {
    let gate = Gate::folder();
    gate.write("case.jsonl", HELD);
    let ran = gate.run(&[&["conform", "case.jsonl"], flags].concat());
    (ran.code, ran.stdout + &ran.stderr)
}

#[test]
fn without_a_flag_a_case_has_its_own_settings() {
    assert_eq!(conform(&[]), (Some(0), "1 passed, 0 failed\n".into()));
}

#[test]
fn a_flag_replaces_the_setting_and_is_named() {
    for (flags, name) in [
        (["--enabled", "false"], "enabled"),
        (["--repos", "b"], "repos"),
        (["--rules", r#"{"gated_agents":["x"]}"#], "rules"),
        (["--rules", r#"{"finished_stages":["review"]}"#], "rules"),
    ] {
        let (code, said) = conform(&flags);
        assert_eq!(code, Some(1), "{name}: {said}");
        let end = format!("0 passed, 1 failed, each with its `{name}` replaced\n");
        assert!(said.ends_with(&end), "{said}");
    }
    let (code, said) = conform(&["--freeze-enabled", "false"]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn rules_that_are_no_object_are_refused_before_any_case() {
    for rules in ["[1]", "7", "\"x\""] {
        let (code, said) = conform(&["--rules", rules]);
        assert!(
            code != Some(0) && !said.contains("passed"),
            "{rules}: {said}"
        );
    }
}

#[test]
fn a_case_whose_rules_are_no_object_fails_by_name() {
    let gate = Gate::folder();
    let case = r#"{"case":{"settings":{"enabled":true,"rules":[1]}},"expected":{"claimable":[]}}"#;
    gate.write("case.jsonl", case);
    let ran = gate.run(&["conform", "case.jsonl"]).exits(1);
    assert!(
        ran.stdout
            .contains("`settings.rules` is `[1]`: write a JSON object or null")
    );
}
