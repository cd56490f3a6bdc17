package tinydns_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/show"
	"bulkhead/internal/tai64"
	"bulkhead/internal/testbin"
	"bulkhead/test/model"
)

type block map[string][]string

func (b block) one(k string) string {
	if v := b[k]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func blocks(t *testing.T, fn string) (out []block) {
	raw, err := os.ReadFile(fn)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(raw), "\n\n") {
		b := block{}
		for _, l := range strings.Split(part, "\n") {
			if k, v, ok := strings.Cut(l, ":"); ok && !strings.HasPrefix(l, "#") {
				b[k] = append(b[k], strings.TrimPrefix(v, " "))
			}
		}
		if len(b) > 0 {
			out = append(out, b)
		}
	}
	return out
}

// sets gives the data sets of the fixtures, compiled.
func sets(t *testing.T) map[string][]byte {
	out := map[string][]byte{}
	dirs, _ := filepath.Glob(filepath.Join(testbin.Shared(t, "compat/golden"), "*/mtime"))
	for _, m := range dirs {
		d := filepath.Dir(m)
		if c, err := os.ReadFile(d + "/data.cdb"); err == nil {
			out[d] = c
		}
	}
	if len(out) < 7 {
		t.Fatalf("only %d data sets", len(out))
	}
	return out
}

