//! A way to the shared engine that can be told to misbehave at one kind of call: it fails, hangs, or answers nonsense, and passes all
//! else on as it comes, streams and connections that are handed over too.

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

/// Where the shared engine is, unless `DOCKER_HOST` says it.
const USUAL: &str = "unix:///var/run/docker.sock";

/// What it does when it is asked for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It passes nothing on, and answers 500.
    Fail,
    /// It passes it on, and answers 500 once that is done.
    FailAfterwards,
    /// It passes nothing on, and never answers.
    Hang,
    /// It passes it on, and never answers.
    Mute,
    /// It passes nothing on, and answers with a web page.
    Nonsense,
    /// It passes it on once it is told to behave.
    Hold,
}

/// It answers until it is dropped.
pub struct Misbehaving {
    folder: tempfile::TempDir,
    shared: Arc<Shared>,
    _runtime: tokio::runtime::Runtime,
}

struct Shared {
    act: watch::Sender<Option<(&'static str, Act)>>,
    met: AtomicUsize,
}

type Body = BoxBody<Bytes, hyper::Error>;

impl Misbehaving {
    /// One that behaves.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a thread can be started");
        let shared = Arc::new(Shared { act: watch::Sender::new(None), met: AtomicUsize::new(0) });
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(folder.path().join("docker.sock")).expect("the folder is ours")
        };
        runtime.spawn(serve(listener, Arc::clone(&shared)));
        Self { folder, shared, _runtime: runtime }
    }

    /// For `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    /// From now on it does this at that step, as the table of this file names them.
    pub fn on(&self, step: &'static str, act: Act) {
        self.shared.met.store(0, Ordering::SeqCst);
        self.shared.act.send_replace(Some((step, act)));
    }

    /// From now on it passes everything on. What hangs is cut off.
    pub fn behave(&self) {
        self.shared.act.send_replace(None);
    }

    /// How many calls it has done that to, since it was told to.
    pub fn met(&self) -> usize {
        self.shared.met.load(Ordering::SeqCst)
    }
}

async fn serve(listener: UnixListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        // A connection that it cuts itself is an error to hyper.
        tokio::spawn(async move {
            drop(server::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await)
        });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let step = step(request.method(), request.uri().path());
    let act = shared.act.borrow().filter(|(of, _)| *of == step).map(|(_, act)| act);
    if act.is_some() {
        shared.met.fetch_add(1, Ordering::SeqCst);
    }
    match act {
        None => pass_on(request).await,
        Some(Act::Fail) => Ok(said(StatusCode::INTERNAL_SERVER_ERROR, r#"{"message": "out of cheese"}"#)),
        Some(Act::Nonsense) => Ok(said(StatusCode::OK, "<html>It works!</html>")),
        Some(Act::FailAfterwards) => {
            pass_on(request).await?.into_body().collect().await.map_err(io::Error::other)?;
            Ok(said(StatusCode::INTERNAL_SERVER_ERROR, r#"{"message": "out of cheese"}"#))
        }
        Some(Act::Hold) => {
            until_it_behaves(&shared).await;
            pass_on(request).await
        }
        Some(Act::Hang) => {
            until_it_behaves(&shared).await;
            Err(io::ErrorKind::BrokenPipe.into())
        }
        Some(Act::Mute) => {
            // Whoever asked may hang up meanwhile: it is done all the same.
            let done = tokio::spawn(pass_on(request));
            until_it_behaves(&shared).await;
            drop(done.await);
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
}

async fn until_it_behaves(shared: &Shared) {
    // It has a sender as long as somebody may ask.
    drop(shared.act.subscribe().wait_for(Option::is_none).await);
}

/// What is asked for, in a word.
fn step(method: &Method, path: &str) -> &'static str {
    let table = [
        (Method::GET, "/images/", "image"),
        (Method::POST, "/containers/create", "create"),
        (Method::HEAD, "/archive", "look"),
        (Method::PUT, "/archive", "files"),
        (Method::GET, "/containers/json", "list"),
        (Method::GET, "/containers/", "inspect"),
        (Method::DELETE, "/containers/", "remove"),
        (Method::POST, "/exec/", "run"),
        (Method::POST, "/exec", "exec"),
        (Method::POST, "/start", "start"),
        (Method::POST, "/stop", "stop"),
        (Method::POST, "/pause", "pause"),
        (Method::POST, "/unpause", "unpause"),
    ];
    table.iter().find(|(of, part, _)| of == method && path.contains(part)).map_or("?", |(_, _, step)| step)
}

/// To the engine, and its answer back.
async fn pass_on(mut request: Request<Incoming>) -> io::Result<Response<Body>> {
    let at = std::env::var("DOCKER_HOST").unwrap_or_else(|_| USUAL.to_owned());
    let stream = UnixStream::connect(at.strip_prefix("unix://").expect("a socket of this host")).await?;
    let (mut engine, connection) = client::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    tokio::spawn(connection.with_upgrades());
    let asking = hyper::upgrade::on(&mut request);
    let mut response = engine.send_request(request).await.map_err(io::Error::other)?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let answering = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (Ok(asking), Ok(answering)) = tokio::join!(asking, answering) else { return };
            let (mut asking, mut answering) = (TokioIo::new(asking), TokioIo::new(answering));
            // Either side may end it in the middle.
            drop(tokio::io::copy_bidirectional(&mut asking, &mut answering).await);
        });
    }
    Ok(response.map(BodyExt::boxed))
}

fn said(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Full::from(text).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    response
}
