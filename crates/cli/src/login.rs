//! Who a process is to NATS, as options, variables, contexts and the settings of a host say it: names and files, and no
//! secret on a command line.

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use tickmesh_messaging::{Login, Proof, Secret, Tls};

use crate::exit::BadInput;

/// The password itself, for those who have no file.
const PASSWORD_VARIABLE: &str = "TICKMESH_NATS_PASSWORD";
/// The token itself.
const TOKEN_VARIABLE: &str = "TICKMESH_NATS_TOKEN";

/// A part of a login. Each has an option, a variable, and a key in contexts and settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LoginKey {
    Creds,
    User,
    PasswordFile,
    TokenFile,
    Nkey,
    Ca,
    Cert,
    Key,
}

impl LoginKey {
    pub(crate) const ALL: [Self; 8] =
        [Self::Creds, Self::User, Self::PasswordFile, Self::TokenFile, Self::Nkey, Self::Ca, Self::Cert, Self::Key];

    /// Its name in files, its long option without hyphens in front, and its variable.
    fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Creds => ("creds", "creds", "TICKMESH_CREDS"),
            Self::User => ("user", "nats-user", "TICKMESH_NATS_USER"),
            Self::PasswordFile => ("password_file", "nats-password-file", "TICKMESH_NATS_PASSWORD_FILE"),
            Self::TokenFile => ("token_file", "nats-token-file", "TICKMESH_NATS_TOKEN_FILE"),
            Self::Nkey => ("nkey", "nats-nkey", "TICKMESH_NATS_NKEY"),
            Self::Ca => ("ca", "nats-ca", "TICKMESH_NATS_CA"),
            Self::Cert => ("cert", "nats-cert", "TICKMESH_NATS_CERT"),
            Self::Key => ("key", "nats-key", "TICKMESH_NATS_KEY"),
        }
    }

    /// Its name in files.
    pub(crate) fn name(self) -> &'static str {
        self.names().0
    }

    /// Its long option, without hyphens in front.
    pub(crate) fn flag(self) -> &'static str {
        self.names().1
    }

    /// Its variable.
    pub(crate) fn variable(self) -> &'static str {
        self.names().2
    }

    /// Whether it says who connects, and is nothing beside another one that does.
    fn is_proof(self) -> bool {
        match self {
            Self::Creds | Self::User | Self::PasswordFile | Self::TokenFile | Self::Nkey => true,
            Self::Ca | Self::Cert | Self::Key => false,
        }
    }
}

/// Options that say who a process is to NATS.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct LoginFlags {
    /// NATS credentials, as `nsc generate creds` writes them
    #[arg(
        long = "creds",
        global = true,
        env = "TICKMESH_CREDS",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Mesh"
    )]
    creds: Option<OsString>,
    /// User of NATS, with --nats-password-file or the variable TICKMESH_NATS_PASSWORD
    #[arg(
        long = "nats-user",
        global = true,
        env = "TICKMESH_NATS_USER",
        value_name = "NAME",
        help_heading = "Mesh",
        hide_short_help = true
    )]
    user: Option<OsString>,
    /// File with the password of that user
    #[arg(
        long = "nats-password-file",
        global = true,
        env = "TICKMESH_NATS_PASSWORD_FILE",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Mesh",
        hide_short_help = true
    )]
    password_file: Option<OsString>,
    /// File with a token of NATS; or the variable TICKMESH_NATS_TOKEN
    // `web` and `up` have a `token_file` of their own, and two arguments of one id are one.
    #[arg(
        id = "nats_token_file",
        long = "nats-token-file",
        global = true,
        env = "TICKMESH_NATS_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Mesh",
        hide_short_help = true
    )]
    token_file: Option<OsString>,
    /// File with the seed of an nkey of NATS
    #[arg(
        long = "nats-nkey",
        global = true,
        env = "TICKMESH_NATS_NKEY",
        hide_env_values = true,
        value_name = "FILE",
        help_heading = "Mesh",
        hide_short_help = true
    )]
    nkey: Option<OsString>,
    /// Certificates that may have signed that of NATS [default: those of the system]
    #[arg(
        long = "nats-ca",
        global = true,
        env = "TICKMESH_NATS_CA",
        value_name = "FILE",
        help_heading = "Mesh",
        hide_short_help = true
    )]
    ca: Option<OsString>,
    /// Certificate of this process, with --nats-key
    #[arg(
        long = "nats-cert",
        global = true,
        env = "TICKMESH_NATS_CERT",
        value_name = "FILE",
        help_heading = "Mesh",
        hide_short_help = true
    )]
    cert: Option<OsString>,
    /// Key of that certificate
    #[arg(
        long = "nats-key",
        global = true,
        env = "TICKMESH_NATS_KEY",
        value_name = "FILE",
        help_heading = "Mesh",
        hide_short_help = true
    )]
    key: Option<OsString>,
}

