//! An engine that fails, hangs or answers nonsense at any step of a create: each is an error of its kind within the deadline,
//! and a body that was made and cannot be furnished is removed. And the versions of the API that we speak.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod stand_in;

use engine::docker::Docker;
use engine::{ContainerSpec, Engine, EngineError, File};
use model::EngineId;
use stand_in::{Act, ID, StandIn};
use std::time::Duration;

/// `look` asks whether a folder is there, `exec` makes a command, `run` starts it, and `ended` asks for its exit code.
const STEPS: [&str; 9] = ["image", "create", "look", "files", "inspect", "start", "exec", "run", "ended"];
/// At these a body is there already, and is not whole.
const FURNISHING: [&str; 3] = ["look", "files", "inspect"];
const NONSENSE: [Act; 5] = [
    Act::Answer(200, r#"{"Id": "#),
    Act::Answer(200, "[]"),
    Act::Answer(200, "<html>It works!</html>"),
    Act::Answer(500, "out of cheese"),
    Act::Answer(500, r#"{"message": "out of cheese"}"#),
];

/// What the control asks for, one after another, until something fails.
async fn make(docker: &Docker) -> Result<(), EngineError> {
    docker.image("image").await?;
    let file = File { path: "/root/keys".into(), content: b"key".to_vec(), mode: 0o600 };
    let spec = ContainerSpec { image: "image".into(), files: vec![file], ..ContainerSpec::default() };
    let made = docker.create(&spec).await?;
    docker.start(&made.engine_id).await?;
    docker.exec(&made.engine_id, &engine::shell("true"), Duration::from_secs(30)).await.map(drop)
}

#[tokio::test]
async fn without_trouble_every_step_is_asked_for() {
    let stand_in = StandIn::new("1.24", "1.41");
    let docker = Docker::connect(Some(&stand_in.host())).await.unwrap();
    make(&docker).await.unwrap();
    let requests = stand_in.requests();
    let asked: Vec<_> = requests.iter().map(|asked| stand_in::step(asked)).collect();
    assert!(STEPS.iter().all(|step| asked.contains(step)) && !asked.contains(&"remove"), "{requests:?}");
}

async fn trouble(step: &'static str, act: Act) -> (StandIn, EngineError, Duration) {
    let stand_in = StandIn::new("1.24", "1.41");
    let docker = Docker::connect(Some(&stand_in.host())).await.unwrap();
    stand_in.on(step, act);
    let begun = tokio::time::Instant::now();
    let error = make(&docker).await.expect_err("it cannot go well");
    (stand_in, error, begun.elapsed())
}

/// Of a create that failed after the engine had made the body.
fn was_removed(stand_in: &StandIn) -> bool {
    let remove = format!("DELETE /v1.41/containers/{ID}?");
    stand_in.requests().iter().any(|request| request.starts_with(&remove) && request.contains("force=true"))
}

#[tokio::test]
async fn nonsense_at_any_step_is_an_error_that_names_the_step_and_leaves_nothing() {
    for step in STEPS {
        for act in NONSENSE {
            // An answer that says nothing that we need is none the worse for it.
            if matches!((step, act), ("files" | "start", Act::Answer(200, _))) {
                continue;
            }
            let (stand_in, error, _) = trouble(step, act).await;
            let text = error.to_string();
            assert!(text.starts_with("the engine cannot "), "{step} {act:?}: {text}");
            assert!(!error.is_unreachable() && !error.is_not_found(), "{step} {act:?}: {text}");
            if let Act::Answer(500, _) = act {
                // What is asked with HEAD is answered without a word.
                let why = if step == "look" { "look into the container" } else { "out of cheese" };
                assert!(text.contains(why) && error.is_retryable(), "{step} {act:?}: {text}");
            }
            assert_eq!(was_removed(&stand_in), FURNISHING.contains(&step), "{step} {act:?}");
            assert_eq!(error.is_unmade(), FURNISHING.contains(&step), "{step} {act:?}");
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_is_an_engine_out_of_reach() {
    for step in STEPS {
        for act in [Act::Cut, Act::CutMidway] {
            if matches!((step, act), ("look" | "files" | "start" | "run", Act::CutMidway)) {
                continue;
            }
            let (stand_in, error, _) = trouble(step, act).await;
            assert!(error.is_unreachable(), "{step} {act:?}: {error}");
            assert!(error.to_string().contains("docker.sock"), "it says where: {error}");
            assert_eq!(was_removed(&stand_in), FURNISHING.contains(&step), "{step} {act:?}");
            assert_eq!(error.is_unmade(), FURNISHING.contains(&step), "{step} {act:?}");
        }
    }
}

/// The clock is paused: it jumps to the next deadline whenever nothing else is left to do.
#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_at_any_step_is_given_up_in_time() {
    for step in STEPS {
        let (stand_in, error, took) = trouble(step, Act::Hang).await;
        assert!(error.is_unreachable(), "{step}: {error}");
        let text = error.to_string();
        assert!(
            ["than 20 s", "than 30 s", "than 120 s"].iter().any(|deadline| text.contains(deadline)),
            "{step}: {text}"
        );
        assert!((20..=120).contains(&took.as_secs()), "{step}: {took:?}");
        assert_eq!(was_removed(&stand_in), FURNISHING.contains(&step), "{step}");
        assert_eq!(error.is_unmade(), FURNISHING.contains(&step), "{step}");
    }
}

/// Whoever freezes it must know: a command that nobody could count is not none.
#[tokio::test(start_paused = true)]
async fn commands_that_cannot_be_counted_are_an_error_and_not_none() {
    let stand_in = StandIn::new("1.24", "1.41");
    let docker = Docker::connect(Some(&stand_in.host())).await.unwrap();
    let id = EngineId::new(ID);
    stand_in.on("inspect", Act::Answer(200, r#"{"ExecIDs": ["one", "other"], "State": {"Running": true}}"#));
    assert_eq!(docker.execs(&id).await.unwrap(), 0, "both have ended");
    stand_in.on("ended", Act::Answer(404, r#"{"message": "No such exec instance"}"#));
    assert_eq!(docker.execs(&id).await.unwrap(), 0, "nor is one that is gone counted");
    for act in NONSENSE.into_iter().chain([Act::Cut, Act::CutMidway, Act::Hang]) {
        stand_in.on("ended", act);
        docker.execs(&id).await.expect_err(&format!("{act:?}"));
    }
    stand_in.on("ended", Act::Answer(200, r#"{"Running": true}"#));
    assert_eq!(docker.execs(&id).await.unwrap(), 2);
}

/// It may pause it all the same, later: nobody would know.
#[tokio::test(start_paused = true)]
async fn an_engine_that_hangs_over_a_pause_is_asked_to_undo_it_within_a_second() {
    let stand_in = StandIn::new("1.24", "1.41");
    let docker = Docker::connect(Some(&stand_in.host())).await.unwrap();
    // Its process is on another machine, and so are its control groups.
    stand_in.on(
        "inspect",
        Act::Answer(200, r#"{"Name": "/name", "State": {"Running": true, "Pid": 2147483647}}"#),
    );
    stand_in.on("pause", Act::Hang);
    let begun = tokio::time::Instant::now();
    let error = docker.freeze(&EngineId::new(ID)).await.unwrap_err();
    assert!(error.to_string().contains("pause the container"), "{error}");
    assert!((900..=1100).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    let post = |act: &str| format!("POST /v1.41/containers/{ID}/{act}");
    let asked = stand_in.requests();
    assert!(asked.ends_with(&[post("pause"), post("unpause")]), "{asked:?}");
}

/// The engine that cannot furnish a body cannot remove it either: what went wrong first is said.
#[tokio::test]
async fn a_body_that_cannot_be_removed_either_is_left_to_its_labels() {
    let stand_in = StandIn::new("1.24", "1.41");
    let docker = Docker::connect(Some(&stand_in.host())).await.unwrap();
    stand_in.on("inspect", Act::Answer(500, "first"));
    stand_in.on("remove", Act::Answer(500, "second"));
    let error = make(&docker).await.unwrap_err();
    assert!(error.to_string().contains("inspect the container: first") && !error.is_unmade(), "{error}");
}

#[tokio::test]
async fn every_request_says_the_newest_version_that_both_know() {
    for (oldest, newest, spoken) in
        [("1.24", "1.41", "/v1.41/"), ("1.44", "1.52", "/v1.52/"), ("1.44", "1.99", "/v1.53/")]
    {
        let stand_in = StandIn::new(oldest, newest);
        let docker = Docker::connect(Some(&stand_in.host())).await.unwrap();
        docker.image("a/b:c").await.unwrap();
        docker.inspect(&EngineId::new(ID)).await.unwrap();
        docker.start(&EngineId::new(ID)).await.unwrap();
        let requests = stand_in.requests();
        let asked: Vec<_> = requests.iter().filter(|request| !request.contains("/version")).collect();
        assert_eq!(asked.len(), 3);
        assert!(asked.iter().all(|request| request.contains(&format!(" {spoken}"))), "{asked:?}");
        assert!(asked[0].ends_with("images/a/b:c/json"), "{asked:?}");
    }
}

#[tokio::test]
async fn an_engine_that_is_too_old_or_too_new_or_no_engine_is_refused_and_told_why() {
    let connect =
        async |stand_in: &StandIn| Docker::connect(Some(&stand_in.host())).await.unwrap_err().to_string();
    let old = connect(&StandIn::new("1.12", "1.40")).await;
    assert!(old.ends_with("its API is 1.40; spin-docker needs 1.41 (Docker 20.10) or newer"), "{old}");
    let new = connect(&StandIn::new("1.99", "1.120")).await;
    assert!(new.contains("its API begins at 1.99 and spin-docker knows none after 1.53"), "{new}");
    let none = connect(&StandIn::new("", "")).await;
    assert!(none.contains("it names no version of its API"), "{none}");
    let web = StandIn::new("1.24", "1.41");
    web.on("version", Act::Answer(200, "<html>It works!</html>"));
    let web = connect(&web).await;
    assert!(web.starts_with("the engine cannot say its version"), "{web}");
}
