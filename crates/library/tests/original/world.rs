//! Two copies of a tree, the stand-ins, and what runs in them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flagperf_library::{
    PlanNode, SuiteTree, TreeRequest, TreeSettings, WantedCase, replan, resolve_cases,
};
use flagperf_model::{
    COPY, Environment, Launcher, MachineFacts, MonitorSpec, NodeName, NodeSpec, NodeTask, OUT,
    Plan, PrivateCopy, ProgramSource, RunId, StartProgram, TreeProgram,
};
use serde_json::{Value, json};

use crate::calls::{Call, take};
use crate::jobs::Job;

/// Programs that are stood in for: those that cases are started with, and vendors' tools that scripts of
/// variables call.
const STAND_INS: [&str; 13] = [
    "torchrun",
    "python3",
    "python",
    "pip",
    "pip3",
    "bash",
    "mpirun",
    "ascend-dmi",
    "conda",
    "XFLAGS",
    "sudo",
    "service",
    "ssh",
];

/// Scripts that set variables, by the ends of their names.
const ENVIRONMENTS: [&str; 2] = ["/env.sh", "/environment_variables.sh"];

/// The tree and all around it.
pub(crate) struct World {
    _place: tempfile::TempDir,
    root: PathBuf,
    python: String,
}

/// What the original would have run for the cases of a job.
pub(crate) struct Original(Vec<Value>);

impl World {
    pub(crate) fn make(tree: &Path) -> Self {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        for directory in ["stand-ins", "records", "stubs", "home", "out"] {
            fs::create_dir(root.join(directory)).unwrap();
        }
        for (name, text) in [
            ("loguru", include_str!("stubs/loguru.py")),
            ("munch", include_str!("stubs/munch.py")),
            ("yaml", include_str!("stubs/yaml.py")),
            ("numpy", include_str!("stubs/numpy.py")),
            ("sitecustomize", include_str!("stubs/sitecustomize.py")),
        ] {
            fs::write(root.join(format!("stubs/{name}.py")), text).unwrap();
        }
        for name in STAND_INS {
            let path = root.join("stand-ins").join(name);
            fs::write(&path, include_str!("stand_in.sh")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(root.join("driver.py"), include_str!("driver.py")).unwrap();
        fs::write(root.join("home/.bashrc"), "export FROM_BASHRC=yes\n").unwrap();
        fs::write(root.join("empty.sh"), "").unwrap();
        let python = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .unwrap();
        let python = String::from_utf8(python.stdout).unwrap().trim().to_owned();
        let world = Self {
            _place: place,
            root,
            python,
        };
        for name in ["theirs", "ours"] {
            let copy = world.root.join(name);
            fs::create_dir(&copy).unwrap();
            for suite in ["base", "operation", "inference", "training", "utils"] {
                let done = Command::new("cp")
                    .arg("-a")
                    .arg(tree.join(suite))
                    .arg(&copy)
                    .status();
                assert!(done.unwrap().success());
            }
            world.tame(&copy);
        }
        world
    }

    /// The copy of the tree that is planned on.
    pub(crate) fn tree(&self) -> PathBuf {
        self.root.join("ours")
    }

    /// Some scripts of variables put directories of the system in front of the search path, or read what only
    /// the vendors' images have. Both copies are changed alike.
    fn tame(&self, directory: &Path) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.to_string_lossy().into_owned();
            if path.is_dir() && !path.is_symlink() {
                self.tame(&path);
            } else if name.ends_with("/main.sh") {
                // Toolkits restart servers and wait for minutes. None is to run, even by mistake.
                let text = fs::read_to_string(&path).unwrap();
                fs::write(&path, format!("exit 0\n{text}")).unwrap();
            } else if ENVIRONMENTS.iter().any(|end| name.ends_with(end)) && path.is_file() {
                let empty = self.root.join("empty.sh").to_string_lossy().into_owned();
                let mut text = fs::read_to_string(&path).unwrap();
                for missing in [
                    "/root/miniconda/etc/profile.d/conda.sh",
                    "/root/anaconda3/bin/activate",
                    "/usr/local/Ascend/driver/bin/setenv.bash",
                    "/usr/local/Ascend/ascend-toolkit/set_env.sh",
                    "/usr/local/Ascend/toolbox/set_env.sh",
                ] {
                    text = text.replace(missing, &empty);
                }
                if text.contains("PATH=") {
                    let stand_ins = self.root.join("stand-ins");
                    text = format!("{text}\nexport PATH={}:$PATH\n", stand_ins.display());
                }
                fs::write(&path, text).unwrap();
            }
        }
    }

