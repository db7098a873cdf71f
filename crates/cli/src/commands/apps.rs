//! Several apps that one command is about.

use tickmesh_core::name::AppName;
use tickmesh_messaging::Mesh;

use super::{Session, which_app::known};
use crate::{
    output::{Format, Several},
    views::done::DoneView,
};

/// The apps of a command that takes several.
#[derive(Debug, clap::Args)]
pub(crate) struct SeveralArgs {
    /// Apps
    #[arg(required_unless_present = "all", value_name = "APP", add = crate::completion::apps())]
    apps: Vec<AppName>,
    /// Every app of the mesh
    #[arg(long, conflicts_with = "apps")]
    all: bool,
}

impl SeveralArgs {
    /// Does the same to each app, one after the other. None of it is done if an app is not known. Programs get an object for one
    /// app, and a list for several.
    pub(super) async fn each(
        &self,
        session: &Session,
        mesh: &Mesh,
        format: Format,
        act: impl AsyncFn(AppName, u64) -> anyhow::Result<DoneView>,
    ) -> anyhow::Result<()> {
        let mut apps = self.found(mesh).await?;
        if !self.all && apps.len() == 1 {
            let (app, revision) = apps.remove(0);
            return session.output.show(&act(app, revision).await?, format);
        }
        let mut several = session.output.several(format);
        let result = Self::act_on(apps, &mut several, act).await;
        several.end(result)
    }

    async fn act_on(
        apps: Vec<(AppName, u64)>,
        several: &mut Several,
        act: impl AsyncFn(AppName, u64) -> anyhow::Result<DoneView>,
    ) -> anyhow::Result<()> {
        for (app, revision) in apps {
            several.tell(act(app, revision).await?)?;
        }
        Ok(())
    }

    /// The apps with their revisions.
    async fn found(&self, mesh: &Mesh) -> anyhow::Result<Vec<(AppName, u64)>> {
        let mut found = Vec::new();
        if self.all {
            let listed = mesh.apps().list().await?;
            let present = listed.into_iter().filter(|entry| entry.value.source.is_some());
            found.extend(present.filter_map(|entry| Some((AppName::new(entry.key.clone()).ok()?, entry.sequence))));
            found.sort();
        }
        for typed in &self.apps {
            let (app, revision, _) = known(mesh, typed).await?;
            found.push((app, revision));
        }
        Ok(found)
    }
}
