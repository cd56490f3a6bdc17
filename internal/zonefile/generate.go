package zonefile

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// generator is a $GENERATE line being carried out:
//
//	$GENERATE start-stop[/step] owner [TTL] [class] type data
//
// In owner and data $ stands for the number, ${offset,width,base} for the
// number plus offset in at least width digits of base d, o, x, X, or in
// nibbles (n, N), as for ip6.arpa; $$ is a dollar sign, and a backslash keeps
// the byte after it as it is.
type generator struct {
	active    bool
	now, stop uint64
	step      uint64
	owner     []byte
	data      []byte
	explicit  bool
	ttl       uint32
	class     dns.Class
	typ       dns.Type
	file      string
	line      int
	text      []byte // buffer
}

func (r *Reader) startGenerate(args [][]byte, line int) error {
	if len(args) < 4 {
		return errors.New("$GENERATE takes a range, an owner, a type and data")
	}
	g := generator{active: true, step: 1, file: r.file.name, line: line, text: r.gen.text}
	span := args[0]
	if i := bytes.IndexByte(span, '/'); i >= 0 {
		n, err := strconv.ParseUint(string(span[i+1:]), 10, 31)
		if err != nil || n == 0 {
			return &wordError{"$GENERATE: bad step", string(cutWord(args[0]))}
		}
		g.step = n
		span = span[:i]
	}
	i := bytes.IndexByte(span, '-')
	if i < 0 {
		return &wordError{"$GENERATE: range is not start-stop", string(cutWord(args[0]))}
	}
	start, err1 := strconv.ParseUint(string(span[:i]), 10, 31)
	stop, err2 := strconv.ParseUint(string(span[i+1:]), 10, 31)
	if err1 != nil || err2 != nil || start > stop {
		return &wordError{"$GENERATE: bad range", string(cutWord(args[0]))}
	}
	g.now, g.stop = start, stop
	if r.made += int((stop-start)/g.step) + 1; r.made > maxGenerated {
		return errors.New("$GENERATE makes more than " + strconv.Itoa(maxGenerated) + " records")
	}
	g.owner = bytes.Clone(args[1])
	// the words after the owner are read as in any entry
	c := cursor{f: &file{text: append(bytes.Join(args[2:], []byte(" ")), '\n')}}
	w, err := c.word()
	if err != nil {
		return err
	}
	if g.explicit, g.ttl, err = r.header(w, &c); err != nil {
		return err
	}
	g.class, g.typ = r.rec.Class, r.rec.Type
	g.data = bytes.TrimSpace(c.f.text[c.f.at:])
	if len(g.data) == 0 {
		return errors.New("$GENERATE without data")
	}
	r.gen = g
	return nil
}

// generate makes the next record; false when the line is done.
func (r *Reader) generate() (bool, error) {
	g := &r.gen
	if g.now > g.stop {
		g.active = false
		return false, nil
	}
	var err error
	if g.text, err = expand(g.text[:0], g.owner, g.now); err != nil {
		return false, err
	}
	owner, err := dnsname.AppendParseMaster(r.owner[:0], g.text, r.file.origin)
	if err != nil {
		return false, &wordError{"$GENERATE: owner is not a domain name", string(cutWord(g.text))}
	}
	r.owner = owner
	if g.text, err = expand(g.text[:0], g.data, g.now); err != nil {
		return false, err
	}
	g.now += g.step
	r.rec = Record{Owner: owner, Class: g.class, Type: g.typ, File: g.file, Line: g.line, Generated: true}
	return true, r.finish(g.text, g.explicit, g.ttl)
}

// maxWidth bounds the width of a modifier: no name has more digits.
const maxWidth = dns.MaxName

// expand appends pattern with the number in place of its dollars.
func expand(dst, pattern []byte, n uint64) ([]byte, error) {
	for i := 0; i < len(pattern); {
		c := pattern[i]
		i++
		switch {
		case c == '\\' && i < len(pattern):
			dst = append(dst, c, pattern[i])
			i++
		case c != '$':
			dst = append(dst, c)
		case i < len(pattern) && pattern[i] == '$':
			dst = append(dst, '$')
			i++
		case i < len(pattern) && pattern[i] == '{':
			end := bytes.IndexByte(pattern[i:], '}')
			if end < 0 {
				return dst, errors.New("$GENERATE: ${ without }")
			}
			var err error
			if dst, err = modified(dst, string(pattern[i+1:i+end]), n); err != nil {
				return dst, err
			}
			i += end + 1
		default:
			dst = strconv.AppendUint(dst, n, 10)
		}
		if len(dst) > maxEntry {
			return dst, errLong
		}
	}
	return dst, nil
}

// modified appends n as "offset[,width[,base]]" says.
func modified(dst []byte, spec string, n uint64) ([]byte, error) {
	bad := func() ([]byte, error) {
		return dst, &wordError{"$GENERATE: bad modifier", "${" + string(cutWord([]byte(spec))) + "}"}
	}
	part := [3]string{}
	k := 0
	for _, c := range []byte(spec) {
		if c == ',' {
			if k++; k == len(part) {
				return bad()
			}
			continue
		}
		part[k] += string(rune(c))
		if len(part[k]) > 12 {
			return bad()
		}
	}
	offset, err := strconv.ParseInt(part[0], 10, 32)
	if err != nil {
		return bad()
	}
	width := uint64(0)
	if k >= 1 {
		if width, err = strconv.ParseUint(part[1], 10, 32); err != nil || width > maxWidth {
			return bad()
		}
	}
	v := int64(n) + offset
	if v < math.MinInt32 || v > math.MaxInt32 {
		return dst, errors.New("$GENERATE: number with offset is out of range")
	}
	u := uint64(uint32(v)) // what is no decimal number shows all 32 bits, as with BIND
	base := "d"
	if k == 2 {
		base = part[2]
	}
	var digits []byte
	switch base {
	case "d":
		return fmt.Appendf(dst, "%0*d", int(width), v), nil
	case "o":
		digits = strconv.AppendUint(nil, u, 8)
	case "x", "X":
		digits = strconv.AppendUint(nil, u, 16)
		if base == "X" {
			digits = bytes.ToUpper(digits)
		}
	case "n", "N":
		// the width counts digits and dots, lowest nibble first
		hex := "0123456789abcdef"
		if base == "N" {
			hex = "0123456789ABCDEF"
		}
		for w := int(width); ; {
			dst = append(dst, hex[u&15])
			u >>= 4
			w--
			if u == 0 && w <= 0 {
				return dst, nil
			}
			dst = append(dst, '.')
			w--
			if u == 0 && w <= 0 {
				return dst, nil
			}
		}
	default:
		return bad()
	}
	for pad := int(width) - len(digits); pad > 0; pad-- {
		dst = append(dst, '0')
	}
	return append(dst, digits...), nil
}
