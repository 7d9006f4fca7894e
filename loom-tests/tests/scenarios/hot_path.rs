// Scenarios of `src/core/hot_path.rs`: the verbs as the front door has them, straight through where
// nothing is in the way and else in full, while another thread is in the way. Included by
// `hot_path.rs`, where they hold, and by `core_mutants.rs`, where they fail.
//
// `FALSE DENIAL` is what a scenario says when a request was refused although it fitted at every
// instant, `OVER-COMMIT` when a limit was passed, `WRONG GRANT` when a verb reached another grant
// than it named.

include!("wait.rs");

use super::core::grants::Refused;
use super::core::hot_path::Asked;
use super::core::policy::Cost;
use super::core::pressure::Pressure;
use super::core::sync::AtomicU64;

/// A request of which there is nothing to say.
struct Plain {
    owner: Owner,
    bytes: u64,
}

impl Asked for Plain {
    fn owner(&self) -> Owner {
        self.owner
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn key(&self) -> u64 {
        0
    }

    fn fields(&self) -> Fields {
        Fields::default()
    }

    fn cost(&self) -> Cost {
        Cost::new(1)
    }
}

fn cache(tenant: u32) -> Owner {
    Owner::new(tenant, 1, CACHE)
}

/// The next tenant in the slot of the first one.
fn cache_of_next() -> Owner {
    Owner::new(1, 2, CACHE)
}

impl Scene {
    /// Capacity 16 for one tenant with this limit, whose slots are free and whose claim is idle.
    fn usual(limit: u64, claims: &[u64]) -> Self {
        let scene = Self::new(16, &[], &[(ROOT, limit, 0, 0)]);
        scene.warm(1, claims);
        scene
    }

    /// Leaves claim and slots of so many grants with a tenant: its next requests go straight
    /// through.
    fn warm(&self, tenant: u32, claims: &[u64]) {
        let all = claims.iter().map(|&bytes| self.request(cache(tenant), bytes).unwrap());
        for granted in all.collect::<Vec<_>>() {
            self.end(cache(tenant), granted).unwrap();
        }
        let first = self.at_once(cache(tenant), 1).expect("nothing is in the way");
        self.end(cache(tenant), first).unwrap();
    }

    /// A request that goes straight through or comes to nothing. A scenario that asks what is never
    /// granted has only this: the general form has its own, and both together take minutes.
    fn at_once(&self, owner: Owner, bytes: u64) -> Option<Granted> {
        let granted = self.core.request_at_once(&Plain { owner, bytes }, false)?;
        self.after_purchase(owner);
        Some(granted)
    }

    fn request(&self, owner: Owner, bytes: u64) -> Result<Granted, No> {
        if let Some(granted) = self.at_once(owner, bytes) {
            return Ok(granted);
        }
        let ask = Self::ask(owner.account(), owner.allocation_type(), bytes);
        let answer = self.core.admit(&Ask { generation: owner.generation(), ..ask }, &Nobody);
        self.serve_noted();
        answer
    }

    fn after_purchase(&self, owner: Owner) {
        if self.core.scarcity.is_waited() {
            self.core.give_up_rest(owner.account());
            self.serve_noted();
        }
    }

    fn after_return(&self, owner: Owner) {
        if self.core.scarcity.any() {
            self.core.offer_claim(owner.account());
            self.serve_waiters(0);
        }
    }

    /// Releases a grant.
    fn end(&self, owner: Owner, (slot, generation): Granted) -> Result<(), Refused> {
        let at = self.core.grants.slot(slot);
        if let Some(ended) = self.core.release_at_once((at, slot), generation, owner) {
            if let Err(word) = ended {
                self.core.release_held(slot, word, owner);
            }
            self.after_return(owner);
            return Ok(());
        }
        self.core.release(slot, generation, owner, &Nobody)?;
        self.serve_waiters(0);
        Ok(())
    }

    /// Says whether there was room.
    fn grow(&self, (slot, generation): Granted, bytes: u64) -> Result<bool, Refused> {
        let at = self.core.grants.slot(slot);
        if self.core.grow_at_once(at, generation, cache(1), bytes).is_some() {
            self.after_purchase(cache(1));
            return Ok(true);
        }
        Ok(self.core.grow(slot, generation, cache(1), bytes, &Nobody)?.is_ok())
    }

