//! Every key of the compose format, versions 2 and 3, and what becomes of it here.
//!
//! The rule: nothing in a file is silently without effect. A key acts, or warns that a batch job has no use for it, or is an
//! error that says why and what to do. Keys beginning with `x-` are the format's own way to say "not for you".

mod deploy;
mod files;
mod service;

pub use self::service::service_keys;
pub(super) use self::{
    deploy::{
        AmountKey, DEPLOY_KEYS, DeployKey, LIMIT_KEYS, PLACEMENT_KEYS, PlacementKey, RESERVATION_KEYS, RESOURCE_KEYS,
        ResourceKey,
    },
    files::{FILE_KEYS, FileKey},
    service::{LimitKey, NamingKey, RightKey, SERVICE_KEYS, ServiceKey},
};

/// A key and what becomes of it.
#[derive(Debug)]
pub(super) struct Known<K> {
    /// The key.
    pub(super) name: &'static str,
    /// What becomes of it.
    pub(super) status: Status<K>,
    /// Values that say nothing: with them a key that is not read is passed over.
    pub(super) nothing: &'static [&'static str],
}

/// What becomes of a key.
#[derive(Debug)]
pub(super) enum Status<K> {
    /// It is read.
    Supported(K),
    /// A warning: the file works without it.
    Ignored {
        /// Why it has no effect.
        why: &'static str,
    },
    /// An error: the file would not do what it says.
    Unsupported {
        /// Why it cannot be done.
        why: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
}

/// Keys of the file that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TopKey {
    Version,
    Name,
    Labels,
    Services,
    Volumes,
    Networks,
    Secrets,
    Configs,
}

const fn supported<K>(name: &'static str, key: K) -> Known<K> {
    Known { name, status: Status::Supported(key), nothing: &[] }
}

const fn ignored<K>(name: &'static str, why: &'static str) -> Known<K> {
    ignored_unless(&[], name, why)
}

const fn ignored_unless<K>(nothing: &'static [&'static str], name: &'static str, why: &'static str) -> Known<K> {
    Known { name, status: Status::Ignored { why }, nothing }
}

const fn unsupported<K>(name: &'static str, why: &'static str, hint: &'static str) -> Known<K> {
    unsupported_unless(&[], name, why, hint)
}

const fn unsupported_unless<K>(
    nothing: &'static [&'static str],
    name: &'static str,
    why: &'static str,
    hint: &'static str,
) -> Known<K> {
    Known { name, status: Status::Unsupported { why, hint }, nothing }
}

const FOREIGN: &str = "it is for other kinds of hosts or of programs";

/// Every key of the file itself.
pub(super) const TOP_KEYS: &[Known<TopKey>] = &[
    supported("version", TopKey::Version),
    supported("name", TopKey::Name),
    supported("labels", TopKey::Labels),
    supported("services", TopKey::Services),
    supported("volumes", TopKey::Volumes),
    supported("networks", TopKey::Networks),
    supported("secrets", TopKey::Secrets),
    supported("configs", TopKey::Configs),
    unsupported("models", FOREIGN, "remove it"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[track_caller]
    fn check_unique<K>(table: &[Known<K>]) {
        let names: BTreeSet<&str> = table.iter().map(|known| known.name).collect();
        assert_eq!(names.len(), table.len());
    }

    #[test]
    fn every_key_is_in_its_table_once() {
        check_unique(TOP_KEYS);
        check_unique(SERVICE_KEYS);
        check_unique(DEPLOY_KEYS);
        check_unique(RESOURCE_KEYS);
        check_unique(LIMIT_KEYS);
        check_unique(RESERVATION_KEYS);
        check_unique(PLACEMENT_KEYS);
        check_unique(FILE_KEYS);
    }
}
