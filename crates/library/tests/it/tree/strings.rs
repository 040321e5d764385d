//! Case strings: what each form means, and what is said of those that mean nothing.

use flagperf_model::{Entry, PlannedCase, Suite, TreeCase, TreeProgram};

use super::made::{Made, Wish, below};

fn tree(case: &PlannedCase) -> &TreeCase {
    match &case.spec.entry {
        Entry::Tree(tree) => tree,
        other => panic!("{other:?}"),
    }
}

fn names(wish: &Wish) -> Vec<String> {
    let cases = wish.resolve().unwrap();
    cases
        .iter()
        .map(|case| case.spec.name.to_string())
        .collect()
}

#[test]
fn base_takes_a_chip_or_finds_the_only_one() {
    let made = Made::new();
    let found = |vendor: &str, case: &str| {
        let wish = made.wish(Suite::Base, vendor, &[case]);
        let cases = wish.resolve().unwrap();
        (cases[0].spec.name.to_string(), tree(&cases[0]).chip.clone())
    };
    let chip = |name: &str| Some(name.to_owned());
    assert_eq!(
        found("nvidia", "computation-FP16:A100"),
        ("computation-FP16:A100".to_owned(), chip("A100"))
    );
    // The original takes A100 for whatever vendor.
    assert_eq!(
        found("metax", "computation-FP32"),
        ("computation-FP32".to_owned(), chip("C550"))
    );
    assert_eq!(
        found("ascend", "computation-FP16"),
        ("computation-FP16".to_owned(), None)
    );
    assert_eq!(found("mthreads", "computation-FP16:S5000").1, chip("S5000"));
}

#[test]
fn base_says_what_a_string_could_have_meant() {
    let made = Made::new();
    let wrong = |vendor: &str, case: &str| made.wish(Suite::Base, vendor, &[case]).wrong();
    assert_eq!(
        wrong("mthreads", "computation-FP16"),
        "`computation-FP16` does not say for which chip, and `mthreads` has several; write `computation-FP16:S4000`, `computation-FP16:S5000`"
    );
    assert_eq!(
        wrong("nvidia", "computation-FP61"),
        "no benchmark is named `computation-FP61`; did you mean `computation-FP16`? It exists for ascend, mthreads (S4000, S5000), nvidia (A100)"
    );
    assert_eq!(
        wrong("nvidia", "computation-FP64"),
        "no benchmark is named `computation-FP64`; there is a toolkit of that name (`BENCHMARKS_OR_TOOLKITS: \"TOOLKIT\"`), for nvidia (A100)"
    );
    assert_eq!(
        wrong("metax", "computation-TF32:C550"),
        "the benchmark `computation-TF32` does not exist for `metax`; it exists for mthreads (S4000), nvidia (A100)"
    );
    assert_eq!(
        wrong("nvidia", "computation-FP16:A101"),
        "the benchmark `computation-FP16` does not exist for the chip `A101` of `nvidia` (did you mean `A100`?); it exists for ascend, mthreads (S4000, S5000), nvidia (A100)"
    );
    assert_eq!(
        wrong("ascend", "computation-FP16:A100"),
        "`computation-FP16:A100` names the chip `A100`, but what `ascend` has for it is not for single chips; leave `:A100` out"
    );
    assert_eq!(
        wrong("nvidia", "computation-FP16:A100:x"),
        "`computation-FP16:A100:x` has 3 fields; expected `<case>` or `<case>:<chip>`"
    );
    assert_eq!(
        wrong("nvidia", "computation-FP16:"),
        "`` of `computation-FP16:` is no field; expected something for field 2"
    );
    assert_eq!(
        wrong("nvidai", "computation-FP16"),
        "no case of suite base is adapted to a vendor `nvidai`; did you mean `nvidia`?"
    );
    assert!(
        wrong("nvidia", "gemm")
            .starts_with("no benchmark is named `gemm`; there are `computation-FP16`, ")
    );
}

#[test]
fn everything_that_is_wrong_is_said_together() {
    let made = Made::new();
    let mut wish = made.wish(
        Suite::Base,
        "nvidia",
        &[
            "computation-FP17 = x",
            "computation-FP16:H100 = pytorch_2.4",
            "computation-FP32 = pytorch_2.4",
        ],
    );
    wish.images = true;
    let text = wish.wrong();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[0].starts_with("no benchmark is named `computation-FP17`"),
        "{text}"
    );
    assert!(lines[1].contains("the chip `H100` of `nvidia`"), "{text}");
    assert_eq!(
        lines[2],
        "`pytorch_2.4` of `computation-FP16:H100` is no framework of `nvidia` in suite base; did you mean `pytorch_2.3`?"
    );
}

