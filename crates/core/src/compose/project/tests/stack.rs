//! Files of stacks, some of whose services are apps.

use super::*;
use crate::spec::VolumeSource;

const STACK: &str = "\
name: shop
x-tickmesh: {timezone: Europe/Berlin, overlap: skip}
services:
  db: {image: postgres, restart: always, ports: ['5432:5432'], healthcheck: {test: x}, shared_memory: y}
  backup:
    image: postgres
    depends_on: [db]
    command: pg_dump
    volumes: ['data:/data', 'other:/o', 'named:/n', 'plain:/p']
    labels: {tickmesh.schedule: '@daily', tickmesh.overlap: queue, tickmesh.retry_count: '1'}
  clean: {image: busybox, deploy: {labels: [tickmesh.schedule=@hourly]}, networks: [back], profiles: [jobs]}
  report: {image: busybox, x-tickmesh: {schedule: '@weekly', constraint: [disk==ssd, zone!=x], queue_limit: 1}, networks: {out: }}
networks: {back: , out: {external: true, name: world}}
volumes: {data: , other: {external: true}, named: {name: exact, driver: local}}
";

fn of_service(text: &str, service: &str) -> Reading {
    let service = Some(ServiceName::new(service).unwrap());
    read_project(text, &Project { service, name: Some("shop".to_owned()), ..project(&[]) })
}

#[track_caller]
fn app(service: &str) -> crate::spec::AppSpec {
    let reading = of_service(STACK, service);
    reading.spec.clone().unwrap_or_else(|| panic!("{}", said(&reading)))
}

fn outlined(text: &str) -> Outline {
    let (app, variables, none) = (AppName::new("a").unwrap(), variables(), BTreeMap::new());
    let file = ComposeFile {
        app: &app,
        dialect: Dialect::PRESENT,
        file_name: "f.yml",
        text,
        variables: &variables,
        env_files: &none,
        timezone_default: TIMEZONE_DEFAULT,
    };
    outline(&file, &project(&[]), &TimeZoneDatabase::bundled())
}

#[test]
fn services_with_a_schedule_are_apps_and_the_others_are_not() {
    let found = outlined(STACK);
    let scheduled: Vec<&str> = found.scheduled.iter().map(|it| it.service.as_str()).collect();
    assert_eq!((found.name.as_deref(), scheduled), (Some("shop"), vec!["backup", "clean", "report"]));
    assert_eq!(found.left, ["db"]);
    let none = outlined(
        "labels: {tickmesh.schedule: '@daily'}\nservices: {s1: {image: a, labels: {tickmesh.schedule: '@daily'}}}",
    );
    assert_eq!((none.scheduled.len(), none.left.len()), (0, 0));
}

#[test]
fn a_volume_of_a_stack_may_have_one_letter_in_the_file() {
    let job = "services: {job: {image: a, volumes: ['v:/v'], labels: {tickmesh.schedule: '@daily'}}}\nvolumes: {v: }";
    let reading = of_service(job, "job");
    let spec = reading.spec.clone().unwrap_or_else(|| panic!("{}", said(&reading)));
    assert_eq!(spec.run().services[0].container.volumes[0].source, VolumeSource::Named("shop_v".to_owned()));
}

#[test]
fn a_schedule_that_is_wrong_has_one_finding() {
    let job = "services: {job: {image: a, labels: {tickmesh.schedule: '61 * * * *', tickmesh.timezone: UTC}}}";
    let reading = of_service(job, "job");
    assert_eq!(reading.diagnostics.len(), 1, "{}", said(&reading));
}

#[test]
fn an_app_has_its_service_alone_with_the_networks_and_volumes_of_compose() {
    let backup = app("backup");
    assert_eq!(backup.schedule.as_ref().unwrap().to_string(), "@daily (Europe/Berlin)");
    assert_eq!(backup.overlap, crate::spec::Overlap::Queue, "what the service says wins");
    let run = backup.run();
    assert_eq!((run.services.len(), run.services[0].retry.count), (1, 1));
    assert_eq!(run.services[0].depends, []);
    let container = &run.services[0].container;
    assert_eq!(container.network_mode.as_deref(), Some("shop_default"));
    let volumes: Vec<String> = container.volumes.iter().map(|volume| format!("{:?}", volume.source)).collect();
    assert_eq!(volumes, ["shop_data", "other", "exact", "plain"].map(|name| format!("Named({name:?})")));
    let must_exist: Vec<bool> = container.volumes.iter().map(|volume| volume.options.must_exist).collect();
    assert_eq!(must_exist, [true, true, true, false], "an empty volume in place of compose's would look like success");
    let needs: Vec<String> = container.host_needs().iter().map(ToString::to_string).collect();
    assert_eq!(needs, ["network shop_default", "volume exact", "volume other", "volume shop_data"]);
    assert_eq!(app("clean").run().services[0].container.network_mode.as_deref(), Some("shop_back"));
    let report = app("report");
    assert_eq!(report.run().services[0].container.network_mode.as_deref(), Some("world"));
    assert_eq!((report.queue_limit, report.run().services[0].constraints.len()), (1, 2));
    assert_eq!(report.overlap, crate::spec::Overlap::Skip, "what the service does not say, the top does");
}

