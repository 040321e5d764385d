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

/// Labels of a container or an image of ours.
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
            agent: labels.get(AGENT).and_then(|text| {
                let (pid, start) = text.split_once('.')?;
                Some((pid.parse().ok()?, start.parse().ok()?))
            }),
            content: labels.get(CONTENT).cloned(),
        })
    }

    /// What an image says that it was made of, whoever made it.
    pub(crate) fn content_of(labels: &BTreeMap<String, String>) -> Option<&str> {
        labels.get(CONTENT).map(String::as_str)
    }

    /// What an image is labelled with. Containers inherit the labels of their image: one that says whose it is would
    /// make everybody's containers of it ours. What a container on the way was labelled with is taken back.
    pub(crate) fn for_image(&self) -> Vec<String> {
        let content = self.content.as_deref().unwrap_or_default();
        vec![
            format!("{CONTENT}={content}"),
            format!("{RUN}="),
            format!("{OWNER}="),
            format!("{AGENT}="),
        ]
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

    /// A filter for what somebody's runs made.
    pub(crate) fn filter(owner: &str) -> String {
        format!("label={OWNER}={owner}")
    }
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
            .for_image()
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        assert_eq!(Labels::of(&map), None);
        assert_eq!(Labels::content_of(&map), Some("abc"));
    }
}
