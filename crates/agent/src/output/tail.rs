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
/// The same for short lines.
const COUNT_PIECES_MAX: u64 = 100_000;

/// The newest output.
#[derive(Debug)]
pub(super) struct Tail {
    /// What lies before it.
    pub(super) gap: Option<LogGap>,
    /// Its lines.
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

/// Reads backwards, as many lines as are likely to be enough. `older` is what was counted before it was too much.
async fn last<E: ContainerEngine>(
    engine: &E,
    container: &ContainerId,
    marks: LogMarks,
    older: Newest,
    bytes_max: usize,
) -> Result<Tail, Error> {
    let mut reread = Reread::new(marks);
    let mut newest = Newest::new(bytes_max);
    let count = lines_in(bytes_max, older.passed());
    let mut lines = engine.logs(container, Excerpt::Last { lines: count });
    while let Some(line) = lines.try_next().await? {
        if let Some(line) = reread.admit(line) {
            newest.push(&line);
        }
    }
    let counted = newest.oldest().map_or(older.passed(), |oldest| older.before(oldest));
    Ok(Tail { gap: counted.as_gap(LogExtent::AtLeast), lines: newest })
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
}
