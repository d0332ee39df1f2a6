//! The chart: the median of a claim against held jobs, on logarithmic scales, with a panel for each
//! number of repos.
//!
//! It is one SVG file, readable on a light and on a dark background. Zero has no place on a
//! logarithmic scale, so the queue without held jobs is drawn apart, at the left.

use std::fmt::Write;

use serial_gate_bench::Times;

use crate::sizes::{BARE, FLAT, REFERENCE, SPLICED, Size, UNGATED};
use crate::tables::{find, grouped};

const CONTESTANTS: [(&str, &str); 5] = [
    (REFERENCE, "#8250df"),
    (SPLICED, "#d1570b"),
    (FLAT, "#1a7f37"),
    (UNGATED, "#2f81f7"),
    (BARE, "#848d97"),
];

const PANEL: f64 = 300.0;
/// Room for the names at the end of the lines.
const NAMES: f64 = 90.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 52.0;
/// The least distance of two names.
const LINE: f64 = 14.0;

/// From 10 µs to 10 s, unless the figures need more.
struct Scale {
    low: i32,
    high: i32,
}

pub fn draw(sizes: &[Size]) -> String {
    let mut repos: Vec<u64> = sizes.iter().map(|size| size.cell.repos).collect();
    repos.dedup();
    let scale = Scale::of(sizes);
    let width = LEFT + (PANEL + NAMES) * repos.len() as f64;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {:.0}"
    font-family="system-ui, sans-serif" font-size="12">
<style>
text {{ fill: #57606a }}
.title {{ fill: #1f2328; font-weight: 600 }}
.grid {{ stroke: #d0d7de; stroke-width: 0.7 }}
@media (prefers-color-scheme: dark) {{
    text {{ fill: #9198a1 }}
    .title {{ fill: #e6edf3 }}
    .grid {{ stroke: #30363d }}
}}
</style>
<text class="title" x="8" y="20" font-size="14">One claim (median) by the number of held jobs</text>
"##,
        TOP + HEIGHT + 48.0
    );
    for power in scale.low..=scale.high {
        let y = scale.y(10f64.powi(power));
        svg += &format!(
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            LEFT - 8.0,
            y + 4.0,
            power_of_ten(power)
        );
    }
    for (at, repos) in repos.iter().enumerate() {
        let panel: Vec<&Size> = sizes
            .iter()
            .filter(|size| size.cell.repos == *repos)
            .collect();
        let left = LEFT + (PANEL + NAMES) * at as f64;
        draw_panel(&mut svg, &panel, left, &scale);
    }
    svg += "</svg>\n";
    svg
}

fn draw_panel(svg: &mut String, sizes: &[&Size], left: f64, scale: &Scale) {
    let repos = sizes[0].cell.repos;
    let plural = if repos == 1 { "" } else { "s" };
    let middle = left + PANEL / 2.0;
    let bottom = TOP + HEIGHT;
    *svg += &format!(
        "<text class=\"title\" x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">\
         {} repo{plural}</text>\n",
        TOP - 10.0,
        grouped(repos)
    );
    for power in scale.low..=scale.high {
        let y = scale.y(10f64.powi(power));
        *svg += &format!("<path class=\"grid\" d=\"M{left} {y:.1}h{PANEL}\"/>\n");
    }
    let most = sizes.iter().map(|size| size.cell.held).max().unwrap_or(1);
    let x = |held: u64| left + place(held, most) * PANEL;
    for size in sizes {
        let held = size.cell.held;
        *svg += &format!(
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            x(held),
            bottom + 18.0,
            short(held)
        );
    }
    *svg += &format!(
        "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">held jobs</text>\n",
        bottom + 38.0
    );

    let mut names = Vec::new();
    for (name, colour) in CONTESTANTS {
        let points: Vec<(f64, f64)> = sizes
            .iter()
            .filter_map(|size| Some((x(size.cell.held), scale.y(micros(find(&size.claim, name)?)))))
            .collect();
        let Some((end_x, end_y)) = points.last().copied() else {
            continue;
        };
        let mut line = String::new();
        for (x, y) in &points {
            write!(line, "{x:.1},{y:.1} ").unwrap();
            *svg += &format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>\n");
        }
        let width = if name == FLAT { 3.0 } else { 1.8 };
        *svg += &format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"{width}\"/>\n",
            line.trim_end()
        );
        names.push((end_x, end_y, name, colour));
    }
    // From the top down, each below the one before.
    names.sort_by(|one, other| one.1.total_cmp(&other.1));
    let mut free = f64::MIN;
    for (x, y, name, colour) in names {
        let y = y.max(free);
        free = y + LINE;
        *svg += &format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" style=\"fill: {colour}\">{name}</text>\n",
            x + 8.0,
            y + 4.0
        );
    }
}

/// The place of a number of held jobs on the axis, from 0 to 1.
fn place(held: u64, most: u64) -> f64 {
    let decades = |held: u64| (held.max(10) as f64).log10();
    match held {
        0 => 0.06,
        _ => 0.94 - (decades(most) - decades(held)) / (decades(most).max(2.0) - 1.0) * 0.74,
    }
}

fn micros(times: &Times) -> f64 {
    times.p50().as_secs_f64() * 1e6
}

impl Scale {
    fn of(sizes: &[Size]) -> Scale {
        let all = sizes.iter().flat_map(|size| &size.claim).map(micros);
        let (low, high) = all.fold((10.0, 1e7), |(low, high): (f64, f64), time| {
            (low.min(time), high.max(time))
        });
        Scale {
            low: low.log10().floor() as i32,
            high: high.log10().ceil() as i32,
        }
    }

    fn y(&self, micros: f64) -> f64 {
        let part = (micros.log10() - f64::from(self.low)) / f64::from(self.high - self.low);
        TOP + HEIGHT * (1.0 - part)
    }
}

/// A power of ten of microseconds.
fn power_of_ten(power: i32) -> String {
    match power {
        ..0 => format!("{} ns", 10u64.pow((power + 3).unsigned_abs())),
        0..3 => format!("{} µs", 10u64.pow(power.unsigned_abs())),
        3..6 => format!("{} ms", 10u64.pow((power - 3).unsigned_abs())),
        _ => format!("{} s", 10u64.pow((power - 6).unsigned_abs())),
    }
}

/// A number in the short form for an axis: `100k`, `1M`.
fn short(number: u64) -> String {
    match number {
        0 => "0".into(),
        _ if number.is_multiple_of(1_000_000) => format!("{}M", number / 1_000_000),
        _ if number.is_multiple_of(1_000) => format!("{}k", number / 1_000),
        _ => number.to_string(),
    }
}
