package dnssec

import (
	"fmt"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

func line(t *testing.T, k *PrivateKey, ty dns.Type) string {
	t.Helper()
	data := k.Data
	if ty == dns.TypeDS {
		data, _ = k.Key.DS(dnsname.Root, DigestSHA256)
	}
	return fmt.Sprintf(". IN %s %s", ty, rdata.AppendText(nil, ty, data))
}

// The administrator's lines survive whatever the states do, and count as he
// has them now.
func TestAnchorFile(t *testing.T) {
	a, b, c := ksk(t), ksk(t), ksk(t)
	now := int64(1800000000)
	admin := "# ours\r\n; the root:\n" + line(t, a, dns.TypeDS) + " ; from IANA\n\nisland.example. DS 1 8 2 " + strings.Repeat("00", 32) + "\n; end without a newline"
	var learnt []byte
	look := func(at int64, set *RRset) *TrustPoint {
		t.Helper()
		text := CombineAnchors([]byte(admin), learnt)
		points, err := ParsePoints(text)
		if err != nil {
			t.Fatal(err)
		}
		var p *TrustPoint
		for _, q := range points {
			if q.Name == dnsname.Root {
				p = q
			}
		}
		if p == nil {
			t.Fatalf("no root in\n%s", text)
		}
		n := p.Anchor()
		var v Verifier
		bud := NewBudget()
		p.Observe(set, v.VerifyKeys(Policy{}, set, n.DS, Policy{}.ParseKeys(n.Keys), uint32(at), &bud).Status == Secure, at, &bud)
		learnt = UpdateAnchors(text, points)
		for l := range strings.Lines(admin) {
			if l = strings.TrimSpace(l); l != "" && !strings.Contains(string(learnt), l) {
				t.Fatalf("%q is gone:\n%s", l, learnt)
			}
		}
		again, err := ParsePoints(learnt)
		if err != nil || string(UpdateAnchors(learnt, again)) != string(learnt) {
			t.Fatalf("not the same when read again, %v:\n%s\n%s", err, learnt, UpdateAnchors(learnt, again))
		}
		return p
	}
	expect := func(p *TrustPoint, want string) {
		t.Helper()
		if got := states(p, a, b, c); got != want {
			t.Fatalf("%s, want %s\n%s", got, want, learnt)
		}
	}
	expect(look(now, keySet(t, now, []*PrivateKey{a}, a)), "valid - -")
	now += day
	expect(look(now, keySet(t, now, []*PrivateKey{a, b}, a)), "valid addpend -")
	// edited by hand meanwhile: what is learnt stays
	admin += "\nother.example. DS 1 8 2 " + strings.Repeat("11", 32) + "\n"
	now += 31 * day
	expect(look(now, keySet(t, now, []*PrivateKey{a, b}, a)), "valid valid -")
	if ps, _ := ParsePoints(learnt); len(ps) != 3 {
		t.Fatalf("%d points\n%s", len(ps), learnt)
	}
	// a revokes itself: its line becomes a comment there, and here it stays
	now += day
	ra := a.WithFlags(FlagZone | FlagSEP | FlagRevoke)
	expect(look(now, keySet(t, now, []*PrivateKey{ra, b}, ra, b)), "revoked valid -")
	if !strings.Contains(string(learnt), revokedMark+line(t, a, dns.TypeDS)) {
		t.Fatalf("not a comment:\n%s", learnt)
	}
	// the line in the administrator's file does not bring it back, ever
	now += 400 * day
	expect(look(now, keySet(t, now, []*PrivateKey{b}, b)), "revoked valid -")
	if p := look(now, keySet(t, now, []*PrivateKey{a, b}, a)); len(p.Anchor().DS) != 0 {
		t.Error("DS of a revoked key counts")
	}
	// once it is taken away there, the key, long out of sight, is forgotten; the
	// root starts anew, with what the administrator says now
	admin = strings.Replace(admin, line(t, a, dns.TypeDS), line(t, c, dns.TypeDNSKEY), 1)
	learnt = []byte(strings.Replace(string(learnt), revokedMark, "", 1)) // as if it had been a line of his until now
	now += day
	expect(look(now, keySet(t, now, []*PrivateKey{c}, c)), "- - valid")
	// a key line of his that is missing for a while keeps that state
	now += day
	d := ksk(t)
	admin += line(t, d, dns.TypeDNSKEY) + "\n"
	expect(look(now, keySet(t, now, []*PrivateKey{d}, d)), "- - missing")
	if !strings.Contains(string(learnt), ";rfc5011 missing") {
		t.Errorf("%s", learnt)
	}
	expect(look(now, keySet(t, now, []*PrivateKey{c, d}, d)), "- - valid")
	// all revoked: nothing is trusted, as if it had never been configured
	rc, rd := c.WithFlags(FlagZone|FlagSEP|FlagRevoke), d.WithFlags(FlagZone|FlagSEP|FlagRevoke)
	p := look(now, keySet(t, now, []*PrivateKey{rc, rd}, rc, rd))
	expect(p, "- - revoked")
	if n := p.Anchor(); len(n.DS)+len(n.Keys) != 0 {
		t.Errorf("%d and %d are trusted", len(n.DS), len(n.Keys))
	}
}

// A copy of a learnt file that became the administrator's own has old states.
func TestAnchorFileCopied(t *testing.T) {
	a, b := ksk(t), ksk(t)
	old := UpdateAnchors([]byte(line(t, a, dns.TypeDS)+"\n"), []*TrustPoint{{Name: dnsname.Root, Keys: []TrackedKey{
		{Data: a.Data, State: KeyValid, Since: 1}, {Data: b.Data, State: KeyAddPend, Since: 2, Hold: AddHoldDown}}}})
	fresh := UpdateAnchors(old, []*TrustPoint{{Name: dnsname.Root, Keys: []TrackedKey{
		{Data: a.Data, State: KeyRevoked, Since: 3}, {Data: b.Data, State: KeyValid, Since: 4}}}})
	ps, err := ParsePoints(CombineAnchors(old, fresh))
	if err != nil || len(ps) != 1 || states(ps[0], a, b) != "revoked valid" {
		t.Errorf("%v %s", err, states(ps[0], a, b))
	}
	// and alone they are what it says
	ps, _ = ParsePoints(CombineAnchors(old, nil))
	if states(ps[0], a, b) != "valid addpend" || len(ps[0].DS) != 0 {
		t.Error(states(ps[0], a, b))
	}
	// an emptied file turns validation off
	if ps, _ = ParsePoints(CombineAnchors(nil, old)); len(ps) != 0 {
		t.Errorf("%d points of an empty file", len(ps))
	}
}

// A release that knows another key of the root brings it into a learnt file;
// what the administrator took out of that, or a revocation, stays.
func TestBuiltInAnchors(t *testing.T) {
	one, two, _ := strings.Cut(RootAnchors, "\n")
	for _, c := range []struct {
		learnt string
		want   int // lines added
	}{
		{"", 2}, {one + "\n", 1}, {RootAnchors, 0}, {"; " + one + "\n" + two, 0}, {";" + one + "\n#" + two, 0},
		{revokedMark + one + "\n", 1}, {"other.example. DS 20326 8 2 " + strings.Repeat("00", 32) + "\n", 2},
	} {
		got := string(AddBuiltIn([]byte(c.learnt), RootAnchors))
		if !strings.HasPrefix(got, c.learnt) || strings.Count(got[len(c.learnt):], " DS ") != c.want {
			t.Errorf("%q: %q", c.learnt, got)
		}
	}
	as, err := ParseAnchors([]byte(RootAnchors))
	if err != nil || len(as) != 1 || len(as[0].DS) != 2 {
		t.Fatal(as, err)
	}
	for i, tag := range []uint16{20326, 38696} {
		if ds, _ := ParseDS(as[0].DS[i]); ds.KeyTag != tag || ds.DigestType != DigestSHA256 || len(ds.Digest) != 32 {
			t.Error(ds)
		}
	}
}

func FuzzParsePoints(f *testing.F) {
	f.Add([]byte(RootAnchors), []byte(";rfc5011 addpend 1700000000 key 1 . IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==\n"))
	f.Add([]byte("a\\;b. DS 1 8 2 00 ; x\n; revoked: . DS 1 8 2 00"), []byte(". IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA== ; rfc5011 missing 7 key 1\n"+
		". IN DNSKEY 257 3 13 GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==\n"))
	f.Fuzz(func(t *testing.T, admin, learnt []byte) {
		if _, err := ParseAnchors(learnt); err != nil {
			return
		}
		both := AddBuiltIn(CombineAnchors(admin, learnt), RootAnchors)
		p, err := ParsePoints(both)
		if err != nil {
			if _, err := ParseAnchors(admin); err == nil && len(admin)+len(learnt) < maxAnchorLine {
				t.Fatalf("%v: %q", err, both)
			}
			return
		}
		text := UpdateAnchors(both, p)
		q, err := ParsePoints(text)
		if err != nil || string(UpdateAnchors(text, q)) != string(text) {
			t.Fatalf("%q: %v\n%q", text, err, UpdateAnchors(text, q))
		}
		trusts := func(ps []*TrustPoint) (s string) {
			for _, p := range ps {
				a := p.Anchor()
				s += fmt.Sprintf("%q %q %q\n", a.Name, a.DS, a.Keys)
			}
			return s
		}
		if trusts(p) != trusts(q) {
			t.Fatalf("other anchors after writing:\n%s%s\n%q", trusts(p), trusts(q), text)
		}
	})
}

func TestUseless(t *testing.T) {
	as, err := ParseAnchors([]byte(`. DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. DS 1 8 2 E06D44B8
. DS 2 8 1 0102030405060708090a0b0c0d0e0f1011121314
. DS 3 8 4 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D
. DS 4 8 200 01
`))
	if err != nil || len(as) != 1 {
		t.Fatal(as, err)
	}
	want := "DS 1 of .: a digest of type 2 has 32 bytes, not 4\nDS 3 of .: a digest of type 4 has 48 bytes, not 32"
	if got := strings.Join(as[0].Useless(), "\n"); got != want {
		t.Errorf("%s", got)
	}
}
