package resolver

import (
	"bulkhead/internal/dns"
	"bulkhead/internal/dnssec"
)

// Limits is what one client question may cost. All that is done for its sake
// is paid from it, however the work is nested: aliases, name servers' names,
// keys, retries. Beside each number stand those of others.
type Limits struct {
	Sends     int // packets sent to servers
	Bytes     int // bytes received from servers
	Names     int // names looked up in the network, the question's included
	NSLookups int // addresses of name servers asked for, A and AAAA counted apart
	Aliases   int // CNAME and DNAME steps
	Hops      int // of these, steps to names that had to be asked for
	Referrals int // referrals followed
	Depth     int // levels: the address of a server of a server ...
	Time      Time
}

// DefaultLimits are used where a field of Limits is zero.
var DefaultLimits = Limits{
	// pdns-recursor max-qperq 50, unbound MAX_GLOBAL_QUOTA 200 (after CAMP,
	// CVE-2024-8508), BIND max-recursion-queries 50, sdns 128.
	Sends: 100,
	// pdns-recursor max-bytesperq 100 KB, with answers of 64 KB over TCP allowed.
	Bytes: 256 << 10,
	// unbound: MAX_DEPENDENCY_COUNT and target fetches together about 64.
	Names: 64,
	// pdns-recursor max-ns-address-qperq 10; unbound MAX_TARGET_COUNT 64, and
	// after NXNSAttack (2020) MAX_TARGET_NX 5; each NS name takes up to two.
	NSLookups: 20,
	// compat: djbdns.md, section 10.4: 16; unbound MAX_RESTART_COUNT 11,
	// BIND max-query-restarts 11, pdns-recursor max-cnames-followed 10.
	Aliases: 16,
	// A long honest chain comes with few packets, several steps in each; a maze
	// costs one a step. So that is bounded by the numbers of the others above.
	Hops: 11,
	// unbound MAX_REFERRAL_COUNT 130; a name has 127 labels, real ones < 10.
	Referrals: 40,
	// compat: djbdns.md, section 10.4: levels 0 to 4; unbound 3 by its
	// target-fetch-policy, BIND max-recursion-depth 7.
	Depth: 7,
	// Stub resolvers wait 5 s and ask again, RES_TIMEOUT; pdns-recursor
	// max-total-msec 7000, BIND resolver-query-timeout 10 s.
	Time: 10 * Second,
}

// DefaultMaxTTL is a week, RFC 8767, section 4, and compat: djbdns.md, section
// 10.4; DefaultMaxNegativeTTL follows RFC 2308, section 5: one to three hours.
const (
	DefaultMaxTTL         = 604800
	DefaultMaxNegativeTTL = 3600
	// compat: djbdns.md, section 10.4: a larger TTL is nonsense and counts as 0.
	nonsenseTTL = 1000000000
)

// Limits that are not a question's but a zone's, a server's or the engine's.
const (
	maxServers     = 16       // addresses tried of one zone; compat: djbdns.md, section 10.4
	maxNSNames     = 13       // NS records taken of a delegation: the root has 13; BIND max-delegation-servers 13, after NXNSAttack
	maxNSFailures  = 5        // names of servers that lead nowhere, for one question; then no more are tried: unbound MAX_TARGET_NX 5 (NXNSAttack)
	maxGlueName    = 4        // addresses taken of one name server in a referral
	maxSetBytes    = 8192     // an RRset larger is used but not kept; compat: djbdns.md, section 10.4
	maxRecords     = 1024     // records read of one response: 64 KB hold 5,000 of the smallest
	maxMinimise    = 10       // RFC 9156, section 2.3, MAX_MINIMISE_COUNT
	minimiseOneLab = 4        // the same, MINIMISE_ONE_LAB
	maxWhole       = 4096     // steps of minimisation remembered to end without a referral, in one engine: 64 KB
	maxMismatch    = 4        // wrong packets for one question before it goes by TCP; RFC 5452, section 9.2 suggests to act on floods
	maxOpen        = 3        // of these, packets an answer to which is still welcome: each is a forger's chance (RFC 5452, section 5)
	maxAttempts    = 12       // packets one exchange sends; then its zone has failed
	maxTries       = 3        // of these, to one address
	maxJoined      = 1000     // tasks that wait for one exchange or answer
	maxTasks       = 8192     // resolutions at once in one engine: about 30 MB; beyond it new ones fail
	maxRoots       = 4096     // questions at once in one engine; pdns-recursor max-mthreads 2048, BIND recursive-clients 1000
	maxInfra       = 16384    // servers remembered: 4 MB; unbound infra-cache-numhosts 10000
	maxPooled      = 64 << 10 // bytes of a question's memory kept for the next
	maxNSAliases   = 4        // aliases on the way to a server's address: RFC 2181, section 10.3, allows none, unbound its 11
	maxLame        = 4        // zones remembered that a server is lame for
)

