//! Who used the processors: each part of the bench has threads of its own, and the kernel counts for each thread.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use anyhow::Context as _;

/// Processor time by thread name, and of the server.
pub(crate) struct CpuTimes(BTreeMap<String, Duration>);

impl CpuTimes {
    /// What was used until now by this process and by the server with that process id.
    pub(crate) fn now(server: u32) -> anyhow::Result<Self> {
        let mut times = BTreeMap::new();
        for tasks in ["/proc/self/task".to_owned(), format!("/proc/{server}/task")] {
            for task in fs::read_dir(&tasks).with_context(|| format!("list {tasks}"))? {
                add_thread(&task?.path(), &mut times)?;
            }
        }
        Ok(Self(times))
    }

    /// One line: what each used since `before`, for one of so many runs.
    pub(crate) fn since(&self, before: &Self, runs: usize) -> String {
        let used = self.0.iter().map(|(name, time)| {
            let used = time.saturating_sub(before.0.get(name).copied().unwrap_or_default());
            format!("{name} {:.2} ms", used.as_secs_f64() * 1_000.0 / runs.max(1) as f64)
        });
        used.collect::<Vec<_>>().join(", ")
    }
}

fn add_thread(task: &Path, times: &mut BTreeMap<String, Duration>) -> anyhow::Result<()> {
    let read = |file: &str| {
        let path = task.join(file);
        fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
    };
    let name = read("comm")?.trim().to_owned();
    // Nanoseconds on a processor, nanoseconds of waiting for one, time slices.
    let statistics = read("schedstat")?;
    let nanoseconds = statistics.split(' ').next().and_then(|number| number.parse().ok());
    let used = nanoseconds.with_context(|| format!("`{statistics}` does not begin with a number"))?;
    *times.entry(name).or_default() += Duration::from_nanos(used);
    Ok(())
}
