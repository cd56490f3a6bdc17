// Package wall is the answers of walldns: every address has a name, its own
// reverse name, and that name has the address (compat: djbdns.md section 9.5).
// It needs no data.
package wall

import (
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// ttl of all records, in seconds.
const ttl = 655360

// Answerer is one thread's.
type Answerer struct{ b wire.Builder }

const (
	arpa4 = "\x07in-addr\x04arpa\x00"
	arpa6 = "\x03ip6\x04arpa\x00"
)

// Answer implements content.Program.
func (w *Answerer) Answer(dst []byte, q *content.Question) ([]byte, content.Result) {
	found := content.Result{Found: true}
	name := q.Name
	var ip [16]byte // as the labels stand, last octet or nibble first in reverse names
	n := 0          // leading labels that are numbers
	for n < 4 && name[0] != 0 {
		v, ok := dnsname.Octet(name)
		if !ok {
			break
		}
		ip[n] = v
		n++
		name = dnsname.Parent(name)
	}
	wantsAny := q.Type == dns.TypeANY
	q.Begin(&w.b, dst)
	switch {
	case q.Type != dns.TypeA && q.Type != dns.TypePTR && !wantsAny && q.Type != dns.TypeAAAA:
	case q.Type != dns.TypeAAAA && n == 4 && name[0] == 0:
		if q.Type != dns.TypePTR {
			w.add(q, dns.TypeA, ip[:4])
		}
		return w.b.Finish(), found
	case q.Type != dns.TypeAAAA && string(name) == arpa4:
		if n == 4 && q.Type != dns.TypePTR {
			ip[0], ip[1], ip[2], ip[3] = ip[3], ip[2], ip[1], ip[0]
			w.add(q, dns.TypeA, ip[:4])
		}
		if q.Type != dns.TypeA {
			w.add(q, dns.TypePTR, q.Name)
		}
		return w.b.Finish(), found
	default:
		name = q.Name
		for n = 0; n < 32 && len(name) > 2; n++ {
			v, ok := dnsname.Nibble(name)
			if !ok {
				break
			}
			if n&1 == 0 {
				ip[15-n/2] = v
			} else {
				ip[15-n/2] |= v << 4
			}
			name = dnsname.Parent(name)
		}
		if string(name) != arpa6 {
			break
		}
		if n == 32 && (wantsAny || q.Type == dns.TypeAAAA) {
			w.add(q, dns.TypeAAAA, ip[:])
		}
		if wantsAny || q.Type == dns.TypePTR {
			w.add(q, dns.TypePTR, q.Name)
		}
		return w.b.Finish(), found
	}
	q.Bits &^= wire.BitAA
	found.RCode = dns.RCodeRefused
	return q.Header(dst, dns.RCodeRefused), found
}

func (w *Answerer) add(q *content.Question, t dns.Type, data []byte) {
	if !w.b.RR(wire.Answer, q.Name, t, dns.ClassIN, ttl, data) {
		w.b.SetBits(w.b.Bits() | wire.BitTC)
	}
}
