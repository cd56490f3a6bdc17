package rbl

import (
	"encoding/binary"
	"net/netip"

	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

const (
	ttl = 2048 // seconds, of all records

	// maxAnswer is how many bytes of the answer record count (compat:
	// djbdns.md section 9.2).
	maxAnswer = 100

	// shortest prefix that is looked up: /0 never matches, for it is what a
	// forgotten length has always been compiled to.
	shortest = 1
)

// List is one data.cdb ready to be asked. It takes no memory an entry, but for
// those whose address has bits beyond its length.
type List struct {
	db       cdb.Reader
	four     []byte              // prefix lengths that occur, longest first
	six      []byte              // the same for IPv6
	cleared  map[uint64]struct{} // address<<8|length of entries with host bits, these cleared
	answer   [4]byte
	text     []byte
	template bool // the text ends in $, for the address
}

// Open reads through a data.cdb.
func Open(c []byte) (*List, error) {
	l := &List{db: c, answer: [4]byte{127, 0, 0, 2}, text: []byte("Listed $")}
	var has4 [33]bool
	var has6 [129]bool
	first := true
	err := l.db.Each(func(key, data []byte) error {
		switch len(key) {
		case 0:
			if !first {
				return nil // the first line counts
			}
			first = false
			if data = data[:min(len(data), maxAnswer)]; len(data) >= 4 {
				l.answer = [4]byte(data)
				l.text = append([]byte(nil), data[4:]...)
			}
		case keyLen4:
			bits := key[4]
			if bits > 32 || bits < shortest {
				return nil
			}
			has4[bits] = true
			if ip := binary.BigEndian.Uint32(key); ip&mask(bits) != ip {
				if l.cleared == nil {
					l.cleared = map[uint64]struct{}{}
				}
				l.cleared[uint64(ip&mask(bits))<<8|uint64(bits)] = struct{}{}
			}
		case keyLen6:
			if bits := key[16]; bits <= 128 && bits >= shortest {
				has6[bits] = true
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for bits := 32; bits >= shortest; bits-- {
		if has4[bits] {
			l.four = append(l.four, byte(bits))
		}
	}
	for bits := 128; bits >= shortest; bits-- {
		if has6[bits] {
			l.six = append(l.six, byte(bits))
		}
	}
	if n := len(l.text); n > 0 && l.text[n-1] == '$' {
		l.template, l.text = true, l.text[:n-1]
	}
	return l, nil
}

func mask(bits byte) uint32 { return ^uint32(0) << (32 - bits) }

// Test entries that every list has, so that one can see whether it works, and
// that none may have, so that one can see whether it lists everything (RFC
// 5782, section 5).
const (
	testListed = 0x7F000002 // 127.0.0.2
	testNever  = 0x7F000001 // 127.0.0.1
)

// listed4 reports whether an address is on the list.
func (l *List) listed4(ip uint32) (bool, error) {
	switch ip {
	case testListed:
		return true, nil
	case testNever:
		return false, nil
	}
	var key [keyLen4]byte
	for _, bits := range l.four {
		a := ip & mask(bits)
		binary.BigEndian.PutUint32(key[:], a)
		key[4] = bits
		if d, err := l.db.Get(key[:]); d != nil || err != nil {
			return d != nil, err
		}
		if l.cleared != nil {
			if _, ok := l.cleared[uint64(a)<<8|uint64(bits)]; ok {
				return true, nil
			}
		}
	}
	return false, nil
}

// listed6 is listed4 for IPv6; ::FFFF:7F00:2 and ::FFFF:7F00:1 are the test
// entries.
func (l *List) listed6(ip *[16]byte) (bool, error) {
	if binary.BigEndian.Uint64(ip[:]) == 0 && binary.BigEndian.Uint32(ip[8:]) == 0xFFFF {
		switch binary.BigEndian.Uint32(ip[12:]) {
		case testListed:
			return true, nil
		case testNever:
			return false, nil
		}
	}
	var key [keyLen6]byte
	copy(key[:], ip[:])
	// longest first, so bits are only ever cleared
	for _, bits := range l.six {
		i := int(bits) / 8
		if i < 16 {
			key[i] &= ^byte(0xFF >> (bits % 8))
			clear(key[i+1 : 16])
		}
		key[16] = bits
		if d, err := l.db.Get(key[:]); d != nil || err != nil {
			return d != nil, err
		}
	}
	return false, nil
}

// Answerer is one thread's.
type Answerer struct {
	Base dnsname.Name // in lower case
	b    wire.Builder
	text [1 + maxAnswer + 39 + 1]byte // 39: the longest IPv6 address
}

// Answer answers from l. An error means that l is damaged.
func (a *Answerer) Answer(dst []byte, l *List, q *content.Question) ([]byte, content.Result, error) {
	found := content.Result{Found: true}
	var ip [16]byte
	name, n := q.Name, 0
	is4 := true
	labels := dnsname.Labels(name) - dnsname.Labels(a.Base)
	switch labels {
	case 4:
		for ; n < 4; n++ {
			v, ok := dnsname.Octet(name)
			if !ok {
				break
			}
			ip[3-n] = v
			name = dnsname.Parent(name)
		}
	case 32:
		is4 = false
		for ; n < 32; n++ {
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
	default:
		n = -1
	}
	if q.Type != dns.TypeA && q.Type != dns.TypeTXT && q.Type != dns.TypeANY || n != labels || string(name) != string(a.Base) {
		q.Bits &^= wire.BitAA
		found.RCode = dns.RCodeRefused
		return q.Header(dst, dns.RCodeRefused), found, nil
	}
	var listed bool
	var err error
	if is4 {
		listed, err = l.listed4(binary.BigEndian.Uint32(ip[:]))
	} else {
		listed, err = l.listed6(&ip)
	}
	if err != nil {
		return nil, content.Result{}, err
	}
	if !listed {
		found.RCode = dns.RCodeNXDomain
		return q.Header(dst, dns.RCodeNXDomain), found, nil
	}
	q.Begin(&a.b, dst)
	if q.Type != dns.TypeTXT {
		a.add(q, dns.TypeA, l.answer[:])
	}
	if q.Type != dns.TypeA {
		text := append(a.text[:1], l.text...)
		if l.template {
			if is4 {
				text = netip.AddrFrom4([4]byte(ip[:4])).AppendTo(text)
			} else {
				text = netip.AddrFrom16(ip).AppendTo(text)
			}
		}
		text[0] = byte(len(text) - 1)
		a.add(q, dns.TypeTXT, text)
	}
	return a.b.Finish(), found, nil
}

func (a *Answerer) add(q *content.Question, t dns.Type, data []byte) {
	if !a.b.RR(wire.Answer, q.Name, t, dns.ClassIN, ttl, data) {
		a.b.SetBits(a.b.Bits() | wire.BitTC)
	}
}
