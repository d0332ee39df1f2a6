//! Hostile clauses: each is refused for the reason it was written for, so none is refused by luck.

use serial_gate::clause::Clause;

const HOSTILE: &str = include_str!("hostile-clauses.jsonl");

pub fn cases() -> Vec<(String, String)> {
    let field = |line: &serde_json::Value, name: &str| line[name].as_str().unwrap().to_owned();
    HOSTILE
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| (field(&line, "clause"), field(&line, "construct")))
        .collect()
}

fn shown(clause: &str) -> String {
    clause.chars().take(120).collect()
}

#[test]
fn every_hostile_clause_is_refused_for_its_own_construct() {
    let cases = cases();
    assert!(cases.len() >= 140, "only {} hostile clauses", cases.len());
    let mut wrong = Vec::new();
    for (clause, construct) in &cases {
        match Clause::accept(clause) {
            Ok(accepted) => {
                wrong.push(format!("accepted {:?}: {accepted:?}", shown(clause)));
            }
            Err(refusal) if refusal.construct() != construct => {
                wrong.push(format!(
                    "{:?}: expected {construct}, got {refusal}",
                    shown(clause)
                ));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_refusal_has_a_position_in_the_text_and_a_remedy() {
    for (clause, construct) in cases() {
        let refusal = Clause::accept(&clause).unwrap_err();
        let (line, column) = (refusal.line() as usize, refusal.column() as usize);
        let length = clause
            .split('\n')
            .nth(line - 1)
            .map(|text| text.chars().count());
        assert!(
            length.is_some_and(|length| column <= length + 1),
            "{refusal} in {:?}",
            shown(&clause)
        );
        let text = refusal.to_string();
        assert!(text.starts_with(&format!("[{construct}] ")), "{text}");
        assert!(
            text.contains(&format!(" at line {line}, column {column}: ")),
            "{text}"
        );
        assert!(
            text.ends_with(refusal.remedy()) && refusal.remedy().len() > 8,
            "{text}"
        );
        assert!(!text.ends_with('.') && text.len() < 400, "{text}");
        assert!(text.chars().all(|c| matches!(c, ' '..='~')), "{text:?}");
    }
}

#[test]
fn every_limit_is_refused_one_step_behind_it() {
    let tied = "EXISTS (SELECT 1 FROM tasks t WHERE t.repo = jobs.repo)";
    let counted = "(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo) > 0";
    let parens = |n: usize| format!("{}1 = 1{}", "(".repeat(n), ")".repeat(n));
    let nots = |n: usize| format!("{}TRUE{}", "NOT (".repeat(n), ")".repeat(n));
    let list = |n: usize| format!("jobs.id IN ({})", vec!["1"; n].join(","));
    let chain = |n: usize, term, operator| vec![term; n].join(operator);
    let text = |n: usize| format!("jobs.repo = '{}'", "a".repeat(n - 14));
    let nested = |inner: &str| {
        let second = format!("EXISTS (SELECT 1 FROM tasks b WHERE b.repo = jobs.repo{inner})");
        format!("EXISTS (SELECT 1 FROM tasks a WHERE a.repo = jobs.repo AND {second})")
    };
    let count = |number: &str| counted.replace("> 0", &format!("> {number}"));
    let third = " AND EXISTS (SELECT 1 FROM tasks c WHERE c.repo = jobs.repo)";
    let cases = [
        ("nesting", parens(32), parens(33)),
        (
            "nesting",
            "NOT ".repeat(32) + "TRUE",
            "NOT ".repeat(33) + "TRUE",
        ),
        ("nesting", nots(16), nots(17)),
        ("nesting", parens(32), "(".repeat(20_000)),
        (
            "too-many-operators",
            chain(501, "1=1", " OR "),
            chain(502, "1=1", " OR "),
        ),
        (
            "too-many-operators",
            chain(250, "NOT TRUE", " AND "),
            chain(251, "NOT TRUE", " AND "),
        ),
        ("long-list", list(10_000), list(10_001)),
        ("too-many-tokens", list(10_000), chain(25_001, "1", " ")),
        ("too-long", text(1 << 20), text((1 << 20) + 1)),
        ("too-long", " ".repeat(1 << 20), " ".repeat((1 << 20) + 1)),
        (
            "too-many-sub-selects",
            chain(16, tied, " OR "),
            chain(17, tied, " OR "),
        ),
        (
            "too-many-sub-selects",
            chain(16, counted, " OR "),
            chain(15, counted, " OR ") + " OR " + tied + " OR " + counted,
        ),
        ("sub-select-depth", nested(""), nested(third)),
        (
            "sub-select-depth",
            nested(""),
            nested(&format!(" AND {counted}")),
        ),
        ("count", count("1000"), count("1001")),
        ("count", count("0"), count("-1")),
    ];
    for (construct, at_the_limit, behind_it) in cases {
        assert_eq!(
            Clause::accept(&at_the_limit).err(),
            None,
            "{}",
            shown(&at_the_limit)
        );
        let refusal = Clause::accept(&behind_it).unwrap_err();
        assert_eq!(refusal.construct(), construct, "{}", shown(&behind_it));
    }
}

#[test]
fn the_nastiest_refusals_read_well() {
    let says = |clause: &str| Clause::accept(clause).unwrap_err().to_string();
    assert_eq!(
        says("jobs.agent = 'x' -- and so on"),
        "[comment] `--` starts a comment at line 1, column 18: remove it"
    );
    assert_eq!(
        says("jobs.agent = 'x') OR (1=1"),
        "[parenthesis] `)` closes a parenthesis that the clause did not open at line 1, column 17: remove it"
    );
    assert_eq!(
        says("jobs.id = 1 AND\nEXISTS (SELECT 1 FROM secrets s WHERE s.repo = jobs.repo)"),
        "[table] the table `secrets` is not readable by a policy at line 2, column 23: \
         write `tasks`, `jobs` or `repo_freeze`"
    );
    assert_eq!(
        says("j\u{43e}bs.repo = 'a'"),
        "[non-ascii] non-ASCII character U+043E at line 1, column 2: \
         write the plain ASCII character, or remove it"
    );
    assert_eq!(
        says("agent = 'x'"),
        "[unqualified-column] the column `agent` is not qualified at line 1, column 1: \
         write `jobs.agent`, or `alias.agent` inside a sub-select"
    );
    assert_eq!(
        says("3 > (SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo)"),
        "[count] count that is not the left side of a comparison at line 1, column 6: \
         write the count on the left and a number from 0 to 1000 on the right, as in `(SELECT count(*) FROM ...) >= 3`"
    );
    assert_eq!(
        says("(SELECT count(*) FROM tasks t WHERE t.repo = jobs.repo) > jobs.id"),
        "[count] count compared with something other than a number from 0 to 1000 at line 1, column 59: \
         write the number out, as in `(SELECT count(*) FROM ...) >= 3`"
    );
    assert_eq!(
        says("(SELECT count(1) FROM tasks t WHERE t.repo = jobs.repo) > 3"),
        "[count] `count` of something other than `*` at line 1, column 9: \
         write `count(*)`, which counts the rows that pass the `WHERE`"
    );
    assert_eq!(
        says("1=1 AND"),
        "[syntax] the clause ends too early at line 1, column 8: \
         write one boolean expression such as `jobs.agent <> 'analyst'`"
    );
}
