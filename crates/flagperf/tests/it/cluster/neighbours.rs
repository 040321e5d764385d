//! What else is on the nodes: other users who mean harm, and a machine that is listed twice.

use std::fs;

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};
use crate::support::{Running, ran};

#[test]
fn what_another_user_puts_in_tmp_holds_nobody_up() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("[session]\nconnect = \"1m\"\n");
    cluster.case("quick", "each", &format!("touch $FLAGPERF_OUT/f; {RESULT}"));
    // Whoever opens the pipe waits for ever; the file and the link lead to what is not root's.
    let trap = "cd /tmp && mkdir flagperf-0-evil flagperf-0-file && mkfifo flagperf-0-evil/lock && touch flagperf-0-file/lock && ln -s /home/alice flagperf-0-link && chmod 777 flagperf-0-*/* flagperf-0-[ef]*";
    let alice = cluster.bed.ssh("alice@node1").arg(trap).output().unwrap();
    assert!(alice.status.success(), "{alice:?}");
    let theirs = || {
        cluster.sh(
            "node1",
            "find /tmp/flagperf-0-* /home/alice -exec ls -ld {} +",
        )
    };
    let before = theirs();
    assert!(before.contains("prw"), "{before}");
    let child = cluster
        .command(&["quick"])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let ended = Running { child }.end(30.0);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(theirs(), before);
    cluster.await_idle();
    cluster.await_clean_on("node2");
}

#[test]
fn one_machine_under_two_names_is_told() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("quick", "each", RESULT);
    let config = cluster.place.path("ssh_config");
    let address = cluster.bed.address("node1");
    let text = format!(
        "Host twin\n    HostName {}\n    Port {}\n\nHost *\n    Include {}\n",
        address.ip(),
        address.port(),
        cluster.bed.ssh_config().display()
    );
    fs::write(&config, text).unwrap();
    let mut command = cluster.bare(&["quick", "--nodes", "node1,node2,twin", "--ssh-config"]);
    let ended = ran(command.arg(config).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let warnings: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.contains("one machine under two names"))
        .collect();
    assert_eq!(warnings.len(), 1, "{}", ended.stderr);
    assert!(
        warnings[0].contains("node1 and twin are one machine"),
        "{warnings:?}"
    );
    cluster.await_clean();
}

#[test]
fn nodes_on_one_network_stack_are_not_taken_for_one_machine() {
    let Some(bed) = TestBed::loopback(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("quick", "each", RESULT);
    let ran = cluster.passes(&["quick"]);
    assert!(!ran.stderr.contains("under two names"), "{}", ran.stderr);
    cluster.await_clean();
}
