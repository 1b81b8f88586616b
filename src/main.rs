//! The `e3sync` command: parses, runs, exits.

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
