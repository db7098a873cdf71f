//! `tickmesh agent install` and `uninstall`: this host as a member of a mesh, with one command.
//!
//! The settings file says where NATS is, a unit of systemd runs the agent. Both are written as an administrator would: what the
//! file has besides stays, and a unit that a package brought is used as it is.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;
use tickmesh_core::name::AgentName;
use toml_edit::{Array, DocumentMut, Item, Table, value};

use super::Session;
use crate::{
    connect::MeshSource,
    exit::{BadInput, Exit, Missing},
    settings::{FILE_DEFAULT, file::SettingsFile},
    variables::assignment,
};

/// The unit, as it is in packages.
const UNIT_TEXT: &str = include_str!("../../../../config/systemd/tickmesh-agent.service");
/// Program of that unit.
const PROGRAM_OF_PACKAGE: &str = "/usr/bin/tickmesh";
const UNIT: &str = "tickmesh-agent.service";
/// Where packages bring units to.
const UNITS_OF_PACKAGES: [&str; 2] = ["lib/systemd/system", "usr/lib/systemd/system"];
/// Where an administrator puts units.
const UNITS_OF_HOST: &str = "etc/systemd/system";
/// Units of the package that a host which only runs jobs does not need.
const OTHER_UNITS: [&str; 3] = ["tickmesh-scheduler", "tickmesh-web", "tickmesh-nats"];

/// What `agent install` takes, beside where NATS is.
#[derive(Debug, clap::Args)]
pub(crate) struct InstallArgs {
    /// Name of the agent [default: the host's]
    #[arg(long, value_name = "NAME")]
    name: Option<AgentName>,
    /// Label that constraints can ask for; may be repeated
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = assignment)]
    labels: Vec<(String, String)>,
    /// Path of this host that containers may mount; may be repeated
    #[arg(long = "allow-path", value_name = "PATH")]
    host_paths: Vec<PathBuf>,
    /// Write settings and unit, and start nothing
    #[arg(long)]
    no_start: bool,
    /// Root of a host whose image is being built: nothing is started
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// What `agent uninstall` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct UninstallArgs {
    /// Root of a host whose image is being built: nothing is stopped
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
}

/// A host whose files are below a folder.
struct Host<'a> {
    session: &'a Session,
    root: &'a Path,
}

/// Writes settings and unit, and starts the agent.
pub(crate) fn install(session: &Session, args: &InstallArgs) -> anyhow::Result<Exit> {
    let host = Host { session, root: &args.root };
    let starts = !args.no_start && host.is_this_one();
    ensure_root(starts)?;
    host.write_settings(args)?;
    host.write_unit()?;
    if !starts {
        return Ok(Exit::Success);
    }
    host.systemctl(&["daemon-reload"])?;
    host.systemctl(&["enable", UNIT])?;
    host.systemctl(&["restart", UNIT])?;
    session.output.line(&format!("{UNIT} is enabled and started"))?;
    let others = OTHER_UNITS.into_iter().filter(|unit| is_active(unit));
    let others: Vec<&str> = others.collect();
    if !others.is_empty() {
        let list = others.join(" ");
        session.output.talk(&format!("this host runs {list}, too; if it needs none: systemctl disable --now {list}"));
    }
    session.output.talk("`tickmesh agents` lists it in some seconds; `journalctl -u tickmesh-agent` has its log");
    Ok(Exit::Success)
}

