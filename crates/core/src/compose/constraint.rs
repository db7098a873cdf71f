//! What an agent must be to run a replica, in the three spellings that people have:
//!
//! | where | such as |
//! |---|---|
//! | label `constraint` | `disk==ssd,zone!=(a|b)` |
//! | a directive in `environment` | `constraint:disk==ssd` |
//! | `deploy.placement.constraints` | `node.labels.disk == ssd` |
//!
//! All are one grammar, so that a constraint can be moved from one place to the other. Values are compared in full: patterns,
//! which swarm knew, are refused.

use super::value::Refused;
use crate::spec::{Attribute, Constraint, Operator};

/// Most constraints of one service. Each agent is compared with all of them.
pub(super) const CONSTRAINTS_MAX: usize = 32;
/// Most alternatives of one constraint: who needs more wants a label for them.
const VALUES_MAX: usize = 64;
/// Longest name of a label, and longest value: they are names that people give to hosts.
const TEXT_BYTES_MAX: usize = 128;

/// What Swarm knew of a node by itself. Here it is a label of that name, which somebody gives to agents.
const BY_HAND: [&str; 3] = ["node.role", "node.platform.os", "node.platform.arch"];
/// Where Swarm had the labels of a node and of its engine. Here both are those of the agent.
const LABELS: [&str; 2] = ["node.labels.", "engine.labels."];

/// What a constraint asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// It must hold.
    Must(Constraint),
    /// It would be nice.
    Soft,
}

/// Reads the label: constraints with commas between them, all of which must hold.
pub(super) fn read_label(text: &str, constraints: &mut Vec<Constraint>) -> Result<(), Refused> {
    if text.matches(',').count() >= CONSTRAINTS_MAX {
        return Err(Refused::new(text, format!("a list of at most {CONSTRAINTS_MAX} constraints")));
    }
    for text in text.split(',') {
        match read(text)? {
            Wish::Must(constraint) => constraints.push(constraint),
            Wish::Soft => {
                return Err(Refused::new(text.trim(), "possible: agents fit or do not, so write `==` or `!=`"));
            }
        }
    }
    Ok(())
}

/// Reads one constraint.
pub(super) fn read(text: &str) -> Result<Wish, Refused> {
    let text = text.trim();
    let malformed = || Refused::new(text, "a constraint such as `disk==ssd` or `zone!=(a|b)`");
    let (attribute, operator, values) = split(text).ok_or_else(malformed)?;
    if values.starts_with('~') {
        return Ok(Wish::Soft);
    }
    let attribute = read_attribute(text, attribute.trim())?;
    let values = read_values(text, values.trim())?;
    Ok(Wish::Must(Constraint { attribute, operator, values }))
}

/// Returns the label that an agent has to be given for a constraint on what Swarm knew by itself.
pub(super) fn label_to_give(constraint: &Constraint) -> Option<String> {
    let Constraint { attribute: Attribute::Label(name), operator: Operator::Is, values } = constraint else {
        return None;
    };
    BY_HAND.contains(&name.as_str()).then(|| format!("{name}={}", values.first().map_or("", String::as_str)))
}

/// Both sides of the operator.
pub(super) fn split(text: &str) -> Option<(&str, Operator, &str)> {
    let at = text.find("==").into_iter().chain(text.find("!=")).min()?;
    let operator = if text[at..].starts_with('!') { Operator::IsNot } else { Operator::Is };
    Some((&text[..at], operator, &text[at + 2..]))
}

/// The name of a label of agents; `None`: it cannot be one.
pub(super) fn label(name: &str) -> Option<&str> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || "-_./".contains(character))
        && name.len() <= TEXT_BYTES_MAX;
    is_name.then_some(name)
}

fn read_attribute(text: &str, name: &str) -> Result<Attribute, Refused> {
    let unknown = "possible: of a host only its agent's labels (`node.labels.x`, or just `x`), `node.hostname`, \
                   `node.id`, and as labels `node.role` and `node.platform.*` are known";
    match name {
        "agent" | "node.id" => Ok(Attribute::Agent),
        // Swarm called its hosts nodes.
        "host" | "node" | "node.hostname" => Ok(Attribute::Host),
        _ if BY_HAND.contains(&name) => Ok(Attribute::Label(name.to_owned())),
        _ => {
            let written = LABELS.iter().find_map(|labels| name.strip_prefix(labels)).unwrap_or(name);
            if written == name && (name.starts_with("node.") || name.starts_with("engine.")) {
                return Err(Refused::new(text, unknown));
            }
            let expected = format!("a constraint on a label: letters, digits, `-_./`, at most {TEXT_BYTES_MAX}");
            let label = label(written).ok_or_else(|| Refused::new(text, expected))?;
            Ok(Attribute::Label(label.to_owned()))
        }
    }
}

/// One value, or alternatives as in `(a|b)`.
pub(super) fn read_values(text: &str, values: &str) -> Result<Vec<String>, Refused> {
    let alternatives = values.strip_prefix('(').and_then(|values| values.strip_suffix(')'));
    let values: Vec<&str> = match alternatives {
        Some(alternatives) => alternatives.split('|').map(str::trim).take(VALUES_MAX + 1).collect(),
        None => vec![values],
    };
    if values.len() > VALUES_MAX {
        return Err(Refused::new(text, format!("possible: a constraint has at most {VALUES_MAX} alternatives")));
    }
    let is_pattern = |value: &str| value.contains('*') || (value.starts_with('/') && value.ends_with('/'));
    if values.iter().any(|value| is_pattern(value)) {
        return Err(Refused::new(
            text,
            "possible: values are compared in full, so write them out, as in `zone==(a|b)`",
        ));
    }
    if values.iter().all(|value| is_value(value)) {
        return Ok(values.into_iter().map(str::to_owned).collect());
    }
    let expected =
        format!("a constraint whose values are letters, digits and any of `-_.:/@+`, at most {TEXT_BYTES_MAX}");
    Err(Refused::new(text, expected))
}

