//! The blocks of code in a Markdown file.

/// A fenced block.
pub(crate) struct Block {
    /// Number of the line after the fence, from 1.
    pub(crate) line: usize,
    /// The first word after the fence, such as `sh`.
    pub(crate) language: String,
    /// Why no test can run it: the word after `no-run=`.
    pub(crate) no_run: Option<String>,
    pub(crate) text: String,
}

pub(crate) fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut indent = 0;
    for (index, line) in markdown.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(info), None) => {
                let mut words = info.split_whitespace();
                let language = words.next().unwrap_or_default().to_owned();
                let no_run = words.find_map(|word| word.strip_prefix("no-run=")).map(str::to_owned);
                // A block in a list is indented like its fence.
                indent = line.len() - line.trim_start().len();
                open = Some(Block { line: index + 2, language, no_run, text: String::new() });
            }
            (None, Some(block)) => {
                block.text += line.get(indent..).unwrap_or_default();
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}
