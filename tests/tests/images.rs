//! The sample images, as the documentation uses them.

use std::process::Command;
use std::time::Duration;
use tests::{Client, Daemon, docker, text, until};

fn run(program: &str, args: &[&str]) -> String {
    let output =
        Command::new(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {out}{err}");
    out.trim().to_owned()
}

fn psql(port: &str, query: &str) -> String {
    run("psql", &["-U", "postgres", "-h", "127.0.0.1", "-p", port, "-Atc", query])
}

#[test]
fn the_psql_after_the_create_just_works_and_its_data_stays() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create("spin-docker/sd-postgres");
    let (uri, port) = (text(&container, "uri"), text(&container, "app_port"));
    assert_eq!(psql(port, "select 6 * 7"), "42");
    psql(port, "create table kept as select 1 as one");
    daemon.client.patch(uri, "status=stopped");
    until("it is stopped", Duration::from_secs(15), || {
        (daemon.client.show(uri)["status"] == "stopped").then_some(())
    });
    let log = docker(&["logs", text(&container, "container_id")]);
    let inside = docker(&["cp", &format!("{}:/var/log", text(&container, "container_id")), "-"]);
    assert!(
        log.contains("database system is shut down") || inside.contains("database system is shut down"),
        "{log}"
    );
    daemon.client.patch(uri, "status=running");
    assert_eq!(psql(port, "select one from kept"), "1");
}

#[test]
fn ssh_as_the_documentation_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let key = key.to_str().unwrap();
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key]);
    let public = std::fs::read_to_string(format!("{key}.pub")).unwrap();
    let daemon = Daemon::start(&[("ssh_authorized_keys", public.trim())]);
    let container = daemon.client.create("atbaker/sd-postgres");
    let port = text(&container, "ssh_port");
    let options =
        ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
    let login = [&options[..], &["-i", key, "root@127.0.0.1", "-p", port]].concat();
    let answer = run("ssh", &[&login[..], &["su postgres -c \"psql -Atc 'select 6 * 7'\""]].concat());
    assert_eq!(answer, "42");
}

#[test]
fn a_password_by_env_is_asked_for() {
    let daemon = Daemon::start(&[]);
    let body = r#"{"image": "spin-docker/sd-postgres", "env": {"POSTGRES_PASSWORD": "s3cret"}}"#;
    let made = daemon.client.send("POST", "/v1/containers", &[], Some(("application/json", body)));
    let port = made.json()["app_port"].as_str().unwrap().to_owned();
    let with = format!("postgresql://postgres:s3cret@127.0.0.1:{port}/postgres");
    assert_eq!(run("psql", &[&with, "-Atc", "select 1"]), "1");
    let without = ["-w", "-U", "postgres", "-h", "127.0.0.1", "-p", &port, "-c", "select 1"];
    assert!(!Command::new("psql").args(without).output().unwrap().status.success());
    assert!(!daemon.log().contains("s3cret"));
}

#[test]
fn without_a_password_it_trusts_nobody_beyond_loopback() {
    let daemon = Daemon::start(&[("endpoint_address", "0.0.0.0")]);
    let container = daemon.client.create("spin-docker/sd-postgres");
    let (id, port) = (text(&container, "container_id"), text(&container, "app_port"));
    let psql = |options: &[&str]| {
        let address = ["-w", "-U", "postgres", "-h", "127.0.0.1", "-p", port, "-Atc", "select 1"];
        Command::new("psql")
            .args(address)
            .envs(options.iter().map(|made_up| ("PGPASSWORD", made_up)))
            .output()
            .unwrap()
    };
    assert!(!psql(&[]).status.success());
    let made_up = docker(&["exec", id, "cat", "/root/postgres-password"]);
    assert_eq!(psql(&[&made_up]).stdout, b"1\n");
    assert!(!docker(&["logs", id]).contains(&made_up));
}

#[test]
fn sd_django_answers_a_page() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create("spin-docker/sd-django");
    let page = Client::anonymous(&format!("http://127.0.0.1:{}", text(&container, "app_port"))).get("/");
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.text.contains("<html"), "{}", page.text);
}

/// Packages bring services for runit too: of two sshds on port 22 the one ended the other, and whoever it had just accepted.
#[test]
fn each_runs_its_own_services_and_no_others() {
    for (image, services) in [
        ("spin-docker/sd-base", "cron\nsshd"),
        ("spin-docker/sd-postgres", "cron\npostgres\nsshd"),
        ("spin-docker/sd-django", "cron\ngunicorn\nsshd"),
    ] {
        assert_eq!(docker(&["run", "--rm", image, "ls", "/etc/service/"]), services, "{image}");
    }
}

/// SIGHUP, SIGINT, SIGQUIT and SIGTERM, as `/proc/PID/status` has them. Whatever else is ignored came with the engine: what started it may
/// have ignored a signal of the C library's own, 32 or 33, which none of its containers can be told by.
const TOLD_TO_END: u64 = 0b0100_0000_0000_0111;

/// A shell has what it runs beside itself ignore SIGINT: PostgreSQL, told to end before it had a handler, heard nothing and was killed.
#[test]
fn no_service_ignores_a_signal_before_it_has_a_handler_for_it() {
    let daemon = Daemon::start(&[]);
    let container = daemon.client.create("spin-docker/sd-postgres");
    let of_supervisors = "cat $(grep -lx -e 'Name:.runsvdir' -e 'Name:.runsv' /proc/[0-9]*/status)";
    let status = until("services are supervised", Duration::from_secs(10), || {
        let status = docker(&["exec", text(&container, "container_id"), "sh", "-c", of_supervisors]);
        (status.matches("Name:\trunsv\n").count() == 3).then_some(status)
    });
    let ignored = status.lines().filter_map(|line| line.strip_prefix("SigIgn:\t"));
    let ignored: Vec<u64> =
        ignored.map(|mask| u64::from_str_radix(mask, 16).expect("in hexadecimal") & TOLD_TO_END).collect();
    assert_eq!(ignored, [0; 4], "{status}");
}

/// The sessions are inside: no connection of the gateway's counts, and only cron's report can say that there are two.
#[test]
fn sd_postgres_reports_its_connections_from_cron_to_whatever_port_is_set() {
    let daemon = Daemon::start(&[("check_in_port", "8081")]);
    let container = daemon.client.create("spin-docker/sd-postgres");
    let (uri, port) = (text(&container, "uri"), text(&container, "app_port"));
    assert_eq!(psql(port, "select 1"), "1");
    let session = "psql -h 127.0.0.1 -U postgres -c 'select pg_sleep(150)'";
    for _ in 0..2 {
        docker(&["exec", "-d", text(&container, "container_id"), "sh", "-c", session]);
    }
    until("cron's report shows", Duration::from_secs(130), || {
        (daemon.client.show(uri)["active"] == "2").then_some(())
    });
}
