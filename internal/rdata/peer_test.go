package rdata

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	mdns "github.com/miekg/dns"

	"bulkhead/internal/dns"
	"bulkhead/internal/testbin"
)

// randomData makes well-formed data of type t; it draws each block from what
// the block may hold.
func randomData(r *rand.Rand, t dns.Type) []byte {
	var b []byte
	for _, bl := range rowOf(t).blocks {
		b = randomBlock(r, b, bl.kind)
	}
	return b
}

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	r.Read(b)
	return b
}

// tame makes strings of printable bytes and bit maps of common types only, for
// a peer whose text form fails on others.
var tame bool

func randomName(r *rand.Rand, b []byte) []byte {
	for n := r.Intn(4); n > 0; n-- {
		l := 1 + r.Intn(12)
		b = append(b, byte(l))
		for range l {
			c := "abcXYZ019-_*@$;()\\\". \t\x00\xff"[r.Intn(24)]
			if r.Intn(3) > 0 {
				c = 'a' + byte(r.Intn(26))
			}
			b = append(b, c)
		}
	}
	return append(b, 0)
}

func randomString(r *rand.Rand, b []byte, min int) []byte {
	l := min + r.Intn(20)
	if r.Intn(20) == 0 && !tame {
		l = 255
	}
	return append(append(b, byte(l)), tamed(random(r, l))...)
}

func tamed(s []byte) []byte {
	if tame {
		for i, c := range s {
			s[i] = 'a' + c%26
		}
	}
	return s
}

func randomBitmap(r *rand.Rand, b []byte) []byte {
	if tame {
		return append(b, "\x00\x07\x66\x03\x80\x08\x00\x03\x80"...)
	}
	window := -1
	for n := r.Intn(4); n > 0; n-- {
		if window += 1 + r.Intn(80); window > 255 {
			break
		}
		l := 1 + r.Intn(32)
		b = append(b, byte(window), byte(l))
		b = append(b, random(r, l)...)
		b[len(b)-1] |= 1
	}
	return b
}

