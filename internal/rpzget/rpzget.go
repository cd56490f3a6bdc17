// Package rpzget is the program rpz-get: it keeps a response policy zone as a
// file that dnscache reads, by zone transfer from its server (RFC 5936, RFC
// 1995), with the checks of axfr-get.
package rpzget

import (
	"bufio"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"bulkhead/internal/axfrget"
	"bulkhead/internal/axfrin"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/publish"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/tsig"
	"bulkhead/internal/wire"
)

const usage = "rpz-get [ -d ] [ -k keyfile ] dir/NN-zone server"

const (
	// rootFile is no policy but a copy of the root zone (RFC 8806).
	rootFile = "root.zone"
	// transferLimit bounds one round, so that a server that sends a byte a
	// minute does not hold us for ever. The largest public lists, 300 megabytes,
	// need 85 kilobytes a second.
	transferLimit = time.Hour
	// A zone says how often to ask; between these, in seconds. named has 300
	// and 28 days, but policy is wanted sooner and a day late is late.
	minWait, maxWait = 30, 86400
	// firstWait is that after a failure while there is no SOA to say it.
	firstWait = 60
)

// Run is the program.
func Run(box sandbox.Decl, args []string) error {
	o := getopt.New(args, "dk:")
	stay, keyFile := false, ""
	for c := o.Next(); c != 0; c = o.Next() {
		switch c {
		case 'd':
			stay = true
		case 'k':
			keyFile = o.Arg
		default:
			return prog.Usage(usage)
		}
	}
	if args = o.Args(); len(args) != 2 {
		return prog.Usage(usage)
	}
	g := &getter{fn: args[0], server: args[1]}
	dir, base := filepath.Split(g.fn)
	// dnscache passes over names that begin with a dot
	g.tmp = dir + "." + base
	var err error
	if base == rootFile {
		g.zone = dnsname.Root
	} else {
		_, name, ok := strings.Cut(base, "-")
		if !ok || strings.HasPrefix(base, ".") || name == "" {
			return prog.Permanent("unable to use "+g.fn, errors.New("name is neither NN-ZONE nor "+rootFile))
		}
		if g.zone, err = dnsname.ParseDot(name); err != nil {
			return prog.Permanent("unable to use "+g.fn, err)
		}
	}
	if keyFile != "" {
		text, err := os.ReadFile(keyFile)
		if err != nil {
			return prog.Fatal("unable to read "+keyFile, err)
		}
		if g.key, err = tsig.ParseKey(text); err != nil {
			return prog.Permanent("unable to parse "+keyFile, err)
		}
	}
	if g.addrs, err = axfrget.Lookup(g.server); err != nil {
		return err
	}
	// the file is replaced by rename, so what is written is its folder
	box.Write = []string{filepath.Clean(filepath.Dir(g.fn))}
	box.Ports = []uint16{g.addrs[0].Port()}
	now := make(chan os.Signal, 1)
	if stay {
		signal.Notify(now, syscall.SIGHUP, syscall.SIGALRM)
	}
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	if !stay {
		return g.round()
	}
	prog.Print("starting")
	for {
		err := g.round()
		wait := g.have.refresh
		if err != nil {
			complain(err)
			wait = g.have.retry
		}
		if g.have.soa == nil {
			wait = firstWait
		}
		select {
		case <-now:
		case <-time.After(time.Duration(min(max(wait, minWait), maxWait)) * time.Second):
		}
	}
}

// complain prints what would end a program that runs once.
func complain(err error) {
	var e *prog.Error
	if errors.As(err, &e) {
		prog.Warn(strings.TrimPrefix(e.Line, "fatal: "), nil)
		return
	}
	prog.Warn("unable to get zone", err)
}

type getter struct {
	zone    dnsname.Name
	fn, tmp string
	server  string
	key     *tsig.Key // nil: transfers are not signed
	addrs   []netip.AddrPort
	have    version // of the file; no SOA: none that can be read
}

