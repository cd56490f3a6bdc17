package dnssec

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// Anchor is what is trusted at a name: DS data and whole keys.
type Anchor struct {
	Name dnsname.Name // lower case
	DS   [][]byte
	Keys [][]byte // DNSKEY data
}

// RootAnchors are the keys of the root as IANA publishes them in
// root-anchors.xml: KSK-2017 (20326) and KSK-2024 (38696).
const RootAnchors = `. IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16
`

// Limits of the files, far beyond any use: they bound what a slip such as
// naming a zone file here can cost.
const (
	maxAnchorLine  = 4096 // bytes; a key of RSA 4096 takes 800
	maxAnchorLines = 10000
)

// ParseAnchors reads trust anchors: zone file lines OWNER [TTL] [IN] DS DATA or
// DNSKEY DATA, each on one line; ; and # begin comments. A revoked key and one
// without the ZONE bit are errors: they could never be used.
func ParseAnchors(text []byte) ([]Anchor, error) {
	var as []Anchor
	at := map[dnsname.Name]int{}
	err := eachLine(text, func(f []string) error {
		if len(f) < 3 {
			return errors.New("not OWNER IN DS or DNSKEY and data")
		}
		owner, err := dnsname.ParseMaster(f[0], dnsname.Root)
		if err != nil {
			return errors.New("bad owner name")
		}
		owner = owner.Lower()
		f = f[1:]
		t, ok := dns.Type(0), false
		for len(f) > 1 {
			if t, ok = dns.ParseType(f[0]); ok {
				break
			}
			if c, isClass := dns.ParseClass(f[0]); isClass && c != dns.ClassIN {
				return errors.New("class is not IN")
			} else if !isClass && !isNumber(f[0]) {
				return errors.New("neither class, TTL nor type: " + f[0])
			}
			f = f[1:]
		}
		if !ok || t != dns.TypeDS && t != dns.TypeDNSKEY {
			return errors.New("type is neither DS nor DNSKEY")
		}
		data, err := rdata.Parse(nil, t, []byte(strings.Join(f[1:], " ")), dnsname.Root)
		if err != nil {
			return err
		}
		i, ok := at[owner]
		if !ok {
			i = len(as)
			at[owner] = i
			as = append(as, Anchor{Name: owner})
		}
		if t == dns.TypeDS {
			as[i].DS = append(as[i].DS, data)
			return nil
		}
		k, _ := Policy{}.ParseKey(data)
		if r := k.ZoneKey(); r != ReasonNone {
			return errors.New(r.String())
		}
		as[i].Keys = append(as[i].Keys, data)
		return nil
	})
	return as, err
}

// Useless names the DS records of an anchor whose digest has not the length of
// its type: no key matches them (RFC 4509, RFC 6605).
func (a *Anchor) Useless() (out []string) {
	for _, ds := range a.DS {
		if len(ds) < 4 {
			continue
		}
		if want, ok := AppendDigest(nil, ds[3], a.Name, nil); ok && len(ds)-4 != len(want) {
			out = append(out, fmt.Sprintf("DS %d of %s: a digest of type %d has %d bytes, not %d",
				binary.BigEndian.Uint16(ds), a.Name.Text(), ds[3], len(want), len(ds)-4))
		}
	}
	return out
}

// NTA is a negative trust anchor (RFC 7646): no validation at and below Name.
type NTA struct {
	Name    dnsname.Name // lower case
	Expires int64        // seconds since 1970; 0 never
}

// ParseNTAs reads negative trust anchors: a name, and if wanted when it ends,
// as YYYY-MM-DD or an RFC 3339 time.
func ParseNTAs(text []byte) ([]NTA, error) {
	var out []NTA
	err := eachLine(text, func(f []string) error {
		n, err := dnsname.ParseMaster(f[0], dnsname.Root)
		if err != nil {
			return errors.New("bad name")
		}
		nta := NTA{Name: n.Lower()}
		if len(f) > 2 {
			return errors.New("more than a name and a time")
		}
		if len(f) == 2 {
			when, err := time.Parse(time.RFC3339, f[1])
			if err != nil {
				when, err = time.Parse(time.DateOnly, f[1])
			}
			if err != nil {
				return errors.New("time is neither YYYY-MM-DD nor YYYY-MM-DDTHH:MM:SSZ")
			}
			nta.Expires = max(when.Unix(), 1)
		}
		out = append(out, nta)
		return nil
	})
	return out, err
}

// eachLine splits text into the words of its lines, comments and parentheses
// dropped (a record must be on one line, but copies from zone files have them).
func eachLine(text []byte, f func(words []string) error) error {
	n := 0
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte{'\n'})
		text = rest
		if n++; n > maxAnchorLines {
			return fmt.Errorf("more than %d lines", maxAnchorLines)
		}
		if len(line) > maxAnchorLine {
			return fmt.Errorf("line %d: longer than %d bytes", n, maxAnchorLine)
		}
		if i := bytes.IndexAny(line, ";#"); i >= 0 {
			line = line[:i]
		}
		words := strings.FieldsFunc(string(line), func(r rune) bool {
			return r == ' ' || r == '\t' || r == '\r' || r == '(' || r == ')'
		})
		if len(words) == 0 {
			continue
		}
		if err := f(words); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	return nil
}

func isNumber(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
