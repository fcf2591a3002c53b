//! The kernel's settings that bound how many containers and connections there may be.

use super::Check;

/// One setting, what is enough, and what less of it does.
struct Sysctl {
    name: &'static str,
    enough: u64,
    less: &'static str,
}

/// Debian's package sets these.
const ALL: [Sysctl; 3] = [
    Sysctl {
        name: "net.ipv4.neigh.default.gc_thresh3",
        enough: 8192,
        less: "each container that runs is a neighbour, and beyond these connections fail",
    },
    Sysctl {
        name: "fs.inotify.max_user_instances",
        enough: 1024,
        less: "programs in containers share these, and beyond them tail -f, cron and web frameworks fail",
    },
    Sysctl {
        name: "kernel.pid_max",
        enough: 131_072,
        less: "all processes of all containers, frozen ones too, share these",
    },
];
const REUSE: &str = "net.ipv4.tcp_tw_reuse";

pub(super) fn check() -> Vec<Check> {
    let checks = ALL.iter().map(|sysctl| sysctl.judge(read(sysctl.name)));
    checks.chain([reuse(read(REUSE))]).collect()
}

/// None where the kernel has none of this name, or does not show it.
pub(super) fn read(name: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok()
}

impl Sysctl {
    fn judge(&self, value: Option<String>) -> Check {
        let Self { name, enough, less } = self;
        match value.and_then(|value| value.trim().parse::<u64>().ok()) {
            None => Check::right(short(name), format!("{name} is not shown here")),
            Some(value) if value >= *enough => Check::right(short(name), format!("{name} is {value}")),
            Some(value) => Check::degraded(
                short(name),
                format!("{name} is {value}: {less}"),
                format!("sysctl -w {name}={enough}"),
            ),
        }
    }
}

/// The last part of its name.
fn short(name: &'static str) -> &'static str {
    name.rsplit('.').next().unwrap_or(name)
}

/// With 2, which is the default, it is for loopback alone.
fn reuse(value: Option<String>) -> Check {
    const NAME: &str = "tcp_tw_reuse";
    match value.as_deref().map(str::trim) {
        None => Check::right(NAME, format!("{REUSE} is not shown here")),
        Some("1") => Check::right(NAME, format!("{REUSE} is 1")),
        Some(other) => Check::degraded(
            NAME,
            format!(
                "{REUSE} is {other}: for a minute after each connection to a container its local port rests, so that one container takes a few hundred new ones a second at most"
            ),
            format!("sysctl -w {REUSE}=1"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::State;

    #[test]
    fn too_little_is_degraded_and_the_advice_is_a_command() {
        let low = ALL[2].judge(Some("32768\n".into()));
        assert_eq!(
            (low.state, low.advice.as_deref()),
            (State::Degraded, Some("sysctl -w kernel.pid_max=131072"))
        );
        let names = |value: Option<&str>| ALL.map(|sysctl| sysctl.judge(value.map(str::to_owned)).name);
        for value in [None, Some("1"), Some("4194304")] {
            assert_eq!(names(value), ["gc_thresh3", "max_user_instances", "pid_max"], "whatever its state");
        }
        assert_eq!(ALL[2].judge(Some("4194304\n".into())).state, State::Right);
        assert_eq!(ALL[2].judge(None).state, State::Right);
        assert_eq!(
            [reuse(Some("1\n".into())).state, reuse(Some("2\n".into())).state],
            [State::Right, State::Degraded]
        );
    }
}
