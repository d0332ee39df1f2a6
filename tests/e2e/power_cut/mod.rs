//! Power cuts: afterwards, everything that was acknowledged is there.
//!
//! `disk.c` is loaded into the real binary and keeps what was flushed, which is all that a power
//! cut leaves; `disk` makes queues of it. `cuts` has the random runs, `order` what comes before an
//! answer, `faults` a disk that is full or broken.

mod cuts;
mod faults;
mod order;
