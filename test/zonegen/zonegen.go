// Package zonegen makes zones that a BIND may have: many record types, and the
// same records in every way that master files allow them to be written. For
// tests only; what it makes depends on the random source alone.
package zonegen

import (
	"fmt"
	"math/rand"
	"strings"
)

// Zone is a generated zone.
type Zone struct {
	Origin string            // with final dot
	Main   string            // name of the main file
	Files  map[string]string // name -> text
}

// Options shape a zone.
type Options struct {
	Origin string
	Names  int    // owner names, about
	Dir    string // before file names in $INCLUDE, with final slash
	Plain  bool   // no hairy syntax
}

// Make generates a zone.
func Make(r *rand.Rand, o Options) *Zone {
	g := &gen{Rand: r, o: o, zone: strings.ToLower(o.Origin)}
	g.z = &Zone{Origin: o.Origin, Files: map[string]string{}}
	g.file = "db." + strings.NewReplacer("/", "_", "\\", "_").Replace(strings.TrimSuffix(o.Origin, "."))
	g.z.Main = g.file
	g.main()
	g.z.Files[g.z.Main] = g.b.String()
	return g.z
}

type gen struct {
	*rand.Rand
	o      Options
	z      *Zone
	b      strings.Builder
	zone   string // with final dot
	origin string // present $ORIGIN
	ttl    int    // present $TTL
	last   string // last owner
	file   string
	made   int // include files
}

func (g *gen) chance(n int) bool { return !g.o.Plain && g.Intn(n) == 0 }

func (g *gen) main() {
	g.origin, g.ttl = g.zone, 3600
	if g.chance(3) {
		g.b.WriteString("; a zone\n\n")
	}
	fmt.Fprintf(&g.b, "$TTL %s\n", g.period(g.ttl))
	if g.chance(4) {
		g.b.WriteString("$ORIGIN " + g.zone + "\n")
	}
	g.last = ""
	g.record(g.zone, 3600, "SOA", fmt.Sprintf("%s %s ( %d ; serial\n\t%s %s\n %s ; expire\n\t300 )", "ns1."+g.zone, `host\.master.`+g.zone, 1+g.Intn(1<<31), g.period(7200), g.period(900), g.period(1209600)))
	g.record(g.zone, 3600, "NS", "ns1."+g.zone)
	g.record(g.zone, 3600, "NS", "NS2."+g.zone)
	g.record("ns1."+g.zone, 3600, "A", g.ip4())
	g.record("ns2."+g.zone, 3600, "AAAA", g.ip6())
	if g.Intn(2) == 0 {
		g.record(g.zone, 600, "MX", fmt.Sprintf("%d %s", g.Intn(100), "mail."+g.zone))
		g.record(g.zone, 300, "TXT", `"v=spf1 mx -all"`)
		g.record(g.zone, 300, "CAA", `0 issue "ca.example; policy=ev"`)
	}
	for i := 0; i < g.o.Names; i++ {
		g.entity(i)
		if g.chance(15) {
			g.include(i)
		}
	}
	if g.chance(2) {
		g.generate()
	}
}

