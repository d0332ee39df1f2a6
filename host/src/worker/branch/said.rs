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
        "there is no repository, or this worker's user may not read it: correct `remote` in \
         `serial-gate.toml`",
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
    let said = without_users(&said.replace(remote, "the remote"));
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join("; ");
    let seen = |letter: char| if is_invisible(letter) { ' ' } else { letter };
    line.chars().map(seen).take(LONGEST).collect()
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
