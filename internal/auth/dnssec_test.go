package auth

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bulkhead/internal/cdb"
	"bulkhead/internal/content"
	"bulkhead/internal/cookie"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/tinydata"
	"bulkhead/internal/wire"
)

// How a zone of these tests is signed. The signatures are made up: here only
// which records come matters. That real ones verify is tested beside delv and
// ldns-verify-zone (test/tinydns).
type signing int

const (
	bySignNSEC signing = iota
	bySignNSEC3
	bySignOptOut
)

// sign gives data with the lines of its signer for one zone: RRSIG over what
// the zone answers for, a chain, and NSEC3PARAM.
func sign(t testing.TB, data, zone string, how signing, p dnssec.NSEC3Params) string {
	apex := dnsname.Name(wireName(t, zone)).Lower()
	types := map[dnsname.Name][]dns.Type{}
	parser := &tinydata.Parser{Serial: 1}
	var b cdb.Batch
	for _, l := range strings.Split(data, "\n") {
		if err := parser.Line([]byte(l), &b); err != nil {
			t.Fatalf("%s: %v", l, err)
		}
	}
	b.Each(func(key, d []byte) error {
		r, ok := tinydata.Decode(nil, key, d)
		if n := dnsname.Name(r.Owner).Lower(); ok && dnsname.IsBelow(n, apex) && !slices.Contains(types[n], r.Type) && r.Type != dns.TypeRRSIG && r.Type != dns.TypeNSEC {
			types[n] = append(types[n], r.Type)
		}
		return nil
	})
	out := new(strings.Builder)
	out.WriteString(data)
	line := func(owner dnsname.Name, typ dns.Type, d []byte) {
		fmt.Fprintf(out, ":%s:%d:", owner.Text(), typ)
		for _, c := range d {
			fmt.Fprintf(out, "\\%03o", c)
		}
		out.WriteString(":300\n")
	}
	sig := func(owner dnsname.Name, typ dns.Type) {
		labels := dnsname.Labels(owner)
		if dnsname.IsWildcard(owner) {
			labels--
		}
		d := binary.BigEndian.AppendUint16(nil, uint16(typ))
		d = append(d, 13, byte(labels), 0, 0, 1, 0x2c, 0x7f, 0, 0, 0, 0x60, 0, 0, 0, 0x12, 0x34)
		line(owner, dns.TypeRRSIG, append(append(d, apex...), make([]byte, 64)...))
	}
	if how != bySignNSEC {
		param := binary.BigEndian.AppendUint16([]byte{1, 0}, p.Iterations)
		line(apex, dns.TypeNSEC3PARAM, append(append(param, byte(len(p.Salt))), p.Salt...))
		types[apex] = append(types[apex], dns.TypeNSEC3PARAM)
	}
	var nodes []dnssec.Node
	for n, ts := range types {
		n := dnssec.Node{Name: n, Types: ts}
		below := false
		for up := n.Name; len(up) > len(apex) && !below; {
			up = dnsname.Parent(up)
			below = slices.Contains(types[up], dns.TypeDNAME) || len(up) > len(apex) && slices.Contains(types[up], dns.TypeNS) && !dnsname.IsWildcard(up)
		}
		if below {
			continue
		}
		if n.Name == apex {
			n.Types = slices.DeleteFunc(slices.Clone(n.Types), func(t dns.Type) bool { return t == dns.TypeDS })
		} else if slices.Contains(ts, dns.TypeNS) && !dnsname.IsWildcard(n.Name) {
			n.Types = []dns.Type{dns.TypeNS}
			if n.Unsigned = !slices.Contains(ts, dns.TypeDS); !n.Unsigned {
				n.Types = append(n.Types, dns.TypeDS)
				sig(n.Name, dns.TypeDS)
			}
			nodes = append(nodes, n)
			continue
		}
		for _, typ := range n.Types {
			sig(n.Name, typ)
		}
		nodes = append(nodes, n)
	}
	chain := func() []dnssec.RRset {
		if how == bySignNSEC {
			return dnssec.NSECChain(apex, nodes, 300)
		}
		p.OptOut = how == bySignOptOut
		return dnssec.NSEC3Chain(apex, nodes, p, 300)
	}()
	for _, set := range chain {
		line(set.Name, set.Type, set.Data[0])
		sig(set.Name, set.Type)
	}
	return out.String()
}

