//! The options of a run that its rows depend on, as they were typed or are by default.

use clap::ArgMatches;

/// Options that change no row, and those that say which images are taken: a
/// [`Shard`](crate::journal::Shard) is compared on its own. `max_memory` does change rows: a larger
/// image becomes one that says so.
const IGNORED_OPTIONS: [&str; 6] =
    ["output", "sheet", "overwrite", "skip_existing", "recursive", "shard"];

/// Options that name the inputs.
const INPUTS: [&str; 3] = ["inputs", "list", "root"];

/// A command and its options by their flags, each with its values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Typed {
    pub(crate) command: String,
    pub(crate) settings: Vec<(String, Vec<String>)>,
    pub(crate) inputs: Vec<(String, Vec<String>)>,
}

impl Typed {
    /// The options typed for a command, without those that all commands have: none of those
    /// changes a row.
    pub(super) fn new(command: &clap::Command, matches: &ArgMatches) -> Self {
        let mut typed = Self { command: command.get_name().to_owned(), ..Self::default() };
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            let given = matches.try_contains_id(id).unwrap_or(false);
            if IGNORED_OPTIONS.contains(&id) || !given {
                continue;
            }
            let values: Vec<String> = matches
                .get_raw(id)
                .map(|values| values.map(|value| value.to_string_lossy().into_owned()).collect())
                .unwrap_or_default();
            let name = match arg.get_long() {
                Some(long) => format!("--{long}"),
                None => "INPUT".to_owned(),
            };
            let to = if INPUTS.contains(&id) { &mut typed.inputs } else { &mut typed.settings };
            to.push((name, values));
        }
        typed
    }
}
