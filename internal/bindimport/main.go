package bindimport

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"bulkhead/internal/prog"
	"bulkhead/internal/publish"
	"bulkhead/internal/sandbox"
)

const usage = "bind-import [ -c named.conf ] [ -o data ] [ -t tcp ] [ -r root ] [ -anybody ] [ -f ]\n" +
	"       bind-import verify -old addr#port -new addr#port [ -c named.conf ] [ -r root ] [ -view name ] [ -from addr ] [ -json file ] [ -html file ]\n" +
	"       bind-import shadow -old addr#port -new addr#port [ -from addr ] [ -json file ] [ -html file ] recording"

// Main is the program; args are without its name. box is what comparing needs.
func Main(args []string, box sandbox.Decl) error {
	if len(args) > 0 {
		switch args[0] {
		case "verify", "shadow":
			return check(args[0], args[1:], box)
		}
	}
	fs := flags()
	var o Options
	conf(fs, &o)
	out := fs.String("o", "data", "")
	tcp := fs.String("t", "tcp", "")
	force := fs.Bool("f", false, "")
	fs.BoolVar(&o.TransferAny, "anybody", false, "")
	if fs.Parse(args) != nil || fs.NArg() > 0 {
		return prog.Usage(usage)
	}
	c, err := load(o)
	if err != nil {
		return err
	}
	for _, f := range []string{*out, *tcp} {
		if !*force {
			if err := mayReplace(f); err != nil {
				return err
			}
		}
	}
	if err := write(*out, c.Write); err != nil {
		return err
	}
	err = write(*tcp, func(w *bufio.Writer) error {
		_, err := w.WriteString(strings.Join(c.Rules(), "\n") + "\n")
		return err
	})
	if err != nil {
		return err
	}
	w := bufio.NewWriter(os.Stdout)
	for _, lost := range []bool{false, true} {
		title := "Not carried over, and nothing answered depends on it:"
		if lost {
			title = "NOT CARRIED OVER:"
		}
		for _, n := range c.Notes {
			if n.Lost != lost {
				continue
			}
			if title != "" {
				fmt.Fprintln(w, title)
				title = ""
			}
			fmt.Fprintf(w, "%s: %s\n\t%s\n", n.Place, n.What, n.Reason)
		}
	}
	fmt.Fprintf(w, "%s in %s, transfer rules in %s; %d statements or records lost\n", c.Summary(), *out, *tcp, c.Lost())
	if err := w.Flush(); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	if c.Lost() > 0 {
		return prog.Exit(prog.ExitPermanent)
	}
	return nil
}

func flags() *flag.FlagSet {
	fs := flag.NewFlagSet("bind-import", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// conf adds the options that say where the configuration is.
func conf(fs *flag.FlagSet, o *Options) {
	def := "/etc/bind/named.conf"
	if _, err := os.Stat(def); err != nil {
		def = "/etc/named.conf"
	}
	fs.StringVar(&o.Conf, "c", def, "")
	fs.StringVar(&o.Root, "r", "", "")
}

func load(o Options) (*Config, error) {
	c, err := Load(o)
	if err != nil {
		return nil, prog.Permanent("unable to read "+o.Conf, err)
	}
	return c, nil
}

// mayReplace refuses to overwrite what bind-import has not made.
func mayReplace(fn string) error {
	f, err := os.Open(fn)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, len(Header))
	n, _ := io.ReadFull(f, head)
	if n == 0 || bytes.Equal(head, []byte(Header)) {
		return nil
	}
	return prog.Permanent(fn+" exists and was not made by bind-import; -f replaces it", nil)
}

// write publishes fn through a temporary file beside it.
func write(fn string, f func(w *bufio.Writer) error) error {
	return publish.File(fn, filepath.Join(filepath.Dir(fn), filepath.Base(fn)+".tmp"), f)
}

func check(kind string, args []string, box sandbox.Decl) error {
	fs := flags()
	var o Options
	conf(fs, &o)
	old, new := fs.String("old", "", ""), fs.String("new", "", "")
	from, view := fs.String("from", "", ""), fs.String("view", "", "")
	jsonFile, pageFile := fs.String("json", "", ""), fs.String("html", "", "")
	if fs.Parse(args) != nil || *old == "" || *new == "" || (kind == "verify") != (fs.NArg() == 0) || fs.NArg() > 1 {
		return prog.Usage(usage)
	}
	var k Check
	var err error
	if k.Old, err = ParseServer(*old); err != nil {
		return prog.Permanent("-old", err)
	}
	if k.New, err = ParseServer(*new); err != nil {
		return prog.Permanent("-new", err)
	}
	if *from != "" {
		if k.From, err = netip.ParseAddr(*from); err != nil {
			return prog.Permanent("-from: not an address: "+*from, nil)
		}
	}
	// reports are replaced by rename, so what is written is their folders
	box.Write = nil
	for _, f := range []string{*jsonFile, *pageFile} {
		if f != "" {
			box.Write = append(box.Write, filepath.Clean(filepath.Dir(f)))
		}
	}
	if st, err := os.Stderr.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
		k.Progress = func(done, all int) { fmt.Fprintf(os.Stderr, "\r%d of %d", done, all) }
	}
	if kind == "verify" {
		c, err := load(o)
		if err != nil {
			return err
		}
		v := c.pick(*view, k.From)
		if v == nil {
			return prog.Permanent("no such view", nil)
		}
		for _, n := range c.Notes {
			if n.Lost && strings.HasPrefix(n.What, "zone ") {
				prog.Warn(n.Place+": "+n.What+" is not verified: "+n.Reason, nil)
			}
		}
		if err := sandbox.Enter(box); err != nil {
			return err
		}
		err = k.Run(v.Zones)
	} else {
		f, err := os.Open(fs.Arg(0))
		if err != nil {
			return prog.Fatal("unable to open "+fs.Arg(0), err)
		}
		defer f.Close()
		if err := sandbox.Enter(box); err != nil {
			return err
		}
		list, skipped, err := Recorded(f)
		if err != nil {
			return prog.Fatal("unable to read "+fs.Arg(0), err)
		}
		fmt.Printf("%d queries recorded; passed over: %d TCP segments, %d lines or packets that are no queries\n", len(list), skipped.TCP, skipped.Other)
		err = k.Replay(list)
		if err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	w := bufio.NewWriter(os.Stdout)
	k.Report.Text(w)
	if err := w.Flush(); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	if *jsonFile != "" {
		if err := write(*jsonFile, func(w *bufio.Writer) error { return k.Report.JSON(w) }); err != nil {
			return err
		}
	}
	if *pageFile != "" {
		if err := write(*pageFile, func(w *bufio.Writer) error { return k.Report.Page(w) }); err != nil {
			return err
		}
	}
	if k.Report.Different > 0 {
		return prog.Exit(prog.ExitPermanent)
	}
	return nil
}

// pick gives the view named, or that of clients at from, or the first.
func (c *Config) pick(name string, from netip.Addr) *View {
	for _, v := range c.Views {
		if v.Name == name && name != "" {
			return v
		}
	}
	if name != "" || len(c.Views) == 0 {
		return nil
	}
	if from.IsValid() {
		return c.viewOf(netip.PrefixFrom(from, from.BitLen()))
	}
	return c.Views[0]
}
