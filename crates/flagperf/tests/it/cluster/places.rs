//! Nodes on which the program cannot be placed or run, or not where one would expect.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};
use crate::support::{Ran, ran};

/// One node with something over its home directory.
fn spoilt(spoil: impl Fn(&TestBed)) -> Option<Cluster> {
    let bed = TestBed::hosts(1).up()?;
    // Keys of the user lie beside the spoilt directory, or nobody could log in.
    bed.exec("node1", &["mkdir", "-p", "/root/.cache"]);
    spoil(&bed);
    let cluster = Cluster::new(bed);
    cluster.case("quick", "each", RESULT);
    Some(cluster)
}

fn refused(cluster: &Cluster, words: &str) -> Ran {
    cluster.settings("[session]\nconnect = \"1m\"\n[defaults]\ndirectory = \"/root/.cache/own\"\n");
    let ran = cluster.run(&["quick"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains(words), "{}", ran.stderr);
    assert!(ran.stderr.contains("/root/.cache/own"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`directory`"), "{}", ran.stderr);
    ran
}

/// Without a directory of the user's choice the next place does.
fn placed_elsewhere(cluster: &Cluster) {
    cluster.settings("[session]\nconnect = \"1m\"\n");
    cluster.passes(&["quick"]);
    assert_eq!(cluster.sh("node1", "ls -A /root/.cache/flagperf"), "");
    assert_ne!(cluster.sh("node1", "ls -A /tmp/flagperf-0"), "");
    cluster.await_clean();
}

#[test]
fn a_full_home_directory() {
    let full = |bed: &TestBed| bed.fill("node1", "/root/.cache", 1 << 20);
    let Some(cluster) = spoilt(full) else {
        return;
    };
    refused(&cluster, "no space left");
    placed_elsewhere(&cluster);
}

#[test]
fn a_home_directory_that_cannot_be_written() {
    let Some(cluster) = spoilt(|bed| bed.readonly("node1", "/root/.cache")) else {
        return;
    };
    refused(&cluster, "ead-only file system");
    placed_elsewhere(&cluster);
}

#[test]
fn a_home_directory_from_which_nothing_can_be_run() {
    let Some(cluster) = spoilt(|bed| bed.noexec("node1", "/root/.cache")) else {
        return;
    };
    refused(&cluster, "ermission denied");
    placed_elsewhere(&cluster);
}

/// A launcher that enters the node with other tools in front: a file with a word for the node.
fn through(cluster: &Cluster, path: &str) -> Ran {
    let init = cluster.bed.init("node1");
    let wrapper = cluster.place.path("enter");
    fs::write(
        &wrapper,
        format!(
            "#!/bin/sh\n[ \"$1\" = node1 ] || exit 9\nshift\nsh=$(command -v \"$1\"); shift\nexec nsenter --target {init} --all --wd=/ env -i HOME=/root PATH={path} \"$sh\" \"$@\"\n"
        ),
    )
    .unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let exec = format!("{} {{node}}", wrapper.display());
    ran(cluster
        .bare(&["quick", "--nodes", "node1", "--exec", &exec])
        .output()
        .unwrap())
}

#[test]
fn any_command_reaches_a_node() {
    let Some(cluster) = spoilt(|_| {}) else {
        return;
    };
    cluster.case("quick", "each", &format!("hostname; {RESULT}"));
    let ran = through(&cluster, "/usr/bin:/bin");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(cluster.output("quick", "node1").contains("node1"));
    cluster.await_clean();
}

#[test]
fn a_missing_tool_is_named() {
    let Some(cluster) = spoilt(|bed| {
        let tools = "mkdir /tmp/few && for t in uname wc chmod mv mkdir rm id sh df env; do ln -s $(command -v $t) /tmp/few; done";
        bed.exec("node1", &["sh", "-c", tools]);
    }) else {
        return;
    };
    let ran = through(&cluster, "/tmp/few");
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("`head` is missing"), "{}", ran.stderr);
}

#[test]
fn a_foreign_architecture_is_named() {
    let Some(cluster) = spoilt(|bed| {
        let tool = "mkdir /tmp/other && printf '#!/bin/sh\\necho riscv64\\n' >/tmp/other/uname && chmod 755 /tmp/other/uname";
        bed.exec("node1", &["sh", "-c", tool]);
    }) else {
        return;
    };
    let ran = through(&cluster, "/tmp/other:/usr/bin:/bin");
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("riscv64"), "{}", ran.stderr);
    assert!(ran.stderr.contains("scripts/release"), "{}", ran.stderr);
}
