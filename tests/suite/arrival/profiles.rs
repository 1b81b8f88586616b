//! Every kind of AWS identity that can be had without AWS, for the destination and for the source.

use std::net::TcpListener;
use std::path::Path;

use e3sync::simulator::Cloud;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::issuers::{ENDS, Issuers, Keys};
use crate::harness::{CustomerLake, E3sync, Export, TODAY};

const SESSION: &str = "IQoJb3JpZ2luX2VjEA/session+token==";

/// A bucket that is open only to keys which somebody has to give out.
struct Closed {
    export: Export,
    lake: CustomerLake,
    issuers: Issuers,
    home: tempfile::TempDir,
}

impl Closed {
    fn new() -> Self {
        let lake = CustomerLake::with(Cloud::S3, "optimizely", |settings| {
            settings.session_token = Some(SESSION.to_owned());
        });
        let key = lake.bucket().settings().access_key.clone();
        let keys = Keys { id: key.access_key_id, secret: key.secret_access_key, session: SESSION.to_owned() };
        Self { export: Export::of_noise(1, 1), lake, issuers: Issuers::start(keys), home: tempfile::tempdir().unwrap() }
    }

    fn keys(&self) -> (String, String) {
        let key = &self.lake.bucket().settings().access_key;
        (key.access_key_id.clone(), key.secret_access_key.clone())
    }

    fn put(&self, path: &str, text: &str) {
        put(self.home.path(), path, text);
    }

    /// A run whose only AWS identity is what the home folder and the given variables have.
    fn sync(&self) -> E3sync {
        let call = self.lake.sync(&self.export).env("HOME", self.home.path().to_str().unwrap());
        let call = call.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        call.env("AWS_ENDPOINT_URL_STS", &self.issuers.url()).env("AWS_ENDPOINT_URL_SSO", &self.issuers.url())
    }

    fn works(&self, kind: &str, call: E3sync) {
        self.lake.bucket().forget_requests();
        call.run().expect(0);
        let log = self.lake.bucket().requests().log;
        assert!(!log.is_empty(), "{kind}");
        assert!(log.iter().all(|request| request.session_token.as_deref() == Some(SESSION)), "{kind}");
    }
}

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn a_program_gives_the_keys_out() {
    let closed = Closed::new();
    let (id, secret) = closed.keys();
    let printed = json!({ "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret, "SessionToken": SESSION });
    closed.put("keys.json", &printed.to_string());
    let path = closed.home.path().join("keys.json");
    closed.put(".aws/config", &format!("[profile lake]\ncredential_process = cat {}\n", path.display()));
    closed.works("credential_process", closed.sync().args(["--dest-profile", "lake"]));
    closed.works("credential_process by AWS_PROFILE", closed.sync().env("AWS_PROFILE", "lake"));
    let broken = printed.to_string().replace(SESSION, "Hidden0\\nValue");
    closed.put("keys.json", &broken);
    let finished = closed.sync().secret("Hidden0").args(["--dest-profile", "lake"]).run().expect(2);
    finished.says("the session token from the AWS profile `lake` has a line end in it");
}

#[test]
fn a_role_is_assumed_with_the_keys_of_another_profile_or_of_the_environment() {
    let closed = Closed::new();
    closed.put(
        ".aws/config",
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base\n\
         [profile lake]\nrole_arn = arn:aws:iam::123456789012:role/lake\nsource_profile = base\n\
         [profile ambient]\nrole_arn = arn:aws:iam::123456789012:role/lake\ncredential_source = Environment\n",
    );
    closed.works("source_profile", closed.sync().args(["--dest-profile", "lake"]));
    assert!(closed.issuers.asked().contains("Action=AssumeRole&"), "{}", closed.issuers.asked());
    let call = closed.sync().args(["--dest-profile", "ambient"]);
    closed.works("credential_source", call.env("AWS_ACCESS_KEY_ID", "AKIAENV").env("AWS_SECRET_ACCESS_KEY", "env"));
}

#[test]
fn a_web_identity_becomes_a_role() {
    let closed = Closed::new();
    closed.put("jwt", "eyJhbGciOiJub25lIn0.e30.c2ln");
    let token = closed.home.path().join("jwt");
    let token = token.to_str().unwrap();
    let call = closed.sync().env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/lake");
    closed.works("web identity", call.env("AWS_WEB_IDENTITY_TOKEN_FILE", token));
    assert!(closed.issuers.asked().contains("AssumeRoleWithWebIdentity"), "{}", closed.issuers.asked());
    let profile =
        format!("[profile lake]\nrole_arn = arn:aws:iam::123456789012:role/lake\nweb_identity_token_file = {token}\n");
    closed.put(".aws/config", &profile);
    closed.works("web identity by profile", closed.sync().args(["--dest-profile", "lake"]));
}

#[test]
fn a_container_and_a_machine_give_the_keys_of_their_role() {
    let closed = Closed::new();
    let container = format!("{}/container", closed.issuers.url());
    closed.works("container", closed.sync().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container));
    closed.put("pod", "pod-token");
    let pod = closed.home.path().join("pod");
    let call = closed.sync().env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container);
    closed.works("pod identity", call.env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", pod.to_str().unwrap()));
    closed.works("machine", closed.sync().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &closed.issuers.url()));
    closed.put(
        ".aws/config",
        "[profile lake]\nrole_arn = arn:aws:iam::123456789012:role/lake\ncredential_source = Ec2InstanceMetadata\n",
    );
    let call = closed.sync().args(["--dest-profile", "lake"]);
    closed.works("credential_source", call.env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &closed.issuers.url()));
}

