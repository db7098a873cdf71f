//! Edits of apps, each by compare-and-set on the app's key, and never more than a later leader can account for.
//!
//! A leader decides the old schedule up to an edit, so it needs every revision from the one in force on (guarantee G2). The
//! bucket keeps ten of an app: while nobody folds them, the revision in force and nine edits have room, and a tenth edit would
//! push out the schedule that was in force. It is refused.

use tickmesh_core::{ledger::Ledger, message::AppRecord, name::AppName};

use crate::{
    bucket::Bucket, compare_and_set::Cas, error::Error, revisions::newest_number, topology::APP_REVISIONS, wire::Entry,
};

/// Edits of one app at most that no leader has folded: with the revision in force, as many as the bucket keeps.
pub const UNFOLDED_EDITS_MAX: usize = APP_REVISIONS as usize - 1;

/// The record of an app, which an edit is based on.
#[derive(Debug)]
pub enum Current {
    /// There is none.
    Absent,
    Record(Box<Entry<AppRecord>>),
    Damaged {
        /// Its revision.
        revision: u64,
    },
}

impl Current {
    /// Returns the revision in the bucket that an edit replaces; 0: none.
    pub fn revision(&self) -> u64 {
        match self {
            Self::Absent => 0,
            Self::Record(entry) => entry.sequence,
            Self::Damaged { revision } => *revision,
        }
    }

    /// Returns the record, if there is one that can be read.
    pub fn record(&self) -> Option<&AppRecord> {
        match self {
            Self::Record(entry) => Some(&entry.value),
            Self::Absent | Self::Damaged { .. } => None,
        }
    }
}

impl From<Option<Entry<AppRecord>>> for Current {
    fn from(entry: Option<Entry<AppRecord>>) -> Self {
        entry.map_or(Self::Absent, |entry| Self::Record(Box::new(entry)))
    }
}

/// A record of a later release is not damaged: whoever edits it needs that release.
fn damaged(error: Error) -> Result<Current, Error> {
    match error {
        Error::Unreadable { sequence: revision, source, .. } if !source.is_newer() => Ok(Current::Damaged { revision }),
        error => Err(error),
    }
}

/// What became of an edit.
#[derive(Debug)]
pub enum Edit {
    Stored {
        /// Its revision in the bucket.
        revision: u64,
        /// Its number among those of the app.
        number: u64,
    },
    /// Another one was faster.
    Refused {
        /// What is stored.
        current: Current,
    },
}

/// Where apps are edited.
#[derive(Debug, Clone)]
pub struct Edits {
    apps: Bucket<AppRecord>,
    ledgers: Bucket<Ledger>,
}

impl Edits {
    pub(crate) fn new(apps: Bucket<AppRecord>, ledgers: Bucket<Ledger>) -> Self {
        Self { apps, ledgers }
    }

    /// The record of an app, which an edit is based on. A damaged one is [`Current::Damaged`]: an edit replaces it.
    pub async fn current(&self, app: &AppName) -> Result<Current, Error> {
        match self.apps.read(app.as_str()).await {
            Ok(entry) => Ok(entry.into()),
            Err(error) => damaged(error),
        }
    }

    /// Stores an edit if `current` is still the app's record; else returns what is. [`Error::TooManyEdits`] if no scheduler
    /// has taken up the last nine of them.
    pub async fn write(&self, app: &AppName, edit: &AppRecord, current: &Current) -> Result<Edit, Error> {
        let expected = current.revision();
        // What is folded only grows, and the write fails if another edit came between: what is true now is true then.
        if self.unfolded(app, expected).await? >= UNFOLDED_EDITS_MAX {
            return Err(Error::TooManyEdits { app: app.clone(), edits: UNFOLDED_EDITS_MAX });
        }
        let number = self.number(app, current).await? + 1;
        let edit = AppRecord { number: Some(number), ..edit.clone() };
        match self.apps.compare_and_set(app.as_str(), &edit, expected).await {
            Ok(Cas::Stored { sequence }) => Ok(Edit::Stored { revision: sequence, number }),
            Ok(Cas::Refused { current }) => Ok(Edit::Refused { current: current.into() }),
            Err(error) => damaged(error).map(|current| Edit::Refused { current }),
        }
    }

    /// Returns the number of the record that an edit is based on; 0: there is none.
    pub async fn number(&self, app: &AppName, current: &Current) -> Result<u64, Error> {
        match current {
            Current::Absent => Ok(0),
            Current::Record(entry) if entry.value.number.is_some() => Ok(entry.value.number.unwrap_or(0)),
            Current::Record(_) | Current::Damaged { .. } => newest_number(&self.apps, app.as_str()).await,
        }
    }

    /// Number of stored revisions that no leader has folded.
    async fn unfolded(&self, app: &AppName, newest: u64) -> Result<usize, Error> {
        let ledger = self.ledgers.read(app.as_str()).await?;
        let folded = ledger.map_or(0, |entry| entry.value.app_revision);
        if newest <= folded {
            return Ok(0);
        }
        let revisions = self.apps.sequences(app.as_str()).await?;
        Ok(revisions.into_iter().filter(|revision| *revision > folded).count())
    }
}
