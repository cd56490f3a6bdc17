// Package adopt looks at existing service directories and changes what would
// not work with Bulkhead's programs, and nothing else:
//
//	softlimit -d, -a, -m, -l, -s in run scripts   a Go program needs more address
//	                                              space than these allow and would
//	                                              end before its first line
//	/usr/local/bin/PROGRAM, /usr/bin/PROGRAM      to where the programs are
//	root/servers/@ with addresses of old roots    to the present list
//	data.cdb                                      is tried with the new reader
//
// Before a file is changed its content is kept in SERVICE/.adopt, from which
// undo brings it back byte for byte, with its mode and owner.
package adopt

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"bulkhead/internal/cdb"
	"bulkhead/internal/prog"
	"bulkhead/internal/tinydata"
)

const usage = "djbdns-adopt [ -w | -u ] [ -b bindir ] service ..."

// backupDir is where originals are kept, in the service directory.
const backupDir = ".adopt"

// maxFile bounds the files that are looked at, in bytes: run scripts and lists
// of addresses are small.
const maxFile = 1 << 20

// Main is the program.
func Main(args []string) error {
	write, undo, bin := false, false, ""
	if exe, err := os.Executable(); err == nil {
		bin = filepath.Dir(exe)
	}
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch args[0] {
		case "-w":
			write = true
		case "-u":
			undo = true
		case "-b":
			if len(args) < 2 {
				return prog.Usage(usage)
			}
			bin, args = args[1], args[1:]
		default:
			return prog.Usage(usage)
		}
		args = args[1:]
	}
	if len(args) == 0 || write && undo {
		return prog.Usage(usage)
	}
	code := 0
	for _, dir := range args {
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			prog.Print("warning: unable to follow " + args[0] + ": " + reason(err))
			code = prog.ExitTemporary
			continue
		}
		if undo {
			err = Undo(os.Stdout, dir)
		} else {
			var p *Plan
			if p, err = Look(dir, bin); err == nil {
				p.Show(os.Stdout)
				if write {
					err = p.Apply(os.Stdout)
				} else if len(p.Changes) > 0 || len(p.Problems) > 0 {
					code = max(code, prog.ExitPermanent)
				}
				if write && len(p.Problems) > 0 {
					code = max(code, prog.ExitPermanent)
				}
			}
		}
		if err != nil {
			prog.Print("warning: " + dir + ": " + reason(err))
			code = prog.ExitTemporary
		}
	}
	if code != 0 {
		return prog.Exit(code)
	}
	return nil
}

func reason(err error) string {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Path + ": " + e.Err.Error()
	}
	return err.Error()
}

// Change is new content for a file.
type Change struct {
	File     string // below the service directory
	Old, New []byte
	Why      []string
}

// Plan is what would be done to a service directory.
type Plan struct {
	Dir      string
	Programs []string // ours, named in run scripts
	Changes  []Change
	Problems []string // what a person must look at
}

// programs are those whose run scripts matter: names that keep their meaning.
var programs = []string{
	"dnscache", "tinydns", "axfrdns", "walldns", "rbldns", "pickdns", "tinydns-data", "rbldns-data", "pickdns-data", "tinydns-edit", "axfr-get",
	"supervise", "svscan", "multilog", "setuidgid", "envuidgid", "envdir", "softlimit", "setlock", "tai64n", "tai64nlocal", "fghack", "pgrphack",
	"tcpserver", "tcpclient", "tcprules", "recordio", "rblsmtpd", "fixcrio", "argv0",
}

var (
	softlimit = regexp.MustCompile(`\bsoftlimit((?:\s+(?:\\\n\s*)?-[a-zA-Z]\s*[0-9]*)+)`)
	option    = regexp.MustCompile(`\s+(?:\\\n\s*)?-([a-zA-Z])\s*([0-9]*)`)
	dataLimit = regexp.MustCompile(`[ \t]+-d\s*"?\$\{?DATALIMIT\}?"?`)
	oldPath   = regexp.MustCompile(`/(?:usr/local/bin|usr/bin|usr/sbin|command|usr/local/sbin)/([A-Za-z0-9@_-]+)`)
)

// Look decides what a service directory needs. bin is where our programs are.
func Look(dir, bin string) (*Plan, error) {
	p := &Plan{Dir: dir}
	if st, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !st.IsDir() {
		return nil, errors.New("not a directory")
	}
	found := false
	for _, f := range []string{"run", "log/run", "finish", "root/Makefile", "Makefile", "root/add-ns", "root/add-childns", "root/add-host", "root/add-alias", "root/add-mx", "root/add-host6", "root/add-alias6"} {
		text, err := read(filepath.Join(dir, f))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = found || f == "run"
		new, why := p.script(text, bin)
		p.add(f, text, new, why)
	}
	if !found {
		return nil, errors.New("no run script: not a service directory")
	}
	if err := p.roots(); err != nil {
		return nil, err
	}
	p.data()
	return p, nil
}

