// Tcpload puts load on a DNS server over TCP, for scripts/bench-tcp:
//
//	tcpload ADDR one NAMES SECONDS       a connection for each query
//	tcpload ADDR kept N NAMES SECONDS    connections of N queries, ten under way
//	tcpload ADDR axfr ZONE               one transfer
//	tcpload ADDR idle N PID              N idle connections; the server's memory
//
// NAMES is a number: queries are for h00000000.bench.test and so on. It prints
// one figure and its unit.
package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	workers  = 16
	underWay = 10 // queries of one connection that are not yet answered
)

func main() {
	if len(os.Args) < 4 {
		fail("usage: tcpload ADDR one|kept|axfr|idle ...")
	}
	addr, args := os.Args[1], os.Args[3:]
	switch os.Args[2] {
	case "one":
		queries(addr, 1, num(args[0]), num(args[1]))
	case "kept":
		queries(addr, num(args[0]), num(args[1]), num(args[2]))
	case "axfr":
		axfr(addr, args[0])
	case "idle":
		idle(addr, num(args[0]), args[1])
	default:
		fail("unknown: " + os.Args[2])
	}
}

func fail(a ...any) {
	fmt.Fprintln(os.Stderr, append([]any{"tcpload:"}, a...)...)
	os.Exit(111)
}

func num(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		fail(err)
	}
	return n
}

func query(name string, t uint16) []byte {
	b := []byte{0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for _, l := range strings.Split(name, ".") {
		b = append(append(b, byte(len(l))), l...)
	}
	b = append(b, 0, byte(t>>8), byte(t), 0, 1)
	binary.BigEndian.PutUint16(b, uint16(len(b)-2))
	return b
}

// queries asks for seconds, each connection for each.
func queries(addr string, each, names, seconds int) {
	var done, bad atomic.Int64
	end := time.Now().Add(time.Duration(seconds) * time.Second)
	qs := make([][]byte, names)
	for i := range qs {
		qs[i] = query(fmt.Sprintf("h%08x.bench.test", i), 1)
	}
	var wg sync.WaitGroup
	begin := time.Now()
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			buf := make([]byte, 65537)
			for i := w; time.Now().Before(end); {
				c, err := net.DialTimeout("tcp", addr, 2*time.Second)
				if err != nil {
					bad.Add(1)
					continue
				}
				c.(*net.TCPConn).SetLinger(0)
				c.SetDeadline(end.Add(5 * time.Second))
				r := bufio.NewReaderSize(c, 1<<16)
				sent, got, asks := 0, 0, each
				for got < asks {
					var out []byte
					if asks > sent && got%1000 == 999 && !time.Now().Before(end) {
						asks = sent // no more; a kept connection outlasts the time
					}
					for sent < asks && sent-got < underWay {
						out = append(out, qs[i%names]...)
						i += workers
						sent++
					}
					if len(out) > 0 {
						if _, err := c.Write(out); err != nil {
							break
						}
					}
					if _, err := io.ReadFull(r, buf[:2]); err != nil {
						break
					}
					n := int(binary.BigEndian.Uint16(buf))
					if _, err := io.ReadFull(r, buf[:n]); err != nil || n < 12 || buf[3]&15 != 0 || buf[7] == 0 {
						break
					}
					got++
				}
				c.Close()
				done.Add(int64(got))
				if got < asks {
					bad.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	if bad.Load() > 0 {
		fmt.Fprintln(os.Stderr, "tcpload:", bad.Load(), "connections failed")
	}
	fmt.Printf("%.0f queries/s\n", float64(done.Load())/time.Since(begin).Seconds())
}

// axfr receives a zone until its SOA comes again.
func axfr(addr, zone string) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		fail(err)
	}
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	begin := time.Now()
	c.Write(query(zone, 252))
	r := bufio.NewReaderSize(c, 1<<20)
	buf := make([]byte, 65537)
	records, bytes := 0, 0
	numbers := ""
	for soa := 0; soa < 2; {
		if _, err := io.ReadFull(r, buf[:2]); err != nil {
			fail(err, "after", records, "records")
		}
		n := int(binary.BigEndian.Uint16(buf))
		if _, err := io.ReadFull(r, buf[:n]); err != nil {
			fail(err)
		}
		if buf[3]&15 != 0 {
			fail("rcode", buf[3]&15)
		}
		an := int(binary.BigEndian.Uint16(buf[6:]))
		records += an
		bytes += n + 2
		// only the ends are looked at: the first record, and the last bytes of
		// each message, which are the SOA's five numbers when it comes again
		if records == an {
			numbers = soaNumbers(buf[:n])
			soa++
			if an == 1 {
				continue
			}
		}
		if an > 0 && string(buf[n-len(numbers):n]) == numbers {
			soa++
		}
	}
	s := time.Since(begin).Seconds()
	fmt.Printf("%.0f records/s, %.0f MB/s\n", float64(records)/s, float64(bytes)/s/1e6)
}

// soaNumbers gives the numbers at the end of a message's first record.
func soaNumbers(m []byte) string {
	const numbers = 5 * 4 // bytes (RFC 1035, section 3.3.13)
	off := 12
	for q := int(binary.BigEndian.Uint16(m[4:])); q > 0; q-- {
		off = skip(m, off) + 4
	}
	off = skip(m, off)
	if binary.BigEndian.Uint16(m[off:]) != 6 {
		fail("no SOA comes first")
	}
	off += 10 + int(binary.BigEndian.Uint16(m[off+8:]))
	return string(m[off-numbers : off])
}

func skip(m []byte, off int) int {
	for {
		switch l := int(m[off]); {
		case l >= 0xC0:
			return off + 2
		case l == 0:
			return off + 1
		default:
			off += 1 + l
		}
	}
}

// idle opens n connections and says how much memory the server has then.
func idle(addr string, n int, pid string) {
	var conns []net.Conn
	one := query("h00000000.bench.test", 1)
	for range n {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			fail(err)
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		c.Write(one) // it has been used once, as idle connections have
		conns = append(conns, c)
	}
	buf := make([]byte, 512)
	alive := 0
	for _, c := range conns {
		if n, err := c.Read(buf); err == nil && n > 0 {
			alive++
		}
	}
	b, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		fail(err)
	}
	for _, l := range strings.Split(string(b), "\n") {
		if v, ok := strings.CutPrefix(l, "VmRSS:"); ok {
			fmt.Printf("%d connections, %s\n", alive, strings.TrimSpace(v))
		}
	}
}
