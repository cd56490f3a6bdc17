// Package tsig signs and checks messages with a shared secret (RFC 8945): the
// queries of zone transfers and their answers of many messages. It is pure: the
// time is an argument.
package tsig

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"strconv"
	"strings"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

const (
	// fudge is how many seconds the clocks may differ (RFC 8945, section 10).
	fudge = 300
	// maxUnsigned messages may stand between two signed ones (section 5.3.1).
	maxUnsigned = 99
	maxKeyFile  = 4096 // bytes
)

// Errors of checking. Clock and key are told by the server (section 5.2).
var (
	ErrUnsigned = errors.New("answer is not signed (TSIG)")
	ErrKey      = errors.New("answer is signed with another key (TSIG)")
	ErrMAC      = errors.New("signature of the answer is wrong (TSIG)")
	ErrTime     = errors.New("answer was signed at another time: one of the clocks is wrong (TSIG)")
	errFormat   = errors.New("malformed TSIG record")
	errKeyFile  = errors.New("not NAME ALGORITHM SECRET")
)

// The algorithms, all that RFC 8945, section 6, wants implemented and does not
// advise against.
var algorithms = map[string]func() hash.Hash{"hmac-sha256": sha256.New, "hmac-sha384": sha512.New384, "hmac-sha512": sha512.New}

// Key is a shared secret with its name.
type Key struct {
	name, alg dnsname.Name // lower case
	new       func() hash.Hash
	secret    []byte
}

// ParseKey reads a key file: a line NAME ALGORITHM SECRET, the secret in base64;
// # begins a comment.
func ParseKey(text []byte) (*Key, error) {
	if len(text) > maxKeyFile {
		return nil, errors.New("key file is too long")
	}
	var key *Key
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 3 || key != nil {
			return nil, errKeyFile
		}
		k := &Key{new: algorithms[strings.ToLower(f[1])]}
		var err error
		if k.name, err = dnsname.ParseDot(f[0]); err != nil {
			return nil, errors.New("bad name of the key")
		}
		if k.new == nil {
			return nil, errors.New("algorithm is none of hmac-sha256, hmac-sha384, hmac-sha512")
		}
		k.name = k.name.Lower()
		k.alg, _ = dnsname.ParseDot(strings.ToLower(f[1]))
		if k.secret, err = base64.StdEncoding.DecodeString(f[2]); err != nil || len(k.secret) == 0 {
			return nil, errors.New("secret is no base64")
		}
		key = k
	}
	if key == nil {
		return nil, errKeyFile
	}
	return key, nil
}

// variables appends what is signed besides the message (section 4.3.3).
func (k *Key) variables(dst []byte, at uint64, window, code uint16, other []byte) []byte {
	dst = append(dst, k.name...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(dns.ClassANY))
	dst = append(dst, 0, 0, 0, 0) // TTL
	dst = append(dst, k.alg...)
	dst = timers(dst, at, window)
	dst = binary.BigEndian.AppendUint16(dst, code)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(other)))
	return append(dst, other...)
}

// timers appends a time of 48 bits and the window.
func timers(dst []byte, at uint64, window uint16) []byte {
	dst = append(dst, byte(at>>40), byte(at>>32))
	dst = binary.BigEndian.AppendUint32(dst, uint32(at))
	return binary.BigEndian.AppendUint16(dst, window)
}

// Exchange is one question and its answer of any number of messages.
type Exchange struct {
	key      *Key
	id       uint16
	mac      []byte // of the last signed message
	h        hash.Hash
	first    bool
	unsigned int // messages since
}

// Sign appends a TSIG record to the query msg, which has no length prefix, at
// now, seconds since 1970. The answers are for Check.
func (k *Key) Sign(msg []byte, now int64) ([]byte, *Exchange) {
	x := &Exchange{key: k, id: binary.BigEndian.Uint16(msg), h: hmac.New(k.new, k.secret), first: true}
	x.h.Write(msg)
	x.h.Write(k.variables(nil, uint64(now), fudge, 0, nil))
	x.mac = x.h.Sum(nil)
	msg = k.append(msg, x.mac, uint64(now), x.id)
	x.restart()
	return msg, x
}

// append adds a TSIG record without error to msg.
func (k *Key) append(msg, mac []byte, at uint64, id uint16) []byte {
	msg = append(msg, k.name...)
	msg = binary.BigEndian.AppendUint16(msg, uint16(dns.TypeTSIG))
	msg = binary.BigEndian.AppendUint16(msg, uint16(dns.ClassANY))
	msg = append(msg, 0, 0, 0, 0)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(k.alg)+8+2+len(mac)+6))
	msg = timers(append(msg, k.alg...), at, fudge)
	msg = binary.BigEndian.AppendUint16(msg, uint16(len(mac)))
	msg = append(msg, mac...)
	msg = binary.BigEndian.AppendUint16(msg, id)
	msg = append(msg, 0, 0, 0, 0) // error, length of other data
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])+1)
	return msg
}

