//! What a page shows of an output, held against the output: `…` stands for anything, and the ports, ids, names and times of an
//! example for those that there were.

use regex::{Captures, Regex};
use std::sync::LazyLock;

/// What is one thing in an example and another in life: an id, a port of the usual range, a name with its slash, a time.
pub(super) static EXAMPLE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"\b(?<id>[0-9a-f]{64}|[0-9a-f]{12})\b|\b(?<port>49[1-9]\d\d|[56]\d{4})\b|"/(?<name>[a-z]+_[a-z]+)"|(?<time>\d{4}-\d\d-\d\dT[\d:.]+Z)|(?<any>\s*…\s*)|(?<space>\s+)"#,
    )
    .expect("it is tested")
});

/// A pattern made of what a page shows.
pub(super) struct Shown {
    pattern: Regex,
    examples: Vec<String>,
}

impl Shown {
    /// Of this text. `known` gives what an example is known to stand for.
    pub(super) fn new(text: &str, known: impl Fn(&str) -> Option<String>) -> Self {
        let mut examples = Vec::new();
        let mut pattern = String::from("(?s)^\\s*");
        let mut end = 0;
        let text = text.trim();
        for found in EXAMPLE.captures_iter(text) {
            let whole = found.get(0).expect("it was found");
            pattern.push_str(&regex::escape(&text[end..whole.start()]));
            pattern.push_str(&part(&found, &mut examples, &known));
            end = whole.end();
        }
        pattern.push_str(&regex::escape(&text[end..]));
        let pattern = if text.is_empty() { pattern } else { format!("{pattern}\\s*$") };
        Self { pattern: Regex::new(&pattern).expect("its parts are escaped"), examples }
    }

    /// What each example stands for, where the output is so.
    pub(super) fn find(&self, output: &str) -> Option<Vec<(String, String)>> {
        let found = self.pattern.captures(output)?;
        let actual = found.iter().skip(1).flatten().map(|group| group.as_str().to_owned());
        Some(self.examples.iter().cloned().zip(actual).collect())
    }
}

fn part(found: &Captures<'_>, examples: &mut Vec<String>, known: &impl Fn(&str) -> Option<String>) -> String {
    let mut example = |kind: &str, pattern: &str| {
        let text = found.name(kind)?.as_str();
        Some(known(text).map_or_else(
            || {
                examples.push(text.to_owned());
                format!("({pattern})")
            },
            |known| regex::escape(&known),
        ))
    };
    let id = found.name("id").map_or(64, |id| id.len());
    let id = example("id", &format!("[0-9a-f]{{{id}}}"));
    let other = id.or_else(|| example("port", r"\d{4,5}"));
    let name = || Some(format!(r#""/{}""#, example("name", "[a-z0-9_.-]+")?));
    other.or_else(name).unwrap_or_else(|| {
        let wild = if found.name("any").is_some() { ".*?" } else { r"\S+?" };
        if found.name("space").is_some() { r"\s+".to_owned() } else { wild.to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(shown: &str, output: &str) -> Option<Vec<(String, String)>> {
        Shown::new(shown, |example| (example == "49999").then(|| "51000".to_owned())).find(output)
    }

    #[test]
    fn what_is_shown_is_what_was_said() {
        for (shown, output, same) in [
            ("", "anything", true),
            ("a  b\n c", "a b c\n", true),
            ("a … d", "a b\nc d", true),
            ("a", "ab", false),
            ("a (1 row)", "a (2 rows)", false),
            ("b", "a\nb\n", false),
            (r#""created_at":"2026-01-02T03:04:05Z""#, r#""created_at":"2027-01-01T00:00:00.123Z""#, true),
            ("at 49999", "at 51000", true),
            ("at 49999", "at 51001", false),
        ] {
            assert_eq!(find(shown, output).is_some(), same, "{shown:?} and {output:?}");
        }
    }

    #[test]
    fn examples_stand_for_what_there_was() {
        let shown = r#"{"name":"/keen_ritchie",…"app_port":"49154","id":"0145c3630dcc"}"#;
        let said = r#"{"name":"/odd_bell","x":1,"app_port":"50001","id":"fedcba987654"}"#;
        let pairs = [("keen_ritchie", "odd_bell"), ("49154", "50001"), ("0145c3630dcc", "fedcba987654")];
        let pairs = pairs.map(|(example, actual)| (example.to_owned(), actual.to_owned()));
        assert_eq!(find(shown, said).expect("it is so"), pairs);
    }
}
