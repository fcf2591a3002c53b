//! The policy's terms: their names, and how each is read and written. A value is text everywhere: a request's, a label's, a setting's.

use super::{Counts, FreezeAfter, IdlePolicy, WakeOn};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

/// An image says a term of the policy by a label of this and the term's name.
pub const LABEL_PREFIX: &str = "spin-docker.";

macro_rules! terms {
    ($($(#[doc = $help:literal])+ $term:ident = $name:literal, $takes:expr;)+) => {
        /// One term of the policy.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Term {
            $($(#[doc = $help])+ $term,)+
        }

        impl Term {
            /// Every one, as the documents list them.
            pub const ALL: &[Self] = &[$(Self::$term,)+];

            /// Its name, wherever it is said.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$term => $name,)+ }
            }

            /// The lines of what it is for.
            pub const fn help_lines(self) -> &'static [&'static str] {
                match self { $(Self::$term => &[$($help),+],)+ }
            }

            /// What it takes, in words.
            pub const fn takes(self) -> &'static str {
                match self { $(Self::$term => $takes,)+ }
            }
        }
    };
}

const A_DURATION: &str = "seconds, or a duration such as 2h, 30m or 1h30m (w, d, h, m and s), more than 0";
const A_DURATION_OR_OFF: &str = "seconds, a duration such as 2h or 30m (w, d, h, m and s), or off";
const A_SWITCH: &str = "true or false";
const ADDRESSES: &str = "addresses or networks, such as 10.0.0.0/8, separated by commas";
const A_PATH: &str = "a path such as /healthz, of at most 256 letters that a URL may have, or off";
const PATTERNS: &str = "patterns, separated by commas, in which * is any text";

terms! {
    /// From a container's start to the first look at its activity: the least time that it runs.
    InitialTimeoutInterval = "initial_timeout_interval", A_DURATION;
    /// From one look to the next.
    TimeoutInterval = "timeout_interval", A_DURATION;
    /// Never stop it for idleness.
    DisableTimeouts = "disable_timeouts", A_SWITCH;
    /// What counts as activity: bytes moved, its own check-ins, or any of both.
    Activity = "activity", "traffic, check-in or any";
    /// A look may stop it although connections are open. Without this it may freeze, but no look stops it.
    StopWithConnections = "stop_with_connections", A_SWITCH;
    /// Freeze it when nothing that counts has happened for so long.
    FreezeAfter = "freeze_after", A_DURATION_OR_OFF;
    /// The share of one core, over the last `freeze_after`, above which it works and stays awake.
    BusyCpu = "busy_cpu", "a share of one core such as 0.02, from 0.001 to 1000, or off";
    /// How long an owed answer keeps it awake: a connection whose last bytes went towards the container.
    OwedFor = "owed_for", A_DURATION;
    /// Traffic below this is keep-alives: it is answered, and keeps nothing awake.
    QuietBelow = "quiet_below", "bytes a time, such as 1KiB/min, 100B/s or 0";
    /// A check-in counts no longer than this.
    CheckInTtl = "check_in_ttl", A_DURATION_OR_OFF;
    /// Frozen with connections open, let it run for a moment now and then, so that its timers fire and an answer that waits for one comes.
    Breathe = "breathe", A_SWITCH;
    /// What starts it when it is stopped: a connection, the first byte of one, or a request of the API alone.
    Wake = "wake", "connect, first-byte or api";
    /// Start it again, before anybody needs it, where it ended while the engine or spin-docker was away, as at a reboot of the host.
    Restart = "restart", A_SWITCH;
    /// How long a connection waits for a start.
    WakeTimeout = "wake_timeout", A_DURATION;
    /// After each start, nobody reaches it before a `GET` of this path, on its HTTP port, is answered with less than 400; for 30 s at most.
    ReadyPath = "ready_path", A_PATH;
    /// Who may wake it. None named means everybody.
    WakeFrom = "wake_from", ADDRESSES;
    /// Who neither wakes it nor keeps it awake.
    IgnoreFrom = "ignore_from", ADDRESSES;
    /// HTTP requests for these paths neither wake it nor keep it awake.
    IgnorePaths = "ignore_paths", PATTERNS;
    /// HTTP requests by these user agents neither wake it nor keep it awake.
    IgnoreAgents = "ignore_agents", PATTERNS;
    /// Delete it so long after its creation.
    ExpiresAfter = "expires_after", A_DURATION_OR_OFF;
    /// Delete it so long after its last activity.
    DeleteAfterIdle = "delete_after_idle", A_DURATION_OR_OFF;
    /// Offer the kernel, when it freezes, the memory that it can take back.
    Reclaim = "reclaim", A_SWITCH;
    /// Begin each connection towards it with a PROXY protocol v2 header, which tells the client's address. By name, and for `ready_path`,
    /// the header is LOCAL and names nobody.
    ProxyProtocol = "proxy_protocol", A_SWITCH;
}

