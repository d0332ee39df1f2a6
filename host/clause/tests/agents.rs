//! The SQL of a set of agents.

use serial_gate_clause::{Agents, Dialect};

fn sql(agents: &Agents) -> String {
    agents.named(Dialect::Sqlite).to_string()
}

#[test]
fn a_job_without_an_agent_is_in_no_set() {
    let named = |name: &str| Some(name.to_owned());
    let agents = vec![None, named("a"), named("b'")];
    assert_eq!(
        sql(&Agents::Only(agents.clone())),
        r#"(("jobs"."agent" IN ('a', 'b''')) AND ("jobs"."agent" IS NOT NULL))"#
    );
    assert_eq!(
        sql(&Agents::AllBut(agents)),
        r#"(("jobs"."agent" NOT IN ('a', 'b''')) AND ("jobs"."agent" IS NOT NULL))"#
    );
    assert_eq!(
        sql(&Agents::Only(Vec::new())),
        r#"((FALSE) AND ("jobs"."agent" IS NOT NULL))"#
    );
    assert_eq!(
        sql(&Agents::AllBut(vec![None])),
        r#"((TRUE) AND ("jobs"."agent" IS NOT NULL))"#
    );
}
