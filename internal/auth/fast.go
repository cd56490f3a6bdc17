package auth

import (
	"encoding/binary"
	"math"
	"slices"

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

// fastState are the zones that an Answerer has prepared.
type fastState struct {
	zones   [fastZones]fastZone
	last    *fastZone // that answered last
	name    [dns.MaxName + 1]byte
	set     [fastRecords]fastRecord
	q       content.Question // for which a tail is made
	dynamic bool             // visible was asked about a record that depends on something
	off     bool             // for tests: full path only
}

const (
	fastZones   = 64   // in use at a time; others displace each other
	fastRecords = 48   // records and signatures of an answer section
	tailLen     = 1024 // bytes
	tailFixes   = 64   // compression pointers
	tailNames   = 32   // labels directly below the zone in names of the tail

	// maxFastName keeps all suffixes of a question's name within what the
	// compression of package wire records.
	maxFastName = 128
)

// fastZone is what there is to know of a zone whose names do not depend on
// anything but themselves, by the structural entry that they lie below.
type fastZone struct {
	gen    uint64 // of the data, 0: none
	ctx    uint32 // structural entry
	asked  uint32 // by whom this place was wanted last
	usable bool
	signed bool // a.signed
	s      zindex.Struct
	name   []byte // of the zone
	tails  [4]tail

	// Where "*" directly below the zone stands in its chain: every proof that a
	// name there does not exist asks for it.
	wildAt    uint32
	wildHas   bool
	wildKnown bool
}

// Kinds of tails, to be doubled and increased by 1 for DO.
const (
	tailNS  = 0 // authority and additional section of a positive answer
	tailSOA = 2 // authority section of a negative one
)

// fastRecord is a record of the answer section.
type fastRecord struct {
	typ  dns.Type
	ttl  uint32
	data []byte
}

// rrLen is a record less its data with a compressed owner, in bytes.
const rrLen = 12

// tail is the end of a message.
type tail struct {
	made   bool
	usable bool
	n      int
	counts uint32 // authority and additional records, 16 bits each
	nfix   int
	nname  int
	fix    [tailFixes]fix
	names  [tailNames][]byte // labels with length bytes, into labels
	buf    [tailLen]byte
	labels [tailLen]byte
}

// noTail is the tail of answers that have none.
var noTail = tail{made: true, usable: true}

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
	node, one, ok := v.Lookup(q.Name, h)
	var z *fastZone
	encloser := 0 // bytes of its name
	switch {
	case ok:
		if node.W&(zindex.FlagDynamic|zindex.FlagStruct|zindex.FlagMaybe) != 0 {
			return dst, false
		}
		z = a.fastZone(node.Ctx)
	default:
		// The encloser of most names that are absent is the zone that answered
		// last, and that one is known.
		var e zindex.Node
		z = a.fast.last
		if at := 1 + int(q.Name[0]); z != nil && z.usable && z.gen == a.data.Generation && z.ctx == z.s.Node.Ctx && string(q.Name[at:]) == string(z.name) {
			e = z.s.Node
		} else {
			n := 0
			for i := 0; q.Name[i] != 0; i += 1 + int(q.Name[i]) {
				a.off[n] = uint8(i)
				n++
			}
			var labels int
			if e, labels = v.Encloser(q.Name, a.off[:n]); labels < 0 {
				return dst, false
			}
			z = a.fastZone(e.Ctx)
		}
		if e.W&(zindex.FlagHasWild|zindex.FlagMaybe) != 0 {
			return dst, false
		}
		encloser = e.NameLen()
	}
	if z == nil {
		return dst, false
	}
	a.fast.last = z
	proofs := q.DO && z.s.Flags&(zindex.StructNSEC|zindex.StructNSEC3) != 0
	if proofs && z.s.Flags&zindex.StructNSEC3 != 0 && !ok {
		return dst, false
	}

	// The records of the answer section: first those asked for, then their
	// signatures.
	n, sigs, size := 0, 0, 0
	set := &a.fast.set
	if one != nil { // the usual case: one record, which Lookup has seen
		switch t := dns.Type(binary.BigEndian.Uint16(one)); {
		case t == dns.TypeCNAME:
			return dst, false
		case t == q.Type:
			set[0] = fastRecord{t, binary.BigEndian.Uint32(one[3:]), one[zindex.RecordHead:]}
			if n, size = 1, rrLen+len(set[0].data); size == rrLen {
				return dst, false
			}
		}
	} else if ok {
		if n, sigs, size = a.fastSet(node); n < 0 {
			return dst, false
		}
	}
	kind := tailSOA
	if n > 0 {
		kind = tailNS
		switch q.Type {
		case dns.TypeNS, dns.TypePTR, dns.TypeMX, dns.TypeSOA, dns.TypeDNAME, dns.TypeSRV, dns.TypeSVCB, dns.TypeHTTPS:
			return dst, false // names in the data
		}
	} else if proofs && z.s.Flags&zindex.StructNSEC3 != 0 {
		return dst, false
	}
	t := &noTail // signed answers carry no optional records
	if kind != tailNS || !q.DO || !z.signed {
		if q.DO {
			kind++
		}
		if t = &z.tails[kind]; !t.made {
			a.makeTail(t, z, kind)
		}
	}
	// The label below the zone must not stand in the tail: then names there
	// would be compressed otherwise, or be the question's own.
	rel := len(q.Name) - len(z.name)
	if !t.usable || rel < 1 {
		return dst, false
	}
	if t.nname > 0 {
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
	}

	head := dns.HeaderLen + len(q.QName) + 4
	size += head
	if size+t.n > q.Limit {
		return dst, false
	}
	start := len(dst)
	msg := slices.Grow(dst, size+t.n)[:start+size+t.n]
	m := msg[start:]
	bits := q.Bits
	rcode := dns.RCodeSuccess
	if !ok {
		rcode = dns.RCodeNXDomain
		bits |= wire.BitAA | uint16(dns.RCodeNXDomain) // for class ANY too, as 1.05
	}
	binary.BigEndian.PutUint32(m, uint32(q.ID)<<16|uint32(bits))
	binary.BigEndian.PutUint64(m[4:], 1<<48|uint64(n+sigs)<<32|uint64(t.counts))
	copy(m[dns.HeaderLen:], q.QName)
	binary.BigEndian.PutUint32(m[head-4:], uint32(q.Type)<<16|uint32(q.Class))
	at := head
	for i := range set[:n+sigs] {
		r := &set[i]
		b := m[at : at+rrLen+len(r.data)]
		binary.BigEndian.PutUint32(b, (0xC000|dns.HeaderLen)<<16|uint32(r.typ))
		binary.BigEndian.PutUint32(b[4:], uint32(dns.ClassIN)<<16|r.ttl>>16)
		binary.BigEndian.PutUint32(b[8:], r.ttl<<16|uint32(len(r.data)))
		if len(r.data) == 4 { // an address
			binary.NativeEndian.PutUint32(b[rrLen:], binary.NativeEndian.Uint32(r.data))
		} else {
			copy(b[rrLen:], r.data)
		}
		at += len(b)
	}
	copy(m[size:], t.buf[:t.n])
	zoneAt := uint16(dns.HeaderLen + rel)
	for i := range t.fix[:t.nfix] {
		f := &t.fix[i]
		to := f.target + zoneAt
		if f.inTail {
			to = f.target + uint16(size)
		}
		binary.BigEndian.PutUint16(m[size+int(f.off):], 0xC000|to)
	}
	a.res.RCode = rcode
	if proofs && n == 0 {
		if msg, ok = a.fastProofs(msg, start, z, ok, encloser); !ok {
			return dst, false
		}
	}
	return msg, true
}

