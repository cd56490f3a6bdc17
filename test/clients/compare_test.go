package clients_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"bulkhead/internal/testbin"
)

var programs = []string{"dnsip", "dnsipq", "dnsip6", "dnsip6q", "dnsname", "dnstxt", "dnsmx", "dnsq", "dnsqr",
	"dnsfilter", "dnstrace", "dnstracesort", "random-ip"}

// cacheData is what the cache and most servers know.
var cacheData = []string{
	"www.test A: an @ 5 A 192.0.2.1",
	"www.test AAAA: an @ 5 AAAA 2001:db8::1",
	"www.test ANY: an @ 5 A 192.0.2.1; an @ 6 AAAA 2001:db8::1; an @ 7 HINFO \"a b\" c; an @ 8 TXT \"t\"",
	"many.test A: an @ 5 A 192.0.2.1; an @ 5 A 192.0.2.2; an @ 5 A 192.0.2.3",
	"alias.test A: an @ 5 CNAME www.test.; an www.test. 5 A 192.0.2.1",
	"loop.test A: an @ 5 CNAME loop2.test.; an loop2.test. 5 CNAME loop.test.",
	"other.test A: an elsewhere.example. 5 A 192.0.2.9; ns . 5 NS ns.test.; ar ns.test. 5 A 192.0.2.53",
	"chaos.test A: an @ 5 CH/TXT \"x\"; an @ 7 A 192.0.2.7",
	"none.test A: ",
	"sub.test A: an @ 5 A 192.0.2.10",
	"host.sub.test A: an @ 5 A 192.0.2.11",
	"second.test A: an @ 5 A 192.0.2.12",
	"six.test AAAA: an @ 5 AAAA 2001:db8::6",
	"six.test A: ",
	"server.test A: an @ 5 A 127.0.0.2",
	"two.test A: an @ 5 A 127.0.0.2; an @ 5 A 127.0.0.2",
	"1.2.0.192.in-addr.arpa PTR: an @ 5 PTR www.test.; an @ 5 PTR second.test.",
	"2.2.0.192.in-addr.arpa PTR: ",
	"3.2.0.192.in-addr.arpa PTR: an @ 5 CNAME 3.x.test.; an 3.x.test. 5 PTR third.test.",
	"4.2.0.192.in-addr.arpa PTR: an @ 5 PTR odd\\.\\032\\255.test.",
	"5.2.0.192.in-addr.arpa PTR: an @ 5 PTR .",
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR: an @ 5 PTR www.test.",
	"www.test TXT: an @ 5 TXT \"one\" \"two\"; an @ 5 TXT \"three\"",
	"odd.test TXT: an @ 5 TXT \"\\000\\031\\127\\255 ~\\\\\"",
	"none.test TXT: ",
	"www.test MX: an @ 5 MX 20 b.test.; an @ 5 MX 10 a.test.; an @ 5 MX 65535 .",
	"none.test MX: ",
	"soa.test SOA: an @ 5 SOA a.test. b.test. 4294967295 2 3 4 5; ns @ 6 NS a.test.; ar a.test. 4294967295 A 255.0.0.1",
	"new.test CAA: an @ 5 CAA 0 issue \"ca.test\"",
	"new.test TYPE65280: an @ 5 TYPE65280 \\# 3 615c00",
	"new.test SRV: an @ 5 SRV 1 2 3 www.test.",
	"new.test AAAA: an @ 5 AAAA 2001:db8::1",
	"rp.test RP: an @ 5 RP a.test. b.test.",
	"*huge.test *: " + strings.Repeat("an @ 5 A 192.0.2.1; ", 60) + "an @ 5 A 192.0.2.2",
	"www.test PTR: an @ 5 PTR x.test.; an @ 5 CNAME y.test.; an @ 5 NS z.test.; an @ 5 MX 1 m.test.",
	"9.9.0.192.in-addr.arpa PTR: nxdomain",
}

