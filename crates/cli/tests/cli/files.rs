//! Which files are read, what comes of them, and what the apps are called.

use tickmesh_testkit::nats::Server;

use crate::command::{Answer, Place};

const JOB: &str = "labels: {tickmesh.project_type: batch}\nservices: {s1: {image: busybox, command: date}}\n";

const STACK: &str = "\
name: shop
services:
  db: {image: postgres, restart: always, ports: ['5432:5432']}
  backup: {image: busybox, depends_on: [db], labels: {tickmesh.schedule: '@daily'}}
  clean: {image: busybox, x-tickmesh: {schedule: '@hourly', timezone: UTC}}
";

fn names(answer: Answer) -> Vec<String> {
    answer.expect(0).lines().map(str::to_owned).collect()
}

/// A place with folders, and a file in each.
fn with_files(place: &Place, files: &[(&str, &str)]) {
    for (path, text) in files {
        if let Some((folder, _)) = path.rsplit_once('/') {
            std::fs::create_dir_all(place.folder.path().join(folder)).unwrap();
        }
        place.write(path, text);
    }
}

#[test]
fn validate_says_the_names_that_apply_uses() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let files = ["jobs/good.yml", "jobs/my_job.yml", "docker-compose.backup.yml", "shop.v2/compose.yml"];
    with_files(&place, &files.map(|path| (path, JOB)));
    let answer = place.run(&["validate", "jobs", "docker-compose.backup.yml", "shop.v2/compose.yml"]);
    assert!(answer.stderr.contains("jobs/my_job.yml: the app is called my-job: "), "{answer:?}");
    let stdout = answer.expect(0);
    for line in ["jobs/good.yml: ok: no", "my_job.yml: ok: app my-job: ", "ok: app backup: ", "ok: app shop-v2: "] {
        assert!(stdout.contains(line), "`{line}` is not in {stdout}");
    }
    place.run(&["apply", "jobs", "docker-compose.backup.yml", "shop.v2/compose.yml"]).expect(0);
    assert_eq!(names(place.run(&["ls", "-o", "name"])), ["backup", "good", "my-job", "shop-v2"]);
}

#[test]
fn one_bad_file_of_a_directory_is_named_and_holds_up_the_others() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    with_files(
        &place,
        &[("jobs/a.yml", JOB), ("jobs/b.yml", "services: {}"), ("jobs/c.yml", JOB), ("jobs/天.yml", JOB)],
    );
    place.run(&["apply", "jobs"]).expect_error(2, "jobs/天.yml: no name of an app can be made of `天`");
    std::fs::remove_file(place.folder.path().join("jobs/天.yml")).unwrap();
    place
        .run(&["apply", "jobs"])
        .expect_error(2, "not valid, so nothing has changed: jobs/b.yml\n  hint: --keep-going");
    assert_eq!(names(place.run(&["ls", "-o", "name"])), [""; 0]);
    let answer = place.run(&["apply", "jobs", "--keep-going"]);
    assert!(answer.stderr.ends_with("not valid, and left out: jobs/b.yml\n"), "{answer:?}");
    assert_eq!(answer.code, 2);
    assert_eq!(names(place.run(&["ls", "-o", "name"])), ["a", "c"]);
}

#[test]
fn scheduled_services_of_a_stack_are_apps_until_they_vanish() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    with_files(&place, &[("compose.yml", STACK), ("other.yml", JOB)]);
    place.run(&["apply", "other.yml"]).expect(0);
    let answer = place.run(&["apply", "compose.yml"]);
    let said =
        "compose.yml: service backup is app shop-backup, service clean is app shop-clean; left to docker compose: db\n";
    assert!(answer.stderr.starts_with(said), "{answer:?}");
    answer.expect(0);
    let app = place.run(&["ls", "shop-clean", "-o", "json"]).json();
    assert_eq!((&app[0]["schedule"], &app[0]["timezone"]), (&"@hourly".into(), &"UTC".into()));
    place.run(&["diff", "compose.yml"]).expect(0);

    place.write("compose.yml", &STACK.replace("clean", "tidy"));
    let answer = place.run(&["diff", "compose.yml"]);
    assert!(
        answer.stderr.contains("app shop-clean is in its file no more: `apply --prune` would remove it"),
        "{answer:?}"
    );
    answer.expect(1);
    let answer = place.run(&["apply", "compose.yml"]);
    assert!(
        answer.stderr.contains("app shop-clean is in its file no more, and goes on: --prune removes it\n"),
        "{answer:?}"
    );
    let stdout = place.run(&["apply", "compose.yml", "--prune", "--yes"]).expect(0);
    assert!(stdout.ends_with("app shop-clean removed\n"), "{stdout}");
    assert_eq!(names(place.run(&["ls", "-o", "name"])), ["other", "shop-backup", "shop-tidy"]);

    // The whole file is the source of each app.
    place.write("compose.yml", &STACK.replace("clean", "tidy").replace("@daily", "@weekly"));
    place.run(&["apply", "compose.yml"]).expect(0);
    let stdout = place.run(&["rollback", "shop-backup"]).expect(0);
    assert!(stdout.starts_with("app shop-backup is revision 2 again"), "{stdout}");
    assert_eq!(place.run(&["ls", "shop-backup", "-o", "json"]).json()[0]["schedule"], "@daily");
}

