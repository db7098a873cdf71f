//! What an agent must be, or must not be, to run a replica.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{fleet::AgentView, name::AgentName};

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

impl Constraint {
    /// Whether this agent may run the replica.
    pub fn is_met_by(&self, agent: &AgentName, view: &AgentView) -> bool {
        let value = match &self.attribute {
            Attribute::Label(name) => view.traits.labels.get(name).map(String::as_str),
            Attribute::Agent => Some(agent.as_str()),
            Attribute::Host => Some(view.traits.host.as_str()),
        };
        let is_one = value.is_some_and(|value| self.values.iter().any(|it| it == value));
        match self.operator {
            Operator::Is => is_one,
            Operator::IsNot => !is_one,
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = match self.operator {
            Operator::Is => "==",
            Operator::IsNot => "!=",
        };
        write!(formatter, "{}{operator}{}", self.attribute, self.values.join("|"))
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Label(name) => name,
            Self::Agent => "agent",
            Self::Host => "host",
        })
    }
}
