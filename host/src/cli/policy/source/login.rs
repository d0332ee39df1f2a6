//! The login that a registry asks for: basic, or a token from a token server.
//!
//! Owns where credentials go. Callers rely on this: they go to the registry's own host, and to a
//! token server on another host only if the configuration has the same ones for that host. A
//! registry could otherwise name any host as its token server, and get the password sent there, or
//! have a token for somebody else's registry made and sent to itself. The token is for the pull of
//! this one name, whatever the registry asks for.

use ct_codecs::{Base64, Encoder};
use serde::Deserialize;

use super::address::Address;
use super::credentials::Credentials;
use super::error::Error;
use super::get::{Ask, Client};
use super::reference::Reference;

/// The most bytes of a token server's answer.
const LARGEST: usize = 64 << 10;

/// What a registry is shown.
#[derive(Debug)]
pub struct Login {
    /// The value of `Authorization`.
    pub header: String,
    /// Why nobody in particular was logged in, for the case that this is not enough.
    pub refused: Option<Error>,
}

/// A way to log in, as a registry names it.
#[derive(Debug, PartialEq, Eq)]
enum Challenge {
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Logs in, in the way that the registry asks for.
pub fn authorization<'a>(
    client: &Client,
    reference: &Reference,
    credentials: &Credentials,
    challenges: impl Iterator<Item = &'a str>,
) -> Result<Login, Error> {
    let registry = reference.registry();
    let mut challenges: Vec<Challenge> = challenges.flat_map(read).collect();
    // A token is worth less than the password.
    challenges.sort_by_key(|challenge| *challenge == Challenge::Basic);
    match challenges.into_iter().next() {
        Some(Challenge::Bearer { realm, service }) => {
            let realm = Address::parse(&realm).ok();
            let realm = realm.filter(|realm| client.allows(realm));
            let realm = realm.ok_or_else(|| Error::PlainRealm(registry.server()))?;
            token(client, reference, credentials, &realm, service)
        }
        Some(Challenge::Basic) => match credentials.of(&registry.server()) {
            Some(pair) => Ok(Login {
                header: basic(pair)?,
                refused: None,
            }),
            None => Err(credentials.missing(&registry.server())),
        },
        None => Err(Error::UnknownLogin {
            registry: registry.server(),
        }),
    }
}

fn token(
    client: &Client,
    reference: &Reference,
    credentials: &Credentials,
    realm: &Address,
    service: Option<String>,
) -> Result<Login, Error> {
    let registry = reference.registry();
    let own = credentials.of(&registry.server());
    let (pair, refused) = match own {
        None => (None, Some(credentials.missing(&registry.server()))),
        Some(_) if realm.is_at(registry) || credentials.of(&realm.server()) == own => (own, None),
        Some(_) => {
            let refused = Error::OtherRealm {
                registry: registry.server(),
                realm: realm.server(),
            };
            (None, Some(refused))
        }
    };
    let scope = format!("repository:{}:pull", reference.name());
    let mut query = match realm.uri().query() {
        Some(query) => format!("{query}&scope={}", encoded(&scope)),
        None => format!("scope={}", encoded(&scope)),
    };
    if let Some(service) = service {
        query.push_str(&format!("&service={}", encoded(&service)));
    }
    let address = realm.at(&format!("{}?{query}", realm.uri().path()))?;
    let answer = client.get(&Ask {
        address: &address,
        what: "the token",
        most: LARGEST,
        accept: None,
        authorization: pair.map(basic).transpose()?.as_deref(),
    })?;
    if let 401 | 403 = answer.status {
        return Err(refused.unwrap_or_else(|| Error::Denied {
            registry: registry.server(),
        }));
    }
    let answer = answer.success()?;
    let token: Option<Token> = serde_json::from_slice(&answer.body).ok();
    let token = token.and_then(|token| token.token.or(token.access_token));
    // It becomes a header: a line end in it would begin another.
    let token = token.filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
    match token.filter(|token| !token.is_empty()) {
        Some(token) => Ok(Login {
            header: format!("Bearer {token}"),
            refused,
        }),
        None => Err(Error::NoToken(realm.to_string())),
    }
}

fn basic(pair: &str) -> Result<String, Error> {
    let encoded = Base64::encode_to_string(pair).map_err(|_| Error::NotAnAddress {
        why: "its credentials are too long",
    })?;
    Ok(format!("Basic {encoded}"))
}

/// A text as a part of a query.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The challenges of one `WWW-Authenticate` that are known here (RFC 9110, 11.6.1).
fn read(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut scheme = String::new();
    let mut parameters = Vec::new();
    for part in parts(header) {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (part.trim(), None),
        };
        // A scheme is the word before the first parameter, or a word alone.
        let (word, name) = match (name.split_once(char::is_whitespace), value) {
            (Some((word, name)), _) => (Some(word), name.trim()),
            (None, None) => (Some(name), ""),
            (None, Some(_)) => (None, name),
        };
        if let Some(word) = word {
            found.extend(challenge(&scheme, &parameters));
            scheme = word.to_ascii_lowercase();
            parameters.clear();
        }
        if let Some(value) = value {
            parameters.push((name.to_ascii_lowercase(), unquoted(value)));
        }
    }
    found.extend(challenge(&scheme, &parameters));
    found
}

fn challenge(scheme: &str, parameters: &[(String, String)]) -> Option<Challenge> {
    let parameter = |name: &str| {
        let found = parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: parameter("realm")?,
            service: parameter("service"),
        }),
        _ => None,
    }
}

/// The parts between the commas that are not quoted.
fn parts(header: &str) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    header
        .split(|letter| {
            match letter {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                ',' => return !is_quoted,
                _ => {}
            }
            false
        })
        .collect()
}

fn unquoted(value: &str) -> String {
    let inner = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let Some(inner) = inner else {
        return value.into();
    };
    let mut text = String::new();
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => text.extend(letters.next()),
            letter => text.push(letter),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.into(),
            service: service.map(Into::into),
        }
    }

    #[test]
    fn challenges_are_read_with_their_quotes_and_commas() {
        let realm = "https://a.example/token";
        for (header, expected) in [
            (
                r#"Bearer realm="https://a.example/token",service="a.example",scope="repository:x:pull,push""#,
                vec![bearer(realm, Some("a.example"))],
            ),
            (
                r#"bearer service="a,b=\"c\"", realm="https://a.example/token""#,
                vec![bearer(realm, Some(r#"a,b="c""#))],
            ),
            (
                r#"Basic realm="x", Bearer realm="https://a.example/token""#,
                vec![Challenge::Basic, bearer(realm, None)],
            ),
            ("Basic", vec![Challenge::Basic]),
            (r#"Negotiate, NTLM"#, vec![]),
            (r#"Bearer error="x""#, vec![]),
            ("", vec![]),
            ("=,=,\"", vec![]),
        ] {
            assert_eq!(read(header), expected, "{header}");
        }
    }

    #[test]
    fn a_part_of_a_query_adds_no_other_part() {
        assert_eq!(encoded("a&scope=b c/é"), "a%26scope%3Db%20c%2F%C3%A9");
    }
}
