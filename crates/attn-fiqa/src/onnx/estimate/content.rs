//! Small tensors whose values are known in advance: the shapes that a network computes.

use super::{Content, MAX_KEPT_ELEMENTS};

/// Integers up to this magnitude are computed exactly, here and by every runtime.
const EXACT_WHOLE: f64 = i32::MAX as f64;

/// The same limit for f32 values.
const EXACT_FLOAT: f64 = (1 << 24) as f64;

/// The result of an elementwise operator, if all inputs are known and the result does not depend on
/// rounding.
pub(super) fn elementwise(operator: &str, given: &[&Content], to: Option<i64>) -> Option<Content> {
    let whole = given.iter().all(|content| content.whole);
    if operator == "Identity" {
        return given.first().map(|&content| content.clone());
    }
    let unary = |apply: &dyn Fn(f64) -> f64, whole| {
        let numbers = given.first()?.numbers.iter().map(|&number| apply(number)).collect();
        exact(Content { numbers, whole })
    };
    let binary = |apply: &dyn Fn(f64, f64) -> Option<f64>, whole| {
        let &[one, other] = given else { return None };
        let (n, m) = (one.numbers.len(), other.numbers.len());
        let count = match (n, m) {
            _ if n == m => n,
            (1, _) => m,
            (_, 1) => n,
            _ => return None,
        };
        let at = |list: &[f64], index: usize| list[if list.len() == 1 { 0 } else { index }];
        let numbers = (0..count).map(|i| apply(at(&one.numbers, i), at(&other.numbers, i)));
        exact(Content { numbers: numbers.collect::<Option<_>>()?, whole })
    };
    match operator {
        "Floor" => unary(&f64::floor, whole),
        "Ceil" => unary(&f64::ceil, whole),
        "Neg" => unary(&|number| -number, whole),
        "Cast" => match to? {
            // INT32 and INT64; FLOAT and DOUBLE.
            6 | 7 => unary(&f64::trunc, true),
            1 | 11 => unary(&|number| number, false),
            _ => None,
        },
        "Add" => binary(&|a, b| Some(a + b), whole),
        "Sub" => binary(&|a, b| Some(a - b), whole),
        "Mul" => binary(&|a, b| Some(a * b), whole),
        "Div" => binary(
            &|a, b| {
                let plain = a >= 0.0 && b > 0.0 && (whole || a % b == 0.0);
                plain.then(|| (a / b).trunc())
            },
            whole,
        ),
        "Equal" => binary(&|a, b| Some(f64::from(u8::from(a == b))), true),
        "Where" => {
            let &[condition, one, other] = given else { return None };
            let count = condition.numbers.len().max(one.numbers.len()).max(other.numbers.len());
            let at = |list: &[f64], index: usize| match list.len() {
                1 => list.first().copied(),
                length if length == count => list.get(index).copied(),
                _ => None,
            };
            let numbers = (0..count).map(|i| {
                let from = if at(&condition.numbers, i)? != 0.0 { one } else { other };
                at(&from.numbers, i)
            });
            Some(Content { numbers: numbers.collect::<Option<_>>()?, whole: one.whole })
        }
        _ => None,
    }
}

/// The content, unless a value is outside the range in which arithmetic is exact.
fn exact(mut content: Content) -> Option<Content> {
    let limit = if content.whole { EXACT_WHOLE } else { EXACT_FLOAT };
    if !content.whole {
        content.numbers.iter_mut().for_each(|number| *number = f64::from(*number as f32));
    }
    content.numbers.iter().all(|number| number.abs() < limit).then_some(content)
}

/// The concatenation of vectors.
pub(super) fn concatenated(given: &[Option<&Content>]) -> Option<Content> {
    let known = given.iter().copied().collect::<Option<Vec<&Content>>>()?;
    let numbers: Vec<f64> = known.iter().flat_map(|content| content.numbers.clone()).collect();
    let whole = known.iter().all(|content| content.whole);
    (numbers.len() <= MAX_KEPT_ELEMENTS).then_some(Content { numbers, whole })
}

/// The values at these indices; negative ones count from the end.
pub(super) fn gathered(content: &Content, places: &Content) -> Option<Content> {
    let length = content.numbers.len() as f64;
    let numbers = places.numbers.iter().map(|&place| {
        let place = if place < 0.0 { place + length } else { place };
        content.numbers.get(place as usize).copied().filter(|_| place >= 0.0)
    });
    Some(Content { numbers: numbers.collect::<Option<_>>()?, whole: content.whole })
}

/// One value repeated `count` times.
pub(super) fn repeated(number: f64, whole: bool, count: u64) -> Option<Content> {
    let count = usize::try_from(count).ok().filter(|&count| count <= MAX_KEPT_ELEMENTS)?;
    Some(Content { numbers: vec![number; count], whole })
}
