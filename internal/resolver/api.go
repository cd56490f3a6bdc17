package resolver

import (
	"net/netip"
	"sync"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/wire"
)

// Time is a moment in nanoseconds since the Unix epoch, UTC. It comes from the
// caller and never goes backwards; the engine has no clock of its own.
type Time int64

// Seconds is t in whole seconds since the epoch, rounded down.
func (t Time) Seconds() int64 { return int64(t) / 1e9 }

// Millisecond and Second are spans of Time.
const (
	Millisecond Time = 1e6
	Second      Time = 1e9
)

// Question is what a client asks. Name is in wire form, in the client's letter
// case; the engine copies what it keeps.
type Question struct {
	Name   []byte
	Type   dns.Type
	CD     bool       // RFC 4035, section 3.2.2: the client validates by itself
	DO     bool       // RFC 3225: signatures and proofs are wanted
	Client netip.Addr // for explanations only; fairness is the caller's
	Ticket uint64     // the caller's word for this question, given back in Done
	Serial uint64     // query number N of the log (compat: djbdns.md, section 10.6)
	Trace  bool       // explain: events of this question carry reasons
	TCP    bool       // it came over TCP: a policy may ask for that
	Fresh  bool       // the servers are asked, whatever the cache holds; that stays if they fail
}

// Front receives answers. Done is called exactly once for every Ask, perhaps
// before Ask returns (a cache hit), and for abandoned questions never. The
// answer and all that it points to are valid until Done returns.
//
// A Front must not call the engine from within Done.
type Front interface {
	Done(q *Question, a *Answer)
}

// Answer is the outcome for one question.
type Answer struct {
	RCode dns.RCode
	Sec   Security
	AD    bool    // all of it is secure and the client did not set CD
	Stale bool    // RFC 8767
	EDE   bool    // EDECode and EDEText hold
	Code  dns.EDE // RFC 8914
	Text  string  // what went wrong, for EDE's EXTRA-TEXT; never needs escaping
	RRs   []RRset // answer section, then authority section

	// What a policy may want (package policy); the engine sets the first alone.
	Stopped  bool // Config.Stop ended it: the last alias was not followed
	Drop     bool // send nothing
	Truncate bool // send TC alone, that the client comes by TCP
}

// RRset is an RRset of an answer or of a message from a server.
type RRset struct {
	Section wire.Section
	Owner   []byte   // wire form, lower case
	Type    dns.Type // class is always IN
	TTL     uint32   // seconds, as to be sent
	Records Packed
	Sigs    Packed // the RRSIG records covering Type
	Sec     Security
	Rank    Rank
}

// Packed is a sequence of record data, each preceded by its length as two
// bytes, most significant first. Names within are uncompressed.
type Packed []byte

// Next splits the first record's data off; ok is false at the end.
func (p Packed) Next() (data []byte, rest Packed, ok bool) {
	if len(p) < 2 {
		return nil, nil, false
	}
	n := 2 + int(p[0])<<8 + int(p[1])
	if n > len(p) {
		return nil, nil, false
	}
	return p[2:n:n], p[n:], true
}

// Count counts the records.
func (p Packed) Count() int {
	n := 0
	for _, rest, ok := p.Next(); ok; _, rest, ok = rest.Next() {
		n++
	}
	return n
}

// AppendPacked appends one record's data.
func AppendPacked(dst Packed, data []byte) Packed {
	dst = append(dst, byte(len(data)>>8), byte(len(data)))
	return append(dst, data...)
}

// Security is a validation status (RFC 4035, section 4.3). The order matters:
// of several the lowest holds for the whole.
type Security uint8

const (
	Unchecked     Security = iota // nobody has looked: validation off, or asked with CD
	Bogus                         // should be secure and is not
	Indeterminate                 // no trust anchor says whether it should be secure
	Insecure                      // proven not to be signed
	Secure                        // chain of trust complete
)

// Open reports whether nobody has said yet how it is: it depends on the trust
// anchors of now, not on those of when it was stored.
func (s Security) Open() bool { return s == Unchecked || s == Indeterminate }

// Rank is the trustworthiness of data (RFC 2181, section 5.4.1). Higher data
// are never replaced by lower before they expire.
type Rank uint8

const (
	RankAdditional    Rank = iota + 1 // additional section, or any of a non-authoritative answer's
	RankAuthority                     // authority section of a non-authoritative answer: a referral
	RankAnswer                        // answer section of a non-authoritative answer
	RankAuthAuthority                 // authority section of an authoritative answer
	RankAuthAnswer                    // answer section of an authoritative answer
	RankConfigured                    // root/servers; never in a cache
)

// Kind says what a cache entry is. Entries of different kinds for one name do
// not touch one another.
type Kind uint8

