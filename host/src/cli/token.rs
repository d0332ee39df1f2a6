//! `token add|list|revoke`: the tokens of the service.
//!
//! Owns the printing of a new token; if that fails, the token is revoked. Leaves the check of
//! tokens to `http`.

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use serde_json::json;
use serial_gate::store::{Role, Store};

use super::Error;
use super::options::{Shared, Who};
use super::output::Report;
use super::text::shown;
use super::verb::Verb;
use crate::http::Secret;

/// Make, list and revoke the tokens of the service
#[derive(Subcommand)]
#[command(after_help = "\
A `reader` sees everything; a `worker` also adds tasks and claims jobs; an `operator`
also freezes repos and changes the policy. After the first token was made, the service
refuses requests without one.

Example:
  serial-gate token add builder-1 --role worker")]
pub enum Token {
    Add(Add),
    /// List the tokens, without their text
    #[command(after_help = "Example:\n  serial-gate token list")]
    List,
    Revoke(Revoke),
}

/// Make a token and show it once: only its hash is stored
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate token add builder-1 --role worker")]
pub struct Add {
    /// The holder's name, as the history shows it
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: String,
    /// What the holder may do
    #[arg(long, value_parser = role())]
    role: Role,
    #[command(flatten)]
    who: Who,
}

/// Revoke a token, from the next request on
#[derive(Args)]
#[command(after_help = "Example:\n  serial-gate token revoke builder-1")]
pub struct Revoke {
    /// The holder's name
    name: String,
    #[command(flatten)]
    who: Who,
}

fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name))
        .map(|name| Role::of_name(&name).unwrap_or(Role::Reader))
}

impl Verb for Token {
    fn run(self, shared: &Shared) -> Result<Report, Error> {
        let mut store = shared.store()?;
        match self {
            Token::Add(verb) => verb.run(&mut store, shared),
            Token::List => list(&mut store, shared),
            Token::Revoke(Revoke { name, who }) => {
                store.revoke_access_token(&name, who.actor(""))?;
                let mut report = shared.report();
                report.json(&json!({ "name": name, "revoked": true }));
                report.line(format!("the token of `{}` is revoked", shown(&name)));
                Ok(report)
            }
        }
    }
}

impl Add {
    fn run(self, store: &mut Store, shared: &Shared) -> Result<Report, Error> {
        let Add { name, role, who } = self;
        let secret = Secret::make().map_err(|cause| {
            Error::because(
                "the operating system gives no random numbers for a token",
                cause,
            )
        })?;
        let id = store.add_access_token(&name, role, &secret.hash, who.actor(""))?;
        let mut report = shared.report();
        let token = secret.token(id);
        report.json(&json!({ "name": name, "role": role, "token": token }));
        let (shown_name, role) = (shown(&name), role.name());
        report.line(format!(
            "the token of `{shown_name}`, {role}, which is not shown again:"
        ));
        report.line(token);
        if let Err(cause) = report.print() {
            // It is lost, and would keep its name taken.
            store.revoke_access_token(&name, who.actor("it could not be printed"))?;
            let name = name.escape_debug();
            let text = format!("cannot print the token of `{name}`, so it was revoked");
            return Err(Error::because(text, cause));
        }
        Ok(shared.report())
    }
}

fn list(store: &mut Store, shared: &Shared) -> Result<Report, Error> {
    let tokens = store.access_tokens()?;
    let mut report = shared.report();
    for token in &tokens {
        report.json(&json!({
            "id": token.id, "name": token.name, "role": token.role, "made_at": token.made_at,
            "made_by": token.made_by, "revoked_at": token.revoked_at,
        }));
    }
    if tokens.is_empty() {
        report.line("there is no token: everyone on this machine may use the service");
        return Ok(report);
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
    report.table(&["name", "role", "made (utc)", "by", "revoked (utc)"], rows);
    Ok(report)
}
