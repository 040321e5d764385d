//! Made-up machines: trees of files in a temporary directory.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use flagperf_host::Root;
use tempfile::TempDir;

/// A file tree that stands for a machine.
pub(crate) struct Tree(TempDir);

impl Tree {
    /// A machine that has nothing at all.
    pub(crate) fn empty() -> Self {
        // Thousands of small files are slow on a busy disk, so they go into memory where possible.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Self(dir.unwrap())
    }

    pub(crate) fn root(&self) -> Root {
        Root::new(self.0.path())
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// Writes a file. One that a monitor holds open stays the same file with new content.
    pub(crate) fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// Writes files of one line each into a directory.
    pub(crate) fn files(&self, dir: &str, files: &[(&str, &str)]) -> &Self {
        for (name, line) in files {
            self.file(&format!("{dir}/{name}"), format!("{line}\n"));
        }
        self
    }

    pub(crate) fn dir(&self, path: &str) -> &Self {
        fs::create_dir_all(self.path(path)).unwrap();
        self
    }

    /// One processor's topology. The two lists are the same in both names' kernels.
    fn cpu(&self, cpu: u32, socket: u32, siblings: &str) {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}/topology");
        let socket = socket.to_string();
        let files = [
            ("physical_package_id", socket.as_str()),
            ("thread_siblings_list", siblings),
        ];
        self.files(&dir, &files);
    }

    fn cache(&self, cpu: u32, index: u32, level: u32, kind: &str, size: &str, shared: &str) {
        let dir = format!("sys/devices/system/cpu/cpu{cpu}/cache/index{index}");
        let level = level.to_string();
        let files = [
            ("level", level.as_str()),
            ("type", kind),
            ("size", size),
            ("shared_cpu_list", shared),
        ];
        self.files(&dir, &files);
    }
}

/// Sockets of [`zen`].
pub(crate) const SOCKETS: u32 = 8;
/// Cores of a socket of [`zen`]; they share a last-level cache by fours.
pub(crate) const CORES: u32 = 16;

/// Eight sockets of 16 cores with two threads each: processor n and n + 128 share a core. One
/// NUMA node for each socket.
pub(crate) fn zen() -> Tree {
    let tree = Tree::empty();
    let cores = SOCKETS * CORES;
    let mut cpuinfo = String::new();
    for cpu in 0..2 * cores {
        let core = cpu % cores;
        let socket = core / CORES;
        let siblings = format!("{core},{}", core + cores);
        tree.cpu(cpu, socket, &siblings);
        let frequency = [
            ("scaling_cur_freq", "3100500"),
            ("cpuinfo_max_freq", "3700000"),
            ("scaling_governor", "performance"),
        ];
        tree.files(
            &format!("sys/devices/system/cpu/cpu{cpu}/cpufreq"),
            &frequency,
        );
        writeln!(
            cpuinfo,
            "processor\t: {cpu}\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9654 96-Core Processor\n\
             physical id\t: {socket}\ncore id\t\t: {}\nflags\t\t: fpu sse2 avx2 avx512f avx512_bf16\n",
            core % CORES
        )
        .unwrap();
    }
    tree.file("proc/cpuinfo", cpuinfo);
    tree.files(
        "sys/devices/system/cpu",
        &[("online", &format!("0-{}", 2 * cores - 1))],
    );
    for socket in 0..SOCKETS {
        let (first, last) = (socket * CORES, socket * CORES + CORES - 1);
        let node = format!("sys/devices/system/node/node{socket}");
        let cpulist = format!("{first}-{last},{}-{}", first + cores, last + cores);
        let meminfo = format!("Node {socket} MemTotal:       1000 kB");
        tree.files(&node, &[("cpulist", &cpulist), ("meminfo", &meminfo)]);
    }
    // Memory without processors is no place to run on.
    tree.files(
        "sys/devices/system/node/node8",
        &[("cpulist", ""), ("meminfo", "Node 8 MemTotal: 9 kB")],
    );
    tree.file("proc/stat", stat(2 * cores, 1000));
    tree.files(
        "sys/class/dmi/id",
        &[("sys_vendor", "Supermicro"), ("product_name", "AS -8125GS")],
    );
    tree
}

