//! What the gateway does where the host runs out of something. Each test has a process of its own under nextest, so that its
//! limits are its own.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::ports::{connect_by, with_local_ports};
use bench::{Bench, SECONDS, answer, echo, until};
use control::GaveUp;
use model::Reach;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::sync::watch;

const CROWD: usize = 2000;
/// Of the gateway: two for each connection.
const DESCRIPTORS: u64 = 600;

#[test]
fn out_of_descriptors_it_goes_on_listening() {
    let (mut application, address) = application_apart();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let before = getrlimit(Resource::Nofile);
    let in_use = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(in_use + 12), ..before }).unwrap();
    let mut open = Vec::new();
    while let Ok(stream) = TcpStream::connect(bench.address()) {
        open.push(stream);
        assert!(open.len() < 100, "the limit is reached");
    }
    setrlimit(Resource::Nofile, before).unwrap();
    drop(open);
    assert_eq!(answer(&mut bench.connect(), b"still here"), b"still here");
    drop(application.stdin.take());
    application.wait().unwrap();
}

/// Asks, and stays until it may leave.
async fn ask(
    socket: TcpSocket,
    address: SocketAddr,
    answered: Arc<AtomicUsize>,
    mut leave: watch::Receiver<bool>,
) {
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"hello");
    answered.fetch_add(1, Ordering::SeqCst);
    leave.wait_for(|leave| *leave).await.unwrap();
}

/// In another process: it is not as short of descriptors as the gateway.
#[test]
#[ignore = "started by the test of the crowd"]
fn the_crowds_application() {
    println!("\nport {}", echo().port());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn application_apart() -> (Child, SocketAddr) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "the_crowds_application", "--ignored", "--nocapture"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let port = lines.filter_map(|line| line.strip_prefix("port ")?.parse().ok()).next().unwrap();
    (child, SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn a_crowd_that_there_are_no_descriptors_for_waits_and_is_all_served() {
    let (mut application, address) = application_apart();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let _entered = bench.runtime.enter();
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, ..before };
    setrlimit(Resource::Nofile, raised).unwrap();
    let sockets: Vec<_> = (0..CROWD).map(|_| TcpSocket::new_v4().unwrap()).collect();
    let in_use = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(in_use + DESCRIPTORS), ..before }).unwrap();

    let (answered, (leave, leaving)) = (Arc::new(AtomicUsize::new(0)), watch::channel(false));
    let asking: Vec<_> = sockets
        .into_iter()
        .map(|socket| {
            bench.runtime.spawn(ask(socket, bench.address(), Arc::clone(&answered), leaving.clone()))
        })
        .collect();
    let (mut seen, mut since) = (0, Instant::now());
    while seen == 0 || since.elapsed() < Duration::from_millis(500) {
        let now = answered.load(Ordering::SeqCst);
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(seen < CROWD / 2, "{seen} were served with {DESCRIPTORS} descriptors");
    leave.send(true).unwrap();
    for client in asking {
        bench.runtime.block_on(client).unwrap();
    }
    assert_eq!(answered.load(Ordering::SeqCst), CROWD);
    until("nobody is left", || bench.target.traffic.connections() == 0);
    drop(application.stdin.take());
    application.wait().unwrap();
}

/// The log, kept.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn where_no_local_port_is_left_the_connection_is_closed_and_its_owner_and_the_log_are_told() {
    const PORTS: usize = 8;
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_writer(move || writer.clone()).init();
    with_local_ports("40000 40007");
    let (bench, container) = Bench::asleep(SocketAddr::from(([127, 0, 0, 1], 30_000)), SECONDS);
    let listener = std::net::TcpListener::bind(bench.target.address).unwrap();
    std::thread::spawn(move || {
        listener.incoming().map_while(Result::ok).for_each(|stream| {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        })
    });
    bench.set(Reach::Forward);
    let connect = |port: u16| connect_by(port, bench.address());
    let (mut open, mut begun) = (Vec::new(), Instant::now());
    let mut last = connect(50_000);
    while last.write_all(b"x").and_then(|()| last.read_exact(&mut [0; 1])).is_ok() {
        open.push(last);
        begun = Instant::now();
        last = connect(50_000 + open.len() as u16);
    }
    assert!((1..=PORTS).contains(&open.len()), "{} connections were served", open.len());
    assert!(begun.elapsed() < Duration::from_secs(1), "it is reset at once, not after {:?}", begun.elapsed());
    assert_eq!(container.gave_up(), [GaveUp::OutOfPorts], "its owner is told, and of nothing else");
    let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(said.contains("no local port is left") && said.contains("net.ipv4.tcp_tw_reuse=1"), "{said}");
    assert_eq!(answer(&mut open[0], b"goes on"), b"goes on");
}
