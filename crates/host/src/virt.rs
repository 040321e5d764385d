//! Whether this is a virtual machine or a container, and of which kind.

use crate::Root;
use crate::parse::cgroup::mounts;

/// The container runtime and the hypervisor, as far as they show: `docker`, `kvm`,
/// `kubernetes on kvm`. Absent when neither does, which is no proof of bare metal.
pub(crate) fn virtualization(root: &Root, features: &[String]) -> Option<String> {
    match (container(root), hypervisor(root, features)) {
        (Some(container), Some(hypervisor)) => Some(format!("{container} on {hypervisor}")),
        (container, hypervisor) => container.or(hypervisor),
    }
}

fn container(root: &Root) -> Option<String> {
    // Runtimes mount a hosts file of their own over the image's, from a directory that tells
    // their name. It shows also when a control group namespace hides everything else.
    let mounts = mounts(&root.text("proc/self/mountinfo").unwrap_or_default());
    let hosts = mounts.iter().find(|mount| mount.point == "/etc/hosts");
    let hosts_from = hosts.map(|mount| mount.root.as_str()).unwrap_or_default();
    let groups = root.text("proc/1/cgroup").unwrap_or_default();
    if root.exists("var/run/secrets/kubernetes.io")
        || hosts_from.contains("/pods/")
        || groups.contains("kubepods")
    {
        return Some("kubernetes".into());
    }
    // systemd's convention, which podman, lxc and nspawn follow. Readable only for the same user.
    let environment = root.bytes("proc/1/environ").unwrap_or_default();
    let told = environment
        .split(|byte| *byte == 0)
        .find_map(|variable| variable.strip_prefix(b"container="))
        .and_then(|value| std::str::from_utf8(value).ok())
        .filter(|value| !value.is_empty());
    if let Some(told) = told {
        return Some(told.to_owned());
    }
    let hints = [
        (root.exists(".dockerenv"), "docker"),
        (root.exists("run/.containerenv"), "podman"),
        (groups.contains("libpod"), "podman"),
        (groups.contains("/docker"), "docker"),
        (hosts_from.contains("/docker/containers/"), "docker"),
        (groups.contains("containerd"), "containerd"),
        (groups.contains("/lxc"), "lxc"),
    ];
    hints
        .iter()
        .find(|(found, _)| *found)
        .map(|(_, name)| (*name).to_owned())
}

/// What the DMI strings of virtual machines hold, and the hypervisor's name. Clouds that name
/// only themselves run KVM. The more telling ones come first.
const DMI: &[(&str, &str)] = &[
    ("KVM", "kvm"),
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("Xen", "xen"),
    ("Virtual Machine", "hyper-v"),
    ("Parallels", "parallels"),
    ("Bochs", "bochs"),
    ("BHYVE", "bhyve"),
    ("Apple Virtualization", "apple"),
    ("QEMU", "qemu"),
    ("OpenStack", "kvm"),
    ("Google Compute Engine", "kvm"),
    ("Alibaba Cloud ECS", "kvm"),
    ("Amazon EC2", "kvm"),
];

fn hypervisor(root: &Root, features: &[String]) -> Option<String> {
    if let Some(kind) = root.text("sys/hypervisor/type") {
        return Some(kind);
    }
    if root
        .text("proc/sys/kernel/osrelease")
        .is_some_and(|release| release.to_lowercase().contains("microsoft"))
    {
        return Some("wsl".into());
    }
    let flagged = features.iter().any(|feature| feature == "hypervisor");
    // x86 always has the flag in a virtual machine, so without it the DMI strings name the owner
    // of a bare machine, as EC2's do. Arm has no flag; there `.metal` tells the bare ones.
    let x86 = features.iter().any(|feature| feature == "fpu");
    let dmi: Vec<String> = ["product_name", "sys_vendor", "bios_vendor", "board_vendor"]
        .iter()
        .filter_map(|name| root.text(format!("sys/class/dmi/id/{name}")))
        .collect();
    let bare = (x86 && !flagged) || dmi.iter().any(|text| text.contains(".metal"));
    if bare {
        return None;
    }
    let by_dmi = DMI
        .iter()
        .find(|(mark, _)| dmi.iter().any(|text| text.contains(mark)));
    if let Some((_, name)) = by_dmi {
        return Some((*name).into());
    }
    // Small hypervisors such as Firecracker have no DMI, but offer the clock of their family.
    let clocks = root
        .text("sys/devices/system/clocksource/clocksource0/available_clocksource")
        .unwrap_or_default();
    let by_clock = [("kvm-clock", "kvm"), ("hyperv", "hyper-v"), ("xen", "xen")];
    if let Some((_, name)) = by_clock.iter().find(|(mark, _)| clocks.contains(mark)) {
        return Some((*name).into());
    }
    flagged.then(|| "virtual machine".into())
}
