//! Commands that are asked for nodes and do not answer.

use std::time::{Duration, Instant};

use crate::support::{Place, Ran, flagperf, is_alive, ran, signal, within};

/// Processes that live and have this text among their arguments.
fn running(text: &str) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments = String::from_utf8_lossy(&arguments).replace('\0', " ");
            arguments.trim_end() == text && is_alive(*pid)
        })
        .collect()
}

fn refused(ran: &Ran, words: &[&str]) {
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
}

#[test]
fn a_command_that_hangs_is_ended_with_all_it_started() {
    let command = "setsid sleep 961.5 & sleep 962.5";
    let began = Instant::now();
    let ran = ran(flagperf(&["run", "--nodes-command", command])
        .output()
        .unwrap());
    let took = began.elapsed();
    assert!(took > Duration::from_secs(29), "{took:?}");
    assert!(took < Duration::from_secs(50), "{took:?}");
    refused(&ran, &["--nodes-command", "had not ended after 30s"]);
    for sleep in ["sleep 961.5", "sleep 962.5"] {
        assert_eq!(running(sleep), [0u32; 0], "{sleep}");
    }
}

#[test]
fn ctrl_c_ends_a_command_that_hangs() {
    let place = Place::new();
    let running_program = place.start(&["--nodes-command", "sleep 963.5; true"]);
    within(10.0, "the command runs", || {
        !running("sleep 963.5").is_empty()
    });
    signal(running_program.child.id(), "INT");
    let ended = running_program.end(10.0);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert!(ended.stderr.contains("before anything was started"));
    assert_eq!(running("sleep 963.5"), [0u32; 0]);
}

#[test]
fn a_configuration_of_ssh_that_hangs_is_told() {
    let place = Place::new();
    let config = place.path("ssh_config");
    std::fs::write(&config, "Match exec \"sleep 964.5\"\nUser nobody\n").unwrap();
    let began = Instant::now();
    let mut command = flagperf(&["run", "--nodes", "127.0.0.1", "--ssh-config"]);
    let ran = ran(command.arg(&config).output().unwrap());
    let took = began.elapsed();
    assert!(took < Duration::from_secs(30), "{took:?}");
    refused(&ran, &["ssh -G", "had not ended after 10s", "Match exec"]);
    assert_eq!(running("sleep 964.5"), [0u32; 0]);
}
