//! Runs `man`: writes a manual page for each verb.

use std::io::Write;
use std::path::Path;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use e3sync::error::{Error, ErrorKind};

use super::{Outcome, success};
use crate::cli::args::Arguments;
use crate::cli::args::ManArgs;
use crate::cli::output;

/// Runs `e3sync man`.
pub fn run(arguments: &ManArgs) -> Outcome {
    let folder = arguments.folder.as_path();
    let cannot = |cause: std::io::Error| {
        Error::new(ErrorKind::Usage, format!("cannot write manual pages to {}", folder.display()))
            .with_hint("name a directory that this user may write")
            .with_cause(cause)
    };
    std::fs::create_dir_all(folder).map_err(cannot)?;
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let (examples, codes) = examples_and_codes(&command);
    let command = command.after_help(examples);
    write_page(&command, &codes, folder, "e3sync").map_err(cannot)?;
    let mut pages = 1;
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        write_page(verb, &codes, folder, &format!("e3sync-{}", verb.get_name())).map_err(cannot)?;
        pages += 1;
    }
    output::message(format_args!("{pages} manual pages are in {}", folder.display()));
    success()
}

/// What stands behind the help of the whole command: its examples, and the exit codes of all verbs.
fn examples_and_codes(command: &Command) -> (String, String) {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let (examples, codes) = text.split_once("\n\nExit codes: ").unwrap_or((&text, ""));
    (examples.to_owned(), codes.trim_end_matches('.').to_owned())
}

fn write_page(command: &Command, codes: &str, folder: &Path, name: &str) -> std::io::Result<()> {
    let mut page = Vec::new();
    render(command, name, &mut page)?;
    render_codes(codes, &mut page)?;
    std::fs::write(folder.join(format!("{name}.1")), page)
}

/// A page. The examples are set as they are: the generator would fill them into one paragraph.
fn render(command: &Command, name: &str, page: &mut Vec<u8>) -> std::io::Result<()> {
    let examples = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command.clone().display_name(name.to_owned())).title(name);
    let man = man.source(concat!("e3sync ", env!("CARGO_PKG_VERSION"))).manual("e3sync");
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
        man.render_subcommands_section(page)?;
    }
    if let Some(examples) = examples {
        as_it_is(&examples, page)?;
    }
    Ok(())
}

/// The exit codes, `0 all published; 1 failed`, as a list.
fn render_codes(codes: &str, page: &mut impl Write) -> std::io::Result<()> {
    writeln!(page, ".SH \"EXIT STATUS\"")?;
    for code in codes.split(';').map(str::trim) {
        let words = code.find(|letter: char| letter.is_alphabetic()).unwrap_or(code.len());
        let (numbers, meaning) = code.split_at(words);
        writeln!(page, ".TP\n{}\n{}", numbers.trim_end(), escaped(&meaning.replace('\n', " ")))?;
    }
    Ok(())
}

fn as_it_is(text: &str, page: &mut impl Write) -> std::io::Result<()> {
    let (heading, text) = match text.strip_prefix("Examples:\n") {
        Some(text) => ("EXAMPLES", text),
        None => ("MORE", text),
    };
    writeln!(page, ".SH {heading}\n.nf")?;
    for line in text.lines() {
        writeln!(page, "{}", escaped(line))?;
    }
    writeln!(page, ".fi")
}

/// A line of text that the formatter takes for nothing else.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    // A dot at the beginning of a line would be a request.
    if line.starts_with('.') { format!("\\&{line}") } else { line }
}
