//! The labels `tags`, `description` and `owner`: what people say of an app to each other.

use super::super::value::Refused;
use crate::spec::About;

/// Most tags of one app: more are no help to anybody who filters.
const TAGS_MAX: usize = 20;
/// Longest tag: lists show them side by side.
const TAG_BYTES_MAX: usize = 40;
const OWNER_CHARACTERS_MAX: usize = 100;
const DESCRIPTION_CHARACTERS_MAX: usize = 300;

/// Reads `tags`; one that is named twice counts once.
pub(super) fn read_tags(text: &str, about: &mut About) -> Result<(), Refused> {
    let refused = |text: &str| {
        let words = format!("up to {TAGS_MAX} words of up to {TAG_BYTES_MAX} letters, digits, `.`, `_`, `:` and `-`");
        Refused::new(text, format!("{words}, with commas between them"))
    };
    let mut tags: Vec<String> = Vec::new();
    for tag in text.split(',').map(str::trim) {
        if !is_tag(tag) {
            return Err(refused(tag));
        }
        if tags.iter().all(|known| known != tag) {
            tags.push(tag.to_owned());
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(refused(text));
    }
    about.tags = tags;
    Ok(())
}

fn is_tag(text: &str) -> bool {
    let characters = text.chars().all(|it| it.is_ascii_alphanumeric() || "._:-".contains(it));
    characters && (1..=TAG_BYTES_MAX).contains(&text.len())
}

/// Reads `owner`.
pub(super) fn read_owner(text: &str, about: &mut About) -> Result<(), Refused> {
    about.owner = Some(line(text, OWNER_CHARACTERS_MAX)?);
    Ok(())
}

/// Reads `description`.
pub(super) fn read_description(text: &str, about: &mut About) -> Result<(), Refused> {
    about.description = Some(line(text, DESCRIPTION_CHARACTERS_MAX)?);
    Ok(())
}

/// Returns the text with each run of white space as one space, as a folded text of YAML has it.
fn line(text: &str, characters_max: usize) -> Result<String, Refused> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() {
        1.. if line.chars().count() <= characters_max && !line.chars().any(char::is_control) => Ok(line),
        _ => Err(Refused::new(text, format!("a text of up to {characters_max} characters without control characters"))),
    }
}
