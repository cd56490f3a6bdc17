package resolver

import "bulkhead/internal/dns"

// MapCache is the plainest Cache: it forgets nothing and has no bound. It is
// the model that tests and the simulator compare with.
//
// Like the true one it has one place for what Get gives.
type MapCache struct {
	m   map[mapKey]Entry
	got Entry
}

type mapKey struct {
	kind Kind
	typ  dns.Type
	name string
}

// NewMapCache makes an empty cache.
func NewMapCache() *MapCache { return &MapCache{m: make(map[mapKey]Entry)} }

// Get implements Cache.
func (c *MapCache) Get(e *Entry, kind Kind, t dns.Type, name []byte) bool {
	v, ok := c.m[mapKey{kind, t, string(name)}]
	if ok {
		v.Records = append(c.got.Records[:0], v.Records...)
		v.Sigs = append(c.got.Sigs[:0], v.Sigs...)
		v.Proof = append(c.got.Proof[:0], v.Proof...)
		*e, c.got = v, v
	}
	return ok
}

// Put implements Cache.
func (c *MapCache) Put(name []byte, e *Entry) {
	v := *e
	v.Records = append(Packed(nil), e.Records...)
	v.Sigs = append(Packed(nil), e.Sigs...)
	v.Proof = append([]byte(nil), e.Proof...)
	c.m[mapKey{e.Kind, e.Type, string(name)}] = v
}

// Delete implements Cache.
func (c *MapCache) Delete(kind Kind, t dns.Type, name []byte) {
	delete(c.m, mapKey{kind, t, string(name)})
}

// Len counts the entries; Each calls f for all, in no order.
func (c *MapCache) Len() int { return len(c.m) }

// Each calls f with every entry.
func (c *MapCache) Each(f func(name string, e *Entry)) {
	for k, v := range c.m {
		f(k.name, &v)
	}
}