func read(fn string) ([]byte, error) {
	f, err := os.OpenFile(fn, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.New(fn + ": not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = errors.New(fn + ": too large")
	}
	return b, err
}

func (p *Plan) add(f string, old, new []byte, why []string) {
	if !bytes.Equal(old, new) {
		p.Changes = append(p.Changes, Change{f, old, new, why})
	}
}

// script changes a run script or Makefile.
func (p *Plan) script(text []byte, bin string) ([]byte, []string) {
	var why []string
	because := func(s string) {
		if !slices.Contains(why, s) {
			why = append(why, s)
		}
	}
	const limits = "softlimit: memory limits of C programs leave no room for the address space that these programs reserve; CACHESIZE bounds what dnscache uses"
	out := dataLimit.ReplaceAllFunc(text, func([]byte) []byte { because(limits); return nil })
	out = softlimit.ReplaceAllFunc(out, func(m []byte) []byte {
		options := m[len("softlimit"):]
		keep := option.ReplaceAllFunc(options, func(o []byte) []byte {
			switch o := option.FindSubmatch(o); o[1][0] {
			case 'a', 'd', 'l', 'm', 's': // address space, data, locked, all of them, stack
				because(limits)
				return nil
			}
			return o
		})
		return append([]byte("softlimit"), keep...)
	})
	out = oldPath.ReplaceAllFunc(out, func(m []byte) []byte {
		name := string(oldPath.FindSubmatch(m)[1])
		if !slices.Contains(programs, name) {
			return m
		}
		if !slices.Contains(p.Programs, name) {
			p.Programs = append(p.Programs, name)
		}
		want := filepath.Join(bin, name)
		if string(m) == want {
			return m
		}
		if _, err := os.Stat(want); err != nil {
			p.Problems = append(p.Problems, want+" does not exist; "+string(m)+" stays")
			return m
		}
		because("the programs are in " + bin)
		return []byte(want)
	})
	return out, why
}

// roots brings root/servers/@ of a cache up to date: only when it is a list of
// root servers, old or new, and not somebody's own servers.
func (p *Plan) roots() error {
	const f = "root/servers/@"
	text, err := read(filepath.Join(p.Dir, f))
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	now := presentRoots
	have := strings.Fields(string(text))
	known := append(strings.Fields(now), formerRoots...)
	old := 0
	for _, a := range have {
		if !slices.Contains(known, a) {
			return nil // not the root's list: left alone
		}
		if slices.Contains(formerRoots, a) {
			old++
		}
	}
	missing := 0
	for _, a := range strings.Fields(now) {
		if !slices.Contains(have, a) && !strings.Contains(a, ":") {
			missing++
		}
	}
	if old > 0 || missing > 0 {
		p.add(f, text, []byte(now), []string{fmt.Sprintf("root servers: %d addresses are former ones, %d are missing", old, missing)})
	}
	return nil
}

// presentRoots are the root servers' IPv4 addresses (compat: djbdns.md, section
// 15, 20); a test compares them with the list that is installed.
const presentRoots = "198.41.0.4\n170.247.170.2\n192.33.4.12\n199.7.91.13\n192.203.230.10\n192.5.5.241\n192.112.36.4\n" +
	"198.97.190.53\n192.36.148.17\n192.58.128.30\n193.0.14.129\n199.7.83.42\n202.12.27.33\n"

// formerRoots are addresses that root servers had before the present ones.
var formerRoots = []string{
	"128.9.0.107", "198.32.64.12", "128.63.2.53", "199.7.81.13", "192.228.79.201", "192.0.32.12", "198.41.0.10", "193.0.14.128", "128.8.10.90", "198.17.208.67", "192.203.230.9", "192.33.4.10", "10.0.0.51", "192.5.5.240", "198.32.65.12",
}

// data tries data.cdb with the new reader.
func (p *Plan) data() {
	fn := filepath.Join(p.Dir, "root/data.cdb")
	b, err := os.ReadFile(fn)
	if err != nil {
		return
	}
	run, _ := read(filepath.Join(p.Dir, "run"))
	if err := Readable(b, bytes.Contains(run, []byte("tinydns"))); err != nil {
		p.Problems = append(p.Problems, "root/data.cdb: "+err.Error()+"; compile it again")
	}
}

// Readable checks a whole data.cdb: its structure and, for tinydns, that every
// record in it can be taken apart.
func Readable(b []byte, records bool) error {
	r := cdb.Reader(b)
	if err := r.Check(); err != nil || !records {
		return err
	}
	return r.Each(func(key, data []byte) error {
		if tinydata.IsLocation(key) || len(key) == 0 || key[0] == 0 && len(key) > 1 { // lists of the program's own
			return nil
		}
		if _, ok := tinydata.Decode(nil, key, data); !ok {
			return fmt.Errorf("no record of tinydns under key %q", key)
		}
		return nil
	})
}

// Show prints the plan as a diff.
func (p *Plan) Show(w io.Writer) {
	if len(p.Changes) == 0 && len(p.Problems) == 0 {
		fmt.Fprintf(w, "%s: nothing to change\n", p.Dir)
		return
	}
	for _, c := range p.Changes {
		for _, y := range c.Why {
			fmt.Fprintf(w, "# %s\n", y)
		}
		fmt.Fprint(w, diff(filepath.Join(p.Dir, c.File), c.Old, c.New))
	}
	for _, s := range p.Problems {
		fmt.Fprintf(w, "# look: %s: %s\n", p.Dir, s)
	}
}

// diff is a unified diff of two short texts, with whole context.
func diff(name string, old, new []byte) string {
	a, b := strings.SplitAfter(string(old), "\n"), strings.SplitAfter(string(new), "\n")
	if a[len(a)-1] == "" {
		a = a[:len(a)-1]
	}
	if b[len(b)-1] == "" {
		b = b[:len(b)-1]
	}
	// the longest common subsequence; the files have a few dozen lines
	const maxLines = 2000
	if len(a) > maxLines || len(b) > maxLines {
		return fmt.Sprintf("--- %s\n+++ %s\n(changed)\n", name, name)
	}
	l := make([][]int, len(a)+1)
	for i := range l {
		l[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				l[i][j] = l[i+1][j+1] + 1
			} else {
				l[i][j] = max(l[i+1][j], l[i][j+1])
			}
		}
	}
	var out strings.Builder
	line := func(mark byte, s string) {
		out.WriteByte(mark)
		out.WriteString(s)
		if !strings.HasSuffix(s, "\n") {
			out.WriteString("\n\\ No newline at end of file\n")
		}
	}
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			line(' ', a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || l[i+1][j] >= l[i][j+1]):
			line('-', a[i])
			i++
		default:
			line('+', b[j])
			j++
		}
	}
	return fmt.Sprintf("--- %s\n+++ %s\n@@ -1,%d +1,%d @@\n%s", name, name, len(a), len(b), out.String())
}

