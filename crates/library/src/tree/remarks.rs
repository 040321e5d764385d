//! Where a case measures something else than its name says: what is set right from outside, and what a result
//! has to be read with. The numbers are those of `docs/defects.md`.

use std::collections::BTreeMap;

use flagperf_model::{Remark, StartProgram, TreeCase, TreeProgram};

use super::credentials::restarts_ssh;
use super::resolve::{set_right, warning};
use super::{TreeProblem, TreeRequest, read};

/// The remarks on a case, and the variables that set it right.
pub(super) fn of(
    request: &TreeRequest<'_>,
    case: &TreeCase,
) -> Result<(Vec<Remark>, BTreeMap<String, String>), TreeProblem> {
    let mut notes = Notes {
        request,
        case,
        remarks: Vec::new(),
        env: BTreeMap::new(),
    };
    match &case.program {
        TreeProgram::Benchmark => notes.benchmark()?,
        TreeProgram::Toolkit => notes.toolkit()?,
        TreeProgram::Operation {
            format,
            spec_tflops,
            ..
        } => notes.operation(format, spec_tflops)?,
        TreeProgram::Inference { .. } => {}
        TreeProgram::Training { start, .. } => notes.training(*start)?,
        TreeProgram::InContainer => notes.warn(
            None,
            "it starts its parts on the other nodes by itself, through ssh at the port in its configuration, and expects its files at the same path there; what they print is in its own logs on the first node",
        ),
        TreeProgram::InCluster => {
            notes.warn(None, "it starts its ranks through MPI, on the hosts of the file that its configuration names");
            if request.nodes > 1 {
                notes.warn(None, "it starts all its ranks once for every host that it is told, and it is told all hosts of the run");
            }
        }
    }
    Ok((notes.remarks, notes.env))
}

/// How the drivers of a suite tell vendors apart where they switch TF32.
#[derive(PartialEq, Eq)]
enum Switch {
    /// By the vendor's name as it is passed.
    Works,
    /// By comparing it with the vendor's name, where it is passed with the chip.
    Never,
    /// Not at all for this vendor.
    Unknown,
}

struct Notes<'a> {
    request: &'a TreeRequest<'a>,
    case: &'a TreeCase,
    remarks: Vec<Remark>,
    env: BTreeMap<String, String>,
}

