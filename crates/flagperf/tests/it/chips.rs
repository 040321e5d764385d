//! Chips, by a tool that stands in for `nvidia-smi`: found, sampled, lost, and never in the way of a case.

use std::fs;
use std::path::Path;
use std::process::Command;

use flagperf_store::{LoadedRun, Samples, read_run};
use flagperf_testkit::StandInSmi;
use serde_json::Value;

use crate::support::{Place, Ran, flagperf, is_alive, ran, read, signal, within};

/// A profile as the built-in one, with less patience.
const HASTY: &str = r#"
name = "nvidia"
[status]
command = ["nvidia-smi", "--query-gpu={fields}", "--format=csv"]
fields = ["index", "uuid", "pci.bus_id", "name", "driver_version", "temperature.gpu", "power.draw", "power.draw.average", "power.draw.instant", "memory.used", "memory.total", "utilization.gpu", "utilization.memory", "clocks.sm", "clocks.mem"]
repeat = ["--loop-ms={interval_ms}"]
reader = "nvidia-smi"
interval_s = 0.2
timeout_s = 0.6
start_timeout_s = 1.5
"#;

/// A place with a case that takes some seconds, and an impatient profile.
fn place(seconds: f64) -> Place {
    let place = Place::new();
    place.case(
        "wait",
        &format!("sleep {seconds}; echo '[FlagPerf Result]wait=1.5GB/s'"),
    );
    fs::create_dir_all(place.path("vendors")).unwrap();
    fs::write(place.path("vendors/nvidia.toml"), HASTY).unwrap();
    place
}

/// The run of that case, where the stand-in is found.
fn command(place: &Place, smi: &StandInSmi, arguments: &[&str]) -> Command {
    let mut command = place.command(&["wait", "--interval", "200ms"]);
    command
        .arg("--vendors")
        .arg(place.path("vendors"))
        .args(arguments)
        .env("PATH", smi.path());
    command
}

fn run(place: &Place, smi: &StandInSmi, arguments: &[&str]) -> Ran {
    let ran = ran(command(place, smi, arguments).output().unwrap());
    assert_nothing_left(smi);
    ran
}

fn passes(place: &Place, smi: &StandInSmi, arguments: &[&str]) {
    let ran = run(place, smi, arguments);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

/// No process of the stand-in is there any more, nor what it has started.
fn assert_nothing_left(smi: &StandInSmi) {
    within(10.0, "the tool has ended", || {
        smi.calls().iter().all(|(pid, _)| !is_tool(*pid, smi))
    });
}

fn is_tool(pid: u32, smi: &StandInSmi) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let path = smi.directory().display().to_string();
    is_alive(pid) && String::from_utf8_lossy(&words).contains(&path)
}

fn loaded(place: &Place) -> LoadedRun {
    read_run(&place.run_directory()).unwrap()
}

fn chip_samples(run: &LoadedRun) -> Samples {
    let samples = run
        .chip_samples(&run.record.results[0], 0)
        .unwrap()
        .unwrap();
    assert_eq!(samples.damage, None);
    samples
}

/// The values of a series, gaps left out; and how many gaps there are.
fn series(samples: &Samples, name: &str, chip: &str) -> (Vec<f64>, usize) {
    let place = samples
        .series
        .iter()
        .position(|decl| decl.name == name && decl.instance.as_deref() == Some(chip))
        .unwrap_or_else(|| panic!("no series {name} of chip {chip}"));
    let column = &samples.block.columns[place];
    let scale = samples.series[place].resolution;
    let values: Vec<f64> = column.iter().flatten().map(|v| *v as f64 * scale).collect();
    let gaps = column.len() - values.len();
    (values, gaps)
}

fn absences(record: &Value) -> Vec<(String, String)> {
    let absent = record["nodes"][0]["absent"].as_array().unwrap();
    let text = |absent: &Value, key: &str| absent[key].as_str().unwrap().to_owned();
    let all = absent
        .iter()
        .map(|one| (text(one, "name"), text(one, "reason")));
    all.filter(|(name, _)| name.starts_with("chip")).collect()
}

