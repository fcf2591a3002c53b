//! loom tries every order in which a byte may come while a container freezes.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
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
