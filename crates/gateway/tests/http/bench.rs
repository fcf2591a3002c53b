//! A proxy behind hyper's server, one container, and raw sockets at both ends: what is sent and seen is bytes.

use crate::ports::connect_by;
use bytes::Bytes;
use control::{Caller, Endpoints, GaveUp, Target, Traffic, Wake, WakeError};
use gateway::http::{Client, Proxy, Trusted, Upstream, Upstreams};
use gateway::{Gateway, Options};
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use model::{IdlePolicy, Reach, Status};
use std::convert::Infallible;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub const SECONDS: Duration = Duration::from_secs(10);

pub struct Bench {
    pub traffic: Arc<Traffic>,
    pub sleeper: Arc<Sleeper>,
    pub gateway: Gateway,
    pub port: u16,
    target: Target,
    server: SocketAddr,
    proxy: Proxy,
    _runtimes: Vec<tokio::runtime::Runtime>,
}

struct One(Upstream);

#[async_trait::async_trait]
impl Upstreams for One {
    fn find(&self, label: &str) -> Option<Upstream> {
        (label == "a").then(|| self.0.clone())
    }

    async fn lines(&self, _: &str) -> Vec<String> {
        vec!["<b>starting".into(), "{words}".into()]
    }
}

/// A container that wakes when it is told how that went.
#[derive(Debug, Default)]
pub struct Sleeper {
    pub asked: AtomicUsize,
    pub callers: Mutex<Vec<Caller>>,
    pub gave_up: Mutex<Vec<GaveUp>>,
    woken: watch::Sender<Option<Result<(), WakeError>>>,
}

impl Sleeper {
    pub fn rest(&self) {
        self.woken.send_replace(None);
    }

    pub fn end(&self, result: Result<(), WakeError>) {
        self.woken.send_replace(Some(result));
    }
}

#[async_trait::async_trait]
impl Wake for Sleeper {
    async fn wake(&self, caller: Caller) -> Result<(), WakeError> {
        self.callers.lock().unwrap().push(caller);
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut woken = self.woken.subscribe();
        woken.wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    fn gave_up(&self, _: Caller, why: GaveUp) {
        self.gave_up.lock().unwrap().push(why);
    }
}

/// From where, and whether as admin.
struct Tester(SocketAddr, bool);

impl Client for Tester {
    fn peer(&self) -> SocketAddr {
        self.0
    }

    fn address(&self) -> HeaderValue {
        HeaderValue::try_from(self.0.ip().to_string()).unwrap()
    }

    fn is_admin(&self) -> bool {
        self.1
    }

    fn poll_gone(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    fn take_over(upgraded: Upgraded) -> Option<(tokio::net::TcpStream, Bytes)> {
        let parts = upgraded.downcast::<TokioIo<tokio::net::TcpStream>>().ok()?;
        Some((parts.io.into_inner(), parts.read_buf))
    }
}

/// Nobody's use is a request for `/healthz`.
fn policy(wake_timeout: Duration) -> IdlePolicy {
    IdlePolicy { wake_timeout, ignore_paths: vec!["/healthz".into()], ..IdlePolicy::DEFAULT }
}

impl Bench {
    /// Over an application that is there.
    pub fn new(application: SocketAddr) -> Self {
        let bench = Self::with(application, Trusted::default(), SECONDS);
        bench.set(Reach::Forward);
        bench
    }

    pub fn with(application: SocketAddr, trusted: Trusted, wake_timeout: Duration) -> Self {
        Self::under(policy(wake_timeout), application, trusted)
    }

