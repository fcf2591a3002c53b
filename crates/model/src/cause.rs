//! Why something happened to a container, as its events tell it: in one phrase for people, by its fields for programs.

use crate::lifecycle::{Ending, Input, Observation};
use crate::policy::Term;
use crate::time::brief;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Why. On the wire and in the store `by` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case")]
pub enum Cause {
    /// A request of the API.
    Request {
        /// Its method.
        method: Method,
    },
    /// A connection to one of its endpoints, or bytes on one.
    Connection {
        /// From where.
        peer: SocketAddr,
        /// Which of the container's ports.
        port: u16,
    },
    /// Nothing has moved for so long.
    NoBytes {
        /// How long.
        seconds: u64,
    },
    /// Nothing more than keep-alives has moved for so long.
    KeepAlives {
        /// How long.
        seconds: u64,
    },
    /// Its own reports are what counts, and none has said for so long that it is in use.
    NoReports {
        /// How long.
        seconds: u64,
    },
    /// Two looks in a row found it idle.
    Looks,
    /// The host was short of memory.
    Pressure,
    /// Somebody did it through the engine, as `docker stop` does.
    Engine,
    /// The engine is about to run a command in it.
    Exec,
    /// The engine is about to signal it.
    Signal,
    /// It was let run for a moment, and something keeps it awake.
    Breath,
    /// The engine's events broke off.
    EventsLost,
    /// Its policy is another now, under which it does not freeze by itself.
    NeverFreezes,
    /// It reported that it is in use.
    CheckIn,
    /// Something waits in its sockets that came while nobody watched.
    Mail,
    /// It was found so when the program came up.
    Found,
    /// It ended.
    Exit {
        /// Its exit code.
        code: i64,
        /// The kernel ended it for want of memory.
        out_of_memory: bool,
        /// While the program or the engine was away.
        unseen: bool,
    },
    /// Somebody removed its body from the engine.
    Removal,
    /// It ended while nobody watched, and its policy has it started again.
    Restart,
    /// Something failed.
    Error {
        /// What, and why.
        text: String,
    },
    /// An answer has been owed for longer than the policy waits.
    Owed {
        /// To whom.
        peer: SocketAddr,
        /// How long.
        seconds: u64,
    },
    /// The same of a client that did not come through the gateway.
    OwedBeside {
        /// Which one, as the container sees it.
        peer: SocketAddr,
        /// How long.
        seconds: u64,
    },
    /// It does not wake for a connection.
    Refusal {
        /// From where.
        peer: SocketAddr,
        /// To which of the container's ports.
        port: u16,
        /// Why not.
        why: Refusal,
    },
    /// Its application cannot be reached from outside.
    OnlyInside {
        /// At which port.
        port: u16,
    },
    /// A term of its policy sets when it is deleted.
    Expiry {
        /// Which one.
        term: Term,
        /// How long from now.
        seconds: u64,
    },
    /// Its owner says this of its policy.
    Policy {
        /// `TERM=VALUE`, or that it was taken back.
        said: Vec<String>,
    },
}

const NO_MORE: &str = "for an answer, and keeps it awake no more (owed_for)";

/// A request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[allow(missing_docs, reason = "their names say it")]
pub enum Method {
    Post,
    Patch,
    Delete,
}

/// Why a connection did not wake a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum Refusal {
    /// The policy's `wake_from` and `ignore_from` say who may.
    NotAllowed,
    /// A person stopped it, or only a request wakes it.
    Asleep,
    /// The engine does not answer.
    EngineAway,
    /// It ended by itself too often.
    TooSoon {
        /// How often in a row.
        times: u32,
        /// Until its next start.
        seconds: u64,
    },
    /// It was not awake in time.
    Late {
        /// How long was waited.
        seconds: u64,
    },
    /// It is awake, and nothing accepted in time.
    NotAccepted {
        /// How long was waited.
        seconds: u64,
    },
    /// It is awake, has had its time to come up, and nothing listens on its port.
    Closed,
    /// Every local port towards it is in use or in TIME_WAIT.
    OutOfPorts,
}

impl Refusal {
    /// Its name, as on the wire.
    pub const fn because(&self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::Asleep => "asleep",
            Self::EngineAway => "engine-away",
            Self::TooSoon { .. } => "too-soon",
            Self::Late { .. } => "late",
            Self::NotAccepted { .. } => "not-accepted",
            Self::Closed => "closed",
            Self::OutOfPorts => "out-of-ports",
        }
    }
}