#[test]
fn two_stacks_that_make_one_app_are_refused() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let stack = |project: &str, service: &str| {
        format!("name: {project}\nservices: {{{service}: {{image: busybox, x-tickmesh: {{schedule: '@daily'}}}}}}\n")
    };
    with_files(&place, &[("a.yml", &stack("a-b", "c")), ("b.yml", &stack("a", "b-c"))]);
    place
        .run(&["apply", "a.yml", "b.yml"])
        .expect_error(2, "service c of a.yml and service b-c of b.yml are both called `a-b-c`");
    place.run(&["apply", "a.yml"]).expect(0);
    let problem = "app `a-b-c` is service c of project a-b, and would become service b-c of project a";
    place.run(&["apply", "b.yml"]).expect_error(2, problem);
    place.run(&["run", "-f", "a.yml", "-f", "b.yml"]).expect_error(2, "has 2 apps, and one is run");
}

#[test]
fn files_are_merged_and_each_finding_is_in_its_own() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let first = "labels: {tickmesh.project_type: batch}\nservices:\n  s1: {extends: {file: ../common/base.yml, service: base}, volumes: ['./d:/d']}\n";
    with_files(
        &place,
        &[
            ("job/compose.yml", first),
            ("job/compose.override.yml", "services: {s1: {command: date, user: ''}}\n"),
            ("job/more.yml", "services: {s1: {user: me}}\n"),
            ("common/base.yml", "services: {base: {image: busybox, env_file: a.env, volumes: ['./c:/c']}}\n"),
            ("common/a.env", "A=1\n"),
        ],
    );
    let answer = place.run(&["validate", "job/compose.yml"]);
    assert!(answer.stderr.contains("job/compose.override.yml:1:38: error: `` is not a user"), "{answer:?}");
    assert!(answer.stderr.contains("    1 | services: {s1: {command: date, user: ''}}\n"), "{answer:?}");
    place.run(&["validate", "-f", "job/compose.yml"]).expect(0);
    let stdout = place.run(&["apply", "-f", "job/compose.yml", "-f", "job/more.yml"]).expect(0);
    let folder = place.folder.path().canonicalize().unwrap();
    for path in [
        format!("  ./c is {}/common/c on each host\n", folder.display()),
        format!("  ./d is {}/job/d on each host\n", folder.display()),
    ] {
        assert!(stdout.contains(&path), "`{path}` is not in {stdout}");
    }
    let service = place.run(&["show", "job", "-o", "json"]).json()["services"][0].clone();
    assert_eq!(service["image"], "busybox");
    place.run(&["diff", "-f", "job/compose.yml", "-f", "job/more.yml"]).expect(0);
    with_files(&place, &[("job/more.yml", "services: {s1: {user: you}}\n")]);
    let stdout = place.run(&["diff", "-f", "job/compose.yml", "-f", "job/more.yml"]).expect(1);
    assert!(
        stdout.contains("+++ more.yml\n@@ -1 +1 @@\n-services: {s1: {user: me}}\n+services: {s1: {user: you}}\n"),
        "{stdout}"
    );
    let other = place.run(&["validate", "-f", "job/compose.yml", "--project-directory", "else/where"]);
    other.expect_error(2, "there is no file `../common/base.yml`");
}

#[test]
fn the_schema_is_printed() {
    let schema = Place::alone().run(&["schema"]).json();
    assert!(schema["properties"]["x-tickmesh"]["properties"]["schedule"].is_object(), "{schema}");
}

#[test]
fn file_knows_what_docker_compose_calls_its_project() {
    let server = Server::start();
    let place = Place::with_mesh(&server);
    let job = "x-tickmesh: {project_type: batch}\nservices: {s1: {image: 'x/${COMPOSE_PROJECT_NAME:?nobody tells}'}}\n";
    let stack = job
        .replace("x-tickmesh: {project_type: batch}", "name: Store")
        .replace("{image", "{x-tickmesh: {schedule: '@daily'}, image");
    with_files(&place, &[("my.shop/job.yml", job), ("compose.yml", &stack), ("bad.yml", &job.replace("PROJECT", "X"))]);
    for (file, app, image) in [("my.shop/job.yml", "job", "x/myshop"), ("compose.yml", "store-s1", "x/store")] {
        place.run(&["apply", file]).expect(0);
        let shown = place.run(&["show", app, "-o", "json"]).expect(0);
        assert!(shown.contains(image), "{image} is not in {shown}");
    }
    place.run(&["validate", "bad.yml"]).expect(2);
}

#[test]
fn findings_name_their_file_in_json() {
    let place = Place::alone();
    with_files(&place, &[("a.yml", JOB), ("b.yml", "services: {s1: {imge: x}}\n")]);
    let answer = place.run(&["validate", "-f", "a.yml", "-f", "b.yml", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((answer.code, &told[0]["diagnostics"][0]["file"]), (2, &"b.yml".into()));
}
