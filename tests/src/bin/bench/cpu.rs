//! Who used the processors: each part of the bench has threads of its own, and the kernel counts for each.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::Context as _;

/// What the kernel calls the threads of a server.
pub(crate) const SERVER: &str = "nats-server";

/// Processor time by thread name, that of the servers included.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpuTimes(BTreeMap<String, Duration>);

impl CpuTimes {
    /// What was used until now by this process and by the servers with those process ids.
    pub(crate) fn now(servers: &[u32]) -> anyhow::Result<Self> {
        let mut times = BTreeMap::new();
        let processes = servers.iter().map(u32::to_string).chain(["self".to_owned()]);
        for process in processes {
            let tasks = format!("/proc/{process}/task");
            for task in fs::read_dir(&tasks).with_context(|| format!("list {tasks}"))? {
                add_thread(&task?.path(), &mut times)?;
            }
        }
        Ok(Self(times))
    }

    /// What each used since `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let used = |(name, time): (&String, &Duration)| (name.clone(), time.saturating_sub(before.of(name)));
        Self(self.0.iter().map(used).collect())
    }

    /// Both together.
    pub(crate) fn plus(mut self, other: Self) -> Self {
        for (name, time) in other.0 {
            *self.0.entry(name).or_default() += time;
        }
        self
    }

    /// What the threads of that name used.
    pub(crate) fn of(&self, name: &str) -> Duration {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// One line: what each used for one of so many runs.
    pub(crate) fn per_run(&self, runs: usize) -> String {
        let at_work = self.0.iter().filter(|(_, time)| !time.is_zero());
        let used = at_work.map(|(name, time)| format!("{name} {:.2} ms", milliseconds(*time) / runs.max(1) as f64));
        used.collect::<Vec<_>>().join(", ")
    }
}

/// Processor time that a process has used until now.
pub(crate) fn of_process(process: u32) -> anyhow::Result<Duration> {
    let tasks = format!("/proc/{process}/task");
    let mut times = BTreeMap::new();
    for task in fs::read_dir(&tasks).with_context(|| format!("list {tasks}"))? {
        add_thread(&task?.path(), &mut times)?;
    }
    Ok(times.into_values().sum())
}

/// As a number.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn add_thread(task: &Path, times: &mut BTreeMap<String, Duration>) -> anyhow::Result<()> {
    let read = |file: &str| {
        let path = task.join(file);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    // A thread may end between the list and the look at it; what it used is so little that it may be left out.
    let (Ok(name), Ok(statistics)) = (read("comm"), read("schedstat")) else { return Ok(()) };
    // Nanoseconds on a processor, nanoseconds of waiting for one, time slices.
    let nanoseconds = statistics.split(' ').next().and_then(|number| number.parse().ok());
    let used = nanoseconds.with_context(|| format!("`{statistics}` does not begin with a number"))?;
    *times.entry(name.trim().to_owned()).or_default() += Duration::from_nanos(used);
    Ok(())
}