impl LoginFlags {
    /// What was typed, or set as a variable. A variable that is set to nothing is not set, as files of units have it.
    pub(crate) fn parts(&self) -> LoginParts {
        let Self { creds, user, password_file, token_file, nkey, ca, cert, key } = self;
        let values = [creds, user, password_file, token_file, nkey, ca, cert, key];
        let stated = LoginKey::ALL.into_iter().zip(values).filter_map(|(key, value)| {
            let value = value.as_ref()?.to_string_lossy().into_owned();
            (!value.is_empty()).then_some((key, value))
        });
        LoginParts(stated.collect())
    }
}

/// What of a login stands elsewhere than in its parts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct StatedElsewhere {
    /// The address has a user or a token.
    pub address: bool,
    /// A variable has the password.
    pub password: bool,
    /// A variable has the token.
    pub token: bool,
}

impl StatedElsewhere {
    /// With this address, and the variables of this process.
    pub(crate) fn with(url: Option<&str>) -> Self {
        let address = url.is_some_and(|url| url.contains('@'));
        Self { address, password: is_set(PASSWORD_VARIABLE), token: is_set(TOKEN_VARIABLE) }
    }
}

/// The parts of a login that somebody states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LoginParts(pub(crate) BTreeMap<LoginKey, String>);

