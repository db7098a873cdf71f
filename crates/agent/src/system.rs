//! Whether the whole host is going down, and not only this process.

use std::{fs, path::Path, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

/// Name of the first process once systemd has stopped all units and ends what is left; the kernel cuts names to 15 bytes.
const LAST_PROCESS: &str = "systemd-shutdow";
/// Where systemd says that it is the init system.
const SYSTEMD: &str = "/run/systemd/system";
/// How long systemd may take to say what it does.
const PATIENCE: Duration = Duration::from_secs(2);

/// Returns whether the host is shutting down or rebooting, as far as its init system says so. Only systemd does.
pub(crate) async fn is_going_down() -> bool {
    is_ending_processes() || is_stopping_units().await
}

fn is_ending_processes() -> bool {
    fs::read_to_string("/proc/1/comm").is_ok_and(|name| name.trim_end() == LAST_PROCESS)
}

async fn is_stopping_units() -> bool {
    if !Path::new(SYSTEMD).exists() {
        return false;
    }
    let mut command = Command::new("systemctl");
    command.arg("is-system-running").stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match timeout(PATIENCE, command.output()).await {
        Ok(Ok(output)) => output.stdout.trim_ascii() == b"stopping",
        Ok(Err(_)) | Err(_) => false,
    }
}
