//! Whom to tell: the table `[alerts]` of `serial-gate.toml`, and the environment.
//!
//! Owns where secrets come from: the environment, or a file that is named there or in the table; never a
//! flag, which every user of the machine can read, and never the table itself. The table is read by
//! hand, because a parser's error shows the line that it is about.

use std::path::PathBuf;
use std::time::Duration;

use serial_gate::alerts::{
    Channel, Secret, Settings, TELEGRAM_TOKEN, Telegram, WEBHOOK_SECRET, WEBHOOK_URL, Webhook,
};
use toml::{Table, Value};

use crate::cli::Error;
use crate::cli::options::{Shared, duration};
use crate::cli::plain_text::{self, plain};

/// A table `[alerts]` that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A key that is none.
    #[error("`{key}` is no key of `serial-gate.toml`, which knows {known}{}", if *secret { ": a secret stands in the environment or in a file of its own" } else { "" })]
    Unknown {
        /// The key.
        key: String,
        /// Those that are.
        known: &'static str,
        /// Whether it looks like an attempt to write down a secret.
        secret: bool,
    },
    /// A value of another type.
    #[error("`{key}` is not {needed}: correct it in `serial-gate.toml` or the environment")]
    Value {
        /// The key.
        key: String,
        /// What it has to be.
        needed: &'static str,
    },
    /// A part of a channel is missing.
    #[error("`{channel}` lacks its {what}: set `{variable}`, or `{key}` in `serial-gate.toml`")]
    Missing {
        /// The channel.
        channel: &'static str,
        /// What it lacks.
        what: &'static str,
        /// The variable that gives it.
        variable: &'static str,
        /// The key that gives it.
        key: &'static str,
    },
}

/// What the table and the environment add up to; the environment comes first.
pub fn settings(shared: &Shared) -> Result<Settings, Error> {
    let given = table(shared.alerts.as_ref(), "alerts")?;
    check_keys(
        &given,
        "alerts",
        &["waiting", "tries", "timeout", "telegram", "webhook"],
        "`waiting`, `tries`, `timeout`, `telegram` and `webhook`",
    )?;
    let mut settings = Settings::default();
    if let Some(waiting) = time(&given, "waiting")? {
        settings.waiting = Some(waiting).filter(|waiting| !waiting.is_zero());
    }
    if let Some(timeout) = time(&given, "timeout")? {
        settings.timeout = timeout.max(Duration::from_millis(100));
    }
    if let Some(tries) = given.get("tries") {
        let number = tries.as_integer().and_then(|tries| tries.try_into().ok());
        settings.tries = number
            .filter(|tries| *tries > 0)
            .ok_or(ConfigError::Value {
                key: "alerts.tries".into(),
                needed: "a number from 1",
            })?;
    }
    let channels = [
        telegram(&table(given.get("telegram"), "alerts.telegram")?)?.map(Channel::Telegram),
        webhook(&table(given.get("webhook"), "alerts.webhook")?)?.map(Channel::Webhook),
    ];
    settings.channels = channels.into_iter().flatten().collect();
    Ok(settings)
}

fn telegram(table: &Table) -> Result<Option<Telegram>, Error> {
    let known = "`chat`, `url` and `token_file`";
    check_keys(
        table,
        "alerts.telegram",
        &["chat", "url", "token_file"],
        known,
    )?;
    let url = given(table, "alerts.telegram", "url", "SERIAL_GATE_TELEGRAM_URL")?;
    let chat = given(
        table,
        "alerts.telegram",
        "chat",
        "SERIAL_GATE_TELEGRAM_CHAT",
    )?;
    let token = secret(
        table,
        "alerts.telegram",
        "token_file",
        TELEGRAM_TOKEN,
        "SERIAL_GATE_TELEGRAM_TOKEN_FILE",
    )?;
    if url.is_none() && chat.is_none() && token.is_none() {
        return Ok(None);
    }
    let missing = |what, variable, key| ConfigError::Missing {
        channel: "telegram",
        what,
        variable,
        key,
    };
    Ok(Some(Telegram {
        url: url.unwrap_or_else(|| "https://api.telegram.org".into()),
        chat: chat
            .ok_or_else(|| missing("chat", "SERIAL_GATE_TELEGRAM_CHAT", "alerts.telegram.chat"))?,
        token: token
            .map(Secret::new)
            .ok_or_else(|| missing("token", TELEGRAM_TOKEN, "alerts.telegram.token_file"))?,
    }))
}

