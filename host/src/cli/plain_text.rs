//! Secrets and keys as they come: from a file that an editor or a secret store has written, or from a variable.
//!
//! Owns what does not count: a byte order mark, and white space and line ends around the text. Callers rely on this: a
//! secret is the same whichever way it comes, and a text in another encoding is named as such, and never used as it is.

use std::path::Path;

use super::Error;

/// A secret or a key without what does not count.
pub fn plain(text: &str) -> &str {
    text.trim_start_matches('\u{feff}').trim()
}

/// A text without the line ends behind it: all else may be a part of a password.
pub fn without_line_ends(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

/// The same, for an argument that is a claim's token, which is compared letter by letter.
pub fn token(text: &str) -> Result<String, String> {
    Ok(without_line_ends(text).to_owned())
}

/// The text of a file that holds a secret or a key.
pub fn read(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|cause| Error::Read {
        path: path.into(),
        cause,
    })?;
    decode(&bytes).ok_or_else(|| Error::Encoding { path: path.into() })
}

/// Text in UTF-8. That in UTF-16 begins with a mark that is none of UTF-8, or has a NUL beside each letter.
fn decode(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then(|| plain(text).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_count_is_left_out() {
        for bytes in [
            &b"a secret"[..],
            b"a secret\n",
            b"a secret\r\n\r\n",
            b"\xef\xbb\xbfa secret\r\n",
            b" a secret \t\n",
        ] {
            assert_eq!(decode(bytes).as_deref(), Some("a secret"), "{bytes:?}");
        }
        assert_eq!(decode(b"\xef\xbb\xbf\n").as_deref(), Some(""));
    }

    #[test]
    fn other_encodings_are_refused() {
        for bytes in [&b"\xff\xfea\0"[..], b"\xfe\xff\0a", b"a\0b\0", b"\xe9"] {
            assert_eq!(decode(bytes), None, "{bytes:?}");
        }
    }
}
