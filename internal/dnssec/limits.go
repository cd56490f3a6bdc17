package dnssec

// Limits of validation. All are counts of operations, so that no arrangement
// of records a stranger sends can cost more than a known number of hashes and
// curve multiplications (KeyTrap, CVE-2023-50387; NSEC3, CVE-2023-50868;
// SigJam, LockCram, HashTrap: Heftrig, Schulmann, Vogel, Waidner, "The Harder
// You Try, The Harder You Fail", 2024).
//
//	              here  unbound 1.19.1+      BIND 9.18.24+   pdns-recursor 5   sdns
//	sigs/question   64  16 pauses of 8 each   16 per fetch   30                        32
//	failed/RRset     2  8 MAX_VALIDATE_RRSIGS  1              2 max_rrsigs_per_record  8
//	failed/question  8  8                      1 per fetch    -                        -
//	keys, one tag    2  any                    any            2 max_dnskeys            -
//	DS/delegation    8  4 failed matches       -              8 max_ds_per_zone        -
//	hashes/question  below, by SHA-1 blocks    -              600 max_nsec3_hash...    32
//	NSEC3 records   12  any                    any            10 max_nsec3s_per_record -
//	iterations     150  150                    50             50                       -
const (
	MaxSigsPerQuestion = 64  // a chain of 10 aliases through as many cold zones takes 40
	MaxBadPerRRset     = 2   // tried in vain on one RRset, and so keys with one tag too; honest zones have one collision of them at most
	MaxBadSigs         = 8   // tried in vain, per question: several servers may give bad answers
	MaxKeysPerZone     = 64  // DNSKEY records read; the largest honest RRsets seen have about 12
	MaxDSPerZone       = 8   // DS records compared with keys
	MaxDSPerQuestion   = 64  // digests of keys computed
	MaxDenialRecords   = 12  // NSEC or NSEC3 records looked at in one answer; honest proofs need 4
	MaxRRsPerSet       = 512 // records sorted for one signature; BIND max-records-per-type 100, root NS 13

	// MaxNSEC3Iterations is where a zone becomes insecure (RFC 9276, section
	// 3.2, item 2). The number is unbound's: BIND, Knot Resolver and PowerDNS
	// went down to 50, which turns zones that others find bogus insecure; the
	// work is bounded by MaxNSEC3Blocks either way.
	MaxNSEC3Iterations = 150

	// MaxNSEC3Blocks counts SHA-1 compressions per question, about 0.1 us
	// each. One name costs (1+iterations) times the blocks of salt and hash:
	// 2048 pay 13 names at 150 iterations, where a proof takes 3 to 5 (see
	// closestEncloser), or, without iterations as RFC 9276 wants, every label of
	// the longest name several times over. unbound hashes 8 names before it pauses.
	MaxNSEC3Blocks = 2048
)

// Budget is what one client question may still spend. The zero value can pay
// for nothing; see NewBudget.
type Budget struct {
	Sigs    int // signatures tried
	BadSigs int // signatures tried in vain
	DS      int // digests of keys
	Blocks  int // SHA-1 compressions for NSEC3
}

// NewBudget is a full budget.
func NewBudget() Budget {
	return Budget{Sigs: MaxSigsPerQuestion, BadSigs: MaxBadSigs, DS: MaxDSPerQuestion, Blocks: MaxNSEC3Blocks}
}

// pay takes n from *left; false if there is less.
func pay(left *int, n int) bool {
	if *left < n {
		*left = 0
		return false
	}
	*left -= n
	return true
}

// Spent tells what a budget that began full has paid.
func (b *Budget) Spent() (sigs, bad, ds, blocks int) {
	return MaxSigsPerQuestion - b.Sigs, MaxBadSigs - b.BadSigs, MaxDSPerQuestion - b.DS, MaxNSEC3Blocks - b.Blocks
}
