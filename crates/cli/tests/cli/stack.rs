//! A stack that runs, and the job in its file.

use std::{path::Path, process::Command, time::Duration};

use tickmesh_testkit::{registry::Registry, wait::wait_until};

use crate::{
    command::{Answer, Place},
    local::Up,
    readme,
};

/// Long enough for anything on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn docker(arguments: &[&str]) {
    Answer::from(Command::new("docker").args(arguments).output().unwrap()).expect(0);
}

/// A file such as the README's first one as docker compose runs it: a server in the network of its project.
pub(crate) struct Stack {
    pub(crate) network: String,
    server: String,
}

impl Stack {
    /// Runs the file with docker-compose, as its reader does; where that is not installed, what it
    /// would make.
    pub(crate) fn up(project: &str, file: &Path) -> Self {
        let stack = Self { network: format!("{project}_default"), server: format!("{project}_shop_1") };
        let mut compose = Command::new("docker-compose");
        match compose.arg("-f").arg(file).args(["-p", project, "up", "-d"]).output() {
            Ok(output) => {
                Answer::from(output).expect(0);
                return stack;
            }
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "scripts/setup-compose brings docker-compose: {error}");
            }
        }
        stack.make();
        stack
    }

    /// Makes what docker-compose makes of the file.
    pub(crate) fn make(&self) {
        docker(&["network", "create", &self.network]);
        let command = "mkdir /www && echo hello from the shop > /www/index.html && httpd -f -h /www";
        let named = ["run", "-d", "--name", &self.server, "--network", &self.network, "--network-alias", "shop"];
        docker(&[&named[..], &["busybox", "sh", "-c", command]].concat());
    }

    /// Takes the server and its network away.
    pub(crate) fn remove(&self) {
        for arguments in [["rm", "-f", &self.server], ["network", "rm", &self.network]] {
            let _gone_before = Command::new("docker").args(arguments).output();
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.remove();
    }
}

#[test]
fn the_job_of_the_readmes_first_file_reaches_its_server() {
    let place = Place::alone();
    let project = format!("t{:08x}", std::process::id());
    std::fs::create_dir(place.folder.path().join(&project)).unwrap();
    let file = format!("{project}/compose.yml");
    place.write(&file, &readme::blocks("yaml")[0]);
    let _stack = Stack::up(&project, &place.folder.path().join(&file));
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

/// A project whose only image is built from a file, and what names that image has on the host.
struct Built {
    project: String,
    file: String,
}

impl Built {
    /// `None`: there is no docker-compose to build it with.
    fn write(place: &Place, letter: char) -> Option<Self> {
        if Command::new("docker-compose").arg("version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "scripts/setup-compose brings docker-compose");
            return None;
        }
        let project = format!("{letter}{:08x}", std::process::id());
        std::fs::create_dir(place.folder.path().join(&project)).unwrap();
        let file = format!("{project}/compose.yml");
        // With a file of its own, so that no other image has its id.
        place.write(&format!("{project}/Dockerfile"), &format!("FROM busybox\nRUN echo {project} built > /built\n"));
        place.write(&file, "x-tickmesh: {project_type: batch}\nservices: {s1: {build: ., command: cat /built}}\n");
        Some(Self { project, file })
    }

    /// Takes the image off the host.
    fn remove(&self) {
        for image in [format!("{}-s1", self.project), format!("{}_s1", self.project)] {
            let _gone_before = Command::new("docker").args(["rmi", "-f", &image]).output();
        }
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        self.remove();
    }
}

#[test]
fn image_that_a_file_builds_is_built_where_the_command_runs() {
    let place = Place::alone();
    let Some(built) = Built::write(&place, 'b') else { return };
    let Built { project, file } = &built;
    place.write("beside.yml", "x-tickmesh: {project_type: batch}\nservices: {s1: {image: busybox}}\n");
    let up = Up::start(place);
    up.run(&["apply", "--build", project, "beside.yml"]).expect_error(2, "--build is for one compose file");
    let answer = up.run(&["apply", "--build", file]);
    assert!(answer.stderr.contains(&format!("built {project}-s1 on this host: every other host")), "{answer:?}");
    answer.expect(0);
    up.run(&["run", project, "--wait"]).expect(0);
    assert_eq!(up.run(&["logs", project]).stdout, format!("{project} built\n"));
    up.run(&["rm", project]).expect(0);
    up.stop();
}

#[test]
fn image_that_is_pushed_is_one_for_every_host() {
    let place = Place::alone();
    let Some(built) = Built::write(&place, 'p') else { return };
    let Built { project, file } = &built;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let registry = runtime.block_on(Registry::start());
    let name = registry.name();
    let up = Up::start(place);
    up.run(&["apply", "--build", "--push", "http://a", file]).expect_error(2, "`http://a` is no registry to push to");
    let apply = ["apply", "--build", "--push", &name, file];
    let answer = up.run(&apply);
    let pushed = format!("built {project}-s1, and pushed it as {name}/{project}-s1@sha256:");
    assert!(answer.stderr.contains(&pushed), "{answer:?}");
    answer.expect(0);
    // The same image is the same app.
    assert!(up.run(&apply).expect(0).starts_with(&format!("app {project} unchanged")));
    // As on every other host, nothing of it is here.
    built.remove();
    docker(&["rmi", "-f", &format!("{name}/{project}-s1:latest")]);
    up.run(&["run", project, "--wait"]).expect(0);
    assert_eq!(up.run(&["logs", project]).stdout, format!("{project} built\n"));
    let shown = up.run(&["show", project, "-o", "json"]).expect(0);
    assert!(shown.contains(&format!("{name}/{project}-s1@sha256:")), "{shown}");
    up.run(&["rm", project]).expect(0);
    up.stop();
}
