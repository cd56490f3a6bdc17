package clients_test

import (
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/wire"
)

// query is what a server was asked.
type query struct {
	msg  []byte
	id   uint16
	wire dnsname.Name // as it was spelled
	name string       // text, lower case
	typ  dns.Type
	tcp  bool
	edns bool
	do   bool
	opts []byte // of EDNS
	bits uint16
}

// server answers a query with any number of messages.
type server func(q *query, send func([]byte))

// servers are the closed network, by address; each listens on port 53 over UDP
// and TCP. 127.0.0.100 is nobody: connections are refused there.
var servers map[string]server

func init() {
	servers = map[string]server{
		"127.0.0.2": hosts(records(cacheData, wire.BitRA|wire.BitRD)),
		"127.0.0.3": rcode(dns.RCodeRefused),
		"127.0.0.4": rcode(dns.RCodeServFail),
		"127.0.0.5": empty,
		"127.0.0.6": truncating(records(cacheData, wire.BitRA|wire.BitRD)),
		"127.0.0.7": late(1300*time.Millisecond, records(cacheData, wire.BitRA|wire.BitRD)),
		"127.0.0.8": lying,
		"127.0.0.9": func(*query, func([]byte)) {}, // silent
		"127.0.0.11": func(q *query, send func([]byte)) { // only TCP answers, with more than a packet holds
			if !q.tcp {
				send(message(q, wire.BitTC))
				return
			}
			huge(q, send)
		},
		"127.0.0.12": malformed,
		"127.0.0.13": noEDNS(records(cacheData, wire.BitRA|wire.BitRD)),
		"127.0.0.14": options,
		"127.0.0.15": worseByTCP,
		"127.0.0.16": rcode(dns.RCodeNotImp),
		"127.0.0.17": rcode(dns.RCodeNXDomain),
		"::1":        records(append([]string{"only6.test A: an @ 5 A 192.0.2.6"}, cacheData...), wire.BitRA|wire.BitRD),
	}
	for ip, lines := range tree {
		servers[ip] = records(lines, wire.BitAA)
	}
	servers["127.0.1.5"] = late(1300*time.Millisecond, servers["127.0.1.5"])
	servers["127.0.1.6"] = truncating(servers["127.0.1.6"])
	servers["127.0.1.7"] = malformed
	servers["127.0.1.8"] = rcode(dns.RCodeRefused)
}

func startServers() error {
	for ip, f := range servers {
		if err := listen(net.JoinHostPort(ip, "53"), f); err != nil {
			return err
		}
	}
	return listen("[::1]:5353", servers["::1"])
}

// listen serves until the process ends.
func listen(at string, f server) error {
	u, err := net.ListenPacket("udp", at)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return err
	}
	go func() {
		b := make([]byte, 65535)
		for {
			n, from, err := u.ReadFrom(b)
			if err != nil {
				return
			}
			if q := parse(b[:n], false); q != nil {
				go f(q, func(msg []byte) { u.WriteTo(msg, from) })
			}
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				var n [2]byte
				if _, err := io.ReadFull(c, n[:]); err != nil {
					return
				}
				b := make([]byte, binary.BigEndian.Uint16(n[:]))
				if _, err := io.ReadFull(c, b); err != nil {
					return
				}
				if q := parse(b, true); q != nil {
					f(q, func(msg []byte) { c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)) })
				}
			}()
		}
	}()
	return nil
}

func parse(b []byte, tcp bool) *query {
	msg := append([]byte(nil), b...)
	c, err := wire.Parse(msg)
	if err != nil {
		return nil
	}
	name, t, _, err := c.Question(nil)
	if err != nil {
		return nil
	}
	e, _ := wire.FindEDNS(&c)
	n := dnsname.Name(name)
	return &query{msg: msg, id: c.Header.ID, wire: n, name: n.Lower().Text(), typ: t, tcp: tcp, edns: e.Present, do: e.DO, opts: e.Options, bits: c.Header.Bits}
}

