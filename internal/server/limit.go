package server

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"os"

	"bulkhead/internal/access"
	"bulkhead/internal/content"
	"bulkhead/internal/dns"
	"bulkhead/internal/env"
	"bulkhead/internal/rrl"
)

// limits are the rate limits of answers, from $RRL: equal answers a second and
// network; off when unset or 0. Clients with a prefix in root/ip are not
// limited, nor are those that have shown a valid cookie.
type limits struct {
	rate  uint32 // per thread
	trust *access.List
}

// newLimits reads $RRL and, before the box closes, $ROOT/ip. Each of the
// threads gets its share of the rate, at least 1: the kernel spreads clients
// evenly over their sockets.
func newLimits(threads int) (*limits, error) {
	n, err := env.Uint("RRL", 0, 1<<20)
	if err != nil || n == 0 {
		return nil, err
	}
	l := &limits{rate: max(1, uint32(n)/uint32(threads))}
	// No folder: nobody is trusted more than others.
	if root := os.Getenv("ROOT"); root != "" {
		if list, err := access.Load(os.DirFS(root + "/ip")); err == nil {
			l.trust = list
		}
	}
	return l, nil
}

// table makes one thread's counters.
func (l *limits) table() *rrl.Table {
	if l == nil {
		return nil
	}
	var seed [8]byte
	rand.Read(seed[:])
	return rrl.New(l.rate, binary.LittleEndian.Uint64(seed[:]))
}

// limited gives what may be sent of an answer: all, its truncated form, or
// nothing.
func (h *handler) limited(msg []byte, q *content.Question, rcode dns.RCode, peer *content.Peer, now content.Time) []byte {
	if l := h.s.limit.trust; l != nil && l.Allows(netip.AddrFrom16(peer.Addr).Unmap()) {
		return msg
	}
	switch h.table.Check(&peer.Addr, msg, q, rcode, now.TAI) {
	case rrl.Drop:
		return nil
	case rrl.Truncate:
		return h.resp.Truncated(msg, q, rcode, peer, now)
	}
	return msg
}
