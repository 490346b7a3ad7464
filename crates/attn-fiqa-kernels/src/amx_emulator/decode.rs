//! The AMX instructions that the kernels use, in their VEX encoding.

/// What an instruction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// `ldtilecfg`
    Configure,
    /// `tilerelease`
    Release,
    /// `tilezero`
    Zero,
    /// `tileloadd`
    Load,
    /// `tilestored`
    Store,
    /// `tdpbf16ps`
    DotOfBf16,
    /// `tdpbusd`
    DotOfBytes,
}

/// An instruction with its operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) operation: Operation,
    /// Length of the code in bytes.
    pub(super) length: usize,
    /// The tile that is written to, or stored.
    pub(super) tile: usize,
    /// The tiles that are multiplied.
    pub(super) first: usize,
    pub(super) second: usize,
    /// Where memory is read or written, and how far apart its rows are.
    pub(super) address: u64,
    pub(super) stride: u64,
}

impl Instruction {
    /// The instruction at `code`, with addresses computed from the general-purpose registers;
    /// `None` for any other instruction.
    ///
    /// # Safety
    ///
    /// The bytes of the instruction must be readable.
    pub(super) unsafe fn decode(code: *const u8, general: impl Fn(u8) -> u64) -> Option<Self> {
        // SAFETY: by the contract; no byte is read beyond those that the preceding bytes announce.
        let byte = |index: usize| unsafe { code.add(index).read() };
        const VEX_OF_THREE: u8 = 0xc4;
        const MAP_0F38: u8 = 2;
        if byte(0) != VEX_OF_THREE || byte(1) & 0x1f != MAP_0F38 {
            return None;
        }
        let (extensions, vex) = (byte(1), byte(2));
        let (opcode, modrm) = (byte(3), byte(4));
        // W and L are zero; the prefix is none, 66, F3 or F2.
        if vex & 0b1000_0100 != 0 {
            return None;
        }
        let extend = |bit: u8| if extensions & bit == 0 { 8 } else { 0 };
        let (mode, reg, rm) = (modrm >> 6, modrm >> 3 & 7, modrm & 7);
        let in_memory = mode != 0b11;
        let operation = match (opcode, vex & 3, in_memory) {
            (0x49, 0, true) if reg == 0 => Operation::Configure,
            (0x49, 0, false) if modrm == 0xc0 => Operation::Release,
            (0x49, 3, false) if rm == 0 => Operation::Zero,
            (0x4b, 3, true) if rm == 4 => Operation::Load,
            (0x4b, 2, true) if rm == 4 => Operation::Store,
            (0x5c, 2, false) => Operation::DotOfBf16,
            (0x5e, 1, false) => Operation::DotOfBytes,
            _ => return None,
        };
        let mut found = Self {
            operation,
            length: 5,
            tile: usize::from(reg),
            first: usize::from(rm),
            second: usize::from(!vex >> 3 & 0xf),
            address: 0,
            stride: 0,
        };
        if in_memory {
            let mut base = rm;
            if rm == 4 {
                let sib = byte(5);
                found.length += 1;
                base = sib & 7;
                let index = (sib >> 3 & 7) + extend(0x40);
                // Number 4 means no index.
                let index = if index == 4 { 0 } else { general(index) };
                found.stride = index << (sib >> 6);
            }
            let (displacement, length) = match mode {
                // Relative to the instruction, or without a base: the kernels use neither.
                0 if base == 5 => return None,
                0 => (0, 0),
                1 => (i64::from(byte(found.length) as i8), 1),
                _ => {
                    let bytes = std::array::from_fn(|index| byte(found.length + index));
                    (i64::from(i32::from_le_bytes(bytes)), 4)
                }
            };
            found.length += length;
            let base = general(base + extend(0x20));
            found.address = base.wrapping_add_signed(displacement);
            if operation == Operation::Configure {
                found.address = found.address.wrapping_add(found.stride);
            }
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes with registers that each hold a thousand times their number.
    fn decode(code: &[u8]) -> Option<Instruction> {
        let mut padded = [0x90; 16];
        padded[..code.len()].copy_from_slice(code);
        // SAFETY: no instruction is longer than 16 bytes.
        unsafe { Instruction::decode(padded.as_ptr(), |register| 1000 * u64::from(register)) }
    }

    /// The bytes come from the assembler.
    #[test]
    fn tile_instructions_are_decoded() {
        let expected = |operation, length, [tile, first, second]: [usize; 3], address, stride| {
            Some(Instruction { operation, length, tile, first, second, address, stride })
        };
        let found = decode(&[0xc4, 0xc2, 0x7b, 0x4b, 0x34, 0x0a]);
        assert_eq!(found, expected(Operation::Load, 6, [6, 4, 0], 10_000, 1000));
        let found = decode(&[0xc4, 0xa2, 0x7b, 0x4b, 0x24, 0x0a]);
        assert_eq!(found, expected(Operation::Load, 6, [4, 4, 0], 2000, 9000));
        let found = decode(&[0xc4, 0xc2, 0x7b, 0x4b, 0x7c, 0x0a, 0x40]);
        assert_eq!(found, expected(Operation::Load, 7, [7, 4, 0], 10_064, 1000));
        let found = decode(&[0xc4, 0xe2, 0x7a, 0x4b, 0x84, 0x0e, 0, 8, 0, 0]);
        assert_eq!(found, expected(Operation::Store, 10, [0, 4, 0], 8048, 1000));
        let found = decode(&[0xc4, 0xe2, 0x4a, 0x5c, 0xc4]);
        assert_eq!(found, expected(Operation::DotOfBf16, 5, [0, 4, 6], 0, 0));
        let found = decode(&[0xc4, 0xe2, 0x41, 0x5e, 0xcc]);
        assert_eq!(found, expected(Operation::DotOfBytes, 5, [1, 4, 7], 0, 0));
        let found = decode(&[0xc4, 0xe2, 0x7b, 0x49, 0xd8]);
        assert_eq!(found, expected(Operation::Zero, 5, [3, 0, 0], 0, 0));
        let found = decode(&[0xc4, 0xe2, 0x78, 0x49, 0xc0]);
        assert_eq!(found, expected(Operation::Release, 5, [0, 0, 0], 0, 0));
        let found = decode(&[0xc4, 0xe2, 0x78, 0x49, 0x07]);
        assert_eq!(found, expected(Operation::Configure, 5, [0, 7, 0], 7000, 0));
    }

    #[test]
    fn unsupported_instructions_are_not_decoded() {
        // `ud2`, `andn`, `tdpbssd`.
        for code in
            [&[0x0f, 0x0b][..], &[0xc4, 0xe2, 0x70, 0xf2, 0xc2], &[0xc4, 0xe2, 0x4b, 0x5e, 0xc4]]
        {
            assert_eq!(decode(code), None);
        }
    }
}
