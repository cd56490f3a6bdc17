package resolver

import (
	"bulkhead/internal/dns"
	"bulkhead/internal/wire"
)

// Reply says how the message for a client is to look.
type Reply struct {
	ID      uint16
	Name    []byte // the question as the client wrote it
	Type    dns.Type
	Class   dns.Class
	RD, CD  bool
	AD      bool // the client set AD: it understands AD (RFC 6840, section 5.7)
	EDNS    bool // the client sent OPT
	DO      bool
	HideTTL bool   // HIDETTL: every TTL is sent as 0
	Max     int    // bytes the client takes: its UDP size, capped, or 65535
	Options []byte // further EDNS options: cookie, NSID, padding
	NoEDE   bool
}

// maxEDEText bounds EXTRA-TEXT in bytes: it must not crowd out the answer.
const maxEDEText = 100

// maxOptions is what all options take usually; more is allocated.
const maxOptions = 512

// AppendReply appends the message that gives a to a client. b is scratch. What
// does not fit is left out and TC set, the counts being right (RFC 2181,
// section 9): first the authority section goes, then the answer as a whole.
func AppendReply(dst []byte, b *wire.Builder, p *Reply, a *Answer) []byte {
	bits := uint16(wire.BitQR | wire.BitRA)
	if p.RD {
		bits |= wire.BitRD
	}
	if p.CD {
		bits |= wire.BitCD
	}
	if a.AD && (p.AD || p.DO) {
		bits |= wire.BitAD
	}
	if a.Truncate {
		bits |= wire.BitTC
	}
	bits |= uint16(a.RCode) & wire.MaskRCode
	b.Reset(dst, p.Max, p.ID, bits)
	b.Question(p.Name, p.Type, p.Class)
	reserve := 0
	var ede [4 + 2 + maxEDEText]byte
	options := p.Options
	edeLen := 0
	if p.EDNS {
		reserve = 11 + len(options)
		if a.EDE && !p.NoEDE {
			text := a.Text
			if len(text) > maxEDEText {
				text = text[:maxEDEText]
			}
			ede[1], ede[3] = dns.OptEDE, byte(2+len(text))
			ede[4], ede[5] = byte(a.Code>>8), byte(a.Code)
			edeLen = 6 + copy(ede[6:], text)
			reserve += edeLen
		}
		b.SetMax(p.Max - reserve)
	}
	m := b.Mark()
	truncated := false
	// a chain of aliases brings proofs between its answers: answers go first
	for k := range 2 * len(a.RRs) {
		i, section := k, wire.Answer
		if k >= len(a.RRs) {
			i, section = k-len(a.RRs), wire.Authority
		}
		s := &a.RRs[i]
		if s.Section != section || section == wire.Authority && a.repeated(i) {
			continue
		}
		ttl := s.TTL
		if p.HideTTL {
			ttl = 0
		}
		signed := p.DO
		if s.Section == wire.Authority && !p.DO && (s.Type == dns.TypeNSEC || s.Type == dns.TypeNSEC3) && p.Type != s.Type {
			continue // RFC 4035, section 3.1
		}
		if s.Type == dns.TypeRRSIG {
			signed = false
		}
		before := b.Mark()
		ok := appendSet(b, s, s.Type, ttl, s.Records)
		if ok && signed {
			ok = appendSet(b, s, dns.TypeRRSIG, ttl, s.Sigs)
		}
		if ok {
			continue
		}
		if s.Section == wire.Answer || p.DO || a.RCode == dns.RCodeNXDomain {
			truncated = true
			b.Rewind(m)
		} else {
			b.Rewind(before) // RFC 2181, section 9: what is not required
		}
		break
	}
	if truncated {
		b.SetBits(b.Bits() | wire.BitTC)
	}
	if p.EDNS {
		b.SetMax(p.Max)
		if edeLen > 0 {
			var buf [maxOptions]byte
			b.OPT(udpSize, a.RCode, p.DO, append(append(buf[:0], options...), ede[:edeLen]...))
		} else {
			b.OPT(udpSize, a.RCode, p.DO, options)
		}
	}
	return b.Finish()
}

// repeated reports whether an RRset before i is the same: two aliases of one
// zone share their proofs.
func (a *Answer) repeated(i int) bool {
	s := &a.RRs[i]
	for k := range a.RRs[:i] {
		if o := &a.RRs[k]; o.Type == s.Type && o.Section == s.Section && string(o.Owner) == string(s.Owner) {
			return true
		}
	}
	return false
}

func appendSet(b *wire.Builder, s *RRset, t dns.Type, ttl uint32, records Packed) bool {
	for data, rest, ok := records.Next(); ok; data, rest, ok = rest.Next() {
		if !b.RR(s.Section, s.Owner, t, dns.ClassIN, ttl, data) {
			return false
		}
	}
	return true
}