    /// Says whether the grant had more.
    fn shrink(&self, (slot, generation): Granted, bytes: u64) -> Result<bool, Refused> {
        let at = self.core.grants.slot(slot);
        if self.core.shrink_at_once(at, generation, cache(1), bytes).is_some() {
            self.after_return(cache(1));
            return Ok(true);
        }
        Ok(self.core.shrink(slot, generation, cache(1), bytes, &Nobody)?.is_ok())
    }

    fn limit(&self, limits: [u64; LEVELS], counted: u8) {
        let settings = Settings { limits, ..settings(0, 0, 0, counted) };
        self.core.accounts.configure(1, &settings).unwrap();
    }

    /// The machine reports a level; nobody else changes it.
    fn report(&self, level: Pressure) {
        let before = self.core.accounts.gauge();
        assert!(self.core.accounts.change_gauge(before, before.reported(level)));
    }

    /// Unregisters the first tenant and gives its slot to another one, if nothing is in the way.
    fn give_slot_away(&self) -> bool {
        let (accounts, tenant) = (&self.core.accounts, self.core.tenant(1));
        accounts.close(1);
        let mut queues = tenant.queues.iter();
        let given = accounts.is_drained(1)
            && queues.all(|queue| {
                queue.shed(&self.core.grants, true);
                queue.close()
            })
            && accounts.open(1, ROOT, &settings(ANY, 3, 0, 0)).is_ok();
        if given {
            self.core.begin(1, 2, 2);
        }
        given
    }

    fn bytes(&self, (slot, _): Granted) -> u64 {
        self.core.grants.word(slot).bytes()
    }
}

// ---- Limits and claims.

/// Two requests that fit are granted, whoever of them is disturbed by the other.
pub fn requests_at_once_that_fit_are_granted() {
    both_ways("hot_path::requests_at_once_that_fit_are_granted", bound(2, ALL), |roles| {
        let scene = Arc::new(Scene::usual(4, &[3, 1]));
        let request = |bytes| move |scene: &Scene| scene.request(cache(1), bytes);
        let (large, small) = roles.race(&scene, request(3), request(1));
        assert!(large.is_ok() && small.is_ok(), "FALSE DENIAL: {large:?} {small:?}");
        assert_eq!(scene.used(1), 4);
        scene.check();
    });
}

/// I1: of two requests at the limit one is granted.
pub fn requests_at_once_keep_to_the_limit() {
    both_ways("hot_path::requests_at_once_keep_to_the_limit", bound(4, ALL), |roles| {
        let scene = Arc::new(Scene::usual(4, &[3, 1]));
        let request = |bytes| move |scene: &Scene| scene.at_once(cache(1), bytes).is_some();
        let (one, other) = roles.race(&scene, request(3), request(2));
        assert!(!(one && other), "OVER-COMMIT: 5 of 4");
        scene.check();
    });
}

/// V1 and V3: claim that goes to another tenant is not used by the one that had it.
pub fn a_request_at_once_and_a_trim_never_both_have_the_claim() {
    let name = "hot_path::a_request_at_once_and_a_trim_never_both_have_the_claim";
    both_ways(name, bound(2, ALL), |roles| {
        let scene = Scene::new(5, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]);
        scene.warm(1, &[4]);
        let scene = Arc::new(scene);
        let mine = |scene: &Scene| scene.at_once(cache(1), 4).is_some();
        let theirs = |scene: &Scene| scene.charge(2, 3).is_ok();
        let (mine, theirs) = roles.race(&scene, mine, theirs);
        assert!(!(mine && theirs), "OVER-COMMIT: 7 of 5");
        scene.check();
    });
}

/// I1: once a limit is in force nothing is charged beyond it, also before `configure` returns.
pub fn no_request_at_once_passes_a_lowered_limit() {
    both_ways("hot_path::no_request_at_once_passes_a_lowered_limit", bound(3, ALL), |roles| {
        let scene = Arc::new(Scene::usual(8, &[8]));
        let lower = |scene: &Scene| {
            scene.limit([3; LEVELS], 0);
            let most = scene.used(1).max(3);
            (most, scene.at_once(cache(1), 4))
        };
        let request = |scene: &Scene| {
            let fell = scene.core.accounts.limit(1) == 3;
            let granted = scene.at_once(cache(1), 5).is_some();
            fell && granted
        };
        let ((most, late), beyond) = roles.race(&scene, lower, request);
        assert!(late.is_none() && !beyond, "OVER-COMMIT: 4 or 5 of 3");
        let used = scene.used(1);
        assert!(used <= most, "OVER-COMMIT: {used} in use, {most} when the limit fell");
        scene.check();
    });
}

