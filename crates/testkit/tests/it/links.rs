//! Links that are cut, slow, lossy and long.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use flagperf_testkit::TestBed;

use crate::support::{over_ssh, said, timed, within};

/// A running ssh session, with what it writes line by line.
struct Stream {
    session: Child,
    lines: Receiver<String>,
}

impl Stream {
    fn open(bed: &TestBed, node: &str, command: &str) -> Self {
        let mut session = bed
            .ssh(node)
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(session.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { session, lines }
    }

    fn next(&self, limit: Duration) -> Option<String> {
        self.lines.recv_timeout(limit).ok()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let _ = self.session.kill();
        let _ = self.session.wait();
    }
}

#[test]
fn a_cut_link_holds_a_stream_and_a_healed_one_lets_it_go_on() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let ticks = "i=0; while sleep 0.05; do i=$((i+1)); echo $i; done";
    let cut = Stream::open(&bed, "node1", ticks);
    let other = Stream::open(&bed, "node2", ticks);
    let second = Duration::from_secs(1);
    assert_eq!(cut.next(10 * second).unwrap(), "1");
    assert!(other.next(10 * second).is_some());

    bed.cut("node1");
    // What was on its way already arrives.
    std::thread::sleep(Duration::from_millis(200));
    let last = std::iter::from_fn(|| cut.lines.try_recv().ok()).last();
    assert_eq!(
        cut.next(second),
        None,
        "nothing comes over a link that is down"
    );
    assert!(
        std::iter::from_fn(|| other.lines.try_recv().ok()).count() > 5,
        "the other node is not touched"
    );

    bed.heal("node1");
    let next = cut.next(10 * second).expect("the stream goes on");
    // Nothing is lost either.
    if let Some(last) = last {
        assert_eq!(
            next.parse::<u32>().unwrap(),
            last.parse::<u32>().unwrap() + 1
        );
    }
}