#[test]
fn the_framework_names_the_image() {
    let made = Made::new();
    let framework = |vendor: &str, case: &str, images: bool| {
        let mut wish = made.wish(Suite::Base, vendor, &[case]);
        wish.images = images;
        wish.resolve()
            .map(|cases| tree(&cases[0]).framework.clone())
    };
    let is = |name: &str| Ok(name.to_owned());
    assert_eq!(
        framework("nvidia", "computation-FP16 = pytorch_2.3", true),
        is("pytorch_2.3")
    );
    assert_eq!(
        framework("nvidia", "computation-FP16 = my_image", false),
        is("my_image")
    );
    assert_eq!(
        framework("mthreads", "computation-FP16:S4000", true),
        is("pytorch_2.2")
    );
    assert_eq!(framework("nvidia", "computation-FP16", false), is(""));
    assert_eq!(
        framework("nvidia", "computation-FP16", true).unwrap_err(),
        "`computation-FP16` needs a framework, which names its image: `pytorch_2.3`, `pytorch_ssh`"
    );
}

#[test]
fn patterns_mean_all_that_exist() {
    let made = Made::new();
    let wish = |vendor: &str, case: &str| made.wish(Suite::Base, vendor, &[case]);
    assert_eq!(
        names(&wish("nvidia", "computation-*:A100")),
        [
            "computation-FP16:A100",
            "computation-FP32:A100",
            "computation-TF32:A100"
        ]
    );
    // Those without an adaptation are left out.
    assert_eq!(
        names(&wish("mthreads", "computation-*:S4000")),
        ["computation-FP16:S4000", "computation-TF32:S4000"]
    );
    assert_eq!(
        names(&wish("mthreads", "computation-?F32")),
        ["computation-TF32"]
    );
    assert_eq!(
        names(&wish("nvidia", "*").toolkits().on(&["a", "b"])).len(),
        4
    );
    assert!(
        wish("mthreads", "*")
            .wrong()
            .contains("`computation-FP16` does not say for which chip")
    );
    assert_eq!(
        wish("metax", "interconnect-P2P_*").wrong(),
        "no benchmark for `metax` has a name like `interconnect-P2P_*`; the benchmark `interconnect-P2P_interserver` does not exist for `metax`; it exists for nvidia (A100); the benchmark `interconnect-P2P_intraserver` does not exist for `metax`; it exists for nvidia (A100)"
    );
    assert!(
        wish("metax", "x*")
            .wrong()
            .contains("there are `computation-FP16`, `computation-FP32`")
    );
    // A case that is named twice runs once.
    let twice = made.wish(
        Suite::Base,
        "nvidia",
        &["computation-FP32", "computation-FP*", "computation-FP32"],
    );
    assert_eq!(names(&twice), ["computation-FP32", "computation-FP16"]);
    assert_eq!(
        made.wish(Suite::Base, "metax", &[]).wrong(),
        "no case is named; suite base has `computation-FP32` for `metax`"
    );
}

