package dnssec

import (
	"bytes"
	"slices"

	"bulkhead/internal/dnsname"
)

// KeyState is a state of RFC 5011, section 4.2. Start is no state of a key
// that is known, and Removed is a key that is forgotten.
type KeyState uint8

const (
	KeyAddPend KeyState = iota // seen, waiting for the hold-down time
	KeyValid                   // a trust anchor
	KeyMissing                 // a trust anchor that was not in the last set
	KeyRevoked                 // never to be trusted again
)

var keyStates = [...]string{"addpend", "valid", "missing", "revoked"}

func (s KeyState) String() string { return keyStates[s&3] }

// TrackedKey is a key that RFC 5011 follows.
type TrackedKey struct {
	Data  []byte // DNSKEY data, the REVOKE bit clear
	State KeyState
	Since int64 // when the state began, or a revoked key was last seen; seconds since 1970
	Hold  int64 // KeyAddPend: seconds it has to wait
	Named bool  // KeyRevoked: a line of the administrator's still names it
}

// Times of RFC 5011, sections 2.3 and 2.4.1, in seconds.
const (
	AddHoldDown    = 30 * 86400
	RemoveHoldDown = 30 * 86400
	minProbe       = 3600
	maxProbe       = 15 * 86400
	maxProbeRetry  = 86400
	// seenAgain is how old the time of a revoked key's last sight may get
	// before it is written anew, so that not every look changes the file.
	seenAgain = 86400
	// maxTracked bounds the keys of one trust point: an attacker who holds a
	// zone's key may announce any number.
	maxTracked = 16
)

// TrustPoint is a name whose anchors follow its zone (RFC 5011).
type TrustPoint struct {
	Name dnsname.Name
	DS   [][]byte // configured, not yet met as keys
	Keys []TrackedKey
}

// Anchor is what of the point is trusted now. Nothing at all, when all its keys
// are revoked: then it is as if the point had never been configured (RFC 5011,
// section 5).
func (p *TrustPoint) Anchor() Anchor {
	a := Anchor{Name: p.Name, DS: p.DS}
	for _, k := range p.Keys {
		if k.trusted() {
			a.Keys = append(a.Keys, k.Data)
		}
	}
	return a
}

func (k *TrackedKey) trusted() bool { return k.State == KeyValid || k.State == KeyMissing }

// Observe takes a DNSKEY RRset fetched from the point's zone. valid says that
// VerifyKeys found it secure by the point's present anchors. It reports whether
// a state changed, and in how many seconds to look again (RFC 5011, section
// 2.3). now is in seconds since 1970.
//
// The states and events are those of RFC 5011, section 4.1 and 4.2:
//
//	          NewKey   KeyPres  KeyRem   AddTime  RevBit   RemTime
//	(start)   addpend
//	addpend                     (start)  valid    (start)
//	valid                       missing           revoked
//	missing            valid                      revoked
//	revoked                                                (start)
//
// A time that lies in the future comes of a clock that was set back: then the
// waiting begins anew.
func (p *TrustPoint) Observe(set *RRset, valid bool, now int64, b *Budget) (changed bool, again int64) {
	changed = p.revocations(set, now, b)
	origTTL, life := int64(set.TTL), int64(maxProbe)
	for _, data := range set.Sigs {
		if s, ok := ParseRRSIG(data); ok {
			origTTL = max(origTTL, int64(s.OriginalTTL))
			if left := int64(s.Expiration - uint32(now)); left < life {
				life = left
			}
		}
	}
	if origTTL >= 1<<31 {
		origTTL = 0 // RFC 2181, section 8
	}
	if !valid {
		return changed, max(minProbe, min(maxProbeRetry, origTTL/10, life/10))
	}
	again = max(minProbe, min(maxProbe, origTTL/2, life/2))
	seen := make([]bool, len(p.Keys), maxTracked)
	for _, data := range set.Data {
		k, ok := Policy{SHA1: true}.ParseKey(data)
		if !ok || k.Flags&FlagZone == 0 || k.Protocol != 3 {
			continue
		}
		i := p.find(data)
		if i < 0 {
			// RFC 5011, section 3: only keys with SEP are followed
			if len(p.Keys) >= maxTracked || k.Flags&FlagSEP == 0 || k.Flags&FlagRevoke != 0 {
				continue
			}
			t := TrackedKey{Data: slices.Clone(data), State: KeyAddPend, Since: now, Hold: max(AddHoldDown, origTTL)}
			if p.takeDS(k) {
				t.State, t.Hold = KeyValid, 0
			}
			p.Keys = append(p.Keys, t)
			seen = append(seen, true)
			changed = true
			continue
		}
		t := &p.Keys[i]
		if t.State == KeyRevoked {
			// With the bit or without: it is there, and no better than before.
			seen[i] = true
			if t.Since > now || now-t.Since >= seenAgain {
				t.Since, changed = now, true
			}
			continue
		}
		if k.Flags&FlagRevoke != 0 {
			continue // not signed by itself: another key than the one we know
		}
		seen[i] = true
		switch ds := p.takeDS(k); {
		case t.State == KeyMissing, t.State == KeyAddPend && (ds || t.Since <= now && now-t.Since >= max(AddHoldDown, t.Hold)):
			*t = TrackedKey{Data: t.Data, State: KeyValid, Since: now}
			changed = true
		case t.State == KeyAddPend && t.Since > now:
			t.Since, changed = now, true
		}
	}
	n := 0
	for i, t := range p.Keys {
		if !seen[i] {
			switch {
			case t.State == KeyAddPend:
				changed = true
				continue
			case t.State == KeyValid:
				t.State, t.Since = KeyMissing, now
				changed = true
			case t.State == KeyRevoked && t.Since > now:
				t.Since = now
				changed = true
			case t.State == KeyRevoked && now-t.Since >= RemoveHoldDown && !t.Named:
				changed = true
				continue
			}
		}
		p.Keys[n] = t
		n++
	}
	p.Keys = p.Keys[:n]
	return changed, again
}

