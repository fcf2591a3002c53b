//! `docs/policy.md`: prose, and in its midst the table of the terms, made from `model`.

use crate::config::default_of;
use model::Term;

const PAGE: &str = include_str!("policy_page.md");

/// The whole page.
pub(crate) fn policy_reference() -> String {
    let rows: Vec<String> = Term::ALL.iter().map(|term| row(*term)).collect();
    let table = format!("| term | default | |\n| --- | --- | --- |\n{}", rows.join("\n"));
    PAGE.replace("{terms}", &table)
}

fn row(term: Term) -> String {
    format!("| `{}` | {} | {} Takes {}. |", term.name(), default_of(term), term.help(), term.takes())
}
