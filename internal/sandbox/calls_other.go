//go:build !amd64 && !arm64

package sandbox

const auditArch = 0

var (
	callNumbers [0]systemCall
	noSuchCall  map[string]bool
)
