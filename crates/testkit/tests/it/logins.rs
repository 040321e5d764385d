//! Who logs in where, and what they find.

use std::fs;

use flagperf_testkit::TestBed;

use crate::support::{over_ssh, said};

#[test]
fn root_alice_and_bob_log_in_and_are_strangers_to_each_other() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    for (destination, who) in [
        ("node2", "root 0 /root"),
        ("alice@node2", "alice 20001 /home/alice"),
        ("bob@node2", "bob 20002 /home/bob"),
    ] {
        let found = over_ssh(
            &bed,
            destination,
            "echo $(id -un) $(id -u) $HOME; pwd; touch mine",
        );
        let home = who.rsplit(' ').next().unwrap();
        assert_eq!(found, format!("{who}\n{home}"));
    }
    let refused = bed.ssh("bob@node2").arg("ls /home/alice").output().unwrap();
    assert!(!refused.status.success());
    // Nobody of them exists outside.
    assert_eq!(fs::read_to_string("/etc/passwd").unwrap(), passwd);
    // The rest of the machine is there to be read only.
    let refused = bed.ssh("node2").arg("touch /usr/x").output().unwrap();
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("Read-only"),
        "{refused:?}"
    );
    // Commands that do not come through ssh find the same place.
    let inside = bed.exec(
        "node2",
        &[
            "sh",
            "-c",
            "hostname; pwd; ls; getent hosts node1 controller",
        ],
    );
    let address = bed.address("node1").ip();
    let inside: Vec<String> = said(&inside)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    let expected = [
        "node2",
        "/root",
        "mine",
        &address.to_string(),
        "node1",
        "10.77.0.1",
        "controller",
    ];
    assert_eq!(inside, expected);
    let failed = bed.exec("node2", &["sh", "-c", "exit 7"]);
    assert_eq!(failed.status.code(), Some(7));
}

#[test]
fn a_greeting_comes_before_what_a_command_says() {
    let Some(bed) = TestBed::loopback(2).banner("node2").up() else {
        return;
    };
    assert_eq!(over_ssh(&bed, "node1", "echo this"), "this");
    for destination in ["node2", "alice@node2"] {
        let said = over_ssh(&bed, destination, "echo this");
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines.len() > 1 && lines[0].contains("Welcome"), "{said}");
        assert_eq!(lines.last(), Some(&"this"));
    }
    assert_eq!(over_ssh(&bed, "bob@node2", "echo this"), "this");
}

#[test]
fn a_clock_can_be_an_hour_off() {
    let Some(bed) = TestBed::loopback(2).clock("node2", "+1h").up() else {
        return;
    };
    let seconds =
        |node: &str, command: &str| -> f64 { over_ssh(&bed, node, command).parse().unwrap() };
    // A shell's tool, and a program that asks the C library.
    for command in [
        "date +%s",
        "/usr/bin/python3 -IS -c 'import time; print(time.time())'",
    ] {
        let off = seconds("node2", command) - seconds("node1", command);
        assert!((3590.0..3700.0).contains(&off), "{off} s by {command}");
    }
    let steady = "/usr/bin/python3 -IS -c 'import time; print(time.monotonic())'";
    let off = seconds("node2", steady) - seconds("node1", steady);
    assert!(off.abs() < 60.0, "the monotonic clock is {off} s off");
}

#[test]
fn every_host_has_a_key_of_its_own_and_another_is_refused() {
    let Some(bed) = TestBed::loopback(2)
        .sshd_option("node2", "Banner /run/testbed/sshd_config")
        .up()
    else {
        return;
    };
    let keys = fs::read_to_string(bed.dir().join("known_hosts")).unwrap();
    let keys: Vec<&str> = keys
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap())
        .collect();
    assert_ne!(keys[0], keys[1]);
    let swapped = bed.dir().join("swapped");
    fs::write(
        &swapped,
        format!("node1,{} ssh-ed25519 {}\n", host(&bed), keys[1]),
    )
    .unwrap();
    let option = format!("-oUserKnownHostsFile={}", swapped.display());
    let refused = bed.ssh("node1").args([&option, "true"]).output().unwrap();
    let complaint = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(255), "{complaint}");
    assert!(
        complaint.contains("Host key verification failed"),
        "{complaint}"
    );
    // The extra line of node2's configuration counts.
    let greeted = bed.ssh("node2").arg("true").output().unwrap();
    assert!(
        String::from_utf8_lossy(&greeted.stderr).contains("AuthorizedKeysFile"),
        "{greeted:?}"
    );
}

fn host(bed: &TestBed) -> String {
    let address = bed.address("node1");
    format!("[{}]:{}", address.ip(), address.port())
}
