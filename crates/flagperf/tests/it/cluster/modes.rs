//! In-container mode, and the node that is this machine.

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};
use crate::support::ran;

/// How many of the steps that containers save are named.
fn steps(text: &str) -> usize {
    text.lines().filter(|line| line.contains("skipped")).count()
}

#[test]
fn in_container_mode_names_the_steps_that_it_skips() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("quick", "all", RESULT);
    let plan = cluster.passes(&["quick", "--dry-run", "--in-container"]);
    assert_eq!(steps(&plan.stdout), 4, "{}", plan.stdout);
    let mut command = cluster.command(&["quick", "--dry-run"]);
    let plan = ran(command.env("EXEC_IN_CONTAINER", "0").output().unwrap());
    assert_eq!(steps(&plan.stdout), 0, "{}", plan.stdout);
    let mut command = cluster.command(&["quick"]);
    let ended = ran(command.env("EXEC_IN_CONTAINER", "True").output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let log =
        std::fs::read_to_string(cluster.place.run_directory().join("flagperf_run.log")).unwrap();
    assert!(steps(&log) >= 4, "{log}");
    assert!(log.contains("EXEC_IN_CONTAINER"), "{log}");
    cluster.await_clean();
}

#[test]
fn a_doubtful_in_container_mode_is_refused() {
    let Some(bed) = TestBed::hosts(1).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("quick", "each", RESULT);
    let mut command = cluster.command(&["quick"]);
    let ended = ran(command.env("EXEC_IN_CONTAINER", "maybe").output().unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("EXEC_IN_CONTAINER"),
        "{}",
        ended.stderr
    );
    assert_eq!(cluster.left_on("node1"), [""; 0]);
}

#[test]
fn a_container_without_the_mode_gives_a_hint() {
    let Some(bed) = TestBed::hosts(1).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("quick", "each", RESULT);
    // What podman leaves in its containers.
    cluster.sh("node1", "touch /run/.containerenv");
    let hint = |stderr: &str| {
        let line = stderr
            .lines()
            .find(|line| line.contains("node1 is a container ("));
        line.map(str::to_owned)
    };
    let mut command = cluster.command(&["quick"]);
    let without = ran(command.output().unwrap());
    assert_eq!(without.code, Some(0), "{}", without.stderr);
    let line = hint(&without.stderr).unwrap_or_else(|| panic!("{}", without.stderr));
    assert!(
        line.contains("EXEC_IN_CONTAINER=True or --in-container"),
        "{line}"
    );
    for (quiet, value) in [(false, "True"), (true, "")] {
        let mut command = cluster.command(&["quick"]);
        if quiet {
            command.arg("--quiet");
        }
        let ended = ran(command.env("EXEC_IN_CONTAINER", value).output().unwrap());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(hint(&ended.stderr), None, "{}", ended.stderr);
    }
    cluster.await_clean();
}

#[test]
fn an_address_of_this_machine_needs_no_connection() {
    let Some(bed) = TestBed::hosts(1).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("where", "each", &format!("hostname; {RESULT}"));
    let launchers = |list: &str, more: &[&str]| {
        let mut command = cluster.bare(&["where", "--dry-run", "--json", "--nodes", list]);
        let ended = ran(command.args(more).output().unwrap());
        assert_eq!(ended.code, Some(0), "{list} {more:?}: {}", ended.stderr);
        let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        plan["nodes"][0]["launcher"].clone()
    };
    // Nothing serves ssh there.
    for address in ["127.0.0.1", "0:0:0:0:0:0:0:1"] {
        assert_eq!(launchers(address, &[]), "local", "{address}");
    }
    let config = std::fs::read_to_string(cluster.bed.ssh_config()).unwrap();
    let untouched = cluster.place.path("untouched");
    std::fs::write(&untouched, &config).unwrap();
    let untouched = untouched.to_str().unwrap();
    let listed = ["--launcher", "ssh"];
    assert_ne!(
        launchers(
            "node1",
            &[&listed[..], &["--ssh-config", untouched]].concat()
        ),
        "local"
    );
    // An alias of that name leads elsewhere, and so does a host.
    let alias = cluster.place.path("alias");
    let address = cluster.bed.address("node1").ip();
    let entry = format!("Host 127.0.0.1\n    HostName {address}\n    HostKeyAlias node1\n");
    std::fs::write(&alias, format!("{entry}{config}")).unwrap();
    let alias = alias.to_str().unwrap();
    let launcher = launchers("127.0.0.1", &["--ssh-config", alias]);
    assert_eq!(launcher["ssh"]["host"], "127.0.0.1", "{launcher}");
    cluster.settings("nodes = \"127.0.0.1\"\n[node.\"127.0.0.1\"]\nhost = \"node1\"\n");
    let launcher = launchers("127.0.0.1", &["--ssh-config", untouched]);
    assert_eq!(launcher["ssh"]["host"], "node1", "{launcher}");
    cluster.await_clean();
}
