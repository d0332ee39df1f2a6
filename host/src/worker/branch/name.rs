//! Names of branches: which ones git accepts, and which ones collide.
//!
//! Owns the rules that need neither git nor a remote, so that a task whose branch could never be
//! cut is refused when it is added. Callers rely on this: `git check-ref-format` and forges accept
//! every name that passes here.

/// The longest name of a branch, in bytes. Forges take a reference of 255, and `refs/heads/` is a
/// part of that.
pub(crate) const LONGEST: usize = 244;

/// Whether git accepts a name for a branch.
pub(crate) fn is_valid(name: &str) -> bool {
    let is_refused = |letter: char| letter.is_ascii_control() || " ~^:?*[\\".contains(letter);
    let is_part =
        |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    name.split('/').all(is_part)
        && !name.contains(is_refused)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        // Such a branch can be pushed, but commands take its name for an option.
        && !name.starts_with('-')
        && !matches!(name, "@" | "HEAD")
}

/// Whether git cannot keep two branches together on every disk: they are the same on one that
/// ignores case, or one would be a folder of the other.
pub(crate) fn collide(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || is_below(one, other) || is_below(other, one)
}

/// Whether `long` would be in a folder named `short`.
pub(crate) fn is_below(long: &str, short: &str) -> bool {
    let rest = long.strip_prefix(short);
    rest.is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_git_takes() {
        for name in [
            "task/ORCH-1",
            "a",
            "a/b.c",
            "ä/ß",
            "a-",
            "a@b",
            "lock",
            "x{y}",
        ] {
            assert!(is_valid(name), "{name}");
        }
        for name in [
            "", "/a", "a/", "a//b", ".a", "a/.b", "a.", "a..b", "a.lock", "a.lock/b", "a b", "a~1",
            "a^", "a:b", "a?", "a*", "a[b", "a\\b", "a@{b", "a\0", "a\n", "a\u{7f}", "-a", "@",
            "HEAD",
        ] {
            assert!(!is_valid(name), "{name:?}");
        }
    }

    #[test]
    fn names_collide_where_one_is_the_other_s_folder_or_the_case_alone_differs() {
        for (one, other, expected) in [
            ("task/A", "task/A", true),
            ("task/A", "task/a", true),
            ("task/A", "task/A/B", true),
            ("task/A/B/C", "task/A", true),
            ("task/A", "task/AB", false),
            ("task/A", "task/B", false),
        ] {
            assert_eq!(collide(one, other), expected, "{one} {other}");
        }
    }
}
