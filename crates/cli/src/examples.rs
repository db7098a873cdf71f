//! Examples for the help of every command, in one place: a test reads them as the program would.

use clap::Command;

/// Command, and how it is used. What follows two blanks and a `#` is said about it.
const EXAMPLES: [(&str, &[&str]); 40] = [
    ("demo", &["tickmesh demo"]),
    ("up", &["tickmesh up"]),
    (
        "scheduler",
        &[
            "tickmesh scheduler --nats nats://nats-1:4222",
            "tickmesh scheduler --replicas 3  # on a cluster of three",
            "tickmesh scheduler --notify-file /etc/tickmesh/notify.toml --public-url https://jobs.example.org",
            "tickmesh scheduler --heartbeat-url https://hc-ping.com/2f6a",
        ],
    ),
    (
        "agent",
        &["tickmesh agent --label disk=ssd --allow-path /srv/data", "tickmesh agent drain host-7 --deadline 10m"],
    ),
    ("web", &["tickmesh web", "tickmesh web --bind 0.0.0.0:8420 --token-file /etc/tickmesh/page-token"]),
    ("validate", &["tickmesh validate nightly.yml", "tickmesh validate jobs/*.yml -o json"]),
    ("diff", &["tickmesh diff nightly.yml || tickmesh apply nightly.yml", "tickmesh diff jobs/"]),
    (
        "apply",
        &[
            "tickmesh apply nightly.yml --var TAG=1.4",
            "tickmesh apply jobs/ --prune  # every file in it, and no other app",
            "tickmesh apply compose.yml --build --push registry.example.com/team",
        ],
    ),
    ("ls", &["tickmesh ls", "tickmesh ls --tag billing", "tickmesh ls -o name | xargs -n1 tickmesh pause"]),
    (
        "show",
        &[
            "tickmesh show nightly",
            "tickmesh show nightly/42  # why it failed",
            "tickmesh show nig  # the beginning is enough",
        ],
    ),
    (
        "run",
        &[
            "tickmesh run nightly --wait",
            "tickmesh run nightly --env DAY=2026-11-01 -- ./report --full",
            "tickmesh run -f nightly.yml --wait  # applied first, if it is not as it was",
        ],
    ),
    ("runs", &["tickmesh runs nightly", "tickmesh runs nightly -o json | jq '.[0].outcome'"]),
    ("logs", &["tickmesh logs nightly -f", "tickmesh logs nightly/42/s1/0 --tail 20 -t"]),
    ("cancel", &["tickmesh cancel nightly/42 --wait"]),
    ("retry", &["tickmesh retry nightly/42 --wait"]),
    ("queue", &["tickmesh queue nightly", "tickmesh queue nightly --flush"]),
    ("pause", &["tickmesh pause nightly", "tickmesh pause nightly -o json | jq .done"]),
    ("resume", &["tickmesh resume nightly"]),
    ("rm", &["tickmesh rm nightly"]),
    (
        "notify",
        &[
            "tickmesh notify ls --notify-file /etc/tickmesh/notify.toml",
            "tickmesh notify test ops --notify-file /etc/tickmesh/notify.toml",
        ],
    ),
    ("agents", &["tickmesh agents -o wide"]),
    (
        "context",
        &[
            "tickmesh context add production --nats nats://nats-1:4222,nats://nats-2:4222",
            "tickmesh context use production",
            "tickmesh context ls",
        ],
    ),
    (
        "config",
        &[
            "tickmesh config agent  # what counts for the agent, and from where",
            "tickmesh config --defaults > tickmesh.toml  # every key with its meaning",
        ],
    ),
    ("leader", &["tickmesh leader", "tickmesh leader step-down  # before its host is maintained"]),
    ("events", &["tickmesh events nightly --since 1h", "tickmesh events -f -o json | jq 'select(.type == \"run\")'"]),
    ("history", &["tickmesh history nightly", "tickmesh history nightly 4  # what revision 4 changed"]),
    ("rollback", &["tickmesh rollback nightly  # to the revision before the last", "tickmesh rollback nightly 4"]),
    ("next", &["tickmesh next nightly -n 3", "tickmesh next --schedule '0 30 2 * * mon-fri' --tz Europe/Berlin"]),
    ("schema", &["tickmesh schema > x-tickmesh.schema.json"]),
    ("explain", &["tickmesh explain '0 */5 9-17 * * mon-fri' --tz Europe/Berlin"]),
    ("backup", &["tickmesh backup nightly.backup", "tickmesh backup nightly.backup --without-logs --force"]),
    ("restore", &["tickmesh restore nightly.backup --dry-run", "tickmesh restore nightly.backup"]),
    ("version", &["tickmesh version", "tickmesh version --client -o json | jq -r .commit"]),
    ("doctor", &["tickmesh doctor", "tickmesh doctor -o json | jq '.[] | select(.finding == \"wrong\")'"]),
    (
        "completions",
        &[
            "tickmesh completions bash >> ~/.bashrc",
            "tickmesh completions zsh >> ~/.zshrc",
            "tickmesh completions fish > ~/.config/fish/completions/tickmesh.fish",
        ],
    ),
    ("drain", &["tickmesh agent drain host-7"]),
    ("undrain", &["tickmesh agent undrain host-7"]),
    ("install", &["tickmesh agent install --nats nats://nats-1:4222 --label disk=ssd --allow-path /srv/data"]),
    ("uninstall", &["tickmesh agent uninstall"]),
    ("forget", &["tickmesh agent forget host-7"]),
];

/// The command line with the examples in its help.
pub(crate) fn with_examples(mut command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    for name in names {
        let text = text(&name);
        command = command.mut_subcommand(name, |subcommand| {
            let subcommand = with_examples(subcommand);
            match text {
                Some(text) => subcommand.after_help(text),
                None => subcommand,
            }
        });
    }
    command
}

fn text(name: &str) -> Option<String> {
    let (_, lines) = EXAMPLES.iter().find(|(command, _)| *command == name)?;
    let title = if lines.len() == 1 { "Example:" } else { "Examples:" };
    Some(format!("{title}\n  {}", lines.join("\n  ")))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_has_an_example() {
        let command = with_examples(Cli::command());
        for subcommand in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            assert!(subcommand.get_after_help().is_some(), "{}", subcommand.get_name());
        }
    }

    #[test]
    fn every_example_can_be_typed() {
        for example in EXAMPLES.iter().flat_map(|(_, lines)| *lines) {
            let typed = example.split("  #").next().unwrap();
            for command in typed.split(" | ").flat_map(|it| it.split(" || ")).filter(|it| it.starts_with("tickmesh ")) {
                let words = shell_words::split(command.split(" >").next().unwrap()).unwrap();
                assert!(Cli::try_parse_from(&words).is_ok(), "{words:?}: {:?}", Cli::try_parse_from(&words).err());
            }
        }
    }
}
