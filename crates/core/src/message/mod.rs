//! What travels between the parts of a mesh. Plain data; `tickmesh-messaging` knows the subjects and puts it on the wire.
//!
//! Every message and record carries [`SCHEMA`], so that a reader of another release can tell what it reads.

mod agent;
mod app;
mod command;
mod event;
mod limits;
mod log;
mod notice;
mod order;
mod report;
mod stock;
mod tick;

pub use agent::{
    AgentRecord, Awaited, Capacity, ENGINE_REASON_CHARS_MAX, EngineTrouble, HeartbeatNumber, MachineDigest, MachineId,
    PREPARING_MAX, Preparation, PullProgress,
};
pub use app::{AppRecord, AppSource};
pub use command::{Command, CommandKind, RunRequest};
pub use event::MeshEvent;
pub use limits::{ARGUMENTS_BYTES_MAX, BY_BYTES_MAX, ENVIRONMENT_BYTES_MAX, TooMuch};
pub use log::{LogBatch, LogBytes, LogChunk, LogExtent, LogGap, LogMark, LogMarks, LogStream};
pub use notice::{AppNotice, NoticeRecord};
pub use order::{Order, OrderKind, StartOrder};
pub use report::{AttemptEvent, AttemptReport, Revoker};
pub use stock::{EngineStock, STOCK_BYTES_MAX};
pub use tick::{Admission, DiscardReason, DropReason, SkipReason, TickRecord};

/// Version of all stored records and messages.
pub const SCHEMA: u32 = 1;
