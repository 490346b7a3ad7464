//! Braces in names, as shells and WebDataset write them: `data-{000..999}.tar`, `{train,val}.tar`.

/// Maximum number of names in one expansion.
const MAX_NAMES: usize = 1 << 20;

/// Maximum depth of braces inside braces.
const MAX_DEPTH: usize = 16;

/// Too many names, or braces nested too deeply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// All names that a name with braces stands for, in order, the last brace varying fastest; `None`
/// if it has no complete brace with a comma or a range.
///
/// `{a,b}` is a list, which may contain further braces; `{000..999}` is a range, zero-padded to the
/// length of its longer end if one of its ends has a leading zero; `{0..9..3}` is a range with a
/// step; ranges may be of letters and descending. Other braces stay as they are.
pub(super) fn expand(text: &str) -> Result<Option<Vec<String>>, TooMany> {
    if !has_brace(text) {
        return Ok(None);
    }
    let names = expand_within(text, MAX_DEPTH)?;
    Ok(if names.len() == 1 && names[0] == text { None } else { Some(names) })
}

fn has_brace(text: &str) -> bool {
    text.find('{').is_some_and(|start| text[start..].contains('}'))
}

fn expand_within(text: &str, depth: usize) -> Result<Vec<String>, TooMany> {
    let depth = depth.checked_sub(1).ok_or(TooMany)?;
    let mut names = vec![String::new()];
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        push_all(&mut names, &rest[..start]);
        rest = &rest[start..];
        let alternatives = match inside_of(rest) {
            Some(inside) => match alternatives(inside, depth)? {
                Some(alternatives) => {
                    rest = &rest[inside.len() + 2..];
                    alternatives
                }
                None => literal_brace(&mut rest),
            },
            None => literal_brace(&mut rest),
        };
        if names.len().saturating_mul(alternatives.len()) > MAX_NAMES {
            return Err(TooMany);
        }
        let product = |name: &String| {
            let name = name.clone();
            alternatives.iter().map(move |alternative| [&name, alternative.as_str()].concat())
        };
        names = names.iter().flat_map(product).collect();
    }
    push_all(&mut names, rest);
    Ok(names)
}

fn push_all(names: &mut [String], text: &str) {
    for name in names {
        name.push_str(text);
    }
}

fn literal_brace(rest: &mut &str) -> Vec<String> {
    *rest = &rest[1..];
    vec!["{".to_owned()]
}

/// The text between the brace at the start of `text` and the one that closes it.
fn inside_of(text: &str) -> Option<&str> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    return text.get(1..at);
                }
            }
            _ => {}
        }
    }
    None
}

/// The names between two braces; `None` if they are neither a list nor a range.
fn alternatives(inside: &str, depth: usize) -> Result<Option<Vec<String>>, TooMany> {
    let parts = split_at_commas(inside);
    if parts.len() == 1 {
        return range(inside);
    }
    let mut names = Vec::new();
    for part in parts {
        names.extend(expand_within(part, depth)?);
        if names.len() > MAX_NAMES {
            return Err(TooMany);
        }
    }
    Ok(Some(names))
}

/// Splits at the commas that are not inside further braces.
fn split_at_commas(inside: &str) -> Vec<&str> {
    let (mut parts, mut from, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, c) in inside.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&inside[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inside[from..]);
    parts
}

