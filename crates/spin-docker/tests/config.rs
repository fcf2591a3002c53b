//! The settings, asked of the built program as its users do: precedence, every kind of mistake, secrets, help, reference.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The built program, with nothing of ours in its environment and a settings file of its own.
struct Program {
    folder: tempfile::TempDir,
    variables: Vec<(&'static str, &'static str)>,
}

impl Program {
    fn new(file: &str, variables: &[(&'static str, &'static str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("config.toml"), file).expect("a settings file");
        Self { folder, variables: variables.to_vec() }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_spin-docker"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("SPIN_DOCKER_CONFIG", "config.toml").env("HOME", "/home/somebody");
        command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|value| ("LLVM_PROFILE_FILE", value)));
        command.envs(self.variables.iter().copied()).output().expect("the program runs")
    }

    /// The line of `config show` about this setting.
    fn shows(&self, name: &str, flags: &[&str]) -> String {
        let shown = printed(&self.run(&[&["config", "show"], flags].concat()));
        let is_it = |line: &&str| line.trim_start_matches("# ").starts_with(&format!("{name} "));
        shown.lines().find(is_it).unwrap_or_else(|| panic!("no {name} in:\n{shown}")).to_owned()
    }

    /// What `config check` complains of.
    fn complaints(&self, flags: &[&str]) -> Vec<String> {
        let output = self.run(&[&["config", "check"], flags].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        let text = text.trim_end().strip_prefix("error: ").expect("it says so").to_owned();
        match text.split_once(" mistakes in the settings\n") {
            None => vec![text],
            Some((count, mistakes)) => {
                let mistakes: Vec<_> = mistakes.lines().map(|line| line.trim().to_owned()).collect();
                assert_eq!(count, mistakes.len().to_string());
                mistakes
            }
        }
    }
}

fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn complaint(file: &str) -> String {
    Program::new(file, &[]).complaints(&[]).join("\n")
}

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md")
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let bare = Program::new("", &[]);
    assert_eq!(bare.shows("pids", &[]), "pids = 1024  # default");
    let file = Program::new("# first\npids = 1", &[]);
    assert_eq!(file.shows("pids", &[]), "pids = 1  # config.toml:2");
    let both = Program::new("pids = 1", &[("SPIN_DOCKER_PIDS", "2")]);
    assert_eq!(both.shows("pids", &[]), "pids = 2  # SPIN_DOCKER_PIDS");
    assert_eq!(both.shows("pids", &["--pids", "3"]), "pids = 3  # --pids");
}

/// What they come to in bytes, tests/tests/bounds.rs sees.
#[test]
fn a_quarter_of_a_gib_of_memory_and_one_of_disk_are_kept_free_unless_told_otherwise() {
    let bare = Program::new("", &[]);
    assert_eq!(bare.shows("memory_reserve", &[]), "memory_reserve = \"256m\"  # default");
    assert_eq!(bare.shows("disk_reserve", &[]), "disk_reserve = \"1g\"  # default");
}

#[test]
fn the_file_is_the_flags_before_the_environments() {
    let program = Program::new("pids = 1", &[]);
    std::fs::write(program.folder.path().join("other.toml"), "pids = 2").unwrap();
    assert_eq!(program.shows("pids", &["--config", "other.toml"]), "pids = 2  # other.toml:1");
    assert_eq!(
        program.complaints(&["--config", "missing.toml"]),
        ["missing.toml: the settings file cannot be read: No such file or directory (os error 2)"]
    );
}

