//! Bulk through the gateway: whole, both ways, at the reader's pace, and ended as it was ended.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, SECONDS, answer, application, echo, until};
use model::Reach;
use socket2::SockRef;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Larger than a pipe, and no multiple of anything: what arrives elsewhere than it was sent shows.
const BLOCK: usize = 1_000_003;

fn block() -> Vec<u8> {
    (0..BLOCK).map(|at| (at % 251) as u8).collect()
}

fn send(mut to: TcpStream, size: usize) {
    let (block, mut left) = (block(), size);
    while left > 0 {
        let some = left.min(BLOCK);
        to.write_all(&block[..some]).unwrap();
        left -= some;
    }
    to.shutdown(Shutdown::Write).unwrap();
}

/// Everything up to the end, compared with what was sent.
fn receive(mut from: TcpStream) -> usize {
    let (block, mut buffer, mut seen) = (block(), vec![0; 1 << 16], 0);
    loop {
        let count = from.read(&mut buffer).unwrap();
        if count == 0 {
            return seen;
        }
        let mut arrived = &buffer[..count];
        while !arrived.is_empty() {
            let expected = &block[seen % BLOCK..];
            let (some, rest) = arrived.split_at(arrived.len().min(expected.len()));
            assert!(*some == expected[..some.len()], "within {} bytes after {seen}", some.len());
            (arrived, seen) = (rest, seen + some.len());
        }
    }
}

/// Sends as much as is taken until nothing has been for a while.
fn fill(stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let block = block();
    let (mut sent, mut quiet) = (0, Instant::now());
    while quiet.elapsed() < Duration::from_millis(300) {
        match (&mut &*stream).write(&block[sent % BLOCK..]) {
            Ok(count) => (sent, quiet) = (sent + count, Instant::now()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        assert!(sent < 256 << 20, "nobody reads, and {sent} bytes were taken");
    }
    stream.set_nonblocking(false).unwrap();
    sent
}

/// The descriptors of this process that are ends of large pipes.
fn large_pipes() -> usize {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let pipes = open.filter(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().starts_with("pipe:"))
    });
    let sizes = pipes.filter_map(|entry| std::fs::File::open(entry.path()).ok());
    sizes.filter(|pipe| rustix::pipe::fcntl_getpipe_size(pipe).is_ok_and(|size| size >= 256 << 10)).count()
}

#[test]
fn a_hundred_megabytes_arrive_whole_both_ways_at_once_and_are_counted() {
    const SIZE: usize = 100 << 20;
    let bench = Bench::new(echo());
    bench.set(Reach::Forward);
    let client = bench.connect();
    let sending = client.try_clone().unwrap();
    let sender = std::thread::spawn(move || send(sending, SIZE));
    assert_eq!(receive(client), SIZE);
    sender.join().unwrap();
    until("it is over", || bench.target.traffic.connections() == 0);
    assert_eq!(bench.target.traffic.moved(), 2 * SIZE as u64 + 1, "bytes both ways, and one connection");
}

#[test]
fn bulk_goes_through_a_pipe_that_nobody_holds_afterwards() {
    let bench = Bench::new(echo());
    bench.set(Reach::Forward);
    let mut clients: Vec<_> = (0..20).map(|_| bench.connect()).collect();
    for client in &mut clients {
        answer(client, b"a message");
    }
    assert_eq!(large_pipes(), 0, "messages are copied");
    let bulk = vec![7; 4 << 20];
    for client in &mut clients {
        let mut sending = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| sending.write_all(&bulk).unwrap());
            client.read_exact(&mut vec![0; bulk.len()]).unwrap();
        });
    }
    let pipes = large_pipes();
    assert!(
        (2..=8).contains(&pipes),
        "twenty idle connections had bulk, and {pipes} ends of pipes are there"
    );
    assert_eq!(answer(&mut clients[0], b"a message again"), b"a message again");
}

#[test]
fn a_slow_reader_holds_its_sender_back_and_nobody_else_and_gets_everything() {
    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let client = bench.connect();
    let (container, _) = listener.accept().unwrap();
    let (inward, outward) = (fill(&client), fill(&container));

    let mut other = bench.connect();
    let (mut beside, _) = listener.accept().unwrap();
    other.write_all(b"x").unwrap();
    beside.set_read_timeout(Some(SECONDS)).unwrap();
    beside.read_exact(&mut [0; 1]).unwrap();

    client.shutdown(Shutdown::Write).unwrap();
    container.shutdown(Shutdown::Write).unwrap();
    assert_eq!((receive(container), receive(client)), (inward, outward));
}

#[test]
fn more_than_there_are_pipes_for_are_blocked_and_all_get_everything() {
    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let pairs: Vec<_> = (0..80).map(|_| (bench.connect(), listener.accept().unwrap().0)).collect();
    let filled: Vec<usize> = std::thread::scope(|scope| {
        let filling: Vec<_> = pairs.iter().map(|(client, _)| scope.spawn(|| fill(client))).collect();
        filling.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(large_pipes() <= 2 * 64, "{} ends of pipes", large_pipes());
    for ((client, container), sent) in pairs.into_iter().zip(filled) {
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(receive(container), sent);
    }
}

#[test]
fn a_reset_amid_bulk_arrives_as_one() {
    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    for client_goes in [true, false] {
        let client = bench.connect();
        let (container, _) = listener.accept().unwrap();
        let (goes, mut stays) = if client_goes { (client, container) } else { (container, client) };
        fill(&goes);
        SockRef::from(&goes).set_linger(Some(Duration::ZERO)).unwrap();
        drop(goes);
        stays.set_read_timeout(Some(SECONDS)).unwrap();
        let end = std::io::copy(&mut stays, &mut std::io::sink()).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
        until("it counts no more", || bench.target.traffic.connections() == 0);
    }
}

#[test]
fn a_client_that_resets_while_nobody_reads_is_let_go() {
    let (listener, address) = application();
    let bench = Bench::new(address);
    bench.set(Reach::Forward);
    let client = bench.connect();
    let (_container, _) = listener.accept().unwrap();
    fill(&client);
    SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    until("it counts no more", || bench.target.traffic.connections() == 0);
}
