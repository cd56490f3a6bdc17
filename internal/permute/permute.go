// Package permute walks through a range of numbers in random order, each
// once, with no memory of those it has given: a bijection of the counter,
// made by a Feistel network over halves of the number's bits.
package permute

// rounds of the network. Four make a permutation that looks random to whoever
// does not attack it (Luby and Rackoff, 1988); nothing secret is hidden here.
const rounds = 4

// Permutation is a bijection of the numbers below 2^bits.
type Permutation struct {
	half uint // bits of a half
	keys [rounds]uint64
}

// New makes one of 2^bits numbers, bits even and at most 32, chosen by the
// keys, which should be random.
func New(bits uint, keys [rounds]uint64) Permutation { return Permutation{bits / 2, keys} }

// At gives the number at place n of the order, n below 2^bits.
func (p *Permutation) At(n uint32) uint32 {
	mask := uint32(1)<<p.half - 1
	l, r := n>>p.half&mask, n&mask
	for _, k := range p.keys {
		l, r = r, l^mix(uint64(r)+k)&mask
	}
	return l<<p.half | r
}

// mix is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
func mix(x uint64) uint32 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return uint32(x ^ x>>31)
}
