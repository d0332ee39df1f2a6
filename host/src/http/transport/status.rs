//! Which error gets which status, and which text the caller gets.
//!
//! Owns these matches. They name every variant: a new one does not compile until it has a status.
//! The caller gets errors that it can correct; errors inside the service go to the log.

use axum::http::StatusCode;
use serial_gate::error::with_causes;
use serial_gate::remedy::Remedy;
use serial_gate::worker::branch;
use serial_gate::{conform, gate, queue, rollout, store};

use super::actor::Refused;
use super::problem::Problem;

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Problem {
        match refused {
            Refused::Lost(error) if matches!(error.problem(), Some(store::Problem::Moved)) => {
                moved()
            }
            Refused::Lost(error) => Problem::inside(&*error),
            Refused::Busy | Refused::Stopped => {
                Problem::later(StatusCode::SERVICE_UNAVAILABLE, refused, 1)
            }
        }
    }
}

/// The file's path is not the caller's business.
fn moved() -> Problem {
    let detail = "the queue's database was replaced, renamed or removed while the service had it \
                  open, and the change may be lost: look at what is there now, and try again";
    Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 1)
}

/// The server's words are not the caller's business.
fn unconfirmed() -> Problem {
    let detail = "the queue's server did not confirm the change, which may have been made: look at \
                  what is there, and try again";
    Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 1)
}

/// The names of the programs are not the caller's business.
fn busy() -> Problem {
    let detail = "other programs are writing what may be claimed next: try again";
    Problem::later(StatusCode::SERVICE_UNAVAILABLE, detail, 1)
}

/// A refusal, and the route or the field that helps, if there is one.
fn refused(status: StatusCode, text: String, remedy: Option<Remedy>) -> Problem {
    let problem = Problem::new(status, text);
    match remedy.and_then(in_words) {
        Some(advice) => problem.with_advice(&advice),
        None => problem,
    }
}

/// A remedy as a request. None where no request helps.
fn in_words(remedy: Remedy) -> Option<String> {
    Some(match remedy {
        Remedy::ListTasks => "`GET /v1/tasks` lists them".into(),
        Remedy::ListJobs => "`GET /v1/jobs` lists them".into(),
        Remedy::ListGenerations => "`GET /v1/policy/history` lists them".into(),
        Remedy::LookAtFreeze { newest, .. } => {
            format!("look at its reason with `GET /queue`, and send `\"freeze_id\": {newest}`")
        }
        Remedy::ForceTheEnd => {
            "send `\"force\": true` and a `reason`, or, as its worker, its `token`".into()
        }
        Remedy::GiveReason => "say why in `reason`".into(),
        Remedy::Requeue(job) => {
            format!("end it with the program that started it, or `POST /v1/jobs/{job}/requeue`")
        }
        Remedy::LookAtHistory => "look at `GET /v1/policy/history`, and try again".into(),
        Remedy::TakeUpGeneration => "`GET /v1/policy/history` lists them, \
             `POST /v1/policy/rollback` with `generation` activates one"
            .into(),
        Remedy::TakeBuiltIn => {
            "`POST /v1/policy/swap` without a body activates the built-in one".into()
        }
        Remedy::SwapAnew => "`POST /v1/policy/swap` writes them again".into(),
        Remedy::SwapAgain => "`POST /v1/policy/swap` with its file, or without a body".into(),
        Remedy::SwapFile => "`POST /v1/policy/swap` a component that is to be active".into(),
        Remedy::NameInRules(rules) => {
            format!("name it in the query's `rules` instead, as in `{rules}`")
        }
        Remedy::StartShadow => "start one with `POST /v1/policy/shadow`".into(),
        Remedy::Create(_)
        | Remedy::NameAnotherFile
        | Remedy::RenameTables
        | Remedy::Prepare(_)
        | Remedy::GivePassword
        | Remedy::ListAlerts
        | Remedy::ListFixtures
        | Remedy::ListTokens
        | Remedy::SwitchFreezesOn
        | Remedy::DropFreezeOverride
        | Remedy::Sign
        | Remedy::SignAgain
        | Remedy::TrustKey => return None,
    })
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Problem {
        use store::{Error as E, Problem as P};
        let status = match &error {
            E::NoTask { .. }
            | E::NoFreezeGroup { .. }
            | E::NoJob { .. }
            | E::NoGeneration { .. }
            | E::NoFixture { .. }
            | E::NoAlert { .. }
            | E::NoToken { .. } => StatusCode::NOT_FOUND,
            E::Empty { .. }
            | E::Long { .. }
            | E::Nul { .. }
            | E::NotKept
            | E::KeyOfAnother { .. }
            | E::ForcedWithoutReason => StatusCode::UNPROCESSABLE_ENTITY,
            E::Status { .. }
            | E::StaleToken { .. }
            | E::TokenOfAnother { .. }
            | E::FrozenAgain { .. }
            | E::OtherFreeze { .. }
            | E::OtherAttempt { .. }
            | E::NotClaimedHere { .. }
            | E::Ended { .. }
            | E::TaskIsFinished { .. }
            | E::TaskRuns { .. }
            | E::NotAlone { .. }
            | E::NoTaskOf { .. }
            | E::AlreadyIn { .. }
            | E::BranchOf { .. }
            | E::BranchBeside { .. }
            | E::TokenNameTaken { .. }
            | E::Meanwhile
            | E::NoActiveGeneration => StatusCode::CONFLICT,
            E::Database(found) => match found.problem {
                P::Moved | P::OldLog(_) | P::OldIndex => return moved().because(error),
                P::Unknown(_) | P::NotReplicated(_) => return unconfirmed().because(error),
                P::Busy(_) => return busy(),
                P::Missing
                | P::Linked(_)
                | P::Unreachable(_)
                | P::NotFlushed(_)
                | P::CannotOpen(_)
                | P::NotADatabase
                | P::NotPrepared(_)
                | P::Schema(_)
                | P::Alike(_)
                | P::Unfit(_)
                | P::ReadOnly
                | P::Full
                | P::Disk(_)
                | P::Locked
                | P::JournalMode(_)
                | P::Damaged(_)
                | P::Constraint(_)
                | P::NumberTaken { .. }
                | P::Statement(_)
                | P::NoServer(_)
                | P::NoDatabase(_)
                | P::Credentials(_)
                | P::NoPassword
                | P::Certificate(_)
                | P::NoSchema
                | P::NotAllowed(_)
                | P::NoFunctions => return Problem::inside(&error),
            },
            E::GroupEnded
            | E::Undone { .. }
            | E::NoRandom(_)
            | E::Scan { .. }
            | E::Budget { .. } => return Problem::inside(&error),
        };
        refused(status, error.to_string(), error.remedy())
    }
}

