//! Secrets and keys from a variable, or from a file that an editor or a secret store wrote.
//!
//! Owns what is stripped: white space and line ends around the text, and invisible characters such
//! as a byte order mark. Callers rely on this: a secret is the same from a variable and from a
//! file, and text in another encoding is refused.

use std::io::Read;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::Error;

/// Characters that get copied along with a text: the byte order mark, and those without width.
const INVISIBLE: [char; 5] = ['\u{feff}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}'];

/// How long to wait for a pipe.
const PATIENCE: Duration = Duration::from_secs(5);

/// Longer than any secret or key.
const LONGEST: u64 = 1 << 20;

/// A secret or a key without white space and invisible characters around it.
pub fn plain(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || INVISIBLE.contains(&letter))
}

/// A text without line ends at its end: everything else may be part of a password.
pub fn without_line_ends(text: &str) -> &str {
    text.trim_end_matches(['\r', '\n'])
}

/// The same for the token of a claim, which is compared letter by letter.
pub fn token(text: &str) -> Result<String, String> {
    Ok(without_line_ends(text).to_owned())
}

/// The text of a file that holds a secret or a key.
pub fn read(path: &Path) -> Result<String, Error> {
    let read = |path: &Path| -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path)?;
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let refused = |what: String| Error::new(format!("`{}` {what}", path.display()));
    let kind = std::fs::metadata(path).map_err(Error::read(path))?;
    if kind.is_dir() {
        return Err(refused(
            "is a folder: name the file in it that holds the text".into(),
        ));
    }
    let bytes = if kind.is_file() {
        read(path)
    } else {
        // A pipe without a writer would block for ever.
        let (sender, receiver) = mpsc::channel();
        let pipe = path.to_owned();
        thread::spawn(move || sender.send(read(&pipe)));
        receiver.recv_timeout(PATIENCE).map_err(|_| {
            let seconds = PATIENCE.as_secs();
            refused(format!(
                "is not a file, and gave nothing within {seconds} s: name a file, or write to it"
            ))
        })?
    };
    let text = decode(&bytes.map_err(Error::read(path))?).ok_or_else(|| {
        refused("is not text in UTF-8: save it as UTF-8, not as UTF-16 for example".into())
    })?;
    if text.is_empty() {
        return Err(refused(
            "is empty: write the text into it, or name another file".into(),
        ));
    }
    Ok(text)
}

/// Text in UTF-8. Text in UTF-16 begins with a mark that UTF-8 does not have, or has a NUL next to
/// each letter.
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
            b"a secret\xe2\x80\x8b\n",
            b"a secret\xef\xbb\xbf\r\n",
            b"\xe2\x81\xa0a secret\xe2\x80\x8d",
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
