//! Everything that tickmesh does on NATS: names, streams, the lease, and the bytes on the wire.
//!
//! [`Mesh`] is the way in. Behind it there are five kinds of stores, each a JetStream stream:
//!
//! | kind | streams | written by |
//! |---|---|---|
//! | [`Bucket`] | `apps`, `ledger`, `agents`, `lease` | compare-and-set on a key |
//! | [`Journal`] | `ticks`, `history` | compare-and-set on an app's subject, the last ten are kept |
//! | [`Results`] | `results` | compare-and-set on an attempt's subject |
//! | [`Commands`] | `commands` | anybody, confirmed by the leader |
//! | [`Orders`], [`Logs`], [`Events`] | `orders`, `logs`, `mesh` | anybody, lost or repeated without harm |
//!
//! Three rules hold throughout. Every call ends: what NATS does not answer in time is [`Error::Unavailable`], and the outcome
//! of a write is then unknown. A compare-and-set is never reported as lost before another writer's record was read from the
//! stream's leader. And whoever follows a store sees every message once, in order, over any number of reconnects.

mod address;
mod agent_wishes;
mod bucket;
mod commands;
mod compare_and_set;
mod connect;
mod copies;
mod denials;
mod direct;
mod edits;
mod error;
mod events;
mod first_look;
mod follow;
mod journal;
pub mod lease;
mod limits;
mod listing;
mod login;
mod logs;
mod marks;
mod mesh;
mod names;
mod nodes;
mod notices;
mod orders;
mod record;
mod results;
mod revisions;
mod room;
mod schedulers;
mod servers;
mod snapshot;
mod store;
mod streams;
mod topology;
mod trial;
mod wire;

pub use crate::{
    address::{AttemptAddress, ContainerAddress, InvalidAddress},
    bucket::{Bucket, Change},
    commands::{Commands, Delivery},
    compare_and_set::{Cas, Judgement, judge},
    connect::{ConnectOptions, redacted},
    copies::{CopiesState, PeerCopy, StoreUse, StreamCopies},
    edits::{Current, Edit, Edits, UNFOLDED_EDITS_MAX},
    error::{Error, Unreadable, chain},
    events::Events,
    follow::Following,
    journal::{Journal, Start},
    lease::LeaseRecord,
    limits::BODY_BYTES_MAX,
    listing::{Listing, UnreadableRecord},
    login::{Login, Proof, Secret, Tls},
    logs::{LogNews, Logs},
    mesh::{DURABLE_STREAMS, Mesh, StreamSize},
    names::{LEASE_KEY, LogFilter, Names, RunSelector, StreamKind},
    nodes::{NodeSeen, NodeState, look_at_nodes},
    notices::NoticePosition,
    orders::{ForAgent, Orders},
    record::Record,
    results::Results,
    schedulers::{
        Reply, SchedulerCard, SchedulerRequest, SchedulerRole, Schedulers, StoreLost, WishReply, WishRequest,
    },
    snapshot::StreamShape,
    streams::{Founding, StreamsThere, founding, is_store_lost},
    topology::{ORDER_AGE, Provisioning},
    trial::WriteTrial,
    wire::Entry,
};