// message answers with records in the lines "SECTION OWNER TTL TYPE DATA",
// SECTION being an, ns or ar; "@" is the name asked for.
func message(q *query, bits uint16, lines ...string) []byte {
	var b wire.Builder
	b.Reset(nil, dns.MaxMessage, q.id, wire.BitQR|bits)
	b.Question([]byte(q.wire), q.typ, dns.ClassIN)
	for _, l := range lines {
		f := strings.SplitN(l, " ", 5)
		owner := q.wire
		if f[1] != "@" {
			owner = name(f[1])
		}
		class := dns.ClassIN
		if rest, ok := strings.CutPrefix(f[3], "CH/"); ok {
			class, f[3] = dns.ClassCH, rest
		}
		t, ok := dns.ParseType(f[3])
		if !ok {
			panic(l)
		}
		data, err := rdata.Parse(nil, t, []byte(f[4]), dnsname.Root)
		if err != nil {
			panic(l + ": " + err.Error())
		}
		ttl := uint32(0)
		for _, c := range f[2] {
			ttl = ttl*10 + uint32(c-'0')
		}
		section := map[string]wire.Section{"an": wire.Answer, "ns": wire.Authority, "ar": wire.Additional}[f[0]]
		if !b.RR(section, []byte(owner), t, class, ttl, data) {
			panic(l)
		}
	}
	return b.Finish()
}

func name(s string) dnsname.Name {
	n, err := dnsname.ParseMaster(s, dnsname.Root)
	if err != nil {
		panic(s + ": " + err.Error())
	}
	return n
}

// records answers from lines "NAME TYPE: RECORD; RECORD", or "NAME *:" for all
// types, "nxdomain" being a pseudo record. Lines "*NAME *:" are for everything
// below NAME too. What is not there does not exist.
func records(lines []string, bits uint16) server {
	return func(q *query, send func([]byte)) {
		for _, l := range lines {
			head, rest, _ := strings.Cut(l, ": ")
			n, t, _ := strings.Cut(head, " ")
			if wild, ok := strings.CutPrefix(n, "*"); ok {
				if q.name != wild && wild != "." && !strings.HasSuffix(q.name, "."+wild) {
					continue
				}
			} else if n != q.name {
				continue
			}
			if t != "*" && t != q.typ.String() {
				continue
			}
			var rrs []string
			b := bits
			for _, r := range strings.Split(rest, "; ") {
				switch r {
				case "nxdomain":
					b |= uint16(dns.RCodeNXDomain)
				case "referral":
					b &^= wire.BitAA
				case "":
				default:
					rrs = append(rrs, r)
				}
			}
			msg := message(q, b, rrs...)
			if !q.tcp && len(msg) > dns.MinUDP && !q.edns {
				msg = message(q, b|wire.BitTC)
			}
			send(msg)
			return
		}
		send(message(q, bits|uint16(dns.RCodeNXDomain)))
	}
}

// hosts knows a name for every address in 10.77.0.0/16, h-10-77-A-B.test.
func hosts(f server) server {
	return func(q *query, send func([]byte)) {
		p := strings.Split(q.name, ".")
		if q.typ != dns.TypePTR || len(p) != 6 || p[2] != "77" || p[3] != "10" {
			f(q, send)
			return
		}
		send(message(q, wire.BitRA, "an @ 5 PTR h-10-77-"+p[1]+"-"+p[0]+".test."))
	}
}

func rcode(r dns.RCode) server {
	return func(q *query, send func([]byte)) { send(message(q, uint16(r))) }
}

func empty(q *query, send func([]byte)) { send(message(q, wire.BitAA)) }

func truncating(f server) server {
	return func(q *query, send func([]byte)) {
		if q.tcp {
			f(q, send)
		} else {
			send(message(q, wire.BitTC))
		}
	}
}

func late(d time.Duration, f server) server {
	return func(q *query, send func([]byte)) {
		time.Sleep(d)
		f(q, send)
	}
}

// noEDNS knows no OPT.
func noEDNS(f server) server {
	return func(q *query, send func([]byte)) {
		if q.edns {
			send(message(q, uint16(dns.RCodeFormErr)))
			return
		}
		f(q, send)
	}
}

func huge(q *query, send func([]byte)) {
	var lines []string
	for range 120 {
		lines = append(lines, "an @ 5 TXT \""+strings.Repeat("long text ", 25)+"\"")
	}
	send(message(q, 0, lines...))
}

