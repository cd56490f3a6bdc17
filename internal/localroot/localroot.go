// Package localroot makes a copy of the root zone (RFC 8806) into what the
// resolver keeps in its cache: delegations with addresses, DS RRsets, NSEC
// records. It believes the copy only whole: the root's keys by the trust
// anchors, its SOA and ZONEMD by these keys, all the rest by ZONEMD (RFC 8976).
// It is pure.
package localroot

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/resolver"
	"bulkhead/internal/wire"
	"bulkhead/internal/zonefile"
)

// maxRecords bounds the copy; the root zone has 25,000.
const maxRecords = 500_000

// Zone is a copy that was found good.
type Zone struct {
	Serial  uint32
	Expire  uint32 // seconds after which a copy that was not renewed is not used
	SOA     resolver.RRset
	NSEC    []resolver.RRset
	Entries []Entry
}

// Entry is what goes into the cache.
type Entry struct {
	Name  dnsname.Name
	Entry resolver.Entry // without Expires
}

type set struct {
	resolver.RRset
	until uint32 // of its signature
}

type key struct {
	name dnsname.Name
	t    dns.Type
}

// Read reads a zone file and checks it at now, seconds since 1970.
func Read(text []byte, file string, anchors []dnssec.Anchor, policy dnssec.Policy, now uint32) (*Zone, error) {
	r := zonefile.NewReader(text, zonefile.Options{Name: file, Origin: dnsname.Root})
	var records []dnssec.Record
	for {
		rec, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(records) == maxRecords {
			return nil, errors.New(file + ": too many records")
		}
		records = append(records, dnssec.Record{Name: dnsname.Name(rec.Owner).Lower(), Type: rec.Type, TTL: rec.TTL, Data: append([]byte{}, rec.Data...)})
	}
	sets := map[key]*set{}
	get := func(k key, ttl uint32) *set {
		s := sets[k]
		if s == nil {
			s = &set{RRset: resolver.RRset{Section: wire.Authority, Owner: []byte(k.name), Type: k.t, TTL: ttl}}
			sets[k] = s
		}
		return s
	}
	for i := range records {
		rec := &records[i]
		if rec.Type == dns.TypeRRSIG {
			if sig, ok := dnssec.ParseRRSIG(rec.Data); ok {
				s := get(key{rec.Name, sig.Covered}, rec.TTL)
				s.Sigs = resolver.AppendPacked(s.Sigs, rec.Data)
				if s.until == 0 || int32(sig.Expiration-s.until) < 0 {
					s.until = sig.Expiration
				}
			}
			continue
		}
		s := get(key{rec.Name, rec.Type}, rec.TTL)
		s.TTL = min(s.TTL, rec.TTL)
		s.Records = resolver.AppendPacked(s.Records, rec.Data)
	}
	if err := check(sets, records, anchors, policy, now); err != nil {
		return nil, err
	}
	z := &Zone{}
	soa := sets[key{dnsname.Root, dns.TypeSOA}]
	data, _, _ := soa.Records.Next()
	z.SOA = soa.RRset
	z.Serial, z.Expire = binary.BigEndian.Uint32(data[len(data)-20:]), binary.BigEndian.Uint32(data[len(data)-8:])
	for k, s := range sets {
		fresh := s.until == 0 || int32(s.until-now) > 0
		if s.until != 0 && fresh {
			s.TTL = min(s.TTL, s.until-now) // RFC 4035, section 5.3.3
		}
		switch {
		case k.t == dns.TypeNSEC && len(s.Sigs) > 0 && fresh:
			z.NSEC = append(z.NSEC, s.RRset)
		case k.t == dns.TypeNS && k.name != dnsname.Root:
			e := resolver.Entry{Kind: resolver.KindDelegation, Rank: resolver.RankAuthority, TTL: s.TTL, Records: s.Records}
			i := byte(0)
			for ns, rest, ok := s.Records.Next(); ok && i < 255; ns, rest, ok = rest.Next() {
				for _, t := range [...]dns.Type{dns.TypeA, dns.TypeAAAA} {
					g := sets[key{dnsname.Name(ns).Lower(), t}]
					if g == nil {
						continue
					}
					for a, rest, ok := g.Records.Next(); ok; a, rest, ok = rest.Next() {
						if ip, ok := netip.AddrFromSlice(a); ok {
							e.Proof = append(append(e.Proof, i, byte(len(a))), ip.AsSlice()...)
						}
					}
				}
				i++
			}
			if len(e.Proof) > 0 {
				z.Entries = append(z.Entries, Entry{k.name, e})
			}
			// no DS: the NSEC record says so
			if nsec := sets[key{k.name, dns.TypeNSEC}]; nsec != nil && sets[key{k.name, dns.TypeDS}] == nil {
				proof, ok := resolver.AppendRRset(nil, &nsec.RRset)
				if ok {
					z.Entries = append(z.Entries, Entry{k.name, resolver.Entry{Kind: resolver.KindRRset, Type: dns.TypeDS,
						Rank: resolver.RankAuthAuthority, TTL: nsec.TTL, Proof: proof}})
				}
			}
		case (k.t == dns.TypeDS || k.name == dnsname.Root) && len(s.Records) > 0 && fresh:
			z.Entries = append(z.Entries, Entry{k.name, resolver.Entry{Kind: resolver.KindRRset, Type: k.t,
				Rank: resolver.RankAuthAnswer, TTL: s.TTL, Records: s.Records, Sigs: s.Sigs}})
		}
	}
	return z, nil
}

