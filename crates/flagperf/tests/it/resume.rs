//! `flagperf run --resume`: what has not passed is run again, in the same directory.

use serde_json::Value;

use crate::support::{Place, everything, flagperf, ran};

/// A plan without the ports, which are chosen anew.
fn without_ports(plan: &Value) -> Value {
    let mut plan = plan.clone();
    for case in plan["cases"].as_array_mut().unwrap() {
        for task in case["tasks"].as_array_mut().unwrap() {
            for process in task["processes"].as_array_mut().unwrap() {
                let env = process["env"].as_object_mut().unwrap();
                assert!(env.remove("MASTER_PORT").is_some());
            }
        }
    }
    plan
}

#[test]
fn what_has_passed_is_not_run_again() {
    let place = Place::new();
    let mended = place.path("mended");
    place.case("good", "echo '[FlagPerf Result]Rank 0 good=1.0'");
    place.case(
        "flaky",
        &format!(
            "[ -e {} ] || exit 7\necho '[FlagPerf Result]Rank 0 flaky=2.0'",
            mended.display()
        ),
    );
    assert_eq!(place.run(&["good", "flaky"]).code, Some(1));
    let run = place.run_directory();
    let resume = || {
        let mut command = flagperf(&["run", "--resume"]);
        ran(command.arg(&run).output().unwrap())
    };
    let before = place.record();
    assert_eq!(resume().code, Some(1), "it is still broken");
    std::fs::write(&mended, "").unwrap();
    let again = resume();
    assert_eq!(again.code, Some(0), "{}{}", again.stdout, again.stderr);
    let said = "resumed: 1 of 2 rounds are to be run";
    assert!(again.stderr.contains(said), "{}", again.stderr);
    assert!(
        again.stderr.contains("[2/2] flaky: passed"),
        "{}",
        again.stderr
    );
    let after = place.record();
    assert_eq!(
        without_ports(&after["plan"]),
        without_ports(&before["plan"])
    );
    assert_eq!(after["results"][0], before["results"][0]);
    assert_eq!(after["results"][1]["outcome"], "passed");
    assert_eq!(after["results"].as_array().unwrap().len(), 2);
    for attempt in ["", ".attempt1", ".attempt2"] {
        let old = format!("flaky/localhost_noderank0{attempt}");
        assert!(run.join(&old).is_dir(), "{old}");
    }
    let before = everything(&run);
    let nothing = resume();
    assert_eq!(nothing.code, Some(0));
    assert!(
        nothing.stdout.contains("nothing is left to run"),
        "{}",
        nothing.stdout
    );
    let after = everything(&run);
    assert!(
        after.keys().eq(before.keys()) && after == before,
        "{:?}",
        after.keys()
    );
}

#[test]
fn a_resumed_run_takes_no_other_wishes() {
    let refused = ran(flagperf(&["run", "--resume", "nowhere", "--rounds", "2"])
        .output()
        .unwrap());
    assert_eq!(refused.code, Some(2));
    let missing = ran(flagperf(&["run", "--resume", "nowhere"]).output().unwrap());
    assert_eq!(missing.code, Some(2));
    let said = "there is no run directory `nowhere`";
    assert!(missing.stderr.contains(said), "{}", missing.stderr);
}
