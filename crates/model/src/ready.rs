//! How to tell that an application can serve: some accept connections before they can.

use serde::{Deserialize, Serialize};

/// What an image says, in the words that the engine or the gateway can ask with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Ready {
    /// This line succeeds in the container's shell.
    Shell(String),
    /// This program succeeds in the container, with these arguments.
    Command(Vec<String>),
    /// A `GET` of it answers, with less than 400.
    Path {
        /// From `/` on.
        path: String,
        /// The port inside the container.
        port: u16,
    },
}

/// An image's `HEALTHCHECK`, as engines tell it: `NONE`, `CMD` and a program, or `CMD-SHELL` and a line for its shell.
pub fn health_check(test: &[String], shell: &[String]) -> Option<Ready> {
    match test {
        [kind, line] if kind == "CMD-SHELL" => {
            let in_its_shell = shell.iter().chain([line]).cloned().collect();
            Some(if shell.is_empty() { Ready::Shell(line.clone()) } else { Ready::Command(in_its_shell) })
        }
        [kind, program @ ..] if kind == "CMD" && !program.is_empty() => {
            Some(Ready::Command(program.to_vec()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_health_check_is_a_program_or_a_line_for_a_shell() {
        let check = |test: &[&str], shell: &[&str]| health_check(&texts(test), &texts(shell));
        assert_eq!(check(&["CMD", "curl", "-f"], &[]), Some(Ready::Command(texts(&["curl", "-f"]))));
        assert_eq!(check(&["CMD-SHELL", "a || b"], &[]), Some(Ready::Shell("a || b".into())));
        let with_bash = Some(Ready::Command(texts(&["bash", "-c", "a || b"])));
        assert_eq!(check(&["CMD-SHELL", "a || b"], &["bash", "-c"]), with_bash);
        for none in [&["NONE"][..], &[], &["CMD"], &["what", "else"]] {
            assert_eq!(check(none, &[]), None, "{none:?}");
        }
    }

    #[test]
    fn each_is_read_as_it_was_written_and_a_bare_line_is_one_for_a_shell() {
        let path = Ready::Path { path: "/up".into(), port: 80 };
        for ready in [Ready::Shell("a".into()), Ready::Command(texts(&["a", "b"])), path] {
            let text = serde_json::to_string(&ready).unwrap();
            assert_eq!(serde_json::from_str::<Ready>(&text).unwrap(), ready, "{text}");
        }
        assert_eq!(serde_json::from_str::<Ready>(r#""a b""#).unwrap(), Ready::Shell("a b".into()));
    }
}
