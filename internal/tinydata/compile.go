package tinydata

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"strconv"
	"sync"

	"bulkhead/internal/cdb"
	"bulkhead/internal/dnsname"
)

// LineError is a bad line.
type LineError struct {
	Line   uint64 // from 1, comments and blank lines included
	Reason string
}

func (e *LineError) Error() string {
	return "unable to parse data line " + strconv.FormatUint(e.Line, 10) + ": " + e.Reason
}

// ReadError is trouble with the input, WriteError with the output.
type (
	ReadError  struct{ Err error }
	WriteError struct{ Err error }
)

func (e *ReadError) Error() string  { return "unable to read line: " + e.Err.Error() }
func (e *ReadError) Unwrap() error  { return e.Err }
func (e *WriteError) Error() string { return "unable to write: " + e.Err.Error() }
func (e *WriteError) Unwrap() error { return e.Err }

// chunkLen is how many bytes of text one processor parses at a time: large
// enough that handing over costs nothing, small enough that all chunks in
// flight fit into the processors' caches and memory stays small.
const chunkLen = 1 << 19

// maxLine bounds the memory that one line may take. The longest record that
// can be served is 64 KiB; 1.05 took anything that fitted into memory.
const maxLine = 1 << 30

// chunk is a piece of the input that ends with a line, on its way from the
// reader through a parser to the writer.
type chunk struct {
	text  []byte
	batch cdb.Batch
	lines uint64 // lines in text, or up to the bad one
	base  uint64 // where the batch begins in the file
	err   error
	done  chan struct{}
}

// Stats says what a compile has done so far.
type Stats struct {
	Lines, Bytes uint64 // of the input
	Records      uint64
}

// Watch is what a caller may look at while Compile works, and where it takes
// memory from; all may be nil.
type Watch struct {
	Memory cdb.Memory
	// Progress is called after every chunk.
	Progress func(Stats)
	// Records is called, by a goroutine of its own, with every batch in the
	// order of the file and the position where it begins there.
	Records func(base uint64, b *cdb.Batch)
}

// Compile reads the data language from r and adds its records to w, in order;
// it does not Finish. Chunks are parsed on all processors and written in
// order, so the result never depends on their number. The first bad line of
// the file is the error: a *LineError, or dnsname.ErrName alone where 1.05 gave
// no line.
func Compile(r io.Reader, w *cdb.Writer, serial uint32, watch Watch) (Stats, error) {
	workers := runtime.GOMAXPROCS(0)
	free := make(chan *chunk, 2*workers+1)
	for range cap(free) {
		c := &chunk{done: make(chan struct{}, 1)}
		if watch.Memory != nil {
			c.text = watch.Memory(chunkLen + chunkLen/4)[:0]
			c.batch.Use(watch.Memory, 2*chunkLen)
		}
		free <- c
	}
	work := make(chan *chunk, cap(free))
	ordered := make(chan *chunk, cap(free))
	stop := make(chan struct{})
	defer close(stop)

	go read(r, free, work, ordered, stop)
	prefixes := make([]PrefixSet, workers)
	for i := range workers {
		go func() {
			p := &Parser{Serial: serial}
			for c := range work {
				c.parse(p)
				prefixes[i] = p.Prefixes // before done: the writer may look afterwards
				c.done <- struct{}{}
			}
		}()
	}

	// A written chunk is watched, if at all, before it is used again.
	written := make(chan *chunk, cap(free))
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for c := range written {
			if watch.Records != nil {
				watch.Records(c.base, &c.batch)
			}
			free <- c
		}
	}()
	finish := sync.OnceFunc(func() { close(written); <-watched })
	defer finish()

	var stats Stats
	for c := range ordered {
		<-c.done
		stats.Lines += c.lines
		stats.Bytes += uint64(len(c.text))
		stats.Records += uint64(c.batch.Count())
		if c.err != nil {
			return stats, atLine(c.err, stats.Lines)
		}
		c.base = w.Pos()
		if err := w.Append(&c.batch); err != nil {
			return stats, &WriteError{err}
		}
		if watch.Progress != nil {
			watch.Progress(stats)
		}
		written <- c
	}
	finish()
	var all PrefixSet
	for i := range prefixes {
		all.Merge(&prefixes[i])
	}
	var last cdb.Batch
	if err := all.Add(&last); err != nil {
		return stats, err
	}
	base := w.Pos()
	if err := w.Append(&last); err != nil {
		return stats, &WriteError{err}
	}
	if watch.Records != nil {
		watch.Records(base, &last)
	}
	return stats, nil
}

