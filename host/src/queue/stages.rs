//! Stages that look like the end of a task, and are not.
//!
//! Owns the guess, which only ever adds words to an answer: nothing is moved or finished by it. Leaves to the rules which
//! stages are finished. Callers rely on this: a stage that is finished is never named here, and neither is a usual stage of
//! work, such as `review` or `doing`.

use crate::store::FinishedStages;

/// Words for an end that people use, in lower case.
const ENDS: [&str; 19] = [
    "done",
    "complete",
    "completed",
    "finished",
    "closed",
    "merged",
    "cancelled",
    "canceled",
    "abandoned",
    "rejected",
    "resolved",
    "shipped",
    "released",
    "archived",
    "dropped",
    "failed",
    "obsolete",
    "success",
    "wontfix",
];

/// The finished stage that was probably meant by a stage which is not finished; none if it looks like work.
pub fn near_finished<'a>(stage: &str, finished: &'a FinishedStages) -> Option<&'a str> {
    if finished.contains(stage) {
        return None;
    }
    let plain = plain(stage);
    if plain.is_empty() {
        return None;
    }
    let is_meant = |name: &&str| {
        let name = self::plain(name);
        plain == name || (name.len() > 3 && is_one_slip(&plain, &name))
    };
    let names = || finished.iter();
    names()
        .find(is_meant)
        .or_else(|| ENDS.contains(&plain.as_str()).then(|| finished.first()))
}

/// In lower case, letters and digits only: `Done`, `done ` and `wont-fix` are `done` and `wontfix`.
fn plain(stage: &str) -> String {
    let letters = stage.chars().filter(|c| c.is_alphanumeric());
    letters.flat_map(char::to_lowercase).collect()
}

/// Whether one letter was left out, added, changed, or swapped with the next. The first one is rarely wrong, and `none` is
/// not `done`.
fn is_one_slip(typed: &str, meant: &str) -> bool {
    let (typed, meant): (Vec<char>, Vec<char>) = (typed.chars().collect(), meant.chars().collect());
    let same = |pair: &(&char, &char)| pair.0 == pair.1;
    let start = typed.iter().zip(&meant).take_while(same).count();
    let end = typed.iter().rev().zip(meant.iter().rev());
    let end = end.take_while(same).count();
    if start == 0 {
        return false;
    }
    let longer = typed.len().max(meant.len());
    match typed.len().abs_diff(meant.len()) {
        0 => {
            let swapped = typed.get(start) == meant.get(start + 1)
                && typed.get(start + 1) == meant.get(start)
                && start + end + 2 >= longer;
            start + end + 1 >= longer || swapped
        }
        1 => start + end + 1 >= longer,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finished_stage_that_is_misspelt_is_known() {
        let finished = FinishedStages::default();
        for stage in [
            "Done",
            "DONE",
            "done ",
            "done\n",
            " done",
            "don",
            "doen",
            "dnoe",
            "doone",
            "done.",
            "dome",
            "\u{feff}done",
            "cancelled",
            "Merged",
            "won't fix",
        ] {
            assert_eq!(near_finished(stage, &finished), Some("done"), "{stage:?}");
        }
        let merged = FinishedStages::new(vec!["merged".into(), "dropped".into()]);
        for (stage, meant) in [
            ("Dropped", "dropped"),
            ("megred", "merged"),
            ("done", "merged"),
        ] {
            assert_eq!(near_finished(stage, &merged), Some(meant), "{stage}");
        }
    }

    #[test]
    fn a_stage_of_work_is_left_alone_and_so_is_a_finished_one() {
        let finished = FinishedStages::default();
        for stage in [
            "done",
            "",
            " ",
            "analysis",
            "development",
            "review",
            "testing",
            "deploy",
            "doing",
            "dev",
            "demo",
            "none",
            "one",
            "to do",
            "open",
            "deployed",
        ] {
            assert_eq!(near_finished(stage, &finished), None, "{stage:?}");
        }
    }
}
