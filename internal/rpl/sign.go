package rpl

import (
	"bytes"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/rdata"
)

// Scenarios date from 2006 on; many are signed with DSA, MD5, SHA-1 or RSA of
// 512 bits, which no validator of today takes. What they mean is kept, the
// cryptography is made anew: each known key becomes an ECDSA key (P-256, P-384
// for an owner's second algorithm); DS records that matched still match; what
// was signed well is signed well again, what was not still is not; the dates
// move to now.

// knownAlgorithms are those whose old signatures can be judged.
var knownAlgorithms = []dnssec.Algorithm{1, 3, 5, 6, 7, 8, 10, 13, 14}

func known(a dnssec.Algorithm) bool { return slices.Contains(knownAlgorithms, a) }

// unseen reports whether unbound's "fake-sha1: yes" takes signatures of a
// without looking.
func unseen(a dnssec.Algorithm) bool { return a == 3 || a == 5 || a == 6 || a == 7 }

type newKey struct {
	old  []byte // DNSKEY data
	data []byte // DNSKEY data
	key  *dnssec.PrivateKey
}

type keyID struct {
	owner dnsname.Name
	tag   uint16
	alg   dnssec.Algorithm
}

type setID struct {
	owner dnsname.Name
	typ   dns.Type
}

type signer struct {
	fake    bool
	shift   int64 // seconds that dates move by
	anyDate bool
	now     int64
	algs    map[dnsname.Name][]dnssec.Algorithm
	keys    map[keyID][]newKey
	made    map[string]*dnssec.PrivateKey
	sets    map[setID][][]byte // first seen data of each RRset
}

// resign makes keys and signatures anew, good at now (seconds since 1970); the
// result are the trust anchors.
func (sc *Scenario) resign(cfg *Config, now int64) ([]RR, error) {
	s := &signer{fake: yes(cfg.Options["fake-sha1"]), now: now, algs: map[dnsname.Name][]dnssec.Algorithm{},
		keys: map[keyID][]newKey{}, made: map[string]*dnssec.PrivateKey{}, sets: map[setID][][]byte{}}
	switch {
	case cfg.When == "":
	case cfg.When == "-1":
		s.anyDate = true
	default:
		when, err := time.Parse("20060102150405", cfg.When)
		if err != nil {
			n, err := strconv.ParseInt(cfg.When, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("validation date %q", cfg.When)
			}
			when = time.Unix(n, 0)
		}
		s.shift = now - when.Unix()
	}
	var entries []*Entry
	for _, r := range sc.Ranges {
		entries = append(entries, r.Entries...)
	}
	for _, st := range sc.Steps {
		if st.Entry != nil {
			entries = append(entries, st.Entry)
		}
	}
	all := slices.Clone(cfg.Anchors)
	for _, e := range entries {
		for _, sec := range e.Sections {
			all = append(all, sec...)
		}
	}
	for _, rr := range all {
		if len(rr.Data) > 4 && (rr.Type == dns.TypeDNSKEY || rr.Type == dns.TypeDS) {
			a, o := dnssec.Algorithm(rr.Data[3]), rr.Name.Lower()
			if rr.Type == dns.TypeDS {
				a = dnssec.Algorithm(rr.Data[2])
			}
			if known(a) && !slices.Contains(s.algs[o], a) {
				s.algs[o] = append(s.algs[o], a)
				slices.Sort(s.algs[o])
			}
		}
	}
	for _, rr := range all {
		if rr.Type == dns.TypeDNSKEY && len(rr.Data) > 4 {
			if err := s.learn(rr.Name.Lower(), rr.Data); err != nil {
				return nil, err
			}
		}
	}
	for _, e := range entries {
		for _, sec := range e.Sections {
			group := map[setID][][]byte{}
			for _, rr := range sec {
				if rr.Type != dns.TypeRRSIG && rr.Data != nil {
					id := setID{rr.Name.Lower(), rr.Type}
					group[id] = append(group[id], rr.Data)
				}
			}
			for id, g := range group {
				if s.sets[id] == nil {
					s.sets[id] = g
				}
			}
		}
	}
	for _, e := range entries {
		for i := range e.Sections {
			var err error
			if e.Sections[i], err = s.section(e.Sections[i]); err != nil {
				return nil, err
			}
		}
	}
	anchors := make([]RR, 0, len(cfg.Anchors))
	for _, rr := range cfg.Anchors {
		anchors = append(anchors, s.plain(rr))
	}
	s.sentinels(entries)
	return anchors, nil
}

