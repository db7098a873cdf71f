//! What people and programs are shown, as plain data. The fields are stable: programs read them (`-o json`, the HTTP API); texts
//! may change. All instants are RFC 3339 in UTC.

pub mod agent;
pub mod app;
pub mod attempt;
pub mod details;
pub mod event;
pub mod filter;
pub mod replica;
pub mod run;
pub mod scheduler;
pub mod settings;
pub mod tone;
pub mod validation;

pub use self::tone::Tone;
