use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flagperf_library::{Library, PlanNode, PlanRequest, plan, replan};
use flagperf_model::{
    CpuFacts, Environment, Launcher, MachineFacts, NodeName, NodeSpec, NumaNode, Plan,
    ProgramSource, RunId,
};

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

/// Two NUMA nodes of two cores each, with AVX-512 but without its 16-bit formats.
fn machine() -> MachineFacts {
    let mut facts = MachineFacts::default();
    facts.memory.total = 1_000_000_000_000;
    facts.cpu = CpuFacts {
        cores: 4,
        threads: 4,
        allowed: vec![0, 1, 2, 3],
        core_cpus: vec![0, 1, 2, 3],
        numa: [[0, 1], [2, 3]]
            .into_iter()
            .zip(0..)
            .map(|(cpus, id)| NumaNode {
                id,
                cpus: cpus.to_vec(),
                memory_bytes: None,
            })
            .collect(),
        features: texts(&["avx2", "fma", "avx512f", "avx512_vnni"]),
        ..CpuFacts::default()
    };
    facts
}

fn nodes(names: &[&str]) -> Vec<PlanNode> {
    let node = |name: &&str| PlanNode {
        spec: NodeSpec {
            name: NodeName::new(*name).unwrap(),
            launcher: Launcher::Local,
            address: None,
            env: BTreeMap::new(),
            program: ProgramSource::Placed,
        },
        facts: Some(machine()),
    };
    names.iter().map(node).collect()
}

struct Wish {
    library: Library,
    names: Vec<String>,
    params: Vec<String>,
    rounds: u32,
    duration_s: f64,
    timeout_s: Option<f64>,
    nodes: Vec<PlanNode>,
}

impl Wish {
    fn new(names: &[&str], params: &[&str]) -> Self {
        Self {
            library: Library::builtin().unwrap(),
            names: texts(names),
            params: texts(params),
            rounds: 1,
            duration_s: 5.0,
            timeout_s: None,
            nodes: nodes(&["here"]),
        }
    }

    fn plan(&self) -> Result<Plan, String> {
        plan(&PlanRequest {
            run: RunId::new("run20261123120000-abc123").unwrap(),
            library: &self.library,
            names: &self.names,
            params: &self.params,
            rounds: self.rounds,
            duration_s: self.duration_s,
            timeout_s: self.timeout_s,
            stall_s: None,
            interval_ns: 1_000_000_000,
            nodes: &self.nodes,
            environment: Environment::Host,
            master: ("10.0.0.1", 29500),
        })
        .map_err(|errors| errors.to_string())
    }
}

#[test]
fn a_built_in_case_down_to_every_process() {
    let plan = Wish::new(&["computation-FP64"], &["m=4096", "k=8"])
        .plan()
        .unwrap();
    let [case] = &plan.cases[..] else {
        panic!("{plan:?}");
    };
    assert!(case.named);
    assert_eq!(
        (case.unsupported.clone(), case.expected_s),
        (None, Some(7.0))
    );
    let limits = case.limits;
    assert_eq!(
        (limits.timeout_s, limits.stall_s, limits.grace_s),
        (150.0, 60.0, 5.0)
    );
    let [task] = &case.tasks[..] else {
        panic!("{case:?}");
    };
    assert_eq!(task.directory, "computation-FP64/here_noderank0");
    assert_eq!(task.log, "benchmark.log.txt");
    let [first, second] = &task.processes[..] else {
        panic!("{task:?}");
    };
    assert_eq!(
        first.argv.join(" "),
        "{flagperf} case gemm-fp64 --duration 5 --param k=8 --param m=4096"
    );
    assert_eq!(
        (&first.cpus[..], &second.cpus[..]),
        (&[0, 1][..], &[2, 3][..])
    );
    assert_eq!((first.rank, second.rank, &second.cwd), (0, 1, &None));
    let env: Vec<String> = second
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        env,
        [
            "FLAGPERF_CASE=computation-FP64",
            "FLAGPERF_NODE=here",
            "FLAGPERF_NODES=here",
            "FLAGPERF_ROUND=1",
            "FLAGPERF_RUN=run20261123120000-abc123",
            "LOCAL_RANK=1",
            "LOCAL_WORLD_SIZE=2",
            "MASTER_ADDR=127.0.0.1",
            "MASTER_PORT=29500",
            "NNODES=1",
            "NODE_RANK=0",
            "RANK=1",
            "WORLD_SIZE=2",
        ]
    );
}

