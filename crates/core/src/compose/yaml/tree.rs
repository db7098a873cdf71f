//! The tree, and walking it with the path of keys at hand.

use std::rc::Rc;

use super::super::{diagnostic::Position, report::Place};

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    /// Where it begins; for what an alias stands for, where it was defined.
    pub(crate) position: Position,
    pub(crate) value: Value,
    /// What it does to the value of a file that it is merged with.
    pub(crate) tag: MergeTag,
    /// Whether it, or anything in it, has such a tag.
    has_tags: bool,
    /// What it costs to repeat it.
    pub(super) weight: Weight,
}

/// What a node holds.
#[derive(Debug)]
pub(crate) enum Value {
    /// A text.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// A map, in the order of the file.
    Mapping(Vec<Entry>),
}

/// A text as it was written, after YAML's quoting and folding.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// How it was written.
    pub(crate) style: Style,
    /// Where its first character is, if its characters stand in the file one by one, so that a place in the text is a
    /// place in the file.
    pub(crate) verbatim_at: Option<Position>,
    /// Whether its variables are replaced already.
    pub(crate) is_replaced: bool,
}

/// A tag by which a value replaces that of an earlier file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum MergeTag {
    /// Both are merged.
    #[default]
    None,
    /// `!reset`: neither value counts.
    Reset,
    /// `!override`: only this value counts.
    Override,
}

/// How a scalar was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// As it is: may mean null.
    Plain,
    /// In quotes, as a block, or marked `!!str`: text for sure.
    Quoted,
}

impl Scalar {
    /// Whether the scalar is YAML's null.
    pub(crate) fn is_null(&self) -> bool {
        self.style == Style::Plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Rc<Key>,
    pub(crate) value: Rc<Node>,
}

/// The key of a map.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) text: String,
    /// Where it is.
    pub(crate) position: Position,
}

/// What a node costs, all that is in it included.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weight {
    /// Number of values and keys.
    pub(super) nodes: usize,
    /// Bytes of text.
    pub(super) bytes: usize,
    /// Levels of collections.
    pub(super) depth: usize,
}

impl Node {
    pub(crate) fn new(position: Position, value: Value) -> Self {
        let mut weight = Weight { nodes: 1, ..Weight::default() };
        match &value {
            Value::Scalar(scalar) => weight.bytes = scalar.text.len(),
            Value::Sequence(items) => items.iter().for_each(|item| weight.hold(item.weight)),
            Value::Mapping(entries) => {
                for entry in entries {
                    weight.nodes += 1;
                    weight.bytes += entry.key.text.len();
                    weight.hold(entry.value.weight);
                }
            }
        }
        let has_tags = match &value {
            Value::Scalar(_) => false,
            Value::Sequence(items) => items.iter().any(|item| item.has_tags),
            Value::Mapping(entries) => entries.iter().any(|entry| entry.value.has_tags),
        };
        Self { position, value, weight, tag: MergeTag::None, has_tags }
    }

    /// The value with a tag.
    pub(super) fn tagged(self, tag: MergeTag) -> Self {
        Self { tag, has_tags: self.has_tags || tag != MergeTag::None, ..self }
    }

    /// Whether it, or anything in it, has a tag for merging.
    pub(crate) fn has_tags(&self) -> bool {
        self.has_tags
    }

    /// Number of values and keys, those that aliases repeat counted again.
    pub(crate) fn values(&self) -> usize {
        self.weight.nodes
    }

    /// Whether it is YAML's null.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// What sort of value it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => "empty",
            Value::Scalar(_) => "a text",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a map",
        }
    }
}

impl Weight {
    fn hold(&mut self, part: Self) {
        self.nodes += part.nodes;
        self.bytes += part.bytes;
        self.depth = self.depth.max(part.depth + 1);
    }
}

/// A node and the path that led to it.
#[derive(Debug, Clone)]
pub(crate) struct Item<'t> {
    pub(crate) node: &'t Node,
    /// The keys that lead to it, joined by dots.
    pub(crate) path: String,
}

impl<'t> Item<'t> {
    /// The tree itself.
    pub(crate) fn root(node: &'t Node) -> Self {
        Self { node, path: String::new() }
    }

    /// The value of an entry of this map.
    pub(crate) fn child(&self, entry: &'t Entry) -> Self {
        Self { node: &entry.value, path: self.path_to(&entry.key) }
    }

    /// An item of this list.
    pub(crate) fn element(&self, index: usize, node: &'t Node) -> Self {
        Self { node, path: format!("{}[{index}]", self.path) }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        Place { position: self.node.position, path: self.path.clone() }
    }

    /// Where a key of this map is.
    pub(crate) fn key_place(&self, key: &Key) -> Place {
        Place { position: key.position, path: self.path_to(key) }
    }

    /// The text of a scalar as it was written, with variables that are not replaced.
    pub(crate) fn scalar(&self) -> Option<&'t str> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// Whether there is no value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.node.value, Value::Scalar(scalar) if scalar.is_null())
    }

    fn path_to(&self, key: &Key) -> String {
        /// Longer keys are not names, and a path is made for every value: its length has to have a limit.
        const KEY_CHARACTERS_MAX: usize = 64;
        let mut path = self.path.clone();
        if !path.is_empty() {
            path.push('.');
        }
        path.extend(key.text.chars().take(KEY_CHARACTERS_MAX));
        path
    }
}
