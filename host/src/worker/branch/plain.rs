//! The user's git settings, as far as the gate's calls of git use them.
//!
//! Owns the choice. Settings for reaching the remote are kept: credentials, proxies, keys, replaced
//! addresses, and the sections of other programs, which may be credential helpers. Git's other
//! sections are left out as a whole: hooks, signatures, formats, templates and the like are for the
//! user's repositories. Callers rely on this: a setting that a later git adds to one of those
//! sections is left out, too.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Git's sections that do not matter for reaching a remote.
const LEFT_OUT: &str = "\
    add advice alias am apply attr author bitmappseudomerge blame branch browser bundle checkout \
    clean clone color column commit commitgraph committer completion core diff difftool \
    extensions fastimport feature fetch filter fmt format fsck fsmonitor gc gitcvs gitweb gpg \
    grep gui guitool help hook i18n imap include includeif index init instaweb interactive log \
    lsrefs mailinfo mailmap maintenance man merge mergetool notes pack pager pretty promisor pull \
    push rebase receive reftable remote remotes repack rerere revert scalar sendemail sequence \
    showbranch sparse splitindex stash status submodule svn svn-remote switch tag tar trace2 \
    trailer transfer uploadarchive uploadpack versionsort web worktree zlib";

/// Settings of these sections that do matter.
const LEADS_THERE: [&str; 2] = ["core.sshcommand", "core.gitproxy"];

/// The gate's own settings, for old versions of git that ignore `GIT_CONFIG_GLOBAL`. Nothing may be
/// left running, and no question can be answered.
const PLAIN: [(&str, &str); 12] = [
    ("core.hooksPath", "/dev/null"),
    ("push.gpgSign", "false"),
    ("push.followTags", "false"),
    ("push.recurseSubmodules", "no"),
    ("fetch.recurseSubmodules", "false"),
    ("submodule.recurse", "false"),
    ("fetch.prune", "false"),
    ("fetch.writeCommitGraph", "false"),
    // Objects stay in one pack, so that their size is quickly found.
    ("fetch.unpackLimit", "1"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("credential.interactive", "false"),
];

/// The kept settings.
pub(super) struct GitSettings {
    /// Those from files, as the content of a file.
    pub file: Vec<u8>,
    /// Those from the environment, and the gate's own: keys and values.
    pub given: Vec<(OsString, OsString)>,
    /// Whether the user has set how ssh is run.
    pub has_ssh: bool,
}

/// Reads what `git config --list --show-scope -z` printed, for a remote.
pub(super) fn settings(listed: &[u8], remote: &str) -> GitSettings {
    let mut settings = GitSettings {
        file: Vec::new(),
        given: Vec::new(),
        has_ssh: false,
    };
    let mut parts = listed.split(|byte| *byte == 0);
    while let (Some(scope), Some(entry)) = (parts.next(), parts.next()) {
        let mut halves = entry.splitn(2, |byte| *byte == b'\n');
        let key = halves.next().unwrap_or_default();
        let value = halves.next();
        if !holds(key) {
            continue;
        }
        let name = key.to_ascii_lowercase();
        settings.has_ssh |= name == b"core.sshcommand" || name == b"ssh.variant";
        if scope == b"command" {
            let value = value.unwrap_or(b"true");
            let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
            settings.given.push((text(key), text(value)));
        } else {
            write(&mut settings.file, key, value);
        }
    }
    let own = PLAIN.map(|(key, value)| (key.into(), value.into()));
    settings.given.extend(own);
    // The gate's configuration names the remote, which allows its protocol. The user's git settings
    // decide about others.
    if let Some(scheme) = scheme(remote) {
        let key = format!("protocol.{scheme}.allow");
        settings.given.push((key.into(), "always".into()));
    }
    settings
}

/// Whether a setting of the user is kept.
fn holds(key: &[u8]) -> bool {
    let key = String::from_utf8_lossy(key).to_ascii_lowercase();
    let section = key.split('.').next().unwrap_or_default();
    LEADS_THERE.contains(&key.as_str()) || !LEFT_OUT.split(' ').any(|left_out| left_out == section)
}

/// Adds a setting to a file, in git's format.
fn write(file: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    let dot = |byte: &u8| *byte == b'.';
    let (Some(first), Some(last)) = (key.iter().position(dot), key.iter().rposition(dot)) else {
        return;
    };
    let part = |from: usize, to: usize| key.get(from..to).unwrap_or_default();
    file.push(b'[');
    file.extend(part(0, first));
    if first < last {
        file.extend(b" ");
        quote(file, part(first + 1, last), false);
    }
    file.extend(b"]\n\t");
    file.extend(part(last + 1, key.len()));
    if let Some(value) = value {
        file.extend(b" = ");
        quote(file, value, true);
    }
    file.push(b'\n');
}

/// Adds a text in quotes. Only a value may contain line ends.
fn quote(file: &mut Vec<u8>, text: &[u8], is_value: bool) {
    file.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => file.extend([b'\\', *byte]),
            b'\n' if is_value => file.extend(b"\\n"),
            b'\t' if is_value => file.extend(b"\\t"),
            byte => file.push(*byte),
        }
    }
    file.push(b'"');
}