#[test]
fn chips_are_found_sampled_and_shown() {
    let place = place(3.0);
    let smi = StandInSmi::new(2);
    passes(&place, &smi, &[]);
    let record = place.record();
    let chips = record["nodes"][0]["facts"]["chips"].as_array().unwrap();
    assert_eq!(chips.len(), 2);
    assert_eq!(chips[1]["vendor"], "nvidia");
    assert_eq!(chips[1]["label"], "1");
    assert_eq!(chips[1]["uuid"], "GPU-1111-test");
    assert_eq!(chips[1]["memory_bytes"], 81559u64 << 20);
    assert_eq!(absences(&record), []);
    assert!(
        record["warnings"].as_array().unwrap().is_empty(),
        "{}",
        record["warnings"]
    );

    let run = loaded(&place);
    let samples = chip_samples(&run);
    assert_eq!(samples.series, run.record.nodes[0].chip_series);
    assert_eq!(samples.series.len(), 14);
    let (power, _) = series(&samples, "chip.power", "1");
    assert!(power.len() >= 5, "{power:?}");
    assert!(
        power.iter().all(|watts| (watts - 200.5).abs() < 1e-9),
        "{power:?}"
    );
    let (used, _) = series(&samples, "chip.memory_used", "0");
    assert!(used.iter().all(|bytes| *bytes == 1000.0 * 1_048_576.0));
    let times = &samples.block.times;
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
    // They lie in the time of the case, on the controller's line of time.
    let result = &run.record.results[0];
    let inside = |at| {
        result.started.plus_nanos(-1_000_000_000) <= at
            && at <= result.ended.plus_nanos(1_000_000_000)
    };
    assert!(times.iter().all(|at| inside(*at)));

    // One process for looking, and one for the case; what it took is told.
    let calls = smi.calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(
        !calls[0].1.contains("--loop-ms") && calls[1].1.ends_with("--loop-ms=200"),
        "{calls:?}"
    );
    let cost = result.monitor_cost[0].1;
    assert_eq!(cost.chip_samples as usize, power.len());
    assert!(cost.tool_cpu_s > 0.0 && cost.tool_cpu_s < 3.0, "{cost:?}");

    assert_classic_files(&place);
    let directory = place.run_directory();
    let report = |format: &str| {
        let report = flagperf(&["report", directory.to_str().unwrap(), "--format", format]);
        let ran = ran({ report }.output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    let json: Value = serde_json::from_str(&report("json")).unwrap();
    let all = json["results"][0]["monitors"][0]["series"]
        .as_array()
        .unwrap();
    let shown = all
        .iter()
        .find(|one| one["name"] == "chip.power" && one["instance"] == "0")
        .unwrap();
    assert_eq!(
        (&shown["scope"], &shown["unit"]),
        (&"chip".into(), &"W".into())
    );
    assert_eq!(shown["statistics"]["mean"], 100.5);
    let markdown = report("markdown");
    assert!(
        markdown.contains("2 × NVIDIA H100 PCIe with 79.6 GiB, driver 550.54.15"),
        "{markdown}"
    );
    assert!(markdown.contains("| chip.power 1 | 200.5 |"), "{markdown}");
    let html = report("html");
    assert!(html.contains("2 × NVIDIA H100 PCIe") && html.contains("chip.temperature"));
    assert!(report("terminal").contains("the chips' status tool used "));
}

fn assert_classic_files(place: &Place) {
    let directory = place.run_directory();
    let host = "localhost";
    let log = read(&directory.join(format!("wait/{host}_noderank0/nvidia_monitor.log")));
    let blocks: Vec<&str> = log.split_terminator("\n\n").collect();
    assert!(blocks.len() >= 5, "{log}");
    for block in blocks {
        let lines: Vec<&str> = block.lines().collect();
        assert_eq!(lines.len(), 3, "{block}");
        // 2026-11-23-11:40:06
        assert_eq!(
            (lines[0].len(), lines[0].matches('-').count()),
            (19, 3),
            "{block}"
        );
        assert_eq!(lines[1], "30C 101W 1000MiB 81559MiB 0%");
        assert_eq!(lines[2], "31C 201W 2000MiB 81559MiB 10%");
    }
    let detail: Value = serde_json::from_str(&read(&directory.join("detail_result.json"))).unwrap();
    let vendor = &detail["wait"][host]["vendor"];
    assert_eq!(vendor["temp"]["1"][0], 31.0);
    assert_eq!(vendor["power"]["0"][0], 101.0);
    assert_eq!(vendor["mem"]["1"][0], 2000.0);
    assert_eq!(vendor["max_mem"], 81559.0);
    let log = read(&directory.join("flagperf_run.log"));
    for line in [
        "]    RANK 0's AVERAGE: 101.0 Watts, MAX: 101.0 Watts, STD DEVIATION: 0.0 Watts\n",
        "]    RANK 1's AVERAGE: 31.0 °C, MAX: 31.0 °C, STD DEVIATION: 0.0 °C\n",
        "]    RANK 1's AVERAGE: 2.452 %, MAX: 2.452 %, STD DEVIATION: 0.0 %\n",
    ] {
        assert!(log.contains(line), "{line}{log}");
    }
}

#[test]
fn a_tool_that_blocks_leaves_a_gap_and_nothing_else() {
    let place = place(6.0);
    let smi = StandInSmi::new(1);
    let mut running = command(&place, &smi, &[])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    within(10.0, "it is sampled", || smi.calls().len() == 2);
    std::thread::sleep(std::time::Duration::from_secs(1));
    smi.behave("block");
    std::thread::sleep(std::time::Duration::from_millis(1300));
    smi.behave("ok");
    let status = running.wait().unwrap();
    assert_eq!(status.code(), Some(0));
    assert_nothing_left(&smi);
    let run = loaded(&place);
    let samples = chip_samples(&run);
    let (power, gaps) = series(&samples, "chip.power", "0");
    assert!(gaps >= 4 && power.len() >= 6, "{gaps} gaps, {power:?}");
    // It was given up and started again, and went on.
    let column = &samples.block.columns[0];
    let last = column.iter().rposition(Option::is_none).unwrap();
    assert!(column.len() - last > 3, "{column:?}");
    assert!(smi.calls().len() >= 3);
    let cost = run.record.results[0].monitor_cost[0].1;
    assert_eq!(cost.chip_gaps as usize, gaps);
    let warnings = run.record.warnings.join("\n");
    assert!(
        warnings.contains(
            "nvidia-smi had said nothing for 1 s and was ended; the series of chips have a gap"
        ),
        "{warnings}"
    );
    // What it had started went with it, and counts for nobody's stray.
    assert!(!warnings.contains("left processes behind"), "{warnings}");
    // The machine was sampled all the time.
    let machine = run.samples(&run.record.results[0], 0).unwrap().unwrap();
    let steps = machine.block.times.windows(2);
    let longest = steps
        .map(|pair| pair[1].seconds_since(pair[0]))
        .fold(0.0, f64::max);
    assert!(longest < 1.0, "{longest}");
}

#[test]
fn a_tool_that_is_killed_is_started_again() {
    let place = place(5.0);
    let smi = StandInSmi::new(1);
    let mut running = command(&place, &smi, &[])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    within(10.0, "it is sampled", || smi.calls().len() == 2);
    std::thread::sleep(std::time::Duration::from_secs(1));
    signal(smi.calls()[1].0, "KILL");
    assert_eq!(running.wait().unwrap().code(), Some(0));
    assert_nothing_left(&smi);
    assert_eq!(smi.calls().len(), 3);
    let run = loaded(&place);
    let (power, gaps) = series(&chip_samples(&run), "chip.power", "0");
    assert!(power.len() >= 6 && gaps >= 2, "{gaps} gaps, {power:?}");
    let warnings = run.record.warnings.join("\n");
    assert!(
        warnings.contains("nvidia-smi was ended by signal 9; the series of chips have a gap"),
        "{warnings}"
    );
    assert!(!warnings.contains("left processes behind"), "{warnings}");
}

#[test]
fn a_vendor_that_is_asked_for_and_not_there_is_told() {
    let place = place(0.3);
    // Nothing but what the case needs: this machine may have the tool.
    let tools = place.path("tools");
    fs::create_dir_all(&tools).unwrap();
    std::os::unix::fs::symlink(which("sleep"), tools.join("sleep")).unwrap();
    let go = |arguments: &[&str]| {
        let mut command = place.command(&["wait", "--interval", "200ms"]);
        let ran = ran(command
            .args(arguments)
            .env("PATH", &tools)
            .output()
            .unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let record = place.record();
        fs::remove_dir_all(place.path("results")).unwrap();
        record
    };
    let record = go(&["--vendor", "nvidia"]);
    assert_eq!(
        absences(&record),
        [("chip".to_owned(), "nvidia-smi not found".to_owned())]
    );
    assert_eq!(record["plan"]["monitor"]["vendor"], "nvidia");
    assert!(
        record["nodes"][0]["facts"]["chips"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    // Nobody asked: nothing is to be said.
    let record = go(&[]);
    assert_eq!(absences(&record), []);
    assert!(record["nodes"][0]["chip_series"].is_null());
}

fn which(name: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|directory| directory.join(name));
    found.find(|path| path.is_file()).unwrap()
}

/// What the tool says instead of values is the reason.
#[test]
fn a_tool_that_has_nothing_to_say() {
    let place = place(0.2);
    let smi = StandInSmi::new(2);
    let absent = |mode: &str, arguments: &[&str]| {
        smi.behave(mode);
        passes(&place, &smi, arguments);
        let record = place.record();
        assert!(
            !place
                .run_directory()
                .join("wait/localhost_noderank0/chips.fps")
                .exists()
        );
        fs::remove_dir_all(place.path("results")).unwrap();
        absences(&record)
    };
    let all = |reason: &str| vec![("chip".to_owned(), reason.to_owned())];
    let failed = "nvidia-smi failed (exit status 9): NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.";
    assert_eq!(absent("fail", &[]), all(failed));
    assert_eq!(
        absent("layout", &[]),
        all("nvidia-smi printed nothing that can be read: +-----------------------------+")
    );
    assert_eq!(
        absent("block", &[]),
        all("nvidia-smi did not answer within 2 s")
    );
    assert_eq!(absent("none", &[]), []);
    assert_eq!(
        absent("none", &["--vendor", "nvidia"]),
        all("nvidia-smi says that there are no chips")
    );
}

#[test]
fn an_older_driver_is_asked_for_less_and_a_cut_up_chip_lacks_what_it_lacks() {
    let place = place(1.5);
    let smi = StandInSmi::new(1);
    smi.behave("old");
    passes(&place, &smi, &[]);
    let run = loaded(&place);
    assert!(!series(&chip_samples(&run), "chip.power", "0").0.is_empty());
    // Asked three times, each time for one field less; and then it was known what to ask for.
    let calls = smi.calls();
    assert_eq!(calls.len(), 4, "{calls:?}");
    assert!(!calls[3].1.contains("power.draw.average"));
    fs::remove_dir_all(place.path("results")).unwrap();
    smi.behave("mig");
    passes(&place, &smi, &[]);
    let record = place.record();
    assert_eq!(
        absences(&record),
        [(
            "chip.utilization".to_owned(),
            "nvidia-smi says [N/A]".to_owned()
        )]
    );
    let log = read(
        &place
            .run_directory()
            .join("wait/localhost_noderank0/nvidia_monitor.log"),
    );
    assert!(log.contains("30C 101W 1000MiB 81559MiB N/A\n"), "{log}");
}

#[test]
fn a_chip_that_drops_out_has_gaps_and_the_others_keep_their_places() {
    let place = place(4.0);
    let smi = StandInSmi::new(3);
    let mut running = command(&place, &smi, &[])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    within(10.0, "it is sampled", || smi.calls().len() == 2);
    std::thread::sleep(std::time::Duration::from_millis(1500));
    smi.behave("lost");
    assert_eq!(running.wait().unwrap().code(), Some(0));
    let run = loaded(&place);
    let samples = chip_samples(&run);
    let (whole, _) = series(&samples, "chip.power", "2");
    assert!(
        whole.iter().all(|watts| (watts - 300.5).abs() < 1e-9),
        "{whole:?}"
    );
    let (partly, gaps) = series(&samples, "chip.power", "1");
    assert!(!partly.is_empty() && gaps > 1, "{gaps} {partly:?}");
    assert!(partly.len() < whole.len());
    let log = read(
        &place
            .run_directory()
            .join("wait/localhost_noderank0/nvidia_monitor.log"),
    );
    assert!(log.contains("\nN/A N/A N/A 81559MiB N/A\n"), "{log}");
}

#[test]
fn a_tool_that_holds_back_or_prints_nonsense_is_not_believed() {
    let place = place(6.0);
    let smi = StandInSmi::new(1);
    smi.behave("buffered");
    passes(&place, &smi, &[]);
    let run = loaded(&place);
    // It was found out, and is asked for each sample since.
    let calls = smi.calls();
    assert!(calls.len() > 5, "{calls:?}");
    assert!(!calls.last().unwrap().1.contains("--loop-ms"));
    let samples = chip_samples(&run);
    let (power, _) = series(&samples, "chip.power", "0");
    assert!(power.len() > 4, "{power:?}");
    // No two samples lie closer than the tool was asked.
    let known: Vec<_> = samples
        .block
        .times
        .iter()
        .zip(&samples.block.columns[0])
        .filter(|(_, v)| v.is_some())
        .collect();
    for pair in known.windows(2) {
        assert!(pair[1].0.seconds_since(*pair[0].0) >= 0.05, "{known:?}");
    }
    fs::remove_dir_all(place.path("results")).unwrap();
    let smi = StandInSmi::new(1);
    smi.behave("garbage");
    passes(&place, &smi, &[]);
}

/// The tool's work is not the case's: a case that does nothing is found out beside it.
#[test]
fn a_case_that_hangs_beside_a_busy_tool_has_stalled() {
    let place = place(30.0);
    let smi = StandInSmi::new(8);
    let ran = run(&place, &smi, &["--stall", "1500ms"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        place.outcome()["stalled"].is_object(),
        "{}",
        place.outcome()
    );
    let cost = loaded(&place).record.results[0].monitor_cost[0].1;
    assert!(cost.tool_cpu_s > 0.02, "{cost:?}");
}

/// Whatever befalls the controller, nothing stays on the node.
#[test]
fn no_tool_outlives_a_controller_that_is_killed() {
    for signal_name in ["KILL", "INT"] {
        let place = place(60.0);
        let smi = StandInSmi::new(1);
        let mut running = command(&place, &smi, &[])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        within(10.0, "it is sampled", || smi.calls().len() == 2);
        smi.behave("block");
        std::thread::sleep(std::time::Duration::from_millis(400));
        signal(running.id(), signal_name);
        running.wait().unwrap();
        assert_nothing_left(&smi);
        within(10.0, "what it had started has ended", || {
            !has_sleeper(Path::new("/proc"), smi.directory())
        });
    }
}

/// True if a process runs whose working or starting place tells that the stand-in has started it: it has the
/// stand-in's directory in its PATH and sleeps for a thousand seconds.
fn has_sleeper(proc: &Path, directory: &Path) -> bool {
    let marker = directory.display().to_string();
    fs::read_dir(proc).unwrap().flatten().any(|entry| {
        let path = entry.path();
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let environ = fs::read(path.join("environ")).unwrap_or_default();
        words.starts_with(b"sleep\x001000\0") && String::from_utf8_lossy(&environ).contains(&marker)
    })
}

/// What was asked for holds for what is run later.
#[test]
fn a_run_that_is_taken_up_again_asks_for_the_same_vendor() {
    let place = Place::new();
    place.case(
        "wait",
        "sleep 1; test -e \"$0.again\" || { touch \"$0.again\"; exit 1; }; echo '[FlagPerf Result]wait=1.5GB/s'",
    );
    let smi = StandInSmi::new(1);
    smi.behave("none");
    let first = place.command(&["wait", "--interval", "200ms", "--vendor", "nvidia"]);
    let first = ran({ first }.env("PATH", smi.path()).output().unwrap());
    assert_eq!(first.code, Some(1), "{}", first.stderr);
    let none = (
        "chip".to_owned(),
        "nvidia-smi says that there are no chips".to_owned(),
    );
    assert_eq!(absences(&place.record()), [none]);
    smi.behave("ok");
    let mut again = flagperf(&["run", "--resume"]);
    again.arg(place.run_directory()).env("PATH", smi.path());
    let again = ran(again.output().unwrap());
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert_nothing_left(&smi);
    let record = place.record();
    assert_eq!(absences(&record), []);
    assert_eq!(record["nodes"][0]["facts"]["chips"][0]["label"], "0");
    let power = series(&chip_samples(&loaded(&place)), "chip.power", "0");
    assert!(!power.0.is_empty());
}

#[test]
fn what_is_wrong_with_a_vendor_is_told_before_anything_starts() {
    let place = place(0.1);
    let unknown = place.run(&["wait", "--vendor", "nvidea"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("did you mean `nvidia`?"),
        "{}",
        unknown.stderr
    );
    fs::write(place.path("vendors/acme.toml"), "nam = \"acme\"\n").unwrap();
    let vendors = place.path("vendors");
    let wrong = place.run(&["wait", "--vendors", vendors.to_str().unwrap()]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong
            .stderr
            .contains("acme.toml:1:1: a vendor's profile has no key `nam`; did you mean `name`?"),
        "{}",
        wrong.stderr
    );
    let nothing = place.run(&["wait", "--vendors", place.path("cases").to_str().unwrap()]);
    assert_eq!(nothing.code, Some(2));
    assert!(
        nothing
            .stderr
            .contains("there is no profile of a vendor in"),
        "{}",
        nothing.stderr
    );
}
