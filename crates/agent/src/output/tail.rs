//! Reads the newest output of a container that has ended, and how much lies between it and what is stored.

use futures_util::TryStreamExt;
use tickmesh_core::message::{LogExtent, LogGap, LogMarks};

use super::{
    newest::{Amount, Newest},
    reread::{Continuity, Reread},
};
use crate::engine::{ContainerEngine, ContainerId, Error, Excerpt};

/// What is counted of a gap. The engine gives some 20,000 to 60,000 lines a second, and each of them costs it and us processor time
/// that jobs could have: so this is a few seconds' work, once, and of a larger gap the size is a lower bound.
const COUNT_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most short lines that are kept.
const COUNT_PIECES_MAX: u64 = PIECES_MAX as u64;
/// Lines that are asked for at most.
const PIECES_MAX: u32 = 100_000;

/// The newest output.
#[derive(Debug)]
pub(super) struct Tail {
    /// What lies before it.
    pub(super) gap: Option<LogGap>,
    pub(super) lines: Newest,
}

/// Reads what follows `marks`: the newest `bytes_max` bytes of it.
pub(super) async fn read<E: ContainerEngine>(
    engine: &E,
    container: &ContainerId,
    marks: LogMarks,
    bytes_max: usize,
) -> Result<Tail, Error> {
    let mut reread = Reread::new(marks);
    let mut newest = Newest::new(bytes_max);
    let mut lines = engine.logs(container, Excerpt::Stored { from: reread.from() });
    while let Some(line) = lines.try_next().await? {
        if let Some(line) = reread.admit(line) {
            newest.push(&line);
        }
        if is_too_much(newest.passed()) {
            drop(lines);
            return last(engine, container, marks, newest, bytes_max).await;
        }
    }
    let extent = match reread.continuity() {
        Continuity::Unbroken => LogExtent::Exact,
        Continuity::Unproven => LogExtent::AtLeast,
    };
    Ok(Tail { gap: newest.forgotten().as_gap(extent), lines: newest })
}

fn is_too_much(amount: Amount) -> bool {
    amount.bytes > COUNT_BYTES_MAX || amount.pieces > COUNT_PIECES_MAX
}

/// Reads backwards, as many lines as are likely to be enough: first by those that were counted before it was too much, `older`, then
/// by the last ones themselves, for a job that wrote long lines may end with short ones.
async fn last<E: ContainerEngine>(
    engine: &E,
    container: &ContainerId,
    marks: LogMarks,
    older: Newest,
    bytes_max: usize,
) -> Result<Tail, Error> {
    let mut count = lines_in(bytes_max, older.passed());
    loop {
        let newest = newest_of(engine, container, marks, count, bytes_max).await?;
        let Some(more) = more_lines(count, bytes_max, newest.passed()) else {
            let counted = newest.oldest().map_or(older.passed(), |oldest| older.before(oldest));
            return Ok(Tail { gap: counted.as_gap(LogExtent::AtLeast), lines: newest });
        };
        count = more;
    }
}

/// The newest output in so many of the last lines.
async fn newest_of<E: ContainerEngine>(
    engine: &E,
    container: &ContainerId,
    marks: LogMarks,
    count: u32,
    bytes_max: usize,
) -> Result<Newest, Error> {
    let mut reread = Reread::new(marks);
    let mut newest = Newest::new(bytes_max);
    let mut lines = engine.logs(container, Excerpt::Last { lines: count });
    while let Some(line) = lines.try_next().await? {
        if let Some(line) = reread.admit(line) {
            newest.push(&line);
        }
    }
    Ok(newest)
}

/// How many lines to ask for if the last `count` of them have only so much. `None`: that is enough, or all.
fn more_lines(count: u32, bytes_max: usize, found: Amount) -> Option<u32> {
    let is_enough = found.bytes >= bytes_max as u64;
    let is_all = found.pieces < u64::from(count) || u64::from(count) >= COUNT_PIECES_MAX;
    // Twice as many at least, so that this ends soon.
    let more = lines_in(bytes_max, found).max(count.saturating_mul(2)).min(PIECES_MAX);
    (!is_enough && !is_all).then_some(more)
}

/// How many lines have that many bytes, if they are as long as those of `sample` on average.
fn lines_in(bytes: usize, sample: Amount) -> u32 {
    let mean = (sample.bytes / sample.pieces.max(1)).max(1);
    let lines = (bytes as u64).div_ceil(mean).min(COUNT_PIECES_MAX);
    u32::try_from(lines).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_lines_are_asked_for_as_are_likely_to_be_enough() {
        let sample = |bytes, pieces| Amount { bytes, pieces, newlines: pieces };
        assert_eq!(lines_in(1 << 20, sample(80_000, 1_000)), 13_108);
        assert_eq!(lines_in(1 << 20, sample(16 << 20, 1_024)), 64);
        assert_eq!(lines_in(1 << 20, sample(2_000, 1_000)), 100_000, "however short they are");
        assert_eq!(lines_in(1 << 20, sample(0, 0)), 100_000);
    }

    #[test]
    fn short_lines_at_the_end_are_asked_for_again_until_there_are_enough() {
        let found = |bytes, pieces| Amount { bytes, pieces, newlines: pieces };
        assert_eq!(more_lines(64, 1 << 20, found(64 * 60, 64)), Some(17_477));
        assert_eq!(more_lines(64, 1 << 20, found((1 << 20) - 1, 64)), Some(128), "ever more");
        assert_eq!(more_lines(64, 1 << 20, found(1 << 20, 64)), None, "it is enough");
        assert_eq!(more_lines(64, 1 << 20, found(3_840, 63)), None, "there are no more");
        assert_eq!(more_lines(100_000, 1 << 20, found(200_000, 100_000)), None, "they are too short");
    }
}
