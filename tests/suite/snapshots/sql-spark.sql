-- Put your own bucket and prefix in, or name the destination to e3sync.
-- Spark: tables that find days and folders by themselves, without MSCK REPAIR TABLE. A session that has
-- read one sees new and rewritten days after REFRESH TABLE. Set spark.sql.session.timeZone to UTC to see
-- timestamps in UTC. A column that old files lack is NULL.
-- A table that is there already stays as it is; after DROP TABLE, which leaves the files, it is made anew.
-- On EMR and Databricks write s3:// instead of s3a://.

-- decisions
CREATE TABLE IF NOT EXISTS `decisions` (
    `uuid` STRING,
    `timestamp` TIMESTAMP,
    `process_timestamp` TIMESTAMP,
    `visitor_id` STRING,
    `session_id` STRING,
    `account_id` STRING,
    `campaign_id` STRING,
    `experiment_id` STRING,
    `variation_id` STRING,
    `attributes` ARRAY<STRUCT<`id`:STRING, `name`:STRING, `type`:STRING, `value`:STRING>>,
    `user_ip` STRING,
    `user_agent` STRING,
    `referer` STRING,
    `is_holdback` BOOLEAN,
    `revision` STRING,
    `client_engine` STRING,
    `client_version` STRING,
    `date` DATE,
    `experiment` STRING
)
USING parquet
OPTIONS (path 's3a://YOUR-BUCKET/PREFIX/type=decisions');

-- events
CREATE TABLE IF NOT EXISTS `events` (
    `uuid` STRING,
    `timestamp` TIMESTAMP,
    `process_timestamp` TIMESTAMP,
    `visitor_id` STRING,
    `session_id` STRING,
    `account_id` STRING,
    `experiments` ARRAY<STRUCT<`campaign_id`:STRING, `experiment_id`:STRING, `variation_id`:STRING, `is_holdback`:BOOLEAN>>,
    `entity_id` STRING,
    `attributes` ARRAY<STRUCT<`id`:STRING, `name`:STRING, `type`:STRING, `value`:STRING>>,
    `user_ip` STRING,
    `user_agent` STRING,
    `referer` STRING,
    `event_type` STRING,
    `event_name` STRING,
    `revenue` BIGINT,
    `value` DOUBLE,
    `quantity` BIGINT,
    `tags` MAP<STRING, STRING>,
    `revision` STRING,
    `client_engine` STRING,
    `client_version` STRING,
    `date` DATE,
    `event` STRING
)
USING parquet
OPTIONS (path 's3a://YOUR-BUCKET/PREFIX/type=events');

-- decisions-rerun: the vendor does not document it; it is taken to have the columns of decisions.
CREATE TABLE IF NOT EXISTS `decisions_rerun` (
    `uuid` STRING,
    `timestamp` TIMESTAMP,
    `process_timestamp` TIMESTAMP,
    `visitor_id` STRING,
    `session_id` STRING,
    `account_id` STRING,
    `campaign_id` STRING,
    `experiment_id` STRING,
    `variation_id` STRING,
    `attributes` ARRAY<STRUCT<`id`:STRING, `name`:STRING, `type`:STRING, `value`:STRING>>,
    `user_ip` STRING,
    `user_agent` STRING,
    `referer` STRING,
    `is_holdback` BOOLEAN,
    `revision` STRING,
    `client_engine` STRING,
    `client_version` STRING,
    `date` DATE,
    `experiment` STRING
)
USING parquet
OPTIONS (path 's3a://YOUR-BUCKET/PREFIX/type=decisions-rerun');
