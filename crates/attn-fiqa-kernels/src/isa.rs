//! Instruction sets: named sets of features, detected at run time.

#[cfg(target_arch = "x86_64")]
mod slow_bf16;

use crate::Precision;
use crate::cpu_features::{CpuFeature, CpuFeatures};
use crate::packed::kernel::select;

/// The environment variable that forces an instruction set by name.
pub const ISA_VARIABLE: &str = "ATTN_FIQA_ISA";

/// A set of processor features that were detected on this machine and that kernels may use.
///
/// It can only be obtained by detection, which makes the functions that take it sound. Every kernel
/// takes it as an argument and uses no other feature: nothing here reads a process-wide setting, so
/// one process can use several instruction sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(&'static NamedFeatures);

/// Features that kernels use together, under the name that forces them.
#[derive(Debug, PartialEq, Eq)]
struct NamedFeatures {
    name: &'static str,
    features: CpuFeatures,
}

/// Every instruction set, slowest first. A machine has every set whose features it has; one set
/// need not include another.
static INSTRUCTION_SETS: [NamedFeatures; 10] = {
    use CpuFeature::{
        AmxBf16, AmxInt8, AmxTile, Avx2, Avx512Bf16, Avx512Vnni, Avx512bw, Avx512f, AvxVnni,
        Dotprod, Fma, I8mm, Neon,
    };
    const fn named(name: &'static str, features: &[CpuFeature]) -> NamedFeatures {
        NamedFeatures { name, features: CpuFeatures::of(features) }
    }
    [
        named("baseline", &[]),
        named("neon", &[Neon]),
        named("neon-dotprod", &[Neon, Dotprod]),
        named("neon-i8mm", &[Neon, Dotprod, I8mm]),
        named("avx2", &[Fma, Avx2]),
        named("avx2-vnni", &[Fma, Avx2, AvxVnni]),
        named("avx512", &[Fma, Avx2, Avx512f, Avx512bw]),
        named("avx512-vnni", &[Fma, Avx2, Avx512f, Avx512bw, Avx512Vnni]),
        named("avx512-bf16", &[Fma, Avx2, Avx512f, Avx512bw, Avx512Vnni, Avx512Bf16]),
        named(
            "avx512-amx",
            &[Fma, Avx2, Avx512f, Avx512bw, Avx512Vnni, Avx512Bf16, AmxTile, AmxInt8, AmxBf16],
        ),
    ]
};

/// The instruction set named by `ATTN_FIQA_ISA` is not available on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsaError {
    asked: String,
}

impl std::fmt::Display for IsaError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = Isa::available().into_iter().map(Isa::name).collect();
        write!(
            f,
            "{ISA_VARIABLE} is '{}', which is not an instruction set of this machine; it has {}",
            self.asked,
            names.join(", ")
        )
    }
}

impl std::error::Error for IsaError {}

impl Isa {
    /// The instruction set named by `ATTN_FIQA_ISA`, or [`Isa::widest`] if it is not set.
    ///
    /// The variable is read on every call, so callers should call once and keep the result.
    ///
    /// # Errors
    ///
    /// If the variable names one that this machine does not have.
    pub fn from_env() -> Result<Self, IsaError> {
        match std::env::var_os(ISA_VARIABLE) {
            None => Ok(Self::widest()),
            Some(asked) => {
                let named = Self::detected().find(|isa| isa.name() == asked.as_os_str());
                named
                    .filter(|isa| isa.features().are_permitted())
                    .ok_or_else(|| IsaError { asked: asked.to_string_lossy().into_owned() })
            }
        }
    }

    /// The fastest instruction set of this machine that has been measured. Left out are sets with a
    /// slow bf16 dot product, which is measured once per process, in some tens of microseconds, and
    /// `avx512-amx`, whose kernels have run only under emulation and must be asked for.
    pub fn widest() -> Self {
        let measured = Self::detected().filter(|isa| !isa.has(CpuFeature::AmxTile));
        let mut fast = measured.rev().filter(|isa| !isa.has_slow_bf16_dot());
        fast.next().expect("no baseline: this is a bug")
    }

    /// Every instruction set that this machine has, slowest first. If it has AMX, this asks Linux
    /// to let this process use it.
    pub fn available() -> Vec<Self> {
        Self::detected().filter(|isa| isa.features().are_permitted()).collect()
    }

    /// The sets whose features were detected, whether or not this process may use them.
    fn detected() -> impl DoubleEndedIterator<Item = Self> {
        let detected = CpuFeatures::detected();
        INSTRUCTION_SETS.iter().filter(move |named| detected.contains_all(named.features)).map(Self)
    }

    /// A name for reports and for `ATTN_FIQA_ISA`: `baseline`; `neon`, `neon-dotprod` or
    /// `neon-i8mm`; `avx2`, `avx2-vnni`, `avx512`, `avx512-vnni`, `avx512-bf16` or `avx512-amx`.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// The features that kernels use.
    pub fn features(self) -> CpuFeatures {
        self.0.features
    }

