//! A quiet point: no thread is at work, and what the books say is held against what the governor
//! says.
//!
//! ```text
//! Q1  used(t) by the governor   = sum of bytes of t's grants that the books know live
//! Q2  live bytes                = the same over all tenants, those that drain included
//! Q3  used(t) + set aside(t)   <= claimed(t),  guarantee(t) <= claimed(t)
//! Q4  claimed(pool), live bytes <= ceiling     (`bound.rs`)
//! Q5  registered tenants        = those that stay and the guests in the books
//! Q6  a request within its tenant's guarantee is granted
//! ```
//!
//! An owner on a thread of the governor may answer late, and what it frees ends with the next step
//! of the balancer: so a look that differs is taken again, after such a step, for a while. What was
//! lost stays lost.

use std::collections::HashMap;
use std::time::Duration;

use allotment::{AllocationType, Request, Snapshot, TenantHandle};

use super::book::Book;
use super::count;
use super::fault::Fault;
use super::scene::Scene;

/// Looks before a difference is a fault, and the time between two.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(2);

/// What the books say.
#[derive(Default)]
struct Sums {
    tenants: HashMap<TenantHandle, u64>,
    live_bytes: u64,
}

impl Sums {
    fn of(scene: &Scene, books: &[Book<'_>]) -> Self {
        let mut sums = Self::default();
        for book in books {
            let lasting = book.reserved.iter().filter(|reserved| !reserved.brief);
            let entries = book.held.iter().chain(&book.leaked).chain(&book.doubtful);
            for entry in entries.chain(lasting.map(|reserved| &reserved.entry)) {
                if !scene.has_ended(entry) {
                    sums.add(entry.tenant, entry.bytes);
                }
            }
            for place in &book.places {
                let asked = &place.asked;
                let lives = scene.cells().is_asked(asked.cookie) && !scene.is_forced(asked.tenant);
                if place.ticket.is_granted() && lives {
                    sums.add(asked.tenant, asked.bytes);
                }
            }
        }
        sums
    }

    fn add(&mut self, tenant: TenantHandle, bytes: u64) {
        *self.tenants.entry(tenant).or_default() += bytes;
        self.live_bytes += bytes;
    }
}

/// Holds the books against the governor.
///
/// # Errors
///
/// The first difference that stays.
pub(super) fn check(scene: &Scene, books: &mut [Book<'_>]) -> Result<(), Fault> {
    let mut last = Ok(());
    for look in 0..LOOKS {
        if look > 0 {
            std::thread::sleep(PAUSE);
        }
        scene.governor.balance();
        last = compare(scene, books, &scene.governor.snapshot());
        if last.is_ok() {
            break;
        }
    }
    last?;
    scene.owners.fault().map_or(Ok(()), Err)?;
    books.iter_mut().for_each(|book| clear(scene, book));
    scene.forget_forced();
    keep_guarantees(scene)
}

fn compare(scene: &Scene, books: &[Book<'_>], snapshot: &Snapshot) -> Result<(), Fault> {
    let sums = Sums::of(scene, books);
    for tenant in &snapshot.tenants {
        let expected = sums.tenants.get(&tenant.tenant).copied().unwrap_or(0);
        let fault = |what, bound, seen| Fault::over(what, bound, seen).of_tenant(&tenant.name);
        if tenant.used_bytes != expected {
            let fault = Fault::lost("bytes in live grants", expected, tenant.used_bytes);
            return Err(fault.of_tenant(&tenant.name));
        }
        let (claimed, used) = (tenant.claimed_bytes, tenant.used_bytes + tenant.set_aside_bytes);
        if used > claimed {
            return Err(fault("bytes in use, at most those claimed", claimed, used));
        }
        if tenant.guarantee_bytes > claimed {
            return Err(fault("guaranteed bytes, all claimed", claimed, tenant.guarantee_bytes));
        }
    }
    if snapshot.live_bytes != sums.live_bytes {
        let what = "bytes in live grants of all tenants";
        return Err(Fault::lost(what, sums.live_bytes, snapshot.live_bytes));
    }
    scene.bound.look(|| snapshot.claimed_bytes.max(sums.live_bytes))?;
    let guests: usize = books.iter().map(|book| book.guests.len()).sum();
    let (expected, seen) = (scene.residents.len() + guests, snapshot.tenants.len());
    if expected != seen {
        return Err(Fault::new("registered tenants", expected as u64, seen as u64));
    }
    panics(scene, snapshot)
}

/// Owners that panicked are counted, and nobody else.
fn panics(scene: &Scene, snapshot: &Snapshot) -> Result<(), Fault> {
    let answers = &scene.owners.answers;
    let least = count::of(&answers.panics);
    let most = least + count::of(&answers.panics_within);
    match snapshot.reclaim_panics {
        seen if (least..=most).contains(&seen) => Ok(()),
        seen => Err(Fault::new("owners that panicked", least, seen)),
    }
}

/// Takes out of a book what has ended for certain.
fn clear(scene: &Scene, book: &mut Book<'_>) {
    let Book { free, held, doubtful, reserved, leaked, places, .. } = book;
    let mut end = |cookie| free.push(super::cells::index(cookie));
    for entries in [held, doubtful, leaked] {
        entries.retain(|entry| {
            let ended = scene.has_ended(entry);
            if ended {
                end(entry.cookie);
            }
            !ended
        });
    }
    reserved.retain(|reserved| {
        let ended = reserved.brief || scene.has_ended(&reserved.entry);
        if ended {
            end(reserved.entry.cookie);
        }
        !ended
    });
    // What they were given has ended as well.
    places.retain(|place| {
        let ended = scene.is_forced(place.asked.tenant);
        if ended {
            end(place.asked.cookie);
        }
        !ended
    });
}

/// Q6, of those that have a guarantee from the start.
fn keep_guarantees(scene: &Scene) -> Result<(), Fault> {
    for resident in scene.residents.iter().filter(|resident| resident.guarantee_bytes > 0) {
        let Ok(usage) = scene.governor.usage(resident.tenant) else { continue };
        let used = usage.used_bytes + usage.set_aside_bytes;
        let Some(left) = resident.guarantee_bytes.checked_sub(used).filter(|&left| left > 0) else {
            continue;
        };
        let request = Request::new(resident.tenant, AllocationType::ModelLoad, left);
        if let Err(refusal) = scene.governor.try_request(&request) {
            let what = format!("bytes granted within the guarantee ({refusal})");
            return Err(Fault::new(what, left, 0).of_tenant(usage.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use allotment::{Released, TenantConfig};

    use super::super::fault::Sort;
    use super::super::worker::{Until, Worker};
    use super::super::{books, scene};
    use super::*;

    /// A scene in which one thread has worked for a while.
    fn scene() -> Scene {
        Scene::new(11, 1, 8, false).unwrap()
    }

    fn worked(scene: &Scene) -> Vec<Book<'_>> {
        let until = Until { time: None, decks: 3 };
        let worked: Vec<_> =
            books(scene, 1).into_iter().map(|book| Worker::new(scene, book).work(until)).collect();
        assert!(scene.fault().is_none(), "{:?}", scene.fault());
        worked
    }

    #[test]
    fn a_release_that_the_books_were_not_told_of_is_found() {
        let scene = scene();
        let mut books = worked(&scene);
        check(&scene, &mut books).unwrap();
        let mut held = books[0].held.iter().filter(|entry| scene.stays(entry.tenant));
        let released = held
            .find(|entry| scene.governor.release(entry.tenant, entry.id) == Ok(Released::Returned));
        let (tenant, bytes) = released.map(|entry| (entry.tenant, entry.bytes)).unwrap();
        let fault = check(&scene, &mut books).unwrap_err();
        assert_eq!((fault.sort, fault.expected - fault.seen), (Sort::Lost, bytes), "{fault}");
        let name = scene.governor.usage(tenant).unwrap().name;
        assert_eq!(fault.tenant, Some(name));
    }

    #[test]
    fn a_tenant_that_the_books_do_not_know_is_found() {
        let scene = scene();
        let mut books = worked(&scene);
        let config = TenantConfig::new(scene.fresh_id(), "stranger");
        scene.governor.register_tenant(config).unwrap();
        let fault = check(&scene, &mut books).unwrap_err();
        assert_eq!((fault.what.as_str(), fault.seen - fault.expected), ("registered tenants", 1));
    }

    #[test]
    fn an_owner_that_panicked_behind_the_books_is_found() {
        let scene = scene();
        let mut books = worked(&scene);
        count::one(&scene.owners.answers.panics);
        let fault = check(&scene, &mut books).unwrap_err();
        assert_eq!(fault.what, "owners that panicked");
    }

    #[test]
    fn threads_have_numbers_of_their_own() {
        let [mut one, mut two] = [0, 1].map(|thread| scene::dice(5, thread));
        assert_ne!(one.next(), two.next());
    }
}
