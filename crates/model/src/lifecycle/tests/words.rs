//! The words for where it stands, and what a connection meets there.

use super::*;
use crate::container::{Depth, Reach, Status};
use crate::policy::WakeOn;

#[test]
fn the_words_on_the_wire() {
    use Depth::{Awake, Frozen, Stopped};
    let table = [
        (starting(true, After::Stay), Status::Starting, Stopped, Reach::Hold),
        (running(), Status::Running, Awake, Reach::Forward),
        (asleep(Sleep::Freezing), Status::Running, Awake, Reach::Forward),
        (asleep(FROZEN), Status::Running, Frozen, Reach::Forward),
        (asleep(THAWING), Status::Running, Frozen, Reach::Forward),
        (asleep(BREATHING), Status::Running, Frozen, Reach::Forward),
        (stopping(After::Stay), Status::Stopping, Awake, Reach::Refuse),
        (stopping_idle(After::Stay), Status::Stopping, Awake, Reach::Wake),
        (stopping_idle(After::Remove), Status::Stopping, Awake, Reach::Refuse),
        (stopping(After::Start), Status::Starting, Awake, Reach::Hold),
        (starting(false, After::Stop), Status::Stopping, Stopped, Reach::Refuse),
        (starting(false, After::Remove), Status::Stopping, Stopped, Reach::Refuse),
        (STOPPED, Status::Stopped, Stopped, Reach::Refuse),
    ];
    for (phase, status, depth, reach) in table {
        let said = (phase.status(), phase.depth(), phase.reach(WakeOn::Connect));
        assert_eq!(said, (status, depth, reach), "{phase:?}");
    }
}

#[test]
fn what_was_stopped_and_does_a_connection_wake_it() {
    use StopReason::{Asked, Exited, Failed, Idle, Lost, Pressure};
    for (reason, wakes) in
        [(Asked, false), (Lost, false), (Idle, true), (Exited, true), (Failed, true), (Pressure, true)]
    {
        let reach = |wake| Phase::Stopped { reason }.reach(wake);
        let expected = |reach| if wakes { reach } else { Reach::Refuse };
        assert_eq!(reach(WakeOn::Connect), expected(Reach::Wake), "{reason:?}");
        assert_eq!(reach(WakeOn::FirstByte), expected(Reach::WakeOnByte), "{reason:?}");
        assert_eq!(reach(WakeOn::Api), Reach::Refuse, "{reason:?}");
    }
    let policy = IdlePolicy { wake: WakeOn::Api, ..POLICY };
    assert_eq!(step(&container(RESTS), Input::Wake(Waker::Connection), NOW, &policy).1, None);
    let thawed = step(&container(asleep(FROZEN)), Input::Wake(Waker::Connection), NOW, &policy);
    assert_eq!(thawed.1, Some(Effect::Thaw(BY)), "an open connection is answered whatever starts it");
}
