//! `tickmesh context`: which meshes there are for this user, and which one commands talk to.

use std::collections::BTreeMap;

use serde::Serialize;
use tickmesh_core::name::Namespace;
use tickmesh_messaging::redacted;

use super::Session;
use crate::{
    connect::NAMESPACE_DEFAULT,
    contexts::{Contexts, Place},
    exit::Exit,
    output::FormatArgs,
    views::{Style, Table, Tone, View, cell},
};

/// What `context` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What can be done with contexts.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the contexts
    #[command(alias = "list")]
    Ls(ListArgs),
    /// Make a context the current one
    #[command(aliases = ["switch", "set"])]
    Use(NameArgs),
    /// Add a context, or change one
    #[command(alias = "create")]
    Add(AddArgs),
    /// Remove a context
    #[command(aliases = ["remove", "delete"])]
    Rm(NameArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[command(flatten)]
    form: FormatArgs,
}

#[derive(Debug, clap::Args)]
struct NameArgs {
    /// Name of the context
    #[arg(add = crate::completion::contexts())]
    name: String,
}

#[derive(Debug, clap::Args)]
struct AddArgs {
    /// Name of the context
    name: String,
}

/// One context.
#[derive(Debug, Serialize)]
struct ContextView {
    name: String,
    current: bool,
    nats: String,
    namespace: String,
    #[serde(flatten)]
    login: BTreeMap<&'static str, String>,
}

/// All contexts.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ContextsView(Vec<ContextView>);

impl View for ContextsView {
    fn text(&self, _style: &Style) -> String {
        let mut table = Table::new(vec!["CURRENT", "NAME", "NATS", "NAMESPACE", "LOGIN"]);
        for context in &self.0 {
            let parts: Vec<String> = context.login.iter().map(|(key, stated)| format!("{key} {stated}")).collect();
            let login = if parts.is_empty() { "-".to_owned() } else { parts.join(", ") };
            table.row(vec![
                cell(if context.current { "*" } else { "" }, Tone::Good),
                cell(&context.name, Tone::Plain),
                cell(redacted(&context.nats), Tone::Plain),
                cell(&context.namespace, Tone::Plain),
                cell(login, Tone::Plain),
            ]);
        }
        table.into_text()
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|context| context.name.clone()).collect()
    }
}

/// Lists or changes the user's contexts. No mesh is asked.
pub(crate) fn run(session: &Session, args: &Args) -> anyhow::Result<Exit> {
    let mut contexts = Contexts::read()?;
    match &args.action {
        Action::Ls(args) => session.output.show(&list(&contexts)?, args.form.format)?,
        Action::Use(NameArgs { name }) => {
            contexts.choose(name)?;
            session.output.talk(&format!("context {name} is current"));
        }
        Action::Add(AddArgs { name }) => {
            contexts.set(name, &place_of(session))?;
            session.output.talk(&format!("context {name} added: {}", session.mesh.shown_url()));
        }
        Action::Rm(NameArgs { name }) => {
            contexts.remove(name)?;
            session.output.talk(&format!("context {name} removed"));
        }
    }
    Ok(Exit::Success)
}

/// The mesh of the options, as a context keeps it.
fn place_of(session: &Session) -> Place {
    let mesh = &session.mesh;
    let namespace = Some(mesh.namespace.clone()).filter(|namespace| namespace.as_str() != NAMESPACE_DEFAULT);
    Place { nats: mesh.url.clone(), namespace, login: mesh.login_parts.clone() }
}

fn list(contexts: &Contexts) -> anyhow::Result<ContextsView> {
    let mut views = Vec::new();
    for name in contexts.names() {
        let Place { nats, namespace, login } = contexts.place(name)?;
        let namespace = namespace.as_ref().map_or(NAMESPACE_DEFAULT, Namespace::as_str).to_owned();
        let current = contexts.current() == Some(name);
        views.push(ContextView {
            name: name.to_owned(),
            current,
            nats,
            namespace,
            login: login.0.into_iter().map(|(key, stated)| (key.name(), stated)).collect(),
        });
    }
    Ok(ContextsView(views))
}
