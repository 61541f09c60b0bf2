//! What is known of words in routes: the file `words.txt`, and what can be told by looking.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// The placeholder of a value.
pub(super) const ID: &str = "{id}";

/// The rest of a path.
pub(super) const REST: &str = "**";

/// Bytes of the longest word that is looked up.
const LONGEST: usize = 40;

/// What a word says of the segment after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Anything,
    /// It is a name, whatever it looks like.
    Name,
    /// It is a name, unless it is a known word.
    NameOrWord,
    /// Likewise, and so is the one after that.
    TwoNames,
}

/// What `words.txt` says.
struct Vocabulary {
    words: HashMap<&'static str, After>,
    /// From the end of a file's name to its placeholder.
    files: HashMap<&'static str, String>,
}

static VOCABULARY: LazyLock<Vocabulary> = LazyLock::new(|| Vocabulary::read(include_str!("words.txt")));

impl Vocabulary {
    fn read(text: &'static str) -> Self {
        let mut vocabulary = Self { words: HashMap::new(), files: HashMap::new() };
        let mut section = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name;
                continue;
            }
            let after = match section {
                "named" => After::Name,
                "pairs" => After::TwoNames,
                "collections" => After::NameOrWord,
                _ => After::Anything,
            };
            for word in line.split_whitespace() {
                if section == "files" {
                    vocabulary.files.insert(word, format!("{ID}.{word}"));
                } else {
                    vocabulary.words.insert(word, after);
                }
            }
        }
        vocabulary
    }
}

/// What `segment` says of the one after it.
pub(super) fn after(segment: &str) -> After {
    look_up(segment.as_bytes()).unwrap_or(After::Anything)
}

/// Whether a segment, or the name of a file but for its end, is a word that routes are made of, or a version.
pub(super) fn is_known(segment: &str) -> bool {
    let text = segment.strip_prefix(['.', '$']).unwrap_or(segment).trim_start_matches('_');
    if look_up(text.as_bytes()).is_some() || is_version(text) {
        return true;
    }
    let stem = placeholder(text.as_bytes()).and(text.rsplit_once('.')).map_or(text, |(stem, _)| stem);
    look_up(stem.as_bytes()).is_some()
}

/// Whether `letters` are one of the short words that stand between others.
pub(super) fn is_particle(letters: &[u8]) -> bool {
    let [first, second] = letters else { return false };
    let lower = [first.to_ascii_lowercase(), second.to_ascii_lowercase()];
    matches!(
        &lower,
        b"as" | b"at" | b"by" | b"id" | b"in" | b"is" | b"my" | b"no" | b"of" | b"on" | b"or" | b"to" | b"up"
    )
}

/// Whether a part of a segment is in the vocabulary, digits or not.
pub(super) fn is_word(part: &[u8]) -> bool {
    look_up(part).is_some()
}

fn look_up(word: &[u8]) -> Option<After> {
    VOCABULARY.words.get(lower(word, &mut [0; LONGEST])?).copied()
}

/// The placeholder of a file's name that ends in a way that is known, such as `{id}.js`.
pub(super) fn placeholder(name: &[u8]) -> Option<&'static str> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let files = &VOCABULARY.files;
    files.get(lower(name.get(dot + 1..)?, &mut [0; LONGEST])?).map(String::as_str)
}

/// Whether a template's segment is a placeholder alone.
pub(super) fn is_placeholder(segment: &str) -> bool {
    segment == REST || segment.strip_prefix(ID).is_some_and(|end| end.is_empty() || end.starts_with('.'))
}

/// `v1`, `v1.2`, `v2beta1`, `v1p1beta1`: a number, or several with dots between, and what it is a stage of. A date
/// is none: it would be a word for each day.
pub(super) fn is_version(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['v', 'V']).filter(|rest| rest.len() <= 14) else { return false };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let Some((number, stage)) = rest.split_at_checked(end) else { return false };
    number.split('.').all(|part| matches!(part.len(), 1..=3)) && is_stage(stage)
}

fn is_stage(text: &str) -> bool {
    let rest = ["alpha", "beta", "rc", "preview", "p"].iter().find_map(|stage| text.strip_prefix(stage));
    text.is_empty() || rest.is_some_and(|rest| is_stage(rest.trim_start_matches(|c: char| c.is_ascii_digit())))
}

/// `2` or `1.0`, which are versions after `api`.
pub(super) fn is_bare_version(text: &str) -> bool {
    matches!(text.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'9', b'.', b'0'..=b'9'])
}

