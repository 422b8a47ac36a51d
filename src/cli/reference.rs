//! `ebm reference DIR`: the generated pages and JSON Schemas of the documentation.

use std::path::PathBuf;

use super::status::Status;
use super::stdout::outln;
use crate::error::Error;
use crate::reference;

/// Columns of the help texts, whatever the terminal has.
const WIDTH: usize = 100;

#[derive(clap::Args)]
pub struct Args {
    /// The folder of the documentation
    dir: PathBuf,
}

pub fn run(args: &Args, program: clap::Command) -> anyhow::Result<Status> {
    let commands = ("src/reference/commands.md", commands(program));
    for (name, text) in reference::files().into_iter().chain([commands]) {
        let path = args.dir.join(name);
        let folder = path.parent().unwrap_or(&args.dir);
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        std::fs::write(&path, text).map_err(Error::io(&path))?;
        outln!("{}", path.display())?;
    }
    Ok(Status::Done)
}

/// The page of all commands, by their own help.
fn commands(program: clap::Command) -> String {
    let mut whole = program.term_width(WIDTH);
    whole.build();
    let mut page = reference::notice("Commands");
    page += "What `ebm --help` and `ebm COMMAND --help` print. Results go to stdout, messages to stderr.\n";
    page += &section("ebm", &mut whole);
    for command in whole
        .get_subcommands_mut()
        .filter(|c| !c.is_hide_set() && c.get_name() != "help")
    {
        let name = format!("ebm {}", command.get_name());
        page += &section(&name, command);
    }
    page
}

fn section(name: &str, command: &mut clap::Command) -> String {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end())
}
