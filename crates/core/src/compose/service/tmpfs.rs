//! Mounts of memory: `tmpfs: /run:size=64m,mode=1777`, and `tmpfs` of a volume in its long form.

use super::{
    super::{
        reader::Reader,
        value::{Refused, size},
        yaml::Item,
    },
    mount::{Mount, target_path},
};
use crate::spec::{MountOptions, Volume, VolumeSource};

/// Options without a value.
const FLAGS: [&str; 9] = ["ro", "rw", "exec", "noexec", "suid", "nosuid", "dev", "nodev", "noatime"];
/// Options with a whole number.
const NUMBERS: [&str; 4] = ["uid", "gid", "nr_inodes", "nr_blocks"];

/// Reads `tmpfs` of a service.
pub(super) fn read_tmpfs(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<Mount> {
    let volumes = reader.one_or_many(item, short);
    volumes.into_iter().map(|volume| Mount { volume, place: item.place() }).collect()
}

fn short(text: &str) -> Result<Volume, Refused> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let options: Result<Vec<String>, _> = options.split(',').filter(|option| !option.is_empty()).map(option).collect();
    let source = VolumeSource::Tmpfs(options?.join(","));
    Ok(Volume { source, target: target_path(target)?, read_only: false, options: MountOptions::default() })
}

fn option(text: &str) -> Result<String, Refused> {
    let refused =
        || Refused::new(text, "an option of a tmpfs, such as `size=64m`, `mode=1777`, `uid=1000` or `noexec`");
    let is_number = |value: &str| value.len() <= 10 && value.parse::<u64>().is_ok();
    match text.split_once('=') {
        None if FLAGS.contains(&text) => Ok(text.to_owned()),
        Some(("size", value)) => size_option(value),
        Some(("mode", value)) => mode_option(value),
        Some((name, value)) if NUMBERS.contains(&name) && is_number(value) => Ok(text.to_owned()),
        Some(_) | None => Err(refused()),
    }
}

/// In bytes: the kernel's units are fewer than compose's.
fn size_option(text: &str) -> Result<String, Refused> {
    match size(text)? {
        0 => Err(Refused::new(text, "a size above 0")),
        bytes => Ok(format!("size={bytes}")),
    }
}

/// Octal, with or without YAML's sign of it.
fn mode_option(text: &str) -> Result<String, Refused> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    match u32::from_str_radix(digits, 8) {
        Ok(mode @ 0..=0o7777) => Ok(format!("mode={mode:o}")),
        Ok(_) | Err(_) => Err(Refused::new(text, "a mode such as `1777`, in octal digits")),
    }
}

/// Reads `tmpfs` of a volume: its options.
pub(super) fn read_long(reader: &mut Reader<'_>, item: &Item<'_>) -> Vec<String> {
    let mut options = Vec::new();
    for entry in reader.entries(item) {
        let child = item.child(entry);
        match entry.key.text.as_str() {
            "size" => options.extend(reader.parsed(&child, size_option)),
            "mode" => options.extend(reader.parsed(&child, mode_option)),
            unknown => reader.unknown_key(unknown, item.key_place(&entry.key), ["size", "mode"]),
        }
    }
    options
}