// tree is a small Internet for dnstrace. Its root servers are 127.0.1.1 and,
// for IPv6, fd00::1.
var tree = map[string][]string{
	"127.0.1.1": rootLines,
	"fd00::1":   rootLines,
	"127.0.1.2": zoneTest, "127.0.1.3": zoneTest,
	"127.0.1.4": {"*. *: ns . 5 NS a.root.; ar a.root. 5 A 127.0.1.1"}, // lame: refers to the root
	"127.0.1.5": {"*slow.test A: an @ 5 A 192.0.2.5"},
	"127.0.1.6": {"*cut.test A: an @ 5 A 192.0.2.6"},
	"127.0.1.7": nil, "127.0.1.8": nil,
	"127.0.1.9": {"*lame2.test *: ns lame2.test. 5 NS ns.lame2.test."}, // lame: refers to itself
	"fd00::9":   {"x.six.test A: an @ 5 A 192.0.2.9", "ns.six.test AAAA: an @ 5 AAAA fd00::9", "*six.test *: "},
}

var rootLines = []string{
	"a.root A: an @ 5 A 127.0.1.1",
	"a.root AAAA: an @ 5 AAAA fd00::1",
	"a.root *: ",
	"*six.test *: ns six.test. 5 NS ns.six.test.; ar ns.six.test. 5 AAAA fd00::9; referral",
	"*circle1 *: ns circle1. 5 NS ns.circle2.; referral",
	"*circle2 *: ns circle2. 5 NS ns.circle1.; referral",
	"*test *: ns test. 5 NS a.ns.test.; ns test. 5 NS B.ns.TEST.; ar a.ns.test. 5 A 127.0.1.2; ar b.ns.test. 5 A 127.0.1.3; referral",
	"localhost A: an @ 5 A 127.0.0.1",
	"1.2.3.4 A: nxdomain",
	". NS: an . 5 NS a.root.",
}

var zoneTest = []string{
	"www.test A: an @ 5 A 192.0.2.1; ns test. 5 NS a.ns.test.; ar a.ns.test. 5 A 127.0.1.2",
	"www.test ANY: an @ 5 A 192.0.2.1; an @ 6 MX 5 mail.test.; an @ 7 TXT \"x y\"",
	"www.test AAAA: an @ 5 AAAA 2001:db8::1",
	"www.test MX: an @ 5 MX 10 mail.test.; ar mail.test. 5 A 192.0.2.2; ar mail.example. 5 A 192.0.2.3",
	"www.test TXT: an @ 5 TXT \"with: colon and \\\\\"",
	"alias.test A: an @ 5 CNAME www.test.",
	"loop1.test A: an @ 5 CNAME loop2.test.",
	"loop2.test A: an @ 5 CNAME loop1.test.; an loop1.test. 5 CNAME loop2.test.",
	"out.test A: an @ 5 CNAME www.elsewhere.",
	"empty.test A: ns test. 5 SOA a.test. b.test. 1 2 3 4 5",
	"void.test A: ",
	"chaos.test A: an @ 5 CH/A 192.0.2.1",
	"a.ns.test A: an @ 5 A 127.0.1.2", "b.ns.test A: an @ 5 A 127.0.1.3",
	"mail.test A: an @ 5 A 192.0.2.2",
	"test SOA: an @ 5 SOA a.test. b.test. 1 2 3 4 5",
	"test NS: an @ 5 NS a.ns.test.; an @ 5 NS b.ns.test.",
	"*lame.test *: ns lame.test. 5 NS ns.lame.test.; ar ns.lame.test. 5 A 127.0.1.4; referral",
	"*lame2.test *: ns lame2.test. 5 NS ns.lame2.test.; ar ns.lame2.test. 5 A 127.0.1.9; referral",
	"*slow.test *: ns slow.test. 5 NS ns.slow.test.; ar ns.slow.test. 5 A 127.0.1.5; referral",
	"*cut.test *: ns cut.test. 5 NS ns.cut.test.; ar ns.cut.test. 5 A 127.0.1.6; referral",
	"*bad.test *: ns bad.test. 5 NS ns.bad.test.; ar ns.bad.test. 5 A 127.0.1.7; referral",
	"*refused.test *: ns refused.test. 5 NS ns.test.; ar ns.test. 5 A 127.0.1.8; referral",
	"*six.test *: ns six.test. 5 NS ns.six.test.; ar ns.six.test. 5 AAAA fd00::9; referral",
	"poison.test A: an @ 5 A 192.0.2.1; ns com. 5 NS ns.evil.; ar www.bank. 5 A 192.0.2.66; ar sub.test. 5 A 192.0.2.4",
	"upper.test A: an UPPER.Test. 5 A 192.0.2.8",
}

