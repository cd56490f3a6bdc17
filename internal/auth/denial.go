package auth

import (
	"crypto/sha1"
	"encoding/binary"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
	"bulkhead/internal/zindex"
)

// maxIterations bounds the work of one NSEC3 hash. Zones with more get no
// proofs; validators treat them as insecure anyway (RFC 9276, section 3.2).
const maxIterations = 500

// proofKind says what an answer has to prove beside its records (RFC 4035,
// section 3.1.3; RFC 5155, section 7.2).
type proofKind uint8

const (
	proveNoData         proofKind = iota // the name exists without the type
	proveNXDomain                        // neither name nor wildcard exists
	proveWildcard                        // the name itself does not exist
	proveWildcardNoData                  // the same, and the wildcard lacks the type
)

type proof struct {
	kind     proofKind
	zone     zindex.Struct
	name     []byte
	labels   int
	encloser int
}

// prove notes a proof to be added to the authority section later.
func (a *Answerer) prove(p *place, kind proofKind) {
	if a.q.DO && p.zone.Flags&(zindex.StructNSEC|zindex.StructNSEC3) != 0 {
		a.proofs = append(a.proofs, proof{kind, p.zone, p.name, p.labels, p.encloser})
	}
}

// denials adds the proofs noted. false: no room.
func (a *Answerer) denials() bool {
	for i := range a.proofs {
		p := &a.proofs[i]
		ok := true
		if p.zone.Flags&zindex.StructNSEC3 != 0 {
			ok = a.nsec3(p)
		} else {
			ok = a.nsec(p)
		}
		if !ok {
			return false
		}
	}
	return true
}

// nsec proves with the records that match or cover names (RFC 4035, section
// 3.1.3.1 to 3.1.3.4).
func (a *Answerer) nsec(p *proof) bool {
	if at, _, ok := a.data.Chain(&p.zone, p.name); ok && !a.element(&p.zone, at) {
		return false
	}
	if p.kind == proveNXDomain || p.kind == proveWildcardNoData {
		if at, _, ok := a.data.Chain(&p.zone, a.wildcardOf(p)); ok && !a.element(&p.zone, at) {
			return false
		}
	}
	return true
}

// wildcardOf gives "*" below the closest encloser.
func (a *Answerer) wildcardOf(p *proof) []byte {
	w := append(a.wild[:0], 1, '*')
	return append(w, dnsname.Skip(p.name, p.labels-p.encloser)...)
}

// element adds the NSEC or NSEC3 record at a place in the chain with its
// signatures, once.
func (a *Answerer) element(s *zindex.Struct, at uint32) bool {
	for _, e := range a.emitted {
		if e == at {
			return true
		}
	}
	a.emitted = append(a.emitted, at)
	for i := at; ; i++ {
		ref, sig, ok := a.data.Element(s, at, i)
		if !ok {
			return true
		}
		a.data.Load(ref, &a.rec)
		owner := a.data.OwnerAt(ref, a.owner[:0])
		t := a.rec.Type
		if sig {
			t = dns.TypeRRSIG
		}
		if !a.b.RR(wire.Authority, owner, t, dns.ClassIN, a.rec.TTL, a.rec.Data) {
			return false
		}
	}
}

// nsec3 proves with hashed names.
func (a *Answerer) nsec3(p *proof) bool {
	if !a.nsec3Params(&p.zone) {
		return true
	}
	suffix := func(labels int) []byte { return dnsname.Skip(p.name, p.labels-labels) }

	encloser := p.encloser
	switch p.kind {
	case proveNoData:
		if at, exact := a.match(&p.zone, p.name, false); exact {
			return a.element(&p.zone, at)
		}
		// An unsigned delegation, or a name with nothing else below it, in a
		// span that opts out: RFC 5155, section 7.2.4.
		encloser = p.labels - 1
	case proveWildcard:
		// RFC 5155, section 7.2.6: the wildcard itself shows the encloser.
		at, _ := a.match(&p.zone, suffix(encloser+1), false)
		return a.element(&p.zone, at)
	}
	// Closest encloser proof (RFC 5155, section 7.2.1): at most as many hashes
	// as the name has labels below the zone.
	at, exact := a.match(&p.zone, suffix(encloser), true)
	for !exact && encloser > p.zone.Labels {
		encloser--
		at, exact = a.match(&p.zone, suffix(encloser), true)
	}
	if exact && !a.element(&p.zone, at) {
		return false
	}
	if at, _ := a.match(&p.zone, suffix(encloser+1), false); !a.element(&p.zone, at) {
		return false
	}
	if p.kind == proveNoData {
		return true
	}
	p.encloser = encloser
	at, _ = a.match(&p.zone, a.wildcardOf(p), true)
	return a.element(&p.zone, at)
}

