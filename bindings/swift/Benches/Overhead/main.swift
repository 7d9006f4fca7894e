// What the Swift package costs beside the C calls it makes, in the same process.
//
//   swift run -c release Overhead [rounds]
//
// All sides take turns in small batches, and who begins changes, so that a machine that slows down
// slows all of them. What counts are the ratios of a round; printed are their medians.

import Allotment
import CAllotment
import OverheadInC

let pairs = 20_000
let rounds = CommandLine.arguments.dropFirst().first.flatMap(Int.init) ?? 101
let size: ByteCount = 4_096

struct Side {
    let name: String
    /// Makes so many pairs.
    let batch: (Int) async throws -> Void
}

/// A governor that C code may have as well: by its header, as this program knows it.
func cSide(_ name: String, _ loop: @escaping (OpaquePointer, UInt64, UInt64) -> UInt64) -> Side {
    var config = callot_config()
    config.capacity_bytes = 1 << 40
    var governor: OpaquePointer?
    var tenant: allot_tenant = 0
    var who = callot_tenant_config()
    precondition(allot_governor_new(&config, &governor) == ALLOT_OK)
    let registered = "bench".withCString {
        who.name = $0
        who.name_length = 5
        return allot_tenant_register(governor, &who, &tenant)
    }
    precondition(registered == ALLOT_OK)
    let (pointer, handle) = (governor!, tenant)
    return Side(name: name) {
        precondition(loop(pointer, handle, UInt64($0)) == UInt64($0), "each is granted")
    }
}

func sides() throws -> [Side] {
    let tenant = try Governor(capacity: .gib(1_024)).registerTenant("bench")
    return [
        cSide("C: allot_request", overhead_request),
        cSide("C: allot_try_request", overhead_try_request),
        Side(name: "request, dropped") {
            for _ in 0..<$0 { _ = try tenant.request(size, for: .cache) }
        },
        Side(name: "request, released") {
            for _ in 0..<$0 { try tenant.request(size, for: .cache).release() }
        },
        Side(name: "tryRequest, dropped") {
            for _ in 0..<$0 { _ = try tenant.tryRequest(size, for: .cache) }
        },
        Side(name: "request, shared") {
            for _ in 0..<$0 { _ = try tenant.request(size, for: .cache).shared() }
        },
        Side(name: "await acquire, dropped") {
            for _ in 0..<$0 { _ = try await tenant.acquire(size, for: .cache) }
        },
        Side(name: "await withGrant") {
            for _ in 0..<$0 { try await tenant.withGrant(size, for: .cache) { _ in } }
        },
    ]
}

func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

func shown(_ value: Double, _ places: Int) -> String {
    let scale = places == 1 ? 10.0 : 100.0
    let scaled = Int((value * scale).rounded())
    let rest = String(scaled % Int(scale))
    return "\(scaled / Int(scale)).\(String(repeating: "0", count: places - rest.count))\(rest)"
}

func padded(_ text: String, _ width: Int, right: Bool = false) -> String {
    let gap = String(repeating: " ", count: max(0, width - text.count))
    return right ? gap + text : text + gap
}

let all = try sides()
let clock = ContinuousClock()
var times = [[Double]](repeating: [], count: all.count)
for round in 0..<rounds {
    for turn in 0..<all.count {
        let place = (round + turn) % all.count
        let took = try await clock.measure { try await all[place].batch(pairs) }
        times[place].append(Double(took.components.attoseconds) / 1e9 / Double(pairs))
    }
}
print("request + release of \(size), medians of \(rounds) rounds of \(pairs) pairs, in turns")
for (place, side) in all.enumerated() {
    let ratios = zip(times[place], times[0]).map { $0 / $1 }
    let ns = padded(shown(median(times[place]), 1), 8, right: true)
    print(
        "  \(padded(side.name, 24))\(ns) ns  \(padded(shown(median(ratios), 2), 6, right: true))x")
}
