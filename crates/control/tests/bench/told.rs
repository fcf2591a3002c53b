//! What is told of one container.

use super::until;
use control::Control;
use model::{Depth, Event};

pub async fn events(control: &Control, of: &str) -> Vec<Event> {
    control.events(&control.find(of).unwrap(), None, 200).await.unwrap()
}

pub async fn told(control: &Control, of: &str) -> Vec<String> {
    events(control, of).await.iter().map(Event::to_string).collect()
}

pub async fn last(control: &Control, of: &str) -> String {
    told(control, of).await.pop().unwrap_or_default()
}

pub async fn until_depth(control: &Control, of: &str, depth: Depth) {
    let now = || control.find(of).unwrap().view().container.phase.depth();
    until(depth.as_str(), || now() == depth).await;
}
