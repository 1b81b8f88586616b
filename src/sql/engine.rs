//! The engines that statements are written for.

/// What the statements are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// DuckDB.
    DuckDb,
    /// Amazon Athena.
    Athena,
    /// Google BigQuery.
    BigQuery,
    /// Snowflake.
    Snowflake,
    /// Apache Spark, and what is built of it: EMR, Dataproc, Databricks.
    Spark,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::DuckDb, Self::Athena, Self::BigQuery, Self::Snowflake, Self::Spark];

    /// The engine's own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::DuckDb => "DuckDB",
            Self::Athena => "Athena",
            Self::BigQuery => "BigQuery",
            Self::Snowflake => "Snowflake",
            Self::Spark => "Spark",
        }
    }
}