// result is all that a caller sees of a program.
type result struct {
	out, err string
	code     int
}

func (r result) String() string {
	return fmt.Sprintf("exit %d\nstdout: %q\nstderr: %q", r.code, r.out, r.err)
}

// test is one comparison. The command is run with the environment that envs
// names, both with the original and ours.
type test struct {
	env     string // of environments
	command string // program and arguments, separated by spaces; "''" is an empty one
	in      string
	rule    string // of docs/differences.md, if there is to be a difference
	ours    result // then: what ours does
	any     bool   // the order of words is random
	newer   bool   // there may be records of newer types, whose data look different
}

// environments by name, on top of an empty one.
var environments = map[string][]string{
	"":        {"DNSCACHEIP=127.0.0.2", "DNSREWRITEFILE=/nonexistent", "LOCALDOMAIN="},
	"files":   {"DNSREWRITEFILE=/nonexistent"}, // resolv.conf
	"local":   {"DNSCACHEIP=127.0.0.2", "DNSREWRITEFILE=/nonexistent", "LOCALDOMAIN=void.test sub.test test"},
	"rewrite": {"DNSCACHEIP=127.0.0.2", "DNSREWRITEFILE=@rules"},
	"badrule": {"DNSCACHEIP=127.0.0.2", "DNSREWRITEFILE=/etc"},
}

// rules is the rewriting file of the environment "rewrite".
const rules = "# comment\n=exact:www.test \t\r\n*.suffix:.test\n?:.sub.test\n-.gone:www.test\n*.plus:+.void.test+.test\nno colon\n=Case.Test:www.test\n*.:\n"

// cache is an environment that asks these addresses.
func cache(ips string) string { return "DNSCACHEIP=" + ips }

func environment(t testing.TB, name, rulesFile string) []string {
	env, ok := environments[name]
	if strings.HasPrefix(name, "DNSCACHEIP=") {
		env, ok = append([]string{name}, environments[""][1:]...), true
	}
	if !ok {
		t.Errorf("no environment %q", name)
	}
	var out []string
	for _, e := range env {
		out = append(out, strings.ReplaceAll(e, "@rules", rulesFile))
	}
	return append(out, "PATH=/usr/bin:/bin", "LC_ALL=C")
}

// run runs one command.
func run(t testing.TB, dir string, env []string, command, in string) result {
	f := strings.Fields(command)
	for i := range f {
		f[i] = strings.ReplaceAll(f[i], "''", "")
	}
	cmd := exec.Command(filepath.Join(dir, f[0]), f[1:]...)
	cmd.Args[0] = f[0]
	cmd.Env = env
	cmd.Stdin = strings.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Errorf("%s: %v", command, err)
		return result{code: -2}
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

var damages = flag.Int("damages", 40, "how many damaged answers are shown by both")

// atOnce is how many commands run at a time: nearly all of them only wait.
const atOnce = 12

// TestBeside compares every case. A machine that stops for seconds makes a
// client repeat a question or call a server slow, so a difference counts only
// if it is there three times.
func TestBeside(t *testing.T) {
	testbin.NeedRoot(t)
	t.Parallel()
	theirs := filepath.Dir(testbin.Peer(t, "usr/bin/dnsq"))
	ours := testbin.Dir(t, programs...)
	var libs []string
	for _, e := range testbin.PeerEnv() {
		if strings.HasPrefix(e, "LD_LIBRARY_PATH=") {
			libs = []string{e}
		}
	}
	rulesFile := filepath.Join(t.TempDir(), "rules")
	if err := os.WriteFile(rulesFile, []byte(rules), 0o644); err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile(filepath.Join(testbin.Root(), "docs/differences.md"))
	if err != nil {
		t.Fatal(err)
	}
	cases := allCases()
	complaints := make([]string, len(cases))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, c := range cases {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer func() { <-slots; wg.Done() }()
			env := environment(t, c.env, rulesFile)
			for range 3 {
				a := run(t, theirs, append(env, libs...), c.command, c.in)
				b := run(t, ours, env, c.command, c.in)
				if complaints[i] = c.judge(a, b, string(docs)); complaints[i] == "" {
					break
				}
			}
		}()
	}
	wg.Wait()
	for i, c := range cases {
		if complaints[i] != "" {
			t.Errorf("%s %s (stdin %.60q)\n%s", c.env, c.command, c.in, complaints[i])
		}
	}
	t.Logf("%d commands compared", len(cases))
}

