// Package bindimport brings the zones of a BIND installation into the data
// language, proves that the new server answers what the old one does, and
// replays recorded queries against both.
//
//	import.go      named.conf -> zones of views, list of what is not carried over
//	statements.go  the fate of each statement
//	zone.go        a zone's files -> records, as named would serve them
//	lines.go       records -> data lines
//	rules.go       views -> % lines, allow-transfer -> tcp rules
//	compare.go     two answers -> equal, explained, different
//	verify.go      which questions to ask
//	ask.go         asking them
//	shadow.go      recorded queries: query logs and packet captures
//	report.go      text, JSON, page
package bindimport

import (
	"fmt"
	"slices"
	"strings"

	"bulkhead/internal/bindconf"
	"bulkhead/internal/dnsname"
)

// Note is a statement or a record that is not carried over as it stands.
type Note struct {
	Place  string // file:line
	What   string
	Reason string
	Lost   bool // false: the answers do not depend on it
}

// Zone is a primary zone of one view.
type Zone struct {
	Name  dnsname.Name
	View  *View
	Place string // of the zone statement
	File  string // as the configuration names it
	Path  string // where it lies

	transfer []bindconf.Element // who may transfer
	unsaid   bool               // nothing in the configuration says who
	Records  []Record
}

// View is a view, or the only one of a configuration without views.
type View struct {
	Name    string // "" without views
	Clients []bindconf.Element
	Lo      string // location of its records, "" for everybody
	Zones   []*Zone
}

// Config is a configuration read by Load.
type Config struct {
	Views []*View
	Notes []Note
	Files []string

	loader      *bindconf.Loader
	acls        bindconf.ACLs
	transferAny bool
	byName      map[string]*Zone // "view/zone" for in-view
}

// Options of Load.
type Options struct {
	Conf        string // named.conf
	Root        string // before absolute names
	TransferAny bool   // what no allow-transfer means: everybody (BIND before 9.20)
}

// Load reads the configuration and all zones.
func Load(o Options) (*Config, error) {
	c := &Config{loader: &bindconf.Loader{Root: o.Root}, acls: bindconf.ACLs{}, transferAny: o.TransferAny, byName: map[string]*Zone{}}
	top, err := c.loader.Load(o.Conf)
	if err != nil {
		return nil, err
	}
	c.Files = c.loader.Files
	for _, s := range top {
		if s.Name() == "acl" && s.HasBlock() {
			c.acls[strings.ToLower(s.Word(1))] = s.Block()
		}
	}
	options := bindconf.Find(top, "options")
	if options == nil {
		options = &bindconf.Statement{}
	}
	hasViews := bindconf.Find(top, "view") != nil
	if !hasViews {
		c.Views = []*View{{}}
	}
	c.fate(top, "")
	for _, s := range top {
		switch s.Name() {
		case "options":
			c.fate(s.Block(), "options")
		case "key":
			c.fateKey(s, top)
		case "masters", "primaries", "remote-servers":
			c.note(s, "a list of servers that nothing carried over uses", false)
		case "view":
			if err := c.view(s, options, top); err != nil {
				return nil, err
			}
		case "zone":
			if hasViews {
				c.note(s, "named ignores zones beside views", true)
				continue
			}
			c.zone(s, c.Views[0], nil, options)
		}
	}
	c.locate()
	for _, v := range c.Views {
		for _, z := range v.Zones {
			c.load(z)
		}
		c.joinChildren(v)
	}
	return c, nil
}

func (c *Config) note(s *bindconf.Statement, reason string, lost bool) {
	c.Notes = append(c.Notes, Note{s.Place(), s.String(), reason, lost})
}

// Lost counts what the answers depend on and is not carried over.
func (c *Config) Lost() int {
	n := 0
	for _, x := range c.Notes {
		if x.Lost {
			n++
		}
	}
	return n
}

// fate lists the statements of a block that nobody else handles.
func (c *Config) fate(list []*bindconf.Statement, block string) {
	for _, s := range list {
		name := s.Name()
		if carried[block][name] {
			continue
		}
		f, ok := fates[name]
		if !ok {
			c.note(s, "unknown to bind-import", true)
			continue
		}
		if w, ok := unlessNone[name]; ok && f.lost {
			if b := s.Block(); len(b) == 1 && strings.EqualFold(b[0].Word(0), w) || s.HasBlock() && len(b) == 0 {
				f = fate{false, "says what holds here anyway"}
			}
		}
		if w, ok := unlessWord[name]; ok && strings.EqualFold(s.Word(1), w) {
			f = fate{false, "says what holds here anyway"}
		}
		if name == "also-notify" && s.HasBlock() && len(s.Block()) == 0 {
			f = fate{false, "names nobody"}
		}
		c.note(s, f.reason, f.lost)
	}
}

// fateKey decides about a TSIG key: it matters when something names it.
func (c *Config) fateKey(key *bindconf.Statement, top []*bindconf.Statement) {
	used := false
	var walk func(list []*bindconf.Statement)
	walk = func(list []*bindconf.Statement) {
		for _, s := range list {
			if s == key || s.Name() == "controls" { // rndc's key is not DNS
				continue
			}
			for i, p := range s.Parts {
				if !p.IsBlock && strings.EqualFold(p.Word, "key") && strings.EqualFold(s.Word(i+1), key.Word(1)) {
					used = true
				}
				walk(p.Block)
			}
		}
	}
	walk(top)
	if used {
		c.note(key, "transfers and updates are not authenticated by keys here; where it is named its loss is listed", false)
	} else {
		c.note(key, "nothing but controls names it", false)
	}
}

