//! The vault: small things that offices must find again after a restart, such as cursors and marks.
//!
//! What happened is in the log; what an office has made of it so far is here. The driver comes from the layer above.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

/// A value that was found, under its key.
pub type Found = (String, Vec<u8>);

/// What goes wrong with a vault.
#[derive(Debug, Error)]
#[error("the vault failed: {0}; look at the disk, then start the broker again")]
pub struct VaultError(pub String);

/// A map that outlives the process. Keys are `office/thing`, so that offices keep out of each other's way.
///
/// Calls block for as long as a sync of the disk takes: they are for offices that nobody waits for.
pub trait Vault: fmt::Debug + Send + Sync {
    /// Returns the value of `key`.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, VaultError>;

    /// Puts values in place, and takes those away that are `None`: all of them, on disk when this returns, or none.
    ///
    /// # Errors
    /// When the disk cannot be written.
    fn put(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<(), VaultError>;

    /// As [`Vault::put`], without waiting for the disk: there it is with the next [`Vault::put`] of whatever. Where the
    /// broker ends before that, all that was noted since the last one is gone, as if it had not been.
    ///
    /// # Errors
    /// When the disk cannot be written.
    fn note(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<(), VaultError>;

    /// Returns up to `max` values whose keys begin with `prefix` and come after `after`, in the order of their keys.
    ///
    /// # Errors
    /// When the disk cannot be read.
    fn scan(&self, prefix: &str, after: &str, max: usize) -> Result<Vec<Found>, VaultError>;
}

/// A vault, shared.
pub type SharedVault = Arc<dyn Vault>;

/// A vault that ends with the process.
#[derive(Debug, Default)]
pub struct MemoryVault {
    values: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryVault {
    fn values(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        // Nothing in here panics half way through a change.
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Vault for MemoryVault {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, VaultError> {
        Ok(self.values().get(key).cloned())
    }

    fn put(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<(), VaultError> {
        let mut values = self.values();
        for (key, value) in changes {
            match value {
                Some(value) => values.insert((*key).to_owned(), value.to_vec()),
                None => values.remove(*key),
            };
        }
        Ok(())
    }

    fn note(&self, changes: &[(&str, Option<&[u8]>)]) -> Result<(), VaultError> {
        self.put(changes)
    }

    fn scan(&self, prefix: &str, after: &str, max: usize) -> Result<Vec<Found>, VaultError> {
        let values = self.values();
        let from = prefix.max(after).to_owned();
        let found = values
            .range(from..)
            .filter(|(key, _)| key.as_str() > after || after.is_empty())
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(max)
            .map(|(key, value)| (key.clone(), value.clone()));
        Ok(found.collect())
    }
}
