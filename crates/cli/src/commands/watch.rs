//! Looking at a list again and again.

use std::time::Duration;

use tickmesh_messaging::Mesh;
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
    /// Looks once, or until somebody ends the command. The first look is that of the connect: see
    /// [`tickmesh_messaging::Mesh::first_look`].
    pub(super) async fn look<T>(
        self,
        session: &Session,
        read: impl AsyncFn(&Mesh) -> anyhow::Result<T>,
        show: impl AsyncFn(T) -> anyhow::Result<()>,
    ) -> anyhow::Result<Exit> {
        let (mesh, first) = session.mesh.first_look(&read).await?;
        let mut looked = Some(first);
        loop {
            let seen = match looked.take() {
                Some(first) => first,
                None => read(&mesh).await?,
            };
            if self.watch {
                session.output.clear_screen()?;
            }
            show(seen).await?;
            if !self.watch {
                return Ok(Exit::Success);
            }
            session.output.flush()?;
            sleep(PAUSE).await;
        }
    }
}
