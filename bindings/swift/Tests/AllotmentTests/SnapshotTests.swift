// What is seen: snapshots, explanations and denials as values, encoded and read back.

import Allotment
import Foundation
import Testing

@Suite struct SnapshotTests {
    let governor: Governor
    let team: Group
    let chat: Tenant

    init() throws {
        governor = try Governor(capacity: .gib(1))
        team = try governor.registerGroup("team", .init(guarantee: .mib(256), limit: .mib(768)))
        chat = try governor.registerTenant(
            "chat", in: team, .init(guarantee: .mib(128), priority: .critical))
    }

    private func readBack<Value: Codable>(_ value: Value) throws -> Value {
        try JSONDecoder().decode(Value.self, from: JSONEncoder().encode(value))
    }

    @Test func aSnapshotHasAllAndCanBeEncoded() throws {
        let grant = try chat.request(.mib(200), for: .modelLoad)
        try chat.reportMeasured(.mib(210))
        let snapshot = try governor.snapshot()
        #expect(snapshot.pool.capacity == .gib(1))
        #expect(snapshot.pool.live == .mib(200))
        #expect(snapshot.pool.groups == 1)
        let pool = try governor.usage()
        #expect(snapshot.pool == pool)
        let usage = try #require(snapshot.tenants.first)
        #expect(usage.name == "chat")
        #expect(usage.group == "team")
        #expect(usage.tenant == chat.handle)
        #expect(usage.priority == .critical)
        #expect(usage.used == .mib(200))
        #expect(usage.guarantee == .mib(128))
        #expect(usage.measured == .mib(210))
        #expect(usage.granted == 1)
        #expect(try governor.tenant(id: usage.id) == chat)
        #expect(try readBack(snapshot) == snapshot)
        #expect(
            String(decoding: try JSONEncoder().encode(usage.used), as: UTF8.self) == "209715200")
        grant.release()
    }

    @Test func aDenialHasAllItsFields() throws {
        let full = try chat.request(.mib(700), for: .modelLoad)
        let denial = try #require(
            refusal { () throws(Refusal) in _ = try chat.request(.mib(100), for: .inference) }?
                .denial)
        #expect(denial.reason == .groupLimit)
        #expect(denial.account == .group(team.handle))
        #expect(denial.waitingCanHelp)
        #expect(denial.asked == .mib(100))
        #expect(denial.short == .mib(32))
        #expect(denial.available == .mib(68))
        #expect(denial.limit == ByteCount.mib(768).bytes)
        #expect(denial.pinnedGrants == 0)
        #expect(denial.pinnedFirst == nil)
        #expect(denial.pinned == 0)
        #expect(try readBack(denial) == denial)
        #expect(
            denial.description == "100.0 MiB refused by the limit of a group above the tenant,"
                + " 32.0 MiB short; waiting can help")
        full.release()
    }

    @Test func aRateThatIsExceededSaysWhenToComeAgain() throws {
        let slow = try governor.registerTenant("slow", .init(rate: .init(every: .seconds(60))))
        _ = try slow.request(1, for: .cache)
        let denial = refusal { () throws(Refusal) in _ = try slow.request(1, for: .cache) }?.denial
        #expect(denial?.reason == .rateLimit)
        let retry = try #require(denial?.retryAfter)
        #expect(retry > .seconds(50) && retry <= .seconds(60))
    }

    @Test func anExplanationNamesWhoHoldsAndWhatWouldGo() throws {
        let block = try chat.request(.mib(700), for: .cache)
        let explanation = try chat.explain(.mib(100), for: .inference)
        #expect(explanation.reason == .groupLimit)
        #expect(explanation.short == .mib(32))
        #expect(explanation.holders.map(\.tenant) == [chat.handle])
        #expect(explanation.holders.map(\.bytes) == [.mib(700)])
        #expect(explanation.victims.map(\.grant) == [block.id])
        #expect(explanation.victims.map(\.bytes) == [.mib(700)])
        #expect(explanation.planGrants == 1)
        #expect(explanation.planMissing == 0)
        #expect(explanation.text.contains("chat asks 100 MiB for inference"))
        #expect("\(explanation)" == explanation.text)
        #expect(try readBack(explanation) == explanation)
        #expect(try chat.explain(1, for: .cache).reason == nil)
        #expect(try chat.attainable(.gib(2), for: .inference) <= .mib(768))
        #expect(try chat.estimatedWait(.mib(100), for: .inference) == .zero)
    }

    @Test func aTenantIsChangedWhileItRuns() throws {
        var configuration = try chat.configuration()
        #expect(configuration.guarantee == .mib(128))
        #expect(configuration.limit == .max)
        configuration.limit = .mib(300)
        configuration.isolation = .hard
        configuration.grantsMax = [.cache: 1]
        configuration.rate = .init(every: .milliseconds(1), atOnce: 1_000)
        try chat.update(configuration)
        #expect(try chat.configuration() == configuration)
        let block = try chat.request(1, for: .cache)
        let second = refusal { () throws(Refusal) in _ = try chat.request(1, for: .cache) }?.denial
        #expect(second?.reason == .grantCount)
        #expect(second?.limit == 1)
        let tooMuch = refusal { () throws(Refusal) in
            _ = try chat.request(.mib(301), for: .inference)
        }
        #expect(tooMuch?.denial?.reason == .tenantLimit)
        try team.update(.init(guarantee: .mib(256), limit: .mib(512)))
        try governor.setCapacity(.mib(600))
        #expect(try governor.usage().capacity == .mib(600))
        block.release()
    }

    @Test func aConfigurationFileSetsAGovernorUp() throws {
        let governor = try Governor(
            toml: """
                capacity = "2 GiB"

                [[tenants]]
                name = "chat"
                guarantee = "1 GiB"
                """)
        #expect(try governor.usage().capacity == .gib(2))
        let chat = try #require(try governor.tenant(named: "chat"))
        #expect(try chat.name() == "chat")
        #expect(try chat.configuration().guarantee == .gib(1))
        #expect(try governor.tenant(named: "nobody") == nil)
        #expect(try governor.group(named: "nobody") == nil)
    }

    @Test func aNumberOfBytesReadsAsItIsWritten() {
        #expect(ByteCount.gib(4).description == "4.0 GiB")
        #expect((.gib(1) + .mib(512)).description == "1.5 GiB")
        #expect(ByteCount(1_023).description == "1023 B")
        #expect(ByteCount.max.description == "unlimited")
        #expect(ByteCount.kib(1) - .kib(2) == 0)
        #expect(ByteCount.gib(.max) == .max)
        #expect(ByteCount.max + 1 == .max)
        #expect(ByteCount(clamping: -1) == 0)
        #expect(ByteCount.kib(1) < .mib(1))
    }
}
