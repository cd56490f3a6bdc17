package resolver

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
)

// golden plays a fixture of the old program in this process: its questions,
// its scripted servers, its log lines.
type golden struct {
	t     *testing.T
	e     *Engine
	now   Time
	auth  map[string][]string // "ip type name" in lower case -> responses, the last repeats
	log   []string
	reply []byte
	id    uint16
	tcp   bool
	n     uint64
	out   []delivery
	hide  bool
}

type delivery struct {
	token Token
	msg   []byte
}

func (g *golden) SendUDP(to netip.AddrPort, msg []byte, token Token) bool {
	return g.send("udp", to, msg, token)
}
func (g *golden) SendTCP(to netip.AddrPort, msg []byte, token Token) bool {
	return g.send("tcp", to, msg, token)
}
func (g *golden) Cancel(Token) {}

func (g *golden) send(proto string, to netip.AddrPort, msg []byte, token Token) bool {
	c, _ := wire.Parse(msg)
	name, typ, _, err := c.Question(nil)
	if err != nil {
		g.t.Fatal(err)
	}
	end := c.Offset()
	text := strings.TrimSuffix(dnsname.Name(name).Text(), ".")
	var reply []byte
	for _, p := range []string{proto, "any"} {
		k := fmt.Sprintf("%s %s %d %s", to.Addr(), p, typ, text)
		if a := g.auth[k]; len(a) > 0 {
			reply, _ = hex.DecodeString(a[0])
			if len(a) > 1 {
				g.auth[k] = a[1:]
			}
			break
		}
	}
	if reply == nil {
		reply = append([]byte{0, 0, 0x80, 5, 0, 1, 0, 0, 0, 0, 0, 0}, msg[12:end]...)
	}
	copy(reply, msg[:2])
	if len(reply) >= end { // the fixtures know no random letter case
		copy(reply[12:], msg[12:end])
	}
	g.out = append(g.out, delivery{token, reply})
	return true
}

func (g *golden) Event(ev *Event) {
	if line, ok := AppendLog(nil, ev, g.n, 1, 0); ok {
		g.log = append(g.log, string(line))
	}
}

func (g *golden) Done(q *Question, a *Answer) {
	p := Reply{ID: g.id, Name: q.Name, Type: q.Type, Class: dns.ClassIN, RD: true, Max: 512, HideTTL: g.hide}
	if g.tcp {
		p.Max = 65535
	}
	var b wire.Builder
	g.reply = AppendReply(nil, &b, &p, a)
	g.log = append(g.log, fmt.Sprintf("sent %d %d", g.n, len(g.reply)))
}

type block []struct{ key, value string }

func readBlocks(t *testing.T, file string) []block {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []block
	var cur block
	for _, l := range append(strings.Split(string(text), "\n"), "") {
		if l == "" {
			if cur != nil {
				out = append(out, cur)
			}
			cur = nil
			continue
		}
		if l[0] == '#' {
			continue
		}
		k, v, _ := strings.Cut(l, ": ")
		cur = append(cur, struct{ key, value string }{strings.TrimSuffix(k, ":"), v})
	}
	return out
}

func (b block) one(key string) (string, bool) {
	for _, p := range b {
		if p.key == key {
			return p.value, true
		}
	}
	return "", false
}

func (b block) all(key string) (out []string) {
	for _, p := range b {
		if p.key == key {
			out = append(out, p.value)
		}
	}
	return out
}

// differs are the steps of the fixtures in which this program means to differ,
// by the rule in docs/differences.md.
var differs = func() map[string]string {
	m := map[string]string{}
	for _, r := range []struct{ rule, steps string }{
		{"smallest-ttl: an RRset has one TTL, the smallest (RFC 2181, section 5.2)",
			"basic 4,basic 5,basic 34,basic 35"},
		{"negative-soa: negative answers carry the SOA and live as it says; AA is clear (RFC 2308, sections 3 and 5)",
			"basic 16,basic 17,basic 18,basic 19,basic 20,basic 54,forwardonly 4,forwardonly 5,forwardonly 6,forwardonly 7,forwardonly 8"},
		{"additional-is-no-answer: additional data are used for nothing but reaching servers (RFC 2181, section 5.4.1)",
			"basic 25,basic 45"},
		{"parents-ns-is-no-answer: NS is asked of the zone itself (RFC 2181, section 5.4.1)", "basic 26"},
		{"soa-is-cached: like other data (CVE-2008-4392)", "basic 29"},
		{"loops-fail: SERVFAIL instead of silence (RFC 1034, section 3.6.2)", "basic 47"},
		{"glueless-depth: seven levels, cached addresses at all of them; circles are seen at once", "glueless 1,glueless 2"},
		{"failures-are-cached: RFC 9520", "glueless 4"},
		{"truncated-counts: what was cut off is not counted in the header (RFC 2181, section 9)", "basic 37"},
		{"motion: the count of bytes written, after a step above that wrote more or less",
			"glueless 3"},
	} {
		for _, s := range strings.Split(r.steps, ",") {
			m[s] = r.rule
		}
	}
	return m
}()

