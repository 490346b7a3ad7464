//! Curves and areas of one quality in one call.

use super::{Bootstrap, Curve, CurveIntervals, Evaluator, PAUC_LIMIT, Protocol, Ranking, Target};
use crate::comparisons::{Comparisons, ScoreScale};
use crate::error::EvalError;

/// Comparisons and their qualities: one entry each, in one order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdcInput<'a> {
    /// Comparison scores.
    pub scores: &'a [f64],
    /// What the scores mean.
    pub scale: ScoreScale,
    /// Whether both images show the same person.
    pub mated: &'a [bool],
    /// The quality of each comparison, in any range: the lower of its two images' qualities
    /// ([`pair_qualities`](crate::comparisons::pair_qualities)). Minus infinity means an image
    /// without a quality.
    pub qualities: &'a [f64],
}

/// How curves are computed.
#[derive(Debug, Clone, PartialEq)]
pub struct EdcOptions<'a> {
    /// The protocol.
    pub protocol: Protocol,
    /// What determines the threshold: one curve per target.
    pub targets: Vec<Target>,
    /// Discard fraction up to which pAUC is computed: from 0 to 1 under [`Protocol::Iso`], else
    /// to 0.95.
    pub max_discard: f64,
    /// How intervals are computed; none if `None`. Its `max_discard` is ignored in favour of
    /// the one above.
    pub bootstrap: Option<Bootstrap<'a>>,
}

impl Default for EdcOptions<'_> {
    /// The papers' protocol at an FMR of 1e-3, pAUC up to [`PAUC_LIMIT`], no intervals.
    fn default() -> Self {
        Self {
            protocol: Protocol::Crfiqa,
            targets: vec![Target::Fmr(1e-3)],
            max_discard: PAUC_LIMIT,
            bootstrap: None,
        }
    }
}

/// A curve and its areas.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct EdcCurve {
    /// The curve, with its warnings.
    pub curve: Curve,
    /// The area up to `max_discard`, not normalised; `None` if a rate below it is absent.
    pub pauc: Option<f64>,
    /// The area under the whole curve.
    pub auc: Option<f64>,
    /// Intervals, if requested.
    pub intervals: Option<CurveIntervals>,
}

