// Everything read in one pass, as values that can be encoded.

import CAllotment
import Foundation

/// What there was when it was taken: the pool and all tenants, in the order of their slots.
public struct Snapshot: Sendable, Hashable, Codable {
    /// The whole.
    public let pool: PoolUsage
    /// Each tenant.
    public let tenants: [TenantUsage]
}

/// The whole.
public struct PoolUsage: Sendable, Hashable, Codable {
    /// Pressure in force.
    public let pressure: Pressure
    /// What there is to share.
    public let capacity: ByteCount
    /// Bytes in live grants.
    public let live: ByteCount
    /// Bytes claimed by tenants and groups: in use, guaranteed, or idle.
    public let claimed: ByteCount
    /// Bytes that were measured of the process.
    public let measured: ByteCount?
    /// Bytes that were measured and are in no grant.
    public let unaccounted: ByteCount
    /// Fair share for each unit of weight beyond the guarantees.
    public let share: ByteCount
    /// Frees that were not seen in what was measured, so far.
    public let shortfalls: UInt64
    /// Owners that did not answer in time, so far.
    public let reclaimTimeouts: UInt64
    /// Registered groups.
    public let groups: Int
    /// Registered tenants.
    public let tenants: Int
    /// Requests that wait.
    public let waiters: Int

    init(_ pool: allot_pool) {
        pressure = Pressure(pool.pressure)
        capacity = ByteCount(pool.capacity_bytes)
        live = ByteCount(pool.live_bytes)
        claimed = ByteCount(pool.claimed_bytes)
        measured = pool.measured_bytes == ALLOT_UNKNOWN ? nil : ByteCount(pool.measured_bytes)
        unaccounted = ByteCount(pool.unaccounted_bytes)
        share = ByteCount(pool.share_bytes)
        shortfalls = pool.shortfalls
        reclaimTimeouts = pool.reclaim_timeouts
        groups = Int(pool.groups)
        tenants = Int(pool.tenants)
        waiters = Int(pool.waiters)
    }
}

/// What a tenant uses.
public struct TenantUsage: Sendable, Hashable, Codable {
    /// The tenant, by its number: ``Tenant/handle``.
    public let tenant: UInt64
    /// Its id.
    public let id: UUID
    /// What people call it.
    public let name: String
    /// What people call its group; none: it is directly below the pool.
    public let group: String?
    /// Its priority.
    public let priority: Tenant.Priority
    /// Its isolation.
    public let isolation: Tenant.Isolation
    /// Bytes in live grants.
    public let used: ByteCount
    /// Bytes set aside for a request of it that has waited long.
    public let setAside: ByteCount
    /// Bytes that were measured.
    public let measured: ByteCount?
    /// Bytes of those that are in no grant.
    public let unaccounted: ByteCount
    /// The most bytes in use at once.
    public let peak: ByteCount
    /// Bytes paid for: in use, guaranteed, or idle.
    public let claimed: ByteCount
    /// Floor.
    public let guarantee: ByteCount
    /// Ceiling in force; ``ByteCount/max``: the parent's.
    public let limit: ByteCount
    /// Whether the ceiling is lower than configured, because it asks for nothing.
    public let limitLowered: Bool
    /// Fair share as of the last step of the balancer.
    public let share: ByteCount
    /// Requests granted so far.
    public let granted: UInt64
    /// Requests denied so far.
    public let denied: UInt64
    /// Grants evicted so far.
    public let evicted: UInt64
    /// Bytes of those.
    public let evictedBytes: ByteCount

    init(_ usage: allot_usage, name: String, group: String?) {
        tenant = usage.tenant
        id = UUID(uuid: usage.id)
        self.name = name
        self.group = group
        priority = .init(rawValue: usage.priority) ?? .normal
        isolation = .init(rawValue: usage.isolation) ?? .soft
        used = ByteCount(usage.used_bytes)
        setAside = ByteCount(usage.set_aside_bytes)
        measured = usage.measured_bytes == ALLOT_UNKNOWN ? nil : ByteCount(usage.measured_bytes)
        unaccounted = ByteCount(usage.unaccounted_bytes)
        peak = ByteCount(usage.peak_bytes)
        claimed = ByteCount(usage.claimed_bytes)
        guarantee = ByteCount(usage.guarantee_bytes)
        limit = ByteCount(usage.limit_bytes)
        limitLowered = usage.limit_lowered != 0
        share = ByteCount(usage.share_bytes)
        granted = usage.granted
        denied = usage.denied
        evicted = usage.evicted
        evictedBytes = ByteCount(usage.evicted_bytes)
    }
}

extension Governor {
    /// Reads everything in one pass.
    public func snapshot() throws(Fault) -> Snapshot {
        try checkOpen()
        var taken: OpaquePointer?
        try okay(allot_snapshot_take(pointer, &taken))
        defer { allot_snapshot_free(taken) }
        var pool = callot_pool()
        try okay(allot_snapshot_pool(taken, &pool))
        var tenants: [TenantUsage] = []
        tenants.reserveCapacity(Int(pool.tenants))
        var usage = callot_usage()
        while allot_snapshot_tenant(taken, UInt64(tenants.count), &usage) == ALLOT_OK {
            let place = UInt64(tenants.count)
            let group = text { allot_snapshot_group_name(taken, place, $0, $1, $2) }
            let name = text { allot_snapshot_tenant_name(taken, place, $0, $1, $2) }
            tenants.append(TenantUsage(usage, name: name, group: group.isEmpty ? nil : group))
        }
        return Snapshot(pool: PoolUsage(pool), tenants: tenants)
    }

    /// The figures of the whole alone.
    public func usage() throws(Fault) -> PoolUsage {
        try checkOpen()
        var pool = callot_pool()
        try okay(allot_pool_usage(pointer, &pool))
        return PoolUsage(pool)
    }

    /// All tenants, by their numbers. Also of one that is closed.
    func tenants() -> [allot_tenant] {
        var taken: OpaquePointer?
        guard allot_snapshot_take(pointer, &taken) == ALLOT_OK else { return [] }
        defer { allot_snapshot_free(taken) }
        var tenants: [allot_tenant] = []
        var usage = callot_usage()
        while allot_snapshot_tenant(taken, UInt64(tenants.count), &usage) == ALLOT_OK {
            tenants.append(usage.tenant)
        }
        return tenants
    }
}

extension Tenant {
    /// The bytes it has in live grants now.
    public func used() throws(Fault) -> ByteCount {
        try governor.checkOpen()
        var usage = callot_usage()
        try okay(allot_tenant_usage(governor.pointer, handle, &usage))
        return ByteCount(usage.used_bytes)
    }
}
