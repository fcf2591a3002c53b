//! loom tries every order in which a byte may come while a container freezes.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread;

mod atomic {
    pub(super) use loom::sync::atomic::*;
}

#[path = "../src/gate.rs"]
mod gate;

use gate::Gate;

/// A container behind its gate: forwarding to one that is frozen, and stays so, is what must never happen.
#[derive(Default)]
struct Sleeping {
    gate: Gate,
    wanted: AtomicBool,
}

/// What the pump does with a byte. It says whether it forwarded at once.
fn pump(container: &Sleeping) -> bool {
    let open = container.gate.pass(1);
    if !open {
        container.wanted.store(true, Ordering::SeqCst);
    }
    open
}

/// What the supervisor does, since it saw nothing for a while: it closes the gate, looks again, and freezes. It says whether the container
/// stays frozen as far as it knows.
fn freeze(container: &Sleeping, seen: u64) -> bool {
    container.gate.close();
    let quiet = container.gate.passed() == seen;
    if !quiet {
        container.gate.open();
    }
    quiet
}

#[test]
fn no_byte_is_forwarded_to_a_container_that_stays_frozen() {
    loom::model(|| {
        let container = Arc::new(Sleeping::default());
        let seen = container.gate.passed();
        let pumping = thread::spawn({
            let container = Arc::clone(&container);
            move || pump(&container)
        });
        let frozen = freeze(&container, seen);
        let forwarded = pumping.join().expect("it ends");
        let wanted = container.wanted.load(Ordering::SeqCst);
        assert!(!(forwarded && frozen), "the byte sleeps with it");
        assert!(forwarded || wanted, "nobody knows of the byte");
    });
}

/// What is said beside the gate is said before it is passed, and looked for after it is closed: bytes that wait for room, and
/// a client that has ended its side.
fn said_beside_the_gate<T: Default + Send + Sync + 'static>(say: fn(&T), is_said: fn(&T) -> bool) {
    loom::model(move || {
        let both = Arc::new((Gate::default(), T::default()));
        let saying = thread::spawn({
            let both = Arc::clone(&both);
            move || {
                say(&both.1);
                both.0.pass(0)
            }
        });
        both.0.close();
        let seen = is_said(&both.1);
        let open = saying.join().expect("it ends");
        assert!(seen || !open, "neither sees the other");
    });
}

#[test]
fn bytes_that_wait_for_room_are_seen_by_who_freezes_or_see_that_it_sleeps() {
    said_beside_the_gate::<AtomicBool>(
        |held| held.store(true, Ordering::Relaxed),
        |held| held.load(Ordering::Relaxed),
    );
}

#[test]
fn a_client_that_hangs_up_is_seen_by_who_freezes_or_sees_that_it_sleeps() {
    said_beside_the_gate::<AtomicU64>(
        |hung_up| {
            hung_up.fetch_add(1, Ordering::SeqCst);
        },
        |hung_up| hung_up.load(Ordering::SeqCst) > 0,
    );
}
