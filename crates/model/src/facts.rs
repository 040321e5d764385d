//! What a machine is, as far as it shows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ChipFacts;

/// Facts of one node, read once at the start of a session. Absent means the machine does not say.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MachineFacts {
    /// Host name.
    pub hostname: String,
    /// Distribution, `PRETTY_NAME` of os-release.
    pub os: Option<String>,
    /// Kernel release.
    pub kernel: String,
    /// Machine architecture as the kernel names it: `x86_64`, `aarch64`.
    pub arch: String,
    /// Hypervisor or container runtime, where one shows: `kvm`, `docker`.
    pub virtualization: Option<String>,
    /// Vendor and product name of the machine from DMI.
    pub product: Option<String>,
    /// The processors.
    pub cpu: CpuFacts,
    /// The memory.
    pub memory: MemoryFacts,
    /// The control group of the agent.
    pub cgroup: CgroupFacts,
    /// The accelerator chips that were found; none in records of programs that did not look.
    #[serde(default)]
    pub chips: Vec<ChipFacts>,
}

/// Facts of the processors.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CpuFacts {
    /// Model name.
    pub model: Option<String>,
    /// Sockets.
    pub sockets: u32,
    /// Physical cores online.
    pub cores: u32,
    /// Logical processors online.
    pub threads: u32,
    /// Logical processors that this process may run on.
    pub allowed: Vec<u32>,
    /// One logical processor of each physical core that may be used, in order.
    pub core_cpus: Vec<u32>,
    /// NUMA nodes with processors.
    pub numa: Vec<NumaNode>,
    /// Instruction set features, as `/proc/cpuinfo` names them.
    pub features: Vec<String>,
    /// Caches, smallest level first.
    pub caches: Vec<CacheFacts>,
    /// Frequency governor, where there is one.
    pub governor: Option<String>,
    /// Highest frequency in MHz, where the machine says.
    pub max_mhz: Option<f64>,
}

/// One NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct NumaNode {
    /// Its number.
    pub id: u32,
    /// Its logical processors.
    pub cpus: Vec<u32>,
    /// Its memory in bytes.
    pub memory_bytes: Option<u64>,
}

/// One kind of cache.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CacheFacts {
    /// 1, 2, 3.
    pub level: u32,
    /// `Data`, `Instruction`, `Unified`.
    pub kind: String,
    /// Bytes of one instance.
    pub bytes: u64,
    /// Number of instances in the machine.
    pub instances: u32,
}

/// Facts of the memory, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MemoryFacts {
    /// Total of the machine.
    pub total: u64,
    /// Available for new work when the session began.
    pub available: u64,
    /// Swap.
    pub swap: u64,
    /// Transparent huge pages: `always`, `madvise`, `never`.
    pub transparent_hugepages: Option<String>,
}

/// Facts of the agent's control group.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct CgroupFacts {
    /// `v1`, `v2` or `none`.
    pub version: String,
    /// Processor limit in cores; absent means none.
    pub cpu_limit: Option<f64>,
    /// Memory limit in bytes; absent means none.
    pub memory_limit: Option<u64>,
}
