// Package daemontools plays shell scripts with the real programs and compares
// what they print with what Debian's daemontools 0.76 prints: cases/NAME.sh and
// cases/NAME.out. Where Debian's package is at hand the same script is played
// with it too, so that the record is known to be true.
//
//	go test ./test/daemontools -record    write the records anew from Debian's
package daemontools

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/testbin"
)

var record = flag.Bool("record", false, "write cases/*.out from what Debian's programs do")

// programs are all that the cases may call.
var programs = []string{"svscanboot", "svscan", "supervise", "svc", "svok", "svstat", "fghack", "pgrphack", "readproctitle",
	"multilog", "tai64n", "tai64nlocal", "setuidgid", "envuidgid", "envdir", "softlimit", "setlock", "svup", "svwait"}

// variable are the parts of the output that differ from run to run.
var variable = []struct {
	re *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`pid \d+`), "pid P"},
	{regexp.MustCompile(`\d+ seconds`), "S seconds"},
	{regexp.MustCompile(`@4[0-9a-f]{23}`), "@LABEL"},
}

// TestMain lets many cases run at once: they mostly sleep.
func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "12")
	os.Exit(m.Run())
}

// caseLimit is far above what a case takes, for machines under load.
const caseLimit = 3 * time.Minute

// play runs a script with the programs of bin and gives what it printed.
func play(t *testing.T, script, bin string, env []string) string {
	t.Helper()
	prelude, err := filepath.Abs("prelude.sh")
	if err != nil {
		t.Fatal(err)
	}
	script, err = filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), caseLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-c", `. "$0"; . "$1"`, prelude, script)
	cmd.Dir = t.TempDir()
	os.Chmod(cmd.Dir, 0o755)
	os.Chmod(filepath.Dir(cmd.Dir), 0o755)
	cmd.Env = append(env, "prelude="+prelude, "PATH="+bin+":"+os.Getenv("PATH"), "bin="+bin, "TZ=UTC")
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Errorf("%s with %s did not end", script, bin)
	}
	s := string(out)
	for _, v := range variable {
		s = v.re.ReplaceAllString(s, v.to)
	}
	return ignored.ReplaceAllStringFunc(s, func(line string) string {
		n, _ := strconv.ParseUint(line[len(line)-16:], 16, 64)
		return fmt.Sprintf("SigIgn:\t%016x", n&^cLibrarySignals)
	})
}

// Signals 32 and 33 are the C library's own. Programs started by GNU make find
// them ignored (posix_spawn leaves them so), others do not; no program here
// or there can do anything about it.
const cLibrarySignals = 1<<31 | 1<<32

var ignored = regexp.MustCompile(`SigIgn:\t[0-9a-f]{16}`)

// TestCases: the record of Debian's programs holds for ours.
func TestCases(t *testing.T) { compare(t, "cases") }

// TestOurs plays what 0.76 does not know; the records were read and found
// right.
func TestOurs(t *testing.T) { compare(t, "ours") }

func compare(t *testing.T, folder string) {
	bin := testbin.Dir(t, programs...)
	scripts, err := filepath.Glob(folder + "/*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatal("no cases", err)
	}
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".sh")
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "root-") {
				testbin.NeedRoot(t)
			}
			t.Parallel()
			file := strings.TrimSuffix(script, ".sh") + ".out"
			if *record && folder == "ours" {
				if err := os.WriteFile(file, []byte(play(t, script, bin, os.Environ())), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if *record {
				d := filepath.Dir(testbin.Peer(t, "usr/bin/supervise"))
				if err := os.WriteFile(file, []byte(play(t, script, d, testbin.PeerEnv())), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got := play(t, script, bin, os.Environ()); got != string(want) {
				t.Errorf("the record says\n%s\nbut there was\n%s", want, got)
			}
		})
	}
}

// TestOracle plays every case with Debian's programs: the records are theirs.
func TestOracle(t *testing.T) {
	d := filepath.Dir(testbin.Peer(t, "usr/bin/supervise"))
	scripts, _ := filepath.Glob("cases/*.sh")
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".sh")
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "root-") {
				testbin.NeedRoot(t)
			}
			t.Parallel()
			want, err := os.ReadFile(strings.TrimSuffix(script, ".sh") + ".out")
			if err != nil {
				t.Fatal(err)
			}
			if got := play(t, script, d, testbin.PeerEnv()); got != string(want) {
				t.Errorf("the record says\n%s\nbut Debian's programs print\n%s", want, got)
			}
		})
	}
}
