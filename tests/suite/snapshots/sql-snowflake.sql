-- Put your own bucket and prefix in, or name the destination to e3sync.
-- Snowflake: external tables. The integration is an administrator's work, done once; fill its role in,
-- then DESCRIBE INTEGRATION e3sync tells whom to trust in the cloud.
-- New and rewritten days come in with ALTER EXTERNAL TABLE ... REFRESH, after each run of e3sync.
-- "value" is a column of the export, and VALUE is Snowflake's own: the whole row.
-- The value of the folder below the day is escaped (%3A for a colon); event_name and experiment_id
-- have the true one. A column that old files lack is NULL.
CREATE STORAGE INTEGRATION IF NOT EXISTS e3sync
    TYPE = EXTERNAL_STAGE
    STORAGE_PROVIDER = 'S3'
    ENABLED = TRUE
    STORAGE_AWS_ROLE_ARN = 'arn:aws:iam::YOUR-ACCOUNT:role/YOUR-ROLE'
    STORAGE_ALLOWED_LOCATIONS = ('s3://YOUR-BUCKET/PREFIX/');

-- decisions
CREATE OR REPLACE STAGE "DECISIONS_STAGE"
    URL = 's3://YOUR-BUCKET/PREFIX/type=decisions/'
    STORAGE_INTEGRATION = e3sync;

CREATE OR REPLACE EXTERNAL TABLE "DECISIONS" (
    "UUID" VARCHAR AS (value:"uuid"::VARCHAR),
    "TIMESTAMP" TIMESTAMP_NTZ AS (value:"timestamp"::TIMESTAMP_NTZ),
    "PROCESS_TIMESTAMP" TIMESTAMP_NTZ AS (value:"process_timestamp"::TIMESTAMP_NTZ),
    "VISITOR_ID" VARCHAR AS (value:"visitor_id"::VARCHAR),
    "SESSION_ID" VARCHAR AS (value:"session_id"::VARCHAR),
    "ACCOUNT_ID" VARCHAR AS (value:"account_id"::VARCHAR),
    "CAMPAIGN_ID" VARCHAR AS (value:"campaign_id"::VARCHAR),
    "EXPERIMENT_ID" VARCHAR AS (value:"experiment_id"::VARCHAR),
    "VARIATION_ID" VARCHAR AS (value:"variation_id"::VARCHAR),
    "ATTRIBUTES" VARIANT AS (value:"attributes"::VARIANT),
    "USER_IP" VARCHAR AS (value:"user_ip"::VARCHAR),
    "USER_AGENT" VARCHAR AS (value:"user_agent"::VARCHAR),
    "REFERER" VARCHAR AS (value:"referer"::VARCHAR),
    "IS_HOLDBACK" BOOLEAN AS (value:"is_holdback"::BOOLEAN),
    "REVISION" VARCHAR AS (value:"revision"::VARCHAR),
    "CLIENT_ENGINE" VARCHAR AS (value:"client_engine"::VARCHAR),
    "CLIENT_VERSION" VARCHAR AS (value:"client_version"::VARCHAR),
    "DATE" DATE AS (TO_DATE(SPLIT_PART(SPLIT_PART(metadata$filename, 'type=decisions/date=', 2), '/', 1), 'YYYY-MM-DD')),
    "EXPERIMENT" VARCHAR AS (SPLIT_PART(SPLIT_PART(metadata$filename, '/experiment=', 2), '/', 1))
)
PARTITION BY ("DATE", "EXPERIMENT")
LOCATION = @"DECISIONS_STAGE"
REFRESH_ON_CREATE = TRUE
AUTO_REFRESH = FALSE
PATTERN = '.*[.]parquet'
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE);

-- events
CREATE OR REPLACE STAGE "EVENTS_STAGE"
    URL = 's3://YOUR-BUCKET/PREFIX/type=events/'
    STORAGE_INTEGRATION = e3sync;

