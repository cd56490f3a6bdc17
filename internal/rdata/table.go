package rdata

import "bulkhead/internal/dns"

// kind is what a block of record data consists of.
type kind uint8

const (
	u8         kind = iota + 1
	u16             // numbers in network byte order
	u32             //
	u64             //
	period          // 32 bits, seconds; text may have units as in 1h30m
	date            // 32 bits, seconds since 1970; YYYYMMDDHHmmSS in text (RFC 4034, section 3.2)
	algorithm       // 8 bits, DNSSEC algorithm: number or mnemonic
	certType        // 16 bits, number or mnemonic (RFC 4398, section 2.1)
	scheme          // 8 bits, number or mnemonic (RFC 9859, section 2.1)
	rrType          // 16 bits, a record type
	name            // a domain name
	ip4             // 4 bytes
	ip6             // 16 bytes
	str             // a character-string: length byte and bytes
	optStr          // a character-string or nothing
	strs            // one or more character-strings up to the end
	rest            // bytes up to the end, one string in text
	tag             // length byte and letters or digits, at least one (CAA)
	hexRest         // bytes up to the end, hexadecimal, at least one
	hexAny          // the same, or none
	zoneDigest      // the same, at least 12 bytes (RFC 8976, section 2.2.4)
	b64Rest         // bytes up to the end, base64, at least one
	b64Any          // the same, or none
	b64Dash         // the same, "-" when none (draft-durand-doa-over-dns, section 3.2)
	salt            // length byte and bytes, hexadecimal, "-" when empty (RFC 5155)
	hash32          // length byte and bytes, base32hex (RFC 5155)
	bitmap          // set of types (RFC 4034, section 4.1.2)
	oldBitmap       // set of types below 128 (RFC 2535, section 5.2)
	locator         // 64 bits as four groups of hexadecimal (RFC 6742)
	eui48           // 6 bytes with dashes
	eui64           // 8 bytes with dashes
	params          // SvcParams up to the end (RFC 9460)
	location        // the whole of LOC (RFC 1876)
	prefixes        // address prefixes up to the end (RFC 3123)
	gateway         // the whole of IPSECKEY (RFC 4025)
	relay           // the whole of AMTRELAY (RFC 8777)
	hostID          // the whole of HIP (RFC 8005)
	services        // protocol and bit map of WKS (RFC 1035, section 3.4.2)
	nsapAddr        // bytes up to the end, 0x and hexadecimal (RFC 1706)
	a6              // the whole of A6 (RFC 2874)
)

// minZoneDigest is the least that a ZONEMD digest may have, in bytes (RFC 8976,
// section 2.2.4).
const minZoneDigest = 12

type block struct {
	kind kind
	name string // for messages
}

// row is what there is to know of a type's data.
type row struct {
	blocks []block
	// names may be pointers in a received message: types of RFC 1035, and
	// those of RFC 3597, section 4, that old senders compress
	pointers bool
	// names are lower-cased in canonical form: RFC 4034, section 6.2, less
	// NSEC as RFC 6840, section 5.1 corrects
	lower bool
	// index of the block whose name the additional section may serve, -1 none
	target int8
}

func plain(b ...block) *row     { return &row{blocks: b, target: -1} }
func folded(b ...block) *row    { return &row{blocks: b, lower: true, target: -1} }
func wellKnown(b ...block) *row { return &row{blocks: b, pointers: true, lower: true, target: -1} }

func (r *row) serves(block int8) *row { r.target = block; return r }

// maxRow is the highest type in the array; the few above it are in highRows.
const maxRow = 264

