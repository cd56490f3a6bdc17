package dnssec

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// rr reads one record in presentation form.
func rr(t testing.TB, line string) Record {
	t.Helper()
	f := strings.Fields(strings.NewReplacer("(", " ", ")", " ").Replace(line))
	name, err := dnsname.ParseMaster(f[0], dnsname.Root)
	if err != nil {
		t.Fatal(err)
	}
	f = f[1:]
	r := Record{Name: name, TTL: 3600}
	for {
		if ty, ok := dns.ParseType(f[0]); ok {
			r.Type = ty
			break
		}
		if isNumber(f[0]) {
			n := 0
			for _, c := range f[0] {
				n = n*10 + int(c-'0')
			}
			r.TTL = uint32(n)
		}
		f = f[1:]
	}
	r.Data, err = rdata.Parse(nil, r.Type, []byte(strings.Join(f[1:], " ")), dnsname.Root)
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return r
}

func nm(s string) dnsname.Name {
	n, err := dnsname.ParseMaster(s, dnsname.Root)
	if err != nil {
		panic(err)
	}
	return n
}

// The examples of the RFCs that define the algorithms: key, DS, one RRset and
// its signature.
func TestAlgorithmVectors(t *testing.T) {
	for _, v := range []struct {
		name string
		tag  uint16
		text string
	}{
		{"RFC 5702, section 6.1", 9033, `
example.net. 3600 IN DNSKEY 256 3 8 AwEAAcFcGsaxxdgiuuGmCkVImy4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8PkxUdp6p/DlUmObdk=
www.example.net. 3600 IN A 192.0.2.91
www.example.net. 3600 IN RRSIG A 8 3 3600 20300101000000 20000101000000 9033 example.net. kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==`},
		{"RFC 6605, section 6.1", 55648, `
example.net. 3600 IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==
example.net. 3600 IN DS 55648 13 2 b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17
www.example.net. 3600 IN A 192.0.2.1
www.example.net. 3600 IN RRSIG A 13 3 3600 20100909100439 20100812100439 55648 example.net. qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==`},
		{"RFC 6605, section 6.2", 10771, `
example.net. 3600 IN DNSKEY 257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtNJhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40
example.net. 3600 IN DS 10771 14 4 72d7b62976ce06438e9c0bf319013cf801f09ecc84b8d7e9495f27e305c6a9b0563a9b5f4d288405c3008a946df983d6
www.example.net. 3600 IN A 192.0.2.1
www.example.net. 3600 IN RRSIG A 14 3 3600 20100909102025 20100812102025 10771 example.net. /L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSPdz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm`},
		{"RFC 8080, section 6.1", 3613, `
example.com. 3600 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=
example.com. 3600 IN DS 3613 15 2 3aa5ab37efce57f737fc1627013fee07bdf241bd10f3b1964ab55c78e79a304b
example.com. 3600 IN MX 10 mail.example.com.
example.com. 3600 IN RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==`},
		{"RFC 8080, section 6.1, second", 35217, `
example.com. 3600 IN DNSKEY 257 3 15 zPnZ/QwEe7S8C5SPz2OfS5RR40ATk2/rYnE9xHIEijs=
example.com. 3600 IN DS 35217 15 2 401781b934e392de492ec77ae2e15d70f6575a1c0bc59c5275c04ebe80c6614c
example.com. 3600 IN MX 10 mail.example.com.
example.com. 3600 IN RRSIG MX 15 2 3600 1440021600 1438207200 35217 example.com. zXQ0bkYgQTEFyfLyi9QoiY6D8ZdYo4wyUhVioYZXFdT410QPRITQSqJSnzQoSm5poJ7gD7AQR0O7KuI5k2pcBg==`},
		{"RFC 8080, section 6.2, key and DS", 9713, `
example.com. 3600 IN DNSKEY 257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfPodx1FYYUcJKm1MDpJtIA
example.com. 3600 IN DS 9713 16 2 6ccf18d5bc5d7fc2fceb1d59d17321402f2aa8d368048db93dd811f5cb2b19c7`},
		{"RFC 4034, section 5.4, SHA-1 digest", 60485, `
dskey.example.com. 86400 IN DNSKEY 256 3 5 AQOeiiR0GOMYkDshWoSKz9XzfwJr1AYtsmx3TGkJaNXVbfi/2pHm822aJ5iI9BMzNXxeYCmZDRD99WYwYqUSdjMmmAphXdvxegXd/M5+X7OrzKBaMbCVdFLUUh6DhweJBjEVv5f2wwjM9XzcnOf+EPbtG9DMBmADjFDc2w/rljwvFw==
dskey.example.com. 86400 IN DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118`},
	} {
		var key *Key
		var set RRset
		var sigs [][]byte
		checked := false
		for _, line := range strings.Split(strings.TrimSpace(v.text), "\n") {
			r := rr(t, line)
			switch r.Type {
			case dns.TypeDNSKEY:
				k, ok := Policy{SHA1: true}.ParseKey(r.Data)
				if !ok || k.Tag != v.tag {
					t.Fatalf("%s: key tag %d, want %d", v.name, k.Tag, v.tag)
				}
				key = k
			case dns.TypeDS:
				ds, _ := ParseDS(r.Data)
				d, ok := key.DS(r.Name, ds.DigestType)
				if !ok || string(d) != string(r.Data) {
					t.Errorf("%s: DS %x, want %x", v.name, d, r.Data)
				}
				checked = true
			case dns.TypeRRSIG:
				sigs = append(sigs, r.Data)
			default:
				set = RRset{Name: r.Name, Type: r.Type, TTL: r.TTL, Data: [][]byte{r.Data}}
			}
		}
		if len(sigs) == 0 {
			if !checked {
				t.Errorf("%s: nothing checked", v.name)
			}
			continue
		}
		set.Sigs = sigs
		s, _ := ParseRRSIG(sigs[0])
		b := NewBudget()
		var ver Verifier
		got := ver.Verify(&set, s.Signer, []*Key{key}, s.Inception+1, &b)
		if !key.Supported() {
			// RFC 5702's example keys have 512 bits, which nobody should trust
			if got.Status != Bogus || got.Reason != ReasonUnsupportedAlgorithm {
				t.Errorf("%s: %v %v with an unsupported key", v.name, got.Status, got.Reason)
			}
			continue
		}
		if got.Status != Secure {
			t.Errorf("%s: %v: %v", v.name, got.Status, got.Reason)
		}
		set.Data[0][len(set.Data[0])-1] ^= 1
		if got := ver.Verify(&set, s.Signer, []*Key{key}, s.Inception+1, &b); got.Status != Bogus || got.Reason != ReasonBadSignature {
			t.Errorf("%s: changed data: %v: %v", v.name, got.Status, got.Reason)
		}
	}
}

