//! Variables, as files use them. Their syntax has its own table in `interpolate`.

use super::*;

#[test]
fn values_are_interpolated_and_keys_are_not() {
    let service = service(
        "environment: {$TAG: $TAG}\ncommand: run --tag=${TAG} ${SIZE}\nlabels: {aliyun.scale: $SIZE, $SIZE: x}",
    );
    assert_eq!(service.container.environment, map(&[("$TAG", "v2")]));
    assert_eq!(service.container.command, Some(owned(&["run", "--tag=v2", "5"])));
    assert_eq!(service.scale, 5);
    assert_eq!(service.container.labels, map(&[("$SIZE", "x")]));
}

#[test]
fn every_value_may_have_variables() {
    let text = with_service("").replace("busybox", "registry.example.com/${NAME:-job}:$TAG");
    assert_eq!(spec(&text).run().services[0].container.image, "registry.example.com/job:v2");
    assert_eq!(container("mem_limit: ${MEM:-512}m").memory_bytes, Some(512 << 20));
    assert_eq!(container("command: ['$TAG', \"$$TAG\"]").command, Some(owned(&["v2", "$TAG"])));
    assert_eq!(
        spec(&with_labels("aliyun.schedule: '0 */${SIZE} * * * *'")).schedule.unwrap().expression(),
        "0 */5 * * * *"
    );
}

#[test]
fn a_variable_that_is_not_set_is_reported_once() {
    check_service(
        "command: [$NONE, $NONE]\nworking_dir: /$NONE",
        &[&format!("5:15: warning: the variable `NONE` is not set: nothing is put in its place\n  hint: {HINT}")],
    );
    check_service("command: [\"${NONE:-}\"]", &[]);
}

const HINT: &str = "add a line `NONE=...` to the file `.env` beside the compose file, or set it with `--var NONE=...`";

/// Another user, or another folder, is not what the file means; nor is a password that is empty.
#[test]
fn values_that_are_gone_are_errors_where_they_matter() {
    let error = "error: the variable `NONE` is not set, and nothing stands in for it\n  hint: ";
    let may_be_empty = "; `${NONE:-}` says that it may be empty";
    check_service("environment: {A: $NONE, B: $NONE}", &[&format!("5:22: {error}{HINT}{may_be_empty}")]);
    check_service("environment:\n- A=${NONE}", &[&format!("6:7: {error}{HINT}{may_be_empty}")]);
    check_service("environment:\n- A=${NONE:-}\n- B=$EMPTY\n- C", &[]);
    let warning = "warning: the variable `NONE` is not set: nothing is put in its place\n  hint: ";
    check_service("environment: {A: 'x$NONE'}", &[&format!("5:22: {warning}{HINT}")]);
    check_service("user: app$NONE", &[&format!("5:11: {error}{HINT}")]);
    check_service("volumes: ['/data/$NONE:/data']", &[&format!("5:15: {error}{HINT}")]);
}

/// An app that runs with an empty value goes on with it.
#[test]
fn apps_of_the_first_dialect_keep_their_empty_values() {
    let text = with_service("environment: {A: $NONE}\nuser: app$NONE");
    let reading = read_in_dialect(&text, Dialect::First);
    let said: Vec<String> = reading.diagnostics.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("5:22: warning: the variable `NONE` is not set"), "{said:?}");
    assert!(reading.spec.is_some());
}

#[test]
fn a_required_variable_fails_with_its_message() {
    check_service("user: ${WHO:?say who}", &["5:11: error: the variable `WHO` is required: say who"]);
}

#[test]
fn broken_variables_are_placed_in_their_value() {
    check_service(
        "command: echo costs ${5}",
        &["5:25: error: `${` is not followed by a variable's name\n  hint: a dollar sign itself is written `$$`"],
    );
    check_service(
        "command: 'echo ${TAG'",
        &["5:20: error: `${` has no closing `}`\n  hint: a dollar sign itself is written `$$`"],
    );
    check_service(
        "command: |-\n  echo\n  ${TAG",
        &["6:7: error: `${` has no closing `}`\n  hint: a dollar sign itself is written `$$`"],
    );
}

#[test]
fn text_with_control_characters_cannot_steer_a_terminal() {
    let shown = rendered(&with_service("user: \"a\\e[2J\\n:b:c\""));
    assert_eq!(shown, "f:5:11: error: `a\\u{1b}[2J\\n:b:c` is not a user such as `app`, `1000` or `1000:1000`");
}