#[test]
fn a_throttled_link_is_as_slow_as_was_said_in_both_directions() {
    let Some(bed) = TestBed::hosts(1).up() else {
        return;
    };
    let down = || {
        let output = bed
            .ssh("node1")
            .arg("head -c 2500000 /dev/zero")
            .output()
            .unwrap();
        assert_eq!(output.stdout.len(), 2_500_000);
    };
    let up = || {
        let mut session = bed
            .ssh("node1")
            .arg("wc -c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = session.stdin.take().unwrap();
        input.write_all(&vec![0; 2_500_000]).unwrap();
        drop(input);
        assert_eq!(said(&session.wait_with_output().unwrap()), "2500000");
    };
    bed.throttle("node1", Some(20));
    for direction in [&down as &dyn Fn(), &up] {
        // 20 megabits; the bucket lets the first 64 KiB through at once.
        let ((), took) = timed(direction);
        assert!(
            (0.9..6.0).contains(&took.as_secs_f64()),
            "{took:?} for one second's worth"
        );
    }
    bed.throttle("node1", None);
    let ((), took) = timed(down);
    assert!(took.as_secs_f64() < 0.9, "{took:?} without a limit");
}

/// Sends 2000 datagrams each way between node and controller, counts those that arrive.
fn datagrams(bed: &TestBed) -> (usize, usize) {
    const RECEIVE: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
s.bind(('', 9000)); s.settimeout(1); print('ready', flush=True)
n = 0
try:
    while True: s.recv(100); n += 1
except TimeoutError: print(n)
";
    const SEND: &str = "
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(2000):
    s.sendto(b'x', (sys.argv[1], 9000))
    if i % 100 == 0: time.sleep(0.002)
";
    let python = ["/usr/bin/python3", "-IS", "-c"];
    let on_controller = |program: &str, address: &str| {
        let mut command = bed.controller(python[0]);
        command.args(&python[1..]).args([program, address]);
        command
    };
    let on_node = |program: &str, address: &str| {
        let mut command = std::process::Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", bed.init("node1")));
        command.args(python).args([program, address]);
        command
    };
    let node = bed.address("node1").ip().to_string();
    let count = |mut receiver: std::process::Command, mut sender: std::process::Command| {
        let mut receiver = receiver.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(receiver.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        assert!(sender.status().unwrap().success());
        let mut count = String::new();
        output.read_to_string(&mut count).unwrap();
        receiver.wait().unwrap();
        count.trim().parse().unwrap()
    };
    (
        count(on_node(RECEIVE, ""), on_controller(SEND, &node)),
        count(on_controller(RECEIVE, ""), on_node(SEND, "10.77.0.1")),
    )
}

#[test]
fn a_lossy_link_loses_its_share_in_both_directions() {
    let Some(bed) = TestBed::hosts(1).up() else {
        return;
    };
    bed.loss("node1", 30);
    let (there, back) = datagrams(&bed);
    // 1400 of 2000, give or take seven standard deviations of 20.
    assert!((1260..1540).contains(&there), "{there} arrived at the node");
    assert!(
        (1260..1540).contains(&back),
        "{back} arrived at the controller"
    );
    // ssh gets through some loss.
    bed.loss("node1", 5);
    assert_eq!(over_ssh(&bed, "node1", "hostname"), "node1");
    bed.loss("node1", 0);
    assert_eq!(datagrams(&bed), (2000, 2000));
}

#[test]
fn a_delayed_node_answers_late() {
    for builder in [TestBed::hosts(2), TestBed::loopback(2)] {
        let Some(bed) = builder.up() else { return };
        let echo = |node: &str| {
            let mut stream = Stream::open(&bed, node, "cat");
            let mut input = stream.session.stdin.take().unwrap();
            // The first line waits for the login.
            writeln!(input, "first").unwrap();
            assert_eq!(stream.next(Duration::from_secs(20)).unwrap(), "first");
            let (line, took) = timed(|| {
                writeln!(input, "second").unwrap();
                stream.next(Duration::from_secs(20)).unwrap()
            });
            assert_eq!(line, "second");
            took
        };
        bed.delay("node1", Duration::from_millis(100));
        let late = echo("node1");
        assert!(
            (0.2..0.6).contains(&late.as_secs_f64()),
            "{late:?} for 100 ms each way"
        );
        let other = echo("node2");
        assert!(
            other.as_secs_f64() < 0.15,
            "{other:?} on a node that is not delayed"
        );
        bed.delay("node1", Duration::from_millis(10));
        assert!(echo("node1") < Duration::from_millis(150));
        bed.delay("node1", Duration::ZERO);
        assert!(echo("node1") < Duration::from_millis(150));
    }
}

#[test]
fn a_killed_sshd_takes_its_sessions_along_and_comes_back_when_told() {
    let Some(bed) = TestBed::hosts(1).up() else {
        return;
    };
    assert_eq!(bed.processes("node1"), []);
    let mut stream = Stream::open(&bed, "node1", "echo started; exec sleep 4711");
    assert_eq!(stream.next(Duration::from_secs(10)).unwrap(), "started");
    let args = || -> Vec<String> {
        let processes = bed.processes("node1");
        processes.into_iter().map(|process| process.args).collect()
    };
    assert!(within(Duration::from_secs(5), || {
        args().contains(&"sleep 4711".to_owned())
    }));
    let processes = bed.processes("node1");
    let sleep = processes
        .iter()
        .find(|process| process.args == "sleep 4711")
        .unwrap();
    let session = processes
        .iter()
        .find(|process| process.pid == sleep.ppid)
        .unwrap();
    assert!(session.args.starts_with("sshd: root"), "{session:?}");

    bed.kill_sshd("node1");
    let mut status = None;
    assert!(within(Duration::from_secs(10), || {
        status = stream.session.try_wait().unwrap();
        status.is_some()
    }));
    assert_eq!(status.unwrap().code(), Some(255), "ssh lost its connection");
    let refused = bed.ssh("node1").arg("true").output().unwrap();
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("refused"),
        "{refused:?}"
    );
    // What ran there is an orphan now, and runs on: this program reads nothing and writes nothing.
    assert_eq!(args(), ["sleep 4711"]);
    assert_eq!(bed.processes("node1")[0].ppid, bed.init("node1"));

    bed.start_sshd("node1");
    assert_eq!(over_ssh(&bed, "node1", "hostname"), "node1");
}
