//! The engine: whether it answers, what it is, and how it lets us freeze; with it, the network that only it knows of.

use super::{Check, network};
use crate::config::Settings;
use crate::serve::NO_ENGINE;
use control::chain;
use engine::docker::Docker;
use engine::{Description, Engine, EngineError, Limit};
use std::time::Duration;

/// How long it may take to answer all that is asked.
const WITHIN: Duration = Duration::from_secs(10);

/// Gives what the engine says of itself.
pub(super) async fn check(settings: &Settings, checks: &mut Vec<Check>) -> Option<Description> {
    let asked = async {
        let engine = Docker::connect(settings.engine_host.as_deref()).await?;
        let described = engine.describe().await?;
        let subnets = engine.our_subnets().await?;
        Ok::<_, EngineError>((engine.host().to_owned(), described, subnets))
    };
    match tokio::time::timeout(WITHIN, asked).await {
        Ok(Ok((host, described, subnets))) => {
            checks.extend(found(&host, &described, settings.publish.by(&described)));
            checks.extend(network::check(settings, &subnets, &described.limits));
            Some(described)
        }
        Ok(Err(error)) => {
            checks.push(Check::wrong("engine", chain(&error), NO_ENGINE));
            None
        }
        Err(_) => {
            checks.push(Check::wrong("engine", format!("no answer within {WITHIN:?}"), NO_ENGINE));
            None
        }
    }
}

/// It publishes ports, or does not.
fn found(host: &str, described: &Description, publishes: bool) -> Vec<Check> {
    let Description { name, api_version, limits, .. } = described;
    let answers = format!("{name} answers at {host}, API {api_version}");
    let apart =
        limits.iter().find(|limit| matches!(limit, Limit::Rootless | Limit::RootlessPodman | Limit::Desktop));
    let engine = match apart {
        None => Check::right("engine", answers),
        Some(limit) => {
            let is_served = publishes && *limit != Limit::RootlessPodman;
            let check = if is_served { Check::degraded } else { Check::wrong };
            check("engine", format!("{answers}; {}", limit.finding()), limit.advice())
        }
    };
    vec![engine, freezer(described)]
}

fn freezer(described: &Description) -> Check {
    let version =
        described.cgroup_version.map_or_else(String::new, |version| format!(" of version {version}"));
    match described.limits.iter().find(|limit| matches!(limit, Limit::SlowFreezer(_) | Limit::NoFreezer)) {
        None => Check::right("freezer", format!("containers are frozen by their control groups{version}")),
        Some(limit) => Check::degraded(
            "freezer",
            format!("control groups{version}; {}", limit.finding()),
            limit.advice(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn each_limit_is_one_checks() {
        let described = |limits: Vec<Limit>| Description {
            name: "Docker 1".into(),
            api_version: "1.41".into(),
            root: None,
            cgroup_version: Some(2),
            limits,
        };
        let states = |limits| {
            found("unix:///s", &described(limits), true)
                .into_iter()
                .map(|check| check.state)
                .collect::<Vec<_>>()
        };
        assert_eq!(states(vec![]), [State::Right, State::Right]);
        assert_eq!(states(vec![Limit::Unfiltered]), [State::Right, State::Right]);
        assert_eq!(states(vec![Limit::Rootless]), [State::Degraded, State::Right]);
        assert_eq!(states(vec![Limit::Desktop, Limit::NoFreezer]), [State::Degraded, State::Degraded]);
        assert_eq!(states(vec![Limit::RootlessPodman]), [State::Wrong, State::Right]);
        let unpublished = found("unix:///s", &described(vec![Limit::Rootless]), false);
        assert_eq!(unpublished[0].state, State::Wrong);
        assert_eq!(states(vec![Limit::SlowFreezer("why".into())]), [State::Right, State::Degraded]);
        assert!(freezer(&described(vec![])).finding.contains("version 2"));
    }
}
