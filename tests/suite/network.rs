//! Networks that look into connections or let few through: what a user can name is honoured, and what no
//! retry heals ends a run at once and says whom to ask.

use std::path::Path;

use crate::harness::{E3sync, Export, FailingProxy, Finished, Proxy, TlsFront, assert_tree_is};

/// Runs to the end what fails for good: without a second try, and with the code of wrong settings.
fn refused(export: &Export, command: E3sync) -> Finished {
    let finished = command.run().expect(2);
    assert!(!finished.stderr.contains("trying again"), "{}", finished.stderr);
    assert!(!finished.stderr.contains("status page"), "{}", finished.stderr);
    assert_eq!(export.simulator().requests().total(), 0);
    finished
}

#[test]
fn authorities_are_taken_from_wherever_a_site_names_them() {
    let export = Export::of_noise(1, 1);
    let front = TlsFront::start(&export);
    let folder = tempfile::tempdir().unwrap();
    let sync = || front.point(export.sync(&folder.path().join("mirror")));
    let (file, elsewhere) = (front.authority(), TlsFront::start(&export));
    let named = |variable: &str, path: &Path| sync().env(variable, path.to_str().unwrap());
    refused(&export, sync()).says("UnknownIssuer").says("--ca-bundle").says("SSL_CERT_FILE").says("ca-certificates");
    refused(&export, named("AWS_CA_BUNDLE", &elsewhere.authority())).says("invalid peer certificate");
    for variable in ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "E3SYNC_CA_BUNDLE", "SSL_CERT_FILE"] {
        named(variable, &file).run().expect(0);
    }
    named("REQUESTS_CA_BUNDLE", front.folder()).run().expect(0);
    // Each is trusted, whichever is named first.
    named("CURL_CA_BUNDLE", &file).env("AWS_CA_BUNDLE", elsewhere.authority().to_str().unwrap()).run().expect(0);
    sync().arg("--ca-bundle").arg(&file).run().expect(0);
    assert_tree_is(&export, &folder.path().join("mirror"));

    std::fs::write(folder.path().join("empty"), "no certificate").unwrap();
    named("AWS_CA_BUNDLE", &folder.path().join("empty")).run().expect(2).says("holds no PEM certificate");
    named("AWS_CA_BUNDLE", &folder.path().join("none")).run().expect(2).says("cannot be read");
    // A system without any authority reaches this machine, and tells what it lacks elsewhere.
    let bare = |command: E3sync| command.env("SSL_CERT_FILE", folder.path().join("empty").to_str().unwrap());
    bare(export.sync(&folder.path().join("plain"))).run().expect(0);
    export.simulator().forget_requests();
    refused(&export, bare(sync())).says("ca-certificates");
    let elsewhere = bare(sync()).env("E3SYNC_API_URL", "https://export.invalid").env("E3SYNC_SOURCE", "s3");
    refused(&export, elsewhere).says("has no CA certificates").says("ca-certificates");
}

#[test]
fn a_certificate_of_another_server_or_time_is_told_as_that() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    let run = |front: &TlsFront| {
        refused(&export, front.point(export.sync(folder.path())).arg("--ca-bundle").arg(front.authority()))
    };
    run(&TlsFront::with(&export, "elsewhere.test", |_| {})).says("HTTPS_PROXY");
    run(&TlsFront::with(&export, "localhost", |certificate| {
        certificate.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }))
    .says("clock");
}

#[test]
fn a_proxy_is_the_way_out_whatever_it_speaks() {
    let export = Export::of_noise(1, 2);
    let front = TlsFront::start(&export);
    let folder = tempfile::tempdir().unwrap();
    let (Some(http), Some(socks)) = (Proxy::of_http(&["--basic-auth", "us%er:p@ss"]), Proxy::of_socks()) else {
        return;
    };
    let (http, socks) = (http.address(), socks.address());
    let sync = |mirror: &str, variable: &str, proxy: &str| {
        let command = front.point(export.sync(&folder.path().join(mirror))).env(variable, proxy);
        command.arg("--ca-bundle").arg(front.authority())
    };
    let login = format!("http://us%25er:p%40ss@{http}");
    for (variable, proxy) in [
        ("HTTPS_PROXY", login.clone()),
        ("https_proxy", format!("us%25er:p%40ss@{http}")),
        ("ALL_PROXY", format!("socks5h://{socks}")),
        ("HTTPS_PROXY", format!("socks5://{socks}")),
    ] {
        let mirror = format!("{}-{variable}", &proxy[..6]);
        let finished = sync(&mirror, variable, &proxy).run().expect(0);
        assert!(!finished.stderr.contains("p%40ss"), "{}", finished.stderr);
        assert_tree_is(&export, &folder.path().join(mirror));
    }

    export.simulator().forget_requests();
    for wrong in [format!("http://us%25er:wr0ng@{http}"), format!("http://{http}")] {
        let told = refused(&export, sync("none", "HTTPS_PROXY", &wrong)).says("proxy authorization required");
        let told = told.says(&format!("HTTPS_PROXY names http://{http}"));
        assert!(!told.stderr.contains("wr0ng"), "{}", told.stderr);
    }
    // Hosts that are reached without it, in the form of other tools.
    sync("direct", "HTTPS_PROXY", &format!("http://{http}")).env("NO_PROXY", "localhost").run().expect(0);
    export.simulator().forget_requests();
    refused(&export, sync("none", "HTTPS_PROXY", "ftp://127.0.0.1:1")).says("scheme `ftp`");
}

