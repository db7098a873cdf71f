//! `tickmesh config`: which settings count on this host, and where they come from.

use clap::{ArgMatches, parser::ValueSource};
use serde::Serialize;

use super::Session;
use crate::{
    connect::MeshSource,
    exit::Exit,
    login::LoginKey,
    output::FormatArgs,
    settings::{
        self, FileFlag,
        file::SettingsFile,
        keys::{self, Key, MESH, SECTIONS},
        template,
    },
    views::{Style, Table, Tone, View, cell},
};

/// What `config` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these sections: mesh, scheduler, agent, web, up
    #[arg(value_name = "SECTION", value_parser = [MESH, SECTIONS[0], SECTIONS[1], SECTIONS[2], SECTIONS[3]])]
    sections: Vec<String>,
    /// Print a file with every key, its default and its meaning
    #[arg(long, conflicts_with = "sections")]
    defaults: bool,
    #[command(flatten)]
    form: FormatArgs,
}

/// Shows what counts, or the file with all defaults.
pub(crate) fn run(session: &Session, file: &FileFlag, args: &Args) -> anyhow::Result<Exit> {
    if args.defaults {
        session.output.raw(template::text().as_bytes())?;
        return Ok(Exit::Success);
    }
    let file = SettingsFile::read(file.config.as_ref())?;
    file.ensure_all_valid()?;
    let mut settings = of_mesh(session);
    for section in SECTIONS {
        settings.extend(of_section(section, &file)?);
    }
    settings.retain(|setting| args.sections.is_empty() || args.sections.contains(&setting.section));
    session.output.show(&SettingsView(settings), args.form.format)?;
    Ok(Exit::Success)
}

fn of_mesh(session: &Session) -> Vec<Setting> {
    let setting = |(name, value): (&str, Option<String>), source: &MeshSource| Setting {
        section: MESH.to_owned(),
        key: name.to_owned(),
        values: value.into_iter().collect(),
        from: source.to_string(),
    };
    let (mesh, sources) = (&session.mesh, &session.mesh.sources);
    let address = [
        setting(("nats", Some(mesh.shown_url())), &sources.url),
        setting(("namespace", Some(mesh.namespace.to_string())), &sources.namespace),
    ];
    let login = LoginKey::ALL.into_iter().map(|key| {
        let stated = mesh.login_parts.0.get(&key).cloned();
        setting((key.name(), stated), sources.login.get(&key).unwrap_or(&MeshSource::Default))
    });
    address.into_iter().chain(login).collect()
}

/// What a process that is started now, without flags, would go by.
fn of_section(section: &'static str, file: &SettingsFile) -> anyhow::Result<Vec<Setting>> {
    let command = keys::with_settings(settings::command(), section, file)?;
    let matches = command.try_get_matches_from(["tickmesh", section])?;
    let Some(matches) = matches.subcommand_matches(section) else { return Ok(Vec::new()) };
    keys::of(section).into_iter().map(|key| setting(section, &key, matches, file)).collect()
}

fn setting(section: &str, key: &Key, matches: &ArgMatches, file: &SettingsFile) -> anyhow::Result<Setting> {
    let id = key.argument.get_id().as_str();
    let raw = matches.try_get_raw(id)?.into_iter().flatten();
    let values = raw.map(|value| value.to_string_lossy().into_owned()).collect();
    let by_variable =
        matches.value_source(id) == Some(ValueSource::EnvVariable) || key.is_list() && key.is_in_environment()?;
    let from = match file.place(section, &key.name) {
        _ if by_variable => key.variable.clone(),
        Some(place) => place,
        None => "default".to_owned(),
    };
    Ok(Setting { section: section.to_owned(), key: key.name.clone(), values, from })
}

/// One key, and what counts of it.
#[derive(Debug, Serialize)]
struct Setting {
    section: String,
    key: String,
    /// Several where the flag may be repeated; none: there is no value.
    values: Vec<String>,
    /// `default`, the variable, the option, the context, or file and line.
    from: String,
}

/// All that counts.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct SettingsView(Vec<Setting>);

impl View for SettingsView {
    fn text(&self, _style: &Style) -> String {
        let mut table = Table::new(["KEY", "VALUE", "FROM"]);
        for Setting { section, key, values, from } in &self.0 {
            let value = if values.is_empty() { "-".to_owned() } else { values.join(", ") };
            table.row(vec![
                cell(format!("{section}.{key}"), Tone::Plain),
                cell(value, Tone::Plain),
                cell(from, Tone::Plain),
            ]);
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|Setting { section, key, .. }| format!("{section}.{key}")).collect()
    }
}