fn hex_of(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SSO: &str = "[profile lake]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = lake\n\
                   [sso-session corp]\nsso_region = eu-central-1\nsso_start_url = https://corp.awsapps.com/start\n";

fn sso_login(closed: &Closed, ends: &str) {
    use sha1::Digest as _;
    closed.put(".aws/config", SSO);
    let cached = json!({
        "accessToken": "sso-access", "expiresAt": ends, "region": "eu-central-1",
        "startUrl": "https://corp.awsapps.com/start",
    });
    let name = hex_of(&sha1::Sha1::digest(b"corp"));
    closed.put(&format!(".aws/sso/cache/{name}.json"), &cached.to_string());
}

#[test]
fn a_single_sign_on_serves_and_one_that_is_over_says_what_to_run() {
    let closed = Closed::new();
    sso_login(&closed, ENDS);
    closed.works("single sign-on", closed.sync().args(["--dest-profile", "lake"]));
    sso_login(&closed, "2020-01-01T00:00:00Z");
    let finished = closed.sync().args(["--dest-profile", "lake"]).run().expect(4);
    finished.says("`aws sso login --profile lake`");
}

#[test]
fn a_login_of_the_console_serves_and_one_that_is_missing_says_what_to_run() {
    let closed = Closed::new();
    let (id, secret) = closed.keys();
    let session = "arn:aws:iam::123456789012:user/ana";
    closed.put(".aws/config", &format!("[profile lake]\nlogin_session = {session}\nregion = eu-central-1\n"));
    let finished = closed.sync().args(["--dest-profile", "lake"]).run().expect(4);
    finished.says("`aws login --profile lake`");
    let cached = json!({
        "accessToken": {
            "accessKeyId": id, "secretAccessKey": secret, "sessionToken": SESSION,
            "accountId": "123456789012", "expiresAt": ENDS,
        },
        "tokenType": "aws_sigv4", "refreshToken": "r", "idToken": "i", "clientId": "arn:aws:signin:::devtools/same-device",
        "dpopKey": "k",
    });
    let name = hex_of(&Sha256::digest(session.as_bytes()));
    closed.put(&format!(".aws/login/cache/{name}.json"), &cached.to_string());
    closed.works("aws login", closed.sync().args(["--dest-profile", "lake"]));
}

#[test]
fn a_profile_that_is_missing_or_of_no_known_kind_is_told_with_its_name() {
    let closed = Closed::new();
    closed.put(".aws/config", "[profile odd]\nregion = eu-central-1\nnew_kind_of_login = 1\n");
    for name in ["odd", "absent"] {
        let finished = closed.sync().args(["--dest-profile", name]).run();
        assert_eq!(finished.code, Some(2), "{}", finished.stderr);
        finished.says(&format!("check the profile `{name}`"));
    }
    let source = closed.export.command("ls").env_remove("OPTIMIZELY_API_TOKEN").env("E3SYNC_SOURCE", "s3");
    let source = source.env("HOME", closed.home.path().to_str().unwrap());
    let source = source.args(["--last", "1d", "--source-profile", "absent", "--account-id", "1"]);
    source.run().expect(2).says("no AWS credentials for the source").says("check the profile `absent`");
}

#[test]
fn the_source_takes_the_same_kinds_of_identity() {
    let export = Export::with(|settings| {
        settings.days = 1;
        settings.clouds = vec![Cloud::S3];
        settings.success_on = vec![Cloud::S3];
    });
    let printed = export.command("auth").env("E3SYNC_SOURCE", "s3").args(["--format", "json"]).run().expect(0).stdout;
    let issued: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let text = |name: &str| issued[name].as_str().unwrap().to_owned();
    let keys = Keys { id: text("accessKeyId"), secret: text("secretAccessKey"), session: text("sessionToken") };
    let (issuers, home) = (Issuers::start(keys), tempfile::tempdir().unwrap());
    put(
        home.path(),
        ".aws/config",
        "[profile base]\naws_access_key_id = AKIABASE\naws_secret_access_key = base\n\
         [profile vendor]\nrole_arn = arn:aws:iam::123456789012:role/lake\nsource_profile = base\n",
    );
    let account = export.simulator().account().id().to_owned();
    let call = || {
        let call = export.command("ls").env_remove("OPTIMIZELY_API_TOKEN").env("E3SYNC_SOURCE", "s3");
        let call = call.env("HOME", home.path().to_str().unwrap()).env("AWS_ENDPOINT_URL_STS", &issuers.url());
        call.args(["--date", "2026-11-20", "--today", TODAY, "--account-id", &account])
    };
    call().args(["--source-profile", "vendor"]).run().expect(0);
    assert!(issuers.asked().contains("Action=AssumeRole&"), "{}", issuers.asked());
    let container = format!("{}/container", issuers.url());
    call().arg("--source-ambient").env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &container).run().expect(0);
    assert!(issuers.asked().contains("/container"), "{}", issuers.asked());
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let finished = call().arg("--source-ambient").env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url).run().expect(4);
    finished.says("hop limit").says("--source-profile");
}

#[test]
fn keys_of_the_sources_profile_are_looked_at_as_well() {
    let closed = Closed::new();
    closed.put(".aws/credentials", "[vendor]\naws_access_key_id = \"AKIA\"\naws_secret_access_key = Hidden0Value\n");
    let call = closed.export.command("ls").env_remove("OPTIMIZELY_API_TOKEN").env("E3SYNC_SOURCE", "s3");
    let call = call.env("HOME", closed.home.path().to_str().unwrap()).secret("Hidden0Value");
    let finished = call.args(["--last", "1d", "--source-profile", "vendor", "--account-id", "1"]).run().expect(2);
    finished.says("the access key id from the AWS profile `vendor` is in quotes");
}

#[test]
fn a_metadata_server_that_never_answers_is_a_refusal_with_the_way_out() {
    let closed = Closed::new();
    // The system accepts connections for it, and nobody ever reads from them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let finished = closed.sync().env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &url).run().expect(4);
    finished.says("metadata server").says("hint: ").says("hop limit").says("--dest-profile");
}
