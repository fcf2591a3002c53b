//! Check-in from inside: who speaks, for whom, and through what door.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use tests::{Client, Daemon, docker, docker_quietly, test_image, text, until};

fn say(container: &str, args: &[&str]) -> Result<String, String> {
    docker_quietly(&[&["exec", container, "say"], args].concat())
}

fn id(container: &Value) -> &str {
    text(container, "container_id")
}

fn active(daemon: &Daemon, container: &Value) -> String {
    text(&daemon.client.show(text(container, "uri")), "active").to_owned()
}

fn gateway(daemon: &Daemon) -> String {
    docker(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", &daemon.network()])
}

#[test]
fn the_door_knows_one_route() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let expect =
        |args: &[&str], status: &str| assert_eq!(say(id(&container), args).unwrap(), status, "{args:?}");
    expect(&["POST", "gateway", "80", "/v1/check-in", "active-connections=1"], "HTTP/1.1 200 OK");
    expect(&["POST", "gateway", "80", "/v1/check-in/", "active=3"], "HTTP/1.1 200 OK");
    expect(&["POST", "gateway", "80", "/v1/check-in", "{\"active-connections\": 4}"], "HTTP/1.1 200 OK");
    expect(
        &["POST", "gateway", "80", "/v1/check-in", "active-connections=many"],
        "HTTP/1.1 422 Unprocessable Entity",
    );
    expect(&["POST", "gateway", "80", "/v1/check-in", ""], "HTTP/1.1 422 Unprocessable Entity");
    expect(&["GET", "gateway", "80", "/v1/check-in"], "HTTP/1.1 405 Method Not Allowed");
    for path in ["/", "/v1/containers", "/v1/images", "/healthz"] {
        expect(&["GET", "gateway", "80", path], "HTTP/1.1 404 Not Found");
    }
    let long = "a".repeat(1100);
    expect(&["POST", "gateway", "80", "/v1/check-in", &long], "HTTP/1.1 413 Payload Too Large");
    until("the last good one shows", Duration::from_secs(2), || {
        (active(&daemon, &container) == "4").then_some(())
    });
}

#[test]
fn strangers_speak_for_nobody() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let address = gateway(&daemon);
    // A process on the host, through the API and through the door.
    let anybody = Client::anonymous(&daemon.base);
    assert_eq!(anybody.post("/v1/check-in", "active-connections=7").status, 200);
    let host = Client::anonymous(&format!("http://{address}:48080"));
    assert_eq!(host.post("/v1/check-in", "active-connections=7").status, 200);
    // A container on another network.
    let other = docker(&["run", "-d", "--rm", test_image()]);
    for port in ["80", "48080"] {
        // Whether it is answered or cut off, it must change nothing.
        drop(say(&other, &["POST", &address, port, "/v1/check-in", "active-connections=7"]));
    }
    docker(&["rm", "-fv", &other]);
    assert_eq!(active(&daemon, &container), "0");
}

#[test]
fn the_hosts_own_web_server_goes_on_unharmed() {
    let Ok(web) = TcpListener::bind("0.0.0.0:80") else {
        panic!("port 80 of this host is taken; this test needs it");
    };
    let serve = move || {
        for mut stream in web.incoming().map_while(Result::ok) {
            let mut request = [0; 512];
            if matches!(stream.read(&mut request), Ok(1..)) {
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
                    .unwrap();
            }
        }
    };
    std::thread::spawn(serve);
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    let said = say(id(&container), &["POST", "gateway", "80", "/v1/check-in", "active-connections=1"]);
    assert_eq!(said.as_deref(), Ok("HTTP/1.1 200 OK"));
    until("the check-in shows", Duration::from_secs(2), || {
        (active(&daemon, &container) == "1").then_some(())
    });
    let page = Client::anonymous("http://127.0.0.1:80").get("/");
    assert_eq!((page.status, page.text.as_str()), (200, "hello"));
}

#[test]
fn a_web_server_may_still_take_port_80_after_us() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create(test_image());
    drop(TcpListener::bind("0.0.0.0:80").expect("port 80 is free beside us"));
    let said = say(id(&container), &["POST", "gateway", "80", "/v1/check-in", "active-connections=1"]);
    assert_eq!(said.as_deref(), Ok("HTTP/1.1 200 OK"));
}

#[test]
fn one_source_holds_at_most_eight_connections_and_five_seconds() {
    let daemon = Daemon::start(&[]);
    let address = format!("{}:48080", gateway(&daemon));
    let begun = Instant::now();
    let mut held: Vec<_> = (0..8).map(|_| TcpStream::connect(&address).unwrap()).collect();
    let mut ninth = TcpStream::connect(&address).unwrap();
    ninth.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    assert!(!matches!(ninth.read(&mut [0; 16]), Ok(1..)), "the ninth is turned away");
    assert!(begun.elapsed() < Duration::from_secs(2));
    for stream in &mut held {
        stream.set_read_timeout(Some(Duration::from_secs(8))).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("it is closed, and not left hanging");
    }
    let took = begun.elapsed().as_secs_f32();
    assert!((4.0..7.0).contains(&took), "they are closed after 5 s; it took {took} s");
}

#[test]
fn a_firewall_in_the_way_is_named_with_the_rule_to_add() {
    let mut daemon = Daemon::start(&[]);
    let network = docker(&["network", "inspect", "-f", "{{.Id}}", &daemon.network()]);
    let bridge = format!("br-{}", &network[..12]);
    let rule = |verb: &str| {
        let args = ["-w", "5", verb, "INPUT", "-i", &bridge, "-p", "tcp", "-j", "DROP"];
        std::process::Command::new("iptables").args(args).status().expect("iptables is installed").success()
    };
    assert!(rule("-I"));
    daemon.client.create(test_image());
    let named = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        until("the log names the rule", Duration::from_secs(10), || {
            daemon.log().contains(&format!("ufw allow in on {bridge} to ")).then_some(())
        });
    }));
    assert!(rule("-D"));
    named.unwrap();
    assert_eq!(daemon.end(), Some(0));
}
