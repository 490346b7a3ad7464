//! The command line as `clap` sees it: commands in groups, and defaults of a configuration file.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{ColorChoice, CommandFactory, FromArgMatches};

use super::{Cli, Typed, config};

const EVERYDAY: &[&str] = if cfg!(feature = "serve") {
    &[
        "score", "best", "gate", "measure", "map", "detect", "crop", "embed", "merge", "filter",
        "serve",
    ]
} else {
    &["score", "best", "map", "detect", "crop", "embed", "merge", "filter"]
};

/// The commands by purpose, in the order of the help.
const GROUPS: [(&str, &[&str]); 3] = [
    ("Everyday", EVERYDAY),
    (
        "Evaluation",
        &["edc", "verify", "advise", "groups", "benchmark", "report", "degrade", "validate"],
    ),
    ("Models and shell", &["calibrate", "model", "completions", "man"]),
];

/// The command line without a configuration file.
pub(crate) fn command() -> clap::Command {
    let command = Cli::command();
    #[cfg(feature = "serve")]
    let command = command.mut_subcommand("serve", super::serve::with_variables);
    let width = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max();
    let mut list = String::new();
    for (group, names) in GROUPS {
        list += &format!("{group}:\n");
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            list += &format!("  {name:width$}  {about}\n", width = width.unwrap_or_default());
        }
        list += "\n";
    }
    command.help_template(format!(
        "{{about-with-newline}}{{usage-heading}} {{usage}}\n\n{list}{{options}}{{after-help}}"
    ))
}

/// Reads the command line. Defaults come from the environment and from the configuration file that
/// it names.
///
/// # Errors
///
/// If that file cannot be read. Wrong arguments and `--help` end the process.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> anyhow::Result<Cli> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = command();
    let color = value_of(&args, "--color").or_else(|| std::env::var_os("ATTN_FIQA_COLOR"));
    if let Some(color) = color.and_then(|value| value.to_str()?.parse::<ColorChoice>().ok()) {
        command = command.color(color);
    }
    let file = value_of(&args, "--config").or_else(|| std::env::var_os("ATTN_FIQA_CONFIG"));
    if let Some(file) = file.filter(|file| !file.is_empty()).map(PathBuf::from) {
        let plain = command.clone();
        command = config::read(&file)?.apply(command);
        let found = command.clone().try_get_matches_from(&args);
        if let Err(error) = found
            && plain.try_get_matches_from(&args).is_ok()
        {
            let error = error.to_string();
            let line = error.lines().next().unwrap_or_default().trim_start_matches("error: ");
            anyhow::bail!("{}: {line}", file.display());
        }
    }
    let defined = command.clone();
    let matches = command.get_matches_from(args);
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Some((name, matches)) = matches.subcommand()
        && let Some(command) = defined.find_subcommand(name)
    {
        cli.run.typed = Typed::new(command, matches);
    }
    #[cfg(feature = "serve")]
    if let (super::Command::Serve(args), Some((_, matches))) =
        (&mut cli.command, matches.subcommand())
    {
        args.configuration = config::describe(matches);
    }
    Ok(cli)
}

