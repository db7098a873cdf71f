//! The limit of any clock in one process: a heap of instants and one timer.

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use jiff::SignedDuration;
use tokio::time::{Instant, sleep_until};

use crate::spread::Spread;

/// How long before they are due the entries are there.
const LEAD: Duration = Duration::from_secs(1);

/// How late the entries of a heap are taken out, of which so many are due at once.
pub(crate) async fn measure(count: usize) -> anyhow::Result<Spread> {
    let due = Instant::now() + LEAD;
    let mut heap: BinaryHeap<_> = (0..count).map(|entry| Reverse((due, entry))).collect();
    let mut late = Vec::with_capacity(count);
    while let Some(Reverse((due, _))) = heap.peek().copied() {
        sleep_until(due).await;
        while heap.peek().is_some_and(|Reverse((due, _))| *due <= Instant::now()) {
            heap.pop();
            late.push(SignedDuration::try_from(due.elapsed())?);
        }
    }
    Ok(Spread::of(late))
}
