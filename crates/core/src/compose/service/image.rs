//! `image`: a reference as docker takes it, `[host[:port]/]path[:tag][@digest]`. Checked here, since the engine's own refusal
//! would come at the first tick, on another host, in the night.

use super::super::value::Refused;

/// Longest reference: docker allows 255 bytes for the name, 128 for the tag and some for the digest.
const REFERENCE_BYTES_MAX: usize = 512;

/// Reads an image reference.
pub(super) fn read(text: &str) -> Result<String, Refused> {
    if text.len() <= REFERENCE_BYTES_MAX && is_reference(text) {
        return Ok(text.to_owned());
    }
    let lower = text.to_ascii_lowercase();
    let expected = if text.len() <= REFERENCE_BYTES_MAX && is_reference(&lower) {
        "an image: upper case is allowed in the host and the tag only"
    } else {
        "an image such as `busybox:1.36` or `registry.example.com/team/job:v2`"
    };
    Err(Refused::new(text, expected))
}

fn is_reference(text: &str) -> bool {
    let (text, digest) = split_optional(text, text.find('@'));
    // A colon before the last slash belongs to the host's port.
    let last_slash = text.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = split_optional(text, text[last_slash..].find(':').map(|colon| last_slash + colon));
    let path = match name.split_once('/') {
        Some((host, path)) if is_host(host) => path,
        Some(_) | None => name,
    };
    path.split('/').all(is_component) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest)
}

/// The text before the separator at `index`, and that after it.
fn split_optional(text: &str, index: Option<usize>) -> (&str, Option<&str>) {
    match index {
        Some(index) => (&text[..index], Some(&text[index + 1..])),
        None => (text, None),
    }
}

/// Docker's rule: the first component is a host if it has a dot, a port, an upper-case letter, or is `localhost`.
fn is_host(text: &str) -> bool {
    let (host, port) = split_optional(text, text.find(':'));
    let marked =
        host == "localhost" || host.contains('.') || port.is_some() || host.contains(|c: char| c.is_ascii_uppercase());
    let valid = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
    marked && valid && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Lower-case letters and digits, with single separators between them.
fn is_component(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = text.bytes().next().is_some_and(is_inner) && text.bytes().next_back().is_some_and(is_inner);
    ends && text.bytes().all(|byte| is_inner(byte) || matches!(byte, b'.' | b'_' | b'-')) && !text.contains("..")
}

fn is_tag(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let rest = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    first && rest && text.len() <= 128
}

fn is_digest(text: &str) -> bool {
    text.split_once(':').is_some_and(|(algorithm, hex)| {
        !algorithm.is_empty()
            && algorithm.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'_' | b'-'))
            && hex.len() >= 32
            && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, valid: bool) {
        assert_eq!(read(text).is_ok(), valid, "{text:?}");
    }

    #[test]
    fn references_of_docker_are_accepted() {
        for text in [
            "busybox",
            "busybox:latest",
            "library/busybox:1.36",
            "registry.aliyuncs.com/jimmycmh/busybox:latest",
            "localhost:5000/a/b",
            "localhost/a",
            "Reg.Example.com:5000/team/job:V2",
            "a/b/c/d",
            "a__b/c-d.e:_x",
        ] {
            check(text, true);
        }
        check(&format!("busybox@sha256:{}", "a".repeat(64)), true);
        check(&format!("h.example:1/busybox:1@sha256:{}", "0".repeat(64)), true);
    }

    #[test]
    fn what_docker_would_refuse_is_refused() {
        for text in [
            "",
            ":",
            "/",
            "a/",
            "/a",
            "a//b",
            "a b",
            "busybox:",
            "busybox:a:b",
            "busybox:-x",
            "-a",
            "a..b",
            "BusyBox",
            "team/Job",
            "busybox@sha256:abc",
            "busybox@",
            "http://a.example/b",
            "büsybox",
            "a\n",
        ] {
            check(text, false);
        }
        check(&"a".repeat(513), false);
        assert_eq!(
            read("team/Job:1").unwrap_err().to_string(),
            "`team/Job:1` is not an image: upper case is allowed in the host and the tag only"
        );
    }
}
