//! Where the variables of compose files come from: `--var`, the environment, and `.env` beside the
//! file or `--env-file`.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use tickmesh_core::compose::{VARIABLES_FILE_BYTES_MAX, VariablesFile, read_variables_file};

use crate::exit::BadInput;

/// The file that is read where no other one is named.
const BESIDE: &str = ".env";

/// Where the variables of files come from.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct VariableArgs {
    /// Value of a variable that the file uses, before the environment's; may be repeated
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = assignment)]
    variables: Vec<(String, String)>,
    /// File of variables, below the environment, instead of `.env` beside the compose file; may be
    /// repeated
    #[arg(long = "env-file", value_name = "FILE")]
    env_files: Vec<PathBuf>,
    /// Whether the file sees no variable at all.
    #[arg(skip)]
    is_blind: bool,
}

/// The variables that a compose file may use.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// Their values.
    pub values: BTreeMap<String, String>,
    /// What is doubtful in the files that they come from, for people.
    pub warnings: Vec<String>,
}

impl VariableArgs {
    /// No variables at all.
    pub(crate) fn nothing() -> Self {
        Self { is_blind: true, ..Self::default() }
    }

    /// Returns all variables that a compose file in this folder may use.
    pub(crate) fn of_folder(&self, folder: &Path) -> anyhow::Result<Variables> {
        if self.is_blind {
            return Ok(Variables::default());
        }
        // A variable that is not UTF-8 cannot be put into a file that is.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            Some((name, value))
        });
        let outside: BTreeMap<String, String> = environment.chain(self.variables.iter().cloned()).collect();
        let mut variables = Variables::default();
        for (name, text) in self.texts(folder)? {
            let failed = |error| BadInput::new(format!("cannot read the variables in {name}: {error}"));
            // As in docker compose, a later file may use what an earlier one sets.
            let above: BTreeMap<String, String> = variables.values.iter().chain(&outside).map(owned).collect();
            let VariablesFile { values, warnings } = read_variables_file(&text, &above).map_err(failed)?;
            variables.warnings.extend(warnings.iter().map(|warning| format!("{name}: warning: {warning}")));
            variables.values.extend(values);
        }
        variables.values.extend(outside);
        Ok(variables)
    }

    /// The files with what is in them. One that is named has to be there.
    fn texts(&self, folder: &Path) -> anyhow::Result<Vec<(String, String)>> {
        if !self.env_files.is_empty() {
            let texts = self.env_files.iter().map(|path| text_of(path).map_err(|error| unreadable(path, &error)));
            return texts.collect();
        }
        let beside = folder.join(BESIDE);
        // A directory is somebody else's, such as a virtual environment of Python.
        if beside.is_dir() {
            return Ok(Vec::new());
        }
        match text_of(&beside) {
            Ok(text) => Ok(vec![text]),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(unreadable(&beside, &error)),
        }
    }
}

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

fn text_of(path: &Path) -> io::Result<(String, String)> {
    let limit = VARIABLES_FILE_BYTES_MAX;
    let mut text = String::new();
    fs::File::open(path)?.take(limit as u64 + 1).read_to_string(&mut text)?;
    if text.len() > limit {
        return Err(io::Error::other(format!("it has more than {limit} bytes")));
    }
    Ok((path.display().to_string(), text))
}

fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    BadInput::new(format!("cannot read the variables in {}: {error}", path.display())).into()
}

/// `NAME=VALUE`, as environment variables are given.
pub(crate) fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !name.contains('\0') && !value.contains('\0') => {
            Ok((name.to_owned(), value.to_owned()))
        }
        Some(_) | None => Err("it must be NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(variables: &[(&str, &str)], files: &[PathBuf]) -> VariableArgs {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        VariableArgs { variables, env_files: files.to_vec(), is_blind: false }
    }

    fn read(args: &VariableArgs, folder: &Path) -> Result<BTreeMap<String, String>, String> {
        args.of_folder(folder).map(|read| read.values).map_err(|error| error.to_string())
    }

    #[test]
    fn assignments_need_a_name() {
        assert_eq!(assignment("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(assignment("A="), Ok(("A".to_owned(), String::new())));
        assert!(assignment("A").is_err());
        assert!(assignment("=b").is_err());
    }

    #[test]
    fn variables_beside_the_file_are_below_the_environment_and_the_command_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "PATH=of-the-file\nTICKMESH_T1=a\nTICKMESH_T2=${TICKMESH_T1}b\n")
            .unwrap();
        let read = read(&args(&[("TICKMESH_T1", "var")], &[]), folder.path()).unwrap();
        assert_eq!(read["PATH"], std::env::var("PATH").unwrap());
        assert_eq!((read["TICKMESH_T1"].as_str(), read["TICKMESH_T2"].as_str()), ("var", "varb"));
    }

    #[test]
    fn files_that_are_named_replace_the_one_beside_and_later_ones_win() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path(".env"), "TICKMESH_T0=no").unwrap();
        std::fs::write(path("a"), "TICKMESH_T1=1\nTICKMESH_T2=2").unwrap();
        std::fs::write(path("b"), "TICKMESH_T2=3$TICKMESH_T1").unwrap();
        let variables = read(&args(&[], &[path("a"), path("b")]), folder.path()).unwrap();
        assert!(!variables.contains_key("TICKMESH_T0"));
        assert_eq!((variables["TICKMESH_T1"].as_str(), variables["TICKMESH_T2"].as_str()), ("1", "31"));
        let refused = read(&args(&[], &[path("c")]), folder.path()).unwrap_err();
        assert!(refused.contains("cannot read the variables in") && refused.contains("/c: "), "{refused}");
    }

    #[test]
    fn a_folder_of_that_name_is_passed_over_and_a_bad_file_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(".env")).unwrap();
        assert!(read(&args(&[], &[]), folder.path()).is_ok());
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join(".env"), "A=1\n? x").unwrap();
        let refused = read(&args(&[], &[]), other.path()).unwrap_err();
        assert!(refused.contains(".env: line 2: it does not begin with the name of a variable"), "{refused}");
    }
}
