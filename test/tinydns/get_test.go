package tinydns_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"bulkhead/internal/show"
	"bulkhead/internal/testbin"
	"bulkhead/test/model"
)

// Random data and arguments, put to Debian's tinydns-get and to ours: the same
// output, message and exit code, or rules that explain the difference.
func TestGetDifferential(t *testing.T) {
	old, now := testbin.Peer(t, "usr/bin/tinydns-get"), testbin.Dir(t, "tinydns-get")+"/tinydns-get"
	r := rand.New(rand.NewPCG(19, 20))
	counts, identical, unexplained := map[string]int{}, 0, 0
	run := func(program, dir string, args []string) string {
		var out, stderr bytes.Buffer
		cmd := exec.Command(program, args...)
		cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, &out, &stderr, testbin.PeerEnv()
		cmd.Run()
		return fmt.Sprint(cmd.ProcessState.ExitCode()) + "\n" + normal(out.String()) + stderr.String()
	}
	for round := range 12 {
		data := randomData(r, round)
		c := compile(t, []byte(data), 7)
		m, err := model.New(c)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		publish(t, dir, c)
		for range 25 {
			name := randomName(r)
			if l := strings.Split(data, "\n"); r.IntN(2) == 0 {
				if x := l[r.IntN(len(l))]; len(x) > 1 {
					name, _, _ = strings.Cut(x[1:], ":")
				}
			}
			if r.IntN(12) == 0 {
				name = pick(r, "", ".", "a..z.test.", "\\172.test", "\\", "z.test\\", strings.Repeat("x", 64)+".z.test", strings.Repeat("a.", 140)+"z.test", "\\777.z.test", "a\\.b.z.test")
			}
			args := []string{pick(r, "a", "NS", "mx", "ptr", "Txt", "cname", "soa", "any", "ANY", "aaaa", "1", "255", "16", "28", "39", "99"), name}
			switch r.IntN(10) {
			case 0:
				args[0] = pick(r, "hinfo", "rp", "sig", "key", "axfr", "", "0", "65537", "65535", "1x", "bogus", "-1", "18446744073709551617", "01")
			case 1:
				args = append(args, pick(r, "127.0.0.1", "127.0.0.2", "127.1.2.3", "1.2.3", "", "127.256.0.1", "127.0.0.2junk", "x", "127.0.0.2.5"))
			case 2:
				args = args[:r.IntN(3)]
			case 3:
				args = append(args, "127.0.0.2", "surplus")
			}
			want, got := run(old, dir, args), run(now, dir, args)
			if want == got {
				identical++
				continue
			}
			q, ok := getQuery(args)
			shown := func(rules model.Rule) string {
				n, _ := strconv.Atoi(strings.Fields(want)[1])
				head := fmt.Sprintf("%d %s\n", n, strings.Fields(want)[2])
				msg, mark := m.Answer(q, rules)
				if mark == '-' || msg == nil {
					return "0\n" + normal(head)
				}
				text, err := show.Message([]byte(head), msg, show.Classic)
				if err != nil {
					return err.Error()
				}
				return "0\n" + normal(string(text))
			}
			if !ok || len(strings.Fields(want)) < 3 || shown(0) != want || shown(model.All) != got {
				unexplained++
				t.Errorf("tinydns-get %q\n1.05 %sours %s%s", args, want, got, data)
				continue
			}
			for i, n := range model.Names {
				if shown(model.All&^(1<<i)) != got {
					counts[n]++
				}
			}
		}
	}
	report(t, identical, counts, unexplained)
}
