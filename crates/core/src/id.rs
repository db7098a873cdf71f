//! Identities. Each is recorded in a ledger before anything is done in its name.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::name::{AppName, ServiceName};

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// An identity from 16 random bytes.
            pub fn from_random(bytes: [u8; 16]) -> Self {
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// The random identity of a run: two runs are the same only if their uids are equal, whatever their numbers.
    RunUid
);
uuid_id!(
    /// Identity of a mesh, made once when its streams are provisioned. Every container carries it.
    MeshId
);
uuid_id!(
    /// Identity of a command: sent again it has the same id and is carried out once.
    RequestId
);
uuid_id!(
    /// Says which process, in which try, made a claim (protocol rule P7).
    Nonce
);

/// Number of a run within its app, from 1, without gaps.
pub type RunNumber = u64;

/// One tenure of a leader: the revision of the lease that began it. Later tenures have higher numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A run as subjects and container names spell it: `<number>-<first 8 hex digits of the uid>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunToken {
    /// Number of the run.
    pub number: RunNumber,
    /// First 32 bits of the run's uid.
    pub uid_head: u32,
}

impl RunToken {
    /// The token of a run.
    pub fn new(number: RunNumber, uid: RunUid) -> Self {
        Self { number, uid_head: uid.0.as_fields().0 }
    }
}

impl fmt::Display for RunToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{:08x}", self.number, self.uid_head)
    }
}

/// Why a text is not a run token or a run's name.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRun {
    /// The separator is missing, or a part has the wrong length.
    #[error("`{0}` does not name a run")]
    Shape(String),
    /// A part is not a number.
    #[error("`{text}` does not name a run")]
    Number {
        /// The text given.
        text: String,
        /// What is wrong with its number.
        #[source]
        source: ParseIntError,
    },
}

impl FromStr for RunToken {
    type Err = InvalidRun;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = || InvalidRun::Shape(text.to_owned());
        let number = |source| InvalidRun::Number { text: text.to_owned(), source };
        let (run, uid) = text.split_once('-').ok_or_else(shape)?;
        let lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if uid.len() != 8 || !uid.bytes().all(lower_hex) || !canonical_number(run) {
            return Err(shape());
        }
        Ok(Self { number: run.parse().map_err(number)?, uid_head: u32::from_str_radix(uid, 16).map_err(number)? })
    }
}

/// Whether `text` is a number written the one way we write it: so that parsing and printing round-trip.
fn canonical_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
}

/// A run as people name it: `nightly/42`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    pub app: AppName,
    /// The run's number.
    pub number: RunNumber,
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.app, self.number)
    }
}

impl FromStr for RunId {
    type Err = InvalidRun;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let shape = || InvalidRun::Shape(text.to_owned());
        let (app, number) = text.split_once('/').ok_or_else(shape)?;
        Ok(Self {
            app: AppName::new(app).map_err(|_| shape())?,
            number: number.parse().map_err(|source| InvalidRun::Number { text: text.to_owned(), source })?,
        })
    }
}

/// One try of a replica on one agent: at most one container, ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId {
    pub app: AppName,
    /// Number of the run.
    pub run: RunNumber,
    /// Uid of the run.
    pub uid: RunUid,
    pub service: ServiceName,
    /// Index of the replica, from 0.
    pub replica: u32,
    /// Number of the attempt within its replica, from 1.
    pub attempt: u32,
}

impl AttemptId {
    /// The run's token.
    pub fn token(&self) -> RunToken {
        RunToken::new(self.run, self.uid)
    }
}

impl fmt::Display for AttemptId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}/{}/{}/{}", self.app, self.token(), self.service, self.replica, self.attempt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_tokens_round_trip_and_have_one_spelling() {
        let token = RunToken { number: 42, uid_head: 0x00ab_cdef };
        assert_eq!(token.to_string(), "42-00abcdef");
        assert_eq!(token.to_string().parse::<RunToken>().unwrap(), token);
        for text in
            ["", "42", "42-", "42-00ABCDEF", "042-00abcdef", "+42-00abcdef", "42-00abcde", "42-00abcdeg", "-1-00abcdef"]
        {
            assert!(text.parse::<RunToken>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn runs_are_named_app_slash_number() {
        let run: RunId = "nightly/42".parse().unwrap();
        assert_eq!((run.app.as_str(), run.number), ("nightly", 42));
        assert!("nightly".parse::<RunId>().is_err());
        assert!("nightly/x".parse::<RunId>().is_err());
    }
}
