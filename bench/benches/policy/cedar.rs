//! The rule in Cedar.
//!
//! Cedar answers one request at a time and reads no lists. So each job is a request, and the first
//! unfinished task and the newest freeze of a repo are found before.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};

use crate::rows::{Outcome, Rows};

const RULE: &str = r#"
permit (principal, action == Action::"claim", resource);

@holds("earlier_task")
forbid (principal == Agent::"analyst", action == Action::"claim", resource)
when { resource has first && resource.first < context.task };

@holds("freeze")
forbid (principal == Agent::"analyst", action == Action::"claim", resource)
when { resource has freeze };
"#;

pub struct Cedar {
    policies: PolicySet,
    authorizer: Authorizer,
    claim: EntityUid,
    agent: EntityTypeName,
    repo: EntityTypeName,
}

/// What is found for Cedar.
#[derive(Default)]
struct Repo {
    first: Option<i64>,
    freeze: Option<i64>,
}

impl Cedar {
    pub fn new() -> Cedar {
        Cedar {
            policies: RULE.parse().unwrap(),
            authorizer: Authorizer::new(),
            claim: r#"Action::"claim""#.parse().unwrap(),
            agent: "Agent".parse().unwrap(),
            repo: "Repo".parse().unwrap(),
        }
    }

    pub fn decide(&self, rows: &Rows) -> Vec<Outcome> {
        let repos = repos(rows);
        let entities = repos.iter().map(|(name, found)| {
            let number = |key: &str, value: Option<i64>| {
                Some((key.to_owned(), RestrictedExpression::new_long(value?)))
            };
            let attributes: HashMap<_, _> =
                [number("first", found.first), number("freeze", found.freeze)]
                    .into_iter()
                    .flatten()
                    .collect();
            Entity::new(uid(&self.repo, name), attributes, HashSet::new()).unwrap()
        });
        let entities = Entities::from_entities(entities, None).unwrap();
        let outcome = |job: &crate::rows::Job| {
            let task = RestrictedExpression::new_long(job.task);
            let request = Request::new(
                uid(&self.agent, job.agent),
                self.claim.clone(),
                uid(&self.repo, &job.repo),
                Context::from_pairs([("task".to_owned(), task)]).unwrap(),
                None,
            );
            let response =
                self.authorizer
                    .is_authorized(&request.unwrap(), &self.policies, &entities);
            let held_by = |reason: &str| {
                let mut reasons = response.diagnostics().reason();
                reasons.any(|id| self.policies.annotation(id, "holds") == Some(reason))
            };
            let found = &repos[job.repo.as_str()];
            Outcome {
                job: job.id,
                earlier_task: found.first.filter(|_| held_by("earlier_task")),
                freeze: found.freeze.filter(|_| held_by("freeze")),
            }
        };
        rows.jobs.iter().map(outcome).collect()
    }
}

fn repos(rows: &Rows) -> HashMap<&str, Repo> {
    let mut repos: HashMap<&str, Repo> = HashMap::new();
    for task in rows.tasks.iter().filter(|task| task.stage != "done") {
        let first = &mut repos.entry(&task.repo).or_default().first;
        *first = Some(first.map_or(task.id, |id| id.min(task.id)));
    }
    for freeze in &rows.freezes {
        let newest = &mut repos.entry(&freeze.repo).or_default().freeze;
        *newest = (*newest).max(Some(freeze.id));
    }
    for job in &rows.jobs {
        repos.entry(&job.repo).or_default();
    }
    repos
}

fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}
