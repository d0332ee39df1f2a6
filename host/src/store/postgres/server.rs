//! Where a queue is in a PostgreSQL server.
//!
//! Owns the address: libpq's URL, and `schema=`, where the shared tables are. Leaves the form of a
//! URL to `url`, the connection to `dial`, a password elsewhere to `password`. Callers rely on this:
//! an address that was read can be used as it is, and no text of it has its password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use postgres::Config;
use postgres::config::{ChannelBinding, TargetSessionAttrs};

use super::tls::{Mode, PUBLIC};
use super::url::{USUAL_PORT, Url, UrlError, after_scheme};

/// A database of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    // Errors have the address, and are passed on by value.
    url: Arc<Url>,
    /// A file that holds the password alone.
    password_file: Option<Arc<Path>>,
}

/// One of the hosts that may have the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    /// Its name, or the folder of its socket.
    pub name: String,
    pub port: u16,
}

/// Why a text is not the address of a database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It has another form.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// It does not begin like an address.
    #[error("it does not begin with `postgres://`")]
    Scheme,
    /// A parameter is not known.
    #[error(
        "it has the parameter `{}`, which is not known here; known are {}",
        name.escape_debug(), in_backticks(&known())
    )]
    Unknown {
        /// The name of the parameter.
        name: String,
    },
    /// A parameter has a value that it cannot have.
    #[error("its `{name}` must be {possible}")]
    Value {
        /// The name of the parameter.
        name: &'static str,
        /// What it can be.
        possible: &'static str,
    },
}

/// The parameters that are a part of the URL as well.
const PARTS: [&str; 5] = ["dbname", "host", "password", "port", "user"];

/// A parameter with what it can be, and whether a value is that.
type Parameter = (&'static str, &'static str, fn(&str) -> bool);

const PARAMETERS: [Parameter; 11] = [
    ("application_name", "a name", |name| !name.is_empty()),
    (
        "channel_binding",
        "`disable`, `prefer` or `require`",
        |value| channel_binding(value).is_some(),
    ),
    ("connect_timeout", "a number of seconds", |value| {
        value.parse::<u32>().is_ok()
    }),
    (OPTIONS, "flags such as `-c NAME=VALUE`", |value| {
        !value.is_empty()
    }),
    ("passfile", "the path of a file", |path| !path.is_empty()),
    ("schema", "the name of a schema", |name| !name.is_empty()),
    ("sslcert", "the path of a file", |path| !path.is_empty()),
    ("sslkey", "the path of a file", |path| !path.is_empty()),
    (
        "sslmode",
        "`disable`, `prefer`, `require`, `verify-ca` or `verify-full`",
        |value| Mode::of_name(value).is_some(),
    ),
    ("sslrootcert", "the path of a file, or `system`", |path| {
        !path.is_empty()
    }),
    (
        "target_session_attrs",
        "`any`, `read-write` or `primary`, because a queue is written to",
        |value| session(value).is_some(),
    ),
];

/// Flags of the server process. A setting in them may be a secret.
const OPTIONS: &str = "options";

/// The parameters whose values are paths.
const PATHS: [&str; 4] = ["passfile", "sslcert", "sslkey", "sslrootcert"];

impl Server {
    /// Whether the address itself has a password.
    pub fn has_password(&self) -> bool {
        self.url.password.is_some()
    }

    /// The same address, with each path in it changed.
    #[must_use]
    pub fn with_paths(mut self, change: impl Fn(&Path) -> PathBuf) -> Server {
        for (name, value) in &mut Arc::make_mut(&mut self.url).parameters {
            let is_path = PATHS.contains(&name.as_str()) && value != PUBLIC;
            // A path that is no text cannot be a part of a URL, and stays as it is.
            if let Some(path) = is_path.then(|| change(Path::new(value))).as_deref()
                && let Some(path) = path.to_str()
            {
                *value = path.into();
            }
        }
        self
    }

    /// The same address, with its password in a file that holds nothing else.
    #[must_use]
    pub fn with_password_file(self, path: PathBuf) -> Server {
        Server {
            password_file: Some(path.into()),
            ..self
        }
    }

    /// The same address, with the shared tables in another schema.
    #[must_use]
    pub(crate) fn with_schema(mut self, name: &str) -> Server {
        let parameters = &mut Arc::make_mut(&mut self.url).parameters;
        parameters.retain(|(parameter, _)| parameter != "schema");
        parameters.push(("schema".into(), name.into()));
        self
    }

    /// The password of the address itself.
    pub(super) fn password(&self) -> Option<&str> {
        self.url.password.as_deref()
    }

    /// The file that holds the password alone.
    pub(super) fn password_file(&self) -> Option<&Path> {
        self.password_file.as_deref()
    }

    /// The role; none for the name of the user of this process.
    pub(super) fn user(&self) -> Option<&str> {
        self.url.user.as_deref()
    }

