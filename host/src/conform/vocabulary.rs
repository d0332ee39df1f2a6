//! The values that a clause tells apart, column by column.
//!
//! Owns which values a state's columns are drawn from: the clause's own literals, the names in the
//! settings, what only almost matches either, and a few that any queue may have. Columns that the
//! clause compares with each other share their values. Leaves making states of them to `directed`.

use std::collections::BTreeSet;

use crate::clause::tree::{Literal, Part, Predicate, Row, Value};
use crate::clause::{Clause, Column, Kind, Table};
use crate::gate::scope_of;
use crate::model::Settings;

use super::dice::Dice;
use super::near::{neighbours, texts_of};

/// A column of a table.
pub(super) type Place = (Table, Column);

/// Values for each column.
pub(super) struct Vocabulary {
    groups: Vec<Group>,
}

/// Columns that share their values.
struct Group {
    places: Vec<Place>,
    /// What the clause or the settings name.
    named: Vec<Literal>,
    /// Values close to those.
    near: Vec<Literal>,
    /// What any queue may have.
    usual: Vec<Literal>,
}

/// How many values of the settings a group takes at most. It takes all of the clause's.
const OF_SETTINGS: usize = 64;

impl Vocabulary {
    /// What some clauses and the settings name.
    pub(super) fn of(clauses: &[&Clause], settings: &Settings) -> Vocabulary {
        let mut vocabulary = Vocabulary {
            groups: groups().into_iter().map(Group::of).collect(),
        };
        for clause in clauses {
            if let Some(predicate) = clause.predicate() {
                vocabulary.read(predicate);
            }
        }
        vocabulary.add_names_of(settings);
        for group in &mut vocabulary.groups {
            group.near = group.named.iter().flat_map(neighbours).collect();
        }
        vocabulary
    }

    /// A value for a column.
    pub(super) fn draw(&self, place: Place, dice: &mut Dice) -> Literal {
        let Some(group) = self.group(place) else {
            return Literal::Null;
        };
        let lists = match dice.below(10) {
            0..=4 => [&group.named, &group.usual],
            5..=6 => [&group.near, &group.usual],
            _ => [&group.usual, &group.named],
        };
        let full = lists.into_iter().find(|list| !list.is_empty());
        full.and_then(|list| dice.one_of(list))
            .cloned()
            .unwrap_or(Literal::Null)
    }

    /// A few values for each column: the fewer there are, the more often two rows share one.
    pub(super) fn palette(&self, dice: &mut Dice) -> Palette<'_> {
        let few = self.groups.iter().map(|group| {
            let count = 1 + dice.below(3);
            let place = group.places.first().copied();
            (0..count)
                .filter_map(|_| Some(self.draw(place?, dice)))
                .collect()
        });
        Palette {
            few: few.collect(),
            vocabulary: self,
        }
    }

    fn group(&self, place: Place) -> Option<&Group> {
        self.groups
            .iter()
            .find(|group| group.places.contains(&place))
    }

    fn index(&self, place: Place) -> Option<usize> {
        let mut groups = self.groups.iter();
        groups.position(|group| group.places.contains(&place))
    }

    /// Takes the literals of a clause, each for the column that it is compared with.
    fn read(&mut self, predicate: &Predicate) {
        let mut tables = vec![Table::Jobs];
        predicate.walk(&mut |part| {
            if let Part::Select(select) = part {
                // The numbers grow in the order of the text, which is that of the walk.
                tables.resize(tables.len().max(select.number + 1), select.table);
            }
        });
        let place = |value: &Value| match value {
            Value::Literal(_) => None,
            Value::Cell(cell) => {
                let number = match cell.row {
                    Row::Job => 0,
                    Row::Sub(number) => number,
                };
                Some((*tables.get(number)?, cell.column))
            }
            Value::Extreme(extreme) => Some((extreme.select.table, extreme.column)),
        };
        let mut compared = |left: &Value, right: &Value| match (place(left), place(right)) {
            (Some(left), Some(right)) => self.join(left, right),
            (Some(place), None) => self.name(place, right),
            (None, Some(place)) => self.name(place, left),
            (None, None) => {}
        };
        predicate.walk(&mut |part| match part {
            Part::Predicate(Predicate::Compare { left, right, .. }) => compared(left, right),
            Part::Predicate(Predicate::Between {
                value, low, high, ..
            }) => {
                compared(value, low);
                compared(value, high);
            }
            Part::Predicate(Predicate::InList { value, items, .. }) => {
                for item in items {
                    compared(value, &Value::Literal(item.clone()));
                }
            }
            _ => {}
        });
    }

    fn name(&mut self, place: Place, value: &Value) {
        if let Value::Literal(literal) = value
            && let Some(group) = self.index(place).and_then(|at| self.groups.get_mut(at))
            && !group.named.contains(literal)
        {
            group.named.push(literal.clone());
        }
    }

    /// From now on two columns share their values.
    fn join(&mut self, one: Place, other: Place) {
        let (Some(one), Some(other)) = (self.index(one), self.index(other)) else {
            return;
        };
        if one != other {
            let taken = self.groups.remove(one.max(other));
            if let Some(group) = self.groups.get_mut(one.min(other)) {
                group.places.extend(taken.places);
                group.named.extend(taken.named);
                group.usual.extend(taken.usual);
            }
        }
    }

    /// Takes the names of the scope for repos, and each text of `rules` for any column that has
    /// names.
    fn add_names_of(&mut self, settings: &Settings) {
        let scope = scope_of(settings);
        let exact = scope.exact().into_iter().flatten();
        let repos: BTreeSet<&String> = scope.names().iter().chain(exact).collect();
        for group in &mut self.groups {
            let of = |columns: &[Column]| {
                let mut places = group.places.iter();
                places.any(|(_, column)| columns.contains(column))
            };
            let mut names: BTreeSet<String> = BTreeSet::new();
            if of(&[Column::Repo]) {
                names.extend(repos.iter().copied().cloned());
            }
            if of(&[
                Column::Repo,
                Column::Agent,
                Column::Stage,
                Column::GateLabel,
            ]) {
                names.extend(texts_of(settings));
            }
            let literals = names.into_iter().map(Literal::Text);
            let new: Vec<Literal> = literals
                .filter(|name| !group.named.contains(name))
                .collect();
            // Some of them, from all parts of a long list.
            let step = new.len().div_ceil(OF_SETTINGS).max(1);
            group.named.extend(new.into_iter().step_by(step));
        }
    }
}

