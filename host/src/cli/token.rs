//! `token add|list|revoke`: who may use the service.

use std::io;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use jiff::Timestamp;
use serial_gate::store::{Act, Role};

use super::options::{Shared, Who};
use super::output::Output;
use super::text::shown;
use super::{Error, Outcome};
use crate::http::Secret;

/// Make, list and revoke the tokens of the service
#[derive(Subcommand)]
#[command(
    after_help = "A `reader` looks, a `worker` also adds tasks and claims jobs, an `operator` also freezes repos and changes the policy.\nOnce there was a token, nobody uses the service without one.\n\nExample:\n  serial-gate token add builder-1 --role worker"
)]
pub enum Token {
    Add(Add),
    /// List the tokens, without their text
    List,
    Revoke(Revoke),
}

/// Make a token. It is shown once: only its hash is kept
#[derive(Args)]
pub struct Add {
    /// Whose it is: the name in the history
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// What its holder may do
    #[arg(long, value_parser = role())]
    role: Role,
    #[command(flatten)]
    who: Who,
}

/// Revoke a token, from the next request on
#[derive(Args)]
pub struct Revoke {
    /// Whose it is
    name: String,
    #[command(flatten)]
    who: Who,
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name))
        .map(|name| Role::of_name(&name).unwrap_or(Role::Reader))
}

impl Token {
    pub fn run(self, shared: &Shared, output: &mut Output) -> Result<Outcome, Error> {
        let mut store = shared.store()?;
        let now = Timestamp::now();
        match self {
            Token::Add(Add { name, role, who }) => {
                let secret = Secret::make().map_err(Error::NoRandom)?;
                let who = who.name();
                let act = Act {
                    now,
                    who: &who,
                    why: "",
                };
                let id = store.add_access_token(&name, role, &secret.hash, act)?;
                if let Err(cause) = print(&name, role, &secret.token(id), output) {
                    // Nobody can use it, and nobody could make another of this name.
                    let why = "it could not be printed";
                    store.revoke_access_token(&name, Act { why, ..act })?;
                    return Err(Error::Untold { name, cause });
                }
            }
            Token::List => {
                let tokens = store.access_tokens()?;
                if output.json {
                    for token in tokens {
                        output.json_line(&serde_json::json!({
                            "id": token.id, "name": token.name, "role": token.role, "made_at": token.made_at,
                            "made_by": token.made_by, "revoked_at": token.revoked_at,
                        }))?;
                    }
                    return Ok(Outcome::Done);
                }
                if tokens.is_empty() {
                    output
                        .line("there is no token: everyone on this machine may use the service")?;
                    return Ok(Outcome::Done);
                }
                let rows = tokens.into_iter().map(|token| {
                    vec![
                        shown(&token.name),
                        token.role.name().into(),
                        token.made_at,
                        shown(&token.made_by),
                        token.revoked_at.unwrap_or_else(|| "-".into()),
                    ]
                });
                let head = ["name", "role", "made (utc)", "by", "revoked (utc)"];
                output.table(&head, rows.collect())?;
            }
            Token::Revoke(Revoke { name, who }) => {
                let act = Act {
                    now,
                    who: &who.name(),
                    why: "",
                };
                store.revoke_access_token(&name, act)?;
                if output.json {
                    output.json_line(&serde_json::json!({ "name": name, "revoked": true }))?;
                } else {
                    output.line(format!("the token of `{}` is revoked", shown(&name)))?;
                }
            }
        }
        Ok(Outcome::Done)
    }
}

fn print(name: &str, role: Role, token: &str, output: &mut Output) -> io::Result<()> {
    if output.json {
        return output.json_line(&serde_json::json!({
            "name": name, "role": role, "token": token,
        }));
    }
    output.line(format!(
        "the token of `{}`, {}, which is not shown again:",
        shown(name),
        role.name()
    ))?;
    output.line(token)
}
