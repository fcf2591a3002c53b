//! What one place says of the policy, by name: kept as the texts that were said, each of them read once and found good.

use super::{IdlePolicy, Mistake, Term};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one place says of the policy: terms and values that were read once and found good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Said(BTreeMap<Term, String>);

impl Said {
    /// Says this, in place of what it said of the term before.
    pub fn say(&mut self, term: Term, text: &str) -> Result<(), Mistake> {
        IdlePolicy::default().set(term, text)?;
        self.0.insert(term, text.trim().to_owned());
        Ok(())
    }

    /// Says nothing of it any more.
    pub fn take_back(&mut self, term: Term) {
        self.0.remove(&term);
    }

    /// Says what the amendment says, and of the other terms what it said before.
    pub fn amend(&mut self, amendment: &Amendment) {
        for (term, text) in &amendment.0 {
            match text {
                Some(text) => drop(self.0.insert(*term, text.clone())),
                None => self.take_back(*term),
            }
        }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What it says.
    pub fn iter(&self) -> impl Iterator<Item = (Term, &str)> {
        self.0.iter().map(|(term, text)| (*term, text.as_str()))
    }
}

/// What one place is to say from now on, term by term: values that were read once and found good, and terms to be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment(BTreeMap<Term, Option<String>>);

impl Amendment {
    /// This value, in place of what was said of the term before.
    pub fn say(&mut self, term: Term, text: &str) -> Result<(), Mistake> {
        IdlePolicy::default().set(term, text)?;
        self.0.insert(term, Some(text.trim().to_owned()));
        Ok(())
    }

    /// Nothing of it any more.
    pub fn take_back(&mut self, term: Term) {
        self.0.insert(term, None);
    }

    /// Each term with its value, or with none where it is taken back.
    pub fn iter(&self) -> impl Iterator<Item = (Term, Option<&str>)> {
        self.0.iter().map(|(term, text)| (*term, text.as_deref()))
    }

    /// As what is said where nothing was.
    pub fn alone(&self) -> Said {
        let mut said = Said::default();
        said.amend(self);
        said
    }
}
