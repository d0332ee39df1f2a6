//! The reasons of a hold in words, the same on the command line and on the page.

use super::named_rows::Doubt;
use crate::model::Hold;
use crate::printable::Show;

/// The reasons of a hold in a few words. `first` says which task comes first, if that is shown.
/// What is doubted is only named.
pub fn reasons(hold: &Hold, first: Option<String>, doubts: &[Doubt], show: Show<'_>) -> String {
    let doubt = |of_task: bool| {
        let mut doubts = doubts.iter();
        let doubt = doubts.find(|doubt| doubt.is_of_task() == of_task);
        doubt.map(|doubt| format!("the policy names {}", show(&doubt.to_string())))
    };
    // The policy names a freeze by its row. People know it by its number, where the repo is.
    let frozen = hold.freeze.map(|_| "the repo is frozen".to_owned());
    let rule = hold.rule.as_deref().map(show);
    [doubt(true).or(first), doubt(false).or(frozen), rule]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}