/// The protocol of a remote. `None` if another program than git handles it.
pub(super) fn scheme(remote: &str) -> Option<&str> {
    let before = |mark: &str| remote.split_once(mark).map(|(before, _)| before);
    let is_name = |text: &&str| !text.contains('/');
    if before("::").filter(is_name).is_some() {
        return None;
    }
    if let Some(scheme) = before("://").filter(is_name) {
        let scheme = scheme.strip_prefix("git+").unwrap_or(scheme);
        return Some(scheme.strip_suffix("+git").unwrap_or(scheme));
    }
    // A colon before any slash ends a host name.
    Some(if before(":").filter(is_name).is_some() {
        "ssh"
    } else {
        "file"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_the_remote_holds_and_the_rest_of_git_s_own_does_not() {
        for (key, expected) in [
            ("credential.https://host/x.helper", true),
            ("http.https://host.proxy", true),
            ("url.ssh://git@host/.insteadof", true),
            ("core.sshcommand", true),
            ("safe.directory", true),
            ("some-helper.token", true),
            ("core.hookspath", false),
            ("core.askpass", false),
            ("remote.origin.pushurl", false),
            ("hook.any.command", false),
            ("includeif.gitdir:/x.path", false),
            ("Init.defaultobjectformat", false),
            ("trace2.eventtarget", false),
        ] {
            assert_eq!(holds(key.as_bytes()), expected, "{key}");
        }
    }

    #[test]
    fn a_setting_is_written_as_git_reads_it() {
        let listed = b"global\0http.https://h/\"\\.proxy\na\nb\t\"c\\ # ;\0\
            system\0safe.bare\0command\0url.x.insteadof\ny\0";
        let settings = settings(listed, "https://host/x");
        let file =
            "[http \"https://h/\\\"\\\\\"]\n\tproxy = \"a\\nb\\t\\\"c\\\\ # ;\"\n[safe]\n\tbare\n";
        assert_eq!(String::from_utf8_lossy(&settings.file), file);
        let first = settings.given.first();
        assert_eq!(first, Some(&("url.x.insteadof".into(), "y".into())));
        let last = settings.given.last();
        assert_eq!(
            last,
            Some(&("protocol.https.allow".into(), "always".into()))
        );
    }

    #[test]
    fn how_a_remote_is_reached_is_read_as_git_reads_it() {
        for (remote, expected) in [
            ("https://host/x", Some("https")),
            ("git+ssh://host/x", Some("ssh")),
            ("git@host:x.git", Some("ssh")),
            ("/a/b:c", Some("file")),
            ("./a:b", Some("file")),
            ("x.git", Some("file")),
            ("ext::sh -c x", None),
        ] {
            assert_eq!(scheme(remote), expected, "{remote}");
        }
    }
}