    /// A process with the stand-ins on its search path. The shell around a case, which is given its script on the
    /// command line, is a real one. What it starts is not: a script of the tree never runs.
    fn command(&self, program: &str, first: Option<&str>) -> Command {
        let program = match (program, first) {
            ("bash", Some("-c")) => PathBuf::from("/bin/bash"),
            ("true", _) => PathBuf::from("/bin/true"),
            (name, _) if name.starts_with('/') => PathBuf::from(name),
            (name, _) => self.root.join("stand-ins").join(name),
        };
        let mut command = Command::new(program);
        let path = format!("{}:/usr/bin:/bin", self.root.join("stand-ins").display());
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.root.join("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("STUBS", self.root.join("stubs"))
            .env("STAND_INS", self.root.join("stand-ins"))
            .env("RECORD", self.root.join("records"))
            .env("REAL_PYTHON", &self.python)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Asks the original's launcher for its commands.
    pub(crate) fn original(&self, job: &Job) -> Original {
        let cases: BTreeMap<&str, &str> = job
            .cases
            .iter()
            .map(|case| {
                (
                    case.name.as_str(),
                    case.value.as_deref().unwrap_or_default(),
                )
            })
            .collect();
        if job.kind.starts_with("in_") {
            return self.original_alone(job);
        }
        let log_level = if job.suite() == "inference" {
            "INFO"
        } else {
            "info"
        };
        let told = json!({
            "suite": job.suite(),
            "cases": cases,
            "keys": {
                "VENDOR": job.vendor,
                "FLAGPERF_LOG_PATH": "result",
                "FLAGPERF_LOG_LEVEL": log_level,
                "LOG_CALL_INFORMATION": true,
                "BENCHMARKS_OR_TOOLKITS": if job.toolkits { "TOOLKIT" } else { "BENCHMARK" },
                "HOSTS": job.hosts,
                "NPROC_PER_NODE": job.nproc,
                "SSH_PORT": "22",
                "HOSTS_PORTS": ["2222"],
                "MASTER_PORT": job.master_port.to_string(),
                "SHM_SIZE": "32G",
                "ACCE_CONTAINER_OPT": "",
                "ACCE_VISIBLE_DEVICE_ENV_NAME": "SOME_VISIBLE_DEVICES",
                "PIP_SOURCE": "https://packages.invalid/simple",
                "CLEAR_CACHES": false,
                "DEVICE": 3,
            },
        });
        let mut child = self
            .command(&self.python, None)
            .env("PYTHONPATH", self.root.join("stubs"))
            .arg(self.root.join("driver.py"))
            .arg(self.root.join("theirs"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(told.to_string().as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        Original(serde_json::from_slice(&output.stdout).unwrap())
    }

    /// The launchers of these cases run on one node and are programs of a few lines.
    fn original_alone(&self, job: &Job) -> Original {
        let place = self
            .root
            .join("theirs/training/run_benchmarks")
            .join(job.kind);
        let chains = job.cases.iter().map(|case| {
            let model = case.name.split(':').next().unwrap();
            let home = self.root.join("theirs").to_string_lossy().into_owned();
            let config = format!(
                "printf '%s\\n' 'flagperf_home = \"{home}\"' 'casename = \"{model}\"' 'vendor = \"{}\"' 'log_dir = \"result\"' 'hosts = {}' 'master_port = {}' > config.py && python3 run.py",
                job.vendor,
                json!(job.hosts),
                job.master_port,
            );
            let host = &job.hosts[0];
            json!({"case": case.name, "host": host, "what": "start", "chain": format!("cd {} && {config}", place.display())})
        });
        Original(chains.collect())
    }

    /// What is planned here for a case: the calls of each node that is looked at, setup and task together. In
    /// words, why nothing is.
    pub(crate) fn ours(
        &self,
        job: &Job,
        wanted: &WantedCase,
    ) -> Result<Vec<(usize, Vec<Call>)>, String> {
        let settings = TreeSettings {
            pip_source: Some("https://packages.invalid/simple".to_owned()),
            device: Some(3),
            visible_devices: Some("SOME_VISIBLE_DEVICES".to_owned()),
            hosts_ports: vec!["2222".to_owned()],
            ..TreeSettings::default()
        };
        let tree = SuiteTree {
            suite: job.tree_suite(),
            directory: self.tree().join(job.suite()),
        };
        let cases = [wanted.clone()];
        let request = TreeRequest {
            tree: &tree,
            vendor: &job.vendor,
            cases: &cases,
            toolkits: job.toolkits,
            nproc: job.nproc,
            nodes: job.hosts.len() as u32,
            rounds: Some(1),
            images: false,
            allow_credential_changes: true,
            named: true,
            timeout_s: None,
            stall_s: None,
            settings: &settings,
        };
        let cases = resolve_cases(&request).map_err(|error| error.to_string())?;
        let nodes: Vec<PlanNode> = job.hosts.iter().map(|host| node(host)).collect();
        let mut plan = Plan {
            run: RunId::new("run20261123120000-abc123").unwrap(),
            nodes: nodes.iter().map(|node| node.spec.clone()).collect(),
            environment: Environment::InContainer,
            monitor: MonitorSpec {
                interval_ns: 1_000_000_000,
                vendor: None,
            },
            duration_s: Some(1.0),
            master_port: None,
            cases,
        };
        let master = (job.hosts[0].as_str(), job.master_port);
        replan(&mut plan, &[0], |_| Some(MachineFacts::default()), master).unwrap();
        let case = &plan.cases[0];
        assert_eq!(case.skipped, None);
        let mut looked_at: Vec<&NodeTask> = case.tasks.first().into_iter().collect();
        if case.tasks.len() > 1 {
            looked_at.extend(case.tasks.last());
        }
        let mut found = Vec::new();
        for task in looked_at {
            let copy = PathBuf::from(task.case_directory.clone().unwrap());
            apply(task.copy.as_ref().unwrap(), &copy);
            if let flagperf_model::Entry::Tree(tree) = &case.spec.entry
                && let TreeProgram::Training { start, .. } = tree.program
                && matches!(
                    start,
                    StartProgram::Deepspeed | StartProgram::DeepspeedTorch
                )
            {
                self.check_merged(
                    &copy,
                    &format!("benchmarks/{}/{start}", tree.case),
                    job,
                    wanted,
                );
            }
            let out = self.root.join("out");
            let mut calls = Vec::new();
            for setup in &case.setup {
                assert_eq!(setup.directory, None);
                let mut command =
                    self.command(&setup.argv[0], setup.argv.get(1).map(String::as_str));
                command
                    .args(&setup.argv[1..])
                    .envs(&setup.env)
                    .current_dir(&copy);
                assert!(command.status().unwrap().success());
            }
            calls.extend(take(&self.root.join("records"), &self.tree(), Some(&out)));
            for process in &task.processes {
                let filled = |text: &String| {
                    text.replace(COPY, &copy.to_string_lossy())
                        .replace(OUT, &out.to_string_lossy())
                };
                let mut command =
                    self.command(&process.argv[0], process.argv.get(1).map(String::as_str));
                let env = process
                    .env
                    .iter()
                    .map(|(name, value)| (name, filled(value)));
                command
                    .args(process.argv[1..].iter().map(filled))
                    .envs(env)
                    .current_dir(
                        process
                            .cwd
                            .as_ref()
                            .map_or(copy.clone(), |cwd| copy.join(cwd)),
                    );
                command.status().unwrap();
            }
            calls.extend(take(&self.root.join("records"), &self.tree(), Some(&out)));
            found.push((task.node_rank as usize, calls));
        }
        Ok(found)
    }

    /// The configuration of DeepSpeed that is merged here says what the original's says, which it writes when it
    /// runs on the first node.
    fn check_merged(&self, copy: &Path, model: &str, job: &Job, wanted: &WantedCase) {
        let file = format!("{model}/ds_config_tmp.json");
        let theirs = self.root.join("theirs/training").join(&file);
        let _ = fs::remove_file(&theirs);
        self.original(job).run(self, &wanted.name, 0);
        // Where the vendor's part is missing the original gives up, and the model's alone is taken here.
        if let Ok(theirs) = fs::read(&theirs) {
            let ours: Value = serde_json::from_slice(&fs::read(copy.join(&file)).unwrap()).unwrap();
            let theirs: Value = serde_json::from_slice(&theirs).unwrap();
            assert_eq!(theirs, ours, "{}", wanted.name);
        }
    }
}

impl Original {
    /// Runs the commands of a case on one host: what they called.
    pub(crate) fn run(&self, world: &World, case: &str, place: usize) -> Vec<Call> {
        let mut calls = Vec::new();
        let mut hosts: Vec<&Value> = self.0.iter().map(|one| &one["host"]).collect();
        hosts.sort_by_key(|host| {
            let digits = host.as_str().unwrap().trim_start_matches('h');
            digits.parse::<usize>().unwrap_or_default()
        });
        hosts.dedup();
        let suite = |one: &Value| {
            let chain = one["chain"].as_str().unwrap();
            let suites = ["base", "operation", "inference", "training"];
            let root = world.root.join("theirs");
            let suite = suites
                .into_iter()
                .find(|suite| chain.contains(&*root.join(suite).to_string_lossy()));
            root.join(suite.unwrap())
        };
        for what in ["prepare", "start"] {
            let mut of_case = self.0.iter().filter(|one| {
                one["case"] == case
                    && one["what"] == what
                    && hosts.get(place) == Some(&&one["host"])
            });
            if let Some(one) = of_case.next() {
                let mut command = world.command("/bin/bash", None);
                command
                    .arg("-c")
                    .arg(one["chain"].as_str().unwrap())
                    .current_dir(suite(one));
                command.status().unwrap();
                calls.extend(take(
                    &world.root.join("records"),
                    &world.root.join("theirs"),
                    None,
                ));
            }
        }
        calls
    }
}

fn node(host: &str) -> PlanNode {
    PlanNode {
        spec: NodeSpec {
            name: NodeName::new(host).unwrap(),
            launcher: Launcher::Local,
            address: None,
            env: BTreeMap::new(),
            program: ProgramSource::Placed,
        },
        facts: None,
    }
}

/// Makes of a plain copy what the plan wants it to be, as far as it adds and changes.
fn apply(copy: &PrivateCopy, directory: &Path) {
    for (path, text) in &copy.files {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for path in &copy.unix_lines {
        let path = directory.join(path);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, text.replace("\r\n", "\n")).unwrap();
    }
}
