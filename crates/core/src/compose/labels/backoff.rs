//! The label `retry_backoff`: `delay[,factor,max]`, such as `1s,2,60s`.

use std::time::Duration;

use super::super::value::{Refused, duration, duration_text, number};
use crate::spec::RetryPolicy;

/// Longest pause between two attempts: a job that waits longer wants a schedule.
const DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Steepest growth of the pause.
const FACTOR_MAX: u32 = 100;

/// Reads the label; what it leaves out stays as it is.
pub(super) fn read(text: &str, policy: &mut RetryPolicy) -> Result<(), Refused> {
    let refused = || {
        let most = duration_text(DELAY_MAX);
        let expected = "`delay` or `delay,factor,max` such as `1s,2,60s`, with pauses up to";
        Refused::new(
            text,
            format!("{expected} {most}, a factor from 1 to {FACTOR_MAX}, and a max no shorter than the delay"),
        )
    };
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let (delay, growth) = match parts.as_slice() {
        [delay] => (*delay, None),
        [delay, factor, max] => (*delay, Some((*factor, *max))),
        _ => return Err(refused()),
    };
    policy.delay_ms = pause(delay).ok_or_else(refused)?;
    match growth {
        // A delay above the default maximum moves the maximum with it.
        None => policy.delay_ms_max = policy.delay_ms_max.max(policy.delay_ms),
        Some((factor, max)) => {
            policy.factor = number(factor, 1..=u64::from(FACTOR_MAX))
                .ok()
                .and_then(|factor| u32::try_from(factor).ok())
                .ok_or_else(refused)?;
            policy.delay_ms_max = pause(max).filter(|max| *max >= policy.delay_ms).ok_or_else(refused)?;
        }
    }
    Ok(())
}

/// A pause in milliseconds.
fn pause(text: &str) -> Option<u64> {
    let pause = duration(text).ok().filter(|pause| *pause <= DELAY_MAX)?;
    u64::try_from(pause.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `expect` is delay, factor and longest delay.
    #[track_caller]
    fn check(text: &str, expect: Option<(u64, u32, u64)>) {
        let mut policy = RetryPolicy::default();
        let found = read(text, &mut policy).map(|()| (policy.delay_ms, policy.factor, policy.delay_ms_max));
        assert_eq!(found.ok(), expect, "{text:?}");
    }

    #[test]
    fn a_backoff_is_a_delay_or_all_three_parts() {
        check("1s,2,60s", Some((1_000, 2, 60_000)));
        check("500ms , 3 , 1m", Some((500, 3, 60_000)));
        check("5s", Some((5_000, 2, 60_000)));
        check("2m", Some((120_000, 2, 120_000)));
        check("0s,1,0s", Some((0, 1, 0)));
        check("24h,1,24h", Some((86_400_000, 1, 86_400_000)));
    }

    #[test]
    fn other_backoffs_are_refused() {
        for text in
            ["", "5", "1s,2", "1s,2,60s,1", "1s,0,60s", "1s,101,60s", "1s,1.5,60s", "60s,2,1s", "25h", "-1s", "1s,,60s"]
        {
            check(text, None);
        }
    }
}
