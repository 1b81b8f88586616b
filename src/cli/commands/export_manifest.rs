use std::io::BufWriter;
use std::sync::Arc;

use e3sync::destination::Address;
use e3sync::error::{Error, ErrorKind};
use e3sync::export_manifest::{self, ExportError};
use e3sync::progress::Counters;
use e3sync::select::DaysWanted;
use e3sync::source::Watch;

use super::{BUCKET_RETRIES, Outcome};
use crate::cli::args::{ExportManifestArgs, FormArg};
use crate::cli::decide::{self, Present};
use crate::cli::render::lines::Lines;
use crate::cli::success;

/// Runs `e3sync export-manifest`.
pub async fn run(arguments: &ExportManifestArgs) -> Outcome {
    let present = Present::read(arguments.selection.today)?;
    let destination = decide::destination(&arguments.destination, &present, false, BUCKET_RETRIES)?;
    let selection = decide::selection(&arguments.selection, &present, DaysWanted::All)?;
    if arguments.format == FormArg::Redshift && !matches!(destination.address, Address::S3 { .. }) {
        return Err(Error::new(ErrorKind::Usage, format!("Redshift cannot load from {}", destination.address))
            .with_hint("it loads from buckets at S3; the other forms serve every destination"));
    }
    let observer = Arc::new(Lines::new(false, false));
    let watch = Watch { clock: present.clock.clone(), observer, counters: Arc::new(Counters::default()) };
    let files = destination.look(&watch).await?;
    let partitions = selection.of_published(&files.days().await?)?;
    let mut output = BufWriter::with_capacity(64 * 1024, std::io::stdout());
    let form = arguments.format.into();
    match export_manifest::export(files.as_ref(), &partitions, &selection.scope, form, &mut output).await {
        Ok(()) => success(),
        Err(ExportError::Unreadable(error)) => Err(error),
        // A reader that has seen enough is no failure.
        Err(ExportError::Unwritable(cause)) if cause.kind() == std::io::ErrorKind::BrokenPipe => success(),
        Err(ExportError::Unwritable(cause)) => {
            Err(Error::new(ErrorKind::Usage, "cannot write to standard output").with_cause(cause))
        }
    }
}
