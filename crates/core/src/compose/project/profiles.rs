//! `profiles`: services that belong to the app only where somebody asks for one of their profiles.

use std::rc::Rc;

use super::{
    super::{
        reader::Reader,
        report::quote,
        yaml::{Entry, Item, Node, Value},
    },
    outline::is_scheduled,
};

/// The variable with which docker compose is told which profiles to use.
const VARIABLE: &str = "COMPOSE_PROFILES";

/// The tree without the services whose profiles nobody asked for. Where nobody asked for any, a
/// service that has a schedule stays, as `docker compose run` brings the profile of the service
/// that it names.
pub(super) fn selected(reader: &mut Reader<'_>, root: &Rc<Node>) -> Rc<Node> {
    let Value::Mapping(entries) = &root.value else { return root.clone() };
    let Some(at) = entries.iter().position(|entry| entry.key.text == "services") else { return root.clone() };
    let Value::Mapping(services) = &entries[at].value.value else { return root.clone() };
    let has_profiles = |service: &Entry| profiles_of(service).is_some();
    if !services.iter().any(has_profiles) {
        return root.clone();
    }
    let mut asked: Vec<String> = reader.sources.project().profiles.iter().cloned().collect();
    if asked.is_empty() {
        let variable = reader.interpolator.variable(VARIABLE).unwrap_or_default();
        asked = variable.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    }
    let services_item = Item { node: &entries[at].value, path: "services".to_owned() };
    let mut kept = Vec::new();
    for service in services {
        let Some(profiles) = profiles_of(service) else {
            kept.push(service.clone());
            continue;
        };
        let item = services_item.child(service).child(profiles);
        let names = match &profiles.value.value {
            Value::Scalar(_) if item.is_null() => Vec::new(),
            Value::Scalar(_) | Value::Mapping(_) => reader.text(&item).into_iter().collect(),
            Value::Sequence(_) => reader.texts(&item).unwrap_or_default(),
        };
        let is_asked = names.iter().any(|name| asked.iter().any(|asked| *asked == name.value || asked == "*"));
        if names.is_empty() || is_asked || asked.is_empty() && is_scheduled(&service.value) {
            kept.push(Entry { key: service.key.clone(), value: without_profiles(&service.value) });
            continue;
        }
        let names: Vec<String> = names.iter().map(|name| quote(&name.value)).collect();
        let message = format!("the service is left out: nobody asked for {}", names.join(" or "));
        reader.report.warning_with_hint(item.place(), message, "ask for its profile with `--profile`");
    }
    let mut entries = entries.clone();
    entries[at].value = Rc::new(Node::new(entries[at].value.position, Value::Mapping(kept)));
    Rc::new(Node::new(root.position, Value::Mapping(entries)))
}

fn without_profiles(service: &Rc<Node>) -> Rc<Node> {
    let Value::Mapping(keys) = &service.value else { return service.clone() };
    let kept = keys.iter().filter(|key| key.key.text != "profiles").cloned().collect();
    Rc::new(Node::new(service.position, Value::Mapping(kept)))
}

fn profiles_of(service: &Entry) -> Option<&Entry> {
    let Value::Mapping(keys) = &service.value.value else { return None };
    keys.iter().find(|key| key.key.text == "profiles")
}
