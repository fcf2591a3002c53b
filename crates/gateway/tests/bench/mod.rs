//! A gateway with one port, an application behind it, and clients, all on loopback.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

pub mod ports;

use control::{Caller, Endpoints, GaveUp, Target, Traffic, Wake, WakeError};
use gateway::{Gateway, Options};
use model::Reach;
use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

pub const SECONDS: Duration = Duration::from_secs(10);

/// A gateway, one claimed port, and where its bytes go.
pub struct Bench {
    pub gateway: Gateway,
    pub port: u16,
    pub target: Target,
    pub runtime: tokio::runtime::Runtime,
}

impl Bench {
    pub fn new(application: SocketAddr) -> Self {
        Self::with_timeout(application, Duration::from_secs(30))
    }

    pub fn with_timeout(application: SocketAddr, wake_timeout: Duration) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let entered = runtime.enter();
        let gateway = Gateway::new(Options { address: Ipv4Addr::LOCALHOST.into(), wake_timeout }).unwrap();
        drop(entered);
        let port = free_port();
        gateway.claim(port).unwrap();
        let SocketAddr::V4(address) = application else { panic!("an IPv4 address") };
        Self {
            gateway,
            port,
            target: Target { address, port: address.port(), traffic: Arc::default(), wake: Arc::new(Awake) },
            runtime,
        }
    }

    /// Over a container that sleeps, and wakes when it is let.
    pub fn asleep(application: SocketAddr, wake_timeout: Duration) -> (Self, Arc<Sleeper>) {
        let mut bench = Self::with_timeout(application, wake_timeout);
        let sleeper = Arc::new(Sleeper {
            traffic: Arc::clone(&bench.target.traffic),
            callers: Mutex::default(),
            gave_up: Mutex::default(),
            wakes: watch::Sender::new(None),
            is_deaf: AtomicBool::new(false),
        });
        bench.target.wake = Arc::clone(&sleeper) as Arc<dyn Wake>;
        (bench, sleeper)
    }

    pub fn set(&self, reach: Reach) {
        self.gateway.set(self.port, reach, &self.target).unwrap();
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddrV4::new(Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(SECONDS)).unwrap();
        stream
    }

    /// From another address of this machine's.
    pub fn connect_from(&self, source: [u8; 4]) -> TcpStream {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((source, 0)).into()).unwrap();
        socket.connect(&self.address().into()).unwrap();
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(SECONDS)).unwrap();
        stream
    }
}

/// A container that is awake already.
#[derive(Debug)]
struct Awake;

#[async_trait::async_trait]
impl Wake for Awake {
    async fn wake(&self, _: Caller) -> Result<(), WakeError> {
        Ok(())
    }
}

/// A container that sleeps until a test has said how its waking ends.
#[derive(Debug)]
pub struct Sleeper {
    traffic: Arc<Traffic>,
    callers: Mutex<Vec<Caller>>,
    gave_up: Mutex<Vec<GaveUp>>,
    wakes: watch::Sender<Option<Result<(), WakeError>>>,
    is_deaf: AtomicBool,
}

impl Sleeper {
    pub fn callers(&self) -> Vec<Caller> {
        self.callers.lock().unwrap().clone()
    }

    pub fn gave_up(&self) -> Vec<GaveUp> {
        self.gave_up.lock().unwrap().clone()
    }

    /// Whether its application listens, behind a proxy that accepts all the same.
    pub fn set_deaf(&self, is_deaf: bool) {
        self.is_deaf.store(is_deaf, Ordering::Relaxed);
    }

    /// The next wake waits for a word again.
    pub fn sleeps(&self) {
        self.wakes.send_replace(None);
    }

    pub fn wakes(&self, result: Result<(), WakeError>) {
        self.wakes.send_replace(Some(result));
    }
}

#[async_trait::async_trait]
impl Wake for Sleeper {
    async fn wake(&self, caller: Caller) -> Result<(), WakeError> {
        self.callers.lock().unwrap().push(caller);
        let result = self.wakes.subscribe().wait_for(Option::is_some).await.unwrap().clone().unwrap();
        if result.is_ok() {
            self.traffic.reopen();
        }
        result
    }

    async fn listens(&self, _: u16) -> Option<bool> {
        Some(!self.is_deaf.load(Ordering::Relaxed))
    }

    fn gave_up(&self, _: Caller, why: GaveUp) {
        self.gave_up.lock().unwrap().push(why);
    }
}

/// One that nobody has, as far as the system knows.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn application() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Sends back what it gets, and ends as its client ends.
pub fn echo() -> SocketAddr {
    let (listener, address) = application();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    address
}

pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < SECONDS, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

pub fn answer(stream: &mut TcpStream, line: &[u8]) -> Vec<u8> {
    stream.write_all(line).unwrap();
    let mut answer = vec![0; line.len()];
    stream.read_exact(&mut answer).unwrap();
    answer
}
