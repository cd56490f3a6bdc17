// Rblsmtpd turns clients on DNS lists away; see rblsmtpd(1).
package main

import (
	"bulkhead/internal/prog"
	"bulkhead/internal/rblsmtpd"
)

func main() {
	prog.Main("rblsmtpd", func(args []string) error { return rblsmtpd.Run(args, box) })
}
