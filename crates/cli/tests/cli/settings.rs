//! Settings of a host's processes: flags, variables, the file.

use crate::command::Place;

const FILE: &str =
    "[mesh]\nnats = \"nats://me:secret@127.0.0.1:1\"\n[agent]\nslots = 3\nlabel = [\"disk=ssd\", \"zone=b\"]\n";

/// What `tickmesh config` says of a key: its values and where they are from.
#[track_caller]
fn setting(place: &Place, variables: &[(&str, &str)], key: &str) -> (Vec<String>, String) {
    let (section, name) = key.split_once('.').unwrap();
    let arguments = ["--config", "host.toml", "config", section, "-o", "json"];
    let output = place.command(&arguments).envs(variables.iter().copied()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let settings: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let setting = settings.iter().find(|setting| setting["key"] == name).unwrap();
    let values = serde_json::from_value(setting["values"].clone()).unwrap();
    (values, setting["from"].as_str().unwrap().to_owned())
}

#[track_caller]
fn check(place: &Place, variables: &[(&str, &str)], key: &str, values: &[&str], from: &str) {
    let expected = (values.iter().map(|it| (*it).to_owned()).collect(), from.to_owned());
    assert_eq!(setting(place, variables, key), expected, "{key}");
}

#[test]
fn variables_count_more_than_the_file() {
    let place = Place::alone();
    place.write("host.toml", FILE);
    check(&place, &[], "agent.slots", &["3"], "host.toml:4");
    check(&place, &[("TICKMESH_AGENT_SLOTS", "5")], "agent.slots", &["5"], "TICKMESH_AGENT_SLOTS");
    check(&place, &[("TICKMESH_AGENT_SLOTS", "")], "agent.slots", &["3"], "host.toml:4");
    check(&place, &[], "agent.label", &["disk=ssd", "zone=b"], "host.toml:5");
    let label = [("TICKMESH_AGENT_LABEL", "a=1, b=2")];
    check(&place, &label, "agent.label", &["a=1", "b=2"], "TICKMESH_AGENT_LABEL");
    check(&place, &[], "agent.output_max", &["4m"], "default");
    check(&place, &[], "mesh.nats", &["nats://127.0.0.1:1"], "host.toml:2");
    let nats = [("TICKMESH_NATS_URL", "nats://127.0.0.1:2")];
    check(&place, &nats, "mesh.nats", &["nats://127.0.0.1:2"], "TICKMESH_NATS_URL");
}

#[test]
fn a_process_with_a_wrong_file_says_where_and_ends() {
    let place = Place::alone();
    place.write("host.toml", "[agent]\nslots = 0\n[web]\nbnd = 1\n");
    let place_of_slots = "host.toml:2:9: `slots`: 0 is not in 1..=4294967295\n    2 | slots = 0\n      |         ^";
    place.run(&["agent", "--config", "host.toml"]).expect_error(2, place_of_slots);
    place.run(&["config", "--config", "host.toml"]).expect_error(2, "hint: did you mean `bind`?");
    // Its own section is right. What is wrong elsewhere is no business of a scheduler, which finds no NATS.
    place.run(&["scheduler", "--config", "host.toml", "--nats", "nats://127.0.0.1:1"]).expect_error(3, "127.0.0.1:1");
    place.run(&["agent", "--config", "none.toml"]).expect_error(2, "cannot read none.toml");
}

#[test]
fn the_file_says_where_the_mesh_is_and_flags_count_more() {
    let place = Place::alone();
    place.write("host.toml", "[mesh]\nnats = \"nats://127.0.0.1:1\"\n");
    place.run(&["ls", "--config", "host.toml"]).expect_error(3, "nats://127.0.0.1:1");
    place.run(&["ls", "--config", "host.toml", "--nats", "nats://127.0.0.1:2"]).expect_error(3, "nats://127.0.0.1:2");
    // A person's context is nearer than the host's file; for a process of the host it is the other way round.
    place.run(&["context", "add", "mine", "--nats", "nats://127.0.0.1:3"]).expect(0);
    place.run(&["ls", "--config", "host.toml"]).expect_error(3, "nats://127.0.0.1:3");
    place.run(&["scheduler", "--config", "host.toml"]).expect_error(3, "nats://127.0.0.1:1");
    // A command that does something with an agent takes no settings of one.
    let mut drain = place.command(&["agent", "drain", "h1"]);
    let output = drain.env("TICKMESH_AGENT_SLOTS", "3").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
}

#[test]
fn agent_install_writes_settings_and_unit_which_uninstall_takes() {
    let place = Place::alone();
    let root = place.folder.path().join("root");
    let (settings, unit) =
        (root.join("etc/tickmesh/tickmesh.toml"), root.join("etc/systemd/system/tickmesh-agent.service"));
    std::fs::create_dir_all(settings.parent().unwrap()).unwrap();
    std::fs::write(&settings, "# mine\n[web]\nbind = \"127.0.0.1:1\"\n").unwrap();
    let install = [
        "agent",
        "install",
        "--root",
        "root",
        "--nats",
        "nats://n1:4222",
        "--label",
        "disk=ssd",
        "--allow-path",
        "/srv",
    ];
    let said = place.run(&install).expect(0);
    assert!(said.contains("tickmesh.toml written") && said.contains("tickmesh-agent.service written"), "{said}");
    let file = std::fs::read_to_string(&settings).unwrap();
    let expected = "# mine\n[web]\nbind = \"127.0.0.1:1\"\n\n[mesh]\nnats = \"nats://n1:4222\"\n\n\
                    [agent]\nlabel = [\"disk=ssd\"]\nallow_path = [\"/srv\"]\n";
    assert_eq!(file, expected);
    let text = std::fs::read_to_string(&unit).unwrap();
    assert!(text.contains(&format!("ExecStart={} agent", env!("CARGO_BIN_EXE_tickmesh"))), "{text}");
    assert!(place.run(&install).expect(0).contains("is as it should be"));
    place.run(&["agent", "uninstall", "--root", "root"]).expect(0);
    assert!(!unit.exists() && settings.exists());
    // A unit that somebody else wrote is theirs.
    std::fs::write(&unit, "[Service]\n").unwrap();
    place.run(&["agent", "uninstall", "--root", "root"]).expect(0);
    assert!(unit.exists());
}
