//! Files that are merged over the first one.

use proptest::prelude::*;

use super::*;
use crate::spec::VolumeSource;

/// The service of the first file and one override, each with these keys.
#[track_caller]
fn merged(first: &str, over: &str) -> ServiceSpec {
    let keys = |keys: &str| keys.lines().map(|line| format!("    {line}\n")).collect::<String>();
    let first = format!("{FIRST}{}", keys(first));
    let over = format!("services:\n  s1:\n{}", keys(over));
    service(&first, &[("over.yml", &over)])
}

#[track_caller]
fn check_environment(first: &str, over: &str, expect: &[(&str, &str)]) {
    let found = merged(&format!("environment: {first}"), &format!("environment: {over}")).container.environment;
    assert_eq!(found, files(expect), "{first} {over}");
}

#[test]
fn variables_are_merged_in_all_their_forms() {
    check_environment("{A: 1, B: 2}", "{B: 3, C: 4}", &[("A", "1"), ("B", "3"), ("C", "4")]);
    check_environment("[A=1, B=2]", "[B=3]", &[("A", "1"), ("B", "3")]);
    check_environment("{A: 1, B: 2}", "[B=$TAG, 'C=$$x']", &[("A", "1"), ("B", "v2"), ("C", "$x")]);
    check_environment("['A=x$$y', B]", "{B: 3}", &[("A", "x$y"), ("B", "3")]);
    // A name alone says "as it is here", and nobody has set it.
    check_environment("{A: 1, B: 2}", "{A: }", &[("B", "2")]);
    check_environment("{A: 1}", "", &[("A", "1")]);
}

#[test]
fn later_texts_and_commands_replace_earlier_ones() {
    let service = merged("command: [a, b]\nuser: x\nworking_dir: /x", "command: c d\nuser: y\nimage: busybox:$TAG");
    assert_eq!(service.container.command, Some(vec!["c".to_owned(), "d".to_owned()]));
    assert_eq!(service.container.user.as_deref(), Some("y"));
    assert_eq!(service.container.image, "busybox:v2");
    assert_eq!(service.container.working_dir.as_deref(), Some("/x"));
}

#[test]
fn volumes_are_merged_by_their_place_in_the_container() {
    let service = merged(
        "volumes: ['/a:/data', 'cache:/cache:ro', '/c:/c']",
        "volumes: ['/b:${DATA}/', {type: volume, source: big, target: /cache}, '/d:/d']",
    );
    let found: Vec<(String, &VolumeSource)> =
        service.container.volumes.iter().map(|volume| (volume.target.clone(), &volume.source)).collect();
    let path = |path: &str| VolumeSource::HostPath(path.to_owned());
    let expect = [
        ("/data", path("/b")),
        ("/cache", VolumeSource::Named("big".to_owned())),
        ("/c", path("/c")),
        ("/d", path("/d")),
    ];
    assert_eq!(found, expect.iter().map(|(target, source)| ((*target).to_owned(), source)).collect::<Vec<_>>());
}

#[test]
fn lists_have_each_item_once() {
    let service = merged("dns: 1.1.1.1\ntmpfs: /a", "dns: [1.1.1.1, 8.8.8.8]\ntmpfs: [/b, /a]");
    assert_eq!(service.container.naming.dns.len(), 2);
    assert_eq!(service.container.volumes.len(), 2);
}

