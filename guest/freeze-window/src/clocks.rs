//! What the clocks of a place show, and when they are changed.
//!
//! Owns when a window begins and ends where clocks are changed. A window is open from the first
//! moment at which the clocks have reached its `from`, until the last moment at which they come to
//! its `until`. Therefore:
//!
//! - Clocks are put back, and a time occurs twice: a window begins at the first occurrence and ends
//!   at the second one. In between it stays open.
//! - Clocks are put forward, and a time does not occur: a window begins or ends at the moment of
//!   the change. A window that lies in the missing hour as a whole is not open in that week.
//!
//! A window is thus never shorter than the clocks tell, and two that meet leave no gap.
//!
//! The years -9999 to 9999 have the rules of their zone, with today's for the future. Before and
//! after them the clocks keep the first and the last offset.

use core::fmt;

use jiff::tz::TimeZoneTransition;
use serial_gate_default_policy::snapshot::Timestamp;

use crate::week::{DAY, UtcOffset, WeekTime};
use crate::zone::Zone;

/// Clocks were never put back by more than a day: a change further away repeats nothing now.
const NEAR: i64 = 2 * DAY;

/// The clocks of a place.
#[derive(Debug, Clone, Copy)]
pub enum Clocks<'a> {
    /// They are never changed.
    Fixed(UtcOffset),
    /// They follow the rules of a zone.
    Zone(&'a Zone),
}

/// What clocks show at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// The latest time that they have shown. It is the present one, unless they were put back.
    pub latest: WeekTime,
    /// How many seconds up to `latest` they will show again. 0, unless clocks are put back about
    /// now.
    pub repeated: i64,
}

impl Clocks<'_> {
    /// The time of the week that they show.
    pub fn time(self, now: Timestamp) -> WeekTime {
        WeekTime::at(now, self.ahead(now))
    }

    /// What they show, with the changes of this day.
    pub fn shown(self, now: Timestamp) -> Shown {
        let (behind, again) = match self {
            Clocks::Fixed(_) => (0, 0),
            Clocks::Zone(zone) => put_back(zone, now),
        };
        Shown {
            latest: WeekTime::at(now, self.ahead(now) + behind),
            repeated: behind + again,
        }
    }

    /// When they are changed the next time.
    pub fn next_change(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Clocks::Fixed(_) => None,
            Clocks::Zone(zone) => {
                let mut changes = zone.rules().following(moment(now)).map(second);
                changes.find(|change| *change > now)
            }
        }
    }

    /// How far they are ahead of UTC, in seconds.
    fn ahead(self, now: Timestamp) -> i64 {
        match self {
            Clocks::Fixed(offset) => offset.seconds(),
            Clocks::Zone(zone) => ahead(zone, now),
        }
    }
}

/// How many seconds the clocks have already shown beyond the present time, and how many before the
/// next second they will show again.
fn put_back(zone: &Zone, now: Timestamp) -> (i64, i64) {
    let at = moment(now);
    let now = at.as_second();
    let local = now + ahead(zone, now);
    let behind = zone
        .rules()
        .preceding(moment(now + 1))
        .map(second)
        .take_while(|change| now - change < NEAR)
        .map(|change| change - 1 + ahead(zone, change - 1) - local);
    let again = zone
        .rules()
        .following(at)
        .map(second)
        .take_while(|change| change - now < NEAR)
        .map(|change| local + 1 - (change + ahead(zone, change)));
    (behind.fold(0, i64::max), again.fold(0, i64::max))
}

fn ahead(zone: &Zone, at: Timestamp) -> i64 {
    zone.rules().to_offset(moment(at)).seconds().into()
}

/// A moment in the library's type, or the nearest end of its range.
fn moment(at: Timestamp) -> jiff::Timestamp {
    let end = if at < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    };
    jiff::Timestamp::from_second(at).unwrap_or(end)
}

fn second(change: TimeZoneTransition<'_>) -> Timestamp {
    change.timestamp().as_second()
}

impl fmt::Display for Clocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Clocks::Fixed(offset) => write!(f, "utc{offset}"),
            Clocks::Zone(zone) => f.write_str(zone.name()),
        }
    }
}