/// I1: nothing is charged under a limit before it is in force. This limit only rises, so what is in
/// use is within it at every instant.
pub fn no_request_at_once_is_ahead_of_its_limit() {
    both_ways("hot_path::no_request_at_once_is_ahead_of_its_limit", bound(2, ALL), |roles| {
        let scene = Scene::usual(8, &[8]);
        scene.limit([3; LEVELS], 0);
        let scene = Arc::new(scene);
        let request = |scene: &Scene| {
            let granted = scene.at_once(cache(1), 5).is_some();
            (granted, scene.used(1), scene.core.accounts.limit(1))
        };
        let raise = |scene: &Scene| scene.limit([8; LEVELS], 0);
        let ((), (granted, used, limit)) = roles.race(&scene, raise, request);
        assert!(used <= limit, "OVER-COMMIT: {used} of {limit}");
        assert_eq!(granted, scene.used(1) == 5);
        scene.check();
    });
}

/// P2: as many configurations as there are versions while a request sleeps that was told the limit:
/// the used word looks the same again, and the limit is 3.
pub fn a_request_at_once_that_slept_through_all_config_versions_notices() {
    let name = "hot_path::a_request_at_once_that_slept_through_all_config_versions_notices";
    both_ways(name, bound(2, 2), |roles| {
        let scene = Arc::new(Scene::usual(8, &[8]));
        let configure = |scene: &Scene| {
            [8, 8, 3].map(|limit| scene.limit([limit; LEVELS], 0));
            let most = scene.used(1).max(3);
            scene.limit([3; LEVELS], 0);
            most
        };
        let request = |scene: &Scene| scene.at_once(cache(1), 5).is_some();
        let (most, _) = roles.race(&scene, configure, request);
        let used = scene.used(1);
        assert!(used <= most, "OVER-COMMIT: {used} in use, {most} when the limit fell");
        scene.check();
    });
}

/// I1 at every level: what begins after pressure was reported keeps to the limit of that level.
pub fn a_request_at_once_keeps_to_the_limit_under(level: Pressure) {
    let name = format!("hot_path::a_request_at_once_keeps_to_the_limit_under_{}", level.name());
    both_ways(&name, bound(2, 3), move |roles| {
        let scene = Scene::usual(8, &[8]);
        scene.limit([8, 3, 3], 0);
        let scene = Arc::new(scene);
        let reported = Arc::new(AtomicU64::new(0));
        let was_reported = reported.clone();
        let report = move |scene: &Scene| {
            scene.report(level);
            reported.store(1, Ordering::Release);
            scene.at_once(cache(1), 4)
        };
        let request = move |scene: &Scene| {
            let before = was_reported.load(Ordering::Acquire) == 1;
            let granted = scene.at_once(cache(1), 5).is_some();
            before && granted
        };
        let late = roles.race(&scene, report, request);
        assert_eq!(late, (None, false), "OVER-COMMIT: 4 or 5 of 3");
        scene.check();
    });
}

/// The capacity falls below what is in use while the tenant that uses it releases and asks again:
/// what is released once it has fallen does not come back.
pub fn a_lowered_capacity_admits_no_growth_at_once() {
    both_ways("hot_path::a_lowered_capacity_admits_no_growth_at_once", bound(2, 3), |roles| {
        let scene = Scene::new(4, &[], &[(ROOT, ANY, 0, 0)]);
        scene.warm(1, &[3]);
        let granted = scene.request(cache(1), 3).unwrap();
        let scene = Arc::new(scene);
        let lowered = Arc::new(AtomicU64::new(0));
        let was_lowered = lowered.clone();
        let lower = move |scene: &Scene| {
            scene.core.accounts.configure(ROOT, &settings(2, 0, 0, 0)).unwrap();
            scene.core.scarcity.set_excess(true);
            lowered.store(1, Ordering::Release);
        };
        let release_and_ask = move |scene: &Scene| {
            let before = was_lowered.load(Ordering::Acquire) == 1;
            scene.end(cache(1), granted).unwrap();
            let again = scene.at_once(cache(1), 3).is_some();
            before && again
        };
        let ((), late) = roles.race(&scene, lower, release_and_ask);
        assert!(!late, "OVER-COMMIT: 3 of 2");
        scene.core.accounts.collect(ROOT, u64::MAX);
        assert!(scene.request(cache(1), 3).is_err(), "OVER-COMMIT: 3 of 2");
        scene.check();
    });
}

