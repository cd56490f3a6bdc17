package clients_test

import (
	"bufio"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"bulkhead/internal/testbin"
)

// million is how many lines the tools must take in their stride.
const million = 1_000_000

// mostMemory bounds what a tool may have resident at any time, kilobytes: the
// input and output of these tests are two to four times as long.
const mostMemory = 48 << 10

// stream runs a program with a writer for its input and a function for each
// line of its output, and checks the memory it took.
func stream(t *testing.T, command string, in func(io.Writer), each func(line []byte)) {
	t.Helper()
	f := strings.Fields(command)
	cmd := exec.Command(filepath.Join(testbin.Dir(t, programs...), f[0]), f[1:]...)
	cmd.Env = environment(t, "", "")
	if in != nil {
		w, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			b := bufio.NewWriterSize(w, 1<<16)
			in(b)
			b.Flush()
			w.Close()
		}()
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<20)
	// the peak is read while the program runs: what wait reports contains what
	// this process had before the program took its place
	kb := 0
	for n := 1; s.Scan(); n++ {
		if n%1000 == 0 {
			kb = max(kb, peak(cmd.Process.Pid))
		}
		each(s.Bytes())
	}
	if err := cmd.Wait(); err != nil || s.Err() != nil {
		t.Fatalf("%s: %v, %v", command, err, s.Err())
	}
	t.Logf("%.40s: %d kB", command, kb)
	if kb == 0 || kb > mostMemory {
		t.Errorf("%.40s took %d kB", command, kb)
	}
}

// peak is the most memory a process has had resident, kilobytes; 0 if it is gone.
func peak(pid int) int {
	b, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	_, rest, _ := strings.Cut(string(b), "\nVmHWM:")
	if f := strings.Fields(rest); len(f) > 0 {
		n, _ := strconv.Atoi(f[0])
		return n
	}
	return 0
}

// A million lines with 30,000 different addresses, more than are remembered,
// come back in order, each with its name.
func TestMillionLines(t *testing.T) {
	testbin.NeedRoot(t)
	t.Parallel()
	const addresses = 30_000
	const tail = " GET /some/longer/path/of/a/log/file?with=parameters&that=make&it=longer HTTP/1.1 200 12345 - -"
	host := func(i int) string { return fmt.Sprintf("10.77.%d.%d", i/250, i%250) }
	n := 0
	stream(t, "dnsfilter -c 100", func(w io.Writer) {
		for i := range million {
			if i%20 == 0 { // an address that comes for the first time, for the last, or again
				io.WriteString(w, host(i/20%addresses)+" "+strconv.Itoa(i)+tail+"\n")
			} else {
				io.WriteString(w, "- "+strconv.Itoa(i)+tail+"\n")
			}
		}
	}, func(line []byte) {
		want := "- " + strconv.Itoa(n) + tail
		if n%20 == 0 {
			h := host(n / 20 % addresses)
			want = h + "=h-" + strings.ReplaceAll(h, ".", "-") + ".test " + strconv.Itoa(n) + tail
		}
		if string(line) != want {
			t.Fatalf("line %d is %q, not %q", n, line, want)
		}
		n++
	})
	if n != million {
		t.Errorf("%d lines", n)
	}
}

// A million addresses, all different, all in the range asked for; two runs
// differ.
func TestMillionAddresses(t *testing.T) {
	testbin.NeedRoot(t)
	t.Parallel()
	for _, c := range []struct {
		args   string
		prefix netip.Prefix
		want   int
	}{
		{"1000000", netip.MustParsePrefix("0.0.0.0/0"), million},
		{"1000000 9", netip.MustParsePrefix("9.0.0.0/8"), million},
		{"9999999999 77", netip.MustParsePrefix("77.0.0.0/8"), 1 << 24},
		{"100000 10 266", netip.MustParsePrefix("10.10.0.0/16"), 1 << 16},
	} {
		bits, n := make([]uint64, max(1, 1<<(32-c.prefix.Bits())/64)), 0
		stream(t, "random-ip "+c.args, nil, func(line []byte) {
			a, err := netip.ParseAddr(string(line))
			if err != nil || !a.Is4() || !c.prefix.Contains(a) {
				t.Fatalf("%q", line)
			}
			b := a.As4()
			v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
			host := v & (1<<(32-c.prefix.Bits()) - 1)
			if bits[host/64]&(1<<(host%64)) != 0 {
				t.Fatalf("%s comes twice", line)
			}
			bits[host/64] |= 1 << (host % 64)
			n++
		})
		if n != c.want {
			t.Errorf("random-ip %s: %d addresses", c.args, n)
		}
	}
	bin := testbin.Dir(t, programs...)
	env := environment(t, "", "")
	if a, b := run(t, bin, env, "random-ip 100", ""), run(t, bin, env, "random-ip 100", ""); a == b {
		t.Error("two runs give the same")
	}
}

// Dnsname takes as many addresses as a command line holds.
func TestManyNames(t *testing.T) {
	testbin.NeedRoot(t)
	t.Parallel()
	const many = 5000
	args := make([]string, many)
	for i := range args {
		args[i] = fmt.Sprintf("10.77.%d.%d", i/250, i%250)
	}
	n := 0
	stream(t, "dnsname "+strings.Join(args, " "), nil, func(line []byte) {
		if want := "h-" + strings.ReplaceAll(args[n], ".", "-") + ".test"; string(line) != want {
			t.Fatalf("%q, not %q", line, want)
		}
		n++
	})
	if n != many {
		t.Errorf("%d names", n)
	}
}
