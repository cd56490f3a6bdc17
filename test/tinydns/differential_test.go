package tinydns_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/internal/dns"
	"bulkhead/internal/dnsname"
	"bulkhead/internal/tai64"
	"bulkhead/internal/testbin"
	"bulkhead/test/model"
)

var seedFlag = flag.Uint64("seed", 0, "seed of random data and questions")

// defaultSeed is the same in every ordinary run, so that a run that was good
// stays good; longer ones, asked for by the variable, look at new ground.
func defaultSeed(variable string) uint64 {
	if os.Getenv(variable) == "" {
		return 1987
	}
	return uint64(time.Now().UnixNano())
}

// pairs is how many questions to ask: $DIFFERENTIAL, or enough for every run.
func pairs(t *testing.T) int {
	if v := os.Getenv("DIFFERENTIAL"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	return 100_000
}

const perData = 1000 // questions for one data file

// Random data files and questions, put to Debian's tinydns and to ours: the
// same answer, or rules that explain the difference. The model is judged too:
// without rules it must give Debian's answer.
func TestDifferential(t *testing.T) {
	testbin.NeedRoot(t)
	old := start(t, testbin.Peer(t, "usr/sbin/tinydns"), "127.0.0.53", tempRoot(t))
	now := start(t, testbin.Dir(t, "tinydns")+"/tinydns", "127.0.0.54", tempRoot(t))
	old.discard()
	now.discard()
	seed := *seedFlag
	if seed == 0 {
		seed = defaultSeed("DIFFERENTIAL")
	}
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	counts, identical, unexplained := map[string]int{}, 0, 0
	total := pairs(t)
	for asked := 0; asked < total && unexplained < 5; asked += perData {
		data := randomData(r, asked/perData)
		c := compile(t, []byte(data), 7)
		m, err := model.New(c)
		if err != nil {
			t.Fatal(err)
		}
		client := []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"}[r.IntN(3)]
		k := socket(t, client+":0")
		k.SetReadBuffer(8 << 20)
		for _, s := range []*server{old, now} {
			publish(t, s.root, c)
			s.serves(t, k, asked/perData)
		}
		packets := make([][]byte, perData)
		for i := range packets {
			packets[i] = randomPacket(r, data, uint16(i))
		}
		olds, news := old.ask(t, k, packets), now.ask(t, k, packets)
		k.Close()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		for i, p := range packets {
			q := model.Query{Packet: p, Now: tai64.Seconds(time.Now()), Client: [4]byte(net.ParseIP(client).To4())}
			if want, _ := m.Answer(q, 0); !same(want, olds[i]) {
				unexplained++
				t.Errorf("seed %d: the model of 1.05 is wrong for %x from %s\nmodel %x\n1.05  %x\n%s", seed, p, client, want, olds[i], data)
				continue
			}
			if same(olds[i], news[i]) {
				identical++
				continue
			}
			why, ok := m.Explain(q, same, olds[i], news[i])
			if !ok {
				unexplained++
				want, _ := m.Answer(q, model.All)
				t.Errorf("seed %d: unexplained, for %x from %s\nours  %x\n1.05  %x\nmodel %x\n%s", seed, p, client, news[i], olds[i], want, data)
			}
			for _, n := range why {
				counts[n]++
			}
		}
	}
	report(t, identical, counts, unexplained)
}

// serves waits until the server answers from the data file of that round.
func (s *server) serves(t *testing.T, k *net.UDPConn, round int) {
	to := &net.UDPAddr{IP: net.ParseIP(s.ip), Port: 53}
	name, _ := dnsname.ParseDot("round.sentinel.test")
	q := append([]byte{0xFF, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, name...)
	q = append(q, 0, byte(dns.TypeTXT), 0, 1)
	want := fmt.Sprintf("%06d", round)
	buf := make([]byte, 4096)
	for range 2000 {
		k.WriteTo(q, to)
		k.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, err := k.Read(buf)
		if err != nil {
			continue
		}
		if strings.Contains(string(buf[:n]), want) {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("%s does not serve round %d", s.cmd.Path, round)
}

// ask sends packets in small batches, each ended by a question that is always
// answered: what has no answer by then has none. Both servers answer in order.
func (s *server) ask(t *testing.T, k *net.UDPConn, packets [][]byte) [][]byte {
	const batch = 50
	out := make([][]byte, len(packets))
	to := &net.UDPAddr{IP: net.ParseIP(s.ip), Port: 53}
	name, _ := dnsname.ParseDot("round.sentinel.test")
	for i := 0; i < len(packets); i += batch {
		end := min(i+batch, len(packets))
		for _, p := range packets[i:end] {
			k.WriteTo(p, to)
		}
		id := uint16(0xF000 + i/batch)
		q := append([]byte{byte(id >> 8), byte(id), 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, name...)
		k.WriteTo(append(q, 0, byte(dns.TypeTXT), 0, 1), to)
		if !settle(t, k, id, func(msg []byte) {
			if n := int(binary.BigEndian.Uint16(msg)); n < len(out) {
				out[n] = msg
			}
		}) {
			return out
		}
	}
	return out
}

var labels = []string{"a", "b", "c", "ns", "www", "*", "x", "mx", "\\052", "A", "long-label-of-some-length", "\\000", "é"}

func randomName(r *rand.Rand) string {
	s := []string{"z.test", "z.test", "z.test", "sub.z.test", "other.test", "test", "nowhere.example"}[r.IntN(7)]
	for range r.IntN(4) {
		s = labels[r.IntN(len(labels))] + "." + s
	}
	return s
}

func pick(r *rand.Rand, s ...string) string { return s[r.IntN(len(s))] }

// randomData makes a data file; small worlds, so that things meet.
func randomData(r *rand.Rand, round int) string {
	b := new(strings.Builder)
	fmt.Fprintf(b, ".sentinel.test:127.0.0.1:a\n'round.sentinel.test:%06d\n", round)
	often := pick(r, "", "", "", "often") != "" // then names whose records are all invisible are many
	common := func() string {                   // ttl, timestamp, location
		s := ":" + pick(r, "", "", "60", "3600", "0", "5")
		if r.IntN(5) == 0 || often && r.IntN(8) > 0 {
			s += ":" + pick(r, "", "4000000000000001", "4100000000000000") + ":" + pick(r, "", "in", "ex")
		}
		return s
	}
	ip := func() string { return pick(r, "", "192.0.2.", "192.0.2.", "192.0.2.") + strconv.Itoa(r.IntN(9)) }
	if r.IntN(2) == 0 {
		b.WriteString(pick(r, "%in:127.0.0.2\n%ex\n%in:127.1\n", "%ex:127.0.0.1\n%in:127\n"))
	}
	if r.IntN(8) > 0 {
		fmt.Fprintf(b, ".z.test:192.0.2.1:a%s\n", common())
	}
	if r.IntN(2) == 0 {
		fmt.Fprintf(b, ".other.test:%s:%s%s\n", ip(), randomName(r), common())
	}
	many := 0
	if r.IntN(6) == 0 {
		many = r.IntN(40)
	}
	for range r.IntN(30) {
		n := randomName(r)
		for range 1 + many*r.IntN(2) {
			switch r.IntN(16) {
			case 0, 1:
				fmt.Fprintf(b, "&%s:%s:%s%s\n", n, ip(), randomName(r), common())
			case 2, 3:
				fmt.Fprintf(b, "C%s:%s%s\n", n, randomName(r), common())
			case 4:
				fmt.Fprintf(b, "@%s:%s:%s:%d%s\n", n, ip(), randomName(r), r.IntN(3), common())
			case 5:
				fmt.Fprintf(b, "'%s:%s%s\n", n, strings.Repeat("t", r.IntN(90)), common())
			case 6:
				fmt.Fprintf(b, "%s%s:%s:%s%s\n", pick(r, ".", "&"), n, ip(), labels[r.IntN(len(labels))], common())
			case 7:
				fmt.Fprintf(b, ":%s:28:%s\\001\\015\\270\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\000\\%03o%s\n", n, pick(r, "\\040", "\\040", ""), r.IntN(8), common())
			case 8:
				if r.IntN(4) == 0 {
					fmt.Fprintf(b, ":%s:39:%s%s\n", n, pick(r, "\\004test\\000", "\\005other\\004test\\000", "\\001b\\001z\\004test\\000"), common())
				}
			case 9:
				fmt.Fprintf(b, ":%s:%s:%s%s\n", n, pick(r, "43", "99", "33", "1", "65", "47", "46"), pick(r, "\\000\\001\\000\\002\\000\\003\\003www\\001z\\004test\\000", "abc", "\\300\\000\\002\\001\\001"), common())
			case 10:
				fmt.Fprintf(b, "Z%s:%s:%s:1:2:3:4:%d%s\n", n, randomName(r), randomName(r), r.IntN(100), common())
			case 11:
				fmt.Fprintf(b, "^%s:%s%s\n", n, randomName(r), common())
			case 12:
				fmt.Fprintf(b, "=%s:%s%s\n", n, ip(), common())
			default:
				fmt.Fprintf(b, "+%s:%s%s\n", n, ip(), common())
			}
		}
	}
	return b.String()
}

func randomPacket(r *rand.Rand, data string, id uint16) []byte {
	s := randomName(r)
	if r.IntN(2) == 0 {
		l := strings.Split(data, "\n")
		if x := l[r.IntN(len(l))]; len(x) > 1 {
			s, _, _ = strings.Cut(x[1:], ":")
			if r.IntN(4) == 0 {
				s = labels[r.IntN(len(labels))] + "." + s
			}
		}
	}
	name, err := dnsname.ParseDot(s)
	if err != nil {
		name = dnsname.Root
	}
	typ := []dns.Type{1, 1, 1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 43, 255, 99, 65, 47, 46}[r.IntN(18)]
	flags := uint16(0)
	class := byte(dns.ClassIN)
	switch r.IntN(40) {
	case 0:
		flags = 1 << 8
	case 1:
		flags = uint16(r.IntN(1 << 16))
	case 2:
		class = byte(r.IntN(256))
	case 3:
		typ = dns.Type(r.IntN(300))
	}
	p := binary.BigEndian.AppendUint16(nil, id)
	p = binary.BigEndian.AppendUint16(p, flags)
	p = append(p, 0, 1, 0, 0, 0, 0, 0, 0)
	p = append(p, name...)
	p = append(p, byte(typ>>8), byte(typ), 0, class)
	if r.IntN(50) == 0 {
		p[12+r.IntN(len(p)-12)] = byte(r.IntN(256))
	}
	if r.IntN(100) == 0 {
		p = p[:r.IntN(len(p))]
		if len(p) >= 2 {
			binary.BigEndian.PutUint16(p, id)
		}
	}
	return p
}