/// `en-US`, `zh_Hans_CN`, `es-419`: a language with a script, a region, or both (RFC 5646 §2.1). A language alone
/// looks like any word.
pub(super) fn is_locale(text: &str) -> bool {
    let all = |part: &str, is: fn(&u8) -> bool| part.as_bytes().iter().all(is);
    let is_region = |part: &str| match part.len() {
        2 => all(part, u8::is_ascii_alphabetic),
        3 => all(part, u8::is_ascii_digit),
        _ => false,
    };
    let is_script = |part: &str| part.len() == 4 && all(part, u8::is_ascii_alphabetic);
    let mut parts = text.split(['-', '_']);
    let is_language = |part: &str| matches!(part.len(), 2 | 3) && all(part, u8::is_ascii_alphabetic);
    parts.next().is_some_and(is_language)
        && match (parts.next(), parts.next(), parts.next()) {
            (Some(part), None, None) => is_region(part) || is_script(part),
            (Some(script), Some(region), None) => is_script(script) && is_region(region),
            _ => false,
        }
}

fn lower<'a>(text: &[u8], space: &'a mut [u8; LONGEST]) -> Option<&'a str> {
    let place = space.get_mut(..text.len())?;
    place.copy_from_slice(text);
    place.make_ascii_lowercase();
    std::str::from_utf8(place).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vocabulary_is_in_order() {
        let mut sections = Vec::new();
        for line in include_str!("words.txt").lines().filter(|line| !line.starts_with('#')) {
            match line.starts_with('[') {
                true => sections.push(Vec::new()),
                false => sections.last_mut().into_iter().for_each(|words| words.extend(line.split_whitespace())),
            }
        }
        assert_eq!(sections.len(), 6);
        for words in &sections {
            assert!(words.is_sorted_by(|a, b| a < b), "{words:?}");
            assert!(
                words.iter().all(|word| word.len() <= LONGEST && !word.bytes().any(|b| b.is_ascii_uppercase()))
            );
        }
        let words: usize = sections.iter().map(Vec::len).sum();
        assert_eq!(VOCABULARY.words.len() + VOCABULARY.files.len(), words, "a word is in two sections");
    }

    #[test]
    fn known_words() {
        for (segment, expected) in [
            ("users", true),
            ("Users", true),
            ("_search", true),
            ("__debug__", false),
            (".well-known", true),
            ("$metadata", true),
            ("forgot-password", true),
            ("openid-configuration", true),
            ("count.json", true),
            ("robots.txt", true),
            ("oauth2", true),
            ("-", true),
            ("v1", true),
            ("v2beta1", true),
            ("2", false),
            ("reset-the-password", false),
            ("alice", false),
            ("alice.json", false),
            ("users-alice", false),
            ("", false),
            ("{id}", false),
        ] {
            assert_eq!(is_known(segment), expected, "{segment}");
        }
    }

    #[test]
    fn versions() {
        for (text, expected) in [
            ("v1", true),
            ("V2", true),
            ("v1.2", true),
            ("v17.0", true),
            ("v1alpha1", true),
            ("v1p1beta1", true),
            ("v3rc", true),
            ("v2preview", true),
            ("v", false),
            ("v1.", false),
            ("v.1", false),
            ("v1234", false),
            ("v20240601", false),
            ("v1gamma", false),
            ("1", false),
        ] {
            assert_eq!(is_version(text), expected, "{text}");
        }
    }

    #[test]
    fn locales_and_placeholders() {
        for (text, expected) in [
            ("en-US", true),
            ("pt_br", true),
            ("es-419", true),
            ("zh-Hans", true),
            ("zh-Hans-CN", true),
            ("en", false),
            ("en-12", false),
            ("en-US-US", false),
            ("a-b", false),
        ] {
            assert_eq!(is_locale(text), expected, "{text}");
        }
        for (name, expected) in [
            ("a.js", Some("{id}.js")),
            ("a.tar.GZ", Some("{id}.gz")),
            ("a", None),
            ("a.", None),
            ("alice@example.org", None),
        ] {
            assert_eq!(placeholder(name.as_bytes()), expected, "{name}");
        }
        assert!(["{id}", "{id}.js", "**"].into_iter().all(is_placeholder));
        assert!(!["{id}:cancel", "id", "*"].into_iter().any(is_placeholder));
    }
}
