//! Which suite a directory belongs to, and what a suite has.

use flagperf_library::{SuiteTree, TreeCatalogue, TreeKind, find_suite, find_suites};
use flagperf_model::{StartProgram, Suite};

use super::made::{Made, below};

#[test]
fn a_suite_is_found_from_its_directory_and_from_below() {
    let made = Made::new();
    let root = made.root();
    for (start, suite) in [
        ("base", Suite::Base),
        ("base/configs", Suite::Base),
        ("base/toolkits/computation-FP16/nvidia/A100", Suite::Base),
        ("operation/benchmarks", Suite::Operation),
        ("inference", Suite::Inference),
        ("training/run_benchmarks", Suite::Training),
    ] {
        let found = find_suite(&root.join(start), None).unwrap();
        assert_eq!(found.suite, suite, "{start}");
        assert_eq!(found.directory, root.join(found.name()), "{start}");
    }
}

#[test]
fn the_directory_of_all_suites_has_to_be_told_which() {
    let made = Made::new();
    let root = made.root();
    let error = find_suite(&root, None).unwrap_err().to_string();
    assert_eq!(
        below(&root, &error),
        "`TREE` holds the suites `base`, `operation`, `inference`, `training`; name one of them, or go into its directory"
    );
    let found = find_suite(&root, Some(Suite::Inference)).unwrap();
    assert_eq!(found.directory, root.join("inference"));
    let beside = find_suite(&root.join("base"), Some(Suite::Training)).unwrap();
    assert_eq!(beside.directory, root.join("training"));

    let names = |start: &str| {
        let suites = find_suites(&root.join(start)).unwrap();
        suites.iter().map(SuiteTree::name).collect::<Vec<&str>>()
    };
    assert_eq!(names(""), ["base", "operation", "inference", "training"]);
    assert_eq!(names("operation/benchmarks"), ["operation"]);
}

#[test]
fn what_is_missing_is_said() {
    let made = Made::new();
    made.remove("operation");
    made.remove("inference");
    let root = made.root();
    let error = find_suite(&root, Some(Suite::Operation)).unwrap_err();
    assert_eq!(
        below(&root, &error.to_string()),
        "`TREE` has no suite `operation`; it has `base`, `training`"
    );
    made.remove("training");
    assert_eq!(find_suite(&root, None).unwrap().suite, Suite::Base);

    let elsewhere = tempfile::tempdir().unwrap();
    let error = find_suite(elsewhere.path(), None).unwrap_err().to_string();
    assert!(
        error.contains("is no part of a FlagPerf tree; expected"),
        "{error}"
    );
    let error = find_suite(&elsewhere.path().join("none"), None).unwrap_err();
    assert!(error.to_string().starts_with("cannot read"), "{error}");
}

#[test]
fn a_suite_that_was_copied_out_of_its_tree_is_one() {
    let made = Made::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("my-training");
    std::fs::rename(made.root().join("training"), &copy).unwrap();
    let found = find_suite(&copy, None).unwrap();
    assert_eq!(
        (found.suite, found.directory),
        (Suite::Training, copy.canonicalize().unwrap())
    );
}

#[test]
fn the_catalogue_has_cases_with_vendors_and_chips() {
    let made = Made::new();
    let rows = |suite| {
        let catalogue = TreeCatalogue::read(&made.suite(suite)).unwrap();
        let rows = catalogue.entries.iter().map(|entry| {
            let each = entry.adaptations.iter().map(|one| {
                let sizes: Vec<String> = one
                    .configurations
                    .iter()
                    .map(|size| format!("{}x{}x{}", size.hardware, size.nnodes, size.nproc))
                    .collect();
                let inside = if sizes.is_empty() { &one.chips } else { &sizes };
                format!("{}{inside:?}", one.vendor).replace('"', "")
            });
            let each: Vec<String> = each.collect();
            format!("{} {}: {}", entry.kind, entry.case, each.join(" "))
        });
        rows.collect::<Vec<String>>()
    };
    assert_eq!(
        rows(Suite::Base),
        [
            "benchmark computation-FP16: ascend[] mthreads[S4000, S5000] nvidia[A100]",
            "benchmark computation-FP32: metax[C550] nvidia[A100]",
            "benchmark computation-TF32: mthreads[S4000] nvidia[A100]",
            "benchmark interconnect-MPI_interserver: nvidia[A100]",
            "benchmark interconnect-P2P_interserver: nvidia[A100]",
            "benchmark interconnect-P2P_intraserver: nvidia[A100]",
            "toolkit computation-FP16: ascend[A3] nvidia[A100]",
            "toolkit computation-FP64: nvidia[A100]",
            "toolkit interconnect-P2P_interserver: cambricon[MLU] nvidia[A100]",
            "toolkit main_memory-capacity: nvidia[A100]",
        ]
    );
    assert_eq!(
        rows(Suite::Operation),
        [
            "operation add: nvidia[A100_40_SXM]",
            "operation mm: iluvatar[BI150] nvidia[A100_40_SXM]"
        ]
    );
    assert_eq!(
        rows(Suite::Inference),
        ["inference resnet50: iluvatar[] kunlunxin[]"]
    );
    assert_eq!(
        rows(Suite::Training),
        [
            "in_container aquila2_7B_container: nvidia[]",
            "in_cluster aquila2_7B_container: nvidia[]",
            "paddle bert: nvidia[A100x1x2]",
            "deepspeed chatglm3_6b: nvidia[H100x1x8]",
            "megatron-deepspeed llama2_7b: nvidia[A100x1x8]",
            "flagscale llama3_70B: nvidia[H100x2x8]",
            "megatron llama3_8B: nvidia[A100x1x8]",
            "deepspeed-torch llava1.5_7b: nvidia[A800x1x8]",
            "pytorch resnet50: nvidia[A100x1x2, A100x2x2]",
            "tensorflow2 resnet50: nvidia[A100x1x8]",
            "mindspore resnet50: ascend[9100x1x8]",
        ]
    );
    let catalogue = TreeCatalogue::read(&made.suite(Suite::Training)).unwrap();
    let started = |start| {
        catalogue
            .entries
            .iter()
            .any(|entry| entry.kind == TreeKind::Training(start))
    };
    assert!(StartProgram::ALL.into_iter().all(started));
}