const (
	// KindRRset is the RRset of a name and a type, or, with no Records, the
	// knowledge that there is none (NODATA).
	KindRRset Kind = iota + 1
	// KindNXDomain says that a name does not exist, nor any below it
	// (RFC 8020). Its type is 0.
	KindNXDomain
	// KindDelegation is a zone cut as the parent told it: NS names in Records,
	// addresses in Proof (see Glue). Its lifetime is bound to that of the
	// delegation it was learnt from, and only the parent can renew it, which
	// is what keeps ghost domains out (CVE-2012-1191). Its type is 0.
	KindDelegation
	// KindFailure remembers a failed resolution (RFC 9520): Code and no data.
	KindFailure
)

// Entry is a cache entry. The slices belong to the cache after Get and are
// valid until the next call of any of its methods; Put copies them.
type Entry struct {
	Kind    Kind
	Type    dns.Type
	Rank    Rank
	Sec     Security
	Code    uint16 // dns.EDE of a failure or of bogus data, plus one; 0 none
	TTL     uint32 // seconds the entry was given at first, for prefetching
	Expires int64  // Unix time in seconds; the entry is good before it
	Records Packed
	Sigs    Packed
	// Proof holds packed RRsets (AppendRRset) that stand in the authority
	// section: the SOA of a negative answer, NSEC or NSEC3 records with their
	// signatures. In a KindDelegation it holds addresses instead.
	Proof []byte
}

// Cache keeps entries within its own bounds. Names are in wire form and lower
// case. An implementation may forget anything at any time.
type Cache interface {
	// Get finds an entry, expired ones too as long as they are there: serving
	// stale data (RFC 8767) is the engine's decision. What e points to is valid
	// until the next call.
	Get(e *Entry, kind Kind, t dns.Type, name []byte) bool
	// Put stores e under name, its Kind and its Type, replacing what was there.
	Put(name []byte, e *Entry)
	// Delete forgets an entry.
	Delete(kind Kind, t dns.Type, name []byte)
}

// Token names one packet on its way. Zero is none.
type Token uint64

// Net sends for the engine. Messages are valid during the call only.
type Net interface {
	// SendUDP sends msg from a socket of its own, bound to a port drawn with
	// the system's generator, connected to the server. What comes back goes to
	// Deliver, errors of the socket to Failed. False: could not be sent.
	SendUDP(to netip.AddrPort, msg []byte, token Token) bool
	// SendTCP sends msg over a TCP connection, new or kept (RFC 7766). The
	// message has an ID unique among those outstanding on that connection only
	// by chance: the Net must not put two questions with one ID on one
	// connection at once. msg has no length prefix.
	SendTCP(to netip.AddrPort, msg []byte, token Token) bool
	// Cancel says that nothing more is expected for token: close the socket.
	Cancel(token Token)
}

// Rand gives unpredictable numbers: the system's generator, or in tests a
// seeded one.
type Rand interface {
	Uint64() uint64
}

// Message is what the engine accepted of a server's response, or found in the
// cache: scrubbed, grouped into RRsets, signatures beside what they cover.
// It is the validator's subject.
type Message struct {
	QName []byte // lower case
	QType dns.Type
	Zone  []byte // the zone whose server answered, lower case; nil if from the cache
	RCode dns.RCode
	// Answer holds the alias chain (CNAME, DNAME with the CNAME synthesised
	// from it) in order and then what was asked for; Authority the SOA, NSEC
	// and NSEC3 RRsets, and of a referral NS and DS.
	Answer    []RRset
	Authority []RRset
	// Absence is the status of what is said not to be there, which may be
	// another than that of the aliases that lead to it. Validate sets it.
	Absence Security
}

// Verdict is a validator's judgement.
type Verdict struct {
	Sec  Security
	Code dns.EDE // why bogus, or indeterminate
	Text string
}

// Need is a question the validator wants asked: DNSKEY or DS of a zone.
type Need struct {
	Name [dns.MaxName]byte
	Len  int
	Type dns.Type
}

// Fetched gives the validator what its needs have brought. Such messages are
// not validated: the validator does that and keeps the keys it trusts.
type Fetched interface {
	// Lookup finds the outcome for a need of this question. ok is false if it
	// has not been asked for yet; a nil message with ok means the question
	// failed.
	Lookup(name []byte, t dns.Type) (m *Message, ok bool)
}

// Rejecter is what a Fetched may be too. Reject says that what Lookup gave does
// not verify: it is to be asked for again, of another server. False: there is
// no other, or enough were asked.
type Rejecter interface {
	Reject(name []byte, t dns.Type) bool
}

// Synthesizer is what a Validator may be too: it answers a question, whose name
// and type m holds, from proofs it has seen (RFC 8198). What it gives is secure:
// a denial, or an RRset or alias expanded from a wildcard.
type Synthesizer interface {
	Synthesize(now Time, m *Message) bool
}

