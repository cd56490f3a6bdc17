package dnssec

import (
	"bytes"
	"cmp"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"slices"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
)

// Record is one record of a zone in class IN.
type Record struct {
	Name dnsname.Name
	Type dns.Type
	TTL  uint32
	Data []byte
}

// Numbers of RFC 8976, section 5.
const (
	zonemdSimple = 1
	zonemdSHA384 = 1
	zonemdSHA512 = 2
)

// ZoneDigests computes the SIMPLE digests of a zone (RFC 8976, section 3.3):
// SHA-384 and SHA-512 over all records in canonical form and order, without
// ZONEMD at the apex, its signatures, duplicates, and names outside the zone.
func ZoneDigests(zone dnsname.Name, records []Record) (sha384, sha512sum []byte) {
	h384, h512 := sha512.New384(), sha512.New()
	zoneDigest(zone, records, h384, h512)
	return h384.Sum(nil), h512.Sum(nil)
}

func zoneDigest(zone dnsname.Name, records []Record, hs ...hash.Hash) {
	type item struct {
		name dnsname.Name
		t    dns.Type
		wire []byte
	}
	items := make([]item, 0, len(records))
	for i := range records {
		r := &records[i]
		if !dnsname.IsBelow(r.Name, zone) {
			continue
		}
		if dnsname.Equal(r.Name, zone) && (r.Type == dns.TypeZONEMD ||
			r.Type == dns.TypeRRSIG && len(r.Data) >= 2 && dns.Type(binary.BigEndian.Uint16(r.Data)) == dns.TypeZONEMD) {
			continue
		}
		items = append(items, item{r.Name, r.Type, rdata.AppendCanonical(nil, r.Type, r.Data)})
		items[len(items)-1].wire = appendRecord(nil, r, items[len(items)-1].wire)
	}
	data := func(it *item) []byte { return it.wire[len(it.name)+10:] }
	slices.SortFunc(items, func(a, b item) int {
		return cmp.Or(dnsname.Compare(a.name, b.name), cmp.Compare(a.t, b.t), bytes.Compare(data(&a), data(&b)))
	})
	for i := range items {
		it := &items[i]
		if i > 0 && it.t == items[i-1].t && dnsname.Equal(it.name, items[i-1].name) && bytes.Equal(data(it), data(&items[i-1])) {
			continue
		}
		for _, h := range hs {
			h.Write(it.wire)
		}
	}
}

func appendRecord(dst []byte, r *Record, data []byte) []byte {
	dst = dnsname.AppendLower(dst, r.Name)
	dst = binary.BigEndian.AppendUint16(dst, uint16(r.Type))
	dst = binary.BigEndian.AppendUint16(dst, uint16(dns.ClassIN))
	dst = binary.BigEndian.AppendUint32(dst, r.TTL)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(data)))
	return append(dst, data...)
}

// ZoneMD is the outcome of VerifyZone.
type ZoneMD uint8

const (
	ZoneMDGood    ZoneMD = iota // a digest matches
	ZoneMDAbsent                // there is no ZONEMD
	ZoneMDUnknown               // none of a known scheme and hash
	ZoneMDBad                   // the digest does not match, or the records contradict one another
)

func (z ZoneMD) String() string {
	return [...]string{"good", "absent", "of unknown kind", "bad"}[z&3]
}

// VerifyZone checks a zone's ZONEMD records (RFC 8976, section 4). That they
// and the SOA are signed is for the caller to check first.
func VerifyZone(zone dnsname.Name, records []Record) ZoneMD {
	var serial uint32
	soas := 0
	var mds [][]byte
	for i := range records {
		r := &records[i]
		if !dnsname.Equal(r.Name, zone) {
			continue
		}
		switch r.Type {
		case dns.TypeSOA:
			if len(r.Data) < 22 {
				return ZoneMDBad
			}
			serial = binary.BigEndian.Uint32(r.Data[len(r.Data)-20:])
			soas++
		case dns.TypeZONEMD:
			mds = append(mds, r.Data)
		}
	}
	if len(mds) == 0 {
		return ZoneMDAbsent
	}
	if soas != 1 {
		return ZoneMDBad
	}
	var sums [3][]byte
	sums[zonemdSHA384], sums[zonemdSHA512] = ZoneDigests(zone, records)
	known := false
	for i, md := range mds {
		// section 2.2.4: a digest is at least 12 bytes
		if len(md) < 6+12 || binary.BigEndian.Uint32(md) != serial || md[4] != zonemdSimple ||
			md[5] != zonemdSHA384 && md[5] != zonemdSHA512 {
			continue
		}
		// section 2: several records of one scheme and hash make none usable
		dup := false
		for k, o := range mds {
			dup = dup || k != i && len(o) >= 6 && bytes.Equal(o[4:6], md[4:6])
		}
		if dup {
			continue
		}
		known = true
		if subtle.ConstantTimeCompare(md[6:], sums[md[5]]) == 1 {
			return ZoneMDGood
		}
	}
	if !known {
		for _, md := range mds {
			if len(md) >= 6 && binary.BigEndian.Uint32(md) != serial {
				return ZoneMDBad
			}
		}
		return ZoneMDUnknown
	}
	return ZoneMDBad
}
