//! Chips, by a tool that stands in for `nvidia-smi`: found, sampled, lost, and never in the way of a case.

mod asking;
mod faults;
mod shown;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use flagperf_store::{LoadedRun, Samples, read_run};
use flagperf_testkit::StandInSmi;
use serde_json::Value;

use crate::support::{Place, Ran, is_alive, ran, within};

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
