//! Containers whose own addresses are out of our reach: the engine publishes their ports for us, and they are told apart by tokens.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, create, id, until};
use control::{Control, CreateError, CreateRequest};
use engine::fake::Call;
use model::Container;
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

const URL: &str = "http://192.0.2.7:48080/v1/check-in";

async fn launch(bench: &Bench) -> Arc<Control> {
    let mut parts = bench.parts();
    (parts.settings.publish, parts.settings.check_in_url) = (true, Some(URL.to_owned()));
    Control::launch(parts).await.unwrap()
}

fn ports(container: &Container) -> Vec<u16> {
    container.ports().collect()
}

#[tokio::test]
async fn the_engine_publishes_each_tcp_port_and_connections_go_there_for_its_life() {
    let bench = Bench::new();
    bench.ports.hold_by_another(50_003, true);
    let control = launch(&bench).await;
    let view = create(&control).await;
    let container = &view.container;
    assert_eq!(ports(container), [50_000, 50_001, 50_002, 50_004], "what somebody else has is passed over");
    let own = *container.way_to(22).ip();
    assert!(own.is_loopback() && own != Ipv4Addr::LOCALHOST, "{own}");
    let at = |port| SocketAddrV4::new(own, port);
    let body = container.engine_id.clone().unwrap();
    assert_eq!(bench.fake.published_of(&body), [(22, at(50_002)), (8000, at(50_004))]);
    control.shut_down().await;
    // Of a container it is settled: the setting is another's now.
    let again = bench.launch().await;
    let target = bench.ports.target(50_001);
    assert_eq!((target.address, target.port), (at(50_004), 8000));
    let plain = create(&again).await;
    assert!(!plain.container.is_published(), "{plain:?}");
    assert_eq!(
        bench.ports.target(plain.container.app_host_port().unwrap()).address.ip(),
        &plain.container.address
    );
}

#[tokio::test]
async fn both_kinds_of_ports_are_its_own_and_rest_after_it() {
    let bench = Bench { range: 50_000..=50_008, ..Bench::new() };
    let control = launch(&bench).await;
    let view = create(&control).await;
    control.find(&id(&view)).unwrap().delete().await.unwrap();
    until("the engine let go of it", || bench.fake.bodies().is_empty()).await;
    let next = create(&control).await;
    assert_eq!(ports(&next.container), [50_004, 50_005, 50_006, 50_007]);
    let another = control.create(CreateRequest { image: "image".into(), ..Default::default() }).await;
    let Err(CreateError::Ledger(error)) = another else { panic!("{another:?}") };
    assert!(error.to_string().contains("50000-50008 holds 9: 4 in use, 4 resting"), "{error}");
    // As the doctor sees it, beside the daemon.
    assert_eq!(control::store::known(bench.folder.path()).unwrap().ports, ports(&next.container));
    control.shut_down().await;
    let again = launch(&bench).await;
    assert!(again.list()[0].container.ports().eq(next.container.ports()));
    let another = again.create(CreateRequest { image: "image".into(), ..Default::default() }).await;
    assert!(matches!(another, Err(CreateError::Ledger(_))), "{another:?}");
}

#[tokio::test(start_paused = true)]
async fn whether_an_application_listens_is_asked_of_the_engine_once_for_a_whole_crowd() {
    let (bench, plain) = (Bench::inline(), Bench::inline());
    let control = launch(&bench).await;
    let view = create(&control).await;
    let target = bench.ports.target(view.container.app_host_port().unwrap());
    let looks = || bench.fake.calls().iter().filter(|(call, _)| *call == Call::Listens).count();
    bench.fake.slow(Call::Listens, Duration::from_secs(1));
    let crowd = (0..100).map(|_| target.wake.listens(8000));
    assert_eq!(futures_util::future::join_all(crowd).await, [Some(true); 100]);
    assert_eq!(looks(), 1);
    // Not for long: it may come up, or end, at any moment.
    let later = async || tokio::time::sleep(Duration::from_millis(101)).await;
    for (is_deaf, is_away, says) in
        [(true, false, Some(false)), (false, false, Some(true)), (false, true, None)]
    {
        bench.fake.set_deaf(is_deaf);
        bench.fake.set_away(is_away);
        later().await;
        assert_eq!(target.wake.listens(8000).await, says, "deaf: {is_deaf}, away: {is_away}");
    }
    // Where connecting tells, nobody is asked.
    let control = plain.launch().await;
    plain.fake.set_deaf(true);
    let view = create(&control).await;
    let target = plain.ports.target(view.container.app_host_port().unwrap());
    assert_eq!(target.wake.listens(8000).await, Some(true));
}

#[tokio::test]
async fn its_token_says_who_checks_in_and_its_address_nothing() {
    let bench = Bench::new();
    let control = launch(&bench).await;
    let (one, other) = (create(&control).await, create(&control).await);
    let token = |view: &control::View| {
        let env = bench.fake.env_of(&view.container.engine_id.clone().unwrap());
        let prefix = format!("SPIN_DOCKER_CHECK_IN_URL={URL}?token=");
        env.iter().find_map(|line| line.strip_prefix(&prefix)).unwrap().to_owned()
    };
    assert_ne!(token(&one), token(&other));
    control.check_in_by(&token(&one), "3");
    for nobodys in ["", "0", &token(&one)[1..]] {
        control.check_in_by(nobodys, "9");
    }
    // Out of our reach, their addresses may be somebody else's here.
    for address in [Ipv4Addr::LOCALHOST, one.container.address, other.container.address] {
        control.check_in(IpAddr::V4(address), "9");
    }
    let said = |view| control.find(&id(view)).unwrap().view().container.check_in.clone();
    until("it is taken", || said(&one) == "3").await;
    assert_eq!(said(&other), "0");
}