// algorithm is what an owner's old algorithm becomes.
func (s *signer) algorithm(owner dnsname.Name, old dnssec.Algorithm) dnssec.Algorithm {
	algs := s.algs[owner]
	if !slices.Contains(algs, old) {
		algs = append(slices.Clone(algs), old)
		slices.Sort(algs)
	}
	if slices.Index(algs, old) == 0 {
		return dnssec.ECDSAP256SHA256
	}
	return dnssec.ECDSAP384SHA384
}

func (s *signer) learn(owner dnsname.Name, data []byte) error {
	a := dnssec.Algorithm(data[3])
	if !known(a) {
		return nil
	}
	id := keyID{owner, dnssec.KeyTag(data), a}
	for _, k := range s.keys[id] {
		if bytes.Equal(k.old, data) {
			return nil
		}
	}
	na := s.algorithm(owner, a)
	seed := string(owner) + string(data[3:]) + string(rune(na))
	k := s.made[seed]
	if k == nil {
		var err error
		if k, err = dnssec.Generate(rand.Reader, na, dnssec.FlagZone, 0); err != nil {
			return err
		}
		s.made[seed] = k
	}
	s.keys[id] = append(s.keys[id], newKey{data, withHead(data, k.Data), k})
	return nil
}

// withHead is the key of b with the flags and protocol of a.
func withHead(a, b []byte) []byte {
	c := slices.Clone(b)
	copy(c[:3], a[:3])
	return c
}

// plain transforms a record that is no RRSIG.
func (s *signer) plain(rr RR) RR {
	o := rr.Name.Lower()
	switch rr.Type {
	case dns.TypeDNSKEY, dns.TypeCDNSKEY:
		if len(rr.Data) < 5 {
			return rr
		}
		for _, k := range s.keys[keyID{o, dnssec.KeyTag(rr.Data), dnssec.Algorithm(rr.Data[3])}] {
			if bytes.Equal(k.old, rr.Data) {
				rr.Data = k.data
				return rr
			}
		}
	case dns.TypeDS, dns.TypeCDS:
		d, ok := dnssec.ParseDS(rr.Data)
		if !ok || !known(d.Algorithm) {
			return rr
		}
		oldType := d.DigestType
		if d.DigestType == dnssec.DigestSHA1 {
			d.DigestType = dnssec.DigestSHA256
		}
		if ks := s.keys[keyID{o, d.KeyTag, d.Algorithm}]; len(ks) > 0 {
			k := ks[0]
			d.KeyTag, d.Algorithm = dnssec.KeyTag(k.data), k.key.Algorithm
			if was, ok := dnssec.AppendDigest(nil, oldType, rr.Name, k.old); ok {
				good := bytes.Equal(was, d.Digest) || s.fake && oldType == dnssec.DigestSHA1
				d.Digest, _ = dnssec.AppendDigest(nil, d.DigestType, rr.Name, k.data)
				if !good {
					for i := range d.Digest {
						d.Digest[i] ^= 0x5a
					}
				}
			}
		} else {
			d.Algorithm = s.algorithm(o, d.Algorithm)
			if oldType == dnssec.DigestSHA1 {
				h := sha256.Sum256(d.Digest)
				d.Digest = h[:]
			}
		}
		rr.Data = d.AppendData(nil)
	}
	return rr
}

func (s *signer) section(rrs []RR) ([]RR, error) {
	old, now := map[setID][][]byte{}, map[setID][][]byte{}
	out := slices.Clone(rrs)
	for i, rr := range out {
		if rr.Type == dns.TypeRRSIG || rr.Data == nil || rr.Class != dns.ClassIN {
			continue
		}
		id := setID{rr.Name.Lower(), rr.Type}
		old[id] = append(old[id], rr.Data)
		out[i] = s.plain(rr)
		now[id] = append(now[id], out[i].Data)
	}
	var uniq []RR
	for _, rr := range out {
		if rr.Type == dns.TypeRRSIG && rr.Data != nil && rr.Class == dns.ClassIN {
			data, err := s.rrsig(rr, old, now)
			if err != nil {
				return nil, err
			}
			rr.Data = data
		}
		// a SHA-1 and a SHA-256 DS may have become one
		if (rr.Type == dns.TypeDS || rr.Type == dns.TypeRRSIG) && slices.ContainsFunc(uniq, func(o RR) bool {
			return o.Type == rr.Type && dnsname.Equal(o.Name, rr.Name) && bytes.Equal(o.Data, rr.Data)
		}) {
			continue
		}
		uniq = append(uniq, rr)
	}
	return uniq, nil
}