// entity makes everything about one owner name.
func (g *gen) entity(i int) {
	owner := fmt.Sprintf("h%d.%s", i, g.zone)
	switch g.Intn(14) {
	case 0:
		g.record(owner, g.ttlOf(), "CNAME", fmt.Sprintf("h%d.%s", g.Intn(g.o.Names), g.zone))
		return
	case 1:
		g.record(owner, g.ttlOf(), "CNAME", "www.outside.test.")
		return
	case 2: // delegation, with glue of every kind
		t := g.ttlOf()
		g.record(owner, t, "NS", "ns."+owner)
		g.record(owner, t, "NS", "ns.outside.test.")
		g.record("ns."+owner, g.ttlOf(), "A", g.ip4())
		if g.Intn(2) == 0 {
			g.record("ns."+owner, g.ttlOf(), "AAAA", g.ip6())
		}
		if g.Intn(3) == 0 {
			g.record(owner, t, "DS", fmt.Sprintf("%d 13 2 %064x", g.Intn(65536), g.Int63()))
		}
		return
	case 3: // wildcard below
		w := "*." + owner
		t := g.ttlOf()
		g.record(w, t, "A", g.ip4())
		if g.Intn(2) == 0 {
			g.record(w, t, "MX", "10 "+"mail."+g.zone)
		}
		if g.Intn(2) == 0 {
			g.record("real."+owner, t, "TXT", `"hides the wildcard"`)
		}
		return
	case 4: // deep name, empty non-terminals above it
		owner = "a.b.c." + owner
	case 5: // odd owner names
		owner = g.pick(`od\.d`, `sp\032ace`, `under_score`, `UPPER`, `q\"uote`, `semi\;colon`, `\100at`, `do\$lar`, `pa\(ren`, `0/25`, `back\\slash`, `\000nul`, `\255high`, `-dash-`) + fmt.Sprintf("%d.%s", i, g.zone)
	}
	for n := 1 + g.Intn(3); n > 0; n-- {
		t := g.ttlOf()
		typ, data := g.data(owner)
		g.record(owner, t, typ, data)
		if typ == "A" || typ == "TXT" || typ == "AAAA" { // more of the same
			for g.Intn(3) == 0 {
				if typ == "A" {
					g.record(owner, t, typ, g.ip4())
				} else if typ == "AAAA" {
					g.record(owner, t, typ, g.ip6())
				} else {
					g.record(owner, t, typ, g.str())
				}
			}
		}
	}
}

func (g *gen) pick(s ...string) string { return s[g.Intn(len(s))] }
func (g *gen) ttlOf() int              { return []int{0, 1, 60, 300, 3600, 3600, 86400, 604800, 90061}[g.Intn(9)] }
func (g *gen) ip4() string {
	return fmt.Sprintf("%d.%d.%d.%d", g.Intn(256), g.Intn(256), g.Intn(256), g.Intn(256))
}
func (g *gen) ip6() string {
	return g.pick(fmt.Sprintf("2001:db8::%x", g.Intn(65536)), fmt.Sprintf("2001:DB8:%x:0:0:0:0:%x", g.Intn(65536), g.Intn(65536)), fmt.Sprintf("::ffff:192.0.2.%d", g.Intn(256)), "::", fmt.Sprintf("fe80::%x:0:%x", g.Intn(65536), g.Intn(65536)))
}

// str is a character-string in one of its forms.
func (g *gen) str() string {
	return g.pick(`"plain text"`, `unquoted`, `"with \"quotes\" and \\backslash"`, `"semi;colon (paren)"`, `esc\;aped\ blank`, `"\000\001\255"`, `""`, `"`+strings.Repeat("long", 1+g.Intn(60))+`"`, `"v=DKIM1; k=rsa; p=MIGf`+strings.Repeat("A", 180)+`" "`+strings.Repeat("B", 100)+`"`, `"colon:s:and\tetc"`, fmt.Sprintf(`"n%d"`, g.Int31()), "a b c", "\"tab\there\"", `caf\195\169`)
}

func (g *gen) hex(n int) string {
	var b strings.Builder
	for range n {
		fmt.Fprintf(&b, "%02x", g.Intn(256))
	}
	return b.String()
}

