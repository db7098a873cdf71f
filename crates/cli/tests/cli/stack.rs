//! A stack that runs, and the job in its file.

use std::{process::Command, time::Duration};

use tickmesh_testkit::wait::wait_until;

use crate::{
    command::{Answer, Place},
    local::Up,
    readme,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn docker(arguments: &[&str]) {
    Answer::from(Command::new("docker").args(arguments).output().unwrap()).expect(0);
}

/// The server of the README's first file, in the network that docker compose makes for its project.
struct Stack {
    network: String,
    server: String,
}

impl Stack {
    fn up(project: &str) -> Self {
        let stack = Self { network: format!("{project}_default"), server: format!("{project}-shop-1") };
        docker(&["network", "create", &stack.network]);
        let command = "mkdir /www && echo hello from the shop > /www/index.html && httpd -f -h /www";
        let named = ["run", "-d", "--name", &stack.server, "--network", &stack.network, "--network-alias", "shop"];
        docker(&[&named[..], &["busybox", "sh", "-c", command]].concat());
        stack
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        for arguments in [["rm", "-f", &self.server], ["network", "rm", &self.network]] {
            let _gone_before = Command::new("docker").args(arguments).output();
        }
    }
}

#[test]
fn the_job_of_the_readmes_first_file_reaches_its_server() {
    let place = Place::alone();
    let project = format!("t{:08x}", std::process::id());
    std::fs::create_dir(place.folder.path().join(&project)).unwrap();
    let file = format!("{project}/compose.yml");
    place.write(&file, &readme::blocks("yaml")[0]);
    let _stack = Stack::up(&project);
    let up = Up::start(place);
    let answer = up.run(&["apply", &file]);
    let said = format!("{file}: service greet is app {project}-greet; left to docker compose: shop\n");
    assert!(answer.stderr.starts_with(&said), "{answer:?}");
    answer.expect(0);
    let app = format!("{project}-greet");
    up.run(&["run", &app, "--wait"]).expect(0);
    // The newest run may be one of the schedule, which has only just begun.
    let has_reached_it = || up.run(&["logs", &app]).stdout == "hello from the shop\n";
    wait_until("the greeting of the server", PATIENCE, has_reached_it);
    up.run(&["rm", &app]).expect(0);
    up.stop();
}
