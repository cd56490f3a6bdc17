package content

import (
	"encoding/binary"

	"bulkhead/internal/cookie"
	"bulkhead/internal/dns"
	"bulkhead/internal/wire"
)

// options are what a query's OPT record asks for.
type options struct {
	nsid      bool
	keepalive bool
	hasCookie bool
	cookie    []byte // client's part and, perhaps, ours
	ecs       []byte // the whole option's data
}

// parseOptions looks at the options we know; false for malformed ones.
func (r *Responder) parseOptions(q *Question) bool {
	rest := q.edns.Options
	for len(rest) > 0 {
		code, data, next, ok := wire.NextOption(rest)
		if !ok {
			return false
		}
		rest = next
		switch code {
		case dns.OptNSID:
			q.opt.nsid = r.NSID != nil
		case dns.OptTCPKeepalive:
			// RFC 7828, section 3.2.1: empty in a query, ignored over UDP
			q.opt.keepalive = q.TCP && len(data) == 0 && r.Keepalive > 0
		case dns.OptCookie:
			// RFC 7873, section 4: 8 bytes, or 16 to 40 with a server's
			if len(data) != cookie.ClientLen && (len(data) < 16 || len(data) > 40) {
				return false
			}
			if len(r.Cookies) > 0 && !q.opt.hasCookie {
				q.opt.hasCookie, q.opt.cookie = true, data
			}
		case dns.OptClientSubnet:
			if r.ECS && q.opt.ecs == nil {
				if !q.subnet(data) {
					return false
				}
				q.opt.ecs = data
			}
		}
	}
	return true
}

// subnet takes the client's network from an option (RFC 7871, section 6).
func (q *Question) subnet(d []byte) bool {
	if len(d) < 4 {
		return false
	}
	family, source, scope, addr := binary.BigEndian.Uint16(d), int(d[2]), d[3], d[4:]
	if scope != 0 || len(addr) != (source+7)/8 {
		return false
	}
	var a Addr
	switch {
	case family == 1 && source <= 32:
		var ip [4]byte
		copy(ip[:], addr)
		a = AddrFrom4(ip)
	case family == 2 && source <= 128:
		copy(a[:], addr)
	case family == 0 && source == 0: // no address at all, as dig +subnet=0 says it
	default:
		return false
	}
	if source%8 != 0 && addr[len(addr)-1]<<(source%8) != 0 {
		return false // bits beyond the prefix must be zero
	}
	if source > 0 { // section 7.1.2: 0 asks not to be located
		q.Client = a
	}
	return true
}

// reserve is the room that the answer's OPT record needs.
func (r *Responder) reserve(q *Question) int {
	n := wire.OPTLen
	if q.opt.nsid {
		n += 4 + len(r.NSID)
	}
	if q.opt.keepalive {
		n += 4 + 2
	}
	if q.opt.hasCookie {
		n += 4 + cookie.Len
	}
	if q.opt.ecs != nil {
		n += 4 + len(q.opt.ecs)
	}
	return n
}

// valid reports whether the query carries a cookie that we made for its
// sender.
func (r *Responder) valid(q *Question, peer *Peer, now Time) bool {
	if q.edns.Present && q.opt.hasCookie {
		for i := range r.Cookies { // RFC 9018, section 5: at most a few
			if v := r.Cookies[i].Check(q.opt.cookie, cookieAddr(peer), now.Unix); v == cookie.Good || v == cookie.Stale {
				return true
			}
		}
	}
	return false
}

// cookieAddr gives the address bytes that cookies are made of (RFC 9018,
// section 4.4): 4 or 16.
func cookieAddr(p *Peer) []byte {
	if ip, ok := p.Addr.V4(); ok {
		return ip
	}
	return p.Addr[:]
}

// OPT gives the record that appendOPT would end an answer with, for answers of
// many messages.
func (r *Responder) OPT(q *Question, peer *Peer, now Time) []byte {
	return r.appendOPT(make([]byte, dns.HeaderLen), 0, q, &Result{}, peer, now)[dns.HeaderLen:]
}

// appendOPT ends the message that starts at start with an OPT record.
func (r *Responder) appendOPT(msg []byte, start int, q *Question, res *Result, peer *Peer, now Time) []byte {
	binary.BigEndian.PutUint16(msg[start+10:], binary.BigEndian.Uint16(msg[start+10:])+1)
	flags := byte(0)
	if q.edns.DO {
		flags = 0x80 // RFC 3225, section 3: copied
	}
	msg = append(msg, 0, 0, byte(dns.TypeOPT), dns.EDNSUDPSize>>8, dns.EDNSUDPSize&0xFF, byte(res.RCode>>4), 0, flags, 0, 0, 0)
	at := len(msg)
	if q.opt.nsid {
		msg = wire.AppendOption(msg, dns.OptNSID, r.NSID)
	}
	if q.opt.keepalive {
		msg = append(msg, 0, dns.OptTCPKeepalive, 0, 2, byte(r.Keepalive>>8), byte(r.Keepalive))
	}
	if q.opt.hasCookie {
		msg = append(msg, 0, dns.OptCookie, 0, cookie.Len)
		msg = r.Cookies[0].Append(msg, q.opt.cookie[:cookie.ClientLen], cookieAddr(peer), now.Unix)
	}
	if q.opt.ecs != nil {
		msg = wire.AppendOption(msg, dns.OptClientSubnet, q.opt.ecs)
		if q.opt.ecs[2] > 0 { // section 7.1.2: 0 asks not to be located
			scope := res.Scope
			if _, ok := q.Client.V4(); ok && q.opt.ecs[1] == 2 {
				scope += 96 // an IPv4 address in the form of IPv6
			}
			msg[len(msg)-len(q.opt.ecs)+3] = scope
		}
	}
	if res.EDE != 0 && len(msg)-start+6 <= dns.MinUDP {
		msg = append(msg, 0, dns.OptEDE, 0, 2, byte(res.EDE>>8), byte(res.EDE))
	}
	binary.BigEndian.PutUint16(msg[at-2:], uint16(len(msg)-at))
	return msg
}
