//! Processor features, detected at run time.

#[cfg(target_arch = "x86_64")]
mod amx;

use std::fmt;
use std::sync::OnceLock;

/// A processor feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CpuFeature {
    /// x86: fused multiply–adds.
    Fma,
    /// x86: integers in 256-bit registers.
    Avx2,
    /// x86: 512-bit registers.
    Avx512f,
    /// x86: bytes and 16-bit words in 512-bit registers; only Xeon Phi lacks it.
    Avx512bw,
    /// x86: AVX-512 on shorter registers.
    Avx512vl,
    /// x86: dot products of bytes in 512-bit registers.
    Avx512Vnni,
    /// x86: dot products of bf16 in 512-bit registers.
    Avx512Bf16,
    /// x86: dot products of bytes in 256-bit registers, without AVX-512.
    AvxVnni,
    /// x86: tile registers, enabled by the operating system. A process must also ask for them.
    AmxTile,
    /// x86: products of tiles of bytes.
    AmxInt8,
    /// x86: products of tiles of bf16.
    AmxBf16,
    /// aarch64: 128-bit registers.
    Neon,
    /// aarch64: dot products of bytes.
    Dotprod,
    /// aarch64: products of 2×8 matrices of bytes.
    I8mm,
}

impl CpuFeature {
    /// Every feature.
    pub const ALL: [Self; 14] = [
        Self::Fma,
        Self::Avx2,
        Self::Avx512f,
        Self::Avx512bw,
        Self::Avx512vl,
        Self::Avx512Vnni,
        Self::Avx512Bf16,
        Self::AvxVnni,
        Self::AmxTile,
        Self::AmxInt8,
        Self::AmxBf16,
        Self::Neon,
        Self::Dotprod,
        Self::I8mm,
    ];

    /// The Rust compiler's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fma => "fma",
            Self::Avx2 => "avx2",
            Self::Avx512f => "avx512f",
            Self::Avx512bw => "avx512bw",
            Self::Avx512vl => "avx512vl",
            Self::Avx512Vnni => "avx512vnni",
            Self::Avx512Bf16 => "avx512bf16",
            Self::AvxVnni => "avxvnni",
            Self::AmxTile => "amx-tile",
            Self::AmxInt8 => "amx-int8",
            Self::AmxBf16 => "amx-bf16",
            Self::Neon => "neon",
            Self::Dotprod => "dotprod",
            Self::I8mm => "i8mm",
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_detected(self) -> bool {
        match self {
            Self::Fma => is_x86_feature_detected!("fma"),
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Avx512f => is_x86_feature_detected!("avx512f"),
            Self::Avx512bw => is_x86_feature_detected!("avx512bw"),
            Self::Avx512vl => is_x86_feature_detected!("avx512vl"),
            Self::Avx512Vnni => is_x86_feature_detected!("avx512vnni"),
            Self::Avx512Bf16 => is_x86_feature_detected!("avx512bf16"),
            Self::AvxVnni => is_x86_feature_detected!("avxvnni"),
            Self::AmxBf16 => amx::is_detected(amx::BF16),
            Self::AmxTile => amx::is_detected(amx::TILE),
            Self::AmxInt8 => amx::is_detected(amx::INT8),
            Self::Neon | Self::Dotprod | Self::I8mm => false,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn is_detected(self) -> bool {
        match self {
            // Every aarch64 machine has it.
            Self::Neon => true,
            Self::Dotprod => std::arch::is_aarch64_feature_detected!("dotprod"),
            Self::I8mm => std::arch::is_aarch64_feature_detected!("i8mm"),
            _ => false,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn is_detected(self) -> bool {
        false
    }
}

/// A set of [`CpuFeature`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuFeatures(u32);

impl CpuFeatures {
    /// The set of exactly these features.
    pub const fn of(features: &[CpuFeature]) -> Self {
        let (mut bits, mut index) = (0, 0);
        while index < features.len() {
            bits |= 1 << features[index] as u32;
            index += 1;
        }
        Self(bits)
    }

    /// The features of this machine, whether or not there are kernels for them.
    pub fn detected() -> Self {
        // Cached: they cannot change, and on a virtual machine each CPUID traps.
        static DETECTED: OnceLock<CpuFeatures> = OnceLock::new();
        *DETECTED.get_or_init(|| {
            let found: Vec<_> = CpuFeature::ALL.into_iter().filter(|f| f.is_detected()).collect();
            Self::of(&found)
        })
    }

    /// Whether this process may use these detected features. If tiles are among them, this asks
    /// Linux for them.
    pub(crate) fn are_permitted(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return !self.contains(CpuFeature::AmxTile) || amx::is_permitted();
        #[cfg(not(target_arch = "x86_64"))]
        true
    }

    /// Whether `feature` is one of them.
    pub const fn contains(self, feature: CpuFeature) -> bool {
        self.contains_all(Self::of(&[feature]))
    }

    /// Whether all of `features` are among them.
    pub const fn contains_all(self, features: Self) -> bool {
        self.0 & features.0 == features.0
    }
}

/// Their names, separated by spaces.
impl fmt::Display for CpuFeatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = CpuFeature::ALL.into_iter().filter(|&feature| self.contains(feature));
        let names: Vec<_> = names.map(CpuFeature::name).collect();
        f.write_str(&names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_its_features_and_no_others() {
        let set = CpuFeatures::of(&[CpuFeature::Avx2, CpuFeature::I8mm]);
        let held = CpuFeature::ALL.into_iter().filter(|&feature| set.contains(feature));
        assert_eq!(held.collect::<Vec<_>>(), [CpuFeature::Avx2, CpuFeature::I8mm]);
        assert_eq!(set.to_string(), "avx2 i8mm");
        assert!(set.contains_all(CpuFeatures::default()));
        assert!(!set.contains_all(CpuFeatures::of(&[CpuFeature::Avx2, CpuFeature::Fma])));
    }

    /// Linux lists the same features under its own names.
    #[test]
    #[cfg(all(target_os = "linux", not(emulated_amx)))]
    #[cfg_attr(miri, ignore = "Miri isolates programs from files")]
    fn detected_features_match_proc_cpuinfo() {
        let Ok(listed) = std::fs::read_to_string("/proc/cpuinfo") else {
            return attn_fiqa_testing::skip("/proc/cpuinfo cannot be read");
        };
        // An emulated program sees the list of the emulating machine.
        let key = if cfg!(target_arch = "aarch64") { "Features" } else { "flags" };
        let flags = listed.lines().find(|line| line.starts_with(key));
        let Some((_, flags)) = flags.and_then(|line| line.split_once(':')) else {
            return attn_fiqa_testing::skip("/proc/cpuinfo lists no features");
        };
        let flags: Vec<&str> = flags.split_whitespace().collect();
        for feature in CpuFeature::ALL {
            let listed_as = match feature {
                CpuFeature::Avx512Vnni => "avx512_vnni",
                CpuFeature::Avx512Bf16 => "avx512_bf16",
                CpuFeature::AvxVnni => "avx_vnni",
                CpuFeature::AmxTile => "amx_tile",
                CpuFeature::AmxInt8 => "amx_int8",
                CpuFeature::AmxBf16 => "amx_bf16",
                CpuFeature::Neon => "asimd",
                CpuFeature::Dotprod => "asimddp",
                other => other.name(),
            };
            let found = CpuFeatures::detected().contains(feature);
            assert_eq!(found, flags.contains(&listed_as), "{}", feature.name());
        }
    }
}
