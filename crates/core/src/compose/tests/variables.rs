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
        "command: [$NONE, $NONE]\nuser: ${NONE}x",
        &["5:15: warning: the variable `NONE` is not set: nothing is put in its place"],
    );
    check_service("command: [\"${NONE:-}\"]", &[]);
}

#[test]
fn a_required_variable_fails_with_its_message() {
    check_service("user: ${WHO:?say who}", &["5:11: error: the variable `WHO` is required: say who"]);
}

#[test]
fn broken_variables_are_placed_in_their_value() {
    check_service(
        "command: echo costs $5",
        &["5:25: error: `$` is not followed by a variable's name\n  hint: a dollar sign itself is written `$$`"],
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