#[test]
fn each_node_counts_its_own_ranks_and_rounds_have_directories() {
    let mut wish = Wish::new(&["interconnect-P2P_intraserver"], &[]);
    wish.nodes = nodes(&["a", "b"]);
    wish.rounds = 2;
    wish.duration_s = 0.5;
    let plan = wish.plan().unwrap();
    assert_eq!(plan.cases.len(), 2);
    let case = &plan.cases[1];
    assert_eq!((case.round, case.rounds), (2, 2));
    let task = &case.tasks[1];
    assert_eq!(
        task.directory,
        "interconnect-P2P_intraserver/round2/b_noderank1"
    );
    let process = &task.processes[0];
    assert_eq!((process.rank, task.node_rank), (0, 1));
    let env = |name: &str| process.env[name].as_str();
    assert_eq!(
        [
            env("RANK"),
            env("WORLD_SIZE"),
            env("LOCAL_RANK"),
            env("LOCAL_WORLD_SIZE")
        ],
        ["0", "2", "0", "2"]
    );
    assert_eq!([env("NODE_RANK"), env("FLAGPERF_ROUND")], ["0", "2"]);
    assert_eq!(
        process.argv,
        texts(&["{flagperf}", "case", "p2p", "--duration", "0.5"])
    );
    assert_eq!(wish.plan().unwrap(), plan);
}

#[test]
fn what_a_machine_lacks_is_named_and_nothing_is_started() {
    let mut wish = Wish::new(&[], &[]);
    let plan = wish.plan().unwrap();
    let lacking: Vec<(&str, &str)> = plan
        .cases
        .iter()
        .filter_map(|case| {
            assert_eq!(case.unsupported.is_some(), case.tasks.is_empty());
            assert!(!case.named);
            Some((case.name().as_str(), case.unsupported.as_deref()?))
        })
        .collect();
    assert_eq!(
        lacking,
        [
            ("computation-BF16", "avx512_bf16 or amx_bf16"),
            ("computation-FP16", "avx512_fp16 or amx_fp16"),
            ("interconnect-P2P_interserver", "at least 2 nodes"),
            ("interconnect-MPI_interserver", "at least 2 nodes"),
        ]
    );
    wish = Wish::new(&["interconnect-MPI_intraserver"], &[]);
    wish.nodes = nodes(&["a", "b"]);
    for node in &mut wish.nodes {
        node.facts.as_mut().unwrap().cpu.core_cpus = vec![1];
    }
    assert_eq!(
        wish.plan().unwrap().cases[0].unsupported.as_deref(),
        Some("at least 2 cores")
    );
}

#[test]
fn filling_much_memory_has_more_time() {
    let wish = Wish::new(&["main_memory-capacity"], &[]);
    let case = &wish.plan().unwrap().cases[0];
    // 150 s as for any case, and 10^12 bytes at 2.5 * 10^8 bytes per second.
    assert_eq!((case.limits.timeout_s, case.expected_s), (4150.0, None));
    assert_eq!(case.tasks[0].processes[0].cpus, [0, 1, 2, 3]);
    let wish = Wish {
        timeout_s: Some(9.0),
        ..wish
    };
    assert_eq!(wish.plan().unwrap().cases[0].limits.timeout_s, 9.0);
}

