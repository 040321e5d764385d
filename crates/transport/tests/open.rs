//! Bringing up agents that take their time. They are shells with an agent's first words.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it must be"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flagperf_model::{Launcher, NodeName, NodeSpec, ProgramSource, Timestamp};
use flagperf_transport::{Launch, Programs, Session, Terms};
use flagperf_wire::{ClockAnchor, FromAgent, Timing, encode};

const BUILD: [u8; 32] = [7; 32];

/// A shell command that prints an agent's hello.
fn hello() -> String {
    let hello = FromAgent::Hello {
        build: BUILD,
        size: 1,
        started: 1,
        program: String::new(),
        version: "1".to_owned(),
        pid: 1,
        clock: ClockAnchor {
            unix: Timestamp(0),
            mono_ns: 0,
        },
    };
    let mut text = String::from("printf '");
    for byte in encode(&hello).unwrap() {
        write!(text, "\\{byte:03o}").unwrap();
    }
    text + "'"
}

/// Opens a session with a shell script that counts as silent after 0.2 s, within so many seconds.
async fn open(script: &str, seconds: f64) -> Result<(), String> {
    let spec = NodeSpec {
        name: NodeName::new("node1").unwrap(),
        address: None,
        launcher: Launcher::Exec {
            words: ["sh", "-c", script].map(str::to_owned).to_vec(),
        },
        program: ProgramSource::Installed("installed".to_owned()),
        env: BTreeMap::new(),
    };
    let patience = Duration::from_secs_f64(seconds);
    let launch = Launch::new(&spec, Path::new("/own"), "", "", patience, false);
    let terms = Terms {
        timing: Timing {
            heartbeat_s: 0.05,
            silent_s: 0.2,
            lost_s: 30.0,
        },
        patience,
        window: 1,
        pack: false,
        scratch: None,
        chips: std::sync::Arc::default(),
        version: "1",
    };
    let programs = Programs::new(PathBuf::from("/own"), BUILD);
    match Session::open(&launch, &programs, &terms).await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_silence_before_the_first_words_does_no_harm() {
    let script = format!("sleep 1; {}; cat >/dev/null", hello());
    assert_eq!(open(&script, 10.0).await, Ok(()));
}

#[tokio::test]
async fn an_agent_that_says_nothing_has_all_the_time_that_it_was_given() {
    let told = open("exec sleep 20", 1.0).await;
    let expected = "it did not come up within 1 s: its agent (`installed`) had said nothing";
    assert_eq!(told, Err(expected.to_owned()));
}

#[tokio::test]
async fn an_agent_that_ends_after_a_silence_is_told_as_that() {
    let told = open("sleep 0.5; echo no luck >&2; exit 3", 10.0).await;
    let told = told.unwrap_err();
    assert!(told.contains("exit status: 3"), "{told}");
    assert!(told.contains("no luck"), "{told}");
}
