//! Taking away what a store's daemon made on an engine, for when the program goes for good. What is ours is told as
//! everywhere: by the store, and by its owner id on the engine; the rest is somebody else's.

use crate::Settings;
use crate::store::Contents;
use engine::{Engine, EngineError, Listed, NetworkSpec};

/// The containers on the engine that the store knows. Somebody else's may carry our instance's name, and copies our labels.
pub async fn belongings(
    engine: &dyn Engine,
    contents: &Contents,
    instance: &str,
) -> Result<Vec<Listed>, EngineError> {
    let mut listed = engine.list(instance).await?;
    listed.retain(|entry| is_ours(contents, entry));
    Ok(listed)
}

fn is_ours(contents: &Contents, entry: &Listed) -> bool {
    let may_be_its_body = |container: &model::Container| match &container.engine_id {
        Some(body) => *body == entry.engine_id,
        None => container.key.as_str() == entry.key,
    };
    entry.owner == contents.owner && contents.containers.iter().any(may_be_its_body)
}

/// Takes away the firewall's rule on the network of a store that ever had one, and the network; gives its name. Its containers go first,
/// and one of somebody else's on it is an error. A rule that cannot be removed keeps the network, by which it is found.
pub async fn remove_network(
    engine: &dyn Engine,
    contents: &Contents,
    instance: &str,
) -> Result<Option<String>, EngineError> {
    if contents.subnet.is_none() {
        return Ok(None);
    }
    let spec = NetworkSpec {
        name: Settings::network_of(instance),
        instance: instance.to_owned(),
        owner: contents.owner.clone(),
        subnet: contents.subnet,
    };
    // One that was pruned is made for a moment: how it is found is the engine's affair.
    let network = engine.network(&spec).await?;
    match engine.undo_redirect(&network).await {
        // Without iptables nobody has put a rule.
        Err(error) if error.is_program_missing() => {}
        undone => undone?,
    }
    engine.remove_network(&network.name).await?;
    Ok(Some(network.name))
}
