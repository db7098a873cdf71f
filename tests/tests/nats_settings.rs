//! The nats-server settings under `config/nats` are given to people to copy: the pinned server must accept them as they
//! are, and the durability they explain must be what they set.

use std::{path::PathBuf, process::Command};

/// Lets the pinned nats-server read one file, without starting anything, and looks for the setting it must contain.
#[track_caller]
fn check(file: &str, durability: &str) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let file = root.join("config/nats").join(file);
    let server = root.join(".tools/nats-server");
    let output = Command::new(&server)
        .arg("-t")
        .arg("-c")
        .arg(&file)
        .env("TICKMESH_NATS_NAME", "nats-1")
        .output()
        .unwrap_or_else(|error| panic!("cannot run {} (`make setup` brings it): {error}", server.display()));
    assert!(output.status.success(), "{} is refused: {}", file.display(), String::from_utf8_lossy(&output.stderr));

    let text = std::fs::read_to_string(&file).expect("the server has just read it");
    let set = text.lines().any(|line| line.trim() == durability);
    assert!(set, "{} does not set `{durability}`, which its comments explain", file.display());
}

#[test]
fn the_settings_for_one_server_are_accepted_and_wait_for_the_disk() {
    check("single.conf", "sync_interval: always");
}

#[test]
fn the_settings_for_three_servers_are_accepted_and_bound_what_power_loss_takes() {
    check("cluster.conf", "sync_interval: \"2s\"");
}
