//! Looking for chips: what is asked, and what is said where there are none.

use std::fs;

use flagperf_testkit::StandInSmi;

use super::{Going, absences, assert_nothing_left, chip_samples, end, loaded, place, run, series};
use crate::support::{Place, flagperf, ran};

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
