//! What commands show, made into text. As plain data, it comes from `tickmesh_client::views`, but for what only commands have.

mod agent;
mod app;
mod details;
pub(crate) mod doctor;
pub(crate) mod done;
pub(crate) mod event;
pub(crate) mod explanation;
mod replica;
pub(crate) mod revision;
mod run;
mod scheduler;
mod strip;
mod table;
pub(crate) mod validation;
pub(crate) mod version;

use jiff::Timestamp;
use serde::Serialize;
pub(crate) use tickmesh_client::views::Tone;

pub(crate) use self::table::{Table, cell, paint, painted};

/// Something that can be shown in every form.
pub(crate) trait View: Serialize {
    /// For people.
    fn text(&self, style: &Style) -> String;

    /// Names only.
    fn names(&self) -> Vec<String>;
}

/// How a text is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    /// How much there is to say.
    pub detail: Detail,
    /// What relative times are relative to.
    pub now: Timestamp,
}

/// How much there is to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// What fits a terminal.
    Normal,
    /// Everything.
    Wide,
}
