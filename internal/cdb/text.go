package cdb

import (
	"bufio"
	"errors"
	"io"
	"strconv"
)

// ErrText says that input is not in the text form that ReadText takes.
var ErrText = errors.New("bad format")

// firstPiece bounds what is set aside for a key or data before its bytes have
// really been read: a length is only a claim.
const firstPiece = 1 << 16

// ReadText reads records as lines "+klen,dlen:key->data", the end marked by an
// empty line, and gives each to add. The slices are good until add returns.
func ReadText(r *bufio.Reader, add func(key, data []byte) error) error {
	var key, data []byte
	for {
		c, err := r.ReadByte()
		if err != nil {
			return eof(err)
		}
		if c == '\n' {
			return nil
		}
		if c != '+' {
			return ErrText
		}
		klen, err := length(r, ',')
		if err != nil {
			return err
		}
		dlen, err := length(r, ':')
		if err != nil {
			return err
		}
		if key, err = exactly(r, key[:0], klen); err != nil {
			return err
		}
		if err = literal(r, "->"); err != nil {
			return err
		}
		if data, err = exactly(r, data[:0], dlen); err != nil {
			return err
		}
		if err = literal(r, "\n"); err != nil {
			return err
		}
		if err = add(key, data); err != nil {
			return err
		}
	}
}

// eof turns the end of input where there must be more into ErrText.
func eof(err error) error {
	if err == io.EOF {
		return ErrText
	}
	return err
}

func length(r *bufio.Reader, end byte) (uint64, error) {
	n := uint64(0)
	for {
		c, err := r.ReadByte()
		if err != nil {
			return 0, eof(err)
		}
		if c == end {
			return n, nil // no digits at all count as 0, as they always have
		}
		if c < '0' || c > '9' {
			return 0, ErrText
		}
		if n = n*10 + uint64(c-'0'); n > maxClassic {
			return 0, ErrFull
		}
	}
}

func literal(r *bufio.Reader, s string) error {
	for i := range len(s) {
		c, err := r.ReadByte()
		if err != nil {
			return eof(err)
		}
		if c != s[i] {
			return ErrText
		}
	}
	return nil
}

func exactly(r *bufio.Reader, buf []byte, n uint64) ([]byte, error) {
	for uint64(len(buf)) < n {
		if len(buf) == cap(buf) {
			grown := make([]byte, len(buf), max(firstPiece, 2*cap(buf)))
			copy(grown, buf)
			buf = grown
		}
		k, err := r.Read(buf[len(buf):min(uint64(cap(buf)), n)])
		buf = buf[:len(buf)+k]
		if err != nil {
			return buf, eof(err)
		}
	}
	return buf, nil
}

// AppendText appends one record in the form that ReadText reads.
func AppendText(dst, key, data []byte) []byte {
	dst = append(dst, '+')
	dst = strconv.AppendUint(dst, uint64(len(key)), 10)
	dst = append(dst, ',')
	dst = strconv.AppendUint(dst, uint64(len(data)), 10)
	dst = append(dst, ':')
	dst = append(dst, key...)
	dst = append(dst, "->"...)
	dst = append(dst, data...)
	return append(dst, '\n')
}
