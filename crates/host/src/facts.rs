//! What a machine is, gathered once. Every field is best effort and absent when unknown.

use flagperf_model::{MachineFacts, MemoryFacts};

use crate::Root;
use crate::cgroup::Layout;
use crate::cpu::cpu_facts;
use crate::parse::cpuinfo::CpuInfo;
use crate::parse::meminfo::MemInfo;
use crate::virt::virtualization;

/// Reads the facts of a machine. Takes a few milliseconds, some tens on machines with hundreds of
/// processors, so it is called once a session.
pub fn facts(root: &Root) -> MachineFacts {
    let info = CpuInfo::parse(&root.text("proc/cpuinfo").unwrap_or_default());
    let layout = Layout::read(root);
    MachineFacts {
        hostname: root.text("proc/sys/kernel/hostname").unwrap_or_default(),
        os: os(root),
        kernel: root.text("proc/sys/kernel/osrelease").unwrap_or_default(),
        arch: arch(root),
        virtualization: virtualization(root, &info.features),
        product: product(root),
        cpu: cpu_facts(root, info, &layout),
        memory: memory(root),
        cgroup: layout.facts(root),
        // Chips are asked for by commands, which nothing here starts.
        chips: Vec::new(),
    }
}

fn os(root: &Root) -> Option<String> {
    let text = root
        .text("etc/os-release")
        .or_else(|| root.text("usr/lib/os-release"))?;
    text.lines().find_map(|line| {
        let value = line.strip_prefix("PRETTY_NAME=")?.trim();
        let value = value.trim_matches(|c| c == '"' || c == '\'');
        (!value.is_empty()).then(|| value.to_owned())
    })
}

/// Kernels before 6.1 do not have the file; there the system call answers, which is right on this
/// machine.
fn arch(root: &Root) -> String {
    root.text("proc/sys/kernel/arch").unwrap_or_else(|| {
        let uname = rustix::system::uname();
        uname.machine().to_string_lossy().into_owned()
    })
}

/// What firmware says where the maker left the field as it was.
const PLACEHOLDERS: [&str; 5] = [
    "To Be Filled By O.E.M.",
    "To be filled by O.E.M.",
    "Default string",
    "System manufacturer",
    "System Product Name",
];

fn product(root: &Root) -> Option<String> {
    let parts: Vec<String> = ["sys_vendor", "product_name"]
        .iter()
        .filter_map(|name| root.text(format!("sys/class/dmi/id/{name}")))
        .filter(|text| !PLACEHOLDERS.contains(&text.as_str()))
        .collect();
    if parts.is_empty() {
        // Arm boards without DMI describe themselves in the device tree.
        return root.text("proc/device-tree/model");
    }
    Some(parts.join(" "))
}

fn memory(root: &Root) -> MemoryFacts {
    let info = MemInfo::parse(&root.bytes("proc/meminfo").unwrap_or_default());
    let bytes = |kib: Option<u64>| kib.unwrap_or(0).saturating_mul(1024);
    MemoryFacts {
        total: bytes(info.total),
        available: bytes(info.available()),
        swap: bytes(info.swap_total),
        transparent_hugepages: root
            .text("sys/kernel/mm/transparent_hugepage/enabled")
            .and_then(|text| {
                // The choice in force stands in brackets: `always [madvise] never`.
                let (_, rest) = text.split_once('[')?;
                Some(rest.split_once(']')?.0.to_owned())
            }),
    }
}