#[test]
fn the_seeds_names_are_understood_with_their_prefix() {
    let seed = "sd_environment = 'development'\nsd_disable_timeouts = 'False'\nsd_initial_timeout_interval = 7200\n\
                sd_timeout_interval = '30m'\nsd_password = 'geheim'";
    let program = Program::new(seed, &[]);
    assert_eq!(program.shows("environment", &[]), "environment = \"development\"  # config.toml:1");
    assert_eq!(program.shows("disable_timeouts", &[]), "disable_timeouts = \"False\"  # config.toml:2");
    assert_eq!(program.shows("timeout_interval", &[]), "timeout_interval = \"30m\"  # config.toml:4");
    assert_eq!(
        complaint("sd_listen = 1"),
        "config.toml:1: sd_listen is not a setting; the nearest is listen"
    );
}

#[test]
fn variables_of_2014_are_below_ours_and_above_the_file() {
    let file = "timeout_interval = 5\ndisable_timeouts = false";
    let old = [("TIMEOUT_INTERVAL", "60"), ("DISABLE_TIMEOUTS", "True"), ("ENVIRONMENT", "production")];
    let program = Program::new(file, &old);
    assert_eq!(program.shows("timeout_interval", &[]), "timeout_interval = 60  # TIMEOUT_INTERVAL");
    assert_eq!(program.shows("disable_timeouts", &[]), "disable_timeouts = \"True\"  # DISABLE_TIMEOUTS");
    assert_eq!(program.shows("environment", &[]), "environment = \"production\"  # ENVIRONMENT");
    let both = [("INITIAL_TIMEOUT_INTERVAL", "soon"), ("SPIN_DOCKER_INITIAL_TIMEOUT_INTERVAL", "1h30m")];
    let line = Program::new(file, &both).shows("initial_timeout_interval", &[]);
    assert_eq!(line, "initial_timeout_interval = \"1h30m\"  # SPIN_DOCKER_INITIAL_TIMEOUT_INTERVAL");
}

#[test]
fn lists_and_switches_are_given_as_each_source_has_them() {
    let program = Program::new("cap_drop = ['CAP_SYS_ADMIN', 'net_raw']", &[]);
    let from_file = "cap_drop = [\"CAP_SYS_ADMIN\", \"net_raw\"]  # config.toml:1";
    assert_eq!(program.shows("cap_drop", &[]), from_file);
    let repeated = program.shows("cap_drop", &["--cap-drop", "MKNOD, CHOWN", "--cap-drop=ALL"]);
    assert_eq!(repeated, "cap_drop = [\"MKNOD\", \"CHOWN\", \"ALL\"]  # --cap-drop");
    let emptied = Program::new("", &[("SPIN_DOCKER_CAP_DROP", "")]).shows("cap_drop", &[]);
    assert_eq!(emptied, "cap_drop = []  # SPIN_DOCKER_CAP_DROP");
    let bare = program.shows("disable_timeouts", &["--disable-timeouts"]);
    assert_eq!(bare, "disable_timeouts = true  # --disable-timeouts");
}