#[test]
fn doctor_tells_how_servers_are_reached_and_a_bundle_does_not() {
    let export = Export::of_noise(1, 1);
    let front = TlsFront::start(&export);
    let folder = tempfile::tempdir().unwrap();
    let Some(proxy) = Proxy::of_http(&["--basic-auth", "user:p@ss"]) else { return };
    let bundle = folder.path().join("bundle.json");
    let doctor = || {
        let command = front.point(export.command("doctor")).arg("--json").arg("--ca-bundle").arg(front.authority());
        command.env("HTTPS_PROXY", &format!("http://user:p%40ss@{}", proxy.address())).env("NO_PROXY", "lake.test")
    };
    let finished = doctor().arg("--bundle").arg(&bundle).run().expect(0);
    let first = finished.json().remove(0);
    assert_eq!((first["check"].as_str(), first["state"].as_str()), (Some("network"), Some("fine")), "{first}");
    let message = first["message"].as_str().unwrap();
    let way = format!("HTTPS goes through the proxy http://{} (HTTPS_PROXY), but for lake.test", proxy.address());
    assert!(message.starts_with(&way) && message.contains("authority.pem"), "{message}");
    assert!(!finished.stdout.contains("p%40ss"));
    let bundle = std::fs::read_to_string(bundle).unwrap();
    assert!(!bundle.contains(&proxy.address()) && !bundle.contains("authority.pem"), "{bundle}");
    let broken = doctor().env("AWS_CA_BUNDLE", "/nowhere.pem").run().expect(2);
    assert!(broken.stdout.contains("the CA bundle /nowhere.pem cannot be read"), "{}", broken.stdout);
}

#[test]
fn a_proxy_that_blocks_the_vendor_or_is_away_at_the_start_is_told_at_once() {
    let export = Export::of_noise(1, 1);
    let front = TlsFront::start(&export);
    let folder = tempfile::tempdir().unwrap();
    let blocks = ["--plugins", "proxy.plugin.FilterByUpstreamHostPlugin", "--filtered-upstream-hosts", "localhost"];
    let Some(proxy) = Proxy::of_http(&blocks) else { return };
    let address = proxy.address();
    let sync = || {
        let command = front.point(export.sync(folder.path())).env("HTTPS_PROXY", &format!("http://{address}"));
        command.arg("--ca-bundle").arg(front.authority())
    };
    refused(&export, sync())
        .says("does not let this host through")
        .says(&format!("HTTPS_PROXY names http://{address}"));
    drop(proxy);
    refused(&export, sync()).says("the proxy does not answer").says(&address);
    let socks = front.point(export.sync(folder.path())).env("HTTPS_PROXY", &format!("socks5h://{address}"));
    refused(&export, socks).says("the proxy does not answer");
}

#[test]
fn a_proxy_that_goes_away_in_the_middle_is_an_outage() {
    let export = Export::of_noise(1, 3);
    let front = TlsFront::start(&export);
    let folder = tempfile::tempdir().unwrap();
    let Some(proxy) = Proxy::of_http(&[]) else { return };
    let held = export.inject("get:hold times=always");
    let sync = front.point(export.sync(folder.path())).env("HTTPS_PROXY", &format!("http://{}", proxy.address()));
    let sync = sync.arg("--ca-bundle").arg(front.authority()).args(["--retries", "2", "--verbose"]);
    let running = sync.start();
    export.wait_until("objects are asked for", |_| held.fired() > 0);
    drop(proxy);
    let finished = running.wait().expect(2);
    held.release();
    assert!(finished.stderr.contains("tunnel error"), "{}", finished.stderr);
    assert!(finished.stderr.contains("again in"), "it was tried again: {}", finished.stderr);
}

#[test]
fn a_proxy_that_cannot_reach_a_server_for_a_moment_ends_no_run() {
    let export = Export::of_noise(1, 6);
    let front = TlsFront::start(&export);
    let folder = tempfile::tempdir().unwrap();
    let sync = |proxy: &FailingProxy| {
        let command =
            front.point(export.sync(folder.path())).env("HTTPS_PROXY", &format!("http://{}", proxy.address()));
        command.arg("--ca-bundle").arg(front.authority()).arg("--verbose")
    };
    // The exchange, the listings; then objects are fetched side by side, each over a connection of its own: none
    // becomes free meanwhile that would serve in place of a refused one.
    export.inject("get:delay=1s times=always");
    let proxy = FailingProxy::start(3..6);
    let finished = sync(&proxy).run().expect(0);
    assert_eq!(proxy.refused(), 3);
    assert!(finished.stderr.contains("tunnel error: unsuccessful"), "{}", finished.stderr);
    assert_tree_is(&export, folder.path());
    // One that has let nothing through yet may forbid it: nobody waits for that.
    export.simulator().forget_requests();
    let proxy = FailingProxy::start(0..100);
    refused(&export, sync(&proxy)).says("does not let this host through, or cannot reach it");
    assert_eq!(proxy.refused(), 1);
}
