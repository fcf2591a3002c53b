//! Endpoints and isolation: ports that are ours for a container's life, and what containers do not reach.

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;
use tests::{Daemon, ask, docker, docker_quietly, test_image, text, until};

#[test]
fn the_first_line_after_the_create_just_works() {
    let daemon = Daemon::start(&[]);
    let body = serde_json::json!({"image": test_image(), "env": {"START_DELAY": "2", "HOSTNAME": "slow"}})
        .to_string();
    let made = daemon.client.send("POST", "/v1/containers", &[], Some(("application/json", &body)));
    let port = made.json()["app_port"].as_str().unwrap().to_owned();
    assert_eq!(ask(&port, "are you up?").unwrap(), "slow: are you up?", "held until it accepts");
}

#[test]
fn a_port_is_ours_asleep_or_not_and_rests_after_a_delete() {
    let daemon = Daemon::start(&[("endpoint_ports", "20000-20011")]);
    let client = &daemon.client;
    let container = client.create(test_image());
    let (uri, port) = (text(&container, "uri"), text(&container, "app_port"));
    let address = format!("127.0.0.1:{port}");
    ask(port, "awake").unwrap();
    client.patch(uri, "status=stopped");
    until("it is stopped", Duration::from_secs(15), || {
        (client.show(uri)["status"] == "stopped").then_some(())
    });
    assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert_eq!(
        TcpListener::bind(&address).unwrap_err().kind(),
        ErrorKind::AddrInUse,
        "nobody else may have it"
    );
    client.patch(uri, "status=running");
    ask(port, "awake again").unwrap();
    assert_eq!(client.delete(uri).status, 204);
    until("the port is free", Duration::from_secs(15), || TcpListener::bind(&address).ok());
    let ports: Vec<_> =
        (0..2).map(|_| client.create(test_image())["app_port"].as_str().unwrap().to_owned()).collect();
    assert!(!ports.iter().any(|next| next == port), "a port that came back rests: {ports:?}");
}

#[test]
fn a_port_that_somebody_holds_is_another_for_a_new_one_and_a_retry_for_an_old_one() {
    let held = TcpListener::bind("127.0.0.1:20020").unwrap();
    let mut daemon = Daemon::start(&[("endpoint_ports", "20020-20040")]);
    let container = daemon.client.create(test_image());
    let uri = text(&container, "uri").to_owned();
    assert_eq!(container["ssh_port"], "20021", "20020 is passed over");
    drop(held);
    assert_eq!(daemon.end(), Some(0));
    let held = TcpListener::bind("127.0.0.1:20022").unwrap();
    daemon.start_again(&[]);
    let shown = daemon.client.show(&uri);
    assert!(shown["failure"].as_str().unwrap().contains("20022"), "{shown}");
    drop(held);
    until("the port is ours again", Duration::from_secs(5), || {
        daemon.client.show(&uri)["failure"].is_null().then_some(())
    });
    ask(text(&container, "app_port"), "again").unwrap();
}

#[test]
fn ten_deletes_at_once_end_without_a_false_alarm() {
    let daemon = Daemon::start(&[]);
    let made: Vec<_> = std::thread::scope(|scope| {
        let creates: Vec<_> = (0..10).map(|_| scope.spawn(|| daemon.client.create(test_image()))).collect();
        creates.into_iter().map(|create| create.join().unwrap()).collect()
    });
    std::thread::scope(|scope| {
        for container in &made {
            scope.spawn(|| assert_eq!(daemon.client.delete(text(container, "uri")).status, 204));
        }
    });
    until("the engine let go of them", Duration::from_secs(20), || {
        let filter = format!("label=spin-docker.instance={}", daemon.instance);
        docker(&["ps", "-aq", "--filter", &filter]).is_empty().then_some(())
    });
    assert!(!daemon.log().contains("WARN"), "{}", daemon.log());
}

#[test]
fn containers_do_not_reach_each_other_nor_the_api_nor_endpoints() {
    let daemon = Daemon::start(&[
        ("listen", "0.0.0.0:0"),
        ("endpoint_address", "0.0.0.0"),
        ("password", "long enough"),
    ]);
    let client = tests::Client::new(&daemon.base.replace("0.0.0.0", "127.0.0.1"), "long enough");
    let (one, two) = (client.create(test_image()), client.create(test_image()));
    let inspect = |format: &str, name: &str| docker(&["inspect", "-f", format, name]);
    let (one_id, two_id) = (text(&one, "container_id"), text(&two, "container_id"));
    let address = inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", two_id);
    let gateway = inspect("{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", two_id);
    ask(text(&two, "app_port"), "up").unwrap();
    let api = daemon.base.rsplit(':').next().unwrap().to_owned();
    let endpoint = text(&two, "app_port").to_owned();
    let reach = |host: &str, port: &str| {
        docker_quietly(&["exec", one_id, "timeout", "3", "say", "GET", host, port, "/healthz"])
    };
    assert_eq!(reach(&gateway, "80").unwrap(), "HTTP/1.1 404 Not Found", "the same way, the door is reached");
    for (host, port) in [(&address, "8000"), (&gateway, api.as_str()), (&gateway, endpoint.as_str())] {
        assert!(host.parse::<std::net::Ipv4Addr>().is_ok(), "{host}");
        assert!(reach(host, port).is_err(), "{host}:{port} is reached from inside");
    }
}

/// What the test can do, `ask`, a container of another instance can: it comes from another bridge of the same engine.
#[test]
fn containers_of_an_instance_that_came_later_reach_no_endpoint_either() {
    let daemon = Daemon::start(&[("endpoint_address", "0.0.0.0")]);
    let container = daemon.client.create(test_image());
    let port = text(&container, "app_port");
    ask(port, "up").unwrap();
    let later = Daemon::start(&[]);
    let neighbour = later.client.create(test_image());
    let id = text(&neighbour, "container_id");
    let gateway = docker(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}", id]);
    let reach = |port: &str| docker_quietly(&["exec", id, "timeout", "3", "say", "GET", &gateway, port, "/"]);
    assert_eq!(reach("80").unwrap(), "HTTP/1.1 404 Not Found", "the same way, its own door is reached");
    until("it is turned away", Duration::from_secs(2), || reach(port).err());
    ask(port, "others still reach it").unwrap();
}

#[test]
fn the_engine_is_told_what_containers_may_not() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let id = text(&container, "container_id");
    let inspect = |format: &str| docker(&["inspect", "-f", format, id]);
    assert_eq!(inspect("{{.HostConfig.RestartPolicy.Name}}"), "no");
    assert_eq!(inspect("{{.HostConfig.PidsLimit}}"), "1024");
    assert_eq!(inspect("{{.HostConfig.CapDrop}}"), "[NET_RAW MKNOD]");
    assert_eq!(inspect("{{.HostConfig.PortBindings}} {{.HostConfig.PublishAllPorts}}"), "map[] false");
    assert_eq!(inspect("{{index .HostConfig.LogConfig.Config \"max-size\"}}"), "10m");
    assert_eq!(inspect("{{index .Config.Labels \"spin-docker.instance\"}}"), daemon.instance);
    let before = inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    docker(&["restart", "-t", "1", id]);
    assert_eq!(
        inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"),
        before,
        "its address is for life"
    );
}
