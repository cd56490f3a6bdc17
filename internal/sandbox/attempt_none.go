//go:build !boxtest

package sandbox

// attempts does nothing: only a build with the tag boxtest, which no package
// ships, tries to break out of its box (attempt_boxtest.go).
func attempts(Decl) {}
