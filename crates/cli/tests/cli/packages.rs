//! The Debian package: what is in it. `make packages` installs it.

use std::process::Command;

use crate::command::repository_file;

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn debian_package_has_program_units_settings_and_pages() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("tickmesh");
    output(Command::new("strip").arg(env!("CARGO_BIN_EXE_tickmesh")).arg("-o").arg(&program));
    let mut deb = Command::new(repository_file("scripts/deb"));
    deb.arg(&program).args([&repository_file(".tools/nats-server"), "1.2.3~dev", "amd64"]).arg(folder.path());
    let package = output(deb.env("DEB_COMPRESSION", "none"));
    let package = package.trim();
    assert!(package.ends_with("tickmesh_1.2.3~dev_amd64.deb"), "{package}");
    let listed = output(Command::new("dpkg-deb").args(["--contents", package]));
    for (mode, path) in [
        ("-rwxr-xr-x", "./usr/bin/tickmesh"),
        ("-rwxr-xr-x", "./usr/lib/tickmesh/nats-server"),
        ("-rw-r--r--", "./lib/systemd/system/tickmesh-nats.service"),
        ("-rw-r--r--", "./lib/systemd/system/tickmesh-scheduler.service"),
        ("-rw-r--r--", "./lib/systemd/system/tickmesh-agent.service"),
        ("-rw-r--r--", "./lib/systemd/system/tickmesh-web.service"),
        ("-rw-r--r--", "./usr/share/tickmesh/tickmesh.toml"),
        ("-rw-r--r--", "./usr/share/man/man1/tickmesh-agent.1.gz"),
        ("-rw-r--r--", "./usr/share/bash-completion/completions/tickmesh"),
    ] {
        let is_it = |line: &str| line.starts_with(&format!("{mode} root/root ")) && line.ends_with(&format!(" {path}"));
        assert!(listed.lines().any(is_it), "{mode} {path} is not in\n{listed}");
    }
    assert_eq!(output(Command::new("dpkg-deb").args(["--field", package, "Version"])), "1.2.3~dev\n");
    // Settings that the package brings must not be taken for a mistake by the program that it brings.
    let settings = folder.path().join("settings");
    output(Command::new("dpkg-deb").args(["--extract", package]).arg(&settings));
    let file = settings.join("usr/share/tickmesh/tickmesh.toml");
    output(Command::new(&program).arg("config").env("TICKMESH_CONFIG", file));
}
