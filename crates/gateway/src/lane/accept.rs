//! How a lane accepts. It goes on when descriptors run out: a gateway that gave up would be deaf for good.

use super::Order;
use super::entries::{Entry, Key, Port};
use super::pair::End;
use super::thread::{AT_ONCE, Thread, watch};
use crate::dial;
use crate::listener::{Arrival, Listening};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// After an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

impl Thread {
    pub(super) fn listen(&mut self, listening: Arc<Listening>) {
        let key =
            self.entries.enter(Entry::Port(Port { listening: Arc::clone(&listening), is_put_off: false }));
        let watched =
            watch(&self.epoll, listening.socket(), key.name(End::Client), EventFlags::IN | EventFlags::ET);
        if let Err(error) = watched {
            self.entries.remove(key);
            listening.cannot_accept(&error);
            self.later(PAUSE, Order::Listen(listening));
        }
    }

    pub(super) fn accept(&mut self, key: Key, listening: &Arc<Listening>) {
        for _ in 0..AT_ONCE {
            match self.accept_one(listening) {
                Ok(Some(arrival)) => self.welcome(arrival),
                Ok(None) => return,
                // It listens no more.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
                    return drop(self.entries.remove(key));
                }
                Err(error) => {
                    listening.cannot_accept(&error);
                    return self.put_off(key);
                }
            }
        }
        self.again.push(key);
    }

    fn accept_one(&mut self, listening: &Arc<Listening>) -> io::Result<Option<Arrival>> {
        let spare = self.spare.take().map_or_else(dial::socket, Ok)?;
        match listening.accept() {
            Ok(Some((client, peer))) => Ok(Some(Arrival { client, spare, peer, at: Arc::clone(listening) })),
            other => {
                self.spare = Some(spare);
                other.map(|_| None)
            }
        }
    }

    fn put_off(&mut self, key: Key) {
        if let Some(Entry::Port(port)) = self.entries.get(key) {
            port.is_put_off = true;
            self.later(PAUSE, Order::Accept(key));
        }
    }

    fn welcome(&mut self, arrival: Arrival) {
        if arrival.is_refused() {
            tracing::debug!(peer = %arrival.peer, "turned away: containers may not reach endpoints");
            self.spare = Some(arrival.spare);
            return;
        }
        let at = Arc::clone(&arrival.at);
        let place = at.place(&self.lane);
        if place.is(&self.lane) { self.attend(arrival) } else { place.attend(arrival) }
    }

    pub(super) fn attend(&mut self, arrival: Arrival) {
        if let Some(pair) = arrival.attend(&self.lane) {
            self.forward(Box::new(pair));
        }
    }
}
