//! Credentials as they arrive: looked at before anything is sent, whoever gives them.

mod issuers;
mod profiles;
mod rights;

use e3sync::simulator::{Cloud, Operation};
use serde_json::{Value, json};

use crate::harness::{AWS, CLOUD, CustomerLake, E3sync, Exchange, Export};

/// What a secret looks like that something happened to, and what is said of it.
const FLAWS: [(&str, &str); 7] = [
    ("\"{}\"", "is in quotes"),
    ("'{}'", "is in quotes"),
    ("{}\n", "has a line end in it"),
    ("\u{feff}{}", "has a byte order mark"),
    (" {}", "has a blank in it or around it"),
    ("{}\u{1b}[2J", "has a control character in it"),
    ("NAME_OF_IT={}", "has the form NAME=value"),
];

fn nothing_was_sent(lake: &CustomerLake, export: &Export) {
    assert_eq!(lake.bucket().requests().total(), 0);
    let requests = export.simulator().requests();
    assert_eq!(requests.of(Operation::Get) + requests.of(Operation::List), 0);
}

#[test]
fn a_token_that_is_more_than_a_token_is_told_as_that_and_not_sent() {
    let export = Export::of_noise(1, 1);
    let token = export.simulator().token();
    for (form, said) in [
        ("\"{}\"", "the token from OPTIMIZELY_API_TOKEN is in quotes"),
        ("'{}'", "the token from OPTIMIZELY_API_TOKEN is in quotes"),
        ("OPTIMIZELY_API_TOKEN={}", "the token from OPTIMIZELY_API_TOKEN has the form NAME=value"),
        ("export TOKEN={}", "the token from OPTIMIZELY_API_TOKEN has the form NAME=value"),
        ("Bearer {}", "the token from OPTIMIZELY_API_TOKEN has the word `Bearer`"),
        ("\u{feff}{}", "the token from OPTIMIZELY_API_TOKEN has a byte order mark"),
        ("{}\nsecond", "the token from OPTIMIZELY_API_TOKEN has a line end in it"),
    ] {
        let call = export.command("ls").args(["--last", "1d"]).secret(&token);
        let finished = call.env("OPTIMIZELY_API_TOKEN", &form.replace("{}", &token)).run().expect(2);
        finished.says(said).says("hint: ");
    }
    let folder = tempfile::tempdir().unwrap();
    let utf16 = [0xff, 0xfe].into_iter().chain(token.encode_utf16().flat_map(u16::to_le_bytes)).collect::<Vec<_>>();
    for (name, bytes, said) in [
        ("utf16", utf16.clone(), "utf16 is UTF-16 text"),
        ("bare16", utf16[2..].to_vec(), "bare16 is UTF-16 text"),
        ("mark", format!("\u{feff}{token}\r\n").into_bytes(), "mark has a byte order mark"),
        (".env", format!("A=1\nTOKEN={token}\n").into_bytes(), ".env has the form NAME=value"),
        ("latin1", b"gr\xf6\xdfe".to_vec(), "latin1 is not text"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let call = export.command("ls").env_remove("OPTIMIZELY_API_TOKEN").arg("--token-file").arg(path);
        call.args(["--last", "1d"]).run().expect(2).says(said);
    }
    assert_eq!(export.simulator().requests().of(Operation::Exchange), 0, "nothing was sent");
    let around = export.command("ls").args(["--last", "1d"]).env("OPTIMIZELY_API_TOKEN", &format!(" {token}\r\n"));
    around.run().expect(0);
}

#[test]
fn aws_keys_from_the_environment_that_cannot_be_keys_are_refused_by_the_variables_name() {
    let (export, lake) = (Export::of_noise(1, 1), CustomerLake::new(Cloud::S3));
    for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        for (form, said) in FLAWS {
            let value = form.replace("{}", "Hidden0Value");
            // The AWS libraries take blanks and line ends off around a session token.
            if variable == "AWS_SESSION_TOKEN" && value.trim() == "Hidden0Value" {
                continue;
            }
            let finished = lake.sync(&export).secret("Hidden0Value").env(variable, &value).run().expect(2);
            finished.says(&format!("from {variable} {said}"));
        }
    }
    for (form, said) in FLAWS {
        let region = form.replace("{}", "eu-central-1");
        let finished = lake.sync(&export).env("AWS_REGION", &region).run().expect(2);
        finished.says("the region from AWS_REGION").says(said);
        lake.sync(&export).args(["--dest-region", &region]).run().expect(2).says("--dest-region").says(said);
        let finished = export.command("ls").args(["--last", "1d", "--source-region", &region]).run().expect(2);
        finished.says("--source-region").says(said);
    }
    for (option, value) in
        [("--sse-kms-key-id", "key\nx: y"), ("--storage-class", "\"COLD\""), ("--dest-profile", "p\u{1b}[2J")]
    {
        let finished = lake.sync(&export).args(["--sse", "aws:kms", option, value]).run().expect(2).says(option);
        assert!(!finished.stderr.contains('\u{1b}'), "{}", finished.stderr);
    }
    export.command("ls").args(["--last", "1d", "--user-project", "a b"]).run().expect(2).says("--user-project");
    nothing_was_sent(&lake, &export);
    lake.sync(&export).run().expect(0);
}

