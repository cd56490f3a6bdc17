//go:build !boxtest

package sandbox

// attempts does nothing: only a build with the tag boxtest, which no package
// ships, tries to break out of its box (attempt_boxtest.go).
func attempts(Decl) {}

// recording is a build with that tag asked to leave the filter out, so that
// the test can list what a new program calls.
func recording() bool { return false }

// simulated and withoutSeccomp make that build believe in an older kernel.
func simulated(abi int) int { return abi }
func withoutSeccomp() bool  { return false }
