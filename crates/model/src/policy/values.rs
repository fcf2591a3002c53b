//! How each term's value is read and written: as text everywhere, a request's, a label's, a setting's.

use super::{Counts, FreezeAfter, IdlePolicy, Term, WakeOn};
use ipnet::IpNet;
use std::net::IpAddr;
use std::time::Duration;

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
