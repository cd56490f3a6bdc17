package bindimport

import (
	"errors"
	"os"
	"strconv"

	"bulkhead/internal/bindconf"
	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/rdata"
	"bulkhead/internal/zonefile"
)

// Record is one record of a zone, with its source.
type Record struct {
	Owner     dnsname.Name // letter case as written
	TTL       uint32
	Type      dns.Type
	Data      []byte
	File      string
	Line      int
	Generated bool

	group   int    // records between which the owner does not change
	written uint32 // TTL as written, when named serves another
	changed bool
}

// load reads the records of z as named would serve them. Whatever named does
// to records (duplicates dropped, one TTL for an RRset, names outside the zone
// ignored) is done here too, and noted.
func (c *Config) load(z *Zone) {
	fail := func(place string, what string, reason error) {
		c.Notes = append(c.Notes, Note{place, what, reason.Error(), true})
	}
	what := "zone " + z.Name.String()
	if z.View.Name != "" {
		what += " of view " + z.View.Name
	}
	if _, err := os.Stat(z.Path + ".jnl"); err == nil {
		fail(z.Place, what, errors.New("there is a journal "+z.File+".jnl: changes may not be in the file yet; rndc sync -clean writes them"))
	}
	text, err := bindconf.ReadFile(z.Path)
	if err != nil {
		fail(z.Place, what, err)
		return
	}
	r := zonefile.NewReader(text, zonefile.Options{Name: z.File, Origin: z.Name, Include: func(name string) ([]byte, error) {
		return bindconf.ReadFile(c.loader.Path(name))
	}})
	type key struct {
		owner dnsname.Name
		typ   dns.Type
	}
	seen := map[string]bool{}       // owner, type and data, folded
	first := map[key][]int{}        // indices of the RRset's records
	kinds := map[dnsname.Name]int{} // 1 CNAME, 2 other data
	var last *Record
	group, soas := 0, 0
	var scratch []byte
	for rec, err := range r.All() {
		if err != nil {
			var e *zonefile.Error
			errors.As(err, &e)
			fail(e.File+":"+strconv.Itoa(e.Line), what, e.Err)
			z.Records = nil
			return
		}
		place := rec.File + ":" + strconv.Itoa(rec.Line)
		n := Record{Owner: dnsname.Name(rec.Owner), TTL: rec.TTL, Type: rec.Type, File: rec.File, Line: rec.Line, Generated: rec.Generated}
		line := func() string {
			return n.Owner.String() + " " + n.Type.String() + " " + string(rdata.AppendText(nil, n.Type, rec.Data))
		}
		if !dnsname.IsBelow(rec.Owner, z.Name) {
			c.Notes = append(c.Notes, Note{place, line(), "outside of " + z.Name.String() + ": named ignores it", false})
			continue
		}
		low := n.Owner.Lower()
		if n.Type == dns.TypeSOA {
			soas++
			if !dnsname.Equal(n.Owner, z.Name) {
				fail(place, line(), errors.New("SOA not at the top of the zone: named refuses the zone"))
				z.Records = nil
				return
			}
			if soas > 1 {
				fail(place, line(), errors.New("second SOA: named refuses the zone"))
				z.Records = nil
				return
			}
		}
		scratch = append(append(scratch[:0], low...), byte(n.Type>>8), byte(n.Type))
		scratch = foldNames(scratch, n.Type, rec.Data)
		if seen[string(scratch)] {
			c.Notes = append(c.Notes, Note{place, line(), "the same record again: named keeps one", false})
			continue
		}
		seen[string(scratch)] = true
		kind := 2
		switch n.Type {
		case dns.TypeCNAME:
			kind = 1
			if kinds[low]&1 != 0 {
				fail(place, line(), errors.New("second CNAME: named refuses the zone"))
				z.Records = nil
				return
			}
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3, dns.TypeKEY, dns.TypeSIG, dns.TypeNXT: // RFC 4034, section 2.5: may stand beside a CNAME
			kind = 0
		}
		if kinds[low] |= kind; kinds[low] == 3 {
			fail(place, line(), errors.New("CNAME and other data: named refuses the zone"))
			z.Records = nil
			return
		}
		if last == nil || n.Generated || last.Generated || last.File != n.File || !dnsname.Equal(last.Owner, n.Owner) {
			group++
		}
		n.group = group
		n.Data = append([]byte(nil), rec.Data...)
		z.Records = append(z.Records, n)
		last = &z.Records[len(z.Records)-1]
		first[key{low, n.Type}] = append(first[key{low, n.Type}], len(z.Records)-1)
	}
	if soas == 0 {
		fail(z.Place, what, errors.New("no SOA: named refuses the zone"))
		z.Records = nil
		return
	}
	// named gives an RRset one TTL (RFC 2181, section 5.2): that of the first
	// record of the last run of lines with this owner.
	for k, set := range first {
		if k.typ == dns.TypeRRSIG {
			continue // one RRset for each type covered
		}
		ttl, g := z.Records[set[0]].TTL, z.Records[set[0]].group
		for _, i := range set {
			if z.Records[i].group != g {
				ttl, g = z.Records[i].TTL, z.Records[i].group
			}
		}
		for _, i := range set {
			if n := &z.Records[i]; n.TTL != ttl {
				n.written, n.changed, n.TTL = n.TTL, true, ttl
			}
		}
	}
	for i := range z.Records {
		if n := &z.Records[i]; n.changed {
			c.Notes = append(c.Notes, Note{n.File + ":" + strconv.Itoa(n.Line), n.Owner.String() + " " + strconv.Itoa(int(n.written)) + " " + n.Type.String(),
				"named serves the whole RRset with TTL " + strconv.Itoa(int(n.TTL)) + " (RFC 2181, section 5.2), and so does the line", false})
		}
	}
}

// joinChildren takes out of each zone what lies in a child zone of the same
// view. The data language has one tree of names: the child's own NS records
// are the delegation, and named never shows the parent's copies either, but in
// a transfer of the parent. DS belong to the parent and stay.
func (c *Config) joinChildren(v *View) {
	for _, z := range v.Zones {
		var loaded []*Zone
		for _, o := range v.Zones {
			if len(o.Records) > 0 {
				loaded = append(loaded, o)
			}
		}
		tops := childTops(z, loaded)
		if len(tops) == 0 {
			continue
		}
		keep := z.Records[:0]
		for _, r := range z.Records {
			if !below(r.Owner, z.Name, tops) || r.Type == dns.TypeDS && tops[r.Owner.Lower()] {
				keep = append(keep, r)
				continue
			}
			c.Notes = append(c.Notes, Note{r.File + ":" + strconv.Itoa(r.Line), r.Owner.String() + " " + r.Type.String() + " " + string(rdata.AppendText(nil, r.Type, r.Data)),
				"named answers from the child zone, and so does the data file", false})
		}
		z.Records = keep
	}
}

// foldNames appends data with names in lower case, whatever the type.
func foldNames(dst []byte, t dns.Type, data []byte) []byte {
	at := len(dst)
	dst = append(dst, data...)
	rdata.Names(t, dst[at:], func(name []byte) { dnsname.Lower(name) })
	return dst
}
