package main

import "bulkhead/internal/sandbox"

// box is what rblsmtpd needs to turn a client away. It stands only then: a
// client that is let in gets the SMTP server, which needs what we know nothing of.
var box = sandbox.Decl{
	Program: "rblsmtpd",
	Job:     "turns listed clients away",
	User:    true,
	When:    "when it turns a client away",
	Calls:   "read write",
}
