-- Put your own bucket and prefix in, or name the destination to e3sync.
-- BigQuery: external tables; new days are in them at once. The data set must be where the bucket is.
-- The value of the folder below the day may be escaped (%3A for a colon); event_name and
-- experiment_id have the true one. A column that old files lack is NULL.
-- Put your data set in for YOUR_DATASET, or give --schema.

-- decisions
CREATE OR REPLACE EXTERNAL TABLE `YOUR_DATASET`.`decisions` (
    `uuid` STRING,
    `timestamp` TIMESTAMP,
    `process_timestamp` TIMESTAMP,
    `visitor_id` STRING,
    `session_id` STRING,
    `account_id` STRING,
    `campaign_id` STRING,
    `experiment_id` STRING,
    `variation_id` STRING,
    `attributes` ARRAY<STRUCT<`id` STRING, `name` STRING, `type` STRING, `value` STRING>>,
    `user_ip` STRING,
    `user_agent` STRING,
    `referer` STRING,
    `is_holdback` BOOL,
    `revision` STRING,
    `client_engine` STRING,
    `client_version` STRING
)
WITH PARTITION COLUMNS (
    `date` DATE,
    `experiment` STRING
)
OPTIONS (
    format = 'PARQUET',
    uris = ['gs://YOUR-BUCKET/PREFIX/type=decisions/*.parquet'],
    hive_partition_uri_prefix = 'gs://YOUR-BUCKET/PREFIX/type=decisions',
    enable_list_inference = true
);

-- events
CREATE OR REPLACE EXTERNAL TABLE `YOUR_DATASET`.`events` (
    `uuid` STRING,
    `timestamp` TIMESTAMP,
    `process_timestamp` TIMESTAMP,
    `visitor_id` STRING,
    `session_id` STRING,
    `account_id` STRING,
    `experiments` ARRAY<STRUCT<`campaign_id` STRING, `experiment_id` STRING, `variation_id` STRING, `is_holdback` BOOL>>,
    `entity_id` STRING,
    `attributes` ARRAY<STRUCT<`id` STRING, `name` STRING, `type` STRING, `value` STRING>>,
    `user_ip` STRING,
    `user_agent` STRING,
    `referer` STRING,
    `event_type` STRING,
    `event_name` STRING,
    `revenue` INT64,
    `value` FLOAT64,
    `quantity` INT64,
    `tags` STRUCT<key_value ARRAY<STRUCT<key STRING, value STRING>>>,
    `revision` STRING,
    `client_engine` STRING,
    `client_version` STRING
)
WITH PARTITION COLUMNS (
    `date` DATE,
    `event` STRING
)
OPTIONS (
    format = 'PARQUET',
    uris = ['gs://YOUR-BUCKET/PREFIX/type=events/*.parquet'],
    hive_partition_uri_prefix = 'gs://YOUR-BUCKET/PREFIX/type=events',
    enable_list_inference = true
);

-- decisions-rerun: the vendor does not document it; it is taken to have the columns of decisions.
CREATE OR REPLACE EXTERNAL TABLE `YOUR_DATASET`.`decisions_rerun` (
    `uuid` STRING,
    `timestamp` TIMESTAMP,
    `process_timestamp` TIMESTAMP,
    `visitor_id` STRING,
    `session_id` STRING,
    `account_id` STRING,
    `campaign_id` STRING,
    `experiment_id` STRING,
    `variation_id` STRING,
    `attributes` ARRAY<STRUCT<`id` STRING, `name` STRING, `type` STRING, `value` STRING>>,
    `user_ip` STRING,
    `user_agent` STRING,
    `referer` STRING,
    `is_holdback` BOOL,
    `revision` STRING,
    `client_engine` STRING,
    `client_version` STRING
)
WITH PARTITION COLUMNS (
    `date` DATE,
    `experiment` STRING
)
OPTIONS (
    format = 'PARQUET',
    uris = ['gs://YOUR-BUCKET/PREFIX/type=decisions-rerun/*.parquet'],
    hive_partition_uri_prefix = 'gs://YOUR-BUCKET/PREFIX/type=decisions-rerun',
    enable_list_inference = true
);