#[test]
fn operation_takes_five_fields_and_four_and_fewer() {
    let made = Made::new();
    let found = |case: &str| {
        let mut wish = made.wish(Suite::Operation, "nvidia", &[case]);
        let known = ("A100_40_SXM".to_owned(), "BF16".to_owned(), 312.0);
        wish.settings.nominal_tflops.push(known);
        let case = wish.resolve().map(|mut cases| cases.remove(0))?;
        let tree = tree(&case);
        let TreeProgram::Operation {
            format,
            spec_tflops,
            library,
            ..
        } = &tree.program
        else {
            panic!("{tree:?}");
        };
        Ok::<String, String>(format!(
            "{format} {spec_tflops} {library} {}",
            tree.chip.as_ref().unwrap()
        ))
    };
    let is = |text: &str| Ok(text.to_owned());
    assert_eq!(
        found("mm:FP16:312:nativetorch:A100_40_SXM"),
        is("FP16 312 nativetorch A100_40_SXM")
    );
    assert_eq!(
        found("mm:FP32:19.5:flaggems"),
        is("FP32 19.5 flaggems A100_40_SXM")
    );
    assert_eq!(
        found("mm:INT16:-1:flaggems:A100_40_SXM"),
        is("INT16 -1 flaggems A100_40_SXM")
    );
    assert_eq!(
        found("mm:BF16:nativetorch:A100_40_SXM"),
        is("BF16 312 nativetorch A100_40_SXM")
    );
    assert_eq!(
        found("mm:FP16:nativetorch"),
        is("FP16 nan nativetorch A100_40_SXM")
    );
    assert!(found("mm:FP16").unwrap_err().contains(
        "has 2 fields; expected `<operator>:<format>:<nominal TFLOPS>:<library>:<chip>`"
    ));
    assert!(
        found("mm:FP16:312:a:b:c")
            .unwrap_err()
            .contains("has 6 fields")
    );
    assert_eq!(
        found("mm:FP61:312:nativetorch").unwrap_err(),
        "`FP61` of `mm:FP61:312:nativetorch` is no number format; expected `FP32`, `FP16`, `BF16`, `INT32`, `INT16`, `BOOL`"
    );
    assert!(
        found("addd:FP16:312:nativetorch")
            .unwrap_err()
            .starts_with("no operator is named `addd`; did you mean `add`?")
    );
    assert!(
        found("add:FP16:312:nativetorch:A100_80_SXM")
            .unwrap_err()
            .contains("(did you mean `A100_40_SXM`?)")
    );
    let all = made.wish(
        Suite::Operation,
        "nvidia",
        &["*:FP16:312:flaggems:A100_40_SXM"],
    );
    assert_eq!(
        names(&all),
        [
            "add:FP16:312:flaggems:A100_40_SXM",
            "mm:FP16:312:flaggems:A100_40_SXM"
        ]
    );
}

#[test]
fn a_library_that_nobody_knows_is_pointed_out() {
    let made = Made::new();
    let cases = made
        .wish(Suite::Operation, "nvidia", &["mm:FP16:312:flaggem"])
        .resolve()
        .unwrap();
    let texts: Vec<&str> = cases[0]
        .remarks
        .iter()
        .map(|remark| remark.text.as_str())
        .collect();
    let wanted = "`flaggem` is no library of operators, so the framework's own are measured; did you mean `flaggems`?";
    assert!(texts.contains(&wanted), "{texts:?}");
}

#[test]
fn inference_takes_a_case_and_a_framework() {
    let made = Made::new();
    let wish = |case: &str| made.wish(Suite::Inference, "nvidia", &[case]);
    let cases = wish("resnet50:pytorch_1.13:x:y = /data").resolve().unwrap();
    assert_eq!(tree(&cases[0]).framework, "pytorch_1.13");
    assert!(
        cases[0]
            .remarks
            .iter()
            .any(|remark| remark.text.contains("say nothing: `x:y`"))
    );
    assert_eq!(
        wish("resnet50 = /data").wrong(),
        "`resnet50` has 1 fields; expected `<case>:<framework>`"
    );
    assert_eq!(
        wish("resnet50:pytorch_1.13").wrong(),
        "`resnet50:pytorch_1.13` needs the directory of its data, which stands beside it in `CASES`"
    );
    assert_eq!(
        wish("resnet50:paddle_2 = /data").wrong(),
        "the inference case `resnet50` is not written for `paddle_2`; it is for `pytorch`, with or without a version behind `_`"
    );
    assert_eq!(
        made.wish(Suite::Inference, "zixiao", &["resnet50:pytorch = /d"])
            .wrong(),
        "no case of suite inference is adapted to a vendor `zixiao`; it has `iluvatar`, `kunlunxin`, `nvidia`"
    );
    made.remove("inference/inference_engine/nvidia/tensorrt.py");
    assert_eq!(
        wish("resnet50:pytorch_1.13 = /data").wrong(),
        "the inference case `resnet50` does not exist for `nvidia`; it exists for iluvatar, kunlunxin"
    );
}

#[test]
fn training_takes_six_fields_and_ignores_more() {
    let made = Made::new();
    let wish = |case: &str| {
        made.wish(Suite::Training, "nvidia", &[case])
            .on(&["a", "b", "c"])
    };
    let cases = wish("resnet50:pytorch_1.13:A100:2:2:3 = /data")
        .resolve()
        .unwrap();
    assert_eq!(
        cases.iter().map(|case| case.round).collect::<Vec<u32>>(),
        [1, 2, 3]
    );
    let one = tree(&cases[0]);
    assert_eq!(
        (one.nnodes, one.nproc, one.framework.as_str()),
        (2, 2, "pytorch_1.13")
    );
    let mut once = wish("resnet50:pytorch:A100:1:2:3:more:fields = /data");
    once.rounds = Some(1);
    let cases = once.resolve().unwrap();
    assert_eq!((cases.len(), cases[0].rounds), (1, 1));
    assert_eq!(
        cases[0].spec.name.as_str(),
        "resnet50:pytorch:A100:1:2:3:more:fields"
    );
    assert!(
        cases[0]
            .remarks
            .iter()
            .any(|remark| remark.text.contains("say nothing: `more:fields`"))
    );
}

