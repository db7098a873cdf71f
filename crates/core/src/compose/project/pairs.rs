//! The shapes in which compose takes one thing, made one: lists of `KEY=VALUE` as maps, lists of
//! names as maps of them; and what makes two items of a list one. Variables are replaced first, as
//! docker compose does it.

use std::rc::Rc;

use super::{
    super::{
        reader::Reader,
        yaml::{Entry, Item, Key, Node, Scalar, Style, Value},
    },
    paths,
    rules::Identity,
};

/// A list of `KEY=VALUE` as a map. Anything else stays.
pub(super) fn of_assignments(reader: &mut Reader<'_>, node: &Rc<Node>, path: &[String]) -> Rc<Node> {
    of_list(reader, node, path, |text| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    })
}

/// A list of names as a map of them. Anything else stays.
pub(super) fn of_names(reader: &mut Reader<'_>, node: &Rc<Node>, path: &[String]) -> Rc<Node> {
    of_list(reader, node, path, |text| (text.to_owned(), None))
}

fn of_list(
    reader: &mut Reader<'_>,
    node: &Rc<Node>,
    path: &[String],
    pair: impl Fn(&str) -> (String, Option<String>),
) -> Rc<Node> {
    let Value::Sequence(items) = &node.value else { return node.clone() };
    let list = Item { node, path: path.join(".") };
    let mut entries: Vec<Entry> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(text) = reader.text(&list.element(index, item)) else { continue };
        let (name, value) = pair(&text.value);
        let value = match value {
            Some(text) => Scalar { text, style: Style::Quoted, verbatim_at: None, is_replaced: true },
            None => Scalar { text: String::new(), style: Style::Plain, verbatim_at: None, is_replaced: true },
        };
        let value = Rc::new(Node::new(item.position, Value::Scalar(value)));
        let key = Rc::new(Key { text: name, position: item.position });
        // In a list, too, the last one counts.
        entries.retain(|entry| entry.key.text != key.text);
        entries.push(Entry { key, value });
    }
    Rc::new(Node::new(node.position, Value::Mapping(entries)))
}

/// What makes an item of a list the one that it is. `None`: it is like no other.
pub(super) fn identity(reader: &mut Reader<'_>, item: &Node, identity: Identity) -> Option<String> {
    let keys: &[&str] = match identity {
        Identity::Whole => &[],
        Identity::Target => &["target"],
        Identity::Grant => &["target", "source"],
        Identity::Path => &["path"],
    };
    let text = match &item.value {
        Value::Scalar(scalar) => reader.replaced(scalar, item.position.source)?,
        Value::Mapping(entries) => {
            let mut found = keys.iter().filter_map(|key| entries.iter().find(|entry| entry.key.text == *key));
            let Value::Scalar(scalar) = &found.next()?.value.value else { return None };
            return reader.replaced(scalar, item.position.source).map(|text| paths::join("", &text));
        }
        Value::Sequence(_) => return None,
    };
    match identity {
        Identity::Whole | Identity::Grant | Identity::Path => Some(text),
        Identity::Target => {
            let mut parts = text.split(':');
            let first = parts.next().unwrap_or_default();
            Some(paths::join("", parts.next().unwrap_or(first)))
        }
    }
}
