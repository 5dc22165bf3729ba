//! The vault in a file, by redb: one table of bytes by name, every change synced before it is said to be done, unless it
//! is only noted.

use std::fmt;
use std::path::Path;

use actors::vault::{Found, Vault, VaultError};
use redb::{Database, Durability, ReadableDatabase as _, TableDefinition};

/// The file within the data directory.
pub const FILE: &str = "vault.redb";
/// What of the file may stay in memory: without a bound that is all that was ever read or written.
const CACHE_BYTES: usize = 4 << 20;
const TABLE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("vault");

/// A vault in a file.
pub struct FileVault {
    database: Database,
}

impl fmt::Debug for FileVault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileVault")
    }
}

impl FileVault {
    /// Opens the vault in `dir`, and makes it if there is none.
    ///
    /// # Errors
    /// When the disk refuses, or the file is no vault.
    pub fn open(dir: &Path) -> Result<FileVault, VaultError> {
        let mut builder = Database::builder();
        let builder = builder.set_cache_size(CACHE_BYTES);
        let database = builder.create(dir.join(FILE)).map_err(failed)?;
        let vault = FileVault { database };
        // A table that nobody wrote to yet could not be read.
        vault.put(&[])?;
        Ok(vault)
    }

    fn write(
        &self,
        changes: &[(&str, Option<&[u8]>)],
        durability: Durability,
    ) -> Result<(), VaultError> {
        let mut writing = self.database.begin_write().map_err(failed)?;
        writing.set_durability(durability).map_err(failed)?;
        {
            let mut table = writing.open_table(TABLE).map_err(failed)?;
            for (key, value) in changes {
                match value {
                    Some(value) => table.insert(key, value).map_err(failed)?,
                    None => table.remove(key).map_err(failed)?,
                };
            }
        }
        writing.commit().map_err(failed)
    }
}

impl Vault for FileVault {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, VaultError> {
        let reading = self.database.begin_read().map_err(failed)?;
        let table = reading.open_table(TABLE).map_err(failed)?;
        let found = table.get(key).map_err(failed)?;
        Ok(found.map(|value| value.value().to_vec()))
    }

    fn put(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<(), VaultError> {
        self.write(changes, Durability::Immediate)
    }

    fn note(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<(), VaultError> {
        self.write(changes, Durability::None)
    }

    fn scan(&self, prefix: &str, after: &str, max: usize) -> Result<Vec<Found>, VaultError> {
        let reading = self.database.begin_read().map_err(failed)?;
        let table = reading.open_table(TABLE).map_err(failed)?;
        let mut found = Vec::new();
        for entry in table.range(prefix.max(after)..).map_err(failed)? {
            let (key, value) = entry.map_err(failed)?;
            if !key.value().starts_with(prefix) || found.len() == max {
                break;
            }
            if after.is_empty() || key.value() > after {
                found.push((key.value().to_owned(), value.value().to_vec()));
            }
        }
        Ok(found)
    }
}

fn failed(err: impl fmt::Display) -> VaultError {
    VaultError(err.to_string())
}

#[cfg(test)]
mod tests {
    use actors::vault::MemoryVault;

    use super::*;

    fn behaves(vault: &dyn Vault) {
        assert_eq!(vault.get("a/1").unwrap(), None);
        vault
            .put(&[
                ("a/1", Some(b"one")),
                ("a/2", Some(b"two")),
                ("b/1", Some(b"three")),
            ])
            .unwrap();
        assert_eq!(vault.get("a/1").unwrap().as_deref(), Some(&b"one"[..]));
        let keys = |prefix, after, max| -> Vec<String> {
            let found = vault.scan(prefix, after, max).unwrap();
            found.into_iter().map(|(key, _)| key).collect()
        };
        assert_eq!(keys("a/", "", 9), ["a/1", "a/2"]);
        assert_eq!(keys("a/", "a/1", 9), ["a/2"]);
        assert_eq!(keys("a/", "", 1), ["a/1"]);
        assert_eq!(keys("", "", 9), ["a/1", "a/2", "b/1"]);
        vault.note(&[("a/1", None), ("a/3", Some(b""))]).unwrap();
        assert_eq!(keys("a/", "", 9), ["a/2", "a/3"]);
        vault.put(&[]).unwrap();
    }

    #[test]
    fn a_vault_in_memory_and_one_in_a_file_behave_alike() {
        behaves(&MemoryVault::default());
        let dir = std::env::temp_dir().join(format!("glintcast-vault-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        behaves(&FileVault::open(&dir).unwrap());
        // And it is all there for the next process.
        let again = FileVault::open(&dir).unwrap();
        let found = again.scan("", "", 9).unwrap().into_iter();
        let keys: Vec<_> = found.map(|(key, _)| key).collect();
        assert_eq!(keys, ["a/2", "a/3", "b/1"], "what was noted, too");
        drop(again);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_was_noted_gets_to_the_disk_with_the_next_put_and_not_in_part() {
        let dir = std::env::temp_dir().join(format!("glintcast-notes-{}", std::process::id()));
        let crashed = dir.join("crashed");
        std::fs::create_dir_all(&crashed).unwrap();
        let vault = FileVault::open(&dir).unwrap();
        // What another process would find if this one ended now.
        let found = || {
            std::fs::copy(dir.join(FILE), crashed.join(FILE)).unwrap();
            let vault = FileVault::open(&crashed).unwrap();
            let found = vault.scan("", "", 9).unwrap().into_iter();
            found.map(|(key, _)| key).collect::<Vec<_>>()
        };
        vault.put(&[("a", Some(b"1"))]).unwrap();
        vault
            .note(&[("a", None), ("b", Some(b"2")), ("c", Some(b"3"))])
            .unwrap();
        assert_eq!(found(), ["a"]);
        vault.put(&[]).unwrap();
        assert_eq!(found(), ["b", "c"]);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
