//! A container for the tests of this crate: a whole one, of which each test says what matters to it.

use crate::container::{Container, NO_CHECK_IN, Phase};
use crate::time::Timestamp;
use crate::{ContainerId, EngineId, Key};
use std::net::Ipv4Addr;

/// One that was made and last used then, and stands here.
pub(crate) fn specimen(phase: Phase, at: Timestamp) -> Container {
    let id = "a".repeat(64);
    Container {
        key: Key::new("k"),
        container_id: Some(ContainerId::new(&id)),
        engine_id: Some(EngineId::new(&id)),
        name: "/a".into(),
        image: "i".into(),
        address: Ipv4Addr::LOCALHOST,
        endpoints: vec![],
        app_port: None,
        ready: None,
        image_says: Default::default(),
        owner_says: Default::default(),
        warnings: vec![],
        lives_since: None,
        created_at: at,
        last_activity: at,
        check_in: NO_CHECK_IN.into(),
        checked_in_at: None,
        failure: None,
        phase,
    }
}