// ---- The next tenant in the same slot.

/// A tenant goes and the next one comes while a request of the first is in flight: what it got is
/// its own, and the slot waits; else it is refused.
pub fn a_request_at_once_of_the_last_tenant_never_reaches_the_next() {
    let name = "hot_path::a_request_at_once_of_the_last_tenant_never_reaches_the_next";
    both_ways(name, bound(1, 1), |roles| {
        let scene = Arc::new(Scene::usual(ANY, &[3]));
        let go = |scene: &Scene| {
            let given = scene.give_slot_away();
            given.then(|| scene.request(cache_of_next(), 2))
        };
        let request = |scene: &Scene| scene.at_once(cache(1), 3);
        let (next, last) = roles.race(&scene, go, request);
        assert!(!(next.is_some() && last.is_some()), "WRONG TENANT: {next:?} {last:?}");
        assert_ne!(next, Some(Err(No::Closed)), "FALSE DENIAL");
        let held = if last.is_some() { 3 } else { 2 * u64::from(next.is_some_and(|n| n.is_ok())) };
        assert_eq!(scene.used(1), held);
        scene.check();
    });
}

/// The last release of a tenant notes its slot when the next tenant has begun: that one is not
/// misled.
pub fn a_slot_noted_late_misleads_not_the_next_tenant() {
    both_ways("hot_path::a_slot_noted_late_misleads_not_the_next_tenant", bound(5, ALL), |roles| {
        let scene = Scene::usual(ANY, &[3]);
        let granted = scene.request(cache(1), 3).unwrap();
        let scene = Arc::new(scene);
        let go = |scene: &Scene| {
            let given = scene.give_slot_away();
            given.then(|| scene.request(cache_of_next(), 2).map(|_| ()))
        };
        let release = move |scene: &Scene| scene.end(cache(1), granted).unwrap();
        let (next, ()) = roles.race(&scene, go, release);
        if next.is_some() {
            let fair = matches!(next, Some(Ok(()) | Err(No::Contended)));
            assert!(fair, "FALSE DENIAL: {next:?}");
            scene.request(cache_of_next(), 1).expect("nobody else is at work");
        }
        scene.check();
    });
}

/// What a tenant used is no peak of the next one's.
pub fn what_the_last_tenant_used_is_no_peak_of_the_next() {
    both_ways("hot_path::what_the_last_tenant_used_is_no_peak_of_the_next", bound(5, 5), |roles| {
        let scene = Scene::usual(ANY, &[7]);
        let granted = scene.request(cache(1), 3).unwrap();
        let scene = Arc::new(scene);
        let go = move |scene: &Scene| {
            scene.end(cache(1), granted).is_ok() && scene.give_slot_away()
        };
        let (next, _) = roles.race(&scene, go, move |scene: &Scene| scene.grow(granted, 4));
        let peak = scene.core.accounts.get(1).peak();
        assert!(!next || peak == 0, "WRONG TENANT: a peak of {peak} bytes of nothing used");
        scene.check();
    });
}

// ---- One grant.

/// I3: two releases of one grant, of which one counts.
pub fn of_two_releases_at_once_one_counts() {
    both_ways("hot_path::of_two_releases_at_once_one_counts", bound(4, ALL), |roles| {
        let scene = Scene::usual(ANY, &[3]);
        let granted = scene.request(cache(1), 3).unwrap();
        let scene = Arc::new(scene);
        let release = move |scene: &Scene| scene.end(cache(1), granted);
        let (one, other) = roles.race(&scene, release, release);
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(scene.used(1), 0, "LOST BYTES");
        scene.check();
    });
}

