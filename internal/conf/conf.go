// Package conf makes service directories: what every *-conf program writes
// (compat: djbdns.md section 13). Where it differs from 1.05, docs/differences.md
// says so: no softlimit -d in run, the programs' own folder instead of
// /usr/local/bin, replication in tinydns's Makefile, the present root list.
package conf

import (
	"crypto/rand"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"bulkhead/internal/account"
	"bulkhead/internal/prog"
)

// dir is a service directory in the making. The first failure is kept and
// makes everything after it do nothing.
type dir struct {
	name string
	log  account.IDs
	err  error
}

// defaultBin is where the programs are when the system can not say.
const defaultBin = "/usr/local/bin"

// bin is the folder that this program, and so its neighbours, are in.
func bin() string {
	if exe, err := os.Executable(); err == nil {
		return filepath.Dir(exe)
	}
	return defaultBin
}

// arguments checks what all programs check: enough of them, and absolute
// directories at the given places.
func arguments(args []string, need int, usage string, absolute ...int) error {
	if len(args) < need {
		return prog.Usage(usage)
	}
	for _, i := range absolute {
		if !strings.HasPrefix(args[i], "/") {
			return prog.Usage(usage)
		}
	}
	return nil
}

// logAccount looks up the one account that must exist; acct is just written
// into run.
func logAccount(name string) (account.IDs, error) {
	ids, ok := account.Lookup(name)
	if !ok {
		return ids, prog.Fatal("unknown account "+name, nil)
	}
	return ids, nil
}

// create makes the directory itself and goes there.
func create(name string, log account.IDs) *dir {
	syscall.Umask(0o022)
	d := &dir{name: name, log: log}
	if err := syscall.Mkdir(name, 0o700); err != nil {
		d.err = prog.Fatal("unable to create "+name, err)
		return d
	}
	if err := syscall.Chmod(name, 0o3755); err != nil {
		d.err = prog.Fatal("unable to set mode of "+name, err)
		return d
	}
	if err := os.Chdir(name); err != nil {
		d.err = prog.Fatal("unable to switch to "+name, err)
	}
	return d
}

func (d *dir) fail(fn string, err error) {
	if err != nil && d.err == nil {
		d.err = prog.Fatal("unable to create "+d.name+"/"+fn, err)
	}
}

func (d *dir) mkdir(fn string) {
	if d.err == nil {
		d.fail(fn, syscall.Mkdir(fn, 0o700))
		d.perm(fn, 0o2755)
	}
}

func (d *dir) perm(fn string, mode uint32) {
	if d.err == nil {
		d.fail(fn, syscall.Chmod(fn, mode))
	}
}

// own gives a file to the log account.
func (d *dir) own(fn string) {
	if d.err == nil {
		d.fail(fn, os.Chown(fn, d.log.UID, d.log.GID))
	}
}

// file writes a new file: one that is there already is an error.
func (d *dir) file(fn string, mode uint32, content string) {
	if d.err != nil {
		return
	}
	f, err := os.OpenFile(fn, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		d.fail(fn, err)
		return
	}
	_, err = io.WriteString(f, content)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	d.fail(fn, err)
	d.perm(fn, mode)
}

// logDir makes the log service.
func (d *dir) logDir(logacct string) {
	d.mkdir("log")
	d.mkdir("log/main")
	d.own("log/main")
	d.perm("log/main", 0o2755) // chown takes the setgid bit away
	d.file("log/status", 0o644, "")
	d.own("log/status")
	d.file("log/run", 0o755, "#!/bin/sh\nexec setuidgid "+logacct+" multilog t ./main\n")
}

// env writes one file of env/.
func (d *dir) env(name, value string) { d.file("env/"+name, 0o644, value+"\n") }

// server is what tinydns, walldns, rbldns and pickdns have in common.
func server(program, acct, logacct, name, ip string) (*dir, error) {
	log, err := logAccount(logacct)
	if err != nil {
		return nil, err
	}
	d := create(name, log)
	d.logDir(logacct)
	d.mkdir("env")
	d.env("ROOT", name+"/root")
	d.env("IP", ip)
	d.file("run", 0o755, "#!/bin/sh\nexec 2>&1\nexec envuidgid "+acct+" envdir ./env "+bin()+"/"+program+"\n")
	d.mkdir("root")
	return d, nil
}

// Walldns runs walldns-conf.
func Walldns(args []string) error {
	if err := arguments(args, 4, "walldns-conf acct logacct /walldns myip", 2); err != nil {
		return err
	}
	d, err := server("walldns", args[0], args[1], args[2], args[3])
	if err != nil {
		return err
	}
	return d.err
}

// compiled adds what turns root/data into root/data.cdb.
func (d *dir) compiled(compiler string) {
	d.file("root/data", 0o644, "")
	d.file("root/Makefile", 0o644, "data.cdb: data\n\t"+bin()+"/"+compiler+"\n")
}

// Rbldns runs rbldns-conf.
func Rbldns(args []string) error {
	if err := arguments(args, 5, "rbldns-conf acct logacct /rbldns myip base", 2); err != nil {
		return err
	}
	d, err := server("rbldns", args[0], args[1], args[2], args[3])
	if err != nil {
		return err
	}
	d.env("BASE", args[4])
	d.compiled("rbldns-data")
	return d.err
}

