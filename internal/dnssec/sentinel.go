package dnssec

import "bulkhead/internal/dnsname"

// Sentinel reads the first label of a question for RFC 8509: root-key-sentinel-
// is-ta-DDDDD or not-ta-DDDDD. ok is false for any other.
func Sentinel[T ~string | ~[]byte](name T) (tag uint16, isTA, ok bool) {
	const is, not = "root-key-sentinel-is-ta-", "root-key-sentinel-not-ta-"
	label := name[1 : 1+int(name[0])]
	prefix := ""
	switch len(label) {
	case len(is) + 5:
		prefix, isTA = is, true
	case len(not) + 5:
		prefix = not
	default:
		return 0, false, false
	}
	for i := 0; i < len(prefix); i++ {
		if dnsname.LowerByte(label[i]) != prefix[i] {
			return 0, false, false
		}
	}
	n := 0
	for i := len(prefix); i < len(label); i++ {
		if label[i] < '0' || label[i] > '9' {
			return 0, false, false
		}
		n = n*10 + int(label[i]-'0')
	}
	return uint16(n), isTA, n <= 65535
}
