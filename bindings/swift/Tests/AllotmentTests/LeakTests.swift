// A million grants in every way to own one: an empty ledger, and no memory that stays.

import Allotment
import Foundation
import Testing

/// Bytes of memory that this process has of its own.
func residentBytes() throws -> Int {
    #if os(Linux)
        let fields = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8).split(
            separator: " ")
        return Int(fields[1])! * sysconf(Int32(_SC_PAGESIZE))
    #else
        // The most at once: what is left behind adds to that as well.
        var usage = rusage()
        getrusage(RUSAGE_SELF, &usage)
        return usage.ru_maxrss
    #endif
}

/// The least that `body` adds to memory in one of three rounds. Other tests run beside: what they
/// need for a while adds to some rounds, what is left behind adds to each.
func growth(_ body: () async throws -> Void) async throws -> Int {
    var least = Int.max
    for _ in 0..<3 {
        let before = try residentBytes()
        try await body()
        least = min(least, try residentBytes() - before)
    }
    return least
}

@Suite(.serialized, .timeLimit(.minutes(5))) struct LeakTests {
    @Test func aMillionGrantsLeaveNothingBehind() async throws {
        let governor = try Governor(capacity: .mib(64))
        let chat = try governor.registerTenant("chat")
        /// A share of the million, by each way to own a grant and to end it.
        func some(_ count: Int) async throws {
            for number in 0..<count {
                switch number % 4 {
                case 0: _ = try chat.request(.kib(4), for: .cache)
                case 1: try chat.request(.kib(4), for: .cache).release()
                case 2: _ = try chat.tryRequest(.kib(4), for: .inference).shared()
                default: _ = try await chat.acquire(.kib(4), for: .inference)
                }
            }
        }
        try await some(100_000)
        let grown = try await growth { try await some(1_000_000) }
        print(
            "a million grants: \(grown) bytes more in memory, ledger \(try governor.usage().live)")
        // What is kept of each grant, were it 16 bytes only, would be twice as much.
        #expect(grown < 8 << 20)
        #expect(try governor.snapshot().tenants[0].granted == 3_100_000)
        try governor.expectEmpty()
    }

    @Test func waitsAndCancellationsLeaveNothingBehind() async throws {
        let governor = try Governor(capacity: .mib(1))
        let chat = try governor.registerTenant("chat")
        func some(_ count: Int) async throws {
            for number in 0..<count {
                // A wait that was cancelled while it was served may have its bytes for a moment yet.
                let full = try await chat.acquire(.mib(1), for: .inference, within: .seconds(10))
                let task = Task { try await chat.acquire(.mib(1), for: .inference).release() }
                while try governor.usage().waiters == 0 {
                    try Task.checkCancellation()
                    await Task.yield()
                }
                if number % 2 == 0 { task.cancel() }
                full.release()
                _ = await task.result
            }
        }
        try await some(1_000)
        let grown = try await growth { try await some(10_000) }
        print("ten thousand waits: \(grown) bytes more in memory")
        // A wait that is kept, with its task, would be a hundred bytes and more.
        #expect(grown < 1 << 20)
        try await soon("every byte is back") { try governor.snapshot().pool.live == 0 }
        try governor.expectEmpty()
    }
}
