//! What a page's words mean in this run: what its examples stand for, and what a reader is to put in for `NAME`.

use super::shown::{EXAMPLE, Shown};
use crate::{Client, Daemon, text};
use regex::{Captures, Regex};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// What a reader fills in, of the container that was made last; neither a variable `$NAME` of the shell is one, nor a part of `Last-Event-ID`.
static BLANK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?<shell>\$\{?|-)?\b(?<blank>NAME\.localhost|NAME|ID|APP_PORT|SSH_PORT)\b")
        .expect("it is tested")
});

/// Where README has its server's key.
const SSH_KEY: &str = "/var/lib/spin-docker/ssh/id_ed25519";

/// Of one run of a page.
pub(super) struct Words {
    client: Client,
    /// `:PORT` of the daemon, for the pages' `:8080`.
    port: String,
    ssh_key: String,
    /// What each example stood for when it was first shown.
    known: BTreeMap<String, String>,
}

impl Words {
    pub(super) fn of(daemon: &Daemon) -> Self {
        let port = daemon.base.rsplit(':').next().map(|port| format!(":{port}")).unwrap_or_default();
        let ssh_key = daemon.ssh_key().display().to_string();
        Self { client: daemon.client.clone(), port, ssh_key, known: BTreeMap::new() }
    }

    /// A command as it is run. An example that nothing above has shown is a mistake.
    pub(super) fn fill(&self, command: &str) -> Result<String, String> {
        let mut unknown = None;
        let filled = EXAMPLE.replace_all(command, |found: &Captures<'_>| {
            let example = ["id", "port"].iter().find_map(|kind| found.name(kind));
            let Some(example) = example.map(|example| example.as_str()) else { return found[0].to_owned() };
            let known = self.known.get(example).cloned();
            known.unwrap_or_else(|| {
                unknown = Some(example.to_owned());
                example.to_owned()
            })
        });
        if let Some(example) = unknown {
            return Err(format!("it names {example}, which no answer above shows"));
        }
        Ok(self.plain(&BLANK.replace_all(&filled, |found: &Captures<'_>| self.blank(found))))
    }

    /// Names are known wherever they stand, as are our port and our key.
    fn plain(&self, text: &str) -> String {
        let mut text = text.replace(":8080", &self.port).replace(SSH_KEY, &self.ssh_key);
        for (example, actual) in self.known.iter().filter(|(example, _)| example.contains('_')) {
            text = text.replace(example, actual).replace(&host(example), &host(actual));
        }
        text
    }

    fn blank(&self, found: &Captures<'_>) -> String {
        if found.name("shell").is_some() {
            return found[0].to_owned();
        }
        let newest = self.newest();
        let name = text(&newest, "name").trim_start_matches('/');
        match &found["blank"] {
            "NAME.localhost" => format!("{}.localhost", host(name)),
            "NAME" => name.to_owned(),
            "ID" => text(&newest, "container_id").to_owned(),
            "APP_PORT" => text(&newest, "app_port").to_owned(),
            _ => text(&newest, "ssh_port").to_owned(),
        }
    }

    fn newest(&self) -> Value {
        let list = self.client.get("/v1/containers").json();
        let containers = list.as_array().expect("a list");
        let newest = containers.iter().max_by_key(|container| text(container, "created_at").to_owned());
        newest.cloned().expect("the page made a container before it speaks of one")
    }

    /// What a page shows, in this run's words.
    pub(super) fn shown(&self, text: &str) -> Shown {
        Shown::new(&self.plain(text), |example| self.known.get(example).cloned())
    }

    /// Takes up what examples stand for; the same one twice must be the same thing.
    pub(super) fn learn(&mut self, pairs: Vec<(String, String)>) -> Result<(), String> {
        for (example, actual) in pairs {
            let known = self.known.entry(example.clone()).or_insert_with(|| actual.clone());
            if *known != actual {
                return Err(format!("{example} is once {known} and once {actual}"));
            }
        }
        Ok(())
    }
}

/// A container's name as a host has it.
fn host(name: &str) -> String {
    name.replace(['_', '.'], "-")
}
