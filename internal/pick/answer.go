package pick

import (
	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/wire"
)

const (
	ttl      = 5   // seconds
	picks    = 3   // addresses in an answer
	maxBytes = 512 // of a record that count: 128 addresses
)

// Answerer is one thread's.
type Answerer struct {
	Below func(n int) int // a random number from 0 to n-1
	b     wire.Builder
	key   [1 + 2 + dns.MaxName]byte
	pool  [maxBytes]byte
}

// location finds the client's: the longest prefix of whole octets, of which at
// least one.
func (a *Answerer) location(c cdb.Reader, q *content.Question) (lo [2]byte, err error) {
	ip, ok := q.Client.V4()
	if !ok {
		return lo, nil
	}
	key := a.key[:5]
	key[0] = '%'
	copy(key[1:], ip)
	for n := 4; n > 0; n-- {
		d, err := c.Get(key[:1+n])
		if err != nil {
			return lo, err
		}
		if d != nil {
			if len(d) == 2 {
				lo = [2]byte(d)
			}
			return lo, nil
		}
	}
	return lo, nil
}

// Answer answers from c. An error means that c is damaged.
func (a *Answerer) Answer(dst []byte, c cdb.Reader, q *content.Question) ([]byte, content.Result, error) {
	res := content.Result{Found: true}
	if q.Type != dns.TypeA && q.Type != dns.TypeMX && q.Type != dns.TypeANY {
		return a.refused(dst, q)
	}
	lo, err := a.location(c, q)
	if err != nil {
		return nil, content.Result{}, err
	}
	key := append(append(a.key[:0], '+', lo[0], lo[1]), q.Name...)
	data, err := c.Get(key)
	if data == nil && err == nil && lo != [2]byte{} {
		key[1], key[2] = 0, 0
		data, err = c.Get(key)
	}
	if err != nil {
		return nil, content.Result{}, err
	}
	if data == nil {
		return a.refused(dst, q)
	}
	if _, ok := q.Client.V4(); ok {
		res.Scope = 32 // data.cdb does not tell how long the prefixes beside this one are
	}
	q.Begin(&a.b, dst)
	if q.Type != dns.TypeMX {
		n := copy(a.pool[:], data) / 4
		for k := 0; k < picks && k < n; k++ {
			i := k + a.Below(n-k) // a uniform choice of what is left
			x, y := a.pool[4*k:4*k+4], a.pool[4*i:4*i+4]
			for j := range x {
				x[j], y[j] = y[j], x[j]
			}
			if !a.b.RR(wire.Answer, q.Name, dns.TypeA, dns.ClassIN, ttl, x) {
				a.b.SetBits(a.b.Bits() | wire.BitTC)
			}
		}
	}
	return a.b.Finish(), res, nil
}

func (a *Answerer) refused(dst []byte, q *content.Question) ([]byte, content.Result, error) {
	q.Bits &^= wire.BitAA
	return q.Header(dst, dns.RCodeRefused), content.Result{Found: true, RCode: dns.RCodeRefused}, nil
}
