//! Runs `export-manifest`: prints what is published in the forms that other tools take.

use std::io::{BufWriter, Seek as _};
use std::sync::Arc;

use e3sync::destination::Address;
use e3sync::error::{Error, ErrorKind};
use e3sync::export_manifest::{self, ExportError};
use e3sync::plan::DaysWanted;
use e3sync::progress::Counters;
use e3sync::retry::ATTEMPTS_MAX_DEFAULT;
use e3sync::source::Watch;

use super::{Outcome, success};
use crate::cli::args::{ExportManifestArgs, FormArg};
use crate::cli::decide::{self, Present};
use crate::cli::output;
use crate::cli::render::lines::Lines;

/// Runs `e3sync export-manifest`.
pub async fn run(arguments: &ExportManifestArgs) -> Outcome {
    let present = Present::read(arguments.selection.today)?;
    let destination = decide::destination(&arguments.destination, &present, false, ATTEMPTS_MAX_DEFAULT)?;
    let selection = decide::selection(&arguments.selection, &present, DaysWanted::All)?;
    if arguments.format == FormArg::Redshift && !matches!(destination.address, Address::S3 { .. }) {
        return Err(Error::new(ErrorKind::Usage, format!("Redshift cannot load from {}", destination.address))
            .with_hint("it loads from buckets at S3; the other forms serve every destination"));
    }
    let observer = Arc::new(Lines::new(false, false));
    let watch = Watch { clock: present.clock.clone(), observer, counters: Arc::new(Counters::default()) };
    let files = destination.look(&watch).await?;
    let partitions = selection.of_published(&files.days().await?)?;
    // Half a list would be taken for a whole one by whoever reads on, so that none begins before all
    // manifests are read.
    let told = |cause| Error::new(ErrorKind::Usage, "cannot write to a temporary file").with_cause(cause);
    let mut list = BufWriter::with_capacity(64 * 1024, tempfile::tempfile().map_err(told)?);
    let form = arguments.format.into();
    match export_manifest::export(files.as_ref(), &partitions, &selection.scope, form, &mut list).await {
        Ok(()) => {}
        Err(ExportError::Unreadable(error)) => return Err(error),
        Err(ExportError::Unwritable(cause)) => return Err(told(cause)),
    }
    let mut list = list.into_inner().map_err(|error| told(error.into_error()))?;
    list.rewind().map_err(told)?;
    output::is_written(std::io::copy(&mut list, &mut std::io::stdout().lock()).map(drop));
    success()
}