// match finds the NSEC3 record that matches or covers a name. Enclosers and
// wildcards are the same for most questions about names that do not exist;
// what they came to is remembered.
func (a *Answerer) match(zone *zindex.Struct, name []byte, often bool) (at uint32, exact bool) {
	var m *matched
	if often && len(name) <= len(m.name) && !zone.Node.Has(zindex.FlagDynamic) {
		m = &a.nsec3s.matched[zindex.Hash(a.data.Seed(), name)%memory]
		if m.gen == a.data.Generation && m.zone == zone.Node.Ctx && string(m.name[:m.n]) == string(name) {
			return m.at, m.exact
		}
	}
	var buf [dns.MaxName]byte
	at, exact, _ = a.data.Chain(zone, a.nsec3s.owner(buf[:0], name, a.data.Name(zone)))
	if m != nil {
		m.gen, m.zone, m.at, m.exact = a.data.Generation, zone.Node.Ctx, at, exact
		m.n = uint8(copy(m.name[:], name))
	}
	return at, exact
}

// memory is how many names an Answerer knows the NSEC3 record of.
const memory = 64

type matched struct {
	gen   uint64
	zone  uint32
	at    uint32
	exact bool
	n     uint8
	name  [46]byte // longer ones are hashed each time
}

// nsec3State is what is known of hashed names.
type nsec3State struct {
	gen  uint64 // the parameters are those of this zone of this generation
	zone uint32
	nsec3Params
	matched [memory]matched
}

// nsec3Params are what a zone's names are hashed with.
type nsec3Params struct {
	salt       []byte
	iterations int
}

// nsec3Params takes them from the NSEC3PARAM record at the apex, or from the
// chain if there is none. false: nothing can be hashed.
func (a *Answerer) nsec3Params(s *zindex.Struct) bool {
	h := &a.nsec3s
	if h.gen == a.data.Generation && h.zone == s.Node.Ctx {
		return true
	}
	var d []byte
	if a.gather(s.Node, dns.TypeNSEC3PARAM, false) {
		d = a.set[0].data
	} else if ref, ok := a.data.First(s); ok {
		a.data.Load(ref, &a.rec)
		d = a.rec.Data
	}
	// hash algorithm 1 only (SHA-1), RFC 5155, section 11
	if len(d) < 5 || d[0] != 1 || len(d) < 5+int(d[4]) {
		return false
	}
	h.gen = 0 // what is there now is nobody's; generations begin with 1
	h.iterations = int(binary.BigEndian.Uint16(d[2:]))
	h.salt = append(h.salt[:0], d[5:5+int(d[4])]...)
	if h.iterations > maxIterations {
		return false
	}
	if !s.Node.Has(zindex.FlagDynamic) {
		h.gen, h.zone = a.data.Generation, s.Node.Ctx
	}
	return true
}

// owner appends the owner name of the NSEC3 record that matches name: the hash
// in base 32 (RFC 5155, section 5 and 1.3), below the zone.
func (h *nsec3Params) owner(dst, name, zone []byte) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv" // RFC 4648, section 7
	var buf [dns.MaxName + 256]byte
	sum := sha1.Sum(append(append(buf[:0], name...), h.salt...))
	for range h.iterations {
		sum = sha1.Sum(append(append(buf[:0], sum[:]...), h.salt...))
	}
	dst = append(dst, 32)
	for b := sum[:]; len(b) > 0; b = b[5:] {
		n := uint64(b[0])<<32 | uint64(binary.BigEndian.Uint32(b[1:]))
		for shift := 35; shift >= 0; shift -= 5 {
			dst = append(dst, digits[n>>shift&31])
		}
	}
	return append(dst, zone...)
}
