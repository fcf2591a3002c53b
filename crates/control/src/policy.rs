//! The policy that containers live under, which may be changed while they run.

use crate::control::Control;
use crate::handle::Command;
use model::{Container, IdlePolicy};
use std::sync::{Arc, PoisonError, RwLock};

/// The policy of now. Whoever decides reads it anew, so that nobody decides by an old one. All views of one policy share it.
#[derive(Debug)]
pub(crate) struct Current(RwLock<Arc<IdlePolicy>>);

impl Current {
    pub(crate) fn new(policy: IdlePolicy) -> Self {
        Self(RwLock::new(Arc::new(policy)))
    }

    fn get(&self) -> Arc<IdlePolicy> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What this container lives under.
    pub(crate) fn of(&self, container: &Container) -> Arc<IdlePolicy> {
        let of_all = self.get();
        container.own_policy(&of_all).map_or(of_all, Arc::new)
    }

    fn set(&self, policy: IdlePolicy) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }
}

impl Control {
    /// Puts every container under another policy. Comes back once each was told; their looks move as
    /// [`IdlePolicy::moved`] says.
    pub async fn set_policy(&self, policy: IdlePolicy) {
        self.shared.policy.set(policy);
        for handle in self.shared.registry.all() {
            handle.send_waiting(Command::PolicyChanged).await;
        }
    }
}
