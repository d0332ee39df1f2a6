//! Whom to tell: the table `[alerts]` of the configuration file, and the environment.
//!
//! Owns where secrets come from: the environment, or a file that is named there or in the table;
//! never a flag, which every user of the machine can read, and never the table itself. The table is
//! read by hand, because a parser's error shows the line that it is about. Callers rely on this: a
//! secret of the environment goes to no address that the folder which a command runs in may have
//! made up, and the other way round; see `one_source`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serial_gate::alerts::{
    Channel, Secret, Settings, TELEGRAM_TOKEN, Telegram, WEBHOOK_SECRET, WEBHOOK_URL, Webhook,
};
use toml::{Table, Value};

use crate::cli::Error;
use crate::cli::config_file::{Chosen, ConfigFile};
use crate::cli::empty_variables::variable;
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
    /// A channel whose parts come from two places, one of which may be another person's.
    #[error(
        "`{channel}` has its {of_environment} from the environment and its {of_file} from `{}`, because this folder has a database: set both in one place, or name the file with `--config` or the database with `--db`",
        path.display()
    )]
    TwoSources {
        /// The channel.
        channel: &'static str,
        /// What the environment gives.
        of_environment: &'static str,
        /// What the file gives.
        of_file: &'static str,
        /// The file.
        path: PathBuf,
    },
}

/// A part of a channel, and where it comes from.
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
        telegram(
            &table(given.get("telegram"), "alerts.telegram")?,
            shared.config.as_ref(),
        )?
        .map(Channel::Telegram),
        webhook(
            &table(given.get("webhook"), "alerts.webhook")?,
            shared.config.as_ref(),
        )?
        .map(Channel::Webhook),
    ];
    settings.channels = channels.into_iter().flatten().collect();
    Ok(settings)
}

fn telegram(table: &Table, file: Option<&ConfigFile>) -> Result<Option<Telegram>, Error> {
    const NAME: &str = "alerts.telegram";
    check_keys(
        table,
        NAME,
        &["chat", "url", "token_file"],
        "`chat`, `url` and `token_file`",
    )?;
    let url = given(table, NAME, "url", "SERIAL_GATE_TELEGRAM_URL", "address")?;
    let chat = given(table, NAME, "chat", "SERIAL_GATE_TELEGRAM_CHAT", "chat")?;
    let of_file = SecretFile {
        key: "token_file",
        variable: "SERIAL_GATE_TELEGRAM_TOKEN_FILE",
    };
    let token = secret(table, NAME, TELEGRAM_TOKEN, &of_file, "token", file)?;
    if url.is_none() && chat.is_none() && token.is_none() {
        return Ok(None);
    }
    one_source("telegram", [&url, &chat, &token], file)?;
    let missing = |what, variable, key| ConfigError::Missing {
        channel: "telegram",
        what,
        variable,
        key,
    };
    Ok(Some(Telegram {
        url: url.map_or_else(|| "https://api.telegram.org".into(), |url| url.text),
        chat: chat
            .ok_or_else(|| missing("chat", "SERIAL_GATE_TELEGRAM_CHAT", "alerts.telegram.chat"))?
            .text,
        token: token
            .map(|token| Secret::new(token.text))
            .ok_or_else(|| missing("token", TELEGRAM_TOKEN, "alerts.telegram.token_file"))?,
    }))
}

fn webhook(table: &Table, file: Option<&ConfigFile>) -> Result<Option<Webhook>, Error> {
    const NAME: &str = "alerts.webhook";
    check_keys(
        table,
        NAME,
        &["url", "secret_file"],
        "`url` and `secret_file`",
    )?;
    let url = given(table, NAME, "url", WEBHOOK_URL, "address")?;
    let of_file = SecretFile {
        key: "secret_file",
        variable: "SERIAL_GATE_WEBHOOK_SECRET_FILE",
    };
    let secret = secret(table, NAME, WEBHOOK_SECRET, &of_file, "secret", file)?;
    if url.is_none() && secret.is_none() {
        return Ok(None);
    }
    one_source("webhook", [&url, &secret], file)?;
    let missing = |what, variable, key| ConfigError::Missing {
        channel: "webhook",
        what,
        variable,
        key,
    };
    Ok(Some(Webhook {
        url: url
            .map(|url| Secret::new(url.text))
            .ok_or_else(|| missing("address", WEBHOOK_URL, "alerts.webhook.url"))?,
        secret: secret
            .map(|secret| Secret::new(secret.text))
            .ok_or_else(|| missing("secret", WEBHOOK_SECRET, "alerts.webhook.secret_file"))?,
    }))
}

/// Refuses a channel whose address is the word of the folder that the command runs in, while its
/// secret is this process's, or the other way round: the folder may be a checkout. A file that is
/// named, that lies beside a database which is named, or that is the user's own, is believed as
/// much as the environment.
fn one_source<const N: usize>(
    channel: &'static str,
    parts: [&Option<Part>; N],
    file: Option<&ConfigFile>,
) -> Result<(), ConfigError> {
    let Some(file) = file.filter(|file| file.chosen == Chosen::BesideTheDefault) else {
        return Ok(());
    };
    let from = |source| {
        let mut parts = parts.iter().copied().flatten();
        parts.find(|part| part.from == source)
    };
    match (from(Source::Environment), from(Source::File)) {
        (Some(of_environment), Some(of_file)) => Err(ConfigError::TwoSources {
            channel,
            of_environment: of_environment.what,
            of_file: of_file.what,
            path: file.path.clone(),
        }),
        _ => Ok(()),
    }
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

/// A text from the environment or the table. An empty one counts as not given.
fn given(
    table: &Table,
    name: &str,
    key: &str,
    of_variable: &str,
    what: &'static str,
) -> Result<Option<Part>, ConfigError> {
    let needed = |key: String| ConfigError::Value {
        key,
        needed: "a text",
    };
    let part = |text: &str, from| {
        let text = plain(text).to_owned();
        (!text.is_empty()).then_some(Part { what, text, from })
    };
    if let Some(text) = variable(of_variable) {
        let text = text.into_string().map_err(|_| needed(of_variable.into()))?;
        if let Some(part) = part(&text, Source::Environment) {
            return Ok(Some(part));
        }
    }
    let Some(value) = table.get(key) else {
        return Ok(None);
    };
    let text = value
        .as_str()
        .ok_or_else(|| needed(format!("{name}.{key}")))?;
    Ok(part(text, Source::File))
}

/// Where the path of a file with a secret is given.
struct SecretFile {
    key: &'static str,
    variable: &'static str,
}

/// A secret from the environment, or from a file whose path stands there or in the table.
fn secret(
    table: &Table,
    name: &str,
    of_variable: &str,
    of_file: &SecretFile,
    what: &'static str,
    file: Option<&ConfigFile>,
) -> Result<Option<Part>, Error> {
    if let Some(secret) = given(&Table::new(), name, of_file.key, of_variable, what)? {
        return Ok(Some(secret));
    }
    let Some(path) = given(table, name, of_file.key, of_file.variable, what)? else {
        return Ok(None);
    };
    let in_folder = Path::new(&path.text);
    let in_folder = match (path.from, file) {
        (Source::File, Some(file)) => file.beside(in_folder),
        _ => in_folder.into(),
    };
    let text = plain_text::read(&in_folder)?;
    Ok((!text.is_empty()).then_some(Part { text, ..path }))
}