/// Only names are the caller's fault.
impl From<branch::Error> for Problem {
    fn from(error: branch::Error) -> Problem {
        use branch::Error as E;
        match error {
            E::Store(error) => error.into(),
            E::Name(_)
            | E::Long { .. }
            | E::BesideBase { .. }
            | E::Taken { .. }
            | E::InTheWay { .. }
            | E::Alike { .. } => Problem::invalid(error),
            E::Empty(_)
            | E::Twice(_)
            | E::Option(_)
            | E::Pattern { .. }
            | E::Base { .. }
            | E::Unusable { .. }
            | E::Unprintable(_)
            | E::HalfAForge { .. }
            | E::ForgeRepo { .. }
            | E::Link { .. }
            | E::NoBase { .. }
            | E::NoGit(_)
            | E::NoFolder(_)
            | E::ManySettings
            | E::Git { .. }
            | E::Asked(_)
            | E::Large { .. }
            | E::Slow { .. }
            | E::GivenUp => Problem::inside(&error),
        }
    }
}

impl From<queue::Error> for Problem {
    fn from(error: queue::Error) -> Problem {
        use queue::Error as E;
        match error {
            E::Gate(error) => error.into(),
            E::FreezeOff { here: true } => Problem::new(
                StatusCode::CONFLICT,
                format!("{error}: the service was started with this setting"),
            ),
            E::FreezeOff { here: false } => Problem::new(
                StatusCode::CONFLICT,
                format!(
                    "{error}: an operator of the queue switches it on in the policy's settings"
                ),
            ),
            E::UnknownRepo { .. } => {
                let problem = Problem::new(StatusCode::NOT_FOUND, error);
                problem.with_advice("if the repo is new, send `\"new\": true`")
            }
            E::NoTaskNamed { .. } | E::NoTaskButItem { .. } | E::NoJobOf { .. } => {
                refused(StatusCode::NOT_FOUND, error.to_string(), error.remedy())
            }
            E::NothingToFreeze | E::SeveralTasks { .. } => {
                Problem::new(StatusCode::CONFLICT, error)
            }
            E::NotInScope { .. }
            | E::NoNameInScope { .. }
            | E::NothingInScope { .. }
            | E::AgentInPipeline { .. }
            | E::NotInPipeline { .. } => {
                let unfit = StatusCode::UNPROCESSABLE_ENTITY;
                refused(unfit, error.to_string(), error.remedy())
            }
        }
    }
}

impl From<gate::Error> for Problem {
    fn from(error: gate::Error) -> Problem {
        use gate::Error as E;
        match error {
            E::Store(error) => error.into(),
            // The policy's own words: an operator who swaps policies has to read them.
            E::Policy(_) | E::Clause(_) | E::NoPolicy => {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                refused(status, with_causes(&error), error.remedy())
            }
            E::Unreadable { .. } | E::NoComponent { .. } | E::Altered { .. } | E::Thread(_) => {
                Problem::inside(&error)
            }
            E::LoaderEnded => Problem::bug(error),
        }
    }
}

impl From<rollout::Error> for Problem {
    fn from(error: rollout::Error) -> Problem {
        use rollout::Error as E;
        let status = match error {
            E::Queue(error) => return error.into(),
            E::Store(error) => return error.into(),
            E::Check(error) => return error.into(),
            // The service stops: the policy may be good.
            E::NoPolicy(error) if error.is_a_stop() => return queue::Error::from(error).into(),
            E::NoPolicy(_) => StatusCode::BAD_REQUEST,
            E::NothingNew { .. }
            | E::NothingBefore
            | E::NeverActive { .. }
            | E::NoShadow
            | E::Unusable { .. } => StatusCode::CONFLICT,
            // The service replays no log.
            E::ReadLog { .. } | E::LogLine { .. } | E::Replay { .. } => {
                return Problem::bug(with_causes(&error));
            }
        };
        refused(status, with_causes(&error), error.remedy())
    }
}

/// A check that was not finished. The policy may be good.
impl From<conform::Error> for Problem {
    fn from(error: conform::Error) -> Problem {
        Problem::inside(&error)
    }
}
