//! `env_file`. The syntax of such files has its own table in `service::dotenv`; those of these tests are in [`ENV_FILES`].

use super::*;

#[track_caller]
fn check_environment(keys: &str, expect: &[(&str, &str)]) {
    assert_eq!(container(keys).environment, map(expect), "{keys}");
}

const JOB: [(&str, &str); 5] = [("A", "1"), ("B", "v2"), ("C", "$TAG"), ("D", "1-x"), ("FROM_HOST", "yes")];

#[test]
fn variables_come_from_files() {
    check_environment("env_file: job.env", &JOB);
    check_environment("env_file: [job.env]", &JOB);
    check_environment("env_file: [{path: job.env}]", &JOB);
    check_environment("env_file: [{path: nowhere.env, required: false}, empty.env]", &[]);
    check_environment("env_file: ", &[]);
    check_environment("env_file: job.env\nenvironment: [NOT_THERE]", &JOB);
}

#[test]
fn later_files_win_and_the_environment_wins_over_all_of_them() {
    let keys = ["environment: {A: 3}", "env_file: [job.env, {path: more.env}]"];
    for keys in [keys.join("\n"), [keys[1], keys[0]].join("\n")] {
        check_environment_with_warning(
            &keys,
            &[("A", "3"), ("B", "v2"), ("C", "$TAG"), ("D", "1-x"), ("E", ""), ("FROM_HOST", "yes")],
        );
    }
    check_environment_with_warning(
        "env_file: [job.env, more.env]",
        &[("A", "2"), ("B", "v2"), ("C", "$TAG"), ("D", "1-x"), ("E", ""), ("FROM_HOST", "yes")],
    );
}

/// The file `more.env` uses a variable that nobody sets.
#[track_caller]
fn check_environment_with_warning(keys: &str, expect: &[(&str, &str)]) {
    check_environment(keys, expect);
    let said = rendered(&with_service(keys));
    let warning =
        "warning: the variable `NOWHERE` of line 2 of the env file `more.env` is not set: nothing is put in its place";
    assert!(said.ends_with(warning) && said.matches('\n').count() == 0, "{said}");
}

#[test]
fn what_is_wrong_with_an_env_file_is_told_where_it_is_named() {
    check_service(
        "env_file: [nowhere.env, job.env, job.env, bad.env, [a], {required: no}, {path: '', form: x}, {path: a, format: raw}]",
        &[
            "5:16: error: the env file `nowhere.env` is not there\n  hint: it is looked for beside the compose file, when that is applied",
            "5:38: error: the env file `job.env` is named twice",
            "5:47: error: line 2 of the env file `bad.env` cannot be read: it does not begin with the name of a variable: letters, digits, `_`, `.` and `-`",
            "5:56: error: a text is needed here, but this is a list",
            "5:61: error: the env file has no `path`",
            "5:84: error: `` is not the path of a file",
            "5:88: error: unknown key `form`",
            "5:98: error: the env file `a` is not there\n  hint: it is looked for beside the compose file, when that is applied",
            "5:108: error: `format` of an env file is not supported: it is read as compose reads it\n  hint: remove it",
        ],
    );
}

/// A file whose one service has the file `f.env` with this text.
fn read_env(text: &str) -> Reading {
    let (app, variables) = (AppName::new("nightly").unwrap(), BTreeMap::new());
    let file = ComposeFile {
        dialect: Dialect::PRESENT,
        app: &app,
        file_name: "f",
        text: &with_service("env_file: f.env"),
        variables: &variables,
        env_files: &map(&[("f.env", text)]),
        timezone_default: TIMEZONE_DEFAULT,
    };
    read(&file, &TimeZoneDatabase::bundled())
}

#[track_caller]
fn check_refused(text: &str, expect: &str) {
    let said: Vec<String> = read_env(text).diagnostics.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|said| said.contains(expect)), "{said:?}");
}

#[test]
fn variables_of_files_are_as_those_of_the_environment() {
    check_refused(
        "A=1\nTICKMESH_RUN=5",
        "line 2 of the env file `f.env` cannot be read: the variable `TICKMESH_RUN` is reserved: agents set it",
    );
    check_refused(
        "A=${B:?say so}",
        "line 1 of the env file `f.env` cannot be read: the variable `B` is required: say so",
    );
    check_refused("A=${", "line 1 of the env file `f.env` cannot be read: ");
    check_refused("A='\0'", "line 1 of the env file `f.env` cannot be read: the value contains a NUL character");
    check_refused(&format!("A={}", "x".repeat(64 * 1024)), "the variables take 65537 bytes, at most 65536 are allowed");
}

#[test]
fn env_files_are_stored_and_have_a_size() {
    let comment = "#".repeat(64 * 1024 - r#"{"f.env":""}"#.len());
    assert_eq!(read_env(&comment).diagnostics, []);
    check_refused(&(comment + "#"), "the env files take 65537 bytes to store, at most 65536 are allowed");
}

#[test]
fn a_file_tells_which_env_files_it_names() {
    let reading = read_text(&with_service("env_file: [job.env, {path: nowhere.env, required: false}, $TAG.env]"));
    assert_eq!(reading.env_files.into_iter().collect::<Vec<_>>(), ["job.env", "nowhere.env", "v2.env"]);
    assert_eq!(reading.variables_used, map(&[("FROM_HOST", "yes"), ("TAG", "v2")]));
}

#[test]
fn a_file_that_many_services_name_is_read_once() {
    let service = |index: usize| format!("  s{index}: {{image: a, env_file: f.env}}\n");
    let services: String = (0..5).map(service).collect();
    let text = format!("labels: {{aliyun.project_type: batch}}\nservices:\n{services}");
    // Read for each of them, it would be more than all variables of a file may come to.
    let value = "v".repeat(300 * 1024);
    let (variables, env_files) = (map(&[("V", value.as_str())]), map(&[("f.env", "A=$V")]));
    let app = AppName::new("nightly").unwrap();
    let file = ComposeFile {
        dialect: Dialect::PRESENT,
        app: &app,
        file_name: "f",
        text: &text,
        variables: &variables,
        env_files: &env_files,
        timezone_default: TIMEZONE_DEFAULT,
    };
    let reading = read(&file, &TimeZoneDatabase::bundled());
    let said: Vec<&str> = reading.diagnostics.iter().map(|diagnostic| diagnostic.message.as_str()).collect();
    assert!(said.iter().any(|said| said.starts_with("the variables take 307201 bytes")), "{said:?}");
    assert!(!said.iter().any(|said| said.contains("variables make the file larger")), "{said:?}");
}

#[test]
fn path_that_a_variable_should_have_said_names_the_variable() {
    for keys in ["env_file: ['${DOTENV}']", "env_file: [{path: $DOTENV}]"] {
        let said = rendered(&with_service(keys));
        let errors: Vec<&str> = said.lines().filter(|line| line.contains(": error: ")).collect();
        assert_eq!(errors.len(), 1, "{said}");
        assert!(errors[0].ends_with("the variable `DOTENV` is not set, and nothing stands in for it"), "{said}");
    }
}
