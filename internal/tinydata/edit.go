package tinydata

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"strconv"

	"bulkhead/internal/dnsname"
	"bulkhead/internal/scan"
)

// Edit adds one line to a data file (compat: djbdns.md section 8).
type Edit struct {
	Kind   byte // first byte of the line: . & @ = + 6 3
	Domain dnsname.Name
	IP     netip.Addr // IPv6 for 6 and 3, IPv4 for the others
	used   [26]bool   // letters of servers that the domain has
	ttl    uint64
}

// EditKinds are the kinds of tinydns-edit and their lines.
var EditKinds = map[string]byte{"ns": '.', "childns": '&', "mx": '@', "host": '=', "alias": '+', "host6": '6', "alias6": '3'}

// Refused is an edit that can not be made.
type Refused string

func (r Refused) Error() string { return string(r) }

// Run copies all lines of r to w and appends the new one. It returns a Refused,
// dnsname.ErrName for a line that matters and has a bad name, or a *ReadError
// or *WriteError.
func (e *Edit) Run(r io.Reader, w io.Writer) error {
	e.ttl = ttlPositive
	if e.Kind == '.' || e.Kind == '&' {
		e.ttl = ttlNS
	}
	in := bufio.NewReaderSize(r, 1<<16)
	// 1.05 wrote when 1024 bytes had come together, and nothing of the rest
	// when it refused: what data.new is then is to be seen.
	const chunk, enough = 1 << 10, 1 << 16
	var out []byte
	write := func() error {
		if len(out) == 0 {
			return nil
		}
		n := (len(out) - 1) &^ (chunk - 1)
		_, err := w.Write(out[:n])
		out = out[:copy(out, out[n:])]
		return err
	}
	p := &Parser{}
	for {
		line, err := in.ReadBytes('\n')
		if err != nil && err != io.EOF {
			return &ReadError{err}
		}
		if len(line) > maxLine {
			return Refused("out of memory")
		}
		if len(line) > 0 {
			if line[len(line)-1] != '\n' {
				line = append(line, '\n')
			}
			if out = append(out, line...); len(out) > enough {
				if err := write(); err != nil {
					return &WriteError{err}
				}
			}
			if err := e.look(p, line); err != nil {
				write()
				return err
			}
		}
		if err == io.EOF {
			break
		}
	}
	line, err := e.line()
	if err != nil {
		write()
		return err
	}
	if _, err := w.Write(append(out, line...)); err != nil {
		return &WriteError{err}
	}
	return nil
}

// look takes in what an existing line says about the domain.
func (e *Edit) look(p *Parser, line []byte) error {
	line = bytes.TrimRight(line, " \t\n")
	if len(line) == 0 || line[0] != e.Kind || e.Kind == '+' || e.Kind == '3' {
		return nil
	}
	p.split(line[1:])
	if err := p.readOwner(); err != nil {
		return err
	}
	same := dnsname.Equal(p.owner, e.Domain)
	switch e.Kind {
	case '=', '6':
		if same {
			return Refused("host name already used")
		}
		if e.sameIP(p.f[1]) {
			return Refused("IP address already used")
		}
	case '.', '&':
		if same {
			return e.server(p, ".ns.", "\x02ns", 3, ttlNS)
		}
	case '@':
		if same {
			return e.server(p, ".mx.", "\x02mx", 4, ttlPositive)
		}
	}
	return nil
}

func (e *Edit) sameIP(text []byte) bool {
	if e.Kind == '6' {
		ip, ok := parseHex16(text)
		return ok && netip.AddrFrom16(ip) == e.IP
	}
	ip, _, ok := scan.IP4(text)
	return ok && netip.AddrFrom4(ip) == e.IP
}

// server marks the letter of an existing server and takes over its ttl.
func (e *Edit) server(p *Parser, kind, label string, ttlField int, ttl uint64) error {
	if err := p.complete(p.f[2], kind); err != nil {
		return err
	}
	e.ttl = ttl
	if n, used := scan.Number(p.f[ttlField]); used > 0 {
		e.ttl = n
	}
	if len(p.name) > 1 && p.name[0] == 1 && dnsname.Equal(p.name[2:], label+string(e.Domain)) {
		if c := dnsname.LowerByte(p.name[1]); 'a' <= c && c <= 'z' {
			e.used[c-'a'] = true
		}
	}
	return nil
}

// line makes the new line.
func (e *Edit) line() ([]byte, error) {
	out := dnsname.AppendText([]byte{e.Kind}, e.Domain)
	out = append(out, ':')
	if e.Kind == '6' || e.Kind == '3' {
		const hex = "0123456789abcdef"
		ip := e.IP.As16()
		for _, c := range ip {
			out = append(out, hex[c>>4], hex[c&15])
		}
	} else {
		out = e.IP.AppendTo(out)
	}
	switch e.Kind {
	case '.', '&', '@':
		k := 0
		for ; k < len(e.used) && e.used[k]; k++ {
		}
		if k == len(e.used) {
			return nil, Refused("too many records for that domain")
		}
		out = append(out, ':', byte('a'+k), ':')
		if e.Kind == '@' {
			out = append(out, ':')
		}
	default:
		out = append(out, ':')
	}
	out = strconv.AppendUint(out, e.ttl, 10)
	return append(out, '\n'), nil
}
