//! What froze with connections open runs for a moment now and then, over the engine in memory and on a paused clock.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod bench;

use bench::{Bench, connect, depth, launched, until};
use control::{Control, Flow, Target};
use engine::fake::Call;
use model::{Amendment, Depth, EngineId, Event, EventKind, Keeper, Phase, Term};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// One whose client has been told something, and which froze a minute later.
struct Frozen {
    bench: Bench,
    control: Arc<Control>,
    of: String,
    target: Target,
    flow: Flow,
    body: EngineId,
    phase: Phase,
    said_at: Instant,
}

async fn frozen() -> Frozen {
    let (bench, control, of, target) = launched().await;
    let flow = connect(&target);
    let said_at = Instant::now();
    assert!(flow.inward(20));
    flow.outward(50);
    until("it freezes", || depth(&control, &of) == Depth::Frozen).await;
    let view = control.find(&of).unwrap().view();
    let (body, phase) = (view.container.engine_id.clone().unwrap(), view.container.phase.clone());
    Frozen { bench, control, of, target, flow, body, phase, said_at }
}

impl Frozen {
    fn runs(&self) -> bool {
        self.bench.fake.look(&self.body).freezer().is_none()
    }

    fn depth(&self) -> Depth {
        depth(&self.control, &self.of)
    }