#[test]
fn measuring_every_pair_of_nodes_has_more_time_for_more_nodes() {
    let names: Vec<String> = (0..100).map(|i| format!("n{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut wish = Wish::new(&["interconnect-P2P_interserver"], &["streams=2"]);
    for (count, timeout_s, expected_s) in [(2, 158.0, 7.0), (100, 550.0, 32.0)] {
        wish.nodes = nodes(&names[..count]);
        let case = &wish.plan().unwrap().cases[0];
        assert_eq!(case.limits.timeout_s, timeout_s);
        assert_eq!(case.expected_s, Some(expected_s));
        assert_eq!(case.tasks.len(), count);
        assert_eq!(
            case.tasks[1].processes[0].argv.join(" "),
            "{flagperf} case p2p-tcp --duration 5 --param streams=2"
        );
    }
}

#[test]
fn threads_beyond_the_cores_of_a_rank_are_refused() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("whole")).unwrap();
    let text = "summary = \"x\"\nentry.kernel = \"memory-bandwidth\"\nranks = \"node\"\n[param.threads]\nkind = { integer = { min = 1, max = 99 } }\nhelp = \"x\"\n";
    fs::write(root.path().join("whole/case.toml"), text).unwrap();
    // Two cores for each rank of a product, four for the only one of the third case.
    let names = ["computation-FP64", "computation-FP32", "whole"];
    let plan = |names: &[&str], threads: &str| {
        let mut wish = Wish::new(names, &[threads]);
        wish.library = wish.library.with_directory(root.path()).unwrap();
        wish.plan()
    };
    assert!(plan(&names, "threads=2").is_ok());
    assert!(plan(&names[2..], "threads=4").is_ok());
    assert_eq!(
        plan(&names, "threads=64").unwrap_err(),
        "the parameter `threads` of `computation-FP64`, `computation-FP32`: `64` is more than a rank has cores; expected at most 2, the number of cores of its smallest rank\n\
         the parameter `threads` of `whole`: `64` is more than a rank has cores; expected at most 4, the number of cores of its smallest rank"
    );
    let mut wish = Wish::new(&names[..1], &["threads=2"]);
    wish.nodes = nodes(&["a", "b"]);
    wish.nodes[1].facts.as_mut().unwrap().cpu.core_cpus = vec![0, 1, 2];
    assert_eq!(
        wish.plan().unwrap_err(),
        "the parameter `threads` of `computation-FP64`: `2` is more than a rank has cores on node b; expected at most 1, the number of cores of its smallest rank"
    );
    // A case that the machine cannot run at all is told so, and not about its threads.
    let plan = plan(&["computation-FP16"], "threads=64").unwrap();
    assert!(plan.cases[0].unsupported.is_some());
}

#[test]
fn what_a_program_means_by_threads_is_its_own_affair() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("own")).unwrap();
    let text = "summary = \"x\"\nentry.argv = [\"true\"]\nranks = \"pair\"\n[param.threads]\nkind = { integer = { min = 1, max = 99 } }\nhelp = \"x\"\n";
    fs::write(root.path().join("own/case.toml"), text).unwrap();
    let mut wish = Wish::new(&["own"], &["threads=64"]);
    wish.library = wish.library.with_directory(root.path()).unwrap();
    assert!(wish.plan().is_ok());
}

/// A case of one's own that spans its nodes, or not.
fn own(root: &Path, scope: &str) -> Library {
    fs::create_dir_all(root.join("own")).unwrap();
    let text = format!(
        "summary = \"x\"\nentry.argv = [\"true\"]\nranks = \"numa\"\nnodes = \"{scope}\"\nneeds_any = [[\"avx512f\"]]\n"
    );
    fs::write(root.join("own/case.toml"), text).unwrap();
    Library::builtin().unwrap().with_directory(root).unwrap()
}

/// For every process: its node, and the values of the variables that tell it where it is.
fn places(plan: &Plan) -> Vec<String> {
    let names = [
        "RANK",
        "WORLD_SIZE",
        "NODE_RANK",
        "NNODES",
        "FLAGPERF_NODES",
        "MASTER_ADDR",
        "FLAGPERF_NODE",
    ];
    let tasks = plan.cases[0].tasks.iter();
    tasks
        .flat_map(|task| {
            task.processes.iter().map(|process| {
                assert_eq!(process.env["RANK"], process.rank.to_string());
                let values = names.map(|name| process.env[name].as_str());
                format!("{} {}", task.directory, values.join(" "))
            })
        })
        .collect()
}

#[test]
fn a_case_that_spans_its_nodes_has_one_world() {
    let root = tempfile::tempdir().unwrap();
    let mut wish = Wish::new(&["own"], &[]);
    wish.nodes = nodes(&["a", "b"]);
    wish.nodes[1].spec.env = BTreeMap::from([
        ("MINE".to_owned(), "1".to_owned()),
        ("RANK".to_owned(), "99".to_owned()),
    ]);
    wish.library = own(root.path(), "all");
    let plan = wish.plan().unwrap();
    assert_eq!(
        places(&plan),
        [
            "own/a_noderank0 0 4 0 2 a,b 10.0.0.1 a",
            "own/a_noderank0 1 4 0 2 a,b 10.0.0.1 a",
            "own/b_noderank1 2 4 1 2 a,b 10.0.0.1 b",
            "own/b_noderank1 3 4 1 2 a,b 10.0.0.1 b",
        ]
    );
    // What is set for a node reaches its processes, but cannot tell them who they are.
    assert_eq!(plan.cases[0].tasks[1].processes[0].env["MINE"], "1");
    assert!(!plan.cases[0].tasks[0].processes[0].env.contains_key("MINE"));

    wish.library = own(root.path(), "each");
    assert_eq!(
        places(&wish.plan().unwrap()),
        [
            "own/a_noderank0 0 2 0 1 a 127.0.0.1 a",
            "own/a_noderank0 1 2 0 1 a 127.0.0.1 a",
            "own/b_noderank1 0 2 0 1 b 127.0.0.1 b",
            "own/b_noderank1 1 2 0 1 b 127.0.0.1 b",
        ]
    );
}