// revocations handles keys that carry the REVOKE bit and have signed the set
// themselves (RFC 5011, section 2.1); such a set needs no other signature.
func (p *TrustPoint) revocations(set *RRset, now int64, b *Budget) (changed bool) {
	var v Verifier
	for _, data := range set.Data {
		k, ok := Policy{SHA1: true}.ParseKey(data)
		if !ok || k.Flags&FlagRevoke == 0 || k.Flags&FlagZone == 0 {
			continue
		}
		plain := slices.Clone(data)
		plain[1] &^= FlagRevoke
		i := p.find(plain)
		old, _ := Policy{SHA1: true}.ParseKey(plain)
		if i >= 0 && p.Keys[i].State == KeyRevoked || i < 0 && p.matchDS(old) < 0 {
			continue
		}
		if v.Verify(set, p.Name, []*Key{k}, uint32(now), b).Status != Secure {
			continue
		}
		changed = true
		ds := p.takeDS(old)
		switch {
		case i < 0:
			p.Keys = append(p.Keys, TrackedKey{Data: plain, State: KeyRevoked, Since: now})
		case p.Keys[i].State == KeyAddPend && !ds:
			p.Keys = slices.Delete(p.Keys, i, i+1) // never was trusted
		default:
			p.Keys[i] = TrackedKey{Data: p.Keys[i].Data, State: KeyRevoked, Since: now}
		}
	}
	return changed
}

func (p *TrustPoint) find(data []byte) int {
	return slices.IndexFunc(p.Keys, func(t TrackedKey) bool { return sameKey(t.Data, data) })
}

func (p *TrustPoint) matchDS(k *Key) int {
	return slices.IndexFunc(p.DS, func(d []byte) bool { return dsOf(p.Name, k, d) })
}

// dsOf reports whether DS data are those of a key of owner's.
func dsOf(owner dnsname.Name, k *Key, data []byte) bool {
	ds, ok := ParseDS(data)
	if !ok || ds.KeyTag != k.Tag || ds.Algorithm != k.Algorithm {
		return false
	}
	digest, known := AppendDigest(nil, ds.DigestType, owner, k.Data)
	return known && bytes.Equal(digest, ds.Digest)
}

// takeDS replaces the DS records of k, if there are any, by the key itself.
func (p *TrustPoint) takeDS(k *Key) (any bool) {
	for i := p.matchDS(k); i >= 0; i = p.matchDS(k) {
		p.DS = slices.Delete(p.DS, i, i+1)
		any = true
	}
	return any
}
