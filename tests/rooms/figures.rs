//! Figures of the rooms, for a reader who compares two commits.
//!
//! `SERIAL_GATE_HOUSE=folder cargo test --test tests figures_of_the_rooms -- --ignored --nocapture`
//! reads another checkout. It orders a room's files so that the fewest imports run up, and counts
//! those.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::imports;
use super::source::House;
use crate::support::checkout;

type Imports = BTreeSet<(usize, usize)>;

/// The files, lowest first, in an order that no move of one file improves.
fn ordered(files: &[usize], imports: &Imports) -> Vec<usize> {
    let mut order = files.to_vec();
    order.sort_by_key(|file| {
        let of = |end: fn(&(usize, usize)) -> usize| {
            imports.iter().filter(|import| end(import) == *file).count() as isize
        };
        of(|import| import.0) - of(|import| import.1)
    });
    loop {
        let before = up(&order, imports).len();
        for file in files {
            let rest: Vec<usize> = order
                .iter()
                .copied()
                .filter(|other| other != file)
                .collect();
            let moved = (0..=rest.len()).map(|at| {
                let mut moved = rest.clone();
                moved.insert(at, *file);
                moved
            });
            let best = moved.min_by_key(|moved| up(moved, imports).len()).unwrap();
            if up(&best, imports).len() < up(&order, imports).len() {
                order = best;
            }
        }
        if up(&order, imports).len() == before {
            return order;
        }
    }
}

fn up(order: &[usize], imports: &Imports) -> Vec<(usize, usize)> {
    let place: BTreeMap<usize, usize> = order.iter().enumerate().map(|(at, f)| (*f, at)).collect();
    let runs_up = |(from, to): &&(usize, usize)| place[from] < place[to];
    imports.iter().filter(runs_up).copied().collect()
}

#[test]
#[ignore = "prints figures, and finds nothing wrong"]
fn figures_of_the_rooms() {
    let folder = std::env::var_os("SERIAL_GATE_HOUSE").map_or_else(checkout, PathBuf::from);
    let house = House::read(&folder);
    let number: BTreeMap<&str, usize> = house
        .sources
        .iter()
        .map(|s| s.file.as_str())
        .zip(0..)
        .collect();
    let rooms: BTreeSet<&str> = house.sources.iter().map(super::Source::room).collect();
    println!("| room | files | lines | longest file | imports between its files | of them up |");
    println!("|---|---:|---:|---:|---:|---:|");
    let mut named = Vec::new();
    for room in rooms.into_iter().filter(|room| !room.is_empty()) {
        let files: Vec<usize> = (0..house.sources.len())
            .filter(|file| house.sources[*file].room() == room)
            .collect();
        let between: Imports = imports(&house)
            .filter(|(from, to)| from.room() == room && to.room() == room)
            .map(|(from, to)| (number[from.file.as_str()], number[to.file.as_str()]))
            .collect();
        let up = up(&ordered(&files, &between), &between);
        let lines = || files.iter().map(|file| house.sources[*file].lines);
        let (sum, longest) = (lines().sum::<usize>(), lines().max().unwrap());
        println!(
            "| {room} | {} | {sum} | {longest} | {} | {} |",
            files.len(),
            between.len(),
            up.len()
        );
        named.extend(up);
    }
    println!("\nthose that run up:");
    for (from, to) in named {
        println!(
            "- {} → {}",
            house.sources[from].file, house.sources[to].file
        );
    }
}
