-- Put your own bucket and prefix in, or name the destination to e3sync.
-- DuckDB: views that read the files at each query, so new days are in them at once.
-- A column that old files lack is NULL; one that the export gains is added below by hand.
-- Once in a session: CREATE SECRET (TYPE s3, PROVIDER credential_chain);

-- decisions
CREATE OR REPLACE VIEW "decisions" AS
SELECT
    "uuid",
    "timestamp",
    "process_timestamp",
    "visitor_id",
    "session_id",
    "account_id",
    "campaign_id",
    "experiment_id",
    "variation_id",
    "attributes",
    "user_ip",
    "user_agent",
    "referer",
    "is_holdback",
    "revision",
    "client_engine",
    "client_version",
    "date",
    "experiment"
FROM (
    SELECT
        NULL::VARCHAR AS "uuid",
        NULL::TIMESTAMP AS "timestamp",
        NULL::TIMESTAMP AS "process_timestamp",
        NULL::VARCHAR AS "visitor_id",
        NULL::VARCHAR AS "session_id",
        NULL::VARCHAR AS "account_id",
        NULL::VARCHAR AS "campaign_id",
        NULL::VARCHAR AS "experiment_id",
        NULL::VARCHAR AS "variation_id",
        NULL::STRUCT("id" VARCHAR, "name" VARCHAR, "type" VARCHAR, "value" VARCHAR)[] AS "attributes",
        NULL::VARCHAR AS "user_ip",
        NULL::VARCHAR AS "user_agent",
        NULL::VARCHAR AS "referer",
        NULL::BOOLEAN AS "is_holdback",
        NULL::VARCHAR AS "revision",
        NULL::VARCHAR AS "client_engine",
        NULL::VARCHAR AS "client_version",
        NULL::DATE AS "date",
        NULL::VARCHAR AS "experiment"
    WHERE false
    UNION ALL BY NAME
    SELECT * FROM read_parquet(
        's3://YOUR-BUCKET/PREFIX/type=decisions/**/*.parquet',
        hive_partitioning = true, hive_types = {'date': DATE, 'experiment': VARCHAR}, union_by_name = true)
);

-- events
CREATE OR REPLACE VIEW "events" AS
SELECT
    "uuid",
    "timestamp",
    "process_timestamp",
    "visitor_id",
    "session_id",
    "account_id",
    "experiments",
    "entity_id",
    "attributes",
    "user_ip",
    "user_agent",
    "referer",
    "event_type",
    "event_name",
    "revenue",
    "value",
    "quantity",
    "tags",
    "revision",
    "client_engine",
    "client_version",
    "date",
    "event"
FROM (
    SELECT
        NULL::VARCHAR AS "uuid",
        NULL::TIMESTAMP AS "timestamp",
        NULL::TIMESTAMP AS "process_timestamp",
        NULL::VARCHAR AS "visitor_id",
        NULL::VARCHAR AS "session_id",
        NULL::VARCHAR AS "account_id",
        NULL::STRUCT("campaign_id" VARCHAR, "experiment_id" VARCHAR, "variation_id" VARCHAR, "is_holdback" BOOLEAN)[] AS "experiments",
        NULL::VARCHAR AS "entity_id",
        NULL::STRUCT("id" VARCHAR, "name" VARCHAR, "type" VARCHAR, "value" VARCHAR)[] AS "attributes",
        NULL::VARCHAR AS "user_ip",
        NULL::VARCHAR AS "user_agent",
        NULL::VARCHAR AS "referer",
        NULL::VARCHAR AS "event_type",
        NULL::VARCHAR AS "event_name",
        NULL::BIGINT AS "revenue",
        NULL::DOUBLE AS "value",
        NULL::BIGINT AS "quantity",
        NULL::MAP(VARCHAR, VARCHAR) AS "tags",
        NULL::VARCHAR AS "revision",
        NULL::VARCHAR AS "client_engine",
        NULL::VARCHAR AS "client_version",
        NULL::DATE AS "date",
        NULL::VARCHAR AS "event"
    WHERE false
    UNION ALL BY NAME
    SELECT * FROM read_parquet(
        's3://YOUR-BUCKET/PREFIX/type=events/**/*.parquet',
        hive_partitioning = true, hive_types = {'date': DATE, 'event': VARCHAR}, union_by_name = true)
);

-- decisions-rerun: the vendor does not document it; it is taken to have the columns of decisions.
CREATE OR REPLACE VIEW "decisions_rerun" AS
SELECT
    "uuid",
    "timestamp",
    "process_timestamp",
    "visitor_id",
    "session_id",
    "account_id",
    "campaign_id",
    "experiment_id",
    "variation_id",
    "attributes",
    "user_ip",
    "user_agent",
    "referer",
    "is_holdback",
    "revision",
    "client_engine",
    "client_version",
    "date",
    "experiment"
FROM (
    SELECT
        NULL::VARCHAR AS "uuid",
        NULL::TIMESTAMP AS "timestamp",
        NULL::TIMESTAMP AS "process_timestamp",
        NULL::VARCHAR AS "visitor_id",
        NULL::VARCHAR AS "session_id",
        NULL::VARCHAR AS "account_id",
        NULL::VARCHAR AS "campaign_id",
        NULL::VARCHAR AS "experiment_id",
        NULL::VARCHAR AS "variation_id",
        NULL::STRUCT("id" VARCHAR, "name" VARCHAR, "type" VARCHAR, "value" VARCHAR)[] AS "attributes",
        NULL::VARCHAR AS "user_ip",
        NULL::VARCHAR AS "user_agent",
        NULL::VARCHAR AS "referer",
        NULL::BOOLEAN AS "is_holdback",
        NULL::VARCHAR AS "revision",
        NULL::VARCHAR AS "client_engine",
        NULL::VARCHAR AS "client_version",
        NULL::DATE AS "date",
        NULL::VARCHAR AS "experiment"
    WHERE false
    UNION ALL BY NAME
    SELECT * FROM read_parquet(
        's3://YOUR-BUCKET/PREFIX/type=decisions-rerun/**/*.parquet',
        hive_partitioning = true, hive_types = {'date': DATE}, union_by_name = true)
);
