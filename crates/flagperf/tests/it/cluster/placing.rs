//! Copies of the program on nodes: shared, damaged, planted, forgotten.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};
use crate::support::{Place, Ran, ran};

const PROGRAM: &str = env!("CARGO_BIN_EXE_flagperf");

/// A test bed of one node that runs a case of one line.
fn one_node() -> Option<Cluster> {
    let cluster = Cluster::new(TestBed::hosts(1).up()?);
    cluster.case("quick", "each", RESULT);
    cluster.settings("[session]\nconnect = \"1m\"\n");
    Some(cluster)
}

/// A launcher of the user's: a shell script whose arguments are the node and the words behind it.
fn launcher(place: &Place, script: &str) -> String {
    let path = place.path("launcher");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{} {{node}}", path.display())
}

#[test]
fn nodes_that_share_a_cache_and_process_numbers_do_not_meet() {
    let enter = "unshare --pid --fork --kill-child --mount-proc";
    let may = Command::new("sh")
        .args(["-c", &format!("{enter} true")])
        .output()
        .unwrap();
    if !may.status.success() {
        assert!(std::env::var_os("CI").is_none(), "no rights for namespaces");
        println!("skipped: no rights for namespaces");
        return;
    }
    let place = Place::new();
    place.case("quick", RESULT);
    let settings = place.path("flagperf.toml");
    fs::write(&settings, "[session]\nconnect = \"2m\"\n").unwrap();
    let exec = launcher(&place, &format!("shift; exec {enter} \"$@\""));
    let ended = ran(place
        .command(&["quick", "--nodes", "a[1-8]", "--exec", &exec, "--config"])
        .arg(settings)
        .env("XDG_CACHE_HOME", place.path("cache"))
        .output()
        .unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let copies: Vec<PathBuf> = fs::read_dir(place.path("cache/flagperf"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    assert!(fs::read(&copies[0]).unwrap() == fs::read(PROGRAM).unwrap());
}

#[test]
fn a_damaged_copy_is_replaced() {
    let Some(cluster) = one_node() else {
        return;
    };
    cluster.passes(&["quick"]);
    let name = cluster.sh("node1", "ls /root/.cache/flagperf");
    let copy = format!("/root/.cache/flagperf/{}", name.trim());
    for (what, damage) in [
        ("a part of it", format!("head -c 3000000 {PROGRAM} >$c")),
        ("zeros", "head -c 1000000 /dev/zero >$c".to_owned()),
        (
            "another program",
            "printf '#!/bin/sh\\necho hello\\n' >$c".to_owned(),
        ),
        ("another build", format!("cp {PROGRAM} $c; echo more >>$c")),
    ] {
        let script =
            format!("c={copy}; rm $c; {damage}; chmod 700 $c; cmp -s $c {PROGRAM} || echo damaged");
        assert_eq!(cluster.sh("node1", &script), "damaged\n", "{what}");
        let ended = cluster.run(&["quick"]);
        assert_eq!(ended.code, Some(0), "{what}: {}", ended.stderr);
        let compare = format!("cmp {copy} {PROGRAM} && ls -A /root/.cache/flagperf");
        assert_eq!(cluster.sh("node1", &compare), name, "{what}");
    }
    // What is no file is not removed, but told.
    cluster.sh("node1", &format!("rm {copy}; mkdir {copy}"));
    cluster.passes(&["quick"]);
    assert_eq!(cluster.sh("node1", "ls /tmp/flagperf-0"), name);
    cluster.await_clean();
}

#[test]
fn a_directory_that_users_share() {
    let Some(cluster) = one_node() else {
        return;
    };
    let shared = "/var/tmp/shared";
    cluster.sh("node1", &format!("mkdir -m 1777 {shared}"));
    let run = |user: &str| {
        cluster.settings(&format!(
            "[session]\nconnect = \"1m\"\n[defaults]\nuser = \"{user}\"\ndirectory = \"{shared}\"\n"
        ));
        cluster.run(&["quick"])
    };
    for user in ["alice", "bob"] {
        let ended = run(user);
        assert_eq!(ended.code, Some(0), "{user}: {}", ended.stderr);
    }
    let places = format!("stat -c '%U %a' {shared}/*");
    assert_eq!(cluster.sh("node1", &places), "alice 700\nbob 700\n");
    // A copy that somebody else has made is not run, least of all by root.
    let name = cluster.sh("node1", &format!("ls {shared}/flagperf-20001"));
    let planted = format!("{shared}/flagperf-0/{}", name.trim());
    let plant = format!(
        "mkdir -m 755 {shared}/flagperf-0; printf '#!/bin/sh\\ntouch /var/tmp/witness\\n' >{planted}
        chmod 755 {planted}; chown -R alice {shared}/flagperf-0"
    );
    cluster.sh("node1", &plant);
    let ended = run("root");
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("somebody else"), "{}", ended.stderr);
    assert_eq!(cluster.sh("node1", "ls /var/tmp"), "shared\n");
}

/// Runs on the node by a command that enters it and goes on with `script`.
fn entering(cluster: &Cluster, script: &str) -> Ran {
    let init = cluster.bed.init("node1");
    let enter = format!("shift; enter='nsenter --target {init} --all --wd=/'\n{script}");
    let exec = launcher(&cluster.place, &enter);
    let arguments = ["quick", "--nodes", "node1", "--exec", &exec];
    ran(cluster.bare(&arguments).output().unwrap())
}

#[test]
fn without_a_home_directory_another_place_is_taken() {
    let Some(cluster) = one_node() else {
        return;
    };
    for home in ["", "HOME=", "HOME=/tmp/nowhere"] {
        cluster.sh("node1", "rm -rf /tmp/flagperf-0");
        let script = format!("exec $enter env -i {home} PATH=/usr/bin:/bin \"$@\"");
        let ended = entering(&cluster, &script);
        assert_eq!(ended.code, Some(0), "{home}: {}", ended.stderr);
        let left = "ls -d /tmp/flagperf-0 /tmp/nowhere /nonexistent /.cache 2>/dev/null";
        assert_eq!(cluster.sh("node1", left), "/tmp/flagperf-0\n", "{home}");
    }
    cluster.await_clean();
}

#[test]
fn a_launcher_that_keeps_standard_input() {
    let Some(cluster) = one_node() else {
        return;
    };
    let script = "exec $enter env -i HOME=/root PATH=/usr/bin:/bin \"$@\"";
    let without = format!("{script} </dev/null");
    let refused = entering(&cluster, &without);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("`-i`"), "{}", refused.stderr);
    // Nor where the program is there already.
    assert_eq!(entering(&cluster, script).code, Some(0));
    let refused = entering(&cluster, &without);
    assert_eq!(refused.code, Some(4), "{}", refused.stderr);
    assert!(refused.stderr.contains("`-i`"), "{}", refused.stderr);
}

#[test]
fn what_a_launcher_says_while_it_waits_is_told() {
    let place = Place::new();
    place.case("quick", RESULT);
    let settings = place.path("flagperf.toml");
    fs::write(&settings, "[session]\nconnect = \"2s\"\n").unwrap();
    let words = "Confirm user presence for key ED25519-SK";
    let exec = launcher(
        &place,
        &format!("echo '{words}' >&2; echo 'Welcome.'; exec sleep 30"),
    );
    let ended = ran(place
        .command(&["quick", "--nodes", "a", "--exec", &exec, "--config"])
        .arg(settings)
        .output()
        .unwrap());
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    for text in ["2 s", words, "Welcome.", "`-i`"] {
        assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
    }
}

#[test]
fn a_program_that_is_there_may_be_for_another_architecture() {
    let Some(cluster) = one_node() else {
        return;
    };
    // As good as one: another file that speaks as this version does.
    let other = cluster.place.path("flagperf-other");
    let mut bytes = fs::read(PROGRAM).unwrap();
    bytes.extend(b"more");
    fs::write(&other, bytes).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = format!("cp {PROGRAM} /root/other && printf more >>/root/other");
    cluster.sh("node1", &copy);
    let settings = "[session]\nconnect = \"1m\"\n[defaults]\nprogram = \"/root/other\"\n";
    cluster.settings(settings);
    let ended = cluster.run(&["quick"]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    for text in ["/root/other", "copy the file of this version there"] {
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    }
    // A controller that has it beside itself knows it.
    let own = cluster.place.path("flagperf");
    fs::copy(PROGRAM, &own).unwrap();
    let mut command = cluster.bed.controller(&own);
    command
        .args(["run", "quick", "--nodes", "node1", "--ssh-config"])
        .arg(cluster.bed.ssh_config())
        .arg("--cases")
        .arg(cluster.place.path("cases"))
        .arg("--results")
        .arg(cluster.place.path("results"))
        .arg("--config")
        .arg(cluster.place.path("flagperf.toml"));
    let ended = ran(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
