//! Images: their tags, and what of one concerns us.

use super::{Docker, QUICK, podman};
use crate::{EngineError, Result};
use bollard::query_parameters::ListImagesOptions;
use model::image::is_reference;
use model::ready::health_check;
use model::{Image, PortSpec, Protocol};

impl Docker {
    pub(super) async fn list_tags(&self) -> Result<Vec<String>> {
        let images =
            self.call("list its images", QUICK, self.client.list_images(None::<ListImagesOptions>)).await?;
        let mut tags: Vec<String> = images.into_iter().flat_map(|image| image.repo_tags).collect();
        tags.retain(|tag| !tag.contains("<none>"));
        if self.is_podman {
            tags.iter_mut().for_each(|tag| *tag = podman::short_name(tag).to_owned());
        }
        tags.sort_unstable();
        Ok(tags)
    }

    pub(super) async fn inspect_image(&self, name: &str) -> Result<Image> {
        if !is_reference(name) {
            return Err(EngineError::NotFound { what: format!("image: {name}") });
        }
        let image = self.call("inspect the image", QUICK, self.client.inspect_image(name)).await?;
        let config = image.config.unwrap_or_default();
        let mut exposed: Vec<PortSpec> =
            config.exposed_ports.unwrap_or_default().iter().filter_map(|text| port(text)).collect();
        exposed.sort_unstable_by_key(|spec| (spec.port, spec.protocol));
        let labels = config.labels.unwrap_or_default().into_iter().collect();
        let test = config.healthcheck.and_then(|check| check.test).unwrap_or_default();
        let health_check = health_check(&test, &config.shell.unwrap_or_default());
        Ok(Image { id: image.id.unwrap_or_default(), exposed, labels, health_check })
    }
}

/// Docker writes `5432/tcp`.
fn port(text: &str) -> Option<PortSpec> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    Some(PortSpec { port: number.parse().ok()?, protocol })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_docker_writes_them() {
        assert_eq!(port("22/tcp"), Some(PortSpec::tcp(22)));
        assert_eq!(port("22"), Some(PortSpec::tcp(22)));
        assert_eq!(port("53/udp"), Some(PortSpec { port: 53, protocol: Protocol::Udp }));
        assert_eq!((port("x/tcp"), port("70000/tcp"), port("1/icmp")), (None, None, None));
    }
}
