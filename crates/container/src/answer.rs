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
    /// Our labels, if it was only made on the way to another.
    pub labels: Option<Labels>,
    /// What it starts, as JSON.
    pub entrypoint: String,
    /// The arguments of that, as JSON.
    pub command: String,
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
    state: RawState,
    #[serde(default)]
    config: RawConfig,
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
        labels: Labels::of(&labels),
        entrypoint: list(config.entrypoint.as_deref()),
        command: list(config.cmd.as_deref()),
    })
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
    let labels = raw.config.labels.unwrap_or_default();
    Ok(ContainerState {
        name: raw.name.trim_start_matches('/').to_owned(),
        image: raw.config.image,
        status: raw.state.status,
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
    fn nulls_are_as_good_as_nothing() {
        let found =
            image(r#"{"Id":"sha256:1","Config":{"Cmd":null,"Entrypoint":null,"Labels":null}}"#);
        assert_eq!(found.unwrap().content, None);
        assert!(image(r#"{"Id":"sha256:1","Config":null}"#).is_ok());
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
        }
    }
}