/// The error-versus-discard curves of one quality, one per target.
///
/// For several qualities of the same comparisons, [`Evaluator`] sorts them only once.
///
/// # Errors
///
/// If the lists differ in length, contain only one kind of comparison, or a value is out of range;
/// see [`Comparisons::new`], [`Ranking::new`] and [`Evaluator::bootstrap`].
///
/// # Examples
///
/// ```
/// use attn_fiqa_eval::comparisons::ScoreScale;
/// use attn_fiqa_eval::edc::{EdcInput, EdcOptions, Protocol, Target, evaluate};
///
/// let input = EdcInput {
///     scores: &[0.9, 0.8, 0.1, 0.3, 0.2, 0.0],
///     scale: ScoreScale::Cosine,
///     mated: &[true, true, true, false, false, false],
///     qualities: &[0.9, 0.8, 0.1, 0.7, 0.6, 0.5],
/// };
/// let options = EdcOptions {
///     protocol: Protocol::Iso,
///     targets: vec![Target::Threshold(0.5)],
///     max_discard: 0.5,
///     ..EdcOptions::default()
/// };
/// let found = evaluate(&input, &options)?;
/// // The one false non-match is the comparison of the lowest quality.
/// assert!((found[0].curve.start().expect("mated comparisons") - 1.0 / 3.0).abs() < 1e-12);
/// // It is gone once a third of the mated comparisons is discarded.
/// assert!((found[0].pauc.expect("an area") - 1.0 / 9.0).abs() < 1e-12);
/// # Ok::<(), attn_fiqa_eval::EvalError>(())
/// ```
pub fn evaluate(
    input: &EdcInput<'_>,
    options: &EdcOptions<'_>,
) -> Result<Vec<EdcCurve>, EvalError> {
    let EdcOptions { protocol, targets, max_discard, bootstrap } = options;
    protocol.check_max_discard(*max_discard)?;
    let comparisons = Comparisons::new(input.scores.to_vec(), input.mated.to_vec(), input.scale)?;
    let ranking = Ranking::new(input.qualities)?;
    let evaluator = Evaluator::new(&comparisons);
    let curves = evaluator.curves(&ranking, *protocol, targets)?;
    let mut intervals = match bootstrap {
        Some(bootstrap) => {
            let bootstrap = Bootstrap { max_discard: *max_discard, ..*bootstrap };
            evaluator.bootstrap(&ranking, *protocol, targets, &bootstrap)?
        }
        None => Vec::new(),
    }
    .into_iter();
    let areas = |curve: Curve| EdcCurve {
        pauc: curve.pauc(*max_discard),
        auc: curve.auc(),
        intervals: intervals.next(),
        curve,
    };
    Ok(curves.into_iter().map(areas).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Stream;

    #[test]
    fn evaluate_matches_evaluator() {
        let mut stream = Stream::new(3, 0);
        let mut number = |below: usize| stream.below(below) as f64 / below as f64;
        let mated: Vec<bool> = (0..600).map(|index| index % 3 == 0).collect();
        let scores: Vec<f64> =
            mated.iter().map(|&mated| number(1000) + f64::from(u8::from(mated))).collect();
        let qualities: Vec<f64> = mated.iter().map(|_| number(50)).collect();
        let input = EdcInput {
            scores: &scores,
            scale: ScoreScale::Similarity,
            mated: &mated,
            qualities: &qualities,
        };
        let targets = vec![Target::Fmr(0.01), Target::Fmr(0.1)];
        let bootstrap = Bootstrap { replicates: 5, ..Bootstrap::default() };
        let set =
            Comparisons::new(scores.clone(), mated.clone(), input.scale).expect("comparisons");
        let evaluator = Evaluator::new(&set);
        let ranking = Ranking::new(&qualities).expect("a ranking");
        for protocol in Protocol::ALL {
            let options = EdcOptions {
                protocol,
                targets: targets.clone(),
                max_discard: 0.2,
                bootstrap: Some(bootstrap),
            };
            let found = evaluate(&input, &options).expect("curves");
            let expected = evaluator.curves(&ranking, protocol, &targets).expect("curves");
            let bootstrap = Bootstrap { max_discard: 0.2, ..bootstrap };
            let intervals = evaluator.bootstrap(&ranking, protocol, &targets, &bootstrap);
            let intervals = intervals.expect("intervals");
            for ((found, curve), intervals) in found.iter().zip(&expected).zip(&intervals) {
                assert_eq!((&found.curve, found.pauc), (curve, curve.pauc(0.2)));
                assert_eq!(found.intervals.as_ref(), Some(intervals));
            }
            assert_eq!(found.len(), 2);
        }
        let options = EdcOptions { max_discard: 1.5, ..EdcOptions::default() };
        assert!(evaluate(&input, &options).is_err());
        for (protocol, max_discard, allowed) in [
            (Protocol::Crfiqa, 0.97, false),
            (Protocol::Nist, 0.97, false),
            (Protocol::Iso, 0.97, true),
            (Protocol::Nist, 0.95, true),
        ] {
            let options = EdcOptions { protocol, max_discard, ..EdcOptions::default() };
            match evaluate(&input, &options) {
                Ok(found) => assert!(allowed && found[0].pauc.is_some(), "{protocol}"),
                Err(error) => {
                    assert!(!allowed && error.to_string().contains("at most 0.95"), "{error}");
                }
            }
        }
        let short = EdcInput { qualities: &qualities[1..], ..input };
        assert!(evaluate(&short, &EdcOptions::default()).is_err());
    }
}
