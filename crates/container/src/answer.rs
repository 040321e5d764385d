//! What engines answer to machines.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Labels;

/// An answer that is none.
#[derive(Debug, thiserror::Error)]
#[error("the engine answered something that is not understood ({reason}): {text}")]
pub struct AnswerError {
    reason: String,
    text: String,
}

/// An image on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its identifier, which names its content.
    pub id: String,
    /// What it says that it was made of, if it was made by us.
    pub content: Option<String>,
    /// Who made it, if it was made by us: `uid@host` of the controller.
    pub maker: Option<String>,
    /// Its names. One whose names have gone to others has none.
    pub names: Vec<String>,
    /// What it starts, as JSON.
    pub entrypoint: String,
    /// The arguments of that, as JSON.
    pub command: String,
}

/// What a run has left of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftImage {
    /// One that was to become another. These are the labels that a container of its run would have.
    OnTheWay(Labels),
    /// One whose name a later build has taken.
    Nameless,
}

impl Image {
    /// Whether it is something that one of `owner`'s runs has left, and what. Images that still have a name are not.
    pub fn left_by(&self, owner: &str) -> Option<LeftImage> {
        let maker = self.maker.as_deref().filter(|maker| *maker == owner)?;
        let Some((first, others)) = self.names.split_first() else {
            return Some(LeftImage::Nameless);
        };
        let labels = Labels::of_way(first, maker)?;
        let is_way = |name: &String| Labels::of_way(name, maker).is_some();
        others
            .iter()
            .all(is_way)
            .then_some(LeftImage::OnTheWay(labels))
    }
}

