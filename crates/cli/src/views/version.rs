//! The build of this program, and those of the members of a mesh.

use serde::Serialize;
use tickmesh_client::views::Tone;
use tickmesh_core::build::Build;

use super::{Style, Table, View, cell, paint, painted};

/// The build of this program, and those of the members of a mesh.
#[derive(Debug, Serialize)]
pub(crate) struct VersionView {
    /// Version and commit in one word, as members of a mesh tell it.
    pub build: String,
    /// Its version.
    pub version: String,
    /// Its commit, if the program was built from its repository or by a packager who named it.
    pub commit: Option<String>,
    /// The members of the mesh; absent where none was asked or reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<MemberBuild>>,
}

/// The build of a member of a mesh.
#[derive(Debug, Serialize)]
pub(crate) struct MemberBuild {
    /// `scheduler` or `agent`.
    pub member: &'static str,
    /// Host of the scheduler, or name of the agent.
    pub name: String,
    /// Id of the scheduler's process: a host may have several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its build.
    pub build: String,
}

impl VersionView {
    /// The view of a build.
    pub(crate) fn of(build: &Build) -> Self {
        Self {
            build: build.to_string(),
            version: build.version().to_owned(),
            commit: build.commit().map(str::to_owned),
            members: None,
        }
    }
}

impl View for VersionView {
    fn text(&self, _style: &Style) -> String {
        let mut text = format!("tickmesh {}\n", self.build);
        let Some(members) = self.members.as_deref().filter(|members| !members.is_empty()) else { return text };
        let mut table = Table::new(["MEMBER", "NAME", "BUILD"]);
        for MemberBuild { member, name, build, .. } in members {
            // A build that differs is what somebody who upgrades looks for.
            let tone = if *build == self.build { Tone::Plain } else { Tone::Unsure };
            table.row(vec![cell(member, Tone::Plain), cell(name, Tone::Plain), painted(paint(tone, build))]);
        }
        text.push('\n');
        text.push_str(&table.into_text());
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.build.clone()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_without_a_commit_is_the_version_alone() {
        let shown = |name: &str| serde_json::to_value(VersionView::of(&Build::new(name))).unwrap();
        assert_eq!(shown("0.1.0")["commit"], serde_json::Value::Null);
        assert_eq!(shown("0.1.0+a7154bc98ea3")["commit"], "a7154bc98ea3");
        assert_eq!(shown("0.1.0+a7154bc98ea3")["version"], "0.1.0");
    }

    #[test]
    fn members_are_listed_below_this_program() {
        let member = |member, name: &str, build: &str| MemberBuild {
            member,
            name: name.to_owned(),
            id: None,
            build: build.to_owned(),
        };
        let members = vec![member("scheduler", "nats-1", "0.2.0+b"), member("agent", "host-1", "0.1.0+a")];
        let view = VersionView { members: Some(members), ..VersionView::of(&Build::new("0.1.0+a")) };
        let style = Style { detail: super::super::Detail::Normal, now: jiff::Timestamp::UNIX_EPOCH };
        let text = anstream::adapter::strip_str(&view.text(&style)).to_string();
        let table = "MEMBER     NAME    BUILD\nscheduler  nats-1  0.2.0+b\nagent      host-1  0.1.0+a\n";
        assert_eq!(text, format!("tickmesh 0.1.0+a\n\n{table}"));
    }
}
