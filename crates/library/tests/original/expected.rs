//! Why what is planned here differs from what the original does. A difference that is not here is a mistake.

use crate::compare::{ABSENT, Difference, Part};

/// Why a difference is right; absent if nobody expects it.
pub(crate) fn reason(difference: &Difference) -> Option<&'static str> {
    let mut reasons = REASONS.iter();
    let (reason, _) = reasons.find(|(_, explains)| explains(difference))?;
    Some(reason)
}

type Explains = fn(&Difference) -> bool;

const REASONS: &[(&str, Explains)] = &[
    (
        "processes are told what run, case, round and node they belong to",
        is_told,
    ),
    (
        "56: without a chip the original takes A100, and neither packages nor variables; the only chip is taken here",
        is_without_chip,
    ),
    (
        "53: where the vendor has no chips the original adds A100, for which there is no configuration",
        is_vendor_alone,
    ),
    (
        "41: cases inside a server run on each node by itself",
        is_inside_server,
    ),
    ("37: TF32 is switched from outside", is_tf32),
    (
        "the rank of the node is known before the toolkit starts, when its packages are installed",
        is_node_rank,
    ),
    ("59: variables end in a carriage return", is_carriage_return),
    ("52: DeepSpeed has a constant port", is_constant_port),
    (
        "24: hosts are told that the case does not span",
        is_more_hosts,
    ),
    (
        "the vendor has no `ds_config.json` and no `net.sh`, which the original cannot do without",
        is_unmerged,
    ),
    (
        "there is no such chip or model: a directory that belongs to no case",
        is_stray,
    ),
    (
        "the vendor has no modules for the case, at which the original's start program ends; refused before anything starts",
        is_without_modules,
    ),
];

fn variable(difference: &Difference) -> Option<&str> {
    match &difference.part {
        Part::Variable(name) => Some(name),
        _ => None,
    }
}

fn is_told(difference: &Difference) -> bool {
    let own = [
        "FLAGPERF_RUN",
        "FLAGPERF_CASE",
        "FLAGPERF_ROUND",
        "FLAGPERF_NODE",
    ];
    difference.original == ABSENT && variable(difference).is_some_and(|name| own.contains(&name))
}

fn is_base(difference: &Difference) -> bool {
    matches!(difference.kind, "benchmark" | "toolkit")
}

fn is_without_chip(difference: &Difference) -> bool {
    if !is_base(difference)
        || difference.case.contains(':')
        || difference.vendor == "ascend" && difference.kind == "benchmark"
    {
        return false;
    }
    // What is called for packages and variables, and not for the case.
    let case_only = |names: &str| {
        let names = names
            .split(' ')
            .filter(|name| !matches!(*name, "pip" | "ascend-dmi"));
        names.map(str::to_owned).collect::<Vec<String>>()
    };
    match &difference.part {
        Part::Calls => case_only(&difference.original) == case_only(&difference.ours),
        Part::Arguments => difference
            .original
            .contains(&format!("{}/A100", difference.vendor)),
        // It cannot enter the directory of that chip, and looks for the script where it is.
        Part::Directory => difference.kind == "toolkit" && difference.original == "{tree}/base",
        Part::Variable(_) => difference.original == ABSENT,
        Part::Refused => false,
    }
}

fn is_vendor_alone(difference: &Difference) -> bool {
    let told = format!("--vendor={}", difference.vendor);
    difference.kind == "benchmark"
        && difference.part == Part::Arguments
        && difference.original.replace(&format!("{told}/A100"), &told) == difference.ours
}

fn is_inside_server(difference: &Difference) -> bool {
    let place = ["--nnodes=", "--node_rank=", "--master_addr="];
    let rest = |line: &str| {
        let words = line
            .split(' ')
            .filter(|word| !place.iter().any(|start| word.starts_with(start)));
        words.map(str::to_owned).collect::<Vec<String>>()
    };
    difference.kind == "benchmark"
        && difference.case.contains("intraserver")
        && difference.part == Part::Arguments
        && rest(&difference.original) == rest(&difference.ours)
        && difference.ours.contains("--nnodes=1 --node_rank=0 ")
}

fn is_tf32(difference: &Difference) -> bool {
    let case = difference.case.as_str();
    let set = match variable(difference) {
        Some("TORCH_ALLOW_TF32_CUBLAS_OVERRIDE") => {
            case.starts_with("computation-TF32") && difference.ours == "1"
        }
        Some("NVIDIA_TF32_OVERRIDE") => {
            (case.starts_with("computation-FP32") || case.starts_with("mm:FP32:"))
                && difference.ours == "0"
        }
        _ => false,
    };
    set && difference.vendor == "nvidia" && difference.original == ABSENT
}

fn is_node_rank(difference: &Difference) -> bool {
    difference.kind == "toolkit"
        && difference.program != "bash"
        && difference.original == ABSENT
        && variable(difference) == Some("NODERANK")
}

fn is_carriage_return(difference: &Difference) -> bool {
    variable(difference).is_some()
        && difference.original.contains('\r')
        && difference.original.replace('\r', "") == difference.ours
}

fn is_constant_port(difference: &Difference) -> bool {
    difference.case.contains(":deepspeed:")
        && difference.part == Part::Arguments
        && difference
            .original
            .replace("--master_port=29501", "--master_port=29400")
            == difference.ours
}

fn is_more_hosts(difference: &Difference) -> bool {
    let all = (0..11)
        .map(|host| format!("h{host}"))
        .collect::<Vec<String>>()
        .join(",");
    let nodes: usize = difference
        .case
        .split(':')
        .nth(3)
        .and_then(|nodes| nodes.parse().ok())
        .unwrap_or_default();
    let first = (0..nodes)
        .map(|host| format!("h{host}"))
        .collect::<Vec<String>>()
        .join(",");
    let is_list = match &difference.part {
        Part::Arguments => difference.case.contains(":flagscale:"),
        Part::Variable(name) => {
            name == "FLAGPERF_HOSTS" && difference.case.contains(":tensorflow2:")
        }
        _ => false,
    };
    is_list && difference.original.replace(&all, &first) == difference.ours
}

fn is_unmerged(difference: &Difference) -> bool {
    difference.case.starts_with("llama2_7b:deepspeed:")
        && difference.vendor == "nvidia"
        && difference.part == Part::Calls
        && difference.ours == format!("{} torchrun", difference.original)
}

fn is_stray(difference: &Difference) -> bool {
    if difference.part != Part::Refused {
        return false;
    }
    // The original does not look whether a toolkit exists, and leaves out training cases that it does not know.
    let stray = difference.kind == "toolkit" && difference.case == "computation-FP32:R310p/R300p";
    stray || difference.kind == "training" && difference.original.is_empty()
}

fn is_without_modules(difference: &Difference) -> bool {
    // Nothing that would train is called.
    difference.part == Part::Refused
        && difference.kind == "training"
        && difference.original == "pip3"
        && difference.ours.contains("needs the vendor's modules in")
}
