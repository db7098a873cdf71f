use serde::{Deserialize, Serialize};

/// What an agent must be, or must not be, to run a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraint {
    /// What is looked at.
    pub attribute: Attribute,
    /// Whether it must be one of the values, or none of them.
    pub operator: Operator,
    /// The values: alternatives.
    pub values: Vec<String>,
}

/// Something that is known of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attribute {
    /// A label of that name. An agent without it has no value.
    Label(String),
    /// The agent's name.
    Agent,
    /// Name of the agent's host.
    Host,
}

/// How an attribute is compared with the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    /// It is one of them.
    Is,
    /// It is none of them. An attribute without a value is none of them.
    IsNot,
}