// lying sends first what is no answer to the question, then the truth. The
// first label says what the lie is.
func lying(q *query, send func([]byte)) {
	// the records at the end differ, so that believing a lie shows
	lie := message(q, wire.BitRA, "an @ 5 A 192.0.2.66")
	switch label, _, _ := strings.Cut(q.name, "."); label {
	case "id":
		lie[0] ^= 1
	case "query":
		lie[2] &^= 0x80
	case "name":
		lie[14] ^= 1
	case "case":
		lie[14] ^= 0x20 // no lie: names are compared without case
	case "type":
		lie[len(q.wire)+13] ^= 3
	case "class":
		lie[len(q.wire)+15] ^= 2
	case "noquestion":
		lie[5] = 0
	case "questions":
		lie[5] = 2
	case "garbage":
		lie = []byte("this is no message at all")
	case "short":
		lie = lie[:11]
	case "nothing":
		lie = nil
	case "cutquestion":
		lie = lie[:14]
	case "long":
		lie = append(lie, make([]byte, 1400)...)
	case "opcode":
		lie[2] |= 2 << 3
	}
	send(lie)
	send(message(q, wire.BitRA, "an @ 5 A 192.0.2.1"))
}

// raw makes a message whose answer section is data, with any count.
func raw(q *query, count byte, data string) []byte {
	msg := message(q, wire.BitAA)
	msg[7] = count
	return append(msg, data...)
}

// malformed answers the question with a message that is wrong behind it. The
// first label says how.
func malformed(q *query, send func([]byte)) {
	const head = "\xc0\x0c" // the name asked for
	fixed := func(t byte) string { return head + "\x00" + string([]byte{t}) + "\x00\x01\x00\x00\x00\x05" }
	var msg []byte
	switch label, _, _ := strings.Cut(q.name, "."); label {
	case "cut":
		msg = raw(q, 1, head+"\x00\x01\x00")
	case "missing":
		msg = raw(q, 2, fixed(1)+"\x00\x04\x01\x02\x03\x04")
	case "extra":
		msg = raw(q, 1, fixed(1)+"\x00\x04\x01\x02\x03\x04more")
	case "a3":
		msg = raw(q, 1, fixed(1)+"\x00\x03\x01\x02\x03")
	case "a5":
		msg = raw(q, 1, fixed(1)+"\x00\x05\x01\x02\x03\x04\x05")
	case "beyond":
		msg = raw(q, 1, fixed(1)+"\x00\x40\x01\x02\x03\x04")
	case "loop":
		at := byte(len(message(q, 0)))
		msg = raw(q, 1, "\xc0"+string([]byte{at})+"\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04")
	case "rdataloop":
		at := byte(len(message(q, 0)) + 12)
		msg = raw(q, 1, fixed(byte(q.typ))+"\x00\x02\xc0"+string([]byte{at}))
	case "forward":
		msg = raw(q, 1, fixed(byte(q.typ))+"\x00\x02\xff\xff")
	case "label":
		msg = raw(q, 1, fixed(byte(q.typ))+"\x00\x03\x40ab")
	case "nametail":
		msg = raw(q, 1, fixed(byte(q.typ))+"\x00\x05\x01x\x00zz")
	case "nameshort":
		msg = raw(q, 1, fixed(byte(q.typ))+"\x00\x01\x01x\x00")
	case "mxshort":
		msg = raw(q, 1, fixed(15)+"\x00\x02\x00\x05")
	case "mxtail":
		msg = raw(q, 1, fixed(15)+"\x00\x06\x00\x05\x01x\x00z")
	case "soashort":
		msg = raw(q, 1, fixed(6)+"\x00\x06\x00\x00\x00\x00\x00\x01")
	case "txtover":
		msg = raw(q, 1, fixed(16)+"\x00\x03\x09ab")
	case "txtnone":
		msg = raw(q, 1, fixed(16)+"\x00\x00")
	case "txtzero":
		msg = raw(q, 1, fixed(16)+"\x00\x01\x00")
	case "chaos":
		msg = message(q, wire.BitAA, "an @ 5 CH/TXT \"x\"", "an @ 7 A 192.0.2.7")
	case "chaosa":
		msg = raw(q, 1, head+"\x00\x01\x00\x03\x00\x00\x00\x05\x00\x02hi")
	case "second":
		msg = raw(q, 2, fixed(1)+"\x00\x04\x01\x02\x03\x04"+fixed(5)+"\x00\x03\x40ab")
	case "header":
		msg = message(q, wire.BitAA)
		msg[3] |= 0x70
		msg[2] |= 5 << 3
	case "counts":
		msg = message(q, wire.BitAA)
		msg[6], msg[9], msg[11] = 1, 1, 1
	case "ttl":
		msg = raw(q, 1, head+"\x00\x01\x00\x01\xff\xff\xff\xff\x00\x04\x01\x02\x03\x04")
	case "longname":
		msg = raw(q, 1, strings.Repeat("\x3f"+strings.Repeat("x", 63), 4)+"\x00\x00\x01\x00\x01\x00\x00\x00\x05\x00\x04\x01\x02\x03\x04")
	default:
		msg = message(q, wire.BitAA, "an @ 5 A 192.0.2.1")
		if seed, err := strconv.ParseUint(strings.TrimPrefix(label, "seed"), 10, 64); err == nil {
			msg = damaged(q, seed)
		}
	}
	send(msg)
}

