//! Merges two trees: of files, or of a service and the one that it extends. What only one of them
//! has is shared, not copied.

use std::rc::Rc;

use super::{
    super::{
        reader::Reader,
        report::Place,
        yaml::{Entry, Key, MergeTag, NODES_MAX, Node, Scalar, Value},
    },
    pairs,
    rules::{Identity, Rule, rule},
};

/// Merges trees, and counts what that costs.
#[derive(Debug)]
pub(super) struct Merger<'r, 'f> {
    pub(super) reader: &'r mut Reader<'f>,
    /// Entries and items that were copied so far, of all merges of the app.
    spent: usize,
    is_spent: bool,
}

/// Entries and items that merging may copy: as many as walking the largest tree a few times. Ten
/// thousand services that extend a large one are refused when it is spent.
const COPIES_MAX: usize = 10 * NODES_MAX;

impl<'r, 'f> Merger<'r, 'f> {
    pub(super) fn new(reader: &'r mut Reader<'f>) -> Self {
        Self { reader, spent: 0, is_spent: false }
    }

    /// The tree of both, in which `later` wins. `path` leads to both.
    pub(super) fn merge(&mut self, earlier: &Rc<Node>, later: &Rc<Node>, path: &mut Vec<String>) -> Rc<Node> {
        match later.tag {
            MergeTag::None => {}
            // Whoever walks the tree in the end takes out what is reset.
            MergeTag::Reset | MergeTag::Override => return later.clone(),
        }
        if later.is_null() {
            return earlier.clone();
        }
        if earlier.is_null() {
            return later.clone();
        }
        let keys: Vec<&str> = path.iter().map(String::as_str).collect();
        match rule(&keys) {
            Rule::Later => later.clone(),
            Rule::Deep => self.deep(earlier, later, path),
            Rule::LaterForm => match (&earlier.value, &later.value) {
                (Value::Mapping(_), Value::Mapping(_)) => self.deep(earlier, later, path),
                (Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_), _) => later.clone(),
            },
            Rule::Short(key) => {
                let earlier = in_map(earlier, key);
                let later = in_map(later, key);
                self.deep(&earlier, &later, path)
            }
            Rule::Names => {
                let earlier = pairs::of_names(self.reader, earlier, path);
                let later = pairs::of_names(self.reader, later, path);
                self.deep(&earlier, &later, path)
            }
            Rule::Pairs => {
                if !is_map(earlier) || !is_map(later) {
                    let earlier = pairs::of_assignments(self.reader, earlier, path);
                    let later = pairs::of_assignments(self.reader, later, path);
                    return self.pairs(&earlier, &later);
                }
                self.pairs(earlier, later)
            }
            Rule::List(identity) => self.list(earlier, later, identity, path),
        }
    }

    fn deep(&mut self, earlier: &Rc<Node>, later: &Rc<Node>, path: &mut Vec<String>) -> Rc<Node> {
        match (&earlier.value, &later.value) {
            (Value::Scalar(_), Value::Scalar(_)) => later.clone(),
            (Value::Sequence(first), Value::Sequence(second)) => {
                if !self.pay(first.len() + second.len(), later, path) {
                    return later.clone();
                }
                let items = first.iter().chain(second).cloned().collect();
                Rc::new(Node::new(later.position, Value::Sequence(items)))
            }
            (Value::Mapping(first), Value::Mapping(second)) => {
                if !self.pay(first.len() + second.len(), later, path) {
                    return later.clone();
                }
                let mut entries = first.clone();
                let mut places = places(&entries);
                for entry in second {
                    match places.get(entry.key.text.as_str()) {
                        Some(at) => {
                            path.push(entry.key.text.clone());
                            let value = self.merge(&entries[*at].value, &entry.value, path);
                            path.pop();
                            entries[*at] = Entry { key: entry.key.clone(), value };
                        }
                        None => {
                            places.insert(entry.key.text.clone(), entries.len());
                            entries.push(entry.clone());
                        }
                    }
                }
                Rc::new(Node::new(later.position, Value::Mapping(entries)))
            }
            (Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_), _) => {
                let message = format!(
                    "this is {}, but {} in {}:{}, with which it is merged",
                    later.kind(),
                    earlier.kind(),
                    self.reader.report.file(earlier.position.source),
                    earlier.position,
                );
                self.reader.report.error(Place { position: later.position, path: path.join(".") }, message);
                later.clone()
            }
        }
    }

    /// Of maps whose values are texts: a key without a value says something, too.
    fn pairs(&mut self, earlier: &Rc<Node>, later: &Rc<Node>) -> Rc<Node> {
        let (Value::Mapping(first), Value::Mapping(second)) = (&earlier.value, &later.value) else {
            // What it is has been reported.
            return later.clone();
        };
        if !self.pay(first.len() + second.len(), later, &[]) {
            return later.clone();
        }
        let mut entries = first.clone();
        let mut places = places(&entries);
        for entry in second {
            match places.get(entry.key.text.as_str()) {
                Some(at) => entries[*at] = entry.clone(),
                None => {
                    places.insert(entry.key.text.clone(), entries.len());
                    entries.push(entry.clone());
                }
            }
        }
        Rc::new(Node::new(later.position, Value::Mapping(entries)))
    }

    fn list(&mut self, earlier: &Rc<Node>, later: &Rc<Node>, identity: Identity, path: &mut Vec<String>) -> Rc<Node> {
        let earlier = in_list(earlier, identity);
        let later = in_list(later, identity);
        let (Value::Sequence(first), Value::Sequence(second)) = (&earlier.value, &later.value) else {
            return self.deep(&earlier, &later, path);
        };
        if !self.pay(first.len() + second.len(), &later, path) {
            return later.clone();
        }
        let mut items: Vec<Rc<Node>> = Vec::new();
        let mut places = std::collections::BTreeMap::new();
        for item in first.iter().chain(second) {
            let known = pairs::identity(self.reader, item, identity);
            match known.as_ref().and_then(|known| places.get(known)) {
                Some(at) => {
                    let at: usize = *at;
                    items[at] = item.clone();
                }
                None => {
                    if let Some(known) = known {
                        places.insert(known, items.len());
                    }
                    items.push(item.clone());
                }
            }
        }
        Rc::new(Node::new(later.position, Value::Sequence(items)))
    }

    /// Whether so many more may be copied. It is said once if not.
    fn pay(&mut self, copies: usize, at: &Node, path: &[String]) -> bool {
        self.spent += copies;
        if self.spent <= COPIES_MAX {
            return true;
        }
        if !self.is_spent {
            self.is_spent = true;
            let message = format!("merging the files takes more than {COPIES_MAX} steps: this one is too many");
            self.reader.report.error(Place { position: at.position, path: path.join(".") }, message);
        }
        false
    }
}

