// Package tcpserver is the program of that name: it accepts TCP connections
// and runs a program for each (compat: ucspi-tcp.md section 2).
//
//	options.go   the command line and the environment
//	server.go    listening, privileges, the accept loop, reaping
//	conn.go      what is done for one connection, in the server or in its child
//	rules.go     the rules file, read again when it changed
//	limits.go    connections per network
//
// A connection needs no more than a fork and an exec as long as nobody must be
// asked: the server looks into the rules itself and package spawn's child
// prints the log lines. When host names or ident answers are wanted, or a PROXY
// header is to be read, the child runs this same program again in its own
// process, which may then wait as long as it takes (MarkerVar).
package tcpserver

import (
	"os"
	"strings"
	"time"

	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/proxyv2"
	"bulkhead/internal/scan"
	"bulkhead/internal/ucspi"
)

const usage = "tcpserver [ -1UXpPhHrRoOdDqQv ] [ -c limit ] [ -x rules.cdb ] [ -B banner ] [ -g gid ] [ -u uid ] [ -b backlog ] [ -l localname ] [ -t timeout ] host port program"

// Verbosity levels of -q, -Q and -v.
const (
	silent = iota
	errorsOnly
	verbose
)

// Options is the command line.
type Options struct {
	Limit     uint64 // children at once
	Backlog   uint64
	Rules     string // "" without -x
	RulesOpen bool   // -X: no file, no rules
	Banner    string
	GID, UID  uint64 // 0: no change
	PrintPort bool
	LocalHost string // valid with LocalSet
	LocalSet  bool
	HostName  bool // look TCPREMOTEHOST up
	Paranoid  bool
	Ident     bool
	IdentWait time.Duration
	KeepOpts  bool // leave IP options on the connection
	NoDelay   bool
	Verbosity int
	Force4    bool
	Force6    bool
	Interface string

	Host, Port string
	Argv       []string

	// from the environment
	Proxy      proxyv2.AllowList // PROXYFROM
	Grace      time.Duration     // GRACE
	GraceSet   bool
	MaxConnIP  uint64 // MAXCONNIP, 0: no limit
	MaxConnNet uint64 // MAXCONNC
}

// ParseArgs reads the command line and the environment.
func ParseArgs(args []string) (*Options, error) {
	o := &Options{Limit: 40, Backlog: 20, HostName: true, Ident: true, IdentWait: 26 * time.Second,
		Verbosity: errorsOnly}
	g := getopt.New(args, "dDvqQhHrRUXx:t:u:g:l:b:B:c:pPoO146I:")
	for {
		c := g.Next()
		if c == 0 {
			break
		}
		switch c {
		case 'b':
			o.Backlog = number(g.Arg)
		case 'c':
			o.Limit = number(g.Arg)
		case 'X':
			o.RulesOpen = true
		case 'x':
			o.Rules = g.Arg
		case 'B':
			o.Banner = g.Arg
		case 'd':
			o.NoDelay = false
		case 'D':
			o.NoDelay = true
		case 'v':
			o.Verbosity = verbose
		case 'q':
			o.Verbosity = silent
		case 'Q':
			o.Verbosity = errorsOnly
		case 'P':
			o.Paranoid = false
		case 'p':
			o.Paranoid = true
		case 'O':
			o.KeepOpts = false
		case 'o':
			o.KeepOpts = true
		case 'H':
			o.HostName = false
		case 'h':
			o.HostName = true
		case 'R':
			o.Ident = false
		case 'r':
			o.Ident = true
		case 't':
			o.IdentWait = time.Duration(min(number(g.Arg), 1<<30)) * time.Second
		case 'U':
			if v := os.Getenv("UID"); v != "" {
				o.UID = number(v)
			}
			if v := os.Getenv("GID"); v != "" {
				o.GID = number(v)
			}
		case 'u':
			o.UID = number(g.Arg)
		case 'g':
			o.GID = number(g.Arg)
		case '1':
			o.PrintPort = true
		case 'l':
			o.LocalHost, o.LocalSet = g.Arg, true
		case '4':
			o.Force4, o.Force6 = true, false
		case '6':
			o.Force4, o.Force6 = false, true
		case 'I':
			o.Interface = g.Arg
		default:
			return nil, prog.Usage(usage)
		}
	}
	rest := g.Args()
	if len(rest) < 3 {
		exit, err := prog.ExitPermanent, prog.Usage(usage)
		if len(rest) == 2 { // the port is looked up before the program is missed
			if _, ok := ucspi.Port(rest[1]); !ok {
				exit, err = prog.ExitTemporary, o.noPort(rest[1])
			}
		}
		if o.Verbosity == silent { // other than for wrong options
			err = prog.Exit(exit)
		}
		return nil, err
	}
	o.Host, o.Port, o.Argv = rest[0], rest[1], rest[2:]
	return o, o.environment()
}

func (o *Options) noPort(port string) error {
	return prog.Fatal("unable to figure out port number for "+port, nil)
}

// environment reads what is new and has no option letter.
func (o *Options) environment() error {
	if v := os.Getenv("PROXYFROM"); v != "" {
		l, ok := proxyv2.ParseAllowList(v)
		if !ok {
			return prog.Permanent("unable to parse $PROXYFROM: "+v+": not a list of addresses and networks", nil)
		}
		o.Proxy = l
	}
	for _, e := range []struct {
		name string
		to   *uint64
	}{{"MAXCONNIP", &o.MaxConnIP}, {"MAXCONNC", &o.MaxConnNet}} {
		if v := os.Getenv(e.name); v != "" {
			n, used := scan.Number(v)
			if used != len(v) {
				return prog.Permanent("unable to parse $"+e.name+": "+v+": not a number", nil)
			}
			*e.to = n
		}
	}
	if v := os.Getenv("GRACE"); v != "" {
		n, used := scan.Number(v)
		if used != len(v) {
			return prog.Permanent("unable to parse $GRACE: "+v+": not a number of seconds", nil)
		}
		o.Grace, o.GraceSet = time.Duration(min(n, 1<<30))*time.Second, true
	}
	return nil
}

// number reads a decimal option; what is no number is 0, as in 0.88.
func number(s string) uint64 {
	n, _ := scan.Number(s)
	return n
}

// asksOthers reports whether a connection needs DNS or ident.
func (o *Options) asksOthers() bool { return o.HostName || o.Ident || !o.LocalSet }

// field makes text safe for a log line: bytes outside 33..126, '%' and, unless
// the connection is IPv6, ':' become '?'; long text is cut (compat:
// ucspi-tcp.md section 2).
func field(b *strings.Builder, s string, v6 bool) {
	const cut = 100
	long := len(s) >= cut
	if long {
		s = s[:cut]
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < 33 || c > 126 || c == '%' || c == ':' && !v6 {
			c = '?'
		}
		b.WriteByte(c)
	}
	if long {
		b.WriteString("...")
	}
}
