package dnssec

import (
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// TestCheckLabels: a label count below the owner's is an expansion, which is
// never one of the types that stand at their own name only.
func TestCheckLabels(t *testing.T) {
	name, err := dnsname.ParseDot("a.b.zone.test.")
	if err != nil {
		t.Fatal(err)
	}
	zone, err := dnsname.ParseDot("zone.test.")
	if err != nil {
		t.Fatal(err)
	}
	const owner = 4
	own := map[dns.Type]bool{dns.TypeDNSKEY: true, dns.TypeSOA: true, dns.TypeNSEC3PARAM: true, dns.TypeZONEMD: true,
		dns.TypeCDS: true, dns.TypeCDNSKEY: true, dns.TypeDS: true, dns.TypeNS: true, dns.TypeDNAME: true,
		dns.TypeNSEC: true, dns.TypeNSEC3: true}
	for typ := dns.Type(1); typ < 300; typ++ {
		for labels, want := range []Reason{ReasonSignatureLabels, ReasonSignatureLabels, ReasonNone, ReasonNone, ReasonNone, ReasonSignatureLabels} {
			if own[typ] && (labels == 2 || labels == 3) {
				want = ReasonWildcardType
			}
			if got := checkLabels(&RRSIG{Labels: uint8(labels)}, &RRset{Name: name, Type: typ}, owner, zone); got != want {
				t.Errorf("%v, %d labels of %d: %v, want %v", typ, labels, owner, got, want)
			}
		}
	}
}

// TestCheckTime: both ends belong to the validity (RFC 4035, section 5.3.1), and
// the numbers go round (RFC 4034, section 3.1.5).
func TestCheckTime(t *testing.T) {
	for _, c := range []struct {
		inception, expiration, now uint32
		want                       Reason
	}{
		{100, 200, 99, ReasonSignatureNotYet}, {100, 200, 100, ReasonNone}, {100, 200, 200, ReasonNone}, {100, 200, 201, ReasonSignatureExpired},
		{100, 100, 100, ReasonNone}, {200, 100, 150, ReasonExpiredBeforeValid},
		{1<<32 - 10, 10, 1<<32 - 11, ReasonSignatureNotYet}, {1<<32 - 10, 10, 1<<32 - 10, ReasonNone}, {1<<32 - 10, 10, 0, ReasonNone},
		{1<<32 - 10, 10, 10, ReasonNone}, {1<<32 - 10, 10, 11, ReasonSignatureExpired},
	} {
		if got := checkTime(&RRSIG{Inception: c.inception, Expiration: c.expiration}, c.now); got != c.want {
			t.Errorf("%d to %d at %d: %v, want %v", c.inception, c.expiration, c.now, got, c.want)
		}
	}
}