// Times. Those of retransmission follow RFC 6298's form with floors made for
// DNS.
const (
	firstTimeout  = 400 * Millisecond  // unknown server; unbound 376 ms, BIND 800
	minTimeout    = 50 * Millisecond   // unbound RTT_MIN_TIMEOUT 50 ms
	maxTimeout    = 1500 * Millisecond // half of what a stub waits, for a second try elsewhere
	lastTimeout   = 2 * Second         // waited besides when nobody is left to ask: all in all less than the 5 s a stub waits
	tcpTimeout    = 3 * Second         // connection and answer; unbound 3 s to TCP (its tcp-idle)
	deadTime      = 10 * Second        // a server that timed out thrice is asked last for so long, doubling
	deadAfter     = 1 * Second         // a server is dead when three packets in a row, over so long, got nothing
	probeTime     = 1 * Second         // a dead server gets one packet in so long; RFC 9520, section 3.2 allows that
	primeEvery    = 60 * Second        // between two tries to learn the root's servers
	maxDeadTime   = 320 * Second       // RFC 9520, section 3.2: at most five minutes
	lameTime      = 900 * Second       // unbound infra-host-ttl 900
	infraTime     = 900 * Second       // the same: then all is measured anew
	ednsRetry     = 900 * Second       // a server without EDNS is tried again with it
	failureTime   = 5                  // seconds a failure is remembered; RFC 9520, section 3.2: 1 s to 5 min; unbound NORR_TTL 5
	staleFailTime = 30                 // seconds between tries while stale data are served; RFC 8767, section 5
	bogusTime     = 60                 // seconds bogus data stay so; unbound val-bogus-ttl 60
)

// udpSize is what we announce (RFC 6891, section 6.2.5): no fragments.
const udpSize = dns.EDNSUDPSize

// Budget is what remains for one client question.
type Budget struct {
	left  Limits
	spent string // the limit that was met first, "" none

	// Crypto pays for signatures, digests and hashes; its limits stand in
	// package dnssec.
	Crypto dnssec.Budget
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits
	for _, f := range []struct{ v, d *int }{
		{&l.Sends, &d.Sends}, {&l.Bytes, &d.Bytes}, {&l.Names, &d.Names}, {&l.NSLookups, &d.NSLookups},
		{&l.Aliases, &d.Aliases}, {&l.Hops, &d.Hops}, {&l.Referrals, &d.Referrals}, {&l.Depth, &d.Depth}} {
		if *f.v == 0 {
			*f.v = *f.d
		}
	}
	if l.Time == 0 {
		l.Time = d.Time
	}
	return l
}

// NewBudget gives a budget of these limits, zero fields being the defaults.
func NewBudget(l Limits) Budget {
	return Budget{left: l.withDefaults(), Crypto: dnssec.NewBudget()}
}

// take pays n of one kind; false if there is not so much left.
func (b *Budget) take(left *int, n int, name string) bool {
	if *left < n {
		if b.spent == "" {
			b.spent = name
		}
		return false
	}
	*left -= n
	return true
}

// Spent names the limit that was met first, "" if none was.
func (b *Budget) Spent() string { return b.spent }

func (b *Budget) send() bool       { return b.take(&b.left.Sends, 1, "packets sent") }
func (b *Budget) bytes(n int) bool { return b.take(&b.left.Bytes, n, "bytes received") }
func (b *Budget) name() bool       { return b.take(&b.left.Names, 1, "names looked up") }
func (b *Budget) nsLookup() bool   { return b.take(&b.left.NSLookups, 1, "name server addresses") }
func (b *Budget) alias() bool      { return b.take(&b.left.Aliases, 1, "aliases") }
func (b *Budget) hop() bool        { return b.take(&b.left.Hops, 1, "aliases") }
func (b *Budget) referral() bool   { return b.take(&b.left.Referrals, 1, "referrals") }
