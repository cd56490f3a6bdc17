package axfr

import (
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/zindex"
)

// cuts are the zone's delegations. A nil *cuts has none.
type cuts struct {
	at   map[string]bool // owners of NS below the apex, lower case
	glue map[string]bool // targets at or below a cut, of NS that are in the transfer
}

// findCuts collects them: from the index, which lists all owners of NS, or
// with a pass over the data.
func findCuts(z *Zone) (*cuts, error) {
	c := &cuts{at: map[string]bool{}, glue: map[string]bool{}}
	type target struct{ owner, name []byte }
	var targets []target
	visit := func(owner, data []byte, r *zindex.Record) {
		if r.Type != dns.TypeNS || r.Wild {
			return
		}
		if _, ok := visible(r, z.Now, z.Loc); !ok {
			return
		}
		if n, ok := dnsname.Scan(r.Data); ok {
			if len(owner) > len(z.Name) {
				c.at[string(owner)] = true
			}
			targets = append(targets, target{owner, r.Data[:n]})
		}
	}
	var r zindex.Record
	if z.View != nil {
		for i := uint32(1); i < z.View.Structs(); i++ {
			s := z.View.Struct(i)
			if s.Flags&(zindex.StructNS|zindex.StructDynamic) == 0 {
				continue
			}
			name := z.View.Name(&s)
			if !below(name, z.Name) {
				continue
			}
			cursor := z.DB.Find(name)
			for {
				d, err := cursor.Next()
				if err != nil || d != nil && !zindex.ParseData(d, &r) {
					return nil, ErrFormat
				}
				if d == nil {
					break
				}
				visit(name, d, &r)
			}
		}
	} else {
		pos, end, err := z.DB.Records()
		for err == nil && pos < end {
			var key, d []byte
			if key, d, pos, err = z.DB.RecordAt(pos); err != nil {
				break
			}
			if len(d) < 2 || d[0] != 0 || d[1] != byte(dns.TypeNS) || !below(key, z.Name) {
				continue
			}
			if !zindex.ParseData(d, &r) {
				return nil, ErrFormat
			}
			visit(key, d, &r)
		}
		if err != nil {
			return nil, ErrFormat
		}
	}
	if len(c.at) == 0 {
		return nil, nil
	}
	var buf [dns.MaxName]byte
	for _, t := range targets {
		if len(t.owner) > len(z.Name) && c.covers(z.Name, t.owner[1+int(t.owner[0]):]) {
			continue // a delegation below another: not in the transfer
		}
		name := dnsname.AppendLower(buf[:0], t.name)
		if below(name, z.Name) && c.covers(z.Name, name) {
			c.glue[string(name)] = true
		}
	}
	return c, nil
}

// covers reports whether name, which is below zone, lies at or below a cut.
func (c *cuts) covers(zone, name []byte) bool {
	for ; len(name) > len(zone); name = name[1+int(name[0]):] {
		if c.at[string(name)] {
			return true
		}
	}
	return false
}

// has reports whether the record of an owner below the zone's apex belongs to
// the zone (RFC 5936, section 3.5 and RFC 1034, section 4.2.1): at a cut the
// delegation itself and what proves it, below cuts nothing but glue.
func (c *cuts) has(zone, key []byte, r *zindex.Record) bool {
	isCut := c.at[string(key)]
	if isCut && !r.Wild {
		parent := key[1+int(key[0]):]
		if !c.covers(zone, parent) {
			switch r.Type {
			case dns.TypeNS, dns.TypeDS:
				return true
			case dns.TypeNSEC:
				return !nsecHasSOA(r.Data) // the child's own has
			case dns.TypeRRSIG:
				return parentSignature(zone, r.Data)
			}
		}
	} else if !c.covers(zone, key) {
		return true
	}
	return (r.Type == dns.TypeA || r.Type == dns.TypeAAAA) && !r.Wild && c.glue[string(key)]
}

// signer is the offset of the signer's name in RRSIG data (RFC 4034, section
// 3.1).
const signer = 18

// parentsOwn reports whether a record at the zone's apex belongs to the zone
// above, which may stand in the same data: DS and the NSEC of the delegation,
// with the signatures over them (RFC 4035, section 2.4; RFC 5936, section 3).
func parentsOwn(zone []byte, r *zindex.Record) bool {
	switch r.Type {
	case dns.TypeDS:
		return true
	case dns.TypeNSEC:
		return !nsecHasSOA(r.Data)
	case dns.TypeRRSIG:
		if len(r.Data) < signer {
			return false
		}
		switch dns.Type(r.Data[0])<<8 | dns.Type(r.Data[1]) {
		case dns.TypeDS:
			return true
		case dns.TypeNSEC:
			n, ok := dnsname.Scan(r.Data[signer:])
			return ok && !dnsname.Equal(r.Data[signer:signer+n], zone)
		}
	}
	return false
}

// parentSignature reports whether a signature at a cut is the parent's: of DS
// or NSEC, signed by the zone (RFC 4035, section 2.4).
func parentSignature(zone, data []byte) bool {
	if len(data) < signer {
		return false
	}
	covered := dns.Type(data[0])<<8 | dns.Type(data[1])
	n, ok := dnsname.Scan(data[signer:])
	return ok && (covered == dns.TypeDS || covered == dns.TypeNSEC) && dnsname.Equal(data[signer:signer+n], zone)
}

// nsecHasSOA reports whether SOA is in an NSEC's type bitmap (RFC 4034,
// section 4.1.2): window 0, bit 6.
func nsecHasSOA(data []byte) bool {
	n, ok := dnsname.Scan(data)
	if !ok || len(data) < n+3 {
		return false
	}
	b := data[n:]
	return b[0] == 0 && b[1] >= 1 && b[2]&(0x80>>dns.TypeSOA) != 0
}
