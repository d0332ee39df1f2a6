//! The URL of a PostgreSQL database: its parts, decoded, and how they are written again.
//!
//! Owns the form that libpq documents: several hosts, a host that is a folder of sockets, percent
//! encoding. Leaves to `server` which parameters there are. Callers rely on this: no error repeats
//! a text of the URL that may belong to a password.

use std::fmt::{self, Write};

/// What a URL says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub user: Option<String>,
    pub password: Option<String>,
    pub hosts: Vec<String>,
    /// As many as hosts; none is the usual port.
    pub ports: Vec<Option<u16>>,
    pub database: Option<String>,
    /// Those that are not one of the above, in order.
    pub parameters: Vec<(String, String)>,
}

/// Why a text is not a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// An escape is incomplete, or the bytes are no text.
    #[error("its {0} has a `%` without two hexadecimal digits, or bytes that are no text")]
    Encoding(&'static str),
    /// A user or password has a letter with a meaning.
    #[error(
        "an `@`, `/` or `?` of its user or password is not escaped: write `%40`, `%2F` or `%3F`"
    )]
    At,
    /// There is no host.
    #[error("it has no host: write one after the `//`, or `?host=/FOLDER` for a socket")]
    NoHost,
    /// An IPv6 address is not closed.
    #[error("a `[` of its hosts has no `]`")]
    Bracket,
    /// A port is no port.
    #[error("a port after a host is not a number between 1 and 65535")]
    Port,
    /// There are neither as many ports as hosts, nor one for all.
    #[error("it has {ports} ports for {hosts} hosts: give one for all, or one for each")]
    Ports {
        /// How many ports.
        ports: usize,
        /// How many hosts.
        hosts: usize,
    },
    /// A parameter has no value.
    #[error("a parameter after the `?` has no `=`")]
    NoValue,
}

/// The beginnings of a URL.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// What follows the beginning; none if a text is no URL of a PostgreSQL database.
pub(super) fn after_scheme(text: &str) -> Option<&str> {
    let after = |scheme: &&str| {
        let (start, rest) = text.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    SCHEMES.iter().find_map(after)
}

impl Url {
    /// Reads what follows the beginning.
    pub(super) fn read(rest: &str) -> Result<Url, UrlError> {
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = place.split_once('/').unwrap_or((place, ""));
        // An escape that was forgotten in a password would make its end a host, a database or the
        // name of a parameter, which are shown.
        if query.contains('@') || path.contains('@') || authority.matches('@').count() > 1 {
            return Err(UrlError::At);
        }
        let mut url = Url::default();
        let hosts = match authority.split_once('@') {
            Some((who, hosts)) => {
                let (user, password) = who.split_once(':').unwrap_or((who, ""));
                url.user = not_empty(decoded(user, "user")?);
                url.password = not_empty(decoded(password, "password")?);
                hosts
            }
            None => authority,
        };
        for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
            let (host, port) = host_and_port(host)?;
            url.hosts.push(decoded(host, "host")?);
            url.ports.push(port_of(&decoded(port, "port")?)?);
        }
        url.database = not_empty(decoded(path, "database")?);
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').ok_or(UrlError::NoValue)?;
            let name = decoded(name, "query")?;
            url.take(name, decoded(value, "query")?)?;
        }
        url.one_port_each()?;
        if url.hosts.is_empty() || url.hosts.iter().any(String::is_empty) {
            return Err(UrlError::NoHost);
        }
        Ok(url)
    }

    /// A parameter, which replaces what is before the `?` or an earlier one.
    fn take(&mut self, name: String, value: String) -> Result<(), UrlError> {
        match name.as_str() {
            "user" => self.user = not_empty(value),
            "password" => self.password = not_empty(value),
            "dbname" => self.database = not_empty(value),
            "host" => self.hosts = value.split(',').map(str::to_owned).collect(),
            "port" => self.ports = value.split(',').map(port_of).collect::<Result<_, _>>()?,
            _ => {
                self.parameters.retain(|(known, _)| *known != name);
                self.parameters.push((name, value));
            }
        }
        Ok(())
    }

    fn one_port_each(&mut self) -> Result<(), UrlError> {
        let (hosts, ports) = (self.hosts.len(), self.ports.len());
        match *self.ports.as_slice() {
            _ if ports == hosts => {}
            [] => self.ports = vec![None; hosts],
            [port] => self.ports = vec![port; hosts],
            _ => return Err(UrlError::Ports { ports, hosts }),
        }
        Ok(())
    }

    /// The value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(known, _)| known == name)?;
        Some(value)
    }

    fn is_in_a_folder(&self) -> bool {
        self.hosts.iter().any(|host| host.starts_with('/'))
    }
}

