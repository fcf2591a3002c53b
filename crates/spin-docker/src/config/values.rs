//! The types of single settings and their readers. A reader answers `None` to what its setting does not take; the table
//! says in words what that is.

use super::read::{non_empty, parsed};
use ipnet::{IpNet, Ipv4Net};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// What stands where a secret would.
pub(crate) const HIDDEN: &str = "********";

/// Text that nothing prints by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    /// The text itself, for whoever must compare or hash it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether everybody knows it.
    pub(super) fn is_default(&self) -> bool {
        self.0 == super::table::DEFAULT_PASSWORD
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Who the program runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Environment {
    /// Errors show their causes.
    Development,
    /// They do not.
    Production,
}

/// Whether the engine publishes containers' ports for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// Where their own addresses are out of our reach.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Publish {
    /// By this engine.
    pub(crate) fn by(self, engine: &engine::Description) -> bool {
        match self {
            Self::Auto => engine.is_out_of_reach(),
            Self::On => true,
            Self::Off => false,
        }
    }
}

/// The kinds of engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Docker Engine, or Podman through the same API.
    Docker,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// To be read.
    Text,
    /// To be parsed.
    Json,
}

/// An amount of memory or disk; 0 for no limit, or for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) i64);

/// Thousandths of a CPU; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MilliCpus(pub(crate) i64);

/// A share of the time; none for off.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percent(pub(crate) Option<f64>);

pub(super) fn percent(text: &str) -> Option<Percent> {
    if text == "off" {
        return Some(Percent(None));
    }
    parsed(text).filter(|share| (1.0..=100.0).contains(share)).map(|share| Percent(Some(share)))
}

pub(super) fn secret(text: &str) -> Option<Secret> {
    non_empty(text).map(|text| Secret(text.to_owned()))
}

pub(super) fn environment(text: &str) -> Option<Environment> {
    match text {
        "development" => Some(Environment::Development),
        "production" => Some(Environment::Production),
        _ => None,
    }
}

pub(super) fn publish(text: &str) -> Option<Publish> {
    match text {
        "auto" => Some(Publish::Auto),
        "on" => Some(Publish::On),
        "off" => Some(Publish::Off),
        _ => None,
    }
}

pub(super) fn engine(text: &str) -> Option<Engine> {
    (text == "docker").then_some(Engine::Docker)
}

pub(super) fn log_format(text: &str) -> Option<LogFormat> {
    match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

pub(super) fn engine_host(text: &str) -> Option<String> {
    text.strip_prefix("unix:///").and_then(non_empty).map(|_| text.to_owned())
}

pub(super) fn instance(text: &str) -> Option<String> {
    let letters = |letter| matches!(letter, 'a'..='z' | '0'..='9' | '-');
    let is_name = (1..=31).contains(&text.len()) && !text.starts_with('-') && text.chars().all(letters);
    is_name.then(|| text.to_owned())
}

pub(super) fn ports(text: &str) -> Option<RangeInclusive<u16>> {
    let (low, high) = text.split_once('-')?;
    let range: RangeInclusive<u16> = parsed(low.trim())?..=parsed(high.trim())?;
    (!range.is_empty() && *range.start() >= 1024).then_some(range)
}

pub(super) fn subnet(text: &str) -> Option<Ipv4Net> {
    parsed(text).filter(|net: &Ipv4Net| *net == net.trunc() && (8..=29).contains(&net.prefix_len()))
}

/// An address is a network of one.
pub(super) fn network(text: &str) -> Option<IpNet> {
    parsed(text).or_else(|| parsed::<IpAddr>(text).map(IpNet::from))
}

/// In one line; its options, such as `from=`, are not understood.
pub(super) fn public_key(text: &str) -> Option<String> {
    ssh_key::PublicKey::from_openssh(text).ok().filter(|_| text.lines().count() == 1).map(|_| text.to_owned())
}

/// Without the `CAP_`, as Docker has them.
pub(super) fn capability(text: &str) -> Option<String> {
    const KNOWN: &str = "ALL AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN \
        DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN \
        MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID \
        SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE \
        SYS_TIME SYS_TTY_CONFIG WAKE_ALARM";
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("CAP_").unwrap_or(&name);
    KNOWN.split_whitespace().find(|known| *known == name).map(str::to_owned)
}

/// Docker takes no less than 6 MiB.
pub(super) fn memory(text: &str) -> Option<Bytes> {
    let bytes = size(text)?;
    (bytes == 0 || bytes >= 6 << 20).then_some(Bytes(bytes))
}

pub(super) fn reserve(text: &str) -> Option<Bytes> {
    size(text).map(Bytes)
}

/// As Docker writes it.
pub(super) fn log_size(text: &str) -> Option<String> {
    size(text).filter(|bytes| *bytes > 0).map(|_| text.to_ascii_lowercase())
}

/// Bytes, or with a unit, powers of 1024.
fn size(text: &str) -> Option<i64> {
    let text = text.to_ascii_lowercase();
    let digits = text.trim_end_matches(['k', 'm', 'g']);
    let unit: i64 = match &text[digits.len()..] {
        "" => 1,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => return None,
    };
    let digits = Some(digits).filter(|digits| digits.chars().all(|digit| digit.is_ascii_digit()));
    parsed::<i64>(digits?)?.checked_mul(unit)
}

/// Docker takes no less than a hundredth.
pub(super) fn cpus(text: &str) -> Option<MilliCpus> {
    let cpus: f64 = parsed(text)?;
    let is_allowed = cpus == 0.0 || (0.01..=10_000.0).contains(&cpus);
    is_allowed.then(|| MilliCpus((cpus * 1000.0).round() as i64))
}

/// A bare word is a level: to tracing it could be a part of the program, and a misspelt level would pass for one.
pub(super) fn log(text: &str) -> Option<String> {
    let level = |word: &str| parsed::<tracing::level_filters::LevelFilter>(word).is_some();
    let words_are_levels = text.split(',').all(|part| part.contains(['=', '[']) || level(part.trim()));
    let parses = tracing_subscriber::EnvFilter::builder().parse(text).is_ok();
    (words_are_levels && parses).then(|| text.to_owned())
}
