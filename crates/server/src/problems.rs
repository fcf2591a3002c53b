//! Which problems each operation may answer with: a table, for the OpenAPI document. What stands here is held to what the
//! program answers by the tests that ask it.

use api::Kind::{self, *};
use std::collections::BTreeMap;
use utoipa::IntoResponses;
use utoipa::openapi::{RefOr, Response};

/// Any operation.
const ANY: &[Kind] = &[HostUnclear, ForeignHost, HeadTooLong, Internal];
/// One that takes credentials.
const CLOSED: &[Kind] = &[Unauthorized];
/// One that changes something.
const CHANGES: &[Kind] = &[ForeignOrigin];
/// One that takes a body.
const BODY: &[Kind] = &[BodyUnreadable, TooSlow, BodyTooLarge, MediaType, InvalidField];
/// One that reads a path or a query.
const PATH: &[Kind] = &[PathUnreadable];
/// One that asks the engine.
const ENGINE: &[Kind] = &[Engine, EngineAway, DiskFull];
/// One that looks a container up.
const FIND: &[Kind] = &[NoSuchContainer, Ambiguous];
/// One that commands a container.
const COMMAND: &[Kind] = &[Gone, Busy, Ending, DiskFull];
/// One that waits until a container runs.
const START: &[Kind] = &[NotStarted, EngineAway, Overtaken, NoRoom];
/// One that freezes and thaws.
const SLEEP: &[Kind] = &[NotRunning, NotSo];
/// One that makes a container.
const CREATE: &[Kind] =
    &[ImageBlank, InvalidImage, NoSuchImage, NoPorts, TooManyPorts, TooManyCreates, UsedUp];

/// One that follows the events.
const FOLLOW: &[Kind] = &[InvalidField, TooManyFollowers];

macro_rules! operations {
    ($($name:ident: $($kinds:ident),+;)*) => {$(
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                api::problems(&[$($kinds),+].concat())
            }
        }
    )*};
}

operations! {
    CheckIn: PATH, BODY, CHANGES, ANY;
    OfHealth: ANY;
    OfOperation: CLOSED, ANY;
    ListImages: CLOSED, ENGINE, ANY;
    ListContainers: PATH, CLOSED, ENGINE, ANY;
    CreateContainer: CREATE, BODY, CLOSED, CHANGES, START, COMMAND, ENGINE, ANY;
    ShowContainer: PATH, CLOSED, FIND, ANY;
    ChangeContainer: PATH, BODY, CLOSED, CHANGES, FIND, START, SLEEP, COMMAND, ANY;
    FollowEvents: FOLLOW, CLOSED, ANY;
    DeleteContainer: PATH, CLOSED, CHANGES, FIND, COMMAND, ANY;
}