/// Stops the agent, and removes what was written. Its guard ends what still runs on this host.
pub(crate) fn uninstall(session: &Session, args: &UninstallArgs) -> anyhow::Result<Exit> {
    let host = Host { session, root: &args.root };
    ensure_root(host.is_this_one())?;
    if host.is_this_one() {
        host.systemctl(&["disable", "--now", UNIT])?;
        session.output.line(&format!("{UNIT} is stopped and disabled"))?;
    }
    let unit = host.root.join(UNITS_OF_HOST).join(UNIT);
    match fs::read_to_string(&unit) {
        Ok(text) if text.starts_with(MARK) => {
            fs::remove_file(&unit).with_context(|| format!("failed to remove {}", unit.display()))?;
            session.output.line(&format!("{} removed", unit.display()))?;
        }
        Ok(_) => session.output.talk(&format!("{} is not of `tickmesh agent install`, and stays", unit.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("failed to read {}", unit.display())),
    }
    if host.is_this_one() {
        host.systemctl(&["daemon-reload"])?;
    }
    session
        .output
        .talk("what still runs here is ended within 45 s; `tickmesh agent forget NAME` takes the host off the list");
    Ok(Exit::Success)
}

/// First line of a unit that this command wrote.
const MARK: &str = "# Written by `tickmesh agent install`, and removed by `tickmesh agent uninstall`.\n";

impl Host<'_> {
    /// Whether the files are those that this machine runs from.
    fn is_this_one(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Puts what was said into the settings, and leaves the rest of the file alone.
    fn write_settings(&self, args: &InstallArgs) -> anyhow::Result<()> {
        let path = self.root.join(FILE_DEFAULT.trim_start_matches('/'));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
        };
        let changed = self.settings(&text, args).with_context(|| format!("cannot change {}", path.display()))?;
        if changed == text {
            return self.session.output.line(&format!("{} is as it should be", path.display()));
        }
        let folder = path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
        write_whole(&path, &changed)?;
        SettingsFile::read(Some(&path))?.ensure_valid("agent")?;
        self.session.output.line(&format!("{} written", path.display()))
    }

    fn settings(&self, text: &str, args: &InstallArgs) -> anyhow::Result<String> {
        let mesh = &self.session.mesh;
        let mut document: DocumentMut = text.parse()?;
        if is_told(&mesh.sources.url) {
            if mesh.shown_url() != mesh.url {
                let problem = "the address has a login in it, and settings can be read by everybody on this host";
                let hint = "write the password or token into a file, and say --nats-user and --nats-password-file, or --nats-token-file";
                return Err(BadInput::new(problem).hint(hint).into());
            }
            set(&mut document, "mesh", "nats", value(&mesh.url))?;
        }
        if is_told(&mesh.sources.namespace) {
            set(&mut document, "mesh", "namespace", value(mesh.namespace.as_str()))?;
        }
        for (key, stated) in &mesh.login_parts.0 {
            if mesh.sources.login.get(key).is_some_and(is_told) {
                set(&mut document, "mesh", key.name(), value(stated))?;
            }
        }
        if let Some(name) = &args.name {
            set(&mut document, "agent", "name", value(name.as_str()))?;
        }
        let labels: Array = args.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let paths: Array = args.host_paths.iter().map(|path| path.display().to_string()).collect();
        for (key, list) in [("label", labels), ("allow_path", paths)] {
            if !list.is_empty() {
                set(&mut document, "agent", key, value(list))?;
            }
        }
        Ok(document.to_string())
    }

    /// Writes a unit, unless a package brought one.
    fn write_unit(&self) -> anyhow::Result<()> {
        let of_package =
            UNITS_OF_PACKAGES.iter().map(|folder| self.root.join(folder).join(UNIT)).find(|it| it.exists());
        if let Some(path) = of_package {
            return self.session.output.line(&format!("{} is used", path.display()));
        }
        let program = std::env::current_exe().context("failed to find this program")?;
        let path = self.root.join(UNITS_OF_HOST).join(UNIT);
        let folder = self.root.join(UNITS_OF_HOST);
        fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        write_whole(&path, &unit_of(&program))?;
        self.session.output.line(&format!("{} written, for {}", path.display(), program.display()))
    }

    fn systemctl(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let line = format!("systemctl {}", arguments.join(" "));
        let output = Command::new("systemctl").args(arguments).output();
        let output = output.map_err(|error| {
            Missing::new(format!("cannot run `{line}`: {error}"), "write the files only, with --no-start")
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(anyhow::anyhow!("`{line}` failed: {}", said.trim()))
    }
}

/// The unit with the program that is installed on this host.
fn unit_of(program: &Path) -> String {
    format!("{MARK}{}", UNIT_TEXT.replace(PROGRAM_OF_PACKAGE, &program.display().to_string()))
}

fn is_active(unit: &str) -> bool {
    Command::new("systemctl").args(["is-active", "--quiet", unit]).status().is_ok_and(|status| status.success())
}

/// What the file says already, and what is the default anyway, need not be written.
fn is_told(source: &MeshSource) -> bool {
    match source {
        MeshSource::Flag(_) | MeshSource::Variable(_) | MeshSource::Context(_) => true,
        MeshSource::File(_) | MeshSource::Default => false,
    }
}

fn set(document: &mut DocumentMut, section: &str, key: &str, value: Item) -> anyhow::Result<()> {
    let table = document.entry(section).or_insert_with(|| Item::Table(Table::new()));
    let table = table.as_table_like_mut().with_context(|| format!("`{section}` is no section"))?;
    table.insert(key, value);
    Ok(())
}

/// Writes a file in one step: a process that starts just then reads the old one or the new one.
/// A file that is there keeps its owner and its mode: it may have been closed to others.
fn write_whole(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let before = fs::metadata(path).ok();
        let mode = before.as_ref().map_or(0o644, |before| before.permissions().mode());
        let mut file = tempfile::Builder::new().permissions(fs::Permissions::from_mode(mode)).tempfile_in(folder)?;
        if let Some(before) = before {
            fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
        }
        io::Write::write_all(&mut file, text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    };
    written().with_context(|| format!("failed to write {}", path.display()))
}

fn ensure_root(is_needed: bool) -> anyhow::Result<()> {
    if is_needed && !rustix::process::geteuid().is_root() {
        return Err(BadInput::new("this changes units of the system").hint("type it as root, with sudo say").into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_starts_the_program_that_is_installed() {
        let unit = unit_of(Path::new("/opt/tickmesh"));
        assert!(unit.contains("\nExecStart=/opt/tickmesh agent\n"), "{unit}");
        assert!(unit.starts_with(MARK) && unit.contains("\nKillMode=process\n"));
    }
}
