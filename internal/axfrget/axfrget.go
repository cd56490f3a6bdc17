// Package axfrget is the program axfr-get: it copies a zone from its server
// into a file of data lines (compat: djbdns.md section 7).
package axfrget

import (
	"bufio"
	"encoding/binary"
	"os"
	"path/filepath"
	"syscall"

	"bulkhead/internal/axfrin"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
	"bulkhead/internal/scan"
	"bulkhead/internal/tinydata"
)

const usage = "axfr-get zone fn fn.tmp"

// Descriptors of the connection under tcpclient.
const readFD, writeFD = 6, 7

// Run is the program.
func Run(box sandbox.Decl, args []string) error {
	if len(args) < 3 {
		return prog.Usage(usage)
	}
	zone, err := dnsname.ParseDot(args[0])
	if err != nil {
		return prog.Fatal(cantQuery, syscall.EPROTO)
	}
	g := &getter{zone: zone, fn: args[1], tmp: args[2]}
	old, err := g.oldSerial()
	if err != nil {
		return err
	}
	if len(args) > 3 {
		// by itself: a connection and an id of its own
		addrs, err := Lookup(args[3])
		if err != nil {
			return err
		}
		if g.conn, err = Dial(addrs, args[3]); err != nil {
			return err
		}
	} else {
		g.conn = newConn(readFD, writeFD, 0)
	}
	// fn is replaced by rename, so what is written is folders
	box.Write = []string{filepath.Dir(g.fn), filepath.Dir(g.tmp)}
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	return g.run(old)
}

type getter struct {
	zone    dnsname.Name
	fn, tmp string
	conn    *Conn
	line    []byte
}

// oldSerial reads the serial number of the present copy: the number after a #
// at the very start, else 0.
func (g *getter) oldSerial() (uint32, error) {
	f, err := os.Open(g.fn)
	if os.IsNotExist(err) {
		return 0, nil
	}
	if err != nil {
		return 0, prog.Fatal("unable to read "+g.fn, err)
	}
	defer f.Close()
	var b [64]byte // a # and a number need far less
	n, err := f.Read(b[:])
	if err != nil && n == 0 && err.Error() != "EOF" {
		return 0, prog.Fatal("unable to read "+g.fn, err)
	}
	if n == 0 || b[0] != '#' {
		return 0, nil
	}
	serial, _ := scan.Number(b[1:n])
	return uint32(serial), nil
}

func (g *getter) run(old uint32) error {
	msg, err := g.conn.Ask(g.zone, dns.TypeSOA)
	if err != nil {
		return err
	}
	serial, err := axfrin.SOA(msg, g.zone, g.conn.ID)
	if err != nil {
		return prog.Fatal(cantParse, err)
	}
	if serial == old && serial != 0 {
		return nil
	}
	f, err := os.OpenFile(g.tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return prog.Fatal("unable to write "+g.tmp, err)
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<16)
	t := axfrin.New(g.zone, g.conn.ID)
	msg, err = g.conn.Ask(g.zone, dns.TypeAXFR)
	for {
		if err != nil {
			return err
		}
		done, err2 := t.Message(msg, func(r *tinydata.Record) error { return g.write(w, r) })
		if err2 != nil {
			if _, ok := err2.(*prog.Error); ok {
				return err2
			}
			return prog.Fatal(cantParse, err2)
		}
		if done {
			break
		}
		msg, err = g.conn.Receive()
	}
	bad := func(err error) error { return prog.Fatal("unable to write "+g.tmp, err) }
	if err := w.Flush(); err != nil {
		return bad(err)
	}
	if err := f.Sync(); err != nil {
		return bad(err)
	}
	if err := f.Close(); err != nil {
		return bad(err)
	}
	if err := syscall.Rename(g.tmp, g.fn); err != nil {
		return prog.Fatal("unable to move "+g.tmp+" to "+g.fn, err)
	}
	return nil
}

// write appends the line of one record.
func (g *getter) write(w *bufio.Writer, r *tinydata.Record) error {
	var err error
	g.line = g.line[:0]
	if r.Type == dns.TypeSOA {
		g.line = append(g.line, '#')
		g.line = appendUint(g.line, binary.BigEndian.Uint32(r.Data[len(r.Data)-20:]))
		g.line = append(g.line, " auto axfr-get\n"...)
	}
	if g.line, err = tinydata.AppendClassic(g.line, r); err != nil {
		return axfrin.ErrTransfer // a record that no line can express
	}
	if _, err := w.Write(g.line); err != nil {
		return prog.Fatal("unable to write "+g.tmp, err)
	}
	return nil
}

func appendUint(b []byte, v uint32) []byte {
	if v >= 10 {
		b = appendUint(b, v/10)
	}
	return append(b, byte('0'+v%10))
}
