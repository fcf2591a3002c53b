//! Containers as JSON, written once for each of their views, and lists once until anything on them changes: both are read far more often.

use crate::App;
use api::ContainerBody;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use control::View;
use std::sync::{Arc, Mutex, PoisonError};

/// A longer list is written anew each time: that many bytes are not kept for whoever may ask again.
const LONGEST_KEPT: usize = 256 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// JSON that is written already.
pub(crate) struct Written(Bytes);

impl IntoResponse for Written {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, JSON)], self.0).into_response()
    }
}

/// The last list that was written.
#[derive(Debug, Default)]
pub struct LastList(Mutex<Option<Arc<List>>>);

#[derive(Debug)]
struct List {
    /// Each view with its `active`, which alone changes under it.
    of: Vec<(Arc<View>, Box<str>)>,
    text: Bytes,
}

impl List {
    /// Whether it would be written so now.
    fn is_of(&self, views: &[Arc<View>]) -> bool {
        let is_as_it_was = |(view, (kept, active)): (&Arc<View>, &(Arc<View>, Box<str>))| {
            Arc::ptr_eq(view, kept) && *view.active() == **active
        };
        views.len() == self.of.len() && views.iter().zip(&self.of).all(is_as_it_was)
    }
}

impl LastList {
    fn text(&self, views: &[Arc<View>]) -> Option<Bytes> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        last.filter(|list| list.is_of(views)).map(|list| list.text.clone())
    }

    fn keep(&self, list: Option<List>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = list.map(Arc::new);
    }
}

impl Written {
    /// A container.
    pub(crate) fn one(app: &App, view: &View) -> Self {
        Self(view.rendered(|view, active| write(app, view, active), |_, text| text.clone()))
    }

    /// A list of them.
    pub(crate) fn all(app: &App, views: Vec<Arc<View>>) -> Self {
        if let Some(text) = app.last_list.text(&views) {
            return Self(text);
        }
        let (text, actives) = list(app, &views);
        // Without the room that it grew by.
        let text = Bytes::from(text.into_boxed_slice());
        let kept = (text.len() <= LONGEST_KEPT)
            .then(|| List { of: views.into_iter().zip(actives).collect(), text: text.clone() });
        app.last_list.keep(kept);
        Self(text)
    }
}

/// The list, and what it says of each one's `active`.
fn list(app: &App, views: &[Arc<View>]) -> (Vec<u8>, Vec<Box<str>>) {
    let (mut text, mut actives) = (vec![b'['], Vec::with_capacity(views.len()));
    for (index, view) in views.iter().enumerate() {
        let take = |active: &str, one: &Bytes| {
            match index {
                // They are about as long as each other.
                0 => text.reserve(views.len() * (one.len() + one.len() / 8)),
                _ => text.push(b','),
            }
            text.extend_from_slice(one);
            actives.push(active.into());
        };
        view.rendered(|view, active| write(app, view, active), take);
    }
    text.push(b']');
    (text, actives)
}

fn write(app: &App, view: &View, active: &str) -> Vec<u8> {
    serde_json::to_vec(&body(app, view, active)).expect("texts, numbers and lists of them are always JSON")
}

pub(crate) fn body(app: &App, view: &View, active: &str) -> ContainerBody {
    ContainerBody::new(&view.container, active.to_owned(), view.failure(), &view.policy, &app.public_host)
}
