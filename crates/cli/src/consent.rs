//! What cannot be undone is done only if somebody says so.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;

use crate::{commands::Session, exit::BadInput};

/// Asks whether something may be done. Without a terminal nobody can answer, and `--yes` has to be given beforehand.
pub(crate) fn ask(session: &Session, what: &str) -> anyhow::Result<()> {
    if !io::stdin().is_terminal() {
        return Err(BadInput::new(format!("this would {what}")).hint("say that it may with --yes").into());
    }
    session.output.talk(&format!("{what}? Type `yes`:"));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("cannot read the answer")?;
    if answer.trim() != "yes" {
        return Err(BadInput::new("nothing has changed").into());
    }
    Ok(())
}
