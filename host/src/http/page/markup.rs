//! Pieces of a page that are HTML already: times, links, and sentences with times in them.
//!
//! Owns their escaping. Leaves what is not seen to `visible`, which goes over the whole page.
//! Callers rely on this: no text of the database becomes markup. A time is exact without scripts;
//! the script makes it local, and lets ages grow (dashboard.js knows the three classes).

use std::fmt;

use askama::filters::HtmlSafe;
use jiff::Timestamp;
use serial_gate::store::{from_sql_time, sql_time};

use crate::http::api::age::{age_of, in_words};

/// Escaped HTML.
#[derive(Debug, Clone, Default)]
pub struct Markup(String);

impl fmt::Display for Markup {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl HtmlSafe for Markup {}

impl Markup {
    /// A text, in which each time of the gate's (`2026-11-28 14:00:00 UTC`) becomes a time element,
    /// and what is between backticks becomes code.
    pub fn sentence(text: &str) -> Markup {
        let mut html = String::with_capacity(text.len());
        // An odd number of them belongs to the names.
        if text.matches('`').count() % 2 == 1 {
            plain(text, &mut html);
            return Markup(html);
        }
        for (place, part) in text.split('`').enumerate() {
            if place % 2 == 0 {
                plain(part, &mut html);
            } else {
                html.push_str("<code>");
                escape(part, &mut html);
                html.push_str("</code>");
            }
        }
        Markup(html)
    }

    /// A name, or another text of one line.
    pub fn text(text: &str) -> Markup {
        let mut html = String::with_capacity(text.len());
        escape(text, &mut html);
        Markup(html)
    }

    /// A link within the service, or to a page that [`is_link`](serial_gate::worker::branch) has
    /// accepted.
    pub fn link(address: &str, text: &str) -> Markup {
        let mut html = String::from("<a href=\"");
        escape(address, &mut html);
        html.push_str("\">");
        escape(text, &mut html);
        html.push_str("</a>");
        Markup(html)
    }

    /// Followed by a sentence.
    pub fn then(self, text: &str) -> Markup {
        let Markup(first) = self;
        Markup(format!("{first} {}", Markup::sentence(text)))
    }

    /// Followed by another piece.
    pub fn and(self, other: Markup) -> Markup {
        Markup(format!("{self} {other}"))
    }

    /// A moment, as people of any place read it.
    pub fn at(moment: Timestamp) -> Markup {
        Markup(clock(&sql_time(moment)))
    }

    /// The same for a time of the database. A text that is no time stays as it is.
    pub fn at_text(text: &str) -> Markup {
        match moment(text) {
            Some(moment) => Markup::at(moment),
            None => Markup::sentence(text),
        }
    }

    /// How long ago it was. A time that is too far ahead for its age is shown as a time.
    pub fn ago(moment: Timestamp, now: Timestamp) -> Markup {
        match age_of(Some(moment), now) {
            None => Markup::at(moment),
            Some(age) => {
                let (exact, age) = (sql_time(moment), in_words(age));
                let title = format!(" title=\"{exact} UTC\"");
                Markup(element("age", &exact, &title, &format!("{age} ago")))
            }
        }
    }

    /// How long it has lasted, as `2h 5m`; none if that is not known.
    pub fn so_long(since: &str, now: Timestamp) -> Option<Markup> {
        let since = moment(since)?;
        let age = in_words(age_of(Some(since), now)?);
        let exact = sql_time(since);
        let title = format!(" title=\"since {exact} UTC\"");
        Some(Markup(element("long", &exact, &title, &age)))
    }

    /// The same for a time of the database.
    pub fn ago_text(text: &str, now: Timestamp) -> Markup {
        match moment(text) {
            Some(moment) => Markup::ago(moment, now),
            None => Markup::sentence(text),
        }
    }
}

/// A text with its times.
fn plain(text: &str, html: &mut String) {
    for part in text.split_inclusive(UTC) {
        let before = part.strip_suffix(UTC).unwrap_or_default();
        let start = before.len().checked_sub(TIME);
        match start.and_then(|start| before.split_at_checked(start)) {
            Some((words, time)) if from_sql_time(time).is_some() => {
                escape(words, html);
                html.push_str(&clock(time));
            }
            _ => escape(part, html),
        }
    }
}

const UTC: &str = " UTC";
/// The length of a time in the gate's own form.
const TIME: usize = 19;

/// A time as the database or a document has it.
pub fn moment(text: &str) -> Option<Timestamp> {
    from_sql_time(text).or_else(|| text.parse().ok())
}

fn clock(time: &str) -> String {
    element("clock", time, "", &format!("{time} UTC"))
}

/// The element of a time of the gate's.
fn element(class: &str, time: &str, title: &str, text: &str) -> String {
    let machine = time.replacen(' ', "T", 1);
    format!("<time class=\"{class}\" datetime=\"{machine}Z\"{title}>{text}</time>")
}

fn escape(text: &str, html: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            // The end of a line would be seen as a space.
            '\n' => html.push_str("\\u{a}"),
            '\t' => html.push_str("\\u{9}"),
            letter => html.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_in_a_sentence_becomes_an_element_and_the_rest_is_text() {
        let html = Markup::sentence("<b> since 2026-11-28 11:52:26 UTC, until 12 UTC").to_string();
        assert_eq!(
            html,
            "&lt;b&gt; since <time class=\"clock\" datetime=\"2026-11-28T11:52:26Z\">2026-11-28 \
             11:52:26 UTC</time>, until 12 UTC"
        );
        assert_eq!(
            Markup::sentence("`<a>` is `b`").to_string(),
            "<code>&lt;a&gt;</code> is <code>b</code>"
        );
        for text in [
            "a ` b",
            " UTC",
            "é2026-11-28 11:52:2 UTC",
            "2026-13-28 11:52:26 UTC",
        ] {
            assert_eq!(Markup::sentence(text).to_string(), text);
        }
    }

    #[test]
    fn an_address_cannot_end_its_attribute() {
        assert_eq!(
            Markup::link("/?q=\"><script>", "'").to_string(),
            "<a href=\"/?q=&quot;&gt;&lt;script&gt;\">&#39;</a>"
        );
    }
}
