//! An engine at a socket of its own that speaks as much of Docker's API as a create needs, until it is told to do worse.

#![allow(unreachable_pub, reason = "shared by the test files")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use bytes::Bytes;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use tokio::net::UnixListener;

/// The id of every container that it makes.
pub const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// What it does when it is asked for something.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// Answers with this status and this body.
    Answer(u16, &'static str),
    /// Closes the connection without a word.
    Cut,
    /// Closes the connection within the answer.
    CutMidway,
    /// Never answers.
    Hang,
}

pub struct StandIn {
    state: Arc<Mutex<State>>,
    folder: tempfile::TempDir,
}

struct State {
    requests: Vec<String>,
    acts: BTreeMap<&'static str, Act>,
    version: String,
}

type Body = BoxBody<Bytes, io::Error>;

impl StandIn {
    /// One that knows the versions of the API from `oldest` to `newest`. It answers as long as its runtime runs.
    pub fn new(oldest: &str, newest: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let version =
            format!(r#"{{"Version": "29.0.0", "ApiVersion": "{newest}", "MinAPIVersion": "{oldest}"}}"#);
        let state = Arc::new(Mutex::new(State { requests: Vec::new(), acts: BTreeMap::new(), version }));
        tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { state, folder }
    }

    pub fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    /// From now on it does this when it is asked for that: a step, as [`step`] names them.
    pub fn on(&self, step: &'static str, act: Act) {
        self.state.lock().unwrap().acts.insert(step, act);
    }

    /// Every request so far, as `METHOD PATH`.
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().unwrap().requests.clone()
    }
}

async fn serve(listener: UnixListener, state: Arc<Mutex<State>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        let service = service_fn(move |request: Request<Incoming>| answer(Arc::clone(&state), request));
        // A connection that it cuts itself is an error to hyper.
        tokio::spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await)
        });
    }
}

async fn answer(state: Arc<Mutex<State>>, mut request: Request<Incoming>) -> io::Result<Response<Body>> {
    let asked = format!("{} {}", request.method(), request.uri());
    let step = step(&asked);
    let (act, version) = {
        let mut state = state.lock().unwrap();
        state.requests.push(asked);
        (state.acts.get(step).copied(), state.version.clone())
    };
    let whole = request.body_mut().collect().await;
    whole.map_err(io::Error::other)?;
    match act {
        Some(Act::Answer(status, body)) => Ok(response(status, body.to_owned())),
        Some(Act::Cut) => Err(io::ErrorKind::BrokenPipe.into()),
        Some(Act::CutMidway) => Ok(cut_midway()),
        Some(Act::Hang) => std::future::pending().await,
        None if step == "version" => Ok(response(200, version)),
        None if step == "run" => Ok(run(&mut request)),
        None => Ok(by_the_book(step)),
    }
}

/// What is asked for, in a word.
pub fn step(asked: &str) -> &'static str {
    let table = [
        ("GET", "/version", "version"),
        ("GET", "/images/", "image"),
        ("POST", "/containers/create", "create"),
        ("HEAD", "/archive", "look"),
        ("PUT", "/archive", "files"),
        ("POST", "/exec/", "run"),
        ("GET", "/exec/", "ended"),
        ("POST", "/exec", "exec"),
        ("POST", "/start", "start"),
        ("POST", "/pause", "pause"),
        ("POST", "/unpause", "unpause"),
        ("GET", "/containers/", "inspect"),
        ("DELETE", "/containers/", "remove"),
        ("GET", "/networks/", "network"),
    ];
    let is = |(method, part, _): &&(&str, &str, &str)| asked.starts_with(*method) && asked.contains(*part);
    table.iter().find(is).map_or("?", |(_, _, step)| *step)
}

fn by_the_book(step: &str) -> Response<Body> {
    match step {
        "image" => response(200, r#"{"Id": "sha256:1", "Config": {"ExposedPorts": {"22/tcp": {}}}}"#.into()),
        "create" => response(201, format!(r#"{{"Id": "{ID}", "Warnings": []}}"#)),
        "inspect" => {
            response(200, format!(r#"{{"Id": "{ID}", "Name": "/name", "State": {{"Running": true}}}}"#))
        }
        "files" => response(200, String::new()),
        "exec" => response(201, r#"{"Id": "command"}"#.into()),
        "ended" => response(200, r#"{"ID": "command", "Running": false, "ExitCode": 0}"#.into()),
        "start" | "pause" | "unpause" | "remove" => response(204, String::new()),
        _ => response(404, r#"{"message": "No such thing"}"#.into()),
    }
}

/// A command that says nothing and ends at once: the connection is its own from here on, and closed.
fn run(request: &mut Request<Incoming>) -> Response<Body> {
    let upgraded = hyper::upgrade::on(request);
    tokio::spawn(async move { drop(upgraded.await) });
    let mut switched = response(101, String::new());
    switched.headers_mut().insert("connection", "Upgrade".parse().unwrap());
    switched.headers_mut().insert("upgrade", "tcp".parse().unwrap());
    switched
}

fn response(status: u16, body: String) -> Response<Body> {
    let body = Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed();
    Response::builder().status(status).header("content-type", "application/json").body(body).unwrap()
}

fn cut_midway() -> Response<Body> {
    let frames = [Ok(Frame::data(Bytes::from(r#"{"Id": "#))), Err(io::ErrorKind::BrokenPipe.into())];
    Response::new(BodyExt::boxed(StreamBody::new(stream::iter(frames))))
}
