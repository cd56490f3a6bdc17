package recursor

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/dnssec"
	"bulkhead/internal/signedtree"
	"bulkhead/internal/testbin"
	"bulkhead/internal/wire"
)

// TestExplainBogus breaks zones in ten ways and has dnscache-explain say which
// rule decided, with the chain, key tags and times of signatures.
func TestExplainBogus(t *testing.T) {
	testbin.NeedRoot(t)
	testbin.Inside(t, "TestExplainBogusInside", "EXPLAIN_BOGUS", testbin.Dir(t, "dnscache", "dnscache-explain"))
}

func TestExplainBogusInside(t *testing.T) {
	bin := os.Getenv("EXPLAIN_BOGUS")
	if bin == "" {
		t.Skip("run by TestExplainBogus")
	}
	for _, args := range [][]string{{"link", "set", "lo", "up"}, {"addr", "add", "198.18.0.1/15", "dev", "lo"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
	}
	now := uint32(time.Now().Unix())
	tree := signedtree.New(now)
	const p256 = dnssec.ECDSAP256SHA256
	at := func(z *signedtree.Zone, name string, ty dns.Type) *dnssec.RRset {
		return z.Sets[signedtree.Key{Name: signedtree.Name(name), Type: ty}]
	}
	var top []string
	cases := []struct {
		zone, ask string
		opt       signedtree.Options
		want      []string // words of the explanation
	}{
		{"good.", "www.good.", signedtree.Options{}, []string{"validate . DNSKEY: keys of the zone", "validate good DNSKEY: keys of the zone",
			"validate www.good A: signature, secure (key ", ", valid 20", "validate www.good A: verdict, secure"}},
		{"expired.", "www.expired.", signedtree.Options{Inception: now - 9000, Expiration: now - 4000}, []string{"signature expired"}},
		{"future.", "www.future.", signedtree.Options{Inception: now + 4000, Expiration: now + 9000}, []string{"signature not yet valid"}},
		{"badds.", "www.badds.", signedtree.Options{Edit: func(z *signedtree.Zone) { z.DS[0][9] ^= 1 }}, []string{"no key matches the DS records"}},
		{"badsig.", "www.badsig.", signedtree.Options{Forge: func(z *signedtree.Zone) {
			s := at(z, "www.badsig.", dns.TypeA).Sigs[0]
			s[len(s)-1] ^= 1
		}}, []string{"validate badsig DNSKEY: keys of the zone, secure (key ", "validate www.badsig A: signature, bogus: bad signature (key "}},
		{"nosig.", "www.nosig.", signedtree.Options{Forge: func(z *signedtree.Zone) { at(z, "www.nosig.", dns.TypeA).Sigs = nil }}, []string{"no signature"}},
		{"nokeys.", "www.nokeys.", signedtree.Options{Forge: func(z *signedtree.Zone) { delete(z.Sets, signedtree.Key{Name: "\x06nokeys\x00", Type: dns.TypeDNSKEY}) }}, []string{"no keys found"}},
		{"noproof.", "nx.noproof.", signedtree.Options{Forge: func(z *signedtree.Zone) {
			for k, s := range z.Sets {
				if k.Type == dns.TypeNSEC {
					s.Sigs = nil
				}
			}
		}}, []string{"verdict, bogus: no signature"}},
		{"signer.", "www.signer.", signedtree.Options{Forge: func(z *signedtree.Zone) {
			s := at(z, "www.signer.", dns.TypeA)
			f, _ := dnssec.ParseRRSIG(s.Sigs[0])
			f.Signer = signedtree.Name("good.")
			s.Sigs = [][]byte{f.AppendData(nil)}
		}}, []string{"signer is not the zone"}},
		{"labels.", "www.labels.", signedtree.Options{Forge: func(z *signedtree.Zone) { at(z, "www.labels.", dns.TypeA).Sigs[0][3] = 7 }}, []string{"wrong number of labels"}},
		{"zonebit.", "www.zonebit.", signedtree.Options{Edit: func(z *signedtree.Zone) {
			z.ZSK = z.ZSK.WithFlags(0)
			at(z, "zonebit.", dns.TypeDNSKEY).Data[0] = z.ZSK.Data
		}}, []string{"key is no zone key"}},
		{"digest.", "www.digest.", signedtree.Options{Edit: func(z *signedtree.Zone) { z.DS[0][3] = 99 }}, []string{"unsupported DS digest", "verdict, insecure: unsupported DS digest"}},
	}
	for _, c := range cases {
		c.opt.Algorithm = p256
		tree.Add(c.zone, c.opt, "www A 192.0.2.1")
		top = append(top, c.zone[:len(c.zone)-1]+" NS x")
	}
	root := tree.Add(".", signedtree.Options{Algorithm: p256}, top...)
	for _, z := range tree.Zones {
		c, err := net.ListenPacket("udp", z.Addr.String()+":53")
		if err != nil {
			exec.Command("ip", "addr", "add", z.Addr.String()+"/32", "dev", "lo").Run()
			if c, err = net.ListenPacket("udp", z.Addr.String()+":53"); err != nil {
				t.Fatal(err)
			}
		}
		defer c.Close()
		go func() {
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
				if name, ty, _, err := cur.Question(nil); err == nil {
					a := z.Ask(dnsname.Name(name).Lower(), ty)
					msg := a.Wire(cur.Header.ID, dnsname.Name(name), ty)
					binary.BigEndian.PutUint16(msg, cur.Header.ID)
					c.WriteTo(msg, from)
				}
			}
		}()
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o755)
	os.Chmod(filepath.Dir(dir), 0o755)
	l := &lab{t, dir}
	l.write("root/servers/@", root.Addr.String()+"\n")
	l.write("root/ip/127", "")
	a := root.Anchor()
	l.write("root/trust-anchors", string(dnssec.FormatPoints([]*dnssec.TrustPoint{{Name: dnsname.Root, DS: a.DS, Keys: keysOf(a.Keys)}})))
	cmd := exec.Command(filepath.Join(bin, "dnscache"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "IP=127.2.0.3", "IPSEND=0.0.0.0", "CACHESIZE=1000000", "ROOT="+dir+"/root", "UID=65534", "GID=65534", "LOCALZONES=0")
	log, _ := os.Create(filepath.Join(dir, "log"))
	defer log.Close()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	for range 300 {
		if strings.HasPrefix(askPeer("127.2.0.3", "good.", dns.TypeSOA), "NOERROR") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, c := range cases {
		e := exec.Command(filepath.Join(bin, "dnscache-explain"), "-d", dir+"/root", strings.TrimSuffix(c.ask, "."), "a")
		out, err := e.CombinedOutput()
		if err != nil {
			t.Errorf("%v %s", err, out)
		}
		for _, w := range c.want {
			if !strings.Contains(string(out), w) {
				t.Errorf("%s: no %q in\n%s", c.ask, w, out)
			}
		}
		if text := string(out); strings.Contains(text, "verdict, bogus") && !strings.Contains(text, ": SERVFAIL, bogus (") {
			t.Errorf("%s: the answer does not say bogus:\n%s", c.ask, out)
		}
	}
}

func keysOf(data [][]byte) (out []dnssec.TrackedKey) {
	for _, d := range data {
		out = append(out, dnssec.TrackedKey{Data: d, State: dnssec.KeyValid})
	}
	return out
}
