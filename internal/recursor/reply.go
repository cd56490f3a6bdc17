package recursor

import (
	"encoding/binary"
	"net/netip"

	"bulkhead/internal/cache"
	"bulkhead/internal/cookie"
	"bulkhead/internal/dns"
	"bulkhead/internal/resolver"
	"bulkhead/internal/wire"
)

// parse screens a client's message and reads its one question, whose name is
// appended to name. a.drop: no answer. a.rcode: that is the answer. A nil name
// with rcode: the question could not be read.
//
//	silence   shorter than a header, QR set (RFC 1035, section 4.1.1: not a
//	          query), TC set (1.05)
//	NOTIMP    another opcode than QUERY
//	FORMERR   not one question (RFC 9619), malformed question, records or OPT
//	NOERROR   no question, but a cookie (RFC 7873, section 5.4); BADCOOKIE if it
//	          has a part that should be ours and is not
//	BADVERS   EDNS version over 0 (RFC 6891, section 6.1.3)
//	REFUSED   RD clear: we have no data of our own (RFC 8906, section 3.1.2
//	          asks for an answer); class neither IN nor ANY; a zone transfer
func (w *worker) parse(msg, name []byte, a *asked, from netip.Addr, tcp bool) ([]byte, dns.Type) {
	c, err := wire.Parse(msg)
	if err != nil || c.Header.Bits&(wire.BitQR|wire.BitTC) != 0 {
		a.drop = true
		return nil, 0
	}
	a.id, a.bits = c.Header.ID, c.Header.Bits
	a.max = dns.MinUDP
	if tcp {
		a.max = dns.MaxMessage
	}
	if c.Header.Opcode() != dns.OpcodeQuery {
		a.rcode = dns.RCodeNotImp
		return nil, 0
	}
	if c.Header.QDCount != 1 {
		a.rcode = dns.RCodeFormErr
		if c.Header.QDCount == 0 && a.edns.FromQuery(msg, c.Offset()) == nil && a.edns.Present && a.edns.Version == 0 && w.options(a, from) && a.cookie != nil {
			a.rcode = dns.RCodeSuccess
			if a.badCookie {
				a.rcode = dns.RCodeBadCookie
			}
		}
		return nil, 0
	}
	qname, t, class, err := c.Question(name)
	if err != nil {
		a.rcode = dns.RCodeFormErr
		return nil, 0
	}
	a.class = class
	if err = a.edns.FromQuery(msg, c.Offset()); err != nil {
		a.rcode = dns.RCodeFormErr
		return qname, t
	}
	if a.edns.Present {
		if !tcp {
			// at least 512 (RFC 6891, section 6.2.5), at most what never fragments
			a.max = int(min(max(a.edns.UDPSize, dns.MinUDP), dns.EDNSUDPSize))
		}
		if a.edns.Version != 0 {
			a.rcode = dns.RCodeBadVers
			return qname, t
		}
		if !w.options(a, from) {
			a.rcode = dns.RCodeFormErr
			return qname, t
		}
	}
	switch {
	case a.bits&wire.BitRD == 0, class != dns.ClassIN && class != dns.ClassANY:
		a.rcode = dns.RCodeRefused
	case t == dns.TypeAXFR, t == dns.TypeIXFR:
		a.rcode, a.transfer = dns.RCodeRefused, true
	case t == dns.TypeOPT, t == 0: // no such data anywhere
		a.rcode = dns.RCodeFormErr
	}
	return qname, t
}

// options reads the options of an OPT record; false is FORMERR.
func (w *worker) options(a *asked, from netip.Addr) bool {
	rest := a.edns.Options
	for {
		code, data, next, ok := wire.NextOption(rest)
		if !ok {
			return next == nil
		}
		switch code {
		case dns.OptCookie:
			if a.cookie == nil {
				v := w.s.cookies.Check(data, from.AsSlice(), w.secs)
				if v == cookie.Malformed {
					return false
				}
				a.cookie = data[:cookie.ClientLen]
				a.badCookie = len(data) > cookie.ClientLen && v != cookie.Good && v != cookie.Stale
			}
		case dns.OptNSID:
			a.nsid = len(data) == 0 // RFC 5001, section 2.1
		}
		rest = next
	}
}

