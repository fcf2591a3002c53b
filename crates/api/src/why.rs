//! Why a container is as it is, as it stands on the wire.

use crate::container::rfc3339;
use crate::schema;
use model::why::{Next, Source};
use model::{Depth, Timestamp, Why};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a container is awake, asleep or stopped, and what comes if nothing happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Why, example = json!(schema::history::why_frozen()))]
pub struct WhyBody {
    /// In one sentence.
    pub sentence: String,
    /// `awake`, `frozen` or `stopped`.
    pub depth: &'static str,
    /// What the sentence was made of.
    pub facts: Vec<FactBody>,
    /// What comes if nothing happens, soonest first.
    pub next: Vec<NextBody>,
}

/// One thing that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fact)]
pub struct FactBody {
    /// What it is about.
    pub fact: &'static str,
    /// What is known of it.
    pub value: String,
    /// When it came about, or was seen; null of what always holds, and where nobody knows.
    #[schema(format = DateTime)]
    pub at: Option<String>,
    /// How long ago that is.
    pub age_seconds: Option<u64>,
    /// Who says so: `gateway`, `kernel`, `engine`, `check-in`, `policy` or `person`.
    pub source: &'static str,
}

/// Something that comes if nothing happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Next)]
pub struct NextBody {
    /// `freeze`, `look`, `stop` or `expire`.
    pub what: &'static str,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// From now.
    pub in_seconds: u64,
}

impl WhyBody {
    /// As it was found at `now`.
    pub fn new(why: Why, depth: Depth, now: Timestamp) -> Self {
        let facts = why.facts.into_iter().map(|fact| FactBody {
            fact: fact.fact,
            value: fact.value,
            at: fact.at.map(rfc3339),
            age_seconds: fact.at.map(|at| now.since(at).as_secs()),
            source: source(fact.source),
        });
        let next = why.next.into_iter().map(|(what, at)| NextBody {
            what: next(what),
            at: rfc3339(at),
            in_seconds: at.since(now).as_secs(),
        });
        Self { sentence: why.sentence, depth: depth.as_str(), facts: facts.collect(), next: next.collect() }
    }
}

fn source(source: Source) -> &'static str {
    match source {
        Source::Gateway => "gateway",
        Source::Kernel => "kernel",
        Source::Engine => "engine",
        Source::CheckIn => "check-in",
        Source::Policy => "policy",
        Source::Person => "person",
    }
}

fn next(next: Next) -> &'static str {
    match next {
        Next::Freeze => "freeze",
        Next::Look => "look",
        Next::Stop => "stop",
        Next::Expire => "expire",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It was used at ten minutes, froze at eleven, and is asked at sixteen, of the two hours until its first look.
    #[test]
    fn what_is_known_has_an_age_and_what_comes_a_distance() {
        let why = schema::history::why_frozen();
        let age = |of: &str| why.facts.iter().find(|fact| fact.fact == of).map(|fact| fact.age_seconds);
        assert_eq!(age("last transition"), Some(Some(300)));
        assert_eq!(age("frozen"), Some(Some(300)));
        assert_eq!(age("last use"), Some(Some(360)));
        assert_eq!(age("freeze_after"), Some(None), "it always holds");
        let next: Vec<_> = why.next.iter().map(|next| (next.what, next.in_seconds)).collect();
        assert_eq!(next[0], ("look", 7200 - 960), "{next:?}");
        assert!(next.iter().skip(1).all(|(_, seconds)| *seconds > 7200 - 960), "{next:?}");
    }
}