// fastZone gives what is prepared for names below a structural entry, nil if
// they are none for the fast path. Who wants the place of another zone gets it
// when it asks twice in a row: of very many zones asked in turn none is worth
// preparing.
func (a *Answerer) fastZone(ctx uint32) *fastZone {
	z := &a.fast.zones[ctx%fastZones]
	if z.gen != a.data.Generation || z.ctx != ctx {
		if z.gen == a.data.Generation && z.asked != ctx {
			z.asked = ctx
			return nil
		}
		a.prepare(z, ctx)
	}
	if !z.usable {
		return nil
	}
	return z
}

// prepare fills z.
func (a *Answerer) prepare(z *fastZone, ctx uint32) {
	v := a.data.View
	z.gen, z.ctx, z.asked, z.usable = a.data.Generation, ctx, ctx, false
	z.wildKnown = false
	for i := range z.tails {
		z.tails[i].made = false
	}
	s := v.Struct(ctx)
	if s.Flags&zindex.StructDynamic != 0 || s.Zone == 0 || s.Stop != 0 {
		return
	}
	if s.Zone != ctx {
		s = v.Struct(s.Zone)
	}
	if s.Flags&(zindex.StructDNAME|zindex.StructDynamic) != 0 {
		return
	}
	z.s, z.name, z.signed, z.usable = s, v.Name(&s), a.signed(&s), true
}

