//! What a user's own ssh and login shell may do to a session.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};
use crate::support::{Ran, ran};

fn cluster(nodes: usize) -> Option<Cluster> {
    let cluster = Cluster::new(TestBed::hosts(nodes).up()?);
    cluster.case("quick", "each", RESULT);
    cluster.installed("");
    Some(cluster)
}

/// A configuration of ssh that says something before what the test bed's says.
fn configured(cluster: &Cluster, text: &str) -> PathBuf {
    let path = cluster.place.path("ssh_config");
    let usual = fs::read_to_string(cluster.bed.ssh_config()).unwrap();
    fs::write(&path, format!("{text}\n{usual}")).unwrap();
    path
}

fn run(cluster: &Cluster, config: &PathBuf, nodes: &str, more: &[&str]) -> Ran {
    let mut command = cluster.bare(&["quick", "--nodes", nodes, "--ssh-config"]);
    ran(command.arg(config).args(more).output().unwrap())
}

#[test]
fn what_a_login_says_before_it_ends_is_told() {
    let Some(cluster) = cluster(1) else {
        return;
    };
    cluster.settings("");
    let ubuntu = "Please login as the user ubuntu rather than the user root.";
    for (bashrc, texts, hint) in [
        (
            format!("echo '{ubuntu}'; exit 142"),
            vec![ubuntu, "142"],
            "User in ~/.ssh/config",
        ),
        (
            "echo 'This account is currently not available.'; exit 1".to_owned(),
            vec!["currently not available"],
            "another user",
        ),
        (
            "echo 'Permission denied (publickey)' >&2; exit 7".to_owned(),
            vec!["Permission denied", "exit status: 7"],
            "start-up files",
        ),
        (
            "exec no-such-shell".to_owned(),
            vec!["no-such-shell", "127"],
            "start-up files",
        ),
    ] {
        let script = format!("printf '%s\\n' \"{bashrc}\" >/root/.bashrc");
        cluster.sh("node1", &script);
        let ended = cluster.run(&["quick"]);
        assert_eq!(ended.code, Some(4), "{}", ended.stderr);
        for text in texts.into_iter().chain([hint]) {
            assert!(ended.stderr.contains(text), "{text}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_greeting_does_no_harm_to_a_program_that_is_there() {
    let Some(bed) = TestBed::hosts(1).banner("node1").up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("quick", "each", RESULT);
    cluster.installed("");
    let ended = cluster.passes(&["quick"]);
    assert!(ended.stderr.contains("login shell"), "{}", ended.stderr);
}

#[test]
fn settings_of_the_users_that_would_take_the_streams_away() {
    let Some(cluster) = cluster(1) else {
        return;
    };
    let master = cluster.place.path("master");
    let config = configured(
        &cluster,
        &format!(
            "StdinNull yes\nSessionType none\nForkAfterAuthentication yes\nControlMaster auto\nControlPersist 10m\nControlPath {}",
            master.display()
        ),
    );
    let ended = run(&cluster, &config, "node1", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // Nothing of ours goes on, in the place where others would look for a master.
    assert!(!master.exists());
    cluster.await_idle();
}

#[test]
fn a_master_connection_of_the_users_is_used() {
    let Some(cluster) = cluster(1) else {
        return;
    };
    let master = cluster.place.path("master");
    let path = format!("ControlPath {}", master.display());
    let config = configured(&cluster, &path);
    let ssh = |arguments: &[&str]| {
        let mut command: Command = cluster.bed.controller("ssh");
        command.arg("-F").arg(&config).args(arguments);
        command.stdin(Stdio::null());
        command
    };
    let mut running = ssh(&["-M", "-N", "node1"]).spawn().unwrap();
    crate::support::within(10.0, "the master", || master.exists());
    let logins = || {
        let log = fs::read_to_string(cluster.bed.dir().join("nodes.d/node1/sshd.log")).unwrap();
        log.matches("Accepted publickey").count()
    };
    let before = logins();
    let ended = run(&cluster, &config, "node1", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!((before, logins()), (1, 1));
    assert!(master.exists(), "it is the user's, and goes on");
    assert!(ssh(&["-O", "exit", "node1"]).status().unwrap().success());
    running.wait().unwrap();
}

#[test]
fn a_node_behind_another() {
    let Some(cluster) = cluster(2) else {
        return;
    };
    let config = configured(&cluster, "Host node2\n    ProxyJump node1\nHost *");
    let ended = run(&cluster, &config, "node2", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let log = fs::read_to_string(cluster.bed.dir().join("nodes.d/node2/sshd.log")).unwrap();
    let jump = cluster.bed.address("node1").ip();
    assert!(log.contains(&format!("from {jump} ")), "{log}");
    // Without the one in between there is no way to the other, and that is not the other's fault.
    let config = configured(
        &cluster,
        "Host node2\n    ProxyCommand no-such-command %h\nHost *",
    );
    let ended = run(&cluster, &config, "node2", &[]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("ProxyCommand"), "{}", ended.stderr);
    assert!(ended.stderr.contains("no-such-command"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("MaxStartups"), "{}", ended.stderr);
}

#[test]
fn a_new_host_key_is_taken_if_that_is_asked_for() {
    let Some(cluster) = cluster(1) else {
        return;
    };
    let known = cluster.bed.dir().join("known_hosts");
    fs::write(&known, "").unwrap();
    let config = cluster.bed.ssh_config().to_owned();
    let ended = run(&cluster, &config, "node1", &[]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--accept-new-host-keys"),
        "{}",
        ended.stderr
    );
    assert_eq!(fs::read_to_string(&known).unwrap(), "");
    let ended = run(&cluster, &config, "node1", &["--accept-new-host-keys"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_ne!(fs::read_to_string(&known).unwrap(), "");
}

#[test]
fn a_name_of_this_machine_may_lead_elsewhere() {
    let Some(cluster) = cluster(1) else {
        return;
    };
    // What is said of the program would count as a reason to go through ssh.
    cluster.settings("");
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let own = own.trim();
    // Where there is no word about it, it is this machine, as the log tells.
    let config = cluster.bed.ssh_config().to_owned();
    let ended = run(&cluster, &config, own, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let log = fs::read_to_string(cluster.place.run_directory().join("flagperf_run.log")).unwrap();
    assert!(log.contains("without a connection"), "{log}");
    for name in [own, "localhost"] {
        let node = cluster.bed.address("node1");
        let alias = format!(
            "Host {name}\n    HostName {}\n    Port {}\n    HostKeyAlias node1\nHost *",
            node.ip(),
            node.port()
        );
        let config = configured(&cluster, &alias);
        let plan = run(&cluster, &config, name, &["--dry-run", "--json"]);
        assert_eq!(plan.code, Some(0), "{}", plan.stderr);
        let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
        let launcher = &plan["nodes"][0]["launcher"];
        assert_eq!(launcher["ssh"]["host"], name, "{plan}");
    }
    // A command may lead into a container that has the name of its host.
    let exec = "false {node}";
    let mut command = cluster.bare(&["quick", "--nodes", own, "--exec", exec]);
    assert_eq!(command.output().unwrap().status.code(), Some(4));
    let ended = command.arg("--in-container").arg("--dry-run").output();
    assert_eq!(ended.unwrap().status.code(), Some(0));
}
