package dnssec

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"slices"

	"github.com/cloudflare/circl/sign/ed448"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// PrivateKey signs.
type PrivateKey struct {
	*Key
	signer crypto.Signer
}

// ErrAlgorithm says that keys of an algorithm are not made here.
var ErrAlgorithm = errors.New("unsupported algorithm")

// Generate makes a key of algorithm a with the given DNSKEY flags. bits is the
// size for RSA and ignored otherwise.
func Generate(rand io.Reader, a Algorithm, flags uint16, bits int) (*PrivateKey, error) {
	switch a {
	case RSASHA1, RSASHA1NSEC3, RSASHA256, RSASHA512:
		k, err := rsa.GenerateKey(rand, bits)
		if err != nil {
			return nil, err
		}
		return NewPrivateKey(k, a, flags)
	case ECDSAP256SHA256:
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand)
		if err != nil {
			return nil, err
		}
		return NewPrivateKey(k, a, flags)
	case ECDSAP384SHA384:
		k, err := ecdsa.GenerateKey(elliptic.P384(), rand)
		if err != nil {
			return nil, err
		}
		return NewPrivateKey(k, a, flags)
	case ED25519:
		_, k, err := ed25519.GenerateKey(rand)
		if err != nil {
			return nil, err
		}
		return NewPrivateKey(k, a, flags)
	case ED448:
		_, k, err := ed448.GenerateKey(rand)
		if err != nil {
			return nil, err
		}
		return NewPrivateKey(k, a, flags)
	}
	return nil, ErrAlgorithm
}

// NewPrivateKey makes a signing key of s, whose kind must be that of a.
func NewPrivateKey(s crypto.Signer, a Algorithm, flags uint16) (*PrivateKey, error) {
	data := binary.BigEndian.AppendUint16(nil, flags)
	data = append(data, 3, byte(a))
	switch pub := s.Public().(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(pub.E)).Bytes()
		data = append(data, byte(len(e)))
		data = append(data, e...)
		data = append(data, pub.N.Bytes()...)
	case *ecdsa.PublicKey:
		b, err := pub.Bytes()
		if err != nil {
			return nil, err
		}
		data = append(data, b[1:]...)
	case ed25519.PublicKey:
		data = append(data, pub...)
	case ed448.PublicKey:
		data = append(data, pub...)
	default:
		return nil, ErrAlgorithm
	}
	k, ok := Policy{SHA1: true}.ParseKey(data)
	if !ok || !k.Supported() {
		return nil, ErrAlgorithm
	}
	return &PrivateKey{k, s}, nil
}

// WithFlags is the same key with other flags, and so another tag.
func (k *PrivateKey) WithFlags(flags uint16) *PrivateKey {
	data := slices.Clone(k.Data)
	binary.BigEndian.PutUint16(data, flags)
	key, _ := Policy{SHA1: true}.ParseKey(data)
	return &PrivateKey{key, k.signer}
}

// DS gives the record data of a DS for the key at owner.
func (k *Key) DS(owner dnsname.Name, digestType uint8) ([]byte, bool) {
	d := DS{KeyTag: k.Tag, Algorithm: k.Algorithm, DigestType: digestType}
	digest, ok := AppendDigest(nil, digestType, owner, k.Data)
	d.Digest = digest
	return d.AppendData(nil), ok
}

// Sign gives the data of an RRSIG by the key for set (RFC 4034, section
// 3.1.8.1). The owner's label count is used as it is: a wildcard RRset is
// signed at its wildcard name.
func (k *PrivateKey) Sign(rand io.Reader, set *RRset, signer dnsname.Name, inception, expiration uint32) ([]byte, error) {
	owner := dnsname.Labels(set.Name)
	if dnsname.IsWildcard(set.Name) {
		owner--
	}
	return k.SignAs(rand, set, RRSIG{Covered: set.Type, Algorithm: k.Algorithm, Labels: uint8(owner),
		OriginalTTL: set.TTL, Expiration: expiration, Inception: inception, KeyTag: k.Tag, Signer: signer})
}

// SignAs signs with every field as given, right or wrong: tests need both.
func (k *PrivateKey) SignAs(rand io.Reader, set *RRset, s RRSIG) ([]byte, error) {
	if len(set.Data) > MaxRRsPerSet {
		return nil, errors.New("too many records")
	}
	owner := dnsname.Labels(set.Name)
	if dnsname.IsWildcard(set.Name) {
		owner--
	}
	var v Verifier
	v.canonical(set)
	v.build(&s, set, owner)
	var err error
	s.Signature, err = k.sign(rand, v.signed)
	return s.AppendData(nil), err
}