impl fmt::Display for Url {
    /// The URL without its password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", Encoded(user, ""))?;
        }
        let mut parameters = Vec::new();
        if self.is_in_a_folder() {
            parameters.push(("host", self.hosts.join(",")));
            if self.ports.iter().any(Option::is_some) {
                let ports = self
                    .ports
                    .iter()
                    .map(|port| port.unwrap_or(USUAL_PORT).to_string());
                parameters.push(("port", ports.collect::<Vec<_>>().join(",")));
            }
        } else {
            for (index, (host, port)) in self.hosts.iter().zip(&self.ports).enumerate() {
                f.write_str(if index > 0 { "," } else { "" })?;
                match host.contains(':') {
                    true => write!(f, "[{}]", Encoded(host, ":"))?,
                    false => Encoded(host, "").fmt(f)?,
                }
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
            }
        }
        if self.database.is_some() || self.is_in_a_folder() {
            write!(
                f,
                "/{}",
                Encoded(self.database.as_deref().unwrap_or_default(), "")
            )?;
        }
        let others = self.parameters.iter();
        parameters.extend(others.map(|(name, value)| (name.as_str(), value.clone())));
        for (index, (name, value)) in parameters.iter().enumerate() {
            f.write_char(if index > 0 { '&' } else { '?' })?;
            write!(f, "{}={}", Encoded(name, ""), Encoded(value, "/:,"))?;
        }
        Ok(())
    }
}

/// The port of a server, unless a URL has another.
pub(super) const USUAL_PORT: u16 = 5432;

fn host_and_port(text: &str) -> Result<(&str, &str), UrlError> {
    let Some(address) = text.strip_prefix('[') else {
        return Ok(text.split_once(':').unwrap_or((text, "")));
    };
    let (address, rest) = address.split_once(']').ok_or(UrlError::Bracket)?;
    match rest.strip_prefix(':') {
        Some(port) => Ok((address, port)),
        None if rest.is_empty() => Ok((address, "")),
        None => Err(UrlError::Port),
    }
}

fn port_of(text: &str) -> Result<Option<u16>, UrlError> {
    match text.parse() {
        _ if text.is_empty() => Ok(None),
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok(Some(port)),
    }
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A part without its escapes. A NUL would end it early on the way to the server.
fn decoded(text: &str, part: &'static str) -> Result<String, UrlError> {
    let wrong = || UrlError::Encoding(part);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                value
                    .and_then(|value| value.try_into().ok())
                    .ok_or_else(wrong)?
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong())?;
    if text.contains('\0') {
        return Err(wrong());
    }
    Ok(text)
}

/// A part with escapes for all but letters, digits, `-._~` and these.
struct Encoded<'a>(&'a str, &'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            let letter = char::from(byte);
            if letter.is_ascii_alphanumeric() || "-._~".contains(letter) || self.1.contains(letter)
            {
                f.write_char(letter)?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Url, UrlError> {
        Url::read(after_scheme(url).unwrap())
    }

    #[test]
    fn a_url_is_shown_as_it_is_without_its_password() {
        for (url, shown) in [
            ("postgres://u:secret@h:5/db", "postgres://u@h:5/db"),
            ("postgresql://u:se%40c%2Fret@h/db", "postgres://u@h/db"),
            ("postgres://:sec:ret@h/db", "postgres://h/db"),
            (
                "postgres://h/db?password=secret&user=u",
                "postgres://u@h/db",
            ),
            ("postgres://h/db?%70assword=secret", "postgres://h/db"),
            (
                "postgres://u@a,b:6/db?schema=q",
                "postgres://u@a,b:6/db?schema=q",
            ),
            ("postgres://u%20x@[::1]:6", "postgres://u%20x@[::1]:6"),
            ("postgres:///db?host=/run/pg", "postgres:///db?host=/run/pg"),
            (
                "postgres://%2Frun%2Fpg:6/db",
                "postgres:///db?host=/run/pg&port=6",
            ),
            ("postgres://a,b/db?port=6", "postgres://a:6,b:6/db"),
            (
                "postgres://h/d%E2%82%ACb?x=1&x=2",
                "postgres://h/d%E2%82%ACb?x=2",
            ),
        ] {
            let url = read(url).unwrap();
            assert_eq!(url.to_string(), shown);
            let again = read(shown).unwrap();
            assert_eq!(
                Url {
                    password: None,
                    ..url
                },
                again,
                "{shown}"
            );
        }
    }

    #[test]
    fn a_password_that_is_not_escaped_is_refused_and_not_shown() {
        for url in [
            "postgres://u:secr@et@h/db",
            "postgres://u:sec/ret@h/db",
            "postgres://u:sec?ret=x@h/db",
        ] {
            assert_eq!(read(url), Err(UrlError::At), "{url}");
        }
        for url in [
            "postgres://u:secret",
            "postgres://u:%zzsecret@h/db",
            "postgres://h/db?secret",
            "postgres://u:sec%00ret@h/db",
            "postgres://u:sec%ffret@h/db",
            "postgres://u:secret@[::1/db",
            "postgres://u:secret@h:x/db",
            "postgres://u:secret@/db",
            "postgres://u:secret@a,/db",
            "postgres://u:secret@a,b,c/db?port=1,2",
        ] {
            let error = read(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("sec"), "{error}");
        }
    }
}
