// MLX Swift asks a policy whether a ticket may start; this one asks the governor. So models of
// several tenants, and whatever else takes memory beside MLX, share one budget.
//
//   bytes granted to the policy >= sum of its active tickets
//   the manager of MLX calls `canAdmit` before a ticket starts and `limit` after one has started or
//   ended, but calls nothing when the last ticket of a policy has ended, nor when the governor has
//   memory again: `withTicket` sees to both

#if canImport(MLX)
    import Allotment
    import Foundation
    import MLX

    /// A policy for tickets of one tenant. One object for all of them: it is its own identity. Make
    /// either all of them by ``withTicket(size:kind:_:)`` or none.
    ///
    /// ```swift
    /// let policy = GovernedPolicy(try governor.registerTenant("chat"))
    /// let text = try await policy.withTicket(size: kvCacheBytes) {
    ///     try await generate(prompt)
    /// }
    /// ```
    public final class GovernedPolicy: WiredMemoryPolicy, @unchecked Sendable {
        private let tenant: Tenant
        private let type: AllocationType
        private let lock = NSLock()
        /// For tickets that were not made by ``withTicket(size:kind:_:)``.
        private var grant: SharedGrant?
        /// Bytes of grants that ``withTicket(size:kind:_:)`` holds.
        private var promised: ByteCount = 0

        public init(_ tenant: Tenant, for type: AllocationType = .inference) {
            self.tenant = tenant
            self.type = type
        }

        public var id: AnyHashable { ObjectIdentifier(self) }

        /// Whether the governor grants what the active tickets and the new one need together,
        /// evicting what may go for it. A ticket that is not admitted waits until another one of
        /// MLX ends: ``withTicket(size:kind:_:)`` waits in the governor's line instead.
        public func canAdmit(baseline: Int, activeSizes: [Int], newSize: Int) -> Bool {
            lock.withLock { hold(total(activeSizes) + ByteCount(clamping: newSize)) }
        }

        /// What the active tickets need beyond the baseline. What ended tickets needed goes back.
        public func limit(baseline: Int, activeSizes: [Int]) -> Int {
            let active = total(activeSizes)
            lock.withLock { _ = hold(active) }
            let (sum, overflow) = baseline.addingReportingOverflow(Int(clamping: active.bytes))
            return overflow ? .max : sum
        }

        /// Runs `body` with a ticket, once the governor has granted its bytes: awaits its turn in
        /// the governor's line, and gives the place up when the task is cancelled. The grant is
        /// held until the ticket has ended, so that MLX always admits it.
        public func withTicket<Answer: Sendable>(
            size: Int, kind: WiredMemoryTicketKind = .active,
            _ body: @Sendable () async throws -> Answer
        ) async throws -> Answer {
            let bytes = ByteCount(clamping: max(size, 1))
            let grant = try await tenant.acquire(bytes, for: type, .init(isPinned: true))
            lock.withLock { promised = promised + bytes }
            defer { lock.withLock { promised = promised - bytes } }
            let ticket = ticket(size: size, kind: kind)
            let answer = try await WiredMemoryTicket.withWiredLimit(ticket) {
                // A ticket whose wait was cancelled has not started.
                try Task.checkCancellation()
                return try await body()
            }
            grant.release()
            return answer
        }

        /// Gives back what is held. For tickets without ``withTicket(size:kind:_:)``, once the last
        /// of them has ended.
        public func release() {
            lock.withLock { grant = nil }
        }

        private func total(_ sizes: [Int]) -> ByteCount {
            sizes.reduce(0) { $0 + ByteCount(clamping: $1) }
        }

        /// Makes the grant cover so much together with what is promised, under the lock; false, and
        /// nothing has changed, where the governor says no. Pinned: MLX cannot give up what a
        /// running ticket uses.
        private func hold(_ active: ByteCount) -> Bool {
            let wanted = active - promised
            if wanted == 0 {
                grant = nil
                return true
            }
            do {
                guard let grant else {
                    self.grant = try tenant.request(wanted, for: type, .init(isPinned: true))
                        .shared()
                    return true
                }
                let held = try grant.bytes()
                if wanted > held {
                    try grant.growEvicting(by: wanted - held)
                } else if wanted < held {
                    try grant.shrink(by: held - wanted)
                }
                return true
            } catch {
                return false
            }
        }
    }

    /// Clears the buffer cache of MLX whenever memory is short, and reports what MLX holds, until
    /// the task is cancelled or the governor closed.
    public func keepCacheSmall(_ governor: Governor) async throws {
        for await level in governor.pressures() {
            if level > .normal { Memory.clearCache() }
            let held = Memory.activeMemory + Memory.cacheMemory
            try governor.reportMeasured(process: ByteCount(clamping: held))
        }
        try Task.checkCancellation()
    }
#endif