func randomParams(r *rand.Rand, b []byte) []byte {
	key := 0
	for n := r.Intn(5); n > 0; n-- {
		key += 1 + r.Intn(4)
		var v []byte
		switch key {
		case keyALPN:
			for k := 1 + r.Intn(3); k > 0; k-- {
				v = randomString(r, v, 1)
			}
		case keyNoDefaultALPN:
			continue // needs alpn
		case keyOHTTP:
			if tame {
				continue
			}
		case keyPort:
			v = random(r, 2)
		case keyIPv4Hint:
			v = random(r, 4*(1+r.Intn(3)))
		case keyIPv6Hint:
			v = random(r, 16*(1+r.Intn(3)))
		case keyECH:
			v = random(r, 1+r.Intn(20))
		case keyTLSGroups:
			continue
		default:
			v = random(r, 1+r.Intn(20))
		}
		b = binary.BigEndian.AppendUint16(b, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
		b = append(b, v...)
	}
	return b
}

func randomGateway(r *rand.Rand, b []byte, kind int) []byte {
	switch kind {
	case 1:
		return append(b, random(r, 4)...)
	case 2:
		return append(b, random(r, 16)...)
	case 3:
		return randomName(r, b)
	}
	return b
}

func randomBlock(r *rand.Rand, b []byte, k kind) []byte {
	switch k {
	case name:
		return randomName(r, b)
	case str, optStr:
		return randomString(r, b, 0)
	case strs:
		for n := 1 + r.Intn(3); n > 0; n-- {
			b = randomString(r, b, 0)
		}
		return b
	case salt:
		return randomString(r, b, 0)
	case hash32:
		if tame { // the peer knows SHA-1's 20 bytes only
			return append(append(b, 20), random(r, 20)...)
		}
		return randomString(r, b, 1)
	case tag:
		return append(b, "\x05issue"...)
	case rrType:
		return binary.BigEndian.AppendUint16(b, []uint16{1, 2, 6, 28, 46, 65280, 59}[r.Intn(7)])
	case period:
		return binary.BigEndian.AppendUint32(b, r.Uint32()>>1)
	case date:
		return binary.BigEndian.AppendUint32(b, 1500000000+r.Uint32()>>4)
	case rest:
		return append(b, tamed(random(r, 1+r.Intn(40)))...)
	case hexRest, b64Rest, nsapAddr:
		return append(b, random(r, 1+r.Intn(40))...)
	case zoneDigest:
		return append(b, random(r, minZoneDigest+r.Intn(40))...)
	case hexAny, b64Any, b64Dash:
		return append(b, random(r, 1+r.Intn(40))...)
	case bitmap:
		return randomBitmap(r, b)
	case oldBitmap:
		m := random(r, 1+r.Intn(16))
		m[0] &= 0x7f
		m[len(m)-1] |= 1
		return append(b, m...)
	case params:
		return randomParams(r, b)
	case location:
		b = append(b, 0)
		for range 3 {
			b = append(b, byte(1+r.Intn(9))<<4|byte(r.Intn(10)))
		}
		b = binary.BigEndian.AppendUint32(b, uint32(locEquator+r.Int63n(2*maxLatitude)-maxLatitude))
		b = binary.BigEndian.AppendUint32(b, uint32(locEquator+r.Int63n(2*maxLongitud)-maxLongitud))
		return binary.BigEndian.AppendUint32(b, r.Uint32())
	case prefixes:
		for n := r.Intn(3); n > 0; n-- {
			family, bits := 1+r.Intn(2), 32
			if family == 2 {
				bits = 128
			}
			bits = r.Intn(bits + 1)
			a := random(r, (bits+7)/8)
			if len(a) > 0 { // no bits beyond the prefix, as strict peers want
				a[len(a)-1] &= 0xff << (len(a)*8 - bits)
			}
			for len(a) > 0 && a[len(a)-1] == 0 {
				a = a[:len(a)-1]
			}
			b = append(b, 0, byte(family), byte(bits), byte(r.Intn(2)<<7|len(a)))
			b = append(b, a...)
		}
		return b
	case gateway:
		kind := r.Intn(4)
		b = append(b, byte(r.Intn(256)), byte(kind), byte(1+r.Intn(3)))
		return append(randomGateway(r, b, kind), random(r, 1+r.Intn(30))...)
	case relay:
		kind := r.Intn(4)
		return randomGateway(r, append(b, byte(r.Intn(256)), byte(r.Intn(2)<<7|kind)), kind)
	case hostID:
		hit, key := random(r, 1+r.Intn(20)), random(r, 1+r.Intn(40))
		b = append(b, byte(len(hit)), byte(1+r.Intn(3)), 0, byte(len(key)))
		b = append(append(b, hit...), key...)
		for n := r.Intn(3); n > 0; n-- {
			b = randomName(r, b)
		}
		return b
	case services:
		return append(append(b, 6), append(random(r, r.Intn(20)), 1)...)
	case a6:
		n := r.Intn(129)
		a := random(r, 16-n/8)
		if n%8 != 0 {
			a[0] &= 0xff >> (n % 8)
		}
		b = append(append(b, byte(n)), a...)
		if n > 0 {
			b = randomName(r, b)
		}
		return b
	}
	zeros := make([]byte, 16)
	n, ok := size(k, zeros)
	if !ok {
		panic("no generator")
	}
	return append(b, random(r, n)...)
}

func everyType() []dns.Type {
	var all []dns.Type
	for t, r := range rows {
		if r != nil {
			all = append(all, dns.Type(t))
		}
	}
	return append(all, dns.TypeTA, dns.TypeDLV)
}

// TestEveryTypeRoundTrip: wire -> text -> wire for random data of every row.
func TestEveryTypeRoundTrip(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for _, typ := range everyType() {
		for range 300 {
			w := randomData(r, typ)
			if err := Check(typ, w); err != nil {
				t.Fatalf("%v %x: %v", typ, w, err)
			}
			text := AppendText(nil, typ, w)
			if bytes.HasPrefix(text, []byte(`\#`)) {
				t.Fatalf("%v %x has no text", typ, w)
			}
			back, err := Parse(nil, typ, text, "\x01x\x00")
			if err != nil || !bytes.Equal(back, w) {
				t.Fatalf("%v %s: %x, want %x: %v", typ, text, back, w, err)
			}
			generic, err := Parse(nil, typ, AppendGeneric(nil, w), "")
			if err != nil || !bytes.Equal(generic, w) {
				t.Fatalf("%v %x: generic form: %v", typ, w, err)
			}
			out, err := AppendUncompressed(nil, w, typ, 0, len(w))
			if err != nil || !bytes.Equal(out, w) {
				t.Fatalf("%v %x: uncompressed %x %v", typ, w, out, err)
			}
			// one byte less or more is never a crash
			AppendText(nil, typ, w[:r.Intn(len(w)+1)])
			Check(typ, append(w, 0))
		}
	}
}

// TestMiekg compares with an independent library, both ways. Its text is read
// by us, ours by it; types where it is known to differ are listed.
func TestMiekg(t *testing.T) {
	skip := map[dns.Type]string{
		dns.TypeNXT:      "prints no types",
		dns.TypeSIG:      "reads it, but not back",
		dns.TypeNSAP:     "not supported",
		dns.TypeWKS:      "not supported",
		dns.TypeA6:       "not supported",
		dns.TypeSINK:     "not supported",
		dns.TypeDOA:      "not supported",
		dns.TypeDSYNC:    "not supported",
		dns.TypeWALLET:   "not supported",
		dns.TypeIPN:      "not supported",
		dns.TypeBRID:     "not supported",
		dns.TypeHHIT:     "not supported",
		dns.TypeCLA:      "not supported",
		dns.TypeLOC:      "loses precision in floating point",
		dns.TypeGPOS:     "prints strings bare",
		dns.TypeX25:      "prints strings bare",
		dns.TypeAMTRELAY: "takes the discovery bit for a part of the relay type",
	}
	tame = true
	defer func() { tame = false }()
	r := rand.New(rand.NewSource(2))
	compared := 0
	for _, typ := range everyType() {
		if _, known := mdns.TypeToRR[uint16(typ)]; !known || skip[typ] != "" {
			continue
		}
		bad := 0
		for range 200 {
			w := randomData(r, typ)
			msg := append([]byte{0, byte(typ >> 8), byte(typ), 0, 1, 0, 0, 0, 1, byte(len(w) >> 8), byte(len(w))}, w...)
			rr, _, err := mdns.UnpackRR(msg, 0)
			if err != nil {
				t.Errorf("%v %x: the peer does not take the wire form: %v", typ, w, err)
				break
			}
			theirs := strings.TrimPrefix(rr.String(), rr.Header().String())
			if back, err := Parse(nil, typ, []byte(theirs), ""); err != nil || !bytes.Equal(back, w) {
				t.Errorf("%v: the peer's text %s: %x, want %x: %v", typ, theirs, back, w, err)
				bad++
			}
			ours := string(AppendText(nil, typ, w))
			rr, err = mdns.NewRR(". 1 IN " + typ.String() + " " + ours)
			if err != nil {
				t.Errorf("%v: the peer does not read %s: %v", typ, ours, err)
				bad++
			} else {
				buf := make([]byte, 70000)
				n, err := mdns.PackRR(rr, buf, 0, nil, false)
				if err != nil || !bytes.Equal(buf[11:n], w) {
					t.Errorf("%v: the peer reads %s as %x, want %x: %v", typ, ours, buf[11:n], w, err)
					bad++
				}
			}
			compared++
			if bad > 2 {
				break
			}
		}
	}
	t.Log(compared, "records compared")
}

// TestCompilezone gives a zone of random data to BIND's named-compilezone in
// our text, and reads what it prints.
func TestCompilezone(t *testing.T) {
	tool := testbin.Peer(t, "usr/bin/named-compilezone")
	skip := map[dns.Type]string{
		dns.TypeSOA: "one a zone", dns.TypeNXT: "old", dns.TypeMD: "obsolete, refused", dns.TypeMF: "obsolete, refused",
		dns.TypeRRSIG: "needs what it covers", dns.TypeNSEC3: "needs hashed owners", dns.TypeNSEC3PARAM: "apex only", dns.TypeDNSKEY: "apex only",
		dns.TypeCNAME: "alone at a name", dns.TypeDNAME: "nothing below", dns.TypeNS: "delegation", dns.TypeZONEMD: "apex only",
		dns.TypeCDS: "apex only", dns.TypeCDNSKEY: "apex only", dns.TypeDS: "with NS only", dns.TypeNSEC: "signed zones", dns.TypeSIG: "old", dns.TypeKEY: "old", dns.TypeDSYNC: "younger",
		dns.TypeHHIT: "younger", dns.TypeBRID: "younger", dns.TypeWALLET: "younger", dns.TypeCLA: "younger", dns.TypeIPN: "younger", dns.TypeRESINFO: "younger",
		dns.TypeGPOS: "checks numbers", dns.TypeX25: "checks digits", dns.TypeNAPTR: "checks the regular expression", dns.TypeCAA: "checks bytes", dns.TypeSVCB: "checks bytes of URIs", dns.TypeHTTPS: "checks bytes of URIs",
		dns.TypeNSAP: "checks", dns.TypeSSHFP: "checks digest lengths", dns.TypeRKEY: "checks flags", dns.TypeAMTRELAY: "", dns.TypeCSYNC: "apex only", dns.TypeTA: "", dns.TypeDLV: "",
		dns.TypeDOA: "", dns.TypeTALINK: "", dns.TypeAVC: "", dns.TypeNINFO: "", dns.TypeDHCID: "",
	}
	for _, k := range []dns.Type{dns.TypeAMTRELAY, dns.TypeTA, dns.TypeDLV, dns.TypeDOA, dns.TypeTALINK, dns.TypeAVC, dns.TypeNINFO, dns.TypeDHCID} {
		delete(skip, k)
	}
	r := rand.New(rand.NewSource(3))
	var zone strings.Builder
	zone.WriteString("z. 1 IN SOA . . 1 2 3 4 5\nz. 1 IN NS a.\n")
	want := map[string][]byte{}
	types := map[string]dns.Type{}
	for _, typ := range everyType() {
		if _, s := skip[typ]; s {
			continue
		}
		for i := range 20 {
			w := randomData(r, typ)
			owner := fmt.Sprintf("r%d-%d.z.", typ, i)
			fmt.Fprintf(&zone, "%s 1 IN %s %s\n", owner, typ, AppendText(nil, typ, w))
			want[owner], types[owner] = w, typ
		}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "z")
	if err := os.WriteFile(file, []byte(zone.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(tool, "-q", "-i", "none", "-k", "ignore", "-m", "ignore", "-M", "ignore", "-n", "ignore", "-r", "ignore", "-S", "ignore", "-T", "ignore", "-s", "full", "-o", filepath.Join(dir, "out"), "z", file)
	cmd.Env = testbin.PeerEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		cmd.Args[1] = "-d" // it says why only when it is not quiet
		again := exec.Command(tool, cmd.Args[1:]...)
		again.Env = cmd.Env
		more, _ := again.CombinedOutput()
		t.Fatalf("%v\n%s\n%s", err, out, more)
	}
	out, err := os.ReadFile(filepath.Join(dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, line := range strings.Split(string(out), "\n") {
		f := strings.Fields(line)
		if len(f) < 4 || types[f[0]] == 0 {
			continue
		}
		typ := types[f[0]]
		at := 0
		for _, w := range f[:4] { // owner, TTL, class and type
			at += strings.Index(line[at:], w) + len(w)
		}
		got, err := Parse(nil, typ, []byte(line[at:]), "")
		if err != nil || !bytes.Equal(got, want[f[0]]) {
			t.Errorf("%v: BIND printed %s: %x, want %x: %v", typ, line[at:], got, want[f[0]], err)
		}
		seen++
	}
	if seen != len(want) {
		t.Errorf("%d of %d records came back", seen, len(want))
	}
}

// FuzzWire: any bytes of any type are printed, and what Check accepts reads
// back the same.
func FuzzWire(f *testing.F) {
	r := rand.New(rand.NewSource(4))
	for _, typ := range everyType() {
		f.Add(uint16(typ), randomData(r, typ))
	}
	f.Fuzz(func(t *testing.T, typ uint16, data []byte) {
		ty := dns.Type(typ)
		if len(data) > dns.MaxMessage {
			return
		}
		text := AppendText(nil, ty, data)
		AppendCanonical(nil, ty, data)
		Target(ty, data)
		out, err := AppendUncompressed(nil, data, ty, 0, len(data))
		if err == nil && len(out) <= dns.MaxMessage && Check(ty, out) != nil {
			t.Fatalf("%v %x uncompressed to malformed %x", ty, data, out)
		}
		back, err := Parse(nil, ty, text, "")
		if Check(ty, data) != nil {
			return
		}
		if err != nil || !bytes.Equal(back, data) {
			t.Fatalf("%v %s: %x, want %x: %v", ty, text, back, data, err)
		}
	})
}

// FuzzText: any text of any type; what is accepted passes Check and survives
// being printed.
func FuzzText(f *testing.F) {
	for _, c := range good {
		typ, _ := dns.ParseType(c.typ)
		f.Add(uint16(typ), []byte(c.in))
	}
	f.Fuzz(func(t *testing.T, typ uint16, text []byte) {
		ty := dns.Type(typ)
		w, err := Parse(nil, ty, text, origin)
		if err != nil {
			return
		}
		if err := Check(ty, w); err != nil {
			t.Fatalf("%v %q gives malformed %x: %v", ty, text, w, err)
		}
		back, err := Parse(nil, ty, AppendText(nil, ty, w), "")
		if err != nil || !bytes.Equal(back, w) {
			t.Fatalf("%v %q: %x, want %x: %v", ty, text, back, w, err)
		}
	})
}
