//! The report: a table for each contest, a line for each size.

use std::io;

use serial_gate_bench::{Report, Times, duration, ratio};

use crate::sizes::{
    ADD_TASK, BARE, FLAT, PLAIN, PREPARED, REFERENCE, SPLICED, STEPS, Size, THREE_WRITES, UNGATED,
};

pub fn write(report: &mut Report, sizes: &[Size], finished: u64) -> io::Result<()> {
    report.paragraph(&format!(
        "For each size there is a database with {} finished tasks, and a copy of it for each \
         contestant. They take turns, one claim each. Cells are p50 / p99, and the number of runs \
         where a contestant was too slow for all of them.",
        grouped(finished)
    ))?;
    report.paragraph("![claim time against held jobs](claim.svg)")?;

    report.paragraph("## Claim")?;
    report.paragraph(
        "Every claim finds a job behind all the held ones, every other time a gated job. *Bare \
         write* is a transaction that changes one row: no write is faster. *Flat* is \
         `Queue::claim`. *Ungated* is the same with the gate switched off: it takes the first job. \
         *Spliced* has the clause in its query and looks at one queued job after another, with all \
         our indexes. *Reference* is the original's way: for each claim a new connection and a new \
         query, without an index. It is left out where one claim would read more than 50 million \
         rows.",
    )?;
    matrix(
        report,
        sizes,
        [BARE, UNGATED, FLAT, SPLICED, REFERENCE],
        |size| &size.claim,
    )?;
    ratios(report, sizes)?;

    report.paragraph("## Idle poll")?;
    report.paragraph("Nothing may be claimed, and nothing has changed since the last poll.")?;
    matrix(report, sizes, [FLAT, SPLICED, REFERENCE], |size| &size.idle)?;

    report.paragraph("## Full cycle")?;
    report.paragraph(
        "A job is claimed, then it and its task are finished, which makes the next job of the repo \
         claimable: three transactions. The second table shows the flat cycle step by step.",
    )?;
    cycles(report, sizes)?;

    report.paragraph("## Enqueue")?;
    report.paragraph(
        "A task and its job in one transaction: with prepared statements into the orchestrator's \
         own tables; the same after `init`, with our columns, indexes and triggers; and by \
         `Store::add_task`, with a claim before each.",
    )?;
    matrix(report, sizes, [PLAIN, PREPARED, ADD_TASK], |size| {
        &size.enqueue
    })
}

/// A line for each size, a column for each contestant.
fn matrix<const N: usize>(
    report: &mut Report,
    sizes: &[Size],
    contestants: [&str; N],
    of: impl Fn(&Size) -> &[Times],
) -> io::Result<()> {
    let most = sizes.iter().flat_map(&of).map(Times::count).max();
    let rows: Vec<Vec<String>> = sizes
        .iter()
        .map(|size| {
            let cell = |name: &&str| match find(of(size), name) {
                Some(times) if Some(times.count()) == most => both(times),
                Some(times) => format!("{} ({})", both(times), times.count()),
                None => "–".into(),
            };
            label(size)
                .into_iter()
                .chain(contestants.iter().map(cell))
                .collect()
        })
        .collect();
    report.table(&head(&contestants), &rows)
}

fn ratios(report: &mut Report, sizes: &[Size]) -> io::Result<()> {
    let rows: Vec<Vec<String>> = sizes
        .iter()
        .filter_map(|size| {
            let flat = find(&size.claim, FLAT)?;
            let ungated = find(&size.claim, UNGATED)?;
            let bare = find(&size.claim, BARE)?;
            let empty = sizes
                .iter()
                .find(|other| other.cell.held == 0 && other.cell.repos == size.cell.repos);
            let empty = empty.and_then(|size| find(&size.claim, FLAT));
            let over_empty = |of: fn(&Times) -> _| {
                empty.map_or_else(|| "–".into(), |empty| ratio(of(flat), of(empty)))
            };
            let ratios = [
                over_empty(Times::p50),
                over_empty(Times::p99),
                ratio(flat.p50(), ungated.p50()),
                ratio(flat.p99(), ungated.p99()),
                ratio(flat.p50(), bare.p50()),
            ];
            Some(label(size).into_iter().chain(ratios).collect())
        })
        .collect();
    report.table(
        &head(&[
            "÷ none held, p50",
            "÷ none held, p99",
            "÷ ungated, p50",
            "÷ ungated, p99",
            "÷ bare write, p50",
        ]),
        &rows,
    )
}

fn cycles(report: &mut Report, sizes: &[Size]) -> io::Result<()> {
    let contestants = [THREE_WRITES, UNGATED, FLAT];
    let rows: Vec<Vec<String>> = sizes
        .iter()
        .map(|size| {
            let rate = |name: &&str| {
                find(&size.cycle, name)
                    .map_or_else(|| "–".into(), |times| grouped(times.per_second() as u64))
            };
            label(size)
                .into_iter()
                .chain(contestants.iter().map(rate))
                .collect()
        })
        .collect();
    report.table(
        &head(&contestants.map(|name| format!("{name} per second"))),
        &rows,
    )?;
    let columns = [FLAT, STEPS[0], STEPS[1], STEPS[2]];
    matrix(report, sizes, columns, |size| &size.cycle)
}

fn head(columns: &[impl AsRef<str>]) -> Vec<&str> {
    let names = columns.iter().map(AsRef::as_ref);
    ["repos", "held"].into_iter().chain(names).collect()
}

fn label(size: &Size) -> [String; 2] {
    [size.cell.repos, size.cell.held].map(grouped)
}

pub fn find<'a>(times: &'a [Times], name: &str) -> Option<&'a Times> {
    times.iter().find(|times| times.name == name)
}

fn both(times: &Times) -> String {
    let [p50, p99] = [times.p50(), times.p99()].map(duration);
    format!("{p50} / {p99}")
}

/// `1,000,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
