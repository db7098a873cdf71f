//! `tickmesh next`: when a schedule is due.

use anyhow::Context;
use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{TimeZone, TimeZoneDatabase},
};
use serde::Serialize;
use tickmesh_client::{
    stored::{instants, preview, understand_stored},
    when, zones,
};
use tickmesh_core::{
    name::AppName,
    schedule::{Form, Schedule, zone, zone_in_front},
    spec::AppSpec,
};

use super::{Session, which_app::known};
use crate::{
    exit::{BadInput, Exit},
    output::FormatArgs,
    views::{Style, View},
};

/// More than anybody reads, and still computed at once.
const COUNT_MAX: u16 = 10_000;

/// The name that stands for the zone of this host.
const LOCAL: &str = "local";
/// Time zone of a schedule that names none, as in `tickmesh.schedule`.
pub(super) const ZONE_DEFAULT: &str = "UTC";

/// What `next` takes.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("rule").required(true).args(["app", "schedule"])))]
pub(crate) struct Args {
    /// An app
    #[arg(add = crate::completion::apps())]
    app: Option<AppName>,
    /// A schedule: five or six cron fields, @daily and the like, or `@every 90s`
    #[arg(long, value_name = "EXPR")]
    schedule: Option<String>,
    /// Time zone of --schedule, or the one in which an app's instants are shown; `local` is this host's
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Begin after this moment instead of now: RFC 3339, or a date and time in the schedule's zone
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// How many instants
    #[arg(short = 'n', value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=COUNT_MAX as i64))]
    count: u16,
    #[command(flatten)]
    form: FormatArgs,
}

/// Instants, with the offset of their zone.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct InstantsView(Vec<String>);

impl View for InstantsView {
    fn text(&self, _style: &Style) -> String {
        self.0.iter().map(|instant| format!("{instant}\n")).collect()
    }

    fn names(&self) -> Vec<String> {
        self.0.clone()
    }
}

/// Prints when an app, or a schedule, is due, one a line, in the schedule's zone. An app's jitter is in it.
pub(crate) async fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let count = usize::from(args.count);
    let (zone, due) = match (&args.app, &args.schedule) {
        (Some(app), _) => {
            let shown = args.tz.as_deref().map(|name| zone_called(name, &zones::database())).transpose()?;
            let (spec, zone) = scheduled(session, app).await?;
            let zone = shown.unwrap_or(zone);
            let due = preview(&spec, args.begin(&zone)?, count);
            (zone, due)
        }
        (None, Some(expression)) => {
            let zones = zones::database();
            let name = args.tz.as_deref().unwrap_or(ZONE_DEFAULT);
            let local = (name == LOCAL).then(|| zone_called(name, &zones)).transpose()?;
            let name = local.as_ref().and_then(TimeZone::iana_name).unwrap_or(name);
            let schedule = parse(expression, name, &zones)?;
            let zone = schedule.zone().clone();
            let due = instants(&schedule, args.begin(&zone)?, count);
            (zone, due)
        }
        (None, None) => return Err(BadInput::new("neither an app nor a schedule is given").into()),
    };
    let due = due.into_iter().map(|moment| when::in_zone(moment, &zone)).collect();
    session.output.show(&InstantsView(due), args.form.format)?;
    Ok(Exit::Success)
}

impl Args {
    fn begin(&self, zone: &TimeZone) -> anyhow::Result<Timestamp> {
        self.from.as_ref().map_or_else(|| Ok(Timestamp::now()), |text| moment(text, zone))
    }
}

/// Looks a zone up by its name.
fn zone_called(name: &str, zones: &TimeZoneDatabase) -> anyhow::Result<TimeZone> {
    if name == LOCAL {
        let local = TimeZone::system();
        // Without a name nobody else could tell which one is meant.
        return local.iana_name().is_some().then(|| local.clone()).ok_or_else(|| {
            BadInput::new("the time zone of this host has no name")
                .hint("write one, such as `Asia/Shanghai` or `UTC`")
                .into()
        });
    }
    zone(zones, name).map_err(|error| {
        let bad = BadInput::new(error.to_string());
        match error.hint() {
            Some(hint) => bad.hint(hint),
            None => bad,
        }
        .into()
    })
}

/// An app that has a schedule, and the zone of that.
async fn scheduled(session: &Session, app: &AppName) -> anyhow::Result<(AppSpec, TimeZone)> {
    let mesh = session.mesh.open().await?;
    let (app, _, source) = known(&mesh, app).await?;
    let reading = understand_stored(&app, &source, &zones::database());
    let spec = reading.spec.with_context(|| format!("the stored file of app `{app}` is not valid any more"))?;
    let zone = spec.schedule.as_ref().map(|schedule| schedule.zone().clone());
    let zone = zone.ok_or_else(|| BadInput::new(format!("app `{app}` has no schedule: it is run by hand")))?;
    Ok((spec, zone))
}

/// Reads an expression; what is wrong with it is shown under it.
pub(super) fn parse(expression: &str, zone: &str, zones: &TimeZoneDatabase) -> anyhow::Result<Schedule> {
    let in_front = zone_in_front(expression);
    let read = match &in_front {
        Some(found) => Schedule::parse_as(Form::Any, &found.expression, found.zone, zones),
        None => Schedule::parse_as(Form::Any, expression, zone, zones),
    };
    read.map_err(|error| {
        let message = match error.column() {
            Some(column) => format!("{error}\n  {expression}\n  {:>column$}", "^"),
            None => error.to_string(),
        };
        let bad = BadInput::new(message);
        match error.hint() {
            Some(hint) => bad.hint(hint),
            None => bad,
        }
        .into()
    })
}

fn moment(text: &str, zone: &TimeZone) -> anyhow::Result<Timestamp> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local = text.parse::<DateTime>().ok().and_then(|local| zone.to_timestamp(local).ok());
    let refused = || {
        BadInput::new(format!("--from: `{text}` is not a time"))
            .hint("write `2026-11-22T08:00:00Z`, or `2026-11-22 16:00` for the schedule's own zone")
    };
    Ok(local.ok_or_else(refused)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_moment(text: &str, expected: Option<&str>) {
        let zone = zones::database().get("Asia/Shanghai").unwrap();
        let found = moment(text, &zone).ok().map(|moment| moment.to_string());
        assert_eq!(found.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn moments_are_read_in_the_zone_unless_they_have_an_offset() {
        check_moment("2026-11-22T08:00:00Z", Some("2026-11-22T08:00:00Z"));
        check_moment("2026-11-22T08:00:00+01:00", Some("2026-11-22T07:00:00Z"));
        check_moment("2026-11-22 16:00", Some("2026-11-22T08:00:00Z"));
        check_moment("2026-11-22", Some("2026-11-21T16:00:00Z"));
        check_moment("tomorrow", None);
        check_moment("", None);
    }

    #[test]
    fn a_bad_expression_shows_the_place() {
        let error = parse("0 0 25 * * *", "UTC", &zones::database()).unwrap_err().to_string();
        assert!(error.ends_with("\n  0 0 25 * * *\n      ^"), "{error}");
    }
}
