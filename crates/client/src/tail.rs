//! The last lines of output, and those that follow them. Output may be much: it is read backwards in windows of the stream, each several
//! times as wide as the one before, until there are enough lines.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use tickmesh_messaging::{Error, Following, LogFilter, LogNews, Mesh};

use crate::transcript::{Line, Transcript};

/// Messages of the stream in the first window. Others write to the same stream, so that not all of them are of the wanted output.
const WINDOW: u64 = 256;
/// How much wider each next window is: what is read in vain is a small part of the whole then.
const WIDER: u64 = 8;

/// The last lines of output.
#[derive(Debug)]
pub struct Tail {
    /// The lines, the oldest first.
    pub lines: VecDeque<Line>,
    /// Whether there are earlier ones.
    pub earlier: bool,
    transcript: Transcript,
    /// Everything up to this sequence has been read.
    through: u64,
}

impl Tail {
    /// Reads the last `count` lines of those that are wanted.
    pub async fn read(
        mesh: &Mesh,
        filter: &LogFilter,
        count: usize,
        is_wanted: impl Fn(&Line) -> bool,
    ) -> Result<Self, Error> {
        let last = mesh.logs().last_sequence(filter).await?;
        Self::read_before(mesh, filter, last, count, is_wanted).await
    }

    /// Reads the last `count` lines of those that are wanted, where the last message that the filter lets through is known to
    /// be at `last`; 0: there is none.
    pub async fn read_before(
        mesh: &Mesh,
        filter: &LogFilter,
        last: u64,
        count: usize,
        is_wanted: impl Fn(&Line) -> bool,
    ) -> Result<Self, Error> {
        let mut window = WINDOW;
        loop {
            let after = last.saturating_sub(window);
            let tail = Self::read_between(mesh, filter, (after, last), count, &is_wanted).await?;
            if tail.earlier || after == 0 {
                return Ok(tail);
            }
            window = window.saturating_mul(WIDER);
        }
    }

    async fn read_between(
        mesh: &Mesh,
        filter: &LogFilter,
        (after, last): (u64, u64),
        count: usize,
        is_wanted: &impl Fn(&Line) -> bool,
    ) -> Result<Self, Error> {
        let transcript = if after == 0 { Transcript::default() } else { Transcript::midway() };
        let mut tail = Self { lines: VecDeque::new(), earlier: false, transcript, through: after };
        let batches = if last == 0 { Vec::new() } else { mesh.logs().look_between(filter, after, last).await? };
        for (sequence, batch) in batches {
            tail.through = sequence;
            for line in tail.transcript.fold(&batch).into_iter().filter(is_wanted) {
                tail.lines.push_back(line);
                if tail.lines.len() > count {
                    tail.lines.pop_front();
                    tail.earlier = true;
                }
            }
        }
        Ok(tail)
    }

    /// What never got a newline.
    pub fn unfinished(self) -> Vec<Line> {
        self.transcript.finish()
    }

    /// What is written from now on.
    pub async fn follow(self, mesh: &Mesh, filter: &LogFilter) -> Result<Live, Error> {
        let news = mesh.logs().follow_after(filter.clone(), self.through).await?;
        Ok(Live { news, transcript: self.transcript })
    }
}

/// Output as it is written.
pub struct Live {
    news: Following<LogNews>,
    transcript: Transcript,
}

impl Live {
    /// The next lines, in as many as come at once; `None`: they cannot be followed any more.
    pub async fn next(&mut self) -> Option<Result<Vec<Line>, Error>> {
        loop {
            match self.news.next().await? {
                Ok(LogNews::CaughtUp) => {}
                Ok(LogNews::Batch { batch, .. }) => {
                    let lines = self.transcript.fold(&batch);
                    if !lines.is_empty() {
                        return Some(Ok(lines));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// What never got a newline.
    pub fn unfinished(self) -> Vec<Line> {
        self.transcript.finish()
    }
}
