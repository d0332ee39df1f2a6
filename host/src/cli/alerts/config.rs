//! The channels: read from the table `[alerts]` of the configuration file and the environment.
//!
//! Owns where secrets come from: the environment, or a file that the environment or the table
//! names. They never come from a flag, which every user of the machine can read, or from the table.
//! Callers rely on this: no error shows a value of the table, which may be a secret in the wrong
//! place; and a secret from the environment is never sent to an address that comes from the current
//! folder's file, see `one_source`.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};
use serial_gate::alerts::{
    self, Channel, Secret, Settings, TELEGRAM_TOKEN, Telegram, WEBHOOK_SECRET, WEBHOOK_URL, Webhook,
};
use toml::Value;

use crate::cli::Error;
use crate::cli::options::{Chosen, ConfigFile, Shared, duration};
use crate::cli::plain_text::{self, plain};
use crate::cli::variables::variable;

/// The table `alerts`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    #[serde(deserialize_with = "time")]
    waiting: Option<Duration>,
    #[serde(deserialize_with = "time")]
    timeout: Option<Duration>,
    #[serde(deserialize_with = "number")]
    tries: Option<NonZeroU32>,
    telegram: Option<Value>,
    webhook: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TelegramTable {
    #[serde(deserialize_with = "text")]
    url: Option<String>,
    #[serde(deserialize_with = "text")]
    chat: Option<String>,
    #[serde(deserialize_with = "text")]
    token_file: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WebhookTable {
    #[serde(deserialize_with = "text")]
    url: Option<String>,
    #[serde(deserialize_with = "text")]
    secret_file: Option<String>,
}

/// Reads a value. The error names what is `needed`, and does not show the value.
fn hidden<'de, D: Deserializer<'de>, T>(
    value: D,
    needed: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, D::Error> {
    let value = Value::deserialize(value)?;
    read(&value).ok_or_else(|| de::Error::custom(format_args!("write {needed}")))
}

fn time<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Duration>, D::Error> {
    let time = |value: &Value| duration(value.as_str()?).ok();
    hidden(value, "a time such as `90s`, `30m` or `1h 30m`", time).map(Some)
}

fn number<'de, D: Deserializer<'de>>(value: D) -> Result<Option<NonZeroU32>, D::Error> {
    let number = |value: &Value| NonZeroU32::new(value.as_integer()?.try_into().ok()?);
    hidden(value, "a number from 1", number).map(Some)
}

fn text<'de, D: Deserializer<'de>>(value: D) -> Result<Option<String>, D::Error> {
    hidden(value, "a text", |value| value.as_str().map(str::to_owned)).map(Some)
}

/// Reads a table of the file.
fn table<T: DeserializeOwned + Default>(value: Option<Value>, name: &str) -> Result<T, Error> {
    let table = match value {
        None => return Ok(T::default()),
        Some(Value::Table(table)) => table,
        Some(_) => return Err(Error::new(format!("`{name}` is not a table: make it one"))),
    };
    table.try_into().map_err(|cause: toml::de::Error| {
        let is_secret = ["token", "secret"]
            .map(|key| format!("unknown field `{key}`"))
            .iter()
            .any(|unknown| cause.message().starts_with(unknown));
        let hint = match is_secret {
            true => ": a secret belongs in the environment or in its own file",
            false => "",
        };
        Error::because(format!("the table `{name}` cannot be used{hint}"), cause)
    })
}

/// A setting of a channel, and where it comes from.
struct Part {
    what: &'static str,
    text: String,
    from: Source,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Environment,
    File,
}

/// The settings of the table and the environment. The environment takes precedence.
pub fn settings(shared: &Shared) -> Result<Settings, Error> {
    let file = shared.config.as_ref();
    let given: Table = table(shared.alerts.clone(), "alerts")?;
    let mut settings = Settings::default();
    if let Some(waiting) = given.waiting {
        settings.waiting = Some(waiting).filter(|waiting| !waiting.is_zero());
    }
    if let Some(timeout) = given.timeout {
        settings.timeout = timeout.max(Duration::from_millis(100));
    }
    if let Some(tries) = given.tries {
        settings.tries = tries.get();
    }
    let channels = [
        telegram(table(given.telegram, "alerts.telegram")?, file)?.map(Channel::Telegram),
        webhook(table(given.webhook, "alerts.webhook")?, file)?.map(Channel::Webhook),
    ];
    settings.channels = channels.into_iter().flatten().collect();
    Ok(settings)
}

fn telegram(table: TelegramTable, file: Option<&ConfigFile>) -> Result<Option<Telegram>, Error> {
    let url = part("address", "SERIAL_GATE_TELEGRAM_URL", table.url)?;
    let chat = part("chat", "SERIAL_GATE_TELEGRAM_CHAT", table.chat)?;
    let variable = "SERIAL_GATE_TELEGRAM_TOKEN_FILE";
    let of_file = part("token", variable, table.token_file)?;
    let names = [variable, "alerts.telegram.token_file"];
    let token = secret("token", TELEGRAM_TOKEN, of_file, names, file)?;
    if url.is_none() && chat.is_none() && token.is_none() {
        return Ok(None);
    }
    one_source("telegram", [&url, &chat, &token], file)?;
    let needed = |part, what, variable, key| needed(part, what, variable, ["telegram", key], file);
    let chat = needed(chat, "chat", "SERIAL_GATE_TELEGRAM_CHAT", "chat")?;
    let token = needed(token, "token", TELEGRAM_TOKEN, "token_file")?;
    Ok(Some(Telegram {
        url: url.map_or_else(|| "https://api.telegram.org".into(), |url| url.text),
        chat: chat.text,
        token: Secret::new(token.text),
    }))
}

fn webhook(table: WebhookTable, file: Option<&ConfigFile>) -> Result<Option<Webhook>, Error> {
    let url = part("address", WEBHOOK_URL, table.url)?;
    let variable = "SERIAL_GATE_WEBHOOK_SECRET_FILE";
    let of_file = part("secret", variable, table.secret_file)?;
    let names = [variable, "alerts.webhook.secret_file"];
    let secret = secret("secret", WEBHOOK_SECRET, of_file, names, file)?;
    if url.is_none() && secret.is_none() {
        return Ok(None);
    }
    one_source("webhook", [&url, &secret], file)?;
    let needed = |part, what, variable, key| needed(part, what, variable, ["webhook", key], file);
    let url = needed(url, "address", WEBHOOK_URL, "url")?;
    let secret = needed(secret, "secret", WEBHOOK_SECRET, "secret_file")?;
    Ok(Some(Webhook {
        url: Secret::new(url.text),
        secret: Secret::new(secret.text),
    }))
}

fn needed(
    part: Option<Part>,
    what: &str,
    variable: &str,
    [channel, key]: [&str; 2],
    file: Option<&ConfigFile>,
) -> Result<Part, Error> {
    part.ok_or_else(|| {
        Error::new(format!(
            "`{channel}` lacks its {what}: set `{variable}`, or `alerts.{channel}.{key}` in `{}`",
            name(file)
        ))
    })
}

/// An error of sending. Where a channel is not configured, it says how to do that.
pub fn with_remedy(error: alerts::Error, shared: &Shared) -> Error {
    let tables = match &error {
        alerts::Error::NoChannel => "`[alerts.telegram]` or `[alerts.webhook]`".to_owned(),
        alerts::Error::NotConfigured(channel) => format!("`[alerts.{channel}]`"),
        _ => return error.into(),
    };
    Error::new(format!(
        "{error}: add {tables} to `{}`",
        name(shared.config.as_ref())
    ))
}

/// The configuration file in use, or the name of the file to make.
fn name(file: Option<&ConfigFile>) -> String {
    file.map_or_else(
        || "serial-gate.toml".into(),
        |file| file.path.display().to_string(),
    )
}

/// Refuses a channel whose address comes from the current folder's file while its secret comes from
/// the environment, or the reverse: the folder may be a checkout. These files are trusted like the
/// environment: the user's own, a named one, and the one next to a named database.
fn one_source<const N: usize>(
    channel: &str,
    parts: [&Option<Part>; N],
    file: Option<&ConfigFile>,
) -> Result<(), Error> {
    let Some(file) = file.filter(|file| file.chosen == Chosen::BesideTheDefault) else {
        return Ok(());
    };
    let from = |source| {
        let mut parts = parts.iter().copied().flatten();
        parts.find(|part| part.from == source)
    };
    match (from(Source::Environment), from(Source::File)) {
        (Some(of_environment), Some(of_file)) => Err(Error::new(format!(
            "`{channel}` has its {} from the environment and its {} from `{}`, because this folder \
             has a database: set both in one place, or name the file with `--config` or the \
             database with `--db`",
            of_environment.what,
            of_file.what,
            file.path.display()
        ))),
        _ => Ok(()),
    }
}

/// A text from the environment, otherwise from the table. An empty text counts as missing.
fn part(what: &'static str, name: &str, of_file: Option<String>) -> Result<Option<Part>, Error> {
    let part = |text: &str, from| {
        let text = plain(text).to_owned();
        (!text.is_empty()).then_some(Part { what, text, from })
    };
    let of_environment = match variable(name).map(|text| text.into_string()) {
        None => None,
        Some(Ok(text)) => part(&text, Source::Environment),
        Some(Err(_)) => return Err(Error::new(format!("`{name}` is not text in UTF-8"))),
    };
    Ok(of_environment.or_else(|| part(&of_file?, Source::File)))
}

/// A secret from the environment, otherwise from the file that the variable or the key names.
fn secret(
    what: &'static str,
    of_secret: &str,
    of_file: Option<Part>,
    [variable, key]: [&str; 2],
    file: Option<&ConfigFile>,
) -> Result<Option<Part>, Error> {
    if let Some(secret) = part(what, of_secret, None)? {
        return Ok(Some(secret));
    }
    let Some(named) = of_file else {
        return Ok(None);
    };
    let path = Path::new(&named.text);
    let (path, named_by) = match (named.from, file) {
        (Source::File, Some(file)) => {
            let by = format!("`{key}` in `{}`", name(Some(file)));
            (file.beside(path), by)
        }
        _ => (path.into(), format!("`{variable}`")),
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    let unread = |cause| Error::because(format!("the file of {named_by} cannot be used"), cause);
    let text = plain_text::read(&path).map_err(unread)?;
    Ok(Some(Part { text, ..named }))
}
