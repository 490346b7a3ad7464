//! How finely a product's factors are represented.

/// The representation of a linear layer's weights and inputs. Sums and everything
/// outside the products stay in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// IEEE single precision: the reference.
    #[default]
    F32,
    /// Brain float: eight bits of mantissa, the range of f32; products are summed in f32.
    Bf16,
    /// Eight-bit integers: a scale for each output's weights, a scale and a zero
    /// point for each row of the input, found from that row; sums are exact.
    Int8,
}

impl Precision {
    /// Every precision, finest first.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// The name used on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::Int8 => "int8",
        }
    }
}

/// What is done with a product before it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epilogue {
    /// The product and the bias replace what was there.
    Overwrite,
    /// The product and the bias are added to what was there: a residual connection.
    Add,
    /// As [`Epilogue::Overwrite`], then `max(x, 0)`. NaN stays NaN.
    Relu,
    /// As [`Epilogue::Add`], then `max(x, 0)`. NaN stays NaN.
    AddRelu,
    /// As [`Epilogue::Overwrite`], then `min(max(x, 0), 6)`. NaN stays NaN.
    Relu6,
}

impl Epilogue {
    /// Whether the product is added to what was there.
    pub(crate) fn adds(self) -> bool {
        matches!(self, Self::Add | Self::AddRelu)
    }
}
