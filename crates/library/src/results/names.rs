//! Names under which cases print the metric of another case, or misspell their own.

/// What a case prints and what it means.
struct Name {
    case: &'static str,
    printed: &'static str,
    metric: &'static str,
}

macro_rules! names {
    ($($case:literal: $($printed:literal)|+ => $metric:literal;)*) => {
        &[$($(Name { case: $case, printed: $printed, metric: $metric },)+)*]
    };
}

/// By case and printed name, whoever's adaptation prints it: a case measures one thing.
const NAMES: &[Name] = names! {
    "computation-FP16": "computation-FP32" => "computation-FP16";
    "main_memory-bandwidth": "main_memory-bindwidth" => "main_memory-bandwidth";
    "interconnect-h2d":
        "transfer-bandwidth" | "interconnect-h2d bandwidth" | "interconnect-h2d"
        => "interconnect-h2d-bandwidth";
    "interconnect-P2P_intraserver":
        "inferconnect-P2P_intraserver-bandwidth" | "interconnect-MPI_intraserver-bandwidth"
        | "interconnect-P2P_intraserver"
        => "interconnect-P2P_intraserver-bandwidth";
    "interconnect-P2P_interserver":
        "inferconnect-P2P_intraserver-bandwidth" | "interconnect-MPI_intraserver-bandwidth"
        | "interconnect-P2P_interserver"
        => "interconnect-P2P_interserver-bandwidth";
    "interconnect-MPI_intraserver":
        "interconnect-MPI_intraserver" => "interconnect-MPI_intraserver-bandwidth";
    "interconnect-MPI_interserver":
        "interconnect-MPI_intraserver-bandwidth" | "interconnect-MPI_interserver"
        => "interconnect-MPI_interserver-bandwidth";
    // It divides by the time of a step only in the next figure.
    "llama2_7b_finetune": "System tokens per second" => "tokens_per_step";
};

/// What a case means by a name that it prints: that name, unless it is known to mean another.
pub(crate) fn meant<'a>(case: &str, printed: &'a str) -> &'a str {
    NAMES
        .iter()
        .find(|name| name.case == case && name.printed == printed)
        .map_or(printed, |name| name.metric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::base::{BaseProgram, metrics};
    use crate::results::printed;

    #[test]
    fn every_name_means_a_metric_that_its_case_declares() {
        for name in NAMES {
            assert_eq!(meant(name.case, name.printed), name.metric);
            assert_eq!(meant("another", name.printed), name.printed);
            assert_ne!(name.printed, name.metric);
            let mut decls = metrics(name.case, BaseProgram::Toolkit).iter();
            let known = decls.any(|decl| decl.name == name.metric);
            assert!(known || printed::declared(name.metric).is_some());
        }
    }
}
