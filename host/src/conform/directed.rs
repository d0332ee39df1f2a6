//! States that are made for a clause: each of its conditions decides about a job in some of them.
//!
//! Owns the choice of the conditions. For each leaf of the tree, and for each item of a list, there
//! are states in which the leaf is true, false and NULL while everything around it leaves the
//! decision to the leaf: if the clause makes an exception for one repo, some state has a job of
//! that repo which the rest of the clause holds. Names that are not in the settings come first; of
//! a long list, only some are tried. There are also states with values from the vocabulary that no
//! condition asked for.

use serde_json::Value;

use crate::clause::tree::{Literal, Predicate};
use crate::clause::{Clause, Column, Table};
use crate::gate::scope_of;
use crate::model::Settings;

use super::dice::Dice;
use super::leaves::{leaf_at, leaves};
use super::near::texts_of;
use super::rows::{Company, state};
use super::scene::{Draft, Outcome, Scene};
use super::vocabulary::Vocabulary;

/// How many conditions there are states for.
const TARGETS: usize = 120;

/// How many states of the vocabulary there are.
const LOOSE: usize = 100;

/// How many rows the states have together: a count of a thousand takes a thousand rows.
const ROWS_OF_ALL: usize = 20_000;

/// A state with more rows is made once for each outcome.
const MANY: usize = 100;

/// A condition that is to decide: a leaf, and for a list which of its items.
struct Target {
    leaf: usize,
    item: usize,
}

/// The states for a clause, always the same ones.
pub(super) fn states(clause: &Clause, vocabulary: &Vocabulary, settings: &Settings) -> Vec<Value> {
    let mut dice = Dice::new(0x6761_7465);
    let mut states = Vec::new();
    let mut rows = 0;
    if let Some(predicate) = clause.predicate() {
        for target in targets(predicate, settings) {
            let mut most = 0;
            for company in [Company::None, Company::Jobs, Company::All] {
                for outcome in Outcome::ALL {
                    if company != Company::None && most > MANY {
                        continue;
                    }
                    let mut scene = Scene::new(vocabulary, &mut dice);
                    scene.is_busy = company != Company::None;
                    scene.drive(predicate, target.leaf, target.item, outcome);
                    let drafts = scene.rows;
                    rows += drafts.len();
                    most = most.max(drafts.len());
                    let palette = vocabulary.palette(&mut dice);
                    states.push(state(drafts, company, &palette, &mut dice));
                }
            }
            if rows > ROWS_OF_ALL {
                break;
            }
        }
    }
    states.extend((0..LOOSE).map(|_| loose(vocabulary, &mut dice)));
    states
}

/// A state of a few values.
fn loose(vocabulary: &Vocabulary, dice: &mut Dice) -> Value {
    let palette = vocabulary.palette(dice);
    let empty = |table, cells| Draft { table, cells };
    let queued = (Column::Status, Literal::Text("queued".into()));
    let mut rows = vec![empty(Table::Jobs, vec![queued])];
    for table in [Table::Jobs, Table::Tasks, Table::RepoFreeze] {
        let count = dice.below(4);
        rows.extend((0..count).map(|_| empty(table, Vec::new())));
    }
    state(rows, Company::Jobs, &palette, dice)
}

/// The conditions of a clause. Names that are not in the settings come first.
fn targets(predicate: &Predicate, settings: &Settings) -> Vec<Target> {
    let scope = scope_of(settings);
    let exact = scope.exact().into_iter().flatten();
    let mut expected: Vec<String> = scope.names().iter().chain(exact).cloned().collect();
    expected.extend(texts_of(settings));
    expected.sort_unstable();
    let is_expected = |item: &Literal| match item {
        Literal::Text(text) => expected.binary_search(text).is_ok(),
        _ => false,
    };
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for leaf in 0..leaves(predicate) {
        let Some(Predicate::InList { items, .. }) = leaf_at(predicate, leaf) else {
            let target = Target { leaf, item: 0 };
            match leaf_at(predicate, leaf) {
                // The costly ones first: the rows of all states together are limited.
                Some(Predicate::Count { .. }) => first.insert(0, target),
                _ => first.push(target),
            }
            continue;
        };
        for (item, literal) in items.iter().enumerate() {
            let list = if is_expected(literal) {
                &mut second
            } else {
                &mut first
            };
            list.push(Target { leaf, item });
        }
    }
    let room = TARGETS.saturating_sub(first.len()).max(8);
    let some = |targets: Vec<Target>, room| {
        let step = targets.len().div_ceil(room).max(1);
        targets.into_iter().step_by(step)
    };
    some(first, TARGETS).chain(some(second, room)).collect()
}
