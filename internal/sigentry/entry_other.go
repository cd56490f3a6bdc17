//go:build !amd64

package sigentry

// Elsewhere nothing is known, and signals other than HUP and INT reach the next
// program with their default actions.
var ignored uint64
