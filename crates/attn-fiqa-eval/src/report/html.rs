//! HTML as text: everything that comes from outside is escaped here.

use std::fmt::Write;

/// Text that cannot end its element or attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' => safe.push('\n'),
            letter if letter.is_control() => safe.push('\u{fffd}'),
            letter => safe.push(letter),
        }
    }
    safe
}

/// A cell of a table.
pub(super) enum Cell {
    /// Words.
    Text(String),
    /// A number as it is shown, and by what it is sorted; absent ones come last.
    Number(String, Option<f64>),
    /// The best number of its column.
    Best(String, Option<f64>),
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn count(value: usize) -> Self {
        Self::Number(value.to_string(), Some(value as f64))
    }

    /// A fraction, in percent.
    pub(super) fn percent(value: Option<f64>) -> Self {
        let shown = value.map_or("–".to_owned(), |value| format!("{:.2} %", value * 100.0));
        Self::Number(shown, value)
    }
}

/// A table that a click on a heading sorts. Rows marked `true` are set apart.
pub(super) fn table(caption: &str, heading: &[String], rows: &[(bool, Vec<Cell>)]) -> String {
    let mut html = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\
         <caption>{0}</caption><thead><tr>",
        escaped(caption)
    );
    for name in heading {
        html +=
            &format!("<th scope=\"col\"><button type=\"button\">{}</button></th>", escaped(name));
    }
    html += "</tr></thead><tbody>\n";
    for (apart, cells) in rows {
        html += if *apart { "<tr class=\"apart\">" } else { "<tr>" };
        for (index, cell) in cells.iter().enumerate() {
            html += &match (index, cell) {
                (0, Cell::Text(text)) => format!("<th scope=\"row\">{}</th>", escaped(text)),
                (_, Cell::Text(text)) => format!("<td>{}</td>", escaped(text)),
                (_, Cell::Number(text, value)) => number(text, *value, ""),
                (_, Cell::Best(text, value)) => number(text, *value, " best"),
            };
        }
        html += "</tr>\n";
    }
    html + "</tbody></table></div>\n"
}

fn number(text: &str, value: Option<f64>, class: &str) -> String {
    let value = value.map_or(String::new(), |value| value.to_string());
    format!("<td class=\"number{class}\" data-value=\"{value}\">{}</td>", escaped(text))
}

/// A picture as part of the page.
pub(super) fn data_uri(kind: &str, bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut uri = String::with_capacity(bytes.len() * 4 / 3 + 32);
    write!(uri, "data:{kind};base64,").expect("writing to a string failed: this is a bug");
    for part in bytes.chunks(3) {
        let at = |index: usize| u32::from(part.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            let shown = digit <= part.len() as u32;
            uri.push(if shown { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(data_uri("a/b", bytes.as_bytes()), format!("data:a/b;base64,{text}"));
        }
    }
}
