//! What is set right from outside, and what a result has to be read with.

use flagperf_model::{PlannedCase, RemarkKind, Suite};

use super::made::{Made, defects, variables};

fn set_right(case: &PlannedCase) -> Vec<u32> {
    defects(&case.remarks, RemarkKind::SetRight)
}

fn warned(case: &PlannedCase) -> Vec<u32> {
    defects(&case.remarks, RemarkKind::Warning)
}

fn base(made: &Made, vendor: &str, case: &str, hosts: &[&str]) -> PlannedCase {
    made.wish(Suite::Base, vendor, &[case]).on(hosts).only()
}

#[test]
fn tf32_is_switched_from_outside_where_the_case_forgets_to() {
    let made = Made::new();
    let case = base(&made, "nvidia", "computation-TF32", &["a"]);
    assert_eq!(
        variables(&case.tasks[0], 0)["TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"],
        "1"
    );
    assert_eq!(set_right(&case), [37]);
    assert!(
        case.remarks[0]
            .text
            .ends_with("; TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1 sets it right")
    );
    let case = base(&made, "nvidia", "computation-FP32", &["a"]);
    assert_eq!(variables(&case.tasks[0], 0)["NVIDIA_TF32_OVERRIDE"], "0");
    assert_eq!(set_right(&case), [37]);
    let case = base(&made, "nvidia", "computation-FP16", &["a"]);
    assert!(
        variables(&case.tasks[0], 0).is_empty() && case.remarks.is_empty(),
        "{:?}",
        case.remarks
    );
}

#[test]
fn tf32_is_left_alone_where_the_case_does_right() {
    let made = Made::new();
    let case = base(&made, "mthreads", "computation-TF32", &["a"]);
    assert!(
        variables(&case.tasks[0], 0).is_empty() && case.remarks.is_empty(),
        "{:?}",
        case.remarks
    );
    // The driver does not know this vendor at all.
    let case = base(&made, "metax", "computation-FP32", &["a"]);
    assert!(variables(&case.tasks[0], 0).is_empty());
    assert_eq!((set_right(&case), warned(&case)), (vec![], vec![37]));
    // Its adaptation may know better.
    made.write(
        "base/benchmarks/computation-FP32/metax/C550/env.sh",
        "export TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=0\n",
    );
    assert_eq!(
        warned(&base(&made, "metax", "computation-FP32", &["a"])),
        [0; 0]
    );
    // A tree in which the comparison was mended needs nothing.
    made.write(
        "base/benchmarks/drivers/utils.py",
        "if \"nvidia\" in vendor:\n    pass\n",
    );
    let case = base(&made, "nvidia", "computation-TF32", &["a"]);
    assert!(
        variables(&case.tasks[0], 0).is_empty() && case.remarks.is_empty(),
        "{:?}",
        case.remarks
    );
}

#[test]
fn cases_between_servers_are_warned_of_their_constants() {
    let made = Made::new();
    let p2p = "interconnect-P2P_interserver";
    assert_eq!(warned(&base(&made, "nvidia", p2p, &["a", "b"])), [40]);
    let text = |hosts: &[&str], nproc| {
        let mut wish = made.wish(Suite::Base, "nvidia", &[p2p]).on(hosts);
        wish.nproc = nproc;
        let case = wish.only();
        let of_defect = case.remarks.iter().find(|remark| remark.defect == Some(38));
        of_defect.map(|remark| remark.text.clone())
    };
    assert_eq!(text(&["a", "b"], 8), None);
    assert!(
        text(&["a", "b"], 4)
            .unwrap()
            .contains("does not exist with 4 ranks on each of 2 nodes")
    );
    assert!(
        text(&["a", "b", "c"], 4)
            .unwrap()
            .contains("is on the node of rank 2 with 4 ranks")
    );
    assert!(
        text(&["a", "b"], 16)
            .unwrap()
            .contains("on the same node as the sender")
    );
    assert!(
        text(&["a"], 8)
            .unwrap()
            .contains("does not exist with 8 ranks on each of 1 nodes")
    );

    let case = base(&made, "nvidia", "interconnect-MPI_interserver", &["a", "b"]);
    assert_eq!(warned(&case), [39, 40]);
    // (15/16) / (7/8)
    assert!(
        case.remarks[0]
            .text
            .contains("it is 1.0714 times what is printed"),
        "{:?}",
        case.remarks
    );
    let case = base(&made, "nvidia", "interconnect-MPI_interserver", &["a"]);
    assert!(
        case.remarks
            .iter()
            .any(|remark| remark.text == "it measures between servers, and there is one")
    );
}

#[test]
fn a_case_inside_a_server_does_not_wait_for_another() {
    let made = Made::new();
    let case = base(&made, "nvidia", "interconnect-P2P_intraserver", &["a", "b"]);
    assert_eq!((set_right(&case), warned(&case)), (vec![41], vec![40]));
    let case = base(&made, "nvidia", "interconnect-P2P_intraserver", &["a"]);
    assert_eq!((set_right(&case), warned(&case)), (vec![], vec![40]));
}

