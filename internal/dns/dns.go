// Package dns names the numbers of the protocol: types, classes, opcodes,
// RCODEs, extended error codes and the limits every other package obeys.
//
// It knows nothing of messages or names; see package wire and package dnsname.
package dns

// Type is a resource record type (RFC 1035, section 3.2.2; IANA registry
// "Resource Record (RR) TYPEs").
type Type uint16

// Class is a record class. Bulkhead serves IN only; CH answers version
// questions.
type Class uint16

const (
	ClassIN   Class = 1   // RFC 1035, section 3.2.4
	ClassCH   Class = 3   // RFC 1035, section 3.2.4
	ClassHS   Class = 4   // RFC 1035, section 3.2.4
	ClassNONE Class = 254 // RFC 2136, section 2.4
	ClassANY  Class = 255 // QCLASS only, RFC 1035, section 3.2.5
)

// Record types that code refers to by name. The full table of mnemonics is in
// types.go.
const (
	TypeA          Type = 1     // RFC 1035
	TypeNS         Type = 2     // RFC 1035
	TypeMD         Type = 3     // RFC 1035, obsolete
	TypeMF         Type = 4     // RFC 1035, obsolete
	TypeCNAME      Type = 5     // RFC 1035
	TypeSOA        Type = 6     // RFC 1035
	TypeMB         Type = 7     // RFC 1035, experimental
	TypeMG         Type = 8     // RFC 1035, experimental
	TypeMR         Type = 9     // RFC 1035, experimental
	TypeNULL       Type = 10    // RFC 1035
	TypeWKS        Type = 11    // RFC 1035
	TypePTR        Type = 12    // RFC 1035
	TypeHINFO      Type = 13    // RFC 1035
	TypeMINFO      Type = 14    // RFC 1035
	TypeMX         Type = 15    // RFC 1035
	TypeTXT        Type = 16    // RFC 1035
	TypeRP         Type = 17    // RFC 1183
	TypeAFSDB      Type = 18    // RFC 1183
	TypeX25        Type = 19    // RFC 1183
	TypeISDN       Type = 20    // RFC 1183
	TypeRT         Type = 21    // RFC 1183
	TypeNSAP       Type = 22    // RFC 1706
	TypeNSAPPTR    Type = 23    // RFC 1348
	TypeSIG        Type = 24    // RFC 2535
	TypeKEY        Type = 25    // RFC 2535
	TypePX         Type = 26    // RFC 2163
	TypeGPOS       Type = 27    // RFC 1712
	TypeAAAA       Type = 28    // RFC 3596
	TypeLOC        Type = 29    // RFC 1876
	TypeNXT        Type = 30    // RFC 2535
	TypeEID        Type = 31    // Patton's NIMROD draft
	TypeNIMLOC     Type = 32    // Patton's NIMROD draft
	TypeSRV        Type = 33    // RFC 2782
	TypeATMA       Type = 34    // ATM Forum
	TypeNAPTR      Type = 35    // RFC 3403
	TypeKX         Type = 36    // RFC 2230
	TypeCERT       Type = 37    // RFC 4398
	TypeA6         Type = 38    // RFC 2874
	TypeDNAME      Type = 39    // RFC 6672
	TypeSINK       Type = 40    // Eastlake's kitchen sink draft
	TypeOPT        Type = 41    // RFC 6891
	TypeAPL        Type = 42    // RFC 3123
	TypeDS         Type = 43    // RFC 4034
	TypeSSHFP      Type = 44    // RFC 4255
	TypeIPSECKEY   Type = 45    // RFC 4025
	TypeRRSIG      Type = 46    // RFC 4034
	TypeNSEC       Type = 47    // RFC 4034
	TypeDNSKEY     Type = 48    // RFC 4034
	TypeDHCID      Type = 49    // RFC 4701
	TypeNSEC3      Type = 50    // RFC 5155
	TypeNSEC3PARAM Type = 51    // RFC 5155
	TypeTLSA       Type = 52    // RFC 6698
	TypeSMIMEA     Type = 53    // RFC 8162
	TypeHIP        Type = 55    // RFC 8005
	TypeNINFO      Type = 56    // Reid's draft
	TypeRKEY       Type = 57    // Reid's draft
	TypeTALINK     Type = 58    // Wijngaards' draft
	TypeCDS        Type = 59    // RFC 7344
	TypeCDNSKEY    Type = 60    // RFC 7344
	TypeOPENPGPKEY Type = 61    // RFC 7929
	TypeCSYNC      Type = 62    // RFC 7477
	TypeZONEMD     Type = 63    // RFC 8976
	TypeSVCB       Type = 64    // RFC 9460
	TypeHTTPS      Type = 65    // RFC 9460
	TypeDSYNC      Type = 66    // RFC 9859
	TypeHHIT       Type = 67    // RFC 9886
	TypeBRID       Type = 68    // RFC 9886
	TypeSPF        Type = 99    // RFC 7208, obsolete
	TypeUINFO      Type = 100   // IANA reserved
	TypeUID        Type = 101   // IANA reserved
	TypeGID        Type = 102   // IANA reserved
	TypeUNSPEC     Type = 103   // IANA reserved
	TypeNID        Type = 104   // RFC 6742
	TypeL32        Type = 105   // RFC 6742
	TypeL64        Type = 106   // RFC 6742
	TypeLP         Type = 107   // RFC 6742
	TypeEUI48      Type = 108   // RFC 7043
	TypeEUI64      Type = 109   // RFC 7043
	TypeNXNAME     Type = 128   // RFC 9824
	TypeTKEY       Type = 249   // RFC 2930
	TypeTSIG       Type = 250   // RFC 8945
	TypeIXFR       Type = 251   // RFC 1995
	TypeAXFR       Type = 252   // RFC 5936
	TypeMAILB      Type = 253   // RFC 1035
	TypeMAILA      Type = 254   // RFC 1035
	TypeANY        Type = 255   // RFC 1035, RFC 8482
	TypeURI        Type = 256   // RFC 7553
	TypeCAA        Type = 257   // RFC 8659
	TypeAVC        Type = 258   // Wolfgang-Riedel's expert review
	TypeDOA        Type = 259   // Durand's draft
	TypeAMTRELAY   Type = 260   // RFC 8777
	TypeRESINFO    Type = 261   // RFC 9606
	TypeWALLET     Type = 262   // IANA expert review
	TypeCLA        Type = 263   // IANA expert review
	TypeIPN        Type = 264   // IANA expert review
	TypeTA         Type = 32768 // Weiler's INI draft
	TypeDLV        Type = 32769 // RFC 8749, historic
)