// damaged is a long answer with a few bytes behind the question changed, or its
// end cut off, as the seed has it.
func damaged(q *query, seed uint64) []byte {
	msg := message(q, wire.BitAA, "an @ 5 A 192.0.2.1", "an @ 5 CNAME a.b.c.test.", "an @ 5 MX 10 mail.b.c.test.", "an @ 5 TXT \"a b\" c",
		"ns c.test. 6 NS ns.c.test.", "ns test. 7 SOA ns.test. h.test. 1 2 3 4 5", "ar ns.c.test. 8 A 192.0.2.2", "ar ns.c.test. 8 AAAA ::1")
	r := rand.New(rand.NewPCG(seed, 53))
	start := dns.HeaderLen + len(q.wire) + 4
	for range 1 + r.IntN(3) {
		at := start + r.IntN(len(msg)-start)
		switch r.IntN(4) {
		case 0:
			msg[at] = byte(r.Uint32())
		case 1:
			msg[at] ^= 1 << r.IntN(8)
		case 2: // a pointer to somewhere
			msg[at] = 0xc0
		case 3:
			msg[at]++
		}
	}
	switch r.IntN(8) {
	case 0:
		msg = msg[:start+r.IntN(len(msg)-start)]
	case 1:
		msg[7+2*r.IntN(3)] += byte(r.IntN(3)) - 1
	}
	return msg
}

// worseByTCP truncates over UDP, and fails over TCP in the way the first label
// says.
func worseByTCP(q *query, send func([]byte)) {
	if !q.tcp {
		send(message(q, wire.BitTC))
		return
	}
	msg := message(q, 0, "an @ 5 A 192.0.2.1")
	switch label, _, _ := strings.Cut(q.name, "."); label {
	case "close":
	case "id":
		msg[0] ^= 1
		send(msg)
	case "tc":
		msg[2] |= 2
		send(msg)
	case "refused":
		msg[3] |= 5
		send(msg)
	case "empty":
		send(nil)
	case "nx":
		msg[3] |= 3
		send(msg)
	}
}

// options answers with all that EDNS can carry.
func options(q *query, send func([]byte)) {
	if !q.edns {
		send(message(q, wire.BitAA, "an @ 5 TXT \"no EDNS here\""))
		return
	}
	var b wire.Builder
	bits := uint16(wire.BitQR | wire.BitAA)
	if q.bits&wire.BitCD != 0 {
		bits |= wire.BitCD
	}
	b.Reset(nil, dns.MaxMessage, q.id, bits)
	b.Question([]byte(q.wire), q.typ, dns.ClassIN)
	text := "udp"
	if q.tcp {
		text = "tcp"
	}
	b.RR(wire.Answer, []byte(q.wire), dns.TypeTXT, dns.ClassIN, 5, append([]byte{byte(len(text))}, text...))
	var opts []byte
	for rest := q.opts; ; {
		code, data, r, ok := wire.NextOption(rest)
		if !ok {
			break
		}
		rest = r
		switch code {
		case dns.OptNSID:
			opts = wire.AppendOption(opts, code, "gate <1>")
		case dns.OptCookie:
			opts = wire.AppendOption(opts, code, string(data)+"serverpt")
		}
	}
	opts = wire.AppendOption(opts, dns.OptEDE, "\x00\x12no way")
	opts = wire.AppendOption(opts, 65001, "\x01\xff")
	b.OPT(1232, 0, q.do, opts)
	send(b.Finish())
}
