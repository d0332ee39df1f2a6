//! Pictures of the last day or week, as SVG: what ended and how long it had waited, and what a repo
//! did.
//!
//! Owns their geometry. Leaves the colours to the stylesheet. Callers rely on this: a picture is
//! whole without scripts, and each has a table with the same figures; it grows with its place, and
//! the number of its parts does not depend on the number of jobs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serial_gate::queue::{Activity, Bucket, RepoHistory, Span, Stretch};

use super::markup::Markup;
use crate::http::api::age::in_words;

/// The width of a picture, in its own units, and that of the names on its left.
const WIDTH: f64 = 960.0;
const NAMES: f64 = 70.0;
/// The height of a chart's bars.
pub const HEIGHT: f64 = 120.0;
/// The height of a lane, and of the bars in it.
const LANE: f64 = 26.0;

/// Two charts with the same buckets.
pub struct Charts {
    pub ended: Chart,
    pub waited: Chart,
    pub marks: Vec<Mark>,
    pub rows: Vec<BucketRow>,
    pub done: usize,
    pub failed: usize,
    pub is_cut: bool,
}

/// Bars, and the value of the topmost line.
pub struct Chart {
    pub bars: Vec<Bar>,
    pub most: String,
}

pub struct Bar {
    pub x: String,
    pub y: String,
    pub width: String,
    pub height: String,
    pub class: &'static str,
}

/// A name under a picture, and where.
pub struct Mark {
    pub x: String,
    pub text: &'static str,
    pub class: &'static str,
}

/// A bucket in figures.
pub struct BucketRow {
    pub from: Markup,
    pub done: usize,
    pub failed: usize,
    pub median: String,
    pub ninety: String,
}

/// What a repo did, one lane under the other.
pub struct Lanes {
    pub lanes: Vec<Lane>,
    pub marks: Vec<Mark>,
    pub height: String,
    pub is_cut: bool,
}

pub struct Lane {
    pub name: &'static str,
    /// Where its name is.
    pub y: String,
    pub bars: Vec<Bar>,
    /// How long it was so, in words.
    pub long: String,
    /// Whether short gaps are left out.
    pub is_coarse: bool,
    pub stretches: Vec<(Markup, Markup)>,
}

impl Charts {
    pub fn of(activity: &Activity, span: Span, now: Timestamp) -> Charts {
        let buckets = &activity.buckets;
        let (done, failed) = buckets.iter().fold((0, 0), |(done, failed), bucket| {
            (done + bucket.done, failed + bucket.failed)
        });
        Charts {
            ended: ended(buckets),
            waited: waited(buckets),
            marks: marks(activity.from, activity.until, now, span),
            rows: buckets.iter().rev().map(row).collect(),
            done,
            failed,
            is_cut: activity.is_cut,
        }
    }

    /// Whether there is anything to see.
    pub fn is_empty(&self) -> bool {
        self.done + self.failed == 0
    }
}

impl Lanes {
    pub fn of(history: &RepoHistory, span: Span, now: Timestamp) -> Lanes {
        let lanes = [
            ("waiting", &history.waiting),
            ("working", &history.working),
            ("frozen", &history.frozen),
        ];
        let whole = seconds(history.from, history.until).max(1.0);
        let lanes: Vec<Lane> = lanes
            .into_iter()
            .enumerate()
            .map(|(place, (name, past))| {
                let stretches = &past.stretches;
                let top = LANE * number(place);
                let bar = |stretch: &Stretch| {
                    let x = NAMES + seconds(history.from, stretch.from) / whole * (WIDTH - NAMES);
                    let width = seconds(stretch.from, stretch.until) / whole * (WIDTH - NAMES);
                    // A short one is seen, too.
                    bar(x, top + 4.0, width.max(1.0), LANE - 8.0, name)
                };
                Lane {
                    name,
                    y: round(top + LANE * 0.68),
                    bars: stretches.iter().map(bar).collect(),
                    long: in_words(past.long),
                    is_coarse: past.is_coarse,
                    stretches: stretches
                        .iter()
                        .rev()
                        .map(|stretch| (Markup::at(stretch.from), Markup::at(stretch.until)))
                        .collect(),
                }
            })
            .collect();
        Lanes {
            height: round(LANE * number(lanes.len())),
            lanes,
            marks: marks(history.from, history.until, now, span),
            is_cut: history.is_cut,
        }
    }

    /// Whether there is anything to see.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.bars.is_empty())
    }
}

fn ended(buckets: &[Bucket]) -> Chart {
    let most = buckets.iter().map(|bucket| bucket.done + bucket.failed);
    let most = round_up(most.max().unwrap_or_default());
    let mut bars = Vec::new();
    for (place, bucket) in buckets.iter().enumerate() {
        let failed = number(bucket.failed) / number(most) * HEIGHT;
        let done = number(bucket.done) / number(most) * HEIGHT;
        bars.extend(in_bucket(place, buckets.len(), 0.0, done, "done"));
        bars.extend(in_bucket(place, buckets.len(), done, failed, "failed"));
    }
    Chart {
        bars,
        most: most.to_string(),
    }
}

