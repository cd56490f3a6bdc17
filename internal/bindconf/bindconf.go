// Package bindconf reads named.conf: statements of words and blocks, with
// comments of all three styles and include, each statement with its file and
// line. What statements mean is the importer's business; acl.go knows how
// BIND's address match lists decide.
package bindconf

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Limits for mistaken input.
const (
	maxFile     = 64 << 20 // bytes of one file; 100,000 zones need about 10 MB
	maxFiles    = 10_000   // files in all
	maxInclude  = 16       // files open at a time
	maxNesting  = 32       // blocks in blocks
	maxWordText = 60       // bytes of a word that a message repeats
)

// Statement is words and blocks up to a semicolon.
type Statement struct {
	Parts []Part
	File  string
	Line  int
}

// Part is a word or a block.
type Part struct {
	Word    string
	Quoted  bool
	Block   []*Statement // meaningful when IsBlock
	IsBlock bool
}

// Name is the first word in lower case, "" if there is none.
func (s *Statement) Name() string { return strings.ToLower(s.Word(0)) }

// Word gives the i-th part if it is a word, else "".
func (s *Statement) Word(i int) string {
	if i < len(s.Parts) && !s.Parts[i].IsBlock {
		return s.Parts[i].Word
	}
	return ""
}

// Words gives all words.
func (s *Statement) Words() []string {
	var w []string
	for _, p := range s.Parts {
		if !p.IsBlock {
			w = append(w, p.Word)
		}
	}
	return w
}

// Block gives the first block, nil if there is none.
func (s *Statement) Block() []*Statement {
	for _, p := range s.Parts {
		if p.IsBlock {
			return p.Block
		}
	}
	return nil
}

// HasBlock reports whether there is one.
func (s *Statement) HasBlock() bool {
	return slices.ContainsFunc(s.Parts, func(p Part) bool { return p.IsBlock })
}

// Find gives the last statement named name in list, nil if there is none.
func Find(list []*Statement, name string) *Statement {
	for _, s := range slices.Backward(list) {
		if s.Name() == name {
			return s
		}
	}
	return nil
}

// Place is file:line.
func (s *Statement) Place() string { return s.File + ":" + strconv.Itoa(s.Line) }

// String is the statement in short, for lists: its words, blocks as { ... },
// or whole when they are short. Secrets are not shown.
func (s *Statement) String() string {
	if strings.EqualFold(s.Word(0), "secret") {
		return "secret ..."
	}
	var b strings.Builder
	for i, p := range s.Parts {
		if i > 0 {
			b.WriteByte(' ')
		}
		switch {
		case p.IsBlock:
			in := make([]string, 0, len(p.Block))
			for _, q := range p.Block {
				in = append(in, q.String()+";")
			}
			t := strings.Join(in, " ")
			if len(t) > maxWordText {
				t = "..."
			}
			b.WriteString("{ " + t + " }")
		case p.Quoted:
			b.WriteString(strconv.Quote(p.Word))
		default:
			b.WriteString(p.Word)
		}
	}
	return b.String()
}

// Error is a fault with its place.
type Error struct {
	File string
	Line int
	Err  error
}

func (e *Error) Error() string { return e.File + ":" + strconv.Itoa(e.Line) + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Loader reads configuration files.
type Loader struct {
	// Root is put before absolute names: for files of a named that runs in a
	// chroot, or of another machine's copy.
	Root string
	// Directory is where relative names are looked for: what "directory" of
	// options said so far, else the folder of the main file.
	Directory string

	files int
	depth int
	Files []string // all that were read, in order
}

// Path is where a name of the configuration lies for us.
func (l *Loader) Path(name string) string {
	if !filepath.IsAbs(name) {
		return filepath.Join(l.Directory, name)
	}
	return filepath.Join(l.Root, name)
}

// Load reads a file and all that it includes.
func (l *Loader) Load(name string) ([]*Statement, error) {
	if l.Directory == "" {
		l.Directory = filepath.Dir(l.Path(name))
	}
	return l.load(name)
}

func (l *Loader) load(name string) ([]*Statement, error) {
	if l.files++; l.files > maxFiles {
		return nil, errors.New("more than " + strconv.Itoa(maxFiles) + " files")
	}
	if l.depth++; l.depth > maxInclude {
		return nil, errors.New("include more than " + strconv.Itoa(maxInclude) + " files deep")
	}
	defer func() { l.depth-- }()
	path := name
	if filepath.IsAbs(name) || l.depth > 1 {
		path = l.Path(name)
	}
	text, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	l.Files = append(l.Files, path)
	p := parser{l: l, file: name, text: text, line: 1}
	list, err := p.list(0)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			err = &Error{name, p.line, err}
		}
		return nil, err
	}
	return list, nil
}

// ReadFile reads a whole regular file of bounded size.
func ReadFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, errors.New(path + ": not a regular file")
	}
	if st.Size() > maxFile*16 {
		return nil, errors.New(path + ": too large")
	}
	return os.ReadFile(path)
}

type parser struct {
	l    *Loader
	file string
	text []byte
	at   int
	line int
}

// token kinds
const (
	tEOF = iota
	tWord
	tQuoted
	tOpen
	tClose
	tSemicolon
)

