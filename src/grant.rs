//! The positive answer: a live object that holds bytes and gives them back exactly once.

use crate::config::AllocationType;
use crate::core::handle::{GrantId, TenantHandle};
use crate::core::word::Owner;
use crate::error::{Error, Refusal};
use crate::governor::Governor;
use std::borrow::Borrow;
use std::mem::ManuallyDrop;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

/// How a release went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Released {
    /// The bytes went back.
    Returned,
    /// The grant was being evicted, or had been, when it was released: its bytes are back already
    /// or are on their way, and nothing is lost.
    Evicted,
}

/// A grant that borrows its governor: what requests answer.
pub type Grant<'g> = HeldGrant<&'g Governor>;

/// A grant that shares its governor, to be stored wherever its memory is.
pub type OwnedGrant = HeldGrant<Arc<Governor>>;

/// Bytes granted to a tenant. Dropping it releases them; [`HeldGrant::into_id`] keeps them granted
/// and leaves the release to whoever has the id. Used as [`Grant`] and [`OwnedGrant`].
///
/// `Send` and `Sync`. Releasing takes two read-modify-writes and never allocates; it waits only
/// while another thread is just changing the same grant, for a few instructions.
#[must_use = "a grant is released when it is dropped"]
pub struct HeldGrant<G: Borrow<Governor>> {
    governor: G,
    id: GrantId,
    owner: Owner,
}

impl<G: Borrow<Governor>> HeldGrant<G> {
    pub(crate) fn new(governor: G, id: GrantId, owner: Owner) -> Self {
        Self { governor, id, owner }
    }

    fn governor(&self) -> &Governor {
        self.governor.borrow()
    }

    /// The grant's id, for logs and for the calls that take ids.
    pub fn id(&self) -> GrantId {
        self.id
    }

    /// The tenant that holds it.
    pub fn tenant(&self) -> TenantHandle {
        self.governor().tenant_handle(self.owner)
    }

    /// What it was requested for.
    pub fn allocation_type(&self) -> AllocationType {
        AllocationType::ALL[usize::from(self.owner.allocation_type())]
    }

    /// Bytes it holds now; 0 once it was evicted.
    pub fn bytes(&self) -> u64 {
        self.governor().grant_bytes(self.id, self.owner)
    }

    /// Keeps the bytes granted and gives up this object.
    pub fn into_id(self) -> GrantId {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is never dropped, so its share of the governor is taken exactly once.
        drop(unsafe { std::ptr::read(&this.governor) });
        this.id
    }

    /// The same, as a number.
    #[inline]
    pub(crate) fn into_number(self) -> NonZeroU64 {
        NonZeroU64::new(self.into_id().as_u64()).expect("generations begin at one")
    }

    /// Tells the eviction queue that the content was used: a few plain accesses.
    ///
    /// # Errors
    ///
    /// [`Error::Evicted`] or [`Error::StaleGrant`] if the grant has ended.
    #[inline]
    pub fn touch(&self) -> Result<(), Error> {
        self.governor().touch_held(self.id, self.owner)
    }

    /// Adds bytes, without evicting. Bounded.
    ///
    /// # Errors
    ///
    /// As [`Governor::grow`].
    #[inline]
    pub fn grow(&self, by_bytes: u64) -> Result<(), Refusal> {
        self.governor().grow_held(self.id, self.owner, by_bytes)
    }

    /// Gives back part of the bytes. Bounded.
    ///
    /// # Errors
    ///
    /// As [`Governor::shrink`].
    #[inline]
    pub fn shrink(&self, by_bytes: u64) -> Result<(), Error> {
        self.governor().shrink_held(self.id, self.owner, by_bytes)
    }

    /// Grows or shrinks to what was measured.
    ///
    /// # Errors
    ///
    /// As [`Governor::true_up`].
    pub fn true_up(&self, measured_bytes: u64) -> Result<(), Refusal> {
        self.governor().true_up(self.tenant(), self.id, measured_bytes)
    }

    /// Forbids eviction until [`HeldGrant::unpin`].
    ///
    /// # Errors
    ///
    /// As [`Governor::pin`].
    pub fn pin(&self) -> Result<(), Error> {
        self.governor().pin(self.tenant(), self.id)
    }

    /// Allows eviction again.
    ///
    /// # Errors
    ///
    /// As [`Governor::unpin`].
    pub fn unpin(&self) -> Result<(), Error> {
        self.governor().unpin(self.tenant(), self.id)
    }

    /// Forbids eviction for a while.
    ///
    /// # Errors
    ///
    /// As [`Governor::keep_alive`].
    pub fn keep_alive(&self, for_: Duration) -> Result<(), Error> {
        self.governor().keep_alive(self.tenant(), self.id, for_)
    }

    /// Gives the bytes back and says whether the grant was still held.
    ///
    /// # Errors
    ///
    /// [`Error::StaleGrant`] if it was released before by its id.
    pub fn release(self) -> Result<Released, Error> {
        let this = ManuallyDrop::new(self);
        let released = this.governor().release_certainly(this.id, this.owner);
        // SAFETY: `this` is never dropped, so its share of the governor is taken exactly once.
        drop(unsafe { std::ptr::read(&this.governor) });
        released
    }
}

impl<G: Borrow<Governor>> Drop for HeldGrant<G> {
    #[inline(always)]
    fn drop(&mut self) {
        // A grant that was evicted, or released by its id, has nothing left to give back.
        self.governor().release_quietly(self.id, self.owner);
    }
}

impl<G: Borrow<Governor>> std::fmt::Debug for HeldGrant<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Grant");
        shown.field("id", &self.id).field("type", &self.allocation_type());
        shown.field("bytes", &self.bytes()).finish()
    }
}

impl Grant<'_> {
    /// The same grant, so that it keeps its governor alive and can be stored. Changes nothing else.
    ///
    /// # Panics
    ///
    /// If `governor` is not the one that granted it.
    pub fn into_owned(self, governor: &Arc<Governor>) -> OwnedGrant {
        assert!(std::ptr::eq(self.governor, &**governor), "the grant is another governor's");
        let this = ManuallyDrop::new(self);
        OwnedGrant::new(governor.clone(), this.id, this.owner)
    }
}

/// Bytes set aside for a grant that is still being prepared: counted like a grant, never evicted,
/// and given back unless it is committed in time.
#[must_use = "a reservation is given back when it is dropped"]
pub struct Reservation<'g> {
    grant: Grant<'g>,
}

impl<'g> Reservation<'g> {
    pub(crate) fn new(grant: Grant<'g>) -> Self {
        Self { grant }
    }

    /// The id of the grant to be.
    pub fn id(&self) -> GrantId {
        self.grant.id
    }

    /// Makes it a grant; waits while another thread is just changing it, for a few instructions.
    ///
    /// # Errors
    ///
    /// [`Error::Expired`] if the time to commit ran out; the bytes are back then.
    pub fn commit(self) -> Result<Grant<'g>, Error> {
        let grant = self.grant;
        loop {
            match grant.governor.commit(grant.tenant(), grant.id) {
                Ok(()) => return Ok(grant),
                // Whoever is told this has given the reservation up, and cannot call again.
                Err(Error::Busy(_)) => std::thread::yield_now(),
                // Its slot has the next grant already.
                Err(Error::StaleGrant(id)) => return Err(Error::Expired(id)),
                Err(other) => return Err(other),
            }
        }
    }

    /// Keeps the bytes reserved and leaves [`Governor::commit`] to whoever has the id.
    pub fn into_id(self) -> GrantId {
        self.grant.into_id()
    }
}
