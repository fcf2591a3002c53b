//! One suite for every engine. What holds here is what the control builds on; Docker and the fake must not differ.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, GRACE, docker, network_spec};
use engine::docker::Docker;
use engine::{ContainerSpec, Engine, EventKind, File, NetworkSpec};
use futures_util::StreamExt;
use model::{EngineId, Observation, PortSpec};
use std::time::Duration;

async fn images_are_described(bench: &Bench) {
    let tags = bench.engine.images().await.unwrap();
    assert!(tags.contains(&format!("{}:latest", bench.image)), "{tags:?}");
    assert!(!tags.iter().any(|tag| tag.contains("<none>")));
    let image = bench.engine.image(bench.image).await.unwrap();
    assert_eq!(image.tcp_ports(), [22, 8000]);
    assert!(image.exposed.len() == 3 && image.exposed.contains(&PortSpec::tcp(22)), "{:?}", image.exposed);
    for name in ["no/such/image", "", "../x", "a b"] {
        assert!(bench.engine.image(name).await.unwrap_err().is_not_found(), "{name}");
    }
}

async fn a_network_is_found_again_and_never_with_another_subnet(bench: &Bench) {
    let wanted = network_spec(&bench.instance);
    assert_eq!(bench.engine.network(&wanted).await.unwrap(), bench.network);
    let same = NetworkSpec { subnet: Some(bench.network.subnet), ..wanted.clone() };
    assert_eq!(bench.engine.network(&same).await.unwrap(), bench.network);
    let other = NetworkSpec { subnet: Some("10.213.0.0/24".parse().unwrap()), ..wanted };
    let error = bench.engine.network(&other).await.unwrap_err().to_string();
    assert!(error.contains(&bench.network.subnet.to_string()), "{error}");
    assert!(bench.network.subnet.contains(&bench.network.gateway));
    assert!(bench.engine.our_subnets().await.unwrap().contains(&bench.network.subnet));
}

async fn a_life(bench: &Bench) {
    let created = bench.engine.create(&bench.spec()).await.unwrap();
    let id = created.engine_id;
    assert!(created.name.starts_with('/') && id.as_str().len() == 64, "{id} {}", created.name);
    let seen = |observation| bench.sees(&id, observation);
    seen("created").await;
    for _ in 0..2 {
        bench.engine.start(&id).await.unwrap();
        seen("running").await;
    }
    for _ in 0..2 {
        bench.engine.stop(&id, GRACE).await.unwrap();
        seen("exited").await;
    }
    bench.engine.start(&id).await.unwrap();
    for _ in 0..2 {
        bench.engine.remove(&id).await.unwrap();
        seen("missing").await;
    }
    bench.engine.stop(&id, GRACE).await.unwrap();
    assert!(bench.engine.start(&id).await.unwrap_err().is_not_found());
}

async fn only_its_own_instance_is_listed(bench: &Bench) {
    let id = bench.running().await;
    let listed = bench.engine.list(&bench.instance).await.unwrap();
    let one: Vec<_> =
        listed.iter().map(|e| (&e.engine_id, e.key.as_str(), e.owner.as_str(), e.running)).collect();
    assert_eq!(one, [(&id, "k", bench.instance.as_str(), true)]);
    assert!(bench.engine.list("t-somebody-elses").await.unwrap().is_empty());
}

async fn events_hint_at_what_happened(bench: &Bench) {
    let mut events = bench.engine.events(&bench.instance).await.unwrap();
    let id = bench.running().await;
    let mut next = async || {
        loop {
            let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
            let event = event.expect("an event comes").expect("the stream goes on").unwrap();
            // Networks come and go all over the engine.
            if event.kind != EventKind::Networks {
                assert_eq!(event.engine_id, id);
                return event.kind;
            }
        }
    };
    assert_eq!(next().await, EventKind::Started);
    bench.engine.stop(&id, GRACE).await.unwrap();
    assert_eq!(next().await, EventKind::Killed, "by hand");
    assert_eq!(next().await, EventKind::Changed, "it ended");
    bench.engine.remove(&id).await.unwrap();
    while bench.engine.inspect(&id).await.unwrap() != Observation::Missing {
        next().await;
    }
}

