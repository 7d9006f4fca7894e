//! Memory for who runs in the server's own process: counted, shown and told like that of others,
//! and with the same answers. A lease that it has does not end by time, and ends at once when its
//! memory is needed elsewhere; whoever has it finds that out at its next use.

use crate::book::{Acting, End, OnEvict};
use crate::cache;
use crate::grants::growth;
use crate::reach::Reach;
use crate::state::{State, at_once, blocking, nanoseconds};
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

    /// Asks for memory at once, and answers the id of the grant; none: it was denied, which is
    /// shown among the last refusals. Cost: that of `POST /v1/requests` without its connection.
    /// Blocks while others look for room for a cache; not for tasks of a runtime.
    ///
    /// # Errors
    ///
    /// Misuse.
    pub fn hold_bytes(&self, ask: &AllocationAsk) -> Result<Option<String>, MemoryError> {
        let begun = Instant::now();
        let room = match blocking(cache::room(self, ask, None, None)) {
            Ok(room) => room,
            Err(no) => {
                self.note_no_room(ask, &no, begun, false);
                return no.misuse().map_or(Ok(None), Err);
            }
        };
        let granted = at_once(self.manager.allocate(ask, Duration::ZERO));
        self.note_answer(ask, &granted, begun, false);
        match granted {
            Ok(id) => {
                let lease = (nanoseconds(LEASE), OnEvict::AtOnce);
                self.begin_lease(&id, ask.tenant_id, lease, room);
                Ok(Some(id))
            }
            Err(AllocationRefusal::Denied(_)) => Ok(None),
            Err(AllocationRefusal::Misuse(error)) => Err(error),
        }
    }

    /// Asks for more bytes in a grant; whether they were granted. One that is gone gets none.
    /// Blocks as [`State::hold_bytes`].
    pub fn hold_more(&self, id: &str, bytes: u64) -> bool {
        let Some(change) = self.change_inside(id) else { return false };
        let view = at_once(self.manager.get_allocation(change.tenant(), id));
        let Ok(ask) = view.map(|view| growth(view, bytes)) else { return false };
        let room = match blocking(cache::room(self, &ask, Some(id), None)) {
            Ok(room) => room,
            Err(no) => {
                self.recent.no_room(self, &ask, &no);
                return false;
            }
        };
        match at_once(self.manager.extend(change.tenant(), id, bytes)) {
            Ok(()) => {
                room.into_iter().for_each(|room| self.book().has_room(id, room));
                true
            }
            Err(AllocationRefusal::Misuse(_)) => false,
            Err(AllocationRefusal::Denied(no)) => {
                self.recent.denied(self, &ask, &no);
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