    /// Whether packed f32 weights have a kernel for this instruction set that is faster than
    /// [`gemm`](crate::gemm()).
    pub fn has_packed_f32(self) -> bool {
        self.has(CpuFeature::Avx2) || self.has(CpuFeature::Avx512f) || self.has(CpuFeature::Neon)
    }

    /// The precision in which products are computed when `precision` is asked for: the same one,
    /// except f32 for [`Precision::Bf16x2`] without a bf16 dot product, where it would gain
    /// nothing.
    pub fn computes_in(self, precision: Precision) -> Precision {
        select(self, precision).precision()
    }

    /// The precisions that are faster than f32 here, fastest first, according to the measurements
    /// in `docs/performance.md`. That bf16x2 is faster with AMX follows only from the peak.
    pub fn faster_than_f32(self) -> &'static [Precision] {
        if self.has(CpuFeature::AmxBf16) {
            &[Precision::Int8, Precision::Bf16, Precision::Bf16x2]
        } else if self.has(CpuFeature::Avx512Bf16) {
            &[Precision::Int8, Precision::Bf16]
        } else if self.has(CpuFeature::Avx512Vnni) || self.has(CpuFeature::AvxVnni) {
            &[Precision::Int8]
        } else {
            &[]
        }
    }

    /// Every instruction set that this machine has or, in tests, can emulate.
    #[cfg(test)]
    pub(crate) fn available_or_emulated() -> Vec<Self> {
        #[cfg_attr(not(all(target_arch = "x86_64", target_os = "linux")), expect(unused_mut))]
        let mut sets = Self::available();
        #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
        if sets.last().is_some_and(|isa| isa.name() == "avx512-bf16")
            && let Some(amx) = INSTRUCTION_SETS.iter().find(|named| named.name == "avx512-amx")
            && crate::amx_emulator::install()
        {
            sets.push(Self(amx));
        }
        sets
    }

    #[inline]
    pub(crate) fn has(self, feature: CpuFeature) -> bool {
        self.0.features.contains(feature)
    }

    #[cfg(target_arch = "x86_64")]
    fn has_slow_bf16_dot(self) -> bool {
        // Tile products do not use it.
        let uses_it = self.has(CpuFeature::Avx512Bf16) && !self.has(CpuFeature::AmxBf16);
        uses_it && slow_bf16::is_slow(self)
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn has_slow_bf16_dot(self) -> bool {
        false
    }
}

/// Compiles one body for every instruction set and dispatches on an [`Isa`]. The body is plain
/// Rust, which the compiler vectorises with the features enabled by each wrapper.
macro_rules! for_every_isa {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        $visibility fn $name(isa: $crate::Isa, $($arg: $ty),*) {
            #[inline(always)]
            fn body($($arg: $ty),*) $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2")]
            fn avx2($($arg: $ty),*) {
                body($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            fn avx512($($arg: $ty),*) {
                body($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            if isa.has($crate::CpuFeature::Avx512f) {
                // SAFETY: an `Isa` with AVX-512F exists only where it was detected.
                return unsafe { avx512($($arg),*) };
            }
            #[cfg(target_arch = "x86_64")]
            if isa.has($crate::CpuFeature::Avx2) {
                // SAFETY: an `Isa` with AVX2 exists only where it was detected.
                return unsafe { avx2($($arg),*) };
            }
            // NEON is part of the target's baseline.
            let _ = isa;
            body($($arg),*)
        }
    };
}
pub(crate) use for_every_isa;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_feature_sets_are_distinct() {
        for (index, one) in INSTRUCTION_SETS.iter().enumerate() {
            for other in &INSTRUCTION_SETS[index + 1..] {
                assert_ne!(one.name, other.name);
                assert_ne!(one.features, other.features, "{} and {}", one.name, other.name);
            }
        }
    }

    #[test]
    fn amx_emulation_skip_is_recorded() {
        if !Isa::available_or_emulated().iter().any(|isa| isa.has(CpuFeature::AmxTile)) {
            attn_fiqa_testing::skip("AMX is not emulated without Linux and AVX-512 with bf16");
        }
    }

    #[test]
    fn widest_isa_excludes_amx() {
        assert!(!Isa::widest().has(CpuFeature::AmxTile));
    }

    #[test]
    fn available_isas_match_detected_features() {
        let available = Isa::available();
        assert_eq!(available[0].name(), "baseline");
        for named in &INSTRUCTION_SETS {
            let has = CpuFeatures::detected().contains_all(named.features)
                && named.features.are_permitted();
            assert_eq!(available.iter().any(|isa| isa.name() == named.name), has, "{}", named.name);
        }
        for isa in available {
            assert!(CpuFeatures::detected().contains_all(isa.features()), "{}", isa.name());
        }
    }
}