/// The longer bar is behind the shorter one.
fn waited(buckets: &[Bucket]) -> Chart {
    let all = buckets.iter();
    let most = all.flat_map(|bucket| [bucket.wait_median, bucket.wait_90]);
    let most = most.flatten().max().unwrap_or_default();
    let height = |wait: Option<Duration>| {
        let wait = wait.unwrap_or_default();
        match most.is_zero() {
            true => 0.0,
            false => wait.as_secs_f64() / most.as_secs_f64() * HEIGHT,
        }
    };
    let mut bars = Vec::new();
    for (place, bucket) in buckets.iter().enumerate() {
        let [ninety, median] = [bucket.wait_90, bucket.wait_median].map(height);
        bars.extend(in_bucket(place, buckets.len(), 0.0, ninety, "ninety"));
        bars.extend(in_bucket(place, buckets.len(), 0.0, median, "median"));
    }
    Chart {
        bars,
        most: wait_words(Some(most)),
    }
}

/// A bar of a bucket that begins so far above the ground; none without a height.
fn in_bucket(
    place: usize,
    buckets: usize,
    above: f64,
    height: f64,
    class: &'static str,
) -> Option<Bar> {
    let step = (WIDTH - NAMES) / number(buckets.max(1));
    let x = NAMES + step * number(place);
    let y = HEIGHT - above - height;
    (height > 0.0).then(|| bar(x + 1.0, y, step - 2.0, height, class))
}

fn bar(x: f64, y: f64, width: f64, height: f64, class: &'static str) -> Bar {
    Bar {
        x: round(x),
        y: round(y),
        width: round(width),
        height: round(height),
        class,
    }
}

/// How long ago it was, because a picture is the same in every place. A picture ends with the last
/// bucket, which has the present in it.
fn marks(from: Timestamp, until: Timestamp, now: Timestamp, span: Span) -> Vec<Mark> {
    let hours: [(f64, &'static str); 4] = match span {
        Span::Day => [
            (18.0, "18h ago"),
            (12.0, "12h ago"),
            (6.0, "6h ago"),
            (0.0, "now"),
        ],
        Span::Week => [
            (126.0, "5d 6h ago"),
            (84.0, "3d 12h ago"),
            (42.0, "1d 18h ago"),
            (0.0, "now"),
        ],
    };
    let whole = seconds(from, until).max(1.0);
    // The page stays the same for a minute.
    let past = seconds(from, now);
    let past = past - past.rem_euclid(60.0);
    let mark = |(hours, text): (f64, &'static str)| {
        let ago = 3_600.0 * hours;
        Mark {
            x: round(NAMES + ((past - ago) / whole).clamp(0.0, 1.0) * (WIDTH - NAMES)),
            text,
            class: if text == "now" { "end" } else { "middle" },
        }
    };
    hours.into_iter().map(mark).collect()
}

fn row(bucket: &Bucket) -> BucketRow {
    BucketRow {
        from: Markup::at(bucket.from),
        done: bucket.done,
        failed: bucket.failed,
        median: wait_words(bucket.wait_median),
        ninety: wait_words(bucket.wait_90),
    }
}

/// A wait in words. Seconds matter where workers are quick.
fn wait_words(wait: Option<Duration>) -> String {
    match wait {
        None => "-".into(),
        Some(wait) if wait.as_secs() < 60 => format!("{}s", wait.as_secs()),
        Some(wait) => in_words(SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX)),
    }
}

/// The next number that is easy to read.
fn round_up(most: usize) -> usize {
    let mut step = 1_usize;
    loop {
        for nice in [step, step.saturating_mul(2), step.saturating_mul(5)] {
            if nice >= most {
                return nice;
            }
        }
        step = step.saturating_mul(10);
    }
}

fn seconds(from: Timestamp, until: Timestamp) -> f64 {
    until.duration_since(from).as_secs_f64()
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// A place with as many digits as can be seen.
fn round(place: f64) -> String {
    format!("{place:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topmost_line_is_a_number_that_is_easy_to_read() {
        for (most, line) in [(0, 1), (1, 1), (3, 5), (11, 20), (99, 100), (4_001, 5_000)] {
            assert_eq!(round_up(most), line);
        }
        assert!(round_up(usize::MAX) == usize::MAX);
    }

    #[test]
    fn bars_stay_within_the_picture() {
        let bucket = |done, failed, wait: u64| Bucket {
            from: Timestamp::UNIX_EPOCH,
            done,
            failed,
            wait_median: Some(Duration::from_secs(wait)),
            wait_90: Some(Duration::from_secs(wait * 3)),
        };
        let buckets = [
            bucket(0, 0, 0),
            bucket(7, 3, 60),
            bucket(1, 0, u64::MAX / 8),
        ];
        for chart in [ended(&buckets), waited(&buckets)] {
            for bar in &chart.bars {
                let read = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
                assert!(read(&bar.y) >= 0.0 && read(&bar.height) <= HEIGHT);
                assert!(read(&bar.x) >= NAMES && read(&bar.x) + read(&bar.width) <= WIDTH);
            }
        }
    }
}