/// A container on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// `running`, `exited`, `created` and the like.
    pub status: String,
    /// Our labels, if it is ours.
    pub labels: Option<Labels>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawImage {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    config: Option<RawImageConfig>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawImageConfig {
    labels: Option<BTreeMap<String, String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawContainer {
    name: String,
    #[serde(default)]
    state: Option<RawState>,
    #[serde(default)]
    config: Option<RawConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawListed {
    id: String,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawState {
    status: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RawConfig {
    image: String,
    labels: Option<BTreeMap<String, String>>,
}

/// Reads the answer to [`inspect_image`](crate::inspect_image).
///
/// # Errors
///
/// No line of the output is the JSON of an image.
pub fn image(output: &str) -> Result<Image, AnswerError> {
    let raw: RawImage = object(output)?;
    let config = raw.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    Ok(Image {
        id: raw.id,
        content: Labels::content_of(&labels).map(str::to_owned),
        maker: Labels::maker_of(&labels).map(str::to_owned),
        names: names(raw.repo_tags.unwrap_or_default()),
        entrypoint: list(config.entrypoint.as_deref()),
        command: list(config.cmd.as_deref()),
    })
}

/// What an engine calls names without those that say that there is none.
fn names(tags: Vec<String>) -> Vec<String> {
    let named = tags.into_iter().filter(|tag| !tag.contains("<none>"));
    named.collect()
}

fn list(words: Option<&[String]>) -> String {
    serde_json::to_string(words.unwrap_or_default()).unwrap_or_else(|_| "[]".to_owned())
}

/// Reads the answer to [`inspect_container`](crate::inspect_container).
///
/// # Errors
///
/// No line of the output is the JSON of a container.
pub fn container_state(output: &str) -> Result<ContainerState, AnswerError> {
    let raw: RawContainer = object(output)?;
    let config = raw.config.unwrap_or_default();
    let labels = config.labels.unwrap_or_default();
    Ok(ContainerState {
        name: raw.name.trim_start_matches('/').to_owned(),
        image: config.image,
        status: raw.state.unwrap_or_default().status,
        labels: Labels::of(&labels),
    })
}

/// Reads the answer to [`list`](crate::list()) or [`list_images`](crate::list_images): identifiers, one a line. Other lines, warnings of an engine,
/// are passed over.
pub fn ids(output: &str) -> Vec<String> {
    let lines = output.lines().map(str::trim);
    lines
        .map(|line| line.strip_prefix("sha256:").unwrap_or(line))
        .filter(|line| line.len() >= 12 && line.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(str::to_owned)
        .collect()
}

/// Reads the answer to [`list_working`](crate::list_working): the beginnings of the identifiers of those that builds
/// work in, or did.
///
/// # Errors
///
/// No line of the output begins the JSON of a list.
pub fn working(output: &str) -> Result<Vec<String>, AnswerError> {
    let all: Vec<RawListed> = object(output)?;
    let working = all.into_iter().filter(|one| one.state == "storage");
    Ok(working
        .map(|one| one.id.chars().take(SHORT).collect())
        .collect())
}

/// Digits of an identifier that engines take for it.
const SHORT: usize = 12;

/// Places in an output at which an object is looked for, at most.
const PLACES: usize = 64;

/// One object, or a list with one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answered<T> {
    One(T),
    List([T; 1]),
}

/// The object in an output, in which an engine may have put warnings too. Podman answers with a list of one over many
/// lines whatever the format.
fn object<T: for<'de> Deserialize<'de>>(output: &str) -> Result<T, AnswerError> {
    let mut reason = "no JSON in it".to_owned();
    let mut begin = 0;
    let starts = output.split_inclusive('\n').filter_map(|line| {
        let place = begin + (line.len() - line.trim_start().len());
        begin += line.len();
        output[place..].starts_with(['{', '[']).then_some(place)
    });
    for place in starts.take(PLACES) {
        // What follows the object is no part of it.
        let mut values =
            serde_json::Deserializer::from_str(&output[place..]).into_iter::<Answered<T>>();
        match values.next() {
            Some(Ok(Answered::One(found) | Answered::List([found]))) => return Ok(found),
            Some(Err(error)) => reason = error.to_string(),
            None => {}
        }
    }
    let words: Vec<&str> = output.split_whitespace().collect();
    Err(AnswerError {
        reason,
        text: words.join(" ").chars().take(200).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_image_is_read_between_warnings() {
        let output = concat!(
            "WARNING: Error loading config file\n",
            r#"{"Id":"sha256:1","RepoTags":["a:1"],"Config":{"Cmd":["bash"],"Labels":{"org.flagperf.content":"c0"}}}"#,
            "\n"
        );
        let image = image(output).unwrap();
        assert_eq!(image.content.as_deref(), Some("c0"));
        assert_eq!(
            (image.entrypoint.as_str(), image.command.as_str()),
            ("[]", r#"["bash"]"#)
        );
    }

    #[test]
    fn a_list_over_many_lines_is_read_too() {
        let output =
            "WARN [storage] is odd\n[\n  {\n    \"Id\": \"1\",\n    \"Config\": {}\n  }\n]\n";
        assert_eq!(image(output).unwrap().id, "1");
        assert!(image("[]").is_err());
        assert!(image("[\n{").is_err());
    }

    #[test]
    fn what_builds_have_left_is_told_from_containers() {
        let output = concat!(
            "time=\"t\" level=warning msg=\"odd\"\n",
            r#"[{"Id":"0123456789abcdef","State":"storage"},{"Id":"f","State":"exited"}]"#
        );
        assert_eq!(working(output).unwrap(), ["0123456789ab"]);
        assert_eq!(working("[]").unwrap(), [""; 0]);
        assert!(working("no").is_err());
    }

    #[test]
    fn nulls_are_as_good_as_nothing() {
        let found =
            image(r#"{"Id":"sha256:1","Config":{"Cmd":null,"Entrypoint":null,"Labels":null}}"#);
        assert_eq!(found.unwrap().content, None);
        assert!(image(r#"{"Id":"sha256:1","Config":null}"#).is_ok());
    }

    #[test]
    fn what_is_left_of_images_is_told_from_what_is_in_use() {
        let image = |tags: &str, maker: &str| {
            let text = format!(
                r#"{{"Id":"sha256:1","RepoTags":{tags},"Config":{{"Labels":{{"org.flagperf.maker":"{maker}"}}}}}}"#
            );
            super::image(&text).unwrap().left_by("ann@lab")
        };
        let way = r#""localhost/flagperf-run1-x-0:build-17.99""#;
        assert_eq!(image("[]", "ann@lab"), Some(LeftImage::Nameless));
        assert_eq!(
            image(r#"["<none>:<none>"]"#, "ann@lab"),
            Some(LeftImage::Nameless)
        );
        let Some(LeftImage::OnTheWay(labels)) = image(&format!("[{way}]"), "ann@lab") else {
            panic!("an image on the way");
        };
        assert_eq!((&labels.run[..], labels.agent), ("run1-x", Some((17, 99))));
        for (tags, maker) in [
            ("[]", "eve@lab"),
            (r#"["lab/torch:1"]"#, "ann@lab"),
            (&format!(r#"[{way}, "lab/torch:1"]"#), "ann@lab"),
        ] {
            assert_eq!(image(tags, maker), None, "{tags} {maker}");
        }
    }

    #[test]
    fn a_container_is_ours_by_its_labels_alone() {
        let text = r#"{"Name":"/flagperf-x","State":{"Status":"exited"},"Config":{"Image":"i:1","Labels":{"a":"b"}}}"#;
        let state = container_state(text).unwrap();
        assert_eq!(
            (state.name.as_str(), state.status.as_str()),
            ("flagperf-x", "exited")
        );
        assert_eq!(state.labels, None);
    }

    #[test]
    fn an_answer_that_is_none_is_shown() {
        let error = image("Error: nonsense").unwrap_err().to_string();
        assert!(error.contains("Error: nonsense"), "{error}");
    }

    #[test]
    fn only_identifiers_are_taken() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(ids(&format!("WARN deprecated\n{id}\n\n")), [id]);
    }

    proptest! {
        #[test]
        fn any_answer_is_safe(text in ".{0,200}") {
            let _ = image(&text);
            let _ = container_state(&text);
            let _ = ids(&text);
            let _ = working(&text);
        }
    }
}
