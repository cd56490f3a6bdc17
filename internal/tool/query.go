package tool

import (
	"bufio"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/errtext"
	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/show"
	"bulkhead/internal/stub"
	"bulkhead/internal/wire"
)

// Query is what dnsq and dnsqr have in common: one question, its options, and
// how the answer is shown.
type Query struct {
	stub.Question
	full   bool // an option was given: every record in presentation form
	dnssec bool // -d: the signatures' state is shown
}

// QueryOptions are the letters both programs know: -e EDNS, -d DNSSEC records
// wanted and their state shown, -C checking disabled, -n name server id,
// -k a cookie, -t by TCP. Any of them also brings the names of newer types and
// presentation form for every record.
const QueryOptions = "edCnkt"

// clientCookie is sent by -k: eight bytes (RFC 7873, section 4.1). A tool that
// asks once needs no secret one; a random one would make its output differ.
const clientCookie = "bulkhead"

// ParseQuery reads options, type and name. The rest of the arguments is
// returned. ok is false when usage is to be printed.
func ParseQuery(args []string) (q Query, rest []string, ok bool, err error) {
	o := getopt.New(args, QueryOptions)
	for {
		c := o.Next()
		if c == 0 {
			break
		}
		q.full = true
		switch c {
		case 'e':
			q.EDNS = true
		case 'd':
			q.EDNS, q.DO, q.dnssec, q.Errors = true, true, true, true
		case 'C':
			q.CD = true
		case 'n':
			q.EDNS = true
			q.Options = wire.AppendOption(q.Options, dns.OptNSID, "")
		case 'k':
			q.EDNS = true
			q.Options = wire.AppendOption(q.Options, dns.OptCookie, clientCookie)
		case 't':
			q.TCP = true
		default:
			return q, nil, false, nil
		}
	}
	rest = o.Args()
	if len(rest) < 2 {
		return q, nil, false, nil
	}
	if q.Type, ok = show.ParseType(rest[0], q.full); !ok {
		return q, nil, false, nil
	}
	if q.Name, err = dnsname.ParseDot(rest[1]); err != nil {
		return q, nil, true, prog.Fatal("unable to parse", err)
	}
	return q, rest[2:], true, nil
}

// Print asks and shows the answer: "TYPENUM NAME:", then the packet, or one
// line that says why there is none.
func (q *Query) Print(out *bufio.Writer) error {
	out.WriteString(strconv.Itoa(int(q.Type)) + " " + q.Name.Text() + ":\n")
	msg, err := stub.Exchange(&q.Question)
	if err != nil {
		out.WriteString(errtext.Of(err) + "\n")
		return nil
	}
	if q.RD {
		// what every cache sets is no news (compat: djbdns.md section 12)
		msg[2] &^= wire.BitRD >> 8
		msg[3] &^= wire.BitRA
	}
	form := show.Readable
	if q.full {
		form = show.Full
	}
	text, err := show.Message(nil, msg, form)
	if err != nil {
		return prog.Fatal("unable to parse", err)
	}
	out.Write(text)
	if q.dnssec {
		out.WriteString(dnssecState(msg, q.RD, time.Now()))
	}
	return nil
}

// dnssecState says in words what the packet shows of DNSSEC.
func dnssecState(msg []byte, cache bool, now time.Time) string {
	var b strings.Builder
	h, _ := wire.ParseHeader(msg)
	if cache {
		switch {
		case h.Bits&wire.BitAD != 0:
			b.WriteString("dnssec: the cache has validated this answer\n")
		case h.RCode() == dns.RCodeServFail:
			b.WriteString("dnssec: no answer; with -C as well, the cache shows what it refuses\n")
		default:
			b.WriteString("dnssec: not validated: the zone is not signed, or the cache does not check\n")
		}
	}
	c, err := wire.Parse(msg)
	if err != nil || c.SkipQuestions() != nil {
		return b.String()
	}
	var rr wire.RR
	for {
		ok, err := c.Next(&rr)
		if err != nil || !ok {
			return b.String()
		}
		d := rr.RData(msg)
		// RRSIG: type, algorithm, labels, TTL, expiration, inception, key tag, signer (RFC 4034, section 3.1)
		if rr.Type != dns.TypeRRSIG || len(d) < 19 {
			continue
		}
		owner, _, err1 := wire.AppendName(nil, msg, rr.Owner)
		signer, _, err2 := wire.AppendName(nil, msg, rr.Data+18)
		if err1 != nil || err2 != nil {
			continue
		}
		b.WriteString("signature: " + dnsname.Name(owner).Text() + " " + dns.Type(binary.BigEndian.Uint16(d)).String() +
			" by " + dnsname.Name(signer).Text() + ", key " + strconv.Itoa(int(binary.BigEndian.Uint16(d[16:]))) + ", " +
			period(binary.BigEndian.Uint32(d[12:]), binary.BigEndian.Uint32(d[8:]), uint32(now.Unix())) + "\n")
	}
}

// period compares times as serial numbers (RFC 4034, section 3.1.5).
func period(inception, expiration, now uint32) string {
	span := func(s int32) string {
		const hour, day = 3600, 86400
		if s >= 2*day {
			return strconv.Itoa(int(s)/day) + " days"
		}
		return strconv.Itoa(int(s)/hour) + " hours"
	}
	switch left, since := int32(expiration-now), int32(now-inception); {
	case left < 0:
		return "EXPIRED " + span(-left) + " ago"
	case since < 0:
		return "NOT YET VALID for " + span(-since)
	default:
		return "valid for " + span(left)
	}
}

// Servers finds the addresses of a server argument: what Qualify understands,
// and in addition IPv6 addresses and a port, as ADDR@PORT or [ADDR]:PORT.
func Servers(r *stub.Resolver, arg string) ([]netip.AddrPort, error) {
	host, port := arg, uint16(dns.Port)
	if i := strings.LastIndexByte(arg, '@'); i >= 0 {
		if n, err := strconv.ParseUint(arg[i+1:], 10, 16); err == nil {
			host, port = arg[:i], uint16(n)
		}
	} else if ap, err := netip.ParseAddrPort(arg); err == nil && ap.Addr().Is6() {
		return []netip.AddrPort{ap}, nil
	}
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil && a.Is6() {
		return []netip.AddrPort{netip.AddrPortFrom(a, port)}, nil
	}
	addrs, _, err := r.Qualify(host, stub.IPv4|stub.IPv6)
	var out []netip.AddrPort
	for _, a := range addrs {
		out = append(out, netip.AddrPortFrom(a, port))
	}
	return out, err
}
