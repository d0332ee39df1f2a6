//! The machine, for the head of a report. A part that cannot be read is `unknown`.

use std::fs;
use std::thread::available_parallelism;

/// Processor, cores, memory and kernel, in one line.
pub fn machine() -> String {
    let cores = available_parallelism().map_or_else(|_| "?".into(), |cores| cores.to_string());
    let processor = of_line("/proc/cpuinfo", "model name").unwrap_or_else(unknown);
    let memory = of_line("/proc/meminfo", "MemTotal")
        .and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok())
        .map_or_else(unknown, |kib| format!("{} GiB", (kib + (1 << 19)) >> 20));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")
        .map_or_else(|_| unknown(), |release| format!("Linux {}", release.trim()));
    format!("{processor}, {cores} cores, {memory} of memory, {kernel}")
}

fn of_line(path: &str, key: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    Some(line.split_once(':')?.1.trim().into())
}

fn unknown() -> String {
    "unknown".into()
}