impl Cause {
    /// Of a refusal, for which of the reasons that there are.
    pub const fn because(&self) -> Option<&'static str> {
        match self {
            Self::Refusal { why, .. } => Some(why.because()),
            _ => None,
        }
    }

    /// What an input says itself. A freeze and a wake are told their cause by whoever asks for them.
    pub fn of(input: &Input) -> Option<Self> {
        let error = |text: &String| Some(Self::Error { text: text.clone() });
        match input {
            Input::Created { .. } => Some(Self::Request { method: Method::Post }),
            Input::Start | Input::Stop => Some(Self::Request { method: Method::Patch }),
            Input::Delete => Some(Self::Request { method: Method::Delete }),
            Input::Look(_) => Some(Self::Looks),
            Input::Pressure => Some(Self::Pressure),
            Input::StoppedByHand => Some(Self::Engine),
            Input::PolicySaid(amendment) => Some(Self::Policy { said: amendment.iter().map(said).collect() }),
            Input::CreateFailed(why) | Input::StartFailed(why) => error(why),
            Input::StopFailed(why) | Input::ThawFailed(why) => error(why),
            Input::Observed(seen) => Some(Self::of_sight(seen).unwrap_or(Self::Engine)),
            Input::Resumed(seen) => Some(Self::of_sight(seen).unwrap_or(Self::Found)),
            _ => None,
        }
    }

    fn of_sight(seen: &Observation) -> Option<Self> {
        match seen {
            Observation::Exited { ending: Ending::ByHand, .. } => Some(Self::Engine),
            Observation::Exited { code, out_of_memory, ending, .. } => {
                let unseen = *ending == Ending::Unseen;
                Some(Self::Exit { code: *code, out_of_memory: *out_of_memory, unseen })
            }
            Observation::Missing => Some(Self::Removal),
            Observation::Running { .. } => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let brief = |seconds: &u64| brief(Duration::from_secs(*seconds));
        match self {
            Self::Request { method } => write!(f, "asked by {}", method.as_str()),
            Self::Connection { peer, port } => write!(f, "connection from {peer} to port {port}"),
            Self::NoBytes { seconds } => write!(f, "no bytes for {}", brief(seconds)),
            Self::KeepAlives { seconds } => write!(f, "no more than keep-alives for {}", brief(seconds)),
            Self::NoReports { seconds } => {
                write!(f, "no check-in has said that it is in use for {}", brief(seconds))
            }
            Self::Looks => f.write_str("idle twice"),
            Self::Pressure => f.write_str("the host was short of memory"),
            Self::Engine => f.write_str("somebody did so through the engine"),
            Self::Exec => f.write_str("the engine is about to run a command in it"),
            Self::Signal => f.write_str("the engine is about to signal it"),
            Self::Breath => f.write_str("it was let run for a moment (breathe), and went on"),
            Self::EventsLost => {
                f.write_str("the engine's events broke off, and nobody would hear what it is needed for")
            }
            Self::NeverFreezes => f.write_str("its policy says now that it does not freeze"),
            Self::Mail => f.write_str("something had arrived in its sockets"),
            Self::CheckIn => f.write_str("it reported that it is in use"),
            Self::Found => f.write_str("it was found so when spin-docker came up"),
            Self::Exit { code, out_of_memory, unseen } => how_it_ended(f, *code, *out_of_memory, *unseen),
            Self::Removal => {
                f.write_str("somebody removed it from the engine, as `docker rm` does, and its data with it")
            }
            Self::Restart => f.write_str("it had ended while spin-docker or the engine was away (restart)"),
            Self::Error { text } => f.write_str(text),
            Self::Owed { peer, seconds } => {
                write!(f, "{peer} has waited {} {NO_MORE}", brief(seconds))
            }
            Self::OwedBeside { peer, seconds } => {
                write!(f, "{peer}, a client beside the gateway, has waited {} {NO_MORE}", brief(seconds))
            }
            Self::Refusal { peer, port, why } => write!(f, "{peer} to port {port}: {why}"),
            Self::OnlyInside { port } => write!(
                f,
                "the image listens only on 127.0.0.1 inside: have its application listen on 0.0.0.0:{port}, or on every address"
            ),
            Self::Expiry { term, seconds: 0 } => write!(f, "{} of its policy", term.name()),
            Self::Expiry { term, seconds } => {
                write!(f, "in {} ({} of its policy)", brief(seconds), term.name())
            }
            Self::Policy { said } => f.write_str(&said.join(", ")),
        }
    }
}

fn said((term, text): (Term, Option<&str>)) -> String {
    text.map_or_else(|| format!("{} taken back", term.name()), |text| format!("{}={text}", term.name()))
}

fn how_it_ended(f: &mut fmt::Formatter<'_>, code: i64, out_of_memory: bool, unseen: bool) -> fmt::Result {
    write!(f, "with code {code}: ")?;
    f.write_str(match (out_of_memory, unseen) {
        (true, _) => "it ran out of memory, and the kernel ended it",
        (_, true) => "it ended while spin-docker or the engine was away",
        _ => "it ended by itself; `docker logs` shows its last words",
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAllowed => f.write_str("its policy lets nobody wake it from there"),
            Self::Asleep => f.write_str(
                "it was stopped, and no connection wakes it; start it by PATCH with status=running",
            ),
            Self::EngineAway => f.write_str("the engine does not answer"),
            Self::TooSoon { times, seconds } => {
                let again = if *times == 1 { "once".to_owned() } else { format!("{times} times in a row") };
                write!(f, "woke again too soon: ended by itself {again}; next start in {seconds} s")
            }
            Self::Late { seconds } => write!(f, "it was not awake within {seconds} s (wake_timeout)"),
            Self::NotAccepted { seconds } => {
                write!(f, "its port did not accept within {seconds} s (wake_timeout)")
            }
            Self::Closed => f.write_str("nothing listens on its port; `docker logs` may say why"),
            Self::OutOfPorts => f.write_str(
                "no local port is left towards it; net.ipv4.tcp_tw_reuse=1 lets those in TIME_WAIT be used again",
            ),
        }
    }
}

impl Method {
    /// As HTTP has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}
