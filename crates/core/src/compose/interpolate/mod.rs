//! Variables in values: `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:?message}`, `${VAR?message}`,
//! `${VAR:+other}`, `${VAR+other}`, and `$$` for a dollar sign, as docker compose has them. A dollar sign before anything
//! else is one, too.
//!
//! Variables come in as an argument and those used go out again: they are stored with the file, so that a scheduler which
//! reads it again, on another host and a year later, reads the same.

mod template;

use std::collections::BTreeMap;

pub(super) use template::Malformed;
use template::{Empty, Operator, Part, Reference, parse};

/// Most text that all replaced values of a file may have together. The longest sensible file is stored with 256 KiB.
const OUTPUT_BYTES_MAX: usize = 1024 * 1024;

/// Replaces variables, and remembers which.
#[derive(Debug)]
pub(super) struct Interpolator<'v> {
    variables: &'v BTreeMap<String, String>,
    used: BTreeMap<String, String>,
    output_bytes: usize,
}

/// A value whose variables are replaced.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Interpolated {
    pub(super) text: String,
    /// Variables that are not set and had no default, each once.
    pub(super) unset: Vec<String>,
}

/// Why variables cannot be replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InterpolationError {
    /// The text breaks the syntax.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// `${VAR:?message}`, and it is not set.
    #[error("the variable `{name}` is required{}{message}", if message.is_empty() { "" } else { ": " })]
    Required {
        /// The variable.
        name: String,
        /// The text after the question mark.
        message: String,
    },
    /// The file grows too much.
    #[error("variables make the file larger than {} KiB", OUTPUT_BYTES_MAX / 1024)]
    TooLarge,
}

impl InterpolationError {
    /// Where in the text the problem is, in characters from 0.
    pub(super) fn offset(&self) -> usize {
        match self {
            Self::Malformed(malformed) => malformed.offset,
            Self::Required { .. } | Self::TooLarge => 0,
        }
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed(malformed) => Some(malformed.hint().to_owned()),
            Self::Required { .. } | Self::TooLarge => None,
        }
    }
}

impl<'v> Interpolator<'v> {
    pub(super) fn new(variables: &'v BTreeMap<String, String>) -> Self {
        Self { variables, used: BTreeMap::new(), output_bytes: 0 }
    }

    /// The text with its variables replaced.
    #[cfg(test)]
    pub(super) fn interpolate(&mut self, text: &str) -> Result<Interpolated, InterpolationError> {
        self.interpolate_beside(text, &BTreeMap::new())
    }

    /// Interpolates with further variables for those that are not set otherwise. They are part of the file, so no use of them is noted.
    pub(super) fn interpolate_beside(
        &mut self,
        text: &str,
        further: &BTreeMap<String, String>,
    ) -> Result<Interpolated, InterpolationError> {
        let parts = parse(text)?;
        let mut result = Interpolated { text: String::with_capacity(text.len()), unset: Vec::new() };
        self.append(&parts, further, &mut result)?;
        Ok(result)
    }

    /// The variable's value, which counts as a use of it.
    pub(super) fn variable(&mut self, name: &str) -> Option<&'v str> {
        let value = self.variables.get(name)?;
        self.used.insert(name.to_owned(), value.clone());
        Some(value)
    }

    /// Size of the variables used so far, names included.
    pub(super) fn used_bytes(&self) -> usize {
        self.used.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    /// The variables used so far, with their values.
    pub(super) fn into_used(self) -> BTreeMap<String, String> {
        self.used
    }

    fn append(
        &mut self,
        parts: &[Part],
        further: &BTreeMap<String, String>,
        result: &mut Interpolated,
    ) -> Result<(), InterpolationError> {
        for part in parts {
            match part {
                Part::Text(text) => self.push(text, result)?,
                Part::Reference(reference) => self.append_reference(reference, further, result)?,
            }
        }
        Ok(())
    }

    fn append_reference(
        &mut self,
        Reference { name, operator }: &Reference,
        further: &BTreeMap<String, String>,
        result: &mut Interpolated,
    ) -> Result<(), InterpolationError> {
        let value = self.variable(name).or_else(|| further.get(name).map(String::as_str));
        let present = match operator.as_ref().map(|(operator, _)| operator.empty()) {
            Some(Empty::IsUnset) => value.filter(|value| !value.is_empty()),
            Some(Empty::IsSet) | None => value,
        };
        match (operator, present) {
            (Some((Operator::Alternative(_), other)), Some(_)) => self.append(other, further, result),
            (Some((Operator::Alternative(_), _)), None) => Ok(()),
            (_, Some(value)) => self.push(value, result),
            (Some((Operator::Default(_), default)), None) => self.append(default, further, result),
            (Some((Operator::Required(_), message)), None) => {
                let mut shown = Interpolated { text: String::new(), unset: Vec::new() };
                self.append(message, further, &mut shown)?;
                Err(InterpolationError::Required { name: name.clone(), message: shown.text })
            }
            (None, None) => {
                if !result.unset.contains(name) {
                    result.unset.push(name.clone());
                }
                Ok(())
            }
        }
    }

    fn push(&mut self, text: &str, result: &mut Interpolated) -> Result<(), InterpolationError> {
        self.output_bytes += text.len();
        if self.output_bytes > OUTPUT_BYTES_MAX {
            return Err(InterpolationError::TooLarge);
        }
        result.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
