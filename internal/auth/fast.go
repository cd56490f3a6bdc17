package auth

import (
	"encoding/binary"

	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
	"bulkhead/internal/zindex"
)

// Most answers consist of records of the name asked for and a tail that is the
// same for all names of a zone: its NS RRset with addresses, or its SOA. The
// fast path copies such tails, with their compression pointers moved, from
// where the full path made them once. It answers a question only if the full
// path would give the same message, and leaves all others to it: data that
// depend on time or client, aliases, referrals, names in record data, the
// apex. TestFastIsFull compares the two.

// fastState are the tails that an Answerer has made.
type fastState struct {
	tails   [tailSlots]tail
	name    [dns.MaxName + 1]byte
	refs    [32]zindex.Record
	q       content.Question // for which a tail is made
	dynamic bool             // visible was asked about a record that depends on something
	off     bool             // for tests: full path only
}

const (
	tailSlots = 64   // zones in use at a time, by kind; others displace each other
	tailLen   = 1024 // bytes
	tailFixes = 64   // compression pointers
	tailNames = 32   // labels directly below the zone in names of the tail

	// maxFastName keeps all suffixes of a question's name within what the
	// compression of package wire records.
	maxFastName = 128
)

type tailKind uint8

const (
	tailNS  tailKind = iota // authority and additional section of a positive answer
	tailSOA                 // authority section of a negative one
)

// tail is the end of a message.
type tail struct {
	gen    uint64
	zone   uint32
	kind   tailKind
	do     bool
	usable bool
	n      int
	counts [3]uint16 // authority, additional; [0] unused
	nfix   int
	nname  int
	fix    [tailFixes]fix
	names  [tailNames][]byte // labels with length bytes, into buf or the data
	buf    [tailLen]byte
	labels [tailLen]byte
}

// noTail is the tail of answers that have none.
var noTail = tail{usable: true}

// fix is a compression pointer at off of the tail. Its target is an offset
// into the zone's name in the question, or into the tail.
type fix struct {
	off, target uint16
	inTail      bool
}

