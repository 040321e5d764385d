//! Chips, by a tool that stands in for `nvidia-smi`: found, sampled, lost, and never in the way of a case.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

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
interval_s = 0.25
timeout_s = 1.5
start_timeout_s = 3
"#;

/// What is awaited comes in so many seconds, also on a machine that is busy elsewhere.
const PATIENCE: f64 = 60.0;

/// A place with a case that runs until it is told to end, at most two minutes, and an impatient profile.
fn place() -> Place {
    let place = Place::new();
    place.case(
        "wait",
        "turns=0
while ! test -e \"$0.end\" && test $turns -lt 1200; do sleep 0.1; turns=$((turns + 1)); done
echo '[FlagPerf Result]wait=1.5GB/s'",
    );
    fs::create_dir_all(place.path("vendors")).unwrap();
    fs::write(place.path("vendors/nvidia.toml"), HASTY).unwrap();
    place
}

/// Tells the case to end, now or before it begins.
fn end(place: &Place) {
    fs::write(place.path("cases/wait/main.sh.end"), "").unwrap();
}

/// The run of that case, where the stand-in is found.
fn command(place: &Place, smi: &StandInSmi, arguments: &[&str]) -> Command {
    let mut command = place.command(&["wait", "--interval", "250ms"]);
    command
        .arg("--vendors")
        .arg(place.path("vendors"))
        .args(arguments)
        .env("PATH", smi.path());
    command
}

/// A run that goes on meanwhile.
struct Going<'a> {
    place: &'a Place,
    smi: &'a StandInSmi,
    child: Child,
}

