//! Readers, from a value as given to a typed one, that know no setting in particular. Those of one setting are in
//! [`super::values`].

use super::given::{Given, Wrong};
use model::{IdlePolicy, Term};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

/// One value.
pub(crate) fn one<T>(read: impl Fn(&str) -> Option<T>) -> impl Fn(&Given) -> Result<T, Wrong> {
    move |given| match given {
        Given::One(text) => read(text).ok_or_else(|| Wrong::text(text)),
        other => Err(Wrong(other.as_toml())),
    }
}

/// One value, or an empty text for none.
pub(crate) fn optional<T>(read: impl Fn(&str) -> Option<T>) -> impl Fn(&Given) -> Result<Option<T>, Wrong> {
    one(move |text| if text.is_empty() { Some(None) } else { read(text).map(Some) })
}

/// Any number of values. What is wrong is the first member that is.
pub(crate) fn list<T>(read: impl Fn(&str) -> Option<T>) -> impl Fn(&Given) -> Result<Vec<T>, Wrong> {
    move |given| {
        given.members()?.into_iter().map(|item| read(item).ok_or_else(|| Wrong::text(item))).collect()
    }
}

/// The policy with this value of a term. An empty `freeze_after` is one that nobody said.
pub(crate) fn of_term(term: Term, given: &Given, mut policy: IdlePolicy) -> Result<IdlePolicy, Wrong> {
    let text = match given {
        Given::One(text) if text.is_empty() && term == Term::FreezeAfter => return Ok(policy),
        Given::One(text) => text.clone(),
        Given::List(items) if term.is_list() => items.join(","),
        other => return Err(Wrong(other.as_toml())),
    };
    policy.set(term, &text).map_err(|_| Wrong::text(&text))?;
    Ok(policy)
}

/// Whatever parses.
pub(crate) fn parsed<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// A whole number of this range.
pub(crate) fn within<T: FromStr + PartialOrd>(range: RangeInclusive<T>) -> impl Fn(&str) -> Option<T> {
    move |text| parsed(text).filter(|number| range.contains(number))
}

/// A whole number, this or more.
pub(crate) fn at_least(least: i64) -> impl Fn(&str) -> Option<i64> {
    within(least..=i64::MAX)
}

/// Anything but nothing.
pub(crate) fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// A path, from the working folder if it is relative.
pub(crate) fn absolute(text: &str) -> Option<PathBuf> {
    std::path::absolute(non_empty(text)?).ok()
}

/// A host name or an address.
pub(crate) fn host(text: &str) -> Option<String> {
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let is_name = text.split('.').all(label)
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_'));
    (is_name || text.parse::<IpAddr>().is_ok()).then(|| text.to_owned())
}