#[test]
fn every_setting_refuses_what_it_does_not_take() {
    let duration = "seconds, or a duration such as 2h, 30m or 1h30m (w, d, h, m and s), more than 0";
    let table = [
        ("listen", "8080", "8080", "an address with a port, such as 127.0.0.1:8080"),
        ("allow_default_password", "'perhaps'", "\"perhaps\"", "true or false"),
        ("environment", "'staging'", "\"staging\"", "development or production"),
        ("initial_timeout_interval", "0", "0", duration),
        ("timeout_interval", "-5", "-5", duration),
        ("timeout_interval", "'2 fortnights'", "\"2 fortnights\"", duration),
        ("engine", "'podman'", "\"podman\"", "docker"),
        (
            "engine_host",
            "'tcp://far:2375'",
            "\"tcp://far:2375\"",
            "unix:///PATH; an engine on another machine is not supported",
        ),
        (
            "instance",
            "'Über'",
            "\"Über\"",
            "at most 31 of a-z, 0-9 and -, beginning with a letter or a digit",
        ),
        ("data_dir", "''", "\"\"", "a path"),
        ("start_limit", "0", "0", "a whole number from 1 to 64"),
        (
            "endpoint_ports",
            "'50010-50000'",
            "\"50010-50000\"",
            "two ports, lowest-highest, from 1024 to 65535",
        ),
        ("public_host", "'http://me'", "\"http://me\"", "a host name or an address, without a port"),
        (
            "subnet",
            "'10.0.0.0/30'",
            "\"10.0.0.0/30\"",
            "an IPv4 network from /8 to /29, such as 10.99.0.0/16",
        ),
        (
            "subnet",
            "'10.0.0.1/24'",
            "\"10.0.0.1/24\"",
            "an IPv4 network from /8 to /29, such as 10.99.0.0/16",
        ),
        ("check_in_port", "65536", "65536", "a port from 1 to 65535"),
        (
            "ssh_authorized_keys",
            "['ssh-rsa zzz']",
            "\"ssh-rsa zzz\"",
            "SSH public keys, such as \"ssh-ed25519 AAAA... me@example.org\"",
        ),
        (
            "cap_drop",
            "['NET_RAW', 'NET_RAWW']",
            "\"NET_RAWW\"",
            "names of Linux capabilities, such as NET_RAW, or ALL",
        ),
        ("pids", "[1]", "[\"1\"]", "a whole number, 0 for no limit"),
        ("pids", "{ most = 1 }", "of the type table", "a whole number, 0 for no limit"),
        ("memory_reserve", "'-1'", "-1", "bytes, or a size such as 512m or 2g; 0 for no reserve"),
        ("disk_reserve", "'much'", "\"much\"", "bytes, or a size such as 512m or 2g; 0 for no reserve"),
        ("memory", "'1m'", "\"1m\"", "bytes, or a size such as 512m or 2g, at least 6m; 0 for no limit"),
        ("cpus", "0.001", "\"0.001\"", "a number such as 1.5, at least 0.01; 0 for no limit"),
        ("log_size", "'10mm'", "\"10mm\"", "a size such as 512k, 10m or 1g"),
        (
            "log",
            "'inof'",
            "\"inof\"",
            "error, warn, info, debug, trace or off, or directives such as info,control=debug",
        ),
        ("log_format", "'xml'", "\"xml\"", "text or json"),
    ];
    for (name, given, shown, takes) in table {
        let expected = format!("config.toml:1: {name} is {shown}; allowed: {takes}");
        assert_eq!(complaint(&format!("{name} = {given}")), expected);
    }
}

#[test]
fn every_setting_takes_what_it_says() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ me";
    let file = format!(
        "listen = '[::1]:0'\nenvironment = 'production'\nallow_default_password = 'Yes'\nengine_host = 'unix:///run/d.sock'\n\
         instance = 't-1'\ndata_dir = 'here'\nendpoint_ports = '51000-51000'\npublic_host = 'demo.example.org'\nsubnet = '10.9.0.0/29'\n\
         ssh_authorized_keys = ['{key}']\nmemory = '512M'\nmemory_reserve = 0\ndisk_reserve = '2g'\ncpus = 1.5\nlog_size = '1g'\nlog = 'info,control=debug'\nlog_format = 'json'"
    );
    assert_eq!(printed(&Program::new(&file, &[]).run(&["config", "check"])), "ok\n");
}

#[test]
fn every_mistake_of_every_source_is_told_at_once() {
    let file = "pasword = 'x'\ntimeout_interval = 5\nsd_timeout_interval = 6\n\n[limits]\npids = -1\n";
    let program = Program::new(file, &[("SPIN_DOCKER_LISTN", "x"), ("SPIN_DOCKER_PIDS", "many")]);
    assert_eq!(
        program.complaints(&["--log-files", "0", "--endpoint-ports=8000-9000"]),
        [
            "--log-files is 0; allowed: a whole number from 1 to 1000",
            "SPIN_DOCKER_LISTN is not a setting; the nearest is SPIN_DOCKER_LISTEN",
            "SPIN_DOCKER_PIDS is \"many\"; allowed: a whole number, 0 for no limit",
            "config.toml:1: pasword is not a setting; the nearest is password",
            "config.toml:3: sd_timeout_interval sets timeout_interval a second time, after config.toml:2",
            "config.toml:5: limits is not a setting",
            "--endpoint-ports is 8000-9000, which contains 8080, the port of listen",
        ]
    );
}