/// I4: a release by an id whose low generation bits have come round ends nothing.
pub fn a_stale_release_at_once_ends_nobody_else() {
    both_ways("hot_path::a_stale_release_at_once_ends_nobody_else", bound(3, 3), |roles| {
        let scene = Scene::usual(ANY, &[3]);
        let first = scene.request(cache(1), 3).unwrap();
        let scene = Arc::new(scene);
        let refill = move |scene: &Scene| {
            scene.end(cache(1), first).ok()?;
            let second = scene.request(cache(1), 3).ok()?;
            if second.0 != first.0 || scene.end(cache(1), second).is_err() {
                return Some(second);
            }
            scene.request(cache(1), 3).ok()
        };
        let stale = move |scene: &Scene| scene.end(cache(1), first);
        let (last, stale) = roles.race(&scene, refill, stale);
        if let Some((slot, generation)) = last {
            let lives = scene.core.grants.is_live(slot, generation, cache(1));
            assert!(lives, "WRONG GRANT ended: {stale:?}");
        }
        scene.check();
    });
}

/// I3: an owner releases what an evictor is about to ask for. The bytes come back once, and are
/// there for the next request.
pub fn a_release_at_once_and_an_eviction_count_the_bytes_once() {
    let name = "hot_path::a_release_at_once_and_an_eviction_count_the_bytes_once";
    both_ways(name, bound(2, 2), |roles| {
        let scene = Scene::new(4, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 3)]);
        scene.warm(1, &[4]);
        let granted = scene.request(cache(1), 4).unwrap();
        let scene = Arc::new(scene);
        let release = move |scene: &Scene| scene.end(cache(1), granted).is_ok();
        let request = |scene: &Scene| {
            scene.evict(ROOT, 2, 4);
            scene.charge(2, 4).is_ok()
        };
        let (released, charged) = roles.race(&scene, release, request);
        assert!(released || scene.evicted() == 4, "LOST BYTES");
        assert_eq!(scene.used(1), 0, "LOST BYTES");
        let then = scene.charge(2, 4).is_ok();
        assert!(charged != then, "all 4 bytes are there once");
        scene.check();
    });
}

/// A type becomes counted while its grants come and go: each live one is counted, once.
pub fn a_release_at_once_takes_what_was_counted_out_of_the_count() {
    let name = "hot_path::a_release_at_once_takes_what_was_counted_out_of_the_count";
    both_ways(name, bound(2, 2), |roles| {
        let scene = Scene::usual(8, &[1, 1]);
        let first = scene.request(cache(1), 1).unwrap();
        let scene = Arc::new(scene);
        let count = |scene: &Scene| {
            scene.limit([8; LEVELS], 1 << CACHE);
            scene.core.queue(cache(1)).set_grants_max(Some(8));
            for slot in scene.core.slots(cache(1)).collect::<Vec<_>>() {
                while !scene.core.count_existing(slot, cache(1)) {
                    thread::yield_now();
                }
            }
        };
        let exchange = move |scene: &Scene| {
            let second = scene.request(cache(1), 1).unwrap();
            // A hint, which may be wrong. With it there is nothing to tell the queue, and the
            // release goes straight through unless grants are counted.
            scene.core.queue(cache(1)).note_released(&scene.core.grants, first.0);
            scene.end(cache(1), first).unwrap();
            second
        };
        let ((), second) = roles.race(&scene, count, exchange);
        let queue = scene.core.queue(cache(1));
        assert_eq!(queue.counted(), 1, "LOST COUNT: the second one is live");
        scene.end(cache(1), second).unwrap();
        assert_eq!(queue.counted(), 0, "LOST COUNT");
        scene.check();
    });
}

/// What two verbs on the same grant do adds up: the bytes in use are those of the slot.
fn two_verbs(
    names: &str,
    one: impl Fn(&Scene, Granted) -> Result<bool, Refused> + Send + Sync + Copy + 'static,
    other: impl Fn(&Scene, Granted) -> Result<bool, Refused> + Send + Sync + Copy + 'static,
    left: impl Fn(bool, bool) -> u64 + Send + Sync + Copy + 'static,
) {
    let name = format!("hot_path::{names}_at_once_agree_on_the_bytes");
    both_ways(&name, bound(6, ALL), move |roles| {
        let scene = Scene::usual(ANY, &[8]);
        let granted = scene.request(cache(1), 3).unwrap();
        let scene = Arc::new(scene);
        let one = move |scene: &Scene| one(scene, granted);
        let (one, other) = roles.race(&scene, one, move |scene: &Scene| other(scene, granted));
        // Of two that hold the grant still neither waits for the other for ever.
        let done = |answer: Result<bool, Refused>| answer == Ok(true);
        assert!(done(one) || done(other), "{one:?} {other:?}");
        let (held, left) = (scene.bytes(granted), left(done(one), done(other)));
        assert_eq!(held, left, "LOST BYTES: {one:?} {other:?}");
        scene.check();
    });
}

