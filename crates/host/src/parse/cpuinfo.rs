//! Processor model and features, `/proc/cpuinfo`, of x86-64, AArch64 and others.

use std::collections::BTreeSet;

/// What is used of `/proc/cpuinfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CpuInfo {
    pub(crate) model: Option<String>,
    pub(crate) features: Vec<String>,
    /// Logical processors listed.
    pub(crate) cpus: Vec<u32>,
    /// Different values of `physical id`; 0 where there is no such line.
    pub(crate) sockets: usize,
    /// Different pairs of `physical id` and `core id`; 0 where there are no such lines.
    pub(crate) cores: usize,
}

impl CpuInfo {
    /// Parses a whole file. Model and features are those of the first processor that names them.
    pub(crate) fn parse(text: &str) -> Self {
        let mut info = Self::default();
        let (mut implementer, mut part) = (None, None);
        let mut socket = "";
        let mut sockets = BTreeSet::new();
        let mut cores = BTreeSet::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim();
            match key.trim_end() {
                "processor" => info.cpus.extend(value.parse::<u32>().ok()),
                // LoongArch writes it with capitals, RISC-V has `uarch`.
                "model name" | "Model Name" | "uarch" if info.model.is_none() => {
                    info.model = (!value.is_empty()).then(|| value.to_owned());
                }
                "flags" | "Features" if info.features.is_empty() => {
                    info.features = value.split_whitespace().map(str::to_owned).collect();
                }
                "physical id" => {
                    socket = value;
                    sockets.insert(value);
                }
                "core id" => {
                    cores.insert((socket, value));
                }
                "CPU implementer" if implementer.is_none() => implementer = hex(value),
                "CPU part" if part.is_none() => part = hex(value),
                _ => {}
            }
        }
        info.sockets = sockets.len();
        info.cores = cores.len();
        if info.model.is_none()
            && let (Some(implementer), Some(part)) = (implementer, part)
        {
            info.model = Some(arm_model(implementer, part));
        }
        info
    }
}

fn hex(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// The name of an Arm core. The kernel prints only the numbers of MIDR_EL1; the names are those
/// that the makers give in their technical reference manuals.
fn arm_model(implementer: u32, part: u32) -> String {
    let name = match (implementer, part) {
        (0x41, 0xd03) => "Arm Cortex-A53",
        (0x41, 0xd05) => "Arm Cortex-A55",
        (0x41, 0xd07) => "Arm Cortex-A57",
        (0x41, 0xd08) => "Arm Cortex-A72",
        (0x41, 0xd0b) => "Arm Cortex-A76",
        (0x41, 0xd0c) => "Arm Neoverse-N1",
        (0x41, 0xd40) => "Arm Neoverse-V1",
        (0x41, 0xd49) => "Arm Neoverse-N2",
        (0x41, 0xd4f) => "Arm Neoverse-V2",
        (0x41, 0xd84) => "Arm Neoverse-V3",
        (0x41, 0xd8e) => "Arm Neoverse-N3",
        (0x46, 0x001) => "Fujitsu A64FX",
        (0x48, 0xd01) => "HiSilicon Kunpeng-920 (TaiShan v110)",
        (0x48, 0xd02) => "HiSilicon TaiShan v120",
        (0x70, 0x662) => "Phytium FTC662",
        (0x70, 0x663) => "Phytium FTC663",
        (0xc0, 0xac3) => "Ampere-1",
        (0xc0, 0xac4) => "Ampere-1a",
        _ => return format!("Arm implementer {implementer:#04x}, part {part:#05x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn x86() {
        let text = "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) Processor @ 2.80GHz\n\
            physical id\t: 0\ncore id\t\t: 0\nflags\t\t: fpu avx512f hypervisor\nbugs\t\t:\n\n\
            processor\t: 1\nphysical id\t: 1\ncore id\t\t: 0\nflags\t\t: fpu\n";
        let info = CpuInfo::parse(text);
        assert_eq!(
            info.model.as_deref(),
            Some("Intel(R) Xeon(R) Processor @ 2.80GHz")
        );
        assert_eq!(info.features, ["fpu", "avx512f", "hypervisor"]);
        assert_eq!((info.cpus.len(), info.sockets, info.cores), (2, 2, 2));
    }

    #[test]
    fn arm() {
        let text = "processor\t: 0\nBogoMIPS\t: 200.00\nFeatures\t: fp asimd asimddp sve bf16\n\
            CPU implementer\t: 0x48\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd01\nCPU revision\t: 0\n";
        let info = CpuInfo::parse(text);
        assert_eq!(
            info.model.as_deref(),
            Some("HiSilicon Kunpeng-920 (TaiShan v110)")
        );
        assert_eq!(info.features.last().unwrap(), "bf16");
        let unknown = text.replace("0x48", "0x99");
        assert_eq!(
            CpuInfo::parse(&unknown).model.unwrap(),
            "Arm implementer 0x99, part 0xd01"
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "((processor|model name|flags|CPU part|physical id)?\t: ?\\PC{0,9}\n){0,9}") {
            CpuInfo::parse(&text);
        }
    }
}
