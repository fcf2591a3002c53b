//! The requests that neither wake a container nor keep it awake: by who asks, for what, and with what.

use hyper::header::{HeaderMap, USER_AGENT};
use model::IdlePolicy;
use std::net::IpAddr;

/// Whether this is one.
pub(super) fn is_ignored(policy: &IdlePolicy, from: IpAddr, path: &str, headers: &HeaderMap) -> bool {
    let from = from.to_canonical();
    let agents = || headers.get_all(USER_AGENT).iter().filter_map(|agent| agent.to_str().ok());
    let is_agent = |pattern: &String| {
        let pattern = pattern.to_ascii_lowercase();
        agents().any(|agent| matches(&pattern, &agent.to_ascii_lowercase()))
    };
    policy.ignore_from.iter().any(|net| net.contains(&from))
        || policy.ignore_paths.iter().any(|pattern| matches(pattern, path))
        || policy.ignore_agents.iter().any(is_agent)
}

/// Whether the whole text is as the pattern has it, in which `*` is any text. Each part is found as early as may be, which leaves the
/// most for the rest.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some((_, after)) = text.split_once(part) else { return false };
        text = after;
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text) in [
            ("/healthz", "/healthz"),
            ("*", ""),
            ("*", "/anything"),
            ("/a*", "/a"),
            ("/a*", "/a/b/c"),
            ("*.png", "/x/y.png"),
            ("/a*/c*d", "/abc/cd/c--d"),
            ("**", "x"),
            ("*bot*", "googlebot/2.1"),
            ("a*b*b", "abb"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("/healthz", "/healthz/"),
            ("", "/"),
            ("/a*", "/b"),
            ("*.png", "/x.png?"),
            ("a*b*b", "ab"),
            ("ab*ba", "aba"),
            ("/a*/c*d", "/a/d/c"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn one_that_any_of_the_three_names_is_ignored() {
        let list = |text: &str| vec![text.to_owned()];
        let policy = IdlePolicy {
            ignore_from: vec!["10.0.0.0/8".parse().unwrap()],
            ignore_paths: list("/healthz"),
            ignore_agents: list("*Kube-Probe*"),
            ..IdlePolicy::DEFAULT
        };
        let is_ignored = |from: &str, path: &str, agent: &'static str| {
            let headers = HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(agent))]);
            is_ignored(&policy, from.parse().unwrap(), path, &headers)
        };
        assert!(is_ignored("10.1.2.3", "/", "curl"));
        assert!(is_ignored("::ffff:10.1.2.3", "/", "curl"));
        assert!(is_ignored("1.1.1.1", "/healthz", "curl"));
        assert!(is_ignored("1.1.1.1", "/", "kube-probe/1.29"));
        assert!(!is_ignored("1.1.1.1", "/", "curl"));
    }
}
