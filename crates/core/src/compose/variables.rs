//! Files of variables, such as the `.env` beside a compose file: what is put in place of `${NAME}`
//! where the environment has no such variable. Their syntax is that of env files.

use std::collections::BTreeMap;

use super::{
    dotenv::{self, Assignment, Value},
    interpolate::Interpolator,
    report::quote,
};

/// Most text in one such file. Only what the compose file uses is stored, so there may be more of
/// it than in an env file.
pub const VARIABLES_FILE_BYTES_MAX: usize = 1024 * 1024;

/// What a file of variables says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct VariablesFile {
    /// The variables, with their values.
    pub values: BTreeMap<String, String>,
    /// Warnings, each with the line that it is about.
    pub warnings: Vec<VariablesFileError>,
}

/// Something that is wrong with a file of variables.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct VariablesFileError {
    /// From 1.
    pub line: usize,
    problem: String,
}

/// Reads a file of variables. Its values may use `variables`, those of the environment, and those
/// above them; the environment wins.
pub fn read_variables_file(
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<VariablesFile, VariablesFileError> {
    let refused = |line: usize, problem: String| VariablesFileError { line, problem };
    let assignments = dotenv::parse(text).map_err(|error| refused(error.line, error.problem.to_owned()))?;
    let mut interpolator = Interpolator::new(variables);
    let mut file = VariablesFile::default();
    for Assignment { name, value, line } in assignments {
        let value = match value {
            Value::Literal(text) => text,
            Value::Inherited => continue,
            Value::Template(text) => {
                let replaced = interpolator.interpolate_beside(&text, &file.values);
                let replaced = replaced.map_err(|error| refused(line, error.to_string()))?;
                for unset in replaced.unset {
                    let problem = format!("the variable {} is not set: nothing is put in its place", quote(&unset));
                    file.warnings.push(refused(line, problem));
                }
                replaced.text
            }
        };
        file.values.insert(name, value);
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn read(text: &str) -> Result<VariablesFile, VariablesFileError> {
        read_variables_file(text, &map(&[("HOME", "/h"), ("TAG", "env")]))
    }

    #[test]
    fn values_may_use_the_environment_and_what_is_above_them() {
        let file = read("TAG=file\nA=1\nB=${A}-$TAG\nC='$A'\nD=\"$HOME/x\"\n# note\nexport E=5\nHOME\n").unwrap();
        // Whoever reads the compose file puts the environment above this.
        let expect = [("TAG", "file"), ("A", "1"), ("B", "1-env"), ("C", "$A"), ("D", "/h/x"), ("E", "5")];
        assert_eq!(file, VariablesFile { values: map(&expect), warnings: Vec::new() });
    }

    #[test]
    fn what_is_not_set_is_a_warning_with_its_line() {
        let file = read("A=1\nB=x$NONE\n").unwrap();
        assert_eq!(file.values, map(&[("A", "1"), ("B", "x")]));
        let warnings: Vec<String> = file.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, ["line 2: the variable `NONE` is not set: nothing is put in its place"]);
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_line() {
        let refused = |text| read(text).unwrap_err().to_string();
        assert!(refused("A=1\n?").starts_with("line 2: it does not begin with the name of a variable"));
        assert_eq!(refused("A=${B:?say so}"), "line 1: the variable `B` is required: say so");
    }
}
