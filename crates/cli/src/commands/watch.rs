//! Looking at a list again and again.

use std::time::Duration;

use tokio::time::sleep;

use super::Session;
use crate::exit::Exit;

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(2);

/// Option of commands that list what changes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct WatchArgs {
    /// Show the list again every two seconds, until Ctrl-C
    #[arg(long, short = 'w')]
    watch: bool,
}

impl WatchArgs {
    /// Looks once, or until somebody ends the command.
    pub(super) async fn look(
        self,
        session: &Session,
        show: impl AsyncFn() -> anyhow::Result<()>,
    ) -> anyhow::Result<Exit> {
        loop {
            if self.watch {
                session.output.clear_screen()?;
            }
            show().await?;
            if !self.watch {
                return Ok(Exit::Success);
            }
            session.output.flush()?;
            sleep(PAUSE).await;
        }
    }
}
