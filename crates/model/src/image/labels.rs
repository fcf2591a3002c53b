//! Which of an image's labels are meant for us, and which of those say nothing.

use super::{APP_PORT_LABEL, AUTHORIZED_KEYS_LABEL, Image, READY_LABEL};
use crate::policy::{LABEL_PREFIX, Mistake, Said, Term, is_meant};

/// A label that is meant for us and says nothing. Any image must run: its container does, under what others say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdleLabel {
    /// The term does not take the value.
    #[error("the image's label {LABEL_PREFIX}{0}; until that is mended, the label says nothing")]
    NotTaken(Mistake),
    /// Nor does one that is no term.
    #[error(
        "the image's label {label} is {text:?}; it takes {takes}; until that is mended, the label says nothing"
    )]
    Useless {
        /// Which one.
        label: &'static str,
        /// Its value.
        text: String,
        /// What it takes, in words.
        takes: &'static str,
    },
    /// Its name is nearly one of ours. Others that begin like ours may be somebody's own.
    #[error("the image's label {label} says nothing; {meant} would")]
    Misspelt {
        /// As it stands on the image.
        label: String,
        /// What it must mean.
        meant: String,
    },
}

impl Image {
    /// What its labels say of the idle policy, and those of all that are meant for us that say nothing.
    pub fn policy(&self) -> (Said, Vec<IdleLabel>) {
        let (mut said, mut idle) = (Said::default(), Vec::new());
        for (label, text) in &self.labels {
            let Some(name) = label.strip_prefix(LABEL_PREFIX) else { continue };
            match name.parse() {
                Ok(term) => idle.extend(said.say(term, text).err().map(IdleLabel::NotTaken)),
                Err(()) => idle.extend(self.useless(label, text).or_else(|| misspelt(label, name))),
            }
        }
        // Of two ways that it names itself, the command; and its own `HEALTHCHECK` before the path of the settings.
        let names_a_path = said.iter().any(|(term, _)| term == Term::ReadyPath);
        if self.ready_command().is_some() || (self.health_check.is_some() && !names_a_path) {
            idle.extend(said.say(Term::ReadyPath, "off").err().map(IdleLabel::NotTaken));
        }
        (said, idle)
    }

    /// An empty one takes back what the image below said.
    fn useless(&self, label: &str, text: &str) -> Option<IdleLabel> {
        let (label, takes, is_of_use) = match label {
            APP_PORT_LABEL => {
                (APP_PORT_LABEL, "a TCP port that the image exposes", self.labelled_port().is_some())
            }
            AUTHORIZED_KEYS_LABEL => {
                (AUTHORIZED_KEYS_LABEL, "a file's absolute path", self.authorized_keys().is_some())
            }
            _ => return None,
        };
        let text: String = text.trim().chars().take(60).collect();
        (!is_of_use && !text.is_empty()).then_some(IdleLabel::Useless { label, text, takes })
    }
}

