//! Whom a worker asks for memory: a governor of its own, or a server that keeps records of it.

use allotment::{Governor, GrantId, Refusal, TenantHandle};

use super::worker::{give_back, item_request, job_request_of, misuse};
use crate::failure::CliError;
use crate::trace::workload::{Job, Workload};

/// The answer to a request.
pub enum Answer {
    /// Its grant.
    Granted(GrantId),
    /// None now.
    Denied,
}

/// Who gives memory. Errors are misuse: bugs of the driver.
pub trait Memory {
    /// Whether nobody else uses the governor: then lines and steps of its balancer are the driver's
    /// to look after.
    const IS_OWN: bool;

    /// The governor that decides.
    fn governor(&self) -> &Governor;

    /// Says that a grant was used; whether it is still there.
    fn touch(&self, handle: TenantHandle, grant: GrantId) -> bool;

    /// Asks for an item that is not resident.
    fn fetch(
        &self,
        workload: &Workload,
        item: u32,
        handle: TenantHandle,
        bytes: u64,
    ) -> Result<Answer, CliError>;

    /// Asks for what a job begins with.
    fn start(&self, tenant: u32, handle: TenantHandle, job: &Job) -> Result<Answer, CliError>;

    /// Asks for more; whether it was granted.
    fn grow(&self, handle: TenantHandle, grant: GrantId, bytes: u64) -> Result<bool, CliError>;

    /// Gives a grant back; whether it was still there.
    fn give_back(&self, handle: TenantHandle, grant: GrantId) -> Result<bool, CliError>;
}

impl Memory for Governor {
    const IS_OWN: bool = true;

    #[inline]
    fn governor(&self) -> &Governor {
        self
    }

    #[inline]
    fn touch(&self, handle: TenantHandle, grant: GrantId) -> bool {
        Self::touch(self, handle, grant).is_ok()
    }

    #[inline]
    fn fetch(
        &self,
        workload: &Workload,
        item: u32,
        handle: TenantHandle,
        bytes: u64,
    ) -> Result<Answer, CliError> {
        match self.request(&item_request(workload, item, handle, bytes)) {
            Ok(grant) => Ok(Answer::Granted(grant.into_id())),
            Err(Refusal::Denied(_)) => Ok(Answer::Denied),
            Err(Refusal::Misuse(error)) => Err(misuse(&error)),
        }
    }

    fn start(&self, tenant: u32, handle: TenantHandle, job: &Job) -> Result<Answer, CliError> {
        match self.request(&job_request_of(tenant, handle, job)) {
            Ok(grant) => Ok(Answer::Granted(grant.into_id())),
            Err(Refusal::Denied(_)) => Ok(Answer::Denied),
            Err(Refusal::Misuse(error)) => Err(misuse(&error)),
        }
    }

    fn grow(&self, handle: TenantHandle, grant: GrantId, bytes: u64) -> Result<bool, CliError> {
        match self.grow_evicting(handle, grant, bytes) {
            Ok(()) => Ok(true),
            Err(Refusal::Denied(_)) => Ok(false),
            Err(Refusal::Misuse(error)) => Err(misuse(&error)),
        }
    }

    fn give_back(&self, handle: TenantHandle, grant: GrantId) -> Result<bool, CliError> {
        give_back(self, handle, grant)
    }
}
