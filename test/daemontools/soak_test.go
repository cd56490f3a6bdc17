package daemontools

import (
	"bytes"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/internal/testbin"
)

// The soak: services that die at random under one svscan. SOAK_SERVICES and
// SOAK_SECONDS make it long; by default it is a short run of few.
//
//	SOAK_SERVICES=200 SOAK_SECONDS=120 go test -count=1 -v -run TestSoak ./test/daemontools
func setting(name string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return def
}

// proc is what /proc says of one process.
type proc struct {
	pid, parent int
	name, state string
}

func processes() map[int]proc {
	all := map[int]proc{}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		open, shut := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
		f := strings.Fields(string(b[shut+1:]))
		parent, _ := strconv.Atoi(f[1])
		all[pid] = proc{pid, parent, string(b[open+1 : shut]), f[0]}
	}
	return all
}

// below gives all descendants of a process.
func below(root int) []proc {
	all := processes()
	var out []proc
	for _, p := range all {
		for q := p.parent; q > 1; q = all[q].parent {
			if q == root {
				out = append(out, p)
				break
			}
		}
	}
	return out
}

// memory gives the private memory of a process and its proportional share of
// all, in kB.
func memory(pid int) (private, pss int) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0, 0
	}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.Atoi(f[1])
		switch f[0] {
		case "Private_Dirty:", "Private_Clean:":
			private += n
		case "Pss:":
			pss = n
		}
	}
	return private, pss
}

func TestSoak(t *testing.T) {
	bin := testbin.Dir(t, "svscan", "supervise", "multilog", "svstat")
	services, seconds := setting("SOAK_SERVICES", 8), setting("SOAK_SECONDS", 6)
	dir := t.TempDir()
	for i := range services {
		// The shortest lives end at once, the longest after three seconds.
		run := fmt.Sprintf("#!/bin/sh\necho started\nsleep %d.%d\nkill -%d $$\nexit %d\n", i%4/2, i%10, []int{9, 15, 11, 0}[i%4], i%256)
		log := "#!/bin/sh\nexec multilog t s4096 n3 ./main\n"
		d := filepath.Join(dir, fmt.Sprintf("s%03d", i))
		if err := os.MkdirAll(filepath.Join(d, "log"), 0o755); err != nil {
			t.Fatal(err)
		}
		os.WriteFile(filepath.Join(d, "run"), []byte(run), 0o755)
		os.WriteFile(filepath.Join(d, "log/run"), []byte(log), 0o755)
	}
	cmd := exec.Command(filepath.Join(bin, "svscan"), dir)
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	supervises := func() (sum, n int) {
		pss := 0
		for _, p := range below(cmd.Process.Pid) {
			if p.name == "supervise" {
				k, share := memory(p.pid)
				sum += k
				pss += share
				n++
			}
		}
		k, share := memory(cmd.Process.Pid)
		t.Logf("after %v: %d supervises, each %d kB private, %d kB PSS; svscan %d kB private, %d kB PSS",
			time.Since(began).Round(time.Second), n, sum/max(n, 1), pss/max(n, 1), k, share)
		return sum, n
	}
	minute := began.Add(time.Minute)
	random := rand.New(rand.NewSource(1))
	var first, firstN int
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	half := time.Now().Add(time.Duration(seconds) * time.Second / 2)
	for time.Now().Before(end) {
		time.Sleep(100 * time.Millisecond)
		// Besides dying themselves, some are killed.
		if all := below(cmd.Process.Pid); len(all) > 0 {
			if p := all[random.Intn(len(all))]; p.name == "sh" || p.name == "sleep" || p.name == "multilog" {
				syscall.Kill(p.pid, syscall.SIGKILL)
			}
		}
		if first == 0 && time.Now().After(half) {
			first, firstN = supervises()
		}
		if time.Now().After(minute) {
			minute = minute.Add(time.Minute)
			supervises()
		}
	}
	last, lastN := supervises()
	if lastN != 2*services {
		t.Errorf("%d supervises run, want %d", lastN, 2*services)
	}
	// Flat, but for what the first garbage collection leaves behind (0.3 MB).
	if firstN > 0 && last/max(lastN, 1) > first/firstN+400 {
		t.Errorf("memory grew from %d to %d kB a supervise", first/firstN, last/max(lastN, 1))
	}
	// A zombie that is still one a second later is one that nobody reaps; a
	// child that died in its first second is left for the rest of it.
	zombies := map[int]int{}
	for range 15 {
		for _, p := range below(cmd.Process.Pid) {
			if p.state == "Z" {
				zombies[p.pid]++
			}
		}
		time.Sleep(200 * time.Millisecond)
	}
	for pid, n := range zombies {
		if n > 12 {
			t.Errorf("process %d stays a zombie", pid)
		}
	}
	// None is stuck: every service has been started in the last seconds.
	for i := range services {
		b, err := exec.Command(filepath.Join(bin, "svstat"), "-j", filepath.Join(dir, fmt.Sprintf("s%03d", i))).Output()
		if err != nil || !bytes.Contains(b, []byte(`"starts":`)) || bytes.Contains(b, []byte(`"starts":0`)) {
			t.Errorf("service %d: %s %v", i, b, err)
		}
	}
	cmd.Process.Signal(syscall.SIGTERM)
	stopped := make(chan error, 1)
	go func() { stopped <- cmd.Wait() }()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("svscan: %v", err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("svscan does not stop")
		cmd.Process.Kill()
	}
	if s := stderr.String(); strings.Contains(s, "fatal") || strings.Contains(s, "panic") {
		t.Errorf("on standard error: %.2000s", s)
	}
	for i := range services {
		name := fmt.Sprintf("s%03d", i)
		if b, err := os.ReadFile(filepath.Join(dir, name, "log/main/current")); err != nil || len(b) > 0 && !bytes.HasSuffix(b, []byte(" started\n")) {
			t.Errorf("log of %s: %v %.80q", name, err, b)
		}
	}
}