// appendOptions appends the options of an answer.
func (w *worker) appendOptions(dst []byte, a *asked, from netip.Addr) []byte {
	if a.cookie != nil {
		dst = binary.BigEndian.AppendUint16(dst, dns.OptCookie)
		dst = binary.BigEndian.AppendUint16(dst, cookie.Len)
		var ip [16]byte
		b := ip[:]
		if from.Is4() {
			v := from.As4()
			b = ip[:copy(ip[:], v[:])]
		} else {
			ip = from.As16()
		}
		dst = w.s.cookies.Append(dst, a.cookie, b, w.secs)
	}
	if a.nsid && w.s.set.NSID != "" {
		dst = wire.AppendOption(dst, dns.OptNSID, w.s.set.NSID)
	}
	return dst
}

// appendEDE appends an extended error (RFC 8914).
func appendEDE(dst []byte, code dns.EDE, text string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, dns.OptEDE)
	dst = binary.BigEndian.AppendUint16(dst, uint16(2+len(text)))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, text...)
}

// appendOPT appends the OPT record with options that appendOptions made.
func appendOPT(dst []byte, rcode dns.RCode, do bool, options []byte) []byte {
	ttl := uint32(rcode>>4) << 24
	if do {
		ttl |= 1 << 15
	}
	dst = append(dst, 0, 0, byte(dns.TypeOPT))
	dst = binary.BigEndian.AppendUint16(dst, dns.EDNSUDPSize)
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(options)))
	return append(dst, options...)
}

// replyBits are the header bits of an answer: opcode, RD and CD as in the
// query, RA always.
func replyBits(a *asked) uint16 {
	return wire.BitQR | wire.BitRA | a.bits&(wire.MaskOpcode|wire.BitRD|wire.BitCD)
}

// wantsAD: AD is set only for those who know it, by DO or by AD in the query
// (RFC 6840, section 5.8).
func (a *asked) wantsAD() bool { return a.edns.DO || a.bits&wire.BitAD != 0 }

// appendError appends an answer without records.
func (w *worker) appendError(dst []byte, a *asked, name []byte, t dns.Type, from netip.Addr) []byte {
	dst = binary.BigEndian.AppendUint16(dst, a.id)
	dst = binary.BigEndian.AppendUint16(dst, replyBits(a)|uint16(a.rcode&15))
	qd, ar := byte(0), byte(0)
	if name != nil {
		qd = 1
	}
	if a.edns.Present {
		ar = 1
	}
	dst = append(dst, 0, qd, 0, 0, 0, 0, 0, ar)
	if name != nil {
		dst = append(dst, name...)
		dst = binary.BigEndian.AppendUint16(dst, uint16(t))
		dst = binary.BigEndian.AppendUint16(dst, uint16(a.class))
	}
	if !a.edns.Present {
		return dst
	}
	w.opts = w.appendOptions(w.opts[:0], a, from)
	switch {
	case a.rcode != dns.RCodeRefused:
	case a.class != dns.ClassIN && a.class != dns.ClassANY:
		w.opts = appendEDE(w.opts, dns.EDENotSupported, "class")
	case a.bits&wire.BitRD == 0:
		w.opts = appendEDE(w.opts, dns.EDENotAuthoritative, "recursion not desired")
	default:
		w.opts = appendEDE(w.opts, dns.EDENotSupported, "zone transfer")
	}
	return appendOPT(dst, a.rcode, a.edns.DO, w.opts)
}

