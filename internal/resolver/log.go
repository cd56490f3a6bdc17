package resolver

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// AppendLog appends the log line of an event, without its newline. ok is false
// for events that the log does not show: those of explanations, and the
// engine's own questions. udp and tcp are the counts for stats lines.
// The forms are compat: djbdns.md, section 10.6; IPv6 addresses are 32 hex
// digits.
func AppendLog(dst []byte, ev *Event, queries uint64, udp, tcp int) (line []byte, ok bool) {
	if ev.Question == nil {
		return dst, false
	}
	switch ev.Kind {
	case EventTx:
		dst = append(dst, "tx "...)
		dst = strconv.AppendInt(dst, int64(ev.Level), 10)
		dst = appendType(append(dst, ' '), ev.Type)
		dst = AppendLogName(append(dst, ' '), ev.Name)
		dst = AppendLogName(append(dst, ' '), ev.Control)
		for _, s := range ev.Servers {
			dst = AppendLogAddr(append(dst, ' '), s.Addr())
		}
	case EventCached:
		dst = appendType(append(dst, "cached "...), ev.Type)
		dst = AppendLogName(append(dst, ' '), ev.Name)
	case EventCachedCNAME:
		dst = AppendLogName(append(dst, "cached cname "...), ev.Name)
		dst = AppendLogName(append(dst, ' '), ev.Target)
	case EventCachedNS:
		dst = AppendLogName(append(dst, "cached ns "...), ev.Control)
		dst = AppendLogName(append(dst, ' '), ev.Target)
	case EventCachedNXDomain:
		dst = AppendLogName(append(dst, "cached nxdomain "...), ev.Name)
	case EventRR:
		dst = AppendLogAddr(append(dst, "rr "...), ev.Server.Addr())
		dst = strconv.AppendUint(append(dst, ' '), uint64(ev.TTL), 10)
		dst = appendRecord(append(dst, ' '), ev.Type, ev.Name, ev.Data)
	case EventNXDomain:
		dst = AppendLogAddr(append(dst, "nxdomain "...), ev.Server.Addr())
		dst = strconv.AppendUint(append(dst, ' '), uint64(ev.TTL), 10)
		dst = AppendLogName(append(dst, ' '), ev.Name)
	case EventNoData:
		dst = AppendLogAddr(append(dst, "nodata "...), ev.Server.Addr())
		dst = strconv.AppendUint(append(dst, ' '), uint64(ev.TTL), 10)
		dst = appendType(append(dst, ' '), ev.Type)
		dst = AppendLogName(append(dst, ' '), ev.Name)
	case EventLame:
		dst = AppendLogAddr(append(dst, "lame "...), ev.Server.Addr())
		dst = AppendLogName(append(dst, ' '), ev.Control)
		dst = AppendLogName(append(dst, ' '), ev.Target)
	case EventServFail:
		if ev.Reason == lameReason {
			return dst, false
		}
		dst = AppendLogName(append(dst, "servfail "...), ev.Name)
		dst = append(dst, " input/output error"...)
	case EventStats:
		dst = strconv.AppendUint(append(dst, "stats "...), queries, 10)
		dst = strconv.AppendUint(append(dst, ' '), ev.Motion, 10)
		dst = strconv.AppendInt(append(dst, ' '), int64(udp), 10)
		dst = strconv.AppendInt(append(dst, ' '), int64(tcp), 10)
	default:
		return dst, false
	}
	return dst, true
}

// lameReason: the old program says nothing more when it runs out of servers,
// only when all it asked failed to answer.
const lameReason = "no server left"

func appendType(dst []byte, t dns.Type) []byte { return strconv.AppendUint(dst, uint64(t), 10) }

// AppendLogName appends a name as the log shows it: lower case, a dot after
// every label, bytes that do not print as a question mark.
func AppendLogName(dst, name []byte) []byte {
	if len(name) == 0 {
		return append(dst, '?')
	}
	if name[0] == 0 {
		return append(dst, '.')
	}
	start := len(dst)
	dst = append(dst, name[1:]...)
	b := dst[start:]
	dot := int(name[0]) // where the label ends
	for i, c := range b {
		if i < dot {
			b[i] = logByte[c]
			continue
		}
		b[i] = '.'
		if c == 0 {
			return dst[:start+i+1]
		}
		dot = i + 1 + int(c)
	}
	return append(dst, '.') // not a whole name
}

// logByte is what the log shows for a byte of a name.
var logByte = func() (t [256]byte) {
	for i := range t {
		t[i] = dnsname.LowerByte(byte(i))
		if i <= 32 || i > 126 {
			t[i] = '?'
		}
	}
	return t
}()

const hexDigits = "0123456789abcdef"

func appendHex(dst, b []byte) []byte {
	for _, c := range b {
		dst = append(dst, hexDigits[c>>4], hexDigits[c&15])
	}
	return dst
}

// AppendLogAddr appends an address as the log shows it.
func AppendLogAddr(dst []byte, a netip.Addr) []byte {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return appendHex(dst, b[:])
	}
	b := a.As16()
	return appendHex(dst, b[:])
}

// maxLogData is how much of a record's data a line shows, in bytes.
const maxLogData = 32

func appendRecord(dst []byte, t dns.Type, owner, data []byte) []byte {
	word, fixed, names, numbers := "", 0, 0, 0
	switch t {
	case dns.TypeNS:
		word, names = "ns", 1
	case dns.TypeCNAME:
		word, names = "cname", 1
	case dns.TypePTR:
		word, names = "ptr", 1
	case dns.TypeMX:
		word, fixed, names = "mx", 2, 1
	case dns.TypeSOA:
		word, names, numbers = "soa", 2, 5
	}
	if word == "" || len(data) < fixed {
		dst = AppendLogName(append(appendType(dst, t), ' '), owner)
		dst = append(dst, ' ')
		if len(data) >= maxLogData {
			return append(appendHex(dst, data[:maxLogData]), "..."...)
		}
		return appendHex(dst, data)
	}
	dst = AppendLogName(append(append(dst, word...), ' '), owner)
	if fixed > 0 {
		dst = strconv.AppendUint(append(dst, ' '), uint64(binary.BigEndian.Uint16(data)), 10)
		data = data[fixed:]
	}
	for ; names > 0; names-- {
		n, ok := dnsname.Scan(data)
		if !ok {
			return dst
		}
		dst = AppendLogName(append(dst, ' '), data[:n])
		data = data[n:]
	}
	for ; numbers > 0 && len(data) >= 4; numbers-- {
		dst = strconv.AppendUint(append(dst, ' '), uint64(binary.BigEndian.Uint32(data)), 10)
		data = data[4:]
	}
	return dst
}
