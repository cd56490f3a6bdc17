// Package crlf converts line ends between files and the network: the filters
// addcr and delcr (compat: ucspi-tcp.md section 7).
package crlf

// Adder puts CR before every LF, also after a CR that is already there.
type Adder struct{}

// Data appends the converted bytes to dst.
func (Adder) Data(dst, in []byte) []byte {
	for _, b := range in {
		if b == '\n' {
			dst = append(dst, '\r')
		}
		dst = append(dst, b)
	}
	return dst
}

// EOF appends what was held back: nothing.
func (Adder) EOF(dst []byte) []byte { return dst }

// Deleter removes the CR of every CR LF. Other CRs stay, of CR CR LF only the
// second goes, a CR at the very end stays.
type Deleter struct{ held bool }

// Data appends the converted bytes to dst; a final CR is held back.
func (d *Deleter) Data(dst, in []byte) []byte {
	for _, b := range in {
		if d.held && b != '\n' {
			dst = append(dst, '\r')
		}
		if d.held = b == '\r'; !d.held {
			dst = append(dst, b)
		}
	}
	return dst
}

// EOF appends the CR that no LF followed.
func (d *Deleter) EOF(dst []byte) []byte {
	if d.held {
		dst = append(dst, '\r')
	}
	return dst
}

// Filter is Adder or Deleter.
type Filter interface {
	Data(dst, in []byte) []byte
	EOF(dst []byte) []byte
}

// Copy filters everything from read to write, writing before it reads again.
func Copy(read, write func([]byte) (int, error), f Filter) error {
	in := make([]byte, 1<<13)
	out := make([]byte, 0, 2*len(in)+1)
	for {
		n, err := read(in)
		if n > 0 {
			if out = f.Data(out[:0], in[:n]); len(out) > 0 {
				if _, err := write(out); err != nil {
					return err
				}
			}
			continue
		}
		if err != nil {
			if err.Error() != "EOF" {
				return err
			}
			if out = f.EOF(out[:0]); len(out) > 0 {
				_, err := write(out)
				return err
			}
			return nil
		}
	}
}
