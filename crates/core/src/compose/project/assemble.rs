//! All files of an app as one tree.

use std::rc::Rc;

use super::{
    super::{
        dialect::Dialect,
        reader::Reader,
        report::Place,
        yaml::{NODES_MAX, Node},
    },
    extends::extended,
    include::included,
    merge::{Merger, without_reset},
    profiles::selected,
};

/// The tree of the first file merged with all others. `None`: a file cannot be read, and the report
/// says why.
pub(crate) fn assemble(reader: &mut Reader<'_>, first: &Rc<Node>) -> Option<Rc<Node>> {
    match reader.dialect {
        // Nothing of what follows was read there.
        Dialect::First => return Some(first.clone()),
        Dialect::Second => {}
    }
    let mut merger = Merger::new(reader);
    let mut whole = complete(&mut merger, first);
    let overrides = merger.reader.sources.project().overrides.as_slice();
    for path in overrides {
        let reader = &mut *merger.reader;
        let variables = reader.sources.variables(0);
        let tree = reader.sources.tree(&mut reader.report, path, Some(""), variables, &Place::file())?;
        let tree = complete(&mut merger, &tree);
        whole = merger.merge(&whole, &tree, &mut Vec::new());
    }
    let whole = without_reset(&whole);
    if whole.values() > NODES_MAX {
        let message =
            format!("the files of the app have more than {NODES_MAX} values together, repeated ones included");
        reader.report.error(Place::file(), message);
        return None;
    }
    Some(selected(reader, &whole))
}

fn complete(merger: &mut Merger<'_, '_>, tree: &Rc<Node>) -> Rc<Node> {
    let tree = included(merger, tree, &mut Vec::new());
    extended(merger, &tree)
}
