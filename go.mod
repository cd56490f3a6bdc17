module bulkhead

go 1.26.0

// Servers bind a thread to each processor when they start; watching for more
// would cost two system calls in every filter (internal/sandbox).
godebug updatemaxprocs=0

require (
	github.com/cloudflare/circl v1.6.5
	github.com/miekg/dns v1.1.73
	golang.org/x/sys v0.49.0
	pgregory.net/rapid v1.3.0
)

require (
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
)