// fastAnswer answers, or gives false and leaves dst alone.
func (a *Answerer) fastAnswer(dst []byte) ([]byte, bool) {
	q, v := a.q, a.data.View
	if a.fast.off || len(q.Name) > maxFastName || len(q.Name) == 1 || q.Type == dns.TypeANY || q.Type == dns.TypeDS {
		return dst, false
	}
	h := q.Hash
	if !q.Hashed {
		h = zindex.Hash(v.Seed(), q.Name)
	}
	node, ok := v.Find(q.Name, h)
	var encloser zindex.Node
	labels := 0
	if ok {
		if node.W&(zindex.FlagDynamic|zindex.FlagStruct|zindex.FlagMaybe) != 0 {
			return dst, false
		}
	} else {
		n := 0
		for i := 0; q.Name[i] != 0; i += 1 + int(q.Name[i]) {
			a.off[n] = uint8(i)
			n++
		}
		encloser, labels = v.Encloser(q.Name, a.off[:n])
		if encloser.W&(zindex.FlagHasWild|zindex.FlagMaybe) != 0 || labels < 0 {
			return dst, false
		}
		node.Ctx = encloser.Ctx
		labels = n
	}
	s := v.Struct(node.Ctx)
	if s.Flags&zindex.StructDynamic != 0 || s.Zone == 0 || s.Stop != 0 {
		return dst, false
	}
	if s.Zone != node.Ctx {
		s = v.Struct(s.Zone)
	}
	if s.Flags&(zindex.StructDNAME|zindex.StructDynamic) != 0 {
		return dst, false
	}
	signed := q.DO && s.Flags&(zindex.StructNSEC|zindex.StructNSEC3) != 0
	if signed && s.Flags&zindex.StructNSEC3 != 0 && !ok {
		return dst, false
	}

	// The records of the answer section, at most a few.
	refs := &a.fast.refs
	n, sigs := 0, 0
	if ok {
		count := v.Count(node)
		for i := range count {
			ref := v.Record(node, i)
			switch t := ref.Type(); {
			case t == dns.TypeCNAME:
				return dst, false
			case t == q.Type:
				if n == len(refs) {
					return dst, false
				}
				if v.Load(ref, &refs[n]); ref.Flags() != 0 || len(refs[n].Data) == 0 {
					return dst, false
				}
				n++
			}
		}
		if n > 0 {
			switch q.Type {
			case dns.TypeNS, dns.TypePTR, dns.TypeMX, dns.TypeSOA, dns.TypeDNAME, dns.TypeSRV, dns.TypeSVCB, dns.TypeHTTPS:
				return dst, false // names in the data
			}
			if n > 1 && (a.Addresses > 0 && n > a.Addresses || q.Type == dns.TypeRRSIG) {
				return dst, false
			}
		}
		if n == 0 && signed && s.Flags&zindex.StructNSEC3 != 0 {
			return dst, false
		}
	}
	kind := tailSOA
	if n > 0 {
		kind = tailNS
	}
	zoneID := s.Node.Ctx
	slot := zoneID*4 + uint32(kind)*2
	if q.DO {
		slot++
	}
	t := &a.fast.tails[slot%tailSlots]
	if kind == tailNS && q.DO && a.signed(&s) {
		t = &noTail // signed answers carry no optional records
	} else if t.gen != a.data.Generation || t.zone != zoneID || t.kind != kind || t.do != q.DO {
		a.makeTail(t, &s, zoneID, kind)
	}
	// The label below the zone must not stand in the tail: then names there
	// would be compressed otherwise, or be the question's own.
	rel := len(q.Name) - s.Node.NameLen()
	if !t.usable || rel < 1 {
		return dst, false
	}
	at := 0
	for at+1+int(q.Name[at]) < rel {
		at += 1 + int(q.Name[at])
	}
	below := q.Name[at:rel]
	for _, l := range t.names[:t.nname] {
		if string(l) == string(below) {
			return dst, false
		}
	}

	start := len(dst)
	bits := q.Bits
	rcode := dns.RCodeSuccess
	if !ok {
		rcode = dns.RCodeNXDomain
		bits |= wire.BitAA // for class ANY too, as 1.05
	}
	msg := binary.BigEndian.AppendUint16(dst, q.ID)
	msg = binary.BigEndian.AppendUint16(msg, bits|uint16(rcode))
	msg = append(msg, 0, 1, 0, 0, byte(t.counts[1]>>8), byte(t.counts[1]), byte(t.counts[2]>>8), byte(t.counts[2]))
	msg = append(msg, q.QName...)
	msg = append(msg, byte(q.Type>>8), byte(q.Type), byte(q.Class>>8), byte(q.Class))

	if n > 0 {
		ttl := refs[0].TTL
		addresses := true
		for i := range refs[:n] {
			ttl = min(ttl, refs[i].TTL)
			addresses = addresses && (q.Type == dns.TypeA && len(refs[i].Data) == 4 || q.Type == dns.TypeAAAA && len(refs[i].Data) == 16)
		}
		if n > 1 {
			if !addresses && (q.Type == dns.TypeA || q.Type == dns.TypeAAAA) {
				return dst, false
			}
			if addresses {
				for k := 1; k < n; k++ {
					j := a.Rand.Below(k + 1)
					refs[k], refs[j] = refs[j], refs[k]
				}
			}
		}
		for i := range refs[:n] {
			msg = appendRR(msg, q.Type, ttl, refs[i].Data)
			if len(msg)-start > q.Limit {
				return dst, false
			}
		}
		if q.DO && node.Has(zindex.FlagSigs) {
			var r zindex.Record
			for i := range v.Count(node) {
				ref := v.Record(node, i)
				if ref.Type() != dns.TypeRRSIG {
					continue
				}
				if v.Load(ref, &r); len(r.Data) >= 19 && dns.Type(binary.BigEndian.Uint16(r.Data)) == q.Type {
					msg = appendRR(msg, dns.TypeRRSIG, r.TTL, r.Data)
					sigs++
					if len(msg)-start > q.Limit {
						return dst, false
					}
				}
			}
		}
	}
	if len(msg)-start+t.n > q.Limit {
		return dst, false
	}
	body := len(msg)
	msg = append(msg, t.buf[:t.n]...)
	zoneAt := uint16(dns.HeaderLen + rel)
	for i := range t.fix[:t.nfix] {
		f := &t.fix[i]
		to := f.target + zoneAt
		if f.inTail {
			to = f.target + uint16(body-start)
		}
		binary.BigEndian.PutUint16(msg[body+int(f.off):], 0xC000|to)
	}
	authority := int(t.counts[1])
	if signed && n == 0 {
		var first uint32
		for k := range 2 {
			name := q.Name
			if k == 1 {
				if ok {
					break
				}
				name = append(append(a.wild[:0], 1, '*'), q.Name[len(q.Name)-encloser.NameLen():]...)
			}
			e, _, has := v.Chain(&s, name)
			if !has || k == 1 && e == first {
				break
			}
			first = e
			for i := e; ; i++ {
				ref, sig, more := v.Element(&s, e, i)
				if !more {
					break
				}
				var r zindex.Record
				v.Load(ref, &r)
				owner := v.OwnerAt(ref, a.owner[:0])
				typ := r.Type
				if sig {
					typ = dns.TypeRRSIG
				}
				// owner: its labels down to the zone's name in the question
				msg = append(msg, owner[:len(owner)-s.Node.NameLen()]...)
				msg = append(msg, 0xC0|byte(zoneAt>>8), byte(zoneAt))
				msg = append(msg, byte(typ>>8), byte(typ), 0, byte(dns.ClassIN))
				msg = binary.BigEndian.AppendUint32(msg, r.TTL)
				msg = binary.BigEndian.AppendUint16(msg, uint16(len(r.Data)))
				msg = append(msg, r.Data...)
				authority++
				if len(msg)-start > q.Limit {
					return dst, false
				}
			}
		}
	}
	binary.BigEndian.PutUint16(msg[start+6:], uint16(n+sigs))
	binary.BigEndian.PutUint16(msg[start+8:], uint16(authority))
	a.res.RCode = rcode
	return msg, true
}

