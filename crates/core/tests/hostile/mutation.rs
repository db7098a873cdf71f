//! Records with a place in them that says something else.

use proptest::{prelude::*, sample::Index};
use serde_json::{Value, json};

/// What is done to one place of a record.
#[derive(Debug, Clone)]
pub(crate) struct Mutation {
    place: Index,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    /// Another value there.
    Replace(Value),
    /// Nothing there any more.
    Remove,
    /// What is there, so many times.
    Repeat(usize),
    /// A number or moment that is off by that.
    Shift(i64),
}

/// A few changes of one record.
pub(crate) fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let mutation = (any::<Index>(), changes()).prop_map(|(place, change)| Mutation { place, change });
    prop::collection::vec(mutation, 1..4)
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => values().prop_map(Change::Replace),
        1 => Just(Change::Remove),
        1 => (2_usize..50).prop_map(Change::Repeat),
        2 => any::<i64>().prop_map(Change::Shift),
        1 => (-3_i64..4).prop_map(Change::Shift),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let moments =
        ["-009999-01-02T01:59:59Z", "9999-12-30T22:00:00.999999999Z", "1970-01-01T00:00:00Z", "0000-01-01T00:00:00Z"];
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec![json!(0), json!(1), json!(u32::MAX), json!(u64::MAX), json!(i64::MIN), json!(1e308)]),
        any::<u64>().prop_map(Value::from),
        prop::sample::select(moments.to_vec()).prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        Just(Value::from("x".repeat(10_000))),
        Just(json!([])),
        Just(json!({})),
        Just(json!([[[[[[[[]]]]]]]])),
    ]
}

/// The record with all these changes, as the bytes that would be stored.
pub(crate) fn mutated(record: &impl serde::Serialize, mutations: &[Mutation]) -> Vec<u8> {
    let mut value = serde_json::to_value(record).unwrap();
    for Mutation { place, change } in mutations {
        let mut left = place.index(count(&value));
        change_at(&mut value, &mut left, change);
    }
    serde_json::to_vec(&value).unwrap()
}

/// Places in a value, its own included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Changes the place that comes after `left` others. `false`: it lies further on.
fn change_at(value: &mut Value, left: &mut usize, change: &Change) -> bool {
    if *left == 0 {
        apply(value, change);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| change_at(item, left, change)),
        Value::Object(fields) => {
            let removed = (0..1).contains(left) && matches!(change, Change::Remove);
            match fields.keys().next().cloned().filter(|_| removed) {
                Some(first) => fields.remove(&first).is_some(),
                None => fields.values_mut().any(|field| change_at(field, left, change)),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn apply(value: &mut Value, change: &Change) {
    match change {
        Change::Replace(other) => *value = other.clone(),
        Change::Remove => *value = Value::Null,
        Change::Repeat(times) => match value {
            Value::Array(items) => {
                let all = items.clone();
                items.extend(std::iter::repeat_n(all, *times).flatten());
            }
            Value::String(text) => *text = text.repeat(*times),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
        },
        Change::Shift(by) => shift(value, *by),
    }
}

fn shift(value: &mut Value, by: i64) {
    if let Some(number) = value.as_u64() {
        *value = Value::from(number.wrapping_add_signed(by));
    } else if let Some(moment) = value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()) {
        let moved = moment.checked_add(jiff::SignedDuration::from_secs(by)).unwrap_or(jiff::Timestamp::MAX);
        *value = Value::from(moved.to_string());
    }
}
