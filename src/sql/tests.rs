//! What is refused, renamed or quoted on the way into SQL statements.

use super::*;

fn request(place: MirrorLocation, types: &[&str]) -> Request {
    let types = types.iter().map(|name| MirroredType { name: TypeName::parse(name).unwrap(), first_day: None });
    Request { place, types: types.collect(), names: TableNames::default() }
}

#[test]
fn a_place_that_an_engine_cannot_read_is_refused_with_a_hint() {
    let directory = MirrorLocation::Directory("/data/events".into());
    let s3 = MirrorLocation::S3 { bucket: "lake".into(), prefix: String::new() };
    let gcs = MirrorLocation::Gcs { bucket: "lake".into(), prefix: "a*b".into() };
    for (engine, place) in [
        (Engine::Athena, &directory),
        (Engine::Athena, &gcs),
        (Engine::BigQuery, &directory),
        (Engine::BigQuery, &s3),
        (Engine::BigQuery, &gcs),
        (Engine::Snowflake, &directory),
        (Engine::DuckDb, &MirrorLocation::Directory("/a\\b".into())),
    ] {
        let error = statements(engine, &request(place.clone(), &["events"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.hint().is_some(), "{error}");
    }
}

#[test]
fn types_that_make_one_name_get_two() {
    let types = ["decisions-rerun", "decisions_rerun", "Decisions.rerun"];
    let names = TableNames::new(None, "E3_").unwrap().of_types(&request(MirrorLocation::Unknown, &types).types);
    assert_eq!(names, ["e3_decisions_rerun", "e3_decisions_rerun_2", "e3_decisions_rerun_3"]);
}

#[test]
fn names_that_could_end_a_quotation_are_refused() {
    for (schema, prefix) in [(Some("a\"b"), ""), (Some("a..b"), ""), (Some(""), ""), (None, "a`"), (None, "a b")] {
        assert_eq!(TableNames::new(schema, prefix).unwrap_err().kind(), ErrorKind::Usage);
    }
    assert!(TableNames::new(Some("my-project.raw_1"), "opt_").is_ok());
}

#[test]
fn an_older_day_than_the_usual_first_one_is_not_hidden() {
    let mut request = request(MirrorLocation::Unknown, &["events"]);
    assert!(statements(Engine::Athena, &request).unwrap().contains("'2020-01-01,NOW'"));
    request.types[0].first_day = Some(jiff::civil::date(2019, 5, 1));
    assert!(statements(Engine::Athena, &request).unwrap().contains("'2019-05-01,NOW'"));
}

#[test]
fn ids_are_text_for_every_engine() {
    for (engine, text) in [
        (Engine::DuckDb, "NULL::VARCHAR AS \"experiment_id\""),
        (Engine::Athena, "`experiment_id` string"),
        (Engine::BigQuery, "`experiment_id` STRING"),
        (Engine::Snowflake, "\"EXPERIMENT_ID\" VARCHAR"),
        (Engine::Spark, "`experiment_id` STRING"),
    ] {
        let statements = statements(engine, &request(MirrorLocation::Unknown, &["decisions"])).unwrap();
        assert!(statements.contains(text), "{statements}");
    }
}
