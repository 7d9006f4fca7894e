//! The audit log of a server that keeps one.
//!
//! ```text
//! GET    /v1/audit              records, a page of them       200
//! GET    /v1/audit/status       how far it has come           200
//! POST   /v1/audit/checkpoint   signs what has happened       200
//! ```
//!
//! That a server begins is a record, `opened`: grants of one before it are gone, and every account
//! after it holds nothing.
//!
//! What reads or waits for the disk does so on threads for that, at most [`AT_ONCE_MAX`] calls at
//! one time.

mod pages;

use crate::happened;
use crate::problem::Problem;
use crate::state::State;
use crate::words::Query;
use allotment::audit::{AuditStatus, JournalOptions, Key};
use allotment::{MemoryError, TenantId};
use axum::Json;
use axum::extract::State as Shared;
use axum::http::StatusCode;
pub use pages::RecordBody;
use pages::{OWN_KINDS, Wanted};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

/// Calls that read or wait at one time; others stand in line.
const AT_ONCE_MAX: usize = 2;
/// Most records of a page.
pub const PAGE_MAX: usize = 1_000;

/// Where the log is, if there is one, and who reads it.
pub struct Audit {
    folder: OnceLock<PathBuf>,
    at_once: Arc<Semaphore>,
}

impl Default for Audit {
    fn default() -> Self {
        Self { folder: OnceLock::new(), at_once: Arc::new(Semaphore::new(AT_ONCE_MAX)) }
    }
}

/// Which records are wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// Those after this one.
    #[serde(default)]
    after: u64,
    /// An id, or a name, of a tenant or a group.
    tenant: Option<String>,
    /// Names with commas between them.
    kind: Option<String>,
    /// At most so many.
    limit: Option<usize>,
}

/// A page of records.
#[derive(Serialize, ToSchema)]
pub struct PageBody {
    #[schema(value_type = Vec<RecordBody<'static>>)]
    records: Vec<serde_json::Value>,
    /// The next page comes after this record.
    next_after: u64,
    /// Whether that was all there is by now.
    end: bool,
    /// Where the log is not what was written; none on most pages.
    damage: Vec<String>,
}

/// How far the log has come.
#[derive(Serialize, ToSchema)]
pub struct LogBody {
    mode: &'static str,
    records: u64,
    events_lost: u64,
    requests_refused: u64,
    events_waiting: u64,
    /// The last checkpoint, as `allot audit verify --expect` takes it.
    head: Option<String>,
    error: Option<String>,
    errors: u64,
}

/// A checkpoint, to be kept where nobody who can change the log can change it.
#[derive(Serialize, ToSchema)]
pub struct HeadBody {
    head: String,
    sequence: u64,
}

impl State {
    /// Begins to write down what happens, in a log that is made or continued. The governor has to
    /// be made for it ([`State::tuned`]); call it before there are requests.
    ///
    /// # Errors
    ///
    /// [`MemoryError::Audit`], as [`allotment::MultiTenantMemoryManager::start_audit`].
    pub fn start_audit(
        &self,
        folder: &Path,
        key: &Key,
        options: JournalOptions,
    ) -> Result<(), MemoryError> {
        self.manager.start_audit(folder, key, options)?;
        let _ = self.audit.folder.set(folder.to_path_buf());
        Ok(())
    }

    /// Writes down what has happened by now and seals the log, if there is one. Blocks.
    ///
    /// # Errors
    ///
    /// What is in the way.
    pub fn close_audit(&self) -> Result<(), MemoryError> {
        match self.manager.audit_status() {
            None => Ok(()),
            Some(_) => self.manager.close_audit().map(drop),
        }
    }

    /// Does something with the log on a thread where it may wait.
    async fn with_log<T: Send + 'static>(
        self: &Arc<Self>,
        does: impl FnOnce(&Self, &Path) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        if self.audit.folder.get().is_none() {
            let (status, title) = (StatusCode::NOT_FOUND, "there is no audit log");
            let detail = "the server keeps none: start it with --audit";
            return Err(Problem::new(status, "no-audit", title, detail));
        }
        let permit = self.audit.at_once.clone().acquire_owned().await;
        let state = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            let done = does(&state, state.audit.folder.get().expect("looked up above"));
            drop(permit);
            done
        });
        done.await.unwrap_or_else(|_| {
            let (status, title) = (StatusCode::INTERNAL_SERVER_ERROR, "the machine");
            Err(Problem::new(status, "machine", title, "the reader of the log has panicked"))
        })
    }
}

impl From<AuditStatus> for LogBody {
    fn from(status: AuditStatus) -> Self {
        Self {
            mode: status.mode.name(),
            records: status.records,
            events_lost: status.events_lost,
            requests_refused: status.requests_refused,
            events_waiting: status.events_waiting,
            head: status.head.map(|head| head.to_string()),
            error: status.error,
            errors: status.errors,
        }
    }
}

/// The kinds that are named.
fn kinds(text: &str) -> Result<Vec<&'static str>, Problem> {
    let known = || happened::kind_names().chain(OWN_KINDS);
    let found = |name: &str| known().find(|known| *known == name);
    let kinds: Option<Vec<_>> = text.split(',').map(found).collect();
    kinds.ok_or_else(|| {
        let known = known().collect::<Vec<_>>().join(", ");
        Problem::invalid(format!("kind: use {known}, with commas between them"))
    })
}

/// `GET /v1/audit`.
pub async fn list(
    Shared(state): Shared<Arc<State>>,
    Query(asked): Query<Asked>,
) -> Result<Json<PageBody>, Problem> {
    let limit = asked.limit.unwrap_or(PAGE_MAX);
    if !(1..=PAGE_MAX).contains(&limit) {
        let detail = format!("limit of {limit} is out of range: use 1 to {PAGE_MAX}");
        return Err(Problem::invalid(detail));
    }
    let id = asked.tenant.as_deref().and_then(|text| uuid::Uuid::parse_str(text).ok());
    let wanted = Wanted {
        after: asked.after,
        tenant: asked.tenant,
        id: id.map(|id| TenantId::from_u128(id.as_u128())),
        kinds: asked.kind.as_deref().map(kinds).transpose()?,
        limit,
    };
    let read = move |_: &State, folder: &Path| pages::read(folder, &wanted).map_err(machine);
    state.with_log(read).await.map(Json)
}

fn machine(error: allotment::audit::AuditError) -> Problem {
    MemoryError::from(error).into()
}

/// `GET /v1/audit/status`.
pub async fn status(Shared(state): Shared<Arc<State>>) -> Result<Json<LogBody>, Problem> {
    let status = state.with_log(|state, _| Ok(state.manager.audit_status())).await?;
    Ok(Json(LogBody::from(status.unwrap_or_default())))
}

/// `POST /v1/audit/checkpoint`.
pub async fn checkpoint(Shared(state): Shared<Arc<State>>) -> Result<Json<HeadBody>, Problem> {
    let head = state.with_log(|state, _| Ok(state.manager.audit_checkpoint()?)).await?;
    Ok(Json(HeadBody { head: head.to_string(), sequence: head.sequence }))
}
