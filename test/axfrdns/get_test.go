package axfrdns

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/testbin"
)

// The recorded transfers of axfr-get: all that 1.05 wrote, to the server, to
// the log and to the file; or a rule of docs/differences.md forbids what the
// server sent, and then nothing was touched.
func TestGoldenGet(t *testing.T) {
	bin := testbin.Dir(t, "axfr-get")
	cases, _ := filepath.Glob(testbin.Shared(t, "compat/golden") + "/axfr-get/*.case")
	if len(cases) < 30 {
		t.Fatalf("only %d cases", len(cases))
	}
	rules := map[string]int{}
	for _, file := range cases {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c block
		for _, l := range strings.Split(string(raw), "\n") {
			if k, v, ok := strings.Cut(l, ": "); ok {
				c = append(c, [2]string{k, v})
			}
		}
		base := strings.TrimSuffix(file, ".case")
		before, noBefore := os.ReadFile(base + ".before")
		after, noAfter := os.ReadFile(base + ".after")
		in, _ := hex.DecodeString(c.one("fd6-in"))
		dir := t.TempDir()
		if noBefore == nil {
			os.WriteFile(filepath.Join(dir, "zone"), before, 0o644)
		}
		os.WriteFile(filepath.Join(dir, "in"), in, 0o644)
		cmd := exec.Command("sh", append([]string{"-c", `exec "$0" "$@" 6<in 7>out`, filepath.Join(bin, "axfr-get")}, c.all("arg")...)...)
		cmd.Dir = dir
		var log bytes.Buffer
		cmd.Stderr = &log
		cmd.Run()
		sent, _ := os.ReadFile(filepath.Join(dir, "out"))
		got, none := os.ReadFile(filepath.Join(dir, "zone"))
		what := filepath.Base(file) + " (" + c.one("note") + ")"
		said := strings.Join(append(c.all("stderr"), ""), "\n")
		exit := c.one("exit")
		asked := c.one("fd7-out")
		if rule, messages := forbidden(in, c.one("arg")); rule != "" && exit == "0" {
			rules[rule]++
			said, exit = "axfr-get: fatal: unable to parse AXFR results: protocol error\n", "111"
			after, noAfter = before, noBefore
			if messages == 0 { // it never asked for the transfer
				asked = asked[:len(asked)/2]
			}
		}
		if code := map[int]string{0: "0", 100: "100", 111: "111"}[cmd.ProcessState.ExitCode()]; code != exit || log.String() != said ||
			hex.EncodeToString(sent) != asked || (none == nil) != (noAfter == nil) || !bytes.Equal(got, after) {
			t.Errorf("%s: exit %s, %q, sent %x, file\n%s\nwant %s, %q, %s\n%s", what, code, log.String(), sent, got, exit, said, asked, after)
		}
	}
	t.Logf("%d cases; %v", len(cases), rules)
}

// forbidden gives the rule that a stream of answers breaks, and how many
// messages came before it did: axfr-checked or axfr-starts.
func forbidden(in []byte, zone string) (rule string, messages int) {
	for i, m := range frames(in) {
		if len(m) < 12 {
			return "", i
		}
		const opcode, rcode, qr, tc = 0x7800, 15, 0x8000, 0x0200
		if bits := binary.BigEndian.Uint16(m[2:]); binary.BigEndian.Uint16(m) != 0 || bits&(opcode|rcode|tc) != 0 || bits&qr == 0 {
			return "axfr-checked", i
		}
		p, ok := parse(m)
		if !ok || len(p.answer) == 0 {
			return "", i
		}
		if i == 1 && (p.answer[0].typ != dns.TypeSOA || !strings.EqualFold(p.answer[0].owner, wireName(strings.TrimSuffix(zone, ".")+"."))) {
			return "axfr-starts", i
		}
	}
	return "", 0
}
