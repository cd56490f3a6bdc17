package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/signedtree"
)

// evilZones are made of each kind: a resolver remembers a zone's keys, so each
// question goes to another one; and so many that what a program pays once for
// memory it touches for the first time does not count for much.
const evilZones = 100

var kinds = []string{"keytrap", "sigjam", "nsec3"}

// question is what hits the sore point of a zone.
func question(kind string, i int) string {
	zone := fmt.Sprintf("%s%d.t0.", kind, i)
	if kind == "nsec3" {
		return strings.Repeat("a.", 60) + "nx." + zone
	}
	return "www." + zone
}

// evil adds zones that cost a naive validator seconds: keys of one tag times
// bad signatures (KeyTrap, CVE-2023-50387), bad signatures by one key (SigJam),
// deep names under 150 iterations (CVE-2023-50868).
func evil(t *signedtree.Tree, o signedtree.Options, write func(*signedtree.Zone, string) error, top *[]string) error {
	add := func(kind string, i int, opt signedtree.Options) error {
		name := fmt.Sprintf("%s%d.t0.", kind, i)
		*top = append(*top, fmt.Sprintf("%s%d NS x", kind, i))
		return write(t.Add(name, opt, "www A 192.0.2.1"), name)
	}
	bad := func(z *signedtree.Zone, n int) {
		s := z.Sets[signedtree.Key{Name: "\x03www" + z.Name, Type: dns.TypeA}]
		good := s.Sigs[0]
		s.Sigs = nil
		for i := range n {
			b := slices.Clone(good)
			b[len(b)-1-i%60] ^= byte(1 + i/60)
			s.Sigs = append(s.Sigs, b)
		}
	}
	for i := range evilZones {
		trap, jam, hash := o, o, o
		trap.Forge = func(z *signedtree.Zone) {
			dk := z.Sets[signedtree.Key{Name: z.Name, Type: dns.TypeDNSKEY}]
			for len(dk.Data) < 30 {
				k, err := dnssec.Generate(rand.Reader, dnssec.ECDSAP256SHA256, dnssec.FlagZone, 0)
				if err != nil {
					return
				}
				d := slices.Clone(k.Data)
				// bits of the flags that mean nothing still count in the tag
				for f := 0; f < 1<<16; f++ {
					binary.BigEndian.PutUint16(d, uint16(f)&^dnssec.FlagRevoke|dnssec.FlagZone)
					if dnssec.KeyTag(d) == z.ZSK.Tag {
						dk.Data = append(dk.Data, d)
						break
					}
				}
			}
			z.Sign(dk)
			bad(z, 60)
		}
		jam.Forge = func(z *signedtree.Zone) { bad(z, 300) }
		hash.NSEC3 = &dnssec.NSEC3Params{Iterations: 150, Salt: make([]byte, 200)}
		for kind, opt := range map[string]signedtree.Options{"keytrap": trap, "sigjam": jam, "nsec3": hash} {
			if err := add(kind, i, opt); err != nil {
				return err
			}
		}
	}
	return nil
}

// attacks asks each server for all of them.
func attacks(dir, ds string) error {
	figures := map[string][]float64{}
	for range *rounds {
		for _, kind := range kinds {
			var names []string
			for i := range evilZones {
				names = append(names, question(kind, i))
			}
			for _, p := range peers() {
				if !wanted(p.name) {
					continue
				}
				f, err := one(dir, ds, p, names)
				if err != nil {
					fmt.Printf("%-16s %v\n", p.name, err)
					continue
				}
				k := kind + " " + p.name
				figures[k] = append(figures[k], f.cpu)
			}
		}
	}
	fmt.Printf("us CPU a hostile question, median of %d rounds; in brackets lowest to highest\n", *rounds)
	for _, kind := range kinds {
		for _, p := range peers() {
			if f := figures[kind+" "+p.name]; len(f) > 0 {
				fmt.Printf("%-8s %-16s %s\n", kind, p.name, spread("%.0f", f))
			}
		}
	}
	return nil
}
