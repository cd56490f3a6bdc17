module bulkhead

go 1.26.0

// Servers bind a thread to each processor when they start; watching for more
// would cost two system calls in every filter (internal/sandbox).
godebug updatemaxprocs=0

require (
	github.com/cloudflare/circl v1.6.5 // indirect
	github.com/landlock-lsm/go-landlock v0.11.0 // indirect
	github.com/miekg/dns v1.1.73 // indirect
	github.com/rogpeppe/go-internal v1.16.0 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/net v0.62.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	kernel.org/pub/linux/libs/security/libcap/psx v1.2.77 // indirect
	pgregory.net/rapid v1.3.0 // indirect
)
