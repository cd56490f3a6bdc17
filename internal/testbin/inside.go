package testbin

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"testing"
)

// Inside runs the test of this name, of this very test program, in a network
// namespace of its own with one more variable in its environment. It fails
// unless that test says it has passed: one that was skipped or is not there
// ends with 0 as well. It has as long as this one. flags are further ones of unshare(1).
func Inside(t *testing.T, name, variable, value string, flags ...string) {
	t.Helper()
	args := append(append([]string{"-n"}, flags...), os.Args[0], "-test.run=^"+name+"$", "-test.v",
		"-test.timeout="+flag.Lookup("test.timeout").Value.String())
	cmd := exec.Command("unshare", args...)
	cmd.Env = append(os.Environ(), variable+"="+value)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(out, []byte("--- PASS: "+name+" ")) {
		t.Fatal(name + " did not run")
	}
}
