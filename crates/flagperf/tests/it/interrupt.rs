//! Ctrl-C, and ends that nobody announces.

use crate::support::{Place, is_alive, signal, thread_states, within};

/// A case that has written a result and then works on, with a child of its own.
const WORKING: &str =
    "echo '[FlagPerf Result]Rank 0 half=1.0 GB/s'\necho ready\nsleep 1000 &\nwait";

#[test]
fn ctrl_c_once_stops_in_order_and_keeps_what_there_is() {
    let place = Place::new();
    place
        .case("a-working", WORKING)
        .case("b-later", "echo later");
    let running = place.start(&["a-working", "b-later"]);
    place.await_text("a-working/localhost_noderank0/benchmark.log.txt", "ready");
    running.signal("INT");
    let ran = running.end(20.0);
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("interrupted: ending in order"),
        "{}",
        ran.stderr
    );
    assert!(place.processes().is_empty());
    let record = place.record();
    assert_eq!(record["state"], "interrupted");
    assert_eq!(record["results"][0]["outcome"], "aborted");
    assert_eq!(record["results"][0]["measurements"][0][1]["metric"], "half");
    assert_eq!(record["results"][1]["outcome"], "not_run");
}

#[test]
fn ctrl_c_lets_a_case_tidy_up() {
    let place = Place::new();
    place.case(
        "tidy",
        "trap 'echo tidied up; exit 0' TERM\necho ready\nwhile :; do sleep 0.05; done",
    );
    let running = place.start(&["tidy"]);
    let log = "tidy/localhost_noderank0/benchmark.log.txt";
    place.await_text(log, "ready");
    running.signal("INT");
    assert_eq!(running.end(20.0).code, Some(130));
    place.await_text(log, "tidied up");
}

#[test]
fn ctrl_c_twice_ends_everything_at_once() {
    let place = Place::new();
    place.case(
        "deaf",
        "trap '' TERM\necho ready\nwhile :; do sleep 0.05; done",
    );
    let running = place.start(&["deaf"]);
    place.await_text("deaf/localhost_noderank0/benchmark.log.txt", "ready");
    running.signal("INT");
    place.await_text("events.jsonl", "interrupted");
    running.signal("INT");
    // The grace of a case is five seconds; at once is well below it.
    let ran = running.end(4.0);
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    place.await_nothing_left();
    assert_eq!(place.record()["state"], "interrupted");
}

#[test]
fn a_closed_terminal_and_a_service_manager_count_as_ctrl_c() {
    for name in ["HUP", "TERM"] {
        let place = Place::new();
        place.case("working", WORKING);
        let running = place.start(&["working"]);
        place.await_text("working/localhost_noderank0/benchmark.log.txt", "ready");
        running.signal(name);
        assert_eq!(running.end(20.0).code, Some(130), "{name}");
        assert!(place.processes().is_empty());
    }
}

#[test]
fn nohup_is_respected() {
    let place = Place::new();
    place.case(
        "short",
        "echo ready\nsleep 1\necho '[FlagPerf Result]Rank 0 whole=1.0 GB/s'",
    );
    let inner = place.command(&["short"]);
    let mut command = std::process::Command::new("nohup");
    command
        .arg(inner.get_program())
        .args(inner.get_args())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped());
    let running = crate::support::Running {
        child: command.spawn().unwrap(),
    };
    place.await_text("short/localhost_noderank0/benchmark.log.txt", "ready");
    running.signal("HUP");
    let ran = running.end(20.0);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn nothing_survives_a_kill_of_the_controller() {
    let place = Place::new();
    place.case(
        "working",
        "trap '' TERM HUP INT\nsetsid sh -c 'trap \"\" TERM; sleep 1000 & echo ready; wait' &\nwait; sleep 1000",
    );
    let running = place.start(&["working"]);
    let agent = running.agent();
    place.await_text("working/localhost_noderank0/benchmark.log.txt", "ready");
    assert!(place.processes().len() >= 3);
    running.signal("KILL");
    place.await_nothing_left();
    within(10.0, "the agent has left", || !is_alive(agent));
    // What was recorded up to then can be read.
    let ran = crate::support::ran(
        crate::support::flagperf(&["report", place.run_directory().to_str().unwrap()])
            .output()
            .unwrap(),
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stdout.contains("cut off"), "{}", ran.stdout);
}

#[test]
fn the_loss_of_an_agent_is_told_within_seconds() {
    let place = Place::new();
    place
        .case("a-working", "setsid sleep 1000 &\necho ready\nsleep 1000")
        .case("b-later", "echo later");
    let running = place.start(&["a-working", "b-later"]);
    let agent = running.agent();
    place.await_text("a-working/localhost_noderank0/benchmark.log.txt", "ready");
    signal(agent, "KILL");
    let ran = running.end(10.0);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("node localhost is lost: the agent ended (signal: 9 (SIGKILL))"),
        "{}",
        ran.stderr
    );
    place.await_nothing_left();
    let record = place.record();
    assert_eq!(record["results"][0]["outcome"]["lost"]["node"], "localhost");
    assert_eq!(record["results"][1]["outcome"], "not_run");
}

#[test]
fn nothing_survives_a_kill_of_the_controller_of_a_stopped_agent() {
    let place = Place::new();
    place.case(
        "working",
        "trap '' TERM HUP\nsetsid sh -c 'trap \"\" TERM HUP; sleep 1000 & echo ready; wait' &\nwait; sleep 1000",
    );
    let running = place.start(&["working"]);
    let agent = running.agent();
    place.await_text("working/localhost_noderank0/benchmark.log.txt", "ready");
    signal(agent, "STOP");
    // Its threads stop one after the other, and the kernel counts it as stopped when all have.
    within(10.0, "the agent is stopped", || {
        let states = thread_states(agent);
        !states.is_empty() && states.iter().all(|state| *state == 'T')
    });
    running.signal("KILL");
    // The kernel wakes an orphaned stopped process with SIGHUP and SIGCONT.
    place.await_nothing_left();
    within(10.0, "the agent has left", || !is_alive(agent));
}

#[test]
fn an_agent_that_is_ended_takes_everything_along() {
    let place = Place::new();
    place.case("working", "setsid sleep 1000 &\necho ready\nsleep 1000");
    let running = place.start(&["working"]);
    let agent = running.agent();
    place.await_text("working/localhost_noderank0/benchmark.log.txt", "ready");
    signal(agent, "TERM");
    let ran = running.end(10.0);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("the agent was ended by signal 15"),
        "{}",
        ran.stderr
    );
    place.await_nothing_left();
}

#[test]
fn a_pause_of_the_agent_does_not_end_the_run() {
    let place = Place::new();
    place.case(
        "short",
        "echo ready\nsleep 4\necho '[FlagPerf Result]Rank 0 whole=1.0 GB/s'",
    );
    let running = place.start(&["short"]);
    let agent = running.agent();
    place.await_text("short/localhost_noderank0/benchmark.log.txt", "ready");
    signal(agent, "STOP");
    std::thread::sleep(std::time::Duration::from_secs(2));
    signal(agent, "CONT");
    let ran = running.end(20.0);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn ctrl_z_is_answered_and_the_run_goes_on() {
    let place = Place::new();
    place.case(
        "short",
        "echo ready\nsleep 1\necho '[FlagPerf Result]Rank 0 whole=1.0 GB/s'",
    );
    let running = place.start(&["short"]);
    place.await_text("short/localhost_noderank0/benchmark.log.txt", "ready");
    running.signal("TSTP");
    let ran = running.end(20.0);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("a run cannot be suspended"),
        "{}",
        ran.stderr
    );
}