// Pickdns runs pickdns-conf.
func Pickdns(args []string) error {
	if err := arguments(args, 4, "pickdns-conf acct logacct /pickdns myip", 2); err != nil {
		return err
	}
	d, err := server("pickdns", args[0], args[1], args[2], args[3])
	if err != nil {
		return err
	}
	d.compiled("pickdns-data")
	return d.err
}

// Tinydns runs tinydns-conf.
func Tinydns(args []string) error {
	if err := arguments(args, 4, "tinydns-conf acct logacct /tinydns myip", 2); err != nil {
		return err
	}
	d, err := server("tinydns", args[0], args[1], args[2], args[3])
	if err != nil {
		return err
	}
	d.file("root/data", 0o644, "")
	for _, kind := range []string{"ns", "childns", "host", "alias", "mx", "host6", "alias6"} {
		d.file("root/add-"+kind, 0o755, "#!/bin/sh\nexec "+bin()+"/tinydns-edit data data.new add "+kind+" ${1+\"$@\"}\n")
	}
	d.file("root/Makefile", 0o644, tinydnsMakefile(bin()))
	d.file("root/secondaries", 0o644, "")
	return d.err
}

// tinydnsMakefile compiles as ever, and then sends the result to the hosts of
// the file secondaries, one a line. An empty or missing file sends nothing. A
// host that fails is named, the others go on, and the recipe ends with 111; the
// next make sends again, for rsync finds out by itself what is still the same.
func tinydnsMakefile(bin string) string {
	return `all: data.cdb
	@test -s secondaries || exit 0; bad=0; \
	while read host rest || test -n "$$host"; do \
	  case "$$host" in ''|'#'*) continue ;; esac; \
	  if test -t 2; then echo "sending data.cdb to $$host" >&2; fi; \
	  rsync -tz --timeout=60 -e 'ssh -o BatchMode=yes' data.cdb "$$host:data.cdb" </dev/null || \
	    { echo "make: unable to send data.cdb to $$host" >&2; bad=111; }; \
	done <secondaries; exit $$bad

data.cdb: data
	` + bin + `/tinydns-data
`
}

// Axfrdns runs axfrdns-conf.
func Axfrdns(args []string) error {
	if err := arguments(args, 5, "axfrdns-conf acct logacct /axfrdns /tinydns myip", 2, 3); err != nil {
		return err
	}
	log, err := logAccount(args[1])
	if err != nil {
		return err
	}
	d := create(args[2], log)
	d.logDir(args[1])
	d.mkdir("env")
	d.env("ROOT", args[3]+"/root")
	d.env("IP", args[4])
	d.file("run", 0o755, "#!/bin/sh\nexec 2>&1\nexec envdir ./env sh -c '\n  exec envuidgid "+args[0]+
		" tcpserver -vDRHl0 -x tcp.cdb -- \"$IP\" 53 "+bin()+"/axfrdns\n'\n")
	d.file("Makefile", 0o644, "tcp.cdb: tcp\n\ttcprules tcp.cdb tcp.tmp < tcp\n")
	d.file("tcp", 0o644, "# sample line:  1.2.3.4:allow,AXFR=\"heaven.af.mil/3.2.1.in-addr.arpa\"\n:deny\n")
	return d.err
}

// Where dnscache-conf finds the root servers' addresses.
const (
	rootsLocal  = "/etc/dnsroots.local"
	rootsGlobal = "/etc/dnsroots.global"
)

// maxRoots bounds that file in bytes; the real one has less than 1 KiB.
const maxRoots = 1 << 20

// seedLen is the length in bytes of the seed that dnscache reads.
const seedLen = 128

// Dnscache runs dnscache-conf.
func Dnscache(args []string) error {
	if err := arguments(args, 3, "dnscache-conf acct logacct /dnscache [ myip ]", 2); err != nil {
		return err
	}
	log, err := logAccount(args[1])
	if err != nil {
		return err
	}
	ip := "127.0.0.1"
	if len(args) > 3 {
		ip = args[3]
	}
	roots, err := readRoots()
	if err != nil {
		return err
	}
	var seed [seedLen]byte
	rand.Read(seed[:])
	d := create(args[2], log)
	d.logDir(args[1])
	d.mkdir("env")
	d.env("ROOT", args[2]+"/root")
	d.env("IP", ip)
	d.env("IPSEND", "0.0.0.0")
	d.env("CACHESIZE", "1000000")
	d.env("DATALIMIT", "3000000")
	d.file("run", 0o755, "#!/bin/sh\nexec 2>&1\nexec <seed\nexec envdir ./env sh -c '\n  exec envuidgid "+args[0]+
		" softlimit -o250 "+bin()+"/dnscache\n'\n")
	d.mkdir("root")
	d.mkdir("root/ip")
	d.file("root/ip/127.0.0.1", 0o600, "")
	d.mkdir("root/servers")
	d.file("root/servers/@", 0o644, roots)
	d.file("seed", 0o600, string(seed[:]))
	return d.err
}

func readRoots() (string, error) {
	f, err := os.Open(rootsLocal)
	fn := rootsLocal
	if os.IsNotExist(err) {
		fn = rootsGlobal
		f, err = os.Open(fn)
	}
	if err != nil {
		return "", prog.Fatal("unable to open "+fn, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxRoots))
	if err != nil {
		return "", prog.Fatal("unable to read "+fn, err)
	}
	return string(b), nil
}