#[test]
fn a_node_that_lacks_something_is_left_out_or_stops_the_case() {
    let root = tempfile::tempdir().unwrap();
    let mut wish = Wish::new(&["own"], &[]);
    wish.nodes = nodes(&["a", "b", "c"]);
    wish.nodes[1].facts.as_mut().unwrap().cpu.features.clear();
    wish.library = own(root.path(), "each");
    let plan = wish.plan().unwrap();
    let case = &plan.cases[0];
    assert_eq!((&case.unsupported, &case.skipped), (&None, &None));
    assert_eq!(
        case.left_out,
        [(NodeName::new("b").unwrap(), "avx512f".to_owned())]
    );
    // The others keep their places in the list of nodes.
    let ranks: Vec<u32> = case.tasks.iter().map(|task| task.node_rank).collect();
    assert_eq!(ranks, [0, 2]);

    wish.library = own(root.path(), "all");
    let case = wish.plan().unwrap().cases.remove(0);
    assert_eq!(case.unsupported.as_deref(), Some("avx512f on node b"));
    assert!(case.tasks.is_empty() && case.left_out.is_empty());

    for node in &mut wish.nodes {
        node.facts.as_mut().unwrap().cpu.features.clear();
    }
    for scope in ["each", "all"] {
        wish.library = own(root.path(), scope);
        let case = wish.plan().unwrap().cases.remove(0);
        assert_eq!(case.unsupported.as_deref(), Some("avx512f"), "{scope}");
    }
}

#[test]
fn a_missing_node_stops_only_cases_that_span_all() {
    let root = tempfile::tempdir().unwrap();
    let mut wish = Wish::new(&["own"], &[]);
    wish.nodes = nodes(&["a", "b", "c"]);
    wish.nodes[1].facts = None;
    wish.library = own(root.path(), "all");
    let plan = wish.plan().unwrap();
    let case = &plan.cases[0];
    assert_eq!(case.unsupported, None);
    assert_eq!(
        case.skipped.as_deref(),
        Some("it spans all nodes, and one is missing: b")
    );
    assert!(case.tasks.is_empty());
    assert_eq!(plan.nodes.len(), 3);

    wish.library = own(root.path(), "each");
    assert_eq!(
        places(&wish.plan().unwrap()),
        [
            "own/a_noderank0 0 2 0 1 a 127.0.0.1 a",
            "own/a_noderank0 1 2 0 1 a 127.0.0.1 a",
            "own/c_noderank2 0 2 0 1 c 127.0.0.1 c",
            "own/c_noderank2 1 2 0 1 c 127.0.0.1 c",
        ]
    );
    wish.nodes[0].facts = None;
    wish.library = own(root.path(), "all");
    assert_eq!(
        wish.plan().unwrap().cases[0].skipped.as_deref(),
        Some("it spans all nodes, and some are missing: a, b")
    );
    wish.nodes[2].facts = None;
    assert_eq!(wish.plan().unwrap_err(), "there is no node to run on");
}