// restart begins the digest of the next message with the MAC of the last one
// (section 5.3.1).
func (x *Exchange) restart() {
	x.h.Reset()
	x.h.Write(binary.BigEndian.AppendUint16(nil, uint16(len(x.mac))))
	x.h.Write(x.mac)
	x.unsigned = 0
}

// Check checks the next message of the answer and gives it without its TSIG
// record; msg is changed. The first must be signed, and of those that follow
// one in a hundred, the last among them: see Complete.
func (x *Exchange) Check(msg []byte, now int64) ([]byte, error) {
	at, found, err := find(msg)
	if err != nil {
		return nil, err
	}
	if !found {
		if x.unsigned++; x.first || x.unsigned > maxUnsigned {
			return nil, ErrUnsigned
		}
		x.h.Write(msg)
		return msg, nil
	}
	var nb [dns.MaxName]byte
	name, off, err := wire.AppendName(nb[:0], msg, at)
	if err != nil {
		return nil, err
	}
	rr := msg[off:]
	if len(rr) < 10 || len(rr) != 10+int(binary.BigEndian.Uint16(rr[8:])) || dns.Class(binary.BigEndian.Uint16(rr[2:])) != dns.ClassANY ||
		binary.BigEndian.Uint32(rr[4:]) != 0 {
		return nil, errFormat // it is the last record (section 5.1)
	}
	data := rr[10:]
	n, ok := dnsname.Scan(data)
	if !ok || len(data) < n+10 {
		return nil, errFormat
	}
	alg, data := data[:n], data[n:]
	when := uint64(binary.BigEndian.Uint16(data))<<32 | uint64(binary.BigEndian.Uint32(data[2:]))
	window, size := binary.BigEndian.Uint16(data[6:]), int(binary.BigEndian.Uint16(data[8:]))
	if len(data) < 10+size+6 {
		return nil, errFormat
	}
	mac, data := data[10:10+size], data[10+size:]
	id, code, other := binary.BigEndian.Uint16(data), binary.BigEndian.Uint16(data[2:]), data[6:]
	if len(other) != int(binary.BigEndian.Uint16(data[4:])) {
		return nil, errFormat
	}
	if !dnsname.Equal(name, x.key.name) || !dnsname.Equal(alg, x.key.alg) {
		return nil, ErrKey
	}
	switch code { // section 5.2; these two come unsigned
	case 16:
		return nil, errors.New("server finds our signature wrong (TSIG BADSIG)")
	case 17:
		return nil, errors.New("server does not know the key " + x.key.name.Text() + " (TSIG BADKEY)")
	}
	if id != x.id {
		return nil, ErrMAC
	}
	msg = msg[:at]
	binary.BigEndian.PutUint16(msg[10:], binary.BigEndian.Uint16(msg[10:])-1)
	was := binary.BigEndian.Uint16(msg)
	binary.BigEndian.PutUint16(msg, id)
	x.h.Write(msg)
	binary.BigEndian.PutUint16(msg, was)
	if x.first {
		x.h.Write(x.key.variables(nil, when, window, code, other))
	} else {
		x.h.Write(timers(nil, when, window))
	}
	// Whole MACs only: nobody needs shorter ones here (section 5.2.2.1).
	sum := x.h.Sum(nil)
	if !hmac.Equal(sum, mac) {
		return nil, ErrMAC
	}
	if d := now - int64(when); d > int64(window) || -d > int64(window) || code == 18 {
		return nil, ErrTime
	}
	if code != 0 {
		return nil, errors.New("server reports TSIG error " + strconv.Itoa(int(code)))
	}
	x.first = false
	x.mac = bytes.Clone(mac)
	x.restart()
	return msg, nil
}

// Complete reports whether the last message was signed, as that of a transfer
// must be (section 5.3.1).
func (x *Exchange) Complete() bool { return !x.first && x.unsigned == 0 }

// find gives the offset of a TSIG record, which is the last one of a message
// (section 5.1).
func find(msg []byte) (at int, found bool, err error) {
	c, err := wire.Parse(msg)
	if err != nil {
		return 0, false, err
	}
	for range c.Header.QDCount {
		if _, _, _, err := c.Question(nil); err != nil {
			return 0, false, err
		}
	}
	var r wire.RR
	for {
		ok, err := c.Next(&r)
		if err != nil {
			return 0, false, err
		}
		if !ok {
			return at, found, nil
		}
		if found {
			return 0, false, errFormat
		}
		if r.Type == dns.TypeTSIG {
			if r.Section != wire.Additional {
				return 0, false, errFormat
			}
			at, found = r.Owner, true
		}
	}
}
