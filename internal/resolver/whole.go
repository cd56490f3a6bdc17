package resolver

// wholeTable remembers for which names the servers of a zone, asked with QNAME
// minimisation, had no data and no referral: they have the name's zone, too
// (co.uk beside uk), or there is no cut. The step is left out while that
// answer would live, as RFC 9156 leaves it to a cache to do; else each new
// name below costs it again. What is wrong in it costs privacy, never an
// answer: the next longer name is asked of the same servers.
//
// A place is chosen by a hash with the engine's secret; a later name takes it.
type wholeTable struct {
	places []wholeName
}

type wholeName struct {
	hash  uint64
	until int64 // seconds since 1970
}

func (w *wholeTable) place(e *Engine, zone, name []byte) (*wholeName, uint64) {
	if w.places == nil {
		w.places = make([]wholeName, maxWhole)
	}
	h := e.hash(name, 0, e.hash(zone, 0, 0))
	return &w.places[h%maxWhole], h
}

func (w *wholeTable) knows(e *Engine, zone, name []byte) bool {
	if w.places == nil {
		return false
	}
	p, h := w.place(e, zone, name)
	return p.hash == h && p.until > e.now.Seconds()
}

// learn keeps that name is whole with zone for ttl seconds.
func (w *wholeTable) learn(e *Engine, zone, name []byte, ttl uint32) {
	p, h := w.place(e, zone, name)
	*p = wholeName{hash: h, until: e.now.Seconds() + int64(ttl)}
}
