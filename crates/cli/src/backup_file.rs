//! The file of a backup: what it is a backup of, then one stream after the other, then a checksum over all of it.
//!
//! ```text
//! tickmesh-backup\n
//! frame: Head, as JSON
//! for each stream:   frame: Section, as JSON;   frames: the server's archive;   empty frame
//! empty frame
//! 32 bytes: SHA-256 of everything before
//! ```
//!
//! A frame is its length in four bytes, the highest first, and so many bytes. Whoever restores reads the whole file and its
//! checksum before anything is changed: a file that was cut off must be found out before the streams are gone.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek as _, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tickmesh_core::{id::MeshId, name::Namespace};
use tickmesh_messaging::StreamShape;

use crate::exit::BadInput;

const MAGIC: &[u8] = b"tickmesh-backup\n";
/// Version of the form.
const SCHEMA: u32 = 1;
/// Largest frame: more than any server's largest message.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;
const CHECKSUM_BYTES: usize = 32;
/// How much is read at once.
const PIECE_BYTES: usize = 64 * 1024;

/// What a file is a backup of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Version of the form.
    pub schema: u32,
    /// Prefix of every name.
    pub namespace: Namespace,
    /// Identity of the mesh.
    pub mesh: MeshId,
    /// When the copy was begun.
    pub made_at: Timestamp,
    /// Build of the program that made it.
    pub build: String,
}

impl Head {
    /// The head of a backup that begins now.
    pub(crate) fn new(namespace: Namespace, mesh: MeshId) -> Self {
        Self { schema: SCHEMA, namespace, mesh, made_at: Timestamp::now(), build: crate::build::BUILD.to_owned() }
    }
}

/// What goes before the archive of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// Short name of the stream.
    pub stream: String,
    /// What the server says of it.
    pub shape: StreamShape,
}

/// A backup in the making. Nobody sees the file before it is whole.
pub(crate) struct BackupWriter {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    checksum: Sha256,
    bytes: u64,
}

impl BackupWriter {
    /// Begins a file, for its user alone: values of variables in compose files may be secrets.
    pub(crate) fn create(path: &Path, head: &Head) -> anyhow::Result<Self> {
        let folder = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder).with_context(|| format!("failed to write to {}", folder.display()))?;
        let mut writer = Self { path: path.to_owned(), file: BufWriter::new(file), checksum: Sha256::new(), bytes: 0 };
        writer.write(MAGIC)?;
        writer.json(head)?;
        Ok(writer)
    }

    /// Begins a stream.
    pub(crate) fn begin(&mut self, section: &Section) -> anyhow::Result<()> {
        self.json(section)
    }

    /// Adds a piece of its archive.
    pub(crate) fn piece(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        let length = u32::try_from(piece.len()).context("a piece of a stream is too large")?;
        self.write(&length.to_be_bytes())?;
        self.write(piece)
    }

    /// Ends a stream.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        self.piece(&[])
    }

    /// Ends the file and gives it its name. Returns its size.
    pub(crate) fn finish(mut self) -> anyhow::Result<u64> {
        self.end()?;
        let checksum = self.checksum.clone().finalize();
        self.write(&checksum)?;
        let shown = self.path.display();
        let failed = || format!("failed to write {shown}");
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error).with_context(failed)?;
        file.as_file().sync_all().with_context(failed)?;
        file.persist(&self.path).map_err(|error| error.error).with_context(failed)?;
        Ok(self.bytes)
    }

    fn json(&mut self, value: &impl Serialize) -> anyhow::Result<()> {
        self.piece(&serde_json::to_vec(value)?)
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.checksum.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write_all(bytes).with_context(|| format!("failed to write {}", self.path.display()))
    }
}

/// A backup that is read.
pub(crate) struct BackupReader {
    path: PathBuf,
    file: BufReader<File>,
    /// What it is a backup of.
    pub head: Head,
    /// The streams in it.
    pub sections: Vec<Section>,
}

impl BackupReader {
    /// Reads the file to its end, and makes sure that it is whole.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::open(path).map_err(|error| BadInput::new(format!("cannot read {}: {error}", path.display())))?;
        ensure_whole(path, &file)?;
        let mut reader = FrameReader { path, file: BufReader::new(file) };
        let head: Head = reader.head()?;
        if head.schema > SCHEMA {
            let problem = format!("{} is from a later release ({})", path.display(), head.build);
            return Err(BadInput::new(problem).hint("restore it with that release").into());
        }
        let mut sections = Vec::new();
        while let Some(section) = reader.section()? {
            while reader.frame()?.is_some() {}
            sections.push(section);
        }
        let mut file = reader.file;
        file.rewind().with_context(|| format!("failed to read {}", path.display()))?;
        let mut again = FrameReader { path, file };
        let _read: Head = again.head()?;
        Ok(Self { path: path.to_owned(), file: again.file, head, sections })
    }

    /// Returns the next stream, whose pieces follow.
    pub(crate) fn section(&mut self) -> anyhow::Result<Option<Section>> {
        FrameReader { path: &self.path, file: &mut self.file }.section()
    }

    /// Returns the next piece of the stream, or `None` at its end.
    pub(crate) fn piece(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        FrameReader { path: &self.path, file: &mut self.file }.frame()
    }
}