    /// Looked for often enough to see each, however long that takes.
    async fn until_it_breathes(&self) {
        let begun = Instant::now();
        while !self.runs() {
            assert!(begun.elapsed() < 60 * MINUTE, "it takes no breath");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn until_it_is_done(&self) {
        until("it is frozen again", || !self.runs()).await;
    }

    /// How often it ran in so long.
    async fn breaths_in(&self, time: Duration) -> usize {
        let (begun, mut breaths, mut ran) = (Instant::now(), 0, self.runs());
        while begun.elapsed() < time {
            sleep(Duration::from_millis(50)).await;
            let runs = self.runs();
            breaths += usize::from(runs && !ran);
            ran = runs;
        }
        breaths
    }

    async fn say(&self, term: Term, text: &str) {
        let mut amendment = Amendment::default();
        amendment.say(term, text).unwrap();
        self.control.find(&self.of).unwrap().say_policy(amendment).await.unwrap();
    }

    async fn told(&self) -> Vec<Event> {
        let of = self.control.find(&self.of).unwrap();
        self.control.events(&of, None, 100).await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_timer_in_it_is_served_a_tenth_late_at_most() {
    let it = frozen().await;
    let ends = it.said_at + 10 * MINUTE;
    tokio::time::sleep_until(ends).await;
    it.until_it_breathes().await;
    assert!(ends.elapsed() <= MINUTE + 5 * SECOND, "{:?} late", ends.elapsed());
    it.flow.outward(60);
    until("it is seen to go on", || it.depth() == Depth::Awake).await;
    until("it said no more", || it.depth() == Depth::Frozen).await;
    let last: Vec<_> = it.told().await.iter().rev().take(2).map(ToString::to_string).collect();
    assert_eq!(last[1], "thawed: it was let run for a moment (breathe), and went on");
    assert!(last[0].starts_with("froze: "), "{}", last[0]);
}

#[tokio::test(start_paused = true)]
async fn breaths_are_short_and_ever_fewer_and_nobody_is_told_of_them() {
    let it = frozen().await;
    let before = it.told().await.len();
    let breaths = it.breaths_in(9 * MINUTE).await;
    assert!(
        (20..=24).contains(&breaths),
        "a tenth apart, that is 1.1 to the 24th for a factor of ten: {breaths}"
    );
    it.until_it_breathes().await;
    let begun = Instant::now();
    assert_eq!(it.depth(), Depth::Frozen);
    it.until_it_is_done().await;
    assert!(begun.elapsed() < Duration::from_millis(400), "{:?}", begun.elapsed());
    assert_eq!(it.told().await.len(), before);
    let view = it.control.find(&it.of).unwrap().view();
    let since = view.frozen_at.unwrap();
    assert!(since < view.container.last_activity.plus(MINUTE + 2 * SECOND), "it has slept since the first");
}

#[tokio::test(start_paused = true)]
async fn looks_and_policies_put_no_breath_off() {
    let it = frozen().await;
    for term in [Term::InitialTimeoutInterval, Term::TimeoutInterval] {
        it.say(term, "4s").await;
    }
    let view = || it.control.find(&it.of).unwrap().view();
    until("it is looked at", || view().container.phase != it.phase).await;
    assert_ne!(it.breaths_in(MINUTE).await, 0, "it is looked at before each of them");
    let since = it.said_at.elapsed();
    sleep(60 * MINUTE).await;
    let begun = Instant::now();
    it.until_it_breathes().await;
    assert!(begun.elapsed() <= (since + 67 * MINUTE) / 10, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_thaw_that_failed_is_forgotten_once_it_has_breathed() {
    let it = frozen().await;
    it.bench.fake.fail(Call::Thaw, 9, false);
    let second = connect(&it.target);
    it.target.wake(&second).await.unwrap_err();
    let failure = || it.control.find(&it.of).unwrap().view().failure();
    assert!(failure().is_some_and(|why| why.contains("it could not be thawed")), "{:?}", failure());
    it.until_it_breathes().await;
    it.until_it_is_done().await;
    until("it is frozen again", || failure().is_none()).await;
}

#[tokio::test(start_paused = true)]
async fn its_memory_is_offered_to_the_kernel_after_a_freeze_where_somebody_says_so_and_after_no_breath() {
    let it = frozen().await;
    let offers = || it.bench.fake.calls().iter().filter(|(call, _)| *call == Call::Reclaim).count();
    let freeze_again = async || {
        it.target.wake(&it.flow).await.unwrap();
        it.flow.outward(1);
        until("it freezes again", || it.depth() == Depth::Frozen).await;
        sleep(SECOND).await;
    };
    freeze_again().await;
    assert_eq!(offers(), 0, "nobody said so");
    it.say(Term::Reclaim, "true").await;
    assert_ne!(it.breaths_in(MINUTE).await, 0);
    assert_eq!(offers(), 0, "it has only breathed");
    freeze_again().await;
    assert_eq!(offers(), 1, "it froze by itself");
    it.control.find(&it.of).unwrap().thaw().await.unwrap();
    it.control.find(&it.of).unwrap().freeze().await.unwrap();
    sleep(SECOND).await;
    assert_eq!(offers(), 2, "a person said so");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_holds_takes_none() {
    let it = frozen().await;
    it.bench.fake.pause_by_hand(&it.body);
    assert_eq!(it.breaths_in(10 * MINUTE).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_its_breaths_used_is_no_work_when_somebody_comes() {
    let it = frozen().await;
    for _ in 0..20 {
        it.until_it_breathes().await;
        it.bench.fake.use_cpu(&it.body, Duration::from_millis(150));
        it.until_it_is_done().await;
    }
    assert!(!it.flow.inward(1));
    it.target.wake(&it.flow).await.unwrap();
    it.flow.outward(1);
    let begun = Instant::now();
    until("it freezes again", || it.depth() == Depth::Frozen).await;
    assert!(begun.elapsed() <= SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn it_takes_none_where_somebody_says_so() {
    let mut it = frozen().await;
    it.say(Term::Breathe, "false").await;
    assert_eq!(it.breaths_in(10 * MINUTE).await, 0);
    it.say(Term::Breathe, "true").await;
    assert_ne!(it.breaths_in(10 * MINUTE).await, 0, "from now on it may");
    it.flow = connect(&it.target);
    it.target.wake(&it.flow).await.unwrap();
    it.control.find(&it.of).unwrap().freeze().await.unwrap();
    assert_eq!(it.breaths_in(10 * MINUTE).await, 0, "a person said that it is to be frozen");
}

#[tokio::test(start_paused = true)]
async fn it_takes_none_where_nobody_is_connected() {
    let mut it = frozen().await;
    let ignored = "127.0.0.0/8";
    it.say(Term::IgnoreFrom, ignored).await;
    it.flow = connect(&it.target);
    assert_eq!(it.breaths_in(10 * MINUTE).await, 0, "whoever is ignored is nobody");
}

#[tokio::test(start_paused = true)]
async fn what_keeps_it_awake_by_then_thaws_it() {
    let it = frozen().await;
    it.say(Term::FreezeAfter, "off").await;
    until("it is thawed", || it.depth() == Depth::Awake).await;
    assert!(it.said_at.elapsed() < MINUTE + 10 * SECOND, "{:?}", it.said_at.elapsed());
    sleep(10 * MINUTE).await;
    assert_eq!(it.depth(), Depth::Awake);
}

#[tokio::test(start_paused = true)]
async fn a_byte_that_comes_in_a_breath_waits_for_nothing() {
    let it = frozen().await;
    it.until_it_breathes().await;
    let before = it.bench.fake.calls().len();
    assert!(!it.flow.inward(1), "the gate stays closed");
    let begun = Instant::now();
    it.target.wake(&it.flow).await.unwrap();
    assert_eq!((it.depth(), begun.elapsed()), (Depth::Awake, Duration::ZERO));
    let calls: Vec<_> = it.bench.fake.calls().into_iter().skip(before).map(|(call, _)| call).collect();
    assert!(!calls.contains(&Call::Freeze) && !calls.contains(&Call::Thaw), "it runs: {calls:?}");
    assert_eq!(it.told().await.last().unwrap().kind, EventKind::Woke);
}

#[tokio::test(start_paused = true)]
async fn a_byte_that_comes_as_a_breath_ends_finds_it_awake() {
    let it = frozen().await;
    it.bench.fake.slow(Call::Freeze, SECOND);
    it.until_it_breathes().await;
    sleep(Duration::from_millis(600)).await;
    assert!(!it.flow.inward(1));
    it.target.wake(&it.flow).await.unwrap();
    assert!(it.runs());
    sleep(3 * SECOND).await;
    assert!(it.runs(), "its answer is owed, and no freeze is left over");
}

#[tokio::test(start_paused = true)]
async fn work_that_a_timer_began_is_done_at_a_stretch() {
    let it = frozen().await;
    it.until_it_breathes().await;
    let begun = Instant::now();
    while begun.elapsed() < MINUTE {
        it.bench.fake.use_cpu(&it.body, Duration::from_millis(5));
        sleep(Duration::from_millis(10)).await;
        assert!(it.runs(), "frozen after {:?} of work", begun.elapsed());
    }
    let kept = it.control.find(&it.of).unwrap().view().kept.unwrap();
    assert!(matches!(kept.by, Keeper::Busy(400..=600)), "{kept:?}");
    until("it is done", || it.depth() == Depth::Frozen).await;
}

#[tokio::test(start_paused = true)]
async fn what_every_timer_does_at_the_thaw_is_no_work() {
    let it = frozen().await;
    let before = it.told().await.len();
    for _ in 0..5 {
        it.until_it_breathes().await;
        it.bench.fake.use_cpu(&it.body, Duration::from_millis(150));
        it.until_it_is_done().await;
    }
    assert_eq!(it.told().await.len(), before);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_thawed_for_it_sleeps_on_and_tries_again() {
    let it = frozen().await;
    it.bench.fake.fail(Call::Thaw, 9, false);
    sleep(8 * SECOND).await;
    assert_eq!((it.runs(), it.depth()), (false, Depth::Frozen));
    assert_eq!(it.control.find(&it.of).unwrap().view().failure(), None);
    it.until_it_breathes().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_breathes_as_the_program_ends_is_left_awake() {
    let it = frozen().await;
    it.bench.fake.slow(Call::Sockets, SECOND);
    it.until_it_breathes().await;
    it.until_it_is_done().await;
    assert_eq!(it.depth(), Depth::Frozen, "its sockets are still being asked");
    it.control.shut_down().await;
    assert!(it.runs());
}
