//! The table of settings: the one place that says a setting's name, type, default, meaning, and what it takes.
//!
//! The typed [`Settings`], the flags, the environment variables, `config show`, `serve --help` and `docs/settings.md` all
//! come from it. A row reads `name: type = default, reader, "what it takes"`; its doc comment is its help. Of the idle policy's
//! terms, `model` says everything but the default's kind.

use super::given::{Entry, Given, Wrong};
use super::read::{absolute, at_least, host, list, of_term, one, optional, parsed, within};
use super::values::{
    self as value, Bytes, Engine, Environment, LogFormat, MilliCpus, Percent, Publish, Secret,
};
use ipnet::{IpNet, Ipv4Net};
use model::policy::{duration, switch};
use model::{IdlePolicy, Term};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// The settings that the seed's readers know as `sd_password` and so on.
const SEED: [&str; 5] =
    ["password", "environment", "disable_timeouts", "initial_timeout_interval", "timeout_interval"];

/// The settings that apply as soon as they are read again, beside the terms of the idle policy. What the others say takes a
/// restart.
const AT_ONCE: [&str; 5] = ["password", "allow_default_password", "environment", "log", "log_format"];

/// Everybody knows it.
pub(super) const DEFAULT_PASSWORD: &str = "spindocker";

/// A row.
pub(crate) struct Setting {
    /// As the file spells it.
    pub(crate) name: &'static str,
    /// The heading that it stands under.
    pub(crate) group: &'static str,
    /// The lines of its doc comment.
    help: &'static [&'static str],
    /// What it is where nobody says otherwise.
    pub(crate) default: Default,
    /// What it takes, in words.
    pub(crate) takes: &'static str,
    /// Whether a value is one that it takes.
    pub(crate) check: fn(&Given) -> Result<(), Wrong>,
    /// Whether two values say the same, such as `2h` and `7200`.
    pub(crate) is_same: fn(&Given, &Given) -> bool,
}