#[test]
fn adaptations_without_chips_and_scripts_of_another_system_are_set_right() {
    let made = Made::new();
    assert_eq!(
        set_right(&base(&made, "ascend", "computation-FP16", &["a"])),
        [59, 53]
    );
    let wish = made
        .wish(Suite::Base, "ascend", &["computation-FP16"])
        .toolkits();
    assert_eq!(set_right(&wish.only()), [59]);
    let wish = made.wish(Suite::Operation, "iluvatar", &["mm:FP16:192:flaggems"]);
    assert_eq!(set_right(&wish.only()), [59]);
}

#[test]
fn toolkits_are_warned_of() {
    let made = Made::new();
    let toolkit = |vendor: &str, case: &str| {
        let mut wish = made
            .wish(Suite::Base, vendor, &[case])
            .toolkits()
            .on(&["a", "b"]);
        wish.allow = true;
        wish.only()
    };
    assert_eq!(warned(&toolkit("nvidia", "computation-FP64")), [43]);
    let case = toolkit("nvidia", "main_memory-capacity");
    assert_eq!(warned(&case), [44]);
    assert_eq!(
        case.remarks[0].text,
        "it waits for 300 s after it has measured"
    );
    assert_eq!(
        warned(&toolkit("nvidia", "interconnect-P2P_interserver")),
        [40, 55, 28]
    );
    let case = toolkit("cambricon", "interconnect-P2P_interserver");
    assert_eq!(warned(&case), [40, 55, 28]);
    assert!(
        case.remarks[2].text.contains("sets passwords (line 2)"),
        "{:?}",
        case.remarks
    );
}

#[test]
fn toolkits_that_change_credentials_are_refused_unless_that_is_allowed() {
    let made = Made::new();
    let wish = made
        .wish(Suite::Base, "cambricon", &["interconnect-*"])
        .toolkits()
        .on(&["a", "b"]);
    let text = wish.wrong();
    let wanted = "`interconnect-P2P_interserver` is not run: ";
    assert!(text.starts_with(wanted), "{text}");
    assert!(
        text.ends_with("main.sh` sets passwords (line 2), deletes ssh keys (line 3), rewrites the configuration of sshd (line 4) on every node it runs on, and the way to the node may be lost with it; allow it with `--allow-credential-changes` if the nodes are containers for this run alone"),
        "{text}"
    );
    let wish = made
        .wish(Suite::Base, "nvidia", &["interconnect-*"])
        .toolkits()
        .on(&["a", "b"]);
    assert_eq!(wish.plan().len(), 1);
}

#[test]
fn operators_are_warned_of() {
    let made = Made::new();
    let operation = |case: &str| made.wish(Suite::Operation, "nvidia", &[case]).only();
    let case = operation("mm:FP32:19.5:nativetorch");
    assert_eq!(variables(&case.tasks[0], 0)["NVIDIA_TF32_OVERRIDE"], "0");
    assert_eq!((set_right(&case), warned(&case)), (vec![37], vec![49]));
    let case = operation("mm:FP16:312:nativetorch");
    assert!(variables(&case.tasks[0], 0).is_empty() && set_right(&case).is_empty());
    assert!(set_right(&operation("add:FP32:19.5:nativetorch")).is_empty());
    assert_eq!(warned(&operation("mm:FP16:nativetorch")), [49, 49]);
    assert_eq!(warned(&operation("mm:INT16:-1:nativetorch")), [49, 49]);
    let other = made
        .wish(Suite::Operation, "iluvatar", &["mm:FP32:24:nativetorch"])
        .only();
    assert_eq!(warned(&other), [37, 49]);
}

#[test]
fn training_and_inference_are_warned_of() {
    let made = Made::new();
    let training = |vendor: &str, case: &str, hosts: &[&str]| {
        let case = format!("{case} = /d");
        made.wish(Suite::Training, vendor, &[&case])
            .on(hosts)
            .only()
    };
    assert_eq!(
        warned(&training("nvidia", "llama3_8B:megatron:A100:1:8:1", &["a"])),
        [51]
    );
    let case = training("nvidia", "chatglm3_6b:deepspeed:H100:1:8:1", &["a"]);
    assert_eq!(set_right(&case), [52]);
    let case = training(
        "nvidia",
        "llama3_70B:flagscale:H100:2:8:1",
        &["a", "b", "c"],
    );
    assert_eq!(set_right(&case), [24]);
    let case = training("nvidia", "llama3_70B:flagscale:H100:2:8:1", &["a", "b"]);
    assert!(case.remarks.is_empty(), "{:?}", case.remarks);
    let case = training("ascend", "resnet50:mindspore:9100:1:8:1", &["a"]);
    assert_eq!(case.remarks[0].text, "its script only prints a line");
    let case = training("nvidia", "aquila2_7B_container:in_container", &["a", "b"]);
    assert!(
        case.remarks[0]
            .text
            .starts_with("it starts its parts on the other nodes by itself")
    );

    let case = made
        .wish(Suite::Inference, "iluvatar", &["resnet50:pytorch = /d"])
        .only();
    assert_eq!(warned(&case), [58]);
    assert!(
        case.remarks[0]
            .text
            .contains("names the compiler `tensorrt`"),
        "{:?}",
        case.remarks
    );
}
