//! The data type of a product's operands, and the operation on its sums.

/// The data type of a linear layer's weights and inputs. Sums and everything outside the products
/// stay in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// IEEE single precision: the reference.
    #[default]
    F32,
    /// Sums of two bfloat16, a high and a low term: at least 16 bits of significand, and the range
    /// of f32. Each product is four products of bf16, summed in f32. Without a bf16 dot product,
    /// f32 is used instead ([`Isa::computes_in`]).
    ///
    /// [`Isa::computes_in`]: crate::Isa::computes_in
    Bf16x2,
    /// bfloat16: eight bits of significand, the range of f32; products are summed in f32.
    Bf16,
    /// 8-bit integers: symmetric per output for the weights, asymmetric per row for the input,
    /// quantized dynamically; i32 sums are exact.
    Int8,
}

impl Precision {
    /// Every precision, finest first.
    pub const ALL: [Self; 4] = [Self::F32, Self::Bf16x2, Self::Bf16, Self::Int8];

    /// The name used on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16x2 => "bf16x2",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

/// The operation fused into a product before its sums are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// Stores product + bias.
    Overwrite,
    /// Adds product + bias to the output: a residual connection.
    Add,
    /// Like [`Epilogue::Overwrite`], then `max(x, 0)`. NaN stays NaN.
    Relu,
    /// Like [`Epilogue::Add`], then `max(x, 0)`. NaN stays NaN.
    AddRelu,
    /// Like [`Epilogue::Overwrite`], then `min(max(x, 0), 6)`. NaN stays NaN.
    Relu6,
}

impl Epilogue {
    /// Whether the product is added to the output.
    pub(crate) fn adds(self) -> bool {
        matches!(self, Self::Add | Self::AddRelu)
    }
}