#[test]
fn a_name_that_is_like_none_gets_no_hint() {
    let told = complaint("[policy]\nfreeze_after = '5m'");
    assert!(told.contains("policy") && !told.contains("the nearest is"), "{told}");
    assert!(complaint("freeze_afer = '5m'").contains("the nearest is freeze_after"));
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let said = complaint("pids = 1\nlog = \"info\nlog_format = text\n");
    assert!(said.starts_with("config.toml:2: invalid basic string"), "{said}");
    assert!(said.contains("\nconfig.toml:3: "), "{said}");
    assert!(complaint("pids = 1\npids = 2").starts_with("config.toml:2: duplicate key"));
}

#[test]
fn the_default_password_stays_on_loopback() {
    let refusal = "--listen is 0.0.0.0:80, beyond loopback, while the password is the default; set password, or \
                   allow_default_password = true";
    let program = Program::new("", &[]);
    assert_eq!(program.complaints(&["--listen", "0.0.0.0:80"]), [refusal]);
    assert_eq!(program.complaints(&["--listen", "0.0.0.0:80", "--password", "spindocker"]), [refusal]);
    for more in ["--password=long enough", "--allow-default-password"] {
        assert_eq!(printed(&program.run(&["config", "check", "--listen", "0.0.0.0:80", more])), "ok\n");
    }
}

#[test]
fn variables_that_are_no_settings_are_left_alone() {
    let program = Program::new(
        "",
        &[("SPIN_DOCKER_ENDPOINTS", "{}"), ("SPIN_DOCKER_CACHE", "/c"), ("ENVIRONMENT", ""), ("SPIN", "1")],
    );
    assert_eq!(printed(&program.run(&["config", "check"])), "ok\n");
}

#[test]
fn data_is_kept_where_the_user_may_write() {
    let is_root = rustix::process::geteuid().is_root();
    let expected =
        |path| format!("data_dir = \"{}\"  # default", if is_root { "/var/lib/spin-docker" } else { path });
    let home = Program::new("", &[]).shows("data_dir", &[]);
    assert_eq!(home, expected("/home/somebody/.local/state/spin-docker"));
    let state = Program::new("", &[("XDG_STATE_HOME", "/state")]).shows("data_dir", &[]);
    assert_eq!(state, expected("/state/spin-docker"));
}

#[test]
fn secrets_are_shown_nowhere() {
    let program = Program::new("password = 'geheim'\nlog = 'off'", &[]);
    assert_eq!(program.shows("password", &[]), "# password = \"********\"  # config.toml:1");
    let said = complaint("password = ['geheim']");
    assert_eq!(said, "config.toml:1: password is ********; allowed: any text but an empty one");
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----\\ngeheim";
    assert!(!complaint(&format!("ssh_authorized_keys = [\"{private}\"]")).contains("geheim"));
}

#[test]
fn what_show_prints_is_a_settings_file() {
    let program = Program::new("subnet = '10.9.0.0/24'\npids = 7", &[]);
    let shown = printed(&program.run(&["config", "show"]));
    std::fs::write(program.folder.path().join("shown.toml"), &shown).unwrap();
    let again = printed(&program.run(&["config", "show", "--config", "shown.toml"]));
    let values = |page: &str| -> Vec<String> {
        page.lines().map(|line| line.split("  # ").next().unwrap().to_owned()).collect()
    };
    assert_eq!(values(&again), values(&shown));
}