// IsMeta reports whether t can only be asked for or stands for something that
// is no data of a zone (RFC 6895, section 3.1: 0, OPT, 128-255).
func (t Type) IsMeta() bool {
	return t == 0 || t == TypeOPT || t >= 128 && t <= 255
}

// RCode is a response code; values above 15 need EDNS (RFC 6891, section
// 6.1.3).
type RCode uint16

const (
	RCodeSuccess   RCode = 0  // RFC 1035
	RCodeFormErr   RCode = 1  // RFC 1035
	RCodeServFail  RCode = 2  // RFC 1035
	RCodeNXDomain  RCode = 3  // RFC 1035
	RCodeNotImp    RCode = 4  // RFC 1035
	RCodeRefused   RCode = 5  // RFC 1035
	RCodeYXDomain  RCode = 6  // RFC 2136; RFC 6672, section 2.2: DNAME result too long
	RCodeYXRRSet   RCode = 7  // RFC 2136
	RCodeNXRRSet   RCode = 8  // RFC 2136
	RCodeNotAuth   RCode = 9  // RFC 2136, RFC 8945
	RCodeNotZone   RCode = 10 // RFC 2136
	RCodeBadVers   RCode = 16 // RFC 6891
	RCodeBadCookie RCode = 23 // RFC 7873
)

// Opcode is the kind of query (RFC 1035, section 4.1.1).
type Opcode uint8

const (
	OpcodeQuery  Opcode = 0 // RFC 1035
	OpcodeIQuery Opcode = 1 // RFC 3425, obsolete
	OpcodeStatus Opcode = 2 // RFC 1035
	OpcodeNotify Opcode = 4 // RFC 1996
	OpcodeUpdate Opcode = 5 // RFC 2136
	OpcodeDSO    Opcode = 6 // RFC 8490
)

// EDE is an extended DNS error code (RFC 8914, section 5.2 and the IANA
// registry "Extended DNS Error Codes").
type EDE uint16

const (
	EDEOther                       EDE = 0
	EDEUnsupportedDNSKEYAlgorithm  EDE = 1
	EDEUnsupportedDSDigest         EDE = 2
	EDEStaleAnswer                 EDE = 3
	EDEForgedAnswer                EDE = 4
	EDEDNSSECIndeterminate         EDE = 5
	EDEDNSSECBogus                 EDE = 6
	EDESignatureExpired            EDE = 7
	EDESignatureNotYetValid        EDE = 8
	EDEDNSKEYMissing               EDE = 9
	EDERRSIGsMissing               EDE = 10
	EDENoZoneKeyBitSet             EDE = 11
	EDENSECMissing                 EDE = 12
	EDECachedError                 EDE = 13
	EDENotReady                    EDE = 14
	EDEBlocked                     EDE = 15
	EDECensored                    EDE = 16
	EDEFiltered                    EDE = 17
	EDEProhibited                  EDE = 18
	EDEStaleNXDomain               EDE = 19
	EDENotAuthoritative            EDE = 20
	EDENotSupported                EDE = 21
	EDENoReachableAuthority        EDE = 22
	EDENetworkError                EDE = 23
	EDEInvalidData                 EDE = 24
	EDESignatureExpiredBeforeValid EDE = 25
	EDETooEarly                    EDE = 26
	EDEUnsupportedNSEC3Iterations  EDE = 27
	EDEUnableToConformToPolicy     EDE = 28
	EDESynthesized                 EDE = 29
	EDEInvalidQueryType            EDE = 30
)

// EDNS option codes (IANA registry "DNS EDNS0 Option Codes").
const (
	OptNSID          = 3  // RFC 5001
	OptClientSubnet  = 8  // RFC 7871
	OptExpire        = 9  // RFC 7314
	OptCookie        = 10 // RFC 7873
	OptTCPKeepalive  = 11 // RFC 7828
	OptPadding       = 12 // RFC 7830
	OptChain         = 13 // RFC 7901
	OptEDE           = 15 // RFC 8914
	OptReportChannel = 18 // RFC 9567
	OptZoneVersion   = 19 // RFC 9660
)

// Limits of the protocol, in bytes unless said otherwise.
const (
	MaxName     = 255   // a name in wire form, RFC 1035, section 3.1
	MaxLabel    = 63    // a label without its length byte, RFC 1035, section 2.3.4
	MaxLabels   = 127   // labels of a name without the root: (255-1)/2
	HeaderLen   = 12    // RFC 1035, section 4.1.1
	MaxMessage  = 65535 // TCP's length prefix, RFC 1035, section 4.2.2
	MinUDP      = 512   // what every client takes, RFC 1035, section 4.2.1
	EDNSUDPSize = 1232  // what we send and announce: IPv6 minimum MTU 1280 less headers, DNS flag day 2020
	MaxNSID     = 128   // bytes of a server's name that are sent, lest it crowd out answers
	Port        = 53    // RFC 1035, section 4.2
)
