//! What an operator should know: alerts as values, a stream that readers follow at their own pace,
//! and a callback.
//!
//! ```text
//! A1  alerts kept <= alerts_max: the oldest are forgotten, and readers count what they lost
//! A2  of each reader: alerts read + lost = its place in the stream
//! A3  whoever is called or woken is called with nothing held
//! ```
//!
//! When an alert is raised and when it is over: `trigger.rs`; what it is about: `monitor.rs`.

use super::{MultiTenantMemoryManager, lock};
use crate::caught::caught;
use crate::config::TenantId;
use crate::wakers::wake_caught;
use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AlertKind {
    // The first one: open alerts of a tenant are looked up from here on.
    /// Percent of its ceiling that a tenant uses.
    TenantUtilisation,
    /// Percent of the pool in live allocations.
    GlobalUtilisation,
    /// Average time of the last minute's requests, in ms.
    AllocationLatency,
    /// MiB evicted in the last minute.
    EvictionRate,
    /// Rises of pressure in the last hour.
    PressureEvents,
    /// Percent of the last minute's requests that were granted.
    SuccessRate,
    /// Tenants that hold memory while they wait for more, in a circle.
    CircularWait,
    /// Owners that took too long to answer in the last minute.
    ReclaimTimedOut,
    /// Reclaim handlers that panicked in the last minute.
    ReclaimPanicked,
    /// Seconds for which the machine could not be read.
    MeasurementMissing,
    /// Times, since the look before, that memory was said to be freed and is still measured;
    /// [`Governor::take_shortfalls`](crate::Governor::take_shortfalls) says whose.
    FreedNotMeasured,
}

impl AlertKind {
    /// What is measured, in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::TenantUtilisation | Self::GlobalUtilisation => "utilisation",
            Self::AllocationLatency => "allocation latency",
            Self::EvictionRate => "eviction rate",
            Self::PressureEvents => "pressure events",
            Self::SuccessRate => "success rate",
            Self::CircularWait => "circular wait",
            Self::ReclaimTimedOut => "slow reclaim answers",
            Self::ReclaimPanicked => "reclaim panics",
            Self::MeasurementMissing => "time without a measurement",
            Self::FreedNotMeasured => "frees that are not seen to be free",
        }
    }

    /// The unit of value and threshold.
    pub fn unit(self) -> &'static str {
        match self {
            Self::TenantUtilisation | Self::GlobalUtilisation | Self::SuccessRate => "%",
            Self::AllocationLatency => "ms",
            Self::EvictionRate => "MiB/min",
            Self::PressureEvents => "per hour",
            Self::CircularWait => "tenants",
            Self::ReclaimTimedOut | Self::ReclaimPanicked => "per minute",
            Self::MeasurementMissing => "s",
            Self::FreedNotMeasured => "since the last look",
        }
    }
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum AlertLevel {
    /// To be looked at.
    Warning,
    /// To be looked at now.
    Critical,
}

/// Whether an alert begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlertChange {
    /// It begins.
    Raised,
    /// It is over.
    Cleared,
}

/// An alert that begins or ends. Its [`fmt::Display`] is one sentence.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Alert {
    /// What it is about.
    pub kind: AlertKind,
    /// The tenant concerned; none: all of them, or those that `name` lists.
    pub tenant: Option<TenantId>,
    /// What people call the tenant, or "the pool"; of a circular wait, the tenants in it.
    pub name: String,
    /// How bad it is.
    pub level: AlertLevel,
    /// What was measured, in the unit of the kind.
    pub value: f64,
    /// The same by the last look: differs where the dashboard shows an alert that is open.
    pub latest: f64,
    /// What it was held against.
    pub threshold: f64,
    /// When, in ns of the governor's clock.
    pub time_ns: u64,
    /// Whether it begins or ends.
    pub raised_or_cleared: AlertChange,
    /// Its place among all alerts of the manager: 0, 1, 2 ...
    pub sequence: u64,
}

impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            AlertLevel::Warning => "warning",
            AlertLevel::Critical => "critical",
        };
        let (name, kind, unit) = (&self.name, self.kind.name(), self.kind.unit());
        let (value, threshold) = (self.value, self.threshold);
        if self.kind == AlertKind::CircularWait {
            return match self.raised_or_cleared {
                AlertChange::Raised => write!(
                    f,
                    "{level}: {name} wait in a circle, each for memory that only they hold"
                ),
                AlertChange::Cleared => write!(f, "{level} cleared: nobody waits in a circle"),
            };
        }
        if self.raised_or_cleared == AlertChange::Cleared {
            return write!(f, "{level} cleared: {name}: {kind}, now {value:.1} {unit}");
        }
        let side = if self.kind == AlertKind::SuccessRate { "below" } else { "above" };
        write!(f, "{level}: {name}: {kind} of {value:.1} {unit} is {side} {threshold:.1} {unit}")
    }
}

type Callback = Arc<dyn Fn(&Alert) + Send + Sync>;

/// The last alerts, and who waits for the next one.
pub(super) struct AlertStream {
    kept: Mutex<Kept>,
    max: usize,
    callback: Mutex<Option<Callback>>,
}

