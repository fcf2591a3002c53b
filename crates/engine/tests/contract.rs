//! One suite for every engine. What holds here is what the control builds on; Docker and the fake must not differ.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, GRACE, docker, network_spec, test_image};
use engine::docker::Docker;
use engine::{ContainerSpec, Engine, EventKind, File, Limit, NetworkSpec};
use futures_util::StreamExt;
use model::{EngineId, Observation, PortSpec};
use std::time::Duration;
use tests::Podman;

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
    if bench.podman {
        // It tells of the stop or of the end, and not always of both.
        assert!(matches!(next().await, EventKind::Stopped | EventKind::Changed));
    } else {
        assert_eq!(next().await, EventKind::Killed, "by hand");
        assert_eq!(next().await, EventKind::Changed, "it ended");
    }
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

macro_rules! everywhere {
    (the fake too { $($any:ident)* } real ones { $($real:ident)* }) => {
        mod fake {
            $(#[tokio::test] async fn $any() { super::$any(&super::Bench::fake().await).await })*
        }
        mod docker {
            $(#[tokio::test] async fn $any() { super::$any(&super::Bench::docker().await).await })*
            $(#[tokio::test] async fn $real() { super::$real(&super::Bench::docker().await).await })*
        }
        /// Slow to start: all of it in one.
        #[test]
        fn docker_s_language_spoken_by_podman() {
            let podman = Podman::start();
            podman.load(test_image());
            $(on_podman(&podman, stringify!($any), async |bench| $any(bench).await);)*
            $(on_podman(&podman, stringify!($real), async |bench| $real(bench).await);)*
            on_podman(&podman, "containers_are_kept_apart", async |bench| containers_are_kept_apart(bench).await);
        }
    };
}

/// Podman does not say it where Docker does.
#[tokio::test]
async fn a_rootless_podman_is_told_from_one_of_root() {
    let podman = Podman::start_rootless();
    let engine = Docker::connect(Some(&podman.host())).await.unwrap();
    let description = engine.describe().await.unwrap();
    assert!(description.limits.contains(&Limit::RootlessPodman), "{description:?}");
}

fn on_podman(podman: &Podman, name: &str, test: impl AsyncFnOnce(&Bench)) {
    eprintln!("over Podman: {name}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { test(&Bench::podman_at(&podman.host(), test_image()).await).await });
}

everywhere! {
    the fake too {
        images_are_described
        a_network_is_found_again_and_never_with_another_subnet
        a_life
        only_its_own_instance_is_listed
        events_hint_at_what_happened
        a_command_inside_ends_with_its_code
        what_is_not_there_cannot_be_made
    }
    real ones {
        tells_a_commands_exit_code_and_cuts_off_a_slow_one
        gives_the_address_the_limits_and_no_restarts
        takes_anonymous_volumes_and_never_named_ones
        takes_files_without_touching_the_folders_that_are_there
        leaves_nothing_of_a_create_that_fails
        connects_from_inside_and_redirects_on_our_bridge_alone
    }
}

// What only a real engine can show.

async fn tells_a_commands_exit_code_and_cuts_off_a_slow_one(bench: &Bench) {
    let id = bench.running().await;
    assert_eq!(bench.engine.exec(&id, &engine::shell("exit 3"), GRACE * 20).await.unwrap(), 3);
    let error = bench.engine.exec(&id, &engine::shell("sleep 60"), GRACE).await.unwrap_err();
    assert!(error.to_string().contains("took longer than 1 s"), "{error}");
}

async fn gives_the_address_the_limits_and_no_restarts(bench: &Bench) {
    let id = bench.running().await;
    let inspect = |format: &str| bench.docker_cli(&["inspect", "-f", format, id.as_str()]);
    let address = bench.spec().address.unwrap().to_string();
    assert_eq!(inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"), address);
    assert_eq!(inspect("{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.PidsLimit}}"), "no 64");
    assert_eq!(inspect("{{.Config.Healthcheck.Test}}"), "[NONE]");
    assert_eq!(inspect("{{range .HostConfig.PortBindings}}{{range .}}{{.HostPort}}{{end}}{{end}}"), "");
    assert!(inspect("{{.Config.Env}}").contains("A=b"));
    if bench.podman {
        return;
    }
    let icc = bench.docker_cli(&["network", "inspect", "-f", "{{json .Options}}", &bench.network.name]);
    assert!(icc.contains(r#""com.docker.network.bridge.enable_icc":"false""#), "{icc}");
}

async fn takes_anonymous_volumes_and_never_named_ones(bench: &Bench) {
    let id = bench.body().await;
    let anonymous = bench.docker_cli(&["inspect", "-f", "{{range .Mounts}}{{.Name}}{{end}}", id.as_str()]);
    let named = format!("{}-named", bench.instance);
    let label = format!("spin-docker.instance={}", bench.instance);
    let with_named =
        bench.docker_cli(&["create", "--label", &label, "-v", &format!("{named}:/named"), bench.image]);
    bench.engine.remove(&id).await.unwrap();
    bench.engine.remove(&EngineId::new(with_named)).await.unwrap();
    let volumes = bench.docker_cli(&["volume", "ls", "-q"]);
    bench.docker_cli(&["volume", "rm", &named]);
    assert!(!volumes.contains(&anonymous) && volumes.contains(&named), "{volumes}");
}

async fn takes_files_without_touching_the_folders_that_are_there(bench: &Bench) {
    let file = |path: &str| File { path: path.into(), content: b"key\n".to_vec(), mode: 0o600 };
    let spec =
        ContainerSpec { files: vec![file("/root/.ssh/authorized_keys"), file("/tmp/x")], ..bench.spec() };
    let id = bench.engine.create(&spec).await.unwrap().engine_id;
    bench.engine.start(&id).await.unwrap();
    let stat = |path: &str| bench.docker_cli(&["exec", id.as_str(), "stat", "-c", "%a %U", path]);
    assert_eq!(stat("/root/.ssh/authorized_keys"), "600 root");
    assert_eq!((stat("/root/.ssh"), stat("/tmp")), ("700 root".into(), "1777 root".into()));
    assert_eq!(bench.docker_cli(&["exec", id.as_str(), "cat", "/tmp/x"]), "key");
}

async fn leaves_nothing_of_a_create_that_fails(bench: &Bench) {
    let file = File { path: "/etc/passwd/x".into(), content: vec![], mode: 0o600 };
    bench.engine.create(&ContainerSpec { files: vec![file], ..bench.spec() }).await.unwrap_err();
    assert!(bench.engine.list(&bench.instance).await.unwrap().is_empty());
}

async fn connects_from_inside_and_redirects_on_our_bridge_alone(bench: &Bench) {
    use engine::Inside;
    use std::net::{SocketAddrV4, TcpListener};
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

/// By a rule of our own, which is gone with the network: Podman has none within a network.
async fn containers_are_kept_apart(bench: &Bench) {
    assert!(bench.engine.describe().await.unwrap().name.starts_with("Podman "));
    use engine::Inside;
    use std::net::SocketAddrV4;
    const SERVER: &str =
        "$l = IO::Socket::INET->new(Listen => 64, LocalPort => 8000) or die; 1 while $l->accept";
    let server = bench.running().await;
    bench.docker_cli(&["exec", "-d", server.as_str(), "perl", "-MIO::Socket::INET", "-e", SERVER]);
    let at = SocketAddrV4::new(bench.spec().address.unwrap(), 8000);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(at).is_err() {
        assert!(std::time::Instant::now() < deadline, "the host reaches it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let address = std::net::Ipv4Addr::from(u32::from(*at.ip()) + 1);
    let spec = ContainerSpec { address: Some(address), key: "l".into(), ..bench.spec() };
    let other = bench.engine.create(&spec).await.unwrap().engine_id;
    bench.engine.start(&other).await.unwrap();
    let tried = bench.engine.connect_from_inside(&other, at, Duration::from_secs(1)).await.unwrap();
    assert_eq!(tried, Inside::TimedOut);
    for id in [server, other] {
        bench.engine.remove(&id).await.unwrap();
    }
    bench.engine.remove_network(&bench.network.name).await.unwrap();
    let rules =
        std::process::Command::new("iptables").args(["-t", "mangle", "-S", "FORWARD"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&rules.stdout).contains(&bench.network.bridge), "{rules:?}");
    bench.engine.network(&network_spec(&bench.instance)).await.unwrap();
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
