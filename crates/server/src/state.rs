//! What all requests share: the manager, the book of leases, who may come in.

use crate::audit::Audit;
use crate::book::{Book, Cause, Lease, OnEvict, Wanted};
use crate::cache::{Cache, Room};
use crate::config::Configured;
use crate::door::Door;
use crate::events::{EVENTS_MAX, Events};
use crate::kept::Kept;
use crate::metrics::Metrics;
use crate::recent::Recent;
use crate::watch::Watch;
use allotment::{
    AllocationType, EvictedAllocation, GovernorConfig, ManagerOptions, MemoryConfig, MemoryError,
    MultiTenantMemoryManager, ReclaimAnswer, TenantDashboard, TenantId, TenantUsage,
};
use allotment_config::Setup;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;

/// Seconds between two steps of the balancer, and two looks of the monitor.
const STEP_SECS: u64 = 1;
/// Epochs of a server begin at its start in so many ns: above those of any before it, which gave
/// fewer than one in that time. Below 2^53 for two centuries, so that JSON keeps them.
const EPOCH_NS: u128 = 1 << 10;

/// Bounds on leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseBounds {
    /// How long one lasts where the request does not say.
    pub default: Duration,
    /// The longest that can be asked for.
    pub max: Duration,
    /// How long a holder has to release what is needed elsewhere before others are asked.
    pub evict_within: Duration,
}

impl Default for LeaseBounds {
    fn default() -> Self {
        Self {
            default: Duration::from_secs(30),
            max: Duration::from_secs(3_600),
            evict_within: Duration::from_secs(10),
        }
    }
}

/// What all requests share.
pub struct State {
    /// Decides.
    pub manager: MultiTenantMemoryManager,
    /// How long leases last.
    pub bounds: LeaseBounds,
    /// Who may come in.
    pub door: Door,
    /// What is counted as it happens.
    pub metrics: Metrics,
    /// What is configured, and how it changes.
    pub configured: Configured,
    /// What requests have made of it, for the next start.
    pub kept: Kept,
    /// What happens, for who listens.
    pub events: Arc<Events>,
    /// What operators of a cache ask for.
    pub cache: Cache,
    /// What was written down of it.
    pub audit: Audit,
    /// The last refusals and evictions.
    pub recent: Recent,
    /// The stream for dashboards.
    pub watch: Watch,
    /// Taken by whoever registers, renames or removes: what was looked up stays so meanwhile.
    pub administration: tokio::sync::Mutex<()>,
    book: Mutex<Book>,
    /// Told when a lease ends sooner than all others.
    pub sooner: Arc<Notify>,
}

impl State {
    /// A governor as the setup says, with its groups and tenants, and an empty book.
    ///
    /// # Errors
    ///
    /// What the governor refuses.
    pub fn new(setup: &Setup, door: Door, bounds: LeaseBounds) -> Result<Arc<Self>, MemoryError> {
        Self::tuned(setup, door, bounds, |_| {})
    }

    /// The same, with more of the governor's own configuration: a clock of its own, say.
    ///
    /// # Errors
    ///
    /// What the governor refuses.
    pub fn tuned(
        setup: &Setup,
        door: Door,
        bounds: LeaseBounds,
        tune: impl FnOnce(&mut GovernorConfig) + Send + 'static,
    ) -> Result<Arc<Self>, MemoryError> {
        let config = MemoryConfig {
            max_memory_mb: (setup.capacity_bytes >> 20).max(1),
            enable_monitoring: true,
            monitoring_interval_secs: STEP_SECS,
            enable_memory_balancing: true,
            balancing_interval_secs: STEP_SECS,
            enable_compression: false,
            compression_threshold_mb: 0,
        };
        let promise_ns = nanoseconds(bounds.evict_within);
        let of_file = setup.clone();
        // The handler below answers at once.
        let options =
            ManagerOptions::default().reclaim_timeout(Duration::ZERO).governor(move |governor| {
                governor.events_max = EVENTS_MAX;
                of_file.tune(governor);
                governor.promise_ns = promise_ns;
                tune(governor);
            });
        let manager = MultiTenantMemoryManager::try_new_with(config, options)?;
        let groups = setup.register_groups(manager.governor())?;
        for tenant in &setup.tenants {
            at_once(manager.register_tenant_bytes(tenant.config(&groups)))?;
        }
        let book = Mutex::new(Book::new(first_epoch()));
        let state = Arc::new(Self {
            manager,
            bounds,
            door,
            metrics: Metrics::default(),
            configured: Configured::of(setup.clone()),
            kept: Kept::default(),
            events: Events::new(),
            audit: Audit::default(),
            cache: Cache::default(),
            recent: Recent::default(),
            watch: Watch::default(),
            administration: tokio::sync::Mutex::default(),
            book,
            sooner: Arc::default(),
        });
        state.cache.rooms.set_limit(setup.cache.bytes_max);
        let asked = Arc::downgrade(&state);
        state.manager.on_evict(move |evicted| ask(&asked, evicted));
        Ok(state)
    }

    /// Bounds how many may listen to the stream of events at one time; 1,024 unless set.
    pub fn set_listeners_max(&self, listeners: usize) {
        self.events.set_listeners_max(listeners);
    }

    /// How many listen to the stream of events.
    pub fn listeners(&self) -> usize {
        self.events.listeners()
    }