// Apply keeps the originals and writes the changes.
func (p *Plan) Apply(w io.Writer) error {
	for _, c := range p.Changes {
		keep := filepath.Join(p.Dir, backupDir, c.File)
		if err := os.MkdirAll(filepath.Dir(keep), 0o700); err != nil {
			return err
		}
		orig := filepath.Join(p.Dir, c.File)
		if _, err := os.Lstat(keep); os.IsNotExist(err) { // the first original counts
			if err := replace(keep, orig, c.Old); err != nil {
				return err
			}
		}
		if err := replace(orig, orig, c.New); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s changed; the original is %s\n", orig, keep)
	}
	return nil
}

// replace writes fn through a temporary file, with the mode and owner of like.
func replace(fn, like string, text []byte) error {
	st, err := os.Stat(like)
	if err != nil {
		return err
	}
	tmp := fn + ".adopt-new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		if err := f.Chown(int(sys.Uid), int(sys.Gid)); err != nil && os.Geteuid() == 0 {
			f.Close()
			return err
		}
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Chmod(st.Mode()), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp, fn)
}

// Undo brings the originals back and forgets them.
func Undo(w io.Writer, dir string) error {
	top := filepath.Join(dir, backupDir)
	if _, err := os.Stat(top); os.IsNotExist(err) {
		fmt.Fprintf(w, "%s: nothing to undo\n", dir)
		return nil
	}
	err := filepath.WalkDir(top, func(keep string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(top, keep)
		if err != nil {
			return err
		}
		text, err := read(keep)
		if err != nil {
			return err
		}
		fn := filepath.Join(dir, rel)
		if err := replace(fn, keep, text); err != nil {
			return err
		}
		fmt.Fprintf(w, "%s restored\n", fn)
		return nil
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(top)
}