/// A few values for each column.
pub(super) struct Palette<'a> {
    few: Vec<Vec<Literal>>,
    vocabulary: &'a Vocabulary,
}

impl Palette<'_> {
    /// A value for a column, now and then from outside the palette.
    pub(super) fn draw(&self, place: Place, dice: &mut Dice) -> Literal {
        let index = self.vocabulary.index(place);
        let few = index.and_then(|index| self.few.get(index));
        match few.and_then(|few| dice.one_of(few)) {
            Some(literal) if !dice.chance(10) => literal.clone(),
            _ => self.vocabulary.draw(place, dice),
        }
    }
}

impl Group {
    fn of(places: Vec<Place>) -> Group {
        let usual = places.first().map(usual).unwrap_or_default();
        Group {
            places,
            named: Vec::new(),
            near: Vec::new(),
            usual,
        }
    }
}

/// The columns, grouped by what they mean in any queue.
fn groups() -> Vec<Vec<Place>> {
    use Table::{Jobs, RepoFreeze, Tasks};
    vec![
        vec![
            (Jobs, Column::Repo),
            (Tasks, Column::Repo),
            (RepoFreeze, Column::Repo),
        ],
        vec![(Jobs, Column::TaskId), (Tasks, Column::Id)],
        vec![(Jobs, Column::Id)],
        vec![(RepoFreeze, Column::Id)],
        vec![(Jobs, Column::Agent)],
        vec![(Jobs, Column::Status)],
        vec![(Tasks, Column::Stage)],
        vec![(Tasks, Column::GateLabel)],
        vec![
            (Tasks, Column::WorkItemId),
            (RepoFreeze, Column::WorkItemId),
        ],
        vec![(RepoFreeze, Column::FrozenAt)],
        vec![(RepoFreeze, Column::ClearedAt)],
        vec![(RepoFreeze, Column::Reason)],
    ]
}

/// What a column may have in any queue.
fn usual((_, column): &Place) -> Vec<Literal> {
    const LARGE: i64 = 1 << 53;
    let texts: &[&str] = match column {
        Column::Id | Column::TaskId => &[],
        Column::Repo => &["a", "a", "b", "A", ""],
        Column::Stage => &["done", "analysis", "Done", "review"],
        Column::Agent => &["analyst", "analyst", "developer", "Analyst"],
        Column::Status => &["queued", "running", "done"],
        Column::GateLabel => &["hotfix"],
        Column::WorkItemId => &["A-1", ""],
        Column::FrozenAt | Column::ClearedAt => &["2026-01-01 00:00:00", ""],
        Column::Reason => &["deploy", ""],
    };
    let mut usual: Vec<Literal> = texts
        .iter()
        .map(|text| Literal::Text((*text).into()))
        .collect();
    match column.kind() {
        Kind::Integer => {
            usual.extend((1..=6).map(Literal::Integer));
            usual.extend([-1, 0, LARGE, LARGE + 1, i64::MAX, i64::MIN].map(Literal::Integer));
        }
        Kind::Text => usual.push(Literal::Null),
    }
    if matches!(column, Column::ClearedAt | Column::GateLabel) {
        usual.extend([Literal::Null, Literal::Null]);
    }
    usual
}