// numbered and named are records whose type is shown as a number and by name.
var (
	numbered = regexp.MustCompile(`(?m)^((?:[a-z]+: )?\S+ \d+ )(\d+) .*$`)
	named    = regexp.MustCompile(`(?m)^((?:[a-z]+: )?\S+ \d+ )([A-Z][A-Z0-9-]*) .*$`)
)

// judge gives a complaint, or nothing.
func (c *test) judge(original, ours result, docs string) string {
	if c.any {
		original.out, ours.out = sorted(original.out), sorted(ours.out)
	}
	if c.newer {
		original.out = numbered.ReplaceAllStringFunc(original.out, func(l string) string {
			m := numbered.FindStringSubmatch(l)
			if slices.Contains([]string{"13", "16", "17", "24", "25", "28"}, m[2]) { // 1.05 knew their names
				return l
			}
			return m[1] + "newer"
		})
		ours.out = named.ReplaceAllStringFunc(ours.out, func(l string) string {
			m := named.FindStringSubmatch(l)
			if slices.Contains([]string{"A", "NS", "CNAME", "SOA", "PTR", "MX"}, m[2]) {
				return l
			}
			return m[1] + "newer"
		})
	}
	both := fmt.Sprintf("original: %v\nours:     %v", original, ours)
	if c.rule == "" {
		if original != ours {
			return both
		}
		return ""
	}
	switch {
	case !strings.Contains(docs, "`"+c.rule+"`"):
		return "docs/differences.md has no rule " + c.rule + "\n" + both
	case original == ours:
		return "rule " + c.rule + " explains nothing\n" + both
	case ours != c.ours:
		return fmt.Sprintf("rule %s wants %v\n%s", c.rule, c.ours, both)
	}
	return ""
}