    pub fn under(policy: IdlePolicy, application: SocketAddr, trusted: Trusted) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let entered = runtime.enter();
        let options = Options { address: Ipv4Addr::LOCALHOST.into(), wake_timeout: policy.wake_timeout };
        let gateway = Gateway::new(options).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        gateway.claim(port).unwrap();
        let SocketAddr::V4(address) = application else { panic!("an IPv4 address") };
        let traffic = Arc::new(Traffic::default());
        let sleeper = Arc::new(Sleeper::default());
        let wake = Arc::<Sleeper>::clone(&sleeper);
        let target = Target { address, port: address.port(), traffic: Arc::clone(&traffic), wake };
        let upstream = Upstream {
            name: "<a>".into(),
            port: Some(port),
            status: Status::Starting,
            policy: Arc::new(policy),
        };
        let proxy = Proxy::new(gateway.clone(), One(upstream), trusted);
        let server = runtime.block_on(serve(proxy.clone()));
        drop(entered);
        let _runtimes = vec![runtime];
        let bench = Self { traffic, sleeper, gateway, port, target, server, proxy, _runtimes };
        bench.set(Reach::Refuse);
        bench
    }

    pub fn set(&self, reach: Reach) {
        self.gateway.set(self.port, reach, &self.target).unwrap();
    }

    /// Whoever connects from now on is served by another runtime.
    pub fn change_runtime(&mut self) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        self.server = runtime.block_on(serve(self.proxy.clone()));
        self._runtimes.push(runtime);
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server).unwrap();
        stream.set_read_timeout(Some(SECONDS)).unwrap();
        stream
    }

    /// A `GET` from this port.
    pub fn get_by(&self, port: u16) -> String {
        let mut stream = connect_by(port, self.server);
        stream.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        rest(&mut stream)
    }

    /// All that comes back until the connection is closed. The label is said by the path's first part.
    pub fn exchange(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        rest(&mut stream)
    }

    /// A `GET` of the container with these header lines, in a connection of its own.
    pub fn get(&self, lines: &str) -> String {
        self.exchange(&format!("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{lines}\r\n"))
    }
}

async fn serve(proxy: Proxy) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let proxy = proxy.clone();
            let service = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let proxy = proxy.clone();
                async move {
                    let label =
                        request.headers().get("host").map_or("", |host| host.to_str().unwrap()).to_owned();
                    let label = label.split('.').next().unwrap_or_default().to_owned();
                    let is_admin = request.headers().contains_key("authorization");
                    Ok::<_, Infallible>(proxy.answer(label, request, Tester(peer, is_admin)).await)
                }
            });
            tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades(),
            );
        }
    });
    address
}

/// Serves each connection in a thread of its own, and says which it is, from 0.
pub fn application(serve: impl Fn(TcpStream, usize) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    let count = AtomicUsize::new(0);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            stream.set_read_timeout(Some(SECONDS)).unwrap();
            let (serve, number) = (Arc::clone(&serve), count.fetch_add(1, Ordering::Relaxed));
            std::thread::spawn(move || serve(stream, number));
        }
    });
    address
}

/// One that answers what the proxy asks before it sends on what may be sent once alone, in a connection of its own.
pub fn knocked(
    serve: impl Fn(TcpStream, usize) + Send + Sync + 'static,
) -> impl Fn(TcpStream, usize) + Send + Sync + 'static {
    move |mut stream, number| {
        let mut first = [0; 6];
        if stream.peek(&mut first).is_ok() && &first == b"HEAD /" {
            return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        }
        serve(stream, number);
    }
}

/// The number of a connection and a head that came by it.
pub type Seen = Arc<Mutex<Vec<(usize, String)>>>;

/// Answers each request with `answer`, and keeps the heads that it saw.
pub fn recorder(answer: &'static str) -> (SocketAddr, Seen) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let address = application(move |mut stream, number| {
        while let Some(head) = head(&mut stream) {
            record.lock().unwrap().push((number, head));
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, seen)
}

pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// One head, byte by byte, so that what follows stays unread. None at the end.
pub fn head(stream: &mut TcpStream) -> Option<String> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}

pub fn take(stream: &mut TcpStream, count: usize) -> String {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

pub fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("not closed: {error}"),
        _ => String::from_utf8_lossy(&bytes).into_owned(),
    }
}

pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < SECONDS, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn has(answer: &str, status: u16) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
}