fn is_value(value: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || "-_.:/@+ ".contains(character);
    !value.is_empty() && value.len() <= TEXT_BYTES_MAX && value.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, attribute: &Attribute, operator: Operator, values: &[&str]) {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        assert_eq!(read(text), Ok(Wish::Must(Constraint { attribute: attribute.clone(), operator, values })), "{text}");
    }

    fn label(name: &str) -> Attribute {
        Attribute::Label(name.to_owned())
    }

    #[test]
    fn labels_are_compared_with_values() {
        check("disk==ssd", &label("disk"), Operator::Is, &["ssd"]);
        check(" disk != ssd ", &label("disk"), Operator::IsNot, &["ssd"]);
        check("aliyun.node_index==1", &label("aliyun.node_index"), Operator::Is, &["1"]);
        check("aliyun.node_index==(1|2 | 3)", &label("aliyun.node_index"), Operator::Is, &["1", "2", "3"]);
        check("aliyun.node_index!=(1|2|3)", &label("aliyun.node_index"), Operator::IsNot, &["1", "2", "3"]);
        check("node.labels.team/zone == eu west", &label("team/zone"), Operator::Is, &["eu west"]);
        check("größe==1".replace("größe", "size").as_str(), &label("size"), Operator::Is, &["1"]);
        check("stadt==Köln", &label("stadt"), Operator::Is, &["Köln"]);
        check("path==/mnt/data", &label("path"), Operator::Is, &["/mnt/data"]);
    }

    #[test]
    fn hosts_and_agents_have_names() {
        for name in ["host", "node", "node.hostname"] {
            check(&format!("{name}==web-1.example.com"), &Attribute::Host, Operator::Is, &["web-1.example.com"]);
        }
        for name in ["agent", "node.id"] {
            check(&format!("{name}!=(a1|a2)"), &Attribute::Agent, Operator::IsNot, &["a1", "a2"]);
        }
    }

    #[test]
    fn wishes_are_told_from_musts() {
        for text in ["disk==~ssd", "disk!=~ssd", "node.role==~x"] {
            assert_eq!(read(text), Ok(Wish::Soft), "{text}");
        }
    }

    #[track_caller]
    fn check_refused(text: &str, expect: &str) {
        let refused = read(text).unwrap_err().to_string();
        assert!(refused.ends_with(expect), "{text}: {refused}");
    }

    #[test]
    fn what_is_no_constraint_is_refused() {
        for text in ["", "disk", "disk=ssd", "disk>ssd", "disk = = ssd"] {
            check_refused(text, "is not a constraint such as `disk==ssd` or `zone!=(a|b)`");
        }
        for text in ["==ssd", "-x==1", "a b==1", "a=b==1", "ä==1", &format!("{}==1", "a".repeat(129))] {
            check_refused(text, "is not a constraint on a label: letters, digits, `-_./`, at most 128");
        }
        let values = "is not a constraint whose values are letters, digits and any of `-_.:/@+`, at most 128";
        for text in ["a==", "a==()", "a==(b", "a==b)", "a==(b||c)", "a=='b'", "a==b|c", "a===b", "a==b==c", "a==b\u{7}"]
        {
            check_refused(text, values);
        }
        check_refused(&format!("a=={}", "b".repeat(129)), values);
    }

    #[test]
    fn what_swarm_knew_of_nodes_is_a_label() {
        check("node.role == manager", &label("node.role"), Operator::Is, &["manager"]);
        check("node.role!=manager", &label("node.role"), Operator::IsNot, &["manager"]);
        check("node.platform.arch==x86_64", &label("node.platform.arch"), Operator::Is, &["x86_64"]);
        check("engine.labels.disk==ssd", &label("disk"), Operator::Is, &["ssd"]);
        let to_give = |text| match read(text) {
            Ok(Wish::Must(constraint)) => label_to_give(&constraint),
            Ok(Wish::Soft) | Err(_) => panic!("{text} must hold"),
        };
        assert_eq!(to_give("node.role==(manager|worker)").as_deref(), Some("node.role=manager"));
        for text in ["node.role!=manager", "node.labels.role==manager", "node.hostname==a"] {
            assert_eq!(to_give(text), None, "{text}");
        }
    }

    #[test]
    fn patterns_are_refused() {
        for text in ["node==web*", "node==/web-[12]/", "a!=(b|c*)"] {
            check_refused(text, "possible: values are compared in full, so write them out, as in `zone==(a|b)`");
        }
    }

    #[test]
    fn what_nobody_knows_of_a_host_is_refused() {
        for text in ["node.rule==manager", "node.platform==linux", "engine.x==1", "node.labels==1"] {
            check_refused(text, "as labels `node.role` and `node.platform.*` are known");
        }
    }

    #[test]
    fn constraints_and_alternatives_have_a_number() {
        let alternatives = |count: usize| format!("a==({})", vec!["b"; count].join("|"));
        assert!(read(&alternatives(64)).is_ok());
        check_refused(&alternatives(65), "a constraint has at most 64 alternatives");
        let list = |count: usize| vec!["a==b"; count].join(",");
        let mut constraints = Vec::new();
        assert_eq!(read_label(&list(32), &mut constraints), Ok(()));
        assert_eq!(constraints.len(), 32);
        assert!(read_label(&list(33), &mut constraints).is_err());
    }
}