func (s *signer) rrsig(rr RR, old, now map[setID][][]byte) ([]byte, error) {
	sig, ok := dnssec.ParseRRSIG(rr.Data)
	if !ok {
		return rr.Data, nil
	}
	oldSig := sig
	switch {
	case s.anyDate:
		sig.Inception, sig.Expiration = uint32(s.now-30*86400), uint32(s.now+30*86400)
	default:
		sig.Inception += uint32(s.shift)
		sig.Expiration += uint32(s.shift)
	}
	if !known(sig.Algorithm) {
		return sig.AppendData(nil), nil
	}
	id := setID{rr.Name.Lower(), sig.Covered}
	was, is := old[id], now[id]
	if was == nil {
		was = s.sets[id]
	}
	if is == nil {
		for _, d := range was {
			is = append(is, s.plain(RR{Name: rr.Name, Class: dns.ClassIN, Type: sig.Covered, Data: d}).Data)
		}
	}
	slot := s.keys[keyID{sig.Signer.Lower(), sig.KeyTag, sig.Algorithm}]
	sig.Algorithm = s.algorithm(sig.Signer.Lower(), sig.Algorithm)
	if len(slot) == 0 || was == nil {
		if len(slot) > 0 {
			sig.KeyTag = dnssec.KeyTag(slot[0].data)
		}
		junk := sha512.Sum512(sig.Signature)
		sig.Signature = junk[:]
		if sig.Algorithm == dnssec.ECDSAP384SHA384 {
			sig.Signature = append(junk[:], junk[:32]...)
		}
		return sig.AppendData(nil), nil
	}
	good, chosen := false, slot[0]
	if s.fake && unseen(oldSig.Algorithm) && len(oldSig.Signature) > 8 {
		good = true
	} else {
		data := signedData(&oldSig, rr.Name, was)
		for _, k := range slot {
			if verifyOld(oldSig.Algorithm, k.old[4:], data, oldSig.Signature) {
				good, chosen = true, k
				break
			}
		}
	}
	sig.KeyTag = dnssec.KeyTag(chosen.data)
	sig.Signature = nil
	out, err := chosen.key.SignAs(rand.Reader, &dnssec.RRset{Name: s.renamed(rr.Name), Type: sig.Covered, TTL: sig.OriginalTTL, Data: is}, sig)
	if err != nil {
		return nil, err
	}
	if !good {
		out[len(out)-1] ^= 1
	}
	return out, nil
}

// renamed gives an RFC 8509 name the new key tag of the root's key.
func (s *signer) renamed(n dnsname.Name) dnsname.Name {
	tag, _, ok := dnssec.Sentinel(n.Lower())
	if !ok {
		return n
	}
	for id, slot := range s.keys {
		if id.owner == dnsname.Root && id.tag == tag {
			l := int(n[0])
			return n[:1+l-5] + dnsname.Name(fmt.Sprintf("%05d", dnssec.KeyTag(slot[0].data))) + n[1+l:]
		}
	}
	return n
}

// sentinels renames all of RFC 8509's names; their signatures, made before, are
// of the new names.
func (s *signer) sentinels(entries []*Entry) {
	for _, e := range entries {
		if e.Question != nil {
			e.Question.Name = s.renamed(e.Question.Name)
		}
		for i := range e.Sections {
			for k := range e.Sections[i] {
				e.Sections[i][k].Name = s.renamed(e.Sections[i][k].Name)
			}
		}
	}
}