impl<'a> Going<'a> {
    fn start(place: &'a Place, smi: &'a StandInSmi, arguments: &[&str]) -> Self {
        let child = command(place, smi, arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { place, smi, child }
    }

    /// Waits until so many samples more have been printed.
    fn await_samples(&self, more: usize) {
        let before = self.smi.printed();
        within(PATIENCE, "samples", || self.smi.printed() >= before + more);
    }

    fn await_calls(&self, count: usize) {
        within(PATIENCE, "the tool is started", || {
            self.smi.calls().len() >= count
        });
    }

    /// Lets the case end, and looks that it has passed and that nothing of the tool is left.
    fn end(mut self) -> LoadedRun {
        end(self.place);
        let mut code = None;
        within(PATIENCE, "the program ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        assert_eq!(code.unwrap().code(), Some(0));
        assert_nothing_left(self.smi);
        loaded(self.place)
    }
}

impl Drop for Going<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run of the case until some samples have been printed.
fn sampled(place: &Place, smi: &StandInSmi) -> LoadedRun {
    let going = Going::start(place, smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    going.end()
}

/// A run of the case for no longer than it takes.
fn run(place: &Place, smi: &StandInSmi, arguments: &[&str]) -> Ran {
    end(place);
    let ran = ran(command(place, smi, arguments).output().unwrap());
    assert_nothing_left(smi);
    ran
}

/// No process of the stand-in is there any more, nor what it has started.
fn assert_nothing_left(smi: &StandInSmi) {
    within(PATIENCE, "the tool has ended", || {
        smi.calls().iter().all(|(pid, _)| !is_tool(*pid, smi))
    });
    within(PATIENCE, "what it had started has ended", || {
        !has_sleeper(Path::new("/proc"), smi.directory())
    });
}

fn is_tool(pid: u32, smi: &StandInSmi) -> bool {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let path = smi.directory().display().to_string();
    is_alive(pid) && String::from_utf8_lossy(&words).contains(&path)
}

/// True if a process sleeps for a thousand seconds that has the stand-in's directory in its PATH.
fn has_sleeper(proc: &Path, directory: &Path) -> bool {
    let marker = directory.display().to_string();
    fs::read_dir(proc).unwrap().flatten().any(|entry| {
        let path = entry.path();
        let words = fs::read(path.join("cmdline")).unwrap_or_default();
        let environ = fs::read(path.join("environ")).unwrap_or_default();
        words.starts_with(b"sleep\x001000\0") && String::from_utf8_lossy(&environ).contains(&marker)
    })
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
    let place = place();
    let smi = StandInSmi::new(2);
    let run = sampled(&place, &smi);
    let record = place.record();
    let chips = record["nodes"][0]["facts"]["chips"].as_array().unwrap();
    assert_eq!(chips.len(), 2);
    assert_eq!(chips[1]["vendor"], "nvidia");
    assert_eq!(chips[1]["label"], "1");
    assert_eq!(chips[1]["uuid"], "GPU-1111-test");
    assert_eq!(chips[1]["memory_bytes"], 81559u64 << 20);
    assert_eq!(absences(&record), []);

    let samples = chip_samples(&run);
    assert_eq!(samples.series, run.record.nodes[0].chip_series);
    assert_eq!(samples.series.len(), 14);
    let (power, _) = series(&samples, "chip.power", "1");
    assert!(power.len() >= 3, "{power:?}");
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

    // One process for looking, and one that goes on.
    let calls = smi.calls();
    assert!(
        !calls[0].1.contains("--loop-ms") && calls[1].1.ends_with("--loop-ms=250"),
        "{calls:?}"
    );
    let cost = result.monitor_cost[0].1;
    assert_eq!(cost.chip_samples as usize, power.len());
    assert!(cost.tool_cpu_s < cost.wall_s, "{cost:?}");

    assert_classic_files(&place);
    assert_reports(&place);
}

fn assert_reports(place: &Place) {
    let directory = place.run_directory();
    let report = |format: &str| {
        let mut report = flagperf(&["report", directory.to_str().unwrap(), "--format", format]);
        let ran = ran(report.output().unwrap());
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
    assert!(blocks.len() >= 3, "{log}");
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
    let place = place();
    let smi = StandInSmi::new(1);
    let going = Going::start(&place, &smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    smi.behave("block");
    within(PATIENCE, "it blocks", || {
        has_sleeper(Path::new("/proc"), smi.directory())
    });
    smi.behave("ok");
    // It is given up and started again, and goes on.
    going.await_calls(3);
    going.await_samples(6);
    let run = going.end();
    let samples = chip_samples(&run);
    let (power, gaps) = series(&samples, "chip.power", "0");
    assert!(gaps >= 4 && power.len() >= 6, "{gaps} gaps, {power:?}");
    let column = &samples.block.columns[0];
    let first = column.iter().position(Option::is_some).unwrap();
    let last = column.iter().rposition(Option::is_some).unwrap();
    assert!(column[first..last].contains(&None), "{column:?}");
    let cost = run.record.results[0].monitor_cost[0].1;
    assert_eq!(cost.chip_gaps as usize, gaps);
    let warnings = run.record.warnings.join("\n");
    assert!(
        warnings.contains(
            "nvidia-smi had said nothing for 2 s and was ended; the series of chips have a gap"
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
    assert!(longest < 1.2, "{longest}");
}

#[test]
fn a_tool_that_is_killed_is_started_again() {
    let place = place();
    let smi = StandInSmi::new(1);
    let going = Going::start(&place, &smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    signal(smi.calls()[1].0, "KILL");
    going.await_calls(3);
    going.await_samples(6);
    let run = going.end();
    let (power, gaps) = series(&chip_samples(&run), "chip.power", "0");
    assert!(power.len() >= 4 && gaps >= 1, "{gaps} gaps, {power:?}");
    let warnings = run.record.warnings.join("\n");
    assert!(
        warnings.contains("nvidia-smi was ended by signal 9; the series of chips have a gap"),
        "{warnings}"
    );
    assert!(!warnings.contains("left processes behind"), "{warnings}");
}

#[test]
fn a_vendor_that_is_asked_for_and_not_there_is_told() {
    let place = place();
    end(&place);
    // Nothing but what the case needs: this machine may have the tool.
    let tools = place.path("tools");
    fs::create_dir_all(&tools).unwrap();
    std::os::unix::fs::symlink(which("sleep"), tools.join("sleep")).unwrap();
    let go = |arguments: &[&str]| {
        let mut command = place.command(&["wait", "--interval", "250ms"]);
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
    let place = place();
    let smi = StandInSmi::new(2);
    let absent = |mode: &str, arguments: &[&str]| {
        smi.behave(mode);
        let ran = run(&place, &smi, arguments);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
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
        all("nvidia-smi did not answer within 3 s")
    );
    assert_eq!(absent("none", &[]), []);
    assert_eq!(
        absent("none", &["--vendor", "nvidia"]),
        all("nvidia-smi says that there are no chips")
    );
}

#[test]
fn an_older_driver_is_asked_for_less() {
    let place = place();
    let smi = StandInSmi::new(1);
    smi.behave("old");
    let going = Going::start(&place, &smi, &[]);
    // Asked three times, each time for one field less; and then it was known what to ask for.
    going.await_calls(4);
    going.await_samples(6);
    let run = going.end();
    assert!(!series(&chip_samples(&run), "chip.power", "0").0.is_empty());
    let calls = smi.calls();
    assert!(calls[2].1.ends_with("--format=csv"), "{calls:?}");
    assert!(calls[3].1.contains("--loop-ms") && !calls[3].1.contains("power.draw.average"));
}

#[test]
fn a_cut_up_chip_lacks_what_it_lacks() {
    let place = place();
    let smi = StandInSmi::new(1);
    smi.behave("mig");
    sampled(&place, &smi);
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
    let place = place();
    let smi = StandInSmi::new(3);
    let going = Going::start(&place, &smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    smi.behave("lost");
    going.await_samples(8);
    let run = going.end();
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
fn a_tool_that_holds_back_what_it_prints_is_not_believed() {
    let place = place();
    let smi = StandInSmi::new(1);
    smi.behave("buffered");
    let going = Going::start(&place, &smi, &[]);
    // It is found out, and asked for each sample since.
    within(PATIENCE, "it is asked for each sample", || {
        let calls = smi.calls();
        let for_each = calls
            .iter()
            .filter(|(_, words)| !words.contains("--loop-ms"));
        calls.len() > 6 && for_each.count() > 5
    });
    let run = going.end();
    let samples = chip_samples(&run);
    let known: Vec<_> = samples
        .block
        .times
        .iter()
        .zip(&samples.block.columns[0])
        .filter(|(_, value)| value.is_some())
        .collect();
    assert!(known.len() >= 3, "{known:?}");
    // None of a bundle was taken: what is read together has one moment. Two that were asked for one by one may come
    // close on a machine that is busy elsewhere.
    for pair in known.windows(2) {
        assert!(pair[1].0.seconds_since(*pair[0].0) >= 0.005, "{known:?}");
    }
}

#[test]
fn a_tool_that_prints_nonsense_harms_nobody() {
    let place = place();
    let smi = StandInSmi::new(1);
    let going = Going::start(&place, &smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    smi.behave("garbage");
    going.await_calls(3);
    let run = going.end();
    let (power, gaps) = series(&chip_samples(&run), "chip.power", "0");
    let warnings = run.record.warnings.join("\n");
    assert!(
        warnings.contains("nvidia-smi had printed nothing that can be read for 2 s and was ended"),
        "{warnings}"
    );
    assert!(gaps > 0 && power.iter().all(|watts| (watts - 100.5).abs() < 1e-9));
}

/// The tool's work is not the case's: a case that does nothing is found out beside it.
#[test]
fn a_case_that_hangs_beside_a_busy_tool_has_stalled() {
    let place = Place::new();
    place.case("wait", "sleep 120");
    fs::create_dir_all(place.path("vendors")).unwrap();
    fs::write(place.path("vendors/nvidia.toml"), HASTY).unwrap();
    let smi = StandInSmi::new(8);
    smi.behave("busy");
    let ran = ran(command(&place, &smi, &["--stall", "5s"]).output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_nothing_left(&smi);
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
        let place = place();
        let smi = StandInSmi::new(1);
        let mut going = Going::start(&place, &smi, &[]);
        going.await_calls(2);
        smi.behave("block");
        within(PATIENCE, "it blocks", || {
            has_sleeper(Path::new("/proc"), smi.directory())
        });
        signal(going.child.id(), signal_name);
        going.child.wait().unwrap();
        assert_nothing_left(&smi);
    }
}

/// What was asked for holds for what is run later.
#[test]
fn a_run_that_is_taken_up_again_asks_for_the_same_vendor() {
    let place = Place::new();
    place.case(
        "wait",
        "test -e \"$0.again\" || { touch \"$0.again\"; exit 1; }; sleep 4; echo '[FlagPerf Result]wait=1.5GB/s'",
    );
    let smi = StandInSmi::new(1);
    smi.behave("none");
    let mut first = place.command(&["wait", "--interval", "250ms", "--vendor", "nvidia"]);
    let first = ran(first.env("PATH", smi.path()).output().unwrap());
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
    let place = place();
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
