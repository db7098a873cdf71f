//! An image that nobody else has: busybox, and a layer with one file on top.

use std::{path::Path, process::Command};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Added to the layer, so that half of it is seen to be on its way: an engine tells of every hundredth part.
const PADDING_BYTES: usize = 2 << 20;
/// What the images are made from.
const BASE: &str = "busybox:latest";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Something that is stored under its digest.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) digest: String,
    pub(super) media_type: String,
    pub(super) content: Bytes,
    pub(super) can_be_held: bool,
}

/// An image, as a registry stores it.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) manifest: Blob,
    pub(super) blobs: Vec<Blob>,
}

impl Image {
    /// busybox with that text in `/marker`.
    pub(super) fn with_marker(marker: &str) -> Self {
        let folder = tempfile::tempdir().expect("make a folder for the image");
        let (base, own) = (folder.path().join("base"), folder.path().join("own"));
        let mut layers = base_layers(&base);
        std::fs::create_dir(&own).expect("make a folder for the layer");
        std::fs::write(own.join("marker"), marker).expect("write the marker");
        std::fs::write(own.join("padding"), vec![0; PADDING_BYTES]).expect("write the padding");
        let tar = output(Command::new("tar").args(["--owner=0", "--group=0", "-cf", "-", "-C"]).arg(&own).arg("."));
        layers.push(Blob { can_be_held: true, ..Blob::new(LAYER, tar) });
        let digests: Vec<_> = layers.iter().map(|layer| &layer.digest).collect();
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = json!({
            "architecture": architecture, "os": "linux", "config": { "Cmd": ["sh"] },
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        let config = Blob::new(CONFIG, config.to_string());
        let layers_described: Vec<_> = layers.iter().map(Blob::descriptor).collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config.descriptor(), "layers": layers_described,
        });
        let manifest = Blob::new(MANIFEST, manifest.to_string());
        layers.push(config);
        Self { manifest, blobs: layers }
    }
}

impl Blob {
    pub(super) fn new(media_type: &str, content: impl Into<Bytes>) -> Self {
        let content = content.into();
        let digest = Sha256::digest(&content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Self { digest: format!("sha256:{digest}"), media_type: media_type.to_owned(), content, can_be_held: false }
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.content.len() })
    }
}

/// The layers of busybox, from the engine.
fn base_layers(folder: &Path) -> Vec<Blob> {
    std::fs::create_dir(folder).expect("make a folder for the base");
    let saved = folder.join("saved.tar");
    output(Command::new("docker").arg("save").arg("-o").arg(&saved).arg(BASE));
    output(Command::new("tar").arg("-xf").arg(&saved).arg("-C").arg(folder));
    let manifest = std::fs::read(folder.join("manifest.json")).expect("read the saved manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("a manifest");
    let layers = manifest[0]["Layers"].as_array().expect("a list of layers");
    let read = |name: &Value| std::fs::read(folder.join(name.as_str().expect("a file name"))).expect("read a layer");
    layers.iter().map(|name| Blob::new(LAYER, read(name))).collect()
}

fn output(command: &mut Command) -> Vec<u8> {
    let done = command.output().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}
