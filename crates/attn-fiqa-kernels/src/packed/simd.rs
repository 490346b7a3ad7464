//! Registers of 32-bit lanes, as used by the packed kernels and their epilogue.

/// The operations of the epilogue on the lanes of a register.
///
/// # Safety
///
/// The functions compile to instructions of the set: they may only be called, and must be inlined,
/// where its features are enabled. Pointers must be valid for what is read or written.
pub(super) trait FloatLanes {
    /// A register of f32.
    type F32: Copy;
    /// A register of 32-bit words.
    type Words: Copy;
    /// Which lanes are loaded and stored.
    type Mask: Copy;

    unsafe fn splat(value: f32) -> Self::F32;
    unsafe fn add(a: Self::F32, b: Self::F32) -> Self::F32;
    unsafe fn mul(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a > b ? a : b`: the second operand where either is NaN.
    unsafe fn max(a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a < b ? a : b`: the second operand where either is NaN.
    unsafe fn min(a: Self::F32, b: Self::F32) -> Self::F32;
    /// The first `count` lanes, or all of them if there are fewer.
    fn first(count: usize) -> Self::Mask;
    /// Loads the lanes of the mask; the others are zero.
    unsafe fn load(place: *const f32, mask: Self::Mask) -> Self::F32;
    /// The nearest f32 to each i32.
    unsafe fn to_f32(words: Self::Words) -> Self::F32;
}

/// The other operations of the kernels on registers.
///
/// # Safety
///
/// That of [`FloatLanes`].
pub(super) trait Simd: FloatLanes {
    /// Lanes of a register.
    const LANES: usize;

    /// Stores the lanes of the mask.
    unsafe fn store(place: *mut f32, mask: Self::Mask, values: Self::F32);
    unsafe fn splat_words(word: u32) -> Self::Words;
    unsafe fn load_words(place: *const u32) -> Self::Words;
    unsafe fn store_words(place: *mut u32, words: Self::Words);
    /// Wrapping products of 32-bit integers.
    unsafe fn mul_words(a: Self::Words, b: Self::Words) -> Self::Words;
    /// Wrapping negation of 32-bit integers.
    unsafe fn negate_words(words: Self::Words) -> Self::Words;
    /// The upper halves of the words, in place; the lower halves become zero.
    unsafe fn upper_halves(words: Self::Words) -> Self::Words;
    /// The lower halves of the words, shifted up.
    unsafe fn lower_halves(words: Self::Words) -> Self::Words;
    /// The same bits as f32.
    unsafe fn as_f32(words: Self::Words) -> Self::F32;
    /// The same bits as words.
    unsafe fn as_words(values: Self::F32) -> Self::Words;

    /// Advises the processor to bring a cache line into the L2 cache.
    #[inline(always)]
    fn prefetch(_place: *const u8) {}
}