#[test]
fn training_says_what_there_is() {
    let made = Made::new();
    let root = made.root();
    let wrong = |vendor: &str, case: &str| {
        below(&root, &made.wish(Suite::Training, vendor, &[case]).wrong())
    };
    assert_eq!(
        wrong("nvidia", "bert:paddle:A100 = /d"),
        "`bert:paddle:A100` has 3 fields; expected `<model>:<framework>:<hardware>:<nodes>:<ranks on each node>:<rounds>`; there are `bert:paddle:A100:1:2:1`"
    );
    assert_eq!(
        wrong("nvidia", "resnet50:pytorch_1.8:H100:1:8:1 = /d"),
        "`resnet50:pytorch_1.8:H100:1:8:1` has no configuration `nvidia/resnet50-pytorch/config/config_H100x1x8.py`; there are `resnet50:pytorch_1.8:A100:1:2:1`, `resnet50:pytorch_1.8:A100:2:2:1`"
    );
    assert_eq!(
        wrong("nvidia", "resnet50:pytorch:A100:2:2:1 = /d"),
        "`resnet50:pytorch:A100:2:2:1` spans 2 nodes, and the run has 1"
    );
    assert_eq!(
        wrong("nvidia", "resnet50:torch:A100:1:2:1 = /d"),
        "the training case `resnet50` is not written for `torch`; it is for `pytorch`, `tensorflow2`, `mindspore`, with or without a version behind `_`"
    );
    assert_eq!(
        wrong("nvidia", "resnet51:pytorch:A100:1:2:1 = /d"),
        "no training case is named `resnet51`; did you mean `resnet50`? It exists for nvidia (A100)"
    );
    assert_eq!(
        wrong("ascend", "resnet50:pytorch:A100:1:2:1 = /d"),
        "the training case `resnet50` does not exist for `ascend`; it exists for nvidia (A100)"
    );
    assert_eq!(
        wrong("nvidia", "resnet50:pytorch:A100:0:two:1 = /d"),
        "`0` of `resnet50:pytorch:A100:0:two:1` is no number of nodes; expected a whole number of at least 1\n`two` of `resnet50:pytorch:A100:0:two:1` is no number of ranks on each node; expected a whole number of at least 1"
    );
    assert_eq!(
        wrong("nvidia", "resnet50:pytorch:A100:1:2:1"),
        "`resnet50:pytorch:A100:1:2:1` needs the directory of its data, which stands beside it in `CASES`"
    );
    assert_eq!(
        wrong("nvidia", "resnet50:pytorch:A100:1:2:99999 = /d"),
        "`99999` of `resnet50:pytorch:A100:1:2:99999` is no number of rounds; expected 1 to 10000"
    );
    made.remove("training/nvidia/bert-paddle/extern");
    assert_eq!(
        wrong("nvidia", "bert:paddle:A100:1:2:1 = /d"),
        "`bert:paddle:A100:1:2:1` needs the vendor's modules in `TREE/training/nvidia/bert-paddle/extern`, which is not there"
    );
    made.write(
        "training/nvidia/chatglm3_6b-deepspeed/config/ds_config.json",
        "{,}",
    );
    let text = wrong("nvidia", "chatglm3_6b:deepspeed:H100:1:8:1 = /d");
    assert!(
        text.starts_with(
            "`TREE/training/nvidia/chatglm3_6b-deepspeed/config/ds_config.json` is no JSON: "
        ),
        "{text}"
    );
}

#[test]
fn a_pattern_of_training_means_the_models_with_that_configuration() {
    let made = Made::new();
    let wish = made.wish(
        Suite::Training,
        "nvidia",
        &["*:megatron:A100:1:8:1 = /d", "*:pytorch:A100:1:2:1 = /d"],
    );
    assert_eq!(
        names(&wish),
        [
            "llama3_8B:megatron:A100:1:8:1",
            "resnet50:pytorch:A100:1:2:1"
        ]
    );
    let none = made.wish(Suite::Training, "nvidia", &["*:pytorch:A100:7:7:1 = /d"]);
    assert!(
        none.wrong()
            .starts_with("no training case for `nvidia` has a name like"),
        "{}",
        none.wrong()
    );
}