func TestGolden(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(testbin.Shared(t, "compat/golden/dnscache"), "*.scenario"))
	if len(files) == 0 {
		t.Fatal("no fixtures")
	}
	good := 0
	for _, f := range files {
		blocks := readBlocks(t, f)
		head := blocks[0]
		cfg := &Config{LocalZones: true, IPv4: true, QMin: true, Case0x20: true}
		g := &golden{t: t, auth: map[string][]string{}, now: 1_000_000 * Second}
		for _, e := range head.all("env") {
			if strings.HasPrefix(e, "FORWARDONLY") {
				cfg.ForwardOnly = true
			}
			if strings.HasPrefix(e, "HIDETTL") {
				g.hide = true
			}
		}
		zones := map[string]*Zone{}
		var order []string
		for _, s := range head.all("servers") {
			name, line, _ := strings.Cut(s, " ")
			if zones[name] == nil {
				n := dnsname.Root
				if name != "@" {
					n, _ = dnsname.ParseDot(name)
				}
				zones[name] = &Zone{Name: n.Lower()}
				order = append(order, name)
			}
			if a, err := netip.ParseAddr(strings.Fields(line + " x")[0]); err == nil {
				zones[name].Servers = append(zones[name].Servers, netip.AddrPortFrom(a, 53))
			}
		}
		for _, n := range order {
			cfg.Zones = append(cfg.Zones, *zones[n])
		}
		for _, a := range head.all("auth") {
			w := strings.Fields(a)
			typ, ok := dns.ParseType(w[2])
			if !ok {
				var n int
				fmt.Sscan(w[2], &n)
				typ = dns.Type(n)
			}
			k := fmt.Sprintf("%s %s %d %s", w[0], w[1], typ, strings.ToLower(strings.TrimSuffix(w[3], ".")))
			g.auth[k] = append(g.auth[k], w[4])
		}
		g.e = New(cfg, NewMapCache(), g, g, g, rand.New(rand.NewPCG(1, 2)))
		for _, b := range blocks[1:] {
			num, _ := b.one("step")
			note, _ := b.one("note")
			text, tcp := b.one("tcp")
			if !tcp {
				text, _ = b.one("udp")
			}
			query, _ := hex.DecodeString(text)
			c, err := wire.Parse(query)
			if err != nil {
				continue
			}
			name, typ, class, err := c.Question(nil)
			var want []string
			for _, l := range b.all("log") {
				if !strings.HasPrefix(l, "query") && !strings.HasPrefix(l, "tcp") && !strings.HasPrefix(l, "drop") {
					want = append(want, l)
				}
			}
			if h := c.Header; err != nil || h.QDCount != 1 || h.Bits&(wire.BitQR|wire.BitTC|wire.MaskOpcode) != 0 || h.Bits&wire.BitRD == 0 ||
				class != dns.ClassIN && class != dns.ClassANY || typ == dns.TypeAXFR || len(b.all("log")) == 0 || class == dns.ClassANY {
				continue // the front's business
			}
			g.log, g.reply, g.id, g.tcp = nil, nil, c.Header.ID, tcp
			var line string
			for _, l := range b.all("log") {
				if strings.HasPrefix(l, "query") {
					line = l
				}
			}
			fmt.Sscanf(line, "query %d", &g.n)
			g.e.Ask(g.now, &Question{Name: name, Type: typ, Serial: g.n})
			for i := 0; len(g.out) > 0 && i < 1000; i++ {
				d := g.out[0]
				g.out = g.out[1:]
				g.now += Millisecond
				g.e.Deliver(g.now, d.token, d.msg)
			}
			for i := 0; g.reply == nil && i < 100; i++ {
				at, ok := g.e.NextTimer()
				if !ok {
					break
				}
				g.now = at
				g.e.Expire(at)
			}
			reply, _ := b.one("reply")
			key := strings.TrimSuffix(filepath.Base(f), ".scenario") + " " + num
			var bad string
			if got := strings.Join(g.log, "\n"); got != strings.Join(want, "\n") {
				bad = fmt.Sprintf("log:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
			} else if hex.EncodeToString(g.reply) != reply && !sameButTTL(g.reply, reply) {
				bad = fmt.Sprintf("reply:\n%x\nwant:\n%s", g.reply, reply)
			}
			switch {
			case bad == "":
				good++
				if differs[key] != "" {
					t.Errorf("%s (%s) agrees with the old program, although it is listed: %s", key, note, differs[key])
				}
			case differs[key] == "":
				t.Errorf("%s (%s):\n%s", key, note, bad)
			}
		}
	}
	t.Logf("%d steps as the old program", good)
}

// sameButTTL: TTLs from the cache may be a few seconds off.
func sameButTTL(got []byte, want string) bool {
	w, _ := hex.DecodeString(want)
	if len(w) != len(got) {
		return false
	}
	diff := 0
	if string(w[:12]) != string(got[:12]) {
		return false
	}
	for i := range w {
		if w[i] != got[i] {
			diff++
			if d := int(w[i]) - int(got[i]); d > 60 || d < -60 {
				return false
			}
		}
	}
	return diff <= 8
}