#[test]
fn a_token_for_google_that_cannot_be_one_is_refused_by_its_variables_name() {
    let (export, lake) = (Export::of_noise(1, 1), CustomerLake::new(Cloud::Gcs));
    for (form, said) in FLAWS {
        let value = form.replace("{}", "ya29.Hidden0Value");
        let call = lake.sync(&export).secret("Hidden0Value").env("GOOGLE_OAUTH_ACCESS_TOKEN", &value);
        call.run().expect(2).says(&format!("from GOOGLE_OAUTH_ACCESS_TOKEN {said}"));
    }
    nothing_was_sent(&lake, &export);
}

/// The exchange of a vendor that gives these keys.
fn exchange_with(id: &str, secret: &str, session: &str) -> Exchange {
    let answer = json!({
        "credentials": {
            "accessKeyId": id, "secretAccessKey": secret, "sessionToken": session, "expiration": 4_070_908_800_000_u64,
        },
        "s3Path": "s3://optimizely-events-data/v1/account_id=1/",
    });
    Exchange::start(AWS, "2:known", &answer)
}

fn asking(exchange: &Exchange, verb: &str) -> E3sync {
    let call = E3sync::new(verb).env("E3SYNC_API_URL", &exchange.url()).env("OPTIMIZELY_API_TOKEN", "2:known");
    call.env("E3SYNC_SOURCE", "s3")
}

#[test]
fn an_answer_of_the_exchange_that_holds_no_keys_is_final_and_sent_nowhere() {
    for (form, said) in FLAWS {
        let value = form.replace("{}", "Hidden0Value");
        for (part, exchange) in [
            ("the access key id", exchange_with(&value, "s", "t")),
            ("the secret access key", exchange_with("AKIA", &value, "t")),
            ("the session token", exchange_with("AKIA", "s", &value)),
        ] {
            let call = asking(&exchange, "ls").secret("Hidden0Value").args(["--last", "1d"]);
            // Nobody listens there: whatever is sent would be told as an outage.
            let finished = call.env("E3SYNC_SOURCE_ENDPOINT_URL", "http://127.0.0.1:9").run().expect(1);
            finished.says(&format!("{part} from the answer of /v2/export/credentials {said}"));
        }
    }
}

#[test]
fn a_shell_that_takes_what_auth_prints_runs_nothing_of_it() {
    // None of them has a blank, a quote or a line end: as keys they pass.
    for hostile in ["$(touch${IFS}pwned)", "a;touch${IFS}pwned;b", "a&&touch${IFS}pwned", "a|tee${IFS}pwned", "a>pwned"]
    {
        let exchange = exchange_with(hostile, hostile, hostile);
        for format in ["env", "dotenv"] {
            let printed = asking(&exchange, "auth").args(["--format", format]).run().expect(0).stdout;
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("printed"), &printed).unwrap();
            let script = ". ./printed; printf '%s' \"$AWS_SESSION_TOKEN\"";
            let shell =
                std::process::Command::new("sh").args(["-c", script]).current_dir(folder.path()).output().unwrap();
            assert!(!folder.path().join("pwned").exists(), "{format} {hostile}: {printed}");
            assert_eq!(String::from_utf8(shell.stdout).unwrap(), hostile, "{format}: {printed}");
        }
        let printed = asking(&exchange, "auth").args(["--format", "json"]).run().expect(0).stdout;
        assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["sessionToken"], hostile);
    }
}

#[test]
fn an_ordinary_value_stands_bare_for_readers_that_know_no_quotes() {
    let exchange = exchange_with("ASIAEXAMPLE", "wJalr/K7+x", "IQoJb3+/=");
    let printed = asking(&exchange, "auth").args(["--format", "dotenv"]).run().expect(0).stdout;
    assert!(printed.contains("AWS_SESSION_TOKEN=IQoJb3+/=\n"), "{printed}");
}

#[test]
fn a_projects_settings_choose_no_source_no_account_and_no_credentials() {
    let export = Export::of_noise(1, 1);
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in [
        ("source", format!("\"{}\"", CLOUD.name())),
        ("source-bucket", "\"elsewhere\"".to_owned()),
        ("source-region", "\"eu-west-1\"".to_owned()),
        ("source-ambient", "true".to_owned()),
        ("source-profile", "\"other\"".to_owned()),
        ("account-id", "1".to_owned()),
        ("user-project", "\"others-bill\"".to_owned()),
        ("dest-profile", "\"other\"".to_owned()),
        ("token-file", "\"token\"".to_owned()),
    ] {
        std::fs::write(folder.path().join("e3sync.toml"), format!("{name} = {value}\n")).unwrap();
        let finished = export.command("ls").folder(folder.path()).args(["--last", "1d"]).run().expect(2);
        finished.says(&format!("`{name}` is not taken from the working directory")).says("your own settings");
    }
    assert_eq!(export.simulator().requests().of(Operation::Exchange), 0);
}
