//! Nodes that differ: a clock that is off, a disk that is full, the controller's own machine, Slurm's.

use flagperf_testkit::TestBed;
use serde_json::Value;

use super::{Cluster, RESULT};
use crate::support::ran;

#[test]
fn a_clock_that_is_an_hour_off_is_told_and_put_right() {
    let Some(bed) = TestBed::hosts(2).clock("node2", "+1h").up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    let script = format!(
        "now() {{ python3 -c 'import time; print(time.monotonic_ns())'; }}
        for phase in measure verify; do
            echo \"[FlagPerf Record]{{\\\"phase\\\":{{\\\"rank\\\":$RANK,\\\"phase\\\":\\\"$phase\\\",\\\"mono_ns\\\":$(now)}}}}\"
            sleep 1
        done
        {RESULT}"
    );
    cluster.case("timed", "all", &script);
    let ran = cluster.passes(&["timed", "--interval", "100ms"]);
    let warning = ran
        .stderr
        .lines()
        .find(|line| line.contains("the clock of node2 is"))
        .unwrap_or_else(|| panic!("{}", ran.stderr));
    assert!(warning.contains("36"), "{warning}");
    assert!(
        !ran.stderr.contains("the clock of node1 is"),
        "{}",
        ran.stderr
    );
    let record = cluster.record();
    let result = &record["results"][0];
    let started = result["started"].as_i64().unwrap();
    let ended = result["ended"].as_i64().unwrap();
    let run = cluster.place.run_directory();
    let events = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let phases: Vec<i64> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["what"]["phase"]["node"] == "node2")
        .map(|event| event["at"].as_i64().unwrap())
        .collect();
    assert_eq!(phases.len(), 2, "{events}");
    let skew = result["start_skew"]["seconds"].as_f64().unwrap();
    assert!(skew < 1.0, "{skew}");
    for moment in phases {
        assert!(
            (started..=ended).contains(&moment),
            "{started} {moment} {ended}"
        );
    }
    let samples = ["node1_noderank0", "node2_noderank1"].map(|node| {
        let log = run.join(format!("timed/{node}/cpu_monitor.log"));
        std::fs::read_to_string(log).unwrap()
    });
    let [right, mended] = samples.each_ref().map(|text| {
        assert!(text.lines().count() > 10, "{text}");
        [text.lines().next(), text.lines().last()].map(|line| moment_of(line.unwrap()))
    });
    for (right, mended) in right.iter().zip(&mended) {
        assert!((right - mended).abs() <= 2, "{samples:?}");
    }
    cluster.await_clean();
}

/// The seconds of a line of a monitor's log.
fn moment_of(line: &str) -> i64 {
    let (moment, _) = line.split_once('\t').unwrap();
    let moment = jiff::civil::DateTime::strptime("%Y-%m-%d-%H:%M:%S", moment).unwrap();
    let zone = jiff::tz::TimeZone::UTC;
    zone.to_timestamp(moment).unwrap().as_second()
}

#[test]
fn a_case_that_fills_its_disk_fails_by_itself() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    // Its files lie on a disk that takes 64 KiB.
    cluster.bed.fill("node2", "/tmp", 64 << 10);
    let script = format!(
        "echo before
        head -c 200000 /dev/zero >$FLAGPERF_OUT/large || {{ echo no room for it; exit 5; }}
        {RESULT}"
    );
    cluster.case("filling", "each", &script);
    let ran = cluster.run(&["filling"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let failed = cluster.place.outcome()["failed"].clone();
    assert_eq!(failed["node"], "node2", "{failed}");
    assert_eq!(failed["cause"]["exit"]["status"], 5, "{failed}");
    let output = cluster.output("filling", "node2");
    assert!(output.contains("before"), "{output}");
    assert!(output.contains("no room for it"), "{output}");
    assert!(cluster.output("filling", "node1").contains("x=1"));
    cluster.await_clean();
}

#[test]
fn a_disk_without_room_for_the_files_of_a_case_refuses_it_and_nobody_waits() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("large", "all", RESULT);
    cluster.noise("large", 20_000_000);
    cluster.bed.fill("node2", "/tmp", 1 << 20);
    // Its copy would take 40 s.
    cluster.bed.throttle("node1", Some(4));
    let began = std::time::Instant::now();
    let running = cluster.start(&["large"]);
    let ended = running.end(30.0);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
    let failed = cluster.place.outcome()["failed"].clone();
    assert_eq!(failed["node"], "node2", "{failed}");
    assert_eq!(failed["stage"], "launch", "{failed}");
    let reason = failed["cause"]["agent"]["reason"].as_str().unwrap();
    assert!(reason.contains("No space left on device"), "{reason}");
    cluster.await_clean();
}

#[test]
fn the_first_node_may_be_the_machine_of_the_controller() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("where", "each", &format!("hostname; {RESULT}"));
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let own = own.trim();
    let list = format!("{own},node2");
    let mut command = cluster.bare(&["where", "--nodes", &list, "--ssh-config"]);
    // No name service knows it and ssh has no entry for it: only without a connection can it pass.
    let ended = ran(command.arg(cluster.bed.ssh_config()).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let record = cluster.record();
    assert_eq!(record["plan"]["nodes"][0]["launcher"], "local");
    assert_ne!(record["plan"]["nodes"][1]["launcher"], "local");
    cluster.await_clean_on("node2");
}

#[test]
fn the_nodes_of_a_slurm_job() {
    let Some(bed) = TestBed::slurm(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    // Nothing is said of the program: it is placed through srun.
    cluster.settings("[session]\nconnect = \"1m\"\n");
    cluster.case("spanning", "all", &format!("hostname; {RESULT}"));
    let mut command = cluster.bed.controller("salloc");
    command
        .args([
            "-N2",
            env!("CARGO_BIN_EXE_flagperf"),
            "run",
            "spanning",
            "--slurm",
            "--config",
        ])
        .arg(cluster.place.path("flagperf.toml"))
        .arg("--cases")
        .arg(cluster.place.path("cases"))
        .arg("--results")
        .arg(cluster.place.path("results"));
    let ended = ran(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for node in ["node1", "node2"] {
        assert!(cluster.output("spanning", node).contains(node));
        let placed =
            "ls /root/.cache/flagperf /tmp/flagperf-0 2>/dev/null | grep -cE '^[0-9a-f]{64}$'";
        assert_eq!(cluster.sh(node, placed), "1\n", "{node}");
    }
}
