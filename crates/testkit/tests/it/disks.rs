//! File systems that are full, read-only, or execute nothing.

use flagperf_testkit::TestBed;

use crate::support::over_ssh;

/// What a command that must fail complains about.
#[track_caller]
fn complaint(bed: &TestBed, destination: &str, command: &str) -> String {
    let output = bed.ssh(destination).arg(command).output().unwrap();
    assert!(!output.status.success(), "{command} succeeds");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_full_a_readonly_and_a_noexec_place_are_what_they_are_called() {
    let Some(bed) = TestBed::loopback(2).up() else {
        return;
    };
    let fill = "head -c 100000 /dev/zero > /home/alice/file";
    let write = "echo > /root/file";
    let execute = "cp /bin/true /tmp/ && /tmp/true";
    let all = |node: &str| {
        over_ssh(&bed, &format!("alice@{node}"), fill);
        over_ssh(&bed, node, write);
        over_ssh(&bed, node, execute);
    };
    all("node1");

    bed.fill("node1", "/home/alice", 64 << 10);
    bed.readonly("node1", "/root");
    bed.noexec("node1", "/tmp");
    assert!(complaint(&bed, "alice@node1", fill).contains("No space left"));
    assert!(complaint(&bed, "node1", write).contains("Read-only"));
    assert!(complaint(&bed, "node1", execute).contains("Permission denied"));
    // The place still belongs to whom it belonged to.
    assert_eq!(
        over_ssh(&bed, "node1", "stat -c '%U %a' /home/alice /tmp"),
        "alice 700\nroot 1777"
    );
    all("node2");

    for place in ["/home/alice", "/root", "/tmp"] {
        bed.restore("node1", place);
    }
    all("node1");
    // A place that is not there is made where one can be made.
    bed.fill("node1", "/tmp/new/place", 4096);
    assert_eq!(
        over_ssh(&bed, "node1", "stat -c %m /tmp/new/place"),
        "/tmp/new/place"
    );
}
