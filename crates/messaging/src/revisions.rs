//! Numbers of the revisions of an app: from 1, whatever other apps are edited in between. Whoever edits an app stores the number
//! with the revision. Earlier releases do not: what they have stored is counted from its neighbours, of which ten are kept.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tickmesh_core::{message::AppRecord, name::AppName};

use crate::{bucket::Bucket, error::Error, listing::Listing, mesh::Mesh, wire::Entry};

/// Apps whose kept revisions are looked at at once.
const APPS_AT_ONCE: usize = 32;

/// Returns the numbers of the kept revisions of one app, the oldest first, of which some say their own.
fn numbers(stored: &[Option<u64>]) -> Vec<u64> {
    let first_stated = stored.iter().position(Option::is_some);
    // Those before the first one that says its number are counted back from it, and without one from the oldest that is kept.
    let first = first_stated.and_then(|place| Some(stored[place]?.saturating_sub(place as u64))).unwrap_or(1).max(1);
    let mut numbers: Vec<u64> = Vec::with_capacity(stored.len());
    for stated in stored {
        let next = numbers.last().map_or(first, |last| last + 1);
        numbers.push(stated.unwrap_or(next));
    }
    numbers
}

/// Fills in the numbers of the kept revisions of one app. Returns that of the newest; 0: none is kept.
fn fill_in(history: &mut Listing<AppRecord>) -> u64 {
    // One that cannot be read is a revision, too.
    let readable = history.entries.iter().map(|entry| (entry.sequence, entry.value.number));
    let mut stored: Vec<_> = readable.chain(history.unreadable.iter().map(|record| (record.sequence, None))).collect();
    stored.sort_unstable();
    let stated: Vec<_> = stored.iter().map(|(_, number)| *number).collect();
    let numbers = numbers(&stated);
    for entry in &mut history.entries {
        let place = stored.iter().position(|(sequence, _)| *sequence == entry.sequence);
        entry.value.number = place.map(|place| numbers[place]);
    }
    numbers.last().copied().unwrap_or(0)
}

/// Returns the number of the newest kept revision of an app; 0: none is kept.
pub(crate) async fn newest_number(apps: &Bucket<AppRecord>, app: &str) -> Result<u64, Error> {
    Ok(fill_in(&mut apps.look_at_history(app).await?))
}

impl Mesh {
    /// The kept revisions of an app, the oldest first, each with its number.
    pub async fn revisions(&self, app: &AppName) -> Result<Listing<AppRecord>, Error> {
        let mut history = self.apps().look_at_history(app.as_str()).await?;
        fill_in(&mut history);
        Ok(history)
    }

    /// Returns the number of the newest kept revision of an app, whether it can be read or not; 0: none is kept.
    pub async fn newest_revision(&self, app: &str) -> Result<u64, Error> {
        newest_number(&self.apps(), app).await
    }

    /// Fills in the number of a current record that an earlier release has stored.
    pub async fn number(&self, mut entry: Entry<AppRecord>) -> Result<Entry<AppRecord>, Error> {
        if entry.value.number.is_none() {
            let mut history = self.apps().look_at_history(&entry.key).await?;
            fill_in(&mut history);
            let same = history.entries.iter().find(|kept| kept.sequence == entry.sequence);
            entry.value.number = same.and_then(|kept| kept.value.number);
        }
        Ok(entry)
    }

    /// Fills in the numbers of current records that an earlier release has stored.
    pub async fn number_all(&self, apps: &mut Listing<AppRecord>) -> Result<(), Error> {
        let entries = std::mem::take(&mut apps.entries);
        let numbered = stream::iter(entries).map(|entry| self.number(entry)).buffered(APPS_AT_ONCE);
        apps.entries = numbered.try_collect().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_count_from_one() {
        assert_eq!(numbers(&[]), [] as [u64; 0]);
        assert_eq!(numbers(&[Some(1), Some(2)]), [1, 2]);
        assert_eq!(numbers(&[Some(31), Some(32)]), [31, 32], "those before are not kept any more");
    }

    /// Releases before this one edit apps as well while a mesh is upgraded or taken back.
    #[test]
    fn earlier_releases_are_numbered_by_their_neighbours() {
        assert_eq!(numbers(&[None, None, None]), [1, 2, 3]);
        assert_eq!(numbers(&[None, None, Some(3), None]), [1, 2, 3, 4]);
        assert_eq!(numbers(&[None, Some(12), None, None, Some(15)]), [11, 12, 13, 14, 15]);
        assert_eq!(numbers(&[None, None, Some(1)]), [1, 2, 1], "a restored copy");
    }
}
