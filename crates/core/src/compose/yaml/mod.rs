//! YAML as a tree of places and raw scalars.
//!
//! A compose file is not read through serde: a typed reader stops at the first error, loses positions behind maps that may
//! also be lists, and turns `05`, `yes` and `1.50` into numbers and booleans before anybody knows what they are for. Here
//! every scalar stays the text that was written, with its place, and what it means is decided by who asks for it.

mod build;
mod merge;
mod parse;
mod tree;

pub(super) use parse::parse;
pub(super) use tree::{Entry, Item, Key, MergeTag, Node, Scalar, Style, Value};

/// Largest compose file. It is stored as it is, and a message of NATS has to hold it.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// Most values that a file may have, those that aliases repeat counted again: ten times the largest sensible file.
pub(super) const NODES_MAX: usize = 20_000;
/// Most text that a file may have, that which aliases repeat counted again.
const TEXT_BYTES_MAX: usize = 1024 * 1024;
/// Deepest nesting. Compose needs seven levels; more is an attack on whoever walks the tree.
const DEPTH_MAX: usize = 32;
