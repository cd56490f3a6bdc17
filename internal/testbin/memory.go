package testbin

import (
	"errors"
	"io"
)

// Memory is a file in memory, for what writes an io.WriteSeeker. Its zero value
// is empty.
type Memory struct {
	B   []byte
	pos int64
}

// Write implements io.Writer.
func (m *Memory) Write(p []byte) (int, error) {
	if end := m.pos + int64(len(p)); end > int64(len(m.B)) {
		m.B = append(m.B, make([]byte, end-int64(len(m.B)))...)
	}
	copy(m.B[m.pos:], p)
	m.pos += int64(len(p))
	return len(p), nil
}

// Seek implements io.Seeker.
func (m *Memory) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += m.pos
	case io.SeekEnd:
		off += int64(len(m.B))
	}
	if off < 0 {
		return 0, errors.New("before the start")
	}
	m.pos = off
	return off, nil
}
