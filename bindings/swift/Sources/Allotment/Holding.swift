// What a grant holds, and every verb of it: `Grant` and `SharedGrant` are two ways to own one.
//
//   made once for each grant that was given, ended once
//   the governor lives as long as a holding that has not ended

import CAllotment
import Foundation

/// How a grant ended.
public enum Ending: Sendable, Hashable {
    /// Its bytes went back now.
    case released
    /// It was evicted, or ended by force, before: its bytes are back, or on their way back.
    case evicted
}

/// Owns one reference to the governor by hand: a struct that has to be given up has no members that
/// the compiler would have to let go.
struct Holding: @unchecked Sendable {
    private let governor: Unmanaged<Governor>
    private let pointer: OpaquePointer
    let tenant: allot_tenant
    let id: allot_grant

    init(_ tenant: Tenant, _ id: allot_grant) {
        governor = .passRetained(tenant.governor)
        pointer = tenant.governor.pointer
        self.tenant = tenant.handle
        self.id = id
    }

    /// Gives the bytes back, and answers what the library says of it.
    @inline(__always)
    func release() -> allot_status {
        var status = allot_grant_release(pointer, tenant, id)
        // For a moment: another thread changes or evicts it.
        while status == ALLOT_ERROR_BUSY {
            _ = sched_yield()
            status = allot_grant_release(pointer, tenant, id)
        }
        return status
    }

    /// Lets the governor go. Nothing may be called after it.
    @inline(__always)
    func end() {
        governor.release()
    }

    func owner() -> Tenant {
        Tenant(governor: governor.takeUnretainedValue(), handle: tenant)
    }

    func bytes() throws(Refusal) -> ByteCount {
        var bytes: UInt64 = 0
        try call { allot_grant_bytes(pointer, tenant, id, &bytes) }
        return ByteCount(bytes)
    }

    func grow(by size: ByteCount) throws(Refusal) {
        try ask { allot_grant_grow(pointer, tenant, id, size.bytes, $0) }
    }

    func growEvicting(by size: ByteCount) throws(Refusal) {
        try ask { allot_grant_grow_evicting(pointer, tenant, id, size.bytes, $0) }
    }

    func shrink(by size: ByteCount) throws(Refusal) {
        try call { allot_grant_shrink(pointer, tenant, id, size.bytes) }
    }

    func trueUp(to measured: ByteCount) throws(Refusal) {
        try ask { allot_grant_true_up(pointer, tenant, id, measured.bytes, $0) }
    }

    func touch() throws(Refusal) {
        try call { allot_grant_touch(pointer, tenant, id) }
    }

    func pin() throws(Refusal) {
        try call { allot_grant_pin(pointer, tenant, id) }
    }

    func unpin() throws(Refusal) {
        try call { allot_grant_unpin(pointer, tenant, id) }
    }

    func keepAlive(for duration: Duration) throws(Refusal) {
        try call { allot_grant_keep_alive(pointer, tenant, id, duration.ns) }
    }

    func commit() throws(Refusal) {
        try call { allot_grant_commit(pointer, tenant, id) }
    }

    func decline() throws(Refusal) {
        try call { allot_grant_decline(pointer, tenant, id) }
    }

    private func call(_ verb: () -> allot_status) throws(Refusal) {
        try ask { _ in verb() }
    }

    /// Calls a verb, again where another thread is changing the grant for a moment.
    private func ask(
        _ verb: (UnsafeMutablePointer<allot_denial>) -> allot_status
    ) throws(Refusal) {
        if governor._withUnsafeGuaranteedRef({ $0.isClosed }) { throw .failed(.closed) }
        var denial = callot_denial()
        var status = verb(&denial)
        for _ in 0..<1_000 where status == ALLOT_ERROR_BUSY {
            _ = sched_yield()
            status = verb(&denial)
        }
        // Whoever has a holding has not released it: its number is another's now because it was
        // evicted.
        if status == ALLOT_ERROR_STALE_GRANT { throw .evicted }
        if status != ALLOT_OK { throw Refusal(status: status, denial) }
    }
}
