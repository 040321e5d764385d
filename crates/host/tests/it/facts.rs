//! Facts of made-up machines, and of this one.

use flagperf_host::{Root, facts};
use flagperf_model::{CacheFacts, MachineFacts, NumaNode};

use crate::tree::{CORES, SOCKETS, Tree, arm, zen, zen_caches};

fn cache(level: u32, kind: &str, bytes: u64, instances: u32) -> CacheFacts {
    CacheFacts {
        level,
        kind: kind.into(),
        bytes,
        instances,
    }
}

#[test]
fn many_sockets_with_threads() {
    let tree = zen();
    zen_caches(&tree);
    let facts = facts(&tree.root());
    let cpu = &facts.cpu;
    let cores = SOCKETS * CORES;
    assert_eq!(
        cpu.model.as_deref(),
        Some("AMD EPYC 9654 96-Core Processor")
    );
    assert_eq!((cpu.sockets, cpu.cores, cpu.threads), (8, cores, 2 * cores));
    assert_eq!(cpu.allowed, (0..2 * cores).collect::<Vec<_>>());
    assert_eq!(cpu.core_cpus, (0..cores).collect::<Vec<_>>());
    assert_eq!(
        cpu.caches,
        [
            cache(1, "Data", 32 << 10, cores),
            cache(1, "Instruction", 32 << 10, cores),
            cache(2, "Unified", 1 << 20, cores),
            cache(3, "Unified", 32 << 20, cores / 4),
        ]
    );
    assert_eq!(cpu.numa.len(), 8);
    let second = NumaNode {
        id: 1,
        cpus: (16..32).chain(144..160).collect(),
        memory_bytes: Some(1000 * 1024),
    };
    assert_eq!(cpu.numa[1], second);
    assert_eq!(cpu.governor.as_deref(), Some("performance"));
    assert_eq!(cpu.max_mhz, Some(3700.0));
    assert_eq!(facts.product.as_deref(), Some("Supermicro AS -8125GS"));
    assert_eq!(facts.virtualization, None);
}

