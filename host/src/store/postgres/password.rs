//! Where the password for a server is found.
//!
//! Owns the order: the address, the file that holds the password alone, `PGPASSWORD`, and libpq's
//! file of passwords, which is the address's `passfile`, or `PGPASSFILE`, or `~/.pgpass`. Callers
//! rely on this: files are read anew for each connection, so that a password can be replaced; a
//! file that other users may read is refused; and no error has a text of a file.

use std::ffi::OsString;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::server::{Host, Server};

/// Why a file for a connection cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("`{}` is not a plain file", path.display())]
    NotAFile { path: PathBuf },
    #[error("other users may read `{}`: `chmod go= {}`", path.display(), path.display())]
    Open { path: PathBuf },
    #[error("`{}` is empty", path.display())]
    Empty { path: PathBuf },
    #[error(
        "line {line} of `{}` is not `HOST:PORT:DATABASE:USER:PASSWORD`, and no other line is for \
         this server",
        path.display()
    )]
    Line { path: PathBuf, line: usize },
}

/// A variable of the environment, if it is set and not empty.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The variables of this process.
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The password for one host, if there is one.
pub(super) fn of(
    server: &Server,
    host: &Host,
    variable: Variables<'_>,
) -> Result<Option<Vec<u8>>, FileError> {
    if let Some(password) = server.password() {
        return Ok(Some(password.into()));
    }
    if let Some(path) = server.password_file() {
        let text = read(path)?;
        let end = text.iter().rposition(|byte| !b"\r\n".contains(byte));
        let password = end.and_then(|end| text.get(..=end));
        return match password {
            Some(password) => Ok(Some(password.into())),
            None => Err(FileError::Empty { path: path.into() }),
        };
    }
    if let Some(password) = variable("PGPASSWORD") {
        return Ok(Some(password.into_encoded_bytes()));
    }
    let named = server.parameter("passfile").map(PathBuf::from);
    let path = match named.or_else(|| Some(variable("PGPASSFILE")?.into())) {
        Some(path) => path,
        None => match variable("HOME").map(|home| Path::new(&home).join(".pgpass")) {
            Some(path) if path.exists() => path,
            _ => return Ok(None),
        },
    };
    in_lines(&read(&path)?, &wanted(server, host, variable))
        .map_err(|line| FileError::Line { path, line })
}

/// The content of a file that only its owner may read, as libpq demands it; the superuser's may
/// be readable for a group.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    check_closed(path)?;
    std::fs::read(path).map_err(|cause| FileError::Read {
        path: path.into(),
        cause,
    })
}

/// Checks the same without reading it.
pub(super) fn check_closed(path: &Path) -> Result<(), FileError> {
    let about = std::fs::metadata(path).map_err(|cause| FileError::Read {
        path: path.into(),
        cause,
    })?;
    if !about.is_file() {
        return Err(FileError::NotAFile { path: path.into() });
    }
    if is_open(&about) {
        return Err(FileError::Open { path: path.into() });
    }
    Ok(())
}

fn is_open(about: &Metadata) -> bool {
    let is_of_another = about.uid() == 0 && rustix::process::geteuid().as_raw() != 0;
    about.mode() & if is_of_another { 0o037 } else { 0o077 } != 0
}

/// The first four fields of the line for a host.
fn wanted(server: &Server, host: &Host, variable: Variables<'_>) -> [String; 4] {
    let user = server.user().map(str::to_owned);
    let user = user.or_else(|| variable("USER")?.into_string().ok());
    let user = user.unwrap_or_default();
    let database = server.database().unwrap_or(&user).to_owned();
    // As in libpq, the usual folders of sockets have the name of the machine.
    let name = match host.name.as_str() {
        "/tmp" | "/run/postgresql" | "/var/run/postgresql" => "localhost",
        name => name,
    };
    [name.to_owned(), host.port.to_string(), database, user]
}

/// The password of the first line that fits. If there is none, an error is the number of a line
/// that cannot be understood: it may be the one that was meant.
fn in_lines(text: &[u8], wanted: &[String; 4]) -> Result<Option<Vec<u8>>, usize> {
    let mut wrong = None;
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Some((fields, password)) = fields(line) else {
            wrong = wrong.or(Some(index + 1));
            continue;
        };
        let fits = |(field, wanted): (&Vec<u8>, &String)| {
            field == b"*" || without_escapes(field) == wanted.as_bytes()
        };
        if fields.iter().zip(wanted).all(fits) {
            return Ok(Some(without_escapes(password)).filter(|password| !password.is_empty()));
        }
    }
    wrong.map_or(Ok(None), Err)
}

/// The first four fields of a line with their escapes, and the rest.
fn fields(line: &[u8]) -> Option<([Vec<u8>; 4], &[u8])> {
    let mut fields: [Vec<u8>; 4] = Default::default();
    let mut rest = line;
    for field in &mut fields {
        let mut is_escaped = false;
        let end = rest.iter().position(|byte| {
            let ends = *byte == b':' && !is_escaped;
            is_escaped = *byte == b'\\' && !is_escaped;
            ends
        })?;
        *field = rest.get(..end)?.into();
        rest = rest.get(end + 1..)?;
    }
    Some((fields, rest))
}