async fn a_command_inside_ends_with_its_code(bench: &Bench) {
    let id = bench.running().await;
    assert_eq!(bench.engine.exec(&id, &engine::shell("exit 0"), GRACE * 20).await.unwrap(), 0);
    bench.engine.stop(&id, GRACE).await.unwrap();
    bench.engine.exec(&id, &engine::shell("exit 0"), GRACE * 20).await.unwrap_err();
}

async fn what_is_not_there_cannot_be_made(bench: &Bench) {
    let spec = ContainerSpec { image: "no/such/image".into(), ..bench.spec() };
    assert!(bench.engine.create(&spec).await.unwrap_err().is_not_found());
    let spec = ContainerSpec { network: "t-no-such-network".into(), ..bench.spec() };
    let made = match bench.engine.create(&spec).await {
        Err(_) => Err(()),
        // Docker looks for the network at the start.
        Ok(created) => bench.engine.start(&created.engine_id).await.map_err(drop),
    };
    assert_eq!(made, Err(()));
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod fake {
            $(#[tokio::test] async fn $name() { super::$name(&super::Bench::fake().await).await })*
        }
        mod docker {
            $(#[tokio::test] async fn $name() { super::$name(&super::Bench::docker().await).await })*
        }
    };
}

on_both! {
    images_are_described
    a_network_is_found_again_and_never_with_another_subnet
    a_life
    only_its_own_instance_is_listed
    events_hint_at_what_happened
    a_command_inside_ends_with_its_code
    what_is_not_there_cannot_be_made
}

// What only a real engine can show.

#[tokio::test]
async fn docker_tells_a_commands_exit_code_and_cuts_off_a_slow_one() {
    let bench = Bench::docker().await;
    let id = bench.running().await;
    assert_eq!(bench.engine.exec(&id, &engine::shell("exit 3"), GRACE * 20).await.unwrap(), 3);
    let error = bench.engine.exec(&id, &engine::shell("sleep 60"), GRACE).await.unwrap_err();
    assert!(error.to_string().contains("took longer than 1 s"), "{error}");
}

#[tokio::test]
async fn docker_gives_the_address_the_limits_and_no_restarts() {
    let bench = Bench::docker().await;
    let id = bench.running().await;
    let inspect = |format: &str| docker(&["inspect", "-f", format, id.as_str()]);
    let address = bench.spec().address.unwrap().to_string();
    assert_eq!(inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"), address);
    assert_eq!(inspect("{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.PidsLimit}}"), "no 64");
    assert_eq!(inspect("{{.Config.Healthcheck.Test}}"), "[NONE]");
    assert_eq!(inspect("{{len .HostConfig.PortBindings}}"), "0");
    assert!(inspect("{{.Config.Env}}").contains("A=b"));
    let icc = docker(&["network", "inspect", "-f", "{{json .Options}}", &bench.network.name]);
    assert!(icc.contains(r#""com.docker.network.bridge.enable_icc":"false""#), "{icc}");
}

#[tokio::test]
async fn docker_takes_anonymous_volumes_and_never_named_ones() {
    let bench = Bench::docker().await;
    let id = bench.body().await;
    let anonymous = docker(&["inspect", "-f", "{{range .Mounts}}{{.Name}}{{end}}", id.as_str()]);
    let named = format!("{}-named", bench.instance);
    let label = format!("spin-docker.instance={}", bench.instance);
    let with_named = docker(&["create", "--label", &label, "-v", &format!("{named}:/named"), bench.image]);
    bench.engine.remove(&id).await.unwrap();
    bench.engine.remove(&EngineId::new(with_named)).await.unwrap();
    let volumes = docker(&["volume", "ls", "-q"]);
    docker(&["volume", "rm", &named]);
    assert!(!volumes.contains(&anonymous) && volumes.contains(&named), "{volumes}");
}

#[tokio::test]
async fn docker_takes_files_without_touching_the_folders_that_are_there() {
    let bench = Bench::docker().await;
    let file = |path: &str| File { path: path.into(), content: b"key\n".to_vec(), mode: 0o600 };
    let spec =
        ContainerSpec { files: vec![file("/root/.ssh/authorized_keys"), file("/tmp/x")], ..bench.spec() };
    let id = bench.engine.create(&spec).await.unwrap().engine_id;
    bench.engine.start(&id).await.unwrap();
    let stat = |path: &str| docker(&["exec", id.as_str(), "stat", "-c", "%a %U", path]);
    assert_eq!(stat("/root/.ssh/authorized_keys"), "600 root");
    assert_eq!((stat("/root/.ssh"), stat("/tmp")), ("700 root".into(), "1777 root".into()));
    assert_eq!(docker(&["exec", id.as_str(), "cat", "/tmp/x"]), "key");
}

#[tokio::test]
async fn docker_leaves_nothing_of_a_create_that_fails() {
    let bench = Bench::docker().await;
    let file = File { path: "/etc/passwd/x".into(), content: vec![], mode: 0o600 };
    bench.engine.create(&ContainerSpec { files: vec![file], ..bench.spec() }).await.unwrap_err();
    assert!(bench.engine.list(&bench.instance).await.unwrap().is_empty());
}

#[tokio::test]
async fn docker_connects_from_inside_and_redirects_on_our_bridge_alone() {
    use engine::Inside;
    use std::net::{SocketAddrV4, TcpListener};
    let bench = Bench::docker().await;
    let id = bench.running().await;
    let within = Duration::from_secs(2);
    let gateway = |port| SocketAddrV4::new(bench.network.gateway, port);
    let door = TcpListener::bind(gateway(0)).unwrap();
    let port = door.local_addr().unwrap().port();
    let tried = |port| bench.engine.connect_from_inside(&id, gateway(port), within);
    assert_eq!(tried(port).await.unwrap(), Inside::Connected);
    assert_eq!(tried(1).await.unwrap(), Inside::Refused);
    for _ in 0..2 {
        bench.engine.redirect(&bench.network, 81, port).await.unwrap();
    }
    assert_eq!(tried(81).await.unwrap(), Inside::Connected);
    for _ in 0..2 {
        bench.engine.undo_redirect(&bench.network).await.unwrap();
    }
    assert_eq!(tried(81).await.unwrap(), Inside::Refused);
    bench.engine.stop(&id, GRACE).await.unwrap();
    assert!(tried(port).await.unwrap_err().is_not_found(), "one that ended is no proof of anything");
}

#[tokio::test]
async fn docker_tells_of_networks_that_come_and_go() {
    let bench = Bench::docker().await;
    let mut events = bench.engine.events(&bench.instance).await.unwrap();
    let name = format!("{}-another", bench.network.name);
    let id = docker(&["network", "create", &name]);
    docker(&["network", "rm", &name]);
    let mut told = 0;
    while told < 2 {
        let event = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        let event = event.expect("an event comes").expect("the stream goes on").unwrap();
        told += usize::from(event.kind == EventKind::Networks && event.engine_id.as_str() == id);
    }
}

#[tokio::test]
async fn docker_describes_itself() {
    let engine = Docker::connect(None).await.unwrap();
    let described = engine.describe().await.unwrap();
    assert!(
        described.name.starts_with("Docker ") && described.api_version.starts_with("1."),
        "{described:?}"
    );
    let nobody = Docker::connect(Some("unix:///no/such/socket")).await.unwrap_err();
    assert!(nobody.is_unreachable(), "{nobody}");
}