/// What `docker-compose -f a.yml -f b.yml config` makes of two files that use every rule.
#[test]
fn files_are_merged_as_docker_compose_merges_them() {
    let first = "\
labels: {tickmesh.project_type: batch}
services:
  s1:
    image: busybox
    command: [a, b]
    environment: {A: 1, B: 'x$$y', C: '${HOME}'}
    volumes: ['/a:/data', 'cache:/cache:ro', './rel:/rel']
    dns: 1.1.1.1
    tmpfs: /a
    user: x
    cap_add: [NET_ADMIN]
    depends_on: [s2]
    labels: [a=1, b=2]
    secrets: [one]
    ulimits: {nofile: 5}
  s2: {image: busybox}
  s3: {image: busybox}
  s4: {extends: {file: common/base.yml, service: base}, environment: {Z: 1}}
secrets: {one: {file: ./one.txt}}
";
    let over = "\
services:
  s1:
    command: c d
    environment: ['B=2', 'D', 'E=p=q']
    volumes: ['/b:/data', {type: volume, source: cache, target: /cache2}]
    dns: [1.1.1.1, 8.8.8.8]
    tmpfs: [/b, /a]
    cap_add: [NET_ADMIN, SYS_PTRACE]
    depends_on: {s3: {condition: service_completed_successfully}}
    labels: {b: '3'}
    secrets: [{source: one, target: one}]
    ulimits: {nofile: {soft: 4, hard: 6}}
";
    let base = "services: {base: {image: busybox, env_file: x.env, environment: [Y=2], volumes: ['./d:/d']}}\n";
    let project = project(&[("over.yml", over), ("common/base.yml", base)]);
    let reading = read_with(first, &project, &files(&[("common/x.env", "XX=1")]));
    let spec = reading.spec.clone().unwrap_or_else(|| panic!("{}", said(&reading)));
    let services = &spec.run().services.clone();
    let s1 = &services[0].container;
    assert_eq!(s1.environment, files(&[("A", "1"), ("B", "2"), ("C", "/h/ann"), ("E", "p=q")]));
    assert_eq!(s1.labels, files(&[("a", "1"), ("b", "3")]));
    assert_eq!((s1.user.as_deref(), s1.command.as_ref().map(Vec::len)), (Some("x"), Some(2)));
    assert_eq!(format!("{:?}", s1.naming.dns), r#"["1.1.1.1", "8.8.8.8"]"#);
    let mut targets: Vec<&str> = s1.volumes.iter().map(|volume| volume.target.as_str()).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["/a", "/b", "/cache", "/cache2", "/data", "/rel", "/run/secrets/one"]);
    let depends: Vec<&str> = services[0].depends.iter().map(ServiceName::as_str).collect();
    assert_eq!(depends, ["s2", "s3"]);
    assert_eq!(services[3].container.environment, files(&[("XX", "1"), ("Y", "2"), ("Z", "1")]));
    assert_eq!(reading.host_paths["./d"], "/srv/shop/common/d");
    assert_eq!(reading.host_paths["./one.txt"], "/srv/shop/one.txt");
}

#[test]
fn tags_replace_and_reset() {
    let service = merged(
        "environment: {A: 1}\nuser: x\nvolumes: ['/a:/a']",
        "environment: !override {B: 2}\nuser: !reset ''\nvolumes: !reset []",
    );
    assert_eq!(service.container.environment, files(&[("B", "2")]));
    assert_eq!((service.container.user, service.container.volumes.len()), (None, 0));
}

#[test]
fn findings_are_placed_in_their_own_file() {
    let first = format!("{FIRST}    user: ''\n");
    check(
        &first,
        &[("over1.yml", "services:\n  s1:\n    imge: x\n"), ("over2.yml", "services: {s1: {cpus: many}}\n")],
        &[
            "f.yml:5:11: error: `` is not a user such as `app`, `1000` or `1000:1000`",
            "over1.yml:3:5: error: unknown key `imge`\n  hint: did you mean `image`?",
            "over2.yml:1:23: error: `many` is not a number of cores from 0.01 to 1024, such as `0.5`",
        ],
    );
}

#[test]
fn what_cannot_be_merged_names_both_places() {
    check(
        &format!("{FIRST}    ulimits: {{}}\n    healthcheck: {{}}\n"),
        &[("over.yml", "services:\n  s1: []\n")],
        &[
            "over.yml:2:7: error: this is a list, but a map in f.yml:4:5, with which it is merged",
            "over.yml:2:7: error: a map is needed here, but this is a list",
        ],
    );
}

#[test]
fn files_that_are_not_there_are_told() {
    let project = Project { overrides: vec!["gone.yml".to_owned()], ..project(&[]) };
    let reading = read_project(FIRST, &project);
    assert!(said(&reading).starts_with("f.yml:1:1: error: there is no file `gone.yml`"), "{}", said(&reading));
    assert_eq!(reading.files.into_iter().collect::<Vec<_>>(), ["gone.yml"]);
}

#[test]
fn paths_of_hosts_begin_in_the_folder() {
    let text = format!(
        "{FIRST}    volumes: ['./data:/data', '../x:/x:ro', '~/y:/y', {{type: bind, source: z, target: /z}}]\n"
    );
    let reading = read_project(&text, &project(&[]));
    let spec = reading.spec.clone().unwrap_or_else(|| panic!("{}", said(&reading)));
    let found: Vec<String> =
        spec.run().services[0].container.volumes.iter().map(|it| format!("{:?}", it.source)).collect();
    let expect = ["/srv/shop/data", "/srv/x", "/h/ann/y", "/srv/shop/z"];
    assert_eq!(found, expect.map(|path| format!("HostPath({path:?})")));
    assert_eq!(reading.host_paths["./data"], "/srv/shop/data");
    let nowhere = read_project(&text, &Project { folder: None, ..Project::default() });
    assert!(said(&nowhere).contains("`./data` is not an absolute path"), "{}", said(&nowhere));
}

