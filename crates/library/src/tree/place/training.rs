//! What runs for cases of suite training. Each start program of the classic harness has an arm here that makes
//! what it would make.

use std::collections::BTreeMap;

use flagperf_model::{OUT, ProcessSpec, StartProgram};

use super::{Spot, Started, words};
use crate::tree::script::{Before, in_copy, wrapped};

/// Name of the log of what a script of variables prints.
const ENVIRONMENT_LOG: &str = "source_env.log.txt";

/// What a training case is told beside its size.
pub(super) struct Told<'a> {
    pub(super) start: StartProgram,
    pub(super) config_file: &'a str,
    pub(super) data: &'a str,
    pub(super) visible_devices: Option<&'a str>,
    pub(super) hosts_ports: &'a [String],
}

impl Spot<'_> {
    pub(super) fn training(&self, told: &Told<'_>) -> Started {
        match told.start {
            StartProgram::Pytorch => self.ranks(told, Self::pytorch_env),
            StartProgram::Paddle => self.ranks(told, Self::paddle_env),
            StartProgram::Tensorflow2 => self.tensorflow2(told),
            StartProgram::Mindspore => self.mindspore(told),
            StartProgram::Megatron | StartProgram::MegatronDeepspeed => self.megatron(told),
            StartProgram::Flagscale => self.flagscale(told),
            StartProgram::Deepspeed => self.deepspeed(told),
            StartProgram::DeepspeedTorch => self.deepspeed_torch(told),
        }
    }

    /// The program that starts its parts on the other nodes by itself. Those nodes need their copy and nothing
    /// else, so what runs there ends at once.
    pub(super) fn alone(&self, way: &str) -> Started {
        let tree = self.tree;
        let start = if self.rank == 0 {
            // The copy is of the directory above the suite.
            let suite = tree.suite_directory.rsplit('/').next().unwrap_or_default();
            let config = format!(
                "{suite}/{}/{}-in_container/config.py",
                tree.vendor, tree.case
            );
            let mut argv = words([
                "python3",
                "run_pretraining.py",
                "--vendor_config",
                &in_copy(&config),
                "--hosts",
            ]);
            argv.extend(self.hosts.iter().map(|host| (*host).to_owned()));
            argv.extend(words(["--master_port", &self.master.1.to_string()]));
            argv.extend(words(["--perf_dir", &in_copy(""), "--log_dir", OUT]));
            (
                argv,
                Some(format!("{suite}/benchmarks/{}/{way}", tree.case)),
            )
        } else {
            (words(["true"]), None)
        };
        self.single("flagperf.log.txt", self.env.clone(), start)
    }

    /// One process a rank, with its own variables.
    fn ranks(
        &self,
        told: &Told<'_>,
        own_env: impl Fn(&Self, u32) -> Vec<(&'static str, String)>,
    ) -> Started {
        let nproc = self.tree.nproc;
        let mut rank_logs = BTreeMap::new();
        let processes = (0..nproc).map(|local| {
            let rank = nproc * self.rank as u32 + local;
            rank_logs.insert(rank, format!("rank{rank}.out.log"));
            // Ranks read the script of variables each for itself, and do not share a log of it.
            let log = match local {
                0 => ENVIRONMENT_LOG.to_owned(),
                _ => format!("source_env.rank{rank}.log.txt"),
            };
            let before = Before {
                environment: self.tree.files.environment.as_deref(),
                environment_log: &log,
                ..Before::default()
            };
            let mut argv = words(["python3", "-u", &self.script(told)]);
            argv.extend(self.script_arguments(told));
            let (argv, cwd) = wrapped(&before, "", argv);
            let mut env = self.env.clone();
            env.extend(
                own_env(self, local)
                    .into_iter()
                    .map(|(name, value)| (name.to_owned(), value)),
            );
            self.see_devices(told, &mut env);
            ProcessSpec {
                rank,
                argv,
                env,
                cwd,
                cpus: Vec::new(),
            }
        });
        let processes = processes.collect();
        Started {
            log: start_log(told),
            rank_logs,
            processes,
        }
    }

    /// The arguments of the script where it takes the vendor's modules.
    fn script_arguments(&self, told: &Told<'_>) -> Vec<String> {
        let tree = self.tree;
        let data = words(["--data_dir", told.data]);
        let config = words([
            "--extern_config_dir",
            &in_copy(&format!("{}/config", self.adapted_model(told))),
            "--extern_config_file",
            told.config_file,
            "--vendor",
            &tree.vendor,
        ]);
        let mut arguments = match told.start {
            StartProgram::Paddle | StartProgram::Tensorflow2 => [data, config].concat(),
            _ => [config, data].concat(),
        };
        if let Some(modules) = &tree.files.extern_modules {
            arguments.extend(words([
                "--enable_extern_config",
                "--extern_module_dir",
                &in_copy(modules),
            ]));
        }
        arguments
    }

    fn pytorch_env(&self, local: u32) -> Vec<(&'static str, String)> {
        let nproc = self.tree.nproc;
        vec![
            ("MASTER_ADDR", self.master.0.to_owned()),
            ("MASTER_PORT", self.master.1.to_string()),
            ("WORLD_SIZE", (nproc * self.hosts.len() as u32).to_string()),
            ("NODE_RANK", self.rank.to_string()),
            ("RANK", (nproc * self.rank as u32 + local).to_string()),
            ("LOCAL_RANK", local.to_string()),
        ]
    }

    fn paddle_env(&self, local: u32) -> Vec<(&'static str, String)> {
        let nproc = self.tree.nproc;
        let (addr, port) = self.master;
        let first = format!("{addr}:{port}");
        let mut endpoints = vec![first.clone()];
        endpoints.extend((0..nproc).map(|_| format!("{addr}:{}", u32::from(port) + 1)));
        vec![
            (
                "PADDLE_TRAINERS_NUM",
                (nproc * self.hosts.len() as u32).to_string(),
            ),
            ("PADDLE_RANK_IN_NODE", self.rank.to_string()),
            ("PADDLE_WORLD_DEVICE_IDS", counted(nproc)),
            ("PADDLE_TRAINER_ENDPOINTS", endpoints.join(",")),
            ("PADDLE_TRAINER_ID", local.to_string()),
            ("FLAGS_selected_gpus", local.to_string()),
            ("FLAGS_selected_accelerators", local.to_string()),
            ("PADDLE_LOCAL_DEVICE_IDS", local.to_string()),
            ("PADDLE_CURRENT_ENDPOINT", first),
        ]
    }

    fn tensorflow2(&self, told: &Told<'_>) -> Started {
        let mut env = self.env.clone();
        let own = [
            ("FLAGPERF_NNODES", self.hosts.len().to_string()),
            ("FLAGPERF_NPROC", self.tree.nproc.to_string()),
            ("FLAGPERF_BASE_PORT", self.master.1.to_string()),
            ("FLAGPERF_NODE_RANK", self.rank.to_string()),
            ("FLAGPERF_HOSTS", self.hosts.join(",")),
            ("FLAGPERF_HOSTS_PORTS", told.hosts_ports.join(",")),
        ];
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        self.see_devices(told, &mut env);
        let mut argv = words(["python3", "-u", &self.script(told)]);
        argv.extend(self.script_arguments(told));
        let start = wrapped(&self.before_model(), "", argv);
        let mut started = self.single(start_log(told), env, start);
        let log = format!("noderank{}.out.log", self.rank);
        started.rank_logs = BTreeMap::from([(self.rank as u32, log)]);
        started
    }

    fn mindspore(&self, told: &Told<'_>) -> Started {
        let mut env = self.env.clone();
        let own = self.pytorch_env(0).into_iter();
        let own = own.filter(|(name, _)| !matches!(*name, "RANK" | "LOCAL_RANK"));
        env.extend(own.map(|(name, value)| (name.to_owned(), value)));
        self.see_devices(told, &mut env);
        let script = in_copy(&format!("{}/cluster_offline_run.sh", self.model(told)));
        let mut argv = words(["bash", "-x", &script]);
        argv.extend(self.script_arguments(told));
        self.single(
            start_log(told),
            env,
            wrapped(&self.before_model(), "", argv),
        )
    }

    fn megatron(&self, told: &Told<'_>) -> Started {
        let interpreter = match told.start {
            StartProgram::MegatronDeepspeed => "python",
            _ => "python3",
        };
        let mut argv = words([interpreter, "run_pretraining.py"]);
        argv.extend(self.torchrun_arguments());
        argv.extend([
            format!("--vendor={}", self.tree.vendor),
            format!("--data_dir={}", told.data),
            format!("--log_dir={OUT}"),
            format!("--flagperf_config_file={}", self.config_path(told)),
        ]);
        let start = wrapped(&self.before_model(), &self.model(told), argv);
        self.single("rank0.log.txt", self.env.clone(), start)
    }

    fn flagscale(&self, told: &Told<'_>) -> Started {
        let world = self.tree.nproc * self.hosts.len() as u32;
        let mut argv = words(["python", "run_pretraining.py"]);
        argv.extend([
            format!("--world_size={world}"),
            format!("--hosts={}", self.hosts.join(",")),
            format!("--host_addr={}", self.hosts[self.rank]),
            format!("--vendor={}", self.tree.vendor),
            format!("--data_dir={}", told.data),
            format!("--log_dir={OUT}"),
            format!("--flagperf_config_file={}", self.config_path(told)),
        ]);
        let start = wrapped(&self.before_model(), &self.model(told), argv);
        self.single("rank0.out.log", self.env.clone(), start)
    }

    fn deepspeed(&self, told: &Told<'_>) -> Started {
        let mut argv = words(["torchrun"]);
        argv.extend(self.torchrun_arguments());
        argv.extend(words([
            "run_pretraining.py",
            "--flagperf_config",
            &self.config_path(told),
        ]));
        argv.extend(self.size_arguments());
        argv.extend(words([
            "--deepspeed",
            "--deepspeed_config",
            "ds_config_tmp.json",
        ]));
        argv.extend(words(["--data_dir", told.data]));
        let start = wrapped(&self.before_model(), &self.model(told), argv);
        self.single("rank0.log.txt", self.env.clone(), start)
    }

    fn deepspeed_torch(&self, told: &Told<'_>) -> Started {
        let mut argv = words([
            "python3",
            "run_pretraining.py",
            "--flagperf_config",
            &self.config_path(told),
        ]);
        argv.extend(self.size_arguments());
        argv.extend(words([
            "--deepspeed",
            "ds_config_tmp.json",
            "--data_dir",
            told.data,
        ]));
        let start = wrapped(&self.before_model(), &self.model(told), argv);
        self.single("rank0.log.txt", self.env.clone(), start)
    }

    fn torchrun_arguments(&self) -> [String; 5] {
        [
            format!("--nproc_per_node={}", self.tree.nproc),
            format!("--nnodes={}", self.hosts.len()),
            format!("--node_rank={}", self.rank),
            format!("--master_addr={}", self.master.0),
            format!("--master_port={}", self.master.1),
        ]
    }

    fn size_arguments(&self) -> Vec<String> {
        let (rank, nproc, nnodes) = (self.rank, self.tree.nproc, self.hosts.len());
        words([
            "--node_rank",
            &rank.to_string(),
            "--nproc_per_node",
            &nproc.to_string(),
            "--nnodes",
            &nnodes.to_string(),
        ])
    }

    fn see_devices(&self, told: &Told<'_>, env: &mut BTreeMap<String, String>) {
        if let Some(name) = told.visible_devices {
            env.insert(name.to_owned(), counted(self.tree.nproc));
        }
    }

    fn before_model(&self) -> Before<'_> {
        Before {
            environment: self.tree.files.environment.as_deref(),
            environment_log: ENVIRONMENT_LOG,
            network: self.tree.files.network.as_deref(),
            ..Before::default()
        }
    }

    /// Directory of the model, relative to the suite's.
    fn model(&self, told: &Told<'_>) -> String {
        format!("benchmarks/{}/{}", self.tree.case, told.start)
    }

    fn script(&self, told: &Told<'_>) -> String {
        in_copy(&format!("{}/run_pretraining.py", self.model(told)))
    }

    /// What the vendor has for the model, relative to the suite's directory.
    fn adapted_model(&self, told: &Told<'_>) -> String {
        format!("{}/{}-{}", self.tree.vendor, self.tree.case, told.start)
    }

    fn config_path(&self, told: &Told<'_>) -> String {
        in_copy(&format!(
            "{}/config/{}",
            self.adapted_model(told),
            told.config_file
        ))
    }
}

/// What the classic harness calls the log of its own start program. Here it has what no log of a rank has.
fn start_log(told: &Told<'_>) -> String {
    format!("start_{}_task.log", told.start)
}

/// `0,1,2` for three.
fn counted(number: u32) -> String {
    let numbers: Vec<String> = (0..number).map(|id| id.to_string()).collect();
    numbers.join(",")
}
