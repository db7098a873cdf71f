//! Whether, and when, a replica is tried again.

use std::time::Duration;

use rand::{Rng, RngExt as _};

use crate::spec::{LOSSES_MAX, OnLost, RetryPolicy};

/// What becomes of a replica whose attempt did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryDecision {
    /// Try again after this pause.
    After(Duration),
    /// It has failed.
    GiveUp,
}

/// After the attempt that was failure number `failures` (from 1): a replica has at most `count + 1` attempts that ran to an
/// end (guarantee G4).
pub fn after_failure(policy: &RetryPolicy, failures: u32, random: &mut dyn Rng) -> RetryDecision {
    if failures > policy.count {
        return RetryDecision::GiveUp;
    }
    RetryDecision::After(jittered(backoff(policy, failures), random))
}

/// After `losses` that count: losses are not the job's fault, so they are counted apart and retried at once; unless
/// the job must not run twice, for a lost attempt may have done its work.
pub fn after_loss(on_lost: OnLost, losses: u32) -> RetryDecision {
    match on_lost {
        OnLost::Retry if losses < LOSSES_MAX => RetryDecision::After(Duration::ZERO),
        OnLost::Retry | OnLost::Fail => RetryDecision::GiveUp,
    }
}

/// The pause before retry number `retry` (from 1), without jitter: `delay * factor^(retry - 1)`, at most the maximum.
fn backoff(policy: &RetryPolicy, retry: u32) -> Duration {
    let multiple = u64::from(policy.factor).saturating_pow(retry - 1);
    Duration::from_millis(policy.delay_ms.saturating_mul(multiple).min(policy.delay_ms_max))
}

/// Between half of `pause` and the whole of it ("equal jitter"): replicas that failed together do not return together, and
/// none returns at once.
fn jittered(pause: Duration, random: &mut dyn Rng) -> Duration {
    let half = pause / 2;
    half + half.mul_f64(random.random::<f64>())
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng as _, rngs::StdRng};

    use super::*;

    #[track_caller]
    fn check(policy: RetryPolicy, retry: u32, expect_ms: u64) {
        assert_eq!(backoff(&policy, retry), Duration::from_millis(expect_ms));
        let mut random = StdRng::seed_from_u64(7);
        for _ in 0..100 {
            let pause = jittered(Duration::from_millis(expect_ms), &mut random).as_millis();
            assert!((u128::from(expect_ms / 2)..=u128::from(expect_ms)).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute() {
        let policy = RetryPolicy::default();
        for (retry, expect_ms) in [(1, 1_000), (2, 2_000), (6, 32_000), (7, 60_000), (100, 60_000)] {
            check(policy, retry, expect_ms);
        }
    }

    #[test]
    fn no_pause_overflows() {
        check(RetryPolicy { count: 100, delay_ms: u64::MAX, factor: u32::MAX, delay_ms_max: 60_000 }, 100, 60_000);
    }

    #[test]
    fn a_replica_is_tried_retry_count_plus_one_times() {
        let mut random = StdRng::seed_from_u64(7);
        let policy = RetryPolicy { count: 2, ..RetryPolicy::default() };
        let mut decide = |failures| after_failure(&policy, failures, &mut random);
        assert!(matches!(decide(1), RetryDecision::After(_)));
        assert!(matches!(decide(2), RetryDecision::After(_)));
        assert_eq!(decide(3), RetryDecision::GiveUp);
    }

    #[test]
    fn the_third_loss_fails_a_replica() {
        assert_eq!(after_loss(OnLost::Retry, 2), RetryDecision::After(Duration::ZERO));
        assert_eq!(after_loss(OnLost::Retry, 3), RetryDecision::GiveUp);
    }

    #[test]
    fn the_first_loss_fails_a_replica_that_must_not_run_twice() {
        assert_eq!(after_loss(OnLost::Fail, 1), RetryDecision::GiveUp);
    }
}
