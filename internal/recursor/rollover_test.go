package recursor

import (
	"crypto/rand"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
)

// TestAnchorsFollow runs the program, its clock moved, through a roll of the
// root's key: DS to key, a second key pending, then trusted, the first revoked
// (RFC 5011); meanwhile the file is edited, damaged, and can not be written.
func TestAnchorsFollow(t *testing.T) {
	testbin.NeedRoot(t)
	if testing.Short() {
		t.Skip("long")
	}
	bin := filepath.Join(t.TempDir(), "dnscache")
	build := exec.Command("go", "build", "-tags", "testclock", "-o", bin, "bulkhead/cmd/dnscache")
	build.Dir = testbin.Root()
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	testbin.Inside(t, "TestAnchorsFollowInside", "ANCHORS_FOLLOW", bin)
}

// keyServer answers for the root's keys, and for nothing else.
type keyServer struct {
	mu  sync.Mutex
	set *dnssec.RRset
}

func (k *keyServer) use(t *testing.T, signers []*dnssec.PrivateKey, keys ...*dnssec.PrivateKey) {
	set := &dnssec.RRset{Name: dnsname.Root, Type: dns.TypeDNSKEY, TTL: 3600}
	for _, key := range keys {
		set.Data = append(set.Data, key.Data)
	}
	now := time.Now().Unix()
	for _, signer := range signers {
		sig, err := signer.Sign(rand.Reader, set, dnsname.Root, uint32(now-86400), uint32(now+400*86400))
		if err != nil {
			t.Fatal(err)
		}
		set.Sigs = append(set.Sigs, sig)
	}
	k.mu.Lock()
	k.set = set
	k.mu.Unlock()
}

func (k *keyServer) serve(c net.PacketConn) {
	buf := make([]byte, 4096)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		cur, err := wire.Parse(buf[:n])
		if err != nil {
			continue
		}
		name, ty, _, err := cur.Question(nil)
		if err != nil {
			continue
		}
		var b wire.Builder
		b.Reset(nil, 1232, cur.Header.ID, wire.BitQR|wire.BitAA)
		b.Question(name, ty, dns.ClassIN)
		root := []byte{0}
		ns := []byte("\x02ns\x00")
		switch {
		case len(name) == 1 && ty == dns.TypeDNSKEY:
			k.mu.Lock()
			for _, d := range k.set.Data {
				b.RR(wire.Answer, root, ty, dns.ClassIN, 3600, d)
			}
			for _, d := range k.set.Sigs {
				b.RR(wire.Answer, root, dns.TypeRRSIG, dns.ClassIN, 3600, d)
			}
			k.mu.Unlock()
		case len(name) == 1 && ty == dns.TypeNS:
			b.RR(wire.Answer, root, ty, dns.ClassIN, 3600, ns)
			b.RR(wire.Additional, ns, dns.TypeA, dns.ClassIN, 3600, []byte{127, 1, 0, 1})
		}
		b.OPT(1232, 0, true, nil)
		c.WriteTo(b.Finish(), from)
	}
}

func TestAnchorsFollowInside(t *testing.T) {
	bin := os.Getenv("ANCHORS_FOLLOW")
	if bin == "" {
		t.Skip("run by TestAnchorsFollow")
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	l := &lab{t, dir}
	var keys []*dnssec.PrivateKey
	for range 2 {
		k, err := dnssec.Generate(rand.Reader, dnssec.ECDSAP256SHA256, dnssec.FlagZone|dnssec.FlagSEP, 0)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	a, b := keys[0], keys[1]
	srv := &keyServer{}
	srv.use(t, []*dnssec.PrivateKey{a}, a)
	c, err := net.ListenPacket("udp", "127.1.0.1:53")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go srv.serve(c)
	ds, _ := a.Key.DS(dnsname.Root, dnssec.DigestSHA256)
	l.write("root/servers/@", "127.1.0.1\n")
	l.write("root/ip/127", "")
	l.write("root/trust-anchors", string(dnssec.FormatPoints([]*dnssec.TrustPoint{{Name: dnsname.Root, DS: [][]byte{ds}}})))
	l.write("root/clock", "0\n")
	cmd := exec.Command(bin)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "IP=127.2.0.3", "IPSEND=0.0.0.0", "CACHESIZE=1000000", "ROOT="+dir+"/root", "UID=65534", "GID=65534", "LOCALZONES=0", "TEST_CLOCK_FILE=clock")
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return string(b)
	}
	const learnt, own = "root/state/trust-anchors", "root/trust-anchors"
	// the clock is to move after it has begun to count
	for range 300 {
		if _, err := os.Stat(filepath.Join(dir, "root/state/control")); err == nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Second)
	clock := 0
	// step moves the clock and waits for words in a file
	step := func(seconds int, name string, want ...string) {
		t.Helper()
		clock += seconds
		tmp := l.write("root/clock.tmp", strconv.Itoa(clock)+"\n")
		os.Rename(tmp, filepath.Join(dir, "root/clock"))
		for range 300 {
			text := read(name)
			n := 0
			for _, w := range want {
				if strings.Contains(text, w) {
					n++
				}
			}
			if n == len(want) {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("want %q in %s:\n%s\nlog:\n%s", want, name, read(name), read("log"))
	}
	tag := func(k *dnssec.PrivateKey) string { return " key " + strconv.Itoa(int(k.Tag)) }
	only := []*dnssec.PrivateKey{a}
	step(40, learnt, "valid ", tag(a))
	srv.use(t, only, a, b)
	step(2*86400, learnt, "addpend ", tag(b)+" . IN DNSKEY")

	// the administrator edits his file: his lines are kept, and counted
	const mine = "island.example. IN DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000 ; mine\n"
	good := read(own)
	l.write(own, good+mine)
	step(31*86400, learnt, "; rfc5011 valid", tag(b)+"\n", mine)
	// now it is damaged: that is said, and nothing of it touched
	l.write(own, good+mine+"nonsense\n")
	step(86400, "log", "warning: trust anchors: unable to parse trust-anchors: line ")
	// and meanwhile the first key revokes itself, with nowhere to write that down
	block := filepath.Join(dir, learnt+".tmp")
	os.Mkdir(block, 0o755)
	ra := a.WithFlags(dnssec.FlagZone | dnssec.FlagSEP | dnssec.FlagRevoke)
	srv.use(t, []*dnssec.PrivateKey{ra, b}, ra, b)
	step(86400, "log", "warning: trust anchors have changed: unable to write state/trust-anchors: ")
	os.Remove(block)
	step(86400, learnt, ";rfc5011 revoked", mine)
	if got := read(own); got != good+mine+"nonsense\n" {
		t.Errorf("the administrator's file was changed:\n%s", got)
	}
	l.write(own, good+mine)
	// what was learnt meanwhile holds with his file as it is again
	srv.use(t, []*dnssec.PrivateKey{b}, b)
	cmd.Process.Signal(syscall.SIGHUP)
	step(0, "log", "dnscache: reloaded")
	if ask := askPeer("127.2.0.3", ".", dns.TypeDNSKEY); ask != "NOERROR AD" {
		t.Errorf("by the second key: %s\n%s", ask, read("log"))
	}
}
