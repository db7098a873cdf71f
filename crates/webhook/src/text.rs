//! Texts for services that take no more than so much, and output without what looks like a secret. Pure.

const ELLIPSIS: &str = "...";
/// Longest line of output that is told.
const LINE_CHARACTERS_MAX: usize = 300;
/// What stands in for a secret.
const MASK: &str = "***";
/// Words in names whose values are not told.
const SECRET_WORDS: [&str; 7] = ["password", "passwd", "secret", "token", "apikey", "api_key", "authorization"];

/// The text, or a beginning of it with at most so many characters.
pub(crate) fn shortened(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let kept = characters_max.saturating_sub(ELLIPSIS.len());
    text.chars().take(kept).chain(ELLIPSIS.chars()).collect()
}

/// The text, or a beginning of it with at most so many bytes.
pub(crate) fn shortened_bytes(text: &str, bytes_max: usize) -> String {
    if text.len() <= bytes_max {
        return text.to_owned();
    }
    let mut end = bytes_max.saturating_sub(ELLIPSIS.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ELLIPSIS}", &text[..end])
}

/// A line of output for people outside: without control characters, and without values that look like secrets.
pub(crate) fn masked(line: &str) -> String {
    let line: String = line.chars().filter(|character| !character.is_control() || *character == '\t').collect();
    let words: Vec<String> = line.split(' ').map(masked_word).collect();
    let mut told = Vec::new();
    let mut hides_next = false;
    for word in words {
        // `--password X` and `Authorization: Bearer X` have the secret in a word of its own.
        let hides = std::mem::take(&mut hides_next);
        let is_scheme = matches!(word.to_lowercase().as_str(), "bearer" | "basic");
        hides_next = is_scheme || (names_secret(&word) && !word.contains(MASK) && is_name(&word));
        told.push(if hides && !word.is_empty() && !is_scheme { MASK.to_owned() } else { word });
    }
    shortened(&told.join(" "), LINE_CHARACTERS_MAX)
}

fn masked_word(word: &str) -> String {
    // The password of an address: `scheme://user:password@host`.
    if let Some((scheme, rest)) = word.split_once("://")
        && let Some((credentials, host)) = rest.rsplit_once('@')
        && let Some((user, _)) = credentials.split_once(':')
    {
        return format!("{scheme}://{user}:{MASK}@{host}");
    }
    for separator in ['=', ':'] {
        if let Some((name, value)) = word.split_once(separator)
            && names_secret(name)
            && !value.is_empty()
        {
            return format!("{name}{separator}{MASK}");
        }
    }
    word.to_owned()
}

fn names_secret(word: &str) -> bool {
    let word = word.to_lowercase();
    SECRET_WORDS.iter().any(|secret| word.contains(secret))
}

/// Whether a value follows in the next word.
fn is_name(word: &str) -> bool {
    word.starts_with('-') || word.ends_with(':') || word.ends_with('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_not_told() {
        for (line, told) in [
            ("PASSWORD=hunter2 started", "PASSWORD=*** started"),
            ("db_password: hunter2", "db_password: ***"),
            ("--token abc run", "--token *** run"),
            ("Authorization: Bearer abc", "Authorization: Bearer ***"),
            ("postgres://app:hunter2@db:5432/x", "postgres://app:***@db:5432/x"),
            ("the token is gone\u{1b}[0m", "the token is gone[0m"),
            ("exit code 3", "exit code 3"),
        ] {
            assert_eq!(masked(line), told);
        }
    }

    #[test]
    fn a_text_is_shortened_to_what_is_taken() {
        assert_eq!(
            (shortened("天天天天天", 5).as_str(), shortened("天天天天天天", 5).as_str()),
            ("天天天天天", "天天...")
        );
        assert_eq!((shortened_bytes("天天", 6).as_str(), shortened_bytes("天天天", 8).as_str()), ("天天", "天..."));
    }
}
