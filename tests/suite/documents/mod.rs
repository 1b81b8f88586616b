//! What the documents say is what the binary does: commands run, names exist, fields are complete.

mod commands;
mod fields;
mod help;
mod names;
mod statements;
mod structure;
mod text;