#[test]
fn services_beside_it_are_not_waited_for_and_their_keys_are_not_ours() {
    let said = said(&of_service(STACK, "backup"));
    assert!(
        said.starts_with("f.yml:7:18: warning: the job does not wait for `db`, which is left to docker compose"),
        "{said}"
    );
    assert!(!said.contains("shared_memory"), "{said}");
}

/// What is waited for in vain elsewhere is compose's own affair here.
#[test]
fn what_depends_on_says_of_a_stack_is_for_compose() {
    let text = STACK.replace("depends_on: [db]", "depends_on: {db: {condition: service_healthy, restart: true}}");
    let said = said(&of_service(&text, "backup"));
    assert!(said.starts_with("f.yml:7:18: warning: the job does not wait for `db`"), "{said}");
    assert!(!said.contains("service_healthy") && !said.contains("error: "), "{said}");
    let text = STACK.replace("labels: {", "labels: {tickmesh.depends: clean, ");
    let refused = self::said(&of_service(&text, "backup"));
    assert!(refused.contains("error: `clean` is no service of this app"), "{refused}");
}

#[test]
fn a_service_that_is_gone_is_told() {
    let reading = of_service("services: {s1: {image: a}}", "s2");
    assert!(said(&reading).contains("1:1: error: there is no service `s2` any more"), "{}", said(&reading));
}

#[test]
fn schedules_at_the_top_and_on_services_are_an_error() {
    let text = "labels: {tickmesh.schedule: '@daily'}\nservices: {s1: {image: a, x-tickmesh: {schedule: '@daily'}}}";
    check(
        text,
        &[],
        &[
            "f.yml:2:40: error: the label `x-tickmesh.schedule` has no effect here\n  hint: it belongs to `labels` at the top of the file",
        ],
    );
}

#[test]
fn both_forms_of_a_label_have_one_value() {
    let text =
        |labels: &str| format!("labels: {{tickmesh.project_type: batch}}\nservices: {{s1: {{image: a, {labels}}}}}");
    let both = text("x-tickmesh: {retry_count: 2, retry_backoff: [1s, 3, 9s]}, labels: {tickmesh.retry_count: '2'}");
    assert_eq!(service(&both, &[]).retry.count, 2);
    check(
        &text("x-tickmesh: {scale: 2}, labels: {tickmesh.scale: 3}"),
        &[],
        &[
            "f.yml:2:60: error: `tickmesh.scale` is `3`, but `x-tickmesh.scale` is `2`\n  hint: both are the same label: keep one",
        ],
    );
    check(
        &text("x-tickmesh: {scal: 2, schedule: x}"),
        &[],
        &[
            "f.yml:2:40: error: unknown key `scal`\n  hint: did you mean `scale`?",
            "f.yml:2:49: error: the label `x-tickmesh.schedule` has no effect here\n  hint: it belongs to `labels` at the top of the file",
        ],
    );
}

/// Nobody ran `docker compose up` for a file in which everything is a job: there is no network to
/// join, and the volumes are made at their first use, as compose makes them.
#[test]
fn file_of_jobs_alone_needs_nothing_that_compose_made() {
    let job =
        "{image: busybox, volumes: ['data:/data'], labels: {tickmesh.schedule: '@daily', tickmesh.timezone: UTC}}";
    let container = |others: &str, top: &str| {
        let text = format!("services:\n  s1: {job}\n{others}volumes: {{data: {top}}}\n");
        let reading = of_service(&text, "s1");
        let spec = reading.spec.unwrap_or_else(|| panic!("{:?}", reading.diagnostics));
        spec.run().services[0].container.clone()
    };
    let alone = container(&format!("  s2: {job}\n  x-note: {{}}\n"), "");
    assert_eq!((alone.network_mode.as_deref(), alone.networks.len()), (None, 0));
    let volume = &alone.volumes[0];
    assert_eq!((&volume.source, volume.options.must_exist), (&VolumeSource::Named("shop_data".to_owned()), false));
    let beside = container("  db: {image: postgres}\n", "");
    assert_eq!(beside.network_mode.as_deref(), Some("shop_default"));
    let volume = &beside.volumes[0];
    assert_eq!((&volume.source, volume.options.must_exist), (&VolumeSource::Named("shop_data".to_owned()), true));
    let external = container("", "{external: true}");
    assert!(external.volumes[0].options.must_exist, "what is external is looked for in any case");
    let driver = container("", "{driver_opts: {type: nfs, device: ':/x'}}").volumes[0].clone();
    assert_eq!(driver.source, VolumeSource::Named("shop_data".to_owned()));
    assert!(driver.options.driver.is_some() && !driver.options.must_exist);
}

#[test]
fn links_of_a_stack_are_names_that_are_known_anyway() {
    let said = |links: &str| {
        let job = format!(
            "{{image: busybox, links: {links}, labels: {{tickmesh.schedule: '@daily', tickmesh.timezone: UTC}}}}"
        );
        let reading = of_service(&format!("services:\n  s1: {job}\n  db: {{image: postgres}}\n"), "s1");
        reading.diagnostics.len()
    };
    assert_eq!((said("[db]"), said("['db:database']")), (0, 1));
}