func (g *gen) data(owner string) (string, string) {
	host := fmt.Sprintf("h%d.%s", g.Intn(g.o.Names), g.zone)
	list := [][2]string{
		{"A", g.ip4()}, {"A", g.ip4()}, {"A", g.ip4()}, {"AAAA", g.ip6()}, {"AAAA", g.ip6()}, {"TXT", g.str()}, {"TXT", g.str()}, {"TXT", g.str()},
		{"MX", fmt.Sprintf("%d %s", g.Intn(65536), host)}, {"PTR", host}, {"HINFO", `"PC Intel" Linux`},
		{"RP", "admin." + g.zone + " ."}, {"AFSDB", "1 " + host}, {"X25", "311061700956"}, {"ISDN", `"150862028003217" "004"`}, {"RT", "10 " + host},
		{"SRV", fmt.Sprintf("%d 0 %d %s", g.Intn(100), g.Intn(65536), host)},
		{"NAPTR", fmt.Sprintf(`%d 50 "s" "SIP+D2U" "" _sip._udp.%s`, g.Intn(100), g.zone)}, {"NAPTR", `100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .`},
		{"KX", "1 " + host}, {"CERT", "PGP 0 0 mQINBFI="}, {"APL", "1:192.0.2.0/24 !2:2001:db8::/32"}, {"SSHFP", "4 2 " + g.hex(32)}, {"SSHFP", "1 1 " + g.hex(20)},
		{"IPSECKEY", "10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ=="}, {"DHCID", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA="},
		{"TLSA", "3 1 1 " + g.hex(32)}, {"SMIMEA", "3 0 1 " + g.hex(32)}, {"HIP", "2 200100107B1A74DF365639CC39F1D578 AwEAAbdxyhNuSutc5EMzxTs9LBPCIkOFH8cIvM4p9+LrV4e19WzK00+CI6zBCQTdtWsuxKbWIy87UOoJTwkUs7lBu+Upr1gsNrut79ryra+bSRGQb1slImA8YVJyuIDsj7kwzG7jnERNqnWxZ48AWkskmdHaVDP4BcelrTI3rMXdXF5D rvs.example."},
		{"OPENPGPKEY", "AQIDBAUGBwg="}, {"SVCB", "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1"}, {"HTTPS", "0 " + host}, {"HTTPS", `1 . alpn="h2" key667="hello there"`},
		{"SPF", `"v=spf1 -all"`}, {"NID", "10 0014:4fff:ff20:ee64"}, {"L32", "10 10.1.2.0"}, {"L64", "10 2001:db8:1140:1000"}, {"LP", "10 l64.example."}, {"EUI48", "00-00-5e-00-53-2a"}, {"EUI64", "00-00-5e-ef-10-00-00-2a"},
		{"URI", `10 1 "https://example.com/a?b=c:d"`}, {"CAA", `128 iodef "mailto:sec@example.com"`}, {"LOC", "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m"}, {"LOC", "42 21 N 71 W 10m"},
		{"AMTRELAY", "10 0 1 203.0.113.15"}, {"TYPE65280", fmt.Sprintf(`\# 4 %s`, g.hex(4))}, {"TYPE1", `\# 4 0A000001`}, {"TYPE731", `\# 6 abcd ( ef 01 23 45 )`}, {"GPOS", "-32.6882 116.8652 10.0"}, {"NSAP", "0x47000580005a0000000001e133ffffff00016100"},
		{"WKS", "10.0.0.1 TCP 25 80"}, {"PX", "10 map822. mapx400."}, {"MINFO", "admin." + g.zone + " errors."}, {"DLV", "60485 5 1 " + g.hex(20)}, {"AVC", `"app-name:WOLFGANG"`}, {"NULL", `\# 3 616263`},
	}
	p := list[g.Intn(len(list))]
	return p[0], p[1]
}

// period writes seconds in one of their forms.
func (g *gen) period(n int) string {
	if n > 0 && g.chance(2) {
		var b strings.Builder
		for _, u := range []struct {
			s int
			c string
		}{{604800, "w"}, {86400, "d"}, {3600, "h"}, {60, "m"}, {1, "s"}} {
			if k := n / u.s; k > 0 {
				c := u.c
				if g.Intn(2) == 0 {
					c = strings.ToUpper(c)
				}
				fmt.Fprintf(&b, "%d%s", k, c)
				n %= u.s
			}
		}
		return b.String()
	}
	return fmt.Sprint(n)
}

// name writes an absolute name in one of its forms.
func (g *gen) name(n string) string {
	if n == g.origin && g.chance(2) {
		return "@"
	}
	if strings.HasSuffix(n, "."+g.origin) && !g.chance(3) {
		return strings.TrimSuffix(n, "."+g.origin)
	}
	return n
}

// record writes one record.
func (g *gen) record(owner string, ttl int, typ, data string) {
	b := &g.b
	if g.chance(12) {
		fmt.Fprintf(b, "\n   ; about %s (\n", owner)
	}
	if g.chance(12) && g.origin != g.zone {
		g.setOrigin(g.zone)
	} else if g.chance(25) && typ != "SOA" && strings.Contains(strings.TrimSuffix(g.zone, "."), ".") {
		g.setOrigin(g.zone[strings.Index(g.zone, ".")+1:])
	}
	if g.chance(20) && typ != "SOA" {
		g.ttl = g.ttlOf()
		fmt.Fprintf(b, "$TTL %s\n", g.period(g.ttl))
	}
	data = g.relative(typ, data)
	open := g.chance(8)
	if owner == g.last && g.Intn(3) > 0 {
		b.WriteString(g.pick(" ", "\t", "\t\t"))
	} else {
		b.WriteString(g.name(owner) + g.pick(" ", "\t"))
		g.last = owner
	}
	if open {
		b.WriteString("( ; spread\n ")
	}
	var head []string
	if ttl != g.ttl || g.Intn(4) == 0 {
		head = append(head, g.period(ttl))
	}
	if g.Intn(2) == 0 {
		head = append(head, g.pick("IN", "in", "CLASS1", "IN"))
	}
	if len(head) == 2 && g.Intn(2) == 0 {
		head[0], head[1] = head[1], head[0]
	}
	if g.chance(5) {
		typ = strings.ToLower(typ)
	}
	head = append(head, typ)
	b.WriteString(strings.Join(head, g.pick(" ", "\t")) + " ")
	if open {
		b.WriteString("\n\t" + data + "\n ) ; closed\n")
		return
	}
	b.WriteString(data)
	if g.chance(6) {
		b.WriteString(" ; comment \" with quotes")
	}
	b.WriteString(g.eol())
}

func (g *gen) eol() string {
	if g.chance(20) {
		return "\r\n"
	}
	return "\n"
}

// withNames are the types whose data may have relative names.
var withNames = map[string]bool{"SOA": true, "NS": true, "CNAME": true, "MX": true, "PTR": true, "RP": true, "AFSDB": true, "RT": true, "SRV": true, "KX": true, "MINFO": true, "HTTPS": true}

// relative shortens absolute names in data now and then.
func (g *gen) relative(typ, data string) string {
	if !withNames[typ] {
		return data
	}
	f := strings.Split(data, " ")
	for i, w := range f {
		f[i] = g.name(w)
	}
	return strings.Join(f, " ")
}

func (g *gen) setOrigin(n string) {
	if g.origin != n && strings.HasSuffix(n, "."+g.origin) && g.Intn(2) == 0 {
		fmt.Fprintf(&g.b, "$ORIGIN %s\n", strings.TrimSuffix(n, "."+g.origin))
	} else {
		fmt.Fprintf(&g.b, "$origin %s\n", n)
	}
	g.origin = n
}

// include puts a few records into a file of their own.
func (g *gen) include(i int) {
	g.made++
	name := fmt.Sprintf("%s%s.inc%d", g.o.Dir, g.file, g.made)
	sub := fmt.Sprintf("inc%d.%s", i, g.zone)
	t := fmt.Sprintf("%s 120 IN A %s\n@ IN 60 TXT \"in %s\"\n$ORIGIN x.%s\ny 5 A %s\n", g.pick("a", "b.c"), g.ip4(), name, sub, g.ip4())
	g.z.Files[strings.TrimPrefix(name, g.o.Dir)] = t
	fmt.Fprintf(&g.b, "$INCLUDE %s %s ; comes back\n", g.pick(name, `"`+name+`"`), sub)
	g.last = "" // which owner holds now is the reader's business
}

func (g *gen) generate() {
	o := g.zone
	switch g.Intn(5) {
	case 0:
		fmt.Fprintf(&g.b, "$GENERATE 1-%d gen-$.%s 300 A 10.0.0.$\n", 2+g.Intn(20), o)
	case 1:
		fmt.Fprintf(&g.b, "$GENERATE 0-%d/3 gx${16,4,x}.%s IN CNAME h${-0,0,d}.%s\n", 10+g.Intn(20), o, o)
	case 2:
		fmt.Fprintf(&g.b, "$GENERATE 5-9 ${0,3,n}.rev.%s PTR p${100,5}.%s\n", o, o)
	case 3:
		fmt.Fprintf(&g.b, "$GENERATE 1-3 gm.%s 77 MX \"$0 m${0,2,o}.%s\"\n", o, o)
	case 4:
		fmt.Fprintf(&g.b, "$GENERATE 7-12 gt${0,2,X}.%s TXT \"number $ of \\\"many\\\"\"\n", o)
	}
	g.last = ""
}