// The recorded packets: answered with the same bytes, or a rule says why not.
func TestGoldenUDP(t *testing.T) {
	testbin.NeedRoot(t)
	bin := testbin.Dir(t, "tinydns")
	counts, passed, unexplained := map[string]int{}, 0, 0
	for dir, c := range sets(t) {
		m, err := model.New(c)
		if err != nil {
			t.Fatal(err)
		}
		root := tempRoot(t)
		publish(t, root, c)
		s := start(t, bin+"/tinydns", "127.0.0.53", root)
		for _, b := range blocks(t, dir+"/udp.cases") {
			packet, _ := hex.DecodeString(b.one("udp"))
			var want []byte
			if b.one("reply") != "none" {
				want, _ = hex.DecodeString(b.one("reply"))
			}
			k := socket(t, b.one("src"))
			k.WriteTo(packet, &net.UDPAddr{IP: net.ParseIP("127.0.0.53"), Port: 53})
			log := s.line(t)
			var got []byte
			q := model.Query{Packet: packet, Client: [4]byte(k.LocalAddr().(*net.UDPAddr).IP.To4()), Now: tai64.Seconds(time.Now())}
			expect, _ := m.Answer(q, model.All)
			if expect != nil || want != nil {
				buf := make([]byte, 4096)
				k.SetReadDeadline(time.Now().Add(10 * time.Second))
				if n, err := k.Read(buf); err == nil {
					got = buf[:n]
				}
			}
			k.Close()
			what := fmt.Sprintf("%s case %s (%s)", filepath.Base(dir), b.one("case"), b.one("note"))
			if log != b.one("log") {
				t.Errorf("%s: log %q, want %q", what, log, b.one("log"))
			}
			if same(got, want) {
				passed++
				continue
			}
			if old, _ := m.Answer(q, 0); !same(old, want) {
				t.Errorf("%s: the model of 1.05 is wrong:\nmodel %x\n1.05  %x", what, old, want)
			}
			why, ok := m.Explain(q, same, want, got)
			if !ok {
				unexplained++
				t.Errorf("%s: unexplained\ngot   %x\nwant  %x\nmodel %x", what, got, want, expect)
			}
			for _, r := range why {
				counts[r]++
			}
		}
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	report(t, passed, counts, unexplained)
}

func report(t *testing.T, passed int, counts map[string]int, unexplained int) {
	var names []string
	for n := range counts {
		names = append(names, n)
	}
	sort.Strings(names)
	line := fmt.Sprintf("%d identical; explained by", passed)
	for _, n := range names {
		line += fmt.Sprintf(" %s %d", n, counts[n])
	}
	t.Logf("%s; %d unexplained", line, unexplained)
}

// tinydns-get: the same output, or that of the model's answer.
func TestGoldenGet(t *testing.T) {
	bin := testbin.Dir(t, "tinydns-get")
	counts, passed, unexplained := map[string]int{}, 0, 0
	for dir, c := range sets(t) {
		if _, err := os.Stat(dir + "/get.cases"); err != nil {
			continue
		}
		m, err := model.New(c)
		if err != nil {
			t.Fatal(err)
		}
		root := t.TempDir()
		publish(t, root, c)
		for _, b := range blocks(t, dir+"/get.cases") {
			var out, stderr bytes.Buffer
			cmd := exec.Command(bin+"/tinydns-get", b["arg"]...)
			cmd.Dir, cmd.Stdout, cmd.Stderr = root, &out, &stderr
			cmd.Run()
			got := fmt.Sprint(cmd.ProcessState.ExitCode()) + "\n" + normal(out.String()) + lines([]string{stderr.String()})
			want := b.one("exit") + "\n" + normal(lines(b["stdout"])) + lines([]string{lines(b["stderr"])})
			if got == want {
				passed++
				continue
			}
			q, ok := getQuery(b["arg"])
			if !ok {
				t.Errorf("%s get %v: got %q, want %q", filepath.Base(dir), b["arg"], got, want)
				continue
			}
			shown := func(rules model.Rule) string {
				msg, mark := m.Answer(q, rules)
				head := strings.SplitN(out.String(), "\n", 2)[0] + "\n"
				if mark == '-' {
					msg = nil
				}
				text, err := show.Message([]byte(head), msg, show.Classic)
				if msg == nil {
					text, err = []byte(head), nil
				}
				if err != nil {
					return err.Error()
				}
				return "0\n" + normal(string(text)) + "\n"
			}
			if old := shown(0); old != want {
				t.Errorf("%s get %v: the model of 1.05 is wrong:\n%s\nwant\n%s", filepath.Base(dir), b["arg"], old, want)
			}
			if now := shown(model.All); now != got {
				unexplained++
				t.Errorf("%s get %v: unexplained\ngot  %s\nwant %s\nmodel %s", filepath.Base(dir), b["arg"], got, want, now)
				continue
			}
			for i, n := range model.Names {
				if shown(model.All&^(1<<i)) != got {
					counts[n]++
				}
			}
		}
	}
	report(t, passed, counts, unexplained)
}

func lines(l []string) string {
	s := ""
	for _, x := range l {
		s += x + "\n"
	}
	return s
}

var address = regexp.MustCompile(`^(answer: .* A )\S+$`)

// normal sorts the A records among the answers; with eight or more it hides
// which they are.
func normal(s string) string {
	var rest, as []string
	for _, l := range strings.Split(strings.TrimSuffix(s, "\n"), "\n") {
		if address.MatchString(l) {
			as = append(as, l)
		} else {
			rest = append(rest, l)
		}
	}
	if len(as) >= 8 {
		for i := range as {
			as[i] = address.ReplaceAllString(as[i], "$1")
		}
	}
	sort.Strings(as)
	return strings.Join(append(rest, as...), "\n") + "\n"
}

// getQuery makes the packet that tinydns-get's arguments stand for.
func getQuery(args []string) (q model.Query, ok bool) {
	if len(args) < 2 {
		return q, false
	}
	typ, ok := show.ParseType(args[0], false)
	name, err := dnsname.ParseDot(args[1])
	if !ok || err != nil {
		return q, false
	}
	q.TCP, q.Now = true, tai64.Seconds(time.Now())
	if len(args) > 2 {
		for i, o := range strings.SplitN(args[2], ".", 5) {
			if i < 4 {
				n, _ := strconv.Atoi(o)
				q.Client[i] = byte(n)
			}
		}
	}
	q.Packet = append(make([]byte, 4), 0, 1, 0, 0, 0, 0, 0, 0)
	q.Packet = append(q.Packet, name...)
	q.Packet = append(q.Packet, byte(typ>>8), byte(typ), 0, byte(dns.ClassIN))
	return q, true
}

// What the servers say to their environment (dnscache's cases: package
// recursor). own-server is the one difference: axfrdns with IP and without a
// tcpserver in front of it serves, where 1.05 found nothing to read and ended.
func TestGoldenStartup(t *testing.T) {
	testbin.NeedRoot(t)
	bin := testbin.Dir(t, "tinydns", "walldns", "rbldns", "pickdns", "axfrdns")
	counts, passed := map[string]int{}, 0
	for _, b := range blocks(t, testbin.Shared(t, "compat/golden/startup/startup.cases")) {
		program := b.one("program")
		if program == "" || program == "dnscache" {
			continue
		}
		root := tempRoot(t)
		what := fmt.Sprintf("case %s, %s", b.one("case"), program)
		cmd := exec.Command(filepath.Join(bin, program))
		cmd.Env = []string{} // nil would be ours
		ip := false
		for _, v := range b["env"] {
			cmd.Env = append(cmd.Env, strings.ReplaceAll(v, "<dir>", root))
			ip = ip || strings.HasPrefix(v, "IP=")
		}
		stderr, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		guard := time.AfterFunc(60*time.Second, func() { cmd.Process.Kill() })
		out, exit := "", ""
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			out += strings.ReplaceAll(lines.Text(), root, "<dir>") + "\n"
			if lines.Text() == "starting "+program {
				exit = "keeps running"
				break
			}
		}
		if exit != "" {
			cmd.Process.Kill()
		}
		cmd.Wait()
		guard.Stop()
		if exit == "" {
			exit = fmt.Sprint(cmd.ProcessState.ExitCode())
		}
		switch {
		case exit == b.one("exit") && out == lines(b["stderr"]):
			passed++
		case program == "axfrdns" && ip && b.one("exit") == "0" && exit == "keeps running":
			counts["own-server"]++
		default:
			t.Errorf("%s: %s %q, want %s %q", what, exit, out, b.one("exit"), lines(b["stderr"]))
		}
	}
	report(t, passed, counts, 0)
	if passed < 30 || counts["own-server"] > 1 {
		t.Errorf("only %d cases played, %v", passed, counts)
	}
}