#[test]
fn a_node_that_is_back_gets_its_part() {
    let root = tempfile::tempdir().unwrap();
    for scope in ["all", "each"] {
        let mut wish = Wish::new(&["own"], &[]);
        wish.library = own(root.path(), scope);
        wish.rounds = 2;
        wish.nodes = nodes(&["a", "b", "c"]);
        let whole = wish.plan().unwrap();
        wish.nodes[1].facts = None;
        let mut plan = wish.plan().unwrap();
        let short = plan.clone();
        let here =
            |missing: &'static str| move |name: &NodeName| (name.as_str() != missing).then(machine);
        let master = ("10.0.0.1", 29500);
        replan(&mut plan, &[0, 1], here("b"), master).unwrap();
        assert_eq!(plan, short, "the same nodes make the same plan");
        replan(&mut plan, &[1], here(""), master).unwrap();
        assert_eq!(
            (&plan.cases[0], &plan.cases[1]),
            (&short.cases[0], &whole.cases[1])
        );
        replan(&mut plan, &[0], here(""), master).unwrap();
        assert_eq!(plan, whole);

        // Another is gone, and the port is taken.
        replan(&mut plan, &[0], here("c"), ("10.0.0.2", 4000)).unwrap();
        let case = &plan.cases[0];
        let on: Vec<&str> = case.tasks.iter().map(|task| task.node.as_str()).collect();
        if scope == "all" {
            assert!(on.is_empty(), "{on:?}");
            let skipped = case.skipped.as_deref();
            assert_eq!(skipped, Some("it spans all nodes, and one is missing: c"));
        } else {
            assert_eq!(on, ["a", "b"]);
            assert_eq!(case.tasks[1].processes[0].env["MASTER_PORT"], "4000");
        }
        plan.duration_s = None;
        assert!(replan(&mut plan, &[0], here(""), master).is_err());
    }
}

const OWN: &str = r#"
summary = "A program of one's own"
entry.argv = ["bin/go", "--size={param.size},{param.mode}", "{param.mode}", "{other}"]
ranks = "pair"
[param.size]
kind = { size = { min = 1, max = "1GiB" } }
help = "Size"
[param.mode]
kind = { choice = ["read", "{param.size}"] }
default = "read"
help = "Mode"
"#;

#[test]
fn a_program_of_ones_own() {
    let root = tempfile::tempdir().unwrap();
    let directory = root.path().join("own");
    fs::create_dir_all(directory.join("bin")).unwrap();
    fs::write(directory.join("case.toml"), OWN).unwrap();
    fs::copy("/bin/sh", directory.join("bin/go")).unwrap();
    let mut wish = Wish::new(&["own"], &["size=2KiB", "mode={param.size}"]);
    wish.library = wish.library.with_directory(root.path()).unwrap();
    let plan = wish.plan().unwrap();
    let case = &plan.cases[0];
    assert_eq!((case.limits.timeout_s, case.expected_s), (3600.0, None));
    let process = &case.tasks[0].processes[1];
    let home = fs::canonicalize(&directory).unwrap();
    let home = home.to_str().unwrap();
    // A value that looks like a placeholder stays as it is.
    assert_eq!(
        process.argv,
        texts(&[
            "bin/go",
            "--size=2048,{param.size}",
            "{param.size}",
            "{other}"
        ])
    );
    assert_eq!(process.cwd, None);
    assert_eq!(case.tasks[0].case_directory.as_deref(), Some(home));
    assert_eq!(process.cpus, [1]);
    assert_eq!(process.env["FLAGPERF_PARAM_SIZE"], "2048");
    assert_eq!(process.env["FLAGPERF_PARAM_MODE"], "{param.size}");
    assert_eq!(process.env["FLAGPERF_DURATION"], "5");

    wish.params = texts(&["mode=raed"]);
    assert_eq!(
        wish.plan().unwrap_err(),
        "the parameter `mode` of `own`: `raed` is no choice (did you mean `read`?); expected one of `read`, `{param.size}`"
    );
    wish.params.clear();
    assert_eq!(
        wish.plan().unwrap_err(),
        "the case `own` needs a value for its parameter `size`"
    );
}

#[test]
fn everything_wrong_with_a_request_at_once() {
    let mut wish = Wish::new(&["computation-FP64", "nonsuch"], &[]);
    wish.rounds = 0;
    wish.duration_s = f64::NAN;
    wish.timeout_s = Some(-1.0);
    wish.nodes.clear();
    assert_eq!(
        wish.plan().unwrap_err(),
        "the duration is NaN; expected more than 0 seconds\n\
         the timeout is -1; expected more than 0 seconds\n\
         the number of rounds is 0; expected at least 1\n\
         there is no node to run on\n\
         no case is named `nonsuch`; the cases are `computation-FP64`, `computation-FP32`, `computation-BF16`, `computation-FP16`, `computation-INT8`, `main_memory-bandwidth`, `main_memory-capacity`, `interconnect-P2P_intraserver`, `interconnect-MPI_intraserver`, `interconnect-P2P_interserver`, `interconnect-MPI_interserver`"
    );
}