// RFC 5155, appendix A, lists these hashes.
func TestNSEC3HashVectors(t *testing.T) {
	for name, want := range map[string]string{
		"example":       "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom",
		"a.example":     "35mthgpgcu1qg68fab165klnsnk3dpvl",
		"ai.example":    "gjeqe526plbf1g8mklp59enfd789njgi",
		"ns1.example":   "2t7b4g4vsa5smi47k61mv5bv1a22bojr",
		"ns2.example":   "q04jkcevqvmu85r014c7dkba38o0ji5r",
		"w.example":     "k8udemvp1j2f7eg6jebps17vp3n8i58h",
		"*.w.example":   "r53bq7cc2uvmubfu5ocmm6pers9tk9en",
		"x.w.example":   "b4um86eghhds6nea196smvmlo4ors995",
		"y.w.example":   "ji6neoaepv8b5o6k4ev33abha8ht9fgc",
		"x.y.w.example": "2vptu5timamqttgl4luu9kg21e0aor3s",
		"XX.Example":    "t644ebqk9bibcna874givr6joj62mlhv",
		"2t7b4g4vsa5smi47k61mv5bv1a22bojr.example": "kohar7mbb8dc2ce8a9qvl8hon4k53uhi",
	} {
		h := HashName(nm(name+"."), []byte{0xaa, 0xbb, 0xcc, 0xdd}, 12)
		label := h.AppendLabel(nil)
		if string(label[1:]) != want {
			t.Errorf("%s: %s, want %s", name, label[1:], want)
		}
		var back Hash
		if !decode32(&back, dnsname.Name(strings.ToUpper(want))) || back != h {
			t.Errorf("%s: does not decode", want)
		}
	}
}

