//! What settings must be together, each being right alone, and what is allowed and yet worth a word at start.

use super::given::{Entry, Origin};
use super::mistake::Mistake;
use super::table::Settings;
use std::os::unix::fs::PermissionsExt;

/// Says what is wrong, if it is.
type Rule = fn(&Settings) -> Option<String>;

/// The settings that each rule is about; the first is the one that its message begins with.
const RULES: [(&[&str], Rule); 2] = [
    (&["listen", "password", "allow_default_password"], default_password),
    (&["endpoint_ports", "listen"], listen_among_endpoints),
];

/// The mistakes among them, without those about settings that are wrong anyway.
pub(super) fn check(settings: &Settings, entries: &[Entry], wrong: &[&str]) -> Vec<Mistake> {
    let may_be_judged = |(about, _): &&(&[&str], Rule)| !about.iter().any(|name| wrong.contains(name));
    let message = |(about, rule): &(&[&str], Rule)| {
        let entry = find(entries, about[0])?;
        Some(Mistake::new(format!("{} is {}", entry.origin.subject(about[0]), rule(settings)?)))
    };
    RULES.iter().filter(may_be_judged).filter_map(message).collect()
}

fn default_password(settings: &Settings) -> Option<String> {
    let is_refused = !settings.listen.ip().is_loopback() && !settings.allow_default_password;
    (is_refused && settings.password.is_default()).then(|| {
        format!(
            "{}, beyond loopback, while the password is the default; set password, or allow_default_password = true",
            settings.listen
        )
    })
}

fn listen_among_endpoints(settings: &Settings) -> Option<String> {
    let (ports, port) = (&settings.endpoint_ports, settings.listen.port());
    ports
        .contains(&port)
        .then(|| format!("{}-{}, which contains {port}, the port of listen", ports.start(), ports.end()))
}

/// What whoever runs the daemon should know.
pub(super) fn notes(settings: &Settings, entries: &[Entry]) -> Vec<String> {
    let mut notes = Vec::new();
    if !settings.listen.ip().is_loopback() && settings.password.is_default() {
        notes.push(format!("anybody who reaches {} knows the default password", settings.listen));
    }
    if settings.endpoint_address.is_unspecified() && settings.public_host.is_none() {
        notes.push(format!(
            "`endpoints` shows {}, which is of no use elsewhere: set public_host to this machine's name or address",
            settings.endpoint_address
        ));
    }
    match find(entries, "password").map(|entry| &entry.origin) {
        Some(Origin::Flag(_)) => {
            notes.push("the password is a flag: every user of this machine can see it".to_owned());
        }
        Some(Origin::File { path, .. }) if is_open(path) => {
            notes.push(format!(
                "the password is in {}, which every user of this machine can read",
                path.display()
            ));
        }
        _ => {}
    }
    notes
}

fn is_open(path: &std::path::Path) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

fn find<'a>(entries: &'a [Entry], name: &str) -> Option<&'a Entry> {
    entries.iter().find(|entry| entry.setting.name == name)
}
