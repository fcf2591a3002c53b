//! What one check found, and all of them as text and as JSON.

use serde::Serialize;

/// How it stands, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Right,
    /// It works, and something does less than it could.
    Degraded,
    /// Spin-docker cannot serve as its settings say.
    Wrong,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) finding: String,
    /// What to do; none where all is right.
    pub(super) advice: Option<String>,
}

impl Check {
    pub(super) fn right(name: &'static str, finding: impl Into<String>) -> Self {
        Self { name, state: State::Right, finding: finding.into(), advice: None }
    }

    pub(super) fn degraded(
        name: &'static str,
        finding: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { name, state: State::Degraded, finding: finding.into(), advice: Some(advice.into()) }
    }

    pub(super) fn wrong(name: &'static str, finding: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, state: State::Wrong, finding: finding.into(), advice: Some(advice.into()) }
    }
}

/// All findings.
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
}

impl Report {
    pub(super) fn count(&self, state: State) -> usize {
        self.checks.iter().filter(|check| check.state == state).count()
    }

    /// A line each, and one below it that says what to do.
    pub(super) fn text(&self) -> String {
        let line = |Check { name, state, finding, advice }: &Check| {
            let state = format!("{state:?}").to_lowercase();
            let advice = advice.iter().map(|advice| format!("{:29}→ {advice}\n", ""));
            format!("{state:9} {name:18} {finding}\n") + &advice.collect::<String>()
        };
        self.checks.iter().map(line).collect()
    }

    /// The worst state, and every check.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        let worst = self.checks.iter().map(|check| check.state).max();
        let report = serde_json::json!({ "state": worst, "checks": self.checks });
        Ok(serde_json::to_string_pretty(&report)? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts_and_advice_stands_below_its_finding() {
        let checks = vec![
            Check::right("engine", "answers"),
            Check::wrong("disk", "is full", "free some"),
            Check::degraded("sysctls", "are low", "raise them"),
        ];
        let report = Report { checks };
        assert_eq!((report.count(State::Wrong), report.count(State::Degraded)), (1, 1));
        let text = report.text();
        assert!(
            text.starts_with("right     engine             answers\nwrong     disk               is full\n"),
            "{text}"
        );
        assert!(text.contains("\n                             → free some\n"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&report.json().unwrap()).unwrap();
        assert_eq!(
            (&json["state"], &json["checks"][0]["advice"]),
            (&"wrong".into(), &serde_json::Value::Null)
        );
    }
}