// check follows the chain: anchors, keys, SOA and ZONEMD, digest.
func check(sets map[key]*set, records []dnssec.Record, anchors []dnssec.Anchor, policy dnssec.Policy, now uint32) error {
	load := func(t dns.Type) (*dnssec.RRset, bool) {
		s := sets[key{dnsname.Root, t}]
		if s == nil || len(s.Records) == 0 {
			return nil, false
		}
		out := &dnssec.RRset{Name: dnsname.Root, Type: t, TTL: s.TTL}
		for d, rest, ok := s.Records.Next(); ok; d, rest, ok = rest.Next() {
			out.Data = append(out.Data, d)
		}
		for d, rest, ok := s.Sigs.Next(); ok; d, rest, ok = rest.Next() {
			out.Sigs = append(out.Sigs, d)
		}
		return out, true
	}
	keys, ok := load(dns.TypeDNSKEY)
	if !ok {
		return errors.New("no keys in the copy of the root zone")
	}
	var ds [][]byte
	var trusted []*dnssec.Key
	for _, a := range anchors {
		if a.Name != dnsname.Root {
			continue
		}
		ds = append(ds, a.DS...)
		for _, d := range a.Keys {
			if k, ok := policy.ParseKey(d); ok {
				trusted = append(trusted, k)
			}
		}
	}
	var v dnssec.Verifier
	b := dnssec.NewBudget()
	ks := v.VerifyKeys(policy, keys, ds, trusted, now, &b)
	if ks.Status != dnssec.Secure {
		return errors.New("keys in the copy of the root zone: " + ks.Reason.String())
	}
	for _, t := range [...]dns.Type{dns.TypeSOA, dns.TypeZONEMD} {
		s, ok := load(t)
		if !ok {
			return errors.New("no " + t.String() + " in the copy of the root zone")
		}
		if d := v.Verify(s, dnsname.Root, ks.Keys, now, &b); d.Status != dnssec.Secure {
			return errors.New(t.String() + " in the copy of the root zone: " + d.Reason.String())
		}
	}
	if md := dnssec.VerifyZone(dnsname.Root, records); md != dnssec.ZoneMDGood {
		return errors.New("digest of the copy of the root zone is " + md.String())
	}
	return nil
}
