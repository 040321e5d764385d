//! Values that look like secrets: they are used as they are, and neither written nor printed.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::ContainerOptions;

/// What stands in the place of a secret.
pub const CONCEALED: &str = "***";

/// What a part of a name ends with that stands for a secret. Parts are between `_`, `-` and `.`.
const ENDINGS: [&str; 16] = [
    "token",
    "tokens",
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "secret",
    "secrets",
    "key",
    "keys",
    "credential",
    "credentials",
    "creds",
    "auth",
];

/// Names that only look so.
const OTHERS: [&str; 2] = ["PWD", "OLDPWD"];

/// True if a variable or an option of this name most likely holds a password, a key or a token.
pub fn is_secret(name: &str) -> bool {
    let is_one = |part: &str| {
        let part = part.to_ascii_lowercase();
        ENDINGS.iter().any(|ending| part.ends_with(ending))
    };
    !OTHERS.contains(&name) && name.split(['_', '-', '.']).any(is_one)
}

/// The value of a variable, or what stands in its place. Of an address only the password is concealed.
pub fn concealed<'v>(name: &str, value: &'v str) -> Cow<'v, str> {
    if is_secret(name) && !value.is_empty() {
        return Cow::Borrowed(CONCEALED);
    }
    without_password(value)
}

/// Words of a command line with what looks secret in them concealed: `NAME=value`, `--token=value`, `--token value`,
/// and passwords in addresses.
pub fn concealed_words(words: &[String]) -> Vec<String> {
    let mut shown: Vec<String> = Vec::with_capacity(words.len());
    let mut asks = false;
    for word in words {
        let is_value = std::mem::replace(
            &mut asks,
            word.starts_with('-') && !word.contains('=') && is_secret(word),
        );
        shown.push(if is_value && !word.starts_with('-') {
            CONCEALED.to_owned()
        } else {
            concealed_word(word).into_owned()
        });
    }
    shown
}

fn concealed_word(word: &str) -> Cow<'_, str> {
    let Some((name, value)) = word.split_once('=') else {
        return without_password(word);
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !name.chars().all(is_name) {
        return without_password(word);
    }
    let shown = if is_secret(name) && !value.is_empty() {
        Cow::Borrowed(CONCEALED)
    } else {
        concealed_word(value)
    };
    Cow::Owned(format!("{name}={shown}"))
}

/// `scheme://user:password@host` without the password.
fn without_password(text: &str) -> Cow<'_, str> {
    let found = text.split_once("://").and_then(|(scheme, rest)| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, host) = authority.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        let path = &rest[authority.len()..];
        Some(format!("{scheme}://{user}:{CONCEALED}@{host}{path}"))
    });
    found.map_or(Cow::Borrowed(text), Cow::Owned)
}

impl ContainerOptions {
    /// These with what looks secret concealed, to be shown.
    #[must_use]
    pub fn concealed(&self) -> Self {
        let mut shown = self.clone();
        for (name, value) in &mut shown.env {
            *value = concealed(name, value).into_owned();
        }
        shown.extra = concealed_words(&shown.extra);
        shown
    }

    /// Takes variables whose value looks secret from the words, which every user of a node can read there, and puts
    /// them with the other variables: `-e NAME=value`, `--env NAME=value`, `--env=NAME=value`, `-eNAME=value`.
    pub fn take_secrets_from_words(&mut self) {
        let mut words = std::mem::take(&mut self.extra).into_iter().peekable();
        while let Some(word) = words.next() {
            let inline = word
                .strip_prefix("--env=")
                .or_else(|| word.strip_prefix("-e").filter(|_| !word.starts_with("--")))
                .filter(|rest| !rest.is_empty());
            let named = ["-e", "--env"].contains(&&word[..]);
            let variable = match inline {
                Some(rest) => Some(rest.trim_start_matches('=').to_owned()),
                None if named => words.peek().cloned(),
                None => None,
            };
            let secret = variable.as_deref().and_then(|text| {
                let (name, value) = text.split_once('=')?;
                (concealed(name, value) != value).then(|| (name.to_owned(), value.to_owned()))
            });
            match secret {
                Some((name, value)) => {
                    self.env.insert(name, value);
                    if inline.is_none() {
                        let _ = words.next();
                    }
                }
                None => self.extra.push(word),
            }
        }
    }
}

