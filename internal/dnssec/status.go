package dnssec

import "bulkhead/internal/dns"

// Status is what validation says of data (RFC 4035, section 4.3).
type Status uint8

const (
	Indeterminate Status = iota // no trust anchor says anything about it
	Bogus                       // ought to be signed and is not rightly so
	Insecure                    // proved to be in an unsigned part of the tree
	Secure                      // an unbroken chain of signatures
)

func (s Status) String() string {
	return [...]string{"indeterminate", "bogus", "insecure", "secure"}[s&3]
}

// Reason says which rule decided.
type Reason uint8

const (
	ReasonNone                 Reason = iota
	ReasonNoSignature                 // no RRSIG at all
	ReasonNoSignatureByZone           // none by the zone that has the data
	ReasonMalformedSignature          // RRSIG data that are none
	ReasonSignatureExpired            // RFC 4035, section 5.3.1
	ReasonSignatureNotYet             // RFC 4035, section 5.3.1
	ReasonExpiredBeforeValid          // inception after expiration
	ReasonSignatureLabels             // RFC 4035, section 5.3.1; RFC 4034, section 3.1.3
	ReasonWildcardType                // a type that no wildcard may give
	ReasonSigner                      // signer is not the zone
	ReasonNoKey                       // no DNSKEY with that tag and algorithm
	ReasonNotZoneKey                  // the ZONE bit is clear
	ReasonRevokedKey                  // RFC 5011, section 2.1
	ReasonKeyProtocol                 // DNSKEY protocol is not 3
	ReasonBadSignature                // the mathematics say no
	ReasonUnsupportedAlgorithm        // RFC 4035, section 5.2
	ReasonUnsupportedDigest           // RFC 4035, section 5.2
	ReasonUnsupportedKey              // RSA shorter than 1024 bits or beyond limits
	ReasonNoKeyMatchesDS              // no DNSKEY for any DS
	ReasonKeyNotSigned                // DNSKEY RRset not signed by a key of the DS
	ReasonNoDNSKEY                    // no DNSKEY RRset could be had
	ReasonNoDenial                    // no NSEC or NSEC3 at all
	ReasonBadDenial                   // they do not prove it
	ReasonTypeExists                  // the type is in the bit map
	ReasonNameExists                  // the name, or its wildcard, exists
	ReasonWildcardNotProved           // no proof that the exact name is absent
	ReasonIterations                  // RFC 9276
	ReasonOptOut                      // RFC 5155, section 6
	ReasonDelegation                  // a proven insecure delegation
	ReasonNTA                         // RFC 7646
	ReasonPrivate                     // servers named by the administrator, unknown to the public tree
	ReasonNoAnchor                    // no trust anchor above the name
	ReasonBudget                      // the question's budget is spent
	ReasonTooMany                     // more records than a limit allows
	ReasonAliasNotProved              // CNAME that the DNAME does not give
	ReasonUnreachable                 // servers gave no answer
)

var reasons = [...]struct {
	text string
	ede  dns.EDE
}{
	ReasonNone:                 {"", dns.EDEDNSSECBogus},
	ReasonNoSignature:          {"no signature", dns.EDERRSIGsMissing},
	ReasonNoSignatureByZone:    {"no signature by the zone's algorithms", dns.EDERRSIGsMissing},
	ReasonMalformedSignature:   {"malformed signature", dns.EDEDNSSECBogus},
	ReasonSignatureExpired:     {"signature expired", dns.EDESignatureExpired},
	ReasonSignatureNotYet:      {"signature not yet valid", dns.EDESignatureNotYetValid},
	ReasonExpiredBeforeValid:   {"signature expires before it begins", dns.EDESignatureExpiredBeforeValid},
	ReasonSignatureLabels:      {"signature has a wrong number of labels", dns.EDEDNSSECBogus},
	ReasonWildcardType:         {"a type that no wildcard gives", dns.EDEDNSSECBogus},
	ReasonSigner:               {"signer is not the zone", dns.EDEDNSSECBogus},
	ReasonNoKey:                {"no key for the signature", dns.EDEDNSKEYMissing},
	ReasonNotZoneKey:           {"key is no zone key", dns.EDENoZoneKeyBitSet},
	ReasonRevokedKey:           {"key is revoked", dns.EDEDNSKEYMissing},
	ReasonKeyProtocol:          {"key is not for DNSSEC", dns.EDEDNSKEYMissing},
	ReasonBadSignature:         {"bad signature", dns.EDEDNSSECBogus},
	ReasonUnsupportedAlgorithm: {"unsupported algorithm", dns.EDEUnsupportedDNSKEYAlgorithm},
	ReasonUnsupportedDigest:    {"unsupported DS digest", dns.EDEUnsupportedDSDigest},
	ReasonUnsupportedKey:       {"unsupported key size", dns.EDEUnsupportedDNSKEYAlgorithm},
	ReasonNoKeyMatchesDS:       {"no key matches the DS records", dns.EDEDNSKEYMissing},
	ReasonKeyNotSigned:         {"keys not signed by a key of the DS records", dns.EDEDNSSECBogus},
	ReasonNoDNSKEY:             {"no keys found", dns.EDEDNSKEYMissing},
	ReasonNoDenial:             {"no proof of absence", dns.EDENSECMissing},
	// code 12 is for answers in which there is no proof at all
	ReasonBadDenial:         {"proof of absence does not hold", dns.EDEDNSSECBogus},
	ReasonTypeExists:        {"proof of absence shows the type", dns.EDEDNSSECBogus},
	ReasonNameExists:        {"proof of absence shows the name", dns.EDEDNSSECBogus},
	ReasonWildcardNotProved: {"wildcard used without proof", dns.EDEDNSSECBogus},
	ReasonIterations:        {"too many NSEC3 iterations", dns.EDEUnsupportedNSEC3Iterations},
	ReasonOptOut:            {"opt-out", dns.EDEDNSSECIndeterminate},
	ReasonDelegation:        {"insecure delegation", dns.EDEDNSSECIndeterminate},
	ReasonNTA:               {"negative trust anchor", dns.EDEDNSSECIndeterminate},
	ReasonPrivate:           {"private zone", dns.EDEDNSSECIndeterminate},
	ReasonNoAnchor:          {"no trust anchor", dns.EDEDNSSECIndeterminate},
	ReasonBudget:            {"validation budget spent", dns.EDEDNSSECIndeterminate},
	ReasonTooMany:           {"too many records", dns.EDEDNSSECBogus},
	ReasonAliasNotProved:    {"alias without its DNAME", dns.EDEDNSSECBogus},
	ReasonUnreachable:       {"no answer for the chain of trust", dns.EDENetworkError},
}

// String says the reason in the words of logs and extended errors.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r].text
	}
	return "?"
}

// EDE is the extended error that names the reason to a client (RFC 8914,
// section 4).
func (r Reason) EDE() dns.EDE {
	if int(r) < len(reasons) {
		return reasons[r].ede
	}
	return dns.EDEDNSSECBogus
}
