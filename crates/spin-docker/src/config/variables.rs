//! The environment: `SPIN_DOCKER_A_B` for the setting `a_b`, and below these the names of the 2014 program.

use super::given::{Given, Named, Origin};
use super::mistake::Mistake;
use std::ffi::OsString;
use std::path::PathBuf;

const PREFIX: &str = "SPIN_DOCKER_";
/// The settings that the 2014 program took from the environment, under these names in capitals.
const OF_2014: [&str; 4] =
    ["initial_timeout_interval", "timeout_interval", "disable_timeouts", "environment"];
/// Variables that begin like a setting's and are none: the file's, one that containers are given, and the scripts' cache.
const OTHERS: [&str; 3] = ["SPIN_DOCKER_CONFIG", "SPIN_DOCKER_ENDPOINTS", "SPIN_DOCKER_CACHE"];

/// The environment, as far as it concerns us.
pub(crate) struct Variables(Vec<(String, OsString)>);

impl Variables {
    /// Of this process.
    pub(crate) fn of_this_process() -> Self {
        let readable = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value));
        let mut variables: Vec<_> = std::env::vars_os().filter_map(readable).collect();
        variables.sort();
        Self(variables)
    }

    /// Of a process that has none.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(Vec::new())
    }

    /// One variable. An empty one is as good as none.
    pub(super) fn get(&self, name: &str) -> Option<&OsString> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value)
    }

    /// Ours in the user's folder for state, where there is one.
    pub(super) fn state_folder(&self) -> Option<String> {
        let below = |name, folder: &str| Some(PathBuf::from(self.get(name)?).join(folder));
        let folder =
            below("XDG_STATE_HOME", "spin-docker").or_else(|| below("HOME", ".local/state/spin-docker"));
        folder?.into_os_string().into_string().ok()
    }

    /// Those that are meant to be settings.
    pub(super) fn settings(&self, mistakes: &mut Vec<Mistake>) -> Vec<Named> {
        let mut settings = Vec::new();
        for (variable, value) in &self.0 {
            let Some(name) = self.setting(variable) else { continue };
            let origin = Origin::Variable(variable.clone());
            match value.to_str() {
                Some(text) => settings.push(Named { name, given: Given::One(text.to_owned()), origin }),
                None => mistakes.push(Mistake::new(format!("{origin} is not UTF-8"))),
            }
        }
        settings
    }

    fn setting(&self, variable: &str) -> Option<String> {
        if let Some(name) = variable.strip_prefix(PREFIX) {
            return (!OTHERS.contains(&variable)).then(|| name.to_lowercase());
        }
        let name = OF_2014.into_iter().find(|name| name.to_uppercase() == variable)?;
        let is_overruled = self.0.iter().any(|(other, _)| *other == format!("{PREFIX}{variable}"));
        (!is_overruled && self.get(variable).is_some()).then(|| name.to_owned())
    }
}
