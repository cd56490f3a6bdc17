package rdata

// mnemonics of small registries. Text may have the word or the number;
// numbers are what is printed, but for certificate types and DSYNC schemes, as
// BIND does.

type mnemonics []struct {
	word string
	n    uint16
}

// algorithms: IANA registry "DNS Security Algorithm Numbers".
var algorithms = mnemonics{
	{"DELETE", 0}, {"RSAMD5", 1}, {"DH", 2}, {"DSA", 3}, {"ECC", 4}, {"RSASHA1", 5},
	{"DSA-NSEC3-SHA1", 6}, {"NSEC3DSA", 6}, {"RSASHA1-NSEC3-SHA1", 7}, {"NSEC3RSASHA1", 7},
	{"RSASHA256", 8}, {"RSASHA512", 10}, {"ECC-GOST", 12}, {"ECCGOST", 12},
	{"ECDSAP256SHA256", 13}, {"ECDSA256", 13}, {"ECDSAP384SHA384", 14}, {"ECDSA384", 14},
	{"ED25519", 15}, {"ED448", 16}, {"SM2SM3", 17}, {"ECC-GOST12", 23},
	{"INDIRECT", 252}, {"PRIVATEDNS", 253}, {"PRIVATEOID", 254},
}

// certTypes: RFC 4398, section 2.1.
var certTypes = mnemonics{
	{"PKIX", 1}, {"SPKI", 2}, {"PGP", 3}, {"IPKIX", 4}, {"ISPKI", 5}, {"IPGP", 6},
	{"ACPKIX", 7}, {"IACPKIX", 8}, {"URI", 253}, {"OID", 254},
}

// schemes: IANA registry "DSYNC: Location of Synchronization Endpoints"
// (RFC 9859, section 6.2).
var schemes = mnemonics{{"NOTIFY", 1}}

func mnemonic(w []byte, table mnemonics, max uint64) (uint64, bool) {
	if n, ok := number(w, max); ok {
		return n, true
	}
	for i := range table {
		if equalFold(w, table[i].word) {
			return uint64(table[i].n), true
		}
	}
	return 0, false
}

func equalFold(w []byte, upper string) bool {
	if len(w) != len(upper) {
		return false
	}
	for i, c := range w {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}

// mnemonic reads a word that stands for a number of at most max, or the number;
// what the error says if it is neither.
func (l *lexer) mnemonic(table mnemonics, max uint64, what string) (uint16, error) {
	w, err := l.bare()
	if err != nil {
		return 0, err
	}
	n, ok := mnemonic(w, table, max)
	if !ok {
		return 0, fail(what, w)
	}
	return uint16(n), nil
}