// signedData is what a signature covers (RFC 4034, section 3.1.8.1).
func signedData(sig *dnssec.RRSIG, name dnsname.Name, data [][]byte) []byte {
	head := *sig
	head.Signature = nil
	out := head.AppendData(nil)
	n := dnsname.Labels(name)
	owner := []byte(name.Lower())
	if k := int(sig.Labels); k < n && !(k == n-1 && dnsname.IsWildcard(name)) {
		owner = append([]byte{1, '*'}, dnsname.Skip(owner, n-k)...)
	}
	var canon [][]byte
	for _, d := range data {
		canon = append(canon, rdata.AppendCanonical(nil, sig.Covered, d))
	}
	slices.SortFunc(canon, bytes.Compare)
	for _, d := range slices.CompactFunc(canon, bytes.Equal) {
		out = append(out, owner...)
		out = binary.BigEndian.AppendUint16(out, uint16(sig.Covered))
		out = binary.BigEndian.AppendUint16(out, uint16(dns.ClassIN))
		out = binary.BigEndian.AppendUint32(out, sig.OriginalTTL)
		out = binary.BigEndian.AppendUint16(out, uint16(len(d)))
		out = append(out, d...)
	}
	return out
}

// verifyOld checks signatures of old algorithms and key sizes with plain
// arithmetic: enough to know what a scenario meant.
func verifyOld(a dnssec.Algorithm, key, data, sig []byte) bool {
	switch a {
	case 1, 5, 7, 8, 10:
		return verifyRSA(a, key, data, sig)
	case 3, 6:
		return verifyDSA(key, data, sig)
	}
	k, ok := dnssec.Policy{SHA1: true}.ParseKey(append([]byte{1, 0, 3, byte(a)}, key...))
	return ok && k.Check(data, sig)
}

func verifyRSA(a dnssec.Algorithm, key, data, sig []byte) bool {
	if len(key) < 3 {
		return false
	}
	n, off := int(key[0]), 1
	if n == 0 {
		n, off = int(binary.BigEndian.Uint16(key[1:])), 3
	}
	if off+n >= len(key) {
		return false
	}
	e, m := new(big.Int).SetBytes(key[off:off+n]), new(big.Int).SetBytes(key[off+n:])
	var digest []byte
	prefix := ""
	switch a {
	case 1:
		h := md5.Sum(data)
		digest, prefix = h[:], "\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04\x10"
	case 5, 7:
		h := sha1.Sum(data)
		digest, prefix = h[:], "\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14"
	case 8:
		h := sha256.Sum256(data)
		digest, prefix = h[:], "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"
	case 10:
		h := sha512.Sum512(data)
		digest, prefix = h[:], "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40"
	}
	size := len(key) - off - n
	pad := size - 3 - len(prefix) - len(digest)
	if pad < 0 || m.Sign() == 0 {
		return false
	}
	em := new(big.Int).Exp(new(big.Int).SetBytes(sig), e, m)
	if em.BitLen() > size*8 {
		return false
	}
	want := "\x00\x01" + strings.Repeat("\xff", pad) + "\x00" + prefix + string(digest)
	return string(em.FillBytes(make([]byte, size))) == want
}

func verifyDSA(key, data, sig []byte) bool { // RFC 2536
	if len(key) < 1 || len(sig) < 8 {
		return false
	}
	size := 64 + int(key[0])*8
	if len(key) < 21+3*size {
		return false
	}
	num := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	q, p, g, y := num(key[1:21]), num(key[21:21+size]), num(key[21+size:21+2*size]), num(key[21+2*size:21+3*size])
	var r, s *big.Int
	if sig[0] == 0x30 && len(sig) != 41 { // DER, as some scenarios have it
		rl := int(sig[3])
		if len(sig) < 6+rl || len(sig) < 6+rl+int(sig[5+rl]) {
			return false
		}
		r, s = num(sig[4:4+rl]), num(sig[6+rl:6+rl+int(sig[5+rl])])
	} else {
		if len(sig) < 41 {
			return false
		}
		r, s = num(sig[1:21]), num(sig[21:41])
	}
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(q) >= 0 || s.Cmp(q) >= 0 || p.Sign() == 0 {
		return false
	}
	h := sha1.Sum(data)
	w := new(big.Int).ModInverse(s, q)
	if w == nil {
		return false
	}
	u1 := new(big.Int).Mul(num(h[:]), w)
	u2 := new(big.Int).Mul(r, w)
	v := new(big.Int).Mul(new(big.Int).Exp(g, u1.Mod(u1, q), p), new(big.Int).Exp(y, u2.Mod(u2, q), p))
	return v.Mod(v, p).Mod(v, q).Cmp(r) == 0
}