    /// How many watch the stream for dashboards.
    pub fn watchers(&self) -> usize {
        self.watch.watchers()
    }

    /// The book of leases. Never held across an await, or while memory is given back.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the lease of an allocation that was just granted, with its room if it is of a cache.
    pub fn begin_lease(
        &self,
        id: &str,
        tenant: TenantId,
        (lease_ns, how): (u64, OnEvict),
        room: Option<Room>,
    ) -> Lease {
        let now_ns = self.now_ns();
        let mut book = self.book();
        let next_ns = book.next_deadline_ns();
        let lease = book.begin(id.to_string(), tenant, lease_ns, how, now_ns);
        room.into_iter().for_each(|room| book.has_room(id, room));
        drop(book);
        if next_ns.is_none_or(|next_ns| lease.deadline_ns < next_ns) {
            self.sooner.notify_one();
        }
        lease
    }

    /// Gives back the memory of a lease that has ended in the book, and counts it as evicted if it
    /// was wanted elsewhere.
    ///
    /// # Errors
    ///
    /// What the manager answers: it may have been evicted, or its tenant unregistered, at the same
    /// moment.
    pub async fn give_back(&self, id: &str, lease: &Lease) -> Result<(), MemoryError> {
        let tenant = lease.tenant;
        let view = match lease.wanted_by_ns {
            Some(_) => self.manager.get_allocation(tenant, id).await.ok(),
            None => None,
        };
        self.manager.release_allocation_whole(tenant, id).await?;
        if let Some(view) = view {
            self.metrics.evicted(view.allocation_type, lease.cause, view.bytes);
        }
        Ok(())
    }

    /// The facade's page. Who waits for room for a cache waits there, too.
    ///
    /// # Errors
    ///
    /// None that the manager has.
    pub async fn page(&self) -> Result<TenantDashboard, MemoryError> {
        let mut page = self.manager.get_tenant_dashboard().await?;
        let waiters = self.cache.rooms.waiters();
        page.summary.waiting_requests += waiters;
        if waiters > 0 {
            page.tenant_summaries.iter_mut().for_each(|usage| self.add_waiters(usage));
        }
        Ok(page)
    }

    /// What a tenant uses, on the same terms.
    ///
    /// # Errors
    ///
    /// That it is not there.
    pub async fn usage_of(&self, tenant: TenantId) -> Result<TenantUsage, MemoryError> {
        let mut usage = self.manager.get_tenant_usage(tenant).await?;
        self.add_waiters(&mut usage);
        Ok(usage)
    }

    fn add_waiters(&self, to: &mut TenantUsage) {
        to.waiting_requests += self.cache.rooms.waiters_of(to.tenant_id);
    }

    /// Now, by the governor's clock.
    pub fn now_ns(&self) -> u64 {
        self.manager.governor().clock().now_ns()
    }

    /// The tenant of that id or name, if there is one: names of several tenants are found of one.
    pub fn tenant(&self, text: &str) -> Option<TenantId> {
        let governor = self.manager.governor();
        let id = uuid::Uuid::parse_str(text).ok().map(|id| TenantId::from_u128(id.as_u128()));
        if let Some(id) = id.filter(|id| governor.find(*id).is_some()) {
            return Some(id);
        }
        let tenant = governor.find_named(text)?;
        governor.tenant_config(tenant).ok().map(|config| config.id)
    }

    /// What people call a tenant, if it is there.
    pub fn name_of(&self, tenant: TenantId) -> Option<String> {
        let governor = self.manager.governor();
        let config = governor.find(tenant).and_then(|handle| governor.tenant_config(handle).ok());
        config.map(|config| config.name)
    }
}

/// A duration in ns, or all there are.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn first_epoch() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos() / EPOCH_NS).unwrap_or(u64::MAX >> 1)
}

/// The holder is asked at its next renewal.
fn ask(state: &Weak<State>, evicted: &EvictedAllocation) -> ReclaimAnswer {
    let Some(state) = state.upgrade() else { return ReclaimAnswer::Busy };
    let now_ns = state.now_ns();
    let by_ns = now_ns.saturating_add(nanoseconds(state.bounds.evict_within));
    let wanted = state.book().want(&evicted.allocation_id, Cause::Needed, now_ns, by_ns);
    if evicted.allocation_type == AllocationType::Cache && wanted != Wanted::Unknown {
        state.cache.note_evicted(1);
    }
    let answer = match wanted {
        Wanted::Asked => ReclaimAnswer::Deferred,
        Wanted::Ended | Wanted::Free => ReclaimAnswer::Freed,
        Wanted::Unknown => return ReclaimAnswer::Busy,
    };
    let name = state.name_of(evicted.tenant_id).unwrap_or_default();
    state.recent.evicted(name, evicted, wanted != Wanted::Asked);
    if wanted == Wanted::Ended {
        state.metrics.evicted(evicted.allocation_type, Cause::Needed, evicted.bytes);
    }
    answer
}

/// The answer of what awaits others for a short while, for a thread that may block: not for one of
/// a runtime.
pub fn blocking<T>(answer: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Wake, Waker};
    struct Parked(Thread);
    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut answer = std::pin::pin!(answer);
    loop {
        match answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

/// The answer of a verb of the manager that awaits nothing.
pub fn at_once<T>(verb: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Waker};
    match std::pin::pin!(verb).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => unreachable!("only a request with a wait awaits anything"),
    }
}
