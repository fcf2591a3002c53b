//! Errors on the wire: RFC 9457 problem documents, with the `message` of 2014 beside the standard members.

use serde::Serialize;
use utoipa::ToSchema;

/// One problem document, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Stable, one per kind of problem. `x-problems` lists them all.
    #[serde(rename = "type")]
    pub type_: String,
    /// What kind of problem it is, the same for each of its kind.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The same, under the name of 2014.
    pub message: String,
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $slug:literal, $status:literal, $title:literal;)*) => {
        /// Every kind of problem that the API knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[doc = $doc])* $name,)*
        }

        impl Kind {
            /// All of them, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The last part of its `type`.
            pub fn slug(self) -> &'static str {
                match self { $(Self::$name => $slug,)* }
            }

            /// In one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// Its HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// Its title.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }
        }
    };
}

kinds! {
    /// No name of an image was given.
    ImageBlank = "image-blank", 400, "No image was named";
    /// The body cannot be read at all.
    BodyUnreadable = "body-unreadable", 400, "The body cannot be read";
    /// The path or the query cannot be read.
    PathUnreadable = "path-unreadable", 400, "The path or the query cannot be read";
    /// HTTP/1.1 without a `Host`, or with two.
    HostUnclear = "host-unclear", 400, "The Host header is missing, or there are several";
    /// Credentials are missing or wrong.
    Unauthorized = "unauthorized", 401, "Credentials are missing or wrong";
    /// A browser sent it from somebody else's page.
    ForeignOrigin = "foreign-origin", 403, "The request comes from a page of another origin";
    /// No such route.
    NoSuchRoute = "no-such-route", 404, "There is nothing at this path";
    /// No such container.
    NoSuchContainer = "no-such-container", 404, "There is no such container";
    /// No such image.
    NoSuchImage = "no-such-image", 404, "There is no such image";
    /// The route does not know the method.
    MethodNotAllowed = "method-not-allowed", 405, "The path does not know this method";
    /// The body did not come in time.
    TooSlow = "too-slow", 408, "The body did not come in time";
    /// Several containers go by this beginning of an id.
    Ambiguous = "ambiguous", 409, "Several containers go by this";
    /// Only what runs freezes and thaws.
    NotRunning = "not-running", 409, "The container does not run";
    /// It did not freeze, or not thaw.
    NotSo = "not-so", 409, "The container did not do as asked";
    /// Another request overtook this one.
    Overtaken = "overtaken", 409, "Another request overtook this one";
    /// It was deleted meanwhile.
    Gone = "gone", 409, "The container was deleted meanwhile";
    /// The body is longer than a megabyte.
    BodyTooLarge = "body-too-large", 413, "The body is too large";
    /// Neither a form nor JSON.
    MediaType = "media-type", 415, "The body is of a type that is not understood";
    /// A listener on loopback was reached by a name that is not its own.
    ForeignHost = "foreign-host", 421, "The request is for another host";
    /// A field is missing or is not what it should be.
    InvalidField = "invalid-field", 422, "A field is missing or is not what it should be";
    /// The text is no reference to an image.
    InvalidImage = "invalid-image", 422, "No image can have this name";
    /// The image exposes no TCP port.
    NoPorts = "no-ports", 422, "The image exposes no TCP port";
    /// The image exposes more TCP ports than a container may have.
    TooManyPorts = "too-many-ports", 422, "The image exposes too many TCP ports";
    /// Too many requests wait for one container.
    Busy = "busy", 429, "Too many requests wait for this container";
    /// As many creates as there may be are under way and waiting.
    TooManyCreates = "too-many-creates", 429, "Too many creates are under way";
    /// As many follow the events as may.
    TooManyFollowers = "too-many-followers", 429, "Too many follow the events";
    /// The request line and the headers are longer than 32 KiB together.
    HeadTooLong = "head-too-long", 431, "The request's head is too long";
    /// The engine could not make or start it.
    NotStarted = "not-started", 500, "The container could not be started";
    /// The engine said no to something else.
    Engine = "engine", 500, "The engine failed";
    /// A bug, or the system below us.
    Internal = "internal", 500, "Something went wrong here";
    /// The engine does not answer.
    EngineAway = "engine-away", 503, "The engine does not answer";
    /// No port or no address is left.
    UsedUp = "used-up", 503, "No port or no address is left";
    /// The daemon is ending.
    Ending = "ending", 503, "spin-docker is ending";
    /// A create would leave less memory or disk than is to be kept free.
    NoRoom = "no-room", 507, "Too little memory or disk would be left";
    /// The disk is full.
    DiskFull = "disk-full", 507, "The disk is full";
}

impl Kind {
    /// Its stable `type`.
    pub fn type_(self) -> String {
        format!("urn:spin-docker:problem:{}", self.slug())
    }
}

impl Problem {
    /// A problem of this kind, with what went wrong this time.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            type_: kind.type_(),
            title: kind.title(),
            status: kind.status(),
            detail: message.clone(),
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_carries_the_message_of_2014() {
        let problem = serde_json::to_value(Problem::new(Kind::ImageBlank, "Image cannot be blank")).unwrap();
        assert_eq!(problem["type"], "urn:spin-docker:problem:image-blank");
        assert_eq!(
            (problem["status"].as_u64(), &problem["message"]),
            (Some(400), &"Image cannot be blank".into())
        );
    }
}
