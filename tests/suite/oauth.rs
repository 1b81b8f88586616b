//! OAuth applications: the login, and access tokens that end inside of everything.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use e3sync::simulator::{BucketOperation, Cloud, Content, Operation, Settings, When};

use crate::bucket_faults::lake::{DATA, LARGE_BYTES, Lake};
use crate::harness::{E3sync, Export, assert_tree_is};

/// Follows redirects, as a browser does, and asks for an icon first.
const BROWSER: &str = "#!/bin/sh\nexec python3 -c '
import sys, urllib.parse, urllib.request, urllib.error
back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sys.argv[1]).query))[\"redirect_uri\"]
try: urllib.request.urlopen(urllib.parse.urljoin(back, \"/favicon.ico\"))
except urllib.error.HTTPError: pass
try: urllib.request.urlopen(sys.argv[1])
except urllib.error.HTTPError: pass
' \"$1\"\n";

fn export(change: impl FnOnce(&mut Settings)) -> Export {
    Export::with(|settings| {
        settings.days = 2;
        settings.objects_per_day = 3;
        settings.odd_names = false;
        settings.content = Content::Noise { size_bytes: 1_000..=4_000 };
        change(settings);
    })
}

/// A user's home with an application's secret in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(export: &Export) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        home.write("secret", &export.simulator().oauth_application().1, 0o600);
        home.write("browser", BROWSER, 0o755);
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.path(name);
        let _ = std::fs::remove_file(&path);
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// A command of somebody who has an application and no token.
    fn own(&self, export: &Export, command: E3sync) -> E3sync {
        let (id, secret) = export.simulator().oauth_application();
        let url = export.simulator().url();
        command
            .env_remove("OPTIMIZELY_API_TOKEN")
            .env("HOME", self.0.path().to_str().unwrap())
            .env("E3SYNC_OAUTH_CLIENT_ID", id)
            .env("E3SYNC_OAUTH_CLIENT_SECRET_FILE", self.path("secret").to_str().unwrap())
            .env("E3SYNC_OAUTH_TOKEN_URL", &format!("{url}/oauth2/token"))
            .secret(&secret)
    }

    fn login(&self, export: &Export, port: u16) -> E3sync {
        self.own(export, export.command("login"))
            .env("E3SYNC_OAUTH_AUTHORIZE_URL", &format!("{}/oauth2/authorize", export.simulator().url()))
            .env("BROWSER", self.path("browser").to_str().unwrap())
            .args(["--redirect-port", &port.to_string()])
    }

    /// A run by the refresh token in a file.
    fn by_refresh_token(&self, export: &Export, command: E3sync) -> E3sync {
        let path = self.path("refresh");
        if !path.exists() {
            self.write("refresh", &export.simulator().issue_refresh_token(), 0o600);
        }
        let token = std::fs::read_to_string(&path).unwrap();
        let command = self.own(export, command).secret(&token);
        command.env("E3SYNC_OAUTH_REFRESH_TOKEN_FILE", path.to_str().unwrap())
    }

    fn logins(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path(".local/state/e3sync/oauth")) else { return Vec::new() };
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")).collect()
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_login_lasts_for_all_runs_until_it_is_forgotten() {
    let export = export(|_| {});
    let home = Home::new(&export);
    let finished = home.login(&export, free_port()).run().expect(0);
    finished.says("open this address").says("/oauth2/authorize?").says("logged in");
    let logins = home.logins();
    assert_eq!((logins.len(), mode(&logins[0]), mode(logins[0].parent().unwrap())), (1, 0o600, 0o700));
    let asked = export.simulator().requests().of(Operation::OAuth);
    // The access token of the login serves the first runs, whichever process they are.
    let mirror = home.path("mirror");
    home.own(&export, export.sync(&mirror)).run().expect(0);
    assert_tree_is(&export, &mirror);
    // The one login needs no name.
    let unnamed = home.own(&export, export.command("ls").args(["--last", "1d"]));
    unnamed.env_remove("E3SYNC_OAUTH_CLIENT_ID").run().expect(0);
    assert_eq!(export.simulator().requests().of(Operation::OAuth), asked);
    let doctor = home.own(&export, export.command("doctor")).run().expect(0);
    assert!(
        doctor.stdout.contains("comes from the OAuth application 21468570738001 by the login in"),
        "{}",
        doctor.stdout
    );
    home.own(&export, export.command("auth")).run().expect(0);
    home.own(&export, export.command("logout")).run().expect(0).says("logged out");
    assert!(home.logins().is_empty());
    home.own(&export, export.command("ls").args(["--last", "1d"])).run().expect(4).says("e3sync login");
    home.own(&export, export.command("logout")).run().expect(0).says("nobody is logged in");
}

#[test]
fn a_login_that_is_refused_or_not_ours_leaves_nothing() {
    let export = export(|settings| settings.oauth_denies = true);
    let home = Home::new(&export);
    home.login(&export, free_port()).run().expect(4).says("access_denied");
    let forged = "#!/bin/sh\nexec python3 -c '
import sys, urllib.parse, urllib.request, urllib.error
back = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(sys.argv[1]).query))[\"redirect_uri\"]
try: urllib.request.urlopen(back + \"?code=stolen&state=other\")
except urllib.error.HTTPError: pass
' \"$1\"\n";
    home.write("browser", forged, 0o755);
    home.login(&export, free_port()).run().expect(4).says("its `state` is another one");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    home.login(&export, port).run().expect(2).says(&format!("127.0.0.1:{port}")).says("--redirect-port");
    home.login(&export, free_port()).env_remove("E3SYNC_OAUTH_CLIENT_ID").run().expect(2).says("--oauth-client-id");
    assert!(home.logins().is_empty());
}

#[test]
fn without_a_browser_the_address_is_pasted() {
    let export = export(|_| {});
    let home = Home::new(&export);
    let login = || home.login(&export, 8765).arg("--no-browser");
    login().input("").run().expect(2).says("no address was pasted");
    login().input("http://127.0.0.1:8765/callback?code=a&state=b\n").run().expect(4).says("its `state` is another one");
    login().input("http://127.0.0.1:8765/callback\n").run().expect(2).says("no address was pasted");
    login().input("a-code-of-nobody\n").run().expect(4).says("the code is unknown");
    assert!(home.logins().is_empty());
}

#[test]
fn tokens_that_end_inside_of_each_other_are_renewed_by_one_request_each() {
    // Before a listing and the first GET, and in the middle of a multipart upload.
    for (operation, key) in [(BucketOperation::Put, "probe"), (BucketOperation::UploadPart, DATA)] {
        let lake = Lake::of(
            Cloud::S3,
            Export::with(|settings| {
                settings.days = 1;
                settings.types = vec!["events".to_owned()];
                settings.objects_per_day = 1;
                settings.odd_names = false;
                settings.content = Content::Noise { size_bytes: LARGE_BYTES + 1..=LARGE_BYTES + 1 };
            }),
        );
        let home = Home::new(&lake.export);
        let gate = lake.bucket().freeze(When::AfterEffect, operation, key);
        let running = home.by_refresh_token(&lake.export, lake.sync()).args(["--concurrency", "2"]).start();
        lake.wait_at(&gate);
        let simulator = lake.export.simulator();
        assert_eq!((simulator.requests().of(Operation::OAuth), simulator.requests().of(Operation::Exchange)), (1, 1));
        simulator.expire_access_tokens();
        simulator.expire_credentials();
        gate.open();
        running.wait().expect(0);
        lake.assert_mirrored("through three ends");
        let requests = lake.export.simulator().requests();
        assert_eq!(requests.of(Operation::OAuth), 2, "one request for the access token: {requests:?}");
        assert_eq!(requests.answered(Operation::Exchange, 401), 1, "the old access token was tried once");
        assert_eq!(requests.answered(Operation::Exchange, 200), 2);
    }
}

#[test]
fn tokens_that_end_in_the_middle_of_a_listing_or_of_an_object_are_renewed_by_one_request_each() {
    for (cut, held) in [(None, "list:hold depth=objects nth=2"), (Some("get:cut@1000000"), "get:hold nth=2")] {
        let export = export(|settings| {
            (settings.days, settings.objects_per_day, settings.page_keys) = (1, 4, 2);
            settings.types = vec!["events".to_owned()];
            settings.content = Content::Noise { size_bytes: 2_000_000..=2_000_000 };
        });
        let home = Home::new(&export);
        cut.map(|cut| export.inject(cut));
        let held = export.inject(held);
        let mirror = home.path("mirror");
        let running = home.by_refresh_token(&export, export.sync(&mirror)).args(["--concurrency", "1"]).start();
        export.wait_until("the request is held", |_| held.fired() > 0);
        let simulator = export.simulator();
        assert_eq!((simulator.requests().of(Operation::OAuth), simulator.requests().of(Operation::Exchange)), (1, 1));
        simulator.expire_access_tokens();
        simulator.expire_credentials();
        held.release();
        running.wait().expect(0);
        assert_tree_is(&export, &mirror);
        let requests = export.simulator().requests();
        assert_eq!(requests.of(Operation::OAuth), 2, "one request for the access token: {requests:?}");
        assert_eq!(requests.answered(Operation::Exchange, 200), 2, "{requests:?}");
    }
}

#[test]
fn a_permission_that_is_taken_back_ends_the_run_and_keeps_what_is_done() {
    let lake = Lake::small(Cloud::S3);
    let home = Home::new(&lake.export);
    let gate = lake.bucket().freeze(When::AfterEffect, BucketOperation::Put, DATA);
    let sync = || home.by_refresh_token(&lake.export, lake.sync()).args(["--concurrency", "1"]);
    let running = sync().start();
    lake.wait_at(&gate);
    let simulator = lake.export.simulator();
    simulator.revoke_oauth();
    simulator.expire_access_tokens();
    simulator.expire_credentials();
    gate.open();
    running.wait().expect(4).says("revoked or has ended (400 invalid_grant").says("e3sync login");
    assert_eq!(lake.export.simulator().requests().of(Operation::OAuth), 2, "a refusal is final");
    assert!(lake.readable_day().is_none());
    lake.bucket().clear_faults();
    home.write("refresh", &lake.export.simulator().issue_refresh_token(), 0o600);
    lake.run_after_leases(sync).expect(0);
    lake.assert_mirrored("allowed again");
}

#[test]
fn processes_that_begin_together_renew_once_though_a_refresh_token_serves_once() {
    let export = export(|settings| settings.oauth_rotates = true);
    let home = Home::new(&export);
    let mirrors: Vec<PathBuf> = (0..4).map(|number| home.path(&format!("mirror{number}"))).collect();
    let running: Vec<_> =
        mirrors.iter().map(|mirror| home.by_refresh_token(&export, export.sync(mirror)).start()).collect();
    for running in running {
        running.wait().expect(0);
    }
    assert_eq!(export.simulator().requests().of(Operation::OAuth), 1);
    for mirror in &mirrors {
        assert_tree_is(&export, mirror);
    }
    // What took the token's place is kept, though its file cannot be written.
    std::fs::set_permissions(home.path("refresh"), std::fs::Permissions::from_mode(0o400)).unwrap();
    for renewals in 2..4 {
        export.simulator().expire_access_tokens();
        home.by_refresh_token(&export, export.sync(&mirrors[0])).run().expect(0);
        assert_eq!(export.simulator().requests().of(Operation::OAuth), renewals);
    }
}

#[test]
fn an_application_may_use_its_own_secret() {
    let export = export(|_| {});
    let home = Home::new(&export);
    let sync = || home.own(&export, export.sync(&home.path("mirror"))).args(["--oauth-grant", "client-credentials"]);
    sync().args(["--oauth-client-auth", "basic"]).run().expect(0);
    assert_tree_is(&export, &home.path("mirror"));
    sync().run().expect(0);
    assert!(home.logins().is_empty());
    home.write("secret", "another", 0o600);
    sync().run().expect(4).says("the OAuth application was refused (401 invalid_client");
    sync().env_remove("E3SYNC_OAUTH_CLIENT_SECRET_FILE").run().expect(2).says("--oauth-client-secret-file");
}

#[test]
fn an_outage_is_waited_out_and_what_cannot_be_used_is_told_before_anything_is_sent() {
    let export = export(|_| {});
    let home = Home::new(&export);
    let sync = || home.by_refresh_token(&export, export.sync(&home.path("mirror")));
    let fault = export.inject("oauth:status=503 retry-after=0 times=2");
    sync().run().expect(0);
    assert_eq!(fault.fired(), 2);
    export.simulator().expire_access_tokens();
    export.inject("oauth:redirect=http://127.0.0.1:9/ times=1");
    sync().run().expect(1).says("redirects elsewhere");
    export.simulator().clear_faults();
    export.simulator().forget_requests();
    home.write("refresh", "readable", 0o644);
    sync().run().expect(2).says("can be read or written by others").says("chmod 600");
    home.write("refresh", "two\nlines", 0o600);
    sync().run().expect(2).says("has a line end in it");
    for url in ["http://192.0.2.1/oauth2/token", "ftp://127.0.0.1/", "app.optimizely.com"] {
        sync().env("E3SYNC_OAUTH_TOKEN_URL", url).run().expect(2).says("--oauth-token-url");
    }
    sync().args(["--oauth-client-id", "1", "--token-command", "echo x"]).run().expect(2).says("cannot be used with");
    assert_eq!(export.simulator().requests().of(Operation::OAuth), 0);
}
