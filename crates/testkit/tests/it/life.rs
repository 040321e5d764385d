//! Up and down: what is there while a test bed is up, and that nothing of it is left.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flagperf_testkit::{TestBed, script};

use crate::support::{over_ssh, said, within};

/// What a namespace is known by: processes are in it if theirs has the same.
fn namespace(pid: u32, kind: &str) -> u64 {
    fs::metadata(format!("/proc/{pid}/ns/{kind}"))
        .unwrap()
        .ino()
}

/// The processes in any of these namespaces of a kind. Those that have ended are in none.
fn inside(namespaces: &BTreeSet<u64>, kind: &str) -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::metadata(format!("/proc/{pid}/ns/{kind}"))
                .is_ok_and(|found| namespaces.contains(&found.ino()))
        })
        .collect()
}

fn mounts_that_name(place: &Path) -> Vec<String> {
    fs::read_to_string("/proc/self/mountinfo")
        .unwrap()
        .lines()
        .filter(|line| line.contains(place.to_str().unwrap()))
        .map(str::to_owned)
        .collect()
}

fn links() -> BTreeSet<String> {
    fs::read_dir("/sys/class/net")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn listed() -> String {
    said(&Command::new(script()).arg("list").output().unwrap())
}

#[test]
fn three_hosts_are_reached_and_leave_nothing() {
    let links_before = links();
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    assert_eq!(bed.node_names(), ["node1", "node2", "node3"]);
    for node in bed.node_names() {
        assert_eq!(&over_ssh(&bed, node, "hostname"), node);
        // The node knows the address by which it is reached.
        let route = over_ssh(&bed, node, "ip -brief address show dev eth0");
        assert!(
            route.contains(&bed.address(node).ip().to_string()),
            "{route}"
        );
        // Its processes are its own: its first one, sshd, and what this command needs.
        let processes = over_ssh(&bed, node, "ps -e -o pid= -o comm=");
        assert!(processes.lines().count() < 12, "{processes}");
        assert!(processes.contains("1 tini"), "{processes}");
    }
    // A file of one node is not there on another, nor on the machine.
    over_ssh(&bed, "node1", "echo here > /tmp/only-on-node1");
    assert_eq!(
        over_ssh(
            &bed,
            "node2",
            "ls -A /tmp /var/tmp /dev/shm /root | grep -c only || true"
        ),
        "0"
    );
    assert!(!Path::new("/tmp/only-on-node1").exists());

    let kinds = ["pid", "mnt", "net"];
    let namespaces: Vec<BTreeSet<u64>> = kinds
        .iter()
        .map(|kind| {
            bed.node_names()
                .iter()
                .map(|node| namespace(bed.init(node), kind))
                .collect()
        })
        .collect();
    for (kind, namespaces) in kinds.iter().zip(&namespaces) {
        assert_eq!(namespaces.len(), 3, "{kind}: a namespace for each node");
        assert!(!namespaces.contains(&namespace(std::process::id(), kind)));
        assert!(inside(namespaces, kind).len() >= 3 * 3);
    }
    let dir = bed.dir().to_owned();
    assert!(listed().contains(dir.to_str().unwrap()));
    assert_eq!(
        links(),
        links_before,
        "nothing is added to the machine's own network"
    );
    assert_eq!(
        mounts_that_name(&dir),
        [""; 0],
        "no mount is seen from outside"
    );

    drop(bed);
    for (kind, namespaces) in kinds.iter().zip(&namespaces) {
        assert_eq!(inside(namespaces, kind), [0; 0], "{kind}");
    }
    assert!(!dir.exists());
    assert!(!listed().contains(dir.to_str().unwrap()));
    assert_eq!(links(), links_before);
    assert_eq!(mounts_that_name(&dir), [""; 0]);
}

#[test]
fn four_test_beds_live_side_by_side() {
    let mut beds = Vec::new();
    for builder in [
        TestBed::hosts(2),
        TestBed::loopback(2),
        TestBed::hosts(2),
        TestBed::loopback(2),
    ] {
        let Some(bed) = builder.up() else { return };
        beds.push(bed);
    }
    for (number, bed) in beds.iter().enumerate() {
        over_ssh(bed, "node2", &format!("echo {number} > /tmp/number"));
    }
    // The end of one does not touch the others.
    drop(beds.remove(0));
    for (number, bed) in beds.iter().enumerate() {
        assert_eq!(
            over_ssh(bed, "node2", "cat /tmp/number"),
            (number + 1).to_string()
        );
    }
}

#[test]
fn sixty_four_on_loopback_answer() {
    let Some(bed) = TestBed::loopback(64).up() else {
        return;
    };
    assert_eq!(bed.node_names().len(), 64);
    for node in bed.node_names() {
        let mut connection =
            std::net::TcpStream::connect_timeout(&bed.address(node), Duration::from_secs(5))
                .unwrap();
        connection
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut greeting = [0; 8];
        connection.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"SSH-2.0-", "{node}");
    }
    for node in ["node1", "node64"] {
        assert_eq!(over_ssh(&bed, node, "hostname"), node);
    }
}