// rrs are the records of an answer.
type plainRR struct {
	sec   wire.Section
	owner dnsname.Name
	typ   dns.Type
	ttl   uint32
	data  []byte
}

func records(t testing.TB, msg []byte) (h wire.Header, out []plainRR) {
	c, err := wire.Parse(msg)
	if err != nil || c.SkipQuestions() != nil {
		t.Fatalf("%x: %v", msg, err)
	}
	var r wire.RR
	for {
		ok, err := c.Next(&r)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return c.Header, out
		}
		owner, _, _ := wire.AppendName(nil, msg, r.Owner)
		data := r.RData(msg)
		if r.Type == dns.TypeCNAME || r.Type == dns.TypeNS || r.Type == dns.TypeDNAME {
			data, _, _ = wire.AppendName(nil, msg, r.Data)
		}
		out = append(out, plainRR{r.Section, dnsname.Name(owner).Lower(), r.Type, r.TTL, data})
	}
}

// rfcZone is the zone of RFC 4035 and 5155, appendix A, but for the names of
// the delegations.
const rfcZone = `Zexample:ns1.example:bugs.x.w.example:1:3600:300:3600000:3600:3600
&example::ns1.example:3600
&example::ns2.example:3600
@example::xx.example:1:3600
:example:48:\001\001\003\015key:3600
+2t7b4g4vsa5smi47k61mv5bv1a22bojr.example:192.0.2.127:3600
&a.example:192.0.2.5:ns1.a.example:3600
&a.example:192.0.2.6:ns2.a.example:3600
:a.example:43:\344\146\005\001abcdefghijklmnopqrst:3600
+ai.example:192.0.2.9:3600
:ai.example:13:\004Kilo\003ITS:3600
&c.example:192.0.2.7:ns1.c.example:3600
&c.example:192.0.2.8:ns2.c.example:3600
+ns1.example:192.0.2.1:3600
+ns2.example:192.0.2.2:3600
@*.w.example::ai.example:1:3600
@x.w.example::xx.example:1:3600
@x.y.w.example::xx.example:1:3600
+xx.example:192.0.2.10:3600
:xx.example:13:\004Kilo\003ITS:3600
`

