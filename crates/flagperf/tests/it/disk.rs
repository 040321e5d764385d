//! Disks that are full and directories that cannot be written.

use std::fs;
use std::process::Command;

use crate::support::{Place, ran, skip_without_root};

#[test]
fn a_results_directory_that_cannot_be_written_is_refused_at_once() {
    let place = Place::new();
    place.case("mine", "touch started");
    fs::write(place.path("results"), "a file").unwrap();
    let ran = place.run(&["mine"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("results cannot go to `"),
        "{}",
        ran.stderr
    );
    assert!(!place.path("cases/mine/started").exists());
}

/// Runs the program with its results on a file system of its own, in a mount namespace that ends with it.
fn on_own_disk(
    place: &Place,
    options: &str,
    arguments: &[&str],
    afterwards: &str,
) -> crate::support::Ran {
    let results = place.path("results");
    fs::create_dir(&results).unwrap();
    let command = place.command(arguments);
    let mut script = format!("mount -t tmpfs -o {options} none {} && ", results.display());
    script.push_str("\"$0\" \"$@\"; code=$?; ");
    script.push_str(afterwards);
    script.push_str("; exit $code");
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--mount", "--propagation", "private", "sh", "-c", &script])
        .arg(command.get_program())
        .args(command.get_args());
    ran(unshare.output().unwrap())
}

#[test]
fn a_read_only_results_directory_is_refused_at_once() {
    if skip_without_root("a read-only file system") {
        return;
    }
    let place = Place::new();
    place.case("mine", "touch started");
    let ran = on_own_disk(&place, "ro,size=1m", &["mine"], "true");
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(ran.stderr.contains("read-only"), "{}", ran.stderr);
    assert!(!place.path("cases/mine/started").exists());
}

#[test]
fn a_disk_that_fills_up_changes_no_outcome_and_is_told() {
    if skip_without_root("a small file system") {
        return;
    }
    let place = Place::new();
    place.case(
        "a-big",
        "head -c 30000000 /dev/zero | tr '\\0' x | fold -w 100\necho '[FlagPerf Result]Rank 0 big=1.0 GB/s'",
    );
    place.case("b-small", "echo '[FlagPerf Result]Rank 0 small=2.0 GB/s'");
    let keep = place.path("kept");
    let ran = on_own_disk(
        &place,
        "size=8m",
        &["a-big", "b-small"],
        &format!(
            "cp -r {}/run* {}",
            place.path("results").display(),
            keep.display()
        ),
    );
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("the record is incomplete"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("no space left on the disk"),
        "{}",
        ran.stderr
    );
    let record: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(keep.join("run.json")).unwrap()).unwrap();
    assert_eq!(record["state"], "finished");
    assert_eq!(record["results"][0]["outcome"], "passed");
    assert_eq!(record["results"][1]["outcome"], "passed");
    assert_eq!(record["results"][1]["measurements"][0][1]["value"], 2.0);
}