fn without_escapes(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut bytes = field.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'\\' => bytes.next().unwrap_or(byte),
            byte => byte,
        };
        plain.push(*byte);
    }
    plain
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn found(server: &Server, variables: &[(&str, &str)]) -> Result<Option<String>, FileError> {
        let host = server.hosts().next().unwrap();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        };
        let password = of(server, &host, &variable)?;
        Ok(password.map(|password| String::from_utf8(password).unwrap()))
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn each_place_for_a_password_comes_before_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        write(path("alone").as_ref(), "of file\r\n", 0o600);
        for name in ["named", "variable", ".pgpass"] {
            write(path(name).as_ref(), &format!("*:*:*:*:{name}\n"), 0o600);
        }
        let (home, variable) = (path(""), path("variable"));
        let all = [
            ("HOME", home.as_str()),
            ("PGPASSFILE", &variable),
            ("PGPASSWORD", "of variable"),
        ];
        let server = |url: &str| url.parse::<Server>().unwrap();
        let of_file = |url: &str| server(url).with_password_file(path("alone").into());
        let url = format!("postgres://u@h/db?passfile={}", path("named"));
        let named = server(&url);
        let bare = server("postgres://u@h/db");
        let in_order = [
            (&of_file("postgres://u:of%20url@h/db"), &all[..], "of url"),
            (&of_file(&url), &all, "of file"),
            (&named, &all, "of variable"),
            (&named, &all[..2], "named"),
            (&bare, &all[..2], "variable"),
            (&bare, &all[..1], ".pgpass"),
        ];
        for (server, variables, expected) in in_order {
            assert_eq!(found(server, variables).unwrap().as_deref(), Some(expected));
        }
        assert_eq!(found(&bare, &[]).unwrap(), None);
        assert_eq!(found(&bare, &[("HOME", "/nowhere")]).unwrap(), None);
        // The files are read anew.
        write(path(".pgpass").as_ref(), "h:5432:db:u:new", 0o600);
        assert_eq!(found(&bare, &all[..1]).unwrap().as_deref(), Some("new"));
    }

    #[test]
    fn a_line_fits_by_host_port_database_and_role() {
        let lines = "\
# h:5432:db:u:comment\r\n\
other:5432:db:u:wrong\n\
h:1:db:u:wrong\n\
h:5432:other:u:wrong\n\
h:5432:db:other:wrong\n\
\\*:*:*:*:wrong\n\
::1:*:*:*:wrong\n\
\\:\\:1:*:*:*:of six\n\
localhost:*:*:*:of socket\n\
*:5432:d\\:b:u:a\\:b:c\\\\d\r\n\
*:*:*:*:last";
        for (url, expected) in [
            ("postgres://u@h/d:b", "a:b:c\\d"),
            ("postgres://u@h/db", "last"),
            ("postgres://u@[::1]/db", "of six"),
            ("postgres://u@%2Frun%2Fpostgresql/db", "of socket"),
        ] {
            let server: Server = url.parse().unwrap();
            let host = server.hosts().next().unwrap();
            let password = in_lines(lines.as_bytes(), &wanted(&server, &host, &|_| None)).unwrap();
            assert_eq!(password.as_deref(), Some(expected.as_bytes()), "{url}");
        }
    }

    #[test]
    fn an_error_names_the_file_and_the_line_and_no_text_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passwords");
        let server: Server = "postgres://u@h/db".parse().unwrap();
        let text = path.to_str().unwrap();
        let refusal = |text: &str, mode| {
            write(&path, text, mode);
            let variables = [("PGPASSFILE", path.to_str().unwrap())];
            let error = found(&server, &variables).unwrap_err();
            assert!(!format!("{error:?}").contains("secret"));
            error
                .to_string()
                .replace(folder.path().to_str().unwrap(), "DIR")
        };
        insta::assert_snapshot!(refusal("*:*:*:*:secret", 0o640), @"other users may read `DIR/passwords`: `chmod go= DIR/passwords`");
        insta::assert_snapshot!(refusal("*:*:*:*:secret", 0o604), @"other users may read `DIR/passwords`: `chmod go= DIR/passwords`");
        insta::assert_snapshot!(refusal("\n# one\nh:5432:db:secret\n", 0o600), @"line 3 of `DIR/passwords` is not `HOST:PORT:DATABASE:USER:PASSWORD`, and no other line is for this server");
        let alone = server.clone().with_password_file(path.clone());
        write(&path, "\n", 0o600);
        let error = found(&alone, &[]).unwrap_err().to_string();
        assert_eq!(error, format!("`{text}` is empty"));
        let folder_of_it = server.clone().with_password_file(folder.path().into());
        assert!(matches!(
            found(&folder_of_it, &[]),
            Err(FileError::NotAFile { .. })
        ));
        let missing = server.with_password_file("/nowhere".into());
        assert!(matches!(found(&missing, &[]), Err(FileError::Read { .. })));
    }
}
