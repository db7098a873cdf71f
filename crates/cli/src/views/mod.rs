//! What commands show, as plain data. The fields are stable: programs read them (`-o json`); texts and tables may change.
//! All instants are RFC 3339 in UTC.

pub(crate) mod agent;
pub(crate) mod app;
pub(crate) mod details;
pub(crate) mod doctor;
pub(crate) mod replica;
pub(crate) mod run;
pub(crate) mod scheduler;
pub(crate) mod settings;
mod strip;
mod table;
pub(crate) mod validation;

use jiff::Timestamp;
use serde::Serialize;

pub(crate) use self::table::{Table, Tone, cell};

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
