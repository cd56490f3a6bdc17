// Package axfrdns is the program of that name: DNS over TCP and zone transfers
// (compat: djbdns.md section 6; RFC 7766, RFC 5936, RFC 1995).
//
//	axfrdns.go   which of the two ways to run, what both need
//	process.go   one connection on descriptors 0 and 1, under tcpserver
//	server.go    many connections in one process
//	rules.go     who may connect to that and transfer what
//
// Both ways answer through axfr.Desk and say the same things.
package axfrdns

import (
	"bulkhead/internal/dns"
	"encoding/binary"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/internal/axfr"
	"bulkhead/internal/content"
	"bulkhead/internal/cookie"
	"bulkhead/internal/env"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/tai64"
)

// Words of 1.05 for what ends a connection (compat: djbdns.md section 6).
const (
	saysTruncated  = "truncated request"
	saysBogus      = "bogus query"
	saysDisallowed = "disallowed zone transfer request"
	saysNowhere    = "unable to locate information in data.cdb"
)

// Run is the program. Without a tcpserver in front, and with IP set, it is a
// server of its own.
func Run(box sandbox.Decl) error {
	_, client := os.LookupEnv("TCPREMOTEIP")
	_, proto := os.LookupEnv("PROTO")
	_, ip := os.LookupEnv("IP")
	if ip && !client && !proto {
		return serve(box)
	}
	return process(box)
}

// settings are those of both ways.
type settings struct {
	content.Config
	addresses int
	quiet     bool // LOG=0
}

func fromEnv() (s settings, err error) {
	s.Silent = env.IsOn("SILENT")
	s.ECS = env.IsOn("ECS")
	if v := os.Getenv("NSID"); v != "" {
		s.NSID = []byte(v[:min(len(v), dns.MaxNSID)])
	}
	switch v := os.Getenv("COOKIE"); v {
	case "0":
	case "":
		// Who has a cookie from tinydns expects one over TCP, too (RFC 7873,
		// section 5.3), whatever it is worth.
		var k cookie.Secret
		unix.Getrandom(k[:], 0)
		s.Cookies = []cookie.Secret{k}
	default:
		var ok bool
		if s.Cookies, ok = cookie.ParseSecrets(v); !ok {
			return s, prog.Fatal("unable to parse $COOKIE: not 32 hex digits, or several such secrets separated by commas", nil)
		}
	}
	n, err := env.Uint("ADDRESSES", 0, 1<<16)
	s.addresses, s.quiet = int(n), !env.Logs()
	return s, err
}

// desk makes one thread's Desk.
func (s *settings) desk() *axfr.Desk {
	d := &axfr.Desk{Resp: content.Responder{Config: s.Config}}
	d.Answerer.Addresses = s.addresses
	var seed [8]byte
	unix.Getrandom(seed[:], 0) // crypto/rand would start with a tenth of a millisecond of self-tests
	d.Answerer.Rand.State = binary.LittleEndian.Uint64(seed[:])
	return d
}

// allowed reads $AXFR; nil when it is not set: all may be transferred.
func allowed() (*axfr.Allow, error) {
	v, ok := os.LookupEnv("AXFR")
	if !ok {
		return nil, nil
	}
	a, err := axfr.ParseAllow(v)
	if err != nil {
		return nil, prog.Fatal("out of memory", nil) // as 1.05 said
	}
	return a, nil
}

func moment() content.Time {
	t := time.Now()
	return content.Time{TAI: tai64.Seconds(t), Unix: uint32(t.Unix())}
}

// guarded runs f; a fault in the mapped data, such as a file changed under us,
// gives false instead of the end of the process.
func guarded(f func()) (ok bool) {
	defer func() {
		if x := recover(); x != nil {
			if _, fault := x.(runtime.Error); !fault {
				panic(x)
			}
			ok = false
		}
	}()
	f()
	return true
}

func faultsPanic() { debug.SetPanicOnFault(true) }