// fastSet collects the records asked for at a node with several records, and
// with DO their signatures: how many, and the bytes they take. n is -1 if the
// full path must.
func (a *Answerer) fastSet(node zindex.Node) (n, sigs, size int) {
	q, v, set := a.q, a.data.View, &a.fast.set
	count := v.Count(node)
	addresses := q.Type == dns.TypeA || q.Type == dns.TypeAAAA
	length := 4
	if q.Type == dns.TypeAAAA {
		length = 16
	}
	ttl := uint32(math.MaxUint32)
	var r zindex.Record
	for i := range count {
		ref := v.Record(node, i)
		t := ref.Type()
		if t == dns.TypeCNAME {
			return -1, 0, 0
		}
		if t != q.Type {
			continue
		}
		if v.Load(ref, &r); n == len(set) || ref.Flags() != 0 || len(r.Data) == 0 {
			return -1, 0, 0
		}
		set[n] = fastRecord{t, r.TTL, r.Data}
		ttl = min(ttl, r.TTL)
		addresses = addresses && len(r.Data) == length
		size += rrLen + len(r.Data)
		n++
	}
	if n == 0 {
		return 0, 0, 0
	}
	if n > 1 {
		if a.Addresses > 0 && n > a.Addresses || q.Type == dns.TypeRRSIG || q.Type == dns.TypeNSEC || !addresses && (q.Type == dns.TypeA || q.Type == dns.TypeAAAA) {
			return -1, 0, 0
		}
		for i := range set[:n] {
			set[i].ttl = ttl
		}
		if addresses {
			for k := 1; k < n; k++ {
				j := a.Rand.Below(k + 1)
				set[k], set[j] = set[j], set[k]
			}
		}
	}
	if !q.DO || !node.Has(zindex.FlagSigs) || q.Type == dns.TypeRRSIG {
		return n, 0, size
	}
	for i := range count {
		ref := v.Record(node, i)
		if ref.Type() != dns.TypeRRSIG {
			continue
		}
		if v.Load(ref, &r); len(r.Data) < 19 || dns.Type(binary.BigEndian.Uint16(r.Data)) != q.Type {
			continue
		}
		if n+sigs == len(set) {
			return -1, 0, 0
		}
		set[n+sigs] = fastRecord{dns.TypeRRSIG, r.TTL, r.Data}
		size += rrLen + len(r.Data)
		sigs++
	}
	return n, sigs, size
}

// fastProofs appends the NSEC records, with their signatures, that show that
// the type or the name asked for does not exist (RFC 4035, sections 3.1.3.1 and
// 3.1.3.2), to the message that starts at start.
func (a *Answerer) fastProofs(msg []byte, start int, z *fastZone, exists bool, encloser int) ([]byte, bool) {
	q, v := a.q, a.data.View
	zoneAt := uint16(dns.HeaderLen + len(q.Name) - len(z.name))
	authority := binary.BigEndian.Uint16(msg[start+8:])
	var first uint32
	var r zindex.Record
	for k := range 2 {
		var e uint32
		var has bool
		switch {
		case k == 0:
			e, _, has = v.Chain(&z.s, q.Name)
		case exists:
		default:
			e, has = a.wildcard(z, q.Name[len(q.Name)-encloser:])
		}
		if !has || k == 1 && e == first {
			break
		}
		first = e
		for i := e; ; i++ {
			ref, sig, more := v.Element(&z.s, e, i)
			if !more {
				break
			}
			v.Load(ref, &r)
			owner := v.OwnerAt(ref, a.owner[:0])
			typ := r.Type
			if sig {
				typ = dns.TypeRRSIG
			}
			// owner: its labels down to the zone's name in the question
			msg = append(msg, owner[:len(owner)-len(z.name)]...)
			msg = append(msg, 0xC0|byte(zoneAt>>8), byte(zoneAt), byte(typ>>8), byte(typ), 0, byte(dns.ClassIN),
				byte(r.TTL>>24), byte(r.TTL>>16), byte(r.TTL>>8), byte(r.TTL), byte(len(r.Data)>>8), byte(len(r.Data)))
			msg = append(msg, r.Data...)
			authority++
			if len(msg)-start > q.Limit {
				return msg, false
			}
		}
	}
	binary.BigEndian.PutUint16(msg[start+8:], authority)
	return msg, true
}

// wildcard finds "*" below a name in the chain of z.
func (a *Answerer) wildcard(z *fastZone, encloser []byte) (at uint32, has bool) {
	apex := len(encloser) == len(z.name)
	if apex && z.wildKnown {
		return z.wildAt, z.wildHas
	}
	at, _, has = a.data.Chain(&z.s, append(append(a.wild[:0], 1, '*'), encloser...))
	if apex {
		z.wildAt, z.wildHas, z.wildKnown = at, has, true
	}
	return at, has
}

// makeTail lets the full path make a tail behind a question for a name that no
// name in it resembles, and takes note of its pointers.
func (a *Answerer) makeTail(t *tail, z *fastZone, kind int) {
	zone := z.name
	*t = tail{made: true}
	if len(zone) > maxFastName-16 {
		return
	}
	q := a.q
	odd := append(a.fast.name[:0], 7, 0xFF, 0, 0xFE, 1, 0xFD, 2, 0xFC)
	odd = append(odd, zone...)
	p := place{zone: z.s, zoneID: z.s.Node.Ctx}
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
	if kind < tailSOA {
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
	t.counts = uint32(b.Count(wire.Authority))<<16 | uint32(b.Count(wire.Additional))
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
