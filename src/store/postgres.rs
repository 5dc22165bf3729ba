//! Traces in PostgreSQL: a row for each trace, component and call to a model, and how far the sink is, in one
//! transaction.
//!
//! Each table gets its rows by one statement whose parameters are whole columns, so a batch has no bound on its rows. A
//! batch goes in parts: while the database works on one, the rows of the next are made.
//! JSON stands twice: as text, byte for byte as it is kept, and as `jsonb`, which is for questions and spells numbers
//! its own way. Rows that are there are passed over, so brokers may share a database.

mod columns;
mod migrate;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actors::sink::{Pending, Store, StoreError};
use attest::Fault;
use attest::ring::Change;
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Transaction};
use futures_util::future::{try_join, try_join_all};
use glint::{Event, Name, Offset};
use thiserror::Error;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Config, NoTls};

use self::columns::Columns;
use super::tables::{Kept, Table};

/// Traces whose rows go to the database together.
const PART: usize = 32;
/// How long a connection that says nothing may be gone without notice.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Settings of the database that cannot stand.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PostgresSettingsError {
    /// The address.
    #[error("postgres.url cannot be read: {0}")]
    Url(tokio_postgres::Error),
    /// Encryption, which this driver does not do.
    #[error(
        "postgres.url asks for sslmode=require; connections are not encrypted here: use a socket, or a tunnel"
    )]
    Encryption,
}

/// Where the tables are, and how far the sink is in them.
pub struct Postgres {
    pool: Pool,
    schema: String,
    /// Which log the cursor is of.
    epoch: u64,
    /// A statement for each table.
    inserts: [String; Table::ALL.len()],
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Makes a driver for the database at `url`; it connects when it is opened. `schema` needs no quotes.
    ///
    /// # Errors
    /// When the address cannot stand.
    pub fn new(
        url: &str,
        password: Option<&str>,
        schema: &str,
        epoch: u64,
        timeout: Duration,
    ) -> Result<Postgres, PostgresSettingsError> {
        let mut config: Config = url.parse().map_err(PostgresSettingsError::Url)?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(PostgresSettingsError::Encryption);
        }
        if let Some(password) = password {
            config.password(password);
        }
        if config.get_application_name().is_none() {
            config.application_name("glintcast");
        }
        config
            .connect_timeout(timeout)
            .keepalives_idle(KEEPALIVE)
            .tcp_user_timeout(timeout);
        let recycling_method = RecyclingMethod::Fast;
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method });
        // One writer, so that rows come in the order of the log. Pools without time limits need nothing to be made.
        let pool = Pool::builder(manager).max_size(1).build();
        Ok(Postgres {
            pool: pool.map_err(|_| PostgresSettingsError::Encryption)?,
            schema: schema.to_owned(),
            epoch,
            inserts: Table::ALL.map(|table| columns::insert(schema, table)),
        })
    }

    async fn client(&self) -> Result<Object, StoreError> {
        let client = self.pool.get().await;
        client.map_err(|err| StoreError::Transient(explain(&err)))
    }

    async fn begin(&self) -> Result<Option<Offset>, StoreError> {
        // After a failure nothing is known of a connection but that it had one.
        self.pool.retain(|_, _| false);
        let mut client = self.client().await?;
        migrate::run(&mut client, &self.schema)
            .await
            .map_err(|err| lasting(&err))?;
        let query = format!(
            "SELECT seq FROM {}.sink_positions WHERE epoch = $1",
            self.schema
        );
        let found = client.query_opt(&query, &[&number(self.epoch)]).await;
        let seq = found
            .map_err(|err| refusal(&err))?
            .map(|row| row.get::<_, i64>(0));
        Ok(seq
            .and_then(|seq| u64::try_from(seq).ok())
            .map(|seq| Offset {
                epoch: self.epoch,
                seq,
            }))
    }

    async fn keep(&self, events: &[Arc<Event>], upto: Offset) -> Result<(), StoreError> {
        let (keys, traces): (Vec<_>, Vec<_>) = events
            .iter()
            .map(|event| &**event)
            .partition(|event| event.name == Name::KeyChanged);
        let mut client = self.client().await?;
        let writing = client.transaction().await.map_err(|err| refusal(&err))?;
        for event in keys {
            self.note_key(&writing, event).await?;
        }
        let mut parts = traces.chunks(PART).map(columns_of);
        let mut part = parts.next().transpose()?;
        while let Some(columns) = part {
            let next = async {
                // First this part is sent: the database works on it while the next one is made.
                tokio::task::yield_now().await;
                parts.next().transpose()
            };
            ((), part) = try_join(self.insert(&writing, &columns), next).await?;
        }
        self.move_on(&writing, upto).await?;
        writing.commit().await.map_err(|err| refusal(&err))
    }

    /// Writes rows to all tables, in one go.
    async fn insert(
        &self,
        writing: &Transaction<'_>,
        columns: &[Columns],
    ) -> Result<(), StoreError> {
        let tables = self.inserts.iter().zip(columns);
        let inserts =
            tables
                .filter(|(_, columns)| !columns.is_empty())
                .map(|(insert, columns)| async move {
                    let insert = writing.prepare_cached(insert).await?;
                    let parameters = columns.parameters();
                    writing.execute_raw(&insert, &parameters).await
                });
        // Answers come in the order of the statements, so the first failure is the one that the others follow from.
        try_join_all(inserts)
            .await
            .map_err(|err| refusal(&err))
            .map(drop)
    }

    async fn move_on(&self, writing: &Transaction<'_>, upto: Offset) -> Result<(), StoreError> {
        // An attempt that was given up may still end after its successor: the cursor never goes back.
        let statement = format!(
            "INSERT INTO {0}.sink_positions AS was (epoch, seq) VALUES ($1, $2) \
             ON CONFLICT (epoch) DO UPDATE \
             SET seq = greatest(was.seq, excluded.seq), moved_at = now()",
            self.schema
        );
        let statement = writing
            .prepare_cached(&statement)
            .await
            .map_err(|err| refusal(&err))?;
        let moved = writing
            .execute(&statement, &[&number(upto.epoch), &number(upto.seq)])
            .await;
        moved.map_err(|err| refusal(&err)).map(drop)
    }

    async fn note_key(&self, writing: &Transaction<'_>, event: &Event) -> Result<(), StoreError> {
        let change = Change::from_json(event.text.as_bytes()).map_err(|err| unfit(&err))?;
        let schema = &self.schema;
        let noted = match &change {
            Change::Enrol(key) => {
                let statement = format!(
                    "INSERT INTO {schema}.accord_public_keys (key_id, public_key_base64, algorithm, agent_id_hash, role, \
                     description, created_at, expires_at) VALUES ($1, $2, 'ed25519', $3, $4, $5, $6, $7) \
                     ON CONFLICT DO NOTHING"
                );
                let (added, expires) = (
                    columns::time(key.added_at),
                    key.expires_at.map(columns::time),
                );
                let public = key.key.to_base64();
                let role = key.role.as_str();
                let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] = [
                    &key.id,
                    &public,
                    &key.agent_id_hash,
                    &role,
                    &key.description,
                    &added,
                    &expires,
                ];
                writing.execute(&statement, &values).await
            }
            Change::Revoke { id, revocation } => {
                let statement = format!(
                    "UPDATE {schema}.accord_public_keys SET revoked_at = $2, revoked_reason = $3 \
                     WHERE key_id = $1 AND revoked_at IS NULL"
                );
                let at = columns::time(revocation.at);
                writing
                    .execute(&statement, &[id, &at, &revocation.reason])
                    .await
            }
        };
        noted.map_err(|err| refusal(&err)).map(drop)
    }
}