impl Term {
    /// What it is for, in a sentence or two.
    pub fn help(self) -> String {
        self.help_lines().iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
    }

    /// Whether it takes any number of values, with commas between them.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::WakeFrom | Self::IgnoreFrom | Self::IgnorePaths | Self::IgnoreAgents)
    }

    /// Whether it is true or false.
    pub const fn is_switch(self) -> bool {
        matches!(
            self,
            Self::DisableTimeouts
                | Self::StopWithConnections
                | Self::Breathe
                | Self::Restart
                | Self::Reclaim
                | Self::ProxyProtocol
        )
    }

    /// The one whose name is most like this, for whoever misspelt it.
    pub fn nearest(name: &str) -> Self {
        let nearest =
            Self::ALL.iter().max_by(|one, other| one.likeness(name).total_cmp(&other.likeness(name)));
        *nearest.expect("there are terms")
    }

    /// The one that this must be meant for, if it must.
    pub fn meant_by(name: &str) -> Option<Self> {
        Some(Self::nearest(name)).filter(|term| is_meant(term.name(), name))
    }

    fn likeness(self, name: &str) -> f64 {
        strsim::jaro_winkler(self.name(), name)
    }
}

/// Whether a name is so like one that is known that this must be meant.
pub fn is_meant(known: &str, name: &str) -> bool {
    strsim::jaro_winkler(known, name) > 0.9
}

/// A value that its term does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is {:?}; it takes {}", .term.name(), beginning(.text), .term.takes())]
pub struct Mistake {
    /// Whose value.
    pub term: Term,
    /// The value.
    pub text: String,
}

/// Of a long text its beginning: it stands in messages and logs.
fn beginning(text: &str) -> String {
    const SHOWN: usize = 60;
    let start: String = text.chars().take(SHOWN).collect();
    if start == text { start } else { start + "…" }
}

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

impl FromStr for Term {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.iter().find(|term| term.name() == name).copied().ok_or(())
    }
}

impl Serialize for Term {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Term {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|()| serde::de::Error::custom(format!("{name} is no term of the idle policy")))
    }
}

impl IdlePolicy {
    /// Reads a value of a term. On a mistake nothing changes.
    pub fn set(&mut self, term: Term, text: &str) -> Result<(), Mistake> {
        self.read(term, text.trim()).ok_or_else(|| Mistake { term, text: text.to_owned() })
    }

    fn read(&mut self, term: Term, text: &str) -> Option<()> {
        match term {
            Term::InitialTimeoutInterval => self.initial_timeout_interval = duration(text)?,
            Term::TimeoutInterval => self.timeout_interval = duration(text)?,
            Term::DisableTimeouts => self.disable_timeouts = switch(text)?,
            Term::Activity => self.activity = one_of(text, COUNTS)?,
            Term::StopWithConnections => self.stop_with_connections = switch(text)?,
            Term::FreezeAfter => {
                self.freeze_after = or_off(text, duration)?.map_or(FreezeAfter::Off, FreezeAfter::After);
            }
            Term::BusyCpu => self.busy_cpu = or_off(text, share)?,
            Term::OwedFor => self.owed_for = duration(text)?,
            Term::QuietBelow => self.quiet_below = rate(text)?,
            Term::CheckInTtl => self.check_in_ttl = or_off(text, duration)?,
            Term::Wake => self.wake = one_of(text, WAKES)?,
            Term::WakeTimeout => self.wake_timeout = duration(text)?,
            Term::ReadyPath => self.ready_path = or_off(text, path)?,
            Term::WakeFrom => self.wake_from = list(text, network)?,
            Term::IgnoreFrom => self.ignore_from = list(text, network)?,
            Term::IgnorePaths => self.ignore_paths = list(text, pattern)?,
            Term::IgnoreAgents => self.ignore_agents = list(text, pattern)?,
            Term::ExpiresAfter => self.expires_after = or_off(text, duration)?,
            Term::DeleteAfterIdle => self.delete_after_idle = or_off(text, duration)?,
            Term::Breathe => self.breathe = switch(text)?,
            Term::Restart => self.restart = switch(text)?,
            Term::Reclaim => self.reclaim = switch(text)?,
            Term::ProxyProtocol => self.proxy_protocol = switch(text)?,
        }
        Some(())
    }

