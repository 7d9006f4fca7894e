//! The audit log of a manager: what its governor does, written down while it runs.
//!
//! The log names tenants by their UUIDs and names, and grants by the ids that allocations have as
//! well; what models are called is not in it.

use super::error::MemoryError;
use super::{MultiTenantMemoryManager, lock};
use crate::audit::{AuditError, AuditLog, AuditStatus, Head, JournalOptions, Key};
use std::path::Path;
use std::sync::Mutex;

/// The log, if there is one.
#[derive(Debug, Default)]
pub(super) struct Audit(Mutex<Option<AuditLog>>);

impl From<AuditError> for MemoryError {
    fn from(error: AuditError) -> Self {
        Self::Audit { problem: error.to_string() }
    }
}

impl MultiTenantMemoryManager {
    /// Begins to write down every grant, denial, growth, release and eviction, every change of
    /// tenants and limits, and every verb of an emergency, to the log in `folder`. It ends with
    /// [`Self::close_audit`], or sealed when the last clone of the manager goes.
    ///
    /// The manager has to be created for it: what happens while the log cannot be written is
    /// [`GovernorConfig::audit`](crate::GovernorConfig::audit). Call it before tenants are
    /// registered, so that the log has everything.
    ///
    /// ```
    /// use allotment::audit::{JournalOptions, Key, verify};
    /// use allotment::*;
    ///
    /// # let place = std::env::temp_dir().join(format!("allotment-facade-{}", std::process::id()));
    /// # std::fs::remove_dir_all(&place).ok();
    /// # std::fs::create_dir_all(&place)?;
    /// # let config = MemoryConfig {
    /// #     max_memory_mb: 1024,
    /// #     enable_monitoring: false,
    /// #     monitoring_interval_secs: 10,
    /// #     enable_memory_balancing: false,
    /// #     balancing_interval_secs: 30,
    /// #     enable_compression: false,
    /// #     compression_threshold_mb: 1024,
    /// # };
    /// let options = ManagerOptions::default()
    ///     .governor(|governor| governor.audit = AuditMode::FailClosed);
    /// let manager = MultiTenantMemoryManager::try_new_with(config, options)?;
    /// let key = Key::generate(&place.join("audit.key"))?;
    /// let folder = place.join("audit");
    /// manager.start_audit(&folder, &key, JournalOptions::default())?;
    /// let head = manager.close_audit()?;
    /// assert!(verify(&folder, &key, Some(&head))?.sealed);
    /// # std::fs::remove_dir_all(&place)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`MemoryError::Audit`]: the manager was not created for it or has a log already, the folder
    /// cannot be written, or what is in it is not this log.
    pub fn start_audit(
        &self,
        folder: &Path,
        key: &Key,
        options: JournalOptions,
    ) -> Result<(), MemoryError> {
        let log = AuditLog::start(&self.inner.governor, folder, key, options)?;
        *lock(&self.inner.audit.0) = Some(log);
        Ok(())
    }

    /// How far the audit log has come, and what is in its way; none if there is none.
    pub fn audit_status(&self) -> Option<AuditStatus> {
        lock(&self.inner.audit.0).as_ref().map(AuditLog::status)
    }

    /// Writes down what has happened by now and signs it; answers the head, to be kept where nobody
    /// who can change the log can change it. Blocks until it is on the disk.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Audit`]: there is no log, or what is in its way.
    pub fn audit_checkpoint(&self) -> Result<Head, MemoryError> {
        let audit = lock(&self.inner.audit.0);
        Ok(audit.as_ref().ok_or_else(no_log)?.checkpoint()?)
    }

    /// Writes down in the audit log what the program says of itself, as what it is configured to do
    /// beside the manager; as [`AuditLog::note`].
    ///
    /// # Errors
    ///
    /// [`MemoryError::Audit`]: there is no log, or too many notes are not written yet.
    pub fn audit_note(&self, text: &str) -> Result<(), MemoryError> {
        let audit = lock(&self.inner.audit.0);
        Ok(audit.as_ref().ok_or_else(no_log)?.note(text)?)
    }

    /// Writes down what has happened by now, seals the log and answers its head.
    ///
    /// # Errors
    ///
    /// As [`Self::audit_checkpoint`].
    pub fn close_audit(&self) -> Result<Head, MemoryError> {
        let log = lock(&self.inner.audit.0).take().ok_or_else(no_log)?;
        Ok(log.close()?)
    }
}

fn no_log() -> MemoryError {
    let problem = "there is no audit log: begin one with start_audit".to_string();
    MemoryError::Audit { problem }
}
