//! Builds the tree from the parser's events, within budgets.
//!
//! Aliases share what they stand for, so a tree is never larger than its file; but whoever reads it walks every alias. That
//! is why an alias is charged the whole weight of its target: nine lines that say "ten times the line before" are refused
//! at the moment the budget is spent, not when somebody walks a billion values.

use std::{collections::BTreeMap, rc::Rc};

use granit_parser::{Event, ScalarStyle, Span, Tag};

use super::{
    super::{
        diagnostic::{Position, SourceId},
        report::{Place, Report, quote},
    },
    DEPTH_MAX, NODES_MAX, TEXT_BYTES_MAX,
    merge::OpenMapping,
    tree::{MergeTag, Node, Scalar, Style, Value, Weight},
};

/// Why reading the YAML cannot go on.
#[derive(Debug)]
pub(super) struct Stop {
    pub(super) position: Position,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Stop {
    fn new(position: Position, message: impl Into<String>) -> Self {
        Self { position, message: message.into(), hint: None }
    }
}

/// A tree that is not complete yet.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    id: SourceId,
    source: &'a str,
    report: &'a mut Report,
    root: Option<Rc<Node>>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Rc<Node>>,
    documents: usize,
    spent: Weight,
}

#[derive(Debug)]
struct Open {
    position: Position,
    anchor: usize,
    tag: MergeTag,
    contents: Contents,
}

#[derive(Debug)]
enum Contents {
    Sequence(Vec<Rc<Node>>),
    Mapping(OpenMapping),
}

impl<'a> Builder<'a> {
    pub(super) fn new(id: SourceId, source: &'a str, report: &'a mut Report) -> Self {
        Self {
            id,
            source,
            report,
            root: None,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            documents: 0,
            spent: Weight::default(),
        }
    }

    /// Takes the next event.
    pub(super) fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let position = self.position_of(&span);
        match event {
            Event::DocumentStart(..) => self.start_document(position),
            Event::Scalar(text, style, anchor, tag) => {
                let merge_tag = self.check_tag(tag.as_deref(), &span);
                let scalar = self.scalar(&text, style, tag.as_deref(), &span);
                self.complete(Node::new(position, Value::Scalar(scalar)).tagged(merge_tag), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                let tag = self.check_tag(tag.as_deref(), &span);
                self.start(Open { position, anchor, tag, contents: Contents::Sequence(Vec::new()) })
            }
            Event::MappingStart(_, anchor, tag) => {
                let tag = self.check_tag(tag.as_deref(), &span);
                self.start(Open { position, anchor, tag, contents: Contents::Mapping(OpenMapping::default()) })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, position),
            // The others carry no values: ends, and what our options switch off. (The enum is not ours and may grow.)
            _ => Ok(()),
        }
    }

    /// The tree.
    pub(super) fn finish(self) -> Option<Rc<Node>> {
        self.root
    }

    fn start_document(&mut self, position: Position) -> Result<(), Stop> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(Stop::new(position, "a second document begins here: a compose file has one"));
        }
        Ok(())
    }

    fn start(&mut self, open: Open) -> Result<(), Stop> {
        self.check_depth(self.open.len() + 1, open.position)?;
        self.open.push(open);
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        // The parser sends an end only for what it has started.
        let Some(Open { position, anchor, tag, contents }) = self.open.pop() else { return Ok(()) };
        let value = match contents {
            Contents::Sequence(items) => Value::Sequence(items),
            Contents::Mapping(mapping) => Value::Mapping(mapping.close()),
        };
        self.complete(Node::new(position, value).tagged(tag), anchor)
    }

    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        let own_bytes = match &node.value {
            Value::Scalar(scalar) => scalar.text.len(),
            Value::Sequence(_) | Value::Mapping(_) => 0,
        };
        self.charge(Weight { nodes: 1, bytes: own_bytes, depth: 0 }, node.position)?;
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let position = node.position;
        self.attach(node, position)
    }

    fn alias(&mut self, anchor: usize, position: Position) -> Result<(), Stop> {
        let Some(target) = self.anchors.get(&anchor).cloned() else {
            return Err(Stop::new(position, "this alias stands for a value that contains it"));
        };
        self.charge(target.weight, position)?;
        self.check_depth(self.open.len() + target.weight.depth, position)?;
        self.attach(target, position)
    }

    fn attach(&mut self, node: Rc<Node>, position: Position) -> Result<(), Stop> {
        match self.open.last_mut().map(|open| &mut open.contents) {
            None => self.root = Some(node),
            Some(Contents::Sequence(items)) => items.push(node),
            Some(Contents::Mapping(mapping)) => mapping
                .take(node, self.report)
                .map_err(|_| Stop::new(position, "a key has to be a text, not a list or a map"))?,
        }
        Ok(())
    }

    fn charge(&mut self, weight: Weight, position: Position) -> Result<(), Stop> {
        self.spent.nodes += weight.nodes;
        self.spent.bytes += weight.bytes;
        if self.spent.nodes > NODES_MAX {
            return Err(Stop::new(position, format!("the file has more than {NODES_MAX} values, aliases included")));
        }
        if self.spent.bytes > TEXT_BYTES_MAX {
            let kib = TEXT_BYTES_MAX / 1024;
            return Err(Stop::new(position, format!("the file has more than {kib} KiB of text, aliases included")));
        }
        Ok(())
    }

    fn check_depth(&self, depth: usize, position: Position) -> Result<(), Stop> {
        if depth > DEPTH_MAX {
            return Err(Stop::new(position, too_deep()));
        }
        Ok(())
    }

    /// The meaning of a tag for merging; any other tag is an error.
    fn check_tag(&mut self, tag: Option<&Tag>, span: &Span) -> MergeTag {
        let Some(tag) = tag.filter(|tag| tag.is_custom() && !is_non_specific(tag)) else { return MergeTag::None };
        match tag.original().as_str() {
            "!reset" => return MergeTag::Reset,
            "!override" => return MergeTag::Override,
            _ => {}
        }
        let marker = span.tag_start().unwrap_or(span.start);
        let place = Place { position: position_at(self.id, marker.line(), marker.col()), path: String::new() };
        let message = format!("the tag {} is not supported", quote(&tag.original()));
        self.report.error_with_hint(place, message, "write the value without a tag");
        MergeTag::None
    }

    fn position_of(&self, span: &Span) -> Position {
        position_at(self.id, span.start.line(), span.start.col())
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: &Span) -> Scalar {
        let forced = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str") || is_non_specific(tag));
        let style_read = if style == ScalarStyle::Plain && !forced { Style::Plain } else { Style::Quoted };
        let quotes = match style {
            ScalarStyle::Plain => Some(0),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Some(1),
            ScalarStyle::Literal | ScalarStyle::Folded => None,
        };
        let written = span.slice(self.source).unwrap_or_default();
        let verbatim_at = quotes
            .filter(|quotes| {
                written.len() == text.len() + 2 * quotes && written.get(*quotes..quotes + text.len()) == Some(text)
            })
            .map(|quotes| self.position_of(span).moved_by(quotes));
        Scalar { text: text.to_owned(), style: style_read, verbatim_at, is_replaced: false }
    }
}

/// What to say about a nesting that is too deep.
pub(super) fn too_deep() -> String {
    format!("values are nested more than {DEPTH_MAX} deep")
}

/// The tag `!`: text, whatever it looks like.
fn is_non_specific(tag: &Tag) -> bool {
    tag.original() == "!"
}

/// The parser counts lines from 1 and columns from 0.
pub(super) fn position_at(source: SourceId, line: usize, column: usize) -> Position {
    Position { source, line, column: column + 1 }
}