// appendRR appends a record of the question's name.
func appendRR(msg []byte, t dns.Type, ttl uint32, data []byte) []byte {
	msg = append(msg, 0xC0, dns.HeaderLen, byte(t>>8), byte(t), 0, byte(dns.ClassIN),
		byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), byte(len(data)>>8), byte(len(data)))
	return append(msg, data...)
}

// makeTail lets the full path make a tail behind a question for a name that no
// name in it resembles, and takes note of its pointers.
func (a *Answerer) makeTail(t *tail, s *zindex.Struct, zoneID uint32, kind tailKind) {
	zone := a.data.Name(s)
	*t = tail{gen: a.data.Generation, zone: zoneID, kind: kind, do: a.q.DO}
	if len(zone) > maxFastName-16 {
		return
	}
	q := a.q
	odd := append(a.fast.name[:0], 7, 0xFF, 0, 0xFE, 1, 0xFD, 2, 0xFC)
	odd = append(odd, zone...)
	p := place{zone: *s, zoneID: zoneID}
	pq := &a.fast.q
	pq.QName, pq.Name, pq.Type, pq.Class, pq.DO, pq.Now, pq.Client = odd, odd, dns.TypeNULL, dns.ClassIN, q.DO, q.Now, q.Client
	pq.Limit = dns.MaxMessage
	a.q = pq
	a.done, a.targets, a.proofs, a.emitted = a.done[:0], a.targets[:0], a.proofs[:0], a.emitted[:0]
	a.fast.dynamic = false
	b := &a.b
	pq.Begin(b, a.scratch[:0])
	start := b.Len()
	ok := false
	if kind == tailNS {
		ok = a.positive(&p, false)
	} else {
		ok = a.soa(&p)
	}
	msg := b.Finish()
	a.scratch = msg
	a.q = q
	if !ok || a.fast.dynamic || len(msg)-start > tailLen {
		return
	}
	t.n = copy(t.buf[:], msg[start:])
	t.counts = [3]uint16{0, uint16(b.Count(wire.Authority)), uint16(b.Count(wire.Additional))}
	zoneAt := dns.HeaderLen + 8
	labels := t.labels[:0]
	fixName := func(off int) bool { // off in msg
		var buf [dns.MaxName]byte
		name, _, err := wire.AppendName(buf[:0], msg, off)
		if err != nil {
			return false
		}
		dnsname.Lower(name)
		if rel := len(name) - len(zone); rel > 0 && dnsname.IsBelow(name, zone) {
			i := 0
			for i+1+int(name[i]) < rel {
				i += 1 + int(name[i])
			}
			known := false
			for _, l := range t.names[:t.nname] {
				known = known || string(l) == string(name[i:rel])
			}
			if !known {
				if t.nname == tailNames || len(labels)+rel-i > len(t.labels) {
					return false
				}
				at := len(labels)
				labels = append(labels, name[i:rel]...)
				t.names[t.nname] = labels[at:]
				t.nname++
			}
		}
		for ; msg[off] != 0; off += 1 + int(msg[off]) {
			if msg[off] < 0xC0 {
				continue
			}
			to := int(msg[off]&0x3F)<<8 | int(msg[off+1])
			f := fix{off: uint16(off - start)}
			switch {
			case to >= start:
				f.inTail, f.target = true, uint16(to-start)
			case to >= zoneAt:
				f.target = uint16(to - zoneAt)
			default:
				return false
			}
			if t.nfix == tailFixes {
				return false
			}
			t.fix[t.nfix] = f
			t.nfix++
			return true
		}
		return true
	}
	c, err := wire.Parse(msg)
	if err != nil || c.SkipQuestions() != nil {
		return
	}
	var r wire.RR
	for {
		more, err := c.Next(&r)
		if err != nil {
			return
		}
		if !more {
			break
		}
		good := fixName(r.Owner)
		switch r.Type {
		case dns.TypeNS:
			good = good && fixName(r.Data)
		case dns.TypeSOA:
			next, err := wire.SkipName(msg, r.Data)
			good = good && err == nil && fixName(r.Data) && fixName(next)
		}
		if !good {
			return
		}
	}
	t.usable = true
}
