//! Whose tokens write into a bucket at Google: every kind of credentials against servers on this
//! machine, and Google's own library as the judge of what is asked of them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use e3sync::simulator::{BucketOperation, Cloud, When};
use serde_json::{Value, json};

use crate::bucket_faults::lake::{DATA, Lake};
use crate::harness::{Asked, E3sync, TokenServer, python};

const AUDIENCE: &str = "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/gh";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const IMPERSONATION: &str = "/v1/projects/-/serviceAccounts/lake@p.iam.gserviceaccount.com:generateAccessToken";

/// A folder with credentials files, and the servers that they name.
struct Scene {
    lake: Lake,
    servers: TokenServer,
    folder: tempfile::TempDir,
}

impl Scene {
    /// Google's servers as they should be: the last one of each chain gives the bucket's own token.
    fn new() -> Self {
        Self::answering(|lake| {
            let bearer = lake.bucket().settings().bearer.clone();
            Box::new(move |asked| answer(asked, &bearer))
        })
    }

    fn answering(answers: impl FnOnce(&Lake) -> crate::harness::Answer) -> Self {
        let lake = Lake::small(Cloud::Gcs);
        let servers = TokenServer::start(answers(&lake));
        Self { lake, servers, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// A file of the kind `external_account` whose own token lies in a file.
    fn federated(&self) -> Value {
        let subject = self.write("subject", "the-providers-token\n");
        json!({
            "type": "external_account",
            "universe_domain": "googleapis.com",
            "audience": AUDIENCE,
            "subject_token_type": JWT,
            "token_url": format!("{}/v1/token", self.servers.url()),
            "credential_source": { "file": subject },
        })
    }

    fn impersonation_url(&self) -> String {
        format!("{}{IMPERSONATION}", self.servers.url())
    }

    fn command(&self, verb: &str) -> E3sync {
        self.lake
            .without_credentials(verb)
            .env("HOME", self.folder.path().to_str().unwrap())
            .env_remove("GOOGLE_OAUTH_ACCESS_TOKEN")
    }

    /// `sync` with a credentials file.
    fn sync(&self, file: &Value) -> E3sync {
        let file = self.write("credentials.json", &file.to_string());
        self.lake.all_days(self.command("sync")).env("GOOGLE_APPLICATION_CREDENTIALS", file.to_str().unwrap())
    }

    #[track_caller]
    fn assert_mirrored_by(&self, file: &Value) {
        self.sync(file).run().expect(0);
        self.lake.assert_mirrored("with these credentials");
    }
}

/// What Google's servers answer where the last in the chain gives `bearer`.
fn answer(asked: &Asked, bearer: &str) -> (u16, Value) {
    if asked.path == IMPERSONATION {
        return (200, json!({ "accessToken": bearer, "expireTime": "2099-01-01T00:00:00Z" }));
    }
    let is_last = !asked.body.contains("subject_token=the-callers-token");
    let token = if is_last { bearer } else { "the-callers" };
    (200, json!({ "access_token": token, "expires_in": 3599, "token_type": "Bearer" }))
}

#[test]
fn a_federated_identity_exchanges_its_own_token_once_for_a_run() {
    let scene = Scene::new();
    scene.assert_mirrored_by(&scene.federated());
    let asked = scene.servers.asked("/");
    assert_eq!(asked.len(), 1, "{asked:?}");
    for (name, value) in [
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("audience", AUDIENCE),
        ("scope", SCOPE),
        ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ("subject_token", "the-providers-token"),
        ("subject_token_type", JWT),
    ] {
        assert_eq!(asked[0].field(name), value);
    }
}

#[test]
fn a_federated_identity_acts_as_a_service_account() {
    let scene = Scene::new();
    let mut file = scene.federated();
    file["credential_source"]["file"] = json!(scene.write("callers", "the-callers-token"));
    file["service_account_impersonation_url"] = scene.impersonation_url().into();
    file["service_account_impersonation"] = json!({ "token_lifetime_seconds": 1200 });
    scene.assert_mirrored_by(&file);
    let asked = scene.servers.asked(IMPERSONATION);
    assert_eq!((asked.len(), scene.servers.asked("/v1/token").len()), (1, 1));
    assert_eq!(asked[0].header("authorization"), Some("Bearer the-callers"));
    let document: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(document, json!({ "delegates": [], "scope": [SCOPE], "lifetime": "1200s" }));
}

#[test]
fn an_identity_providers_token_comes_from_a_server_or_a_json_document() {
    let scene = Scene::answering(|lake| {
        let bearer = lake.bucket().settings().bearer.clone();
        Box::new(move |asked| match asked.path.as_str() {
            "/provider?api=1" => (200, json!({ "value": "the-providers-token" })),
            _ => answer(asked, &bearer),
        })
    });
    let mut file = scene.federated();
    let field = json!({ "type": "json", "subject_token_field_name": "value" });
    file["credential_source"] = json!({
        "url": format!("{}/provider?api=1", scene.servers.url()), "headers": { "Metadata": "True" }, "format": field,
    });
    scene.assert_mirrored_by(&file);
    assert_eq!(scene.servers.asked("/provider")[0].header("metadata"), Some("True"));
    assert_eq!(scene.servers.asked("/v1/token")[0].field("subject_token"), "the-providers-token");

    file["credential_source"] = json!({ "file": scene.write("doc", "{\"value\":\"kept\"}"), "format": field });
    scene.sync(&file).run().expect(0);
    assert_eq!(scene.servers.asked("/v1/token")[1].field("subject_token"), "kept");
    file["credential_source"]["format"]["subject_token_field_name"] = "other".into();
    scene.sync(&file).run().expect(4).says("is not where the credentials file says");
    file["credential_source"] = json!({ "file": scene.path("none") });
    scene.sync(&file).run().expect(4).says("cannot read the identity provider's token from");
}

#[test]
fn a_program_is_run_only_where_that_is_allowed() {
    let scene = Scene::new();
    let program = scene.write(
        "program",
        "#!/bin/sh\n[ \"$GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE\" = \"$1\" ] || exit 9\n\
         echo '{\"version\":1,\"success\":true,\"token_type\":\"x\",\"id_token\":\"of-the-program\"}'\n",
    );
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut file = scene.federated();
    file["credential_source"] = json!({ "executable": { "command": format!("{} {JWT}", program.display()) } });
    scene.sync(&file).run().expect(2).says("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES=1");
    let allowed = |file: &Value| scene.sync(file).env("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "1");
    allowed(&file).run().expect(0);
    scene.lake.assert_mirrored("by a program's token");
    assert_eq!(scene.servers.asked("/")[0].field("subject_token"), "of-the-program");
    scene.write(
        "program",
        "#!/bin/sh\necho '{\"version\":1,\"success\":false,\"code\":\"401\",\"message\":\"log in\"}'\n",
    );
    allowed(&file).run().expect(4).says("gives no token: 401: log in");
    scene.write("program", "#!/bin/sh\nexit 3\n");
    allowed(&file).run().expect(4).says("exit status: 3");
}

#[test]
fn an_aws_identity_is_proven_by_a_signed_request() {
    let scene = Scene::new();
    let mut file = scene.federated();
    file["subject_token_type"] = "urn:ietf:params:aws:token-type:aws4_request".into();
    file["credential_source"] = json!({
        "environment_id": "aws1",
        "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
    });
    let sync = scene.sync(&file).env("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE").env("AWS_REGION", "eu-west-1");
    sync.secret_env("AWS_SECRET_ACCESS_KEY", "the0key0of0aws").env("AWS_SESSION_TOKEN", "session").run().expect(0);
    scene.lake.assert_mirrored("by an AWS identity");
    let token = scene.servers.asked("/")[0].field("subject_token");
    let url = url::Url::parse(&format!("http://x/?t={token}")).unwrap();
    let document: Value = serde_json::from_str(&url.query_pairs().next().unwrap().1).unwrap();
    assert_eq!(document["url"], "https://sts.eu-west-1.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15");
    assert_eq!(document["method"], "POST");
    let headers = document["headers"].as_array().unwrap();
    let header = |name: &str| {
        let found = headers.iter().find(|header| header["key"].as_str().unwrap().eq_ignore_ascii_case(name));
        found.unwrap_or_else(|| panic!("no {name}: {headers:?}"))["value"].as_str().unwrap()
    };
    assert_eq!(header("x-goog-cloud-target-resource"), AUDIENCE);
    assert_eq!(header("x-amz-security-token"), "session");
    assert!(header("authorization").contains("/eu-west-1/sts/aws4_request"), "{headers:?}");
    assert!(header("authorization").contains("x-goog-cloud-target-resource"), "it is signed: {headers:?}");
}

#[test]
fn a_workforce_login_is_refreshed_and_may_act_as_a_service_account() {
    let scene = Scene::answering(|lake| {
        let bearer = lake.bucket().settings().bearer.clone();
        Box::new(move |asked| match asked.path.as_str() {
            "/v1/oauthtoken" => (200, json!({ "access_token": "the-callers", "expires_in": 3599 })),
            _ => answer(asked, &bearer),
        })
    });
    let login = json!({
        "type": "external_account_authorized_user", "client_id": "id", "client_secret": "hush",
        "refresh_token": "refresh/1", "token_url": format!("{}/v1/oauthtoken", scene.servers.url()),
    });
    scene.assert_mirrored_by(&json!({
        "type": "impersonated_service_account", "source_credentials": login, "delegates": ["a@b"],
        "service_account_impersonation_url": scene.impersonation_url(),
    }));
    let asked = scene.servers.asked("/v1/oauthtoken");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].header("authorization"), Some("Basic aWQ6aHVzaA=="));
    let form = [("grant_type", "refresh_token"), ("refresh_token", "refresh/1")];
    assert_eq!(asked[0].form(), form.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let document: Value = serde_json::from_str(&scene.servers.asked(IMPERSONATION)[0].body).unwrap();
    assert_eq!((&document["delegates"], &document["lifetime"]), (&json!(["a@b"]), &json!("3600s")));
}

/// Gives `second` in place of the bucket's first token from the second request on.
fn renewing(lake: &Lake, second: &'static str) -> crate::harness::Answer {
    let (first, count) = (lake.bucket().settings().bearer.clone(), Arc::new(AtomicUsize::new(0)));
    Box::new(move |asked| {
        let token = if count.fetch_add(1, Ordering::SeqCst) == 0 { first.as_str() } else { second };
        answer(asked, token)
    })
}

/// Runs while the bucket stops to take its first token in the middle, and takes only `second`.
fn run_through_a_renewal(scene: &Scene, sync: E3sync, second: &str) -> crate::harness::Finished {
    let gate = scene.lake.bucket().freeze(When::AfterEffect, BucketOperation::Put, DATA);
    let running = sync.args(["--concurrency", "1"]).start();
    scene.lake.wait_at(&gate);
    let key = scene.lake.bucket().settings().access_key.clone();
    scene.lake.bucket().renew_credentials(key, None, second);
    gate.open();
    running.wait()
}

#[test]
fn a_token_that_ends_in_the_middle_is_replaced_by_one_request() {
    let scene = Scene::answering(|lake| renewing(lake, "ya29.second"));
    run_through_a_renewal(&scene, scene.sync(&scene.federated()), "ya29.second").expect(0);
    scene.lake.assert_mirrored("with a second token");
    assert_eq!(scene.servers.asked("/").len(), 2);
}

#[test]
fn a_command_is_run_again_and_a_fixed_token_is_not_renewed() {
    let scene = Scene::new();
    let token = scene.write("token", &scene.lake.bucket().settings().bearer);
    let runs = scene.path("runs");
    let command = format!("echo run >> {}; cat {}", runs.display(), token.display());
    let gate = scene.lake.bucket().freeze(When::AfterEffect, BucketOperation::Put, DATA);
    let sync = scene.lake.all_days(scene.command("sync")).env("E3SYNC_DEST_TOKEN_COMMAND", &command);
    // What is named for this tool wins over what Google's libraries would take.
    let running = sync.args(["--concurrency", "1"]).env("GOOGLE_OAUTH_ACCESS_TOKEN", "of-nobody").start();
    scene.lake.wait_at(&gate);
    let key = scene.lake.bucket().settings().access_key.clone();
    scene.lake.bucket().renew_credentials(key, None, "ya29.second");
    scene.write("token", "ya29.second\n");
    gate.open();
    running.wait().expect(0);
    scene.lake.assert_mirrored("with the command's second token");
    assert_eq!(std::fs::read_to_string(runs).unwrap().lines().count(), 2);

    let scene = Scene::new();
    let fixed = scene.lake.all_days(scene.command("sync"));
    let fixed = fixed.env("GOOGLE_OAUTH_ACCESS_TOKEN", &scene.lake.bucket().settings().bearer);
    let finished = run_through_a_renewal(&scene, fixed, "ya29.second").expect(4);
    finished.says("warning: the token in GOOGLE_OAUTH_ACCESS_TOKEN ends").says("401").says("has ended");
}

#[test]
fn the_metadata_server_may_be_named_and_need_not_be_asked() {
    let scene = Scene::new();
    let sync = || scene.lake.all_days(scene.command("sync"));
    sync().env("GCE_METADATA_HOST", &scene.servers.host()).run().expect(0);
    scene.lake.assert_mirrored("by the machine's account");
    let asked = scene.servers.asked("/computeMetadata/v1/instance/service-accounts/default/token");
    assert_eq!((asked.len(), asked[0].header("metadata-flavor")), (1, Some("Google")));
    sync().env("NO_GCE_CHECK", "true").run().expect(2).says("NO_GCE_CHECK").says("GOOGLE_APPLICATION_CREDENTIALS");
    sync().env("GCE_METADATA_HOST", "a/b").run().expect(2).says("GCE_METADATA_HOST");
}

#[test]
fn a_refusal_is_told_in_the_servers_words_and_an_outage_as_that() {
    for (status, document, code, words) in [
        (400, json!({ "error": "invalid_grant", "error_description": "wrong audience" }), 4, "wrong audience"),
        (503, json!({}), 75, "(503)"),
        (307, json!({}), 1, "no redirect is followed"),
        (200, json!({ "token": 7 }), 1, "holds no token"),
    ] {
        let scene = Scene::answering(move |_| Box::new(move |_| (status, document.clone())));
        let finished = scene.sync(&scene.federated()).args(["--retries", "0"]).run().expect(code);
        finished.says("Google's Security Token Service").says(words);
        assert!(scene.lake.data().is_empty());
    }
    let scene = Scene::answering(|_| {
        Box::new(|asked| match asked.path.as_str() {
            IMPERSONATION => (
                403,
                json!({ "error": { "code": 403, "message": "no getAccessToken", "status": "PERMISSION_DENIED" } }),
            ),
            _ => (200, json!({ "access_token": "the-callers", "expires_in": 3599 })),
        })
    });
    let mut file = scene.federated();
    file["service_account_impersonation_url"] = scene.impersonation_url().into();
    scene.sync(&file).run().expect(4).says("PERMISSION_DENIED): no getAccessToken").says("serviceAccountTokenCreator");
}

#[test]
fn an_address_that_must_not_get_a_token_is_refused_before_anything_is_sent() {
    let scene = Scene::new();
    for (field, value, said) in [
        ("token_url", "http://192.0.2.1/v1/token", "`token_url` is no HTTPS address"),
        ("token_url", "sts.googleapis.com", "`token_url` is no HTTPS address"),
        ("service_account_impersonation_url", "http://192.0.2.1/x", "`service_account_impersonation_url` is no HTTPS"),
        ("universe_domain", "example.com", "universe example.com"),
    ] {
        let mut file = scene.federated();
        file[field] = value.into();
        scene.sync(&file).run().expect(2).says(said);
    }
    let mut file = scene.federated();
    for source in
        [json!({ "url": "http://192.0.2.1/" }), json!({ "certificate": {} }), json!({ "environment_id": "aws2" })]
    {
        file["credential_source"] = source;
        scene.sync(&file).run().expect(2);
    }
    assert!(scene.servers.asked("/").is_empty());
    assert!(scene.lake.data().is_empty());
}

/// Google's own library makes the same requests of the same servers by the same file.
#[test]
fn googles_library_asks_the_same() {
    let Some(python) = python() else { return };
    let scene = Scene::new();
    let mut file = scene.federated();
    file["credential_source"]["file"] = json!(scene.write("callers", "the-callers-token"));
    file["service_account_impersonation_url"] = scene.impersonation_url().into();
    scene.assert_mirrored_by(&file);
    let ours = scene.servers.asked("/");
    let code = "import sys, google.auth.identity_pool as i, google.auth.transport.requests as t\n\
                c = i.Credentials.from_file(sys.argv[1], scopes=[sys.argv[2]])\n\
                c.refresh(t.Request()); print(c.token)";
    let token = python.eval(code, [Path::new(&scene.path("credentials.json")).as_os_str(), SCOPE.as_ref()]);
    assert_eq!(token, scene.lake.bucket().settings().bearer);
    let all = scene.servers.asked("/");
    let theirs = &all[ours.len()..];
    assert_eq!(theirs.len(), ours.len());
    let sorted = |asked: &Asked| {
        let mut form = asked.form();
        form.sort();
        form
    };
    assert_eq!(sorted(&theirs[0]), sorted(&ours[0]));
    let json = |asked: &Asked| serde_json::from_str::<Value>(&asked.body).unwrap();
    let (their, our) = (json(&theirs[1]), json(&ours[1]));
    assert_eq!((&their["scope"], &their["lifetime"]), (&our["scope"], &our["lifetime"]));
    assert_eq!(theirs[1].header("authorization"), ours[1].header("authorization"));
}
