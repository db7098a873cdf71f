//! The names people give: apps, services, agents, namespaces.
//!
//! Names end up as tokens of NATS subjects and as parts of Docker container names, so each is checked once, here, when it
//! enters the program. A value of one of these types is valid by construction, and cheap to clone: a leader has the name of an
//! app in its ledger, in its line of what is due, and in whatever is on its way.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest name, in bytes. Docker and DNS labels stop at 63 too.
pub const NAME_LENGTH_MAX: usize = 63;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} name `{text}` is not valid: {rule}")]
pub struct InvalidName {
    kind: &'static str,
    text: String,
    rule: &'static str,
}

fn check(kind: &'static str, text: &str, punctuation: &[u8], rule: &'static str) -> Result<(), InvalidName> {
    let bytes = text.as_bytes();
    let valid = matches!(bytes.first(), Some(first) if first.is_ascii_alphanumeric())
        && bytes.len() <= NAME_LENGTH_MAX
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || punctuation.contains(byte));
    if !valid {
        // A hostile name may be huge: an error message is not the place to repeat it whole.
        let text = text.chars().take(NAME_LENGTH_MAX + 1).collect();
        return Err(InvalidName { kind, text, rule });
    }
    Ok(())
}

/// Reads a text where it stands, and checks it.
struct Text<T>(fn(&str) -> Result<T, InvalidName>);

impl<T> de::Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).map_err(E::custom)
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $punctuation:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and makes it a name.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                check($kind, text, $punctuation, $rule)?;
                Ok(Self(text.into()))
            }

            /// The name as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(|text| Self::new(text)))
            }
        }
    };
}

name!(
    /// Name of an app: one compose file under control of the mesh.
    AppName, "app", b"-",
    "letters, digits and hyphens, beginning with a letter or digit, at most 63"
);
name!(
    /// Name of a service of an app, as the compose file has it.
    ServiceName, "service", b"-_.",
    "letters, digits, `-`, `_` and `.`, beginning with a letter or digit, at most 63"
);
name!(
    /// Name of an agent: one Docker host.
    AgentName, "agent", b"-",
    "letters, digits and hyphens, beginning with a letter or digit, at most 63"
);
name!(
    /// Prefix of every NATS name of one mesh.
    Namespace, "namespace", b"-",
    "letters, digits and hyphens, beginning with a letter or digit, at most 63"
);

impl AppName {
    /// Returns the name that is most like a text: each character that a name cannot have becomes a
    /// hyphen. `None`: nothing of the text can be kept.
    ///
    /// An underscore would do no harm in a subject or a container's name. But a heartbeat names the
    /// apps whose attempts an agent holds, and a release that does not take the character could not
    /// read it, and would give the agent up.
    pub fn like(text: &str) -> Option<Self> {
        let is_plain = |character: char| character.is_ascii_alphanumeric();
        let kept = text.chars().map(|character| if is_plain(character) { character } else { '-' });
        let name: String = kept.skip_while(|character| *character == '-').take(NAME_LENGTH_MAX).collect();
        Self::new(name.trim_end_matches('-')).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_app(text: &str, valid: bool) {
        assert_eq!(AppName::new(text).is_ok(), valid, "{text:?}");
    }

    #[test]
    fn app_names_are_subject_tokens() {
        check_app("nightly", true);
        check_app("0", true);
        check_app("a-B-9", true);
        check_app(&"a".repeat(63), true);
        check_app(&"a".repeat(64), false);
        for text in ["", "-a", "a.b", "a b", "a*", "a>", "ä", "a_b", "a/b", "a\n"] {
            check_app(text, false);
        }
    }

    #[test]
    fn what_a_name_cannot_have_becomes_a_hyphen() {
        let like = |text: &str| AppName::like(text).map(|name| name.to_string());
        for (text, expect) in [
            ("nightly", Some("nightly")),
            ("my_job", Some("my-job")),
            ("job.v2", Some("job-v2")),
            ("my app", Some("my-app")),
            ("_x_", Some("x")),
            ("天a", Some("a")),
            ("天", None),
            ("", None),
            ("--", None),
        ] {
            assert_eq!(like(text).as_deref(), expect, "{text}");
        }
        assert_eq!(like(&"a".repeat(70)).unwrap().len(), NAME_LENGTH_MAX);
    }

    #[test]
    fn service_names_may_have_dots_and_underscores() {
        assert!(ServiceName::new("db.back_up-1").is_ok());
        assert!(ServiceName::new(".db").is_err());
    }

    #[test]
    fn a_stored_name_is_checked_again() {
        assert!(serde_json::from_str::<AppName>("\"a.b\"").is_err());
    }
}
