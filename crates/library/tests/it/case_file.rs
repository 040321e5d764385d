use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use flagperf_library::{Collector, Library, PlanNode, PlanRequest, plan};
use flagperf_model::{
    Better, Entry, Environment, Launcher, MachineFacts, NodeName, NodeScope, NodeSpec, ParamKind,
    ParamValue, ProgramSource, RankLayout, RunId,
};
use proptest::prelude::*;

fn write_case(root: &Path, name: &str, text: &str) {
    fs::create_dir_all(root.join(name)).unwrap();
    fs::write(root.join(name).join("case.toml"), text).unwrap();
}

/// The errors of a library, with the directory's path left out.
fn refusal(root: &Path) -> String {
    let error = Library::builtin()
        .unwrap()
        .with_directory(root)
        .unwrap_err();
    error.to_string().replace(root.to_str().unwrap(), "DIR")
}

fn refusal_of(text: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    write_case(root.path(), "mine", text);
    refusal(root.path())
}

const SMALLEST: &str = "summary = \"Nothing\"\nentry.argv = [\"true\"]\n";

#[test]
fn every_built_in_case_is_complete() {
    let library = Library::builtin().unwrap();
    assert_eq!(library.cases().count(), 11);
    for spec in library.cases() {
        assert!(library.is_builtin(spec.name.as_str()));
        assert!(matches!(spec.entry, Entry::Kernel(_)), "{}", spec.name);
        let primary: Vec<_> = spec.metrics.iter().filter(|m| m.primary).collect();
        assert_eq!(primary.len(), 1, "{}", spec.name);
        for metric in &spec.metrics {
            assert!(metric.name.as_str().starts_with(spec.name.as_str()));
            assert!(metric.definition.len() > 40, "{}", metric.name);
        }
    }
    let latency = &library.get("interconnect-P2P_intraserver").unwrap().metrics[2];
    assert_eq!(
        (latency.unit.as_str(), latency.better),
        ("us", Better::Lower)
    );
}

#[test]
fn the_smallest_case_and_one_of_a_built_in_kernel() {
    let root = tempfile::tempdir().unwrap();
    write_case(root.path(), "smallest", SMALLEST);
    let text = "summary = \"A small product\"\nentry.kernel = \"gemm-fp64\"\nranks = \"core\"\n\
                [param.m]\nkind = { integer = { min = 1, max = 0x400 } }\ndefault = 256\nhelp = \"Rows\"\n";
    write_case(root.path(), "small:product", text);
    fs::create_dir(root.path().join("no-case")).unwrap();
    fs::write(root.path().join("README"), "not a case").unwrap();
    let library = Library::builtin()
        .unwrap()
        .with_directory(root.path())
        .unwrap();
    assert_eq!(library.cases().count(), 13);
    let product = library.get("small:product").unwrap();
    assert_eq!(product.ranks, RankLayout::Core);
    assert_eq!(product.nodes, NodeScope::Each);
    assert_eq!(
        product.params["m"].kind,
        ParamKind::Integer { min: 1, max: 1024 }
    );
    assert_eq!(product.params["m"].default, Some(ParamValue::Integer(256)));
    assert!(!library.is_builtin("smallest"));
    let directory = library.directory("smallest").unwrap();
    assert!(directory.is_absolute() && directory.ends_with("smallest"));
}

#[test]
fn a_case_says_whether_it_spans_its_nodes() {
    for (text, scope) in [
        ("", NodeScope::Each),
        ("nodes = \"each\"\n", NodeScope::Each),
        ("nodes = \"all\"\n", NodeScope::All),
    ] {
        let root = tempfile::tempdir().unwrap();
        write_case(root.path(), "mine", &format!("{SMALLEST}{text}"));
        let library = Library::builtin().unwrap();
        let library = library.with_directory(root.path()).unwrap();
        assert_eq!(library.get("mine").unwrap().nodes, scope, "{text}");
    }
    assert!(
        refusal_of(&format!("{SMALLEST}nodes = 2\n"))
            .starts_with("DIR/mine/case.toml:3:9: this is an integer; expected ")
    );
}

#[test]
fn a_built_in_measurement_is_of_a_node_or_between_nodes() {
    let messages = |kernel: &str, more: &str| -> Vec<String> {
        let text = format!("summary = \"x\"\nentry.kernel = \"{kernel}\"\n{more}");
        refusal_of(&text)
            .lines()
            .filter_map(|line| line.strip_prefix("DIR/mine/case.toml:"))
            .map(str::to_owned)
            .collect()
    };
    let between = "`p2p-tcp` measures between nodes; expected `nodes = \"all\"`";
    assert_eq!(messages("p2p-tcp", ""), [format!("2:1: {between}")]);
    assert_eq!(
        messages("p2p-tcp", "nodes = \"each\"\nranks = \"core\"\n"),
        [
            format!("3:9: {between}"),
            "4:9: `p2p-tcp` has one rank on each node; expected `ranks = \"node\"`".to_owned(),
        ]
    );
    assert_eq!(
        messages("allreduce", "nodes = \"all\"\n"),
        ["3:9: `allreduce` measures a node; expected `nodes = \"each\"`"]
    );
    let root = tempfile::tempdir().unwrap();
    let text = "summary = \"x\"\nentry.kernel = \"allreduce-tcp\"\nnodes = \"all\"\n";
    write_case(root.path(), "mine", text);
    assert!(
        Library::builtin()
            .unwrap()
            .with_directory(root.path())
            .is_ok()
    );
}

