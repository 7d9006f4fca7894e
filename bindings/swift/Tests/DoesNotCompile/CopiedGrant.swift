// refused: type 'Grant' does not conform to protocol 'Copyable'
import Allotment

func keep(_ tenant: Tenant) throws -> [Grant] {
    [try tenant.request(1, for: .cache)]
}
