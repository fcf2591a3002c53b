//! One container, as the 2014 program kept it.

use model::ContainerId;
use model::image::is_reference;
use std::collections::HashMap;

/// Those that are needed. A whole record has `name`, `uri`, `status`, `active`, `ssh_port` and `app_port` too.
const FIELDS: [&str; 2] = ["container_id", "image"];
const ID_DIGITS: usize = 64;

/// What of them is still of use. Its ports were new at each start, and whoever was active then is not now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) id: ContainerId,
    pub(super) image: String,
    /// What it was called, without a slash. Its name from now on is what the engine says.
    pub(super) name: Option<String>,
}

impl Record {
    /// Reads the hash of the key `containers:KEY`; or says what is wrong with it.
    pub(super) fn of(key: &str, fields: &HashMap<String, String>) -> Result<Self, String> {
        let missing: Vec<_> = FIELDS.into_iter().filter(|field| !fields.contains_key(*field)).collect();
        if !missing.is_empty() {
            return Err(format!("it has no {}", missing.join(", ")));
        }
        let (id, image) = (&fields["container_id"], &fields["image"]);
        if key.len() != ID_DIGITS || !key.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f')) {
            return Err("its name holds no id of 64 hex digits".to_owned());
        }
        if id != key {
            return Err(format!("its container_id is {id:?}"));
        }
        if !is_reference(image) {
            return Err(format!("its image is {image:?}, which no image can be called"));
        }
        let name = fields.get("name").map(|name| name.trim_start_matches('/').to_owned());
        Ok(Self { id: ContainerId::new(key), image: image.clone(), name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_container_is_read_and_each_damage_is_named() {
        let id = "2cd8a1b037d8752a481b373f225ac72ced9ec89ba784b7868dbb784072358f0e";
        let fields = [
            ("status", "running"),
            ("name", "/hungry_bell"),
            ("uri", "/v1/containers/2cd8a1b037d8752a481b373f225ac72ced9ec89ba784b7868dbb784072358f0e"),
            ("active", "1"),
            ("ssh_port", "49155"),
            ("image", "atbaker/sd-postgres"),
            ("container_id", id),
            ("app_port", "49156"),
        ];
        let fields: HashMap<_, _> =
            fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).to_owned())).collect();
        let record = Record {
            id: ContainerId::new(id),
            image: "atbaker/sd-postgres".into(),
            name: Some("hungry_bell".into()),
        };
        assert_eq!(Record::of(id, &fields), Ok(record));
        let with = |field: &str, value: &str| {
            let mut damaged = fields.clone();
            damaged.insert(field.to_owned(), value.to_owned());
            Record::of(id, &damaged).unwrap_err()
        };
        assert!(with("container_id", "1337").contains("1337"));
        assert!(with("image", "").contains("image"));
        assert!(Record::of("1337", &fields).unwrap_err().contains("64 hex digits"));
        assert_eq!(Record::of(id, &HashMap::new()).unwrap_err(), "it has no container_id, image");
    }
}