func (p *parser) skip() error {
	for p.at < len(p.text) {
		rest := p.text[p.at:]
		switch {
		case rest[0] == '\n':
			p.line++
			p.at++
		case rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\r':
			p.at++
		case rest[0] == '#' || len(rest) > 1 && rest[0] == '/' && rest[1] == '/':
			for p.at < len(p.text) && p.text[p.at] != '\n' {
				p.at++
			}
		case len(rest) > 1 && rest[0] == '/' && rest[1] == '*':
			from := p.line
			for p.at += 2; ; p.at++ {
				if p.at+1 >= len(p.text) {
					p.line = from
					return errors.New("comment not closed")
				}
				if p.text[p.at] == '\n' {
					p.line++
				}
				if p.text[p.at] == '*' && p.text[p.at+1] == '/' {
					break
				}
			}
			p.at += 2
		default:
			return nil
		}
	}
	return nil
}

func (p *parser) token() (kind int, word string, err error) {
	if err := p.skip(); err != nil {
		return 0, "", err
	}
	if p.at == len(p.text) {
		return tEOF, "", nil
	}
	c := p.text[p.at]
	switch c {
	case '{':
		p.at++
		return tOpen, "", nil
	case '}':
		p.at++
		return tClose, "", nil
	case ';':
		p.at++
		return tSemicolon, "", nil
	case '!': // may touch what it negates
		p.at++
		return tWord, "!", nil
	case '"':
		var b []byte
		for p.at++; ; p.at++ {
			if p.at == len(p.text) || p.text[p.at] == '\n' {
				return 0, "", errors.New("quotes not closed before the end of the line")
			}
			c := p.text[p.at]
			if c == '"' {
				p.at++
				return tQuoted, string(b), nil
			}
			if c == '\\' && p.at+1 < len(p.text) && p.text[p.at+1] == '"' {
				p.at++
				c = '"'
			}
			b = append(b, c)
		}
	}
	from := p.at
	for p.at < len(p.text) {
		c := p.text[p.at]
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '{' || c == '}' || c == ';' || c == '"' || c == '#' {
			break
		}
		if c == '/' && p.at+1 < len(p.text) && (p.text[p.at+1] == '/' || p.text[p.at+1] == '*') {
			break
		}
		p.at++
	}
	return tWord, string(p.text[from:p.at]), nil
}

// list reads statements up to the closing brace, or the end of the file at
// nesting 0.
func (p *parser) list(nesting int) ([]*Statement, error) {
	if nesting > maxNesting {
		return nil, errors.New("blocks nested too deeply")
	}
	out := []*Statement{}
	var s *Statement
	for {
		kind, word, err := p.token()
		if err != nil {
			return nil, err
		}
		if s == nil && (kind == tWord || kind == tQuoted || kind == tOpen) {
			s = &Statement{File: p.file, Line: p.line}
		}
		switch kind {
		case tEOF:
			if nesting > 0 {
				return nil, errors.New("} missing at the end of the file")
			}
			if s != nil {
				return nil, &Error{s.File, s.Line, errors.New("; missing after " + cut(s.String()))}
			}
			return out, nil
		case tWord, tQuoted:
			s.Parts = append(s.Parts, Part{Word: word, Quoted: kind == tQuoted})
		case tOpen:
			b, err := p.list(nesting + 1)
			if err != nil {
				return nil, err
			}
			s.Parts = append(s.Parts, Part{Block: b, IsBlock: true})
		case tClose:
			if nesting == 0 {
				return nil, errors.New("} without {")
			}
			if s != nil {
				return nil, &Error{s.File, s.Line, errors.New("; missing after " + cut(s.String()))}
			}
			return out, nil
		case tSemicolon:
			if s == nil {
				continue // an empty statement
			}
			if s.Name() == "include" && len(s.Parts) == 2 {
				more, err := p.include(s)
				if err != nil {
					return nil, err
				}
				out = append(out, more...)
			} else {
				out = append(out, s)
				p.directory(s)
			}
			s = nil
		}
	}
}

// directory follows "directory" as soon as its options are complete, as named
// does.
func (p *parser) directory(s *Statement) {
	if s.Name() != "options" {
		return
	}
	if d := Find(s.Block(), "directory"); d != nil && d.Word(1) != "" {
		p.l.Directory = p.l.Path(d.Word(1))
	}
}

// include reads the file or, with wildcards, the files that s names.
func (p *parser) include(s *Statement) ([]*Statement, error) {
	name := s.Word(1)
	names := []string{name}
	if strings.ContainsAny(name, "*?[") {
		found, err := filepath.Glob(p.l.Path(name))
		if err != nil {
			return nil, &Error{s.File, s.Line, err}
		}
		names = names[:0]
		for _, f := range found {
			if p.l.Root != "" {
				if rel, err := filepath.Rel(p.l.Root, f); err == nil {
					f = "/" + rel
				}
			}
			names = append(names, f)
		}
	}
	var out []*Statement
	for _, n := range names {
		more, err := p.l.load(n)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				err = &Error{s.File, s.Line, err}
			}
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

func cut(s string) string {
	if len(s) > maxWordText {
		return s[:maxWordText] + "..."
	}
	return s
}