// The examples of RFC 4035 and RFC 5155, appendix B, with the owners of NSEC
// and NSEC3 records that stand there, and more of the cases of RFC 4035,
// section 3.1, and RFC 5155, section 7.2.
func TestExamplesOfTheRFCs(t *testing.T) {
	salt := []byte{0xaa, 0xbb, 0xcc, 0xdd}
	p := dnssec.NSEC3Params{Iterations: 12, Salt: salt}
	plain := compile(t, sign(t, rfcZone, "example", bySignNSEC, p))
	hashed := compile(t, sign(t, rfcZone, "example", bySignOptOut, p))
	for _, x := range []struct {
		name  string
		typ   dns.Type
		rcode dns.RCode
		nsec  string // owners in authority, sorted
		nsec3 string
	}{
		// B.1, name error
		{"ml.example", dns.TypeA, dns.RCodeNXDomain, "c.example example", ""},
		{"a.c.x.w.example", dns.TypeA, dns.RCodeNXDomain, "x.w.example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 35mthgpgcu1qg68fab165klnsnk3dpvl b4um86eghhds6nea196smvmlo4ors995"},
		// B.2, no data; empty non-terminal
		{"ns1.example", dns.TypeMX, 0, "ns1.example", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"},
		{"y.w.example", dns.TypeA, 0, "x.w.example", "ji6neoaepv8b5o6k4ev33abha8ht9fgc"},
		{"w.example", dns.TypeA, 0, "ns2.example", "k8udemvp1j2f7eg6jebps17vp3n8i58h"},
		// B.3 and B.4 there, referrals with and without DS
		{"mc.a.example", dns.TypeMX, 0, "", ""},
		{"mc.c.example", dns.TypeMX, 0, "c.example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 35mthgpgcu1qg68fab165klnsnk3dpvl"},
		// wildcard expansion
		{"a.z.w.example", dns.TypeMX, 0, "x.y.w.example", "q04jkcevqvmu85r014c7dkba38o0ji5r"},
		// wildcard without the type
		{"a.z.w.example", dns.TypeAAAA, 0, "*.w.example x.y.w.example", "k8udemvp1j2f7eg6jebps17vp3n8i58h q04jkcevqvmu85r014c7dkba38o0ji5r r53bq7cc2uvmubfu5ocmm6pers9tk9en"},
		// the wildcard's own name
		{"*.w.example", dns.TypeAAAA, 0, "*.w.example", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"},
		{"*.w.example", dns.TypeMX, 0, "", ""},
		// DS at the apex, at cuts with and without, at a name that is no cut
		{"example", dns.TypeDS, 0, "example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"},
		{"a.example", dns.TypeDS, 0, "", ""},
		{"c.example", dns.TypeDS, 0, "c.example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 35mthgpgcu1qg68fab165klnsnk3dpvl"},
		{"ns1.example", dns.TypeDS, 0, "ns1.example", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"},
		{"x.c.example", dns.TypeDS, 0, "c.example", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom 35mthgpgcu1qg68fab165klnsnk3dpvl"},
		{"nx.example", dns.TypeDS, dns.RCodeNXDomain, "example ns2.example", ""},
		// RFC 5155, section 7.2.8: owners of NSEC3 records are no names
		{"2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", dns.TypeA, 0, "", ""},
		{"2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", dns.TypeNSEC3, 0, "2t7b4g4vsa5smi47k61mv5bv1a22bojr.example", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"},
		{"k8udemvp1j2f7eg6jebps17vp3n8i58h.example", dns.TypeNSEC3, dns.RCodeNXDomain, "", "?"},
	} {
		for i, d := range []*Data{plain, hashed} {
			want := []string{x.nsec, x.nsec3}[i]
			for _, do := range []bool{true, false} {
				var a Answerer
				q := question(t, x.name, x.typ)
				q.DO, q.Limit = do, 4096
				msg, _ := a.Answer(nil, d, q)
				h, rs := records(t, msg)
				var got []string
				sets, sigs := map[string]bool{}, map[string]bool{}
				for _, r := range rs {
					k := fmt.Sprint(r.sec, r.owner.Text(), " ")
					switch {
					case r.typ == dns.TypeNSEC && r.sec == wire.Authority:
						got = append(got, strings.Replace(r.owner.Text(), "\\052", "*", 1))
					case r.typ == dns.TypeNSEC3:
						got = append(got, strings.TrimSuffix(r.owner.Text(), ".example"))
					}
					if r.typ == dns.TypeRRSIG {
						sigs[k+dns.Type(binary.BigEndian.Uint16(r.data)).String()] = true
					} else if r.sec == wire.Answer || r.sec == wire.Authority && r.typ != dns.TypeNS {
						sets[k+r.typ.String()] = true
					}
				}
				slices.Sort(got)
				if h.RCode() != x.rcode {
					t.Errorf("%s %s: %s", x.name, x.typ, h.RCode())
				}
				if !do {
					if len(got) > 0 || len(sigs) > 0 {
						t.Errorf("%s %s without DO:\n%s", x.name, x.typ, text(t, msg))
					}
					continue
				}
				for s := range sets {
					if !sigs[s] {
						t.Errorf("%s %s: no signature of %s\n%s", x.name, x.typ, s, text(t, msg))
					}
				}
				if s := strings.Join(got, " "); s != want && !(want == "?" || want == "" && x.rcode == dns.RCodeNXDomain) {
					t.Errorf("%s %s: proved by\n%q, want\n%q", x.name, x.typ, s, want)
				}
			}
		}
	}
}

// An NSEC record in an unsigned zone proves nothing; it is answered when asked
// for.
func TestNSECWithoutChain(t *testing.T) {
	d := compile(t, `Zu.test:a.ns.u.test:h.u.test:1::::300
&u.test:192.0.2.1:a
:n.u.test:47:\001z\001u\004test\000\000\001\100
`)
	for _, x := range []struct {
		name  string
		typ   dns.Type
		types string
	}{
		{"nx.u.test", dns.TypeA, "SOA"},
		{"n.u.test", dns.TypeA, "SOA"},
		{"u.test", dns.TypeA, "SOA"},
		{"n.u.test", dns.TypeNSEC, "NSEC"},
	} {
		var a Answerer
		q := question(t, x.name, x.typ)
		q.DO, q.Limit = true, 4096
		msg, _ := a.Answer(nil, d, q)
		_, rs := records(t, msg)
		got := ""
		for _, r := range rs {
			if r.sec == wire.Answer || r.typ != dns.TypeNS && r.sec == wire.Authority {
				got += r.typ.String()
			}
		}
		if got != x.types {
			t.Errorf("%s %s: %q, want %q\n%s", x.name, x.typ, got, x.types, text(t, msg))
		}
	}
}

// Which zone answers for DS, and what of a name with data of both does each
// say (RFC 4035, section 3.1.4.1).
func TestParentAndChild(t *testing.T) {
	const data = `Zp.test:a.ns.p.test:h.p.test:1::::300
&p.test:192.0.2.1:a
&c.p.test:192.0.2.2:a
:c.p.test:43:\000\001\015\002abcd
&u.p.test:192.0.2.2:a
Zc.p.test:a.ns.c.p.test:h.p.test:1::::300
+w.c.p.test:192.0.2.3
Zu.p.test:a.ns.c.p.test:h.p.test:1::::300
&g.c.p.test:192.0.2.2:a
Zg.c.p.test:a.ns.c.p.test:h.p.test:1::::300
`
	only := strings.ReplaceAll(data, "Zp.test:a.ns.p.test:h.p.test:1::::300\n&p.test:192.0.2.1:a\n", "")
	p := dnssec.NSEC3Params{}
	for _, how := range []signing{bySignNSEC, bySignNSEC3, bySignOptOut} {
		both := compile(t, sign(t, sign(t, data, "c.p.test", how, p), "p.test", how, p))
		unsigned := compile(t, sign(t, data, "p.test", how, p))
		child := compile(t, sign(t, only, "c.p.test", how, p))
		for _, x := range []struct {
			d    *Data
			name string
			typ  dns.Type
			want string // of the answer section its types and their signers; of the authority the SOA's owner
		}{
			{both, "c.p.test", dns.TypeDS, "DS p.test"},
			{both, "u.p.test", dns.TypeDS, "SOA p.test"},
			{both, "g.c.p.test", dns.TypeDS, "SOA c.p.test"},
			{both, "p.test", dns.TypeDS, "SOA p.test"},
			{both, "c.p.test", dns.TypeSOA, "SOA c.p.test"},
			{both, "c.p.test", dns.TypeTXT, "SOA c.p.test"},
			{both, "c.p.test", dns.TypeNS, "NS c.p.test"},
			{both, "u.p.test", dns.TypeNS, "NS"},
			{unsigned, "c.p.test", dns.TypeDS, "DS p.test"},
			{unsigned, "c.p.test", dns.TypeNS, "NS"},
			{unsigned, "w.c.p.test", dns.TypeA, "A"},
			{unsigned, "x.c.p.test", dns.TypeA, "SOA c.p.test"},
			{unsigned, "c.p.test", dns.TypeRRSIG, "SOA c.p.test"},
			{unsigned, "c.p.test", dns.TypeNSEC, "SOA c.p.test"},
			{child, "c.p.test", dns.TypeDS, "DS"}, // a DS that nobody has asked for is still a record
			{child, "g.c.p.test", dns.TypeDS, "SOA c.p.test"},
		} {
			var a Answerer
			q := question(t, x.name, x.typ)
			q.DO, q.Limit = true, 4096
			msg, _ := a.Answer(nil, x.d, q)
			_, rs := records(t, msg)
			got := ""
			for _, r := range rs {
				switch {
				case r.sec == wire.Answer && r.typ == dns.TypeRRSIG && x.typ != dns.TypeRRSIG:
					n, _ := dnsname.Scan(r.data[18:])
					got += " " + dnsname.Name(r.data[18:18+n]).Text()
				case r.sec == wire.Answer:
					got += " " + r.typ.String()
				case r.typ == dns.TypeSOA:
					got += " SOA " + r.owner.Text()
				}
			}
			if got = strings.TrimSpace(got); got != x.want {
				t.Errorf("signing %d, %s %s: %q, want %q\n%s", how, x.name, x.typ, got, x.want, text(t, msg))
			}
		}
	}
}

// What answers say about random zones convinces package dnssec, which judges
// proofs by RFC 4035, section 5.4, and RFC 5155, section 8; and they carry no
// more NSEC and NSEC3 records than those need.
func TestProofsConvince(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	budget := func() *dnssec.Budget { b := dnssec.NewBudget(); return &b }
	kinds := map[string]int{}
	for round := range 120 {
		how := signing(round % 3)
		p := dnssec.NSEC3Params{Iterations: uint16(r.IntN(3)), Salt: make([]byte, r.IntN(3))}
		data := signableData(r)
		d := compile(t, sign(t, data, "z.test", how, p))
		var a Answerer
		zone := dnsname.Name(wireName(t, "z.test"))
		for range 120 {
			name := "z.test"
			for range r.IntN(5) {
				name = labels[r.IntN(len(labels))] + "." + name
			}
			q := question(t, name, []dns.Type{dns.TypeA, dns.TypeTXT, dns.TypeNS, dns.TypeDS, dns.TypeCNAME, dns.TypeMX}[r.IntN(6)])
			q.DO, q.Limit = true, 65000
			msg, _ := a.Answer(nil, d, q)
			h, rs := records(t, msg)
			denial := dnssec.Denial{Zone: zone}
			end, cut, hasDS, answered := dnsname.Name(q.Name), dnsname.Name(""), false, false
			wilds := map[dnsname.Name]int{}
			chain := 0
			for _, x := range rs {
				if x.typ == dns.TypeNSEC || x.typ == dns.TypeNSEC3 {
					if x.sec == wire.Authority {
						chain++
						denial.Add(&dnssec.RRset{Name: x.owner, Type: x.typ, Data: [][]byte{x.data}})
					}
				}
				switch {
				case x.sec == wire.Answer && x.typ == dns.TypeCNAME && x.owner == end && q.Type != dns.TypeCNAME:
					end = dnsname.Name(x.data).Lower()
				case x.sec == wire.Answer && x.typ == dns.TypeRRSIG:
					n := dnsname.Labels(x.owner)
					if dnsname.IsWildcard(x.owner) {
						n-- // RFC 4034, section 3.1.3
					}
					if l := int(x.data[3]); l < n {
						wilds[x.owner] = l
					}
				case x.sec == wire.Answer && x.typ != dns.TypeDNAME:
					answered = answered || x.typ == q.Type
				case x.sec == wire.Authority && x.typ == dns.TypeNS && x.owner != zone:
					cut = x.owner
				case x.sec == wire.Authority && x.typ == dns.TypeDS:
					hasDS = true
				}
			}
			fail := func(what string, p dnssec.Proof) {
				t.Helper()
				t.Fatalf("%s %s, signing %d: %s is not proved: %v\n%s\n%s", name, q.Type, how, what, p, text(t, msg), data)
			}
			good := func(p dnssec.Proof) bool {
				return p.Status == dnssec.Secure || how == bySignOptOut && p.Status == dnssec.Insecure
			}
			for owner, l := range wilds {
				kinds["wildcard"]++
				if p := denial.Wildcard(owner, l, budget()); !good(p) {
					fail("the wildcard at "+owner.Text(), p)
				}
			}
			need := len(wilds)
			switch {
			case h.RCode() == dns.RCodeYXDomain:
			case h.RCode() == dns.RCodeNXDomain:
				kinds["nxdomain"]++
				need += 3
				if p := denial.NXDomain(end, budget()); how == bySignOptOut && p.Reason == dnssec.ReasonNameExists {
					// Under opt-out an empty non-terminal that only leads to
					// unsigned delegations has no record (RFC 5155, erratum
					// 3441). With a wildcard above it nothing can prove that
					// names below it do not exist.
					kinds["unprovable"]++
				} else if !good(p) {
					fail("the absence of "+end.Text(), p)
				}
			case cut != "":
				kinds["referral"]++
				need += 2
				if w, p := denial.NoDS(cut, budget()); !hasDS && (!good(p) || w != dnssec.DelegationInsecure) {
					fail("the missing DS of "+cut.Text(), p)
				}
			case end == zone && q.Type == dns.TypeDS: // only the parent could prove that
				need++
			case !answered && dnsname.IsBelow(end, zone):
				looped := false
				for _, x := range rs { // a loop ends where it began
					looped = looped || x.sec == wire.Answer && x.typ == dns.TypeCNAME && x.owner == end
				}
				if looped {
					break
				}
				kinds["nodata"]++
				need += 3
				if p := denial.NoData(end, q.Type, budget()); !good(p) {
					fail("the absence of "+q.Type.String()+" at "+end.Text(), p)
				}
			}
			if chain > need {
				t.Fatalf("%s %s, signing %d: %d records of the chain, %d would do\n%s\n%s", name, q.Type, how, chain, need, text(t, msg), data)
			}
		}
	}
	if kinds["unprovable"] > kinds["nxdomain"]/20 {
		t.Errorf("%d of %d names not proved absent", kinds["unprovable"], kinds["nxdomain"])
	}
	for _, k := range []string{"wildcard", "nxdomain", "referral", "nodata"} {
		if kinds[k] < 250 {
			t.Errorf("only %d of kind %s", kinds[k], k)
		}
	}
}

// signableData is a zone that a signer would accept.
func signableData(r *rand.Rand) string {
	b := new(strings.Builder)
	b.WriteString("Zz.test:ns.z.test:h.z.test:1:2:3:4:60:600\n&z.test:192.0.2.1:ns.z.test:600\n:z.test:48:\\001\\001\\003\\015key:600\n")
	used := map[string]bool{"z.test": true, "ns.z.test": true}
	var stops []string
	for range r.IntN(14) {
		n := "z.test"
		for range 1 + r.IntN(3) {
			n = []string{"a", "b", "www", "x", "*", "\\052"}[r.IntN(6)] + "." + n
		}
		n = strings.ReplaceAll(n, "\\052", "*")
		if used[n] || slices.ContainsFunc(stops, func(s string) bool { return strings.HasSuffix(n, "."+s) }) {
			continue
		}
		below := false
		for u := range used {
			below = below || strings.HasSuffix(u, "."+n)
		}
		used[n] = true
		to := func() string { return labels[r.IntN(len(labels))] + ".z.test" }
		switch k := r.IntN(8); {
		case k < 2 && !below && n[0] != '*':
			fmt.Fprintf(b, "&%s::ns.elsewhere.example:600\n", n)
			if r.IntN(2) == 0 {
				fmt.Fprintf(b, ":%s:43:\\000\\001\\015\\002abcd:600\n", n)
			}
			stops = append(stops, n)
		case k == 2 && !below && n[0] != '*':
			fmt.Fprintf(b, ":%s:DNAME:%s:600\n", n, to())
			stops = append(stops, n)
		case k == 3:
			fmt.Fprintf(b, "C%s:%s:600\n", n, to())
		case k == 4:
			fmt.Fprintf(b, "'%s:text:600\n", n)
		default:
			fmt.Fprintf(b, "+%s:192.0.2.1:600\n", n)
		}
	}
	return b.String()
}

// No kind of answer allocates, from the packet to the answer's bytes.
func TestNoKindAllocates(t *testing.T) {
	p := dnssec.NSEC3Params{Iterations: 5, Salt: []byte{1, 2}}
	data := `%in:127
%ex:[192.0.2.0]/25
Zz.test:ns.z.test:h.z.test:1:2:3:4:60:600
&z.test:192.0.2.1:ns.z.test:600
:z.test:48:\001\001\003\015key:600
+www.z.test:192.0.2.1:600
+*.w.z.test:192.0.2.1:600
+a.ent.z.test:192.0.2.1:600
Cc1.z.test:c2.z.test:600
Cc2.z.test:q.w.z.test:600
Cc3.z.test:x.plain.z.test:600
:d.z.test:DNAME:w.z.test:600
&secure.z.test:192.0.2.2:ns.secure.z.test:600
:secure.z.test:43:\000\001\015\002abcd:600
&plain.z.test:192.0.2.2:ns.plain.z.test:600
@mx.z.test::www.z.test:10:600
`
	for i := range 30 {
		data += fmt.Sprintf("'long.z.test:%d%s:600\n+many.z.test:192.0.2.%d:600\n", i, strings.Repeat("x", 60), i)
	}
	options := []string{"", "\x00\x03\x00\x00", "\x00\x0a\x00\x08abcdefgh", "\x00\x08\x00\x07\x00\x01\x18\x00\xc0\x00\x02", "\x00\x0a\x00\x03abc", "\x00\x64\x00\x01x"}
	for how, text := range map[string]string{
		"unsigned": data, "NSEC": sign(t, data, "z.test", bySignNSEC, p), "NSEC3": sign(t, data, "z.test", bySignNSEC3, p), "opt-out": sign(t, data, "z.test", bySignOptOut, p),
	} {
		text += "+located.z.test:192.0.2.2:600::in\n+timed.z.test:192.0.2.2:0:4100000000000000\n"
		prog := &fuzzProgram{d: compile(t, text)}
		resp := content.Responder{Program: prog, Config: content.Config{NSID: []byte("here"), ECS: true, Cookies: []cookie.Secret{{1}}}}
		buf := make([]byte, 0, 1<<16)
		var q content.Question
		peer := content.Peer{Addr: content.AddrFrom4([4]byte{127, 0, 0, 1}), Port: 53}
		try := func(what string, packet []byte, tcp bool) {
			run := func() { resp.Respond(buf, packet, &q, &peer, tcp, content.Time{TAI: 1<<62 + 5}) }
			run()
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%s, %s: %v allocations", how, what, n)
			}
		}
		for _, name := range []string{"www.z.test", "nx.z.test", "a.b.c.nx.z.test", "q.w.z.test", "ent.z.test", "c1.z.test", "c3.z.test", "x.d.z.test", "d.z.test", "x.secure.z.test", "secure.z.test",
			"x.plain.z.test", "plain.z.test", "mx.z.test", "long.z.test", "many.z.test", "z.test", "example.net", "located.z.test", "timed.z.test", "*.w.z.test"} {
			for _, typ := range []dns.Type{dns.TypeA, dns.TypeMX, dns.TypeTXT, dns.TypeANY, dns.TypeDS, dns.TypeNSEC, dns.TypeRRSIG, dns.TypeDNSKEY, dns.TypeAXFR} {
				try(name+" "+typ.String()+" plain", ednsQuery(t, name, typ, 0, -1, 0, ""), false)
				for _, o := range options {
					try(fmt.Sprintf("%s %s option %q", name, typ, o), ednsQuery(t, name, typ, 0, 0, 0x8000, o), false)
				}
				try(name+" "+typ.String()+" over TCP", ednsQuery(t, name, typ, 0, 0, 0x8000, ""), true)
			}
		}
		try("BADVERS", ednsQuery(t, "www.z.test", dns.TypeA, 0, 1, 0, ""), false)
		try("opcode", ednsQuery(t, "www.z.test", dns.TypeA, 4<<11, 0, 0, ""), false)
		try("an answer", ednsQuery(t, "www.z.test", dns.TypeA, 1<<15, 0, 0, ""), false)
	}
}

// ednsQuery makes a query packet; version -1: without OPT.
func ednsQuery(t testing.TB, name string, typ dns.Type, bits uint16, version int, flags uint16, options string) []byte {
	p := []byte{0, 1, byte(bits >> 8), byte(bits), 0, 1, 0, 0, 0, 0, 0, 0}
	p = append(p, wireName(t, name)...)
	p = append(p, byte(typ>>8), byte(typ), 0, byte(dns.ClassIN))
	if version >= 0 {
		p[11] = 1
		p = append(p, 0, 0, byte(dns.TypeOPT), 0x04, 0xD0, 0, byte(version), byte(flags>>8), byte(flags), byte(len(options)>>8), byte(len(options)))
		p = append(p, options...)
	}
	return p
}

// TestNSEC3ParametersStay: questions about a zone that is hashed with too many
// iterations, or whose apex is not the same for everybody, leave the parameters
// of other zones alone.
func TestNSEC3ParametersStay(t *testing.T) {
	zone := func(name, more string) string {
		return "Z" + name + ":ns." + name + ":h." + name + ":1\n&" + name + ":192.0.2.1:ns." + name + "\n+www." + name + ":192.0.2.2\n" + more
	}
	all := sign(t, zone("a.test", ""), "a.test", bySignNSEC3, dnssec.NSEC3Params{Salt: []byte{1}}) +
		sign(t, zone("many.test", ""), "many.test", bySignNSEC3, dnssec.NSEC3Params{Iterations: 600, Salt: []byte{2}}) +
		sign(t, zone("loc.test", "%lo:10\n+loc.test:192.0.2.9:300::lo\n"), "loc.test", bySignNSEC3, dnssec.NSEC3Params{Iterations: 3, Salt: []byte{3}})
	d := compile(t, all)
	answer := func(a *Answerer, name string) string {
		q := question(t, name, dns.TypeA)
		q.DO, q.Limit = true, 4096
		msg, _ := a.Answer(nil, d, q)
		return string(msg)
	}
	var used Answerer
	for _, other := range []string{"nx.many.test", "nx.loc.test", "nx.a.test", "nx.many.test"} {
		answer(&used, other)
		for _, name := range []string{"nx1.a.test", "www.a.test", "nx2.x.a.test"} {
			var fresh Answerer
			if got, want := answer(&used, name), answer(&fresh, name); got != want {
				t.Errorf("%s after %s: %d bytes, not the %d of a fresh one", name, other, len(got), len(want))
			}
		}
	}
}