#[test]
fn a_wrong_key_gets_its_place_and_the_nearest_right_one() {
    assert_eq!(
        refusal_of("sumary = \"Nothing\"\nentry.argv = [\"true\"]\n"),
        "DIR/mine/case.toml:1:1: a case lacks the key `summary`: what it measures, in one line\n\
         \x20 |\n\
         1 | sumary = \"Nothing\"\n\
         \x20 | ^\n\
         DIR/mine/case.toml:1:1: a case has no key `sumary`; did you mean `summary`?\n\
         \x20 |\n\
         1 | sumary = \"Nothing\"\n\
         \x20 | ^^^^^^"
    );
}

#[test]
fn all_mistakes_of_a_file_come_at_once() {
    let text = r#"summary = 3
suite = "bsae"
ranks = "everywhere"
nodes = "al"
entry.argv = ["./main.sh", 5, "{param.sise}"]
needs_any = [[]]

[[metric]]
name = "a/b "
unit = "GB/s"
better = "more"
definition = ""

[param.Size]
kind = { size = { min = "1M", max = 10 } }
help = "x"

[param.count]
kind = { integer = { min = 1, max = 10 } }
default = 11
help = "x"
"#;
    let messages: Vec<String> = refusal_of(text)
        .lines()
        .filter_map(|line| line.strip_prefix("DIR/mine/case.toml:"))
        .map(str::to_owned)
        .collect();
    assert_eq!(
        messages,
        [
            "1:11: this is an integer; expected what it measures, in one line",
            "2:9: `bsae` is none of `base`, `operation`, `inference`, `training`; did you mean `base`?",
            "3:9: `everywhere` is none of `node`, `numa`, `pair`, `core`",
            "4:9: `al` is none of `each`, `all`; did you mean `all`?",
            "5:28: this is an integer; expected a text; numbers go in quotes",
            "5:31: `{param.sise}` names a parameter that the case does not declare; it declares `count`",
            "6:14: an empty set is present everywhere; leave `needs_any` out instead",
            "11:10: `more` is none of `higher`, `lower`, `neither`",
            "12:14: this is empty; expected what is counted, in one sentence",
            "14:8: `Size` cannot name a parameter; expected small letters, digits and `_`, a letter first",
            "15:25: this is not a size: `M` is not a unit of size; the units are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB",
            "20:11: `11` is out of range; expected a whole number from 1 to 10",
        ]
    );
}

#[test]
fn a_broken_document_shows_where() {
    assert_eq!(
        refusal_of("summary = \"Nothing\"\nentry = [\n"),
        "DIR/mine/case.toml:2:10: unclosed array, expected `]`\n\
         \x20 |\n\
         2 | entry = [\n\
         \x20 |          ^"
    );
}

#[test]
fn two_metrics_cannot_both_stand_for_the_case() {
    let metric = |name: &str| {
        format!(
            "[[metric]]\nname = \"{name}\"\nunit = \"s\"\nbetter = \"lower\"\ndefinition = \"x\"\nprimary = true\n"
        )
    };
    let text = format!("{SMALLEST}{}{}{}", metric("a"), metric("b"), metric("a"));
    let refused = refusal_of(&text);
    assert!(
        refused
            .contains("case.toml:10:8: there is a primary metric already; one stands for the case")
    );
    assert!(refused.contains("case.toml:16:8: the metric `a` is declared twice"));
}

#[test]
fn errors_of_all_files_come_at_once() {
    let root = tempfile::tempdir().unwrap();
    write_case(root.path(), "computation-FP64", SMALLEST);
    write_case(root.path(), "-bad name", SMALLEST);
    write_case(
        root.path(),
        "absent",
        "summary = \"x\"\nentry.argv = [\"./main.sh\"]\n",
    );
    write_case(
        root.path(),
        "locked",
        "summary = \"x\"\nentry.argv = [\"./main.sh\"]\n",
    );
    fs::write(root.path().join("locked/main.sh"), "#!/bin/sh\n").unwrap();
    fs::create_dir(root.path().join("bytes")).unwrap();
    fs::write(root.path().join("bytes/case.toml"), b"summary = \"\xff\"").unwrap();
    assert_eq!(
        refusal(root.path()),
        "`DIR/-bad name` cannot be a case: case name `-bad name` does not start with a letter or digit\n\
         the case `absent` starts `./main.sh`, which cannot be read: No such file or directory (os error 2)\n\
         cannot read `DIR/bytes/case.toml`: it is not UTF-8 text: byte 11 is not valid\n\
         the case `computation-FP64` of `DIR/computation-FP64` has the name of the built-in case; rename its directory\n\
         the case `locked` starts `./main.sh`, which is not executable; `chmod +x ./main.sh` makes it so"
    );
}

