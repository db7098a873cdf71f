//! What a candidate and a holder of the lease know and conclude. Pure: revisions and moments come in, conclusions go out.

use std::time::Duration;

use super::clock::BootTime;

/// What a standby does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Wait for a change of the lease, at most until then.
    Wait(BootTime),
    /// Try to take the lease from this revision; 0: there is none.
    Take(u64),
}

/// Whether a holder's process answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Answers,
    /// The server knows of nobody who would: the process, or its connection, is gone.
    Gone,
    /// There was no answer in time, or it cannot be asked now. Says nothing: a process that is stopped looks like that.
    Unknown,
}

/// A holder must be gone at two moments that are so far apart: in between it may only be changing its connection.
pub const DESERTED_FOR: Duration = Duration::from_millis(150);

/// A standby: takes the lease when its holder has been silent for its whole term, has released it, or is gone.
///
/// A holder is gone only if it has answered this candidate before. So one that cannot be asked from here, for want of a
/// permission or of a route between two servers, keeps its term; and two schedulers that do not hear each other do not take
/// the lease from each other again and again.
///
/// Silence is counted from the arrival of a revision on this host's clock; no two clocks are compared. A candidate that is
/// wrong, because the revisions did not reach it, only finds its compare-and-set refused.
#[derive(Debug)]
pub struct Candidate {
    ttl: Duration,
    revision: u64,
    free_at: BootTime,
    /// The holder has answered.
    met: bool,
    /// Since when it is gone.
    gone_since: Option<BootTime>,
}

impl Candidate {
    /// A candidate that has not seen the lease yet, and lets a whole term pass unless it does.
    pub fn new(ttl: Duration, now: BootTime) -> Self {
        Self { ttl, revision: 0, free_at: now.after(ttl), met: false, gone_since: None }
    }

    /// There is no lease: nobody ever led.
    pub fn absent(&mut self, now: BootTime) {
        if self.revision == 0 {
            self.free_at = now;
        }
    }

    /// The lease was written: its holder is alive.
    pub fn renewed(&mut self, revision: u64, now: BootTime) {
        if self.supersedes(revision) {
            self.free_at = now.after(self.ttl);
        }
    }

    /// The lease was released by its holder.
    pub fn released(&mut self, revision: u64, now: BootTime) {
        if self.supersedes(revision) {
            self.free_at = now;
        }
    }

    /// The lease has another holder.
    pub fn holder_changed(&mut self) {
        (self.met, self.gone_since) = (false, None);
    }

    /// The holder was asked for a sign of life.
    pub fn probed(&mut self, presence: Presence, now: BootTime) {
        match presence {
            Presence::Answers => (self.met, self.gone_since) = (true, None),
            Presence::Unknown => self.gone_since = None,
            Presence::Gone if self.met => {
                let since = *self.gone_since.get_or_insert(now);
                if now.since(since) >= DESERTED_FOR {
                    self.free_at = self.free_at.min(now);
                }
            }
            Presence::Gone => {}
        }
    }

    /// A try ended without an answer. The next one waits for a fraction of the term, so that a server that is back up is not
    /// met by a rush.
    pub fn unanswered(&mut self, now: BootTime) {
        self.free_at = now.after(self.ttl / RENEWALS_PER_TERM);
    }

    /// What to do next.
    pub fn step(&self, now: BootTime) -> Step {
        if now >= self.free_at { Step::Take(self.revision) } else { Step::Wait(self.free_at) }
    }

    /// Takes a revision in; `false` if it is known or older.
    fn supersedes(&mut self, revision: u64) -> bool {
        let newer = revision > self.revision;
        if newer {
            self.gone_since = None;
        }
        self.revision = self.revision.max(revision);
        newer
    }
}

/// The lease is renewed this often in one term.
pub const RENEWALS_PER_TERM: u32 = 4;

/// A holder: knows how long its lease may be trusted.
#[derive(Debug)]
pub struct Hold {
    ttl: Duration,
    /// Revision of the last acknowledged write.
    revision: u64,
    /// When that write was sent. The standby's term begins when the write arrives, which is later.
    sent_at: BootTime,
}

