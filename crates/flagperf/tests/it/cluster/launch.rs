//! What must work: a task on all nodes at once, with nothing installed on them.

use std::fs;

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};

#[test]
fn a_case_spans_three_nodes_and_leaves_nothing() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case(
        "spanning",
        "all",
        &format!(
            "echo $RANK/$WORLD_SIZE $NNODES at $MASTER_ADDR:$MASTER_PORT on $(hostname)
            cat beside.txt
            mkdir $FLAGPERF_OUT/deep && hostname >$FLAGPERF_OUT/deep/name.txt
            {RESULT}"
        ),
    );
    fs::write(
        cluster.place.path("cases/spanning/beside.txt"),
        "a file of the case\n",
    )
    .unwrap();
    for node in ["node1", "node2", "node3"] {
        assert_eq!(cluster.left_on(node), [""; 0], "{node} before");
    }
    cluster.passes(&["spanning"]);
    let run = cluster.place.run_directory();
    let mut ports = Vec::new();
    for (rank, node) in ["node1", "node2", "node3"].into_iter().enumerate() {
        let output = cluster.output("spanning", node);
        let (start, port) = output.lines().next().unwrap().split_once(':').unwrap();
        let master = cluster.bed.address("node1").ip();
        assert_eq!(start, format!("{rank}/3 3 at {master}"));
        let (port, host) = port.split_once(" on ").unwrap();
        assert_eq!(host, node);
        ports.push(port.parse::<u16>().unwrap());
        assert!(output.contains("a file of the case"), "{output}");
        let fetched = run.join(format!(
            "spanning/{node}_noderank{rank}/files/deep/name.txt"
        ));
        assert_eq!(fs::read_to_string(fetched).unwrap(), format!("{node}\n"));
    }
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    let record = cluster.record();
    let skew = &record["results"][0]["start_skew"];
    let seconds = skew["seconds"].as_f64().unwrap();
    assert!((0.0..1.0).contains(&seconds), "{skew}");
    assert!(skew["uncertainty_s"].as_f64().unwrap() > 0.0, "{skew}");
    assert_ne!(skew["first"], skew["last"], "{skew}");
    assert_eq!(
        record["results"][0]["collected"].as_array().unwrap().len(),
        3
    );
    cluster.await_clean();
}

#[test]
fn a_second_run_finds_the_program_in_place() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("quick", "each", RESULT);
    let placed = |node| cluster.sh(node, "stat -c '%n %i %y' /root/.cache/flagperf/*");
    assert_eq!(placed("node2"), "");
    cluster.passes(&["quick"]);
    let before = ["node1", "node2"].map(placed);
    assert_eq!(before[1].lines().count(), 1, "{before:?}");
    cluster.passes(&["quick"]);
    assert_eq!(["node1", "node2"].map(placed), before);
    cluster.await_clean();
}

#[test]
fn a_greeting_of_the_login_shell_is_told_and_does_no_harm() {
    let Some(bed) = TestBed::hosts(2).banner("node2").up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("quick", "all", RESULT);
    let ran = cluster.passes(&["quick"]);
    let warning = ran
        .stderr
        .lines()
        .find(|line| line.contains("node2") && line.contains("login shell"));
    assert!(warning.is_some(), "{}", ran.stderr);
    cluster.await_clean();
}

#[test]
fn two_users_run_on_the_same_nodes_at_once() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let alice = Cluster::new(bed);
    alice.case(
        "shared",
        "all",
        &format!("id -un | tee $FLAGPERF_OUT/who; sleep 2; {RESULT}"),
    );
    let bob = crate::support::Place::new();
    let command = |user: &str, results: std::path::PathBuf| {
        let mut command = alice.bed.controller(env!("CARGO_BIN_EXE_flagperf"));
        let settings = alice.place.path(&format!("{user}.toml"));
        fs::write(
            &settings,
            format!("nodes = \"node[1-2]\"\n[defaults]\nuser = \"{user}\"\n"),
        )
        .unwrap();
        command
            .args(["run", "shared", "--cases"])
            .arg(alice.place.path("cases"))
            .arg("--results")
            .arg(results)
            .arg("--config")
            .arg(settings)
            .arg("--ssh-config")
            .arg(alice.bed.ssh_config());
        command.stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::piped());
        command.spawn().unwrap()
    };
    let first = command("alice", alice.place.path("results"));
    let second = command("bob", bob.path("results"));
    for (child, place, user) in [(first, &alice.place, "alice"), (second, &bob, "bob")] {
        let ended = crate::support::ran(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(0), "{user}: {}", ended.stderr);
        for rank in 0..2 {
            let node = rank + 1;
            let fetched = format!("shared/node{node}_noderank{rank}/files/who");
            let who = fs::read_to_string(place.run_directory().join(fetched)).unwrap();
            assert_eq!(who.trim(), user);
        }
    }
    alice.await_clean();
}

#[test]
fn nodes_that_take_their_time_to_connect_are_told() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("[session]\nconnect = \"1m\"\n");
    cluster.case("quick", "each", RESULT);
    cluster
        .bed
        .delay("node2", std::time::Duration::from_millis(400));
    let ran = cluster.passes(&["quick"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(
        lines[0].ends_with(" connecting to node[1-2]"),
        "{}",
        ran.stderr
    );
    assert!(lines[1].contains(" recording in "), "{}", ran.stderr);
    cluster.forget();
    cluster.await_clean();
    let quiet = cluster.passes(&["quick", "--quiet"]);
    assert_eq!(quiet.stderr, "");
}
