//! The same keys through a plain LRU map: what a program without a governor would do.

use std::num::NonZeroUsize;
use std::time::Instant;

use lru::LruCache;

use crate::trace::workload::{UseBytes, Workload};

/// Requests per second of a plain LRU map of this capacity.
pub fn events_per_second(workload: &Workload, capacity: u64) -> f64 {
    let began = Instant::now();
    let hits = match &workload.use_bytes {
        UseBytes::Each(_) => count_objects(workload, capacity),
        UseBytes::PerUse(bytes) => count_bytes(workload, bytes, capacity),
    };
    let seconds = began.elapsed().as_secs_f64();
    // The hits are what the map is for; without a reader the loop could be optimised away.
    std::hint::black_box(hits);
    workload.uses.len() as f64 / seconds.max(f64::MIN_POSITIVE)
}

fn count_objects(workload: &Workload, capacity: u64) -> u64 {
    let entries = capacity.clamp(1, workload.items.len().max(1) as u64);
    let Some(entries) = NonZeroUsize::new(entries as usize) else { return 0 };
    let mut map = LruCache::new(entries);
    let mut hits = 0;
    for item in &workload.uses {
        let key = workload.items.keys[*item as usize];
        if map.get(&key).is_some() {
            hits += 1;
        } else {
            map.put(key, *item);
        }
    }
    hits
}

fn count_bytes(workload: &Workload, bytes: &[u64], capacity: u64) -> u64 {
    let mut map = LruCache::unbounded();
    let (mut hits, mut used_bytes) = (0, 0);
    for (item, bytes) in workload.uses.iter().zip(bytes) {
        let key = workload.items.keys[*item as usize];
        if map.get(&key).is_some() {
            hits += 1;
            continue;
        }
        if *bytes > capacity {
            continue;
        }
        while used_bytes + bytes > capacity {
            let Some((_, evicted)) = map.pop_lru() else { break };
            used_bytes -= evicted;
        }
        map.put(key, *bytes);
        used_bytes += bytes;
    }
    hits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::workload::{Items, Requests};

    fn workload(uses: &[u32], use_bytes: UseBytes) -> Workload {
        let items = Items { keys: (10..20).collect(), ..Items::default() };
        Workload {
            name: String::new(),
            tenants: vec!["t".to_string()],
            items,
            uses: uses.to_vec(),
            use_bytes,
            requests: Requests::EachUse,
            footprint_bytes: 10,
        }
    }

    #[test]
    fn it_forgets_the_least_recently_used() {
        let objects = workload(&[0, 1, 0, 2, 1, 0], UseBytes::Each(1));
        assert_eq!(count_objects(&objects, 2), 1);
        let bytes = [4, 4, 4, 4, 4, 9];
        let sized = workload(&[0, 1, 0, 2, 0, 3], UseBytes::PerUse(bytes.to_vec()));
        assert_eq!(count_bytes(&sized, &bytes, 8), 2);
    }
}