/// Makes the rows of some traces, for each table.
fn columns_of(events: &[&Event]) -> Result<[Columns; Table::ALL.len()], StoreError> {
    let mut tables = Table::ALL.map(Columns::of);
    for event in events {
        let kept = Kept::of(event);
        let made = kept.read(|record| {
            for (table, columns) in Table::ALL.into_iter().zip(&mut tables) {
                let rows = table.rows(&kept, record)?;
                rows.iter().for_each(|row| columns.push(row));
            }
            Ok(())
        });
        made.map_err(|err| unfit(&err))?;
    }
    Ok(tables)
}

impl Store for Postgres {
    fn open(&mut self) -> Pending<'_, Option<Offset>> {
        Box::pin(self.begin())
    }

    fn write<'a>(&'a mut self, events: &'a [Arc<Event>], upto: Offset) -> Pending<'a, ()> {
        Box::pin(self.keep(events, upto))
    }
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unfit(fault: &Fault) -> StoreError {
    StoreError::Permanent(fault.to_string())
}

/// Tells what may pass from what will not: only what a row holds can be wrong for good. That a table is missing, or a
/// right, or room, is for the operator to mend, and nothing is lost meanwhile.
fn refusal(err: &tokio_postgres::Error) -> StoreError {
    let reason = explain(err);
    match err.code() {
        Some(code) if is_lasting(code) => StoreError::Permanent(reason),
        _ => StoreError::Transient(reason),
    }
}

fn is_lasting(code: &SqlState) -> bool {
    // Cardinality, data, integrity, limits of the program.
    ["21", "22", "23", "54"]
        .iter()
        .any(|class| code.code().starts_with(class))
}

/// Nothing of a row is in it: whatever goes wrong may pass.
fn lasting(err: &tokio_postgres::Error) -> StoreError {
    StoreError::Transient(explain(err))
}

/// What went wrong, with its causes: the first line alone says little.
fn explain(err: &dyn std::error::Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        let said = err.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = err.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_row_holds_is_wrong_for_good() {
        let lasting = [
            SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
            SqlState::UNTRANSLATABLE_CHARACTER,
            SqlState::CHECK_VIOLATION,
            SqlState::PROGRAM_LIMIT_EXCEEDED,
        ];
        let passing = [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::DISK_FULL,
            SqlState::UNDEFINED_TABLE,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::READ_ONLY_SQL_TRANSACTION,
        ];
        assert!(lasting.iter().all(is_lasting));
        assert!(!passing.iter().any(is_lasting));
    }

    #[test]
    fn encryption_that_is_asked_for_is_not_silently_left_out() {
        let url = "postgresql://db/x?sslmode=require";
        let made = Postgres::new(url, None, "glintcast", 1, Duration::from_secs(1));
        assert!(matches!(made, Err(PostgresSettingsError::Encryption)));
    }
}
