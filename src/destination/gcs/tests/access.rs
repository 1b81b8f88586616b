//! Each kind of Google's credentials against a server that says whatever a test wants.

use std::io::Write as _;

use super::super::credentials::TokenIssuer;
use super::*;

const OK: &str = "<ListBucketResult><Name>my-bucket</Name><Prefix></Prefix></ListBucketResult>";
const FLAVOR: &str = "metadata-flavor: Google\r\n";

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn named(file: &tempfile::NamedTempFile) -> GcsAccess {
    GcsAccess::File { path: file.path().to_owned(), runs_programs: false }
}

/// The server in the place of the metadata server.
fn machine(issuer: &Server) -> GcsAccess {
    GcsAccess::Machine { host: Some(issuer.url.strip_prefix("http://").unwrap().to_owned()) }
}

pub fn clock() -> Arc<Clock> {
    Arc::new(Clock::starting_at("2026-11-21T12:00:00Z".parse().unwrap()))
}

/// A store for `access`, whose tokens come from `issuer` instead of Google.
fn store_with(bucket: &Server, issuer: &Server, access: GcsAccess) -> GcsStore {
    let client = net::build_client(&NetSettings::default()).unwrap();
    let tokens = TokenIssuer::new(&access, client.clone(), &NetSettings::default(), clock()).unwrap();
    GcsStore::over(settings(bucket, access), client, tokens.with_token_url(&issuer.url)).unwrap()
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_a_good_one_is_kept() {
    let refusal = "<Error><Code>AuthenticationRequired</Code></Error>";
    let bucket = Server::start([
        Reply::With(200, "", OK),
        Reply::With(200, "", OK),
        Reply::With(401, "", refusal),
        Reply::With(200, "", OK),
        Reply::With(401, "", refusal),
        Reply::With(401, "", refusal),
    ])
    .await;
    let token = |text| Reply::With(200, FLAVOR, text);
    let issuer = Server::start([
        token(r#"{"access_token":"first","expires_in":3599,"token_type":"Bearer"}"#),
        token(r#"{"access_token":"second","expires_in":3599}"#),
        token(r#"{"access_token":"third","expires_in":3599}"#),
    ])
    .await;
    let store = store_with(&bucket, &issuer, machine(&issuer));
    for _ in 0..3 {
        store.list("", None).await.unwrap();
    }
    let error = store.list("", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert_eq!(error.to_string(), "LIST gs://my-bucket/ failed (401 AuthenticationRequired)");
    let bearers: Vec<_> = bucket.seen().iter().map(|seen| seen.header("authorization").unwrap().to_owned()).collect();
    let expected = ["first", "first", "first", "second", "second", "third"];
    assert_eq!(bearers, expected.map(|token| format!("Bearer {token}")));
    assert_eq!(issuer.seen()[0].header("metadata-flavor"), Some("Google"));
}

#[tokio::test]
async fn calls_that_wait_share_one_new_token_and_a_short_one_is_not_kept() {
    let replies = (0..9).map(|_| Reply::With(200, "", OK));
    let bucket = Server::start(replies).await;
    let issuer = Server::start([Reply::With(200, FLAVOR, r#"{"access_token":"long","expires_in":3599}"#)]).await;
    let store = store_with(&bucket, &issuer, machine(&issuer));
    let calls = futures::future::join_all((0..8).map(|_| store.list("", None))).await;
    assert!(calls.iter().all(Result::is_ok), "{:?}", calls.iter().find(|call| call.is_err()));
    assert_eq!(issuer.seen().len(), 1);

    let issuer =
        Server::start((0..2).map(|_| Reply::With(200, FLAVOR, r#"{"access_token":"short","expires_in":0}"#))).await;
    let bucket = Server::start((0..2).map(|_| Reply::With(200, "", OK))).await;
    let store = store_with(&bucket, &issuer, machine(&issuer));
    store.list("", None).await.unwrap();
    store.list("", None).await.unwrap();
    assert_eq!(issuer.seen().len(), 2);
}

#[tokio::test]
async fn calls_that_wait_share_a_failure_and_a_later_one_asks_again() {
    let bucket = Server::start([Reply::With(200, "", OK)]).await;
    let issuer = Server::start([
        Reply::With(503, FLAVOR, ""),
        Reply::With(200, FLAVOR, r#"{"access_token":"late","expires_in":3599}"#),
    ])
    .await;
    let store = store_with(&bucket, &issuer, machine(&issuer));
    let calls = futures::future::join_all((0..8).map(|_| store.list("", None))).await;
    assert!(calls.iter().all(|call| call.as_ref().is_err_and(|error| error.kind() == ErrorKind::Unavailable)));
    assert_eq!(issuer.seen().len(), 1);
    store.list("", None).await.unwrap();
}

#[tokio::test]
async fn what_answers_in_the_place_of_the_metadata_server_is_not_believed() {
    let (bucket, issuer) = (
        Server::start([]).await,
        Server::start([Reply::With(200, "", r#"{"access_token":"forged","expires_in":3599}"#)]).await,
    );
    let error = store_with(&bucket, &issuer, machine(&issuer)).list("", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    assert!(bucket.seen().is_empty());
}

#[tokio::test]
async fn a_users_file_is_exchanged_and_its_refusal_told() {
    let user = file(r#"{"type":"authorized_user","client_id":"id","client_secret":"hush&","refresh_token":"1//r"}"#);
    let access = named(&user);
    let bucket = Server::start([Reply::With(200, "", OK)]).await;
    let issuer = Server::start([
        Reply::With(200, "", r#"{"access_token":"user","expires_in":3599,"scope":"x"}"#),
        Reply::With(400, "", r#"{"error":"invalid_grant","error_description":"Token has been revoked."}"#),
        Reply::With(503, "", ""),
    ])
    .await;
    store_with(&bucket, &issuer, access.clone()).list("", None).await.unwrap();
    assert_eq!(bucket.seen()[0].header("authorization"), Some("Bearer user"));
    let form = "grant_type=refresh_token&client_id=id&client_secret=hush%26&refresh_token=1%2F%2Fr";
    assert_eq!(String::from_utf8(issuer.seen()[0].body.clone()).unwrap(), form);
    let error = store_with(&bucket, &issuer, access.clone()).list("", None).await.unwrap_err();
    assert_eq!(error.to_string(), "Google's token server gives no token (400 invalid_grant): Token has been revoked.");
    assert_eq!(error.kind(), ErrorKind::AccessDenied);
    let error = store_with(&bucket, &issuer, access).list("", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let elsewhere = Server::start([]).await;
    let location: &'static str = format!("location: {}/\r\n", elsewhere.url).leak();
    let bucket = Server::start([Reply::With(307, location, "")]).await;
    let error = store(&bucket).list("", None).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Protocol, "LIST gs://my-bucket/ failed (307)"));
    assert!(elsewhere.seen().is_empty());
}

#[tokio::test]
async fn unusable_settings_are_told_at_once_and_without_secrets() {
    let server = Server::start([]).await;
    let fails = |settings: GcsStoreSettings| {
        let error = GcsStore::connect(settings, clock()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
        error.to_string()
    };
    for (text, said) in [
        (r#"{"type":"external_account","audience":"x"}"#, "lacks a part of a federated identity"),
        (r#"{"type":"authorized_user","client_id":7,"client_secret":"hush"}"#, "lacks a part of a user's credentials"),
        (
            r#"{"type":"service_account","private_key":"hush","private_key_id":"i","client_email":"e"}"#,
            "holds no usable key",
        ),
        (
            r#"{"type":"gdch_service_account","private_key":"hush"}"#,
            "is of the kind `gdch_service_account`, which is not",
        ),
        (r#"{"type":"authorized_user","universe_domain":"example.com"}"#, "is for the universe example.com"),
        ("hush", "is not one of Google's credentials files"),
    ] {
        let file = file(text);
        let message = fails(settings(&server, named(&file)));
        assert!(message.contains(said), "{message}");
    }
    fails(settings(&server, GcsAccess::File { path: "/nonexistent/file.json".into(), runs_programs: false }));
    let good = || settings(&server, GcsAccess::Token("hush".into()));
    fails(GcsStoreSettings { endpoint_url: Some("http://192.0.2.1".parse().unwrap()), ..good() });
    fails(GcsStoreSettings {
        endpoint_url: Some("http://192.0.2.1".parse().unwrap()),
        access: GcsAccess::Machine { host: None },
        ..good()
    });
    fails(GcsStoreSettings { bucket: "a/b".to_owned(), ..good() });
    fails(GcsStoreSettings { storage_class: Some("A\r\nB".to_owned()), ..good() });
    assert!(!format!("{:?}{:?}", good(), GcsStore::connect(good(), clock()).unwrap()).contains("hush"));
    assert!(GcsStore::connect(GcsStoreSettings { endpoint_url: None, ..good() }, clock()).is_ok());
}

#[tokio::test]
async fn a_token_that_cannot_stand_in_a_header_does_not_panic() {
    let server = Server::start([]).await;
    let store = GcsStore::connect(settings(&server, GcsAccess::Token("a\r\nb".into())), clock()).unwrap();
    assert_eq!(store.list("", None).await.unwrap_err().kind(), ErrorKind::AccessDenied);
}
