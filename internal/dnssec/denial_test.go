package dnssec

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
)

// proofs reads records of a zone, separated by semicolons: NSEC in presentation
// form, or "NSEC3 FLAGS ITERATIONS HOW NAME TYPES", where the owner's hash and the
// next one are, HOW:
//
//	at     that of the name and the value after it
//	over   the values before and after that of the name
//	to     the value before that of the name and its own
//	last   the value before it, and the lowest: the chain wraps
//	first  the highest, and the value after it: the chain wraps
//	alone  both that of the name: a chain of one record
func proofs(t testing.TB, zone dnsname.Name, text string) *Denial {
	t.Helper()
	d := &Denial{Zone: zone}
	for _, line := range strings.Split(text, ";") {
		f := strings.Fields(line)
		switch {
		case len(f) == 0:
		case f[0] == "NSEC3":
			number := func(s string) int {
				n, err := strconv.Atoi(s)
				if err != nil {
					t.Fatal(line)
				}
				return n
			}
			n := number(f[2])
			h := HashName(nm(f[4]), nil, uint16(n))
			owner, next := h, h
			switch f[3] {
			case "at":
				add(&next, 1)
			case "over":
				add(&owner, -1)
				add(&next, 1)
			case "to":
				add(&owner, -1)
			case "last":
				add(&owner, -1)
				next = Hash{}
			case "first":
				owner = Hash(bytes.Repeat([]byte{255}, len(owner)))
				add(&next, 1)
			case "alone":
			default:
				t.Fatal(line)
			}
			data := []byte{1, byte(number(f[1])), byte(n >> 8), byte(n), 0, byte(len(next))}
			data = append(data, next[:]...)
			var types []dns.Type
			for _, s := range f[5:] {
				ty, ok := dns.ParseType(s)
				if !ok {
					t.Fatal(line)
				}
				types = append(types, ty)
			}
			d.Add(&RRset{Name: dnsname.Name(append(owner.AppendLabel(nil), zone...)), Type: dns.TypeNSEC3, Data: [][]byte{AppendBitmap(data, types)}})
		default:
			r := rr(t, line)
			d.Add(&RRset{Name: r.Name, Type: r.Type, Data: [][]byte{r.Data}})
		}
	}
	return d
}

// add counts a hash one up or down.
func add(h *Hash, by int) {
	for i := len(h) - 1; i >= 0; i-- {
		h[i] += byte(by)
		if by > 0 && h[i] != 0 || by < 0 && h[i] != 255 {
			return
		}
	}
}

