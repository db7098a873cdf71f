//! `tickmesh ls`: the apps and their states.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use jiff::Timestamp;
use tickmesh_client::{
    leadership::{Leadership, leadership},
    read,
    views::{app::AppsView, filter::AppFilter},
    zones,
};
use tickmesh_core::name::AppName;
use tickmesh_messaging::Mesh;

use super::{Session, leader, watch::WatchArgs, which_app::unknown};
use crate::{exit::Exit, output::FormatArgs};

/// What `ls` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these apps
    #[arg(value_name = "APP", add = crate::completion::apps())]
    apps: Vec<AppName>,
    /// Only apps in this state, or whose last run failed
    #[arg(long, value_name = "STATUS", value_parser = filters(), default_value = "all", hide_default_value = true)]
    status: AppFilter,
    /// Only apps with this tag; given twice, with both
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    #[command(flatten)]
    watch: WatchArgs,
    #[command(flatten)]
    form: FormatArgs,
}

/// Lists apps.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let zones = zones::database();
    let read = async |mesh: &Mesh| -> anyhow::Result<_> {
        let (apps, leadership) = tokio::join!(read::apps(mesh, &zones, Timestamp::now()), leadership(mesh));
        Ok((apps?, leadership))
    };
    let show = async |(apps, leadership): (AppsView, Leadership)| {
        let mut apps = args.wanted(apps)?;
        leadership.correct_apps(&mut apps.0);
        session.output.show(&apps, args.form.format)?;
        leader::warn_of(session, &leadership);
        Ok(())
    };
    args.watch.look(session, read, show).await
}

impl Args {
    /// Returns the apps that were asked for, or an error if one of them does not exist.
    fn wanted(&self, AppsView(mut apps): AppsView) -> anyhow::Result<AppsView> {
        if let Some(missing) = self.apps.iter().find(|name| apps.iter().all(|app| app.name != name.as_str())) {
            return Err(unknown(missing).into());
        }
        apps.retain(|app| self.apps.is_empty() || self.apps.iter().any(|name| name.as_str() == app.name));
        apps.retain(|app| self.status.wants_view(app));
        apps.retain(|app| self.tags.iter().all(|tag| app.tags.contains(tag)));
        Ok(AppsView(apps))
    }
}

fn filters() -> impl TypedValueParser<Value = AppFilter> {
    let names = PossibleValuesParser::new(AppFilter::ALL.map(|(_, name)| name));
    names.try_map(|name| AppFilter::named(&name).ok_or("there is no such status"))
}
