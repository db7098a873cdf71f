//! What is different about a service of a stack that docker compose runs: the services beside it
//! run already. Its networks and volumes, too, are there: see `networks` and `volumes`.

use super::{
    super::{
        reader::Reader,
        report::{Place, quote},
        yaml::{Item, Value},
    },
    depends::Dependency,
};

/// Says which services are not waited for: those beside it run already, or not, as docker compose
/// has it. Whatever `depends_on` says of them besides their names is for compose.
pub(super) fn leave_dependencies(reader: &mut Reader<'_>, item: &Item<'_>) {
    let names: Vec<(String, Place)> = match &item.node.value {
        Value::Mapping(entries) => {
            entries.iter().map(|entry| (entry.key.text.clone(), item.key_place(&entry.key))).collect()
        }
        Value::Sequence(_) => {
            let texts = reader.texts(item).unwrap_or_default();
            texts.into_iter().map(|text| (text.value.clone(), text.place())).collect()
        }
        Value::Scalar(_) => Vec::new(),
    };
    for (name, place) in names {
        let message = format!("the job does not wait for {}, which is left to docker compose", quote(&name));
        let hint = "the container of the job starts beside the services that run: have it retry until they answer";
        reader.report.warning_with_hint(place, message, hint);
    }
}

/// The label `depends` is ours, and would be in vain: an app waits for none of its neighbours.
pub(super) fn refuse_dependencies(reader: &mut Reader<'_>, depends: Vec<Dependency>) {
    for Dependency { name, place, .. } in depends {
        let message = format!("{} is no service of this app, which is one service of a stack", quote(&name));
        let hint = "remove it: no app waits for another one";
        reader.report.error_with_hint(place, message, hint);
    }
}
