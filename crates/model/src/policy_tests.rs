//! The terms as a table: what each takes, what it refuses, and that what it shows it takes again.

use super::*;

#[test]
fn every_term_takes_what_it_shows() {
    for term in Term::ALL {
        let mut policy = IdlePolicy::DEFAULT;
        let shown = policy.get(*term);
        policy.set(*term, &shown).unwrap_or_else(|mistake| panic!("{mistake}"));
        assert_eq!(policy.get(*term), shown, "{}", term.name());
        assert_eq!(term.name().parse(), Ok(*term));
    }
}

#[test]
fn values_are_read_and_shown() {
    let table = [
        (Term::FreezeAfter, "2m", "120"),
        (Term::FreezeAfter, "1500 ms", "1500ms"),
        (Term::FreezeAfter, "off", "off"),
        (Term::BusyCpu, "0.5", "0.5"),
        (Term::QuietBelow, "1KiB/min", "1024B/min"),
        (Term::QuietBelow, "10B/s", "600B/min"),
        (Term::QuietBelow, "0", "0B/min"),
        (Term::Activity, "check-in", "check-in"),
        (Term::Wake, "first-byte", "first-byte"),
        (Term::WakeFrom, "10.0.0.0/8, 192.168.1.7", "10.0.0.0/8,192.168.1.7/32"),
        (Term::IgnorePaths, "/health*, /metrics", "/health*,/metrics"),
        (Term::StopWithConnections, "yes", "true"),
        (Term::ExpiresAfter, "7d", "604800"),
        (Term::ReadyPath, "/up?deep=1,2", "/up?deep=1,2"),
        (Term::ReadyPath, "off", "off"),
    ];
    for (term, text, shown) in table {
        let mut policy = IdlePolicy::DEFAULT;
        policy.set(term, text).unwrap_or_else(|mistake| panic!("{mistake}"));
        assert_eq!(policy.get(term), shown, "{} {text}", term.name());
    }
}

#[test]
fn what_is_not_taken_is_named_and_changes_nothing() {
    let table = [
        (Term::FreezeAfter, "0"),
        (Term::FreezeAfter, "soon"),
        (Term::BusyCpu, "NaN"),
        (Term::BusyCpu, "0"),
        (Term::QuietBelow, "1KiB"),
        (Term::QuietBelow, "fast/min"),
        (Term::Activity, "bytes"),
        (Term::Wake, "never"),
        (Term::WakeFrom, "10.0.0.0/33"),
        (Term::IgnoreAgents, "a\u{7}b"),
        (Term::OwedFor, "101 years"),
        (Term::DisableTimeouts, "maybe"),
        (Term::ReadyPath, ""),
        (Term::ReadyPath, "up"),
        (Term::ReadyPath, "/a b"),
        (Term::ReadyPath, "/a\r\nb"),
        (Term::ReadyPath, "/ü"),
    ];
    for (term, text) in table {
        let mut policy = IdlePolicy::DEFAULT;
        let mistake = policy.set(term, text).expect_err(text).to_string();
        assert!(mistake.starts_with(&format!("{} is {text:?}; it takes ", term.name())), "{mistake}");
        assert_eq!(policy, IdlePolicy::DEFAULT);
    }
}

#[test]
fn a_path_has_a_length_that_a_request_may_have() {
    let said = |letters| IdlePolicy::default().set(Term::ReadyPath, &format!("/{}", "a".repeat(letters)));
    assert!(said(255).is_ok() && said(256).is_err());
}

#[test]
fn who_speaks_last_wins_and_what_is_taken_back_says_nothing() {
    let said = |text| {
        let mut said = Said::default();
        said.say(Term::FreezeAfter, text).expect("good");
        said
    };
    let (image, mut request) = (said("5m"), said("10s"));
    let policy = |image: &Said, request: &Said| IdlePolicy::DEFAULT.with([image, request]).freeze_after;
    assert_eq!(policy(&image, &request), FreezeAfter::After(Duration::from_secs(10)));
    request.take_back(Term::FreezeAfter);
    assert_eq!(policy(&image, &request), FreezeAfter::After(Duration::from_secs(300)));
    assert_eq!(policy(&Said::default(), &request), FreezeAfter::Unsaid);
}

#[test]
fn an_amendment_says_takes_back_and_leaves_the_rest() {
    let mut said = Said::default();
    said.say(Term::FreezeAfter, "5m").expect("good");
    said.say(Term::Wake, "api").expect("good");
    let mut amendment = Amendment::default();
    amendment.say(Term::OwedFor, " 10 ").expect("good");
    amendment.take_back(Term::FreezeAfter);
    amendment.take_back(Term::Reclaim);
    let mistake = amendment.say(Term::Wake, "never").expect_err("no word of it");
    assert_eq!(mistake.to_string(), r#"wake is "never"; it takes connect, first-byte or api"#);
    said.amend(&amendment);
    assert_eq!(said.iter().collect::<Vec<_>>(), [(Term::OwedFor, "10"), (Term::Wake, "api")]);
}

#[test]
fn a_misspelt_term_is_told_which_it_is() {
    for (name, term) in [
        ("freeze_afer", Term::FreezeAfter),
        ("timeout", Term::TimeoutInterval),
        ("Activity", Term::Activity),
        ("expires", Term::ExpiresAfter),
    ] {
        assert_eq!(Term::nearest(name), term, "{name}");
    }
}

#[test]
fn of_a_long_value_a_mistake_shows_the_beginning() {
    let mistake = IdlePolicy::default().set(Term::Wake, &"a".repeat(10_000)).expect_err("no word of it");
    assert!(mistake.to_string().len() < 200, "{mistake}");
}