impl LoginParts {
    /// Returns what a file states, which has these values by their names.
    pub(crate) fn read<E>(mut value: impl FnMut(&'static str) -> Result<Option<String>, E>) -> Result<Self, E> {
        let mut parts = BTreeMap::new();
        for key in LoginKey::ALL {
            if let Some(text) = value(key.name())? {
                parts.insert(key, text);
            }
        }
        Ok(Self(parts))
    }

    /// Returns these, and what they leave open as `below` has it. Who says who connects leaves nothing open of that; a password
    /// alone leaves open whose it is.
    pub(crate) fn over(mut self, below: Self, stated: StatedElsewhere) -> Self {
        let has_proof = self.0.keys().any(|key| key.is_proof()) || stated.address || stated.token;
        for (key, value) in below.0 {
            let is_open = match key {
                LoginKey::User => !has_proof,
                LoginKey::Creds | LoginKey::PasswordFile | LoginKey::TokenFile | LoginKey::Nkey => {
                    !has_proof && !stated.password
                }
                LoginKey::Ca | LoginKey::Cert | LoginKey::Key => true,
            };
            if is_open {
                self.0.entry(key).or_insert(value);
            }
        }
        self
    }

    /// Returns the login of these parts.
    pub(crate) fn login(&self) -> Result<Login, BadInput> {
        let text = |key: LoginKey| self.0.get(&key).cloned();
        let file = |key: LoginKey| text(key).map(PathBuf::from);
        let secret = |key: LoginKey, variable: &str| {
            let of_variable = std::env::var(variable).ok().filter(|value| !value.is_empty()).map(Secret::Text);
            file(key).map(Secret::File).or(of_variable)
        };
        let password = secret(LoginKey::PasswordFile, PASSWORD_VARIABLE);
        let by_password = match (text(LoginKey::User), password) {
            (Some(user), Some(password)) => Some(Proof::Password { user, password }),
            (Some(user), None) => {
                let problem = format!("there is no password of NATS user `{user}`");
                return Err(
                    BadInput::new(problem).hint(format!("say --nats-password-file, or set {PASSWORD_VARIABLE}"))
                );
            }
            (None, Some(_)) => {
                return Err(BadInput::new("there is a password for NATS, and no user").hint("say --nats-user"));
            }
            (None, None) => None,
        };
        let proofs = [
            by_password,
            secret(LoginKey::TokenFile, TOKEN_VARIABLE).map(Proof::Token),
            file(LoginKey::Nkey).map(Proof::Nkey),
            file(LoginKey::Creds).map(Proof::Credentials),
        ];
        let mut proofs = proofs.into_iter().flatten();
        let proof = proofs.next();
        if proofs.next().is_some() {
            let hint = "say one of --creds, --nats-user, --nats-token-file and --nats-nkey";
            return Err(BadInput::new("there is more than one login for NATS").hint(hint));
        }
        let certificate = match (file(LoginKey::Cert), file(LoginKey::Key)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(BadInput::new("there is a certificate without its key").hint("say --nats-key"));
            }
            (None, Some(_)) => {
                return Err(BadInput::new("there is a key without its certificate").hint("say --nats-cert"));
            }
        };
        Ok(Login { proof, tls: Tls { ca: file(LoginKey::Ca), certificate } })
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(parts: &[(LoginKey, &str)]) -> LoginParts {
        LoginParts(parts.iter().map(|(key, value)| (*key, (*value).to_owned())).collect())
    }

    #[test]
    fn a_login_that_is_stated_leaves_nothing_of_another_one() {
        use LoginKey::{Ca, Cert, Creds, Key, PasswordFile, User};
        let below = parts(&[(Creds, "below.creds"), (Ca, "ca.crt"), (Cert, "c"), (Key, "k")]);
        let stated = parts(&[(User, "me"), (PasswordFile, "secret")]);
        let expected = parts(&[(User, "me"), (PasswordFile, "secret"), (Ca, "ca.crt"), (Cert, "c"), (Key, "k")]);
        let nowhere = StatedElsewhere::default();
        assert_eq!(stated.over(below.clone(), nowhere), expected);
        assert_eq!(parts(&[(Ca, "own.crt")]).over(below.clone(), nowhere).0[&Creds], "below.creds");
        let address = StatedElsewhere { address: true, ..nowhere };
        let tls = parts(&[(Ca, "ca.crt"), (Cert, "c"), (Key, "k")]);
        assert_eq!(parts(&[]).over(below, address), tls, "a login in the address");
    }

    #[test]
    fn a_password_in_a_variable_is_that_of_the_user_in_a_file() {
        use LoginKey::{PasswordFile, User};
        let password = StatedElsewhere { password: true, ..StatedElsewhere::default() };
        let below = parts(&[(User, "me"), (PasswordFile, "old")]);
        assert_eq!(parts(&[]).over(below, password), parts(&[(User, "me")]));
    }

    #[track_caller]
    fn check_refused(stated: &[(LoginKey, &str)], problem: &str) {
        assert_eq!(parts(stated).login().unwrap_err().to_string(), problem);
    }

    #[test]
    fn parts_that_make_no_login_are_refused() {
        use LoginKey::{Cert, Creds, Key, Nkey, PasswordFile, User};
        check_refused(&[(User, "me")], "there is no password of NATS user `me`");
        check_refused(&[(PasswordFile, "p")], "there is a password for NATS, and no user");
        check_refused(&[(Creds, "c"), (Nkey, "n")], "there is more than one login for NATS");
        check_refused(&[(Cert, "c")], "there is a certificate without its key");
        check_refused(&[(Key, "k")], "there is a key without its certificate");
    }

    #[test]
    fn every_part_has_an_option_and_a_variable() {
        let command = <crate::cli::Cli as clap::CommandFactory>::command();
        for key in LoginKey::ALL {
            let argument = command.get_arguments().find(|argument| argument.get_long() == Some(key.flag()));
            let variable = argument.and_then(|argument| argument.get_env()).unwrap();
            assert_eq!(variable, key.variable());
        }
    }
}