fn places(entries: &[Entry]) -> std::collections::BTreeMap<String, usize> {
    entries.iter().enumerate().map(|(at, entry)| (entry.key.text.clone(), at)).collect()
}

fn is_map(node: &Node) -> bool {
    matches!(node.value, Value::Mapping(_))
}

/// A text as the map that it stands for.
fn in_map(node: &Rc<Node>, key: &str) -> Rc<Node> {
    match &node.value {
        Value::Scalar(_) => {
            let key = Key { text: key.to_owned(), position: node.position };
            let entry = Entry { key: Rc::new(key), value: node.clone() };
            Rc::new(Node::new(node.position, Value::Mapping(vec![entry])))
        }
        Value::Sequence(_) | Value::Mapping(_) => node.clone(),
    }
}

/// A text as the list that it stands for. So may be a map, where items are maps.
fn in_list(node: &Rc<Node>, identity: Identity) -> Rc<Node> {
    let is_item = match (&node.value, identity) {
        (Value::Scalar(_), _) | (Value::Mapping(_), Identity::Path) => true,
        (Value::Sequence(_) | Value::Mapping(_), _) => false,
    };
    if is_item { Rc::new(Node::new(node.position, Value::Sequence(vec![node.clone()]))) } else { node.clone() }
}

/// The tree without what is reset. Only a tree that has such tags is walked.
pub(super) fn without_reset(node: &Rc<Node>) -> Rc<Node> {
    if !node.has_tags() {
        return node.clone();
    }
    let value = match &node.value {
        Value::Scalar(scalar) => Value::Scalar(Scalar::clone(scalar)),
        Value::Sequence(items) => {
            Value::Sequence(items.iter().filter(|item| item.tag != MergeTag::Reset).map(without_reset).collect())
        }
        Value::Mapping(entries) => {
            let kept = entries.iter().filter(|entry| entry.value.tag != MergeTag::Reset);
            let entry = |entry: &Entry| Entry { key: entry.key.clone(), value: without_reset(&entry.value) };
            Value::Mapping(kept.map(entry).collect())
        }
    };
    Rc::new(Node::new(node.position, value))
}