// atLine puts the line number to a parser's error.
func atLine(err error, line uint64) error {
	var reason Reason
	if errors.As(err, &reason) {
		return &LineError{line, string(reason)}
	}
	return err
}

// read cuts the input into chunks. Every chunk goes to ordered; the parsers
// get it from work, unless it carries an error of the input.
func read(r io.Reader, free, work, ordered chan *chunk, stop chan struct{}) {
	defer close(ordered)
	defer close(work)
	var rest []byte // an unfinished line
	for {
		var c *chunk
		select {
		case c = <-free:
		case <-stop:
			return
		}
		c.err, c.lines = nil, 0
		c.batch.Reset()
		c.text = append(c.text[:0], rest...)
		var err error
		for {
			if len(c.text) > maxLine {
				err = cdb.ErrFull
				break
			}
			if want := len(c.text) + chunkLen; cap(c.text) < want {
				grown := make([]byte, len(c.text), max(want, 2*len(c.text)))
				copy(grown, c.text)
				c.text = grown
			}
			var n int
			n, err = r.Read(c.text[len(c.text):min(cap(c.text), len(c.text)+chunkLen)])
			c.text = c.text[:len(c.text)+n]
			if err != nil {
				break
			}
			if end := bytes.LastIndexByte(c.text[len(c.text)-n:], '\n'); end >= 0 {
				end += len(c.text) - n + 1
				rest = append(rest[:0], c.text[end:]...)
				c.text = c.text[:end]
				break
			}
		}
		if err != nil && err != io.EOF {
			// the lines before the error come first, as ever
			if end := bytes.LastIndexByte(c.text, '\n') + 1; end < len(c.text) {
				c.text = c.text[:end]
			}
			if err != cdb.ErrFull {
				err = &ReadError{err}
			}
		}
		ordered <- c
		if err != nil && err != io.EOF {
			c.err = err
		}
		work <- c
		if err != nil {
			return
		}
	}
}

// parse makes the batch of a chunk.
func (c *chunk) parse(p *Parser) {
	for text := c.text; len(text) > 0; {
		line := text
		if k := bytes.IndexByte(text, '\n'); k >= 0 {
			line, text = text[:k], text[k+1:]
		} else {
			text = nil
		}
		c.lines++
		if err := p.Line(line, &c.batch); err != nil {
			c.err = err
			return
		}
	}
	c.batch.Seal()
}

// IsNameError reports whether err is one of a name in an old line, which 1.05
// reported without a line number.
func IsNameError(err error) bool { return err == dnsname.ErrName }

// Lines calls f with every line of r, without its newline, and gives errors of
// f their line number: the frame of the smaller data languages.
func Lines(r io.Reader, f func(line []byte) error) error {
	in := bufio.NewReaderSize(r, chunkLen)
	for n := uint64(1); ; n++ {
		line, err := in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			line = bytes.Clone(line)
			for err == bufio.ErrBufferFull && len(line) <= maxLine {
				var more []byte
				more, err = in.ReadSlice('\n')
				line = append(line, more...)
			}
		}
		if err != nil && err != io.EOF {
			if err == bufio.ErrBufferFull {
				return cdb.ErrFull
			}
			return &ReadError{err}
		}
		if len(line) > 0 && line[len(line)-1] == '\n' {
			line = line[:len(line)-1]
		}
		if e := f(line); e != nil {
			return atLine(e, n)
		}
		if err == io.EOF {
			return nil
		}
	}
}
