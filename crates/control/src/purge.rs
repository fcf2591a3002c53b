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

/// The name of the store's network, where it is there.
pub async fn network(
    engine: &dyn Engine,
    contents: &Contents,
    instance: &str,
) -> Result<Option<String>, EngineError> {
    let Some(spec) = spec(contents, instance) else { return Ok(None) };
    Ok(engine.find_network(&spec).await?.map(|network| network.name))
}

/// None of a store that never had one.
fn spec(contents: &Contents, instance: &str) -> Option<NetworkSpec> {
    let subnet = Some(contents.subnet?);
    let (name, instance) = (Settings::network_of(instance), instance.to_owned());
    Some(NetworkSpec { name, instance, owner: contents.owner.clone(), subnet })
}

/// Takes away the firewall's rule on the network of a store that ever had one, and the network; gives its name. Its containers go first,
/// and one of somebody else's on it is an error. A rule that cannot be removed keeps the network, by which it is found.
pub async fn remove_network(
    engine: &dyn Engine,
    contents: &Contents,
    instance: &str,
) -> Result<Option<String>, EngineError> {
    let Some(spec) = spec(contents, instance) else { return Ok(None) };
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
