//! A map under construction: finds keys that appear twice, and carries out `<<`.

use std::{
    collections::{BTreeMap, btree_map},
    rc::Rc,
};

use super::{
    super::{
        diagnostic::Position,
        report::{Place, Report, quote},
    },
    tree::{Entry, Key, Node, Style, Value},
};

/// A map that is not complete yet.
#[derive(Debug, Default)]
pub(super) struct OpenMapping {
    entries: Vec<Entry>,
    places: BTreeMap<String, Position>,
    merged: Vec<Rc<Node>>,
    /// The key whose value comes next.
    key: Option<(Key, Style)>,
}

impl OpenMapping {
    /// Takes the next key or value; says so if a collection was given for a key.
    pub(super) fn take(&mut self, node: Rc<Node>, report: &mut Report) -> Result<(), KeyIsNoText> {
        match (self.key.take(), &node.value) {
            (Some((key, style)), _) => self.insert(key, style, node, report),
            (None, Value::Scalar(scalar)) => {
                self.key = Some((Key { text: scalar.text.clone(), position: node.position }, scalar.style));
            }
            (None, Value::Sequence(_) | Value::Mapping(_)) => return Err(KeyIsNoText),
        }
        Ok(())
    }

    /// The entries: those written here, then those merged in. A key written here wins, and so does the earlier map of two.
    pub(super) fn close(mut self) -> Vec<Entry> {
        for source in self.merged {
            let Value::Mapping(entries) = &source.value else { continue };
            for entry in entries {
                if let btree_map::Entry::Vacant(place) = self.places.entry(entry.key.text.clone()) {
                    place.insert(entry.key.position);
                    self.entries.push(entry.clone());
                }
            }
        }
        self.entries
    }

    fn insert(&mut self, key: Key, style: Style, value: Rc<Node>, report: &mut Report) {
        if let Some(first) = self.places.get(&key.text) {
            let message = format!("the key {} appears twice in one map", quote(&key.text));
            let hint = format!("the first is at line {}, column {}", first.line, first.column);
            report.error_with_hint(Place { position: key.position, path: String::new() }, message, hint);
            return;
        }
        self.places.insert(key.text.clone(), key.position);
        if key.text == "<<" && style == Style::Plain {
            self.merge(&key, value, report);
        } else {
            self.entries.push(Entry { key: Rc::new(key), value });
        }
    }

    fn merge(&mut self, key: &Key, value: Rc<Node>, report: &mut Report) {
        let is_mapping = |node: &Node| matches!(node.value, Value::Mapping(_));
        match &value.value {
            Value::Mapping(_) => self.merged.push(value),
            Value::Sequence(items) if items.iter().all(|item| is_mapping(item)) => {
                self.merged.extend(items.iter().cloned())
            }
            Value::Scalar(_) | Value::Sequence(_) => {
                let place = Place { position: key.position, path: String::new() };
                report.error(place, "`<<` takes a map or a list of maps, usually as aliases such as `*common`");
            }
        }
    }
}

/// A list or map was written where a key belongs.
#[derive(Debug)]
pub(super) struct KeyIsNoText;
