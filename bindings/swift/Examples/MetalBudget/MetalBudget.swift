// A budget for Metal: each evictable unit (a block of a KV cache, an adapter, a set of textures)
// has a heap of its own and a grant for it, so that giving the unit up is dropping one heap, and no
// other unit has to move.
//
//   a unit that is in the table has a heap and a live grant
//   a unit that the GPU uses is pinned: it is never chosen
//   bytes of a grant = bytes that its heap really takes (`currentAllocatedSize`)
//
// `Machine.swift` has what the machine says; `main.swift` a program.

#if canImport(Metal)
    import Allotment
    import Foundation
    import Metal

    /// A governor whose capacity is what the GPU may keep resident.
    final class MetalBudget: @unchecked Sendable {
        enum Failure: Error {
            case noDevice
            /// The governor has granted it, and Metal has not.
            case noHeap(ByteCount)
        }

        let device: any MTLDevice
        let governor: Governor
        let budget: ByteCount
        private let tenant: Tenant
        private let lock = NSLock()
        private var units: [UInt64: Unit] = [:]
        private var next: UInt64 = 1

        /// - Parameter percent: How much of what Metal recommends; the rest is for what Metal needs
        ///   itself, and for allocations that nobody asked the governor for.
        init(device: (any MTLDevice)? = MTLCreateSystemDefaultDevice(), percent: UInt64 = 75) throws
        {
            guard let device else { throw Failure.noDevice }
            self.device = device
            let recommended = ByteCount(device.recommendedMaxWorkingSetSize / 100 * percent)
            budget = min(recommended, Machine.available ?? .max)
            governor = try Governor(capacity: budget)
            tenant = try governor.registerTenant("units")
            try tenant.onReclaim { [weak self] victim in
                // One that is not in the table yet is pinned; its heap did not come about.
                guard let unit = self?.take(victim.cookie) else { return .busy }
                unit.drop()
                return .freed
            }
        }

        /// A unit with a heap of at least so many bytes. Evicts others where memory is short, and
        /// awaits its turn where that is not enough.
        ///
        /// It comes pinned, since it could be chosen before its heap is there: ``Unit/unpin()`` it
        /// once it is filled.
        func makeUnit(_ size: ByteCount, label: String, costToRebuild: UInt32 = 1) async throws
            -> Unit
        {
            let place = lock.withLock {
                defer { next += 1 }
                return next
            }
            let options = RequestOptions(cookie: place, cost: costToRebuild, isPinned: true)
            let grant = try await tenant.acquire(size, for: .cache, options).shared()
            let descriptor = MTLHeapDescriptor()
            descriptor.size = Int(clamping: size.bytes)
            descriptor.storageMode = .private
            descriptor.hazardTrackingMode = .tracked
            guard let heap = device.makeHeap(descriptor: descriptor) else {
                throw Failure.noHeap(size)
            }
            heap.label = label
            // Pages are whole: what is counted is what it takes.
            try grant.trueUp(to: ByteCount(clamping: max(heap.currentAllocatedSize, 1)))
            let unit = Unit(heap, grant)
            lock.withLock { units[place] = unit }
            return unit
        }

        /// Changes what there is; units are evicted until it suffices. For an app that goes to the
        /// background, where memory that is not given back is taken with the whole process.
        func resize(to capacity: ByteCount) throws {
            try governor.setCapacity(max(capacity, 1))
            try governor.balance()
        }

        private func take(_ place: UInt64) -> Unit? {
            lock.withLock { units.removeValue(forKey: place) }
        }
    }

    /// A heap that lives until it is evicted.
    final class Unit: @unchecked Sendable {
        private let grant: SharedGrant
        private let lock = NSLock()
        private var heap: (any MTLHeap)?
        /// How often it is in use; it is pinned while that is above 0. New ones are being filled.
        private var uses = 1

        fileprivate init(_ heap: any MTLHeap, _ grant: SharedGrant) {
            self.heap = heap
            self.grant = grant
        }

        /// Runs `encode` with the heap, and keeps the unit until the GPU is done with the commands.
        /// False where the unit is gone: make another one.
        func use(
            in commands: any MTLCommandBuffer, _ encode: (any MTLHeap) throws -> Void
        ) rethrows -> Bool {
            guard let heap = pin() else { return false }
            do {
                try encode(heap)
            } catch {
                unpin()
                throw error
            }
            commands.addCompletedHandler { [self] _ in unpin() }
            try? grant.touch()
            return true
        }

        /// The heap, pinned until ``unpin()``; none where the unit is gone.
        func pin() -> (any MTLHeap)? {
            lock.withLock {
                guard let heap else { return nil }
                if uses == 0 {
                    do { try grant.pin() } catch { return nil }
                }
                uses += 1
                return heap
            }
        }

        /// Ends one use. After the last one it may be chosen.
        func unpin() {
            lock.withLock {
                uses -= 1
                if uses == 0 { try? grant.unpin() }
            }
        }

        /// Drops the heap. Metal frees it with its last reference.
        fileprivate func drop() {
            lock.withLock { heap = nil }
        }
    }
#endif
