//! How a schedule may be spelled under either label, and in which zone it is read.

use super::*;

/// Expression and zone of a file with these labels, which nothing is said about.
#[track_caller]
fn check_timed(labels: &str, expression: &str, timezone: &str) {
    check_labels(labels, &[]);
    let schedule = spec(&with_labels(labels)).schedule.unwrap();
    assert_eq!((schedule.expression(), schedule.timezone()), (expression, timezone), "{labels}");
}

#[test]
fn our_schedule_has_five_or_six_fields_and_perhaps_a_zone() {
    let zone = "\ntickmesh.timezone: Asia/Tokyo";
    check_timed(&format!("tickmesh.schedule: '0 3 * * 1-5'{zone}"), "0 3 * * 1-5", "Asia/Tokyo");
    check_timed(&format!("tickmesh.schedule: '0 0 3 * * *'{zone}"), "0 0 3 * * *", "Asia/Tokyo");
    check_timed("tickmesh.schedule: 'CRON_TZ=Asia/Tokyo 0 3 * * *'", "0 3 * * *", "Asia/Tokyo");
    check_timed("tickmesh.schedule: 'TZ=asia/tokyo @daily'", "@daily", "Asia/Tokyo");
    check_timed(&format!("tickmesh.schedule: 'TZ=Asia/Tokyo @daily'{zone}"), "@daily", "Asia/Tokyo");
    check_timed("tickmesh.schedule: '*/10 * * * *'", "*/10 * * * *", "UTC");
    check_timed("tickmesh.schedule: '@every 90s'", "@every 90s", "UTC");
}

#[test]
fn five_fields_are_the_six_with_second_zero() {
    let instants = |labels: &str| {
        let schedule = spec(&with_labels(labels)).schedule.unwrap();
        let first = schedule.next_after(jiff::Timestamp::UNIX_EPOCH);
        std::iter::successors(first, |instant| schedule.next_after(*instant)).take(20).collect::<Vec<_>>()
    };
    let five = instants("tickmesh.schedule: '5 3 * * mon'\ntickmesh.timezone: Europe/Berlin");
    assert_eq!(five, instants("tickmesh.schedule: '0 5 3 * * mon'\ntickmesh.timezone: Europe/Berlin"));
}

#[test]
fn schedule_without_a_zone_says_which_one_it_is_read_in() {
    let note = "2:22: note: the schedule is read in UTC: the file names no time zone\n  hint: add the label `tickmesh.timezone: Europe/Berlin`, or whichever zone is meant";
    for schedule in ["0 3 * * *", "@daily", "0 0 9-17 * * *", "0 0 * * * mon"] {
        check_labels(&format!("tickmesh.schedule: '{schedule}'"), &[note]);
        check_labels(&format!("aliyun.schedule: '{}'", schedule.replace("0 3 * * *", "0 0 3 * * *")), &[]);
    }
}

#[test]
fn schedule_of_the_original_has_six_fields_and_question_marks() {
    check_timed("aliyun.schedule: '0 0 3 ? * mon'", "0 0 3 ? * mon", "Asia/Shanghai");
    check_timed("aliyun.schedule: '0 0 3 1 * ?'", "0 0 3 1 * ?", "Asia/Shanghai");
    check_labels(
        "aliyun.schedule: '0 3 * * *'",
        &[
            "2:21: error: the schedule has 5 of 6 fields (second minute hour day-of-month month day-of-week)\n  hint: the first field is the second: write `0 ` in front of these five",
        ],
    );
    check_labels(
        "aliyun.schedule: 'CRON_TZ=Asia/Tokyo 0 0 3 * * *'",
        &[
            "2:21: error: `CRON_TZ=Asia/Tokyo` in front of a schedule is for `tickmesh.schedule` only\n  hint: write the label `tickmesh.timezone: Asia/Tokyo` instead",
        ],
    );
    check_labels("aliyun.schedule: '0 0 ? * * *'", &["2:25: error: hour: `?` is not crontab\n  hint: write `*`"]);
}

#[test]
fn odd_schedules_of_ours_are_refused_at_their_place() {
    check_labels(
        "tickmesh.schedule: 'CRON_TZ=Asia/Tokyoo 0 3 * * *'",
        &["2:31: error: `Asia/Tokyoo` is not a time zone this program knows\n  hint: write `Asia/Tokyo`"],
    );
    check_labels(
        "tickmesh.schedule: 'TZ=Asia/Tokyo 0 25 * * *'",
        &["2:39: error: hour: `25` is out of range: it must be from 0 to 23"],
    );
    check_labels(
        "tickmesh.schedule: 'TZ=Asia/Tokyo 0 3 * * *'\ntickmesh.timezone: UTC",
        &[
            "2:26: error: `TZ=Asia/Tokyo` contradicts `tickmesh.timezone`, which is `UTC`\n  hint: both name the zone of the schedule: keep one",
        ],
    );
    check_labels(
        "tickmesh.schedule: '0 3'",
        &[
            "2:26: error: the schedule has 2 of 5 fields (minute hour day-of-month month day-of-week; the second may stand in front)",
        ],
    );
}

#[test]
fn list_of_schedules_is_due_at_the_instants_of_all() {
    let text = |list: &str| {
        format!("x-tickmesh: {{schedule: {list}, timezone: Europe/Berlin}}\nservices: {{s1: {{image: busybox}}}}\n")
    };
    let several = text("['0 3,4 * * *', 'TZ=UTC @weekly', '0 3,4 * * *']");
    check(&several, &[]);
    let schedule = spec(&several).schedule.unwrap();
    assert_eq!(schedule.to_string(), "0 3,4 * * *; TZ=UTC @weekly (Europe/Berlin)");
    let one = spec(&text("['0 3 * * *']")).schedule.unwrap();
    assert_eq!(one.to_string(), "0 3 * * * (Europe/Berlin)");
    let said = rendered(&text("['@daily', '0 25 * * *', never]"));
    assert_eq!(said.matches("error: ").count(), 2, "{said}");
    let many = format!("[{}]", (0..33).map(|minute| format!("'{minute} 3 * * *'")).collect::<Vec<_>>().join(", "));
    assert!(rendered(&text(&many)).contains("the app has 33 schedules, at most 32 are allowed"));
}
