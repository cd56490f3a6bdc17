// Random-ip prints distinct random IPv4 addresses; see random-ip(1).
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"os"

	"bulkhead/internal/permute"
	"bulkhead/internal/prog"
	"bulkhead/internal/scan"
)

func main() { prog.Main("random-ip", run) }

// defaultCount is how many without an argument (compat: djbdns.md section 12).
const defaultCount = 10000

func run(args []string) error {
	count := uint64(defaultCount)
	if len(args) > 0 {
		count, _ = scan.Number(args[0])
		args = args[1:]
	}
	var fixed [4]byte
	n := min(len(args), len(fixed))
	for i := range n {
		v, _ := scan.Number(args[i])
		fixed[i] = byte(v)
	}
	bits := uint(8 * (len(fixed) - n))
	count = min(count, 1<<bits)

	var seed [32]byte
	rand.Read(seed[:])
	var keys [4]uint64
	for i := range keys {
		keys[i] = binary.LittleEndian.Uint64(seed[8*i:])
	}
	p := permute.New(bits, keys)
	base := binary.BigEndian.Uint32(fixed[:])
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	for i := uint64(0); i < count; i++ {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], base|p.At(uint32(i)))
		out.Write(append(netip.AddrFrom4(a).AppendTo(out.AvailableBuffer()), '\n'))
	}
	if err := out.Flush(); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	return nil
}
