//go:build !amd64 && !arm64

package sandbox

const auditArch = 0

var (
	callNumbers map[string]uint32
	noSuchCall  map[string]bool
)