#[derive(Default)]
struct Kept {
    alerts: VecDeque<Alert>,
    /// Sequence number of the next one.
    next: u64,
    /// At most one of each reader, by its number.
    wakers: Vec<(u64, Waker)>,
    readers: u64,
    closed: bool,
}

impl AlertStream {
    pub(super) const DEFAULT_MAX: usize = 1_024;

    /// Keeps at most so many, at least 1.
    pub(super) fn new(max: usize) -> Self {
        Self { kept: Mutex::default(), max, callback: Mutex::default() }
    }

    /// Enters alerts, numbering them. The caller tells the world by [`Self::announce`], with
    /// nothing held.
    pub(super) fn enter(&self, alerts: &mut [Alert]) {
        let mut kept = lock(&self.kept);
        for alert in alerts {
            alert.sequence = kept.next;
            kept.next += 1;
            if kept.alerts.len() == self.max {
                kept.alerts.pop_front();
            }
            kept.alerts.push_back(alert.clone());
        }
    }

    /// Wakes who waits and calls the callback, which may panic.
    pub(super) fn announce(&self, alerts: &[Alert]) {
        if alerts.is_empty() {
            return;
        }
        self.wake_all();
        for alert in alerts {
            let callback = lock(&self.callback).clone();
            if let Some(callback) = callback {
                // An alert is entered whatever becomes of who is told.
                caught(|| callback(alert));
            }
        }
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut lock(&self.kept).wakers);
        wakers.into_iter().for_each(|(_, waker)| wake_caught(waker));
    }

    /// No more alerts: who waits learns it.
    pub(super) fn close(&self) {
        lock(&self.kept).closed = true;
        self.wake_all();
    }
}

/// Follows the alerts of a manager, beginning with the oldest still kept. Alerts that were
/// forgotten before they were read are counted, never skipped silently.
///
/// `Send` and `Sync`. It keeps the alerts alive, not the manager.
pub struct AlertReader {
    stream: Arc<AlertStream>,
    number: u64,
    /// Sequence number of the next alert.
    next: u64,
    lost: u64,
}

impl AlertReader {
    /// The next alert, if there is one by now.
    pub fn try_next(&mut self) -> Option<Alert> {
        let stream = self.stream.clone();
        let kept = lock(&stream.kept);
        self.take(&kept)
    }

    fn take(&mut self, kept: &Kept) -> Option<Alert> {
        let oldest = kept.next - kept.alerts.len() as u64;
        self.lost += oldest.saturating_sub(self.next);
        self.next = self.next.max(oldest);
        let alert = kept.alerts.get((self.next - oldest) as usize)?;
        self.next += 1;
        Some(alert.clone())
    }

    /// Waits for the next alert, on any runtime; none once the manager is gone. May be dropped at
    /// any await point without losing an alert.
    pub async fn next(&mut self) -> Option<Alert> {
        poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Alert>> {
        let (stream, waker) = (self.stream.clone(), context.waker().clone());
        let mut kept = lock(&stream.kept);
        if let Some(alert) = self.take(&kept) {
            return Poll::Ready(Some(alert));
        }
        if kept.closed {
            return Poll::Ready(None);
        }
        let before = match kept.wakers.iter_mut().find(|(number, _)| *number == self.number) {
            Some((_, place)) => Some(std::mem::replace(place, waker)),
            None => {
                kept.wakers.push((self.number, waker));
                None
            }
        };
        // With nothing held: it may be the last of its task.
        drop(kept);
        drop(before);
        Poll::Pending
    }

    /// Alerts that were forgotten before this reader came to them.
    pub fn lost(&self) -> u64 {
        self.lost
    }
}

impl Drop for AlertReader {
    fn drop(&mut self) {
        let mut kept = lock(&self.stream.kept);
        let at = kept.wakers.iter().position(|(number, _)| *number == self.number);
        let waker = at.map(|at| kept.wakers.swap_remove(at));
        drop(kept);
        drop(waker);
    }
}

impl fmt::Debug for AlertReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("AlertReader");
        shown.field("next", &self.next).field("lost", &self.lost).finish_non_exhaustive()
    }
}

impl MultiTenantMemoryManager {
    /// A reader of the alerts, from the oldest that is kept; how many are kept is
    /// [`ManagerOptions::alerts_max`](crate::ManagerOptions::alerts_max). Alerts come from
    /// [`Self::monitor_now`] and from the monitor in the background.
    pub fn alerts(&self) -> AlertReader {
        let stream = self.inner.monitoring.alerts.clone();
        let mut kept = lock(&stream.kept);
        kept.readers += 1;
        let number = kept.readers;
        drop(kept);
        AlertReader { stream, number, next: 0, lost: 0 }
    }

    /// Sets who is told of every alert; replaces an earlier one.
    ///
    /// The callback runs on the thread that monitors, with nothing held: it may call any verb, and
    /// keeps the next look waiting if it takes long. One that panics has been told. One that holds
    /// a clone of the manager keeps it alive until it is replaced.
    pub fn on_alert(&self, callback: impl Fn(&Alert) + Send + Sync + 'static) {
        let place = &self.inner.monitoring.alerts.callback;
        let earlier = lock(place).replace(Arc::new(callback));
        // Dropped with nothing held: it may hold anything.
        drop(earlier);
    }
}