pub fn a_growth_and_a_shrinkage_at_once_agree_on_the_bytes() {
    let left = |grown, shrunk| 3 + 4 * u64::from(grown) - 2 * u64::from(shrunk);
    two_verbs("a_growth_and_a_shrinkage", |s, g| s.grow(g, 4), |s, g| s.shrink(g, 2), left);
}

pub fn a_growth_and_a_release_at_once_agree_on_the_bytes() {
    let end = |scene: &Scene, granted| scene.end(cache(1), granted).map(|()| true);
    let left = |_, ended| if ended { 0 } else { 7 };
    two_verbs("a_growth_and_a_release", |s, g| s.grow(g, 4), end, left);
}

pub fn a_shrinkage_and_a_release_at_once_agree_on_the_bytes() {
    let end = |scene: &Scene, granted| scene.end(cache(1), granted).map(|()| true);
    let left = |_, ended| if ended { 0 } else { 1 };
    two_verbs("a_shrinkage_and_a_release", |s, g| s.shrink(g, 2), end, left);
}

/// Growth races an eviction: the bytes in use are those of the slots.
pub fn a_growth_at_once_and_an_eviction_agree_on_the_bytes() {
    let name = "hot_path::a_growth_at_once_and_an_eviction_agree_on_the_bytes";
    both_ways(name, bound(3, ALL), |roles| {
        let scene = Scene::usual(ANY, &[8]);
        let granted = scene.request(cache(1), 2).unwrap();
        let scene = Arc::new(scene);
        let grow = move |scene: &Scene| scene.grow(granted, 2);
        let (relief, grown) = roles.race(&scene, |scene: &Scene| scene.relieve(1), grow);
        assert!(relief.grants == 1 || grown == Ok(true), "one of them was first");
        scene.check();
    });
}

// ---- Who waits.

/// S1: whoever begins to wait while the last bytes come free finds them, or is found.
fn a_return_at_once_finds_who_waits(
    names: &str,
    wanted: u64,
    give: impl Fn(&Scene, Granted) + Send + Sync + Copy + 'static,
) {
    let name = format!("hot_path::{names}_finds_who_begins_to_wait");
    both_ways(&name, bound(1, 2), move |roles| {
        let scene = Scene::new(3, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]);
        scene.warm(1, &[3]);
        let held = scene.request(cache(1), 3).unwrap();
        let scene = Arc::new(scene);
        let wait = move |scene: &Scene| scene.enter(2, wanted, NEVER);
        let ((), ticket) = roles.race(&scene, move |scene: &Scene| give(scene, held), wait);
        let granted = scene.served(ticket);
        assert_eq!(scene.used(2), wanted);
        scene.let_go(2, MODEL_LOAD, granted, 0);
        scene.check_line();
        scene.check();
    });
}

pub fn a_release_at_once_finds_who_begins_to_wait() {
    let end = |scene: &Scene, held| scene.end(cache(1), held).unwrap();
    a_return_at_once_finds_who_waits("a_release_at_once", 3, end);
}

pub fn a_shrinkage_at_once_finds_who_begins_to_wait() {
    let shrink = |scene: &Scene, held| assert_eq!(scene.shrink(held, 2), Ok(true));
    a_return_at_once_finds_who_waits("a_shrinkage_at_once", 2, shrink);
}

/// W5: what a tenant has bought beyond its need does not stay with it while somebody waits for it.
pub fn a_request_at_once_withholds_nothing() {
    both_ways("hot_path::a_request_at_once_withholds_nothing", bound(1, 2), |roles| {
        let scene = Scene::new(4, &[], &[(ROOT, ANY, 0, 0), (ROOT, ANY, 0, 0)]);
        scene.warm(1, &[4]);
        let scene = Arc::new(scene);
        let request = |scene: &Scene| scene.at_once(cache(1), 1);
        let (first, ticket) = roles.race(&scene, request, |s: &Scene| s.enter(2, 3, NEVER));
        let waiter = scene.served(ticket);
        if let Some(first) = first {
            scene.end(cache(1), first).unwrap();
        }
        scene.let_go(2, MODEL_LOAD, waiter, 0);
        scene.check_line();
        scene.check();
    });
}