func (c *Config) view(s *bindconf.Statement, options *bindconf.Statement, top []*bindconf.Statement) error {
	v := &View{Name: s.Word(1)}
	if w := s.Word(2); w != "" && !strings.EqualFold(w, "in") {
		c.note(s, "only class IN is served", true)
		return nil
	}
	if m := bindconf.Find(s.Block(), "match-clients"); m != nil {
		v.Clients = c.acls.Resolve(m.Block())
		c.inexpressible(m, v.Clients, "view")
	} else {
		v.Clients = []bindconf.Element{{Any: true}}
	}
	c.Views = append(c.Views, v)
	c.fate(s.Block(), "view")
	for _, z := range s.Block() {
		switch z.Name() {
		case "zone":
			c.zone(z, v, s, options)
		case "key":
			c.fateKey(z, top)
		}
	}
	return nil
}

// inexpressible notes the parts of an address match list that are no
// addresses.
func (c *Config) inexpressible(s *bindconf.Statement, list []bindconf.Element, what string) {
	keys, words := bindconf.Inexpressible(list)
	for _, k := range keys {
		c.Notes = append(c.Notes, Note{s.Place(), s.Name() + " key " + k, "keys do not decide about a " + what + " here; addresses do", true})
	}
	for _, w := range words {
		reason := "no address or network; write it as addresses"
		switch strings.ToLower(strings.TrimPrefix(w, "! ")) {
		case "localhost":
			reason = "named takes all addresses of its interfaces; write them as addresses"
		case "localnets":
			reason = "named takes the networks of its interfaces; write them as networks"
		}
		c.Notes = append(c.Notes, Note{s.Place(), s.Name() + " " + w, reason, true})
	}
}

// zone takes a zone statement of view v; vs is the view's statement or nil.
func (c *Config) zone(s *bindconf.Statement, v *View, vs, options *bindconf.Statement) {
	name, err := dnsname.ParseMaster(s.Word(1), "")
	if err != nil {
		c.note(s, "the zone's name is no domain name", true)
		return
	}
	if w := s.Word(2); w != "" && !strings.EqualFold(w, "in") {
		c.note(s, "only class IN is served", true)
		return
	}
	block := s.Block()
	var outer []*bindconf.Statement // view, then options
	if vs != nil {
		outer = vs.Block()
	}
	z := &Zone{Name: name, View: v, Place: s.Place()}
	key := func(view string) string { return view + "/" + string(name.Lower()) }
	if in := bindconf.Find(block, "in-view"); in != nil {
		from := c.byName[key(in.Word(1))]
		if from == nil {
			c.note(s, "in-view names a view without this zone", true)
			return
		}
		z.File, z.Path, z.transfer = from.File, from.Path, from.transfer
		v.Zones = append(v.Zones, z)
		c.fate(block, "zone")
		return
	}
	kind := ""
	if t := bindconf.Find(block, "type"); t != nil {
		kind = strings.ToLower(t.Word(1))
	}
	switch kind {
	case "primary", "master":
	case "hint":
		c.note(s, "dnscache knows the root servers", false)
		return
	case "secondary", "slave", "mirror":
		c.note(s, fates["primaries"].reason, true)
		return
	case "forward", "stub", "static-stub":
		c.note(s, byCache+"; name the zone's servers in its root/servers", true)
		return
	case "":
		c.note(s, "zone without type", true)
		return
	default:
		c.note(s, "zones of type "+kind+" are not served", true)
		return
	}
	c.fate(block, "zone")
	file := bindconf.Find(block, "file")
	if file == nil || file.Word(1) == "" {
		c.note(s, "zone without file", true)
		return
	}
	for _, list := range [][]*bindconf.Statement{block, outer, options.Block()} {
		if f := bindconf.Find(list, "masterfile-format"); f != nil {
			if !strings.EqualFold(f.Word(1), "text") {
				c.note(f, "only text is read: named-compilezone -f "+f.Word(1)+" -F text makes it", true)
				return
			}
			break
		}
	}
	z.File = file.Word(1)
	z.Path = c.loader.Path(z.File)
	found := false
	for _, list := range [][]*bindconf.Statement{block, outer, options.Block()} {
		if t := bindconf.Find(list, "allow-transfer"); t != nil {
			z.transfer = c.acls.Resolve(t.Block())
			if !slices.ContainsFunc(c.Notes, func(n Note) bool { return n.Place == t.Place() }) {
				c.inexpressible(t, z.transfer, "transfer")
			}
			found = true
			break
		}
	}
	if !found {
		z.unsaid = true
		if c.transferAny {
			z.transfer = []bindconf.Element{{Any: true}}
		} else {
			c.note(s, "no allow-transfer: BIND before 9.20 lets everybody transfer it, here nobody may; -anybody keeps it", false)
		}
	}
	c.byName[key(v.Name)] = z
	v.Zones = append(v.Zones, z)
}

// Summary counts what was carried over.
func (c *Config) Summary() string {
	zones, records := 0, 0
	for _, v := range c.Views {
		for _, z := range v.Zones {
			zones++
			records += len(z.Records)
		}
	}
	return fmt.Sprintf("%d zones, %d records", zones, records)
}