fn misspelt(label: &str, name: &str) -> Option<IdleLabel> {
    const OTHERS: [&str; 3] = [APP_PORT_LABEL, AUTHORIZED_KEYS_LABEL, READY_LABEL];
    let others = || OTHERS.into_iter().filter_map(|other| other.strip_prefix(LABEL_PREFIX));
    if others().any(|other| other == name) {
        return None;
    }
    let meant =
        Term::meant_by(name).map(Term::name).or_else(|| others().find(|other| is_meant(other, name)))?;
    Some(IdleLabel::Misspelt { label: label.to_owned(), meant: format!("{LABEL_PREFIX}{meant}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::PortSpec;
    use crate::specimen::specimen;
    use crate::{IdlePolicy, Phase, Ready, Timestamp};

    fn idle(labels: &[(&str, &str)]) -> (Said, Vec<String>) {
        let labels = labels.iter().map(|(name, text)| (format!("{LABEL_PREFIX}{name}"), (*text).to_owned()));
        let exposed = vec![PortSpec::tcp(80)];
        let (said, idle) = Image { labels: labels.collect(), exposed, ..Image::default() }.policy();
        (said, idle.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn labels_say_the_policy_and_those_that_say_nothing_are_told() {
        let (said, idle) = idle(&[
            ("activity", "traffic"),
            ("app_port", "80"),
            ("freeze_afer", "60s"),
            ("authorized_keys", "/keys"),
            ("built-from", "here"),
            ("id", "1"),
            ("instance", "default"),
            ("owner", "somebody"),
            ("ready", "true"),
            ("ready_path", "/"),
            ("owed_for", "soon"),
        ]);
        let all = [(Term::Activity, "traffic"), (Term::ReadyPath, "off")];
        assert_eq!(said.iter().collect::<Vec<_>>(), all, "of two ways to ask, the command");
        assert_eq!(idle.len(), 2, "{idle:?}");
        assert_eq!(
            idle[0],
            "the image's label spin-docker.freeze_afer says nothing; spin-docker.freeze_after would"
        );
        let not_taken = "the image's label spin-docker.owed_for is \"soon\"; it takes seconds, or";
        assert!(idle[1].starts_with(not_taken), "{}", idle[1]);
    }

    #[test]
    fn so_are_those_that_are_no_term_of_it() {
        let table = [
            ("app_port", "9999", "app_port is \"9999\"; it takes a TCP port that the image exposes;"),
            ("app_port", "http", "app_port is \"http\"; it takes a TCP port"),
            ("authorized_keys", "keys", "authorized_keys is \"keys\"; it takes a file's absolute path;"),
            ("ready-path", "/", "ready-path says nothing; spin-docker.ready_path would"),
            ("authorized_key", "/keys", "authorized_key says nothing; spin-docker.authorized_keys would"),
            ("app-port", "80", "app-port says nothing; spin-docker.app_port would"),
        ];
        for (name, text, words) in table {
            let (_, idle) = idle(&[(name, text)]);
            let starts = |told: &String| told.starts_with(&format!("the image's label spin-docker.{words}"));
            assert!(idle.len() == 1 && idle.iter().all(starts), "{name}: {idle:?}");
        }
        assert!(idle(&[("app_port", ""), ("authorized_keys", " ")]).1.is_empty());
    }

    /// How one is asked whose image and owner say this, under settings that name a path.
    fn asked(labels: &[(&str, &str)], health_check: Option<&Ready>, own: Option<&str>) -> Option<Ready> {
        let owned = |(name, text): &(&str, &str)| (format!("{LABEL_PREFIX}{name}"), (*text).to_owned());
        let (labels, exposed) = (labels.iter().map(owned).collect(), vec![PortSpec::tcp(80)]);
        let image = Image { labels, exposed, health_check: health_check.cloned(), ..Image::default() };
        let mut container = specimen(Phase::Creating, Timestamp::default());
        (container.app_port, container.ready) = (image.app_port(), image.ready());
        container.image_says = image.policy().0;
        own.into_iter().for_each(|path| container.owner_says.say(Term::ReadyPath, path).unwrap());
        let of_all = IdlePolicy { ready_path: Some("/all".into()), ..IdlePolicy::DEFAULT };
        container.readiness(&container.own_policy(&of_all).unwrap_or(of_all))
    }

    #[test]
    fn its_owner_says_before_its_image_how_it_is_asked_whether_it_can_serve_and_the_image_before_the_settings()
     {
        let (command, check) = (Ready::Shell("can you?".into()), Ready::Command(vec!["check".into()]));
        let path = |path: &str| Some(Ready::Path { path: path.into(), port: 80 });
        let (says, named, checks) = (("ready", "can you?"), ("ready_path", "/image"), Some(&check));
        assert_eq!(asked(&[], None, None), path("/all"));
        assert_eq!(asked(&[named], checks, None), path("/image"));
        assert_eq!(asked(&[], checks, None), Some(check.clone()));
        assert_eq!(asked(&[says, named], checks, None), Some(command));
        assert_eq!(asked(&[says, named], checks, Some("/own")), path("/own"));
        assert_eq!(asked(&[], checks, Some("/own")), path("/own"));
        assert_eq!(asked(&[named], checks, Some("off")), Some(check.clone()));
        assert_eq!(asked(&[named], None, Some("off")), None);
    }
}
