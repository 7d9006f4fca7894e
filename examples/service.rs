//! A small service on tokio: three tenants, twelve tasks at once, and memory for half of them.
//!
//! ```sh
//! cargo run --example service
//! ```
//!
//! Shows what a service does with the three answers to a request:
//!
//! - people wait: their tasks await their turn (`acquire_allocation`) for up to two seconds;
//! - background work asks, and where it is queued comes back when it was told to;
//! - who is denied reads the reason and goes on without.
//!
//! A ticker balances now and then. At the end a table says who got what, and it is checked that
//! nothing was ever over-committed and nothing is left.

use allotment::*;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

const POOL_MB: u64 = 1_024;
const TASKS: u64 = 4;
const JOBS: u64 = 25;

/// What came of the requests of one task: granted or gone without, and how many were queued first.
#[derive(Clone, Copy, Default)]
struct Tally {
    granted: u64,
    queued: u64,
    denied: u64,
}

/// A tenant, and how its tasks behave.
#[derive(Clone, Copy)]
struct Client {
    name: &'static str,
    id: TenantId,
    job_mb: u64,
    job: Duration,
    awaits: bool,
}

const CLIENTS: [Client; 3] = [
    client("chat", 1, 150, 4, true),
    client("search", 2, 220, 3, true),
    client("indexer", 3, 300, 2, false),
];

const fn client(name: &'static str, id: u128, job_mb: u64, job_ms: u64, awaits: bool) -> Client {
    let (id, job) = (TenantId::from_u128(id), Duration::from_millis(job_ms));
    Client { name, id, job_mb, job, awaits }
}

#[tokio::main]
async fn main() -> Result<(), MemoryError> {
    let manager = open().await?;
    let balancer = tokio::spawn(balance(manager.clone()));
    let mut tasks = JoinSet::new();
    for client in CLIENTS {
        for task in 0..TASKS {
            let manager = manager.clone();
            tasks.spawn(async move { (client.name, work(&manager, client, task).await) });
        }
    }
    let mut tallies = [Tally::default(); CLIENTS.len()];
    while let Some(finished) = tasks.join_next().await {
        let (name, tally) = finished.expect("no task panics");
        let (tally, at) = (tally?, CLIENTS.iter().position(|client| client.name == name));
        let sum = &mut tallies[at.expect("it is one of them")];
        sum.granted += tally.granted;
        sum.queued += tally.queued;
        sum.denied += tally.denied;
    }
    balancer.abort();
    report(&manager, &tallies).await
}

async fn open() -> Result<MultiTenantMemoryManager, MemoryError> {
    let manager = MultiTenantMemoryManager::try_new(MemoryConfig {
        max_memory_mb: POOL_MB,
        enable_monitoring: false,
        monitoring_interval_secs: 10,
        enable_memory_balancing: false,
        balancing_interval_secs: 30,
        enable_compression: false,
        compression_threshold_mb: 64,
    })?;
    for warning in manager.warnings() {
        eprintln!("warning: {warning}");
    }
    let priorities = [TenantPriority::Critical, TenantPriority::Normal, TenantPriority::Low];
    for (client, priority) in CLIENTS.into_iter().zip(priorities) {
        manager
            .register_tenant(TenantMemoryConfig {
                tenant_id: client.id,
                max_memory_mb: 700,
                priority,
                guaranteed_memory_mb: if client.name == "chat" { 150 } else { 0 },
                burst_limit_mb: None,
                isolation_level: IsolationLevel::Hard,
            })
            .await?;
        manager.set_tenant_name(client.id, client.name).await?;
    }
    Ok(manager)
}

/// One task: job after job, each with memory of its own.
async fn work(
    manager: &MultiTenantMemoryManager,
    client: Client,
    task: u64,
) -> Result<Tally, MemoryError> {
    let mut tally = Tally::default();
    for job in 0..JOBS {
        let request = MemoryAllocationRequest {
            tenant_id: client.id,
            requested_memory_mb: client.job_mb,
            model_name: format!("{} {task}.{job}", client.name),
            allocation_type: AllocationType::Inference,
        };
        let answer = match client.awaits {
            true => manager.acquire_allocation(request, Duration::from_secs(2)).await?,
            false => come_back(manager, request, &mut tally).await?,
        };
        match answer {
            MemoryAllocationResponse::Granted { allocation_id } => {
                sleep(client.job).await;
                manager.release_allocation(client.id, &allocation_id, client.job_mb).await?;
                tally.granted += 1;
            }
            MemoryAllocationResponse::Denied { reason, .. } => {
                if tally.denied == 0 {
                    println!("{} {task}: {reason}", client.name);
                }
                tally.denied += 1;
            }
            // Its place is kept for a while; this task has other things to do.
            MemoryAllocationResponse::Queued { .. } => tally.denied += 1,
        }
    }
    Ok(tally)
}

/// Asks; where it is queued, asks once more when it was told to.
async fn come_back(
    manager: &MultiTenantMemoryManager,
    request: MemoryAllocationRequest,
    tally: &mut Tally,
) -> Result<MemoryAllocationResponse, MemoryError> {
    let first = manager.request_allocation(request.clone()).await?;
    let MemoryAllocationResponse::Queued { estimated_wait_time_secs } = first else {
        return Ok(first);
    };
    tally.queued += 1;
    // A service sleeps for all of it. A demo that ends within seconds looks sooner as well: asking
    // early costs little, and the place is kept.
    let patience = Duration::from_secs(estimated_wait_time_secs);
    let asked = timeout(patience, async {
        loop {
            sleep(Duration::from_millis(10)).await;
            let again = manager.request_allocation(request.clone()).await;
            if !matches!(again, Ok(MemoryAllocationResponse::Queued { .. })) {
                return again;
            }
        }
    });
    match asked.await {
        Ok(answer) => answer,
        Err(_elapsed) => manager.request_allocation(request).await,
    }
}

async fn balance(manager: MultiTenantMemoryManager) {
    let mut ticks = interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        let report = manager.balance_memory().await.expect("balancing needs nothing");
        assert!(report.live_bytes <= POOL_MB << 20, "never more than there is");
    }
}

async fn report(manager: &MultiTenantMemoryManager, tallies: &[Tally]) -> Result<(), MemoryError> {
    println!("{:<8} {:>8} {:>8} {:>8} {:>10}", "tenant", "granted", "queued", "denied", "peak MiB");
    for (client, tally) in CLIENTS.iter().zip(tallies) {
        let usage = manager.get_tenant_usage(client.id).await?;
        let Tally { granted, queued, denied } = tally;
        let peak_mb = usage.peak_memory_bytes >> 20;
        println!("{:<8} {granted:>8} {queued:>8} {denied:>8} {peak_mb:>10}", client.name);
        assert_eq!(granted + denied, TASKS * JOBS, "every request was answered");
        assert_eq!(usage.allocated_memory_bytes, 0, "everything came back");
        assert!(peak_mb <= 700);
    }
    let page = manager.get_tenant_dashboard().await?;
    assert_eq!((page.summary.total_allocations, page.summary.waiting_requests), (0, 0));
    assert_eq!(page.global_memory_status.allocated_memory_bytes, 0);
    Ok(())
}
