//! A short burst beside its limit. It fails on what is far off only, since nobody knows who else uses the machine: `make bench`
//! measures.

use std::process::Command;

/// Apps that are due in one second, three times.
const APPS: &str = "200";
/// How many times as long as two dependent publishes each, on the same server in the same minute, all orders may take. On two cores
/// with nothing else at work it is 5 to 8.
const RATIO_MAX: f64 = 20.0;

/// Every run and container of it is looked up from outside by the program itself, which fails if one was lost or doubled.
#[test]
fn orders_of_a_burst_take_a_few_times_what_the_server_takes() {
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).args(["burst", APPS]).output().expect("run the bench");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("confirmed: 600 runs and as many containers, none lost, none doubled"), "{text}");
    let row = text.lines().find(|line| line.contains("two publishes each |")).expect("a row of the last table");
    let ratio: f64 = row.split('|').nth(5).expect("a ratio").trim().parse().expect("a number");
    assert!(ratio <= RATIO_MAX, "all orders took {ratio} times what two publishes each take:\n{text}");
    println!("{text}");
}