func (k *PrivateKey) sign(rand io.Reader, data []byte) ([]byte, error) {
	switch k.Algorithm {
	case RSASHA1, RSASHA1NSEC3:
		h := sha1.Sum(data)
		return k.signer.Sign(rand, h[:], crypto.SHA1)
	case RSASHA256:
		h := sha256.Sum256(data)
		return k.signer.Sign(rand, h[:], crypto.SHA256)
	case RSASHA512:
		h := sha512.Sum512(data)
		return k.signer.Sign(rand, h[:], crypto.SHA512)
	case ECDSAP256SHA256:
		h := sha256.Sum256(data)
		der, err := k.signer.Sign(rand, h[:], crypto.SHA256)
		return fixedECDSA(der, 32), err
	case ECDSAP384SHA384:
		h := sha512.Sum384(data)
		der, err := k.signer.Sign(rand, h[:], crypto.SHA384)
		return fixedECDSA(der, 48), err
	default:
		return k.signer.Sign(rand, data, crypto.Hash(0))
	}
}

// fixedECDSA turns a DER signature into r | s of fixed size (RFC 6605, section
// 4). der is the standard library's own output.
func fixedECDSA(der []byte, size int) []byte {
	if len(der) < 2 {
		return nil
	}
	out := make([]byte, 2*size)
	der = der[2:]
	for i := range 2 {
		n := int(der[1])
		v := der[2 : 2+n]
		for len(v) > size {
			v = v[1:]
		}
		copy(out[(i+1)*size-len(v):], v)
		der = der[2+n:]
	}
	return out
}

// Node is a name of a zone with the types that stand there, as the makers of
// chains need it.
type Node struct {
	Name  dnsname.Name
	Types []dns.Type
	// Unsigned says that the name is a delegation without DS, which NSEC3 with
	// opt-out passes over.
	Unsigned bool
}

// NSECChain gives an NSEC RRset for each node (RFC 4034, section 4; RFC 4035,
// section 2.3). Nodes are the apex, and all names below it that own data the
// zone answers for: no glue, no empty non-terminals.
func NSECChain(zone dnsname.Name, nodes []Node, ttl uint32) []RRset {
	ns := slices.Clone(nodes)
	slices.SortFunc(ns, func(a, b Node) int { return dnsname.Compare(a.Name, b.Name) })
	out := make([]RRset, 0, len(ns))
	for i, n := range ns {
		next := ns[(i+1)%len(ns)].Name.Lower()
		data := append([]byte(next), AppendBitmap(nil, append(slices.Clone(n.Types), dns.TypeNSEC, dns.TypeRRSIG))...)
		out = append(out, RRset{Name: n.Name.Lower(), Type: dns.TypeNSEC, TTL: ttl, Data: [][]byte{data}})
	}
	return out
}

// NSEC3Params are the parameters of a chain (RFC 5155, section 4).
type NSEC3Params struct {
	Iterations uint16
	Salt       []byte
	OptOut     bool
}

// AppendData appends NSEC3PARAM data; its flags are always zero (RFC 5155,
// section 4.1.2).
func (p NSEC3Params) AppendData(dst []byte) []byte {
	dst = append(dst, 1, 0)
	dst = binary.BigEndian.AppendUint16(dst, p.Iterations)
	dst = append(dst, byte(len(p.Salt)))
	return append(dst, p.Salt...)
}

// NSEC3Chain gives an NSEC3 RRset for each node and empty non-terminal (RFC
// 5155, section 7.1). With opt-out, Unsigned nodes, and empty non-terminals
// above such only, have none.
func NSEC3Chain(zone dnsname.Name, nodes []Node, p NSEC3Params, ttl uint32) []RRset {
	type entry struct {
		hash  Hash
		types []dns.Type
		data  bool // not an empty non-terminal
	}
	byName := map[dnsname.Name]*entry{}
	for _, n := range nodes {
		if p.OptOut && n.Unsigned {
			continue
		}
		name := n.Name.Lower()
		types := slices.Clone(n.Types)
		// NSEC3 has no NSEC3 bit for itself; RRSIG where something is signed
		if !n.Unsigned {
			types = append(types, dns.TypeRRSIG)
		}
		if e := byName[name]; e != nil {
			e.types, e.data = append(e.types, types...), true
		} else {
			byName[name] = &entry{types: types, data: true}
		}
		for up := name; len(up) > len(zone); {
			up = dnsname.Parent(up)
			if byName[up] == nil {
				byName[up] = &entry{}
			}
		}
	}
	entries := make([]*entry, 0, len(byName))
	for name, e := range byName {
		e.hash = HashName(name, p.Salt, p.Iterations)
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b *entry) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	flags := byte(0)
	if p.OptOut {
		flags = optOutFlag
	}
	out := make([]RRset, 0, len(entries))
	for i, e := range entries {
		next := entries[(i+1)%len(entries)].hash
		data := append([]byte{1, flags}, p.AppendData(nil)[2:]...)
		data = append(data, sha1.Size)
		data = append(data, next[:]...)
		data = AppendBitmap(data, e.types)
		owner := append(e.hash.AppendLabel(nil), zone.Lower()...)
		out = append(out, RRset{Name: dnsname.Name(owner), Type: dns.TypeNSEC3, TTL: ttl, Data: [][]byte{data}})
	}
	return out
}