    /// The database; none if it has the role's name.
    pub(super) fn database(&self) -> Option<&str> {
        self.url.database.as_deref()
    }

    /// The schema of the shared tables; none for the first of the role's `search_path`.
    pub(crate) fn schema(&self) -> Option<&str> {
        self.parameter("schema")
    }

    /// A parameter of the URL.
    pub(super) fn parameter(&self, name: &'static str) -> Option<&str> {
        self.url.parameter(name)
    }

    /// How long a host may take to let this process in: this, unless the address has another
    /// time. None for any time, which is libpq's 0.
    pub(super) fn connect_timeout(&self, usual: Duration) -> Option<Duration> {
        let given = self.parameter("connect_timeout");
        let seconds = given.and_then(|seconds| seconds.parse().ok());
        let timeout = seconds.map_or(usual, Duration::from_secs);
        (!timeout.is_zero()).then_some(timeout)
    }

    /// The hosts, in the order in which they are tried.
    pub(super) fn hosts(&self) -> impl ExactSizeIterator<Item = Host> {
        let hosts = self.url.hosts.iter().zip(&self.url.ports);
        hosts.map(|(name, port)| Host {
            name: name.clone(),
            port: port.unwrap_or(USUAL_PORT),
        })
    }

    /// What the driver has to know of one host.
    pub(super) fn config(&self, host: &Host) -> Config {
        let mut config = Config::new();
        config.host(&host.name).port(host.port);
        if let Some(user) = self.user() {
            config.user(user);
        }
        if let Some(database) = self.database() {
            config.dbname(database);
        }
        let name = self.parameter("application_name");
        config.application_name(name.unwrap_or("serial-gate"));
        if let Some(options) = self.parameter(OPTIONS) {
            config.options(options);
        }
        if let Some(binding) = self.parameter("channel_binding").and_then(channel_binding) {
            config.channel_binding(binding);
        }
        // Of several hosts, those that only follow are passed over: a queue is written to.
        let usual = match self.hosts().len() {
            1 => TargetSessionAttrs::Any,
            _ => TargetSessionAttrs::ReadWrite,
        };
        let wanted = self.parameter("target_session_attrs").and_then(session);
        config.target_session_attrs(wanted.unwrap_or(usual));
        config
    }
}

impl Host {
    /// Whether it is reached by a socket of this machine.
    pub(super) fn is_a_socket(&self) -> bool {
        self.name.starts_with('/')
    }
}

impl FromStr for Server {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Server, AddressError> {
        let url = Url::read(after_scheme(text).ok_or(AddressError::Scheme)?)?;
        for (name, value) in &url.parameters {
            let known = PARAMETERS.iter().find(|(known, ..)| known == name);
            let Some(&(name, possible, accepts)) = known else {
                return Err(AddressError::Unknown { name: name.clone() });
            };
            if !accepts(value) {
                return Err(AddressError::Value { name, possible });
            }
        }
        let is_weak = |name| Mode::of_name(name) != Some(Mode::VerifyFull);
        if url.parameter("sslrootcert") == Some(PUBLIC)
            && url.parameter("sslmode").is_some_and(is_weak)
        {
            return Err(AddressError::Value {
                name: "sslmode",
                possible: "`verify-full` if `sslrootcert` is `system`: anybody can have a \
                           certificate of a public authority",
            });
        }
        Ok(Server {
            url: url.into(),
            password_file: None,
        })
    }
}

impl fmt::Display for Server {
    /// The URL without its password, and without options that may have another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = Url::clone(&self.url);
        url.parameters
            .retain(|(name, value)| name != OPTIONS || is_without_secrets(value));
        url.fmt(f)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether options have settings of the server's own only, none of which is a secret. The settings
/// of extensions and of users have a `.` in their names.
fn is_without_secrets(options: &str) -> bool {
    options.split_whitespace().all(|word| {
        let setting = word.strip_prefix("--").or_else(|| word.strip_prefix("-c"));
        let setting = setting.unwrap_or(word);
        let name = setting.split('=').next().unwrap_or_default();
        !name.contains(['.', '\\'])
    })
}

fn channel_binding(value: &str) -> Option<ChannelBinding> {
    match value {
        "disable" => Some(ChannelBinding::Disable),
        "prefer" => Some(ChannelBinding::Prefer),
        "require" => Some(ChannelBinding::Require),
        _ => None,
    }
}

fn session(value: &str) -> Option<TargetSessionAttrs> {
    match value {
        "any" => Some(TargetSessionAttrs::Any),
        "read-write" | "primary" => Some(TargetSessionAttrs::ReadWrite),
        _ => None,
    }
}

fn known() -> Vec<&'static str> {
    let mut names = PARTS.to_vec();
    names.extend(PARAMETERS.iter().map(|(name, ..)| *name));
    names.sort_unstable();
    names
}