var rows = [maxRow + 1]*row{
	dns.TypeA:          plain(block{ip4, "address"}),
	dns.TypeNS:         wellKnown(block{name, "server"}).serves(0),
	dns.TypeMD:         wellKnown(block{name, "agent"}).serves(0),
	dns.TypeMF:         wellKnown(block{name, "agent"}).serves(0),
	dns.TypeCNAME:      wellKnown(block{name, "target"}),
	dns.TypeSOA:        wellKnown(block{name, "mname"}, block{name, "rname"}, block{u32, "serial"}, block{period, "refresh"}, block{period, "retry"}, block{period, "expire"}, block{period, "minimum"}),
	dns.TypeMB:         wellKnown(block{name, "mailbox"}).serves(0),
	dns.TypeMG:         wellKnown(block{name, "group"}),
	dns.TypeMR:         wellKnown(block{name, "rename"}),
	dns.TypeNULL:       nil, // RFC 1035, section 3.3.10: no presentation form
	dns.TypeWKS:        plain(block{ip4, "address"}, block{services, "services"}),
	dns.TypePTR:        wellKnown(block{name, "target"}),
	dns.TypeHINFO:      plain(block{str, "cpu"}, block{str, "os"}),
	dns.TypeMINFO:      wellKnown(block{name, "rmailbx"}, block{name, "emailbx"}),
	dns.TypeMX:         wellKnown(block{u16, "preference"}, block{name, "exchange"}).serves(1),
	dns.TypeTXT:        plain(block{strs, "text"}),
	dns.TypeRP:         wellKnown(block{name, "mailbox"}, block{name, "text name"}),
	dns.TypeAFSDB:      wellKnown(block{u16, "subtype"}, block{name, "host"}).serves(1),
	dns.TypeX25:        plain(block{str, "address"}),
	dns.TypeISDN:       plain(block{str, "address"}, block{optStr, "subaddress"}),
	dns.TypeRT:         wellKnown(block{u16, "preference"}, block{name, "host"}).serves(1),
	dns.TypeNSAP:       plain(block{nsapAddr, "address"}),
	dns.TypeNSAPPTR:    plain(block{name, "owner"}),
	dns.TypeSIG:        wellKnown(block{rrType, "type covered"}, block{algorithm, "algorithm"}, block{u8, "labels"}, block{u32, "original ttl"}, block{date, "expiration"}, block{date, "inception"}, block{u16, "key tag"}, block{name, "signer"}, block{b64Rest, "signature"}),
	dns.TypeKEY:        plain(block{u16, "flags"}, block{u8, "protocol"}, block{algorithm, "algorithm"}, block{b64Any, "key"}),
	dns.TypePX:         wellKnown(block{u16, "preference"}, block{name, "map822"}, block{name, "mapx400"}),
	dns.TypeGPOS:       plain(block{str, "longitude"}, block{str, "latitude"}, block{str, "altitude"}),
	dns.TypeAAAA:       plain(block{ip6, "address"}),
	dns.TypeLOC:        plain(block{location, "location"}),
	dns.TypeNXT:        wellKnown(block{name, "next"}, block{oldBitmap, "types"}),
	dns.TypeEID:        plain(block{hexRest, "identifier"}),
	dns.TypeNIMLOC:     plain(block{hexRest, "locator"}),
	dns.TypeSRV:        wellKnown(block{u16, "priority"}, block{u16, "weight"}, block{u16, "port"}, block{name, "target"}).serves(3),
	dns.TypeATMA:       nil, // the ATM Forum's text form has no public grammar
	dns.TypeNAPTR:      wellKnown(block{u16, "order"}, block{u16, "preference"}, block{str, "flags"}, block{str, "services"}, block{str, "regexp"}, block{name, "replacement"}).serves(5),
	dns.TypeKX:         folded(block{u16, "preference"}, block{name, "exchanger"}).serves(1),
	dns.TypeCERT:       plain(block{certType, "type"}, block{u16, "key tag"}, block{algorithm, "algorithm"}, block{b64Rest, "certificate"}),
	dns.TypeA6:         folded(block{a6, "address"}),
	dns.TypeDNAME:      wellKnown(block{name, "target"}),
	dns.TypeSINK:       plain(block{u8, "meaning"}, block{u8, "coding"}, block{u8, "subcoding"}, block{b64Any, "data"}),
	dns.TypeAPL:        plain(block{prefixes, "prefix"}),
	dns.TypeDS:         plain(block{u16, "key tag"}, block{algorithm, "algorithm"}, block{u8, "digest type"}, block{hexRest, "digest"}),
	dns.TypeSSHFP:      plain(block{u8, "algorithm"}, block{u8, "fingerprint type"}, block{hexRest, "fingerprint"}),
	dns.TypeIPSECKEY:   plain(block{gateway, "gateway"}),
	dns.TypeRRSIG:      folded(block{rrType, "type covered"}, block{algorithm, "algorithm"}, block{u8, "labels"}, block{u32, "original ttl"}, block{date, "expiration"}, block{date, "inception"}, block{u16, "key tag"}, block{name, "signer"}, block{b64Rest, "signature"}),
	dns.TypeNSEC:       plain(block{name, "next"}, block{bitmap, "types"}),
	dns.TypeDNSKEY:     plain(block{u16, "flags"}, block{u8, "protocol"}, block{algorithm, "algorithm"}, block{b64Any, "key"}),
	dns.TypeDHCID:      plain(block{b64Rest, "digest"}),
	dns.TypeNSEC3:      plain(block{u8, "hash algorithm"}, block{u8, "flags"}, block{u16, "iterations"}, block{salt, "salt"}, block{hash32, "next"}, block{bitmap, "types"}),
	dns.TypeNSEC3PARAM: plain(block{u8, "hash algorithm"}, block{u8, "flags"}, block{u16, "iterations"}, block{salt, "salt"}),
	dns.TypeTLSA:       plain(block{u8, "usage"}, block{u8, "selector"}, block{u8, "matching type"}, block{hexRest, "association"}),
	dns.TypeSMIMEA:     plain(block{u8, "usage"}, block{u8, "selector"}, block{u8, "matching type"}, block{hexRest, "association"}),
	dns.TypeHIP:        plain(block{hostID, "identity"}),
	dns.TypeNINFO:      plain(block{strs, "text"}),
	dns.TypeRKEY:       plain(block{u16, "flags"}, block{u8, "protocol"}, block{algorithm, "algorithm"}, block{b64Any, "key"}),
	dns.TypeTALINK:     plain(block{name, "previous"}, block{name, "next"}),
	dns.TypeCDS:        plain(block{u16, "key tag"}, block{algorithm, "algorithm"}, block{u8, "digest type"}, block{hexRest, "digest"}),
	dns.TypeCDNSKEY:    plain(block{u16, "flags"}, block{u8, "protocol"}, block{algorithm, "algorithm"}, block{b64Any, "key"}),
	dns.TypeOPENPGPKEY: plain(block{b64Rest, "key"}),
	dns.TypeCSYNC:      plain(block{u32, "serial"}, block{u16, "flags"}, block{bitmap, "types"}),
	dns.TypeZONEMD:     plain(block{u32, "serial"}, block{u8, "scheme"}, block{u8, "hash algorithm"}, block{zoneDigest, "digest"}),
	dns.TypeSVCB:       plain(block{u16, "priority"}, block{name, "target"}, block{params, "parameter"}).serves(1),
	dns.TypeHTTPS:      plain(block{u16, "priority"}, block{name, "target"}, block{params, "parameter"}).serves(1),
	dns.TypeDSYNC:      plain(block{rrType, "type"}, block{scheme, "scheme"}, block{u16, "port"}, block{name, "target"}),
	dns.TypeHHIT:       plain(block{b64Rest, "tag"}),
	dns.TypeBRID:       plain(block{b64Rest, "identity"}),
	dns.TypeSPF:        plain(block{strs, "text"}),
	dns.TypeNID:        plain(block{u16, "preference"}, block{locator, "node identifier"}),
	dns.TypeL32:        plain(block{u16, "preference"}, block{ip4, "locator"}),
	dns.TypeL64:        plain(block{u16, "preference"}, block{locator, "locator"}),
	dns.TypeLP:         plain(block{u16, "preference"}, block{name, "pointer"}).serves(1),
	dns.TypeEUI48:      plain(block{eui48, "address"}),
	dns.TypeEUI64:      plain(block{eui64, "address"}),
	dns.TypeURI:        plain(block{u16, "priority"}, block{u16, "weight"}, block{rest, "target"}),
	dns.TypeCAA:        plain(block{u8, "flags"}, block{tag, "tag"}, block{rest, "value"}),
	dns.TypeAVC:        plain(block{strs, "text"}),
	dns.TypeDOA:        plain(block{u32, "enterprise"}, block{u32, "type"}, block{u8, "location"}, block{str, "media type"}, block{b64Dash, "data"}),
	dns.TypeAMTRELAY:   plain(block{relay, "relay"}),
	dns.TypeRESINFO:    plain(block{strs, "text"}),
	dns.TypeWALLET:     plain(block{strs, "text"}),
	dns.TypeCLA:        plain(block{strs, "text"}),
	dns.TypeIPN:        plain(block{u64, "number"}),
}

// dsRow serves the two types above maxRow, which are DS by another name.
var dsRow = rows[dns.TypeDS]

// rowOf gives the row of t, nil when there is none.
func rowOf(t dns.Type) *row {
	if t <= maxRow {
		return rows[t]
	}
	if t == dns.TypeTA || t == dns.TypeDLV {
		return dsRow
	}
	return nil
}