// RFC 8976, appendices A.1 and A.2.
func TestZoneDigestVectors(t *testing.T) {
	for _, zone := range []string{`
example.      86400  IN  SOA     ns1.example. admin.example. 2018031900 1800 900 604800 86400
example.      86400  IN  NS      ns1.example.
example.      86400  IN  NS      ns2.example.
example.      86400  IN  ZONEMD  2018031900 1 1 c68090d90a7aed716bc459f9340e3d7c1370d4d24b7e2fc3a1ddc0b9a87153b9a9713b3c9ae5cc27777f98b8e730044c
ns1.example.  3600   IN  A       203.0.113.63
ns2.example.  3600   IN  AAAA    2001:db8::63`, `
example.      86400  IN  SOA     ns1.example. admin.example. 2018031900 1800 900 604800 86400
example.      86400  IN  NS      ns1.example.
example.      86400  IN  NS      ns2.example.
example.      86400  IN  ZONEMD  2018031900 1 1 a3b69bad980a3504e1cffcb0fd6397f93848071c93151f552ae2f6b1711d4bd2d8b39808226d7b9db71e34b72077f8fe
ns1.example.  3600   IN  A       203.0.113.63
NS2.example.  3600   IN  AAAA    2001:db8::63
occluded.sub.example. 7200 IN TXT "I'm_occluded_but_must_be_digested"
sub.example.  7200   IN  NS      ns1.example.
duplicate.example. 300 IN TXT "I_must_be_digested_just_once"
duplicate.example. 300 IN TXT "I_must_be_digested_just_once"
foo.test.     555    IN  TXT     "out-of-zone_data_must_be_excluded"
UPPERCASE.example. 3600 IN TXT   "canonicalize_uppercase_owner_names"
*.example.    777    IN  PTR     dont-forget-about-wildcards.example.
mail.example. 3600   IN  MX      20 MAIL1.example.
mail.example. 3600   IN  MX      10 Mail2.Example.
sortme.example. 3600 IN  AAAA    2001:db8::5:61
sortme.example. 3600 IN  AAAA    2001:db8::3:62
sortme.example. 3600 IN  AAAA    2001:db8::4:63
sortme.example. 3600 IN  AAAA    2001:db8::1:65
sortme.example. 3600 IN  AAAA    2001:db8::2:64
non-apex.example. 900 IN ZONEMD  2018031900 1 1 616c6c6f776564206275742069676e6f7265642e20616c6c6f776564206275742069676e6f7265642e20616c6c6f7765`} {
		var records []Record
		for _, line := range strings.Split(strings.TrimSpace(zone), "\n") {
			// the helper splits at blanks, the texts of the RFC contain some
			r := rr(t, line)
			if r.Type == dns.TypeTXT {
				for i := range r.Data {
					if r.Data[i] == '_' {
						r.Data[i] = ' '
					}
				}
			}
			records = append(records, r)
		}
		if got := VerifyZone(nm("example."), records); got != ZoneMDGood {
			t.Errorf("ZONEMD %v", got)
		}
		records[1].TTL++
		if got := VerifyZone(nm("example."), records); got != ZoneMDBad {
			t.Errorf("changed zone: ZONEMD %v", got)
		}
	}
}

func TestRootAnchors(t *testing.T) {
	as, err := ParseAnchors([]byte(RootAnchors))
	if err != nil || len(as) != 1 || len(as[0].DS) != 2 || as[0].Name != dnsname.Root {
		t.Fatalf("%v %v", as, err)
	}
	// KSK-2017's key itself, as the root zone publishes it
	k, _ := Policy{}.ParseKey(rr(t, ". IN DNSKEY 257 3 8 AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLAJr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLrjyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qihylGa8subX2Nn6UwNR1AkUTV74bU=").Data)
	d, _ := k.DS(dnsname.Root, DigestSHA256)
	if k.Tag != 20326 || string(d) != string(as[0].DS[0]) {
		t.Fatalf("tag %d DS %x", k.Tag, d)
	}
}

// Any records: the digest depends on their set alone, not on order, letter case
// of owners or doubles, and on every byte.
func FuzzZoneDigest(f *testing.F) {
	f.Add([]byte{1, 1, 4, 1, 2, 3, 4, 2, 2, 3, 1, 97, 0, 7, 63, 8, 0, 0, 0, 1, 1, 1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		zone := nm("x.")
		names := []dnsname.Name{nm("x."), nm("a.x."), nm("B.x."), nm("*.x."), nm("y."), nm("a.b.x.")}
		var rs []Record
		for len(b) >= 3 && len(rs) < 50 {
			n := min(int(b[2]), len(b)-3)
			rs = append(rs, Record{names[int(b[0])%len(names)], dns.Type(b[1]), 300, b[3 : 3+n]})
			b = b[3+n:]
		}
		one, two := ZoneDigests(zone, rs)
		VerifyZone(zone, rs)
		turned := slices.Clone(rs)
		slices.Reverse(turned)
		for i := range turned {
			turned[i].Name = turned[i].Name.Lower()
		}
		turned = append(turned, rs...)
		a, c := ZoneDigests(zone, turned)
		if !bytes.Equal(one, a) || !bytes.Equal(two, c) {
			t.Fatal("order, case or doubles count")
		}
	})
}
