//! Splits a line of text into its fields.

use std::borrow::Cow;

/// The separator between the fields of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    Comma,
    Tab,
    /// One or more spaces.
    Spaces,
}

impl Separator {
    /// A tab if there is one, else a comma, else spaces: the rarer a character is in paths, the
    /// more likely it is a separator.
    pub(super) fn of(line: &str) -> Self {
        match line {
            _ if line.contains('\t') => Self::Tab,
            _ if line.contains(',') => Self::Comma,
            _ => Self::Spaces,
        }
    }

    fn character(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Tab => '\t',
            Self::Spaces => ' ',
        }
    }

    /// Splits a line; a field in double quotes may contain the separator, and a doubled quote in it
    /// stands for one quote. Spaces around a field are trimmed. `None` if a quote is not closed or
    /// text follows the closing one.
    pub(super) fn split(self, line: &str) -> Option<Vec<Cow<'_, str>>> {
        let mut fields = Vec::new();
        let mut rest = line.trim_matches(' ');
        loop {
            let (field, after) = match rest.strip_prefix('"') {
                Some(quoted) => {
                    let (field, after) = quoted_field(quoted)?;
                    let after = after.trim_start_matches(' ');
                    // Separating spaces have just been skipped.
                    let after = match self {
                        Self::Spaces => (!after.is_empty()).then_some(after),
                        _ if after.is_empty() => None,
                        _ => Some(after.strip_prefix(self.character())?),
                    };
                    (field, after)
                }
                None => match rest.split_once(self.character()) {
                    Some((field, after)) => (Cow::Borrowed(field.trim_end()), Some(after)),
                    None => (Cow::Borrowed(rest), None),
                },
            };
            fields.push(field);
            match after {
                None => return Some(fields),
                Some(after) => rest = after.trim_start_matches(' '),
            }
        }
    }
}

/// The field up to its closing quote, and the text after that.
fn quoted_field(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let (first, mut after) = text.split_once('"')?;
    let mut field = Cow::Borrowed(first);
    while let Some(doubled) = after.strip_prefix('"') {
        let (more, rest) = doubled.split_once('"')?;
        let field = field.to_mut();
        field.push('"');
        field.push_str(more);
        after = rest;
    }
    Some((field, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Option<Vec<String>> {
        let fields = Separator::of(line).split(line)?;
        Some(fields.into_iter().map(Cow::into_owned).collect())
    }

    fn strings<const N: usize>(fields: [&str; N]) -> Option<Vec<String>> {
        Some(fields.map(str::to_owned).to_vec())
    }

    #[test]
    fn fields_are_split_at_commas_tabs_or_spaces() {
        assert_eq!(split("a b.jpg,1, 2 ,"), strings(["a b.jpg", "1", "2", ""]));
        assert_eq!(split("a, b.jpg\t1\t2"), strings(["a, b.jpg", "1", "2"]));
        assert_eq!(split("a.jpg   1 2  "), strings(["a.jpg", "1", "2"]));
        assert_eq!(split("a.jpg"), strings(["a.jpg"]));
    }

    #[test]
    fn quoted_fields_may_contain_separators_and_quotes() {
        assert_eq!(split(r#""a, ""b"".jpg" ,1"#), strings([r#"a, "b".jpg"#, "1"]));
        assert_eq!(split(r#""a b.jpg" 1  2"#), strings(["a b.jpg", "1", "2"]));
        assert_eq!(split(r#""""#), strings([""]));
        assert_eq!(split(r#"5" wide.jpg,1"#), strings([r#"5" wide.jpg"#, "1"]));
        assert_eq!(split(r#""open,1"#), None);
        assert_eq!(split(r#""a"b,1"#), None);
    }
}
