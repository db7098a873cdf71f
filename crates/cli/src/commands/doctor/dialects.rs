//! Apps that are read by the rules of another release than this one.

use tickmesh_core::compose::{Dialect, DialectNumber};
use tickmesh_messaging::Mesh;

use crate::views::doctor::Check;

/// Apps that are named: `tickmesh ls` has them all.
const NAMED_MAX: usize = 8;

/// Looks at all stored apps.
pub(super) async fn check(mesh: &Mesh) -> anyhow::Result<Check> {
    let apps = mesh.apps().list().await?;
    let apps = apps.iter().filter_map(|entry| Some((entry.key.as_str(), entry.value.source.as_ref()?.dialect)));
    Ok(of_apps(&apps.collect::<Vec<_>>(), Dialect::PRESENT.number()))
}

fn of_apps(apps: &[(&str, DialectNumber)], present: DialectNumber) -> Check {
    let newer: Vec<_> = apps.iter().filter(|(_, dialect)| *dialect > present).collect();
    if !newer.is_empty() {
        return Check::wrong(
            "dialects",
            format!("{} by a later release, which this one cannot read: {}", applied(newer.len()), named(&newer)),
            "run the later release, or apply their files again with this one",
        );
    }
    let older: Vec<_> = apps.iter().filter(|(_, dialect)| *dialect < present).collect();
    if older.is_empty() {
        return Check::ok("dialects", format!("every app is read by the present rules (dialect {present})"));
    }
    Check::warning(
        "dialects",
        format!("{} by the rules of an earlier release: {}", applied(older.len()), named(&older)),
        "read in docs/how-to/upgrade.md what has changed, then apply their files again",
    )
}

fn applied(count: usize) -> String {
    if count == 1 { "1 app was applied".to_owned() } else { format!("{count} apps were applied") }
}

fn named(apps: &[&(&str, DialectNumber)]) -> String {
    let mut shown: Vec<String> =
        apps.iter().take(NAMED_MAX).map(|(app, dialect)| format!("{app} (dialect {dialect})")).collect();
    if apps.len() > NAMED_MAX {
        shown.push(format!("{} more", apps.len() - NAMED_MAX));
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::views::doctor::Finding;

    #[track_caller]
    fn check(apps: &[(&str, DialectNumber)], finding: Finding, text: &str) {
        let check = of_apps(apps, 2);
        assert_eq!((check.finding, check.text.as_str()), (finding, text));
    }

    #[test]
    fn apps_of_other_dialects_are_listed() {
        check(&[], Finding::Ok, "every app is read by the present rules (dialect 2)");
        check(&[("a", 2)], Finding::Ok, "every app is read by the present rules (dialect 2)");
        let text = "1 app was applied by the rules of an earlier release: a (dialect 1)";
        check(&[("a", 1), ("b", 2)], Finding::Warning, text);
        let text = "2 apps were applied by the rules of an earlier release: a (dialect 1), b (dialect 1)";
        check(&[("a", 1), ("b", 1)], Finding::Warning, text);
        let text = "1 app was applied by a later release, which this one cannot read: c (dialect 3)";
        check(&[("a", 1), ("b", 2), ("c", 3)], Finding::Wrong, text);
    }
}