fn in_backticks(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        url.parse().unwrap()
    }

    fn refusal(url: &str) -> String {
        url.parse::<Server>().unwrap_err().to_string()
    }

    #[test]
    fn no_text_of_an_address_has_its_password() {
        for url in [
            "postgres://u:secret@h/db",
            "postgres://h/db?password=secret",
            "postgres://h/db?options=-c%20app.password%3Dsecret",
            "postgres://h/db?options=--app.key%3Dsecret%20-c%20search_path%3Dq",
            "postgres://h/db?options=-capp.key%3Dsecret",
        ] {
            let server = server(url);
            let location = crate::store::Location::Server(server.clone());
            let shown = format!("{server} {server:?} {location} {location:?}");
            assert!(!shown.contains("secret"), "{shown}");
        }
        let harmless = "postgres://h/db?options=-c%20search_path%3Dq";
        assert_eq!(server(harmless).to_string(), harmless);
    }

    #[test]
    fn an_address_says_where_the_tables_are() {
        let server = server("postgres://u@a:1,b/db?schema=queue&connect_timeout=3");
        assert_eq!(server.schema(), Some("queue"));
        let hosts: Vec<_> = server.hosts().map(|host| (host.name, host.port)).collect();
        assert_eq!(hosts, [("a".into(), 1), ("b".into(), 5432)]);
        let usual = Duration::from_secs(10);
        assert_eq!(server.connect_timeout(usual), Some(Duration::from_secs(3)));
        let other = |url| self::server(url).connect_timeout(usual);
        assert_eq!(other("postgres://h/db"), Some(usual));
        assert_eq!(other("postgres://h/db?connect_timeout=0"), None);
    }

    #[test]
    fn of_several_hosts_one_that_takes_writes_is_used() {
        let wanted = |url: &str| {
            let server = server(url);
            let host = server.hosts().next().unwrap();
            server.config(&host).get_target_session_attrs()
        };
        assert_eq!(wanted("postgres://a/db"), TargetSessionAttrs::Any);
        assert_eq!(wanted("postgres://a,b/db"), TargetSessionAttrs::ReadWrite);
        let any = "postgres://a,b/db?target_session_attrs=any";
        assert_eq!(wanted(any), TargetSessionAttrs::Any);
    }

    #[test]
    fn a_parameter_that_is_not_known_is_named_and_its_value_is_not() {
        insta::assert_snapshot!(refusal("postgres://h/db?passwrod=secret"), @"it has the parameter `passwrod`, which is not known here; known are `application_name`, `channel_binding`, `connect_timeout`, `dbname`, `host`, `options`, `passfile`, `password`, `port`, `schema`, `sslcert`, `sslkey`, `sslmode`, `sslrootcert`, `target_session_attrs`, `user`");
        insta::assert_snapshot!(refusal("postgres://h/db?sslmode=on"), @"its `sslmode` must be `disable`, `prefer`, `require`, `verify-ca` or `verify-full`");
        insta::assert_snapshot!(refusal("postgres://h/db?connect_timeout=secret"), @"its `connect_timeout` must be a number of seconds");
        insta::assert_snapshot!(refusal("postgres://h/db?target_session_attrs=standby"), @"its `target_session_attrs` must be `any`, `read-write` or `primary`, because a queue is written to");
        insta::assert_snapshot!(refusal("postgres://h/db?sslrootcert=system&sslmode=require"), @"its `sslmode` must be `verify-full` if `sslrootcert` is `system`: anybody can have a certificate of a public authority");
        insta::assert_snapshot!(refusal("postgres://u:se@cret@h/db"), @"an `@`, `/` or `?` of its user or password is not escaped: write `%40`, `%2F` or `%3F`");
        insta::assert_snapshot!(refusal("postgres:///db"), @"it has no host: write one after the `//`, or `?host=/FOLDER` for a socket");
        insta::assert_snapshot!(refusal("postgres://h,i,j/db?port=1,2"), @"it has 2 ports for 3 hosts: give one for all, or one for each");
        insta::assert_snapshot!(refusal("postgres://h/%d"), @"its database has a `%` without two hexadecimal digits, or bytes that are no text");
        insta::assert_snapshot!(refusal("postgres://h:0/db"), @"a port after a host is not a number between 1 and 65535");
        insta::assert_snapshot!(refusal("postgres://[::1/db"), @"a `[` of its hosts has no `]`");
        insta::assert_snapshot!(refusal("postgres://h/db?schema"), @"a parameter after the `?` has no `=`");
    }

    #[test]
    fn a_path_in_an_address_is_relative_to_the_file_that_has_it() {
        let server = server("postgres://h/db?passfile=pw&sslrootcert=/ca.pem&schema=q");
        let moved = server.with_paths(|path| Path::new("/etc").join(path));
        assert_eq!(
            moved.to_string(),
            "postgres://h/db?passfile=/etc/pw&sslrootcert=/ca.pem&schema=q"
        );
    }
}
