//! What a container is called as a host: one label of a host name.

/// The longest label that a name on the internet may have.
const LONGEST: usize = 63;

/// The label that a container's name comes to: in lower case, with `-` for `_` and for `.`, which would begin another label.
/// None where that is too long, or no name at all.
pub fn host_label(name: &str) -> Option<String> {
    let letter = |letter: char| match letter {
        '_' | '.' => Some('-'),
        letter if letter.is_ascii_alphanumeric() || letter == '-' => Some(letter.to_ascii_lowercase()),
        _ => None,
    };
    let label: String = name.chars().map(letter).collect::<Option<_>>()?;
    (1..=LONGEST).contains(&label.len()).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_one_label_in_lower_case() {
        let longest = "a".repeat(63);
        let table = [
            ("wizardly_curie", Some("wizardly-curie")),
            ("My.Own_name-2", Some("my-own-name-2")),
            ("a_", Some("a-")),
            (&longest, Some(&longest)),
            (&format!("{longest}a"), None),
            ("", None),
            ("a/b", None),
            ("ä", None),
        ];
        for (name, label) in table {
            assert_eq!(host_label(name).as_deref(), label, "{name}");
        }
    }
}
