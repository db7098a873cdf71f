//! Room on the server for the streams of a mesh: looked at once, before any of them is made.

use async_nats::jetstream::{ErrorCode, account::Account};

/// What streams need that are to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// How many they are.
    pub(crate) streams: usize,
    /// Bytes that the server sets aside for those of them that have a limit, all copies together.
    pub(crate) bytes: u64,
    /// The most that it sets aside for one of them.
    pub(crate) bytes_of_largest: u64,
    /// Copies of each.
    pub(crate) replicas: usize,
}

/// What an account may have, and what it has.
#[derive(Debug, Clone, Copy, Default)]
struct Room {
    streams: u64,
    streams_max: Option<u64>,
    bytes: u64,
    bytes_max: Option<u64>,
    bytes_of_stream_max: Option<u64>,
    wants_limits: bool,
}

/// Says what there is too little of, if there is. What the whole server has room for, an account is not told.
pub(crate) fn shortage(account: &Account, need: Need) -> Option<String> {
    room(account, need.replicas).shortage(need)
}

/// An account has limits of its own, or some for each number of copies.
fn room(account: &Account, replicas: usize) -> Room {
    let of = |streams: usize, used: u64, reserved: u64, limits: &async_nats::jetstream::account::Limits| {
        let limit = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
        Room {
            streams: streams as u64,
            streams_max: limit(limits.max_streams),
            bytes: reserved.max(used),
            bytes_max: limit(limits.max_storage),
            // The server says 0 where there is no limit.
            bytes_of_stream_max: limit(limits.storage_max_stream_bytes).filter(|limit| *limit > 0),
            wants_limits: limits.max_bytes_required,
        }
    };
    if account.tiers.is_empty() {
        return of(account.streams, account.storage, account.reserved_storage, &account.limits);
    }
    let tier = account.tiers.get(&format!("R{replicas}"));
    tier.map_or_else(Room::default, |tier| of(tier.streams, tier.storage, tier.reserved_storage, &tier.limits))
}

impl Room {
    fn shortage(&self, need: Need) -> Option<String> {
        let Need { streams, bytes, bytes_of_largest, replicas: _ } = need;
        if let Some(max) = self.streams_max.filter(|max| self.streams + streams as u64 > *max) {
            let there = self.streams;
            return Some(format!(
                "{streams} streams are needed, and the account has {there} of the {max} that it may have"
            ));
        }
        if let Some(max) = self.bytes_max.filter(|max| self.bytes + bytes > *max) {
            let (needed, free, max) = (mebibytes(bytes), mebibytes(max.saturating_sub(self.bytes)), mebibytes(max));
            return Some(format!("{needed} are needed, and the account has {free} left of {max}"));
        }
        if let Some(max) = self.bytes_of_stream_max.filter(|max| bytes_of_largest > *max) {
            let (needed, max) = (mebibytes(bytes_of_largest), mebibytes(max));
            return Some(format!("a stream of {needed} is needed, and the account may have none above {max}"));
        }
        let needs_limits = "the account wants every stream to have a limit in bytes, and some must not have one";
        self.wants_limits.then(|| needs_limits.to_owned())
    }
}

/// Whether the server has refused to make a stream for want of room.
pub(crate) fn is_shortage(code: ErrorCode) -> bool {
    [
        ErrorCode::STORAGE_RESOURCES_EXCEEDED,
        ErrorCode::INSUFFICIENT_RESOURCES,
        ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
        ErrorCode::MAXIMUM_STREAMS_LIMIT,
        ErrorCode::STREAM_MAX_BYTES_REQUIRED,
        ErrorCode::STREAM_MAX_STREAM_BYTES_EXCEEDED,
    ]
    .contains(&code)
}

/// A size for people.
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1024 * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[track_caller]
    fn check(room: Room, shortage: Option<&str>) {
        let need = Need { streams: 13, bytes: 1_088 * MIB, bytes_of_largest: 1_024 * MIB, replicas: 1 };
        assert_eq!(room.shortage(need).as_deref(), shortage);
    }

    #[test]
    fn what_there_is_too_little_of_is_named() {
        let room = Room { streams: 3, bytes: 100 * MIB, ..Room::default() };
        check(room, None);
        check(Room { streams_max: Some(16), bytes_max: Some(1_188 * MIB), ..room }, None);
        let few = "13 streams are needed, and the account has 3 of the 15 that it may have";
        check(Room { streams_max: Some(15), ..room }, Some(few));
        let little = "1088 MiB are needed, and the account has 1087 MiB left of 1187 MiB";
        check(Room { bytes_max: Some(1_187 * MIB), ..room }, Some(little));
        let small = "a stream of 1024 MiB is needed, and the account may have none above 512 MiB";
        check(Room { bytes_of_stream_max: Some(512 * MIB), ..room }, Some(small));
        let unlimited = "the account wants every stream to have a limit in bytes, and some must not have one";
        check(Room { wants_limits: true, ..room }, Some(unlimited));
    }

    #[test]
    fn copies_have_limits_of_their_own() {
        let mut account = Account::default();
        account.limits.max_streams = Some(1);
        let need = Need { streams: 13, bytes: 0, bytes_of_largest: 0, replicas: 3 };
        assert!(shortage(&account, need).is_some());
        let mut tier = async_nats::jetstream::account::Tier::default();
        tier.limits.max_streams = Some(13);
        account.tiers.insert("R3".to_owned(), tier);
        assert_eq!(shortage(&account, need), None);
    }
}