// What records that are all rightly signed prove, and what they do not: each row
// is a question "NXDOMAIN NAME", "NODATA NAME TYPE", "WILDCARD NAME LABELS" (the
// signature's count) or "NODS NAME", and what comes of it.
func TestDenial(t *testing.T) {
	bad := unproved(ReasonBadDenial)
	is, name := unproved(ReasonTypeExists), unproved(ReasonNameExists)
	wild := unproved(ReasonWildcardNotProved)
	optOut := Proof{Insecure, ReasonOptOut}
	many := Proof{Insecure, ReasonIterations}
	for _, c := range []struct {
		what, records, ask string
		want               Proof
		cut                Delegation
	}{
		{"nothing", "", "NXDOMAIN b.x.", unproved(ReasonNoDenial), 0},
		{"gap and wildcard", "x. NSEC a.x. SOA; a.x. NSEC c.x. A", "NXDOMAIN b.x.", proved, 0},
		{"one record for both", "x. NSEC c.x. SOA", "NXDOMAIN b.x.", proved, 0},
		{"no proof for the wildcard", "a.x. NSEC c.x. A", "NXDOMAIN b.x.", bad, 0},
		{"the wildcard exists", "*.x. NSEC a.x. A; a.x. NSEC c.x. A", "NXDOMAIN b.x.", name, 0},
		{"the wildcard exists, says one of two chains", "x. NSEC a.x. SOA; *.x. NSEC a.x. A; a.x. NSEC c.x. A", "NXDOMAIN b.x.", name, 0},
		// RFC 4592, section 2.2.2
		{"the wildcard is an empty non-terminal", "x. NSEC a.*.x. SOA; a.x. NSEC c.x. A", "NXDOMAIN b.x.", bad, 0},
		{"the name exists", "x. NSEC b.x. SOA; b.x. NSEC c.x. A", "NXDOMAIN b.x.", name, 0},
		{"the name is the next", "x. NSEC b.x. SOA", "NXDOMAIN b.x.", bad, 0},
		{"the name is an empty non-terminal", "x. NSEC a.b.x. SOA", "NXDOMAIN b.x.", bad, 0},
		{"the last record", "x. NSEC a.x. SOA; a.x. NSEC x. A", "NXDOMAIN b.x.", proved, 0},
		{"not the last record", "x. NSEC a.x. SOA; a.x. NSEC aa.x. A", "NXDOMAIN b.x.", bad, 0},
		{"the gap is before", "x. NSEC a.x. SOA; c.x. NSEC d.x. A", "NXDOMAIN b.x.", bad, 0},
		// RFC 6840, section 4.1
		{"the parent about names below a cut", "x. NSEC b.x. SOA; b.x. NSEC c.x. NS", "NXDOMAIN a.b.x.", bad, 0},
		{"the zone about names below a DNAME", "x. NSEC b.x. SOA; b.x. NSEC c.x. DNAME", "NXDOMAIN a.b.x.", bad, 0},
		{"the apex is no cut", "x. NSEC c.x. NS SOA", "NXDOMAIN a.b.x.", proved, 0},
		{"a cut beside the name", "x. NSEC a.x. SOA; a.x. NSEC c.x. NS", "NXDOMAIN b.x.", proved, 0},
		// the zone's words end with the zone
		{"the last record about a sibling of the zone", "z.x. NSEC x. A", "NODS y.", bad, 0},
		{"the same for an expansion", "z.x. NSEC x. A", "WILDCARD y. 0", wild, 0},
		{"an owner outside the zone", "a. NSEC x. A", "NODS b.x.", unproved(ReasonNoDenial), 0},
		{"a next name outside the zone", "z.x. NSEC z. A", "NODS zz.x.", unproved(ReasonNoDenial), 0},

		{"the type is not there", "b.x. NSEC c.x. A", "NODATA b.x. AAAA", proved, 0},
		{"the type is there", "b.x. NSEC c.x. A", "NODATA b.x. A", is, 0},
		{"an alias is there", "b.x. NSEC c.x. CNAME", "NODATA b.x. A", is, 0},
		{"no alias is there", "b.x. NSEC c.x. A", "NODATA b.x. CNAME", proved, 0},
		{"not even the alias asked for", "b.x. NSEC c.x. CNAME", "NODATA b.x. CNAME", is, 0},
		// RFC 6840, section 4.1; RFC 4035, section 3.1.4.1
		{"a cut about types of the child", "b.x. NSEC c.x. NS", "NODATA b.x. A", bad, 0},
		{"a cut about DS", "b.x. NSEC c.x. NS", "NODATA b.x. DS", proved, 0},
		{"the apex about DS", "x. NSEC c.x. NS SOA", "NODATA x. DS", bad, 0},
		{"the apex about DS, without saying that it is one", "x. NSEC c.x. A", "NODATA x. DS", bad, 0},
		// RFC 6840, section 4.4: whoever else puts a SOA there
		{"another apex about DS", "b.x. NSEC c.x. NS SOA", "NODATA b.x. DS", bad, 0},
		{"the root's DS", ". NSEC a. NS SOA", "NODATA . DS", proved, 0},
		{"ANY of something", "b.x. NSEC c.x. A RRSIG NSEC", "NODATA b.x. ANY", is, 0},
		{"ANY of nothing but the proof", "b.x. NSEC c.x. RRSIG NSEC", "NODATA b.x. ANY", proved, 0},
		// RFC 9824, section 3.1
		{"ANY of a compact denial", `b.x. NSEC \000.b.x. RRSIG NSEC NXNAME`, "NODATA b.x. ANY", proved, 0},
		{"an empty non-terminal", "x. NSEC a.b.x. SOA", "NODATA b.x. A", proved, 0},
		{"one below a cut", "b.x. NSEC a.c.b.x. NS", "NODATA c.b.x. A", bad, 0},
		{"one below a DNAME", "b.x. NSEC a.c.b.x. DNAME", "NODATA c.b.x. A", bad, 0},
		{"a wildcard without the type", "*.x. NSEC a.x. MX; a.x. NSEC c.x. A", "NODATA b.x. A", proved, 0},
		{"a wildcard with the type", "*.x. NSEC a.x. A; a.x. NSEC c.x. A", "NODATA b.x. A", is, 0},
		{"a wildcard that is an alias", "*.x. NSEC a.x. CNAME; a.x. NSEC c.x. A", "NODATA b.x. A", is, 0},
		{"a wildcard and the name exists", "*.x. NSEC a.x. MX; a.x. NSEC b.x. A", "NODATA b.x. A", bad, 0},
		{"a wildcard of another encloser", "*.x. NSEC a.x. MX; a.x. NSEC c.b.x. A", "NODATA a.b.x. A", bad, 0},
		{"a wildcard that is an empty non-terminal", "x. NSEC a.*.x. SOA; a.x. NSEC c.x. A", "NODATA b.x. A", proved, 0},
		{"no wildcard", "x. NSEC a.x. SOA; a.x. NSEC c.x. A", "NODATA b.x. A", bad, 0},

		// RFC 4035, section 5.3.4
		{"expanded", "a.x. NSEC c.x. A", "WILDCARD b.x. 1", proved, 0},
		{"expanded by two labels", "a.x. NSEC c.x. A", "WILDCARD a.b.x. 1", proved, 0},
		{"expanded where the name exists", "b.x. NSEC c.x. A", "WILDCARD b.x. 1", wild, 0},
		{"expanded below a name that exists", "b.x. NSEC c.x. A", "WILDCARD a.b.x. 1", wild, 0},
		{"expanded below an empty non-terminal", "a.x. NSEC c.b.x. A", "WILDCARD a.b.x. 1", wild, 0},
		{"expanded at an empty non-terminal", "a.x. NSEC c.b.x. A", "WILDCARD b.x. 1", wild, 0},
		{"expanded from a wildcard whose parent is denied", "a.x. NSEC c.x. A", "WILDCARD a.b.x. 2", wild, 0},
		{"expanded below a cut", "b.x. NSEC c.x. NS", "WILDCARD a.b.x. 2", wild, 0},
		{"not expanded", "a.x. NSEC c.x. A", "WILDCARD b.x. 2", unproved(ReasonSignatureLabels), 0},

		{"no DS at a cut", "b.x. NSEC c.x. NS RRSIG NSEC", "NODS b.x.", proved, DelegationInsecure},
		{"DS at a cut", "b.x. NSEC c.x. NS DS", "NODS b.x.", is, DelegationUnknown},
		// RFC 6840, section 4.4: without the NS bit there is no delegation
		{"no cut", "b.x. NSEC c.x. A", "NODS b.x.", proved, NoDelegation},
		{"an alias", "b.x. NSEC c.x. CNAME", "NODS b.x.", proved, NoDelegation},
		{"an alias with DS", "b.x. NSEC c.x. CNAME DS", "NODS b.x.", is, DelegationUnknown},
		{"another apex", "b.x. NSEC c.x. NS SOA", "NODS b.x.", bad, DelegationUnknown},
		{"the zone's apex", "x. NSEC c.x. NS", "NODS x.", bad, DelegationUnknown},
		{"the root", ". NSEC a. NS SOA", "NODS .", bad, DelegationUnknown},
		{"an empty non-terminal", "x. NSEC a.b.x. SOA", "NODS b.x.", proved, NoDelegation},
		{"one below a cut", "b.x. NSEC a.c.b.x. NS", "NODS c.b.x.", bad, DelegationUnknown},
		{"no name", "a.x. NSEC c.x. A", "NODS b.x.", proved, NoName},
		{"no name below a cut", "b.x. NSEC c.x. NS", "NODS a.b.x.", bad, DelegationUnknown},

		// RFC 5155, sections 8.3 and 8.4
		{"encloser, gap, wildcard", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.; NSEC3 0 0 over *.x.", "NXDOMAIN a.b.x.", proved, 0},
		{"no gap below a nearer encloser", "NSEC3 0 0 at b.x. A; NSEC3 0 0 over *.b.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"a name of the gap exists, says one of two chains", "NSEC3 0 0 at c.x. A; NSEC3 0 0 at b.c.x. A; NSEC3 0 0 over b.c.x.; NSEC3 0 0 over *.c.x.", "NXDOMAIN a.b.c.x.", bad, 0},
		{"no encloser", "NSEC3 0 0 over b.x.; NSEC3 0 0 over *.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"no gap", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over *.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"the gap is not that of the next closer name", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over a.b.x.; NSEC3 0 0 over *.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"no proof for the wildcard", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.", "NXDOMAIN b.x.", bad, 0},
		{"the wildcard exists", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.; NSEC3 0 0 at *.x. A", "NXDOMAIN b.x.", name, 0},
		{"the wildcard exists, says one of two chains", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.; NSEC3 0 0 at *.x. A; NSEC3 0 0 over *.x.", "NXDOMAIN b.x.", name, 0},
		{"the wildcard of another encloser", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.; NSEC3 0 0 over *.b.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"the name exists", "NSEC3 0 0 at b.x. A; NSEC3 0 0 over *.b.x.", "NXDOMAIN b.x.", name, 0},
		{"the next closer name begins the gap", "NSEC3 0 0 at x. SOA; NSEC3 0 0 at b.x. A; NSEC3 0 0 over *.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"the next closer name ends the gap", "NSEC3 0 0 at x. SOA; NSEC3 0 0 to b.x.; NSEC3 0 0 over *.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"the last gap", "NSEC3 0 0 at x. SOA; NSEC3 0 0 last b.x.; NSEC3 0 0 over *.x.", "NXDOMAIN b.x.", proved, 0},
		{"the last gap, begun by the name after the highest", "NSEC3 0 0 at x. SOA; NSEC3 0 0 first b.x.; NSEC3 0 0 over *.x.", "NXDOMAIN b.x.", proved, 0},
		{"a chain of one record", "NSEC3 0 0 alone x. SOA", "NXDOMAIN a.b.x.", proved, 0},
		{"the parent about names below a cut", "NSEC3 0 0 at b.x. NS; NSEC3 0 0 over a.b.x.; NSEC3 0 0 over *.b.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"the zone about names below a DNAME", "NSEC3 0 0 at b.x. DNAME; NSEC3 0 0 over a.b.x.; NSEC3 0 0 over *.b.x.", "NXDOMAIN a.b.x.", bad, 0},
		{"the apex is no cut", "NSEC3 0 0 at x. NS SOA; NSEC3 0 0 over b.x.; NSEC3 0 0 over *.x.", "NXDOMAIN b.x.", proved, 0},
		// RFC 5155, section 9.2
		{"opt-out", "NSEC3 0 0 at x. SOA; NSEC3 1 0 over b.x.; NSEC3 0 0 over *.x.", "NXDOMAIN b.x.", optOut, 0},
		{"opt-out at the wildcard", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.; NSEC3 1 0 over *.x.", "NXDOMAIN b.x.", proved, 0},
		// RFC 5155, section 8.2
		{"unknown flags", "NSEC3 2 0 alone x. SOA", "NXDOMAIN b.x.", unproved(ReasonNoDenial), 0},
		{"unknown flags beside opt-out", "NSEC3 3 0 alone x. SOA", "NXDOMAIN b.x.", unproved(ReasonNoDenial), 0},
		{"outside the zone", "NSEC3 0 0 alone x. SOA", "NXDOMAIN y.", bad, 0},
		{"outside the zone, expanded", "NSEC3 0 0 alone x. SOA", "WILDCARD b.y. 1", bad, 0},
		// RFC 9276, section 3.2
		{"iterations at the limit", "NSEC3 0 150 alone x. SOA", "NXDOMAIN b.x.", proved, 0},
		{"too many iterations", "NSEC3 0 151 alone x. SOA", "NXDOMAIN b.x.", many, 0},
		{"too many iterations of one record before another", "NSEC3 0 151 alone b.x. SOA; NSEC3 0 0 alone x. SOA", "NXDOMAIN b.x.", proved, 0},
		{"too many iterations of one record after another", "NSEC3 0 0 alone x. SOA; NSEC3 0 151 alone b.x. SOA", "NXDOMAIN b.x.", proved, 0},

		// RFC 5155, sections 8.5 to 8.7
		{"the type is not there", "NSEC3 0 0 at b.x. A", "NODATA b.x. AAAA", proved, 0},
		{"the type is there", "NSEC3 0 0 at b.x. A", "NODATA b.x. A", is, 0},
		{"ANY of something", "NSEC3 0 0 at b.x. A RRSIG", "NODATA b.x. ANY", is, 0},
		{"ANY of an empty non-terminal", "NSEC3 0 0 at b.x.", "NODATA b.x. ANY", proved, 0},
		{"a cut about types of the child", "NSEC3 0 0 at b.x. NS", "NODATA b.x. A", bad, 0},
		{"a cut about DS", "NSEC3 0 0 at b.x. NS", "NODATA b.x. DS", proved, 0},
		{"the apex about DS", "NSEC3 0 0 at x. NS SOA", "NODATA x. DS", bad, 0},
		{"the apex about DS, without saying that it is one", "NSEC3 0 0 at x. A", "NODATA x. DS", bad, 0},
		{"the root's DS", "NSEC3 0 0 at . NS SOA", "NODATA . DS", proved, 0},
		{"another apex about DS", "NSEC3 0 0 at b.x. NS SOA", "NODATA b.x. DS", bad, 0},
		{"a wildcard without the type", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.; NSEC3 0 0 at *.x. MX", "NODATA b.x. A", proved, 0},
		{"a wildcard with the type", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.; NSEC3 0 0 at *.x. A", "NODATA b.x. A", is, 0},
		{"a wildcard without the type, opt-out", "NSEC3 0 0 at x. SOA; NSEC3 1 0 over b.x.; NSEC3 0 0 at *.x. MX", "NODATA b.x. A", optOut, 0},
		{"no wildcard", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.; NSEC3 0 0 over *.x.", "NODATA b.x. A", bad, 0},
		{"no wildcard, opt-out", "NSEC3 0 0 at x. SOA; NSEC3 1 0 over b.x.; NSEC3 0 0 over *.x.", "NODATA b.x. A", optOut, 0},

		// RFC 5155, section 8.8
		{"expanded", "NSEC3 0 0 over b.x.", "WILDCARD a.b.x. 1", proved, 0},
		{"expanded by another gap", "NSEC3 0 0 over a.b.x.", "WILDCARD a.b.x. 1", wild, 0},
		{"expanded below a name that begins the gap", "NSEC3 0 0 at b.x. A", "WILDCARD a.b.x. 1", wild, 0},
		{"expanded below a name that ends the gap", "NSEC3 0 0 to b.x.", "WILDCARD a.b.x. 1", wild, 0},
		{"expanded below the one name of a chain", "NSEC3 0 0 alone b.x.", "WILDCARD a.b.x. 1", wild, 0},
		{"expanded under opt-out", "NSEC3 1 0 over b.x.", "WILDCARD b.x. 1", optOut, 0},
		{"not expanded", "NSEC3 0 0 over b.x.", "WILDCARD b.x. 2", unproved(ReasonSignatureLabels), 0},

		// RFC 5155, sections 8.6 and 8.9
		{"no DS at a cut", "NSEC3 0 0 at b.x. NS", "NODS b.x.", proved, DelegationInsecure},
		{"DS at a cut", "NSEC3 0 0 at b.x. NS DS", "NODS b.x.", is, DelegationUnknown},
		{"no cut", "NSEC3 0 0 at b.x. A", "NODS b.x.", proved, NoDelegation},
		{"an alias", "NSEC3 0 0 at b.x. CNAME", "NODS b.x.", proved, NoDelegation},
		{"an alias with DS", "NSEC3 0 0 at b.x. CNAME DS", "NODS b.x.", is, DelegationUnknown},
		{"another apex", "NSEC3 0 0 at b.x. NS SOA", "NODS b.x.", bad, DelegationUnknown},
		{"the zone's apex", "NSEC3 0 0 at x. NS", "NODS x.", bad, DelegationUnknown},
		{"no name", "NSEC3 0 0 at x. SOA; NSEC3 0 0 over b.x.", "NODS b.x.", proved, NoName},
		{"no name or an unsigned cut", "NSEC3 0 0 at x. SOA; NSEC3 1 0 over b.x.", "NODS b.x.", optOut, DelegationInsecure},
		{"outside the zone", "NSEC3 1 0 over y.", "NODS y.", bad, DelegationUnknown},
		{"no encloser", "NSEC3 1 0 over b.x.", "NODS b.x.", bad, DelegationUnknown},
		{"too many iterations", "NSEC3 0 151 at b.x. A", "NODS b.x.", many, DelegationInsecure},

		// while a zone changes from one to the other
		{"NSEC that says nothing beside NSEC3", "x. NSEC a.x. SOA; NSEC3 0 0 alone x. SOA", "NXDOMAIN b.x.", proved, 0},
		{"NSEC beside NSEC3 that says nothing", "x. NSEC c.x. SOA; NSEC3 0 0 at b.x. A", "NXDOMAIN b.x.", proved, 0},
		{"no DS by NSEC beside NSEC3 with too many iterations", "b.x. NSEC c.x. A; NSEC3 0 151 at b.x. A", "NODS b.x.", proved, NoDelegation},
	} {
		f := strings.Fields(c.ask)
		zone := nm("x.")
		if strings.HasPrefix(c.records, ". ") || strings.Contains(c.records, " at . ") {
			zone = dnsname.Root
		}
		d := proofs(t, zone, c.records)
		b := NewBudget()
		var got Proof
		var cut Delegation
		switch n := nm(f[1]); f[0] {
		case "NXDOMAIN":
			got = d.NXDomain(n, &b)
		case "NODATA":
			ty, _ := dns.ParseType(f[2])
			got = d.NoData(n, ty, &b)
		case "WILDCARD":
			labels, _ := strconv.Atoi(f[2])
			got = d.Wildcard(n, labels, &b)
		case "NODS":
			cut, got = d.NoDS(n, &b)
		}
		if got != c.want || cut != c.cut {
			t.Errorf("%s: %s with %s: %v, %q, %d; want %v, %q, %d", c.what, c.ask, c.records, got.Status, got.Reason, cut, c.want.Status, c.want.Reason, c.cut)
		}
	}
}

// What is no NSEC3 record of the zone (RFC 5155, sections 3.2, 8.1 and 8.2).
func TestParseNSEC3(t *testing.T) {
	zone, h := nm("x."), HashName(nm("x."), nil, 0)
	owner := dnsname.Name(append(h.AppendLabel(nil), zone...))
	good := append([]byte{1, 0, 0, 0, 1, 7, 20}, AppendBitmap(h[:], []dns.Type{dns.TypeA})...)
	change := func(i int, to byte) []byte {
		d := bytes.Clone(good)
		d[i] = to
		return d
	}
	for _, c := range []struct {
		what  string
		owner dnsname.Name
		data  []byte
		ok    bool
	}{
		{"a good one", owner, good, true},
		{"letter case", dnsname.Name(strings.ToUpper(string(owner[:33]))) + zone, good, true},
		{"opt-out", owner, change(1, 1), true},
		{"an unknown hash algorithm", owner, change(0, 2), false},
		{"no hash algorithm", owner, change(0, 0), false},
		{"an unknown flag", owner, change(1, 2), false},
		{"the highest flag", owner, change(1, 0x80), false},
		{"a hash of another length", owner, change(6, 19), false},
		{"cut short in the hash", owner, good[:7+19], false},
		{"without types", owner, good[:7+20], true},
		{"a bit map cut short", owner, good[:len(good)-1], false},
		{"two labels below the apex", owner[:33] + nm("a.x."), good, false},
		{"in another zone", owner[:33] + nm("y."), good, false},
		{"of a zone above", owner[:33] + dnsname.Root, good, false},
		{"an owner that is no hash", nm("www.x."), good, false},
		{"a digit that is none", dnsname.Name("\x20w") + owner[2:], good, false},
	} {
		if _, ok := ParseNSEC3(c.owner, c.data, zone); ok != c.ok {
			t.Errorf("%s: %v, want %v", c.what, ok, c.ok)
		}
	}
}

// Records beyond the limit are not looked at, be they of many RRsets or of one.
func TestManyDenialRecords(t *testing.T) {
	for _, c := range []struct {
		before int // records before the one that proves
		want   Proof
	}{{11, proved}, {12, unproved(ReasonBadDenial)}} {
		var text string
		one := &RRset{Name: nm("a.x."), Type: dns.TypeNSEC}
		for i := range c.before {
			text += fmt.Sprintf("a%d.x. NSEC a%d.x. A;", i, i+100)
			one.Data = append(one.Data, rr(t, "a.x. NSEC aa.x. A").Data)
		}
		d := proofs(t, nm("x."), text+"x. NSEC c.x. SOA")
		if got := d.NXDomain(nm("b.x."), nil); got != c.want {
			t.Errorf("%d RRsets before: %v, %q", c.before, got.Status, got.Reason)
		}
		one.Data = append(one.Data, rr(t, "a.x. NSEC c.x. A").Data)
		d = &Denial{Zone: nm("x.")}
		d.Add(one)
		if what, _ := d.NoDS(nm("b.x."), nil); (what == NoName) != (c.want == proved) {
			t.Errorf("%d records of one RRset before: %v", c.before, what)
		}
	}
}

// Each hash is paid for by what it costs, salt and iterations included, and none
// twice; where the budget ends nothing is proved.
func TestHashBudget(t *testing.T) {
	for _, c := range []struct {
		salt, iterations int
		cost             int // of one hash of a short name (RFC 5155, section 5): blocks of 64 with 9 bytes of padding
	}{{0, 0, 1}, {8, 0, 1}, {64, 0, 2}, {0, 150, 151}, {255, 150, 5 * 151}} {
		zone := nm("x.")
		chain := NSEC3Chain(zone, []Node{{Name: zone}}, NSEC3Params{Iterations: uint16(c.iterations), Salt: make([]byte, c.salt)}, 300)
		// the name, the apex, the next closer name again, and the wildcard
		for left, want := range map[int]Proof{3 * c.cost: proved, 3*c.cost - 1: unproved(ReasonBudget)} {
			d := &Denial{Zone: zone}
			d.Add(&chain[0])
			b := Budget{Blocks: left}
			if got := d.NXDomain(nm("b.x."), &b); got != want || b.Blocks != 0 {
				t.Errorf("%d bytes of salt, %d iterations, %d blocks: %v, %q, %d left", c.salt, c.iterations, left, got.Status, got.Reason, b.Blocks)
			}
		}
	}
}
