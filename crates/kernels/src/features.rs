//! What the processor can do, under the names that `/proc/cpuinfo` uses.
//!
//! A feature counts as present when the instructions can really be executed: the processor has
//! them, the operating system saves their registers, and, for the AMX tiles, the kernel has granted
//! this process the large register state. Nothing here decides which kernel is used; `gemm` does.

/// Whether instructions of `feature` can be executed by this process.
///
/// The name is one of `/proc/cpuinfo` on x86-64 (`fma`, `avx2`, `f16c`, `avx512f`, `avx512bw`,
/// `avx512dq`, `avx512vl`, `avx512_vnni`, `avx512_bf16`, `avx512_fp16`, `avx_vnni`, `amx_tile`,
/// `amx_bf16`, `amx_int8`, `amx_fp16`). Any other name, and any name on another architecture, is
/// absent.
///
/// Asking for an AMX feature requests the tile state from the kernel, for the whole process.
#[must_use]
pub fn has(feature: &str) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        x86::has(feature)
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        let _ = feature;
        false
    }
}

/// The first of `features` that is missing.
pub(crate) fn first_missing(features: &[&'static str]) -> Option<&'static str> {
    features.iter().copied().find(|feature| !has(feature))
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
    use std::sync::OnceLock;

    /// `ARCH_REQ_XCOMP_PERM` of `arch_prctl(2)`, from Linux `arch/x86/include/uapi/asm/prctl.h`.
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    /// Number of the `arch_prctl` system call, from Linux `syscall_64.tbl`.
    const SYS_ARCH_PRCTL: usize = 158;
    /// State component `XTILEDATA`, Intel SDM volume 1, section 13.1.
    const XTILEDATA: usize = 18;
    /// `XTILECFG` (17) and `XTILEDATA` (18) in XCR0.
    const XCR0_TILE: u64 = 0b11 << 17;

    pub(super) fn has(feature: &str) -> bool {
        match feature {
            "fma" => std::is_x86_feature_detected!("fma"),
            "avx2" => std::is_x86_feature_detected!("avx2"),
            "f16c" => std::is_x86_feature_detected!("f16c"),
            "avx512f" => std::is_x86_feature_detected!("avx512f"),
            "avx512bw" => std::is_x86_feature_detected!("avx512bw"),
            "avx512dq" => std::is_x86_feature_detected!("avx512dq"),
            "avx512vl" => std::is_x86_feature_detected!("avx512vl"),
            "avx512_vnni" => std::is_x86_feature_detected!("avx512vnni"),
            "avx512_bf16" => std::is_x86_feature_detected!("avx512bf16"),
            "avx512_fp16" => std::is_x86_feature_detected!("avx512fp16"),
            "avx_vnni" => std::is_x86_feature_detected!("avxvnni"),
            // CPUID bits: Intel SDM volume 2A, CPUID, leaf 7, sub-leaves 0 (EDX) and 1 (EAX).
            "amx_tile" => leaf7(0).is_some_and(|leaf| leaf.edx & (1 << 24) != 0) && tiles_granted(),
            "amx_bf16" => leaf7(0).is_some_and(|leaf| leaf.edx & (1 << 22) != 0) && tiles_granted(),
            "amx_int8" => leaf7(0).is_some_and(|leaf| leaf.edx & (1 << 25) != 0) && tiles_granted(),
            "amx_fp16" => leaf7(1).is_some_and(|leaf| leaf.eax & (1 << 21) != 0) && tiles_granted(),
            _ => false,
        }
    }

    fn leaf7(sub_leaf: u32) -> Option<std::arch::x86_64::CpuidResult> {
        if __cpuid(0).eax < 7 || __cpuid_count(7, 0).eax < sub_leaf {
            return None;
        }
        Some(__cpuid_count(7, sub_leaf))
    }

    /// Whether the operating system saves tile registers and lets this process use them.
    fn tiles_granted() -> bool {
        static GRANTED: OnceLock<bool> = OnceLock::new();
        *GRANTED.get_or_init(|| {
            let tile = leaf7(0).is_some_and(|leaf| leaf.edx & (1 << 24) != 0);
            tile && std::is_x86_feature_detected!("xsave")
                && os_saves_tiles()
                && request_tile_state()
        })
    }

    fn os_saves_tiles() -> bool {
        // Bit 27 (OSXSAVE) says that XGETBV may be executed at all.
        if __cpuid(1).ecx & (1 << 27) == 0 {
            return false;
        }
        // SAFETY: the processor has XSAVE and the operating system has turned it on.
        let xcr0 = unsafe { xcr0() };
        xcr0 & XCR0_TILE == XCR0_TILE
    }

    #[target_feature(enable = "xsave")]
    fn xcr0() -> u64 {
        // SAFETY: register 0 exists on every processor that has XSAVE.
        unsafe { _xgetbv(0) }
    }

    #[cfg(target_os = "linux")]
    fn request_tile_state() -> bool {
        let status: isize;
        // SAFETY: this call takes two integers and touches no memory of ours; a system call
        // destroys rcx and r11 only. rustix has no wrapper for it.
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") SYS_ARCH_PRCTL => status,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") XTILEDATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack)
            );
        }
        status == 0
    }

    #[cfg(not(target_os = "linux"))]
    fn request_tile_state() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{first_missing, has};

    #[test]
    fn unknown_names_are_absent() {
        assert!(!has("avx1024"));
        assert_eq!(first_missing(&["avx1024"]), Some("avx1024"));
        assert_eq!(first_missing(&[]), None);
    }

    /// The kernel prints the same bits; where both know a name they must agree, except that AMX
    /// may be present and not granted.
    #[test]
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    fn agrees_with_proc_cpuinfo() {
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap();
        let line = text.lines().find(|line| line.starts_with("flags")).unwrap();
        let flags: Vec<&str> = line.split_whitespace().collect();
        for name in [
            "fma",
            "avx2",
            "f16c",
            "avx512f",
            "avx512bw",
            "avx512dq",
            "avx512vl",
            "avx512_vnni",
            "avx512_bf16",
            "avx512_fp16",
            "avx_vnni",
        ] {
            assert_eq!(has(name), flags.contains(&name), "{name}");
        }
        for name in ["amx_tile", "amx_bf16", "amx_int8", "amx_fp16"] {
            assert!(!has(name) || flags.contains(&name), "{name}");
        }
    }
}
