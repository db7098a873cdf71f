//! Processes that a mesh consists of.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tickmesh_testkit::wait::wait_until;

use crate::command::Place;

/// Long enough for a start on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A process of the mesh. Dropped, it is killed.
pub(crate) struct Part(Child);

impl Part {
    /// Starts it, and waits for what it says when it is ready.
    pub(crate) fn start(place: &Place, arguments: &[&str], ready: &str) -> Self {
        let mut child = place.start(arguments);
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let part = Self(child);
        assert!(log.any(|line| line.unwrap().contains(ready)), "{arguments:?} never said `{ready}`");
        // What it says later is nobody's business, and must not block it.
        std::thread::spawn(move || log.for_each(drop));
        part
    }

    /// One that says on stdout where it serves.
    pub(crate) fn serving(place: &Place, arguments: &[&str]) -> (Self, String) {
        let mut child = place.start(arguments);
        let (said, log) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let part = Self(child);
        let address = BufReader::new(said).lines().next().unwrap().unwrap();
        std::thread::spawn(move || BufReader::new(log).lines().for_each(drop));
        (part, address)
    }

    /// One that writes all that it logs, debugging included, into a file; returned with what it
    /// prints.
    pub(crate) fn logging(place: &Place, arguments: &[&str], log: &Path, ready: &str) -> (Self, ChildStdout) {
        let mut command = place.command(arguments);
        command.env("TICKMESH_LOG", "debug").stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(File::create(log).unwrap()).spawn().unwrap();
        let said = child.stdout.take().unwrap();
        wait_until(ready, READY_WITHIN, || std::fs::read_to_string(log).unwrap().contains(ready));
        (Self(child), said)
    }

    /// Stops it in order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        assert_eq!(self.0.wait().unwrap().code(), Some(0));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}
