package resolver

var securityWords = [...]string{Unchecked: "unchecked", Bogus: "bogus", Indeterminate: "indeterminate", Insecure: "insecure", Secure: "secure"}

// String gives the word of RFC 4035, section 4.3.
func (s Security) String() string {
	if int(s) < len(securityWords) {
		return securityWords[s]
	}
	return "unknown"
}

var rankWords = [...]string{0: "none", RankAdditional: "additional", RankAuthority: "referral", RankAnswer: "non-authoritative answer",
	RankAuthAuthority: "authority section", RankAuthAnswer: "authoritative answer", RankConfigured: "configured"}

// String names the rank as RFC 2181, section 5.4.1 describes it.
func (r Rank) String() string {
	if int(r) < len(rankWords) {
		return rankWords[r]
	}
	return "unknown"
}