#[test]
fn two_directories_with_one_name() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_case(first.path(), "mine", SMALLEST);
    write_case(second.path(), "mine", SMALLEST);
    let library = Library::builtin().unwrap();
    let library = library.with_directory(first.path()).unwrap();
    let error = library.with_directory(second.path()).unwrap_err();
    let first = fs::canonicalize(first.path()).unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "the case `mine` of `{}/mine` has the name of the case of `{}/mine`; rename its directory",
            second.path().display(),
            first.display()
        )
    );
}

#[test]
fn a_directory_without_cases() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(
        refusal(root.path()),
        "`DIR` holds no case; expected `<case name>/case.toml` below it"
    );
    write_case(root.path(), "mine", SMALLEST);
    assert_eq!(
        refusal(&root.path().join("mine")),
        "`DIR` holds no case; it is a case itself: name the directory above it"
    );
    assert_eq!(
        refusal(&root.path().join("nowhere")),
        "cannot read `DIR`: No such file or directory (os error 2)"
    );
}

/// The example of the documentation is read, planned, run and understood.
#[test]
fn the_example_of_the_documentation_works() {
    let text = include_str!("../../../../docs/cases.md");
    let block = |language: &str| {
        let start = format!("```{language}\n");
        let (_, rest) = text.split_once(start.as_str()).unwrap();
        rest.split_once("```").unwrap().0
    };
    let root = tempfile::tempdir().unwrap();
    write_case(root.path(), "disk-write", block("toml"));
    let script = root.path().join("disk-write/main.sh");
    fs::write(&script, block("sh")).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();

    let library = Library::builtin().unwrap();
    let library = library.with_directory(root.path()).unwrap();
    let node = NodeName::new("here").unwrap();
    let plan = plan(&PlanRequest {
        run: RunId::new("run1").unwrap(),
        library: &library,
        names: &["disk-write".to_owned()],
        params: &["bytes=1MiB".to_owned()],
        rounds: 1,
        duration_s: 1.0,
        timeout_s: None,
        stall_s: None,
        interval_ns: 1_000_000_000,
        nodes: &[PlanNode {
            spec: NodeSpec {
                name: node.clone(),
                launcher: Launcher::Local,
                address: None,
                env: BTreeMap::new(),
                program: ProgramSource::Placed,
            },
            facts: Some(MachineFacts::default()),
        }],
        environment: Environment::Host,
        master: ("127.0.0.1", 29500),
    })
    .unwrap();
    let task = &plan.cases[0].tasks[0];
    let process = &task.processes[0];
    let directory = Path::new(task.case_directory.as_ref().unwrap());
    let output = Command::new(directory.join(&process.argv[0]))
        .args(&process.argv[1..])
        .envs(&process.env)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");

    let mut collector = Collector::new(&plan.cases[0]);
    let mut collected = collector.feed(&node, 0, &output.stdout);
    let (last, summary) = collector.finish();
    collected.extend(last.into_iter().map(|(_, one)| one));
    // Two phases and a measurement; the classic line makes the second measurement.
    assert_eq!(collected.len(), 3, "{collected:?}");
    assert_eq!(summary.warnings, Vec::<String>::new());
    let (_, rate) = &summary.measurements[0];
    assert_eq!(rate.metric.as_str(), "disk-write");
    assert!(rate.value > 0.0);
    assert_eq!((rate.rank, rate.unit.as_str()), (None, "GB/s"));
}

#[test]
fn a_path_that_is_no_text_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let odd = root.path().join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&odd).unwrap();
    write_case(&odd, "mine", "summary = \"x\"\nentry.argv = [\"true\"]\n");
    let link = root.path().join("link");
    std::os::unix::fs::symlink(&odd, &link).unwrap();
    // Where a link leads counts, since the plan names that.
    for directory in [&odd, &link] {
        let error = Library::builtin()
            .unwrap()
            .with_directory(directory)
            .unwrap_err()
            .to_string();
        let expected = "/caf\u{fffd}/mine` lies at a path that is not UTF-8 text; rename its directory or one above it";
        assert!(error.ends_with(expected), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_answered(
        text in "(\\PC{0,20}\n){0,4}|((summary|entry|suite|ranks|param\\.a|metric|needs_any) = (1|\"x\"|\\[\\]|\\{\\}|\\{ argv = \\[\"true\"\\] \\})\n){0,6}",
    ) {
        let root = tempfile::tempdir().unwrap();
        write_case(root.path(), "mine", &text);
        // Whatever is wrong is said with a place in the file.
        if let Err(errors) = Library::builtin().unwrap().with_directory(root.path()) {
            prop_assert!(errors.to_string().contains("case.toml:"), "{errors}");
        }
    }
}
