package tinydns

import (
	"os"

	"bulkhead/internal/auth"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/env"
	"bulkhead/internal/generation"
	"bulkhead/internal/mapfile"
	"bulkhead/internal/prog"
	"bulkhead/internal/show"
	"bulkhead/internal/tai64"
	"bulkhead/internal/wire"
	"bulkhead/internal/zindex"

	"time"
)

const usage = "tinydns-get type name [ip]"

// Get is the program tinydns-get: the answer that tinydns would give over TCP
// to a client, from data.cdb in the current folder (compat: djbdns.md section
// 5.4). Where tinydns would not have answered in 1.05, nothing follows the
// question.
func Get(args []string) error {
	if len(args) < 2 {
		return prog.Usage(usage)
	}
	t, ok := show.ParseType(args[0], false)
	if !ok {
		return prog.Usage(usage)
	}
	name, err := dnsname.ParseDot(args[1])
	if err != nil {
		return prog.Fatal("unable to parse: protocol error", nil)
	}
	client := content.AddrFrom4([4]byte{})
	if len(args) > 2 {
		ip, ok := env.ParseAddr(args[2])
		if !ok {
			return prog.Usage(usage)
		}
		client = content.Addr(ip.As16())
	}
	lower := dnsname.Lower([]byte(name))
	q := content.Question{Bits: wire.BitQR | wire.BitAA, QName: []byte(name), Name: lower, Type: t, Class: dns.ClassIN,
		Client: client, Now: tai64.Seconds(time.Now()), Limit: dns.MaxMessage, TCP: true}

	out := append(utoa(uint16(t)), ' ')
	out = dnsname.AppendText(out, name)
	out = append(out, ":\n"...)
	if msg := ask(&q); msg != nil {
		if out, err = show.Message(out, msg, show.Classic); err != nil {
			return prog.Fatal("unable to parse: protocol error", nil)
		}
	}
	if _, err := os.Stdout.Write(out); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	return nil
}

// ask gives the answer, nil for none.
func ask(q *content.Question) []byte {
	if q.Type == dns.TypeAXFR {
		return q.Header(nil, dns.RCodeNotImp)
	}
	f, err := os.Open(generation.DataFile)
	if err != nil {
		return nil
	}
	defer f.Close()
	c, err := mapfile.Map(f)
	if err != nil {
		return nil
	}
	d, err := auth.NewData(c, nil, zindex.Identity{})
	if err != nil {
		return nil
	}
	var a auth.Answerer
	if n, err := env.Uint("ADDRESSES", 0, 1<<16); err == nil {
		a.Addresses = int(n)
	}
	msg, res := a.Answer(nil, d, q)
	if !res.Found {
		return nil
	}
	return msg
}

func utoa(n uint16) []byte {
	var b [5]byte
	i := len(b)
	for {
		i--
		b[i] = byte('0' + n%10)
		if n /= 10; n == 0 {
			return b[i:]
		}
	}
}