/// A default, and with it what kind of setting it is.
#[derive(Clone, Copy)]
pub(crate) enum Default {
    /// A value.
    Text(&'static str),
    /// `true` or `false`; a flag without a value says `true`.
    Switch(&'static str),
    /// Several values, separated by commas.
    List(&'static str),
    /// A value that is never shown once it is set.
    Hidden(&'static str),
    /// This folder for root, one below the user's own state folder for anybody else.
    Folder(&'static str),
    /// No value; in words, what happens then.
    Unset(&'static str),
}

macro_rules! settings {
    ($($group:literal {
        $($(#[doc = $help:literal])+ $name:ident: $type:ty = $default:expr, $read:expr, $takes:literal;)*
        $(term $term:ident = $of_term:expr;)*
    })+) => {
        /// Every setting, read and checked.
        #[derive(Clone, Debug)]
        #[expect(dead_code, reason = "a setting that takes one value, as engine does, is read by nobody")]
        pub(crate) struct Settings {
            $($($(#[doc = $help])+ pub(crate) $name: $type,)*)+
            /// What every container lives under where nobody says otherwise.
            pub(crate) policy: IdlePolicy,
        }

        /// Every row, by group.
        pub(crate) static TABLE: &[Setting] = &[$($(Setting {
            name: stringify!($name),
            group: $group,
            help: &[$($help),+],
            default: $default,
            takes: $takes,
            check: |given| $read(given).map(|_: $type| ()),
            is_same: |one, other| {
                let read = |given| -> Option<$type> { $read(given).ok() };
                read(one) == read(other)
            },
        },)* $(Setting {
            name: Term::$term.name(),
            group: $group,
            help: Term::$term.help_lines(),
            default: $of_term,
            takes: Term::$term.takes(),
            check: |given| of_term(Term::$term, given, IdlePolicy::DEFAULT).map(drop),
            is_same: |one, other| {
                let read = |given| of_term(Term::$term, given, IdlePolicy::DEFAULT).ok();
                read(one) == read(other)
            },
        },)*)+];

        impl Settings {
            /// From each row's entry; none where one is missing.
            pub(super) fn read<'a>(entry: impl Fn(&str) -> Option<&'a Entry>) -> Option<Self> {
                let mut policy = IdlePolicy::DEFAULT;
                for term in Term::ALL {
                    policy = of_term(*term, &entry(term.name())?.given, policy).ok()?;
                }
                Some(Self { $($($name: $read(&entry(stringify!($name))?.given).ok()?,)*)+ policy })
            }
        }
    };
}

settings! {
    "The API" {
        /// Where the API is served. Port 0 takes a free one.
        listen: SocketAddr = Default::Text("127.0.0.1:8080"), one(parsed),
            "an address with a port, such as 127.0.0.1:8080";
        /// A container is asked for by name at `NAME.DOMAIN`, on the port of `listen`. Below it, no name is the API's but `public_host`.
        domain: String = Default::Text("localhost"), one(host), "a host name";
        /// Proxies whose `X-Forwarded-For`, `-Proto` and `-Host` are believed, in requests for a container by name.
        trusted_proxies: Vec<IpNet> = Default::List(""), list(value::network),
            "addresses or networks, such as 10.0.0.0/8";
        /// The password of the user `admin`.
        password: Secret = Default::Hidden(DEFAULT_PASSWORD), one(value::secret), "any text but an empty one";
        /// With the default password, `listen` may be an address beyond loopback.
        allow_default_password: bool = Default::Switch("false"), one(switch), "true or false";
        /// In `development`, errors show their cause chain and the log is at `debug`; in `production`, neither.
        environment: Environment = Default::Text("development"), one(value::environment),
            "development or production";
    }
    "The idle policy" {
        term InitialTimeoutInterval = Default::Text("7200");
        term TimeoutInterval = Default::Text("1800");
        term DisableTimeouts = Default::Switch("false");
        term Activity = Default::Text("any");
        term StopWithConnections = Default::Switch("false");
        term FreezeAfter = Default::Unset("`60`, but for one that checks in or that nobody has connected to yet");
        term BusyCpu = Default::Text("0.02");
        term OwedFor = Default::Text("3600");
        term QuietBelow = Default::Text("1KiB/min");
        term CheckInTtl = Default::Text("off");
        term Breathe = Default::Switch("true");
        term Wake = Default::Text("connect");
        term Restart = Default::Switch("false");
        term WakeTimeout = Default::Text("60");
        term ReadyPath = Default::Text("off");
        term WakeFrom = Default::List("");
        term IgnoreFrom = Default::List("");
        term IgnorePaths = Default::List("");
        term IgnoreAgents = Default::List("");
        term ExpiresAfter = Default::Text("off");
        term DeleteAfterIdle = Default::Text("off");
        term Reclaim = Default::Switch("false");
        term ProxyProtocol = Default::Switch("false");
    }
    "The engine and the data" {
        /// What kind of engine runs the containers.
        engine: Engine = Default::Text("docker"), one(value::engine), "docker";
        /// The engine's socket.
        engine_host: Option<String> = Default::Unset("`DOCKER_HOST`, or the usual socket"),
            optional(value::engine_host), "unix:///PATH; an engine on another machine is not supported";
        /// Names what is ours on an engine. Two daemons on one engine have two.
        instance: String = Default::Text("default"), one(value::instance),
            "at most 31 of a-z, 0-9 and -, beginning with a letter or a digit";
        /// Where the embedded database and the keys are.
        data_dir: PathBuf = Default::Folder("/var/lib/spin-docker"), one(absolute), "a path";
        /// How many containers start at once.
        start_limit: usize = Default::Text("4"), one(within(1..=64)), "a whole number from 1 to 64";
        /// Memory that must stay available on the host: a create that would not leave it beside the new container's `memory`
        /// limit is refused, and so is a start while less is available.
        memory_reserve: Bytes = Default::Text("256m"), one(value::reserve),
            "bytes, or a size such as 512m or 2g; 0 for no reserve";
        /// Space that a create must find free on the disks of `data_dir` and of the engine.
        disk_reserve: Bytes = Default::Text("1g"), one(value::reserve),
            "bytes, or a size such as 512m or 2g; 0 for no reserve";
        /// The longest frozen containers are stopped, one after another, while programs wait for memory for a greater share of the time.
        memory_pressure: Percent = Default::Text("20"), one(value::percent),
            "a percentage from 1 to 100, or off";
        /// How long requests and connections may take to end after SIGTERM.
        shutdown_grace: Duration = Default::Text("10"), one(duration),
            "seconds, or a duration such as 30s or 1m (w, d, h, m and s), more than 0";
    }
    "Endpoints and the network" {
        /// Where containers' stable ports are bound.
        endpoint_address: IpAddr = Default::Text("127.0.0.1"), one(parsed), "an address, such as 127.0.0.1";
        /// The range that containers' stable ports come from.
        endpoint_ports: RangeInclusive<u16> = Default::Text("49153-65535"), one(value::ports),
            "two ports, lowest-highest, from 1024 to 65535";
        /// The name or address that users see in `endpoints`. With `listen` on loopback, the API goes by it too.
        public_host: Option<String> = Default::Unset("`endpoint_address`"), optional(host),
            "a host name or an address, without a port";
        /// The subnet of the containers' network.
        subnet: Option<Ipv4Net> = Default::Unset("the engine's choice"), optional(value::subnet),
            "an IPv4 network from /8 to /29, such as 10.99.0.0/16";
        /// Whether the engine publishes containers' ports on loopback, for us to forward to: `auto` where their own addresses are out of
        /// our reach, as with a rootless engine. Of a container it is settled when it is created.
        publish: Publish = Default::Text("auto"), one(value::publish), "auto, on or off";
        /// Where containers check in, on their default gateway's address; where the engine publishes their ports, at an address of this host,
        /// and on port 48080 instead of 80.
        check_in_port: u16 = Default::Text("80"), one(within(1..=65535)), "a port from 1 to 65535";
        /// Public keys put into images that have the label `spin-docker.authorized_keys=PATH`, beside our own.
        ssh_authorized_keys: Vec<String> = Default::List(""), list(value::public_key),
            "SSH public keys, such as \"ssh-ed25519 AAAA... me@example.org\"";
    }
    "What a container may use" {
        /// Capabilities taken from every container.
        cap_drop: Vec<String> = Default::List("NET_RAW,MKNOD"), list(value::capability),
            "names of Linux capabilities, such as NET_RAW, or ALL";
        /// No process in a container gains privileges, so `sudo` does not work there.
        no_new_privileges: bool = Default::Switch("false"), one(switch), "true or false";
        /// The most processes in a container.
        pids: i64 = Default::Text("1024"), one(at_least(0)), "a whole number, 0 for no limit";
        /// The most memory of a container.
        memory: Bytes = Default::Text("0"), one(value::memory),
            "bytes, or a size such as 512m or 2g, at least 6m; 0 for no limit";
        /// The most CPUs of a container.
        cpus: MilliCpus = Default::Text("0"), one(value::cpus), "a number such as 1.5, at least 0.01; 0 for no limit";
        /// The size of one log file of a container.
        log_size: String = Default::Text("10m"), one(value::log_size), "a size such as 512k, 10m or 1g";
        /// How many log files of a container are kept.
        log_files: u32 = Default::Text("3"), one(within(1..=1000)), "a whole number from 1 to 1000";
    }
    "The daemon's own log" {
        /// What is logged: a level, or levels by part of the program.
        log: Option<String> = Default::Unset("`info`; in `development`, `debug` for our own parts"),
            optional(value::log),
            "error, warn, info, debug, trace or off, or directives such as info,control=debug";
        /// Lines to read, or one JSON object a line.
        log_format: LogFormat = Default::Text("text"), one(value::log_format), "text or json";
    }
}

impl Default {
    /// The value that stands for it; empty for none, and for a folder, which depends on the user.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Text(text) | Self::Switch(text) | Self::List(text) | Self::Hidden(text) => text,
            Self::Folder(_) | Self::Unset(_) => "",
        }
    }
}

impl Setting {
    /// The row that goes by this name; those of the seed go by two.
    pub(super) fn known_as(name: &str) -> Option<&'static Self> {
        let of_seed = name.strip_prefix("sd_").filter(|name| SEED.contains(name));
        TABLE.iter().find(|setting| setting.name == of_seed.unwrap_or(name))
    }

    /// What it is for, in a sentence or two.
    pub(crate) fn help(&self) -> String {
        self.help.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// Its default, in words.
    pub(crate) fn default_in_words(&self) -> String {
        match self.default {
            Default::Text(text) | Default::Switch(text) | Default::Hidden(text) => format!("`{text}`"),
            Default::List("") => "none".to_owned(),
            Default::List(text) => format!("`{text}`"),
            Default::Folder(root) => {
                format!(
                    "`{root}`; not as root: `$XDG_STATE_HOME/spin-docker`, else `~/.local/state/spin-docker`"
                )
            }
            Default::Unset(words) => words.to_owned(),
        }
    }

    /// Whether it applies as soon as it is read again.
    pub(crate) fn applies_at_once(&self) -> bool {
        AT_ONCE.contains(&self.name) || self.name.parse::<Term>().is_ok()
    }

    /// Whether its value is never shown.
    pub(crate) fn is_secret(&self) -> bool {
        matches!(self.default, Default::Hidden(_))
    }

    /// Whether it may have several values.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.default, Default::List(_))
    }

    /// Whether this value of it stands for none.
    pub(crate) fn is_unset(&self, given: &Given) -> bool {
        matches!(self.default, Default::Unset(_)) && *given == Given::One(String::new())
    }

    /// Its environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("SPIN_DOCKER_{}", self.name.to_uppercase())
    }

    /// Its flag, without the dashes.
    pub(crate) fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_term_of_the_idle_policy_is_a_setting_with_its_default() {
        for term in Term::ALL {
            let setting = Setting::known_as(term.name()).expect("it is in the table");
            assert_eq!((setting.help(), setting.takes), (term.help(), term.takes()));
            assert!(setting.applies_at_once());
            assert_eq!(setting.is_list(), term.is_list(), "{}", term.name());
            let given = Given::One(setting.default.text().to_owned());
            let policy = of_term(*term, &given, IdlePolicy::DEFAULT).ok();
            assert_eq!(policy, Some(IdlePolicy::DEFAULT), "{}", term.name());
        }
    }
}
