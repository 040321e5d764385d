//! Commands that make a container ready.

use std::fs;

use super::{IMAGE, on_docker, settings};
use crate::cluster::RESULT;
use crate::support::ran;

#[test]
fn setup_commands_run_in_the_container_and_their_output_is_kept() {
    let Some(cluster) = on_docker(2) else { return };
    let setup = cluster.place.path("setup");
    fs::create_dir_all(&setup).unwrap();
    fs::write(setup.join("requirements.txt"), "torch\n").unwrap();
    settings(
        &cluster,
        &format!(
            "image = \"{IMAGE}\"
            setup_directory = \"setup\"
            setup = [\"cp requirements.txt /made\", [\"sh\", \"-c\", \"echo from $PIP_SOURCE and $PIP_INDEX_URL\"]]"
        ),
    );
    cluster.case("ready", "all", &format!("cat /made; {RESULT}"));
    let mut command = cluster.command(&["ready"]);
    let source = "https://lab.example/simple";
    let ended = ran(command.env("PIP_SOURCE", source).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for node in ["node1", "node2"] {
        assert!(cluster.output("ready", node).contains("torch"));
        assert_eq!(cluster.done(node, "configure_container"), "2 commands");
        let log = cluster.step_log(node, "configure_container");
        let line = format!("from {source} and {source}");
        assert!(log.contains("$ cp requirements.txt /made\n"), "{log}");
        assert!(log.lines().any(|one| one == line), "{log}");
    }
    cluster.await_gone();
}

#[test]
fn a_setup_command_that_fails_is_the_failure_of_the_case() {
    let Some(cluster) = on_docker(2) else { return };
    settings(
        &cluster,
        &format!(
            "image = \"{IMAGE}\"
            setup = [\"true\", [\"sh\", \"-c\", \"echo the last words; exit $(hostname | tr -dc 2)\"], \"touch /never\"]"
        ),
    );
    cluster.case("never", "each", RESULT);
    let ran = cluster.run(&["never"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let outcome = cluster.place.outcome();
    let failed = &outcome["failed"];
    assert_eq!(failed["node"], "node2", "{outcome}");
    let cause = &failed["cause"]["environment"];
    assert_eq!(cause["step"], "configure_container", "{outcome}");
    let reason = cause["reason"].as_str().unwrap();
    assert!(reason.contains("failed (exit status 2)"), "{reason}");
    assert!(ran.stderr.contains("the last words"), "{}", ran.stderr);
    let log = cluster.step_log("node2", "configure_container");
    assert!(!log.contains("/never"), "{log}");
    cluster.await_gone();

    cluster.forget();
    settings(
        &cluster,
        &format!("image = \"{IMAGE}\"\nsetup = [\"no-such-program --at-all\"]"),
    );
    let ran = cluster.run(&["never"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let step = cluster.step("node1", "configure_container");
    let reason = step["outcome"]["failed"]["reason"].as_str().unwrap();
    assert!(reason.contains("`no-such-program"), "{reason}");
    cluster.await_gone();
}