// Validator decides what may be believed. It is deterministic, called from one
// goroutine, and never blocks: what it lacks it names in need, and Validate is
// called again, with the same message, when that is there.
//
// Validate sets Sec of the message's RRsets. The budget is the client
// question's: the validator takes signatures and hashes from it, and answers
// Bogus when there are none left (KeyTrap, CVE-2023-50387).
type Validator interface {
	Validate(now Time, m *Message, f Fetched, b *Budget, need *Need) (v Verdict, wait bool)
	// Covers reports whether a name lies below a trust anchor and below no
	// negative trust anchor (RFC 7646), so that Validate has to be asked.
	Covers(now Time, name []byte) bool
}

// Zone is an entry of root/servers or root/forward.
type Zone struct {
	Name    dnsname.Name // lower case
	Servers []netip.AddrPort
	Forward bool // the servers recurse for us: ask with RD set
}

// Config is what an administrator decides. It is not changed once given.
type Config struct {
	Zones       []Zone // root/servers and root/forward; the root's are hints
	ForwardOnly bool   // FORWARDONLY: the root's servers recurse for us
	QMin        bool   // QNAME minimisation, RFC 9156
	Case0x20    bool   // random letter case in questions
	IPv4, IPv6  bool   // families to send with
	Prefetch    bool
	LocalZones  bool           // answer special-use names ourselves
	DNS64       bool           // ipv4only.arpa is one of them (RFC 8880, section 7)
	ServeStale  uint32         // seconds after expiry that data may be served, 0 never
	StaleTTL    uint32         // seconds, RFC 8767, section 4: 30
	StaleWait   Time           // how long a client waits before it gets stale data
	MinTTL      uint32         // seconds
	MaxTTL      uint32         // seconds; 0 means DefaultMaxTTL
	IgnoreIP    []netip.Prefix // answers with such addresses are dropped
	Validator   Validator      // nil: no validation
	Limits      Limits         // zero fields mean the defaults

	// Priming, if not nil, is shared by the engines of one cache: one of them
	// asks for the root's servers, not each.
	Priming *Turn

	// Stop, if not nil, is asked of each name an alias leads to, in lower
	// case: true ends the answer there, with Stopped set. A policy uses it
	// that has an answer of its own for that name.
	Stop func(name []byte) bool
}

// Turn lets one of several engines do what is needed once. It may be used by
// several goroutines; the zero value is ready.
type Turn struct {
	mu   sync.Mutex
	next Time // nobody before this
}

// take reports whether it is the caller's turn; then it is nobody's for so long.
func (t *Turn) take(now, pause Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now < t.next {
		return false
	}
	t.next = now + pause
	return true
}

// EventKind is the word of a log line (compat: djbdns.md, section 10.6) or,
// after EventStats, one only an explanation shows.
type EventKind uint8

const (
	EventNone           EventKind = iota
	EventTx                       // Level Type Name Control Servers
	EventCached                   // Type Name
	EventCachedCNAME              // Name Target
	EventCachedNS                 // Control Target: a delegation found in the cache
	EventCachedNXDomain           // Name
	EventRR                       // Server TTL Type Name Data
	EventNXDomain                 // Server TTL Name
	EventNoData                   // Server TTL Type Name
	EventLame                     // Server Control Target
	EventServFail                 // Name Reason
	EventStats                    // Motion

	EventAccept    // a record of a response was believed: Reason names the rule
	EventDrop      // a record or a whole response was not: Reason
	EventChoose    // a packet goes to Server: Type Name Control RTT (smoothed, 0 unknown) Reason (how)
	EventTimeout   // Server did not answer in time
	EventRetry     // the same server is asked otherwise: Reason (TCP, no EDNS, ...)
	EventStale     // stale data are served: Type Name
	EventPrefetch  // Type Name
	EventSecurity  // a verdict: Type Name Reason
	EventBudget    // a limit was met: Reason
	EventMinimised // Type Name: what is really asked at this step
	EventJoined    // Type Name: an identical question was already out
	EventLocal     // Type Name: served locally, nobody has to be asked
)

// Event is something worth a log line. It and its slices are valid during the
// call only.
type Event struct {
	Kind     EventKind
	Question *Question // the client's; nil for the resolver's own (priming, prefetch)
	Level    int       // 0 the client's question, more: name servers' addresses, keys
	Type     dns.Type
	Name     []byte
	Control  []byte // the zone whose servers are asked
	Target   []byte
	Server   netip.AddrPort
	Servers  []netip.AddrPort
	TTL      uint32
	Data     []byte
	Motion   uint64 // of every event: bytes ever written to the cache, by the old count
	RTT      Time
	Reason   string
}

// Events receives what happens. Nil is allowed where an Events is wanted.
type Events interface {
	Event(ev *Event)
}
