//! Output for snapshots, without the parts that differ from run to run.

/// Times differ from run to run.
pub fn without_times(text: &str) -> String {
    let text = without_numbers(text);
    let mut shown = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("20").filter(|_| !rest.is_empty()) {
        let is_time = rest.get(at..at + 19).is_some_and(|time| {
            time.bytes()
                .zip("0000-00-00 00:00:00".bytes())
                .all(|(byte, like)| match like {
                    b'0' => byte.is_ascii_digit(),
                    b' ' => matches!(byte, b' ' | b'T'),
                    _ => byte == like,
                })
        });
        let (before, after) = rest.split_at(at + if is_time { 19 } else { 2 });
        shown.push_str(&before[..at]);
        shown.push_str(if is_time { "(time)" } else { "20" });
        rest = match is_time {
            true => after.strip_prefix('Z').unwrap_or(after),
            false => after,
        };
    }
    shown + rest
}

/// The numbers of freezes differ from run to run.
pub fn without_numbers(text: &str) -> String {
    let parts = text.split_inclusive(|char: char| !char.is_ascii_digit());
    parts
        .map(|part| {
            let digits = part.trim_end_matches(|char: char| !char.is_ascii_digit());
            match digits.len() {
                13 => part.replacen(digits, "(number)", 1),
                _ => part.to_owned(),
            }
        })
        .collect()
}