/// Variables as they are recorded. Where the text is no record but a message to an agent, they are what they are.
pub(crate) fn variables<S: Serializer>(
    variables: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if !serializer.is_human_readable() {
        return variables.serialize(serializer);
    }
    serializer.collect_map(
        variables
            .iter()
            .map(|(name, value)| (name, concealed(name, value))),
    )
}

/// Words as they are recorded.
pub(crate) fn words<S: Serializer>(words: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        concealed_words(words).serialize(serializer)
    } else {
        words.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(words: &[&str]) -> Vec<String> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        concealed_words(&words)
    }

    #[test]
    fn names_that_stand_for_secrets_are_known() {
        for name in [
            "TOKEN",
            "HF_TOKEN",
            "hf_token",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "DB_PASSWORD",
            "MYSQL_PWD",
            "APIKEY",
            "GOOGLE_CREDENTIALS",
            "REGISTRY_AUTH",
            "--client-secret",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "TOKENIZERS_PARALLELISM",
            "PWD",
            "OLDPWD",
            "KEYBOARD",
            "NCCL_IB_HCA",
            "PASSES",
            "",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn words_are_shown_without_what_is_secret_in_them() {
        assert_eq!(
            shown(&[
                "--env",
                "A=1",
                "-e",
                "HF_TOKEN=x=y",
                "--env=API_KEY=z",
                "-eDB_PASSWORD=q",
                "--token",
                "t",
                "--password",
                "--rm",
                "--log-opt",
                "splunk-token=s",
                "--label=a.b=c",
                "http_proxy=http://ann:pw@proxy:3128/x",
                "EMPTY_TOKEN=",
            ]),
            [
                "--env",
                "A=1",
                "-e",
                "HF_TOKEN=***",
                "--env=API_KEY=***",
                "-eDB_PASSWORD=***",
                "--token",
                "***",
                "--password",
                "--rm",
                "--log-opt",
                "splunk-token=***",
                "--label=a.b=c",
                "http_proxy=http://ann:***@proxy:3128/x",
                "EMPTY_TOKEN=",
            ]
        );
        let plain = [
            "--gpus",
            "\"device=0,1\"",
            "--mount",
            "type=bind,source=/a,target=/b",
            "https://ann@h/x:y@z",
        ];
        assert_eq!(shown(&plain), plain);
    }

    #[test]
    fn secrets_in_words_become_variables() {
        let mut options = ContainerOptions {
            extra: [
                "-e",
                "A=1",
                "-e",
                "HF_TOKEN=x",
                "--env=API_KEY=y",
                "--env",
                "INHERITED_TOKEN",
                "-eDB_PASSWORD=z",
                "--env",
            ]
            .map(str::to_owned)
            .to_vec(),
            ..ContainerOptions::default()
        };
        options.take_secrets_from_words();
        assert_eq!(
            options.extra,
            ["-e", "A=1", "--env", "INHERITED_TOKEN", "--env"]
        );
        let found: Vec<_> = options.env.iter().map(|(a, b)| (&a[..], &b[..])).collect();
        assert_eq!(
            found,
            [("API_KEY", "y"), ("DB_PASSWORD", "z"), ("HF_TOKEN", "x")]
        );
        let text = serde_json::to_string(&options).unwrap();
        assert!(text.contains(r#""HF_TOKEN":"***""#), "{text}");
        assert_eq!(serde_json::to_string(&options.concealed()).unwrap(), text);
    }
}
