//! Paths as text. Nothing here asks a disk: a path means the same wherever the app is read again.

/// Returns `path` as seen from where `base` begins: without `.`, and with `..` only at the
/// beginning of a relative path.
pub fn join(base: &str, path: &str) -> String {
    let whole = if path.starts_with('/') || base.is_empty() { path.to_owned() } else { format!("{base}/{path}") };
    let is_absolute = whole.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            // Above the root there is nothing.
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    format!("{}{}", if is_absolute { "/" } else { "" }, parts.join("/"))
}

/// Returns how a file of a project looks from where its first file was named.
pub fn shown(first: &str, path: &str) -> String {
    let first = folder(first);
    if first.is_empty() || path.starts_with('/') { path.to_owned() } else { join(first, path) }
}

/// Returns the folder of a file; empty: where relative paths begin.
pub(super) fn folder(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_without_detours() {
        for (base, path, expect) in [
            ("", "a.yml", "a.yml"),
            ("", "./a/../b.yml", "b.yml"),
            ("", "../b.yml", "../b.yml"),
            ("common", "../b.yml", "b.yml"),
            ("common", "../../b.yml", "../b.yml"),
            ("..", "../b.yml", "../../b.yml"),
            ("/srv/x", "../y/./z", "/srv/y/z"),
            ("/srv", "../../../etc", "/etc"),
            ("/srv", "/data//x/", "/data/x"),
            ("/", "..", "/"),
            ("common", ".", "common"),
        ] {
            assert_eq!(join(base, path), expect, "{base} {path}");
        }
    }

    #[test]
    fn the_folder_of_a_file_is_what_is_before_its_name() {
        for (path, expect) in [("a.yml", ""), ("x/a.yml", "x"), ("../a.yml", ".."), ("/a.yml", "/"), ("/x/a", "/x")] {
            assert_eq!(folder(path), expect, "{path}");
        }
    }
}