    /// A term's value, as [`IdlePolicy::set`] reads it. Durations are whole seconds where they can be.
    pub fn get(&self, term: Term) -> String {
        match term {
            Term::InitialTimeoutInterval => seconds(self.initial_timeout_interval),
            Term::TimeoutInterval => seconds(self.timeout_interval),
            Term::DisableTimeouts => self.disable_timeouts.to_string(),
            Term::Activity => name_of(self.activity, COUNTS),
            Term::StopWithConnections => self.stop_with_connections.to_string(),
            Term::FreezeAfter => match self.freeze_after {
                FreezeAfter::Unsaid => seconds(FreezeAfter::UNSAID),
                FreezeAfter::Off => OFF.to_owned(),
                FreezeAfter::After(after) => seconds(after),
            },
            Term::BusyCpu => self.busy_cpu.map_or_else(off, |share| (f64::from(share) / 1000.0).to_string()),
            Term::OwedFor => seconds(self.owed_for),
            Term::QuietBelow => format!("{}B/min", self.quiet_below),
            Term::CheckInTtl => self.check_in_ttl.map_or_else(off, seconds),
            Term::Wake => name_of(self.wake, WAKES),
            Term::WakeTimeout => seconds(self.wake_timeout),
            Term::ReadyPath => self.ready_path.clone().unwrap_or_else(off),
            Term::WakeFrom => listed(&self.wake_from),
            Term::IgnoreFrom => listed(&self.ignore_from),
            Term::IgnorePaths => listed(&self.ignore_paths),
            Term::IgnoreAgents => listed(&self.ignore_agents),
            Term::ExpiresAfter => self.expires_after.map_or_else(off, seconds),
            Term::DeleteAfterIdle => self.delete_after_idle.map_or_else(off, seconds),
            Term::Breathe => self.breathe.to_string(),
            Term::Restart => self.restart.to_string(),
            Term::Reclaim => self.reclaim.to_string(),
            Term::ProxyProtocol => self.proxy_protocol.to_string(),
        }
    }
}

const OFF: &str = "off";
const COUNTS: &[(&str, Counts)] =
    &[("traffic", Counts::Traffic), ("check-in", Counts::CheckIn), ("any", Counts::Any)];
const WAKES: &[(&str, WakeOn)] =
    &[("connect", WakeOn::Connect), ("first-byte", WakeOn::FirstByte), ("api", WakeOn::Api)];

/// Plain seconds or jiff's friendly format, in which a day has 24 hours; a century at most, so that sums of times stay times.
pub fn duration(text: &str) -> Option<Duration> {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 3600);
    let seconds = text.parse().ok().map(Duration::from_secs);
    let duration = seconds.or_else(|| span(text)?.try_into().ok())?;
    (!duration.is_zero() && duration <= CENTURY).then_some(duration)
}

fn span(text: &str) -> Option<jiff::SignedDuration> {
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    text.parse::<jiff::Span>().ok()?.to_duration(days).ok()
}

/// The spellings of yes and no.
pub fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

fn or_off<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if text == OFF { Some(None) } else { read(text).map(Some) }
}

fn one_of<T: Copy>(text: &str, known: &[(&str, T)]) -> Option<T> {
    known.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

fn name_of<T: PartialEq>(value: T, known: &[(&str, T)]) -> String {
    known.iter().find(|(_, known)| *known == value).map(|(name, _)| (*name).to_owned()).unwrap_or_default()
}

/// Thousandths of one core.
fn share(text: &str) -> Option<u32> {
    let share: f64 = text.parse().ok()?;
    (0.001..=1000.0).contains(&share).then_some((share * 1000.0).round() as u32)
}

/// Bytes a minute.
fn rate(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let (size, time) = text.split_once('/')?;
    let size = size.trim().parse::<bytesize::ByteSize>().ok()?.as_u64();
    match time.trim() {
        "s" => size.checked_mul(60),
        "min" => Some(size),
        "h" => Some(size / 60),
        _ => None,
    }
}

fn list<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(read).collect()
}

fn listed<T: ToString>(values: &[T]) -> String {
    values.iter().map(T::to_string).collect::<Vec<_>>().join(",")
}

/// A network, or a single address.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn pattern(text: &str) -> Option<String> {
    (text.chars().count() <= 256 && text.chars().all(|letter| !letter.is_control())).then(|| text.to_owned())
}

/// A URL's path and query, as RFC 3986 spells them.
fn path(text: &str) -> Option<String> {
    let may_stand = |letter: char| letter.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=:@/?".contains(letter);
    (text.starts_with('/') && text.len() <= 256 && text.chars().all(may_stand)).then(|| text.to_owned())
}

fn off() -> String {
    OFF.to_owned()
}

fn seconds(duration: Duration) -> String {
    match duration.subsec_millis() {
        0 => duration.as_secs().to_string(),
        _ => format!("{}ms", duration.as_millis()),
    }
}
