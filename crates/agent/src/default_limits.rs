//! Limits of a host for containers whose file sets none.

use tickmesh_core::spec::ContainerSpec;

/// What a container may use at most if its file does not say so. A host's own matter: placement counts only what files say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DefaultLimits {
    /// Memory, in bytes; `None`: as much as the host has.
    pub memory_bytes: Option<u64>,
    /// Processes and threads; `None`: as many as the host has.
    pub pids: Option<u64>,
}

impl DefaultLimits {
    /// Sets what the file leaves open. A reservation above the default is the limit: the engine refuses one above its limit.
    pub(crate) fn apply(self, container: &mut ContainerSpec) {
        let reserved = container.memory_reservation_bytes.unwrap_or(0);
        container.memory_bytes = container.memory_bytes.or(self.memory_bytes.map(|bytes| bytes.max(reserved)));
        container.limits.pids = container.limits.pids.or(self.pids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(file: (Option<u64>, Option<u64>, Option<u64>), expected: (Option<u64>, Option<u64>)) {
        let mut container = ContainerSpec::new("busybox");
        (container.memory_bytes, container.memory_reservation_bytes, container.limits.pids) = file;
        DefaultLimits { memory_bytes: Some(100), pids: Some(10) }.apply(&mut container);
        assert_eq!((container.memory_bytes, container.limits.pids), expected);
    }

    #[test]
    fn a_default_counts_where_the_file_says_nothing() {
        check((None, None, None), (Some(100), Some(10)));
        check((Some(500), None, Some(50)), (Some(500), Some(50)));
        check((None, Some(300), None), (Some(300), Some(10)));
        check((None, Some(30), Some(0)), (Some(100), Some(0)));
    }

    #[test]
    fn a_host_without_defaults_changes_nothing() {
        let mut container = ContainerSpec::new("busybox");
        DefaultLimits::default().apply(&mut container);
        assert_eq!(container, ContainerSpec::new("busybox"));
    }
}
