//! A scale before a container's port: what passes is weighed, in as many bytes as the gateway counts.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// It weighs until the test ends.
#[derive(Debug)]
pub struct Scale {
    port: String,
    inward: Arc<AtomicU64>,
    outward: Arc<AtomicU64>,
}

impl Scale {
    /// Before this port of this host.
    pub fn before(port: &str) -> Self {
        let to = format!("127.0.0.1:{port}");
        let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
        let port = listener.local_addr().expect("it is bound").port().to_string();
        let (inward, outward) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
        let scale = Self { port, inward: Arc::clone(&inward), outward: Arc::clone(&outward) };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if let Err(error) = client.and_then(|client| weigh(&client, &to, [&inward, &outward])) {
                    eprintln!("nobody is weighed before {to}: {error}");
                }
            }
        });
        scale
    }

    /// Its own.
    pub fn port(&self) -> &str {
        &self.port
    }

    /// Bytes towards the container so far.
    pub fn inward(&self) -> u64 {
        self.inward.load(Ordering::SeqCst)
    }

    /// Bytes from it so far. Whoever has received some finds them counted.
    pub fn outward(&self) -> u64 {
        self.outward.load(Ordering::SeqCst)
    }
}

fn weigh(client: &TcpStream, to: &str, [inward, outward]: [&Arc<AtomicU64>; 2]) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    for (from, to, weight) in [(client, &server, inward), (&server, client, outward)] {
        to.set_nodelay(true)?;
        let (from, to, weight) = (from.try_clone()?, to.try_clone()?, Arc::clone(weight));
        std::thread::spawn(move || {
            // However it ends, the other side learns of it.
            drop(pass(&from, &to, &weight));
            drop(to.shutdown(Shutdown::Write));
        });
    }
    Ok(())
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, weight: &AtomicU64) -> io::Result<()> {
    let mut some = [0; 4096];
    loop {
        let bytes = from.read(&mut some)?;
        if bytes == 0 {
            return Ok(());
        }
        weight.fetch_add(bytes as u64, Ordering::SeqCst);
        to.write_all(&some[..bytes])?;
    }
}
