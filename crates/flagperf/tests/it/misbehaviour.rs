//! Cases that crash, hang, flood, leave daemons behind and do not want to end.

use std::fs;

use crate::support::{Place, peak_memory, within};

/// What a case prints that measured something.
const RESULT: &str = "echo '[FlagPerf Result]Rank 0 nothing=1.0 GB/s'";

#[test]
fn a_case_that_does_its_work_passes() {
    let place = Place::new();
    place.case("good", RESULT);
    let ran = place.run(&["good"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(place.outcome(), "passed");
    let record = place.record();
    let measured = &record["results"][0]["measurements"][0];
    assert_eq!(measured[0], "localhost");
    assert_eq!(measured[1]["metric"], "nothing");
    assert_eq!(measured[1]["value"], 1.0);
    assert_eq!(measured[1]["unit"], "GB/s");
    assert_eq!(record["state"], "finished");
    assert!(ran.stdout.contains("1.000 GB/s"), "{}", ran.stdout);
}

#[test]
fn a_crash_is_told_with_its_signal_and_the_last_output() {
    let place = Place::new();
    place.case("crash", "echo about to divide\nkill -SEGV $$");
    let ran = place.run(&["crash"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(place.outcome()["failed"]["cause"]["signal"]["signal"], 11);
    let said = "failed on localhost: rank 0 was ended by signal 11 (SIGSEGV, bad memory access)";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(ran.stdout.contains("about to divide"), "{}", ran.stdout);
}

#[test]
fn an_exit_status_is_told_with_the_last_output() {
    let place = Place::new();
    place.case(
        "seven",
        &format!("{RESULT}\necho no such device >&2\nexit 7"),
    );
    let ran = place.run(&["seven"]);
    assert_eq!(ran.code, Some(1));
    let said = "failed on localhost: rank 0 ended with exit status 7";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(ran.stdout.contains("no such device"), "{}", ran.stdout);
}

#[test]
fn a_case_that_reports_nothing_has_failed() {
    let place = Place::new();
    place.case("mute", "echo hello");
    let ran = place.run(&["mute"]);
    assert_eq!(ran.code, Some(1));
    let said = "failed on localhost: it ended with status 0 but reported no result";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn a_program_that_cannot_be_started_is_named() {
    let place = Place::new();
    place.case("gone", "");
    fs::write(place.path("cases/gone/main.sh"), "#!/no/such/interpreter\n").unwrap();
    let ran = place.run(&["gone"]);
    assert_eq!(ran.code, Some(1));
    let said = "cases/gone/main.sh` could not be started: No such file or directory";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
}

#[test]
fn a_program_that_does_not_exist_is_found_before_anything_starts() {
    let place = Place::new();
    place.case("gone", "");
    fs::remove_file(place.path("cases/gone/main.sh")).unwrap();
    let ran = place.run(&["gone"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("main.sh"), "{}", ran.stderr);
    assert!(!place.path("results").exists());
}

#[test]
fn a_case_that_works_for_ever_times_out() {
    let place = Place::new();
    place.case("spin", "while :; do :; done");
    let ran = place.run(&["spin", "--timeout", "1s"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(place.outcome()["timed_out"]["limit_s"], 1.0);
    assert!(
        ran.stderr.contains("timed out: the limit is 1 s"),
        "{}",
        ran.stderr
    );
    assert!(place.processes().is_empty());
}

#[test]
fn a_case_that_hangs_is_ended_long_before_its_timeout() {
    let place = Place::new();
    place.case("hang", "echo waiting for rank 1\nsleep 1000");
    let ran = place.run(&["hang", "--stall", "2s", "--timeout", "10m"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(place.outcome()["stalled"]["limit_s"], 2.0);
    let said = "stalled on localhost: no output and no processor use for 2 s";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(ran.stdout.contains("waiting for rank 1"), "{}", ran.stdout);
    assert!(place.processes().is_empty());
}

#[test]
fn a_case_that_writes_now_and_then_does_not_stall() {
    let place = Place::new();
    place.case(
        "slow",
        &format!("for i in 1 2 3 4 5 6; do echo $i; sleep 0.6; done\n{RESULT}"),
    );
    let ran = place.run(&["slow", "--stall", "2s"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

#[test]
fn a_case_that_ignores_sigterm_is_killed() {
    let place = Place::new();
    place.case("deaf", "trap '' TERM\nwhile :; do sleep 0.1; done");
    let ran = place.run(&["deaf", "--timeout", "1s"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("timed out"), "{}", ran.stderr);
    assert!(place.processes().is_empty());
}

#[test]
fn a_daemon_that_forked_twice_is_found_and_ended() {
    let place = Place::new();
    place.case(
        "daemon",
        &format!("setsid sh -c 'sleep 1000 >/dev/null 2>&1 & exit 0'\nsleep 0.5\n{RESULT}"),
    );
    let ran = place.run(&["daemon"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("the case left processes behind, which were ended: sleep"),
        "{}",
        ran.stderr
    );
    assert!(place.processes().is_empty());
}

#[test]
fn a_daemon_that_holds_the_output_open_is_ended_too() {
    let place = Place::new();
    place.case("holder", &format!("setsid sleep 1000 &\n{RESULT}"));
    let ran = place.run(&["holder"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(place.processes().is_empty());
}

#[test]
fn a_flood_of_output_is_written_whole_and_memory_stays_flat() {
    const BYTES: u64 = 1 << 30;
    let place = Place::new();
    place.case(
        "flood",
        &format!("yes 0123456789abcdef | head -c {BYTES}\necho\n{RESULT}"),
    );
    let running = place.start(&["flood", "--timeout", "8m"]);
    let (controller, agent) = (running.child.id(), running.agent());
    let mut peak = 0;
    let log = "flood/localhost_noderank0/benchmark.log.txt";
    within(480.0, "the flood is written", || {
        peak = [controller, agent]
            .into_iter()
            .filter_map(peak_memory)
            .fold(peak, u64::max);
        fs::metadata(place.run_directory().join(log)).is_ok_and(|file| file.len() > BYTES)
    });
    let ran = running.end(60.0);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(peak > 0 && peak < 64, "{peak} MiB");
}

#[test]
fn the_rest_of_a_run_goes_on_after_a_failure() {
    let place = Place::new();
    place.case("a-bad", "exit 1").case("b-good", RESULT);
    let ran = place.run(&["a-bad", "b-good", "--rounds", "2"]);
    assert_eq!(ran.code, Some(1));
    let record = place.record();
    let outcomes: Vec<bool> = record["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["outcome"] == "passed")
        .collect();
    assert_eq!(
        outcomes.iter().filter(|passed| **passed).count(),
        2,
        "{outcomes:?}"
    );
    assert_eq!(outcomes.len(), 4);
}