CREATE OR REPLACE EXTERNAL TABLE "EVENTS" (
    "UUID" VARCHAR AS (value:"uuid"::VARCHAR),
    "TIMESTAMP" TIMESTAMP_NTZ AS (value:"timestamp"::TIMESTAMP_NTZ),
    "PROCESS_TIMESTAMP" TIMESTAMP_NTZ AS (value:"process_timestamp"::TIMESTAMP_NTZ),
    "VISITOR_ID" VARCHAR AS (value:"visitor_id"::VARCHAR),
    "SESSION_ID" VARCHAR AS (value:"session_id"::VARCHAR),
    "ACCOUNT_ID" VARCHAR AS (value:"account_id"::VARCHAR),
    "EXPERIMENTS" VARIANT AS (value:"experiments"::VARIANT),
    "ENTITY_ID" VARCHAR AS (value:"entity_id"::VARCHAR),
    "ATTRIBUTES" VARIANT AS (value:"attributes"::VARIANT),
    "USER_IP" VARCHAR AS (value:"user_ip"::VARCHAR),
    "USER_AGENT" VARCHAR AS (value:"user_agent"::VARCHAR),
    "REFERER" VARCHAR AS (value:"referer"::VARCHAR),
    "EVENT_TYPE" VARCHAR AS (value:"event_type"::VARCHAR),
    "EVENT_NAME" VARCHAR AS (value:"event_name"::VARCHAR),
    "REVENUE" NUMBER(38, 0) AS (value:"revenue"::NUMBER(38, 0)),
    "value" DOUBLE AS (value:"value"::DOUBLE),
    "QUANTITY" NUMBER(38, 0) AS (value:"quantity"::NUMBER(38, 0)),
    "TAGS" VARIANT AS (value:"tags"::VARIANT),
    "REVISION" VARCHAR AS (value:"revision"::VARCHAR),
    "CLIENT_ENGINE" VARCHAR AS (value:"client_engine"::VARCHAR),
    "CLIENT_VERSION" VARCHAR AS (value:"client_version"::VARCHAR),
    "DATE" DATE AS (TO_DATE(SPLIT_PART(SPLIT_PART(metadata$filename, 'type=events/date=', 2), '/', 1), 'YYYY-MM-DD')),
    "EVENT" VARCHAR AS (SPLIT_PART(SPLIT_PART(metadata$filename, '/event=', 2), '/', 1))
)
PARTITION BY ("DATE", "EVENT")
LOCATION = @"EVENTS_STAGE"
REFRESH_ON_CREATE = TRUE
AUTO_REFRESH = FALSE
PATTERN = '.*[.]parquet'
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE);

-- decisions-rerun: the vendor does not document it; it is taken to have the columns of decisions.
CREATE OR REPLACE STAGE "DECISIONS_RERUN_STAGE"
    URL = 's3://YOUR-BUCKET/PREFIX/type=decisions-rerun/'
    STORAGE_INTEGRATION = e3sync;

CREATE OR REPLACE EXTERNAL TABLE "DECISIONS_RERUN" (
    "UUID" VARCHAR AS (value:"uuid"::VARCHAR),
    "TIMESTAMP" TIMESTAMP_NTZ AS (value:"timestamp"::TIMESTAMP_NTZ),
    "PROCESS_TIMESTAMP" TIMESTAMP_NTZ AS (value:"process_timestamp"::TIMESTAMP_NTZ),
    "VISITOR_ID" VARCHAR AS (value:"visitor_id"::VARCHAR),
    "SESSION_ID" VARCHAR AS (value:"session_id"::VARCHAR),
    "ACCOUNT_ID" VARCHAR AS (value:"account_id"::VARCHAR),
    "CAMPAIGN_ID" VARCHAR AS (value:"campaign_id"::VARCHAR),
    "EXPERIMENT_ID" VARCHAR AS (value:"experiment_id"::VARCHAR),
    "VARIATION_ID" VARCHAR AS (value:"variation_id"::VARCHAR),
    "ATTRIBUTES" VARIANT AS (value:"attributes"::VARIANT),
    "USER_IP" VARCHAR AS (value:"user_ip"::VARCHAR),
    "USER_AGENT" VARCHAR AS (value:"user_agent"::VARCHAR),
    "REFERER" VARCHAR AS (value:"referer"::VARCHAR),
    "IS_HOLDBACK" BOOLEAN AS (value:"is_holdback"::BOOLEAN),
    "REVISION" VARCHAR AS (value:"revision"::VARCHAR),
    "CLIENT_ENGINE" VARCHAR AS (value:"client_engine"::VARCHAR),
    "CLIENT_VERSION" VARCHAR AS (value:"client_version"::VARCHAR),
    "DATE" DATE AS (TO_DATE(SPLIT_PART(SPLIT_PART(metadata$filename, 'type=decisions-rerun/date=', 2), '/', 1), 'YYYY-MM-DD')),
    "EXPERIMENT" VARCHAR AS (SPLIT_PART(SPLIT_PART(metadata$filename, '/experiment=', 2), '/', 1))
)
PARTITION BY ("DATE", "EXPERIMENT")
LOCATION = @"DECISIONS_RERUN_STAGE"
REFRESH_ON_CREATE = TRUE
AUTO_REFRESH = FALSE
PATTERN = '.*[.]parquet'
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE);
