//! Labels: only what carries ours is ever stopped or removed.

use std::collections::BTreeMap;

/// The run that made it.
const RUN: &str = "org.flagperf.run";

/// Who ran that: `uid@host` of the controller.
const OWNER: &str = "org.flagperf.owner";

/// The agent on the node that looks after it: `pid.starttime`.
const AGENT: &str = "org.flagperf.agent";

/// BLAKE3 of the directory that an image was built from.
const CONTENT: &str = "org.flagperf.content";

/// Who made an image: `uid@host` of the controller. Containers inherit it, and are nobody's for that.
const MAKER: &str = "org.flagperf.maker";

/// What the tag of an image on the way to another begins with.
const WAY: &str = "build-";

/// Labels of a container of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels {
    /// The run that made it.
    pub run: String,
    /// Who ran that: `uid@host` of the controller.
    pub owner: String,
    /// Process id and start time of the agent that looks after it.
    pub agent: Option<(u32, u64)>,
    /// What an image was made of.
    pub content: Option<String>,
}

/// What the container of a run is called on a node: `flagperf-<run>-<node rank>`. For a later group of its rounds the
/// group's number follows, since those before may have been left for looking into.
pub fn name(run: &str, node_rank: &str, group: u32) -> String {
    match group {
        1 => format!("flagperf-{run}-{node_rank}"),
        group => format!("flagperf-{run}-{node_rank}-{group}"),
    }
}

impl Labels {
    /// From the labels of something; `None` if it is not ours.
    pub fn of(labels: &BTreeMap<String, String>) -> Option<Self> {
        let text = |name: &str| labels.get(name).filter(|text| !text.is_empty());
        Some(Self {
            run: text(RUN)?.clone(),
            owner: text(OWNER)?.clone(),
            agent: labels.get(AGENT).and_then(|text| agent(text)),
            content: labels.get(CONTENT).cloned(),
        })
    }

    /// What an image says that it was made of, whoever made it.
    pub(crate) fn content_of(labels: &BTreeMap<String, String>) -> Option<&str> {
        labels.get(CONTENT).map(String::as_str)
    }

    /// Who made an image, if one of ours did.
    pub(crate) fn maker_of(labels: &BTreeMap<String, String>) -> Option<&str> {
        labels.get(MAKER).map(String::as_str)
    }

    /// What an image is labelled with. Containers inherit the labels of their image: one that says whose it is would
    /// make everybody's containers of it ours.
    pub(crate) fn for_image(&self) -> Vec<String> {
        let content = self.content.as_deref().unwrap_or_default();
        vec![
            format!("{CONTENT}={content}"),
            format!("{MAKER}={}", self.owner),
        ]
    }

    /// What takes back from an image what the container that it was made of was labelled with.
    pub(crate) fn taken_back() -> Vec<String> {
        [RUN, OWNER, AGENT].map(|name| format!("{name}=")).to_vec()
    }

    /// Name of an image that is only made on the way to another, by the agent that looks after `container`. It
    /// tells what labels cannot: nerdctl hands on those of an image, and none can be taken back there.
    pub fn on_the_way(&self, container: &str) -> String {
        let (pid, start) = self.agent.unwrap_or_default();
        format!("{container}:{WAY}{pid}.{start}")
    }

    /// From the name of an image on the way to another that `maker` has made. `None` for any other image.
    pub(crate) fn of_way(name: &str, maker: &str) -> Option<Self> {
        let (path, tag) = name.rsplit_once(':')?;
        let container = path.rsplit('/').next().unwrap_or(path);
        // `run…-abc123`, the node's rank, and for a later group of rounds its number.
        let mut parts = container.strip_prefix("flagperf-")?.splitn(3, '-');
        let (run, random, _) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            run: format!("{run}-{random}"),
            owner: maker.to_owned(),
            agent: Some(agent(tag.strip_prefix(WAY)?)?),
            content: None,
        })
    }

    /// Each as `name=value`.
    pub(crate) fn pairs(&self) -> Vec<String> {
        let mut pairs = vec![
            format!("{RUN}={}", self.run),
            format!("{OWNER}={}", self.owner),
        ];
        if let Some((pid, start)) = self.agent {
            pairs.push(format!("{AGENT}={pid}.{start}"));
        }
        if let Some(content) = &self.content {
            pairs.push(format!("{CONTENT}={content}"));
        }
        pairs
    }

    /// A filter for the containers that somebody's runs made.
    pub(crate) fn filter(owner: &str) -> String {
        format!("label={OWNER}={owner}")
    }

    /// A filter for the images that somebody's runs made.
    pub(crate) fn image_filter(owner: &str) -> String {
        format!("label={MAKER}={owner}")
    }
}

/// `pid.starttime`.
fn agent(text: &str) -> Option<(u32, u64)> {
    let (pid, start) = text.split_once('.')?;
    Some((pid.parse().ok()?, start.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let labels = Labels {
            run: "run1".into(),
            owner: "ann@lab".into(),
            agent: Some((17, 99)),
            content: Some("abc".into()),
        };
        let map = labels
            .pairs()
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(Labels::of(&map), Some(labels));
        assert_eq!(Labels::of(&BTreeMap::new()), None);
    }

    #[test]
    fn what_is_made_of_an_image_of_ours_is_not_ours() {
        let labels = Labels {
            run: "run1".into(),
            owner: "ann@lab".into(),
            agent: Some((17, 99)),
            content: Some("abc".into()),
        };
        let map = labels
            .pairs()
            .into_iter()
            .chain(labels.for_image())
            .chain(Labels::taken_back())
            .collect::<Vec<_>>()
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(Labels::of(&map), None);
        assert_eq!(Labels::content_of(&map), Some("abc"));
        assert_eq!(Labels::maker_of(&map), Some("ann@lab"));
    }

    #[test]
    fn an_image_on_the_way_is_known_by_its_name() {
        let labels = Labels {
            run: "run1-x".into(),
            owner: "ann@lab".into(),
            agent: Some((17, 99)),
            content: None,
        };
        let name = labels.on_the_way("flagperf-run1-x-12");
        assert_eq!(name, "flagperf-run1-x-12:build-17.99");
        let later = labels.on_the_way("flagperf-run1-x-12-2");
        assert_eq!(Labels::of_way(&later, "ann@lab").as_ref(), Some(&labels));
        for prefix in ["", "localhost/", "docker.io/library/"] {
            let found = Labels::of_way(&format!("{prefix}{name}"), "ann@lab");
            assert_eq!(found.as_ref(), Some(&labels));
        }
        for other in [
            "flagperf-run1-x-12:latest",
            "flagperf-run1-x-12:build-17",
            "flagperf:build-17.99",
            "lab/torch:build-17.99",
            "<none>:<none>",
        ] {
            assert_eq!(Labels::of_way(other, "ann@lab"), None, "{other}");
        }
    }
}
