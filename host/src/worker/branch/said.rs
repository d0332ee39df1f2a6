//! Git's error messages, made safe to store and to show, and advice for the usual ones.
//!
//! A message may come from the remote. Callers rely on this: the text has a limited length, no
//! control characters, nothing that reverses a line, and no address with a password.

use crate::printable::is_invisible;

/// The most characters that are kept.
const LONGEST: usize = 1_000;

/// Parts of git's messages, in lower case, and the advice for them.
const REASONS: [(&[&str], &str); 8] = [
    (
        &["no space left on device", "disk quota exceeded"],
        "a disk is full: free some space",
    ),
    (
        &["dubious ownership"],
        "the remote's folder belongs to another user: trust it with `git config --global --add \
         safe.directory FOLDER`",
    ),
    (
        &["' not allowed"],
        "git's own settings forbid this kind of remote: allow it by `protocol.NAME.allow`, or use \
         another `remote`",
    ),
    (
        &[
            "authentication failed",
            "could not read username",
            "could not read password",
            "unable to get password",
            "permission denied (",
            "host key verification failed",
            "error: 401",
            "error: 403",
            "access denied",
        ],
        "the remote refuses this worker's user: give that user a key or a credential helper that \
         works without a question",
    ),
    (
        &[
            "could not resolve host",
            "connection refused",
            "connection timed out",
            "connection reset",
            "no route to host",
            "network is unreachable",
            "failed to connect",
            "unable to look up",
            "connection closed by",
            "error: 5",
        ],
        "the remote does not answer: look at its address and at the network",
    ),
    (
        &[
            "does not appear to be a git repository",
            "not found",
            "no such file or directory",
            "does not exist",
        ],
        "there is no repository, or this worker's user may not read it: correct `remote` in the \
         configuration file",
    ),
    (
        &["remote rejected", "hook declined", "protected branch"],
        "the remote refuses the branch: look at its rules and its hooks",
    ),
    (
        &[
            "bad config",
            "unable to parse",
            "bogus count",
            "bad boolean",
        ],
        "the settings of this worker's user cannot be read: correct them",
    ),
];

/// The advice for a message.
pub(super) fn advice(said: &str) -> &'static str {
    let said = said.to_lowercase();
    let is_said = |marks: &[&str]| marks.iter().any(|mark| said.contains(mark));
    let reason = REASONS.iter().find(|(marks, _)| is_said(marks));
    reason.map_or("look at what it says", |(_, advice)| advice)
}

/// A message in one line, without passwords in the addresses of the remote and of its redirects.
pub(super) fn in_one_line(said: &str, remote: &str) -> String {
    one_line(&without_users(&said.replace(remote, "the remote")))
}

fn one_line(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join("; ");
    let seen = |letter: char| if is_invisible(letter) { ' ' } else { letter };
    line.chars().map(seen).take(LONGEST).collect()
}

/// A remote as people may see it: an address without a user, a query and a fragment, any of which
/// may hold a password.
pub(super) fn shown_remote(remote: &str) -> String {
    let Some((scheme, address)) = remote.split_once("://") else {
        return one_line(&without_a_user(remote));
    };
    let address = address.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    // A password may have a slash in it: then the host's end is not the first one.
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole =
        host.contains('@') || host.rsplit_once(':').is_none_or(|(_, port)| is_port(port));
    let shown = match (is_whole, path.rfind('@')) {
        (false, Some(at)) => path.get(at + 1..).unwrap_or_default().to_owned(),
        _ => {
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let path = address.find('/').and_then(|at| address.get(at..));
            format!("{host}{}", path.unwrap_or_default())
        }
    };
    one_line(&format!("{scheme}://{shown}"))
}

/// `user@host:path` has a user whom ssh may need, but not a password: `user:password@host`.
fn without_a_user(remote: &str) -> String {
    match remote.split_once('@') {
        Some((user, rest)) if user.contains(':') && !user.contains('/') => rest.into(),
        _ => remote.into(),
    }
}

/// A text whose addresses have no user: `https://user:password@host` becomes `https://host`.
fn without_users(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_end = |letter: char| letter == '/' || letter.is_whitespace();
        let authority = part.split(is_end).next().unwrap_or_default();
        let user = authority.rfind('@').map_or(0, |at| at + 1);
        shown += "://";
        shown += part.get(user..).unwrap_or_default();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_said_has_no_password_in_it() {
        for (said, shown) in [
            (
                "fatal: unable to access 'https://u:secret@host/x/'",
                "fatal: unable to access 'https://host/x/'",
            ),
            ("no 'https://u:pa'ss@host'", "no 'https://host'"),
            (
                "see ssh://git@host and https://a@b:c@host/d",
                "see ssh://host and https://host/d",
            ),
            (
                "mail me@host about http://host/@team",
                "mail me@host about http://host/@team",
            ),
            ("no access to http://u:p@r/", "no access to the remote"),
        ] {
            assert_eq!(in_one_line(said, "http://u:p@r/"), shown);
        }
    }

    #[test]
    fn a_remote_is_shown_without_a_password() {
        for (remote, shown) in [
            ("/srv/alpha.git", "/srv/alpha.git"),
            ("git@host:team/alpha.git", "git@host:team/alpha.git"),
            ("u:secret@host:alpha.git", "host:alpha.git"),
            ("https://host/team/alpha", "https://host/team/alpha"),
            ("https://host:8443/@team/x", "https://host:8443/@team/x"),
            ("https://secret@host/x", "https://host/x"),
            ("https://u:sec@ret@host:8443/x", "https://host:8443/x"),
            ("https://u:sec/ret@host/x", "https://host/x"),
            ("https://host/x?token=secret#secret", "https://host/x"),
            ("ssh://git@host:22/x", "ssh://host:22/x"),
            ("https://host", "https://host"),
        ] {
            assert_eq!(shown_remote(remote), shown, "{remote}");
        }
    }

    #[test]
    fn what_git_said_can_be_printed_and_has_an_end() {
        let said = format!("\u{1b}[31mred\u{7} \u{202e}turned\r\n{}", "x".repeat(5_000));
        let shown = in_one_line(&said, "remote");
        assert!(shown.starts_with(" [31mred   turned; xxx"), "{shown}");
        assert_eq!(shown.chars().count(), LONGEST);
    }

    #[test]
    fn the_advice_is_right_for_the_reason() {
        for (said, advised) in [
            ("git@host: Permission denied (publickey).", "a key"),
            ("fatal: could not read Username for 'https://h': x", "a key"),
            ("Host key verification failed.", "a key"),
            (
                "fatal: 'x' does not appear to be a git repository",
                "`remote`",
            ),
            ("fatal: repository 'https://h/x/' not found", "`remote`"),
            ("ssh: Could not resolve hostname h: x", "the network"),
            ("! [remote rejected] a -> b (hook declined)", "its hooks"),
            ("fatal: transport 'ext' not allowed", "protocol.NAME.allow"),
            ("fatal: something new", "what it says"),
        ] {
            assert!(advice(said).contains(advised), "{said}: {}", advice(said));
        }
    }
}
