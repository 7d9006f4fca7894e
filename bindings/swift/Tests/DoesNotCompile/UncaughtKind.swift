// refused: switch must be exhaustive
import Allotment

func ask(_ tenant: Tenant) {
    do throws(Refusal) {
        _ = try tenant.request(1, for: .cache)
    } catch {
        switch error {
        case .denied(let denial): print(denial)
        case .failed(let fault): print(fault)
        }
    }
}
