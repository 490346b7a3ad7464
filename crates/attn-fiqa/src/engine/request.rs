//! What to compute for each crop, and the check that the model supports it.

use crate::score::{Aggregation, Method};

use super::Engine;

/// What to compute for each crop.
///
/// # Examples
///
/// The published score next to the calibrated one, and the map of the first:
///
/// ```
/// use attn_fiqa::engine::Request;
/// use attn_fiqa::score::Method;
///
/// let request = Request {
///     methods: vec![Method::ATTN, Method::ATTN_CALIBRATED],
///     received: true,
///     ..Request::new(Method::ATTN)
/// };
/// assert_eq!(request.methods.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The scores to compute; maps belong to the first.
    pub methods: Vec<Method>,
    /// Compute the map of attention received.
    pub received: bool,
    /// Compute the map of attention paid.
    pub paid: bool,
    /// Compute the map of every head in addition to their mean.
    pub per_head: bool,
    /// Compute the embedding; the engine must have been built with it.
    pub embedding: bool,
    /// Return the mean query of the last block, to which a key bias is fitted.
    pub mean_query: bool,
    /// Return the mean token from which the mean query is computed.
    pub mean_token: bool,
    /// Name the causes that lower the quality; the model's calibration must have them.
    pub causes: bool,
    /// Name the regions of the face whose attention is far below that of good faces; the model's
    /// calibration must have causes. Takes as long as a map.
    pub weak_regions: bool,
}

impl Request {
    /// One score and nothing else.
    pub fn new(method: Method) -> Self {
        Self {
            methods: vec![method],
            received: false,
            paid: false,
            per_head: false,
            embedding: false,
            mean_query: false,
            mean_token: false,
            causes: false,
            weak_regions: false,
        }
    }

    /// Whether nothing at all is requested.
    pub(crate) fn is_empty(&self) -> bool {
        let maps = [self.received, self.paid, self.per_head];
        let vectors = [self.embedding, self.mean_query, self.mean_token];
        let reasons = [self.causes, self.weak_regions];
        self.methods.is_empty() && ![&maps[..], &vectors, &reasons].concat().contains(&true)
    }

    /// Whether the last block's mean token is enough to answer the request.
    pub(crate) fn needs_only_mean_token(&self) -> bool {
        let mean = |method: &Method| method.aggregation().has_map() && method.block().is_none();
        let tokens = self.received || self.paid || self.embedding || self.weak_regions;
        !tokens && self.methods.iter().all(mean)
    }

    /// Whether anything after the last block's attention is needed.
    pub(crate) fn needs_full_forward(&self) -> bool {
        self.embedding || self.methods.iter().any(|m| m.needs_full_forward())
    }
}

/// A request that this model cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No method was named.
    #[error("no method is given; name at least one, for instance 'attn'")]
    NoMethod,
    /// A scorer uses a method that is not in the request.
    #[error("the score must come from method '{method}', which the request does not include")]
    NotAsked {
        /// The method.
        method: Method,
    },
    /// Jitter was requested, but the first score is not one of the network's.
    #[error(
        "jitter is the spread of the network's score, but the first score is a measure that does \
         not use the network; put one of the model's methods first"
    )]
    JitterOfMeasure,
    /// The method names a block that does not exist.
    #[error(
        "method '{method}' names a block that does not exist; this model has blocks 0 to {last}"
    )]
    NoSuchBlock {
        /// The requested method.
        method: Method,
        /// The last block's index.
        last: usize,
    },
    /// The method names a head that does not exist.
    #[error("method '{method}' names a head that does not exist; this model has heads 0 to {last}")]
    NoSuchHead {
        /// The requested method.
        method: Method,
        /// The last head's index.
        last: usize,
    },
    /// The checkpoint has no `calibration.key_bias`.
    #[error(
        "method '{method}' needs a fitted key bias, but this model has no tensor \
         'calibration.key_bias'; use 'attn' for the published score"
    )]
    NoKeyBias {
        /// The requested method.
        method: Method,
    },
    /// A map was requested with a score that is not a mean over patches.
    #[error(
        "a map was asked for, but method '{method}' is not a mean over patches; put 'attn' or \
         'attn-calibrated' first"
    )]
    NoMap {
        /// The first method of the request.
        method: Method,
    },
    /// The checkpoint has no `calibration.causes`.
    #[error(
        "causes or weak regions were asked for, but this model has no tensor \
         'calibration.causes'; calibrate the model with a version of attn-fiqa that fits them"
    )]
    NoCauses,
    /// The file holds only what scores need.
    #[error(
        "an embedding, or a method that needs a full forward pass, was asked for, but this file \
         holds only what an attention score needs (a quality-only checkpoint); use the full \
         checkpoint"
    )]
    NoEmbeddingHead,
    /// The engine's back end returns mean tokens only.
    #[error(
        "'{backend}' gives only the last block's mean token, but maps, embeddings and methods \
         other than the mean over the last block need more; run the network on the CPU"
    )]
    MeanTokensOnly {
        /// The back end's name.
        backend: String,
    },
    /// The engine was built without [`super::EngineOptions::embedding`].
    #[error(
        "an embedding, or a method that needs a full forward pass, was asked for, but the engine \
         was built without EngineOptions::embedding"
    )]
    EmbeddingNotLoaded,
}

impl Engine {
    /// Whether, for this model, the last block's mean token is enough to answer a request.
    pub(super) fn needs_only_mean_token(&self, request: &Request) -> bool {
        request.needs_only_mean_token() && self.query_key.needs_only_mean_token()
    }

    /// Checks that this model can serve a request; [`Engine::assess`] calls this first.
    ///
    /// # Errors
    ///
    /// The first thing that the model cannot do.
    pub fn check(&self, request: &Request) -> Result<(), RequestError> {
        let config = self.config();
        let first = *request.methods.first().ok_or(RequestError::NoMethod)?;
        for &method in &request.methods {
            if method.block().is_some_and(|block| block >= config.depth) {
                return Err(RequestError::NoSuchBlock { method, last: config.depth - 1 });
            }
            if method.head().is_some_and(|head| head >= config.num_heads) {
                return Err(RequestError::NoSuchHead { method, last: config.num_heads - 1 });
            }
            if method.aggregation() == Aggregation::CalibratedMean && self.key_bias.is_none() {
                return Err(RequestError::NoKeyBias { method });
            }
        }
        if (request.received || request.paid) && !first.aggregation().has_map() {
            return Err(RequestError::NoMap { method: first });
        }
        if (request.causes || request.weak_regions) && self.causes.is_none() {
            return Err(RequestError::NoCauses);
        }
        if !self.needs_only_mean_token(request) && !self.backend.gives_tokens() {
            return Err(RequestError::MeanTokensOnly { backend: self.backend.name() });
        }
        if request.needs_full_forward() {
            if config.embedding_head.is_none() {
                return Err(RequestError::NoEmbeddingHead);
            }
            if self.embedding_head.is_none() {
                return Err(RequestError::EmbeddingNotLoaded);
            }
        }
        Ok(())
    }
}
