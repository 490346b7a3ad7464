//! Instruction sets, detected at run time.

#[cfg(target_arch = "x86_64")]
use std::sync::OnceLock;

use crate::Precision;

/// The environment variable that forces an instruction set, by its name.
pub const ISA_VARIABLE: &str = "ATTN_FIQA_ISA";

/// An instruction set that was detected on this machine.
///
/// It can only be obtained by detection, which makes the functions that take it sound. Every kernel
/// takes it as an argument and uses no other: nothing here reads a process-wide setting, so one
/// process can use several instruction sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(pub(crate) Kind);

/// Each includes all preceding ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Portable code for the target's baseline.
    Baseline,
    /// NEON, which every aarch64 machine has.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// With fused multiply–adds.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// With byte operations (BW), which only Knights Landing lacks.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// With dot products of bytes (VNNI).
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// Also with dot products of bf16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

impl Kind {
    /// Narrowest first.
    const ALL: &[Self] = &[
        Self::Baseline,
        #[cfg(target_arch = "aarch64")]
        Self::Neon,
        #[cfg(target_arch = "x86_64")]
        Self::Avx2,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512Vnni,
        #[cfg(target_arch = "x86_64")]
        Self::Avx512Bf16,
    ];

    /// Those of this machine, narrowest first, up to the first that is missing.
    fn detected() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().take_while(|kind| match kind {
            Self::Baseline => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => is_x86_feature_detected!("avx512vnni"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => is_x86_feature_detected!("avx512bf16"),
        })
    }

    /// Whether the previous one is faster on this machine.
    fn is_slow(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Self::Avx512Bf16 && bf16_dot_is_slow();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }
}

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
    /// The variable is read at every call: callers should call once and keep the result.
    ///
    /// # Errors
    ///
    /// If the variable names one that this machine does not have.
    pub fn from_env() -> Result<Self, IsaError> {
        match std::env::var_os(ISA_VARIABLE) {
            None => Ok(Self::widest()),
            Some(asked) => {
                let named =
                    Self::available().into_iter().find(|isa| isa.name() == asked.as_os_str());
                named.ok_or_else(|| IsaError { asked: asked.to_string_lossy().into_owned() })
            }
        }
    }

    /// The widest instruction set of this machine that is not slower than the previous one.
    pub fn widest() -> Self {
        let fast = Kind::detected().filter(|kind| !kind.is_slow());
        Self(fast.last().expect("no baseline: this is a bug"))
    }

    /// Every instruction set that this machine has, narrowest first.
    pub fn available() -> Vec<Self> {
        Kind::detected().map(Self).collect()
    }

    /// Whether packed f32 weights have a kernel for this instruction set; without one,
    /// [`gemm`](crate::gemm()) is faster.
    pub fn has_packed_f32(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.0 >= Kind::Avx512;
        #[cfg(target_arch = "aarch64")]
        return self.0 == Kind::Neon;
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        false
    }

    /// The precisions that are faster than f32 here, fastest first, according to the measurements
    /// in `docs/performance.md`.
    pub fn faster_than_f32(self) -> &'static [Precision] {
        #[cfg(target_arch = "x86_64")]
        match self.0 {
            Kind::Avx512Bf16 => return &[Precision::Int8, Precision::Bf16],
            Kind::Avx512Vnni => return &[Precision::Int8],
            _ => {}
        }
        &[]
    }

    /// Whether there is a bf16 dot product instruction; without one, bf16 is widened to f32.
    pub(crate) fn has_bf16_dot(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.0 == Kind::Avx512Bf16;
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// A name for reports and for `ATTN_FIQA_ISA`: `baseline`, `neon`, `avx2`,
    /// `avx512`, `avx512-vnni` or `avx512-bf16`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Kind::Baseline => "baseline",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 => "avx512-bf16",
        }
    }
}

/// Whether a bf16 dot product takes longer than the two f32 multiply–adds that it replaces.
/// It does on Intel's model 207 (Emerald Rapids), at half the rate of f32 as measured by
/// `examples/peak.rs`; model 143 (Sapphire Rapids) is the same core.
#[cfg(target_arch = "x86_64")]
fn bf16_dot_is_slow() -> bool {
    // It cannot change, and on a virtual machine each CPUID traps.
    static SLOW: OnceLock<bool> = OnceLock::new();
    *SLOW.get_or_init(detect_slow_bf16_dot)
}

#[cfg(target_arch = "x86_64")]
fn detect_slow_bf16_dot() -> bool {
    const INTEL: [u8; 12] = *b"GenuineIntel";
    const SLOW_MODELS: [u32; 2] = [143, 207];
    if cfg!(miri) {
        return false;
    }
    let vendor = std::arch::x86_64::__cpuid(0);
    let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
    let signature = std::arch::x86_64::__cpuid(1).eax;
    let family = signature >> 8 & 0xf;
    let model = (signature >> 4 & 0xf) | (signature >> 12 & 0xf0);
    name.as_flattened() == INTEL && family == 6 && SLOW_MODELS.contains(&model)
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

            match isa.0 {
                $crate::isa::Kind::Baseline => body($($arg),*),
                #[cfg(target_arch = "aarch64")]
                $crate::isa::Kind::Neon => body($($arg),*),
                // SAFETY: an `Isa` of this kind exists only where AVX2 was detected.
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Kind::Avx2 => unsafe { avx2($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                $crate::isa::Kind::Avx512
                | $crate::isa::Kind::Avx512Vnni
                | $crate::isa::Kind::Avx512Bf16 => {
                    // SAFETY: an `Isa` of these kinds exists only where AVX-512F was detected.
                    unsafe { avx512($($arg),*) }
                }
            }
        }
    };
}
pub(crate) use for_every_isa;
