package errtext

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

func TestOf(t *testing.T) {
	_, notThere := os.Open("/nonexistent/file")
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, "no error"},
		{syscall.EPERM, "permission denied"},
		{syscall.EACCES, "access denied"},
		{syscall.EWOULDBLOCK, "temporary failure"},
		{syscall.EAFNOSUPPORT, "address family not supported"},
		{syscall.Errno(4000), "unknown error"},
		{notThere, "file does not exist"},
		{fmt.Errorf("wrapped: %w", syscall.ENOSPC), "out of disk space"},
		{errors.New("own words"), "own words"},
	} {
		if got := Of(c.err); got != c.want {
			t.Errorf("Of(%v) = %q, want %q", c.err, got, c.want)
		}
	}
}
