//! Memory for who runs in the server's own process: counted, shown and told like that of others,
//! and with the same answers. A lease that it has does not end by time, and ends at once when its
//! memory is needed elsewhere; whoever has it finds that out at its next use.

use crate::book::{Acting, End, OnEvict};
use crate::reach::Reach;
use crate::state::{State, at_once, nanoseconds};
use allotment::{AllocationAsk, AllocationRefusal, MemoryError, TenantConfig, TenantId};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Longer than a server runs.
const LEASE: Duration = Duration::from_secs(10 * 366 * 24 * 60 * 60);

impl State {
    /// The tenant of a name; one without limits is registered where there is none. It is not kept
    /// for the next start. Blocks for as long as others register; not for tasks of a runtime.
    ///
    /// # Errors
    ///
    /// What the governor refuses: a name that is none, a table that is full.
    pub fn enroll(&self, name: &str) -> Result<TenantId, MemoryError> {
        let _alone = self.administration.blocking_lock();
        if let Some(tenant) = self.tenant(name) {
            return Ok(tenant);
        }
        let id = TenantId::from_u128(Uuid::new_v4().as_u128());
        at_once(self.manager.register_tenant_bytes(TenantConfig::new(id, name)))?;
        Ok(id)
    }

    /// Asks for memory at once, and answers the id of the grant. Cost: that of `POST /v1/requests`
    /// without its connection. May be called from any thread.
    ///
    /// # Errors
    ///
    /// A denial, which is shown among the last ones, or misuse.
    pub fn hold_bytes(&self, ask: &AllocationAsk) -> Result<String, AllocationRefusal> {
        let begun = Instant::now();
        let granted = at_once(self.manager.allocate(ask, Duration::ZERO));
        self.note_answer(ask, &granted, begun, false);
        let id = granted?;
        self.begin_lease(&id, ask.tenant_id, nanoseconds(LEASE), OnEvict::AtOnce);
        Ok(id)
    }

    /// Asks for more bytes in a grant; whether they were granted. One that is gone gets none.
    pub fn hold_more(&self, id: &str, bytes: u64) -> bool {
        let Some(change) = self.change_inside(id) else { return false };
        match at_once(self.manager.extend(change.tenant(), id, bytes)) {
            Ok(()) => true,
            Err(AllocationRefusal::Misuse(_)) => false,
            Err(AllocationRefusal::Denied(no)) => {
                at_once(self.note_growth(id, change.tenant(), bytes, &no));
                false
            }
        }
    }

    /// Says that a grant was used; whether it is still there.
    pub fn used_again(&self, id: &str) -> bool {
        let Some(change) = self.change_inside(id) else { return false };
        let is_there = at_once(self.manager.touch_allocation(change.tenant(), id)).is_ok();
        if is_there {
            self.book().touched(id, self.now_ns());
        }
        is_there
    }

    /// Gives a grant back; whether it was still there.
    pub fn hold_no_more(&self, id: &str) -> bool {
        let ended = self.book().end(id, Acting::Anybody, None, End::Released);
        let Ok(lease) = ended else { return false };
        at_once(self.give_back(id, &lease)).is_ok()
    }

    fn change_inside(&self, id: &str) -> Option<crate::grants::Change<'_>> {
        let epoch = self.book().look(id, Acting::Anybody, None).ok()?.epoch;
        self.change(id, &Reach::All, epoch).ok()
    }
}