// round brings the file to the server's version.
func (g *getter) round() error {
	until := time.Now().Add(transferLimit)
	text, err := os.ReadFile(g.fn)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return prog.Fatal("unable to read "+g.fn, err)
	}
	// a file that can not be read is replaced
	g.have, _ = readVersion(text, g.fn, g.zone)

	conn, err := g.dial(until)
	if err != nil {
		return err
	}
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	msg, err := conn.Ask(g.zone, dns.TypeSOA)
	if err == nil {
		err = conn.Complete()
	}
	if err != nil {
		return err
	}
	soa, err := axfrin.SOAData(msg, g.zone, conn.ID)
	if err != nil {
		return prog.Fatal("unable to parse SOA", said(msg, err))
	}
	theirs := versionOf(soa)
	if g.have.soa != nil && theirs.serial == g.have.serial {
		return nil
	}
	// RFC 1982: only newer versions have differences
	if g.have.soa != nil && int32(theirs.serial-g.have.serial) > 0 {
		fresh, err := g.incremental(conn, text)
		if err == nil {
			return g.publish(fresh, "changes")
		}
		// RFC 1995, section 4: a server need not know how; what is left of its
		// answer goes with the connection
		conn.Close()
		if conn, err = g.dial(until); err != nil {
			return err
		}
	}
	fresh, err := g.whole(conn)
	if err != nil {
		return err
	}
	return g.publish(fresh, "whole zone")
}

func (g *getter) dial(until time.Time) (*axfrget.Conn, error) {
	conn, err := axfrget.Dial(g.addrs, g.server)
	if err != nil {
		return nil, err
	}
	conn.Until, conn.Key = until, g.key
	return conn, nil
}

// said is err, or what the server said if it refused: NOTAUTH is another thing
// to mend than a broken transfer.
func said(msg []byte, err error) error {
	if h, ok := wire.ParseHeader(msg); ok && err == axfrin.ErrTransfer && h.RCode() != dns.RCodeSuccess {
		return errors.New("server says " + h.RCode().String())
	}
	return err
}

// receive gives the messages of an answer to take, the first one being msg.
func receive(conn *axfrget.Conn, msg []byte, err error, take func(msg []byte) (bool, error)) error {
	for size := 0; ; msg, err = conn.Receive() {
		if err != nil {
			return err
		}
		if size += len(msg) + 2; size > maxText {
			return prog.Fatal("unable to get zone", errTooBig)
		}
		done, err := take(msg)
		if err != nil {
			return prog.Fatal("unable to parse transfer", said(msg, err))
		}
		if done {
			return conn.Complete()
		}
	}
}

func (g *getter) incremental(conn *axfrget.Conn, text []byte) ([]byte, error) {
	x := &changed{t: axfrin.NewChanges(g.zone, conn.ID, g.have.serial), load: func() (*copyOf, error) { return readCopy(text, g.fn, g.zone) }}
	msg, err := conn.Exchange(axfrin.IncrementalQuery(nil, g.zone, g.have.soa, conn.ID))
	if err := receive(conn, msg, err, x.message); err != nil {
		return nil, err
	}
	return x.finish()
}

func (g *getter) whole(conn *axfrget.Conn) ([]byte, error) {
	f := &full{t: axfrin.New(g.zone, conn.ID)}
	msg, err := conn.Ask(g.zone, dns.TypeAXFR)
	if err := receive(conn, msg, err, f.message); err != nil {
		return nil, err
	}
	return f.text, nil
}

// publish replaces the file if dnscache will be able to read it.
func (g *getter) publish(text []byte, how string) error {
	rules, err := check(text, g.server, g.zone)
	if err != nil {
		return prog.Fatal("zone is not usable", err)
	}
	fresh, err := readVersion(text, g.server, g.zone)
	if err != nil {
		return prog.Fatal("zone is not usable", err)
	}
	if err := publish.File(g.fn, g.tmp, func(w *bufio.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	g.have = fresh
	what := strconv.Itoa(rules) + " rules"
	if g.zone == dnsname.Root {
		what = strconv.Itoa(rules) + " records"
	}
	prog.Print(g.fn + ": serial " + strconv.FormatUint(uint64(fresh.serial), 10) + ", " + what + " (" + how + ")")
	return nil
}
