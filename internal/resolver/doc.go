// Package resolver finds answers by asking name servers, from the root down
// (RFC 1034, section 5.3.3). It is a state machine: packets, time and random
// numbers are handed in, packets and answers come out, and the same inputs give
// the same outputs. It has no socket, no clock, no goroutine.
//
// A program owns one Engine a thread and calls, from that thread only:
//
//	e := resolver.New(cfg, cache, net, front, events, rand)
//	e.Ask(now, &q)               a client's question; Front.Done gives the answer
//	e.Deliver(now, token, msg)   a packet for a token given to Net
//	e.Failed(now, token)         its socket or connection failed
//	e.Expire(now)                whatever has come due
//	e.NextTimer()                when to call Expire, at the latest
//	e.Abandon(ticket)            the client has gone
//	e.SetConfig(now, cfg)        new root/servers and so on; only failures are forgotten
//	e.Prime(now)                 ask for the root's servers (RFC 9609)
//	AppendReply(dst, ...)        the message for the client
//
// Reading order:
//
//	api.go       the types that callers see
//	limits.go    every number an attacker can run into, and the budget
//	engine.go    questions in, answers out; timers; merging of equal questions
//	task.go      one name's resolution: cache, zone cut, aliases, verdict
//	exchange.go  one question put to a zone's servers until one answers well
//	accept.go    what of a response is believed, and as what
//	server.go    what is known of servers: times, EDNS, cookies, lameness
//	special.go   names that are answered without asking anyone
//	reply.go     answers to clients as messages
//	log.go       events as log lines
package resolver
