//! The tables, made and changed step by step. Each step is in the history of the schema when it is done.

use deadpool_postgres::Object;
use tokio_postgres::Error;

/// The steps in order. A step that was released is never changed: add another.
const STEPS: &[(i32, &str)] = &[(1, include_str!("V001_tables.sql"))];
/// The step that makes hypertables; it is made when the extension is there, now or later.
const HYPERTABLES: i32 = 1000;
/// Brokers that start at the same time wait for each other under this number.
const LOCK: i64 = 0x676c_696e_7463_6173;

/// Brings the schema to this version. Any number of brokers may do so at once: one does, the others find it done.
pub(super) async fn run(client: &mut Object, schema: &str) -> Result<(), Error> {
    let changing = client.transaction().await?;
    changing
        .query("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await?;
    let history = format!("{schema}.schema_history");
    // What is there is not made again: a role that may only write rows is enough from then on.
    let known = changing
        .query_one("SELECT to_regclass($1) IS NOT NULL", &[&history])
        .await?;
    if !known.get::<_, bool>(0) {
        let begin = format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; \
             CREATE TABLE {history} (step int PRIMARY KEY, done_at timestamptz NOT NULL DEFAULT now())"
        );
        changing.batch_execute(&begin).await?;
    }
    let done = changing
        .query(&format!("SELECT step FROM {history}"), &[])
        .await?;
    let done: Vec<i32> = done.iter().map(|row| row.get(0)).collect();
    let note = format!("INSERT INTO {history} (step) VALUES ($1)");
    for (step, statements) in STEPS.iter().filter(|(step, _)| !done.contains(step)) {
        changing
            .batch_execute(&statements.replace("{schema}", schema))
            .await?;
        changing.execute(&note, &[step]).await?;
        tracing::info!(schema, step, "the database has the tables of this version");
    }
    if !done.contains(&HYPERTABLES) {
        let extension = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'";
        if changing.query_opt(extension, &[]).await?.is_some() {
            for table in ["trace_events", "trace_llm_calls"] {
                let make = format!(
                    "SELECT create_hypertable('{schema}.{table}', 'ts', chunk_time_interval => INTERVAL '1 day', \
                     migrate_data => true, if_not_exists => true)"
                );
                changing.batch_execute(&make).await?;
            }
            changing.execute(&note, &[&HYPERTABLES]).await?;
        }
    }
    changing.commit().await
}
