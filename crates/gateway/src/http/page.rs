//! What we say ourselves: short, as a page or as text, and nothing of any container but the one that was asked for.

use super::Upstream;
use bytes::Bytes;
use control::WakeError;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use model::Status;
use std::time::Duration;

/// A browser asks again by itself.
const REFRESH: Duration = Duration::from_secs(1);
/// Whoever may not wake it need not ask often.
const ASLEEP: Duration = Duration::from_secs(60);
const CSP: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors *");
const PAGE: &str = include_str!("page.html");

/// Why there is no answer of the container's.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No container goes by that name.
    Unknown,
    /// Its image exposes no port for it.
    NoPort,
    /// `CONNECT`.
    Method,
    /// Two readers would find two bodies in it.
    Framing,
    /// Its port refuses: it was stopped, or stops.
    Stopped,
    /// It does not wake, and why.
    NotAwake(WakeError),
    /// It sleeps, and this request does not wake it.
    Asleep,
    /// It did not accept within the wake timeout.
    TooLate,
    /// It comes up; a browser asks again.
    ComingUp(Upstream),
    /// It does not accept.
    Unreachable(String),
    /// It broke off before its answer.
    Broke,
    /// The client went away; nobody reads this.
    Gone,
}

/// What of a request says how to answer it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asked {
    takes_html: bool,
    pub(super) is_browser: bool,
}

impl Asked {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        let accept = accept.unwrap_or_default();
        let takes_html = accept.split([',', ';']).any(|kind| kind.trim().eq_ignore_ascii_case("text/html"));
        Self { takes_html, is_browser: takes_html && request.method() == Method::GET }
    }
}

impl Trouble {
    fn status(&self) -> StatusCode {
        match self {
            Self::Unknown | Self::NoPort | Self::NotAwake(WakeError::Gone) => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Framing | Self::Gone => StatusCode::BAD_REQUEST,
            Self::Stopped | Self::NotAwake(_) | Self::Asleep | Self::TooLate | Self::ComingUp(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Unreachable(_) | Self::Broke => StatusCode::BAD_GATEWAY,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ComingUp(_) => Some(REFRESH),
            Self::TooLate => Some(Duration::from_secs(5)),
            Self::Asleep | Self::NotAwake(WakeError::NotByYou) => Some(ASLEEP),
            Self::NotAwake(WakeError::EngineAway | WakeError::Busy) => Some(Duration::from_secs(2)),
            Self::NotAwake(WakeError::TooSoon { seconds, .. }) => Some(Duration::from_secs(*seconds)),
            _ => None,
        }
    }

    fn title(&self) -> &'static str {
        match self {
            Self::Unknown => "There is nothing here",
            Self::NoPort => "No page here",
            Self::Method | Self::Framing | Self::Gone => "That is no request for a page",
            Self::Stopped => "It is stopped",
            Self::Asleep => "It sleeps",
            Self::NotAwake(_) => "It does not wake",
            Self::TooLate => "It takes too long",
            Self::ComingUp(_) => "Waking up",
            Self::Unreachable(_) | Self::Broke => "No answer",
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Unknown => "No container goes by this name.".to_owned(),
            Self::NoPort => "The image of this container exposes no port for HTTP.".to_owned(),
            Self::Method => "A container's page takes no CONNECT.".to_owned(),
            Self::Framing => "The request says in two ways how long its body is.".to_owned(),
            Self::Stopped => {
                "The container is stopped, and no connection starts it. Start it (PATCH with status=running), and ask again.".to_owned()
            },
            Self::Asleep => "The container sleeps, and requests such as this one do not wake it.".to_owned(),
            Self::NotAwake(why) => format!("The container does not wake: {why}."),
            Self::TooLate => "The container did not accept a connection in time.".to_owned(),
            Self::ComingUp(upstream) => progress(upstream),
            Self::Unreachable(why) => format!("The container does not accept connections: {why}."),
            Self::Broke => "The container broke off before it answered.".to_owned(),
            Self::Gone => String::new(),
        }
    }
}

fn progress(upstream: &Upstream) -> String {
    let name = &upstream.name;
    match upstream.status {
        Status::Running => {
            format!("{name} runs. Its application is coming up; this page follows as soon as it answers.")
        }
        _ => format!("{name} is starting. This page follows as soon as it answers."),
    }
}

/// As the client takes it.
pub(super) fn answer(trouble: &Trouble, asked: Asked, lines: &[String]) -> Response<Option<Bytes>> {
    let words = trouble.words();
    let (kind, text) = if asked.takes_html {
        ("text/html; charset=utf-8", html(trouble, &words, lines))
    } else {
        ("text/plain; charset=utf-8", words + "\n")
    };
    let mut response = Response::new(Some(Bytes::from(text)));
    *response.status_mut() = trouble.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if asked.takes_html {
        headers.insert(header::CONTENT_SECURITY_POLICY, CSP);
    }
    if let Some(after) = trouble.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }
    if matches!(trouble, Trouble::ComingUp(_)) {
        headers.insert(header::REFRESH, HeaderValue::from(REFRESH.as_secs()));
    }
    if matches!(trouble, Trouble::Framing) {
        // What follows in the connection is whatever somebody wants us to take it for.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn html(trouble: &Trouble, words: &str, lines: &[String]) -> String {
    let state = if matches!(trouble, Trouble::ComingUp(_)) { "waking" } else { "still" };
    PAGE.replace("{state}", state)
        .replace("{title}", trouble.title())
        .replace("{words}", &escaped(words))
        .replace("{lines}", &log(lines))
}

fn log(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!("<pre>{}</pre>\n", escaped(&lines.join("\n"))) }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// About how many bytes these headers are on the wire.
pub(super) fn size(headers: &HeaderMap) -> usize {
    let line = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + 4;
    headers.iter().map(line).sum()
}