// hit answers straight from the cache; false when the engine has to look. dst
// is empty.
func (w *worker) hit(dst []byte, k cache.Key, name []byte, a *asked, from netip.Addr) ([]byte, bool) {
	limit := a.max
	w.opts = w.opts[:0]
	if a.edns.Present {
		w.opts = w.appendOptions(w.opts, a, from)
		limit -= wire.OPTLen + len(w.opts)
	}
	dst = binary.BigEndian.AppendUint16(dst, a.id)
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0)
	dst = append(dst, name...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(k.Type))
	dst = binary.BigEndian.AppendUint16(dst, uint16(a.class))
	var r cache.Reply
	dst, ok := w.s.cache.AppendAnswer(dst, k, w.secs, a.edns.DO, w.s.set.HideTTL, limit, &r)
	if !ok || !w.mayServe(&r, a, k.Name) {
		return dst, false
	}
	bits := replyBits(a)
	if r.Truncated {
		bits |= wire.BitTC
	}
	if resolver.Security(r.Sec) == resolver.Secure && a.wantsAD() && a.bits&wire.BitCD == 0 {
		bits |= wire.BitAD
	}
	binary.BigEndian.PutUint16(dst[2:], bits)
	binary.BigEndian.PutUint16(dst[6:], uint16(r.Records))
	if a.edns.Present {
		dst[11] = 1
		dst = appendOPT(dst, 0, a.edns.DO, w.opts)
	}
	return dst, true
}

// mayServe leaves to the engine what is not validated yet, or bogus, or about to
// expire and popular enough to be fetched again.
func (w *worker) mayServe(r *cache.Reply, a *asked, name []byte) bool {
	sec := resolver.Security(r.Sec)
	if sec == resolver.Bogus ||
		sec.Open() && a.bits&wire.BitCD == 0 && w.cfg.Validator != nil && w.cfg.Validator.Covers(w.now, name) {
		return false
	}
	// the same terms as the engine's
	return !w.cfg.Prefetch || r.Left > r.TTL/10
}

// Done implements resolver.Front.
func (w *worker) Done(rq *resolver.Question, ans *resolver.Answer) {
	if rq.Ticket&traceTicket != 0 {
		w.traced(rq, ans)
		return
	}
	if rq.Ticket == rollTicket {
		w.probed(ans)
		return
	}
	q := w.query(rq.Ticket)
	if q == nil {
		return
	}
	if ans.Drop { // a policy's word
		if q.tcp {
			w.tcp.answer(w, q.conn, q.cgen, nil)
		}
		w.release(q)
		return
	}
	if q.tcp {
		out := w.build(w.answerBuf[:0], q, ans)
		w.log.Sent(q.q.Serial, len(out))
		w.release(q)
		w.tcp.answer(w, q.conn, q.cgen, out)
		return
	}
	out := w.build(w.tx.buffer(), q, ans)
	w.log.Sent(q.q.Serial, len(out))
	w.tx.add(w.listeners[q.lst].fd, &q.sa, &q.local, out)
	w.release(q)
}

// fail answers SERVFAIL without the engine.
func (w *worker) fail(q *query, why string) {
	a := resolver.Answer{RCode: dns.RCodeServFail, EDE: true, Code: dns.EDEOther, Text: why}
	w.Done(&q.q, &a)
}

// build makes the message for a finished question.
func (w *worker) build(dst []byte, q *query, ans *resolver.Answer) []byte {
	a := &q.asked
	w.opts = w.opts[:0]
	if a.edns.Present {
		w.opts = w.appendOptions(w.opts, a, q.from.Addr())
	}
	w.reply = resolver.Reply{ID: a.id, Name: q.q.Name, Type: q.q.Type, Class: a.class, RD: true,
		CD: a.bits&wire.BitCD != 0, AD: a.bits&wire.BitAD != 0, EDNS: a.edns.Present, DO: a.edns.DO,
		HideTTL: w.s.set.HideTTL, Max: a.max, Options: w.opts}
	return resolver.AppendReply(dst, &w.builder, &w.reply, ans)
}