func sorted(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		w := strings.Fields(l)
		sort.Strings(w)
		lines[i] = strings.Join(w, " ")
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

func allCases() (cases []test) {
	same := func(env string, commands ...string) {
		for _, c := range commands {
			cases = append(cases, test{env: env, command: c})
		}
	}
	differ := func(rule, env, command string, ours result) {
		cases = append(cases, test{env: env, command: command, rule: rule, ours: ours})
	}
	long := strings.Repeat("x", 64)
	longest := strings.Repeat(strings.Repeat("y", 63)+".", 4)

	// the slow ones first: REFUSED and nobody there take the patient round of 11 s
	same(cache("127.0.0.3"), "dnsip www.test", "dnsqr a www.test")
	same(cache("127.0.0.4"), "dnsmx www.test")
	same(cache("127.0.0.100"), "dnstxt www.test")
	same(cache("127.0.0.16"), "dnsqr 257 www.test")
	same("", "dnsq a www.test 127.0.0.3", "dnsq a www.test 127.0.0.100", "dnsq a www.test 127.0.0.4",
		"dnstrace a x.refused.test 127.0.1.1")
	cases = append(cases, test{env: cache("127.0.0.3"), command: "dnsfilter", in: "192.0.2.1 x\n"})

	// late, silent and failing ones among others
	same(cache("127.0.0.7"), "dnsip www.test", "dnsqr any www.test")
	same(cache("127.0.0.9.127.0.0.2"), "dnsip www.test", "dnsname 192.0.2.1")
	same(cache("127.0.0.100.127.0.0.2"), "dnsip www.test", "dnsqr mx www.test")
	same(cache("127.0.0.3.127.0.0.4.127.0.0.2"), "dnsip www.test", "dnstxt www.test")
	same("", "dnsq a www.test 127.0.0.7", "dnsq a www.test 127.0.0.7.127.0.0.2", "dnsq a www.test 127.0.0.9.127.0.0.2",
		"dnsq a www.test 127.0.0.9.127.0.0.3.127.0.0.100.127.0.0.2", "dnsq a www.test 192.0.2.1", "dnsq a www.test ''",
		"dnsq a www.test 1.2.3", "dnsq a www.test 0.0.0.0")

	for _, c := range []string{"127.0.0.2", "127.0.0.5", "127.0.0.6", "127.0.0.17", "127.0.0.13"} {
		same(cache(c), "dnsip www.test none.test", "dnsipq www.test none.test", "dnsname 192.0.2.1 192.0.2.2 192.0.2.99",
			"dnstxt www.test odd.test none.test", "dnsmx www.test none.test NX.Test.", "dnsqr any www.test", "dnsqr soa soa.test",
			"dnsip six.test www.test loop.test alias.test")
	}
	for _, s := range []string{"127.0.0.2", "127.0.0.5", "127.0.0.6", "127.0.0.11", "127.0.0.17", "127.0.0.13", "127.0.0.14"} {
		same("", "dnsq a www.test "+s, "dnsq any www.test "+s, "dnsq txt www.test "+s, "dnsq mx www.test "+s,
			"dnsq soa soa.test "+s, "dnsq a x.huge.test "+s, "dnsq a nx.test "+s)
	}
	same("", "dnsip", "dnsip www.test", "dnsip 1.2.3.4", "dnsip 127...1", "dnsip 1.2.3", "dnsip ''", "dnsip [1.2.3.4]", "dnsip 1.2.3.4.5.6.7.8",
		"dnsip 1.2.3.4.5.6.7", "dnsip 256.257.1.1", "dnsip . ", "dnsip [] ]][[", "dnsip 1.2.3.4x", "dnsip chaos.test other.test alias.test",
		"dnsip "+long, "dnsip www.test "+long, "dnsip "+longest, "dnsip "+longest[1:]+"z", "dnsip a..b www..test", "dnsip \\167ww.test \\400.x \\", "dnsip WWW.Test",
		"dnsip many.test"[:5]+" www.test", "dnsip -x", "dnsip --help",
		"dnsipq", "dnsipq www", "dnsipq host", "dnsipq www.test.", "dnsipq 1.2.3.4 [1.2.3.4]", "dnsipq ''", "dnsipq +www.test+second.test",
		"dnsipq no+.void+.test", "dnsipq www+", "dnsipq +", "dnsipq "+long, "dnsipq a+"+long,
		"dnsname", "dnsname 192.0.2.1 192.0.2.3 192.0.2.4 192.0.2.5", "dnsname ''", "dnsname 1.2.3", "dnsname x", "dnsname 192.0.2.1x", "dnsname 192.0.2.1 y",
		"dnsname 448.256.258.257", "dnsname 192.0.2.1.5", "dnsname 192.0.9.9", "dnsname -1.2.3.4",
		"dnstxt", "dnstxt ''", "dnstxt .", "dnstxt "+long, "dnstxt "+longest, "dnstxt www.test "+long, "dnstxt \\157dd.test",
		"dnsmx", "dnsmx ''", "dnsmx .", "dnsmx "+long, "dnsmx NONE.test none.test.", "dnsmx \\056.none.test", "dnsmx a..b..",
		"dnsq", "dnsq a", "dnsq a b", "dnsq bogus b 127.0.0.2", "dnsq '' www.test 127.0.0.2", "dnsq a "+long+" 127.0.0.2", "dnsq a "+longest+" 127.0.0.2",
		"dnsq A WWW.test 127.0.0.2", "dnsq 1 www.test 127.0.0.2", "dnsq 65537 www.test 127.0.0.2", "dnsq 1x www.test 127.0.0.2", "dnsq a www.test server.test",
		"dnsq a www.test two.test", "dnsq a www.test none.test", "dnsq a www.test "+long, "dnsq a www.test server.test surplus", "dnsq a . 127.0.0.2",
		"dnsq hinfo www.test 127.0.0.2", "dnsq rp rp.test 127.0.0.2", "dnsq sig www.test 127.0.0.2", "dnsq key www.test 127.0.0.2",
		"dnsq axfr www.test 127.0.0.2", "dnsq 0 www.test 127.0.0.2", "dnsq aaaa new.test 127.0.0.2", "dnsq cname alias.test 127.0.0.2", "dnsq ptr www.test 127.0.0.2",
		"dnsq ns www.test 127.0.0.2", "dnsq a \\167ww.test 127.0.0.2", "dnsq 99999999999999999999999 www.test 127.0.0.2",
		"dnsqr", "dnsqr a", "dnsqr bogus b", "dnsqr a www.test surplus", "dnsqr a "+long, "dnsqr aaaa new.test", "dnsqr ptr www.test", "dnsqr a loop.test",
		"dnsqr a other.test", "dnsqr a chaos.test", "dnsqr a nx.test", "dnsqr '' www.test", "dnsqr mx www.test", "dnsqr txt odd.test",
		"dnsq aaaa www.test server.test", "dnsq caa www.test 127.0.0.2", "dnsqr srv www.test")
	cases = append(cases, test{command: "dnsip many.test", any: true}, test{command: "dnsipq many.test", any: true},
		test{command: "dnsip huge.test", any: true})
	same("files", "dnsip www.test", "dnsipq www host host. host.sub.test", "dnsqr a www.test", "dnsq a www.test server", "dnsname 192.0.2.1")
	same("local", "dnsipq www host second second. nothing x.y", "dnsq a www.test server")
	same("rewrite", "dnsipq exact EXACT www.suffix host x.gone second.plus case.test www.test. nothing.plus a.b", "dnsip www.test", "dnsip exact",
		"dnsq a www.test server.suffix")
	same("badrule", "dnsip www.test", "dnsipq www.test", "dnsq a www.test 127.0.0.2", "dnstrace a www.test 127.0.1.1")
	same(cache(""), "dnsip www.test", "dnsqr a www.test")
	same(cache("x"), "dnsip www.test")
	same(cache("127.0.0.2x"), "dnsip www.test")
	same(cache("127.0.0.2."), "dnsip www.test")
	same(cache("127.0.0.2.127"), "dnsip www.test")
	same(cache("127.0.0.100."+strings.Repeat("127.0.0.100.", 14)+"127.0.0.2"), "dnsip www.test")
	same(cache("192.0.2.1.127.0.0.2"), "dnsip www.test")

	// lies before the truth: the same are seen through
	for _, l := range []string{"id", "name", "case", "type", "class", "noquestion", "questions", "garbage", "short", "cutquestion", "long", "opcode", "true"} {
		same("", "dnsq a "+l+".test 127.0.0.8")
		same(cache("127.0.0.8"), "dnsip "+l+".test", "dnsqr a "+l+".test")
	}
	truth := "192.0.2.1 \n"
	differ("only-answers", cache("127.0.0.8"), "dnsip query.test", result{out: truth})
	differ("empty-packet", cache("127.0.0.8"), "dnsip nothing.test", result{out: truth})
	differ("whole-answers", "", "dnstrace any second.bad.test 127.0.1.7", result{out: "0:.:.:start:NS:.:.\n0:.:.:start:A:.:127.0.1.7\n" +
		"255:second.bad.test:.:127.0.1.7:tx\n255:second.bad.test:.:127.0.1.7:ALERT:unable to parse response packet; protocol error\n"})
	differ("only-answers", "", "dnsq a query.test 127.0.0.8", result{out: "1 query.test:\n44 bytes, 1+1+0+0 records, response, weird ra, noerror\n" +
		"query: 1 query.test\nanswer: query.test 5 A 192.0.2.1\n"})

	for _, l := range []string{"cut", "missing", "extra", "a3", "a5", "beyond", "loop", "rdataloop", "forward", "label", "nametail", "nameshort", "mxshort", "mxtail",
		"soashort", "txtover", "txtnone", "txtzero", "chaos", "chaosa", "header", "counts", "ttl", "longname", "fine"} {
		n := l + ".test"
		same("", "dnsq a "+n+" 127.0.0.12", "dnsq cname "+n+" 127.0.0.12", "dnstrace a "+l+".bad.test 127.0.1.1")
		cases = append(cases, test{command: "dnstrace any " + l + ".bad.test 127.0.1.7", newer: true})
		same(cache("127.0.0.12"), "dnsqr a "+n, "dnsqr mx "+n)
		for _, c := range []struct{ program, what, lenient string }{
			{"dnsip", "IP address", "beyond longname"},
			{"dnstxt", "TXT records", "beyond rdataloop forward label nametail nameshort txtover longname"},
			{"dnsmx", "MX records", "beyond nameshort longname"},
		} {
			if !strings.Contains(" "+c.lenient+" ", " "+l+" ") {
				same(cache("127.0.0.12"), c.program+" "+n)
				continue
			}
			differ("whole-answers", cache("127.0.0.12"), c.program+" "+n,
				result{err: c.program + ": fatal: unable to find " + c.what + " for " + n + ": protocol error\n", code: 111})
		}
	}
	for seed := range *damages {
		cases = append(cases, test{command: fmt.Sprintf("dnsq a seed%d.test 127.0.0.12", seed), newer: true},
			test{command: fmt.Sprintf("dnsqr mx seed%d.test", seed), env: cache("127.0.0.12"), newer: true})
	}
	for _, l := range []string{"close", "id", "tc", "refused", "empty", "nx"} {
		same("", "dnsq a "+l+".test 127.0.0.15", "dnsq a "+l+".test 127.0.0.15.127.0.0.2", "dnsq a "+l+".test 127.0.0.15.127.0.0.100", "dnsq a "+l+".test 127.0.0.15.0.0.0.0")
		same(cache("127.0.0.15"), "dnsip "+l+".test", "dnsqr a "+l+".test")
	}

	for _, c := range []string{"a www.test", "any www.test", "aaaa www.test", "mx www.test", "txt www.test", "a alias.test", "a loop1.test", "a out.test", "a empty.test",
		"a void.test", "a chaos.test", "soa test", "ns test", "a nx.test", "a x.lame.test", "a lame.test", "a x.lame2.test", "a x.slow.test", "a x.cut.test",
		"a x.six.test", "a poison.test", "a upper.test", "a UPPER.test", "a www.circle1", "a localhost", "a 1.2.3.4", "a www.elsewhere", "a .", "ns .", "ptr 1.2.3.4", "28 www.test"} {
		same("", "dnstrace "+c+" 127.0.1.1")
	}
	same("", "dnstrace", "dnstrace a", "dnstrace a www.test", "dnstrace bogus www.test 127.0.1.1", "dnstrace a "+long+" 127.0.1.1", "dnstrace a www.test "+long,
		"dnstrace a www.test 127.0.1.1 127.0.1.1", "dnstrace a www.test 127.0.1.2", "dnstrace a www.test 127.0.1.4", "dnstrace a www.test none.test",
		"dnstrace a www.test 127.0.1.1.127.0.1.2", "dnstrace a www.test server.test")

	filter := func(rule, args, in string) {
		cases = append(cases, test{command: "dnsfilter" + args, in: in})
	}
	log := "192.0.2.1 GET /\n192.0.2.2 none\n192.0.2.1\tx\n\nnothing\n192.0.2.3\n 192.0.2.1 x\n192.0.2.1x y\n192.0.2.1.5 z\n192.0.2 q\n192.0.2.4 odd\n192.0.2.5 root\n448.256.258.257 big\n192.0.2.99 nx\n"
	for _, args := range []string{"", " -c1", " -c 3 -l 2", " -l1", " -c0 -l0", " -c 99999 -l 99999999", " -cx", " -l1 surplus", " --", " -"} {
		filter("", args, log)
		filter("", args, log+"192.0.2.1")
		filter("", args, "")
	}
	filter("", "", "192.0.2.1\x00y\n\x00\n192.0.2.1 \xff\xfe\r\n\n\n")
	filter("", "", strings.Repeat("192.0.2.1 "+strings.Repeat("x", 3000)+"\n", 20))
	filter("", "", strings.Repeat(log, 100))
	filter("", " -x", log)
	filter("", " -c", log)
	filter("", " -l", log)
	filter("", " -c1 -z -l2", log)
	cases = append(cases, test{env: cache("127.0.0.12"), command: "dnsfilter", in: log},
		test{env: cache("127.0.0.6"), command: "dnsfilter", in: log}, test{env: "files", command: "dnsfilter", in: log})

	for _, args := range []string{"0", "1 1 2 3 4", "5 1 2 3 4", "1 257 258 259 260", "1 1 2 3 4 5", "x", "0 1", "1 x y z q", "-1"} {
		same("", "random-ip "+args)
	}
	cases = append(cases, test{command: "random-ip 256 10 20 30", any: true}, test{command: "random-ip 999 10 20 30", any: true})
	return append(append(cases, sortCases()...), newCases()...)
}