/// Adds the caches of [`zen`]: two of each core's own on two levels, and one for each four cores.
pub(crate) fn zen_caches(tree: &Tree) {
    let cores = SOCKETS * CORES;
    for cpu in 0..2 * cores {
        let core = cpu % cores;
        let siblings = format!("{core},{}", core + cores);
        tree.cache(cpu, 0, 1, "Data", "32K", &siblings);
        tree.cache(cpu, 1, 1, "Instruction", "32K", &siblings);
        tree.cache(cpu, 2, 2, "Unified", "1024K", &siblings);
        let first = core / 4 * 4;
        let shared = format!(
            "{first}-{},{}-{}",
            first + 3,
            first + cores,
            first + cores + 3
        );
        tree.cache(cpu, 3, 3, "Unified", "32768K", &shared);
    }
}

/// Eight sockets with a RAPL zone each, which has a part for cores and one for memory.
pub(crate) fn rapl_machine() -> Tree {
    let tree = Tree::empty();
    tree.files("sys/class/powercap/intel-rapl", &[("enabled", "1")]);
    for socket in 0..SOCKETS {
        let zone = format!("sys/class/powercap/intel-rapl:{socket}");
        rapl(&tree, &zone, &format!("package-{socket}"), "1000");
        rapl(&tree, &format!("{zone}:0"), "core", "10");
        rapl(&tree, &format!("{zone}:1"), "dram", "500");
    }
    // Some machines show a package a second time.
    rapl(
        &tree,
        "sys/class/powercap/intel-rapl-mmio:0",
        "package-0",
        "9",
    );
    tree
}

/// A RAPL zone whose register starts again after 262143 J.
fn rapl(tree: &Tree, dir: &str, name: &str, energy: &str) {
    let files = [
        ("name", name),
        ("energy_uj", energy),
        ("max_energy_range_uj", "262143328850"),
    ];
    tree.files(dir, &files);
}

/// `/proc/stat` of a machine on which each processor was busy for `ticks` in each of six ways.
pub(crate) fn stat(cpus: u32, ticks: u64) -> String {
    let line = |n: u64| {
        let t = ticks * n;
        format!("{t} {t} {t} 77777 {} {t} {t} {t} {t} 0", 5 * n)
    };
    let mut text = format!("cpu  {}\n", line(u64::from(cpus)));
    for cpu in 0..cpus {
        writeln!(text, "cpu{cpu} {}", line(1)).unwrap();
    }
    text.push_str("intr 99");
    for _ in 0..4000 {
        text.push_str(" 0");
    }
    text.push_str("\nctxt 5\nbtime 1795444221\nprocs_running 3\n");
    text
}

/// Two sockets of an Arm server with 64 cores each and no threads; an old kernel.
pub(crate) fn arm() -> Tree {
    let tree = Tree::empty();
    let mut cpuinfo = String::new();
    for cpu in 0..128 {
        tree.cpu(cpu, cpu / 64, &cpu.to_string());
        let socket = cpu / 64 * 64;
        tree.cache(cpu, 0, 1, "Data", "64K", &cpu.to_string());
        tree.cache(
            cpu,
            2,
            3,
            "Unified",
            "64M",
            &format!("{socket}-{}", socket + 63),
        );
        writeln!(
            cpuinfo,
            "processor\t: {cpu}\nBogoMIPS\t: 200.00\nFeatures\t: fp asimd asimdhp asimddp\n\
             CPU implementer\t: 0x48\nCPU architecture: 8\nCPU variant\t: 0x1\nCPU part\t: 0xd01\nCPU revision\t: 0\n"
        )
        .unwrap();
    }
    tree.file("proc/cpuinfo", cpuinfo);
    tree.files("sys/devices/system/cpu", &[("online", "0-127")]);
    tree.files("proc/sys/kernel", &[("arch", "aarch64")]);
    tree.file("proc/device-tree/model", "Example Board\0");
    tree.file("proc/stat", stat(128, 10));
    tree
}

/// `/proc/net/dev` with bytes received; twice as many were sent.
pub(crate) fn net_dev(rows: &[(&str, u64)]) -> String {
    let heading = "Inter-| Receive | Transmit\n face |bytes packets|bytes\n".to_owned();
    let row = |(name, n): &(&str, u64)| {
        let sent = 2 * n;
        format!("{name:>6}: {n} 1 2 3 0 0 0 0 {sent} 1 4 5 0 0 0 0\n")
    };
    heading + &rows.iter().map(row).collect::<String>()
}
