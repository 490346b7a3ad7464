//! Detection of AMX, which the standard library lacks. See Intel's *Software Developer's Manual*,
//! volume 1, chapter 18.

use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

/// Bits of EDX in CPUID leaf 7.
pub(super) const BF16: u32 = 1 << 22;
pub(super) const TILE: u32 = 1 << 24;
pub(super) const INT8: u32 = 1 << 25;

/// Whether the processor has the feature and the operating system saves tiles.
pub(super) fn is_detected(bit: u32) -> bool {
    /// Bit of ECX in CPUID leaf 1: the operating system uses XSAVE.
    const OSXSAVE: u32 = 1 << 27;
    /// Bits of XCR0: tile configuration and tile data.
    const TILE_STATE: u64 = 0b11 << 17;
    const LAST_LEAF: u32 = 7;
    #[cfg(all(emulated_amx, target_os = "linux"))]
    if crate::amx_emulator::install() {
        return true;
    }
    if cfg!(miri) || __cpuid(0).eax < LAST_LEAF || __cpuid(1).ecx & OSXSAVE == 0 {
        return false;
    }
    // SAFETY: the operating system uses XSAVE, so the processor has XGETBV.
    let enabled = unsafe { _xgetbv(0) };
    enabled & TILE_STATE == TILE_STATE && __cpuid_count(LAST_LEAF, 0).edx & bit != 0
}

/// Whether this process may use tiles: unless it has asked Linux first, its first tile instruction
/// ends it. Asks once, and only where tiles are wanted, since from then on every signal stack must
/// have room for them. The permission holds for all threads and for forked children.
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(super) fn is_permitted() -> bool {
    const ARCH_PRCTL: isize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    /// The component of the extended state that holds tile data.
    const TILE_DATA: usize = 18;
    static PERMITTED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *PERMITTED.get_or_init(|| {
        let mut result = ARCH_PRCTL;
        // SAFETY: the call takes two integers and touches no memory of the process. The kernel
        // overwrites `rcx` and `r11`.
        unsafe {
            std::arch::asm!(
                "syscall",
                inout("rax") result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") TILE_DATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0 || cfg!(emulated_amx)
    })
}

/// Other systems have their own calls, which are not made here.
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub(super) fn is_permitted() -> bool {
    false
}