/// A directory in which `scripts/testbed` is called as a person does; ends with whatever was started.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn bed(&self) -> PathBuf {
        self.0.path().join("bed")
    }

    fn call(&self, words: &[&str]) -> Command {
        let mut command = Command::new(script());
        command.args(words).arg(self.bed());
        command
    }

    /// The record of a test bed in its directory: its first process.
    fn keeper(&self) -> Option<u32> {
        let text = fs::read_to_string(self.bed().join("keeper")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let ended = self.call(&["down", "--remove"]).status();
        assert!(ended.unwrap().success() || std::thread::panicking());
    }
}

/// Whether a process is there and has not ended.
fn runs(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X']))
}

/// True where test beds can be made; if not, that was said.
fn possible() -> bool {
    TestBed::loopback(1).up().is_some()
}

#[test]
fn an_up_that_is_killed_half_way_leaves_nothing() {
    if !possible() {
        return;
    }
    let place = Place::new();
    let mut up: Child = place
        .call(&["up", "--hosts", "40"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(within(Duration::from_secs(20), || place
        .bed()
        .join("nodes.d/node2/init")
        .exists()));
    let keeper = place.keeper().unwrap();
    let space = BTreeSet::from([namespace(keeper, "net")]);
    let nodes: BTreeSet<u64> = [2]
        .map(|node| {
            let text =
                fs::read_to_string(place.bed().join(format!("nodes.d/node{node}/init"))).unwrap();
            namespace(text.split(' ').next().unwrap().parse().unwrap(), "pid")
        })
        .into();
    up.kill().unwrap();
    up.wait().unwrap();
    assert!(
        !place.bed().join("testbed.json").exists(),
        "it was not half way"
    );
    said(&place.call(&["down"]).output().unwrap());
    assert!(!runs(keeper));
    assert_eq!(inside(&space, "net"), [0; 0]);
    assert_eq!(inside(&nodes, "pid"), [0; 0]);
    // Once more, for good measure.
    said(&place.call(&["down"]).output().unwrap());
}

#[test]
fn a_test_bed_ends_with_whoever_it_is_tied_to() {
    if !possible() {
        return;
    }
    let place = Place::new();
    let mut up = place.call(&["up", "--loopback", "1", "--tied"]);
    let mut up = up
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // As if this process died: the kernel closes what it had open.
    let tie = up.stdin.take().unwrap();
    assert!(up.wait().unwrap().success());
    let keeper = place.keeper().unwrap();
    assert!(runs(keeper));
    drop(tie);
    assert!(within(Duration::from_secs(5), || !runs(keeper)));
}

#[test]
fn a_test_bed_whose_owner_is_gone_is_swept() {
    if !possible() {
        return;
    }
    let place = Place::new();
    let mut owner = Command::new("sleep").arg("60").spawn().unwrap();
    let pid = owner.id().to_string();
    said(
        &place
            .call(&["up", "--loopback", "1", "--owner", &pid])
            .output()
            .unwrap(),
    );
    let keeper = place.keeper().unwrap();
    said(&Command::new(script()).arg("sweep").output().unwrap());
    assert!(runs(keeper), "its owner is still there");
    owner.kill().unwrap();
    owner.wait().unwrap();
    said(&Command::new(script()).arg("sweep").output().unwrap());
    assert!(!runs(keeper));
    assert!(!place.bed().exists());
}

#[test]
fn without_rights_the_status_says_so() {
    if !possible() {
        return;
    }
    let place = Place::new();
    // Root, but as in a container that was given no special rights.
    let output = Command::new("setpriv")
        .arg("--bounding-set=-sys_admin")
        .arg(script())
        .args(["up", "--hosts", "1"])
        .arg(place.bed())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(77), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("namespaces"),
        "{output:?}"
    );
    assert!(!place.bed().exists());
}
