//! Pages of the book that are prose with a table in its midst: docs/policy.md, docs/problems.md and docs/events.md. The tables are made of
//! what the program has.

use crate::config::default_of;
use api::Kind;
use model::{EventKind, Term};

/// docs/policy.md: the terms.
pub(crate) fn policy() -> String {
    let rows = Term::ALL.iter().map(|term| {
        format!("| `{}` | {} | {} Takes {}. |", term.name(), default_of(*term), term.help(), term.takes())
    });
    include_str!("policy.md").replace("{terms}", &table("| term | default | |\n| --- | --- | --- |", rows))
}

/// docs/problems.md: the types.
pub(crate) fn problems() -> String {
    let row = |kind: &Kind| format!("| `{}` | {} | {} |", kind.type_(), kind.status(), kind.title());
    let table = table("| type | status | title |\n| --- | --- | --- |", Kind::ALL.iter().map(row));
    include_str!("problems.md").replace("{types}", &table)
}

/// docs/events.md: the kinds. A test in `model` holds the tables of their causes.
pub(crate) fn events() -> String {
    let rows = EventKind::ALL.iter().map(|kind| format!("| `{}` | {} |", kind.name(), kind.meaning()));
    include_str!("events.md").replace("{kinds}", &table("| kind | meaning |\n| --- | --- |", rows))
}

fn table(head: &str, rows: impl Iterator<Item = String>) -> String {
    let rows: Vec<_> = rows.collect();
    format!("{head}\n{}", rows.join("\n"))
}
