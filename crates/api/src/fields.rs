//! Which fields a body knows, and what whoever sends another one is told: a field that is passed over in silence is a password or a
//! policy that somebody believes in.

use crate::{ChangeContainer, CheckIn, CreateContainer, POLICY_IN_A_FORM};
use model::Term;

/// A body with fields.
pub trait Body {
    /// The names of all of them; none where others are passed over.
    const FIELDS: Option<&'static [&'static str]>;
}

impl Body for CreateContainer {
    const FIELDS: Option<&'static [&'static str]> = Some(&["image", "env", "policy"]);
}

impl Body for ChangeContainer {
    const FIELDS: Option<&'static [&'static str]> = Some(&["status", "depth", "policy"]);
}

/// Scripts in images may say more than we ask.
impl Body for CheckIn {
    const FIELDS: Option<&'static [&'static str]> = None;
}

/// Why a body of this kind has no field of this name; none where it may.
pub fn unknown_field<T: Body>(name: &str) -> Option<String> {
    let known = T::FIELDS.filter(|known| !known.contains(&name))?;
    let start: String = name.chars().take(40).collect();
    Some(format!("{start}: {}", advice(name, known)))
}

/// Why a form has no field of this name, of those that JSON may have or not.
pub fn unknown_in_a_form<T: Body>(name: &str) -> Option<String> {
    let is_env = name == "env" || name.starts_with("env.");
    if is_env && T::FIELDS.is_some_and(|known| known.contains(&"env")) {
        let start: String = name.chars().take(40).collect();
        return Some(format!(
            r#"{start}: an environment takes JSON, such as {{"env": {{"NAME": "value"}}}}"#
        ));
    }
    unknown_field::<T>(name)
}

fn advice(name: &str, known: &[&str]) -> String {
    match Term::meant_by(name) {
        Some(term) => {
            let name = term.name();
            format!(
                r#"it is a term of the idle policy; say {POLICY_IN_A_FORM}{name}, in JSON {{"policy": {{"{name}": …}}}}"#
            )
        }
        None => format!("there is no such field; there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_not_known_is_told_with_what_to_say() {
        let of_form = |name| unknown_in_a_form::<CreateContainer>(name).unwrap_or_default();
        assert_eq!(of_form("image"), "");
        assert_eq!(
            of_form("freeze_after"),
            r#"freeze_after: it is a term of the idle policy; say policy.freeze_after, in JSON {"policy": {"freeze_after": …}}"#
        );
        assert!(of_form("freeze_afer").contains("say policy.freeze_after,"));
        assert_eq!(
            of_form("env.PASSWORD"),
            r#"env.PASSWORD: an environment takes JSON, such as {"env": {"NAME": "value"}}"#
        );
        assert!(of_form("env").starts_with("env: an environment takes JSON"));
        assert_eq!(of_form("cmd"), "cmd: there is no such field; there are image, env, policy");
        assert!(of_form(&"a".repeat(10_000)).len() < 200);
    }

    #[test]
    fn each_kind_has_fields_of_its_own() {
        assert_eq!(unknown_field::<CreateContainer>("env"), None);
        let words = "env: there is no such field; there are status, depth, policy";
        assert_eq!(unknown_in_a_form::<ChangeContainer>("env").as_deref(), Some(words));
        assert_eq!(unknown_in_a_form::<CheckIn>("freeze_after"), None);
    }
}
