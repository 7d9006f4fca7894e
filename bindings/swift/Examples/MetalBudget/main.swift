// Twice as many units as there is room for, each filled by the GPU: the oldest give way, and what
// is granted is never more than the budget.
//
//   swift run MetalBudget

#if canImport(Metal)
    import Allotment
    import Metal

    let budget = try MetalBudget()
    let pressure = PressureSource(budget.governor)
    let balancer = Task { try await budget.governor.keepBalanced() }
    guard let queue = budget.device.makeCommandQueue() else { throw MetalBudget.Failure.noDevice }

    let size = ByteCount(budget.budget.bytes / 8)
    var kept: [Unit] = []
    for number in 0..<16 {
        let unit = try await budget.makeUnit(size, label: "unit \(number)")
        guard let commands = queue.makeCommandBuffer() else { break }
        let used = try unit.use(in: commands) { heap in
            let length = heap.maxAvailableSize(alignment: 256)
            guard let buffer = heap.makeBuffer(length: length, options: .storageModePrivate),
                let blit = commands.makeBlitCommandEncoder()
            else { throw MetalBudget.Failure.noHeap(size) }
            blit.fill(buffer: buffer, range: 0..<length, value: 1)
            blit.endEncoding()
        }
        commands.commit()
        await commands.completed()
        unit.unpin()
        kept.append(unit)
        let pool = try budget.governor.usage()
        print(
            "unit \(number): used \(used), \(pool.live) of \(pool.capacity) granted"
        )
        precondition(pool.live <= pool.capacity)
    }
    balancer.cancel()
    withExtendedLifetime(pressure) {}
#else
    print("MetalBudget needs Metal: run it on a Mac")
#endif
