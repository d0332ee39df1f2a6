//! What a policy may say to people: how many texts, how long, and with which letters.
//!
//! Owns the bounds, and applies them twice. The check of a policy refuses a text that breaks them.
//! In use, where a policy may answer differently than at its check, a text is cut and escaped to
//! fit. Leaves the clause's own text to the guard. Callers rely on this: a text that was fitted
//! here is one line that can be printed as it is.

use crate::model::{Clause, Decision, Description, Verdict};
use crate::printable::{is_invisible, printable};

/// How many notes a clause may have.
pub const NOTES: usize = 16;

/// How many letters a note, a reason and a summary may have.
pub const LETTERS: usize = 300;

/// How many letters a name and a version may have.
pub const NAME_LETTERS: usize = 64;

/// Why a text cannot be shown to people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// There are too many.
    #[error(
        "the clause has {count} notes, and {NOTES} at most are shown: put what they say into fewer"
    )]
    Many {
        /// How many there are.
        count: usize,
    },
    /// It is too long.
    #[error("{what} has {letters} letters, and may have {most}: shorten it")]
    Long {
        /// Which text.
        what: String,
        /// How many it has.
        letters: usize,
        /// How many it may have.
        most: usize,
    },
    /// A letter of it is not seen.
    #[error(
        "{what} holds `{}`, which does not print: write one line of visible letters",
        letter.escape_unicode()
    )]
    Unprintable {
        /// Which text.
        what: String,
        /// The letter.
        letter: char,
    },
}

/// Checks the texts of a description. The error is the first that cannot be shown.
pub fn check_description(description: &Description) -> Result<(), Unfit> {
    let Description {
        name,
        version,
        summary,
    } = description;
    check("the `name`", name, NAME_LETTERS)?;
    check("the `version`", version, NAME_LETTERS)?;
    check("the `summary`", summary, LETTERS)
}

/// Checks the number of a clause's notes, and each of them.
pub fn check_notes(notes: &[String]) -> Result<(), Unfit> {
    if notes.len() > NOTES {
        return Err(Unfit::Many { count: notes.len() });
    }
    for (number, note) in (1..).zip(notes) {
        check(&format!("note {number}"), note, LETTERS)?;
    }
    Ok(())
}

/// Checks the reasons of holds.
pub fn check_reasons(decisions: &[Decision]) -> Result<(), Unfit> {
    for Decision { job, verdict } in decisions {
        if let Verdict::Hold(hold) = verdict
            && let Some(rule) = &hold.rule
        {
            check(
                &format!("the reason of the hold of job {job}"),
                rule,
                LETTERS,
            )?;
        }
    }
    Ok(())
}

fn check(what: &str, text: &str, most: usize) -> Result<(), Unfit> {
    let letters = text.chars().count();
    let what = || what.to_owned();
    if letters > most {
        return Err(Unfit::Long {
            what: what(),
            letters,
            most,
        });
    }
    match text.chars().find(|letter| is_invisible(*letter)) {
        Some(letter) => Err(Unfit::Unprintable {
            what: what(),
            letter,
        }),
        None => Ok(()),
    }
}

/// A text that is cut and escaped where it has to be.
pub fn fit(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", printable(text.get(..end).unwrap_or_default())),
        None => printable(text).into_owned(),
    }
}

/// A description whose texts are cut and escaped.
pub fn fit_description(description: Description) -> Description {
    Description {
        name: fit(&description.name, NAME_LETTERS),
        version: fit(&description.version, NAME_LETTERS),
        summary: fit(&description.summary, LETTERS),
    }
}

/// A clause whose notes are cut and escaped. If there are too many, the last one counts the rest.
pub fn fit_notes(clause: Clause) -> Clause {
    let more = clause.notes.len().saturating_sub(NOTES);
    let left_out = (more > 0).then(|| format!("the policy has {more} more notes"));
    let notes = clause.notes.iter().take(NOTES);
    Clause {
        notes: notes
            .map(|note| fit(note, LETTERS))
            .chain(left_out)
            .collect(),
        ..clause
    }
}

/// Decisions whose reasons are cut and escaped.
pub fn fit_reasons(mut decisions: Vec<Decision>) -> Vec<Decision> {
    for decision in &mut decisions {
        if let Verdict::Hold(hold) = &mut decision.verdict
            && let Some(rule) = &mut hold.rule
            && check("", rule, LETTERS).is_err()
        {
            *rule = fit(rule, LETTERS);
        }
    }
    decisions
}
