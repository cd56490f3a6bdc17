// Dnscache-explain shows how a running dnscache finds an answer: whom it asks
// and why, what it believes, what it costs; see dnscache-explain(1).
package main

import (
	"encoding/json"
	"io"
	"net"
	"os"
	"time"

	"bulkhead/internal/explain"
	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/sandbox"
)

const usage = "dnscache-explain [ -j | -s ] [ -f ] [ -d root ] name [ type ]"

// patience is longer than the server takes for any question.
const patience = 40 * time.Second

func main() { prog.Main("dnscache-explain", run) }

func run(args []string) error {
	form, fresh, root := byte('t'), "", "."
	o := getopt.New(args, "jsfd:")
	for c := o.Next(); c != 0; c = o.Next() {
		switch c {
		case 'j', 's':
			form = c
		case 'f':
			fresh = " fresh"
		case 'd':
			root = o.Arg
		default:
			return prog.Usage(usage)
		}
	}
	args = o.Args()
	if len(args) < 1 || len(args) > 2 {
		return prog.Usage(usage)
	}
	t := "A"
	if len(args) == 2 {
		t = args[1]
	}
	return show(root+"/state/control", "explain "+t+" "+args[0]+fresh+"\n", form, os.Stdout)
}

func show(socket, request string, form byte, out io.Writer) error {
	k, err := net.Dial("unix", socket)
	if err != nil {
		return prog.Fatal("unable to connect to "+socket, err)
	}
	defer k.Close()
	if err := sandbox.Enter(box); err != nil {
		return err
	}
	k.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(k, request); err != nil {
		return prog.Fatal("unable to write to "+socket, err)
	}
	d, err := explain.Read(k)
	if err != nil {
		return prog.Fatal("unable to explain", err)
	}
	var b []byte
	switch form {
	case 'j':
		if b, err = json.MarshalIndent(d, "", "  "); err != nil {
			return prog.Fatal("unable to write JSON", err)
		}
		b = append(b, '\n')
	case 's':
		b = d.AppendSVG(nil)
	default:
		b = d.AppendText(nil)
	}
	if _, err := out.Write(b); err != nil {
		return prog.Fatal("unable to write", err)
	}
	return nil
}
