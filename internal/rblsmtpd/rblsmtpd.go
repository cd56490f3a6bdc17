// Package rblsmtpd is the program of that name: it asks DNS lists about a
// client and either runs the SMTP server or turns the client away politely
// (compat: ucspi-tcp.md section 8).
package rblsmtpd

import (
	"bufio"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"bulkhead/internal/child"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/scan"
	"bulkhead/internal/stub"
)

const usage = "rblsmtpd [ -b ] [ -R ] [ -t timeout ] [ -r base ] [ -a base ] smtpd [ arg ... ]"

type decision uint8

const (
	undecided decision = iota
	accept
	temporary
	permanent
)

const (
	maxText        = 200 // bytes of a list's text that the client sees
	maxCommand     = 512 // bytes of a command that are looked at, RFC 5321, section 4.5.3.1.4
	defaultSeconds = 60
)

// lists is how the program asks; tests bring their own.
type lists interface {
	Text(name dnsname.Name) (text []byte, found bool, err error)
	Addresses(name string, f stub.Family) ([]netip.Addr, error)
}

type state struct {
	dns        lists
	reversed   string // the client's address as the start of a name
	decided    decision
	text       string
	bounce     bool // -b: permanent
	failClosed bool // -c
	mustNot    bool // a lookup failed: never permanent
}

// Run is the program. box holds once it is decided that no other program is run.
func Run(args []string, box sandbox.Decl) error {
	ip := os.Getenv("TCPREMOTEIP")
	s := &state{dns: &stub.Resolver{}, reversed: Reverse(ip)}
	if v, ok := os.LookupEnv("RBLSMTPD"); ok {
		s.preset(v)
	}
	seconds := uint64(defaultSeconds)
	g := getopt.New(args, "bBcCt:r:a:")
	for c := g.Next(); c != 0; c = g.Next() {
		switch c {
		case 'b':
			s.bounce = true
		case 'B':
			s.bounce = false
		case 'c':
			s.failClosed = true
		case 'C':
			s.failClosed = false
		case 't':
			seconds, _ = scan.Number(g.Arg) // no number is 0, as in 0.88
		case 'r':
			s.ask(g.Arg)
		case 'a':
			s.askAnti(g.Arg)
		default:
			return prog.Usage(usage)
		}
	}
	argv := g.Args()
	if len(argv) == 0 {
		return prog.Usage(usage)
	}
	if s.decided < temporary {
		return child.Exec(argv, os.Environ())
	}
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	message := s.message()
	os.Stderr.WriteString("rblsmtpd: " + ip + " pid " + strconv.Itoa(os.Getpid()) + ": " + message + "\n")
	return turnAway(message, seconds)
}

// preset obeys $RBLSMTPD.
func (s *state) preset(v string) {
	switch {
	case v == "":
		s.decided = accept
	case v[0] == '-':
		s.decided, s.text = permanent, v[1:]
	default:
		s.decided, s.text = temporary, v
	}
}

// ask looks the client up in a list of clients to refuse.
func (s *state) ask(base string) {
	if s.decided != undecided {
		return
	}
	name, err := dnsname.ParseDot(s.reversed + "." + base)
	var text []byte
	if err == nil {
		text, _, err = s.dns.Text(name)
	}
	if err != nil {
		s.mustNot = true
		if s.failClosed {
			s.decided, s.text = temporary, "temporary RBL lookup error"
		}
		return
	}
	if len(text) == 0 {
		return
	}
	s.text, s.decided = string(text), temporary
	if s.bounce {
		s.decided = permanent
	}
}

// askAnti looks the client up in a list of clients to accept.
func (s *state) askAnti(base string) {
	if s.decided != undecided {
		return
	}
	addrs, err := s.dns.Addresses(s.reversed+"."+base, stub.IPv4)
	if err != nil {
		s.mustNot = true
		if !s.failClosed {
			s.decided = accept
		}
		return
	}
	if len(addrs) > 0 {
		s.decided = accept
	}
}

// message is what the client hears.
func (s *state) message() string {
	code := "451 "
	if s.decided == permanent && !s.mustNot {
		code = "553 "
	}
	text := []byte(s.text[:min(len(s.text), maxText)])
	for i, c := range text {
		if c < 32 || c > 126 {
			text[i] = '?'
		}
	}
	return code + string(text)
}

// Reverse turns an address around at its dots; an IPv6 one by hexadecimal
// digits (RFC 5782, section 2.4).
func Reverse(ip string) string {
	if strings.IndexByte(ip, ':') >= 0 {
		if a, err := netip.ParseAddr(ip); err == nil {
			if a.Is4In6() {
				return Reverse(a.Unmap().String())
			}
			text := stub.ReverseName(a).Text()
			return strings.TrimSuffix(text, ".ip6.arpa")
		}
	}
	parts := strings.Split(ip, ".")
	for i, j := 0, len(parts)-1; i < j; i, j = i+1, j-1 {
		parts[i], parts[j] = parts[j], parts[i]
	}
	return strings.Join(parts, ".")
}

const name = "rblsmtpd.local"

// turnAway speaks just enough SMTP to refuse every recipient.
func turnAway(message string, seconds uint64) error {
	put := func(line string) error {
		if _, err := os.Stdout.WriteString(line + "\r\n"); err != nil {
			return prog.Exit(1)
		}
		return nil
	}
	if seconds == 0 {
		return put(message)
	}
	if seconds < 1<<31 {
		time.AfterFunc(time.Duration(seconds)*time.Second, func() { os.Exit(0) })
	}
	if err := put("220 " + name); err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	for {
		line, ok := command(in)
		if !ok {
			return nil
		}
		verb, _, _ := strings.Cut(line, " ")
		var err error
		switch strings.ToLower(verb) {
		case "quit":
			return put("221 " + name)
		case "helo", "ehlo", "mail", "rset", "noop":
			err = put("250 " + name)
		default:
			err = put(message)
		}
		if err != nil {
			return err
		}
	}
}

// command reads a line, keeping its start only; false at the end of input.
func command(in *bufio.Reader) (string, bool) {
	var line []byte
	for {
		c, err := in.ReadByte()
		if err != nil {
			return "", false
		}
		if c == '\n' {
			return strings.TrimSuffix(string(line), "\r"), true
		}
		if len(line) < maxCommand {
			line = append(line, c)
		}
	}
}
