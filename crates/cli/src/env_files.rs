//! The env files of a compose file, read where it is applied: what is in them is stored with the app.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, Read},
    path::Path,
};

use tickmesh_core::compose::ENV_FILES_BYTES_MAX;

use crate::exit::BadInput;

/// Reads the files of these names, of which relative ones begin in `folder`. What is not there is left out: whether it may
/// be absent, the compose file says.
pub(crate) fn read(names: &BTreeSet<String>, folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    // One byte more than all of them may have shows that there is too much, and that is told with everything else.
    let mut left = ENV_FILES_BYTES_MAX + 1;
    let mut files = BTreeMap::new();
    for name in names {
        let bytes = match read_bytes(&folder.join(name), left) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            read => read.map_err(|error| BadInput::new(format!("cannot read the env file `{name}`: {error}")))?,
        };
        left -= bytes.len();
        let text = if left == 0 { String::from_utf8_lossy(&bytes).into_owned() } else { text(name, bytes)? };
        files.insert(name.clone(), text);
    }
    Ok(files)
}

fn read_bytes(path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(name: &str, bytes: Vec<u8>) -> anyhow::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        BadInput::new(format!("cannot read the env file `{name}`: byte {} is not UTF-8", place + 1)).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn files_begin_in_the_folder_and_may_be_absent() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("sub"), folder.path().join("b.env"));
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(inside.join("a.env"), "A=1").unwrap();
        std::fs::write(&outside, "B=2").unwrap();
        let absolute = outside.display().to_string();
        let files = read(&names(&["a.env", "../b.env", &absolute, "nowhere.env"]), &inside).unwrap();
        let expect = [("a.env", "A=1"), ("../b.env", "B=2"), (&absolute, "B=2")];
        assert_eq!(files, expect.map(|(name, text)| (name.to_owned(), text.to_owned())).into());
    }

    #[test]
    fn files_that_cannot_be_read_are_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("binary.env"), b"A=\xff").unwrap();
        let told = |name| read(&names(&[name]), folder.path()).unwrap_err().to_string();
        assert_eq!(told("binary.env"), "cannot read the env file `binary.env`: byte 3 is not UTF-8");
        assert!(told(".").starts_with("cannot read the env file `.`: "), "{}", told("."));
    }

    #[test]
    fn files_that_are_too_long_are_read_no_further() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.env", "b.env"] {
            std::fs::write(folder.path().join(name), "天".repeat(ENV_FILES_BYTES_MAX)).unwrap();
        }
        let files = read(&names(&["a.env", "b.env"]), folder.path()).unwrap();
        let bytes: usize = files.values().map(String::len).sum();
        assert!((ENV_FILES_BYTES_MAX + 1..ENV_FILES_BYTES_MAX + 5).contains(&bytes), "{bytes}");
    }
}