/// The value of an option that decides how the others are read.
fn value_of(args: &[OsString], flag: &str) -> Option<OsString> {
    let args = args.iter().take_while(|arg| *arg != "--");
    let mut value = None;
    let mut is_next = false;
    for arg in args {
        if is_next {
            value = Some(arg.clone());
        }
        is_next = arg == flag;
        let joined = arg.to_str().and_then(|arg| arg.strip_prefix(flag)?.strip_prefix('='));
        if let Some(joined) = joined {
            value = Some(OsStr::new(joined).to_owned());
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// Every command, and every command of `model`, by its path.
    fn commands() -> Vec<(String, clap::Command)> {
        let mut root = command();
        root.build();
        let mut found = Vec::new();
        let mut open = vec![("attn-fiqa".to_owned(), root)];
        while let Some((path, command)) = open.pop() {
            for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
                open.push((format!("{path} {}", inner.get_name()), inner.clone()));
            }
            found.push((path, command));
        }
        found
    }

    #[test]
    fn cli_definition_is_valid() {
        command().debug_assert();
    }

    #[test]
    fn every_command_belongs_to_one_help_group() {
        let grouped: Vec<&str> = GROUPS.iter().flat_map(|(_, names)| *names).copied().collect();
        let distinct: BTreeSet<&str> = grouped.iter().copied().collect();
        assert_eq!(distinct.len(), grouped.len());
        let command = command();
        let names: BTreeSet<&str> =
            command.get_subcommands().map(clap::Command::get_name).collect();
        assert_eq!(names, distinct);
    }

    #[cfg(feature = "serve")]
    #[test]
    fn every_option_of_serve_has_a_variable_and_a_key() {
        let commands = commands();
        let (_, serve) = commands.iter().find(|(path, _)| path == "attn-fiqa serve").expect("it");
        let values = serve.get_arguments().filter(|arg| arg.get_action().takes_values());
        for arg in values {
            let Some(long) = arg.get_long() else { panic!("{} has no name", arg.get_id()) };
            let variable = format!("ATTN_FIQA_{}", long.to_uppercase().replace('-', "_"));
            assert_eq!(arg.get_env(), Some(OsStr::new(&variable)), "--{long}");
            assert!(long == "config" || config::KEYS.contains(&long), "--{long}");
        }
    }

    #[test]
    fn short_help_fits_on_a_page() {
        let mut long = String::new();
        for (path, command) in commands() {
            let help = command.term_width(100).render_help().to_string();
            let lines = help.lines().count();
            if lines > 40 {
                long += &format!("{path} -h has {lines} lines:\n{help}\n");
            }
        }
        assert!(long.is_empty(), "{long}");
    }

    #[test]
    fn every_example_can_be_parsed() {
        for (path, mut command) in commands() {
            for help in
                [command.render_help(), command.render_long_help()].map(|help| help.to_string())
            {
                let (_, examples) = help
                    .split_once("Examples:\n")
                    .unwrap_or_else(|| panic!("{path} has no examples"));
                let examples = examples.replace("\\\n", " ");
                for line in examples.lines().filter(|line| !line.trim().is_empty()) {
                    let line = line.split(" > ").next().unwrap_or_default();
                    let words = line.split_whitespace().map(|word| word.trim_matches('\''));
                    let parsed = super::command().try_get_matches_from(words);
                    assert!(parsed.is_ok(), "{path}: `{line}`: {}", parsed.unwrap_err());
                    assert!(line.trim().starts_with(&path), "{path}: `{line}`");
                }
            }
        }
    }

    /// One flag has one meaning: wherever it is offered it takes the same kind of value, and
    /// one short form belongs to one flag.
    #[test]
    fn flag_value_names_are_consistent_across_commands() {
        // A file or a folder, one value or several: the meaning is the same, but depends on the
        // command.
        const BY_COMMAND: [&str; 7] =
            ["output", "method", "columns", "format", "quality", "fmr", "start-fnmr"];
        let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut shorts: BTreeMap<char, BTreeSet<String>> = BTreeMap::new();
        for (_, command) in commands() {
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let Some(long) = arg.get_long() else { continue };
                if let Some(short) = arg.get_short() {
                    shorts.entry(short).or_default().insert(long.to_owned());
                }
                let names = arg.get_value_names().unwrap_or_default();
                let value = match arg.get_action().takes_values() {
                    true => {
                        names.iter().map(|name| name.trim_end_matches(",…").to_owned()).collect()
                    }
                    false => String::new(),
                };
                values.entry(long.to_owned()).or_default().insert(value);
            }
        }
        for (flag, values) in values {
            let allowed = if BY_COMMAND.contains(&flag.as_str()) { 4 } else { 1 };
            assert!(values.len() <= allowed, "--{flag} takes {values:?}");
        }
        for (short, flags) in shorts {
            assert_eq!(flags.len(), 1, "-{short} is {flags:?}");
        }
    }

    /// Two flags with one meaning have, as a rule, the same help.
    #[test]
    fn identical_help_implies_identical_flag() {
        let mut flags: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (_, command) in commands() {
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                if let (Some(long), Some(help)) = (arg.get_long(), arg.get_help()) {
                    flags.entry(help.to_string()).or_default().insert(long.to_owned());
                }
            }
        }
        for (help, flags) in flags {
            assert_eq!(flags.len(), 1, "{flags:?} are all: {help}");
        }
    }

    #[test]
    fn value_of_takes_last_value_before_double_dash() {
        let args = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let value = |line| value_of(&args(line), "--config");
        assert_eq!(value("attn-fiqa score --config a.toml x"), Some("a.toml".into()));
        assert_eq!(value("attn-fiqa --config=a score --config b x"), Some("b".into()));
        assert_eq!(value("attn-fiqa score -- --config a"), None);
    }
}