/// `FROM..TO` or `FROM..TO..STEP`, of numbers or of single letters.
fn range(inside: &str) -> Result<Option<Vec<String>>, TooMany> {
    let parts: Vec<&str> = inside.split("..").collect();
    let (from, to, step) = match parts[..] {
        [from, to] => (from, to, 1),
        [from, to, step] => match step.parse::<i64>() {
            Ok(step) if step != 0 => (from, to, step.unsigned_abs()),
            _ => return Ok(None),
        },
        _ => return Ok(None),
    };
    let letter = |text: &str| match text.as_bytes() {
        [letter @ (b'a'..=b'z' | b'A'..=b'Z')] => Some(i64::from(*letter)),
        _ => None,
    };
    if let (Some(from), Some(to)) = (letter(from), letter(to)) {
        let letters =
            numbers(from, to, step)?.into_iter().filter_map(|code| u8::try_from(code).ok());
        return Ok(Some(letters.map(|code| char::from(code).to_string()).collect()));
    }
    let (Some(first), Some(last)) = (number(from), number(to)) else { return Ok(None) };
    let is_padded = |text: &str| text.trim_start_matches('-').starts_with('0') && text.len() > 1;
    let width = if is_padded(from) || is_padded(to) { from.len().max(to.len()) } else { 0 };
    let numbers = numbers(first, last, step)?;
    Ok(Some(numbers.into_iter().map(|number| format!("{number:0width$}")).collect()))
}

fn number(text: &str) -> Option<i64> {
    /// Enough for any number of files; sums of two such numbers do not overflow.
    const MAX_DIGITS: usize = 18;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = (1..=MAX_DIGITS).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// The numbers from `first` to `last`, ascending or descending.
fn numbers(first: i64, last: i64, step: u64) -> Result<Vec<i64>, TooMany> {
    let count = first.abs_diff(last) / step + 1;
    if count > MAX_NAMES as u64 {
        return Err(TooMany);
    }
    let step = i64::try_from(step).map_err(|_| TooMany);
    // A single number needs no step, however large the step is.
    let step = if count == 1 { 0 } else { step? };
    let step = if first <= last { step } else { -step };
    Ok((0..count as i64).map(|number| first + number * step).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_names(text: &str, expected: &[&str]) {
        let names = expand(text).unwrap().unwrap_or_else(|| vec!["nothing to expand".to_owned()]);
        assert_eq!(names, expected, "{text}");
    }

    // Expected names are those of bash 5.
    #[test]
    fn braces_are_expanded_as_bash_does() {
        assert_names("d-{08..11}.tar", &["d-08.tar", "d-09.tar", "d-10.tar", "d-11.tar"]);
        assert_names("{9..11}", &["9", "10", "11"]);
        assert_names("{1..003}", &["001", "002", "003"]);
        assert_names("{3..1}", &["3", "2", "1"]);
        assert_names("{0..10..5}x", &["0x", "5x", "10x"]);
        assert_names("{10..0..-4}", &["10", "6", "2"]);
        assert_names("{-1..1}", &["-1", "0", "1"]);
        assert_names("{-01..01}", &["-01", "000", "001"]);
        assert_names("{0..0}", &["0"]);
        assert_names("{c..a}", &["c", "b", "a"]);
        assert_names("{a,b}/{0..1}.tar", &["a/0.tar", "a/1.tar", "b/0.tar", "b/1.tar"]);
        assert_names("{a,b{1..2},}x", &["ax", "b1x", "b2x", "x"]);
        assert_names("{{a,b},c}", &["a", "b", "c"]);
        assert_names("{x}{1,2}", &["{x}1", "{x}2"]);
        assert_names("{é,{a}", &["nothing to expand"]);
    }

    #[test]
    fn non_expandable_braces_are_left_unchanged() {
        for text in ["a.tar", "{a}", "{}", "a{b", "a}b{", "{1..}", "{1..x}", "{1...3}", "{0..9..0}"]
        {
            assert_eq!(expand(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn an_expansion_is_bounded() {
        for text in ["{0..1048576}", "{0..9999}{0..9999}", "{1..999999999999999999}"] {
            assert_eq!(expand(text), Err(TooMany), "{text}");
        }
        let deep = format!("{}a,b{}", "{a,".repeat(40), "}".repeat(41));
        assert!(expand(&deep).is_err() || expand(&deep) == Ok(None));
        assert_names("{5..6..9223372036854775807}", &["5"]);
        assert_eq!(expand("{0..1048575}").unwrap().map(|names| names.len()), Some(1 << 20));
    }
}
