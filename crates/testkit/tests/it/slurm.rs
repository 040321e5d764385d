//! A Slurm cluster.

use std::collections::BTreeSet;

use flagperf_testkit::TestBed;

use crate::support::{over_ssh, said};

#[test]
fn srun_runs_on_the_hosts_of_a_cluster() {
    let Some(bed) = TestBed::slurm(3).up() else {
        return;
    };
    let hosts = said(
        &bed.controller("srun")
            .args(["-N2", "hostname"])
            .output()
            .unwrap(),
    );
    let hosts: BTreeSet<&str> = hosts.lines().collect();
    assert_eq!(hosts.len(), 2, "{hosts:?}");
    let names: BTreeSet<&str> = bed.node_names().iter().map(String::as_str).collect();
    assert!(hosts.is_subset(&names), "{hosts:?}");
    // A job knows its nodes in the notation of Slurm, and nodes ask the same controller.
    let list = bed
        .controller("srun")
        .args(["-N3", "printenv", "SLURM_JOB_NODELIST"])
        .output();
    assert_eq!(said(&list.unwrap()), ["node[1-3]"; 3].join("\n"));
    assert_eq!(over_ssh(&bed, "node2", "srun -w node3 hostname"), "node3");
}