impl Hold {
    /// A lease that was just taken by a write sent then.
    pub fn new(ttl: Duration, revision: u64, sent_at: BootTime) -> Self {
        Self { ttl, revision, sent_at }
    }

    /// A renewal was acknowledged.
    pub fn renewed(&mut self, revision: u64, sent_at: BootTime) {
        self.revision = revision;
        self.sent_at = sent_at;
    }

    /// The revision to renew.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// When the next renewal is due.
    pub fn renew_at(&self) -> BootTime {
        self.sent_at.after(self.ttl / RENEWALS_PER_TERM)
    }

    /// Until when nobody else can hold the lease, unless it is renewed.
    pub fn trusted_until(&self) -> BootTime {
        self.sent_at.after(self.ttl - self.ttl / RENEWALS_PER_TERM)
    }

    /// Whether nobody else can hold the lease. The last quarter of the term is the margin for what is under way.
    pub fn is_trusted(&self, now: BootTime) -> bool {
        now < self.trusted_until()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_millis(4_000);

    fn at(milliseconds: u64) -> BootTime {
        BootTime(Duration::from_millis(milliseconds))
    }

    /// What happens to a candidate, and when.
    enum Seen {
        Absent(u64),
        Renewed(u64, u64),
        Released(u64, u64),
        Unanswered(u64),
        Answers(u64),
        Gone(u64),
        Unknown(u64),
        HolderChanged,
    }
    use Seen::{Absent, Answers, Gone, HolderChanged, Released, Renewed, Unanswered, Unknown};

    /// A candidate that began at 1000 and saw all that, is asked at `now`.
    #[track_caller]
    fn check_candidate(seen: &[Seen], now: u64, expected: Step) {
        let mut candidate = Candidate::new(TTL, at(1_000));
        for event in seen {
            match *event {
                Absent(now) => candidate.absent(at(now)),
                Renewed(revision, now) => candidate.renewed(revision, at(now)),
                Released(revision, now) => candidate.released(revision, at(now)),
                Unanswered(now) => candidate.unanswered(at(now)),
                Answers(now) => candidate.probed(Presence::Answers, at(now)),
                Gone(now) => candidate.probed(Presence::Gone, at(now)),
                Unknown(now) => candidate.probed(Presence::Unknown, at(now)),
                HolderChanged => candidate.holder_changed(),
            }
        }
        assert_eq!(candidate.step(at(now)), expected);
    }

    #[test]
    fn a_candidate_waits_for_a_whole_term_of_silence() {
        check_candidate(&[], 4_999, Step::Wait(at(5_000)));
        check_candidate(&[], 5_000, Step::Take(0));
        check_candidate(&[Renewed(7, 2_000)], 5_999, Step::Wait(at(6_000)));
        check_candidate(&[Renewed(7, 2_000)], 6_000, Step::Take(7));
        check_candidate(&[Renewed(7, 2_000), Renewed(8, 3_000)], 6_999, Step::Wait(at(7_000)));
        check_candidate(&[Renewed(7, 2_000), Renewed(8, 3_000)], 7_000, Step::Take(8));
    }

    #[test]
    fn a_free_lease_is_taken_at_once() {
        check_candidate(&[Absent(1_001)], 1_001, Step::Take(0));
        check_candidate(&[Released(7, 1_500)], 1_500, Step::Take(7));
        check_candidate(&[Renewed(6, 1_400), Released(7, 1_500)], 1_500, Step::Take(7));
    }

    #[test]
    fn old_news_changes_nothing() {
        check_candidate(&[Renewed(8, 2_000), Renewed(8, 5_000)], 6_000, Step::Take(8));
        check_candidate(&[Renewed(8, 2_000), Released(7, 2_100)], 2_200, Step::Wait(at(6_000)));
        check_candidate(&[Renewed(8, 2_000), Absent(2_100)], 2_200, Step::Wait(at(6_000)));
        check_candidate(&[Released(7, 1_500), Renewed(8, 1_600)], 1_600, Step::Wait(at(5_600)));
    }

    #[test]
    fn a_try_without_an_answer_is_repeated_after_a_while() {
        check_candidate(&[Released(7, 1_500), Unanswered(2_000)], 2_999, Step::Wait(at(3_000)));
        check_candidate(&[Released(7, 1_500), Unanswered(2_000)], 3_000, Step::Take(7));
    }

    #[test]
    fn the_lease_of_a_holder_that_is_gone_is_taken_before_its_term_ends() {
        check_candidate(&[Renewed(7, 1_500), Answers(1_600), Gone(2_000)], 2_100, Step::Wait(at(5_500)));
        check_candidate(&[Renewed(7, 1_500), Answers(1_600), Gone(2_000), Gone(2_149)], 2_149, Step::Wait(at(5_500)));
        check_candidate(&[Renewed(7, 1_500), Answers(1_600), Gone(2_000), Gone(2_150)], 2_150, Step::Take(7));
    }

    #[test]
    fn a_holder_that_is_only_away_for_a_moment_keeps_its_lease() {
        let back = [Renewed(7, 1_500), Answers(1_600), Gone(2_000), Answers(2_100), Gone(2_200)];
        check_candidate(&back, 2_200, Step::Wait(at(5_500)));
        let unsure = [Renewed(7, 1_500), Answers(1_600), Gone(2_000), Unknown(2_100), Gone(2_200)];
        check_candidate(&unsure, 2_200, Step::Wait(at(5_500)));
        let renewed = [Renewed(7, 1_500), Answers(1_600), Gone(2_000), Renewed(8, 2_100), Gone(2_200)];
        check_candidate(&renewed, 2_200, Step::Wait(at(6_100)));
    }

    #[test]
    fn a_holder_that_never_answered_here_keeps_its_term() {
        check_candidate(&[Renewed(7, 1_500), Gone(2_000), Gone(3_000)], 3_000, Step::Wait(at(5_500)));
        let next = [Renewed(7, 1_500), Answers(1_600), HolderChanged, Renewed(8, 1_700), Gone(2_000), Gone(3_000)];
        check_candidate(&next, 3_000, Step::Wait(at(5_700)));
    }

    /// A lease taken by a write sent at 1000, renewed by writes sent at those moments, is asked at `now`.
    #[track_caller]
    fn check_hold(renewals: &[u64], now: u64, trusted: bool, renew_at: u64) {
        let mut hold = Hold::new(TTL, 7, at(1_000));
        for (revision, sent_at) in (8..).zip(renewals) {
            hold.renewed(revision, at(*sent_at));
        }
        assert_eq!((hold.is_trusted(at(now)), hold.renew_at()), (trusted, at(renew_at)));
        assert_eq!(hold.revision(), 7 + renewals.len() as u64);
    }

    #[test]
    fn a_holder_trusts_its_lease_for_three_quarters_of_a_term() {
        check_hold(&[], 1_000, true, 2_000);
        check_hold(&[], 3_999, true, 2_000);
        check_hold(&[], 4_000, false, 2_000);
        check_hold(&[2_000, 3_000], 5_999, true, 4_000);
        check_hold(&[2_000, 3_000], 6_000, false, 4_000);
    }

    #[test]
    fn a_holder_stops_before_any_candidate_begins() {
        // The write reaches the candidate at once: its term begins with the holder's trust, and ends a quarter later.
        let hold = Hold::new(TTL, 7, at(1_000));
        let mut candidate = Candidate::new(TTL, at(0));
        candidate.renewed(7, at(1_000));
        for now in 1_000..6_000 {
            let taken = candidate.step(at(now)) == Step::Take(7);
            assert!(!(taken && hold.is_trusted(at(now))), "two leaders at {now}");
        }
        assert_eq!(candidate.step(at(5_000)), Step::Take(7));
    }
}
