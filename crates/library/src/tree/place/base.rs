//! What runs for cases of the suites base, operation and inference.

use flagperf_model::OUT;

use super::{Spot, Started, words};
use crate::tree::script::{Before, in_copy, wrapped};

/// Name of the log of what a script of variables prints.
const ENVIRONMENT_LOG: &str = "env.log.txt";

impl Spot<'_> {
    /// `main.py` under torchrun, in the directory of the case.
    pub(super) fn benchmark(&self) -> Started {
        let tree = self.tree;
        let (addr, port) = self.master;
        let mut argv = words(["torchrun"]);
        argv.extend([
            format!("--nproc_per_node={}", tree.nproc),
            format!("--nnodes={}", self.hosts.len()),
            format!("--node_rank={}", self.rank),
            format!("--master_addr={addr}"),
            format!("--master_port={port}"),
            "main.py".to_owned(),
            format!("--vendor={}", self.adapted()),
            format!("--node_size={}", tree.nproc),
        ]);
        let directory = format!("benchmarks/{}", tree.case);
        let start = wrapped(&self.before(), &directory, argv);
        self.single("benchmark.log.txt", self.env.clone(), start)
    }

    /// The vendor's `main.sh`, in its own directory.
    pub(super) fn toolkit(&self) -> Started {
        let directory = format!("toolkits/{}/{}", self.tree.case, self.adapted());
        let start = wrapped(&self.before(), &directory, words(["bash", "main.sh"]));
        let mut env = self.env.clone();
        env.insert("NODERANK".to_owned(), self.place.to_string());
        self.single("toolkit.log.txt", env, start)
    }

    /// `main.py` of the operator, in its directory.
    pub(super) fn operation(
        &self,
        format: &str,
        spec_tflops: &str,
        library: &str,
        device: Option<u32>,
    ) -> Started {
        let tree = self.tree;
        let mut argv = words(["python3", "main.py"]);
        argv.extend([
            format!("--vendor={}", tree.vendor),
            format!("--case_name={}", tree.case),
            format!("--spectflops={spec_tflops}"),
            format!("--dataformat={format}"),
            format!("--oplib={library}"),
            format!("--chip={}", tree.chip.as_deref().unwrap_or_default()),
        ]);
        let directory = format!("benchmarks/{}", tree.case);
        let start = wrapped(&self.before(), &directory, argv);
        let mut env = self.env.clone();
        if let Some(device) = device {
            env.insert("CUDA_VISIBLE_DEVICES".to_owned(), device.to_string());
        }
        self.single("operation.log.txt", env, start)
    }

    /// `run_inference.py`, in the suite's directory.
    pub(super) fn inference(&self, data_directory: &str, log_level: &str) -> Started {
        let tree = self.tree;
        let argv = words([
            "python3",
            "run_inference.py",
            "--perf_dir",
            &in_copy(""),
            "--loglevel",
            log_level,
            "--vendor",
            &tree.vendor,
            "--case",
            &tree.case,
            "--data_dir",
            data_directory,
            "--framework",
            &tree.framework,
            "--log_dir",
            OUT,
        ]);
        self.single("stdout_err.out.log", self.env.clone(), (argv, None))
    }

    /// The vendor, with the chip where there is one: `nvidia/A100`.
    fn adapted(&self) -> String {
        match &self.tree.chip {
            Some(chip) => format!("{}/{chip}", self.tree.vendor),
            None => self.tree.vendor.clone(),
        }
    }

    fn before(&self) -> Before<'_> {
        let is_base = !matches!(
            self.tree.program,
            flagperf_model::TreeProgram::Operation { .. }
        );
        Before {
            requirements: self.tree.files.requirements.as_deref(),
            environment: self.tree.files.environment.as_deref(),
            environment_log: ENVIRONMENT_LOG,
            bashrc: is_base && self.tree.vendor == "ascend",
            network: None,
        }
    }
}
