// A grant's life: asked for, changed, and released once, whoever owns it.

import Allotment
import Testing

@Suite struct GrantTests {
    let governor: Governor
    let chat: Tenant

    init() throws {
        var configuration = Governor.Configuration(capacity: .gib(1))
        configuration.manualClock = true
        governor = try Governor(configuration)
        chat = try governor.registerTenant("chat")
    }

    @Test func aGrantThatGoesOutOfScopeIsReleased() throws {
        do {
            let grant = try chat.request(.mib(64), for: .cache)
            let bytes = try grant.bytes()
            #expect(bytes == .mib(64))
            #expect(try chat.used() == .mib(64))
        }
        try governor.expectEmpty()
    }

    @Test func aGrantIsReleasedWhereAnErrorLeavesItsScope() throws {
        struct Interrupted: Error {}
        func work() throws {
            let grant = try chat.request(.mib(64), for: .inference)
            try grant.touch()
            throw Interrupted()
        }
        #expect(throws: Interrupted.self) { try work() }
        try governor.expectEmpty()
    }

    @Test func releaseSaysWhetherTheBytesWereThereStill() throws {
        let kept = try chat.request(.mib(1), for: .cache)
        let ending = kept.release()
        #expect(ending == .released)

        try governor.onReclaim { _ in .freed }
        let evicted = try chat.request(.mib(1), for: .cache)
        let greedy = try chat.request(.gib(1), for: .inference)
        #expect(evicted.release() == .evicted)
        #expect(try chat.used() == .gib(1))
        #expect(greedy.release() == .released)
        try governor.expectEmpty()
    }

    @Test func aGrantGrowsShrinksAndIsTruedUp() throws {
        let grant = try chat.request(.mib(4), for: .cache)
        try grant.grow(by: .mib(4))
        try grant.shrink(by: .mib(2))
        #expect(try chat.used() == .mib(6))
        try grant.trueUp(to: .mib(5))
        try grant.growEvicting(by: .mib(1))
        let bytes = try grant.bytes()
        #expect(bytes == .mib(6))
        let denied = refusal { () throws(Refusal) in try grant.grow(by: .gib(1)) }
        #expect(denied?.denial?.reason == .capacity)
        let tooMuch = refusal { () throws(Refusal) in try grant.shrink(by: .mib(6)) }
        #expect(tooMuch?.code == .shrinkTooMuch)
        #expect(try chat.used() == .mib(6))
    }

    @Test func aSharedGrantLivesAsLongAsItsOwners() throws {
        var blocks: [Int: SharedGrant] = [:]
        blocks[1] = try chat.request(.mib(1), for: .cache).shared()
        blocks[2] = blocks[1]
        blocks[1] = nil
        #expect(try chat.used() == .mib(1))
        blocks[2] = nil
        try governor.expectEmpty()
    }

    @Test func aSharedGrantIsReleasedOnceAndThenRefused() throws {
        let grant = try chat.request(.mib(1), for: .cache).shared()
        #expect(try grant.release() == .released)
        try governor.expectEmpty()
        let other = try chat.request(.mib(3), for: .cache)
        #expect(fault { () throws(Fault) in try grant.release() } == .staleGrant)
        #expect(refusal { () throws(Refusal) in try grant.touch() }?.code == .staleGrant)
        #expect(refusal { () throws(Refusal) in try grant.grow(by: 1) }?.code == .staleGrant)
        #expect(refusal { () throws(Refusal) in _ = try grant.bytes() }?.code == .staleGrant)
        #expect(try chat.used() == .mib(3), "what is another's stays")
        other.release()
    }

    @Test func ofManyReleasesAtOnceOneIsTheOne() async throws {
        for _ in 0..<200 {
            let grant = try chat.request(.mib(1), for: .cache).shared()
            let released = await withTaskGroup(of: Bool.self) { tasks in
                for _ in 0..<4 { tasks.addTask { (try? grant.release()) != nil } }
                return await tasks.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(released == 1)
        }
        try governor.expectEmpty()
    }

    @Test func whatWasEvictedIsEvictedAlsoWhenItsNumberIsAnothers() throws {
        try governor.onReclaim { _ in .freed }
        let evicted = try chat.request(.mib(1), for: .cache)
        let shared = try chat.request(.mib(1), for: .cache).shared()
        let greedy = try chat.request(.gib(1), for: .inference)
        greedy.release()
        // Every number that has come back is given to somebody else.
        let others = try (0..<1_000).map { _ in try chat.request(.kib(4), for: .cache).shared() }
        let one = refusal { () throws(Refusal) in try evicted.grow(by: 1) }
        #expect(one == .evicted)
        #expect(refusal { () throws(Refusal) in try shared.touch() } == .evicted)
        #expect(evicted.release() == .evicted)
        #expect(try shared.release() == .evicted)
        #expect(fault { () throws(Fault) in try shared.release() } == .staleGrant)
        #expect(try chat.used() == .kib(4_000), "what is another's stays")
        withExtendedLifetime(others) {}
    }

    @Test func aPinnedGrantStays() throws {
        try governor.onReclaim { _ in .freed }
        let pinned = try chat.request(.mib(512), for: .cache, .init(isPinned: true))
        let denial = refusal { () throws(Refusal) in _ = try chat.request(.gib(1), for: .cache) }?
            .denial
        #expect(denial?.pinned == .mib(512))
        #expect(denial?.pinnedGrants == 1)
        #expect(denial?.pinnedFirst == pinned.id)
        try pinned.unpin()
        _ = try chat.request(.gib(1), for: .cache)
        #expect(refusal { () throws(Refusal) in try pinned.pin() } != nil)
    }

    @Test func aReservationIsCommittedInTimeOrRunsOut() throws {
        let intime = try chat.reserve(.mib(8), for: .modelLoad, ttl: .seconds(5))
        try intime.commit()
        #expect(refusal { () throws(Refusal) in try intime.commit() }?.code == .notReserved)
        let late = try chat.reserve(.mib(8), for: .modelLoad, ttl: .seconds(5))
        try governor.advanceClock(by: .seconds(6))
        #expect(refusal { () throws(Refusal) in try late.commit() }?.code == .expired)
        #expect(late.release() == .released)
        #expect(try chat.used() == .mib(8))
    }

    @Test func ofABatchAllAreGrantedOrNone() throws {
        let batch = try chat.requestAll([.mib(256), .mib(256)], for: .modelLoad)
        #expect(try batch.map { try $0.bytes() } == [.mib(256), .mib(256)])
        let denied = refusal { () throws(Refusal) in
            _ = try chat.requestAll([.mib(512), .mib(512)], for: .modelLoad)
        }
        #expect(denied?.denial?.reason == .capacity)
        #expect(try chat.used() == .mib(512))
        #expect(try chat.requestAll([], for: .cache).isEmpty)
    }

    @Test func aGrantKeepsItsGovernorAlive() throws {
        weak var gone: Governor?
        do {
            let grant: SharedGrant
            do {
                let governor = try Governor(capacity: .mib(1))
                gone = governor
                grant = try governor.registerTenant("last").request(.kib(1), for: .cache).shared()
            }
            #expect(gone != nil)
            #expect(try grant.tenant.name() == "last")
            #expect(try grant.tenant.used() == .kib(1))
        }
        #expect(gone == nil)
    }
}
