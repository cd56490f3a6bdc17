package dns

// typeNames is the IANA registry's table of mnemonics; what is absent is
// written TYPE123 (RFC 3597, section 5).
var typeNames = map[Type]string{
	TypeA: "A", TypeNS: "NS", TypeMD: "MD", TypeMF: "MF", TypeCNAME: "CNAME", TypeSOA: "SOA",
	TypeMB: "MB", TypeMG: "MG", TypeMR: "MR", TypeNULL: "NULL", TypeWKS: "WKS", TypePTR: "PTR",
	TypeHINFO: "HINFO", TypeMINFO: "MINFO", TypeMX: "MX", TypeTXT: "TXT", TypeRP: "RP",
	TypeAFSDB: "AFSDB", TypeX25: "X25", TypeISDN: "ISDN", TypeRT: "RT", TypeNSAP: "NSAP",
	TypeNSAPPTR: "NSAP-PTR", TypeSIG: "SIG", TypeKEY: "KEY", TypePX: "PX", TypeGPOS: "GPOS",
	TypeAAAA: "AAAA", TypeLOC: "LOC", TypeNXT: "NXT", TypeEID: "EID", TypeNIMLOC: "NIMLOC",
	TypeSRV: "SRV", TypeATMA: "ATMA", TypeNAPTR: "NAPTR", TypeKX: "KX", TypeCERT: "CERT",
	TypeA6: "A6", TypeDNAME: "DNAME", TypeSINK: "SINK", TypeOPT: "OPT", TypeAPL: "APL",
	TypeDS: "DS", TypeSSHFP: "SSHFP", TypeIPSECKEY: "IPSECKEY", TypeRRSIG: "RRSIG",
	TypeNSEC: "NSEC", TypeDNSKEY: "DNSKEY", TypeDHCID: "DHCID", TypeNSEC3: "NSEC3",
	TypeNSEC3PARAM: "NSEC3PARAM", TypeTLSA: "TLSA", TypeSMIMEA: "SMIMEA", TypeHIP: "HIP",
	TypeNINFO: "NINFO", TypeRKEY: "RKEY", TypeTALINK: "TALINK", TypeCDS: "CDS",
	TypeCDNSKEY: "CDNSKEY", TypeOPENPGPKEY: "OPENPGPKEY", TypeCSYNC: "CSYNC",
	TypeZONEMD: "ZONEMD", TypeSVCB: "SVCB", TypeHTTPS: "HTTPS", TypeDSYNC: "DSYNC",
	TypeHHIT: "HHIT", TypeBRID: "BRID", TypeSPF: "SPF", TypeUINFO: "UINFO", TypeUID: "UID",
	TypeGID: "GID", TypeUNSPEC: "UNSPEC", TypeNID: "NID", TypeL32: "L32", TypeL64: "L64",
	TypeLP: "LP", TypeEUI48: "EUI48", TypeEUI64: "EUI64", TypeNXNAME: "NXNAME",
	TypeTKEY: "TKEY", TypeTSIG: "TSIG", TypeIXFR: "IXFR", TypeAXFR: "AXFR",
	TypeMAILB: "MAILB", TypeMAILA: "MAILA", TypeANY: "ANY", TypeURI: "URI", TypeCAA: "CAA",
	TypeAVC: "AVC", TypeDOA: "DOA", TypeAMTRELAY: "AMTRELAY", TypeRESINFO: "RESINFO",
	TypeWALLET: "WALLET", TypeCLA: "CLA", TypeIPN: "IPN", TypeTA: "TA", TypeDLV: "DLV",
}

var typeByName = func() map[string]Type {
	m := make(map[string]Type, len(typeNames)+1)
	for t, s := range typeNames {
		m[s] = t
	}
	m["*"] = TypeANY
	return m
}()

// String gives the mnemonic, or TYPE123 where there is none (RFC 3597,
// section 5).
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return "TYPE" + utoa(uint16(t))
}

// ParseType reads a mnemonic in any letter case or the TYPE123 form of RFC
// 3597. Bare decimal numbers are not types here: who accepts those says so.
func ParseType(s string) (Type, bool) {
	var b [12]byte
	if len(s) > len(b) || s == "" {
		return 0, false
	}
	up := b[:0]
	for i := 0; i < len(s); i++ {
		c := s[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		up = append(up, c)
	}
	if t, ok := typeByName[string(up)]; ok {
		return t, true
	}
	n, ok := prefixed(string(up), "TYPE")
	return Type(n), ok
}

// String gives the mnemonic or CLASS123 (RFC 3597, section 5).
func (c Class) String() string {
	switch c {
	case ClassIN:
		return "IN"
	case ClassCH:
		return "CH"
	case ClassHS:
		return "HS"
	case ClassNONE:
		return "NONE"
	case ClassANY:
		return "ANY"
	}
	return "CLASS" + utoa(uint16(c))
}

// ParseClass reads a class mnemonic in any letter case or CLASS123.
func ParseClass(s string) (Class, bool) {
	if len(s) > 10 {
		return 0, false
	}
	b := []byte(s)
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			b[i] = c - ('a' - 'A')
		}
	}
	switch string(b) {
	case "IN":
		return ClassIN, true
	case "CH":
		return ClassCH, true
	case "HS":
		return ClassHS, true
	case "NONE":
		return ClassNONE, true
	case "ANY":
		return ClassANY, true
	}
	n, ok := prefixed(string(b), "CLASS")
	return Class(n), ok
}

var rcodeNames = map[RCode]string{
	RCodeSuccess: "NOERROR", RCodeFormErr: "FORMERR", RCodeServFail: "SERVFAIL",
	RCodeNXDomain: "NXDOMAIN", RCodeNotImp: "NOTIMP", RCodeRefused: "REFUSED",
	RCodeYXDomain: "YXDOMAIN", RCodeYXRRSet: "YXRRSET", RCodeNXRRSet: "NXRRSET",
	RCodeNotAuth: "NOTAUTH", RCodeNotZone: "NOTZONE", RCodeBadVers: "BADVERS",
	RCodeBadCookie: "BADCOOKIE",
}

// String gives the registry's word or RCODE123.
func (r RCode) String() string {
	if s, ok := rcodeNames[r]; ok {
		return s
	}
	return "RCODE" + utoa(uint16(r))
}

func prefixed(s, prefix string) (uint16, bool) {
	if len(s) <= len(prefix) || s[:len(prefix)] != prefix {
		return 0, false
	}
	n := 0
	for _, c := range []byte(s[len(prefix):]) {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = n*10 + int(c-'0'); n > 65535 {
			return 0, false
		}
	}
	return uint16(n), true
}

func utoa(n uint16) string {
	var b [5]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return string(b[i:])
		}
	}
}
