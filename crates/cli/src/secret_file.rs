//! Files with something that only some may know.

use std::{fs::File, io::Read as _, path::Path};

use crate::exit::BadInput;

/// Longest secret, in bytes.
const BYTES_MAX: u64 = 4_096;

/// What a file has, without the newline that editors leave behind, and not shorter than `bytes_min`. `what` is what it is to be.
pub(crate) fn read(path: &Path, what: &str, bytes_min: usize) -> Result<Vec<u8>, BadInput> {
    let refused = |problem: String| BadInput::new(format!("cannot use {} as {what}: {problem}", path.display()));
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(refused(format!("it is longer than {BYTES_MAX} bytes")));
    }
    let secret = bytes.trim_ascii().to_vec();
    if secret.len() < bytes_min {
        return Err(refused(format!("it is shorter than {bytes_min} bytes")));
    }
    Ok(secret)
}