/// A tree of keys that are merged in every way there is. Texts are short, so that keys and items
/// meet.
fn any_service() -> impl Strategy<Value = String> {
    let name = || prop_oneof![Just("a"), Just("b"), Just("c")];
    let pairs = prop::collection::vec((name(), 0..3), 0..3);
    let form = prop::bool::ANY;
    let environment = (pairs, form).prop_map(|(pairs, is_list)| {
        let separator = if is_list { "=" } else { ": " };
        let pairs: BTreeMap<&str, i32> = pairs.into_iter().collect();
        let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}{separator}{value}")).collect();
        let pairs = pairs.join(", ");
        if is_list { format!("environment: [{pairs}]") } else { format!("environment: {{{pairs}}}") }
    });
    let volumes = prop::collection::vec((name(), name()), 0..3).prop_map(|volumes| {
        let targets: BTreeMap<&str, &str> = volumes.into_iter().collect();
        let volumes: Vec<String> = targets.iter().map(|(target, source)| format!("'/{source}:/{target}'")).collect();
        format!("volumes: [{}]", volumes.join(", "))
    });
    let depends = prop::sample::select(vec!["[s2]", "[s2, s3]", "{s3: {condition: service_completed_successfully}}"]);
    let depends = depends.prop_map(|depends| format!("depends_on: {depends}"));
    let others = prop::sample::select(vec![
        "command: [a, b]",
        "command: c",
        "user: x",
        "dns: 1.1.1.1",
        "dns: [8.8.8.8]",
        "ulimits: {nofile: 5}",
        "ulimits: {nofile: {soft: 5, hard: 6}}",
        "deploy: {resources: {limits: {cpus: 1}}}",
        "deploy: {labels: [tickmesh.scale=2]}",
        "environment:",
    ]);
    (environment, volumes, depends, others.prop_map(str::to_owned), 0_u8..16).prop_map(
        |(one, two, three, four, which)| {
            let keys = [one, two, three, four];
            let mut keys: Vec<&String> = (0..4).filter(|at| which & (1 << at) != 0).map(|at| &keys[at]).collect();
            if keys.iter().filter(|key| key.starts_with("environment")).count() > 1 {
                keys.pop();
            }
            let keys: String = keys.iter().map(|key| format!("    {key}\n")).collect();
            format!("services:\n  s1:\n    tty: true\n{keys}")
        },
    )
}

/// The tree of two files, as text that is read no more.
fn merge_texts(texts: &[&str], is_right_first: bool) -> String {
    let (app, none) = (AppName::new("a").unwrap(), BTreeMap::new());
    let zones = TimeZoneDatabase::bundled();
    let file = ComposeFile {
        app: &app,
        dialect: Dialect::PRESENT,
        file_name: "f",
        text: "",
        variables: &none,
        env_files: &none,
        timezone_default: TIMEZONE_DEFAULT,
    };
    let project = Project::default();
    let mut reader = super::super::super::reader::Reader::new(&file, &project, &zones);
    let trees: Vec<_> = texts.iter().map(|text| yaml::parse(0, text, &mut reader.report).unwrap()).collect();
    let mut merger = super::super::merge::Merger::new(&mut reader);
    let mut both = |one, other| merger.merge(one, other, &mut Vec::new());
    let whole = if is_right_first {
        let right = both(&trees[1], &trees[2]);
        both(&trees[0], &right)
    } else {
        let left = both(&trees[0], &trees[1]);
        both(&left, &trees[2])
    };
    assert!(!reader.report.has_errors(), "{texts:?}");
    shown(&whole)
}

/// A tree without its places, and maps in the order of their keys.
fn shown(node: &yaml::Node) -> String {
    match &node.value {
        yaml::Value::Scalar(scalar) => format!("{:?}", scalar.text),
        yaml::Value::Sequence(items) => format!("{:?}", items.iter().map(|item| shown(item)).collect::<Vec<_>>()),
        yaml::Value::Mapping(entries) => {
            let entries: BTreeMap<&str, String> =
                entries.iter().map(|entry| (entry.key.text.as_str(), shown(&entry.value))).collect();
            format!("{entries:?}")
        }
    }
}

proptest! {
    /// The specification merges files one after the other, and each with what it extends: the order
    /// of that is no matter.
    #[test]
    fn merging_is_associative(one in any_service(), two in any_service(), three in any_service()) {
        let texts = [one.as_str(), two.as_str(), three.as_str()];
        prop_assert_eq!(merge_texts(&texts, false), merge_texts(&texts, true));
    }
}
