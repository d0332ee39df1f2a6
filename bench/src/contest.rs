//! Contestants that take turns: A B C, A B C, …
//!
//! Owns the order of the runs and the percentiles. Callers rely on this: a disturbance of the
//! machine hits every contestant alike, and a slow contestant does not change the others' figures.

use std::time::{Duration, Instant};

/// Named contestants, each a closure that does the work once and returns how long it took. What it
/// does before and after the part that counts is not in the time.
#[derive(Default)]
pub struct Contest<'a> {
    contestants: Vec<Contestant<'a>>,
}

struct Contestant<'a> {
    name: String,
    run: Box<dyn FnMut() -> Duration + 'a>,
    times: Vec<Duration>,
}

/// How long a contestant took.
pub struct Times {
    /// Its name.
    pub name: String,
    /// From the shortest to the longest; at least one.
    sorted: Vec<Duration>,
}

impl<'a> Contest<'a> {
    /// A contest without contestants.
    pub fn new() -> Contest<'a> {
        Contest::default()
    }

    /// Adds a contestant.
    pub fn enter(&mut self, name: impl Into<String>, run: impl FnMut() -> Duration + 'a) {
        self.contestants.push(Contestant {
            name: name.into(),
            run: Box::new(run),
            times: Vec::new(),
        });
    }

    /// Runs each once to warm up, then `rounds` rounds. A contestant sits out the rest once it has
    /// used up `patience`, so its count tells how many of its runs were measured.
    pub fn run(mut self, rounds: usize, patience: Duration) -> Vec<Times> {
        for contestant in &mut self.contestants {
            (contestant.run)();
        }
        for _ in 0..rounds {
            for contestant in &mut self.contestants {
                if contestant.times.iter().sum::<Duration>() < patience {
                    contestant.times.push((contestant.run)());
                }
            }
        }
        let times = |contestant: Contestant<'_>| Times::of(contestant.name, contestant.times);
        self.contestants.into_iter().map(times).collect()
    }
}

impl Times {
    /// Of measurements in any order.
    pub fn of(name: impl Into<String>, mut times: Vec<Duration>) -> Times {
        times.sort_unstable();
        Times {
            name: name.into(),
            sorted: times,
        }
    }

    /// The median.
    pub fn p50(&self) -> Duration {
        self.percentile(50)
    }

    /// 99 of 100 took at most this; with fewer than 100 runs, it is the longest of them.
    pub fn p99(&self) -> Duration {
        self.percentile(99)
    }

    /// The longest of all.
    pub fn longest(&self) -> Duration {
        self.percentile(100)
    }

    /// How many runs were measured.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// How often it can be done in a second, slow runs included.
    pub fn per_second(&self) -> f64 {
        self.count() as f64 / self.sorted.iter().sum::<Duration>().as_secs_f64()
    }

    /// The nearest rank.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.sorted.len() * percent).div_ceil(100);
        let at = rank.saturating_sub(1);
        self.sorted.get(at).copied().unwrap_or_default()
    }
}

/// How long a step takes.
pub fn timed<T>(step: impl FnOnce() -> T) -> Duration {
    let begun = Instant::now();
    let result = step();
    let took = begun.elapsed();
    // Dropping the result is not in the time.
    std::hint::black_box(result);
    took
}
