//! A JSON schema of `x-tickmesh`, made of the tables of labels: editors complete and check by it.

use serde_json::{Map, Value, json};

use super::{
    X_TICKMESH,
    table::{APP_LABELS, Label, SERVICE_LABELS},
    value_types::Takes,
};

/// Returns the schema of a compose file as far as tickmesh reads it beside compose.
pub fn schema() -> Value {
    let app = properties(APP_LABELS);
    let mut service = properties(SERVICE_LABELS);
    // A service of a stack that is an app says what is said of an app, too.
    service.extend(app.clone());
    let keys = |description: &str, properties: Map<String, Value>| {
        json!({
            "description": description,
            "type": ["object", "null"],
            "properties": properties,
            "additionalProperties": false,
        })
    };
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Compose file with x-tickmesh",
        "type": "object",
        "properties": {
            X_TICKMESH: keys("When the app runs, and how: the labels at the top of the file, without prefix", app),
            "services": {
                "type": ["object", "null"],
                "additionalProperties": {
                    "type": ["object", "null"],
                    "properties": {
                        X_TICKMESH: keys(
                            "How the service runs; in a stack also when: the labels of a service, without prefix",
                            service,
                        ),
                    },
                },
            },
        },
    })
}

fn properties<S>(table: &[Label<S>]) -> Map<String, Value> {
    table.iter().map(|label| (label.name.to_owned(), property(label))).collect()
}

/// What a label takes. A text may have variables, so that no number and no word can be asked for in
/// it.
fn property<S>(label: &Label<S>) -> Value {
    let with_variable = json!({ "type": "string", "pattern": "\\$" });
    let mut property = match &label.takes {
        Takes::Number { min, max, .. } => json!({
            "anyOf": [
                { "type": "integer", "minimum": min, "maximum": max },
                { "type": "string", "pattern": "^[0-9]+$|\\$" },
            ],
        }),
        Takes::Duration { .. } => json!({ "type": "string" }),
        Takes::Flag(_) => json!({ "anyOf": [{ "type": "boolean" }, { "enum": ["true", "false"] }, with_variable] }),
        Takes::Word(words) => {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            json!({ "anyOf": [{ "enum": words }, with_variable] })
        }
        Takes::Value { .. } | Takes::Text { .. } => {
            json!({ "type": ["string", "number", "array"], "items": { "type": ["string", "number"] } })
        }
    };
    let default = label.default.map(|default| format!(" (default: {default})")).unwrap_or_default();
    let values = label.takes.values();
    property["description"] = format!("{}; {values}{default}", label.does).into();
    property
}