/// Reads frames.
struct FrameReader<'a, R> {
    path: &'a Path,
    file: R,
}

impl<R: Read> FrameReader<'_, R> {
    fn head(&mut self) -> anyhow::Result<Head> {
        let mut magic = [0; MAGIC.len()];
        self.bytes(&mut magic)?;
        if magic != MAGIC {
            return Err(no_backup(self.path).into());
        }
        let frame = self.frame()?.unwrap_or_default();
        self.parsed(&frame)
    }

    fn section(&mut self) -> anyhow::Result<Option<Section>> {
        let Some(frame) = self.frame()? else { return Ok(None) };
        self.parsed(&frame).map(Some)
    }

    /// The next frame, or `None`: it is empty.
    fn frame(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut length = [0; 4];
        self.bytes(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length > FRAME_BYTES_MAX {
            bail!("{} has a piece of {length} bytes", self.path.display());
        }
        let mut frame = vec![0; length];
        self.bytes(&mut frame)?;
        Ok((length > 0).then_some(frame))
    }

    fn parsed<T: DeserializeOwned>(&self, frame: &[u8]) -> anyhow::Result<T> {
        serde_json::from_slice(frame).with_context(|| format!("failed to understand {}", self.path.display()))
    }

    fn bytes(&mut self, bytes: &mut [u8]) -> anyhow::Result<()> {
        self.file.read_exact(bytes).with_context(|| format!("failed to read {}", self.path.display()))
    }
}

fn no_backup(path: &Path) -> BadInput {
    BadInput::new(format!("{} is no backup of a mesh", path.display())).hint("`tickmesh backup FILE` makes one")
}

/// Makes sure that the checksum at the end is that of what is before.
fn ensure_whole(path: &Path, file: &File) -> anyhow::Result<()> {
    let failed = || format!("failed to read {}", path.display());
    let length = file.metadata().with_context(failed)?.len();
    let Some(length) = length.checked_sub(CHECKSUM_BYTES as u64).filter(|length| *length > MAGIC.len() as u64) else {
        return Err(no_backup(path).into());
    };
    let mut reader = BufReader::new(file);
    let mut magic = [0; MAGIC.len()];
    reader.read_exact(&mut magic).with_context(failed)?;
    if magic != MAGIC {
        return Err(no_backup(path).into());
    }
    let mut checksum = Sha256::new_with_prefix(magic);
    let mut body = (&mut reader).take(length - MAGIC.len() as u64);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match body.read(&mut piece).with_context(failed)? {
            0 => break,
            bytes => checksum.update(&piece[..bytes]),
        }
    }
    let mut stated = [0; CHECKSUM_BYTES];
    reader.read_exact(&mut stated).with_context(failed)?;
    if checksum.finalize().as_slice() != stated {
        let problem = format!("{} is damaged or was cut off: its checksum is wrong", path.display());
        return Err(BadInput::new(problem).hint("take another copy of it, or an earlier backup").into());
    }
    let mut rewound = file;
    rewound.rewind().with_context(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn section(stream: &str) -> Section {
        Section { stream: stream.to_owned(), shape: StreamShape { config: json!({"name": stream}), state: json!({}) } }
    }

    fn write(path: &Path) -> Head {
        let head = Head::new(Namespace::new("mesh").unwrap(), MeshId::from_random([7; 16]));
        let mut writer = BackupWriter::create(path, &head).unwrap();
        for (stream, pieces) in [("apps", vec![&b"one"[..], b"two"]), ("meta", vec![])] {
            writer.begin(&section(stream)).unwrap();
            pieces.into_iter().for_each(|piece| writer.piece(piece).unwrap());
            writer.end().unwrap();
        }
        assert!(!path.exists(), "a file that is not whole has no name");
        let bytes = writer.finish().unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().len(), bytes);
        head
    }

    #[test]
    fn what_was_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.backup");
        let head = write(&path);
        let mut reader = BackupReader::open(&path).unwrap();
        assert_eq!((&reader.head, &reader.sections), (&head, &vec![section("apps"), section("meta")]));
        assert_eq!(reader.section().unwrap(), Some(section("apps")));
        assert_eq!(reader.piece().unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(reader.piece().unwrap().as_deref(), Some(&b"two"[..]));
        assert_eq!(reader.piece().unwrap(), None);
        assert_eq!(reader.section().unwrap(), Some(section("meta")));
        assert_eq!((reader.piece().unwrap(), reader.section().unwrap()), (None, None));
    }

    #[test]
    fn damaged_or_shortened_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.backup");
        write(&path);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(BackupReader::open(&path).is_err(), "{length} of {} bytes", whole.len());
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            std::fs::write(&path, &damaged).unwrap();
            assert!(BackupReader::open(&path).is_err(), "byte {at} is changed");
        }
    }
}
