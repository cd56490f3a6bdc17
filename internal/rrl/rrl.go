// Package rrl limits how many equal answers go to one network in a second, so
// that a server is of no use for reflecting traffic at somebody whose address
// was forged. Some of the answers over the limit go out truncated ("slip"): a
// real client then asks again over TCP.
//
// It is a table of fixed size, so a flood of addresses costs no memory: who
// comes anew takes the place of who was there.
package rrl

import (
	"encoding/binary"
	"math/bits"

	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

const (
	// slots of the table; an entry has 16 bytes. A forger needs different
	// networks to have several at once, and each is limited by itself.
	slots = 1 << 14

	// Networks are what one victim is likely to have (as BIND and knot).
	prefix4 = 24
	prefix6 = 56

	// Slip is how often an answer over the limit goes out truncated: every
	// second one, as in the other servers.
	Slip = 2

	// burst is how many seconds' worth may come at once.
	burst = 1
)

// Verdict says what to do with an answer.
type Verdict uint8

const (
	Send     Verdict = iota
	Truncate         // send the header and the question with TC
	Drop
)

// Table is one thread's.
type Table struct {
	rate uint32 // answers a second
	seed uint64
	at   [slots]entry
}

type entry struct {
	tag    uint32
	second uint32
	left   uint32
	over   uint32
}

// New makes a table for rate equal answers a second and network. seed is
// secret: collisions can not be arranged.
func New(rate uint32, seed uint64) *Table { return &Table{rate: rate, seed: seed | 1} }

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// Check counts an answer to addr. Answers are equal when they have the same
// question, or say the same whatever the question was: names that do not exist
// or that a wildcard stands for, types that are not there and names below a
// delegation must not be told apart, or an attacker would just invent new ones.
func (t *Table) Check(addr *content.Addr, msg []byte, q *content.Question, rcode dns.RCode, now uint64) Verdict {
	if rcode != dns.RCodeSuccess || len(msg) < dns.HeaderLen {
		return t.check(addr, rcode, 0, nil, now)
	}
	if msg[6]|msg[7] == 0 { // no data or a referral: the zone or the cut
		var buf [dns.MaxName]byte
		name := buf[:0]
		if at := dns.HeaderLen + len(q.QName) + 4; msg[8]|msg[9] != 0 && at < len(msg) {
			name, _, _ = wire.AppendName(name, msg, at)
		}
		return t.check(addr, rcode, 0, dnsname.Lower(name), now)
	}
	name := q.Name
	if q.Same != nil {
		name = q.Same
	}
	return t.check(addr, rcode, q.Type, name, now)
}

func (t *Table) check(addr *content.Addr, rcode dns.RCode, typ dns.Type, name []byte, now uint64) Verdict {
	var net uint64
	if ip, ok := addr.V4(); ok {
		net = uint64(binary.BigEndian.Uint32(ip)>>(32-prefix4)) | 1<<40
	} else {
		net = binary.BigEndian.Uint64(addr[:]) >> (64 - prefix6)
	}
	h := mix(net^t.seed, 0x9E3779B97F4A7C15)
	h = mix(h^uint64(rcode), 0xA0761D6478BD642F)
	if rcode == dns.RCodeSuccess {
		h = mix(h^uint64(typ), 0xE7037ED1A0B428DB)
		for len(name) >= 8 {
			h = mix(h^binary.LittleEndian.Uint64(name), 0x9E3779B97F4A7C15)
			name = name[8:]
		}
		for _, c := range name {
			h = mix(h^uint64(c)^t.seed, 0xA0761D6478BD642F)
		}
	}
	e := &t.at[h%slots]
	tag, second := uint32(h>>32), uint32(now)
	if e.tag != tag || e.second != second && second-e.second > burst {
		*e = entry{tag: tag, second: second, left: t.rate * burst}
	} else if e.second != second {
		e.second = second
		e.left = min(e.left+t.rate, t.rate*burst)
	}
	if e.left > 0 {
		e.left--
		return Send
	}
	if e.over++; e.over%Slip == 0 {
		return Truncate
	}
	return Drop
}
