//! `tickmesh internal-exec`: becomes another program that ends when this one's parent does.
//!
//! A child that outlives its parent would hold ports and files for ever. The kernel can prevent that, but only a process
//! itself may ask for it, before it becomes the program that knows nothing of it. So a supervisor starts this binary again,
//! and this binary takes the three steps: a session of its own (a Ctrl-C at the terminal is for the supervisor, which
//! stops its parts in order), the death signal, the other program.

use std::{ffi::OsString, os::unix::process::CommandExt, process::Command};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal, setsid};

use crate::exit::Exit;

/// What `internal-exec` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Process id of the parent
    #[arg(long, value_name = "PID")]
    pub parent: i32,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

/// Becomes the program. Returns only if that fails.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    // Fails for the leader of a process group, which is then in a session of its own choice already.
    let _led_already = setsid();
    set_parent_process_death_signal(Some(Signal::TERM)).context("failed to ask for a signal at the parent's death")?;
    // It may have died before it could be asked for.
    if getppid().map(Pid::as_raw_pid) != Some(args.parent) {
        bail!("the parent process {} is gone", args.parent);
    }
    let Some((program, arguments)) = args.program.split_first() else { bail!("no program is given") };
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("failed to run {}", program.display()))
}
