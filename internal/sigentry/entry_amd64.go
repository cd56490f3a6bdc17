package sigentry

import _ "unsafe" // for go:linkname

var (
	ignored uint64
	tls     [32]byte // of the first thread; others get theirs from the runtime
)

//go:linkname entryInit entryInit
var entryInit byte

// The runtime calls _cgo_init, if there is one, before it installs its signal
// handlers. This is the one place where a program can still see what it was
// started with.
//
//go:linkname _cgo_init _cgo_init
var _cgo_init = &entryInit
