package bindimport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strconv"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// maxReplay bounds the recorded queries kept; the rest of a longer recording
// is not replayed, and the report says how many were.
const maxReplay = 5_000_000

// maxFrame is the longest packet of a capture, in bytes: more than any link
// carries.
const maxFrame = 1 << 18

// Skipped counts what of a recording is not replayed: segments of TCP
// connections, which would have to be put together first, and lines or packets
// that are no queries.
type Skipped struct{ TCP, Other int }

// Protocols above IP (IANA, Assigned Internet Protocol Numbers).
const (
	protocolTCP = 6
	protocolUDP = 17
)

// Recorded reads queries from a packet capture (pcap, as tcpdump -w writes
// it), or else from a log: named's query log, or tinydns's own lines.
func Recorded(r io.Reader) (list []Question, skipped Skipped, err error) {
	b := bufio.NewReaderSize(r, 1<<16)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, skipped, err
	}
	if len(magic) == 4 {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			switch order.Uint32(magic) {
			case 0xa1b2c3d4, 0xa1b23c4d: // micro- and nanoseconds
				return readPcap(b, order)
			}
		}
		if binary.LittleEndian.Uint32(magic) == 0x0a0d0d0a {
			return nil, skipped, errors.New("this is pcapng; tcpdump -r FILE -w - makes it pcap")
		}
	}
	return readLog(b)
}

func readPcap(r io.Reader, order binary.ByteOrder) (list []Question, skipped Skipped, err error) {
	var head [24]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, skipped, errors.New("capture ends inside its header")
	}
	link := order.Uint32(head[20:]) & 0xffff
	for len(list) < maxReplay {
		var h [16]byte
		if _, err := io.ReadFull(r, h[:]); err == io.EOF {
			break
		} else if err != nil {
			return list, skipped, errors.New("capture ends inside a packet")
		}
		n := order.Uint32(h[8:])
		if n > maxFrame {
			return list, skipped, errors.New("capture has a packet of " + strconv.Itoa(int(n)) + " bytes")
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(r, frame); err != nil {
			return list, skipped, errors.New("capture ends inside a packet")
		}
		msg, tcp := udpToDNS(link, frame)
		if q, ok := recordedQuery(msg); ok {
			list = append(list, q)
		} else if tcp {
			skipped.TCP++
		} else {
			skipped.Other++
		}
	}
	return list, skipped, nil
}

// Link types of captures (tcpdump.org/linktypes.html).
const (
	linkNull     = 0
	linkEthernet = 1
	linkRaw      = 101
	linkRawOld   = 12
	linkLoop     = 108
	linkCooked   = 113
	linkCooked2  = 276
)

// udpToDNS gives the payload of a UDP packet to port 53, nil for others; tcp
// tells of a TCP segment to that port.
func udpToDNS(link uint32, f []byte) (msg []byte, tcp bool) {
	cut := func(n int) bool {
		if len(f) < n {
			return false
		}
		f = f[n:]
		return true
	}
	ok := true
	switch link {
	case linkEthernet:
		if len(f) < 14 {
			return nil, false
		}
		kind := binary.BigEndian.Uint16(f[12:])
		ok = cut(14)
		for range 2 { // VLAN tags, IEEE 802.1Q and 802.1ad
			if kind != 0x8100 && kind != 0x88a8 || len(f) < 4 {
				break
			}
			kind = binary.BigEndian.Uint16(f[2:])
			cut(4)
		}
	case linkNull, linkLoop:
		ok = cut(4)
	case linkCooked:
		ok = cut(16)
	case linkCooked2:
		ok = cut(20)
	case linkRaw, linkRawOld:
	default:
		return nil, false
	}
	if !ok || len(f) < 1 {
		return nil, false
	}
	var protocol byte
	switch f[0] >> 4 {
	case 4:
		n := int(f[0]&15) * 4
		if n < 20 || len(f) < n || binary.BigEndian.Uint16(f[6:])&0x3fff != 0 { // whole packets only
			return nil, false
		}
		protocol = f[9]
		// what follows the packet is padding of a short frame
		if total := int(binary.BigEndian.Uint16(f[2:])); total >= n && total < len(f) {
			f = f[:total]
		}
		cut(n)
	case 6:
		if len(f) < 40 {
			return nil, false
		}
		protocol = f[6] // another is an extension header: passed over
		if total := 40 + int(binary.BigEndian.Uint16(f[4:])); total > 40 && total < len(f) {
			f = f[:total]
		}
		cut(40)
	default:
		return nil, false
	}
	if len(f) < 8 || binary.BigEndian.Uint16(f[2:]) != dns.Port {
		return nil, false
	}
	switch protocol {
	case protocolUDP:
		return f[8:], false
	case protocolTCP:
		return nil, true
	}
	return nil, false
}

// recordedQuery checks that msg is a query with one question.
func recordedQuery(msg []byte) (q Question, ok bool) {
	h, ok := wire.ParseHeader(msg)
	if !ok || h.Bits&wire.BitQR != 0 || h.QDCount != 1 || len(msg) > dns.MaxMessage {
		return q, false
	}
	c, err := wire.Parse(msg)
	if err != nil {
		return q, false
	}
	name, t, _, err := c.Question(nil)
	if err != nil || t == dns.TypeAXFR || t == dns.TypeIXFR {
		return q, false
	}
	return Question{Name: dnsname.Name(name), Type: t, raw: bytes.Clone(msg)}, true
}

// readLog reads lines such as
//
//	22-Nov-2026 12:00:00.000 client @0x7f 192.0.2.1#5353 (www.example.org): query: www.example.org IN A +E(0)K (192.0.2.53)
//	@4000... c0000201:14e9:0001 + 0001 www.example.org
func readLog(r io.Reader) (list []Question, skipped Skipped, err error) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxFrame)
	for s.Scan() && len(list) < maxReplay {
		if q, ok := logLine(s.Text()); ok {
			list = append(list, q)
		} else {
			skipped.Other++
		}
	}
	return list, skipped, s.Err()
}

func logLine(line string) (q Question, ok bool) {
	if _, rest, found := strings.Cut(line, ": query: "); found {
		f := strings.Fields(rest)
		if len(f) < 3 || f[1] != "IN" {
			return q, false
		}
		name, err := dnsname.ParseMaster(f[0], "")
		t, known := dns.ParseType(f[2])
		if err != nil || !known || t == dns.TypeAXFR || t == dns.TypeIXFR {
			return q, false
		}
		q = Question{Name: name, Type: t}
		if len(f) > 3 { // +SE(0)TDVCK: E has EDNS, T came over TCP, D has DO
			q.EDNS = strings.Contains(f[3], "E(")
			flags := strings.ReplaceAll(f[3], "E(0)", "")
			q.TCP, q.DO = strings.Contains(flags, "T"), strings.Contains(flags, "D")
		}
		return q, true
	}
	// address:port:id, verdict, type, name
	f := strings.Fields(line)
	if len(f) > 0 && strings.HasPrefix(f[0], "@") {
		f = f[1:]
	}
	if len(f) != 4 || strings.Count(f[0], ":") < 2 {
		return q, false
	}
	t, err := strconv.ParseUint(f[2], 16, 16)
	name, err2 := dnsname.ParseDot(f[3])
	if err != nil || err2 != nil || t == uint64(dns.TypeAXFR) || t == uint64(dns.TypeIXFR) {
		return q, false
	}
	return Question{Name: name, Type: dns.Type(t)}, true
}

// Replay asks both servers what was recorded.
func (k *Check) Replay(list []Question) error { return k.ask(list, nil) }