#[test]
fn help_lists_every_setting_with_its_flag_and_variable() {
    let help = printed(&Program::new("", &[]).run(&["serve", "--help"]));
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = std::fs::read_to_string(reference()).unwrap();
    let names: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        assert!(help.contains(&format!("--{}", name.replace('_', "-"))), "{name}:\n{help}");
        assert!(help.contains(&format!("[env: SPIN_DOCKER_{}]", name.to_uppercase())), "{name}:\n{help}");
    }
}

#[test]
fn the_reference_pages_are_what_the_program_prints() {
    for page in ["settings", "policy", "problems", "events"] {
        let made = printed(&Program::new("", &[]).run(&[&format!("{page}-reference")]));
        let kept = std::fs::read_to_string(reference().with_file_name(format!("{page}.md"))).unwrap();
        let advice = format!("docs/{page}.md is stale: run `spin-docker {page}-reference > docs/{page}.md`");
        assert!(made == kept, "{advice}");
    }
}

#[test]
fn what_is_not_understood_exits_with_2() {
    let program = Program::new("", &[]);
    assert_eq!(program.run(&["serve", "--lisen", "x"]).status.code(), Some(2));
    assert_eq!(program.run(&["dance"]).status.code(), Some(2));
    assert_eq!(
        printed(&program.run(&["--version"])),
        concat!("spin-docker ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn completions_and_manual_pages_are_made() {
    let program = Program::new("", &[]);
    for shell in ["bash", "zsh", "fish"] {
        assert!(printed(&program.run(&["completions", shell])).contains("allow-default-password"));
    }
    printed(&program.run(&["man", "."]));
    let page = std::fs::read_to_string(program.folder.path().join("spin-docker-serve.1")).unwrap();
    assert!(page.contains("SPIN_DOCKER_LISTEN"));
}

#[test]
fn every_term_of_the_idle_policy_is_a_setting() {
    let file = "freeze_after = '90s'\nbusy_cpu = 0.5\nwake_from = ['10.0.0.0/8', '192.168.1.7']\nquiet_below = 'off'";
    let program = Program::new(file, &[("SPIN_DOCKER_WAKE", "first-byte")]);
    assert_eq!(
        program.complaints(&["--expires-after", "soon", "--ignore-from", "10.0.0.0/33"]),
        [
            "--ignore-from is \"10.0.0.0/33\"; allowed: addresses or networks, such as 10.0.0.0/8, separated by commas",
            "--expires-after is \"soon\"; allowed: seconds, a duration such as 2h or 30m (w, d, h, m and s), or off",
            "config.toml:4: quiet_below is \"off\"; allowed: bytes a time, such as 1KiB/min, 100B/s or 0",
        ]
    );
    let right = Program::new(&file.replace("'off'", "0"), &program.variables);
    for (name, line) in [
        ("freeze_after", "freeze_after = \"90s\"  # config.toml:1"),
        ("busy_cpu", "busy_cpu = \"0.5\"  # config.toml:2"),
        ("wake_from", "wake_from = [\"10.0.0.0/8\", \"192.168.1.7\"]  # config.toml:3"),
        ("wake", "wake = \"first-byte\"  # SPIN_DOCKER_WAKE"),
        ("reclaim", "reclaim = true  # --reclaim"),
    ] {
        assert_eq!(right.shows(name, &["--reclaim"]), line);
    }
    let unsaid = Program::new("", &[]).shows("freeze_after", &[]);
    assert!(unsaid.starts_with("# freeze_after is not set: `60`, but"), "{unsaid}");
}

#[test]
fn thaw_lists_the_settings_that_matter_to_it_and_takes_them_all() {
    let program = Program::new("", &[]);
    let help = printed(&program.run(&["thaw", "--help"]));
    assert!(
        help.contains("--data-dir") && help.contains("--instance") && !help.contains("--listen"),
        "{help}"
    );
    let output = program.run(&["thaw", "--all", "--listen", "nonsense"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("--listen is \"nonsense\""), "{said}");
}