#[test]
fn a_cpuset_leaves_one_thread_of_each_core_it_touches() {
    let tree = zen();
    tree.file("proc/self/cgroup", "0::/job\n");
    tree.file(
        "proc/self/mountinfo",
        "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    );
    tree.files(
        "sys/fs/cgroup/job",
        &[("cpuset.cpus.effective", "1-2,129,131")],
    );
    let cpu = facts(&tree.root()).cpu;
    assert_eq!(cpu.allowed, [1, 2, 129, 131]);
    // 129 is the second thread of core 1; of core 3 only the second thread may be used.
    assert_eq!(cpu.core_cpus, [1, 2, 131]);
    assert_eq!((cpu.cores, cpu.threads), (128, 256));
}

#[test]
fn arm_without_model_name() {
    let facts = facts(&arm().root());
    assert_eq!(facts.arch, "aarch64");
    assert_eq!(
        facts.cpu.model.as_deref(),
        Some("HiSilicon Kunpeng-920 (TaiShan v110)")
    );
    assert!(facts.cpu.features.contains(&"asimddp".to_owned()));
    assert_eq!(
        (facts.cpu.sockets, facts.cpu.cores, facts.cpu.threads),
        (2, 128, 128)
    );
    let caches = [
        cache(1, "Data", 64 << 10, 128),
        cache(3, "Unified", 64 << 20, 2),
    ];
    assert_eq!(facts.cpu.caches, caches);
    assert_eq!(facts.product.as_deref(), Some("Example Board"));
}

#[test]
fn without_sysfs_cpuinfo_counts() {
    let tree = Tree::empty();
    let processor = |cpu: u32| {
        let socket = cpu / 2;
        format!("processor\t: {cpu}\nphysical id\t: {socket}\ncore id\t: 0\n\n")
    };
    let text: String = (0..4).map(processor).collect();
    tree.file("proc/cpuinfo", text);
    let cpu = facts(&tree.root()).cpu;
    assert_eq!((cpu.sockets, cpu.cores, cpu.threads), (2, 2, 4));
    assert_eq!(cpu.allowed, [0, 1, 2, 3]);
    assert_eq!(cpu.core_cpus, cpu.allowed);
}

#[test]
fn a_machine_that_says_nothing() {
    let facts = facts(&Tree::empty().root());
    let expected = MachineFacts {
        // The architecture is the one thing that a system call must answer.
        arch: facts.arch.clone(),
        cgroup: flagperf_model::CgroupFacts {
            version: "none".into(),
            ..Default::default()
        },
        ..Default::default()
    };
    assert_eq!(facts, expected);
    assert!(!facts.arch.is_empty());
}

#[test]
fn names_and_memory() {
    let tree = Tree::empty();
    tree.files(
        "proc/sys/kernel",
        &[("hostname", "node-7"), ("osrelease", "6.1.0-28-amd64")],
    );
    tree.file(
        "etc/os-release",
        "NAME=\"x\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
    );
    tree.file(
        "proc/meminfo",
        "MemTotal: 100 kB\nMemAvailable: 60 kB\nSwapTotal: 7 kB\n",
    );
    tree.files(
        "sys/kernel/mm/transparent_hugepage",
        &[("enabled", "always [madvise] never")],
    );
    let facts = facts(&tree.root());
    assert_eq!(facts.hostname, "node-7");
    assert_eq!(facts.kernel, "6.1.0-28-amd64");
    assert_eq!(facts.os.as_deref(), Some("Debian GNU/Linux 12 (bookworm)"));
    assert_eq!(
        (
            facts.memory.total,
            facts.memory.available,
            facts.memory.swap
        ),
        (100 << 10, 60 << 10, 7 << 10)
    );
    assert_eq!(
        facts.memory.transparent_hugepages.as_deref(),
        Some("madvise")
    );
}

/// One clue, and what it is taken for.
fn virtualization(files: &[(&str, &str)]) -> Option<String> {
    let tree = Tree::empty();
    for (path, content) in files {
        tree.file(path, content);
    }
    facts(&tree.root()).virtualization
}

#[test]
fn hypervisors() {
    let vm = ("proc/cpuinfo", "flags\t: fpu hypervisor\n");
    let bare = ("proc/cpuinfo", "flags\t: fpu\n");
    let arm = ("proc/cpuinfo", "Features\t: fp asimd\n");
    let vendor = "sys/class/dmi/id/sys_vendor";
    let product = "sys/class/dmi/id/product_name";
    let clock = "sys/devices/system/clocksource/clocksource0/available_clocksource";
    let is = |files: &[(&str, &str)], expected: Option<&str>| {
        assert_eq!(virtualization(files).as_deref(), expected, "{files:?}");
    };
    is(&[("sys/hypervisor/type", "xen\n")], Some("xen"));
    is(
        &[vm, (product, "KVM\n"), (vendor, "Red Hat\n")],
        Some("kvm"),
    );
    is(&[vm, (vendor, "VMware, Inc.\n")], Some("vmware"));
    is(&[vm, (product, "Virtual Machine\n")], Some("hyper-v"));
    is(&[vm, (vendor, "Amazon EC2\n")], Some("kvm"));
    is(&[bare, (vendor, "Amazon EC2\n")], None);
    is(
        &[arm, (vendor, "Amazon EC2\n"), (product, "c7g.4xlarge\n")],
        Some("kvm"),
    );
    is(
        &[arm, (vendor, "Amazon EC2\n"), (product, "c7g.metal\n")],
        None,
    );
    is(&[vm, (clock, "kvm-clock tsc \n")], Some("kvm"));
    is(&[vm], Some("virtual machine"));
    is(&[bare], None);
    is(
        &[(
            "proc/sys/kernel/osrelease",
            "5.15.90.1-microsoft-standard-WSL2\n",
        )],
        Some("wsl"),
    );
}

#[test]
fn containers() {
    let is = |files: &[(&str, &str)], expected: Option<&str>| {
        assert_eq!(virtualization(files).as_deref(), expected, "{files:?}");
    };
    let mount = |from: &str, to: &str| format!("1 2 8:1 {from} {to} rw - ext4 /dev/sda1 rw\n");
    let info = "proc/self/mountinfo";
    let group = "proc/1/cgroup";
    is(&[(".dockerenv", "")], Some("docker"));
    is(&[("run/.containerenv", "")], Some("podman"));
    is(
        &[(group, "0::/kubepods/burstable/pod1/x\n")],
        Some("kubernetes"),
    );
    is(&[(group, "4:memory:/docker/0123\n")], Some("docker"));
    is(&[(group, "4:memory:/lxc/web\n")], Some("lxc"));
    is(
        &[("proc/1/environ", "A=b\0container=lxc\0C=d\0")],
        Some("lxc"),
    );
    let pod = mount("/var/lib/kubelet/pods/1/etc-hosts", "/etc/hosts");
    is(&[(info, &pod), (".dockerenv", "")], Some("kubernetes"));
    let docker = mount("/var/lib/docker/containers/1/hosts", "/etc/hosts");
    is(&[(info, &docker)], Some("docker"));
    // The host of pods sees their mounts too, but is none of them.
    let host = mount("/", "/var/lib/kubelet/pods/1/volumes/x");
    is(&[(info, &host), (group, "0::/init.scope\n")], None);
    is(
        &[(".dockerenv", ""), ("sys/hypervisor/type", "xen\n")],
        Some("docker on xen"),
    );
}

#[test]
fn this_machine() {
    let facts = facts(&Root::new("/"));
    let cpu = &facts.cpu;
    assert!(!facts.hostname.is_empty() && !facts.kernel.is_empty());
    assert_eq!(facts.arch, std::env::consts::ARCH);
    assert!(cpu.sockets >= 1 && cpu.cores >= cpu.sockets && cpu.threads >= cpu.cores);
    assert!(!cpu.core_cpus.is_empty());
    assert!(cpu.core_cpus.iter().all(|c| cpu.allowed.contains(c)));
    assert!(cpu.allowed.len() <= cpu.threads as usize);
    let allowed = std::thread::available_parallelism().unwrap().get();
    // The standard library counts the processor limit of the control group as well.
    assert!(cpu.allowed.len() >= allowed);
    assert!(facts.memory.total > facts.memory.available && facts.memory.available > 0);
}
