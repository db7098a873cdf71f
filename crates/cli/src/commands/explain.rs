//! `tickmesh explain`: a schedule in words.

use jiff::Timestamp;
use tickmesh_client::{
    stored::{PREVIEW, instants},
    zones,
};

use super::{
    Session,
    next::{ZONE_DEFAULT, parse},
};
use crate::{exit::Exit, output::FormatArgs, views::explanation::ExplanationView};

/// What `explain` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Five or six cron fields, @daily and the like, or `@every 90s`
    #[arg(value_name = "EXPR")]
    expression: String,
    /// Time zone of the expression
    #[arg(long, value_name = "ZONE", default_value = ZONE_DEFAULT)]
    tz: String,
    #[command(flatten)]
    form: FormatArgs,
}

/// Says what an expression means, and when it is due next.
pub(crate) fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let schedule = parse(&args.expression, &args.tz, &zones::database())?;
    let next = instants(&schedule, Timestamp::now(), PREVIEW);
    session.output.show(&ExplanationView::new(&schedule, next), args.form.format)?;
    Ok(Exit::Success)
}