impl Notes<'_> {
    fn warn(&mut self, defect: impl Into<Option<u32>>, text: impl Into<String>) {
        self.remarks.push(warning(defect.into(), text));
    }

    /// Sets a variable and says so.
    fn set(&mut self, defect: u32, variable: &str, value: &str, text: &str) {
        self.env.insert(variable.to_owned(), value.to_owned());
        self.remarks.push(set_right(
            Some(defect),
            format!("{text}; {variable}={value} sets it right"),
        ));
    }

    fn text(&self, path: &str) -> Result<String, TreeProblem> {
        let path = self.request.tree.directory.join(path);
        Ok(read::text(&path)?.unwrap_or_default())
    }

    fn benchmark(&mut self) -> Result<(), TreeProblem> {
        let (nproc, nodes) = (self.case.nproc, self.request.nodes);
        match self.case.case.as_str() {
            name @ ("computation-FP32" | "computation-TF32") => self.tf32(name)?,
            "computation-INT8" => {
                self.warn(43, "both operands are all ones, which takes less power than real data and may run at higher clocks");
                if self.case.vendor == "nvidia" {
                    self.warn(45, "PyTorch has no CUDA kernel for products of int8 matrices, so the case fails there");
                }
            }
            "computation-FP8" => {
                self.warn(43, "both operands are all ones, which takes less power than real data and may run at higher clocks");
                if self.case.vendor != "mthreads" {
                    self.warn(45, "the case uses what only the PyTorch of mthreads has, so it fails elsewhere");
                }
            }
            "interconnect-h2d" if !matches!(self.case.vendor.as_str(), "mthreads" | "iluvatar") => self.warn(
                40,
                "host memory is pageable here and pinned in the vendors' toolkits; the two are not to be compared",
            ),
            "interconnect-P2P_intraserver" => {
                self.warn(40, "each transfer is counted twice although it goes one way");
                if nproc < 2 {
                    self.warn(40, "it sends from rank 0 to rank 1 of a node, and there is one rank on each");
                }
            }
            "interconnect-P2P_interserver" => {
                self.p2p_target();
                self.warn(40, "transfers are counted once, in one direction; some vendors' toolkits count them twice");
            }
            "interconnect-MPI_intraserver" => self.warn(
                40,
                "the number is twice the bus bandwidth as nccl-tests defines it; all operands are ones",
            ),
            "interconnect-MPI_interserver" => {
                self.bus_factor(nproc, nodes);
                self.warn(40, "the number is the bus bandwidth once, in one direction; some vendors' toolkits give it twice");
            }
            "main_memory-capacity" => self.warn(
                44,
                "it waits for 300 s after it has measured, and counts what PyTorch allocates in whole MiB",
            ),
            _ => {}
        }
        if self.case.case.ends_with("interserver") && nodes < 2 {
            self.warn(None, "it measures between servers, and there is one");
        }
        Ok(())
    }

    /// Benchmarks are told `nvidia/A100` and their drivers compare that with `nvidia`.
    fn tf32(&mut self, name: &str) -> Result<(), TreeProblem> {
        let drivers = self.text("benchmarks/drivers/utils.py")?;
        let told_with_chip = self.case.chip.is_some();
        let wants_tf32 = name == "computation-TF32";
        let function = if wants_tf32 {
            "unset_ieee_float32"
        } else {
            "set_ieee_float32"
        };
        let switch = switch(&drivers, function, &self.case.vendor, told_with_chip);
        match (switch, self.case.vendor.as_str()) {
            (Switch::Works, _) => {}
            (Switch::Never, "nvidia") if wants_tf32 => self.set(
                37,
                "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
                "1",
                "the case is told the vendor with the chip and compares it with the vendor alone, so that it never switches TF32 on and would measure FP32 outside NVIDIA's own images",
            ),
            (Switch::Never, "nvidia") => self.set(
                37,
                "NVIDIA_TF32_OVERRIDE",
                "0",
                "the case is told the vendor with the chip and compares it with the vendor alone, so that it never switches TF32 off and would measure TF32 in NVIDIA's own images",
            ),
            (Switch::Never | Switch::Unknown, vendor) => {
                // An adaptation may switch it by itself.
                let environment = match &self.case.files.environment {
                    Some(path) => self.text(path)?,
                    None => String::new(),
                };
                if !environment.contains("TF32") {
                    let text = format!("the case does not switch TF32 for {vendor}, so what it measures is up to the default of the framework");
                    self.warn(37, text);
                }
            }
        }
        Ok(())
    }

    /// The case sends to rank 8, wherever that is.
    fn p2p_target(&mut self) {
        let (nproc, nodes) = (self.case.nproc, self.request.nodes);
        if nproc == 8 && nodes >= 2 {
            return;
        }
        let text = match 8 / nproc.max(1) {
            node if node >= nodes => format!(
                "it sends to rank 8, which does not exist with {nproc} ranks on each of {nodes} nodes, and fails"
            ),
            0 => "it sends to rank 8, which is on the same node as the sender".to_owned(),
            node => format!(
                "it sends to rank 8, which is on the node of rank {node} with {nproc} ranks on each"
            ),
        };
        self.warn(38, text);
    }

    /// The case takes the ranks of a node for all ranks.
    fn bus_factor(&mut self, nproc: u32, nodes: u32) {
        if nodes < 2 {
            return;
        }
        if nproc < 2 {
            self.warn(39, "the factor of the bus bandwidth is taken from the ranks of one node, so with one rank on each it prints 0");
            return;
        }
        let (p, all) = (f64::from(nproc), f64::from(nproc * nodes));
        let factor = ((all - 1.0) / all) / ((p - 1.0) / p);
        self.warn(
            39,
            format!(
                "the factor of the bus bandwidth is taken from the {nproc} ranks of one node although {all} take part; by the definition of nccl-tests it is {factor:.4} times what is printed"
            ),
        );
    }

    fn toolkit(&mut self) -> Result<(), TreeProblem> {
        let adapted = match &self.case.chip {
            Some(chip) => format!("{}/{chip}", self.case.vendor),
            None => self.case.vendor.clone(),
        };
        let script = self.text(&format!("toolkits/{}/{adapted}/main.sh", self.case.case))?;
        let (case, vendor) = (self.case.case.as_str(), self.case.vendor.as_str());
        let between = case.ends_with("interserver");
        if vendor == "nvidia" && case.starts_with("computation-") {
            self.warn(43, "the operands are memory that was never written, so their values, and the power that they take, are what happens to be there");
        }
        if vendor == "tsingmicro" && case == "computation-FP32" {
            self.warn(
                None,
                "it runs the kernel of tanh, not a product of matrices",
            );
        }
        match (vendor, case) {
            (
                "nvidia" | "mthreads" | "dcu",
                "interconnect-P2P_interserver" | "interconnect-MPI_interserver",
            ) => {
                self.warn(40, "the number is twice what goes in one direction; the benchmark in Python gives it once");
            }
            (
                "cambricon" | "kunlunxin",
                "interconnect-P2P_interserver" | "interconnect-MPI_interserver",
            ) => {
                self.warn(40, "traffic is counted once here and twice in the vendor's toolkits inside a server");
            }
            ("dcu", "interconnect-h2d") => {
                self.warn(40, "the number is twice what goes to the device");
            }
            ("ascend", "interconnect-MPI_intraserver" | "interconnect-MPI_interserver") => {
                self.warn(
                    40,
                    "it measures all-gather, where the other vendors measure all-reduce",
                );
            }
            _ => {}
        }
        if let Some(seconds) = long_sleep(&script) {
            self.warn(
                44,
                format!("it waits for {seconds} s after it has measured"),
            );
        }
        if script.contains("p-perf-kunlun-01") {
            self.warn(54, "it only measures on a host of a certain name");
        }
        if between && script.contains("_run_log") {
            self.warn(
                55,
                "its parts wait for files of each other in their directory, which has to be one that all nodes share; otherwise it waits until it is ended",
            );
        }
        if between && script.contains("mlx5_") {
            self.warn(
                55,
                "it names network adapters (`mlx5_…`) that other machines may not have",
            );
        }
        if between && restarts_ssh(&script) {
            self.warn(28, "it starts the ssh server of each node anew");
        }
        if self.request.allow_credential_changes
            && let Some(what) = super::credentials::changes(&script)
        {
            self.warn(28, format!("it {what} on every node, which was allowed"));
        }
        if between && self.request.nodes < 2 {
            self.warn(None, "it measures between servers, and there is one");
        }
        Ok(())
    }

    fn operation(&mut self, format: &str, spec_tflops: &str) -> Result<(), TreeProblem> {
        let case = self.case.case.as_str();
        let main = self.text(&format!("benchmarks/{case}/main.py"))?;
        let drivers = self.text("benchmarks/drivers/utils.py")?;
        let is_product = matches!(case, "mm" | "addmm" | "bmm" | "linear" | "mv" | "outer");
        if format == "FP32" && is_product {
            let asks = main.contains("set_ieee_float32(");
            let switches =
                switch(&drivers, "set_ieee_float32", &self.case.vendor, false) == Switch::Works;
            if self.case.vendor == "nvidia" && !(asks && switches) {
                self.set(
                    37,
                    "NVIDIA_TF32_OVERRIDE",
                    "0",
                    "the case does not switch TF32 off and would measure it in NVIDIA's own images",
                );
            } else if !(asks && switches) {
                let text = format!(
                    "the case does not switch TF32 off for {}, so what it measures is up to the default of the framework",
                    self.case.vendor
                );
                self.warn(37, text);
            }
        }
        if case == "triu" {
            self.warn(49, "the number of operations grows with the rate that was reached, so its TFLOPS say nothing");
        }
        if case == "all" {
            self.warn(
                None,
                "its operand is of 64-bit integers whatever the number format",
            );
        }
        if spec_tflops.parse::<f64>().is_ok_and(|rate| rate <= 0.0) {
            self.warn(49, format!("the nominal rate is given as {spec_tflops}, so the utilisation that the case prints says nothing"));
        }
        self.warn(49, "the correctness that the case prints is that of the operator in FlagGems on a processor, whatever was measured");
        Ok(())
    }

    fn training(&mut self, start: StartProgram) -> Result<(), TreeProblem> {
        let path = format!("benchmarks/{}/{start}/run_pretraining.py", self.case.case);
        let script = self.text(&path)?;
        let nnodes = self.case.nnodes;
        if nnodes > 1 && script.contains("/ args.nproc_per_node * args.nnodes") {
            self.warn(
                51,
                format!("its rate for each chip is divided by the ranks of a node and multiplied by the nodes: it is {} times too high", nnodes * nnodes),
            );
        }
        let doubles = format!("args.vendor==\"{}\"", self.case.vendor);
        if script.contains(&doubles) && script.contains("args.nnodes) * 2") {
            self.warn(
                51,
                "its rate for each chip is doubled for this vendor, whose cards have two chips",
            );
        }
        if script.contains("elapsed time per iteration") {
            if script.contains("time.sleep(300)") {
                self.warn(51, "it looks every 300 s whether exactly as many steps are done as it wants, and does not end if there are more");
            } else {
                self.warn(51, "its rate is that of the last step that was logged; where none was, it prints a negative one");
            }
        }
        match start {
            StartProgram::Paddle if nnodes > 1 => {
                self.warn(None, "ranks are counted on each node by itself, so those of several nodes have the same numbers");
            }
            StartProgram::Mindspore => {
                let script = self.text(&format!(
                    "benchmarks/{}/{start}/cluster_offline_run.sh",
                    self.case.case
                ))?;
                let commands = script
                    .lines()
                    .filter(|line| !line.trim_start().starts_with('#'));
                if commands
                    .filter(|line| !line.trim().is_empty())
                    .all(|line| line.trim_start().starts_with("echo "))
                {
                    self.warn(None, "its script only prints a line");
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// How the function of that name in drivers tells a vendor apart.
fn switch(drivers: &str, function: &str, vendor: &str, told_with_chip: bool) -> Switch {
    let begin = format!("def {function}(");
    let body = drivers.split_once(&begin).map_or("", |(_, rest)| rest);
    let body = body.split("\ndef ").next().unwrap_or_default();
    if body.contains(&format!("\"{vendor}\" in vendor")) {
        Switch::Works
    } else if body.contains(&format!("vendor == \"{vendor}\"")) {
        if told_with_chip {
            Switch::Never
        } else {
            Switch::Works
        }
    } else {
        Switch::Unknown
    }
}

/// The longest time of at least a minute and a half that a script sleeps, in seconds.
fn long_sleep(script: &str) -> Option<u64> {
    let lines = script.lines().map(str::trim);
    let times = lines.filter_map(|line| line.strip_prefix("sleep ")?.trim().parse::<u64>().ok());
    times.filter(|seconds| *seconds >= 90).max()
}
