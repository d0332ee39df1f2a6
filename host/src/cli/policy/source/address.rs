//! The address of a server's file: read strictly, shown without its query.
//!
//! Owns what counts as the same server, and as this machine. Callers rely on this: an address has
//! no user and no password, and a shown one has no query, which may be a secret of a store.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use super::Error;

/// An `http` or `https` URL with a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    is_https: bool,
    /// The host in small letters, without the brackets of an IPv6 address.
    host: String,
    port: u16,
}

impl Address {
    /// Reads what follows `https://`.
    pub fn https(rest: &str) -> Result<Address, Error> {
        Address::parse(&format!("https://{rest}"))
    }

    /// Reads a whole URL.
    pub fn parse(text: &str) -> Result<Address, Error> {
        let not = |why| Error::NotAnAddress { why };
        let uri: Uri = text
            .parse()
            .map_err(|_| not("it is not a URL, whose special letters are percent-encoded"))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(not("it begins neither with `https://` nor with `http://`")),
        };
        let authority = uri.authority().ok_or(not("it names no host"))?;
        if authority.as_str().contains('@') {
            return Err(not("it has a user, which other users of this machine see"));
        }
        let host = authority.host();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host).to_ascii_lowercase();
        if host.is_empty() {
            return Err(not("it names no host"));
        }
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match (authority.port_u16(), has_port) {
            (Some(port), _) => port,
            (None, false) if is_https => 443,
            (None, false) => 80,
            (None, true) => return Err(not("its port is not a number below 65536")),
        };
        Ok(Address {
            is_https,
            host,
            port,
            uri,
        })
    }

    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Whether it is on this machine, by its own words: no name is looked up.
    pub fn is_loopback(&self) -> bool {
        let ip: Option<IpAddr> = self.host.parse().ok();
        self.host == "localhost" || ip.is_some_and(|ip| ip.is_loopback())
    }

    /// Whether both are on one server: the same scheme, host and port.
    pub fn is_at(&self, other: &Address) -> bool {
        let server = |it: &Address| (it.is_https, it.host.clone(), it.port);
        server(self) == server(other)
    }

    /// The host, and the port unless it is the usual one, as `docker login` names a registry.
    pub fn server(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match (self.is_https, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// The same server, another path and query.
    pub fn at(&self, path: &str) -> Result<Address, Error> {
        let scheme = if self.is_https { "https" } else { "http" };
        Address::parse(&format!("{scheme}://{}{path}", self.server()))
    }

    /// The file with this after its name.
    pub fn with_suffix(&self, suffix: &str) -> Result<Address, Error> {
        let query = self.uri.query().map(|query| format!("?{query}"));
        let query = query.unwrap_or_default();
        self.at(&format!("{}{suffix}{query}", self.uri.path()))
    }

    /// Where a `Location` leads from here.
    pub fn joined(&self, location: &str) -> Result<Address, Error> {
        if location.contains("://") {
            return Address::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            let scheme = if self.is_https { "https" } else { "http" };
            return Address::parse(&format!("{scheme}://{rest}"));
        }
        if location.starts_with('/') {
            return self.at(location);
        }
        let folder = self.uri.path().rsplit_once('/');
        let folder = folder.map_or("", |(folder, _)| folder);
        self.at(&format!("{folder}/{location}"))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.server(), self.uri.path())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_of_this_machine_is_one_of_this_machine() {
        for (text, expected) in [
            ("http://127.0.0.1:5000/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:5000/", true),
            ("http://LOCALHOST/", true),
            ("http://localhost.example/", false),
            ("http://127.0.0.1.example/", false),
            ("http://[::ffff:10.0.0.1]/", false),
            ("http://0.0.0.0/", false),
            ("http://127.1/", false),
            ("http://2130706433/", false),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.is_loopback(), expected, "{text}");
        }
    }

    #[test]
    fn another_port_or_scheme_is_another_server() {
        let at = |text| Address::parse(text).unwrap();
        let here = at("https://Example.com/a");
        assert!(here.is_at(&at("https://example.com:443/b?c")));
        for other in [
            "http://example.com:443/a",
            "https://example.com:444/a",
            "https://example.com./a",
            "https://sub.example.com/a",
        ] {
            assert!(!here.is_at(&at(other)), "{other}");
        }
    }

    #[test]
    fn an_address_with_a_user_or_a_bad_port_is_refused() {
        for text in [
            "https://user:secret@example.com/",
            "https://example.com@evil.example/",
            "https://example.com:99999/",
            "https://example.com:/",
            "https:///p.wasm",
            "ftp://example.com/",
            "file:///etc/passwd",
            "/p.wasm",
            "https://exa mple.com/",
            "https://example.com/\r\nhost: other",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_location_is_read_from_where_it_was_sent() {
        let here = Address::parse("https://example.com:8443/a/b.wasm?token=1").unwrap();
        for (location, expected) in [
            ("/c?d=1", "https://example.com:8443/c"),
            ("c", "https://example.com:8443/a/c"),
            ("//other.example/c", "https://other.example/c"),
            ("http://other.example/c", "http://other.example/c"),
        ] {
            let joined = here.joined(location).unwrap();
            assert_eq!(joined.to_string(), expected);
        }
        assert_eq!(here.to_string(), "https://example.com:8443/a/b.wasm");
        let signature = here.with_suffix(".minisig").unwrap();
        let path = signature.uri().path_and_query().unwrap().as_str();
        assert_eq!(path, "/a/b.wasm.minisig?token=1");
    }
}