fn webhook(table: &Table) -> Result<Option<Webhook>, Error> {
    let known = "`url` and `secret_file`";
    check_keys(table, "alerts.webhook", &["url", "secret_file"], known)?;
    let url = given(table, "alerts.webhook", "url", WEBHOOK_URL)?;
    let secret = secret(
        table,
        "alerts.webhook",
        "secret_file",
        WEBHOOK_SECRET,
        "SERIAL_GATE_WEBHOOK_SECRET_FILE",
    )?;
    if url.is_none() && secret.is_none() {
        return Ok(None);
    }
    let missing = |what, variable, key| ConfigError::Missing {
        channel: "webhook",
        what,
        variable,
        key,
    };
    Ok(Some(Webhook {
        url: url
            .map(Secret::new)
            .ok_or_else(|| missing("address", WEBHOOK_URL, "alerts.webhook.url"))?,
        secret: secret
            .map(Secret::new)
            .ok_or_else(|| missing("secret", WEBHOOK_SECRET, "alerts.webhook.secret_file"))?,
    }))
}

fn check_keys(
    table: &Table,
    name: &str,
    known: &[&str],
    list: &'static str,
) -> Result<(), ConfigError> {
    let unknown = table.keys().find(|key| !known.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| {
        Err(ConfigError::Unknown {
            key: format!("{name}.{key}"),
            known: list,
            secret: ["token", "secret"].contains(&key.as_str()),
        })
    })
}

fn table(value: Option<&Value>, key: &str) -> Result<Table, ConfigError> {
    match value {
        None => Ok(Table::new()),
        Some(Value::Table(table)) => Ok(table.clone()),
        Some(_) => Err(ConfigError::Value {
            key: key.into(),
            needed: "a table",
        }),
    }
}

fn time(table: &Table, key: &str) -> Result<Option<Duration>, ConfigError> {
    let Some(value) = table.get(key) else {
        return Ok(None);
    };
    let time = value.as_str().and_then(|text| duration(text).ok());
    time.map(Some).ok_or_else(|| ConfigError::Value {
        key: format!("alerts.{key}"),
        needed: "a time such as `90s`, `30m` or `1h 30m`",
    })
}

/// A text from the environment or the table. An empty one is none.
fn given(
    table: &Table,
    name: &str,
    key: &str,
    variable: &str,
) -> Result<Option<String>, ConfigError> {
    let needed = |key: String| ConfigError::Value {
        key,
        needed: "a text",
    };
    let there = |text: &String| !text.is_empty();
    let plain = |text: &str| plain(text).to_owned();
    if let Some(text) = std::env::var_os(variable) {
        let text = text.into_string().map_err(|_| needed(variable.into()))?;
        return Ok(Some(plain(&text)).filter(there));
    }
    let Some(value) = table.get(key) else {
        return Ok(None);
    };
    let text = value.as_str().map(plain);
    Ok(text
        .map(Some)
        .ok_or_else(|| needed(format!("{name}.{key}")))?
        .filter(there))
}

/// A secret from the environment, or from a file whose path stands there or in the table.
fn secret(
    table: &Table,
    name: &str,
    key: &str,
    variable: &str,
    file_variable: &str,
) -> Result<Option<String>, Error> {
    if let Some(secret) = given(&Table::new(), name, key, variable)? {
        return Ok(Some(secret));
    }
    let Some(path) = given(table, name, key, file_variable)?.map(PathBuf::from) else {
        return Ok(None);
    };
    let secret = plain_text::read(&path)?;
    Ok(Some(secret).filter(|secret| !secret.is_empty()))
}
